"""Norms and distances: `linalg.vector_norm`, `linalg.matrix_norm`, `norm`, `dist`, `cdist`, …

`vector_norm` computes; the others are made of it and of singular values.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import dims_of
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.inplace import scalar_type
from pellucid.ops.linalg.support import check_floating, check_matrix
from pellucid.ops.reductions.reduce import Axes, add_up, plan_of, run, unreduce, work_array
from pellucid.tensor.dtype import FLOATING, dtype
from pellucid.tensor.layout import contiguous, normalize_dims
from pellucid.tensor.tensor import Tensor, adopt


def _check_dtype(name: str, input: Tensor, d: dtype | None) -> dtype:
    """The dtype to compute in. Raises RuntimeError for one that would lose information."""
    check_floating(name, input, half=True)
    if d is None:
        return input.dtype
    if d.category < FLOATING:
        raise RuntimeError(
            f"{name}: dtype should be floating point or complex, but got {scalar_type(d)}"
        )
    if d.is_complex is not input.dtype.is_complex:
        kind = "complex" if input.dtype.is_complex else "real"
        raise RuntimeError(
            f"{name}: dtype should be {kind} for {kind} inputs, but got {scalar_type(d)}"
        )
    if F.promote_types(input.dtype, d) is not d:
        raise RuntimeError(
            f"{name}: the dtype of the input ({scalar_type(input.dtype)}) should be convertible "
            f"without narrowing to the specified dtype ({scalar_type(d)})"
        )
    return d


def _norm_of(order: float) -> Any:
    """The function that reduces magnitudes to their norm of this order."""

    def compute(array: np.ndarray, axes: Axes, out: np.ndarray) -> None:
        if order == math.inf:
            np.maximum.reduce(array, axis=axes, out=out, keepdims=True, initial=0)
        elif order == -math.inf:
            np.minimum.reduce(array, axis=axes, out=out, keepdims=True)
        elif order == 0:
            add_up((array != 0).astype(out.dtype), axes, out)
        elif order == 1:
            add_up(array, axes, out)
        elif order == 2:
            add_up(np.multiply(array, array), axes, out)
            np.sqrt(out, out=out)
        else:
            add_up(np.power(array, array.dtype.type(order)), axes, out)
            np.power(out, out.dtype.type(1 / order), out=out)

    return compute


def _vector_norm_grad(grad: Any, input: Any, out: Any, ord: Any, dim: Any, keepdim: bool) -> Any:
    """PyTorch's gradient: zero at zero for orders from 1, shared among equal extremes."""
    grad = unreduce(grad, input.shape, dim, keepdim)
    norm = unreduce(out, input.shape, dim, keepdim)
    if ord == 0:
        return None
    if ord == 1:
        return F.sgn(input) * grad
    if ord == 2:
        return grad * (input / norm).masked_fill(norm == 0, 0)
    magnitude = input.abs()
    if math.isinf(ord):
        mask = (magnitude == norm).logical_or(F.isnan(magnitude))
        return F.sgn(input) * ((grad / mask.sum(dim, keepdim=True)) * mask)
    if ord < 1:
        scaled = F.sgn(input) * magnitude.pow(ord - 1).masked_fill(input == 0, 0)
        return scaled * grad * norm.pow(1 - ord)
    factor = (grad / norm.pow(ord - 1)).masked_fill(norm == 0, 0)
    if ord < 2:
        return F.sgn(input) * magnitude.pow(ord - 1).masked_fill(input == 0, 0) * factor
    return input * magnitude.pow(ord - 2) * factor


