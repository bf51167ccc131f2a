"""Solving: `solve`, `inv`, triangular systems, least squares, `pinv`, LU factors."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.linalg import kernels
from pellucid.ops.linalg.support import (
    LAPACK,
    ROW_MAJOR,
    adjoint,
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

_InvEx = return_type("linalg_inv_ex", "inverse info")
_SolveEx = return_type("linalg_solve_ex", "result info")
_Triangular = return_type("triangular_solve", "solution cloned_coefficient")


# --- inverse and solve ----------------------------------------------------------------------------


def _invert(array: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Inverses and `info` (the number of the zero pivot of a singular matrix)."""
    try:
        return np.linalg.inv(array), np.zeros(array.shape[:-2], np.int32)
    except np.linalg.LinAlgError:
        lu, _, info = kernels.lu_factor(array)
        found = np.array(lu)
        good = info == 0
        if good.any():
            found[good] = np.linalg.inv(array[good])
        return found, info


def _singular(where: str, info: int) -> str:
    return (
        f"linalg.inv: {where}The diagonal element {info} is zero, the inversion could not be "
        "completed because the input matrix is singular.\n"
        "  torch.linalg.pinv gives the pseudoinverse of any matrix."
    )


def _inv_grad(grad: Any, inverse: Any) -> Any:
    turned = inverse.mH
    return -turned.matmul(grad).matmul(turned)


@operator(
    where="linalg",
    out=True,
    fields=("inverse", "info"),
    backward_name="LinalgInvExBackward0",
    gradient={"A": _inv_grad},
)
def inv_ex(A: Tensor, *, check_errors: bool = False) -> Any:
    """The inverses of square matrices, and `info`: 0, or the number of the zero pivot."""
    check_square("linalg.inv", A)
    found, info = _invert(A._array)
    if check_errors:
        raise_info(info, A.dim() > 2, _singular)
    return _InvEx(columns(found, A.dtype), rows(info, int32))


@composite(where="linalg", out=True)
def inv(A: Tensor) -> Tensor:
    """The inverses of square matrices."""
    return inv_ex(A, check_errors=True)[0]


@composite(out=True)
def inverse(input: Tensor) -> Tensor:
    """The older spelling of `linalg.inv`."""
    return inv(input)


def _is_vector(A: Tensor, B: Tensor) -> bool:
    """Whether `B` holds one vector for each matrix of `A`."""
    return B.dim() == 1 or (A.dim() - 1 == B.dim() and A.shape[:-1] == B.shape)


def _solve_grad(
    grad: Any, A: Any, B_layout: Any, result: Any, left: bool, needs: Any
) -> tuple[Any, Any]:
    vector = len(B_layout.shape) == 1 or (
        len(A.shape) - 1 == len(B_layout.shape) and A.shape[:-1] == B_layout.shape
    )
    if vector:
        gB = F.linalg.solve(A.mH, grad.unsqueeze(-1)).squeeze(-1)
        gA = -gB.unsqueeze(-1) * conj(result).unsqueeze(-2)
        return gA, gB
    gB = F.linalg.solve(A.mH, grad, left=left)
    gA = None
    if "A" in needs:
        gA = -gB.matmul(result.mH) if left else -result.mH.matmul(gB)
    return gA, gB


