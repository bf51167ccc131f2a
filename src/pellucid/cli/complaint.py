"""What a command says when it cannot do what was asked."""

from __future__ import annotations

import sys
from collections.abc import Iterator
from contextlib import contextmanager

import typer


class Complaint(Exception):
    """What is wrong with what was asked, in words for the user. `code` is the exit code."""

    def __init__(self, words: str, code: int = 2) -> None:
        super().__init__(words)
        self.code = code


@contextmanager
def complaining(command: str) -> Iterator[None]:
    """Print complaints, and what files and models raise, in one line instead of a traceback."""
    try:
        yield
    except Complaint as complaint:
        print(f"pellucid {command}: {complaint}", file=sys.stderr)
        raise typer.Exit(complaint.code) from None
    except (OSError, RuntimeError, ValueError, TypeError, IndexError, KeyError) as error:
        words = f"{type(error).__name__}: {error}"
        print(f"pellucid {command}: {words}", file=sys.stderr)
        raise typer.Exit(1) from None
