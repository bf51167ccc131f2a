"""Factorisations: Cholesky, QR, singular values, eigenvalues; with gradients of any order.

Sources of the gradients: Murray, "Differentiation of the Cholesky decomposition" (2016); Townsend,
"Differentiating the Singular Value Decomposition" (2016); Roberts and Roberts, "QR and LQ
Decomposition Matrix Backpropagation Algorithms" (2020); Boeddeker et al. (2017) for eigenvectors.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.linalg import kernels
from pellucid.ops.linalg.support import (
    LAPACK,
    ROW_MAJOR,
    LinAlgError,
    adjoint,
    check_floating,
    check_matrix,
    check_square,
    columns,
    raise_info,
    rows,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int32
from pellucid.tensor.tensor import Tensor

_CholeskyEx = return_type("linalg_cholesky_ex", "L info")
_Qr = return_type("linalg_qr", "Q R")
_LegacyQr = return_type("qr", "Q R")
_Svd = return_type("linalg_svd", "U S Vh")
_LegacySvd = return_type("svd", "U S V")
_Eigh = return_type("linalg_eigh", "eigenvalues eigenvectors")
_Eig = return_type("linalg_eig", "eigenvalues eigenvectors")


# --- Cholesky -------------------------------------------------------------------------------------


def _cholesky_grad(grad: Any, L: Any, upper: bool) -> Any:
    """`L^-H sym(Phi(L^H gL)) L^-1`, where Phi keeps the lower triangle and halves the diagonal."""
    if upper:
        grad, L = grad.mH, L.mH
    phi = L.mH.matmul(grad).tril()
    half = F.linalg.solve_triangular(L.mH, (phi + phi.tril(-1).mH) * 0.5, upper=True)
    return F.linalg.solve_triangular(L, half, upper=False, left=False)


def _diagonal(matrices: Any) -> Any:
    return matrices.diagonal(0, -2, -1)


@operator(
    where="linalg",
    out=True,
    fields=("L", "info"),
    backward_name="LinalgCholeskyExBackward0",
    gradient={"input": _cholesky_grad},
)
def cholesky_ex(input: Tensor, *, upper: bool = False, check_errors: bool = False) -> Any:
    """The Cholesky factor and `info`: 0, or the order of the minor that is not positive."""
    check_square("linalg.cholesky", input)
    array = input._array
    found, info = kernels.cholesky(adjoint(array) if upper else array)
    if check_errors:
        raise_info(info, input.dim() > 2, _not_positive)
    L = columns(adjoint(found) if upper else found, input.dtype)
    return _CholeskyEx(L, rows(info, int32))


def _not_positive(where: str, info: int) -> str:
    return (
        f"linalg.cholesky: {where}The factorization could not be completed because the input is "
        f"not positive-definite (the leading minor of order {info} is not positive-definite)."
    )


@composite(where="linalg", out=True)
def cholesky(input: Tensor, *, upper: bool = False) -> Tensor:
    """The lower triangular `L` with `A = L L^H` (the upper `U` with `A = U^H U`)."""
    return cholesky_ex(input, upper=upper, check_errors=True)[0]


@composite(out=ROW_MAJOR, name="cholesky")
def torch_cholesky(input: Tensor, upper: bool = False) -> Tensor:
    """The older spelling of `linalg.cholesky`."""
    return cholesky(input, upper=upper)


# --- QR -------------------------------------------------------------------------------------------


def _qr_square(gQ: Any, gR: Any, Q: Any, R: Any) -> Any:
    """Gradient of a QR factorisation with a square `R`."""
    middle: Any = 0
    if gR is not None:
        middle = R.matmul(gR.mH)
    if gQ is not None:
        middle = middle - gQ.mH.matmul(Q)
    lower = middle.tril(-1)
    hermitian = lower + lower.mH + F.diag_embed(F.real(_diagonal(middle)).to(middle.dtype))
    right = Q.matmul(hermitian)
    if gQ is not None:
        right = right + gQ
    return F.linalg.solve_triangular(R.mH, right, upper=False, left=False)


def _qr_grad(grads: Any, Q: Any, R: Any, mode: str) -> Any:
    gQ, gR = grads
    if gQ is None and gR is None:
        return None
    if mode == "r":
        raise RuntimeError(
            "The derivative of linalg.qr depends on Q, which is not computed when mode='r'. Please "
            "use linalg.qr(A, mode='reduced') if you are going to require gradients."
        )
    m, n = Q.shape[-2], R.shape[-1]
    if mode == "complete" and m > n:
        raise RuntimeError(
            "The QR decomposition is not differentiable when mode='complete' and nrows > ncols"
        )
    if m >= n:
        return _qr_square(gQ, gR, Q, R)
    first, second = R.narrow(-1, 0, m), R.narrow(-1, m, n - m)
    if gR is None:
        return F.cat([_qr_square(gQ, None, Q, first), F.zeros_like(second)], -1)
    g_first, g_second = gR.narrow(-1, 0, m), gR.narrow(-1, m, n - m)
    # The other columns are Q times the rest of R: their gradient reaches Q too.
    rest = Q.matmul(g_second)
    through = Q.matmul(second.matmul(g_second.mH))
    gQ = through if gQ is None else gQ + through
    return F.cat([_qr_square(gQ, g_first, Q, first), rest], -1)


@operator(
    where="linalg",
    out=True,
    fields=("Q", "R"),
    backward_name="LinalgQrBackward0",
    gradient={"A": _qr_grad},
)
def qr(A: Tensor, mode: str = "reduced") -> Any:
    """Orthonormal columns `Q` and an upper triangular `R` with `A = Q R`.

    `mode` is "reduced", "complete" (a square `Q`) or "r" (`Q` is empty).
    """
    check_matrix("linalg.qr", A)
    check_floating("linalg.qr", A)
    if mode not in ("reduced", "complete", "r"):
        raise RuntimeError(
            f"qr received unrecognized mode '{mode}' but expected one of 'reduced' (default), 'r', "
            "or 'complete'"
        )
    array, d = A._array, A.dtype
    if mode == "r":
        R = np.asarray(np.linalg.qr(array, "r"))
        return _Qr(rows(np.empty(0, d.numpy), d), columns(R, d))
    Q, R = np.linalg.qr(array, "complete" if mode == "complete" else "reduced")
    return _Qr(columns(Q, d), columns(R, d))


@composite(out=True, name="qr")
def torch_qr(input: Tensor, some: bool = True) -> Any:
    """The older spelling of `linalg.qr`; `some=False` is mode "complete"."""
    return _LegacyQr(*qr(input, "reduced" if some else "complete"))


# --- singular values ------------------------------------------------------------------------------


def _skew(matrices: Any) -> Any:
    return matrices - matrices.mH


def _differences(values: Any) -> Any:
    """`values_j - values_i`, with ones on the diagonal."""
    apart = values.unsqueeze(-2) - values.unsqueeze(-1)
    return apart + F.eye(values.shape[-1], dtype=values.dtype)


def _svd_grad(grads: Any, U: Any, S: Any, Vh: Any) -> Any:
    gU, gS, gVh = grads
    if gU is None and gS is None and gVh is None:
        return None
    k = S.shape[-1]
    if U.shape[-1] > k:
        U, gU = U.narrow(-1, 0, k), None if gU is None else gU.narrow(-1, 0, k)
    if Vh.shape[-2] > k:
        Vh, gVh = Vh.narrow(-2, 0, k), None if gVh is None else gVh.narrow(-2, 0, k)
    if gU is None and gVh is None:
        return U.matmul(gS.unsqueeze(-1) * Vh)
    inner: Any = 0
    left = None if gU is None else _skew(U.mH.matmul(gU))
    right = None if gVh is None else _skew(Vh.matmul(gVh.mH))
    if U.is_complex():
        _refuse_phase(left, right)
    apart = _differences(S * S)
    if left is not None:
        inner = left / apart * S.unsqueeze(-2)
    if right is not None:
        inner = inner + S.unsqueeze(-1) * (right / apart)
    if gS is not None:
        inner = inner + F.diag_embed(gS).to(U.dtype)
    if U.is_complex() and left is not None and right is not None:
        inner = inner + F.diag_embed(_diagonal(left) / (2.0 * S))
    gA = U.matmul(inner).matmul(Vh)
    if gU is not None and U.shape[-2] > k:
        outside = gU / S.unsqueeze(-2)
        gA = gA + (outside - U.matmul(U.mH.matmul(outside))).matmul(Vh)
    if gVh is not None and Vh.shape[-1] > k:
        outside = gVh / S.unsqueeze(-1)
        gA = gA + U.matmul(outside - outside.matmul(Vh.mH).matmul(Vh))
    return gA


def _refuse_phase(left: Any, right: Any) -> None:
    """The loss must not depend on the phase of the singular vectors, which is arbitrary."""
    if state.undetermined:
        return
    total: Any = 0
    for part in (left, right):
        if part is not None:
            total = total + F.imag(_diagonal(part.detach()))
    if isinstance(total, Tensor) and float(total.abs().sum()) > 1e-2:
        raise RuntimeError(
            "svd_backward: The singular vectors in the complex case are specified up to "
            "multiplication by e^{i phi}. The specified loss function depends on this phase term, "
            "making it ill-defined."
        )


@operator(
    where="internal",
    name="svd",
    out=True,
    fields=("U", "S", "Vh"),
    backward_name="LinalgSvdBackward0",
    gradient={"A": _svd_grad},
)
def _svd(A: Tensor, full_matrices: bool = True) -> Any:
    array, d = A._array, A.dtype
    try:
        U, S, Vh = np.linalg.svd(array, full_matrices)
    except np.linalg.LinAlgError:
        raise LinAlgError(_NOT_CONVERGED) from None
    return _Svd(columns(U, d), rows(S, d.to_real()), columns(Vh, d))


_NOT_CONVERGED = (
    "linalg.svd: The algorithm failed to converge because the input matrix contained non-finite "
    "values."
)


def _check_driver(driver: Any) -> None:
    if driver is not None:
        raise RuntimeError(
            "linalg.svd: keyword argument `driver=` is only supported on CUDA inputs with cuSOLVER "
            "backend."
        )


@composite(where="linalg", out=True)
def svd(A: Tensor, full_matrices: bool = True, *, driver: str | None = None) -> Any:
    """Singular vectors and values: `A = U diag(S) Vh`, largest values first."""
    check_matrix("linalg.svd", A)
    check_floating("linalg.svd", A)
    _check_driver(driver)
    return _svd(A, full_matrices)


@composite(where="linalg", out=True)
def svdvals(A: Tensor, *, driver: str | None = None) -> Tensor:
    """The singular values, largest first."""
    check_matrix("linalg.svdvals", A)
    check_floating("linalg.svdvals", A)
    _check_driver(driver)
    return _svd(A, False)[1]


@composite(out=True, name="svd")
def torch_svd(input: Tensor, some: bool = True, compute_uv: bool = True) -> Any:
    """The older spelling of `linalg.svd`, which returns `V` and not its adjoint."""
    check_matrix("linalg.svd", input)
    check_floating("linalg.svd", input)
    if compute_uv:
        U, S, Vh = _svd(input, not some)
        return _LegacySvd(U, S, F.conj(Vh).mT)
    m, n = input.shape[-2:]
    S = svdvals(input)
    lead = input.shape[:-2]
    zeros = [F.zeros((*lead, size, size), dtype=input.dtype) for size in (m, n)]
    return _LegacySvd(zeros[0], S, zeros[1])


# --- eigenvalues ----------------------------------------------------------------------------------


def _phase(matrices: Any) -> float:
    """How much a loss depends on the phases of eigenvectors: not at all, if it is well-defined."""
    imaginary = np.diagonal(matrices._array.imag, axis1=-2, axis2=-1)
    return float(np.abs(imaginary).max(initial=0))


def _eigh_grad(grads: Any, eigenvalues: Any, eigenvectors: Any) -> Any:
    gL, gV = grads
    if gL is None and gV is None:
        return None
    V = eigenvectors
    if gV is None:
        return (V * gL.unsqueeze(-2)).matmul(V.mH)
    inner = V.mH.matmul(gV)
    if V.is_complex() and not state.undetermined and _phase(inner) > 1e-2:
        raise RuntimeError(
            "linalg_eigh_backward: The eigenvectors in the complex case are specified up to "
            "multiplication by e^{i phi}. The specified loss function depends on this quantity, so "
            "it is ill-defined."
        )
    inner = _skew(inner) * 0.5 / _differences(eigenvalues)
    keep = 1 - F.eye(V.shape[-1], dtype=eigenvalues.dtype)
    inner = inner * keep
    if gL is not None:
        inner = inner + F.diag_embed(gL).to(V.dtype)
    return V.matmul(inner).matmul(V.mH)


@operator(
    where="linalg",
    out=True,
    fields=("eigenvalues", "eigenvectors"),
    backward_name="LinalgEighBackward0",
    gradient={"A": _eigh_grad},
)
def eigh(A: Tensor, UPLO: str = "L") -> Any:
    """Eigenvalues (ascending) and eigenvectors of Hermitian matrices; one triangle is read."""
    check_square("linalg.eigh", A)
    if UPLO.upper() not in ("L", "U"):
        raise RuntimeError(f"Expected UPLO argument to be 'L' or 'U', but got {UPLO}")
    try:
        values, vectors = np.linalg.eigh(A._array, "U" if UPLO in "Uu" else "L")
    except np.linalg.LinAlgError:
        raise LinAlgError(
            "linalg.eigh: The algorithm failed to converge because the input matrix is "
            "ill-conditioned or has too many repeated eigenvalues."
        ) from None
    return _Eigh(rows(values, A.dtype.to_real()), columns(vectors, A.dtype))


@composite(where="linalg", out=True)
def eigvalsh(A: Tensor, UPLO: str = "L") -> Tensor:
    """The eigenvalues of Hermitian matrices, ascending."""
    return eigh(A, UPLO)[0]


def _eig_grad(grads: Any, eigenvalues: Any, eigenvectors: Any) -> Any:
    gL, gV = grads
    if gL is None and gV is None:
        return None
    V = eigenvectors
    if gV is None:
        return F.linalg.solve(V.mH, gL.unsqueeze(-1) * V.mH)
    VhgV = V.mH.matmul(gV)
    if not state.undetermined and _phase(VhgV) > 1e-2:
        raise RuntimeError(
            "linalg_eig_backward: The eigenvectors in the complex case are specified up to "
            "multiplication by e^{i phi}. The specified loss function depends on this quantity, so "
            "it is ill-defined."
        )
    inner = VhgV - V.mH.matmul(V * F.real(_diagonal(VhgV)).unsqueeze(-2))
    inner = inner / F.conj(_differences(eigenvalues))
    inner = inner * (1 - F.eye(V.shape[-1], dtype=V.dtype.to_real()))
    if gL is not None:
        inner = inner + F.diag_embed(gL)
    return F.linalg.solve(V.mH, inner.matmul(V.mH))


@operator(
    where="linalg",
    out=LAPACK,
    fields=("eigenvalues", "eigenvectors"),
    backward_name="LinalgEigBackward0",
    gradient={"A": _eig_grad},
)
def eig(A: Tensor) -> Any:
    """Complex eigenvalues and eigenvectors of square matrices."""
    check_square("linalg.eig", A)
    if not np.isfinite(A._array).all():
        raise RuntimeError("torch.linalg.eig: input tensor should not contain infs or NaNs.")
    d = A.dtype.to_complex()
    values, vectors = np.linalg.eig(A._array)
    return _Eig(rows(values.astype(d.numpy), d), columns(vectors.astype(d.numpy), d))


@composite(where="linalg", out=LAPACK)
def eigvals(A: Tensor) -> Tensor:
    """The complex eigenvalues of square matrices."""
    return eig(A)[0]
