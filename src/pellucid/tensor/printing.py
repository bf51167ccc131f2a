"""How tensors look: `repr`, in PyTorch's layout, and the options that change it.

A tensor is printed in three steps. `Columns` looks at all the numbers that will be shown and
decides on one notation and one width for them: integers with a dot, fixed point, or scientific when
magnitudes differ by more than 1000. `nested` lays them in brackets, breaking lines and leaving out
the middle of large tensors. `represent` adds what the numbers do not say: size, dtype, `grad_fn`.

>>> import pellucid as torch
>>> torch.tensor([[1.0, 0.5], [20.0, float("nan")]])
tensor([[ 1.0000,  0.5000],
        [20.0000,     nan]])
>>> torch.arange(2000, dtype=torch.int32)
tensor([   0,    1,    2,  ..., 1997, 1998, 1999], dtype=torch.int32)
"""

from __future__ import annotations

import math
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import asdict, dataclass
from typing import Any

import numpy as np

from pellucid.tensor.dtype import bool_, default, default_complex, dtype, int64

LARGEST_RATIO, LARGEST, SMALLEST = 1000.0, 1e8, 1e-4
"""Limits of fixed point: for max/min, max, and min of the magnitudes."""


@dataclass
class PrintOptions:
    """How numbers are printed: see `set_printoptions`."""

    precision: int = 4
    threshold: float = 1000
    edgeitems: int = 3
    linewidth: int = 80
    sci_mode: bool | None = None


options = PrintOptions()

_PROFILES: dict[str, dict[str, Any]] = {
    "default": {"precision": 4, "threshold": 1000, "edgeitems": 3, "linewidth": 80},
    "short": {"precision": 2, "threshold": 1000, "edgeitems": 2, "linewidth": 80},
    "full": {"precision": 4, "threshold": math.inf, "edgeitems": 3, "linewidth": 80},
}


def set_printoptions(
    precision: int | None = None,
    threshold: float | None = None,
    edgeitems: int | None = None,
    linewidth: int | None = None,
    profile: str | None = None,
    sci_mode: bool | None = None,
) -> None:
    """Change how tensors are printed, from now on. What is not given stays, except `sci_mode`.

    Args:
        precision: digits after the point (4).
        threshold: tensors with more elements are printed without their middle (1000).
        edgeitems: how many entries per dimension are then shown at each end (3).
        linewidth: characters per line (80).
        profile: "default", "short" or "full" sets the four above.
        sci_mode: scientific notation: always, never, or (None) where magnitudes ask for it.
    """
    given = {
        "precision": precision,
        "threshold": threshold,
        "edgeitems": edgeitems,
        "linewidth": linewidth,
    }
    changes = _PROFILES.get(profile or "", {}) | {k: v for k, v in given.items() if v is not None}
    for name, value in changes.items():
        setattr(options, name, value)
    options.sci_mode = sci_mode


def get_printoptions() -> dict[str, Any]:
    """The options in force, as keywords for `set_printoptions`."""
    return asdict(options)


@contextmanager
def printoptions(**kwargs: Any) -> Iterator[None]:
    """`set_printoptions` for the length of a `with` block."""
    before = get_printoptions()
    set_printoptions(**kwargs)
    try:
        yield
    finally:
        set_printoptions(**before)


class Columns:
    """One notation and one width for all the numbers of a real `array`."""

    def __init__(self, array: np.ndarray) -> None:
        self.is_floating = array.dtype.kind not in "biu"
        self.is_whole = True
        self.is_scientific = False
        if not self.is_floating:
            self.width = max([1, *(len(str(value)) for value in array.ravel().tolist())])
            return
        numbers = array.ravel().astype(np.float64)
        numbers = numbers[np.isfinite(numbers) & (numbers != 0)]
        self.width = 1
        if not numbers.size:
            return
        self.is_whole = bool((numbers == np.ceil(numbers)).all())
        self.is_scientific = needs_exponents(numbers)
        self.width = max([1, *(len(self._text(value)) for value in numbers.tolist())])

    def _text(self, value: float) -> str:
        if self.is_scientific:
            return f"{value:.{options.precision}e}"
        if not self.is_whole:
            return f"{value:.{options.precision}f}"
        return f"{value:.0f}." if math.isfinite(value) else f"{value:.0f}"

    def show(self, value: Any) -> str:
        """A number, right-aligned in its column."""
        text = self._text(value) if self.is_floating else str(value)
        return text.rjust(self.width)


def needs_exponents(numbers: np.ndarray) -> bool:
    """Whether fixed point would hide digits of these finite numbers other than 0."""
    if options.sci_mode is not None:
        return options.sci_mode
    sizes = np.abs(numbers)
    least, most = float(sizes.min()), float(sizes.max())
    with np.errstate(over="ignore"):
        ratio = np.float64(most) / least
    return bool(ratio > LARGEST_RATIO or most > LARGEST or least < SMALLEST)


