"""Symmetric and Hermitian matrices that need not be positive: factored as P L D Lᵀ Pᵀ with D of
blocks of one and two rows (Bunch and Kaufman 1977, algorithm A), and solved.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.linalg.support import check_square, columns, raise_info, rows
from pellucid.ops.returns import return_type
from pellucid.ops.spec import NoGradient
from pellucid.tensor.dtype import int32
from pellucid.tensor.layout import broadcast_shapes
from pellucid.tensor.tensor import Tensor

_LdlEx = return_type("linalg_ldl_factor_ex", "LD pivots info")
_Ldl = return_type("linalg_ldl_factor", "LD pivots")
_ALPHA = (1 + math.sqrt(17)) / 8
_NONE = NoGradient("PyTorch has no derivative of it")

Array = np.ndarray


def _size(x: Any) -> Any:
    """|re| + |im|, by which LAPACK compares."""
    return np.abs(np.real(x)) + np.abs(np.imag(x))


def _pivot(A: Array, k: int) -> tuple[int, int] | None:
    """The row to exchange with and the size of the block at `k`; None if the column is zero."""
    n = len(A)
    here, below = _size(A[k, k]), _size(A[k + 1 :, k])
    largest = below.max(initial=0)
    if not max(here, largest) > 0 or np.isnan(here):
        return None
    if here >= _ALPHA * largest:
        return k, 1
    row = k + 1 + int(below.argmax())
    widest = max(
        _size(A[row, k:row]).max(initial=0),
        _size(A[row + 1 :, row]).max(initial=0) if row + 1 < n else 0,
    )
    if here >= _ALPHA * largest * (largest / widest):
        return k, 1
    return (row, 1) if _size(A[row, row]) >= _ALPHA * widest else (row, 2)


def _exchange(A: Array, k: int, p: int, block: int, hermitian: bool) -> None:
    """Exchange rows and columns `k + block - 1` and `p` of the lower triangle."""
    q = k + block - 1
    A[p + 1 :, [q, p]] = A[p + 1 :, [p, q]]
    column, row = A[q + 1 : p, q].copy(), A[p, q + 1 : p].copy()
    A[q + 1 : p, q], A[p, q + 1 : p] = (row.conj(), column.conj()) if hermitian else (row, column)
    if hermitian:
        A[p, q] = A[p, q].conj()
    A[q, q], A[p, p] = A[p, p], A[q, q]
    if block == 2:
        A[k + 1, k], A[p, k] = A[p, k], A[k + 1, k]


def _eliminate_one(A: Array, k: int, hermitian: bool) -> None:
    column = A[k + 1 :, k]
    right = column.conj() if hermitian else column
    A[k + 1 :, k + 1 :] -= np.tril(np.outer(column, right) / A[k, k])
    A[k + 1 :, k] = column / A[k, k]


def _eliminate_two(A: Array, k: int, hermitian: bool) -> None:
    block = np.array([[A[k, k], 0], [A[k + 1, k], A[k + 1, k + 1]]])
    block[0, 1] = block[1, 0].conj() if hermitian else block[1, 0]
    pair = A[k + 2 :, k : k + 2].copy()
    multipliers = np.linalg.solve(block.T, pair.T).T
    right = pair.conj() if hermitian else pair
    A[k + 2 :, k + 2 :] -= np.tril(multipliers @ right.T)
    A[k + 2 :, k : k + 2] = multipliers


def _factor(A: Array, hermitian: bool) -> tuple[Array, int]:
    """Factor the lower triangle `A` in place; its pivots as LAPACK counts them, and `info`."""
    n, k, info = len(A), 0, 0
    pivots = np.zeros(n, np.int32)
    while k < n:
        if hermitian:
            A[k, k] = A[k, k].real
        found = _pivot(A, k)
        if found is None:
            info, pivots[k] = info or k + 1, k + 1
            k += 1
            continue
        p, block = found
        if p != k + block - 1:
            _exchange(A, k, p, block, hermitian)
        if block == 1:
            _eliminate_one(A, k, hermitian)
            pivots[k] = p + 1
        else:
            _eliminate_two(A, k, hermitian)
            pivots[k : k + 2] = -(p + 1)
        if hermitian:
            diagonal = np.arange(n)
            A[diagonal, diagonal] = A[diagonal, diagonal].real
        k += block
    return pivots, info


def _unknown(where: str, info: int) -> str:
    return (
        f"torch.linalg.ldl_factor: {where}The factorization has an exact zero as block {info} of "
        "its diagonal, and cannot be used to solve a system."
    )


@operator(where="linalg", out=True, fields=("LD", "pivots", "info"), gradient=_NONE)
def ldl_factor_ex(A: Tensor, *, hermitian: bool = False, check_errors: bool = False) -> Any:
    """The factors of symmetric (Hermitian) matrices, of which the lower triangle is read.

    `LD` (*, n, n) holds D on its diagonal and L below it, `pivots` (*, n) LAPACK's account of the
    exchanges (negative twice for a block of two rows), `info` (*) 0 or the place of a zero in D.
    """
    check_square("torch.linalg.ldl_factor_ex", A)
    n, batch = A.shape[-1], tuple(A.shape[:-2])
    found = np.tril(A._array).reshape(math.prod(batch), n, n)
    pivots, info = np.zeros((len(found), n), np.int32), np.zeros(len(found), np.int32)
    if n:
        with np.errstate(all="ignore"):
            for i, matrix in enumerate(found):
                pivots[i], info[i] = _factor(matrix, hermitian and A.is_complex())
    if check_errors:
        raise_info(info, bool(batch), _unknown)
    return _LdlEx(
        columns(found.reshape(A.shape), A.dtype),
        rows(pivots.reshape(*batch, n), int32),
        rows(info.reshape(batch), int32),
    )


@composite(where="linalg", out=True)
def ldl_factor(A: Tensor, *, hermitian: bool = False) -> Any:
    """`ldl_factor_ex` that refuses singular matrices."""
    return _Ldl(*ldl_factor_ex(A, hermitian=hermitian, check_errors=True)[:2])


def _solve(LD: Array, pivots: Array, B: Array, hermitian: bool) -> None:
    """Solve in place: exchanges and L downwards, D, then L's transpose upwards."""
    n = len(LD)
    blocks, k = [], 0
    while k < n:
        size = 1 if pivots[k] > 0 else 2
        blocks.append((k, size, abs(int(pivots[k])) - 1))
        k += size
    for k, size, p in blocks:
        last = k + size - 1
        if p != last:
            B[[last, p]] = B[[p, last]]
        B[last + 1 :] -= LD[last + 1 :, k : last + 1] @ B[k : last + 1]
        D = np.tril(LD[k : last + 1, k : last + 1])
        if size == 2:
            D[0, 1] = D[1, 0].conj() if hermitian else D[1, 0]
        B[k : last + 1] = np.linalg.solve(D, B[k : last + 1]) if size == 2 else B[k] / D[0, 0]
    for k, size, p in reversed(blocks):
        last = k + size - 1
        lower = LD[last + 1 :, k : last + 1]
        B[k : last + 1] -= (lower.conj() if hermitian else lower).T @ B[last + 1 :]
        if p != last:
            B[[last, p]] = B[[p, last]]


