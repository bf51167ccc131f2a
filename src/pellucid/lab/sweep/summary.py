"""What a sweep shows: the best cells, errors over width, depth and parameters, a page."""

from __future__ import annotations

import math
from collections.abc import Mapping
from dataclasses import dataclass
from html import escape
from typing import Any

import numpy as np

from pellucid.lab.compare import GOOD
from pellucid.lab.experiment import Figure, HeatMap
from pellucid.lab.report import figures_html, page
from pellucid.lab.sweep.cells import Cell, Question
from pellucid.lab.sweep.grid import Grid
from pellucid.lab.targets import target_of

SHOWN = 6
"""Lines of a figure, at most."""


@dataclass(frozen=True)
class Row:
    """A cell and its sup errors: of the best seed, of the median one, and how many seeds fit."""

    cell: Cell
    parameters: int
    best: float
    median: float
    good: float


class Summary:
    """The results of a grid, as rows, figures and a page."""

    def __init__(
        self, question: Question, grid: Grid, records: Mapping[Cell, dict[str, Any]]
    ) -> None:
        self.question, self.grid = question, grid
        target = target_of(question.target, question.interval)
        self.range = max(float(np.ptp(target.values(target.grid(401)))), 1e-12)
        self.rows = [
            self._row(cell, records[cell]) for cell in grid.cells() if cell in records
        ]  # fmt: skip
        self.missing = len(grid) - len(self.rows)
        by_shape: dict[tuple[int, int], Row] = {}
        for row in self.rows:
            key = (row.cell.width, row.cell.depth)
            if key not in by_shape or row.best < by_shape[key].best:
                by_shape[key] = row
        self.by_shape = by_shape
        """The row of the best learning rate for each width and depth."""

    def _row(self, cell: Cell, record: dict[str, Any]) -> Row:
        errors = np.array([math.inf if e is None else e for e in record["sup"]], np.float64)
        ordered = np.sort(errors)
        return Row(
            cell, record["parameters"], float(ordered[0]), float(ordered[len(ordered) // 2]),
            float((errors < GOOD * self.range).mean()),
        )  # fmt: skip

    @property
    def ranked(self) -> list[Row]:
        """The rows, the smallest error first; of equal ones the fewest parameters."""
        return sorted(self.rows, key=lambda row: (row.best, row.parameters))

    @property
    def smallest(self) -> Row | None:
        """The row with the fewest parameters that fits, if one does."""
        fitting = [row for row in self.rows if row.best < GOOD * self.range]
        return min(fitting, key=lambda row: (row.parameters, row.best), default=None)

    def sentence(self) -> str:
        """The result in words."""
        if not self.rows:
            return "No cell is finished."
        best, smallest = self.ranked[0], self.smallest
        words = (
            f"The best of {len(self.rows)} cells is {best.cell}: sup error {best.best:.3g} with "
            f"{best.parameters} parameters (median seed {best.median:.3g})."
        )
        if smallest is None:
            words += f" None comes within {GOOD:.0%} of the target's range."
        else:
            words += (
                f" The smallest that comes within {GOOD:.0%} of the target's range is "
                f"{smallest.cell}: {smallest.parameters} parameters, {smallest.good:.0%} of its "
                "seeds."
            )
        if self.missing:
            words += f" {self.missing} cells are missing."
        return words

    def over_width(self) -> Figure:
        """The best seed's error over the width, a line for each depth; over the depth where there
        is one width.
        """
        deep = len(self.grid.widths) == 1 and len(self.grid.depths) > 1
        name, other = ("hidden layers", "width") if deep else ("width", "depth")
        figure = Figure(
            f"sup error over {name}, best seed", name, "sup error", log_y=True,
            log_x=not deep and self.grid.widths[-1] > 8 * self.grid.widths[0],
        )  # fmt: skip
        lines = self.grid.widths if deep else self.grid.depths
        for line in evenly(lines, SHOWN):
            kept = [
                (d if deep else w, row.best)
                for (w, d), row in sorted(self.by_shape.items())
                if (w if deep else d) == line and math.isfinite(row.best)
            ]
            if kept:
                figure.line(f"{other} {line}", *zip(*kept, strict=True))
        return figure

    def figures(self) -> list[Figure | HeatMap]:
        """Errors over width and over parameters; maps where the grid has two directions."""
        sizes = Figure(
            "sup error over parameters", "parameters", "sup error", log_x=True, log_y=True
        )
        finite = [row for row in self.rows if math.isfinite(row.best)]
        for depth in evenly(self.grid.depths, SHOWN):
            here = [row for row in finite if row.cell.depth == depth]
            if here:
                sizes.line(
                    f"depth {depth}",
                    [row.parameters for row in here],
                    [row.best for row in here],
                    joined=False,
                )
        found: list[Figure | HeatMap] = [self.over_width(), sizes]
        if len(self.grid.widths) > 1 and len(self.grid.depths) > 1:
            found += [
                self._map("sup error of the best seed", lambda row: row.best, True),
                self._map(f"part of the seeds within {GOOD:.0%}", lambda row: row.good, False),
            ]
        return found

    def _map(self, title: str, value: Any, log: bool) -> HeatMap:
        rows = [
            [
                value(self.by_shape[w, d]) if (w, d) in self.by_shape else math.nan
                for w in self.grid.widths
            ]
            for d in self.grid.depths
        ]
        return HeatMap(
            title, "width", "hidden layers", self.grid.widths, self.grid.depths, rows, log
        )

    def page(self) -> str:
        """The page: what was asked, the result in words, figures, every cell."""
        asked = self.question
        low, high = asked.interval
        rows = "".join(
            f'<tr><td class="n">{r.cell.width}</td><td class="n">{r.cell.depth}</td>'
            + ("" if r.cell.rate is None else f'<td class="n">{r.cell.rate:g}</td>')
            + f'<td class="n">{r.parameters}</td><td class="n">{r.best:.3g}</td>'
            f'<td class="n">{r.median:.3g}</td><td class="n">{r.good:.0%}</td></tr>'
            for r in self.ranked
        )
        names = ["width", "hidden layers", "parameters", "best sup error", "median"]
        names.append(f"seeds within {GOOD:.0%}")
        if self.grid.rates != (None,):
            names.insert(2, "learning rate")
        body = (
            f"<h1>{escape(asked.target)} on [{low:g}, {high:g}], swept</h1>"
            f'<p class="lead">{len(self.rows)} cells of {asked.seeds} {escape(asked.activation)} '
            f"networks each, seeds from {asked.first_seed}, trained by {asked.optimiser}"
            + (f" for {asked.steps} steps" if asked.steps else "")
            + f".</p><p>{escape(self.sentence())}</p>"
            + figures_html(self.figures())
            + '<h2>Every cell, the best first</h2><div class="wide"><table><thead><tr>'
            + "".join(f'<th class="n">{name}</th>' for name in names)
            + f"</tr></thead><tbody>{rows}</tbody></table></div>"
        )
        return page(f"{asked.target}, swept", body)


def evenly(values: tuple[int, ...], count: int) -> tuple[int, ...]:
    """So many of the values, evenly chosen, the first and the last among them."""
    if len(values) <= count:
        return values
    return tuple(values[round(i * (len(values) - 1) / (count - 1))] for i in range(count))
