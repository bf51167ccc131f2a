"""Figures drawn: by matplotlib for pages and files, by plotext in the terminal."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.lab.compare import Comparison
from pellucid.lab.experiment import Figure, HeatMap, Series

Drawn = Figure | HeatMap

COLOURS = ("#1f5fa8", "#c2512f", "#2f8f6b", "#8a4fa3", "#b08a1e", "#5b6770", "#d0679d", "#3aa0b5")


def _pyplot() -> Any:
    try:
        import matplotlib
    except ImportError:
        raise ImportError("figures need matplotlib: pip install 'pellucid[lab]'") from None
    matplotlib.use("Agg")
    matplotlib.rcParams["svg.hashsalt"] = "pellucid"  # the same figure is the same text
    import matplotlib.pyplot

    return matplotlib.pyplot


def draw(axes: Any, figure: Figure) -> None:
    """Draw a figure into axes of matplotlib."""
    for number, series in enumerate(figure.series):
        axes.plot(
            series.x, series.y, label=series.name, color=COLOURS[number % len(COLOURS)],
            marker="o" if series.marked else "", markersize=3.5, linewidth=1.5,
            linestyle=_line_style(series),
        )  # fmt: skip
    axes.set_title(figure.title, fontsize=10, loc="left")
    axes.set_xlabel(figure.x_label)
    axes.set_ylabel(figure.y_label)
    x = np.concatenate([np.asarray(series.x) for series in figure.series] or [np.zeros(0)])
    y = np.concatenate([np.asarray(series.y) for series in figure.series] or [np.zeros(0)])
    if figure.log_x and _decades(x):
        axes.set_xscale("log")
        _plain_ticks(axes, x)
    elif (x == np.round(x)).all():
        axes.xaxis.get_major_locator().set_params(integer=True)
    if figure.log_y and _decades(y):
        axes.set_yscale("log")
    axes.grid(True, alpha=0.25, linewidth=0.6)
    for side in ("top", "right"):
        axes.spines[side].set_visible(False)
    if 1 <= len(figure.series) <= 3:
        axes.legend(fontsize=7, framealpha=0.7, edgecolor="none")
    elif 4 <= len(figure.series) <= 9:  # below: inside they would cover the lines
        axes.legend(
            fontsize=7, frameon=False, loc="upper center", bbox_to_anchor=(0.5, -0.17),
            ncols=2 if max(len(series.name) for series in figure.series) > 14 else 4,
        )  # fmt: skip


def _plain_ticks(axes: Any, x: np.ndarray) -> None:
    """Few sizes stand under a logarithmic axis as they are; powers of ten would miss them."""
    sizes = np.unique(x[np.isfinite(x) & (x > 0)])
    if len(sizes) <= 12 and (sizes == np.round(sizes)).all():
        far = [sizes[0]]
        for size in sizes[1:]:
            if size > 1.25 * far[-1]:  # the next would be written over it
                far.append(size)
        axes.set_xticks(far, labels=[f"{size:.0f}" for size in far])
        axes.minorticks_off()


def _decades(values: np.ndarray) -> bool:
    """Whether a logarithmic axis has something to show; over less than one decade its ticks are
    clumsy.
    """
    values = values[np.isfinite(values) & (values > 0)]
    return bool(values.size) and values.max() >= 8 * values.min()


def draw_map(axes: Any, shown: HeatMap) -> None:
    """Draw a heat map into axes of matplotlib, a colour bar beside it."""
    from matplotlib.colors import LogNorm, Normalize

    values = np.ma.masked_invalid(np.asarray(shown.values, np.float64))
    if shown.log:
        values = np.ma.masked_less_equal(values, 0)
    low, high = (float(values.min()), float(values.max())) if values.count() else (0.1, 1.0)
    norm = LogNorm(low, max(high, low * 1.01)) if shown.log else Normalize(0, 1)
    drawn = axes.imshow(
        values, norm=norm, cmap="viridis_r" if shown.log else "viridis", aspect="auto",
        origin="lower", interpolation="nearest",
    )  # fmt: skip
    for ticks, names in ((axes.set_xticks, shown.x), (axes.set_yticks, shown.y)):
        every = -(-len(names) // 9)
        ticks(range(0, len(names), every), labels=[str(name) for name in names[::every]])
    axes.set_title(shown.title, fontsize=10, loc="left")
    axes.set_xlabel(shown.x_label)
    axes.set_ylabel(shown.y_label)
    axes.figure.colorbar(drawn, ax=axes)


def _line_style(series: Series) -> str:
    """Points that are not joined, or that all stand above one place, are dots."""
    if not series.joined or (len(series.x) > 1 and len(set(series.x)) == 1):
        return ""
    return "--" if series.dashed else "-"


def svg(figures: Sequence[Drawn], width: float = 5.2) -> str:
    """Figures side by side as one SVG element, text as paths."""
    text = _drawn(figures, width, 1, "svg").decode("utf-8")
    return text[text.index("<svg") :]


def png(figures: Sequence[Drawn], width: float = 5.2, rows: int = 1) -> bytes:
    """Figures in so many rows as a PNG."""
    return _drawn(figures, width, rows, "png")


def _drawn(figures: Sequence[Drawn], width: float, rows: int, format: str) -> bytes:
    pyplot = _pyplot()
    columns = -(-len(figures) // rows)
    page, grid = pyplot.subplots(
        rows, columns, figsize=(width * columns, 3.5 * rows), squeeze=False, layout="constrained"
    )
    try:
        for axes, figure in zip(grid.flat, figures, strict=False):
            if isinstance(figure, HeatMap):
                draw_map(axes, figure)
            else:
                draw(axes, figure)
        for axes in list(grid.flat)[len(figures) :]:
            axes.set_visible(False)
        target = io.BytesIO()
        if format == "svg":
            page.savefig(target, format=format, metadata={"Date": None}, transparent=True)
        else:
            page.savefig(target, format=format, dpi=130)
    finally:
        pyplot.close(page)
    return target.getvalue()


def in_terminal(figure: Figure, width: int = 90, height: int = 18) -> str:
    """A figure as text."""
    try:
        import plotext
    except ImportError:
        raise ImportError(
            "plots in the terminal need plotext: pip install 'pellucid[lab]'"
        ) from None
    plotext.clear_figure()
    plotext.plotsize(width, height)
    plotext.theme("clear")
    for series, mark in zip(figure.series, "•×+o*#@", strict=False):
        kept = [
            (x, y) for x, y in zip(series.x, series.y, strict=True)
            if np.isfinite(y) and (y > 0 or not figure.log_y) and (x > 0 or not figure.log_x)
        ]  # fmt: skip
        if not kept:
            continue
        x, y = (list(values) for values in zip(*kept, strict=True))
        if figure.log_y:
            y = [float(np.log10(v)) for v in y]
        if figure.log_x:
            x = [float(np.log10(v)) for v in x]
        if series.marked:
            plotext.scatter(x, y, label=series.name, marker=mark)
        else:
            plotext.plot(x, y, label=series.name, marker=mark)
    plotext.title(figure.title)
    plotext.xlabel(f"log10 {figure.x_label}" if figure.log_x else figure.x_label)
    plotext.ylabel(f"log10 {figure.y_label}" if figure.log_y else figure.y_label)
    return str(plotext.uncolorize(plotext.build()))


# -- a comparison


def figures_of(comparison: Comparison) -> list[Figure]:
    """The fits, the best network unit by unit, errors, error over parameters, losses."""
    target = comparison.target
    x = target.grid(401)
    wanted = target.values(x)
    network = comparison.networks[-1]
    families = comparison.families
    best = comparison.best
    fits = Figure("target and the best of each family", "x", "f(x)")
    errors = Figure("error of the best of each family", "x", "|error|", log_y=True)
    fits.line("target", x, wanted, marked=False)
    span = max(float(np.ptp(wanted)), 1e-9)
    for fit in best:
        y = fit.evaluate(x)
        near = (y >= wanted.min() - span) & (y <= wanted.max() + span)
        shown = np.where(near, y, np.nan)  # it leaves the picture
        fits.line(f"{fit.family}, {fit.name}", x, shown, marked=False, dashed=True)
        errors.line(fit.family, x, np.maximum(np.abs(y - wanted), 1e-17), marked=False)
    units = Figure("the network, unit by unit", "x", "what a unit adds")
    parts = network.model.units(x)
    order = np.argsort(-np.ptp(parts, axis=0))[:8]
    for number in order:
        units.line(
            f"unit {number + 1}", x, parts[:, number] - parts[:, number].mean(), marked=False
        )
    sizes = Figure("error over parameters", "parameters", "sup error", log_y=True)
    for family, members in families.items():
        kept = [(fit.parameters, fit.sup) for fit in members if np.isfinite(fit.sup)]
        if family == "network":
            kept = [(network.parameters, each) for each in network.spread if np.isfinite(each)]
        if kept:
            sizes.line(family, *zip(*kept, strict=True))
    losses = Figure("mean squared error of each seed", "step", "loss", log_y=True)
    for seed, column in zip(network.seeds, np.asarray(network.losses).T, strict=True):
        losses.line(f"seed {seed}", network.steps, np.maximum(column, 1e-30), marked=False)
    spread = Figure("sup error of each seed, sorted", "rank", "sup error", log_y=True)
    spread.line("networks", np.arange(len(network.spread)), sorted(network.spread))
    return [fits, units, errors, sizes, losses, spread]
