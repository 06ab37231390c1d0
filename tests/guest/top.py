# SPDX-License-Identifier: Apache-2.0
"""Suite "commands": weir top, as text and on a terminal"""

import json
import os
import re
import signal
import termios
import time

import harness
import terminal
from harness import Failed, Skipped, test

BUSY = "while :; do hostname a; read x </proc/loadavg; done"


def rounds(case, *args, timeout=30):
    """The objects that weir top --json prints."""
    r = case.status(case.weir("top", "--json", *args, timeout=timeout), 0)
    return [json.loads(line) for line in r.out.splitlines()]


def columns(text, title):
    """The rows below the line that begins with the words of title, as dicts; up to a line that is no row of it."""
    lines = text.splitlines()
    for i, line in enumerate(lines):
        if line.split()[:len(title)] == title:
            names = line.split()
            rows = []
            for row in lines[i + 1:]:
                words = row.split(None, len(names) - 1)
                if len(words) < len(names) or words[0] == title[0]:
                    break
                rows.append(dict(zip(names, words)))
            return rows
    raise Failed(f"no line {' '.join(title)} in\n{harness.tail(text)}")


@test("commands", policies=("hosting", "all-trap"))
def top_json_agrees_with_stats(case):
    """Rates are differences of counters by the guest's own time; the counters lie between two weir stats."""
    name = case.detached("/bin/sh", "-c", BUSY)
    before = case.stats(name)
    got = rounds(case, "-n", "3", "-d", "0.3", name)
    after = case.stats(name)
    case.equal("rounds", len(got), 3)

    def count(s):
        return sum(t["count"] for t in s["traps"] if t["syscall"] == "sethostname")

    counts = [count(s) for s in (before, *got, after)]
    case.true(f"the counter grows: {counts}", counts == sorted(counts) and counts[0] < counts[-1])
    for a, b in zip(got, got[1:]):
        elapsed = b["guest"]["uptime_ns"] - a["guest"]["uptime_ns"]
        case.equal("interval_ns", b["interval_ns"], elapsed)
        rate = sum(t["count_per_s"] for t in b["traps"] if t["syscall"] == "sethostname")
        want = (count(b) - count(a)) * 1e9 / elapsed
        case.true(f"a trap's rate: {rate}, not {want}", abs(rate - want) < 1e-6 * want + 1e-6)
        want = (b["sched"]["forks"] - a["sched"]["forks"]) * 1e9 / elapsed
        case.true("the forks' rate", abs(b["sched"]["forks_per_s"] - want) < 1e-6 * want + 1e-6)
        for v in b["sched"]["vcpus"]:
            case.true(f"a vCPU's part: {v}", 0 <= v["busy_percent"] <= 100.001)


@test("commands")
def top_shows_who_is_busy(case):
    name = case.detached("/bin/sh", "-c", "sleep 100 & while :; do :; done")
    # A task has a rate when both looks have it; observing begins a moment after init runs.
    harness.wait_until(lambda: "sleep" in [t["comm"] for t in case.stats(name)["tasks"]], 30)
    got = rounds(case, "-n", "1", "-d", "1", name)[0]
    cpu = {t["comm"]: t["cpu_percent"] for t in got["tasks"] if t["cpu_percent"] is not None}
    case.true(f"the shell runs: {cpu}", cpu.get("sh", 0) > 2)
    case.true(f"and the sleeper does not: {cpu}", cpu.get("sleep", 100) < 1)
    text = case.status(case.weir("top", "--batch", "-n", "1", "-d", "0.3", name), 0).out
    rows = columns(text, ["PID", "PPID"])
    case.equal("the busy one comes first", rows[0]["COMMAND"], "sh")
    rows = columns(case.weir("top", "-b", "-n", "1", "-d", "0.2", "--sort", "pid", name).out, ["PID", "PPID"])
    pids = [int(r["PID"]) for r in rows]
    case.equal("sorted by pid", pids, sorted(pids))
    rows = columns(case.weir("top", "-b", "-n", "1", "-d", "0.2", "--sort", "pid", "--reverse", name).out, ["PID", "PPID"])
    case.equal("the other way round", [int(r["PID"]) for r in rows], sorted(pids, reverse=True))
    rows = columns(case.weir("top", "-b", "-n", "1", "-d", "0.2", "--filter", "SLEEP", name).out, ["PID", "PPID"])
    case.true(f"filtered: {rows}", rows and all("sleep" in r["COMMAND"] + r["STATE"] for r in rows))


