"""Numbers, layouts and tables as people read them."""

from __future__ import annotations

import importlib
import importlib.util
import sys
from collections.abc import Iterable, Sequence
from typing import Any

from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import Layout

SHORT = {
    "float32": "f32",
    "float64": "f64",
    "float16": "f16",
    "bfloat16": "bf16",
    "int64": "i64",
    "int32": "i32",
    "int16": "i16",
    "int8": "i8",
    "uint8": "u8",
    "complex64": "c64",
    "complex128": "c128",
}
_STEPS = ((1 << 30, "GiB"), (1 << 20, "MiB"), (1 << 10, "KiB"))


def size(nbytes: float) -> str:
    """Bytes in binary units: `0 B`, `1.5 KiB`, `12 MiB`."""
    for step, unit in _STEPS:
        if nbytes >= step:
            number = nbytes / step
            return f"{number:.0f} {unit}" if number.is_integer() else f"{digits(number)} {unit}"
    return f"{nbytes:.0f} B"


def duration(seconds: float) -> str:
    """Seconds with the unit that fits: `3 µs`, `1.2 ms`, `45 s`, `3 min 20 s`."""
    if seconds >= 120:
        minutes, rest = divmod(round(seconds), 60)
        return f"{minutes} min {rest} s"
    if seconds >= 1:
        return f"{digits(seconds)} s"
    if seconds >= 1e-3:
        return f"{digits(seconds * 1e3)} ms"
    return f"{seconds * 1e6:.0f} µs"


def digits(number: float) -> str:
    """About three digits: `1.23`, `12.3`, `123`."""
    if number >= 99.95:
        return f"{number:.0f}"
    return f"{number:.1f}" if number >= 9.995 else f"{number:.2f}"


def count(number: int, noun: str, plural: str = "") -> str:
    """`1 view`, `2 views`, `1,200 copies`."""
    return f"{number:,} {noun if number == 1 else plural or noun + 's'}"


def brief(kind: dtype, layout: Layout, strides: bool = False) -> str:
    """`f32[2, 3]`; with strides `f32[2, 3] (3, 1)`, and `+5` for an offset."""
    text = f"{SHORT.get(kind.name, kind.name)}{list(layout.shape)}"
    if strides:
        text += f" {tuple(layout.strides)}" + (f" +{layout.offset}" if layout.offset else "")
    return text


def table(heads: Sequence[str], rows: Iterable[Sequence[str]], right: str = "") -> str:
    """Columns under their heads; those whose number is in `right` ("235") end at one edge."""
    cells = [list(heads), *(list(row) for row in rows)]
    widths = [max(len(row[i]) for row in cells) for i in range(len(heads))]
    lines = []
    for row in cells:
        padded = [
            cell.rjust(width) if str(i) in right else cell.ljust(width)
            for i, (cell, width) in enumerate(zip(row, widths, strict=True))
        ]
        lines.append("  ".join(padded).rstrip())
    lines.insert(1, "  ".join("─" * width for width in widths))
    return "\n".join(lines)


def facts(pairs: Iterable[tuple[str, str]]) -> str:
    """`name  value` lines; further lines of a value are indented under it."""
    pairs = list(pairs)
    width = max(len(name) for name, _ in pairs)
    lines = []
    for name, value in pairs:
        first, *more = value.split("\n")
        lines.append(f"{name:{width}}  {first}".rstrip())
        lines += [" " * (width + 2) + line for line in more]
    return "\n".join(lines)


class Explanation:
    """What `explain` returns: text in a terminal, a table in a notebook, data for programs."""

    def __str__(self) -> str:
        raise NotImplementedError

    def to_dict(self) -> dict[str, Any]:
        """The same facts as plain data, ready for `json.dumps`."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return str(self)

    def show(self) -> None:
        """Print to the terminal: with colours if `rich` is installed and this is a terminal."""
        if sys.stdout.isatty() and importlib.util.find_spec("rich") is not None:
            console = importlib.import_module("rich.console").Console(highlight=True)
            console.print(str(self), markup=False, soft_wrap=True)
        else:
            print(self)
