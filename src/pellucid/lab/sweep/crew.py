"""Who trains the cells: a crew hands out work and hears of its end, wherever its workers are."""

from __future__ import annotations

import logging
from collections import Counter
from collections.abc import Callable, Iterable, Iterator
from dataclasses import dataclass
from typing import Any, Protocol

from pellucid.lab.sweep.cells import Cell, Question

RETRIES = 3
"""How often a cell whose worker was lost is given to another."""
GIVE_UP = 12
"""Workers lost one after the other, without a single result, after which the sweep stops."""

logger = logging.getLogger(__name__)


class SweepError(RuntimeError):
    """A sweep that cannot go on; what was finished is stored."""


@dataclass(frozen=True)
class Ended:
    """The end of a cell: its record; or the error it raised; or how its worker was lost."""

    cell: Cell
    record: dict[str, Any] | None = None
    error: str = ""
    lost: str = ""


class Crew(Protocol):
    """Workers."""

    def free(self) -> bool:
        """Whether another cell can be given out."""

    def start(self, question: Question, cell: Cell) -> None:
        """Give a cell to a worker."""

    def wait(self, seconds: float) -> list[Ended]:
        """The cells that ended; waits so long for the first."""

    def close(self) -> None:
        """Send all workers home, whatever they are doing."""


def results_of(
    question: Question,
    cells: Iterable[Cell],
    crew: Crew,
    tell: Callable[[str], None] = logger.warning,
) -> Iterator[Ended]:
    """Train cells, the most expensive first; yields each as it ends, with a record or an error.

    A cell whose worker was lost is trained again by another, up to `RETRIES` times, and `tell`
    hears of it. The crew is closed at the end, also when the caller stops early.

    Raises: SweepError if workers are lost and nothing else happens.
    """
    waiting = sorted(cells, key=lambda cell: (question.cost(cell), cell))
    lost: Counter[Cell] = Counter()
    running = in_a_row = 0
    try:
        while waiting or running:
            while waiting and crew.free():
                crew.start(question, waiting.pop())
                running += 1
            for ended in crew.wait(0.5):
                running -= 1
                if not ended.lost:
                    in_a_row = 0
                    yield ended
                    continue
                in_a_row += 1
                lost[ended.cell] += 1
                if in_a_row >= GIVE_UP:
                    raise SweepError(
                        f"{in_a_row} workers were lost one after the other, the last at "
                        f"{ended.cell} ({ended.lost}); what was finished before is stored"
                    )
                if lost[ended.cell] > RETRIES:
                    words = f"its worker was lost {lost[ended.cell]} times, last: {ended.lost}"
                    yield Ended(ended.cell, error=words)
                    continue
                tell(
                    f"{ended.cell}: its worker was lost ({ended.lost}); try "
                    f"{lost[ended.cell] + 1} of {RETRIES + 1}"
                )
                waiting.append(ended.cell)
    finally:
        crew.close()
