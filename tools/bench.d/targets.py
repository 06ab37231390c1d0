# SPDX-License-Identifier: Apache-2.0
"""targets.py - how fast weir has to be, beside what was measured in this run."""
from runners import PASS_ROWS
from workloads import MACRO

LANE = ("fault", "read", "write", "stat", "open", "mmap", "fork", "exec")


class Target:
    """met: True, False, or None if there is no measurement; near: missed by less than the spread."""

    def __init__(self, what, limit, measured=None, met=None, near=False):
        self.what, self.limit, self.measured, self.met, self.near = what, limit, measured, met, near

    def verdict(self):
        if self.met is False and self.near:
            return "NOT met, within the spread"
        return {True: "met", False: "NOT met", None: "not measured"}[self.met]


def number(cell, unit=""):
    digits = 0 if abs(cell[0]) >= 100 else 1 if abs(cell[0]) >= 10 else 2
    text = f"{cell[0]:.{digits}f}"
    if cell[1] is not None:
        text += f" ±{cell[1]:.{digits}f}"
    return text + unit


def at_most(what, cell, limit, of, unit=""):
    if cell is None:
        return Target(what, of)
    near = cell[0] - (cell[1] or 0) <= limit
    return Target(what, of, number(cell, unit), cell[0] <= limit, near)


def at_least(what, cell, limit, of):
    if cell is None:
        return Target(what, of)
    near = cell[0] + (cell[1] or 0) >= limit
    return Target(what, of, number(cell), cell[0] >= limit, near)


def slower(samples, peer, row="trap"):
    return samples.ratio(peer, row, "hosting")


def disk_targets(samples):
    """Times of one transfer each: speed is native's time to ours."""
    ours = "disks"
    speed = (("disk-random", 0.85), ("disk-stream", 0.95), ("fs-write", 0.7), ("fs-read", 0.7))
    return [
        *(at_least(f"{row}, native's time to ours", samples.ratio("native", row, ours), limit, f"≥ {limit} × native's speed")
          for row, limit in speed),
        at_most("disk-single", samples.difference(ours, "disk-single"), 25000, "≤ native + 25 µs", " ns more"),
        at_least("disk-random, UML's time to ours", samples.ratio("uml", "disk-random", ours), 5, "≥ 5 ×"),
        at_most("fs-build", samples.ratio(ours, "fs-build"), 2, "≤ 2 × native"),
    ]


def all_targets(samples, memory):
    """memory: KiB of all weir processes of a guest at rest, or None."""
    ours = "hosting"
    mean = samples.geometric_mean(ours, MACRO)
    targets = [
        at_most("getppid", samples.difference(ours, "getppid"), 60, "≤ native + 60 ns", " ns more")
    ]
    targets += [
        at_most(row, samples.ratio(ours, row), 1.05, "= native (≤ 1.05 ×)")
        for row in ("clock-real", "clock-mono")
    ]
    targets += [
        at_most(f"{row}, clocks of the guest's own", samples.ratio("time-lab", row), limit, f"≤ {limit} × native")
        for row, limit in (("clock-real", 1.3), ("clock-day", 1.3), ("exec-true", 1.15))
    ]
    targets.append(
        at_most(
            "cond-wait, clocks of the guest's own",
            samples.difference("time-lab", "cond-wait"),
            1000000,
            "≤ native + 1 ms",
            " ns more",
        )
    )
    targets += [
        at_least(f"clock-real, {peer}'s time to ours", samples.ratio(peer, "clock-real", "time-lab"), limit, f"≥ {limit} ×")
        for peer, limit in (("faketime", 2), ("faketime-m", 10))
    ]
    targets += [
        at_most(row, samples.ratio(ours, row, peer), 1.05, f"≤ 1.05 × {title}")
        for peer, title, rows in (("bwrap", "bwrap", LANE), ("filter", "bwrap + filter", PASS_ROWS))
        for row in rows
    ]
    targets.append(
        at_most(
            f"macro, geometric mean of {mean[2] if mean else len(MACRO)}",
            mean,
            1.03,
            "≤ 1.03 × native",
        )
    )
    targets.append(
        at_most(
            "trapped call",
            samples.ratio(ours, "trap", "native", "notify"),
            1.25,
            "≤ 1.25 × bare notification",
        )
    )
    targets.append(
        at_most(
            "trapped call, weir's own part",
            samples.ratio(ours, "trap", "native", "notify-work"),
            1.25,
            "≤ 1.25 × bare notification doing the same",
        )
    )
    targets.append(
        at_most(
            "stopped call, left to the host",
            samples.ratio("all-trap", "getppid", "native", "notify"),
            1.25,
            "≤ 1.25 × bare notification",
        )
    )
    targets.append(
        at_least(
            "trapped call, one CPU, UML's time to ours", slower(samples, "uml"), 2.5, "≥ 2.5 ×"
        )
    )
    for peer in ("runsc", "proot"):
        for row, where in (("trap", "one CPU"), ("trap-free", "any CPU")):
            targets.append(
                at_least(
                    f"trapped call, {where}, {peer}'s time to ours",
                    slower(samples, peer, row),
                    8,
                    "≥ 8 ×",
                )
            )
    targets += [
        at_least(f"{row}, native's time to ours", samples.ratio("native", f"{row}-free", ours), 3, "≥ 3 ×")
        for row in ("pair-pipe", "pair-socket")
    ]
    targets += [
        at_most(row, samples.ratio(ours, f"{row}-free"), limit, f"≤ {limit} × native")
        for row, limit in (("groups", 1.0), ("busy", 1.02), ("contend", 1.02))
    ]
    targets += [
        at_most(f"{row}, observed", samples.ratio(ours, row, "unobserved"), limit, f"≤ {limit} × not observed")
        for row, limit in (("pipe-long", 1.02), ("fork-long", 1.02), ("make", 1.005))
    ]
    targets += [
        at_most(row, samples.ratio("limited", row), 3, "≤ 3 × native")
        for row in ("proc-stat", "proc-meminfo")
    ]
    targets.append(
        at_most("fault, with a memory limit", samples.ratio("limited", "fault"), 1.03, "≤ 1.03 × native")
    )
    targets.append(
        at_most("start to exit", samples.ratio(ours, "start", "bwrap"), 1.5, "≤ 1.5 × bwrap")
    )
    targets += disk_targets(samples)
    targets.append(
        at_most(
            "guest kernel at rest",
            (memory, None) if memory else None,
            2048,
            "≤ 2048 KiB private",
            " KiB",
        )
    )
    return targets
