"""The picture of `explain.roi`: the map twice, RoI Pooling on the left, RoI Align on the right."""

from __future__ import annotations

from typing import NamedTuple

import numpy as np

from pellucid.explain.drawing import Circle, Drawing, Rectangle, Segment, Style, Words
from pellucid.explain.region_facts import Region

POOL = "#c2410c"
ALIGN = "#0f766e"
INK = "#212529"
SOFT = "#6c757d"
GRID = "#dee2e6"

PANEL = 420.0
"""The widest that one map is drawn."""
MARGIN = 30.0
TOP = 64.0
LARGEST_CELL, SMALLEST_CELL = 46.0, 3.0
MOST_NUMBERS = 8
"""Columns of a result up to which its numbers are written."""


class Window(NamedTuple):
    """The part of the map that is drawn: cells from (left, top) to before (right, bottom), each
    `cell` pixels, with its upper left corner at (x, y)."""

    left: int
    top: int
    right: int
    bottom: int
    cell: float
    x: float
    y: float

    def at(self, column: float, row: float) -> tuple[float, float]:
        """The pixel of a place in cells (whole numbers at centres)."""
        return (
            self.x + (column + 0.5 - self.left) * self.cell,
            self.y + (row + 0.5 - self.top) * self.cell,
        )

    def box(
        self, x1: float, y1: float, x2: float, y2: float, style: Style, title: str = ""
    ) -> Rectangle:
        """A rectangle from place to place, cut to a cell around the window."""
        x1, x2 = sorted(np.clip([x1, x2], self.left - 1.5, self.right + 0.5))
        y1, y2 = sorted(np.clip([y1, y2], self.top - 1.5, self.bottom + 0.5))
        (px, py), (qx, qy) = self.at(x1, y1), self.at(x2, y2)
        return Rectangle(px, py, qx - px, qy - py, style, title)

    def holds(self, column: float, row: float) -> bool:
        return (
            self.left - 1.5 <= column <= self.right + 0.5
            and self.top - 1.5 <= row <= self.bottom + 0.5
        )


def _window(found: Region, x: float, y: float) -> Window:
    """The cells around the box, with two on each side where the map has them."""
    height, width = found.image.shape
    spans = []
    for cells, a, b, at in (
        (width, found.x, found.aligning.x, found.point[0]),
        (height, found.y, found.aligning.y, found.point[1]),
    ):
        inside = float(np.clip(at, -0.5, cells - 0.5))
        low = min(a.start, a.end, b.start, inside) - 2
        high = max(a.start, a.end, b.end, inside) + 3
        first = int(np.clip(np.floor(low), 0, cells - 1))
        spans.append((first, int(np.clip(np.ceil(high), first + 1, cells))))
    (left, right), (top, bottom) = spans
    across, down = right - left + 2, bottom - top + 2
    cell = float(np.clip(PANEL / max(across, down), SMALLEST_CELL, LARGEST_CELL))
    return Window(left, top, right, bottom, cell, x + cell, y + cell)


def _shade(value: float, low: float, high: float) -> str:
    """White for the lowest, a strong blue for the highest; grey for NaN."""
    if not np.isfinite(value):
        return "#adb5bd"
    part = 0.5 if high == low else (value - low) / (high - low)
    ends = np.array([250, 251, 252]), np.array([116, 165, 222])
    return "#" + "".join(
        f"{round(float(a + (b - a) * part)):02x}" for a, b in zip(*ends, strict=True)
    )


def _range(values: np.ndarray) -> tuple[float, float]:
    finite = values[np.isfinite(values)]
    return (float(finite.min()), float(finite.max())) if finite.size else (0.0, 1.0)


