"""`keep`: a gradient where a condition holds, zero elsewhere. Internal, used by gradient formulas.

A product with the condition would turn an infinite gradient into NaN where the condition is false;
a choice does not.
"""

from __future__ import annotations

from pellucid.ops.dispatch import operator
from pellucid.ops.numerics.selection import choose
from pellucid.tensor.layout import elementwise_layout
from pellucid.tensor.tensor import Tensor, empty


@operator(where="internal", gradient={"grad_output": lambda grad, mask: keep(grad, mask)})
def keep(grad_output: Tensor, mask: Tensor) -> Tensor:
    """`grad_output` where the bool tensor `mask` is true, 0 elsewhere. Shapes broadcast."""
    out = empty(elementwise_layout(grad_output._layout, mask._layout), grad_output.dtype)
    choose(grad_output._array, mask._array, out._array)
    return out
