"""What the tape itself must be able to compute, handed down by the operators.

`ops/` stands above `autograd/`, so the engine cannot import operators. It needs these few;
`pellucid.ops` fills them in once, when it is imported. They are the public operators, so what the
engine computes with `create_graph=True` is itself recorded.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import Layout, pairs
from pellucid.tensor.tensor import Tensor


class Arithmetic:
    """The operators that the engine uses.

    Shapes and semantics are those of the operators of the same name.
    """

    add: Callable[[Tensor, Tensor], Tensor]
    add_: Callable[[Tensor, Tensor], Tensor]
    as_strided: Callable[..., Tensor]
    cast: Callable[..., Tensor]
    clone: Callable[..., Tensor]
    conj: Callable[[Tensor], Tensor]
    copy_: Callable[[Tensor, Tensor], Tensor]
    detach: Callable[[Tensor], Tensor]
    empty_strided: Callable[..., Tensor]
    isnan_any: Callable[[Tensor], bool]
    _neg_view: Callable[[Tensor], Tensor]
    new_empty_strided: Callable[..., Tensor]
    ones: Callable[..., Tensor]
    ones_like: Callable[..., Tensor]
    real: Callable[[Tensor], Tensor]
    stack: Callable[..., Tensor]
    sum_to_size: Callable[..., Tensor]
    view_as: Callable[[Tensor, Tensor], Tensor]
    view_as_complex: Callable[[Tensor], Tensor]
    view_as_real: Callable[[Tensor], Tensor]
    zero_: Callable[[Tensor], Tensor]
    zeros_like: Callable[..., Tensor]
    zeros: Callable[..., Tensor]

    def names(self) -> tuple[str, ...]:
        """The names that must be filled."""
        return tuple(Arithmetic.__annotations__)

    def fill(self, operators: dict[str, Any]) -> None:
        """Take the operators; every name above must be there."""
        for name in self.names():
            setattr(self, name, operators[name])


arithmetic = Arithmetic()


def show(whole: Tensor, layout: Layout, dtype: dtype) -> Tensor:
    """The view of `whole`'s memory with this layout and dtype (a complex tensor may be shown as
    real numbers and the other way round).
    """
    if dtype is whole.dtype:
        return arithmetic.as_strided(whole, layout.shape, layout.strides, layout.offset)
    if whole.dtype.is_complex:
        numbers = arithmetic.view_as_real(whole)
        return arithmetic.as_strided(numbers, layout.shape, layout.strides, layout.offset)
    split = pairs(layout)
    numbers = arithmetic.as_strided(whole, split.shape, split.strides, split.offset)
    return arithmetic.view_as_complex(numbers)


def show_as(base: Tensor, view: Tensor) -> Tensor:
    """What `view` shows of its base, as a new view of it."""
    if not (base._storage.lazy or view._storage.lazy):
        return show(base, view._layout, view.dtype)
    return read_like(show(as_it_lies(base), view._layout, view.dtype), view)


def as_it_lies(tensor: Tensor) -> Tensor:
    """The elements in the memory of a conjugate or negative view."""
    if tensor._storage.conjugated:
        tensor = arithmetic.conj(tensor)
    return arithmetic._neg_view(tensor) if tensor._storage.negated else tensor


def read_like(tensor: Tensor, other: Tensor) -> Tensor:
    """A view that conjugates and negates where `other` does and `tensor` does not."""
    if tensor._storage.conjugated != other._storage.conjugated:
        tensor = arithmetic.conj(tensor)
    differ = tensor._storage.negated != other._storage.negated
    return arithmetic._neg_view(tensor) if differ else tensor
