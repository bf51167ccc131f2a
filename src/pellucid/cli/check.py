"""`pellucid check`: what a program uses of PyTorch, and whether it is there, before it runs."""

from __future__ import annotations

import json
import sys
from collections import defaultdict
from dataclasses import asdict
from pathlib import Path
from typing import Annotated

import typer

from pellucid.compat.survey import Finding, Survey, survey
from pellucid.instrument import log, timing

COLOURS = {"missing": "red", "unknown": "magenta", "differs": "yellow", "there": "green"}


@timing
@log("DEBUG")
def read_program(script: Path) -> Survey:
    """The survey of `script`; ends with code 2 where it cannot be read."""
    try:
        return survey(script)
    except OSError as error:
        print(f"pellucid check: {script}: {error.strerror}", file=sys.stderr)
    except SyntaxError as error:
        place = f"{error.filename or script}:{error.lineno or 1}"
        print(f"pellucid check: {place}: not Python: {error.msg}", file=sys.stderr)
    raise typer.Exit(2)


def check_command(
    script: Annotated[Path, typer.Argument(help="The program to read.")],
    as_json: Annotated[bool, typer.Option("--json", help="Print it as JSON.")] = False,
    every: Annotated[
        bool, typer.Option("--all", help="List also the names that are there.")
    ] = False,
) -> None:
    """List every name of PyTorch a program uses: there, missing, or different.

    The program is read, not run; modules beside it that it imports are read too. Exit code 0: all
    there, or the program is prepared to do without; 1: something is missing; 2: it cannot be read.
    """
    result = read_program(script)
    if as_json:
        print(json.dumps(as_data(result), indent=2))
    else:
        show(result, every)
    raise typer.Exit(0 if result.complete else 1)


def as_data(result: Survey) -> dict[str, object]:
    """The survey in JSON's types."""
    counts = {verdict: len(result.having(verdict)) for verdict in COLOURS}
    found = []
    for finding in result.findings:
        data = asdict(finding)
        data["places"] = [{"file": file, "line": line} for file, line in finding.places]
        found.append(data)
    return {
        "script": result.script,
        "files": list(result.files),
        "complete": result.complete,
        "counts": counts,
        "names": found,
    }


def show(result: Survey, every: bool) -> None:
    """Print the survey as a table and a summary."""
    from rich.console import Console
    from rich.table import Table

    console = Console(highlight=False)
    listed = result.findings if every else result.having("missing", "unknown", "differs")
    if listed:
        table = Table(box=None, pad_edge=False)
        for heading in ("name", "verdict", "lines", "note"):
            table.add_column(heading, overflow="fold", no_wrap=heading == "name")
        for finding in listed:
            name, verdict, *others = row(finding, result)
            coloured = f"[{COLOURS[verdict]}]{verdict}[/]"
            table.add_row(name, coloured, *others)
        console.print(table)
    counts = ", ".join(
        f"{len(result.having(verdict))} {verdict}"
        for verdict in reversed(COLOURS)
        if result.having(verdict) or verdict in ("there", "missing")
    )
    files = f"{len(result.files)} file{'s' * (len(result.files) > 1)}"
    console.print(f"{result.script}: {len(result.findings)} names in {files}: {counts}")


def row(finding: Finding, result: Survey) -> tuple[str, ...]:
    """One line of the table: name, verdict, lines, note."""
    remarks = [finding.note] if finding.note else []
    if finding.verdict in ("missing", "unknown"):
        if finding.guarded:
            remarks.append("the program is prepared for its absence")
        if finding.guess:
            remarks.append("if that is a tensor")
    return finding.name, finding.verdict, lines(finding, result), "; ".join(remarks)


def lines(finding: Finding, result: Survey) -> str:
    """Where a name is used: `3, 17 utils.py:5`; the script's own lines without its name."""
    by_file: dict[str, list[str]] = defaultdict(list)
    for file, line in finding.places:
        by_file[file].append(str(line))
    shown = []
    for file, numbers in by_file.items():
        own = file == result.files[0]
        shown.append(("" if own else f"{Path(file).name}:") + ", ".join(numbers))
    return " ".join(shown)
