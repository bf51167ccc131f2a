"""`pellucid bench`: the benchmarks, which stand beside the sources and not in the package."""

from __future__ import annotations

import importlib
import sys
from pathlib import Path
from typing import NoReturn

import typer

import pellucid


def find_folder() -> Path | None:
    """The checkout that holds the folder `bench/`: the one this package runs from, or the current
    folder.
    """
    package = Path(pellucid.__file__).resolve().parent
    for folder in (package.parents[1], Path.cwd()):
        if (folder / "bench" / "frame").is_dir() and (folder / "src" / "pellucid").is_dir():
            return folder
    return None


def bench_command(context: typer.Context) -> NoReturn:
    """Measure Pellucid beside PyTorch and others; `pellucid bench --help` lists the options."""
    folder = find_folder()
    if folder is None:
        print(
            "pellucid bench: the benchmarks are not part of the installed package; they stand in "
            "the folder bench/ of Pellucid's sources. Run it in there.",
            file=sys.stderr,
        )
        raise typer.Exit(2)
    sys.path.insert(0, str(folder))
    command = typer.Typer(add_completion=False, pretty_exceptions_enable=False)
    command.command()(importlib.import_module("bench.__main__").main)
    command(context.args, prog_name="pellucid bench")
    raise typer.Exit
