"""Householder reflections kept as LAPACK keeps them: `geqrf` makes them, `ormqr` applies them."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.linalg.support import LAPACK, columns, laid_by_columns, rows
from pellucid.ops.returns import return_type
from pellucid.ops.underivable import listed
from pellucid.tensor.dtype import FLOATING, REDUCED
from pellucid.tensor.tensor import Tensor

_Geqrf = return_type("geqrf", "a tau")


@operator(
    where="torch Tensor",
    out=LAPACK,
    fields=("a", "tau"),
    gradient={"input": listed("geqrf")},
)
def geqrf(input: Tensor) -> Any:
    """A QR factorisation as it is computed: `a` holds R above its diagonal, the vectors of the
    reflections below it, `tau` their factors.

    Shapes: `(*, m, n)` gives `(*, m, n)` and `(*, min(m, n))`. `householder_product` makes Q of
    them.
    """
    if input.dim() < 2:
        raise RuntimeError("torch.geqrf: input must have at least 2 dimensions.")
    if input.dtype.category < FLOATING or input.dtype in REDUCED:
        raise NotImplementedError(
            f"\"geqrf_cpu\" not implemented for '{scalar_type(input.dtype)}'\n"
            "  Matrices are factored in float32 and wider: convert it with .float() first."
        )
    array = input._array
    if not array.size:
        empty = np.zeros((*array.shape[:-2], min(array.shape[-2:])), array.dtype)
        return _Geqrf(columns(array, input.dtype), rows(empty, input.dtype))
    raw, tau = np.linalg.qr(array, mode="raw")
    return _Geqrf(columns(raw.swapaxes(-1, -2), input.dtype), rows(tau, input.dtype))


def _check_ormqr(input: Tensor, tau: Tensor, other: Tensor, left: bool) -> None:
    side = -2 if left else -1
    problem = ""
    if input.dim() < 2:
        problem = "input must have at least 2 dimensions."
    elif other.dim() < 2:
        problem = "other must have at least 2 dimensions."
    elif tau.dim() < 1:
        raise IndexError("Dimension specified as -1 but tensor has no dimensions")
    if not problem and other.shape[side] < tau.shape[-1]:
        problem = f"other.shape[{side}] must be greater than or equal to tau.shape[-1]"
    if not problem and tau.shape[-1] != min(other.shape[side], input.shape[-1]):
        problem = f"tau.shape[-1] must be equal to min(other.shape[{side}], input.shape[-1])"
    if not problem and other.shape[side] != input.shape[-2]:
        problem = f"other.shape[{side}] must be equal to input.shape[-2]"
    batch = input.shape[:-2]
    for name, each, kept in (("tau", tau, 1), ("other", other, 2)):
        relation = "one dimension less than" if kept == 1 else "the same number of dimensions as"
        if not problem and each.dim() - kept != len(batch):
            problem = (
                f"Expected {name} to have {relation} input, but got {name}.ndim equal to "
                f"{each.dim()} and input.ndim is equal to {input.dim()}"
            )
        elif not problem and each.shape[:-kept] != batch:
            problem = (
                f"Expected batch dimensions of {name} to be equal to input.shape[:-2], but got "
                f"{list(each.shape[:-kept])}"
            )
    for name, each in (("tau", tau), ("other", other)):
        if not problem and each.dtype is not input.dtype:
            problem = (
                f"Expected input and {name} to have the same dtype, but input has dtype"
                f"{scalar_type(input.dtype)} and {name} has dtype {scalar_type(each.dtype)}"
            )
    if problem:
        raise RuntimeError(f"torch.ormqr: {problem}")


@composite(out=LAPACK)
def ormqr(
    input: Tensor, tau: Tensor, other: Tensor, left: bool = True, transpose: bool = False
) -> Tensor:
    """`Q other` (`other Q` if not `left`), or with the adjoint of Q if `transpose`, where Q is the
    whole product of the reflections that `geqrf` left in `input` and `tau`.

    Shape: as `other`.
    """
    _check_ormqr(input, tau, other, left)
    m, n = input.shape[-2:]
    count = tau.shape[-1]
    vectors = input.tril(-1) + F.eye(m, n, dtype=input.dtype)
    found = other
    steps = range(count) if left == transpose else range(count - 1, -1, -1)
    for i in steps:
        v = vectors.narrow(-1, i, 1)
        factor = tau.narrow(-1, i, 1).unsqueeze(-1)
        factor = factor.conj() if transpose else factor
        if left:
            found = found - factor * v.matmul(v.mH.matmul(found))
        else:
            found = found - factor * found.matmul(v).matmul(v.mH)
    return laid_by_columns(found, other)
