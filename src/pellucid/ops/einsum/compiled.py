"""Contractions on compiled kernels: the rule which run on them, and the way there.

A contraction runs on kernels if its numbers are float32, `PELLUCID_KERNELS` is not "off", it is
large enough (the first one loads LLVM, a quarter of a second, and compiles the kernels, once per
machine), and NumPy's BLAS would have to copy an operand first or to multiply matrix by matrix. One
product of two matrices as they lie is BLAS's.
"""

from __future__ import annotations

import importlib
from functools import cache
from math import prod
from typing import Any

from pellucid.ops.einsum.plan import groups
from pellucid.ops.native import enabled
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor

MULTIPLICATIONS = 1 << 22
"""Multiplications of a contraction that is large: less than a millisecond on one thread."""
DOTS = 1 << 18
"""The same for dots of rows, which read each number once."""
_FEW = 8
"""Rows or columns below which a tile of the product stays half empty."""


@cache
def _kernels() -> Any:
    """The kernels, which are loaded by the first call that is large enough."""
    return importlib.import_module("pellucid.kernels.eager_contraction")


def contracts(
    left: Tensor, right: Tensor, out: Tensor, terms: tuple[str, str, str], copies: bool
) -> bool:
    """Compute a contraction into `out` if it belongs on kernels; says whether it did.

    `copies` says whether BLAS would need a copy of an operand.
    """
    if left.dtype is not float32 or not out._layout.numel:
        return False
    sizes = dict(zip(terms[0], left._layout.shape, strict=True))
    sizes |= zip(terms[1], right._layout.shape, strict=True)
    batch, rows, columns, summed = groups(*terms)
    loops, m, n, k = (prod(sizes[c] for c in each) for each in (batch, rows, columns, summed))
    work = loops * m * n * k
    if work < DOTS or not enabled():
        return False
    order = _order(summed, _strides(left._layout, terms[0]), _strides(right._layout, terms[1]))
    first, second = (
        _operand(tensor, term, batch, own, order)
        for tensor, term, own in ((left, terms[0], rows), (right, terms[1], columns))
    )
    if m == n == 1 and k >= _FEW:
        if any(_kernels().merged(each.summed) != 1 for each in (first, second)):
            return False
        _kernels().dots(first, second, out._array)
        return True
    if work < MULTIPLICATIONS or min(m, n) < _FEW or not (copies or loops > 1):
        return False
    _kernels().multiply(first, second, out._array)
    return True


def _order(summed: str, left: dict[str, int], right: dict[str, int]) -> str:
    """Summed letters as they lie in the left operand; the right's innermost one goes last but one
    if that is another, so that its cache lines are met again soon.
    """
    order = sorted(summed, key=left.__getitem__, reverse=True)
    inner = min(order, key=right.__getitem__, default="")
    if len(order) > 2 and inner != order[-1]:
        order.remove(inner)
        order.insert(-1, inner)
    return "".join(order)


def _strides(layout: Layout, term: str) -> dict[str, int]:
    return dict(zip(term, layout.strides, strict=True))


def _operand(tensor: Tensor, term: str, batch: str, own: str, summed: str) -> Any:
    """A tensor with its letters in groups."""
    layout = tensor._layout
    sizes, strides = dict(zip(term, layout.shape, strict=True)), _strides(layout, term)
    parts = [
        (tuple(sizes[c] for c in each), tuple(strides[c] for c in each))
        for each in (batch, own, summed)
    ]
    return _kernels().Operand(tensor._array, *parts)
