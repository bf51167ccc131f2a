"""A few singular values of large matrices from random projections: `svd_lowrank`, `pca_lowrank`.

Halko, Martinsson and Tropp, "Finding structure with randomness" (2009), algorithms 4.4 and 5.1.
"""

from __future__ import annotations

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite
from pellucid.tensor.tensor import Tensor


def _basis(A: Tensor, q: int, niter: int, M: Tensor | None) -> Tensor:
    """`q` orthonormal columns that nearly span those of A − M (algorithm 4.4)."""

    def times(matrix: Tensor, mean: Tensor | None, right: Tensor) -> Tensor:
        found = F.matmul(matrix, right)
        return found if mean is None else found - F.matmul(mean, right)

    Q = F.linalg.qr(times(A, M, F.randn(A.shape[-1], q, dtype=A.dtype)))[0]
    for _ in range(niter):
        Q = F.linalg.qr(times(A.mH, None if M is None else M.mH, Q))[0]
        Q = F.linalg.qr(times(A, M, Q))[0]
    return Q


@composite(where="torch")
def svd_lowrank(
    A: Tensor, q: int | None = 6, niter: int | None = 2, M: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """`(U, S, V)` with A − M near U diag(S) Vᴴ: about the `q` largest singular values.

    Shapes: `(*, m, n)` gives `(*, m, q)`, `(*, q)` and `(*, n, q)`. Random: set a seed for the same
    answer twice; `niter` rounds of iteration sharpen it.
    """
    q = 6 if q is None else q
    wide = A.shape[-2] < A.shape[-1]
    if M is not None:
        M = M.broadcast_to(A.shape)
    if wide:
        A, M = A.mH, None if M is None else M.mH
    Q = _basis(A, q, 2 if niter is None else niter, M)
    B = F.matmul(Q.mH, A)
    if M is not None:
        B = B - F.matmul(Q.mH, M)
    U, S, Vh = F.linalg.svd(B, full_matrices=False)
    U, V = Q.matmul(U), Vh.mH
    return (V, S, U) if wide else (U, S, V)


@composite(where="torch")
def pca_lowrank(
    A: Tensor, q: int | None = None, center: bool = True, niter: int = 2
) -> tuple[Tensor, Tensor, Tensor]:
    """Principal components: `svd_lowrank` of A without the mean of its rows, unless `center` says
    that it has none.
    """
    m, n = A.shape[-2:]
    if q is None:
        q = min(6, m, n)
    elif not 0 <= q <= min(m, n):
        raise ValueError(
            f"q(={q}) must be non-negative integer and not greater than min(m, n)={min(m, n)}"
        )
    if niter < 0:
        raise ValueError(f"niter(={niter}) must be non-negative integer")
    return svd_lowrank(A - A.mean(dim=(-2,), keepdim=True) if center else A, q, niter)