@operator(where="linalg", out=True, gradient={"input": _vector_norm_grad})
def vector_norm(
    input: Tensor,
    ord: Any = 2,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Tensor:
    """`(sum of |x|**ord)**(1/ord)` over `dim`, all dimensions if None.

    Orders inf, -inf and 0 are the largest and smallest magnitude and the count of nonzeros.
    """
    d = _check_dtype("linalg.vector_norm", input, dtype)
    if isinstance(dim, (list, tuple)) and not len(dim):
        dim = None
    plan = plan_of(input, dim, keepdim, "linalg_vector_norm")
    order = float(ord)
    if plan.each == 0 and (order < 0 or order == math.inf):
        text = f"linalg.vector_norm cannot compute the {ord} norm on "
        if dim is None:
            text += "an empty tensor because the operation does not have an identity"
        else:
            text += (
                "the dimension because this dimension is empty and the operation does not have an "
                "identity"
            )
        raise RuntimeError(text)
    array = work_array(input, d)
    signed = array.dtype.kind == "c" or order not in (0, 2)
    return run(plan, np.abs(array) if signed else array, d.to_real(), _norm_of(order))


_vector_norm_body: Any = vector_norm.spec.body  # type: ignore[attr-defined]


def _two_dims(input: Tensor, dim: Any) -> tuple[int, int]:
    dims = tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if len(dims) != 2:
        raise RuntimeError(
            f"linalg.matrix_norm: dim must be a 2-tuple. Got {' '.join(map(str, dims))}"
        )
    first, second = (normalize_dims((d,), input.dim())[0] for d in dims)
    if first == second:
        raise RuntimeError(
            f"linalg.matrix_norm: dims must be different. Got ({dims[0]}, {dims[1]})"
        )
    return first, second


@composite(where="linalg", out=True)
def matrix_norm(
    input: Tensor,
    ord: Any = "fro",
    dim: Any = (-2, -1),
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Tensor:
    """A norm of matrices: "fro", "nuc", 1 and -1 (columns), inf and -inf (rows), 2 and -2
    (singular values).
    """
    name = "linalg.matrix_norm"
    check_matrix(name, input)
    check_floating(name, input, half=True)
    first, second = _two_dims(input, dim)
    if isinstance(ord, str):
        if ord not in ("fro", "nuc"):
            raise RuntimeError(f"{name}: Order {ord} not supported.")
        if ord == "fro":
            return vector_norm(input, 2, (first, second), keepdim, dtype=dtype)
        values = _singular_values(input, first, second, dtype)
        return _kept(values.sum(-1), first, second, keepdim)
    if abs(ord) not in (1, 2, math.inf):
        raise RuntimeError(f"{name}: Order {ord} not supported.")
    smallest = ord < 0
    if abs(ord) == 2:
        values = _singular_values(input, first, second, dtype)
        return _kept(_extreme(values, -1, False, smallest), first, second, keepdim)
    if abs(ord) == math.inf:
        first, second = second, first
    sums = vector_norm(input, 1, first, keepdim, dtype=dtype)
    if not keepdim and first < second:
        second -= 1
    return _extreme(sums, second, keepdim, smallest)


def _extreme(values: Tensor, dim: int, keepdim: bool, smallest: bool) -> Tensor:
    """The smallest or largest of numbers that are not negative; the largest of none is 0."""
    if smallest:
        return values.amin(dim, keepdim)
    return values.amax(dim, keepdim) if values.shape[dim] else values.sum(dim, keepdim)


def _singular_values(input: Tensor, first: int, second: int, d: dtype | None) -> Tensor:
    matrices = input if d is None else input.to(d)
    return F.linalg.svdvals(matrices.movedim((first, second), (-2, -1)))


def _kept(values: Tensor, first: int, second: int, keepdim: bool) -> Tensor:
    if not keepdim:
        return values
    return values.unsqueeze(-1).unsqueeze(-1).movedim((-2, -1), (first, second))


@composite(where="linalg", out=True, name="norm")
def linalg_norm(
    input: Tensor,
    ord: Any = None,
    dim: Any = None,
    keepdim: bool = False,
    *,
    dtype: dtype | None = None,
) -> Tensor:
    """`vector_norm` over one dimension or of everything, `matrix_norm` over two."""
    dims = None if dim is None else tuple(dim) if isinstance(dim, (tuple, list)) else (dim,)
    if dims is not None and len(dims) not in (1, 2):
        raise RuntimeError(
            f"linalg.norm: If dim is specified, it must be of length 1 or 2. Got {list(dims)}"
        )
    if ord is None:
        return vector_norm(input, 2, dims, keepdim, dtype=dtype)
    if dims is None and input.dim() not in (1, 2):
        raise RuntimeError(
            "linalg.norm: If dim is not specified but ord is, the input must be 1D or 2D. "
            f"Got {input.dim()}D."
        )
    if (dims is not None and len(dims) == 1) or (dims is None and input.dim() == 1):
        if isinstance(ord, str):
            return matrix_norm(input, ord, dims or (-1,), keepdim, dtype=dtype)
        return vector_norm(input, ord, dims, keepdim, dtype=dtype)
    return matrix_norm(input, ord, dims or (0, 1), keepdim, dtype=dtype)


@composite(out=True)
def norm(
    input: Tensor,
    p: Any = "fro",
    dim: Any = None,
    keepdim: bool = False,
    dtype: dtype | None = None,
) -> Tensor:
    """The p-norm over `dim` (of all elements if None); "fro" is 2, "nuc" a matrix norm."""
    dims = [dim] if isinstance(dim, int) else dim
    if not isinstance(p, str):
        return vector_norm(input, 2.0 if p is None else p, dims, keepdim, dtype=dtype)
    if p == "fro" and (dims is None or len(dims) <= 2):
        return vector_norm(input, 2, dims, keepdim, dtype=dtype)
    if dims is None:
        dims = list(range(input.dim()))
    return matrix_norm(input, p, dims, keepdim, dtype=dtype)


# --- distances ------------------------------------------------------------------------------------


@composite()
def dist(input: Tensor, other: Tensor, p: Any = 2) -> Tensor:
    """The p-norm of `input - other`."""
    return vector_norm(input - other, p)


_FEW = 25
"""Up to so many points distances are computed directly; beyond, through a matrix product."""


def _euclidean_grad(grad: Any, x1: Any, x2: Any, out: Any, needs: Any) -> Any:
    pull = (grad / out).masked_fill(out == 0, 0)
    first = second = None
    if "x1" in needs:
        first = x1 * pull.sum(-1, keepdim=True) - pull.matmul(x2)
    if "x2" in needs:
        second = x2 * pull.sum(-2).unsqueeze(-1) - pull.transpose(-1, -2).matmul(x1)
    return first, second


@operator(
    where="internal", backward_name="CdistBackward0", gradient={("x1", "x2"): _euclidean_grad}
)
def euclidean_distances(x1: Tensor, x2: Tensor) -> Tensor:
    """The Euclidean distances of points (..., n, d) and (..., m, d) by one matrix product."""
    a, b = x1._array, x2._array
    squares = (a * a).sum(-1, keepdims=True) + (b * b).sum(-1)[..., None, :]
    found = np.maximum(squares - 2 * (a @ b.swapaxes(-1, -2)), 0)
    plan = plan_of(x1, (), False)._replace(layout=contiguous(found.shape), kept=found.shape)
    return run(plan, found, x1.dtype, lambda array, _, out: np.sqrt(array, out=out))


@operator(
    where="internal",
    backward_name="CdistBackward0",
    gradient={"apart": lambda grad, apart: F.zeros_like(apart)},
)
def differing(apart: Tensor) -> Tensor:
    """The "norm" of order 0: how many coordinates differ."""
    return _vector_norm_body(apart, 0, -1)


@composite(where="torch")
def cdist(
    x1: Tensor,
    x2: Tensor,
    p: float = 2.0,
    compute_mode: str | None = "use_mm_for_euclid_dist_if_necessary",
) -> Tensor:
    """The p-norm distances between each of the points (..., n, d) and each of (..., m, d)."""
    for label, x in (("X1", x1), ("X2", x2)):
        if x.dtype.category != FLOATING:
            raise RuntimeError(
                f"cdist only supports floating-point dtypes, {label} got: {scalar_type(x.dtype)}"
            )
        if x.dim() < 2:
            raise RuntimeError(f"cdist only supports at least 2D tensors, {label} got: {x.dim()}D")
    if x1.shape[-1] != x2.shape[-1]:
        raise RuntimeError(
            f"X1 and X2 must have the same number of columns. X1: {x1.shape[-1]} X2: {x2.shape[-1]}"
        )
    if p < 0:
        raise RuntimeError("cdist only supports non-negative p values")
    many = x1.shape[-2] > _FEW or x2.shape[-2] > _FEW
    modes = (None, "use_mm_for_euclid_dist_if_necessary")
    product = compute_mode == "use_mm_for_euclid_dist" or (compute_mode in modes and many)
    if p == 2 and product and x1.shape[-1]:
        found = euclidean_distances(x1, x2)
        return found.view(found.shape) if found.numel() else found
    apart = x1.unsqueeze(-2) - x2.unsqueeze(-3)
    return differing(apart) if p == 0 else vector_norm(apart, p, -1)


def _renorm_grad(grad: Any, input: Any, p: Any, dim: int, maxnorm: Any) -> Any:
    dims = _others(input, dim)
    norms = vector_norm(input, p, dims, keepdim=True)
    along = F.real(conj(input) * grad) if input.is_complex() else input * grad
    pull = _vector_norm_grad(along.sum(dims, keepdim=True), input, norms, p, dims, True)
    inverse = (norms + 1e-7).reciprocal()
    return F.where(norms > maxnorm, maxnorm * inverse * (grad - inverse * pull), grad)


def _others(input: Tensor, dim: int) -> list[int]:
    axis = dims_of(dim, input.dim())[0]
    return [i for i in range(input.dim()) if i != axis]


@operator(inplace=True, out=True, gradient={"input": _renorm_grad})
def renorm(input: Tensor, p: Any, dim: int, maxnorm: Any) -> Tensor:
    """Each slice along `dim`, scaled down to norm `maxnorm` if its p-norm is larger."""
    if not p > 0:
        raise RuntimeError("renorm: non-positive-norm not supported")
    if maxnorm < 0:
        raise RuntimeError(f"renorm: expected maxnorm to be >= 0 but got {maxnorm}")
    if input.dim() < 2:
        raise RuntimeError(
            f"renorm: input needs at least 2 dimensions, got {input.dim()} dimensions"
        )
    norms = _vector_norm_body(input, p, _others(input, dim), True)
    with np.errstate(all="ignore"):
        wide = work_array(norms, norms.dtype)
        factor = np.where(wide > maxnorm, maxnorm / (wide + 1e-7), 1).astype(wide.dtype)
        found = work_array(input, input.dtype) * factor
    return adopt(np.ascontiguousarray(found.astype(input.dtype.numpy)), input.dtype)