@operator(
    where="linalg",
    out=True,
    fields=("result", "info"),
    backward_name="LinalgSolveExBackward0",
    gradient={("A", "B"): _solve_grad},
)
def solve_ex(A: Tensor, B: Tensor, *, left: bool = True, check_errors: bool = False) -> Any:
    """`X` with `A X = B` (`X A = B` if not `left`), and `info` of the factorisation."""
    name = "linalg.solve"
    check_square(name, A)
    check_same_dtype(name, A, B)
    vector = _is_vector(A, B)
    if vector and not left:
        raise RuntimeError(
            f"{name}: Vector broadcasting of the left hand side is not supported for left=False. "
            "In this case linalg.solve is equivalent to B / A.squeeze(-1)"
        )
    if not vector:
        check_matrix(name, B, "B")
    right = B._array[..., None] if vector else B._array
    size = right.shape[-2 if left else -1]
    if size != A.shape[-1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({A.shape[-2]}x{A.shape[-1]} and "
            f"{right.shape[-2]}x{right.shape[-1]})"
        )
    matrices = A._array
    if not left:
        matrices, right = matrices.swapaxes(-1, -2), right.swapaxes(-1, -2)
    lead = np.broadcast_shapes(matrices.shape[:-2], right.shape[:-2])
    matrices = np.broadcast_to(matrices, (*lead, *matrices.shape[-2:]))
    right = np.broadcast_to(right, (*lead, *right.shape[-2:]))
    info = np.zeros(A.shape[:-2], np.int32)
    try:
        found = np.linalg.solve(matrices, right)
    except np.linalg.LinAlgError:
        info = kernels.lu_factor(A._array)[2]
        if check_errors:
            raise_info(info, A.dim() > 2, _unsolvable)
        lu, pivots, _ = kernels.lu_factor(matrices)
        with np.errstate(all="ignore"):
            found = kernels.lu_solve(lu, pivots, right, False)
    if not left:
        found = found.swapaxes(-1, -2)
    if vector:
        found = found[..., 0]
    by_column = left and found.ndim > 1
    result = columns(found, A.dtype) if by_column else rows(found, A.dtype)
    return _SolveEx(result, rows(info, int32))


def _unsolvable(where: str, info: int) -> str:
    return (
        f"torch.linalg.solve: {where}The solver failed because the input matrix is singular.\n"
        "  torch.linalg.lstsq gives the solution of least squares."
    )


@composite(where="linalg", out=True)
def solve(A: Tensor, B: Tensor, *, left: bool = True) -> Tensor:
    """`X` with `A X = B` (`X A = B` if not `left`)."""
    return solve_ex(A, B, left=left, check_errors=True)[0]


# --- triangular systems ---------------------------------------------------------------------------


def _triangular_grad(
    grad: Any, input: Any, out: Any, upper: bool, left: bool, unitriangular: bool, needs: Any
) -> tuple[Any, Any]:
    gB = F.linalg.solve_triangular(
        input.mH, grad, upper=not upper, left=left, unitriangular=unitriangular
    )
    gA = None
    if "input" in needs:
        gA = -gB.matmul(out.mH) if left else -out.mH.matmul(gB)
        offset = int(unitriangular)
        gA = gA.triu(offset) if upper else gA.tril(-offset)
    return gA, gB


@operator(
    where="linalg",
    out=True,
    backward_name="LinalgSolveTriangularBackward0",
    gradient={("input", "B"): _triangular_grad},
)
def solve_triangular(
    input: Tensor, B: Tensor, *, upper: bool, left: bool = True, unitriangular: bool = False
) -> Tensor:
    """`X` with `A X = B` (`X A = B` if not `left`), where only a triangle of `A` is read."""
    name = "linalg.solve_triangular"
    check_square(name, input)
    check_matrix(name, B, "B")
    check_same_dtype(name, input, B)
    if B.shape[-2 if left else -1] != input.shape[-1]:
        raise RuntimeError(
            f"{name}: Incompatible shapes of A and B for the equation "
            f"{'AX = B' if left else 'XA = B'} ({input.shape[-2]}x{input.shape[-1]} and "
            f"{B.shape[-2]}x{B.shape[-1]})"
        )
    a, b = input._array, B._array
    if not left:
        a, b, upper = a.swapaxes(-1, -2), b.swapaxes(-1, -2), not upper
    with np.errstate(all="ignore"):
        found = kernels.solve_triangular(a, b, upper, unit=unitriangular)
    return columns(found if left else found.swapaxes(-1, -2), input.dtype)


def _triangular_solve_grad(
    grads: Any,
    A: Any,
    solution: Any,
    upper: bool,
    transpose: bool,
    unitriangular: bool,
    needs: Any,
) -> tuple[Any, Any]:
    grad, copied = grads
    gB = gA = None
    if grad is not None:
        gB = triangular_solve(grad, conj(A), upper, not transpose, unitriangular)[0]
        if "A" in needs:
            offset = int(unitriangular)
            gA = -conj(solution).matmul(gB.mT) if transpose else -gB.matmul(solution.mH)
            gA = gA.triu(offset) if upper else gA.tril(-offset)
    if copied is not None:
        gA = copied if gA is None else gA + copied
    return gB, gA


@operator(
    out=True,
    fields=("solution", "cloned_coefficient"),
    gradient={("input", "A"): _triangular_solve_grad},
)
def triangular_solve(
    input: Tensor,
    A: Tensor,
    upper: bool = True,
    transpose: bool = False,
    unitriangular: bool = False,
) -> Any:
    """The older spelling of `linalg.solve_triangular`; returns the solution and a copy of `A`."""
    for label, x in (("b", input), ("A", A)):
        if x.dim() < 2:
            raise RuntimeError(
                f"torch.triangular_solve: Expected {label} to have at least 2 dimensions, but it "
                f"has {x.dim()} dimensions instead"
            )
    check_square("triangular_solve", A)
    if input.dtype is not A.dtype:
        raise RuntimeError(
            f"triangular_solve expects b and A to have the same dtype: got {input.dtype} and "
            f"{A.dtype}"
        )
    if A.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for triangular_solve: each A matrix is {A.shape[-1]} by "
            f"{A.shape[-1]} but each b matrix is {input.shape[-2]} by {input.shape[-1]}"
        )
    a = A._array.swapaxes(-1, -2) if transpose else A._array
    with np.errstate(all="ignore"):
        found = kernels.solve_triangular(
            a, input._array, upper is not transpose, unit=unitriangular
        )
    copied = np.broadcast_to(A._array, (*found.shape[:-2], *A._array.shape[-2:]))
    return _Triangular(columns(found, A.dtype), columns(copied, A.dtype))


