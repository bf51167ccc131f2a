"""LU factors: `lu_factor`, `lu`, `lu_solve`, `lu_unpack`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.linalg import kernels
from pellucid.ops.linalg.support import (
    check_floating,
    check_matrix,
    check_same_dtype,
    check_square,
    columns,
    raise_info,
    rows,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int32
from pellucid.tensor.tensor import Tensor

_FactorEx = return_type("linalg_lu_factor_ex", "LU pivots info")
_Factor = return_type("linalg_lu_factor", "LU pivots")
_Lu = return_type("linalg_lu", "P L U")
_Unpack = return_type("lu_unpack", "P L U")


# --- factors --------------------------------------------------------------------------------------


def _left(matrix: Any, b: Any, upper: bool, unit: bool) -> Any:
    return F.linalg.solve_triangular(matrix, b, upper=upper, unitriangular=unit)


def _right(matrix: Any, b: Any, upper: bool, unit: bool) -> Any:
    return F.linalg.solve_triangular(matrix, b, upper=upper, left=False, unitriangular=unit)


def factors_grad(gL: Any, gU: Any, P: Any, L: Any, U: Any) -> Any:
    """Gradient of `A = P L U`, for square, tall and wide matrices.

    `L` is (m, k) and `U` (k, n) with k the smaller side. The square corner answers for most; what
    sticks out of it goes through the other factor.
    """
    if gL is None and gU is None:
        return None
    m, n = L.shape[-2], U.shape[-1]
    k = min(m, n)
    corner_L, corner_U = L.narrow(-2, 0, k), U.narrow(-1, 0, k)
    gL_corner = None if gL is None else gL.narrow(-2, 0, k)
    gU_corner = None if gU is None else gU.narrow(-1, 0, k)
    middle: Any = 0
    if gL is not None or (n > k and gU is not None):
        low: Any = 0 if gL_corner is None else corner_L.mH.matmul(gL_corner)
        if n > k and gU is not None:
            low = low - gU.narrow(-1, k, n - k).matmul(U.narrow(-1, k, n - k).mH)
        middle = low.tril(-1)
    if gU is not None or (m > k and gL is not None):
        up: Any = 0 if gU_corner is None else gU_corner.matmul(corner_U.mH)
        if m > k and gL is not None:
            up = up - L.narrow(-2, k, m - k).mH.matmul(gL.narrow(-2, k, m - k))
        middle = middle + up.triu()
    first = _left(corner_L.mH, _right(corner_U.mH, middle, False, False), True, True)
    if n > k:
        if gU is None:
            rest = F.zeros_like(U.narrow(-1, k, n - k))
        else:
            rest = _left(corner_L.mH, gU.narrow(-1, k, n - k), True, True)
        first = F.cat([first, rest], -1)
    elif m > k:
        if gL is None:
            rest = F.zeros_like(L.narrow(-2, k, m - k))
        else:
            rest = _right(corner_U.mH, gL.narrow(-2, k, m - k), False, False)
        first = F.cat([first, rest], -2)
    return first if P is None else P.matmul(first)


def _packed_grad(grad: Any, LU: Any, pivots: Any, pivot: bool) -> Any:
    k = min(LU.shape[-2:])
    L = LU.narrow(-1, 0, k).tril(-1) + F.eye(LU.shape[-2], k, dtype=LU.dtype)
    U = LU.narrow(-2, 0, k).triu()
    gL, gU = grad.narrow(-1, 0, k).tril(-1), grad.narrow(-2, 0, k).triu()
    P = None
    if pivot:
        P = rows(kernels.permutation_matrix(pivots._array, LU.shape[-2], LU.dtype.numpy), LU.dtype)
    return factors_grad(gL, gU, P, L, U)


def _zero_pivot(where: str, info: int) -> str:
    return (
        f"torch.linalg.lu_factor: {where}U[{info},{info}] is zero and using it on lu_solve would "
        "result in a division by zero. If you still want to perform the factorization, consider "
        "calling linalg.lu(A, pivot) or linalg.lu_factor_ex(A, pivot)"
    )


@operator(
    where="linalg",
    out=True,
    fields=("LU", "pivots", "info"),
    backward_name="LinalgLuFactorExBackward0",
    gradient={"A": _packed_grad},
)
def lu_factor_ex(A: Tensor, *, pivot: bool = True, check_errors: bool = False) -> Any:
    """Both LU factors in one matrix, the exchanges of rows, and the first zero pivot (or 0)."""
    check_matrix("torch.lu_factor", A)
    check_floating("linalg.lu_factor", A)
    lu, pivots, info = kernels.lu_factor(A._array, pivot)
    if check_errors:
        raise_info(info, A.dim() > 2, _zero_pivot)
    return _FactorEx(columns(lu, A.dtype), rows(pivots, int32), rows(info, int32))


@composite(where="linalg", out=True)
def lu_factor(A: Tensor, *, pivot: bool = True) -> Any:
    """Both LU factors in one matrix, and the exchanges of rows."""
    return _Factor(*lu_factor_ex(A, pivot=pivot)[:2])


def _lu_grad(grads: Any, P: Any, L: Any, U: Any, pivot: bool) -> Any:
    _, gL, gU = grads
    k = min(L.shape[-2], U.shape[-1])
    gL = None if gL is None else gL.narrow(-1, 0, k).tril(-1)
    gU = None if gU is None else gU.narrow(-2, 0, k).triu()
    return factors_grad(gL, gU, P.detach() if pivot else None, L, U)


@composite(where="linalg", out=True)
def lu(A: Tensor, *, pivot: bool = True) -> Any:
    """`A = P L U`: a permutation, a unit lower and an upper triangular factor."""
    P, L, U = _lu(A, pivot)
    return _Lu(P.detach(), L, U)


@operator(
    where="internal",
    name="lu",
    fields=("P", "L", "U"),
    backward_name="LinalgLuBackward0",
    gradient={"A": _lu_grad},
)
def _lu(A: Tensor, pivot: bool) -> Any:
    check_matrix("linalg.lu", A)
    check_floating("linalg.lu", A)
    m, n = A.shape[-2:]
    packed, pivots, _ = kernels.lu_factor(A._array, pivot)
    L, U = _triangles(packed, min(m, n))
    if pivot:
        P = rows(kernels.permutation_matrix(pivots, m, A.dtype.numpy), A.dtype)
    else:
        P = rows(np.empty(0, A.dtype.numpy), A.dtype)
    return _Lu(P, rows(L, A.dtype), rows(U, A.dtype))


def _triangles(packed: np.ndarray, k: int) -> tuple[np.ndarray, np.ndarray]:
    L = np.tril(packed[..., :k], -1)
    L[..., np.arange(k), np.arange(k)] = 1
    return L, np.triu(packed[..., :k, :])


def _unpack_grad(grads: Any, LU_data: Any) -> Any:
    """The triangles' gradients, put together in one matrix."""
    _, gL, gU = grads
    m, n = LU_data.shape[-2:]
    total = None
    if gL is not None:
        gL = gL.tril(-1)
        if n > m:
            gL = F.cat([gL, F.zeros((*gL.shape[:-1], n - m), dtype=gL.dtype)], -1)
        total = gL
    if gU is not None:
        gU = gU.triu()
        if m > n:
            gU = F.cat([gU, F.zeros((*gU.shape[:-2], m - n, n), dtype=gU.dtype)], -2)
        total = gU if total is None else total + gU
    return total


