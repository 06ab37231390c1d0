# SPDX-License-Identifier: Apache-2.0
"""stats.py - from samples to the cells of the table.

A sample is what one launch of one runner measured for one row: its figure is the median (or, if
asked, the minimum) of its batches. A ratio compares two runners in the same round, so that whatever
slowed the machine meanwhile slowed both; the cell is the median of the rounds' ratios and the
spread is half the distance between their quartiles (half the range if there are fewer than four).
"""
import math
import statistics


def middle(values):
    return statistics.median(values) if values else None


def spread(values):
    if len(values) < 2:
        return None
    if len(values) < 4:
        return (max(values) - min(values)) / 2
    quartiles = statistics.quantiles(values, n=4, method="inclusive")
    return (quartiles[2] - quartiles[0]) / 2


class Samples:
    def __init__(self, samples, stat="median"):
        self.figures, self.notes = {}, {}
        choose = min if stat == "min" else statistics.median
        for sample in samples:
            rounds = self.figures.setdefault((sample["runner"], sample["row"]), {})
            rounds[sample["round"]] = choose(sample["ns"])
            if sample.get("note"):
                self.notes[sample["runner"], sample["row"]] = sample["note"]

    def value(self, runner, row):
        """(median, spread) in ns, or None."""
        values = list(self.figures.get((runner, row), {}).values())
        return (middle(values), spread(values)) if values else None

    def paired(self, runner, row, base, base_row, combine):
        a, b = self.figures.get((runner, row), {}), self.figures.get((base, base_row), {})
        values = [combine(a[i], b[i]) for i in sorted(a) if i in b and b[i] > 0]
        return (middle(values), spread(values)) if values else None

    def ratio(self, runner, row, base="native", base_row=None):
        return self.paired(runner, row, base, base_row or row, lambda x, y: x / y)

    def difference(self, runner, row, base="native"):
        return self.paired(runner, row, base, row, lambda x, y: x - y)

    def geometric_mean(self, runner, rows, base="native"):
        """(mean, spread, rows counted) of the ratios of some rows."""
        cells = [self.ratio(runner, row, base) for row in rows]
        cells = [cell for cell in cells if cell]
        if not cells:
            return None
        mean = math.exp(statistics.fmean(math.log(cell[0]) for cell in cells))
        errors = [(cell[1] / cell[0]) ** 2 for cell in cells if cell[1] is not None]
        return mean, mean * math.sqrt(sum(errors)) / len(cells) if errors else None, len(cells)
