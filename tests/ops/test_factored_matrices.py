"""Factors in LAPACK's own form: reflections, indefinite factors, low-rank approximations."""

from __future__ import annotations

import pytest

import pellucid as torch


def test_reflections_give_q_and_r() -> None:
    """`geqrf`, `householder_product`, `ormqr` and `linalg.qr` describe one factorisation."""
    A = torch.randn(2, 5, 3, dtype=torch.float64)
    a, tau = torch.geqrf(A)
    Q = torch.linalg.householder_product(a, tau)
    R = a[..., :3, :].triu()
    assert torch.allclose(Q @ R, A)
    assert torch.allclose(torch.ormqr(a, tau, A, transpose=True)[..., :3, :], R)


@pytest.mark.parametrize("hermitian", [False, True])
@pytest.mark.parametrize("kind", ["float64", "complex128"])
def test_an_indefinite_system_is_solved(kind: str, hermitian: bool) -> None:
    """Zeros on the diagonal need blocks of two rows."""
    dtype = getattr(torch, kind)
    for size in range(1, 9):
        A = torch.randn(3, size, size, dtype=dtype)
        A = A + (A.mH if hermitian else A.mT)
        A.diagonal(dim1=-2, dim2=-1)[..., ::2] = 0 if size > 1 else 1
        B = torch.randn(3, size, 2, dtype=dtype)
        LD, pivots = torch.linalg.ldl_factor(A, hermitian=hermitian)
        X = torch.linalg.ldl_solve(LD, pivots, B, hermitian=hermitian)
        assert torch.allclose(A @ X, B, atol=1e-8)


def test_a_singular_matrix_has_no_indefinite_factors() -> None:
    """`ldl_factor` refuses it, `ldl_factor_ex` says where the zero stands."""
    assert torch.linalg.ldl_factor_ex(torch.zeros(2, 2)).info.item() == 1
    with pytest.raises(RuntimeError, match="exact zero as block 1"):
        torch.linalg.ldl_factor(torch.zeros(2, 2))


def test_a_matrix_of_low_rank_is_found_again() -> None:
    """Random projections catch all of a matrix of rank 3."""
    A = torch.randn(30, 3, dtype=torch.float64) @ torch.randn(3, 20, dtype=torch.float64)
    U, S, V = torch.svd_lowrank(A, q=5)
    assert torch.allclose(U @ torch.diag(S) @ V.mH, A)
    U, S, V = torch.pca_lowrank(A, q=4)
    assert torch.allclose(U @ torch.diag(S) @ V.mH, A - A.mean(0))
    with pytest.raises(ValueError, match=r"q\(=21\) must be non-negative integer"):
        torch.pca_lowrank(A, q=21)
