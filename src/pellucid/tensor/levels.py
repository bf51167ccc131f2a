"""`Batched`: a tensor as `vmap` shows it to the function that it maps, and the levels of `vmap`
that are active.

The function sees one element: `shape`, `dtype` and strides are an element's. Behind it stands
`_value`, the tensor of all elements, whose first dimension counts them. Operators on such tensors
are interpreted (`ops/batching`): each is run on the values instead. While a level is active the
list of listeners is not empty, so that every call takes the way past `interpret`; without one
nothing of this costs anything.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

import numpy as np

from pellucid.tensor.events import listeners
from pellucid.tensor.layout import Layout
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, make

_new = object.__new__


class Level:
    """One running `vmap`: how many elements, what random operators do, and whether a gradient was
    wanted outside it (`grad`).
    """

    __slots__ = ("grad", "number", "randomness", "size", "tracked")

    def __init__(self, number: int, size: int, randomness: str, grad: bool) -> None:
        self.number = number
        self.size = size
        self.randomness = randomness
        self.grad = grad
        self.tracked = False
        """Whether a value of this level was seen on the tape of what is outside."""


class _Levels(threading.local):
    """The active levels of the thread, the outermost first."""

    stack: tuple[Level, ...] = ()
    transforms: int = 0
    """How many transforms that take derivatives are running."""


levels = _Levels()

UNTOUCHED: Any = object()
"""What an interpreter answers to a call that is none of its business."""


class _Interpreter:
    """The functions that interpret calls, filled in by `ops/batching` when it is loaded."""

    call: Callable[..., Any]
    write: Callable[..., Any]
    formula: Callable[..., Any]
    function: Callable[..., Any]


interpreter = _Interpreter()


def attention(event: Any) -> None:
    """Stands in the list of listeners while a level is active, so that calls take the slow way."""


@contextmanager
def entered(size: int, randomness: str, grad: bool) -> Iterator[Level]:
    """A new innermost level for the block."""
    before = levels.stack
    number = before[-1].number + 1 if before else 1
    level = Level(number, size, randomness, grad)
    levels.stack = (*before, level)
    listeners.append(attention)
    try:
        yield level
    finally:
        levels.stack = before
        listeners.remove(attention)


@contextmanager
def reentered(level: Level) -> Iterator[None]:
    """Inside `level` again, for what is computed with its tensors after it is over."""
    before = levels.stack
    if level in before:
        yield
        return
    levels.stack = (*before, level)
    listeners.append(attention)
    try:
        yield
    finally:
        levels.stack = before
        listeners.remove(attention)


@contextmanager
def beneath(level: Level) -> Iterator[None]:
    """Outside `level`, for what its interpreter does with the values."""
    before = levels.stack
    levels.stack = before[: before.index(level)] if level in before else before
    try:
        yield
    finally:
        levels.stack = before


_RANDOM = (
    "vmap: called random operation while in randomness error mode. Please either use the 'same' or "
    "'different' randomness flags on vmap or perform the randomness operation out of vmap"
)


def sampled(draw: Callable[[tuple[int, ...]], Tensor], shape: tuple[int, ...]) -> Tensor:
    """What `draw` draws in `shape`: for every element anew or once for all, as the innermost level
    asks.

    Raises: RuntimeError where its `randomness` is "error".
    """
    level = levels.stack[-1]
    check_random(level)
    with beneath(level):
        if level.randomness == "same":
            return draw(shape)
        return wrap(draw((level.size, *shape)), level)


def check_random(level: Level) -> None:
    """Refuse random operators where the level does."""
    if level.randomness == "error":
        raise RuntimeError(_RANDOM)


class NeedsDataError(RuntimeError):
    """Something asked for the numbers of a tensor that stands for many."""


class Batched(Tensor):
    """One element of many, standing for all of them: `_value` holds them along its first dimension
    if `_batched`, else all elements are `_value`.
    """

    _plain = False
    _value: Tensor
    _level: Level
    _batched: bool

    def _twin(self) -> Tensor:
        return wrap(self._value, self._level, self._batched)

    @property
    def _array(self) -> Any:  # type: ignore[override]
        if self._level not in levels.stack:
            raise RuntimeError(
                "vmap: this tensor belongs to a vmap that is over\n"
                "  It was kept (in a list, an attribute) by the function that was mapped. Return "
                "it from the function instead."
            )
        raise NeedsDataError(
            "vmap: Cannot access data pointer of Tensor that doesn't have storage\n"
            "  Inside vmap this tensor stands for all elements of the batch at once: only "
            "operators can be applied to it."
        )

    def item(self) -> Any:
        """Refused: there is one number for each element of the batch."""
        raise NeedsDataError(
            "vmap: It looks like you're calling .item() on a Tensor. We don't support vmap over "
            "calling .item() on a Tensor, please try to rewrite what you're doing with other "
            "operations. If error is occurring somewhere inside PyTorch internals, please file a "
            "bug report."
        )

    def __bool__(self) -> bool:
        raise NeedsDataError(
            "vmap: It looks like you're attempting to use a Tensor in some data-dependent control "
            "flow. We don't support that yet, please file an issue at "
            "https://github.com/pytorch/pytorch/issues .\n"
            "  Each element of the batch could go another way: torch.where(condition, a, b) "
            "computes both and chooses."
        )

    def _scalar(self) -> Any:
        return self.item()

    def tolist(self) -> Any:
        """Refused, as `item`."""
        return self.item()

    def numpy(self, *, force: bool = False) -> Any:
        """Refused: there is one array for each element of the batch."""
        return self._array

    def __array__(self, dtype: Any = None, copy: bool | None = None) -> Any:
        return self._array

    def __repr__(self, *, tensor_contents: str | None = None) -> str:  # type: ignore[override]
        place = 0 if self._batched else None
        shown = "\n    ".join(repr(self._value).splitlines())
        return f"BatchedTensor(lvl={self._level.number}, bdim={place}, value=\n    {shown}\n)"


def every(like: Tensor, made: Tensor) -> Tensor:
    """A fresh tensor as one of its own for each element, where `like` has one: it can be written
    with values that differ between them.
    """
    if type(like) is not Batched:
        return made
    if not like._batched:
        return wrap(every(like._value, made), like._level, False)
    layout = made._layout
    count, span = like._level.size, layout.span
    memory = np.empty((count, span), made.dtype.numpy)
    memory[:] = np.ndarray((span,), made.dtype.numpy, made._storage.buffer) if span else 0
    whole = make(
        Storage.adopt(memory),
        Layout((count, *layout.shape), (span, *layout.strides), 0),
        made.dtype,
    )
    result = wrap(every(like._value, whole), like._level)
    result._requires_grad = made._requires_grad
    return result


def wrap(value: Tensor, level: Level, batched: bool = True) -> Batched:
    """`value` as one element of its first dimension sees it (as it is, if not `batched`)."""
    t = _new(Batched)
    t._value, t._level, t._batched = value, level, batched
    t._storage = value._storage
    t._dtype = value.dtype
    layout = value._layout
    t._layout = Layout(layout.shape[1:], layout.strides[1:], layout.offset) if batched else layout
    base = value._base
    if value._requires_grad or (base is not None and base._requires_grad):
        level.tracked = True
    return t
