"""The entry point of the command `pellucid`."""

from __future__ import annotations

import logging
import sys
from typing import NoReturn

from pellucid.cli.run import execute, program_of
from pellucid.instrument import granted


def main(arguments: list[str] | None = None) -> NoReturn:
    """Do what the command line says. Ends as the command, or the program it runs, ends."""
    logger = logging.getLogger("pellucid.cli")
    logger.propagate = False  # what the program does with logging is the program's own affair
    logger.addHandler(logging.NullHandler())
    given = sys.argv[1:] if arguments is None else arguments
    program = program_of(given)
    if program is None:
        from pellucid.cli.app import parse  # typer and rich are loaded only where they are needed

        program = parse(given)
    with granted("program:execute", to="`pellucid run`"):
        execute(program)
