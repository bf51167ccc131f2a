"""What `pellucid approx --sweep` prints and writes."""

from __future__ import annotations

import json
import math
import signal
from collections.abc import Iterator
from contextlib import contextmanager
from pathlib import Path
from types import FrameType

from rich.box import SIMPLE
from rich.console import Console
from rich.markup import escape
from rich.progress import BarColumn, Progress, TextColumn, TimeRemainingColumn
from rich.table import Table

from pellucid.cli.laboratory import check_report, seeds_of
from pellucid.lab.compare import GOOD, checked
from pellucid.lab.drawing import in_terminal, png
from pellucid.lab.fits import measuring_points
from pellucid.lab.networks import parameters_of
from pellucid.lab.runner import write_bytes, write_text
from pellucid.lab.sweep import (
    Cell,
    Grid,
    Here,
    OverRay,
    Question,
    Results,
    SweepError,
    read_grid,
    results_of,
)
from pellucid.lab.sweep.here import check_workers
from pellucid.lab.sweep.summary import Row, Summary, evenly
from pellucid.lab.targets import target_of
from pellucid.lab.training import check_steps, chosen_optimiser

BEST = 5
"""Rows of the table of the best."""
INTERRUPTED = 130


def read(
    what: str,
    interval: tuple[float, float] | None,
    grid_text: str,
    activation: str,
    optimiser: str | None,
    steps: int | None,
    first_seed: int,
) -> tuple[Question, Grid]:
    """The question and the grid. ValueError for whatever makes no sense, before anything runs."""
    target = target_of(what, interval)
    if target.dimension != 1:
        raise ValueError(f"{target.name} has {target.dimension} variables; a sweep takes one")
    target.values(measuring_points(target))
    grid = read_grid(grid_text)
    seeds_of(first_seed, grid.seeds)
    check_steps(steps)
    largest = (grid.widths[-1],) * grid.depths[-1]
    # One for all cells, so that a larger cell is not better because it is trained otherwise.
    chosen = chosen_optimiser(optimiser, parameters_of(1, largest))
    checked(target, largest, activation, grid.seeds, chosen)
    if chosen == "levenberg" and grid.rates != (None,):
        raise ValueError("levenberg has no learning rate: --optimiser adam or sgd goes with lr=")
    question = Question(
        what, target.interval, activation, chosen, steps, first_seed, grid.seeds
    )  # fmt: skip
    return question, grid


def sweep_and_show(
    question: Question,
    grid: Grid,
    report: Path,
    ray: str | None,
    workers: int | None,
    resume: bool,
    as_json: bool,
) -> int:
    """Train the cells that are missing; print tables and a plot, write page and picture.

    Returns the exit code: 0, 1 if cells failed, 130 if it was interrupted.
    """
    check_report(report)
    check_workers(workers)
    told, console = Console(stderr=True), Console()
    stored = report.with_suffix(".jsonl")
    with Results(stored, question, resume=resume) as results:
        left = [cell for cell in grid.cells() if cell not in results.records]
        if resume and len(left) < len(grid):
            told.print(f"{len(grid) - len(left)} of {len(grid)} cells are kept from {stored}")
        failed: dict[Cell, str] = {}
        try:
            _train(question, left, results, failed, told, ray, workers)
        except KeyboardInterrupt:
            done = sum(cell in results.records for cell in grid.cells())
            told.print(
                f"interrupted: {done} of {len(grid)} cells are in {stored}; the same command with "
                "--resume goes on with them"
            )
            return INTERRUPTED
        except SweepError as error:
            told.print(f"[red]stopped[/]: {escape(str(error))}")
            return 1
        results.finish()
        summary = Summary(question, grid, results.records)
    if as_json:
        shown = [results.records[row.cell] for row in summary.rows]
        print(json.dumps({"question": question.as_json(), "cells": shown}, ensure_ascii=False))
    elif summary.rows:
        _print(summary, console)
    if summary.rows:
        picture = report.with_suffix(".png")
        write_text(report, summary.page())
        write_bytes(picture, png(summary.figures(), rows=2 if len(grid.depths) > 1 else 1))
        told.print(f"report: {report} and {picture}; results: {stored}")
    for cell, why in failed.items():
        told.print(f"[red]failed[/]: {cell}: {escape(why)}")
    return 1 if failed else 0


