"""Tensors read as matrices, and products of reflections: `tensorinv`, `tensorsolve`,
`householder_product`.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite
from pellucid.ops.inplace import scalar_type
from pellucid.ops.linalg.support import (
    LAPACK,
    ROW_MAJOR,
    laid_by_columns,
)
from pellucid.tensor.tensor import Tensor


@composite(where="linalg", out=ROW_MAJOR)
def tensorinv(input: Tensor, ind: int = 2) -> Tensor:
    """The inverse of a tensor read as a matrix from its last dimensions to its first `ind`."""
    if ind <= 0:
        raise RuntimeError(f"Expected a strictly positive integer for 'ind', but got {ind}")
    first, last = tuple(input.shape[:ind]), tuple(input.shape[ind:])
    n, m = math.prod(first), math.prod(last)
    if n != m:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[ind:]) == "
            f"prod(self.shape[:ind]), but got {m} != {n}"
        )
    return F.linalg.inv(input.reshape(n, m)).reshape(*last, *first)


@composite(where="linalg", out=True)
def tensorsolve(input: Tensor, B: Tensor, dims: Any = None) -> Tensor:
    """`X` with `tensordot(A, X, X.dim()) == B`; `dims` of `A` are moved to its end first."""
    A = input
    if dims is not None:
        count = len(dims)
        A = A.movedim(tuple(dims), tuple(range(A.dim() - count, A.dim())))
    result = tuple(A.shape[B.dim() :])
    n, m = math.prod(result), math.prod(A.shape[: B.dim()])
    if n != m:
        raise RuntimeError(
            "Expected self to satisfy the requirement prod(self.shape[other.ndim:]) == "
            f"prod(self.shape[:other.ndim]), but got {n} != {m}"
        )
    flat = F.linalg.solve(A.reshape(m, n), B.flatten())
    return flat.reshape(result)


@composite(where="linalg", out=LAPACK)
def householder_product(input: Tensor, tau: Tensor) -> Tensor:
    """The first columns of the product of Householder reflections, as `geqrf` leaves them.

    `input` (..., m, n) holds the vectors below its diagonal, `tau` (..., k) their factors.
    """
    name = "torch.linalg.householder_product"
    if input.dim() < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    m, n = input.shape[-2:]
    if m < n:
        raise RuntimeError(
            f"{name}: input.shape[-2] must be greater than or equal to input.shape[-1]"
        )
    if n < tau.shape[-1]:
        raise RuntimeError(
            f"{name}: input.shape[-1] must be greater than or equal to tau.shape[-1]"
        )
    if input.dim() - tau.dim() != 1:
        raise RuntimeError(
            f"{name}: Expected tau to have one dimension less than input, but got tau.ndim equal "
            f"to {tau.dim()} and input.ndim is equal to {input.dim()}"
        )
    if input.dtype is not tau.dtype:
        raise RuntimeError(
            f"{name}: tau dtype {scalar_type(tau.dtype)} does not match input dtype "
            f"{scalar_type(input.dtype)}"
        )
    Q = F.eye(m, n, dtype=input.dtype).expand(input.shape)
    vectors = input.tril(-1) + F.eye(m, n, dtype=input.dtype)
    for i in range(tau.shape[-1] - 1, -1, -1):
        v = vectors.narrow(-1, i, 1)
        Q = Q - tau.narrow(-1, i, 1).unsqueeze(-1) * v.matmul(v.mH.matmul(Q))
    return laid_by_columns(Q, input)


@composite(out=LAPACK)
def orgqr(input: Tensor, input2: Tensor) -> Tensor:
    """The older spelling of `linalg.householder_product`."""
    return householder_product(input, input2)
