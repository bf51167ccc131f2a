"""Reductions."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.dispatch import composite, operator
from pellucid.tensor.layout import normalize_dims
from pellucid.tensor.tensor import Tensor, adopt


def _sum_grad(grad: Any, input: Any, dim: Any, keepdim: bool) -> Any:
    if dim is not None and not keepdim:
        for d in sorted(normalize_dims(dim, input.dim())):
            grad = grad.unsqueeze(d)
    return grad.expand(input.shape)


@operator(gradient={"input": _sum_grad})
def sum(input: Tensor, dim: Any = None, keepdim: bool = False, *, dtype: Any = None) -> Tensor:
    """The sum over dimensions `dim` (all if None)."""
    axes = None if dim is None else normalize_dims(dim, input.dim())
    return adopt(np.asarray(np.sum(input._array, axis=axes, keepdims=keepdim)))


@composite(where="Tensor")
def sum_to_size(input: Tensor, *size: Any) -> Tensor:
    """Sum over the dimensions that broadcasting added."""
    shape = tuple(size[0]) if len(size) == 1 and isinstance(size[0], (tuple, list)) else size
    lead = input.dim() - len(shape)
    dims = [*range(lead), *(lead + i for i, s in enumerate(shape) if s == 1 and input.shape[lead + i] != 1)]
    if dims:
        input = sum(input, dims, keepdim=True)
    return input.view(shape) if lead else input