# --- from a Cholesky factor -----------------------------------------------------------------------


def _cholesky_solve_grad(grad: Any, L: Any, out: Any, upper: bool, needs: Any) -> tuple[Any, Any]:
    gB = cholesky_solve(grad, L, upper)
    gL = None
    if "L" in needs:
        common = gB.matmul(out.mH)
        common = common + common.mH
        gL = -L.matmul(common) if upper else -common.matmul(L)
    return gB, gL


@operator(out=ROW_MAJOR, gradient={("input", "L"): _cholesky_solve_grad})
def cholesky_solve(input: Tensor, L: Tensor, upper: bool = False) -> Tensor:
    """`X` with `A X = B`, from the Cholesky factor of `A`."""
    for label, x in (("b", input), ("u", L)):
        if x.dim() < 2:
            raise RuntimeError(
                f"{label} should have at least 2 dimensions, but has {x.dim()} dimensions instead"
            )
    check_square("cholesky_solve", L)
    if L.shape[-1] != input.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for cholesky_solve: each A matrix is {L.shape[-1]} by "
            f"{L.shape[-1]} but each b matrix is {input.shape[-2]} by {input.shape[-1]}"
        )
    return columns(_from_factor(L._array, input._array, upper), L.dtype)


def _from_factor(factor: np.ndarray, b: np.ndarray, upper: bool) -> np.ndarray:
    lower = adjoint(factor) if upper else factor
    half = kernels.solve_triangular(lower, b, False)
    return kernels.solve_triangular(adjoint(lower), half, True)


def _cholesky_inverse_grad(grad: Any, input: Any, out: Any, upper: bool) -> Any:
    common = out.matmul(grad + grad.mH).matmul(out)
    return -input.matmul(common) if upper else -common.matmul(input)


@operator(out=LAPACK, gradient={"input": _cholesky_inverse_grad})
def cholesky_inverse(input: Tensor, upper: bool = False) -> Tensor:
    """The inverse of a matrix from its Cholesky factor."""
    check_square("cholesky_inverse", input)
    identity = np.eye(input.shape[-1], dtype=input.dtype.numpy)
    return columns(_from_factor(input._array, identity, upper), input.dtype)
