"""`python -m bench [NAMES]`: measure Pellucid beside its peers and show tables."""

from __future__ import annotations

import importlib
from pathlib import Path
from typing import Annotated

import typer
from rich.console import Console

from bench.frame import machine, peers, picture, results, runner, table
from bench.frame.registry import Benchmark, registry

SUITES = (
    "bench.start",
    "bench.overhead",
    "bench.sampling",
    "bench.training",
    "bench.loops",
    "bench.convolution",
    "bench.models",
    "bench.regions",
    "bench.contractions",
)
"""The modules that describe benchmarks."""
_WIDE = 240


def load() -> None:
    """Let every suite enter its benchmarks (a module does so once)."""
    for suite in SUITES:
        importlib.import_module(suite)


def _chosen(names: list[str], only: list[str]) -> tuple[list[Benchmark], list[peers.Peer]]:
    try:
        return registry.select(names), peers.choose(only)
    except KeyError as error:
        raise typer.BadParameter(error.args[0]) from None


def main(
    names: Annotated[
        list[str] | None,
        typer.Argument(help='Groups, names or patterns: overhead, "training/MLP*"; all for none.'),
    ] = None,
    only: Annotated[
        list[str] | None,
        typer.Option("--peer", help="Measure beside this peer only; may be given again."),
    ] = None,
    rounds: Annotated[
        int | None, typer.Option(min=1, help="Turns of each peer; each benchmark has its own.")
    ] = None,
    threads: Annotated[int, typer.Option(min=1, help="Threads that each peer may use.")] = 2,
    json: Annotated[
        Path | None, typer.Option("--json", help="Also write the numbers to this file.")
    ] = None,
    png: Annotated[
        Path | None, typer.Option("--picture", help="Also draw the ratios into this PNG file.")
    ] = None,
    listing: Annotated[
        bool, typer.Option("--list", help="Only show the names of benchmarks and peers.")
    ] = False,
) -> None:
    """Measure Pellucid beside its peers: interleaved turns, medians, and ratios."""
    load()
    benchmarks, chosen = _chosen(names or [], only or [])
    if listing:
        print("\n".join(each.name for each in benchmarks))
        print("peers: " + ", ".join(peer.name for peer in chosen))
        return
    for path in (json, png):
        if path is not None and not path.absolute().parent.is_dir():
            raise typer.BadParameter(f"there is no folder {path.absolute().parent}")
    console = Console()
    if not console.is_terminal:  # a file or a pipe has no edge
        console = Console(width=_WIDE)
    facts = machine.facts(peers.PACKAGES)
    console.print(table.machine_lines(facts, threads))
    done: list[results.Result] = []
    for group in dict.fromkeys(each.group for each in benchmarks):
        members = [each for each in benchmarks if each.group == group]
        found = []
        with console.status("") as status:
            for number, benchmark in enumerate(members, 1):
                status.update(f"{group} {number} of {len(members)}: {benchmark.case}")
                found.append(runner.run(benchmark, chosen, threads, rounds))
        console.print(table.group_table(group, found))
        done += found
    facts["threads"] = str(threads)
    if json is not None:
        results.write_json(json, facts, done)
    if png is not None:
        picture.draw(png, facts["processor"], done)


if __name__ == "__main__":
    typer.run(main)