@composite(where="torch", out=True)
def lu_unpack(
    LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool = True, unpack_pivots: bool = True
) -> Any:
    """`P`, `L` and `U` from what `lu_factor` returned; empty tensors for what is not asked for."""
    P, L, U = _unpack(LU_data, LU_pivots, unpack_data, unpack_pivots)
    return _Unpack(P.detach(), L, U)


@operator(
    where="internal",
    name="lu_unpack",
    fields=("P", "L", "U"),
    backward_name="LuUnpackBackward0",
    gradient={"LU_data": _unpack_grad},
)
def _unpack(LU_data: Tensor, LU_pivots: Tensor, unpack_data: bool, unpack_pivots: bool) -> Any:
    if unpack_pivots and LU_pivots.dtype is not int32:
        raise RuntimeError(
            "torch.lu_unpack: LU_pivots is expected to be a contiguous tensor of torch.int32 "
            "dtype.\nNote: this function is intended to be used with the output produced by "
            "torch.linalg.lu_factor"
        )
    d, (m, n) = LU_data.dtype, LU_data.shape[-2:]
    nothing = np.empty(0, d.numpy)
    P = L = U = nothing
    if unpack_pivots:
        P = kernels.permutation_matrix(LU_pivots._array, m, d.numpy)
    if unpack_data:
        L, U = _triangles(LU_data._array, min(m, n))
    return _Unpack(rows(P, d), rows(L, d), rows(U, d))