def _cells(sheet: Drawing, found: Region, view: Window) -> None:
    part = found.image[view.top : view.bottom, view.left : view.right]
    low, high = _range(part)
    line = GRID if view.cell >= 6 else "none"
    for row in range(view.top, view.bottom):
        for column in range(view.left, view.right):
            value = float(found.image[row, column])
            shade = Style(_shade(value, low, high), line)
            title = f"cell ({column}, {row}) = {value:.5g}"
            sheet.add(view.box(column - 0.5, row - 0.5, column + 0.5, row + 0.5, shade, title))
    step = max(1, round(24 / view.cell))
    away = view.cell * (0.25 if view.cell > 20 else 1)  # clear of boxes that leave a small map
    for column in range(view.left, view.right, step):
        x, _ = view.at(column, 0)
        sheet.add(Words(x, view.y - away - 2, str(column), 10, SOFT, "middle"))
    for row in range(view.top, view.bottom, step):
        _, y = view.at(0, row)
        sheet.add(Words(view.x - away - 3, y + 3.5, str(row), 10, SOFT, "end"))


def _true_box(sheet: Drawing, found: Region, view: Window) -> None:
    style = Style(line=INK, width=2, dashed=True)
    sheet.add(view.box(found.x.start, found.y.start, found.x.end, found.y.end, style, "the box"))


def _pool_panel(sheet: Drawing, found: Region, view: Window) -> None:
    pool = found.pooling
    _cells(sheet, found, view)
    fill = Style(POOL, POOL, 1, alpha=0.10)
    for p, (top, bottom) in enumerate(pool.bins_y):
        for q, (left, right) in enumerate(pool.bins_x):
            if bottom >= top and right >= left:
                inset = 0.44
                title = f"bin ({p}, {q}): {pool.result[p, q]:.5g}"
                sheet.add(
                    view.box(left - inset, top - inset, right + inset, bottom + inset, fill, title)
                )
    (left, right), (top, bottom) = pool.columns, pool.rows
    edge = Style(line=POOL, width=2.5)
    sheet.add(view.box(left - 0.5, top - 0.5, right + 0.5, bottom + 0.5, edge, "whole cells"))
    _true_box(sheet, found, view)
    for column, row in pool.chosen.reshape(-1, 2):
        if row >= 0 and view.holds(column, row):
            x, y = view.at(float(column), float(row))
            sheet.add(Circle(x, y, max(view.cell * 0.12, 1.5), Style(POOL), "the largest of a bin"))


def _align_panel(sheet: Drawing, found: Region, view: Window) -> None:
    align = found.aligning
    _cells(sheet, found, view)
    _true_box(sheet, found, view)
    edge, thin = Style(line=ALIGN, width=2.5), Style(line=ALIGN, width=1)
    x1, x2, y1, y2 = align.x.start, align.x.end, align.y.start, align.y.end
    for border in align.borders_x[1:-1]:
        if view.holds(float(border), view.top):
            sheet.add(_line(view, float(border), y1, float(border), y2, thin))
    for border in align.borders_y[1:-1]:
        if view.holds(view.left, float(border)):
            sheet.add(_line(view, x1, float(border), x2, float(border), thin))
    sheet.add(view.box(x1, y1, x2, y2, edge, "what is sampled"))
    radius = min(max(view.cell * 0.07, 1.2), 3.0)
    for y in align.points_y:
        for x in align.points_x:
            if view.holds(float(x), float(y)):
                sheet.add(Circle(*view.at(float(x), float(y)), radius, Style(ALIGN)))
    _point(sheet, found, view)


def _line(view: Window, x1: float, y1: float, x2: float, y2: float, style: Style) -> Segment:
    box = view.box(x1, y1, x2, y2, style)
    return Segment(box.x, box.y, box.x + box.wide, box.y + box.high, style)


def _point(sheet: Drawing, found: Region, view: Window) -> None:
    """The chosen point, tied to its four cells, with what each weighs."""
    if not view.holds(*found.point):
        return
    px, py = view.at(*found.point)
    for tap in found.taps:
        x, y = view.at(tap.column, tap.row)
        sheet.add(Segment(px, py, x, y, Style(line=INK, width=1.2)))
    for tap in found.taps:
        if not view.holds(tap.column, tap.row):
            continue
        x, y = view.at(tap.column, tap.row)
        title = f"{tap.weight:.4f} × cell ({tap.column}, {tap.row})"
        sheet.add(Circle(x, y, 2.5, Style("#ffffff", INK, 1.2), title))
        if view.cell >= 18:
            below = tap.row > found.point[1]
            offset = 14 if below else -6
            side, shift = "middle", 0
            if view.cell < 26:  # two numbers do not fit side by side over their cells
                left = tap.column <= found.point[0]
                side, shift = ("end", 6) if left else ("start", -6)
            words = f"{tap.weight:.2f}"
            sheet.add(Words(x + shift, y + offset, words, 11, INK, side, bold=True))
    sheet.add(Circle(px, py, 4.5, Style("#facc15", INK, 1.5), "the point"))


