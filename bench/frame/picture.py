"""The outcome as a picture: how many times longer Pellucid takes than each peer."""

from __future__ import annotations

import importlib
from collections.abc import Sequence
from pathlib import Path
from typing import Any

from bench.frame.peers import OURS
from bench.frame.results import Result


def draw(path: Path, title: str, results: Sequence[Result]) -> None:
    """Write a PNG with one panel a group: a dot for each peer and a line for the quartiles, on a
    logarithmic axis; left of 1 Pellucid is faster.

    Raises: RuntimeError if Matplotlib is not installed.
    """
    try:
        figures = importlib.import_module("matplotlib.figure")
    except ImportError as error:
        raise RuntimeError("--picture needs matplotlib: pip install matplotlib") from error
    groups = {
        name: [r for r in results if r.benchmark.group == name and len(r.samples) > 1]
        for name in dict.fromkeys(r.benchmark.group for r in results)
    }
    groups = {name: rows for name, rows in groups.items() if rows}
    heights = [len(rows) + 2 for rows in groups.values()] or [2]
    figure = figures.Figure(figsize=(9, 0.32 * sum(heights) + 1), layout="constrained")
    axes = figure.subplots(
        max(1, len(groups)), 1, squeeze=False, gridspec_kw={"height_ratios": heights}
    )
    for axis, (name, rows) in zip(axes[:, 0], groups.items(), strict=False):
        _panel(axis, name, rows)
    figure.suptitle(title, fontsize="medium")
    partial = path.with_name(path.name + ".partial")
    figure.savefig(partial, dpi=150, format="png")
    partial.replace(path)


def _panel(axis: Any, name: str, rows: Sequence[Result]) -> None:
    peers = list(dict.fromkeys(p for r in rows for p in r.samples if p != OURS))
    for number, peer in enumerate(peers):
        found = [(y, r.times(peer)) for y, r in enumerate(rows) if peer in r.samples]
        points = [(y, times) for y, times in found if times is not None]
        middle = [times.median for _, times in points]
        axis.errorbar(
            middle,
            [y for y, _ in points],
            xerr=[
                [times.median - times.low for _, times in points],
                [times.high - times.median for _, times in points],
            ],
            fmt="o",
            color=f"C{number}",
            label=peer,
        )
    axis.axvline(1, color="0.6", linewidth=1)
    axis.set_xscale("log", subs=(2, 5))
    for each in (axis.xaxis.set_major_formatter, axis.xaxis.set_minor_formatter):
        each(lambda value, position: f"{value:g}×")
    axis.set_yticks(range(len(rows)), [r.benchmark.case for r in rows])
    axis.invert_yaxis()
    axis.set_title(f"{name}: pellucid's time / the peer's", loc="left")
    axis.grid(axis="x", which="both", color="0.9")
    axis.set_axisbelow(True)
    axis.legend(fontsize="small", loc="upper left", bbox_to_anchor=(1.01, 1.0))
