"""The grid of a sweep, as people type it: `width=1:64,depth=1:8,seeds=32`."""

from __future__ import annotations

import math
import re
from collections.abc import Iterator
from dataclasses import dataclass

from pellucid.lab.sweep.cells import Cell

MOST_CELLS = 10_000
_LARGEST = {"width": 4096, "depth": 64, "seeds": 1000}
_EXAMPLE = "width=1:64,depth=1:8,seeds=32"
_RANGE = re.compile(r"(\d+):(\d+)(?::(x?)(\d+))?")


@dataclass(frozen=True)
class Grid:
    """The values of each direction, ascending; `rates` is `(None,)` for the optimiser's own."""

    widths: tuple[int, ...]
    depths: tuple[int, ...]
    rates: tuple[float | None, ...]
    seeds: int

    def __len__(self) -> int:
        return len(self.widths) * len(self.depths) * len(self.rates)

    def cells(self) -> Iterator[Cell]:
        """Every cell, the width varying slowest."""
        for width in self.widths:
            for depth in self.depths:
                for rate in self.rates:
                    yield Cell(width, depth, rate)


def read_grid(text: str) -> Grid:
    """The grid that `text` names.

    `width`, `depth` (hidden layers) and `lr` each take values separated by commas; of `width` and
    `depth` a value may be a range with both ends, `1:64`, `1:64:7` (every seventh) or `1:64:x2`
    (doubling). `seeds` is how many networks each cell trains. What is left out: depth=1, seeds=8,
    the optimiser's own learning rate.

    Raises: ValueError that names the part that cannot be read.
    """
    given = _parts(text)
    if "width" not in given:
        raise ValueError(f"--sweep needs widths, as in {_EXAMPLE}; {text!r} has none")
    widths = _whole("width", given["width"])
    depths = _whole("depth", given.get("depth", ["1"]))
    counts = given.get("seeds", ["8"])
    if len(counts) > 1 or ":" in counts[0]:
        raise ValueError(
            "--sweep: seeds is one number, how many networks each cell trains, as in seeds=32, "
            f"not {','.join(counts)}; --seed says where they begin"
        )
    (seeds,) = _whole("seeds", counts)
    rates = tuple(sorted({_rate(each) for each in given["lr"]})) if "lr" in given else (None,)
    grid = Grid(widths, depths, rates, seeds)
    if len(grid) > MOST_CELLS:
        raise ValueError(
            f"--sweep: {len(widths)} widths, {len(depths)} depths and {len(rates)} learning rates "
            f"are {len(grid)} cells; at most {MOST_CELLS} are taken. A step thins a range: "
            "width=1:4096:x2"
        )
    return grid


def _parts(text: str) -> dict[str, list[str]]:
    """`a=1,2,b=3` as `{"a": ["1", "2"], "b": ["3"]}`."""
    found: dict[str, list[str]] = {}
    current: list[str] | None = None
    for part in text.split(","):
        name, equals, value = part.partition("=")
        name, value = name.strip(), value.strip()
        if equals:
            if name not in ("width", "depth", "lr", "seeds"):
                raise ValueError(
                    f"--sweep: there is no {name!r} to vary; there are width, depth, lr and seeds, "
                    f"as in {_EXAMPLE}"
                )
            if name in found:
                raise ValueError(f"--sweep: {name} is given twice; its values stand together")
            current = found[name] = []
        else:
            value = name
        if current is None:
            raise ValueError(f"--sweep takes a grid such as {_EXAMPLE}, not {text!r}")
        if not value:
            raise ValueError(f"--sweep: a value is missing in {part!r} of {text!r}")
        current.append(value)
    return found


def _whole(name: str, values: list[str]) -> tuple[int, ...]:
    """Whole numbers and ranges of them."""
    found: set[int] = set()
    for value in values:
        if match := _RANGE.fullmatch(value):
            found.update(_range(name, value, match))
        elif re.fullmatch(r"\d+", value):
            found.update((_checked(name, value),))
        else:
            raise ValueError(
                f"--sweep: {name} takes whole numbers and ranges such as 4, 1:64, 1:64:7 or "
                f"1:64:x2, not {value!r}"
            )
    return tuple(sorted(found))


def _checked(name: str, digits: str) -> int:
    number = int(digits[:9])
    if not 1 <= number <= _LARGEST[name]:
        shown = digits if len(digits) < 10 else f"{digits[:9]}…"
        raise ValueError(f"--sweep: {name} is from 1 to {_LARGEST[name]}, not {shown}")
    return number


def _range(name: str, value: str, match: re.Match[str]) -> list[int]:
    first, last = _checked(name, match[1]), _checked(name, match[2])
    step = int((match[4] or "1")[:9])
    if first > last:
        raise ValueError(f"--sweep: the range {name}={value} is empty: it ends before it begins")
    if match[3]:
        if step < 2:
            raise ValueError(f"--sweep: {name}={value} does not grow: x2 and more do")
        count = 1 + int(math.log(last / first + 1e-9, step))
        return [first * step**power for power in range(count)]
    if step < 1:
        raise ValueError(f"--sweep: {name}={value} does not move: its step is 0")
    return list(range(first, last + 1, step))


def _rate(value: str) -> float:
    try:
        rate = float(value)
    except ValueError:
        raise ValueError(f"--sweep: lr takes numbers such as 0.01,0.001, not {value!r}") from None
    if not 0 < rate < math.inf:
        raise ValueError(f"--sweep: a learning rate is positive and finite, not {value}")
    return rate