@test("commands", policies=("hosting", "all-trap"))
def top_batch_is_text(case):
    name = case.detached("/bin/sh", "-c", BUSY)
    text = case.status(case.weir("top", "--batch", "-n", "2", "-d", "0.2", name), 0).out
    case.equal("rounds", len(re.findall(rf"(?m)^{name}  running  up \S+  policy {case.policy}  vcpus \d+", text)), 2)
    rows = columns(text, ["TRAPS/s", "COUNT"])
    busy = [r for r in rows if r["CALL"] == "sethostname"]
    case.true("the trapped call and its rule", busy and float(busy[0]["TRAPS/s"]) > 1 and ":" in busy[0]["RULE"])


@test("commands")
def top_of_a_guest_that_ends(case):
    name = case.detached("/bin/sleep", "1")
    r = case.status(case.weir("top", "--batch", "-d", "0.2", name, timeout=20), 0)
    case.equal("one clear line", r.err, f"weir: top: guest {name} has ended\n")


@test("commands", policies=(None,))
def top_usage(case):
    for args in (["-d", "0"], ["-d", "x"], ["-d", "nan"], ["-n", "0", "--batch"], ["-n", "3"], ["--sort", "colour"],
                 ["--nonsense"], ["a", "b"]):
        case.one_line_error(case.weir("top", *args), 2, "top: ")
    case.one_line_error(case.weir("top", "nobody"), 1, "nobody")
    case.one_line_error(case.weir("top", "--batch", "nobody"), 1, "nobody")


@test("commands")
def top_without_a_terminal(case):
    name = case.detached("/bin/sleep", "60")
    case.one_line_error(case.weir("top", name), 1, "weir top --batch")


# -- the screen --------------------------------------------------------------


class Screen(terminal.Screen):
    """weir top on a terminal."""

    def __init__(self, case, *args, rows=30, cols=110, term="vt100"):
        super().__init__(case, [case.ctx.weir, "top", *args], rows, cols, TERM=term)

    def ends(self, status):
        self.case.equal("status", self.p.wait(10), status)
        self.read(0.1)
        self.case.true("the terminal is as before", self.settings_restored())


def with_screen(case):
    if "screen of weir top" in case.weir("version").out:
        raise Skipped("built without ncurses")


def commands_of(rows):
    title = next(i for i, row in enumerate(rows) if row.split()[:2] == ["PID", "PPID"])
    return [row.split()[-1] for row in rows[title + 1:-1] if row]


@test("commands")
def top_draws_sorts_filters_and_quits(case):
    with_screen(case)
    name = case.detached("/bin/sh", "-c", "sleep 100 & cat /dev/zero >/dev/null & " + BUSY)
    s = Screen(case, "-d", "0.2", name)
    rows = s.until_text(r"(?s)PID +PPID.*sethostname|sethostname.*PID +PPID")
    case.matches("the head", rows[0], rf"^{name}  running  up ")
    case.matches("a bar", "\n".join(rows), r"vcpu 0 +\[[| -]{20}\] +[\d.-]+%")
    case.matches("the status line", rows[-1], r"^sort cpu .*q quit")
    case.true("the terminal is not as before", termios.tcgetattr(s.slave) != s.before)
    s.until("the busiest comes first", lambda r: "sort cpu" in r[-1] and commands_of(r)[:1] in (["cat"], ["sh"]))
    s.type("n")
    rows = s.until("sorted by name", lambda r: "sort name" in r[-1] and commands_of(r) == sorted(commands_of(r)))
    case.true("all are there", {"cat", "sh", "sleep"} <= set(commands_of(rows)))
    s.type("r")
    s.until("the other way round", lambda r: "(reversed)" in r[-1] and
            commands_of(r) == sorted(commands_of(r), reverse=True))
    s.type("/CA")
    s.until_text(r"filter: CA_")
    s.type("x\x7fT\r")
    s.until("filtered", lambda r: "filter CAT" in r[-1] and set(commands_of(r)) == {"cat"})
    s.type("\x1b")
    s.until("all again", lambda r: "filter" not in r[-1] and len(set(commands_of(r))) >= 3)
    s.type("?")
    s.until_text(r"weir top - keys")
    s.type("x")
    s.until_text(r"sort name")
    s.type(" ")
    held = s.until_text(r"HELD")[0]
    time.sleep(0.6)
    s.read(0.1)
    case.equal("it is held", s.show()[0], held)
    s.type(" ")
    s.until("it goes on", lambda r: r[0] != held and "HELD" not in r[-1])
    s.type("q")
    s.ends(0)


