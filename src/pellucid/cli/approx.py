"""`pellucid approx` and `pellucid lab`: the approximation laboratory from the command line."""

from __future__ import annotations

import re
import sys
from pathlib import Path
from typing import Annotated, NoReturn

import typer


def _fail(command: str, error: Exception) -> NoReturn:
    print(f"pellucid {command}: {error}", file=sys.stderr)
    raise typer.Exit(2)


def interval_of(text: str) -> tuple[float, float]:
    """`-1,1` as two numbers. ValueError otherwise."""
    try:
        low, high = (float(part) for part in text.split(","))
    except ValueError:
        raise ValueError(f"--on takes two numbers such as -1,1, not {text!r}") from None
    return low, high


def degrees_of(text: str) -> list[int]:
    """`7`, `3,5,9`, `3:15` or `3:15:2` (both ends included) as degrees. ValueError otherwise."""
    if re.fullmatch(r"\d+(,\d+)*", text):
        found = [int(part) for part in text.split(",")]
    elif match := re.fullmatch(r"(\d+):(\d+)(?::(\d+))?", text):
        first, last, step = (int(part or 1) for part in match.groups())
        found = list(range(first, last + 1, step)) if step else []
    else:
        found = []
    if not found or max(found) > 200 or len(found) > 60:
        raise ValueError(f"--degree takes degrees up to 200 such as 7, 3,5,9 or 3:15, not {text!r}")
    return found


def units_of(text: str) -> list[int]:
    """`4` or `8,8` as the widths of hidden layers. ValueError otherwise."""
    try:
        return [int(part) for part in text.split(",")]
    except ValueError:
        raise ValueError(f"--units takes widths such as 4 or 8,8, not {text!r}") from None


def _only_in_a_sweep(resume: bool, ray: str | None, workers: int | None) -> None:
    for name, given in (("--resume", resume), ("--ray", ray), ("--workers", workers is not None)):
        if given:
            raise ValueError(f"{name} belongs to a sweep: add --sweep width=1:16,depth=1:3")


def _not_in_a_sweep(units: str | None, degree: str | None, seeds: int | None) -> None:
    for name, given, instead in (
        ("--units", units, "the grid's width and depth say that"),
        ("--degree", degree, "a sweep is of networks"),
        ("--seeds", seeds, "the grid says it: --sweep width=1:16,seeds=32"),
    ):
        if given is not None:
            raise ValueError(f"{name} does not go with --sweep: {instead}")


def approx_command(
    target: Annotated[
        str, typer.Argument(help='A function of x such as "sin(2*pi*x)", or a name such as runge.')
    ],
    on: Annotated[str, typer.Option(metavar="LOW,HIGH", help="The interval.")] = "",
    units: Annotated[
        str | None,
        typer.Option(metavar="N[,N…]", help="Units of the network's hidden layers (4)."),
    ] = None,
    activation: Annotated[str, typer.Option(help="tanh, relu, sigmoid, sin or abs.")] = "tanh",
    degree: Annotated[
        str | None,
        typer.Option(metavar="A:B[:STEP]", help="Degrees of the polynomials (3:15:2)."),
    ] = None,
    seeds: Annotated[
        int | None, typer.Option(help="Networks, each with another start (16).")
    ] = None,
    seed: Annotated[int, typer.Option(help="Where the seeds begin.")] = 0,
    optimiser: Annotated[
        str | None,
        typer.Option(help="levenberg, adam or sgd; by default what suits the size."),
    ] = None,
    steps: Annotated[int | None, typer.Option(help="Steps of the training.")] = None,
    report: Annotated[
        Path | None,
        typer.Option(
            metavar="PAGE",
            help="The page to write (approx.html, sweep.html); a PNG is put beside it.",
        ),
    ] = None,
    as_json: Annotated[bool, typer.Option("--json", help="Print the results as JSON.")] = False,
    sweep: Annotated[
        str | None,
        typer.Option(
            metavar="GRID",
            help="Networks of a whole grid instead, such as width=1:64,depth=1:8,seeds=32.",
            rich_help_panel="Sweeps",
        ),
    ] = None,
    workers: Annotated[
        int | None,
        typer.Option(help="Processes of a sweep (one a core).", rich_help_panel="Sweeps"),
    ] = None,
    ray: Annotated[
        str | None,
        typer.Option(
            metavar="ADDRESS|local",
            help="Sweep on a Ray cluster, or on a Ray of this machine.",
            rich_help_panel="Sweeps",
        ),
    ] = None,
    resume: Annotated[
        bool,
        typer.Option("--resume", help="Go on with an interrupted sweep.", rich_help_panel="Sweeps"),
    ] = False,
) -> None:
    """Approximate a function by polynomials and by networks, side by side.

    Prints a table and a plot, and writes a page. Nothing of TARGET is run but arithmetic.

    With --sweep, networks of every width, depth and learning rate of a grid are trained on all
    cores, or on Ray's. Each cell's result is a line of PAGE's .jsonl as soon as it is there:
    --resume goes on after an interruption, and a worker that is lost is replaced.

    Exit code 2: something that was asked for makes no sense; the sentence says what. 1: cells
    failed. 130: interrupted.
    """
    from pellucid.cli import laboratory, sweeping

    try:
        interval = interval_of(on) if on else None
        if sweep is None:
            _only_in_a_sweep(resume, ray, workers)
            laboratory.approximate_and_show(
                target,
                interval,
                units_of("4" if units is None else units),
                activation,
                degrees_of("3:15:2" if degree is None else degree),
                laboratory.seeds_of(seed, 16 if seeds is None else seeds),
                optimiser,
                steps,
                report or Path("approx.html"),
                as_json,
            )
            return
        _not_in_a_sweep(units, degree, seeds)
        question, grid = sweeping.read(target, interval, sweep, activation, optimiser, steps, seed)
        code = sweeping.sweep_and_show(
            question, grid, report or Path("sweep.html"), ray, workers, resume, as_json
        )
    except (ValueError, ImportError, OSError) as error:
        _fail("approx", error)
    raise typer.Exit(code)


def lab_command(
    names: Annotated[
        list[str] | None, typer.Argument(metavar="[EXPERIMENT]...", help="Which; all, if none.")
    ] = None,
    quick: Annotated[bool, typer.Option("--quick", help="Fewer seeds, sizes and steps.")] = False,
    resume: Annotated[
        bool, typer.Option("--resume", help="Keep results of an earlier run of the same settings.")
    ] = False,
    seed: Annotated[int, typer.Option(help="Where the seeds begin.")] = 0,
    target: Annotated[
        str | None, typer.Option(help="A function of x to take instead of each experiment's own.")
    ] = None,
    on: Annotated[str, typer.Option(metavar="LOW,HIGH", help="The interval of --target.")] = "",
    out: Annotated[Path, typer.Option(help="The folder of results.")] = Path("lab-results"),
) -> None:
    """Measure each claim of the notes on the approximation theorem and say whether it holds.

    Writes a JSON file for each experiment and one page with the verdicts.
    """
    from pellucid.cli import laboratory

    try:
        if on and target is None:
            raise ValueError("--on is the interval of --target, and there is none")
        interval = interval_of(on) if on else None
        laboratory.run_and_show(names or [], quick, resume, seed, out, target, interval)
    except (ValueError, ImportError, OSError) as error:
        _fail("lab", error)
