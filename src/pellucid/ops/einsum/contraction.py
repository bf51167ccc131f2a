"""One contraction of two tensors as one matrix product: `contract`.

The letters of a pair fall into four groups: *batch* (in both and the result), *rows* (left only),
*columns* (right only) and *summed*. A tensor whose letters lie in the order of such groups is a
stack of matrices, which BLAS multiplies where it lies if each group's strides merge into one.
`lower` tries the orders on layouts and copies only where none does.
"""

from __future__ import annotations

from functools import lru_cache
from math import prod
from typing import NamedTuple

import numpy as np

from pellucid.ops.blas import multiply
from pellucid.ops.dispatch import operator
from pellucid.ops.einsum.compiled import contracts
from pellucid.ops.einsum.plan import groups
from pellucid.ops.inplace import scalar_type
from pellucid.tensor import layout as layouts
from pellucid.tensor.dtype import BOOL, REDUCED
from pellucid.tensor.events import because, listeners
from pellucid.tensor.layout import Ints, Layout, NoView, contiguous
from pellucid.tensor.tensor import Tensor, empty

_ENOUGH_ROWS = 16
"""Matrices with at least this many rows are multiplied one by one rather than copied together."""


class Side(NamedTuple):
    """How an operand becomes a stack of matrices: permute by `axes`, reshape, copy if it must."""

    axes: Ints
    shape: Ints
    copies: bool
    reason: str

    def matrices(self, array: np.ndarray) -> np.ndarray:
        """The stack of matrices over the operand's memory, or over a copy."""
        stack = array.transpose(self.axes).reshape(self.shape)
        return np.ascontiguousarray(stack) if self.copies else stack


class Lowering(NamedTuple):
    """A contraction as `left.matrices @ right.matrices`, shaped `product`, which is `out`."""

    left: Side
    right: Side
    product: Ints
    out: Layout


def _sizes(layout: Layout, term: str) -> dict[str, int]:
    return dict(zip(term, layout.shape, strict=True))


def _side(layout: Layout, term: str, loops: str, first: str, second: str, total: int) -> Side:
    """An operand as matrices of `first` by `second`, one for each of `loops` (`total` axes)."""
    axes = tuple(term.index(c) for c in loops + first + second)
    sizes = _sizes(layout, term)
    lead = tuple(sizes[c] for c in loops) + (1,) * (total - len(loops))
    shape = (*lead, prod(sizes[c] for c in first), prod(sizes[c] for c in second))
    found = layouts.view(layouts.permute(layout, axes), shape)
    if isinstance(found, NoView):
        return Side(axes, shape, True, f"{term}: {found.reason}")
    if _for_blas(found):
        return Side(axes, shape, False, "")
    return Side(axes, shape, True, f"{term}: strides {found.strides[-2:]} are not a matrix's")


def _for_blas(layout: Layout) -> bool:
    """Whether BLAS reads the last two dimensions as they lie: one with stride 1, no overlap."""
    (rows, columns), (down, right) = layout.shape[-2:], layout.strides[-2:]
    if not layout.numel:
        return True
    plain = (right == 1 or columns == 1) and (rows == 1 or down >= columns)
    turned = (down == 1 or rows == 1) and (columns == 1 or right >= rows)
    return plain or turned


@lru_cache(maxsize=4096)
def lower(left: Layout, right: Layout, terms: tuple[str, str, str]) -> Lowering:
    """The way to compute `left,right->result` (the three `terms`) that copies least.

    The result's term must be batch, rows, columns in that order. Summed letters may be taken in the
    order of either operand's strides; rows that do not merge are split into a loop and a rest.
    """
    first, second, result = terms
    batch, rows, columns, summed = groups(first, second, result)
    best: tuple[int, Side, Side] | None = None
    for order in dict.fromkeys(
        (_by_stride(left, first, summed), _by_stride(right, second, summed))
    ):
        for loops, merged in _splits(batch, rows, _sizes(left, first)):
            one = _side(left, first, loops, merged, order, len(loops))
            two = _side(right, second, batch, order, columns, len(loops))
            cost = one.copies * left.numel + two.copies * right.numel
            if best is None or cost < best[0]:
                best = cost, one, two
    assert best is not None
    _, one, two = best
    sizes = _sizes(left, first) | _sizes(right, second)
    product = (*one.shape[:-1], two.shape[-1])
    return Lowering(one, two, product, contiguous(tuple(sizes[c] for c in result)))


def _by_stride(layout: Layout, term: str, letters: str) -> str:
    """The letters by the strides an operand has there, largest first."""
    strides = dict(zip(term, layout.strides, strict=True))
    return "".join(sorted(letters, key=lambda c: -strides[c]))


