"""Least squares: `linalg.lstsq`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.linalg.support import (
    LAPACK,
    by_columns,
    check_floating,
    rows,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int64
from pellucid.tensor.layout import narrow, squeeze
from pellucid.tensor.tensor import Tensor, empty, make

_Lstsq = return_type("linalg_lstsq", "solution residuals rank singular_values")


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
