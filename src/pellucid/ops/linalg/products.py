"""Products of vectors and tensors made of matrix products: `outer`, `inner`, `tensordot`, `kron`, …

Each is one call of `mm`, `mv` or `matmul` on views, so the gradients are theirs.
"""

from __future__ import annotations

import math
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.inplace import check_castable, scalar_type
from pellucid.ops.linalg.matmul import add_product, bmm, dot, mm, mv, product, scaled, unsafe_view
from pellucid.ops.spec import OutRule
from pellucid.tensor.dtype import REDUCED, bool_
from pellucid.tensor.layout import normalize_dim
from pellucid.tensor.tensor import Tensor, adopt

# --- vectors --------------------------------------------------------------------------------------


@composite(out=True, aliases=("ger",))
def outer(input: Tensor, vec2: Tensor) -> Tensor:
    """The matrix of all products of the elements of two vectors."""
    for position, x in ((1, input), (2, vec2)):
        if x.dim() != 1:
            name = "self" if position == 1 else "vec2"
            raise RuntimeError(f"outer: Expected 1-D argument {name}, but got {x.dim()}-D")
    return input.unsqueeze(1) * vec2


@composite(out=True)
def vdot(input: Tensor, other: Tensor) -> Tensor:
    """The sum of the products of the conjugated first vector with the second."""
    if input.is_complex():
        return dot(conj(input), other)
    if input.dim() == 1 and other.dim() == 1 and input.dtype is not other.dtype:
        raise RuntimeError(
            "vdot : expected both vectors to have same dtype, but found "
            f"{scalar_type(input.dtype)} and {scalar_type(other.dtype)}"
        )
    return dot(input, other)


@composite(out=True)
def inner(input: Tensor, other: Tensor) -> Tensor:
    """The sums of products over the last dimensions; with a number, the product."""
    if not input.dim() or not other.dim():
        return input * other
    if input.shape[-1] != other.shape[-1]:
        raise RuntimeError(
            "inner() the last dimension must match on both input tensors but got shapes "
            f"{list(input.shape)} and {list(other.shape)}"
        )
    last = [-1], [-1]
    return tensordot(input, other, last)


@composite(where="linalg", out=True)
def vecdot(input: Tensor, y: Tensor, *, dim: int = -1) -> Tensor:
    """The sum over `dim` of `conj(x) * y`; the other dimensions broadcast."""
    if input.dtype.category < 2:
        raise RuntimeError(
            "linalg.vecdot: Expected a floating point or complex tensor as input. "
            f"Got {scalar_type(input.dtype)}"
        )
    if input.dtype is not y.dtype:
        raise RuntimeError(
            f"linalg.vecdot: Expected x and y to have the same dtype, but found x of type "
            f"{scalar_type(input.dtype)} and y of type {scalar_type(y.dtype)} instead"
        )
    return (conj(input) * y).sum(dim)


_mm_body: Any = mm.spec.body  # type: ignore[attr-defined]
_mv_body: Any = mv.spec.body  # type: ignore[attr-defined]


# --- sums with products ---------------------------------------------------------------------------