def _result(
    sheet: Drawing,
    values: np.ndarray,
    x: float,
    y: float,
    title: str,
    colour: str,
    scale: tuple[float, float],
) -> float:
    """A result as a grid of its own; returns the y below it."""
    rows, columns = values.shape
    written = columns <= MOST_NUMBERS
    wide, high = (PANEL / max(columns, 6), 26.0) if written else (PANEL / columns, PANEL / columns)
    sheet.add(Words(x, y - 8, title, 13, colour, bold=True))
    for p in range(rows):
        for q in range(columns):
            value = float(values[p, q])
            shade = Style(_shade(value, *scale), GRID)
            left, top = x + q * wide, y + p * high
            sheet.add(Rectangle(left, top, wide, high, shade, f"bin ({p}, {q}) = {value:.5g}"))
            if written:
                sheet.add(
                    Words(left + wide / 2, top + high / 2 + 4, f"{value:.3g}", 11, INK, "middle")
                )
    return y + rows * high


def draw(found: Region) -> Drawing:
    """The box, what rounding does to it, the points that are read instead, and both results."""
    view = _window(found, MARGIN, TOP)
    panel_high = (view.bottom - view.top + 2) * view.cell
    panel_wide = max((view.right - view.left + 2) * view.cell, PANEL)
    second = MARGIN + panel_wide + MARGIN
    sheet = Drawing(second + panel_wide + MARGIN, 0, "RoI Pooling and RoI Align of one box")
    box = ", ".join(f"{value:.5g}" for value in found.box)
    sheet.add(
        Words(
            MARGIN,
            24,
            f"box ({box}) × {found.spatial_scale:.5g}: x {found.x.start:.4g} to {found.x.end:.4g}, "
            f"y {found.y.start:.4g} to {found.y.end:.4g} cells (dashed)",
            13,
        )
    )
    pool, align = found.pooling, found.aligning
    sheet.add(
        Words(MARGIN, 48, "RoI Pooling", 15, POOL, bold=True),
        Words(
            MARGIN + 104,
            48,
            f"columns {pool.columns[0]} to {pool.columns[1]}, rows {pool.rows[0]} to "
            f"{pool.rows[1]}; dots: the largest of a bin",
            11,
            SOFT,
        ),
        Words(second, 48, "RoI Align", 15, ALIGN, bold=True),
        Words(
            second + 84,
            48,
            f"aligned={found.aligned}, {align.grid[1]} × {align.grid[0]} points in each bin",
            11,
            SOFT,
        ),
    )
    _pool_panel(sheet, found, view)
    _align_panel(sheet, found, view._replace(x=view.x + second - MARGIN))
    below = TOP + panel_high + 14
    sheet.add(Words(MARGIN, below, _point_words(found), 11))
    both = _range(np.concatenate([pool.result.reshape(-1), align.result.reshape(-1)]))
    start = below + 36
    kind = "average" if found.mode == "avg" else "largest point"
    end = _result(sheet, pool.result, MARGIN, start, "largest cell of each bin", POOL, both)
    _result(sheet, align.result, second, start, f"{kind} of each bin", ALIGN, both)
    sheet.high = end + MARGIN
    return sheet


def _point_words(found: Region) -> str:
    x, y = found.point
    if not found.taps:
        return f"point ({x:.4g}, {y:.4g}): off the map, counts as 0"
    parts = " + ".join(f"{tap.weight:.2f}·{tap.value:.3g}" for tap in found.taps)
    return f"point ({x:.4g}, {y:.4g}): {parts} = {found.point_value:.4g}"
