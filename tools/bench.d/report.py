# SPDX-License-Identifier: Apache-2.0
"""report.py - a record of a run (the JSON this tool writes) as text or Markdown."""
from stats import Samples
from targets import all_targets
from workloads import GROUPS, NATIVE_ONLY, ROWS

UNITS = ((1e9, "s"), (1e6, "ms"), (1e3, "µs"), (1, "ns"))


def duration(ns):
    for size, unit in UNITS:
        if ns >= size or size == 1:
            value = ns / size
            return f"{value:.{0 if value >= 100 else 1 if value >= 10 else 2}f} {unit}"
    return ""


def ratio_text(cell):
    value, error = cell
    digits = 0 if value >= 100 else 1 if value >= 10 else 2
    text = f"{value:.{digits}f}"
    return text if error is None else f"{text} ±{error:.{digits}f}"


class Report:
    def __init__(self, record, stat):
        self.record = record
        self.samples = Samples(record["samples"], stat)
        self.rows = [row for row in ROWS if row.group != "memory" and row.name in record["rows"]]
        self.peers = [
            name
            for name in record["order"]
            if name != "native" and record["runners"][name]["measured"]
        ]
        self.notes = []
        memory = record.get("memory") or {}
        self.targets = all_targets(self.samples, memory.get("total_kib"))
        if all(target.met is None for target in self.targets):
            self.targets = []

    def title(self, name):
        return self.record["runners"][name]["title"]

    def failure(self, runner, row):
        """A footnote mark for what went wrong, in some rounds or in all."""
        found = [
            f for f in self.record["failures"] if (f["runner"], f["row"]) == (runner, row.name)
        ]
        if not found:
            return ""
        rounds = ", ".join(str(f["round"] + 1) for f in found)
        return self.footnote(
            f"{self.title(runner)}, {row.title}, round {rounds}: {found[0]['reason']}"
        )

    def footnote(self, text):
        if text not in self.notes:
            self.notes.append(text)
        return f" [{self.notes.index(text) + 1}]"

    def note(self, runner, row):
        said = self.samples.notes.get((runner, row.name))
        return self.footnote(f"the call is refused ({said})") if said else ""

    def cell(self, runner, row):
        if row.name in NATIVE_ONLY:
            return "–"
        failed = self.failure(runner, row)
        cell = self.samples.ratio(runner, row.name)
        if cell:
            return ratio_text(cell) + self.note(runner, row) + failed
        value = self.samples.value(runner, row.name)
        if value:
            return duration(value[0]) + failed  # nothing native to compare with
        return "failed" + failed if failed else "–"

    def native(self, row):
        failed = self.failure("native", row)
        value = self.samples.value("native", row.name)
        if value:
            return duration(value[0]) + self.note("native", row) + failed
        return "failed" + failed if failed else "–"

    def table(self):
        """Lines of cells; None stands for a line between groups."""
        lines = [["", "native", *map(self.title, self.peers)]]
        for group in GROUPS:
            rows = [row for row in self.rows if row.group == group]
            if rows:
                lines.append(None)
            for row in rows:
                lines.append(
                    [row.title, self.native(row), *(self.cell(peer, row) for peer in self.peers)]
                )
                if row.small and self.samples.value("native", row.name):
                    more = [self.samples.difference(peer, row.name) for peer in self.peers]
                    lines.append(
                        [
                            "  ns more than native",
                            "",
                            *(f"{cell[0]:+.0f}" if cell else "–" for cell in more),
                        ]
                    )
        macro = [row.name for row in self.rows if row.group == "macro"]
        if len(macro) > 1:
            means = [self.samples.geometric_mean(peer, macro) for peer in self.peers]
            lines.append(
                [
                    "geometric mean of these",
                    "",
                    *(
                        ratio_text(m[:2])
                        + ("" if m[2] == len(macro) else f" ({m[2]} of {len(macro)})")
                        if m
                        else "–"
                        for m in means
                    ),
                ]
            )
        return lines

    def unmeasured(self):
        return [
            (runner["title"], runner["reason"])
            for runner in self.record["runners"].values()
            if not runner["measured"]
        ]

    def memory(self):
        memory = self.record.get("memory")
        if not memory:
            return ""
        if "error" in memory:
            return f"not measured: {memory['error']}"
        parts = ", ".join(f"{p['comm']} {p['private_kib']} KiB" for p in memory["processes"])
        count = len(memory["processes"])
        return f"{memory['total_kib']} KiB private in {count} process(es) of weir: {parts}"

    def heading(self):
        host, record = self.record["host"], self.record
        cpu = "any CPU" if record["cpu"] is None else f"CPU {record['cpu']}"
        return [
            f"{host['kernel']}, {host['cpus']} × {host['cpu']}, load {host['load']} at the start",
            f"rounds: {record['rounds']} ({record['slow_rounds']} for slow runners), interleaved; "
            f"single operations on {cpu}; "
            f"as {'root' if host['root'] else 'an ordinary user'}; {record['command']}",
            "; ".join(
                runner["version"]
                for runner in record["runners"].values()
                if runner["measured"] and runner["version"]
            ),
        ]


