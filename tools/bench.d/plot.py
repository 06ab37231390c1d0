# SPDX-License-Identifier: Apache-2.0
"""plot.py - the table of ratios as an SVG bar chart.

One group of bars a row, one bar a runner, on a logarithmic scale whose line at 1 is native: a bar
to the right of it is slower. Two panels, single operations and whole programs, each as high as its
groups need.
"""
import math
from xml.sax.saxutils import escape

from report import Report, duration, ratio_text
from workloads import NATIVE_ONLY

COLOURS = {
    "hosting": "#0b6e4f",
    "jail": "#3fa34d",
    "overlay": "#9bd19b",
    "all-trap": "#d4a017",
    "bwrap": "#2f6fb3",
    "filter": "#5b92c7",
    "crun": "#8fb8de",
    "proot": "#b0479b",
    "runsc": "#c8553d",
    "uml": "#6b6b6b",
}
BAR, GAP, GROUP_GAP, LABEL, PANEL, SIDE = 9, 1, 12, 215, 480, 24
TOP, STRIP = 92, 34


class Panel:
    """One panel: rows of one kind on a scale that holds them all."""

    def __init__(self, report, title, rows, left):
        self.report, self.title, self.left = report, title, left
        self.groups = []
        for row in rows:
            bars = [(peer, report.samples.ratio(peer, row.name)) for peer in report.peers]
            bars = [(peer, cell) for peer, cell in bars if cell]
            if bars and row.name not in NATIVE_ONLY:
                self.groups.append((row, bars))
        ratios = [cell[0] for _, bars in self.groups for _, cell in bars] or [1]
        self.low = 10 ** (math.floor(math.log10(min(ratios + [1])) * 4) / 4)
        self.high = 10 ** (math.ceil(math.log10(max(ratios + [2])) * 4 + 1) / 4)

    def height(self):
        return sum(len(bars) * (BAR + GAP) + GROUP_GAP for _, bars in self.groups)

    def x(self, ratio):
        return (
            self.left + LABEL + PANEL * math.log(ratio / self.low) / math.log(self.high / self.low)
        )

    def ticks(self):
        for power in range(math.floor(math.log10(self.low)), math.ceil(math.log10(self.high)) + 1):
            for digit in (1, 2, 5):
                at = digit * 10.0**power
                # A wide scale has room for the tens only.
                if self.low * 0.999 <= at <= self.high * 1.001 and (
                    digit == 1 or self.high / self.low < 60
                ):
                    yield at

    def draw(self):
        bottom = TOP + STRIP + self.height()
        out = [text(self.left, TOP + 6, self.title, 14, weight="bold")]
        for at in self.ticks():
            x = self.x(at)
            native = abs(at - 1) < 1e-9
            out.append(
                f'<line x1="{x:.1f}" y1="{TOP + STRIP - 6}" x2="{x:.1f}" y2="{bottom}" '
                f'stroke="{"#333333" if native else "#dddddd"}" stroke-width="1"/>'
            )
            out.append(text(x, TOP + STRIP - 10, f"{at:g}×", 10, anchor="middle", fill="#555555"))
        y = TOP + STRIP
        for row, bars in self.groups:
            high = len(bars) * (BAR + GAP)
            native = self.report.samples.value("native", row.name)
            out.append(text(self.left + LABEL - 10, y + high / 2, row.title, 12, anchor="end"))
            out.append(
                text(
                    self.left + LABEL - 10,
                    y + high / 2 + 12,
                    f"native {duration(native[0])}",
                    9,
                    anchor="end",
                    fill="#777777",
                )
            )
            for peer, cell in bars:
                a, b = sorted((self.x(1), self.x(cell[0])))
                out.append(
                    f'<rect x="{a:.1f}" y="{y}" width="{max(b - a, 1):.1f}" height="{BAR}" '
                    f'fill="{COLOURS.get(peer, "#999999")}"><title>'
                    f"{escape(f'{self.report.title(peer)}, {row.title}: {ratio_text(cell)}')}"
                    "</title></rect>"
                )
                out.append(text(b + 4, y + BAR - 1, ratio_text((cell[0], None)), 8, fill="#444444"))
                y += BAR + GAP
            y += GROUP_GAP
        return out


def text(x, y, words, size, anchor="start", fill="#222222", weight="normal"):
    return (
        f'<text x="{x:.1f}" y="{y:.1f}" font-size="{size}" text-anchor="{anchor}" fill="{fill}" '
        f'font-weight="{weight}">'
        f"{escape(words)}</text>"
    )


def as_svg(report: Report):
    single = Panel(
        report, "Single operations and start", [r for r in report.rows if r.group != "macro"], SIDE
    )
    whole = Panel(
        report,
        "Whole programs",
        [r for r in report.rows if r.group == "macro"],
        SIDE + LABEL + PANEL + 60,
    )
    panels = [panel for panel in (single, whole) if panel.groups]
    if panels == [whole]:
        whole.left = SIDE
    width = max((panel.left + LABEL + PANEL + 60 for panel in panels), default=640)
    height = TOP + STRIP + max((panel.height() for panel in panels), default=0) + 30
    out = [
        f'<svg xmlns="http://www.w3.org/2000/svg" viewBox="0 0 {width} {height}" '
        f'width="{width}" height="{height}" '
        'font-family="DejaVu Sans, Verdana, sans-serif">',
        f'<rect width="{width}" height="{height}" fill="#ffffff"/>',
        text(SIDE, 28, "Time relative to native (logarithmic; left is faster)", 17, weight="bold"),
        text(SIDE, 46, report.heading()[0], 10, fill="#666666"),
    ]
    x = SIDE
    for peer in report.peers:
        title = report.title(peer)
        out.append(
            f'<rect x="{x}" y="57" width="11" height="11" fill="{COLOURS.get(peer, "#999999")}"/>'
        )
        out.append(text(x + 15, 67, title, 11))
        x += 34 + 6.6 * len(title)
    for panel in panels:
        out += panel.draw()
    return "\n".join([*out, "</svg>", ""])
