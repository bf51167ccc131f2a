"""Matrix kernels on arrays: NumPy's LAPACK called without its Python layers, and what it lacks.

NumPy offers no LU factorisation and no triangular solver. The LU here works on panels of columns
for all matrices of a batch at once, with matrix products for the bulk; a triangular system is
solved by halves.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

_PANEL = 32
_SMALL = 48


def _magnitude(array: np.ndarray) -> np.ndarray:
    """LAPACK's size of a number when it looks for a pivot: |re| + |im|."""
    if array.dtype.kind == "c":
        return np.abs(array.real) + np.abs(array.imag)
    return np.abs(array)


def lu_factor(
    matrices: np.ndarray, pivoting: bool = True
) -> tuple[np.ndarray, np.ndarray, np.ndarray]:
    """LU factors of a batch (..., m, n), packed in one matrix; rows exchanged by largest pivot.

    Returns `(LU, pivots, info)`: `pivots[..., i]` is the row (from 1, as in LAPACK) that was
    exchanged with row i, `info` the number of the first zero pivot, or 0.
    """
    lead = matrices.shape[:-2]
    m, n = matrices.shape[-2:]
    lu = np.array(matrices).reshape(math.prod(lead), m, n)
    k = min(m, n)
    pivots = np.broadcast_to(np.arange(k), (len(lu), k)).copy()
    info = np.zeros(len(lu), np.int32)
    batch = np.arange(len(lu))
    with np.errstate(all="ignore"):
        for start in range(0, k, _PANEL):
            stop = min(start + _PANEL, k)
            _factor_panel(lu, start, stop, pivots, info, batch, pivoting)
            if stop < n:
                corner = lu[:, start:stop, start:stop]
                right = solve_triangular(corner, lu[:, start:stop, stop:], False, unit=True)
                lu[:, start:stop, stop:] = right
                if stop < m:
                    lu[:, stop:, stop:] -= lu[:, stop:, start:stop] @ right
    pivots = (pivots + 1).astype(np.int32)
    return lu.reshape(*lead, m, n), pivots.reshape(*lead, k), info.reshape(lead)


def _factor_panel(
    lu: np.ndarray,
    start: int,
    stop: int,
    pivots: np.ndarray,
    info: np.ndarray,
    batch: np.ndarray,
    pivoting: bool,
) -> None:
    """Factor the columns from `start` to `stop`, exchanging whole rows."""
    for j in range(start, stop):
        if pivoting:
            chosen = j + _magnitude(lu[:, j:, j]).argmax(1)
            pivots[:, j] = chosen
            moving = lu[batch, chosen]
            lu[batch, chosen] = lu[:, j]
            lu[:, j] = moving
        pivot = lu[:, j, j]
        zero = pivot == 0
        info[zero & (info == 0)] = j + 1
        lu[:, j + 1 :, j] /= np.where(zero, 1, pivot)[:, None]
        if j + 1 < stop:
            lu[:, j + 1 :, j + 1 : stop] -= lu[:, j + 1 :, j, None] * lu[:, j, None, j + 1 : stop]


def permutation(pivots: np.ndarray, m: int) -> np.ndarray:
    """The order of rows that exchanges leave: row i of `P^T A` is row `order[..., i]` of `A`."""
    flat = pivots.reshape(math.prod(pivots.shape[:-1]), pivots.shape[-1]).astype(np.int64) - 1
    order = np.broadcast_to(np.arange(m), (len(flat), m)).copy()
    batch = np.arange(len(flat))
    for i in range(flat.shape[1]):
        other = flat[:, i]
        moving = order[batch, other]
        order[batch, other] = order[:, i]
        order[:, i] = moving
    return order.reshape(*pivots.shape[:-1], m)


def permutation_matrix(pivots: np.ndarray, m: int, d: np.dtype[Any]) -> np.ndarray:
    """`P` with `A = P L U`."""
    return np.eye(m, dtype=d)[permutation(pivots, m)].swapaxes(-1, -2)


def solve_triangular(
    a: np.ndarray, b: np.ndarray, upper: bool, *, unit: bool = False
) -> np.ndarray:
    """`X` with `A X = B` for triangular `A` (..., n, n), of which one triangle is read.

    A zero on the diagonal gives infinities and NaNs, as LAPACK's `trtrs` does unchecked.
    """
    n = a.shape[-1]
    if n > _SMALL:
        half = n // 2
        top, bottom = slice(None, half), slice(half, None)
        first, last = (bottom, top) if upper else (top, bottom)
        x_first = solve_triangular(a[..., first, first], b[..., first, :], upper, unit=unit)
        rest = b[..., last, :] - a[..., last, first] @ x_first
        x_last = solve_triangular(a[..., last, last], rest, upper, unit=unit)
        return np.concatenate([x_last, x_first] if upper else [x_first, x_last], -2)
    diagonal = np.diagonal(a, axis1=-2, axis2=-1)[..., None]
    if n > 2 and (unit or diagonal.all()):
        return _solve_small(a, b, upper, unit)
    shape = np.broadcast_shapes(a.shape[:-2], b.shape[:-2])
    x = np.array(np.broadcast_to(b, (*shape, *b.shape[-2:])))
    for i in range(n - 1, -1, -1) if upper else range(n):
        if not unit:
            x[..., i, :] /= diagonal[..., i, :]
        if upper and i:
            x[..., :i, :] -= a[..., :i, i, None] * x[..., i, None, :]
        elif not upper and i + 1 < n:
            x[..., i + 1 :, :] -= a[..., i + 1 :, i, None] * x[..., i, None, :]
    return x