def _splits(batch: str, rows: str, sizes: dict[str, int]) -> list[tuple[str, str]]:
    """Letters looped over, and rows merged: all rows, or fewer as long as enough remain."""
    found = [(batch, rows)]
    for place in range(1, len(rows)):
        if prod(sizes[c] for c in rows[place:]) >= _ENOUGH_ROWS:
            found.append((batch + rows[:place], rows[place:]))
    return found


@lru_cache(maxsize=4096)
def memory_term(left: str, right: str, result: str, may_swap: bool = True) -> tuple[str, bool]:
    """The order in which the product lies in memory, and whether the operands change places.

    Batch, rows, columns, each in the order of `result`; with `may_swap` the operands change places
    where that puts all of the right's letters in front of the left's, as PyTorch does. Letters of
    neither operand, of size 1, count as columns.
    """
    batch, rows, _, _ = groups(left, right, result)
    columns = "".join(c for c in result if c not in left)
    swapped = (
        may_swap and bool(rows and columns) and result.index(columns[-1]) < result.index(rows[0])
    )
    return (batch + columns + rows, True) if swapped else (batch + rows + columns, False)


def _left_grad(grad: Tensor, right: Tensor, terms: tuple[str, str, str]) -> Tensor:
    first, second, result = terms
    return contract_to(grad, conjugate(right), result, second, first)


def _right_grad(grad: Tensor, left: Tensor, terms: tuple[str, str, str]) -> Tensor:
    first, second, result = terms
    return contract_to(conjugate(left), grad, first, result, second)


def conjugate(tensor: Tensor) -> Tensor:
    """The conjugate of a complex tensor, any other as it is."""
    return tensor.conj() if tensor.dtype.is_complex else tensor


@operator(
    where="internal",
    backward_name="BmmBackward0",
    gradient={"left": _left_grad, "right": _right_grad},
)
def contract(left: Tensor, right: Tensor, terms: tuple[str, str, str]) -> Tensor:
    """Multiply and sum over the letters that are not in the result: one (stacked) matrix product.

    `terms` are those of left, right and result; letters differ within a term, each summed letter is
    in both operands, and the result's are batch, rows, columns in that order.
    """
    dtype = left.dtype
    if right.dtype is not dtype:
        raise RuntimeError(
            f"expected scalar type {scalar_type(dtype)} but found {scalar_type(right.dtype)}\n"
            f"  einsum does not convert: use .to({dtype}) on the operand of dtype {right.dtype}."
        )
    if dtype.category == BOOL:
        raise NotImplementedError("\"bmm\" not implemented for 'Bool'")
    way = lower(left._layout, right._layout, terms)
    out, copies = empty(way.out, dtype), way.left.copies or way.right.copies
    if contracts(left, right, out, terms, copies):
        return out
    if listeners and copies:
        because(
            "einsum: copied first: " + "; ".join(filter(None, (way.left.reason, way.right.reason)))
        )
    one, two = way.left.matrices(left._array), way.right.matrices(right._array)
    target = out._array.reshape(way.product)
    if dtype in REDUCED:
        target[...] = multiply(one.astype(np.float32), two.astype(np.float32))
    else:
        multiply(one, two, target)
    return out


def contract_to(
    left: Tensor, right: Tensor, first: str, second: str, result: str, may_swap: bool = True
) -> Tensor:
    """`contract` into any order of the result's letters: a view of the product.

    Where nothing is summed, a product of the two with their letters aligned. Letters of `result`
    that no operand has get size 1.
    """
    if all(letter in result for letter in first):
        return aligned(left, first, result) * aligned(right, second, result)
    memory, swapped = memory_term(first, second, result, may_swap)
    held = "".join(c for c in memory if c in first or c in second)
    if swapped:
        product = contract(right, left, (second, first, held))
    else:
        product = contract(left, right, (first, second, held))
    order = tuple(memory.index(c) for c in result)
    if held == memory:
        return product.permute(order)
    sizes = dict(zip(held, product._layout.shape, strict=True))
    shown = product.view(tuple(sizes.get(c, 1) for c in memory)).permute(order)
    return shown.view(shown._layout.shape)


def aligned(tensor: Tensor, term: str, result: str) -> Tensor:
    """A view with the dimensions in the order of `result`, size 1 where the tensor has none."""
    missing = "".join(c for c in result if c not in term)
    if missing:
        tensor = tensor[(..., *(None,) * len(missing))]
    order = tuple((term + missing).index(c) for c in result)
    return tensor if order == tuple(range(len(order))) else tensor.permute(order)