@contextmanager
def _terminable() -> Iterator[None]:
    """Let SIGTERM interrupt as Ctrl-C does, so that workers are sent home."""

    def stop(number: int, frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    before = signal.signal(signal.SIGTERM, stop)
    try:
        yield
    finally:
        signal.signal(signal.SIGTERM, before)


def _train(
    question: Question,
    cells: list[Cell],
    results: Results,
    failed: dict[Cell, str],
    told: Console,
    ray: str | None,
    workers: int | None,
) -> None:
    if not cells:
        return
    crew = Here(workers) if ray is None else OverRay(ray, workers)
    place = "this machine" if ray is None else f"Ray, {ray}"
    told.print(
        f"{len(cells)} cells of {question.seeds} networks, {question.optimiser}, on "
        f"{crew.size} core{'s' * (crew.size > 1)} of {place}"
    )
    bar = Progress(
        BarColumn(), TextColumn("{task.percentage:3.0f}%"), TimeRemainingColumn(),
        TextColumn("{task.description}"), console=told,
    )  # fmt: skip
    with bar, _terminable():  # Ray has set a handler of its own
        task = bar.add_task("", total=sum(map(question.cost, cells)))

        def tell(words: str) -> None:
            bar.console.print(f"[yellow]{escape(words)}[/]")

        for done, ended in enumerate(results_of(question, cells, crew, tell), 1):
            if ended.record is None:
                failed[ended.cell] = ended.error
            else:
                results.add(ended.record)
            bar.update(
                task, advance=question.cost(ended.cell),
                description=f"{done}/{len(cells)}, last {ended.cell}",
            )  # fmt: skip


def _print(summary: Summary, console: Console) -> None:
    console.print(_map(summary, console.width))
    best = Table(title="the best cells", title_justify="left")
    rates = summary.grid.rates != (None,)
    for name in ("width", "depth", *(["lr"] if rates else []), "parameters", "best", "median",
                 "seeds that fit"):  # fmt: skip
        best.add_column(name, justify="right")
    for row in summary.ranked[:BEST]:
        rate = [f"{row.cell.rate:g}"] if rates else []
        best.add_row(
            str(row.cell.width), str(row.cell.depth), *rate, str(row.parameters),
            f"{row.best:.2e}", f"{row.median:.2e}", f"{row.good:.0%}",
        )  # fmt: skip
    console.print(best)
    figure = summary.over_width()
    if figure.series and any(len(series.x) > 1 for series in figure.series):
        print(in_terminal(figure))
    console.print(escape(summary.sentence()), highlight=False)


def _map(summary: Summary, space: int) -> Table:
    """The best seed's error for widths and depths, the better the greener; as many widths as there
    is space for.
    """
    widths = evenly(summary.grid.widths, max(2, (space - 8) // 10))
    depths = summary.grid.depths
    question = summary.question
    low, high = question.interval
    table = Table(
        title=f"{escape(question.target)} on \\[{low:g}, {high:g}]: largest error of the best of "
        f"{question.seeds} seeds",
        title_justify="left",
        caption="widths across, depths down",
        caption_justify="left",
        box=SIMPLE,
    )
    table.add_column("", justify="right")
    for width in widths:
        table.add_column(str(width), justify="right")
    for depth in depths:
        rows = [summary.by_shape.get((width, depth)) for width in widths]
        table.add_row(str(depth), *(_coloured(row, summary.range) for row in rows))
    return table


def _coloured(row: Row | None, scale: float) -> str:
    if row is None:
        return "–"
    if not math.isfinite(row.best):
        return "[red]inf[/]"
    colour = "green" if row.best < GOOD * scale else ("yellow" if row.best < 0.2 * scale else "red")
    return f"[{colour}]{row.best:.2g}[/]"