@composite(where="Tensor torch", name="lu")
def torch_lu(input: Tensor, pivot: bool = True, get_infos: bool = False, out: Any = None) -> Any:
    """The older spelling of `linalg.lu_factor`."""
    found = lu_factor_ex(input, pivot=pivot)
    results = found if get_infos else tuple(found[:2])
    if out is None:
        return results
    for target, value in zip(out, results, strict=True):
        target.resize_as_(value).copy_(value)
    return out


# --- solving with factors -------------------------------------------------------------------------


def _lu_solve_grad(
    grad: Any, LU: Any, pivots: Any, out: Any, left: bool, adjoint: bool, needs: Any
) -> tuple[Any, Any]:
    gB = gLU = None
    if "B" in needs:
        gB = lu_solve(LU, pivots, grad, left=left, adjoint=not adjoint)
    if "LU" in needs:
        gLU = _gradient_of_factors(grad, LU, pivots, out, left, adjoint)
    return gLU, gB


def _gradient_of_factors(grad: Any, LU: Any, pivots: Any, X: Any, left: bool, adjoint: bool) -> Any:
    """Gradient of `X` with `P L U X = B` (and its three relatives) with respect to `L` and `U`."""
    P = rows(kernels.permutation_matrix(pivots._array, LU.shape[-1], LU.dtype.numpy), LU.dtype)
    unit = LU.tril(-1) + F.eye(LU.shape[-1], dtype=LU.dtype)
    U = LU.triu()
    if not left:  # X A = B is A^H X^H = B^H
        return _gradient_of_factors(grad.mH, LU, pivots, X.mH, True, not adjoint)
    if not adjoint:
        # gR = U^-H gX X^H, so gU = -triu(gR), gL = -tril(L^-H (U^-H gX) (U X)^H)
        inner = _left(U.mH, grad, False, False)
        gU = -inner.matmul(X.mH).triu()
        through = _left(unit.mH, inner, True, True)
        gL = -through.matmul(U.matmul(X).mH).tril(-1)
        return gL + gU
    # A^H X = B with A^H = U^H L^H P^T; Y = P^T X, Z = L^H Y
    Y = P.mT.matmul(X)
    inner = _left(unit, P.mT.matmul(grad), False, True)
    gL = -Y.matmul(inner.mH).tril(-1)
    through = _left(U, inner, True, False)
    gU = -unit.mH.matmul(Y).matmul(through.mH).triu()
    return gL + gU


@operator(
    where="linalg",
    out=True,
    backward_name="LinalgLuSolveBackward0",
    gradient={("LU", "B"): _lu_solve_grad},
)
def lu_solve(
    LU: Tensor, pivots: Tensor, B: Tensor, *, left: bool = True, adjoint: bool = False
) -> Tensor:
    """`X` with `A X = B` (`X A = B` if not `left`; `A^H` if `adjoint`) from `lu_factor(A)`."""
    name = "torch.linalg.lu_solve"
    check_floating("torch.lu_solve", LU)
    check_square("torch.lu_solve", LU, "LU")
    check_matrix(name, B, "B")
    check_same_dtype("linalg.lu_solve", LU, B)
    if pivots.dtype is not int32:
        raise RuntimeError(f"{name}: pivots should be a Tensor of scalar type torch.int32")
    size = B.shape[-2 if left else -1]
    if size != LU.shape[-1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({LU.shape[-2]}x{LU.shape[-1]} and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )
    b = B._array
    with np.errstate(all="ignore"):
        if left:
            found = kernels.lu_solve(LU._array, pivots._array, b, adjoint)
        else:
            turned = b.conj().swapaxes(-1, -2)
            found = kernels.lu_solve(LU._array, pivots._array, turned, not adjoint)
            return rows(found.conj().swapaxes(-1, -2), B.dtype)
    return columns(found, B.dtype)


@composite(name="lu_solve", out=True)
def torch_lu_solve(input: Tensor, LU_data: Tensor, LU_pivots: Tensor) -> Tensor:
    """The older spelling of `linalg.lu_solve`."""
    return lu_solve(LU_data, LU_pivots, input)