def _check_solve(LD: Tensor, pivots: Tensor, B: Tensor) -> None:
    name = "torch.linalg.ldl_solve"
    check_square(name, LD, "LD")
    if B.dim() < 2:
        raise RuntimeError(
            f"{name}: Expected B to have at least 2 dimensions, but it has "
            f"{B.dim()} dimensions instead"
        )
    if LD.shape[-1] != B.shape[-2]:
        raise RuntimeError(
            f"Incompatible matrix sizes for {name}: each A matrix is {LD.shape[-1]} by "
            f"{LD.shape[-1]} but each b matrix is {B.shape[-2]} by {B.shape[-1]}"
        )
    if tuple(LD.shape[:-1]) != tuple(pivots.shape):
        raise RuntimeError(
            f"{name}: Expected LD.shape[:-1] and pivots.shape to be the same, but got pivots with "
            f"shape {list(pivots.shape)} instead"
        )
    if pivots.dtype.category != int32.category:
        raise RuntimeError(
            f"{name}: Expected pivots to be integers. Got {scalar_type(pivots.dtype)}"
        )
    if LD.dtype is not B.dtype:
        raise RuntimeError(
            "Expected b and A to have the same dtype, but found b of type "
            f"{scalar_type(B.dtype)} and A of type {scalar_type(LD.dtype)} instead."
        )


@operator(where="linalg", out=True, gradient=_NONE)
def ldl_solve(LD: Tensor, pivots: Tensor, B: Tensor, *, hermitian: bool = False) -> Tensor:
    """`X` with `A X = B`, where `ldl_factor` gave `LD` and `pivots` of A. Shape: as `B`, its batch
    broadcast with that of A.
    """
    _check_solve(LD, pivots, B)
    batch = broadcast_shapes(tuple(LD.shape[:-2]), tuple(B.shape[:-2]))
    n, count = LD.shape[-1], math.prod(batch)
    factors = np.broadcast_to(LD._array, (*batch, n, n)).reshape(count, n, n)
    order = np.broadcast_to(pivots._array, (*batch, n)).reshape(count, n)
    found = np.array(np.broadcast_to(B._array, (*batch, *B.shape[-2:])))
    if found.size:
        conjugate = hermitian and LD.is_complex()
        for i, right in enumerate(found.reshape(-1, *B.shape[-2:])):
            _solve(factors[i], order[i], right, conjugate)
    return columns(found, B.dtype)
