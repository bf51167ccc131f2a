"""The commands and their options; what they do is in the modules beside this one."""

from __future__ import annotations

import atexit
import logging
import sys
from pathlib import Path
from typing import Annotated

import typer

from pellucid.cli.approx import approx_command, lab_command
from pellucid.cli.bench import bench_command
from pellucid.cli.cache import cache_command
from pellucid.cli.check import check_command
from pellucid.cli.diagram import diagram_command
from pellucid.cli.embed import embed_command, similar_command
from pellucid.cli.environment import env_command
from pellucid.cli.run import Program, Wishes, run_arguments
from pellucid.instrument import timings
from pellucid.version import PELLUCID

app = typer.Typer(
    name="pellucid",
    help="Run PyTorch programs on Pellucid, and see what they do.",
    no_args_is_help=True,
    add_completion=False,
    pretty_exceptions_enable=False,
)


def _show_version(wanted: bool) -> None:
    if wanted:
        print(f"pellucid {PELLUCID}")
        raise typer.Exit


@app.callback()
def options(
    show_version: Annotated[
        bool, typer.Option("--version", help="Print the version.", callback=_show_version)
    ] = False,
    show_timings: Annotated[
        bool, typer.Option("--timings", help="Print where the command spent its time.")
    ] = False,
    verbose: Annotated[
        bool, typer.Option("--verbose", help="Log what the command does, step by step.")
    ] = False,
) -> None:
    """Options that go before the command."""
    if verbose:
        logger = logging.getLogger("pellucid.cli")
        logger.setLevel(logging.DEBUG)
        logger.addHandler(logging.StreamHandler())
    if show_timings:
        atexit.register(timings.print)


@app.command(context_settings={"allow_interspersed_args": False})
def run(
    context: typer.Context,
    arguments: Annotated[
        list[str] | None,
        typer.Argument(
            metavar="(SCRIPT | -m MODULE) [--] [ARGUMENTS]...",
            help="The program, and what it is to find in sys.argv.",
        ),
    ] = None,
    module: Annotated[
        str | None, typer.Option("-m", metavar="MODULE", help="Run a module, as `python -m` does.")
    ] = None,
    explain: Annotated[
        Path | None, typer.Option(metavar="REPORT", help="Write a page about what the program did.")
    ] = None,
    ledger: Annotated[
        bool, typer.Option("--ledger", help="Afterwards, list the missing names it touched.")
    ] = False,
) -> None:
    """Run a PyTorch program: in it, `import torch` finds Pellucid.

    `--explain` and `--ledger` may also stand after the program, up to a `--`; everything else there
    belongs to the program, and so does everything after `--`.
    """
    rest = list(arguments or [])
    if module is None and not rest:
        raise typer.BadParameter("which program? Give a script, or -m and a module", context)
    script = None if module is not None else rest.pop(0)
    wishes = Wishes(explain, ledger)
    own = wishes.take_from(rest)
    if own is None:
        raise typer.BadParameter("--explain needs a file: --explain report.html", context)
    context.obj.append(Program(script, module, own, wishes.explain, wishes.ledger))


app.command("approx")(approx_command)
app.command("lab")(lab_command)
app.command("cache")(cache_command)
app.command("check")(check_command)
app.command("diagram")(diagram_command)
app.command("embed")(embed_command)
app.command("similar")(similar_command)
app.command("env")(env_command)
app.command(
    "bench",
    add_help_option=False,
    context_settings={"allow_extra_args": True, "ignore_unknown_options": True},
)(bench_command)


def parse(given: list[str]) -> Program:
    """Do what `given` says; returns only for `run`, with the program to run."""
    programs: list[Program] = []
    hook = sys.excepthook
    try:
        app(run_arguments(given), obj=programs, prog_name="pellucid")
    except SystemExit:
        if not programs:
            raise
    sys.excepthook = hook  # typer has put its own there
    return programs[0]