class ComplexColumns:
    """Two columns, for real and imaginary parts."""

    def __init__(self, array: np.ndarray) -> None:
        self.real, self.imag = Columns(array.real), Columns(array.imag)
        self.width = self.real.width + self.imag.width + 1

    def show(self, value: complex) -> str:
        """`1.0000+2.0000j`, each part in its column."""
        imag = self.imag.show(value.imag).lstrip() + "j"
        return self.real.show(value.real) + (imag if imag[0] in "+-" else "+" + imag)


def ends(array: np.ndarray) -> np.ndarray:
    """What is shown of a large array: the first and last `edgeitems` along each dimension."""
    count = options.edgeitems
    if not count and array.ndim > 1:
        return array[:0]
    for axis, size in enumerate(array.shape):
        if size > 2 * count:
            kept = np.r_[:count, size - count if count else 0 : size]
            array = np.take(array, kept, axis)
    return array


def nested(array: np.ndarray, columns: Columns | ComplexColumns, indent: int, shorten: bool) -> str:
    """The numbers in brackets. `indent` is where the text starts in its line."""
    if not array.ndim:
        return columns.show(array.item())
    count = options.edgeitems
    cut = shorten and len(array) > 2 * count
    if array.ndim == 1:
        return _row(array, columns, indent, shorten)
    picked = [*range(count), *range(len(array) - count, len(array))] if cut else range(len(array))
    parts = [nested(array[i], columns, indent + 1, shorten) for i in picked]
    if cut:
        parts.insert(count, "...")
    return "[" + ("," + "\n" * (array.ndim - 1) + " " * (indent + 1)).join(parts) + "]"


def _row(array: np.ndarray, columns: Columns | ComplexColumns, indent: int, shorten: bool) -> str:
    count = options.edgeitems
    per_line = max(1, math.floor((options.linewidth - indent) / (columns.width + 2)))
    if shorten and not count:
        texts = ["..."]
    elif shorten and len(array) > 2 * count:
        first, last = array[:count].tolist(), array[-count:].tolist()
        texts = [*map(columns.show, first), " ...", *map(columns.show, last)]
    else:
        texts = [columns.show(value) for value in array.tolist()]
    lines = [", ".join(texts[i : i + per_line]) for i in range(0, len(texts), per_line)]
    return "[" + (",\n" + " " * (indent + 1)).join(lines) + "]"


def contents(array: np.ndarray, indent: int) -> str:
    """The text between `tensor(` and `)` that shows the numbers."""
    if not array.size:
        return "[]"
    if array.dtype.kind not in "biufc":  # bfloat16
        array = array.astype(np.float32)
    shorten = array.size > options.threshold
    seen = ends(array) if shorten else array
    columns = ComplexColumns(seen) if array.dtype.kind == "c" else Columns(seen)
    return nested(array, columns, indent, shorten)


def represent(
    array: np.ndarray,
    kind: dtype,
    *,
    name: str = "tensor",
    grad_fn: str | None = None,
    requires_grad: bool = False,
    numbers: str | None = None,
) -> str:
    """`tensor([...], dtype=..., grad_fn=<...>)`.

    `array` holds the values, `kind` is the tensor's dtype, `numbers` a text to show in their place.
    """
    prefix = name + "("
    text = prefix + (contents(array, len(prefix)) if numbers is None else numbers)
    notes = []
    if array.size:
        if not options.edgeitems:
            notes.append(f"size={array.shape}")
        told = kind in (default.floating, default_complex(), int64, bool_)
    else:
        if array.ndim != 1:
            notes.append(f"size={array.shape}")
        told = kind is default.floating
    if not told:
        notes.append(f"dtype={kind}")
    if grad_fn is not None:
        notes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        notes.append("requires_grad=True")
    return _with_notes(text, notes, len(prefix))


def represent_without_data(
    shape: tuple[int, ...],
    kind: dtype,
    *,
    name: str = "tensor",
    grad_fn: str | None = None,
    requires_grad: bool = False,
) -> str:
    """`tensor(..., device='meta', size=(2, 3))`."""
    notes = ["device='meta'", f"size={shape}"]
    if kind is not default.floating:
        notes.append(f"dtype={kind}")
    if grad_fn is not None:
        notes.append(f"grad_fn=<{grad_fn}>")
    elif requires_grad:
        notes.append("requires_grad=True")
    return _with_notes(f"{name}(...", notes, len(name) + 1)


def _with_notes(text: str, notes: list[str], indent: int) -> str:
    """Append the notes, each on the line of the last if it fits."""
    used = len(text) - text.rfind("\n") + 1
    for note in notes:
        if used + len(note) + 2 > options.linewidth:
            text += ",\n" + " " * indent + note
            used = indent + len(note)
        else:
            text += ", " + note
            used += len(note) + 2
    return text + ")"