@operator(
    inplace=True,
    out=True,
    gradient={
        "input": lambda grad, beta: scaled(grad, beta),
        "mat": lambda grad, vec, alpha: scaled(grad.outer(conj(vec)), alpha),
        "vec": lambda grad, mat, alpha: scaled(conj(mat.t()).mv(grad), alpha),
    },
)
def addmv(input: Tensor, mat: Tensor, vec: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * (mat @ vec)`; `input` is not read if `beta` is 0."""
    if input.dtype in REDUCED:  # PyTorch's kernel has both factors and beta * input in that dtype
        kind = input.dtype.numpy.type
        alpha = float(kind(alpha))
        if beta not in (0, 1):
            input, beta = adopt(input._array * kind(beta), input.dtype), 1
    return add_product("addmv", input, _mv_body, mat, vec, beta, alpha)


def _first_batch_grad(grad: Any, batch2: Any, alpha: Any) -> Any:
    count = batch2.shape[0]
    return scaled(grad.unsqueeze(0).expand(count, *grad.shape).bmm(conj(batch2.mT)), alpha)


def _second_batch_grad(grad: Any, batch1: Any, alpha: Any) -> Any:
    count = batch1.shape[0]
    return scaled(conj(batch1.mT).bmm(grad.unsqueeze(0).expand(count, *grad.shape)), alpha)


@operator(
    inplace=True,
    out=True,
    gradient={
        "input": lambda grad, beta: scaled(grad, beta),
        "batch1": _first_batch_grad,
        "batch2": _second_batch_grad,
    },
)
def addbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """`beta * input + alpha * (the sum of the products of two batches of matrices)`."""
    for name, x in (("batch1", batch1), ("batch2", batch2)):
        if x.dim() != 3:
            raise RuntimeError(f"{name} must be a 3D tensor")
    b, c = batch1._layout.shape[0], batch2._layout.shape[0]
    m, k = batch1._layout.shape[2], batch2._layout.shape[1]
    if b != c:
        raise RuntimeError(f"batch1 and batch2 must have same number of batches, got {b} and {c}")
    if m != k:
        sizes = [*batch1._layout.shape[1:], *batch2._layout.shape[1:]]
        raise RuntimeError("Incompatible matrix sizes for bmm ({}x{} and {}x{})".format(*sizes))
    if input.dtype in REDUCED and b:  # PyTorch adds one product after the other, each sum rounded
        for first, second in zip(batch1.unbind(0), batch2.unbind(0), strict=True):
            input = add_product("addbmm", input, _mm_body, first, second, beta, alpha)
            beta = 1
        return input
    return add_product("addbmm", input, _summed_products, batch1, batch2, beta, alpha)


def _summed_products(batch1: Tensor, batch2: Tensor) -> Tensor:
    """The sum of the products of two batches, as one product of long matrices."""
    (b, n, m), p = batch1._layout.shape, batch2._layout.shape[2]
    left = batch1._array.transpose(1, 0, 2).reshape(n, b * m)
    return product(left, batch2._array.reshape(b * m, p), batch1.dtype)


@composite(inplace=True, out=True)
def addr(input: Tensor, vec1: Tensor, vec2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * outer(vec1, vec2)`; `input` is not read if `beta` is 0."""
    for name, x in (("vec1", vec1), ("vec2", vec2)):
        if x.dim() != 1:
            raise RuntimeError(f"addr: Expected 1-D argument {name}, but got {x.dim()}-D")
    whole = outer(vec1, vec2)
    if input.dtype is bool_ and whole.dtype is bool_:
        alpha, beta = bool(alpha), bool(beta)
        if not alpha:
            whole = F.zeros_like(whole)
        if beta:
            return input.logical_or(whole)
        return whole.expand(F.broadcast_shapes(whole.shape, input.shape)).clone()
    if alpha != 1:
        whole = whole * alpha
    if beta == 0:
        return whole.expand(F.broadcast_shapes(whole.shape, input.shape)).clone()
    return (input if beta == 1 else input * beta) + whole


# --- tensors --------------------------------------------------------------------------------------


def _contracted(dims: Any, a: Tensor, b: Tensor) -> tuple[list[int], list[int]]:
    """The dimensions of each operand that are summed over."""
    if isinstance(dims, Tensor):
        dims = int(dims.item()) if dims.numel() == 1 else dims.tolist()
    if isinstance(dims, int):
        if dims < 0:
            raise RuntimeError(f"tensordot expects dims >= 0, but got dims={dims}")
        if dims > min(a.dim(), b.dim()):
            raise RuntimeError(f"tensordot expects dims < ndim_a or ndim_b, but got dims={dims}")
        return list(range(-dims, 0)), list(range(dims))
    if not isinstance(dims, (tuple, list)) or len(dims) != 2:
        raise RuntimeError(
            "tensordot expects dims to be int or tuple[list[int], list[int]] or list[list[int]] "
            "containing two lists, but got "
            f"dims={dims}"
        )
    first, second = ([each] if isinstance(each, int) else list(each) for each in dims)
    if len(first) != len(second):
        raise RuntimeError("both dimension lists should have same length")
    return first, second


@composite(where="torch", out=True)
def tensordot(a: Tensor, b: Tensor, dims: Any = 2) -> Tensor:
    """Sums of products over several dimensions of both tensors: one matrix product.

    `dims` is a count (the last of `a` with the first of `b`) or two lists of dimensions.
    """
    first, second = _contracted(dims, a, b)
    for i, j in zip(first, second, strict=True):
        if a.shape[i] == b.shape[j]:
            continue
        if a.shape[i] == 1:
            b = b.sum(j, keepdim=True, dtype=b.dtype)
        elif b.shape[j] == 1:
            a = a.sum(i, keepdim=True, dtype=a.dtype)
        else:
            raise RuntimeError(
                "contracted dimensions need to match, but first has size "
                f"{a.shape[i]} in dim {i} and second has size {b.shape[j]} in dim {j}"
            )
    first = [normalize_dim(i, a.dim()) for i in first]
    second = [normalize_dim(j, b.dim()) for j in second]
    left = [i for i in range(a.dim()) if i not in first]
    right = [j for j in range(b.dim()) if j not in second]
    summed = math.prod([a.shape[i] for i in first])
    n, p = math.prod([a.shape[i] for i in left]), math.prod([b.shape[j] for j in right])
    rows = a.permute(*left, *first).reshape(n, summed) if a.dim() else a.reshape(1, 1)
    columns = b.permute(*second, *right).reshape(summed, p) if b.dim() else b.reshape(1, 1)
    shape = [a.shape[i] for i in left] + [b.shape[j] for j in right]
    return mm(rows, columns).view(shape)


@composite(out=OutRule(check_castable, row_major=True))
def kron(input: Tensor, other: Tensor) -> Tensor:
    """The Kronecker product: each element of `input` times the whole of `other`."""
    rank = max(input.dim(), other.dim())
    a = input.view((1,) * (rank - input.dim()) + tuple(input.shape)) if rank else input
    b = other.view((1,) * (rank - other.dim()) + tuple(other.shape)) if rank else other
    shape = [x * y for x, y in zip(a.shape, b.shape, strict=True)]
    spread_a = a.reshape([s for size in a.shape for s in (size, 1)])
    spread_b = b.reshape([s for size in b.shape for s in (1, size)])
    return unsafe_view(spread_a * spread_b, tuple(shape))


@composite(where="nn.functional")
def bilinear(input1: Tensor, input2: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`x1^T W_k x2 + b_k` for each output k: (*, in1), (*, in2), (out, in1, in2) give (*, out)."""
    if input1.dim() != input2.dim():
        raise RuntimeError(
            f"bilinear(): input dimensions do not match: got {input1.dim()} and {input2.dim()}"
        )
    for i in range(input1.dim() - 1):
        if input1.shape[i] != input2.shape[i]:
            raise RuntimeError(
                "bilinear(): input batch dimensions do not match at dim "
                f"{i}: got {input1.shape[i]} and {input2.shape[i]}"
            )
    for number, x in ((1, input1), (2, input2)):
        if x.shape[-1] != weight.shape[number]:
            raise RuntimeError(
                f"bilinear(): input{number} size does not match weight size: got "
                f"{x.shape[-1]} but expected {weight.shape[number]}"
            )
    if bias is not None and bias.shape[0] != weight.shape[0]:
        raise RuntimeError(
            "bilinear(): bias size does not match weight size: got "
            f"{bias.shape[0]} but expected {weight.shape[0]}"
        )
    count, lead = input1.shape[:-1].numel(), input1.shape[:-1]
    outputs, n, m = weight.shape
    x1, x2 = input1.reshape(count, n), input2.reshape(count, m)
    through = mm(x1, weight.permute(1, 0, 2).reshape(n, outputs * m)).view(count, outputs, m)
    found = bmm(through, x2.unsqueeze(-1)).squeeze(-1).view(*lead, outputs)
    return found if bias is None else found + bias
