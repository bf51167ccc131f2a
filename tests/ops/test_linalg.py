"""Products, norms, factorisations and solvers against PyTorch, and against their definitions."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest
from hypothesis import strategies as st

import pellucid
from pellucid.ops.linalg import kernels
from tests.ops.sides import agree, drawn, numbers, with_gradients

linalg = pellucid.linalg


def positive(*shape: int, dtype: str = "float64") -> np.ndarray:
    """Positive-definite matrices."""
    a = numbers(*shape)
    if np.dtype(dtype).kind == "c":
        a = a + 1j * numbers(*shape, seed=5)
    return (a @ a.conj().swapaxes(-1, -2) + 2 * np.eye(shape[-1])).astype(dtype)


def general(*shape: int, dtype: str = "float64") -> np.ndarray:
    """Well-conditioned matrices."""
    a = numbers(*shape) + 3 * np.eye(*shape[-2:])
    if np.dtype(dtype).kind == "c":
        a = a + 1j * numbers(*shape, seed=3)
    return a.astype(dtype)


# --- products -------------------------------------------------------------------------------------

PRODUCTS: list[tuple[str, Any, tuple[tuple[int, ...], ...]]] = [
    ("mm", lambda lib, a, b: a.mm(b), ((2, 3), (3, 4))),
    ("bmm", lambda lib, a, b: a.bmm(b), ((5, 2, 3), (5, 3, 4))),
    ("mv", lambda lib, a, b: a.mv(b), ((2, 3), (3,))),
    ("dot", lambda lib, a, b: a.dot(b), ((3,), (3,))),
    ("vdot", lambda lib, a, b: lib.vdot(a, b), ((3,), (3,))),
    ("outer", lambda lib, a, b: lib.outer(a, b), ((2,), (3,))),
    ("inner", lambda lib, a, b: lib.inner(a, b), ((2, 3), (4, 3))),
    ("kron", lambda lib, a, b: lib.kron(a, b), ((2, 3), (2, 2))),
    ("tensordot", lambda lib, a, b: lib.tensordot(a, b, ([0, 2], [1, 0])), ((2, 3, 4), (4, 2, 5))),
    ("addmm", lambda lib, a, b, c: lib.addmm(a, b, c, beta=0.5, alpha=2), ((4,), (2, 3), (3, 4))),
    ("addmv", lambda lib, a, b, c: lib.addmv(a, b, c, alpha=2), ((2,), (2, 3), (3,))),
    ("addbmm", lambda lib, a, b, c: lib.addbmm(a, b, c), ((2, 4), (5, 2, 3), (5, 3, 4))),
    ("baddbmm", lambda lib, a, b, c: lib.baddbmm(a, b, c), ((2, 4), (5, 2, 3), (5, 3, 4))),
    ("addr", lambda lib, a, b, c: lib.addr(a, b, c, beta=2), ((2, 3), (2,), (3,))),
    ("linear", lambda lib, *t: lib.nn.functional.linear(*t), ((2, 5, 3), (4, 3), (4,))),
    ("bilinear", lambda lib, *t: lib.nn.functional.bilinear(*t), ((2, 3), (2, 4), (5, 3, 4), (5,))),
    ("multi_dot", lambda lib, *t: lib.linalg.multi_dot(t), ((2, 3), (3, 9), (9, 4), (4,))),
    ("cross", lambda lib, a, b: lib.linalg.cross(a, b, dim=0), ((3, 2), (3, 1))),
    ("vecdot", lambda lib, a, b: lib.linalg.vecdot(a, b), ((4, 3), (3,))),
]


@pytest.mark.parametrize(("name", "program", "shapes"), PRODUCTS, ids=[p[0] for p in PRODUCTS])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_products_and_two_orders_of_gradients(
    name: str, program: Any, shapes: tuple[tuple[int, ...], ...], dtype: str
) -> None:
    arrays = [numbers(*s, seed=i).astype(dtype) for i, s in enumerate(shapes)]
    if dtype == "complex128":
        if name == "bilinear":
            return  # PyTorch has it for real numbers only
        arrays = [a + 1j * numbers(*a.shape, seed=9) for a in arrays]
    agree(with_gradients(program, 2), *arrays, grad=True)


_vectors = st.sampled_from([(3,), (2, 3), (5, 2, 3), (1, 2, 3), (4, 1, 2, 3), (2, 5, 2, 3)])
_columns = st.sampled_from([(3,), (3, 2), (5, 3, 2), (1, 3, 4), (4, 1, 3, 2), (1, 5, 3, 1)])


@drawn(_vectors, _columns, st.sampled_from(["float32", "int64"]), examples=60)
def test_matmul_of_any_ranks(a: tuple[int, ...], b: tuple[int, ...], dtype: str) -> None:
    agree(lambda lib, a, b: a @ b, numbers(*a, dtype=dtype), numbers(*b, dtype=dtype))
    agree(
        lambda lib, a, b: a.mT.contiguous().mT @ b if a.dim() > 1 else a @ b,
        numbers(*a, dtype=dtype),
        numbers(*b, dtype=dtype),
    )


@pytest.mark.parametrize(
    "program",
    [
        lambda lib, a, b: a @ b,
        lambda lib, a, b: a.mm(b),
        lambda lib, a, b: a @ b.mT.double(),
        lambda lib, a, b: a.sum() @ b,
        lambda lib, a, b: lib.dot(a[0], b),
        lambda lib, a, b: lib.bmm(a, b),
        lambda lib, a, b: lib.nn.functional.linear(a, b.mT),
        lambda lib, a, b: lib.outer(a, b),
        lambda lib, a, b: lib.linalg.multi_dot([a]),
        lambda lib, a, b: lib.tensordot(a, b, 2),
    ],
)
def test_products_that_do_not_fit(program: Any) -> None:
    seen = agree(program, numbers(2, 3, dtype="float32"), numbers(4, 3, dtype="float32"))
    assert seen[0] == "RuntimeError"


def test_products_with_what_is_no_tensor() -> None:
    x = pellucid.ones(2, 2)
    with pytest.raises(TypeError, match="unsupported operand type"):
        x @ 2
    with pytest.raises(TypeError, match=r"mm\(\): argument 'mat2' .* must be Tensor, not int"):
        x.mm(3)
    with pytest.raises(TypeError, match=r"matmul\(\): argument 'other' .* must be Tensor"):
        pellucid.matmul(x, [1, 2])


# --- norms ----------------------------------------------------------------------------------------


@pytest.mark.parametrize("order", [0, 0.5, 1, 1.5, 2, 3, math.inf, -math.inf, -1])
@pytest.mark.parametrize("dim", [None, 1, (0, 1)])
def test_vector_norms(order: float, dim: Any) -> None:
    def program(lib: Any, x: Any) -> Any:
        return lib.linalg.vector_norm(x, order, dim)

    agree(with_gradients(program), numbers(3, 4), grad=True)


@pytest.mark.parametrize("order", [1, 2, math.inf])
def test_norms_of_zero_have_a_gradient(order: float) -> None:
    agree(with_gradients(lambda lib, x: x.norm(order)), np.zeros(3), grad=True)


@pytest.mark.parametrize("order", ["fro", "nuc", 1, -1, 2, -2, math.inf, -math.inf])
def test_matrix_norms(order: Any) -> None:
    agree(
        with_gradients(lambda lib, x: lib.linalg.matrix_norm(x, order)), numbers(2, 3, 4), grad=True
    )
    agree(lambda lib, x: lib.linalg.norm(x, order, (0, 2), True), numbers(3, 2, 3))


def test_distances() -> None:
    a, b = numbers(2, 5, 3), numbers(2, 4, 3, seed=1)
    for p in (0.0, 1.0, 2.0, 3.0, math.inf):
        agree(with_gradients(lambda lib, a, b, p=p: lib.cdist(a, b, p)), a, b, grad=True)
    far = numbers(30, 3), numbers(28, 3)
    agree(with_gradients(lambda lib, a, b: lib.cdist(a, b)), *far, grad=True)
    agree(with_gradients(lambda lib, a, b: lib.dist(a, b, 3)), a[:, :4], b, grad=True)
    agree(with_gradients(lambda lib, a: a.renorm(2, 1, 0.5), 2), a, grad=True)


# --- factorisations -------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
@pytest.mark.parametrize("shape", [(4, 4), (2, 3, 3)])
def test_functions_of_square_matrices(shape: tuple[int, ...], dtype: str) -> None:
    a = general(*shape, dtype=dtype)
    for name in ("inv", "det", "matrix_exp"):
        agree(with_gradients(lambda lib, a, n=name: getattr(lib.linalg, n)(a), 2), a, grad=True)
    agree(with_gradients(lambda lib, a: lib.linalg.slogdet(a)[1], 2), a, grad=True)
    agree(with_gradients(lambda lib, a: lib.linalg.cholesky(a @ a.mH), 2), a, grad=True)
    agree(with_gradients(lambda lib, a: lib.linalg.eigvalsh(a + a.mH), 2), a, grad=True)
    agree(with_gradients(lambda lib, a: lib.linalg.matrix_power(a, -3)), a, grad=True)
    agree(with_gradients(lambda lib, a: list(lib.linalg.lu(a))[1:]), a, grad=True)
    agree(with_gradients(lambda lib, a: lib.linalg.eigvals(a).abs().sum()), a, grad=True)


@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
def test_rectangular_matrices(shape: tuple[int, ...]) -> None:
    a = general(*shape)
    agree(with_gradients(lambda lib, a: lib.linalg.svdvals(a), 2), a, grad=True)
    agree(with_gradients(lambda lib, a: lib.linalg.pinv(a), 2), a, grad=True)
    agree(with_gradients(lambda lib, a: lib.linalg.svd(a, False)[0].abs()), a, grad=True)
    agree(with_gradients(lambda lib, a: [t.abs() for t in lib.linalg.qr(a)]), a, grad=True)
    agree(with_gradients(lambda lib, a: list(lib.linalg.lu(a))[1:]), a, grad=True)
    agree(lambda lib, a: lib.linalg.matrix_rank(a), a)


@pytest.mark.parametrize("dtype", ["float32", "float64", "complex64", "complex128"])
@pytest.mark.parametrize("shape", [(4, 4), (5, 3), (3, 5), (2, 4, 3)])
def test_factors_multiply_to_the_matrix(shape: tuple[int, ...], dtype: str) -> None:
    a = pellucid.from_numpy(general(*shape, dtype=dtype))
    U, S, Vh = linalg.svd(a, full_matrices=False)
    Q, R = linalg.qr(a)
    P, L, V = linalg.lu(a)
    rebuilt = [(U * S.unsqueeze(-2)) @ Vh, Q @ R, P @ L @ V]
    for whole in rebuilt:
        np.testing.assert_allclose(whole.numpy(), a.numpy(), rtol=2e-4, atol=2e-4)
    columns = Q.shape[-1]
    orthogonal = (Q.mH @ Q).numpy()
    np.testing.assert_allclose(
        orthogonal, np.broadcast_to(np.eye(columns), orthogonal.shape), atol=1e-5
    )


@pytest.mark.parametrize("n", [1, 7, 33, 100])
@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_lu_of_larger_matrices(n: int, dtype: str) -> None:
    """Sizes around a panel of columns and a stretch of the triangular solver."""
    a = numbers(2, n, n).astype(dtype)
    lu, pivots, info = kernels.lu_factor(a)
    order = kernels.permutation(pivots, n)
    L, U = np.tril(lu, -1) + np.eye(n), np.triu(lu)
    np.testing.assert_allclose(L @ U, np.take_along_axis(a, order[..., None], 1), atol=1e-10)
    assert np.abs(L).max() <= 1 and not info.any()
    b = numbers(2, n, 3).astype(dtype)
    np.testing.assert_allclose(a @ kernels.lu_solve(lu, pivots, b, False), b, atol=1e-6)
    turned = a.conj().swapaxes(-1, -2)
    np.testing.assert_allclose(turned @ kernels.lu_solve(lu, pivots, b, True), b, atol=1e-6)
    for upper, triangle in ((False, L), (True, U)):
        x = kernels.solve_triangular(triangle, triangle @ b, upper)
        np.testing.assert_allclose(x, b, atol=1e-5)


# --- solving --------------------------------------------------------------------------------------


@pytest.mark.parametrize("dtype", ["float64", "complex128"])
def test_solvers_and_their_gradients(dtype: str) -> None:
    a, b = general(2, 4, 4, dtype=dtype), numbers(2, 4, 3).astype(dtype)
    agree(with_gradients(lambda lib, a, b: lib.linalg.solve(a, b), 2), a, b, grad=True)
    agree(with_gradients(lambda lib, a, b: lib.linalg.solve(a, b.mT, left=False)), a, b, grad=True)
    for upper in (False, True):
        for unit in (False, True):
            agree(
                with_gradients(
                    lambda lib, a, b, u=upper, v=unit: lib.linalg.solve_triangular(
                        a, b, upper=u, unitriangular=v
                    ),
                    2,
                ),
                a,
                b,
                grad=True,
            )
    agree(with_gradients(lambda lib, a, b: lib.cholesky_solve(b, a.tril())), a, b, grad=True)
    for left in (False, True):
        for adjoint in (False, True):
            agree(
                with_gradients(
                    lambda lib, a, b, left=left, adjoint=adjoint: lib.linalg.lu_solve(
                        *lib.linalg.lu_factor(a),
                        b if left else b.mT.contiguous(),
                        left=left,
                        adjoint=adjoint,
                    ),
                    2,
                ),
                a,
                b,
                grad=True,
            )


def test_least_squares() -> None:
    a, b = general(5, 3), numbers(5, 2)
    agree(lambda lib, a, b: list(lib.linalg.lstsq(a, b, driver="gelsd")), a, b)
    agree(with_gradients(lambda lib, a, b: lib.linalg.lstsq(a, b).solution, 2), a, b, grad=True)


def test_vectors_on_the_right() -> None:
    a, b = general(2, 4, 4), numbers(2, 4)
    agree(with_gradients(lambda lib, a, b: lib.linalg.solve(a, b)), a, b, grad=True)
    agree(with_gradients(lambda lib, a, b: lib.linalg.solve(a[0], b[0])), a, b, grad=True)


def test_tensors_as_matrices() -> None:
    a = numbers(2, 3, 6)
    agree(with_gradients(lambda lib, a: lib.linalg.tensorinv(a)), a, grad=True)
    agree(lambda lib, a, b: lib.linalg.tensorsolve(a, b), a, numbers(2, 3))


def test_determinant_of_singular_matrices() -> None:
    a = numbers(3, 3)
    a[2] = a[0] + a[1]
    b = np.diag([1.0, 0, 0])
    for x in (a, b, np.zeros((2, 2))):
        agree(with_gradients(lambda lib, x: lib.linalg.det(x) + x.sum()), x, grad=True)


# --- refusals -------------------------------------------------------------------------------------


def test_singular_and_indefinite_matrices() -> None:
    singular = np.ones((2, 3, 3))
    singular[0] = np.eye(3)
    indefinite = np.diag([1.0, 2, -1])
    for program, x in (
        (lambda lib, a: lib.linalg.inv(a), singular),
        (lambda lib, a: lib.linalg.inv(a[1]), singular),
        (lambda lib, a: lib.linalg.solve(a, a), singular),
        (lambda lib, a: lib.linalg.cholesky(a), indefinite),
    ):
        seen = agree(program, x)
        assert seen[0] in ("LinAlgError", "_LinAlgError")
    with pytest.raises(pellucid.linalg.LinAlgError, match="singular"):
        linalg.inv(pellucid.zeros(2, 2))
    assert issubclass(pellucid.linalg.LinAlgError, RuntimeError)
    agree(lambda lib, a: [lib.linalg.inv_ex(a).info, lib.linalg.cholesky_ex(a).info], singular)


@pytest.mark.parametrize(
    "program",
    [
        lambda lib, a: lib.linalg.inv(a),
        lambda lib, a: lib.linalg.inv(a.long()),
        lambda lib, a: lib.linalg.inv(a.half()),
        lambda lib, a: lib.linalg.det(a[0]),
        lambda lib, a: lib.linalg.svd(a[0]),
        lambda lib, a: lib.linalg.solve(a.mT @ a, a),
        lambda lib, a: lib.linalg.cholesky(a),
        lambda lib, a: lib.linalg.matrix_norm(a, "two"),
        lambda lib, a: lib.linalg.norm(a, 2, (0, 1, 1)),
        lambda lib, a: lib.linalg.qr(a, "full"),
        lambda lib, a: lib.linalg.lstsq(a, a, driver="magic"),
        lambda lib, a: lib.linalg.householder_product(a, a[0]),
    ],
)
def test_refusals(program: Any) -> None:
    assert agree(program, numbers(2, 3))[0] == "RuntimeError"


def test_named_results() -> None:
    found = linalg.eigh(pellucid.eye(2))
    assert found._fields == ("eigenvalues", "eigenvectors")
    assert repr(found).startswith("torch.return_types.linalg_eigh(\neigenvalues=tensor(")