@test("commands")
def top_in_windows_of_any_size(case):
    with_screen(case)
    name = case.detached("/bin/sh", "-c", "sleep 100 & " + BUSY)
    s = Screen(case, "-d", "0.2", name)
    s.until_text("PID +PPID")
    for rows, cols in ((24, 80), (60, 250), (10, 40), (5, 20), (3, 10), (2, 5), (1, 3), (1, 1), (24, 80)):
        s.resize(rows, cols)
        s.until(f"{rows} x {cols}", lambda r: r[0] and r[0].startswith(name[:cols]))
        for key in "?x/a\x1bpr":
            s.type(key)
            s.read(0.05)
    s.until_text("PID +PPID")
    s.type("q")
    s.ends(0)


@test("commands")
def top_puts_the_terminal_back(case):
    """After a signal, after the guest's end, when it hangs."""
    with_screen(case)
    name = case.detached("/bin/sleep", "100")
    for sig in (signal.SIGINT, signal.SIGTERM, signal.SIGHUP):
        s = Screen(case, name)
        s.until_text("PID +PPID")
        s.p.send_signal(sig)
        s.ends(128 + sig)
    s = Screen(case, name)
    s.until_text("PID +PPID")
    s.type("\x03")
    s.ends(130)
    s = Screen(case, "-d", "0.2", name)
    s.until_text("PID +PPID")
    kernel = case.kernel_pid(name)
    os.kill(kernel, signal.SIGSTOP)
    s.until_text("no answer")
    os.kill(kernel, signal.SIGCONT)
    s.until_text("sort cpu")
    os.kill(kernel, signal.SIGKILL)
    s.ends(0)
    case.true("one clear line", f"weir: top: guest {name} has ended" in s.data.decode())


@test("commands")
def top_chooses_among_guests(case):
    with_screen(case)
    names = [case.detached("/bin/sleep", "100") for _ in range(2)]
    r = case.weir("top", "--batch", "-n", "1")
    case.one_line_error(r, 2, "several guests run")
    case.true("their names", all(n in r.err for n in names))
    s = Screen(case)
    rows = s.until("the list", lambda rows: rows[0].startswith("GUESTS") and all(
        any(row.startswith(n + " ") for row in rows) for n in names))
    order = [row.split()[0] for row in rows[1:] if row]
    s.type("j" * order.index(names[1]) + "\r")
    s.until("the guest", lambda rows: rows[0].startswith(names[1] + " ") and "PID" in "\n".join(rows))
    s.type("g")
    s.until_text("GUESTS")
    s.type("q")
    s.ends(0)


@test("commands")
def top_of_a_terminal_that_cannot(case):
    with_screen(case)
    name = case.detached("/bin/sleep", "60")
    for term in ("dumb", "no-such-terminal", ""):
        s = Screen(case, name, term=term)
        s.ends(1)
        case.matches(f"TERM={term}", s.data.decode(), r"^weir: top: .*TERM.*weir top --batch\r\n$")


@test("commands")
def top_shows_a_paused_guest(case):
    with_screen(case)
    name = case.detached("/bin/sh", "-c", BUSY)
    s = Screen(case, "-d", "0.2", name)
    s.until_text(rf"{name}  running")
    case.status(case.weir("pause", name), 0)
    s.until_text(rf"{name}  paused")
    case.status(case.weir("resume", name), 0)
    s.until_text(rf"{name}  running")
    s.type("q")
    s.ends(0)