def fit(lines):
    widths = [max(len(line[i]) for line in lines if line) for i in range(len(lines[0]))]
    out = []
    for line in lines:
        if line is None:
            out.append("-" * (sum(widths) + 2 * len(widths) - 2))
        else:
            out.append(
                "  ".join(
                    [line[0].ljust(widths[0]), *(c.rjust(w) for c, w in zip(line[1:], widths[1:]))]
                ).rstrip()
            )
    return out


def as_text(report):
    out = [*report.heading(), "", "Ratios to native (less is faster); native in absolute time.", ""]
    table = report.table()
    # Long titles would widen every column: two lines of heading.
    head = [name.partition(" ") for name in table[0]]
    table[0:1] = [[h[0] for h in head], [h[2].replace("hosting, ", "") for h in head]]
    out += fit(table)
    for i, note in enumerate(report.notes):
        out.append(f"[{i + 1}] {note}")
    if report.memory():
        out += ["", "Guest kernel at rest: " + report.memory()]
    if report.unmeasured():
        out += ["", "Not measured:"] + [
            f"  {title}: {reason}" for title, reason in report.unmeasured()
        ]
    if not report.targets:
        return "\n".join([*out, "", "Targets: weir was not measured.", ""])
    out += ["", "Targets", ""]
    out += fit(
        [
            ["what", "at most / at least", "measured", ""],
            *([t.what, t.limit, t.measured or "–", t.verdict()] for t in report.targets),
        ]
    )
    return "\n".join(out) + "\n"


def as_markdown(report):
    def line(cells):
        return "| " + " | ".join(cell.replace("|", "\\|") for cell in cells) + " |"

    table = [cells for cells in report.table() if cells]
    heading = report.heading()
    out = [
        f"Measured with `{report.record['command']}` on {heading[0]}.",
        heading[2] + ".",
        "",
        "Ratios to native (less is faster), the median of the rounds; "
        "± is half the distance between the quartiles.",
        "",
        line(table[0]),
        line(["---"] + ["---:"] * (len(table[0]) - 1)),
        *map(line, table[1:]),
        "",
    ]
    out += [f"[{i + 1}] {note}  " for i, note in enumerate(report.notes)]
    if report.memory():
        out += ["", f"Guest kernel at rest: {report.memory()}."]
    out += ["", *(f"Not measured: {title}: {reason}.  " for title, reason in report.unmeasured())]
    if report.targets:
        out += ["", line(["target", "limit", "measured", ""]), line(["---", "---", "---:", "---"])]
        out += [line([t.what, t.limit, t.measured or "–", t.verdict()]) for t in report.targets]
    return "\n".join(out) + "\n"
