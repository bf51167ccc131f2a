"""`explain.roi`: one box under a microscope, as text, SVG and PNG."""

from __future__ import annotations

import os
from collections.abc import Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.explain.drawing import Drawing
from pellucid.explain.region_drawing import draw
from pellucid.explain.region_facts import Region, Span, region
from pellucid.explain.text import Explanation, facts
from pellucid.ops.arguments import type_name
from pellucid.ops.detection.checks import pooled_size
from pellucid.tensor.tensor import Tensor

WIDEST, HIGHEST = 40, 30
"""Cells of the map that a terminal shows."""


@dataclass(frozen=True, eq=False, repr=False)
class RegionExplanation(Explanation):
    """One box as RoI Pooling and RoI Align see it. Print it, show it in a notebook, save it."""

    region: Region

    @property
    def pooled(self) -> np.ndarray:
        """RoI Pooling's result (P, Q)."""
        return self.region.pooling.result

    @property
    def aligned(self) -> np.ndarray:
        """RoI Align's result (P, Q)."""
        return self.region.aligning.result

    @property
    def weights(self) -> dict[tuple[int, int], float]:
        """What each cell (column, row) around the point weighs."""
        return {(tap.column, tap.row): tap.weight for tap in self.region.taps}

    def __str__(self) -> str:
        found = self.region
        pairs = (
            ("box", _box(found)),
            ("RoI Pooling", _pooling(found)),
            ("RoI Align", _aligning(found)),
            (f"point ({found.point[0]:.4g}, {found.point[1]:.4g})", _point(found)),
            ("results", _results(found)),
            ("map", _map(found)),
        )
        return facts(pairs)

    def to_dict(self) -> dict[str, Any]:
        found = self.region
        pool, align = found.pooling, found.aligning
        return {
            "box": list(found.box),
            "spatial_scale": found.spatial_scale,
            "cells": {"x": list(found.x), "y": list(found.y)},
            "roi_pool": {
                "columns": list(pool.columns),
                "rows": list(pool.rows),
                "bins_x": [list(each) for each in pool.bins_x],
                "bins_y": [list(each) for each in pool.bins_y],
                "result": pool.result.tolist(),
            },
            "roi_align": {
                "aligned": found.aligned,
                "sampling_ratio": found.sampling_ratio,
                "mode": found.mode,
                "x": list(align.x),
                "y": list(align.y),
                "points_per_bin": list(align.grid),
                "points_x": align.points_x.tolist(),
                "points_y": align.points_y.tolist(),
                "result": align.result.tolist(),
            },
            "point": {
                "x": found.point[0],
                "y": found.point[1],
                "taps": [tap._asdict() for tap in found.taps],
                "value": found.point_value,
            },
        }

    def drawing(self) -> Drawing:
        """The picture as shapes."""
        return draw(self.region)

    def svg(self) -> str:
        """The picture as a self-contained SVG."""
        return self.drawing().svg()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write the picture to `name.svg` or, with matplotlib, `name.png`."""
        self.drawing().save(path)

    def _repr_html_(self) -> str:
        return self.svg()


def roi(
    feature: Tensor,
    box: Sequence[float] | Tensor,
    *,
    output_size: int | tuple[int, int] = 7,
    spatial_scale: float = 1.0,
    sampling_ratio: int = -1,
    aligned: bool = False,
    mode: str = "avg",
    channel: int = 0,
    image: int = 0,
    point: tuple[float, float] | None = None,
) -> RegionExplanation:
    """What RoI Pooling and RoI Align do with one box, side by side.

    `feature` is a map (H, W), (C, H, W) or (N, C, H, W), of which one `channel` of one `image` is
    shown; `box` is (x1, y1, x2, y2), or a row (image, x1, y1, x2, y2). The other arguments are
    those of `torchvision.ops.roi_align`. `point` (x, y), in cells with whole numbers at their
    centres, is the place whose bilinear weights are shown; without it the first sampling point is.

    Raises: TypeError, ValueError or IndexError for features, boxes and channels that do not fit.
    """
    corners, image = _corners(box, image)
    chosen = _plane(feature, image, channel)
    size = pooled_size("explain.roi", output_size)
    if min(size) < 1:
        raise ValueError(f"explain.roi: output_size must be at least 1, got {output_size!r}")
    if point is not None and (len(point) != 2 or not np.isfinite(point).all()):
        raise ValueError(f"explain.roi: point must be (x, y) in cells, got {point!r}")
    height, width = size
    return RegionExplanation(
        region(
            chosen,
            corners,
            (height, width),
            float(spatial_scale),
            sampling_ratio,
            aligned,
            mode,
            channel,
            None if point is None else (float(point[0]), float(point[1])),
        )
    )


def _corners(
    box: Sequence[float] | Tensor, image: int
) -> tuple[tuple[float, float, float, float], int]:
    values = box.detach().reshape(-1).tolist() if isinstance(box, Tensor) else list(box)
    if len(values) == 5:
        image, values = int(values[0]), values[1:]
    if len(values) != 4:
        raise ValueError(
            f"explain.roi: one box has four numbers (x1, y1, x2, y2), got {len(values)}"
        )
    x1, y1, x2, y2 = (float(value) for value in values)
    if not np.isfinite([x1, y1, x2, y2]).all():
        raise ValueError(f"explain.roi: the box is not finite: {(x1, y1, x2, y2)}")
    return (x1, y1, x2, y2), image


def _plane(feature: Tensor, image: int, channel: int) -> Tensor:
    if not isinstance(feature, Tensor):
        raise TypeError(f"explain.roi: feature must be a Tensor, not {type_name(feature)}")
    if feature.dim() not in (2, 3, 4):
        raise ValueError(
            "explain.roi: feature must be (H, W), (C, H, W) or (N, C, H, W), got "
            f"{list(feature.shape)}"
        )
    found = feature.detach()
    for name, place, dims in (("image", image, 4), ("channel", channel, 3)):
        if found.dim() == dims:
            if not 0 <= place < found.shape[0]:
                raise IndexError(
                    f"explain.roi: there is no {name} {place}, the features have {found.shape[0]}"
                )
            found = found[place]
    if not found.numel():
        raise ValueError(f"explain.roi: the features have no cells: {list(feature.shape)}")
    kept: Tensor = found if found.dtype.name in ("float32", "float64") else found.float()
    return kept.contiguous()


# -- the text


def _span(span: Span) -> str:
    return f"{span.start:.4g} to {span.end:.4g}"


def _box(found: Region) -> str:
    numbers = ", ".join(f"{value:.6g}" for value in found.box)
    height, width = found.image.shape
    return (
        f"({numbers}) × {found.spatial_scale:.6g} on a map of {width} × {height} cells\n"
        f"x from {_span(found.x)}, y from {_span(found.y)}, whole numbers at centres of cells"
    )


def _bins(bins: tuple[tuple[int, int], ...]) -> str:
    return " ".join(f"{a}" if a == b else f"{a}–{b}" if a < b else "empty" for a, b in bins)


def _pooling(found: Region) -> str:
    pool = found.pooling
    (left, right), (top, bottom) = pool.columns, pool.rows
    moved = [
        f"{name} {cell - true:+.3g}"
        for name, cell, true in (
            ("left", left - 0.5, found.x.start),
            ("top", top - 0.5, found.y.start),
            ("right", right + 0.5, found.x.end),
            ("bottom", bottom + 0.5, found.y.end),
        )
    ]
    return (
        f"rounds to columns {left} to {right}, rows {top} to {bottom}: {right - left + 1} × "
        f"{bottom - top + 1} cells\n"
        f"rounding moved the borders by {', '.join(moved)} cells\n"
        f"bins along x: {_bins(pool.bins_x)}\n"
        f"bins along y: {_bins(pool.bins_y)}"
    )


def _aligning(found: Region) -> str:
    align = found.aligning
    rows, columns = align.result.shape
    half = "half a cell to the left and up" if found.aligned else "not shifted by half a cell"
    sampled = "adaptive" if found.sampling_ratio <= 0 else f"sampling_ratio {found.sampling_ratio}"
    return (
        f"keeps x {_span(align.x)}, y {_span(align.y)} (aligned={found.aligned}: {half})\n"
        f"bins of {(align.x.end - align.x.start) / columns:.4g} × "
        f"{(align.y.end - align.y.start) / rows:.4g} cells, {align.grid[1]} × {align.grid[0]} "
        f"points in each ({sampled}), {'averaged' if found.mode == 'avg' else 'the largest taken'}"
    )


def _point(found: Region) -> str:
    if not found.taps:
        return "off the map: counts as 0"
    lines = [
        f"{tap.weight:.2f} × cell ({tap.column}, {tap.row}) = {tap.weight:.2f} × {tap.value:.4g}"
        for tap in found.taps
    ]
    return "\n".join([*lines, f"sum {found.point_value:.4g}"])


def _grid(values: np.ndarray) -> list[str]:
    cells = [[f"{value:.3g}" for value in row] for row in values]
    width = max(len(cell) for row in cells for cell in row)
    return [" ".join(cell.rjust(width) for cell in row) for row in cells]


def _results(found: Region) -> str:
    left, right = _grid(found.pooling.result), _grid(found.aligning.result)
    width = max(len(left[0]), len("RoI Pooling"))
    lines = [f"{a:{width}}   {b}" for a, b in zip(left, right, strict=True)]
    far = float(np.abs(found.pooling.result - found.aligning.result).max())
    return "\n".join(
        [f"{'RoI Pooling':{width}}   RoI Align", *lines, f"largest difference {far:.4g}"]
    )


def _near(points: np.ndarray, cells: int) -> np.ndarray:
    """The cells that points fall into."""
    near = np.unique(np.rint(points).astype(int))
    return near[(near >= 0) & (near < cells)]


def _shown(cells: int, marked: np.ndarray) -> slice:
    """The part of a map of `cells` that holds what is marked, and a cell around it."""
    places = np.flatnonzero(marked)
    if not places.size:
        return slice(0, cells)
    return slice(max(int(places[0]) - 1, 0), min(int(places[-1]) + 2, cells))


def _map(found: Region) -> str:
    """The map in characters: which cells RoI Pooling takes, where RoI Align's points lie."""
    height, width = found.image.shape
    marks = np.full((height, width), "·")
    pool = found.pooling
    rows = slice(max(pool.rows[0], 0), max(pool.rows[1] + 1, 0))
    columns = slice(max(pool.columns[0], 0), max(pool.columns[1] + 1, 0))
    marks[rows, columns] = "□"
    sampled = np.ix_(_near(found.aligning.points_y, height), _near(found.aligning.points_x, width))
    marks[sampled] = np.where(marks[sampled] == "□", "■", "+")
    down = _shown(height, (marks != "·").any(axis=1))
    across = _shown(width, (marks != "·").any(axis=0))
    part = marks[down, across]
    if part.shape[0] > HIGHEST or part.shape[1] > WIDEST:
        return f"{part.shape[1]} × {part.shape[0]} cells: save() draws them"
    where = f"from column {across.start}, row {down.start}"
    legend = "□ pooled  + a point of RoI Align nearby  ■ both"
    return "\n".join([where, *(" ".join(row) for row in part), legend])
