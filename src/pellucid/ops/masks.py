"""`keep`: a gradient where a condition holds, zero elsewhere. Internal, used by gradient formulas.

A product with the condition would turn an infinite gradient into NaN where the condition is false; a choice does not. NumPy chooses slowly,
but masking bits is as fast as a product: −1 as an integer has all bits set, 0 none.
"""

from __future__ import annotations

import numpy as np

from pellucid.ops.dispatch import operator
from pellucid.tensor.layout import elementwise_layout
from pellucid.tensor.tensor import Tensor, empty

_BITS = {2: np.int16, 4: np.int32, 8: np.int64}


def choose(array: np.ndarray, mask: np.ndarray, out: np.ndarray) -> None:
    """`out[i] = array[i] if mask[i] else 0` with broadcasting; `array` and `out` have one dtype."""
    bits = _BITS.get(out.dtype.itemsize)
    if bits is None:
        out.fill(0)
        np.copyto(out, array, where=mask)
    else:
        np.bitwise_and(array.view(bits), np.negative(mask.view(np.int8)), out.view(bits))


@operator(where="internal", gradient={"grad_output": lambda grad, mask: keep(grad, mask)})
def keep(grad_output: Tensor, mask: Tensor) -> Tensor:
    """`grad_output` where the bool tensor `mask` is true, 0 elsewhere. Shapes broadcast."""
    out = empty(elementwise_layout(grad_output._layout, mask._layout), grad_output.dtype)
    choose(grad_output._array, mask._array, out._array)
    return out
