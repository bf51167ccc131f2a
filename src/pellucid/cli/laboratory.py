"""What `pellucid approx` and `pellucid lab` print and write."""

from __future__ import annotations

import sys
from collections.abc import Iterator, Sequence
from pathlib import Path

from rich.console import Console
from rich.markup import escape
from rich.table import Table

from pellucid.lab import Comparison, approximate
from pellucid.lab.drawing import figures_of, in_terminal, png
from pellucid.lab.experiment import Experiment, Outcome, Settings
from pellucid.lab.fits import measuring_points
from pellucid.lab.report import page_of_comparison, page_of_lab
from pellucid.lab.runner import as_text, chosen, run, without_a_target, write_bytes, write_text
from pellucid.lab.targets import Target, target_of

_COLOURS = {"holds": "green", "holds with conditions": "yellow", "does not hold": "red"}


def seeds_of(first: int, count: int) -> range:
    """So many seeds from the first on. ValueError for numbers that make no sense."""
    if not 0 <= first < 2**63:
        raise ValueError(f"--seed takes a number of at least 0, not {first}")
    if not 1 <= count <= 1000:
        raise ValueError(f"--seeds takes a number of networks, from 1 to 1000, not {count}")
    return range(first, first + count)


def check_report(report: Path) -> None:
    """Whether a page, and files beside it, can be written there. Errors say why not."""
    if report.suffix.lower() not in (".html", ".htm"):
        raise ValueError(f"--report takes the name of a page, such as approx.html, not {report}")
    if report.is_dir():
        raise IsADirectoryError(f"--report {report} is a folder; a page in it has a name")
    if not report.parent.is_dir():
        raise FileNotFoundError(f"--report {report}: there is no folder {report.parent}")


def approximate_and_show(
    what: str,
    interval: tuple[float, float] | None,
    units: Sequence[int],
    activation: str,
    degrees: Sequence[int],
    seeds: Sequence[int],
    optimiser: str | None,
    steps: int | None,
    report: Path,
    as_json: bool,
) -> None:
    """Approximate, print the table and a plot, write the page and the picture."""
    check_report(report)
    told = Console(stderr=True)
    with told.status("…") as status:
        comparison = approximate(
            what,
            interval,
            units=units,
            activation=activation,
            degrees=degrees,
            seeds=seeds,
            optimiser=optimiser,
            steps=steps,
            progress=lambda step, part: status.update(f"{step} {part:.0%}"),
        )
        figures = figures_of(comparison)
        if as_json:
            print(as_text(comparison.as_json(), None))
        else:
            _print(comparison)
            if sys.stdout.isatty() or not as_json:
                print(in_terminal(figures[0]))
        status.update("report")
        picture = report.with_suffix(".png")
        write_text(report, page_of_comparison(comparison))
        write_bytes(picture, png(figures, rows=3))
    told.print(f"report: {report} and {picture}")


def _print(comparison: Comparison) -> None:
    console = Console()
    target = comparison.target
    low, high = target.interval
    degrees: dict[int, dict[str, float]] = {}
    families: list[str] = []
    for fit in comparison.fits:
        if fit.family == "network":
            continue
        degrees.setdefault(fit.parameters - 1, {})[fit.family] = fit.sup
        if fit.family not in families:
            families.append(fit.family)
    table = Table(
        title=f"{escape(target.name)} on \\[{low:g}, {high:g}]: largest error", title_justify="left"
    )
    table.add_column("degree", justify="right")
    table.add_column("parameters", justify="right")
    for family in families:
        table.add_column(family, justify="right")
    for degree, errors in degrees.items():
        shown = [f"{errors[f]:.2e}" if f in errors else "" for f in families]
        table.add_row(str(degree), str(degree + 1), *shown)
    console.print(table)
    networks = Table(title="networks", title_justify="left")
    for name in ("network", "parameters", "best", "median", "worst", "L2 of best", "seconds"):
        networks.add_column(name, justify="left" if name == "network" else "right")
    for fit in comparison.networks:
        ordered = sorted(fit.spread)
        middle = ordered[len(ordered) // 2]
        networks.add_row(
            fit.name, str(fit.parameters), f"{fit.sup:.2e}", f"{middle:.2e}", f"{ordered[-1]:.2e}",
            f"{fit.l2:.2e}", f"{fit.seconds:.2f}",
        )  # fmt: skip
    console.print(networks)
    for fit in comparison.fits:
        if fit.note:
            console.print(f"{fit.family}, {fit.name}: {escape(fit.note)}")
    for finding in comparison.findings:
        tried = f" Tried: {finding.tried}." if finding.tried else ""
        console.print(f"[bold]{finding.cause}[/]: {escape(finding.evidence)}.{escape(tried)}")


def _told_of_interruption(
    outcomes: Iterator[tuple[Experiment, Outcome, bool]], told: Console, folder: Path
) -> Iterator[tuple[Experiment, Outcome, bool]]:
    done = 0
    try:
        for each in outcomes:
            done += 1
            yield each
    except KeyboardInterrupt:
        told.print(
            f"interrupted: the results of {done} experiments are in {folder}; the same command "
            "with --resume goes on with them"
        )
        raise


def _checked_target(what: str, interval: tuple[float, float] | None) -> Target:
    target = target_of(what, interval)
    if target.dimension != 1:
        raise ValueError(f"--target takes a function of one variable, and {what} has two")
    target.values(measuring_points(target))
    return target


def run_and_show(
    names: Sequence[str],
    quick: bool,
    resume: bool,
    seed: int,
    folder: Path,
    what: str | None = None,
    interval: tuple[float, float] | None = None,
) -> None:
    """Run experiments, tell of each as it ends, write the page."""
    seeds_of(seed, 1)
    experiments = chosen(names)
    target = None if what is None else _checked_target(what, interval)
    settings = Settings(quick, seed, target)
    told, console = Console(stderr=True), Console()
    if target is not None:
        for experiment in without_a_target(experiments):
            told.print(f"{experiment.name} takes no --target: {experiment.own}")
    results: list[tuple[Experiment, Outcome]] = []
    with told.status("…") as status:

        def begin(experiment: Experiment) -> None:
            status.update(f"{len(results) + 1}/{len(experiments)} {experiment.title}")

        for experiment, outcome, kept in _told_of_interruption(
            run(experiments, settings, folder, resume=resume, begin=begin), told, folder
        ):
            results.append((experiment, outcome))
            colour = _COLOURS[outcome.verdict]
            again = " (kept)" if kept else ""
            console.print(
                f"[{colour}]{outcome.verdict:<22}[/] [bold]{escape(experiment.title)}[/] "
                f"{outcome.seconds:.1f} s{again}"
            )
            console.print(f"  {escape(outcome.why)}", highlight=False)
        page = folder / "report.html"
        write_text(page, page_of_lab(results, settings))
    told.print(f"report: {page}")