def _solve_small(a: np.ndarray, b: np.ndarray, upper: bool, unit: bool) -> np.ndarray:
    """A triangular system by the general solver, which finds nothing to eliminate.

    Below the diagonal of an upper triangle are zeros: no rows are exchanged, the factor `L` is the
    identity, and only the substitution is left. A lower triangle is one read backwards.
    """
    triangle = np.triu(a) if upper else np.tril(a)
    if unit:
        places = np.arange(a.shape[-1])
        triangle[..., places, places] = 1
    if upper:
        return np.linalg.solve(triangle, b)
    turned = np.linalg.solve(triangle[..., ::-1, ::-1], b[..., ::-1, :])
    return turned[..., ::-1, :]


def lu_solve(lu: np.ndarray, pivots: np.ndarray, b: np.ndarray, adjoint: bool) -> np.ndarray:
    """`X` with `A X = B` (or `A^H X = B`) from the LU factors of `A`."""
    order = permutation(pivots, lu.shape[-1])
    shape = np.broadcast_shapes(lu.shape[:-2], b.shape[:-2])
    b = np.broadcast_to(b, (*shape, *b.shape[-2:]))
    order = np.broadcast_to(order, (*shape, order.shape[-1]))[..., None]
    if not adjoint:
        b = np.take_along_axis(b, order, -2)
        return solve_triangular(lu, solve_triangular(lu, b, False, unit=True), True)
    turned = lu.conj().swapaxes(-1, -2)
    x = solve_triangular(turned, solve_triangular(turned, b, False), True, unit=True)
    out = np.empty_like(x)
    np.put_along_axis(out, order, x, -2)
    return out


def cholesky_info(matrices: np.ndarray) -> np.ndarray:
    """For each matrix the order of the first leading minor that is not positive, or 0.

    Looked up only when a factorisation has failed: minors are tried by bisection.
    """
    flat = matrices.reshape(math.prod(matrices.shape[:-2]), *matrices.shape[-2:])
    info = np.zeros(len(flat), np.int32)
    for number, matrix in enumerate(flat):
        low, high = 0, matrix.shape[-1]
        if _positive(matrix):
            continue
        while high - low > 1:
            middle = (low + high) // 2
            if _positive(matrix[:middle, :middle]):
                low = middle
            else:
                high = middle
        info[number] = high
    return info.reshape(matrices.shape[:-2])


def _positive(matrix: np.ndarray) -> bool:
    try:
        return bool(np.isfinite(np.linalg.cholesky(matrix)).all())
    except np.linalg.LinAlgError:
        return False


def cholesky(matrices: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Lower factors of Hermitian matrices, of which the lower triangle is read, and `info`."""
    try:
        found = np.linalg.cholesky(matrices)
        return found, np.zeros(matrices.shape[:-2], np.int32)
    except np.linalg.LinAlgError:
        pass
    info = cholesky_info(matrices)
    found = np.array(np.tril(matrices))
    good = info == 0
    if good.any():
        found[good] = np.linalg.cholesky(matrices[good])
    return found, info


def expm(matrices: np.ndarray) -> np.ndarray:
    """Matrix exponentials: halved until small, a series, then squared as often."""
    size = np.abs(matrices).sum(-2).max(-1, initial=0)
    with np.errstate(all="ignore"):
        halvings = np.ceil(np.log2(np.maximum(size, 1e-300) / 0.5))
    halvings = np.maximum(np.nan_to_num(halvings, nan=0, posinf=0), 0).astype(int)
    wide = np.complex128 if matrices.dtype.kind == "c" else np.float64
    scaled = matrices.astype(wide) / (2.0**halvings)[..., None, None]
    term = np.broadcast_to(np.eye(matrices.shape[-1], dtype=wide), matrices.shape)
    total = term.copy()
    for power in range(1, 19):
        term = term @ scaled / power
        total += term
    for step in range(int(halvings.max(initial=0))):
        again = (halvings > step)[..., None, None]
        total = np.where(again, total @ total, total)
    return total
