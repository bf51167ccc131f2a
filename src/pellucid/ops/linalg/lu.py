"""LU factors and least squares: `lu_factor`, `lu`, `lu_solve`, `lu_unpack`, `lstsq`, and solving
with tensors for matrices.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.linalg import kernels
from pellucid.ops.linalg.support import (
    LAPACK,
    ROW_MAJOR,
    by_columns,
    check_floating,
    check_matrix,
    check_same_dtype,
    check_square,
    columns,
    laid_by_columns,
    raise_info,
    rows,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int32, int64
from pellucid.tensor.layout import narrow, squeeze
from pellucid.tensor.tensor import Tensor, empty, make

_FactorEx = return_type("linalg_lu_factor_ex", "LU pivots info")
_Factor = return_type("linalg_lu_factor", "LU pivots")
_Lu = return_type("linalg_lu", "P L U")
_Unpack = return_type("lu_unpack", "P L U")
_Lstsq = return_type("linalg_lstsq", "solution residuals rank singular_values")


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
        low: Any = 0 if gL is None else corner_L.mH.matmul(gL_corner)
        if n > k and gU is not None:
            low = low - gU.narrow(-1, k, n - k).matmul(U.narrow(-1, k, n - k).mH)
        middle = low.tril(-1)
    if gU is not None or (m > k and gL is not None):
        up: Any = 0 if gU is None else gU_corner.matmul(corner_U.mH)
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


# --- least squares --------------------------------------------------------------------------------


def _lstsq_grad(grads: Any, input: Any, B: Any, needs: Any) -> tuple[Any, Any]:
    """Through the pseudoinverse: the solution is `pinv(A) B`, the residuals what it leaves."""
    g_solution, g_residuals = grads[0], grads[1]
    gA = gB = None
    vector = B.dim() == input.dim() - 1
    right = B.unsqueeze(-1) if vector else B
    inverse = F.linalg.pinv(input)
    if g_solution is not None:
        g = g_solution.unsqueeze(-1) if vector else g_solution
        if "input" in needs:
            gA = F.linalg.pinv.spec.gradient[0].function(g.matmul(right.mH), input, inverse)
        if "B" in needs:
            gB = inverse.mH.matmul(g)
    if g_residuals is not None and g_residuals.numel():
        left_over = input.matmul(inverse.matmul(right)) - right
        pull = g_residuals.unsqueeze(-2) * 2 * left_over
        if "input" in needs:
            part = pull.matmul(inverse.matmul(right).mH)
            gA = part if gA is None else gA + part
        if "B" in needs:
            gB = -pull if gB is None else gB - pull
    if gB is not None and vector:
        gB = gB.squeeze(-1)
    return gA, gB


@composite(where="linalg", out=LAPACK)
def lstsq(
    input: Tensor, B: Tensor, rcond: float | None = None, *, driver: str | None = None
) -> Any:
    """The solution of least squares: `X` with the smallest `|A X - B|`.

    `driver` is one of "gelsy" (the default), "gels", "gelsd", "gelss"; it settles which of
    `residuals`, `rank` and `singular_values` are returned, as in PyTorch.
    """
    name = "torch.linalg.lstsq"
    check_floating("linalg.lstsq", input)
    if input.dim() < 2:
        raise RuntimeError(f"{name}: input must have at least 2 dimensions.")
    if B.dim() < 1:
        raise RuntimeError(f"{name}: other must have at least 1 dimension.")
    if input.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected input and other to have the same dtype, but got input's dtype "
            f"{scalar_type(input.dtype)} and other's dtype {scalar_type(B.dtype)}"
        )
    drivers = ("gels", "gelsy", "gelsd", "gelss")
    if driver is not None and driver not in drivers:
        raise RuntimeError(
            f"{name}: parameter `driver` should be one of (gels, gelsy, gelsd, gelss)"
        )
    found = _lstsq(input, B, rcond, driver or "gelsy")
    return _Lstsq(*found[:3], found[3].detach())


@operator(
    where="internal",
    name="lstsq",
    fields=("solution", "residuals", "rank", "singular_values"),
    backward_name="LinalgLstsqBackward0",
    gradient={("input", "B"): _lstsq_grad},
)
def _lstsq(input: Tensor, B: Tensor, rcond: float | None, driver: str) -> Any:
    name = "torch.linalg.lstsq"
    a, b = input._array, B._array
    m, n = a.shape[-2:]
    vector = b.ndim == 1 or (a.ndim - 1 == b.ndim and a.shape[:-1] == b.shape)
    if vector:
        b = b[..., None]
    if b.shape[-2] != m:
        raise RuntimeError(f"{name}: input.size(-2) should match other.size(-{1 if vector else 2})")
    lead = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    U, S, Vh = np.linalg.svd(a, full_matrices=False)
    epsilon = np.finfo(S.dtype).eps * max(m, n)
    limit = epsilon if rcond is None else rcond
    used = (limit * S.max(-1, keepdims=True, initial=0)) < S
    if driver == "gels":
        used = np.ones_like(used)
    with np.errstate(all="ignore"):
        inverse = np.where(used, 1 / S, 0).astype(S.dtype)
    X = Vh.conj().swapaxes(-1, -2) @ (inverse[..., None] * (U.conj().swapaxes(-1, -2) @ b))
    d, real = input.dtype, input.dtype.to_real()
    rank = used.sum(-1)
    residuals = np.empty(0, real.numpy)
    full = bool((rank == n).all())
    if m > n and driver != "gelsy" and full:
        left_over = a @ X - b
        residuals = (left_over.conj() * left_over).real.sum(-2)
        if vector:
            residuals = residuals[..., 0]
    solution = _solution(X.reshape(*lead, n, X.shape[-1]), m, vector, d)
    ranks = rows(rank if driver != "gels" else np.empty(0, np.int64), int64)
    values = S if driver in ("gelsd", "gelss") else np.empty(0, real.numpy)
    return _Lstsq(solution, rows(residuals, real), ranks, rows(values, real))


def _solution(X: np.ndarray, m: int, vector: bool, d: Any) -> Tensor:
    """The solution in the first rows of the memory that held the right-hand sides, as in LAPACK."""
    n = X.shape[-2]
    whole = empty(by_columns((*X.shape[:-2], max(m, n), X.shape[-1])), d)
    layout = narrow(whole._layout, -2, 0, n)
    if vector:
        layout, X = squeeze(layout, X.ndim - 1), X[..., 0]
    found = make(whole._storage, layout, d)
    copy_array(found._array, X)
    return found


# --- tensors as matrices --------------------------------------------------------------------------


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
