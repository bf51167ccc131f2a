"""Matrix products: `matmul`, `mm`, `bmm`, `mv`, `dot`, `addmm`, …, `nn.functional.linear`.

All of them end in `product`: BLAS on the operands' own strides for float32, float64 and complex (a
transposed operand is read in place), float32 for half precision, NumPy's exact integer product for
integers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import wrong_type
from pellucid.ops.blas import multiply, sketch
from pellucid.ops.dispatch import composite, operator, tracked
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.tensor.dtype import REDUCED, dtype, float32
from pellucid.tensor.layout import NoView, broadcast_shapes, contiguous, view
from pellucid.tensor.tensor import Tensor, adopt, empty, make


def product(a: np.ndarray, b: np.ndarray, d: dtype) -> Tensor:
    """`a @ b` (NumPy's matmul rules) as a fresh contiguous tensor of dtype `d`."""
    if a.ndim == b.ndim == 2:
        shape = a.shape[0], b.shape[1]
    else:
        shape = (*broadcast_shapes(a.shape[:-2], b.shape[:-2]), a.shape[-2], b.shape[-1])
    if sketch.depth:
        return sketched(shape, d)
    out = empty(contiguous(shape), d)
    if d in REDUCED:
        copy_array(out._array, multiply(a.astype(np.float32), b.astype(np.float32)))
    else:
        multiply(a, b, out._array)
    return out


def sketched(shape: tuple[int, ...], d: dtype) -> Tensor:
    """Zeros in memory that the system does not hand out before somebody writes to it."""
    sketch.skipped += 1
    return adopt(np.zeros(shape, d.numpy), d)


@operator(
    where="internal",
    backward_name="UnsafeViewBackward0",
    gradient={"input": lambda grad, input_layout: grad.reshape(input_layout.shape)},
)
def unsafe_view(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """`input`, which nobody else holds, in another shape: the same memory, not known as a view."""
    layout = view(input._layout, tuple(shape))
    if isinstance(layout, NoView):
        return adopt(np.ascontiguousarray(input._array).reshape(shape), input.dtype)
    return make(input._storage, layout, input.dtype)


@operator(where="internal", backward_name="AliasBackward0", gradient={"input": lambda grad: grad})
def owned(input: Tensor) -> Tensor:
    """`input`, a view of memory that nobody else holds, not known as a view."""
    return make(input._storage, input._layout, input.dtype)


def check_dtypes(name: str, *tensors: Tensor) -> None:
    """Refuse operands of different dtypes, in PyTorch's words."""
    first = tensors[0].dtype
    for other in tensors:
        if other.dtype is not first:
            raise RuntimeError(
                "expected m1 and m2 to have the same dtype, but got: "
                f"{_c(first)} != {_c(other.dtype)}\n"
                f"  {name} does not promote: convert one operand with .to({first!r}) or "
                f".to({other.dtype!r})."
            )


def _c(d: dtype) -> str:
    names = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}
    return names.get(d.name, f"c10::{scalar_type(d)}" if d.category > 1 else d.name)


def _mm_input(grad: Any, mat2: Any) -> Any:
    return grad.mm(conj(mat2.t()))


def _mm_mat2(grad: Any, input: Any) -> Any:
    return conj(input.t()).mm(grad)


@operator(out=True, gradient={"input": _mm_input, "mat2": _mm_mat2})
def mm(input: Tensor, mat2: Tensor) -> Tensor:
    """The product of two matrices: (n, m) with (m, p) gives (n, p)."""
    if not isinstance(mat2, Tensor):
        raise wrong_type("mm", "mat2", 2, "Tensor", mat2)
    a, b = input._layout.shape, mat2._layout.shape
    if len(a) != 2:
        raise RuntimeError("self must be a matrix")
    if len(b) != 2:
        raise RuntimeError("mat2 must be a matrix")
    if a[1] != b[0]:
        raise RuntimeError(_cannot_multiply(input, mat2))
    check_dtypes("mm", input, mat2)
    return product(input._array, mat2._array, input.dtype)


def _cannot_multiply(a: Tensor, b: Tensor) -> str:
    (n, m), (k, p) = a._layout.shape, b._layout.shape
    words = (
        f"mat1 and mat2 shapes cannot be multiplied ({n}x{m} and {k}x{p})\n"
        f"  mat1 has {m} columns, mat2 has {k} rows."
    )
    if m == p:
        words += f" mat2.t() is {p}x{k}: mat1 @ mat2.t() would work."
    elif n == k:
        words += f" mat1.t() is {m}x{n}: mat1.t() @ mat2 would work."
    return words


@operator(
    out=True,
    gradient={
        "input": lambda grad, mat2: grad.bmm(conj(mat2.transpose(1, 2))),
        "mat2": lambda grad, input: conj(input.transpose(1, 2)).bmm(grad),
    },
)
def bmm(input: Tensor, mat2: Tensor) -> Tensor:
    """The products of two batches of matrices: (b, n, m) with (b, m, p) gives (b, n, p)."""
    if not isinstance(mat2, Tensor):
        raise wrong_type("bmm", "mat2", 2, "Tensor", mat2)
    a, b = input._layout.shape, mat2._layout.shape
    if len(a) != 3:
        raise RuntimeError("batch1 must be a 3D tensor")
    if len(b) != 3:
        raise RuntimeError("batch2 must be a 3D tensor")
    if a[0] != b[0] or a[2] != b[1]:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{a[0]}, {a[2]}] but got: [{b[0]}, {b[1]}]."
        )
    check_dtypes("bmm", input, mat2)
    return product(input._array, mat2._array, input.dtype)


@operator(
    out=True,
    gradient={
        "input": lambda grad, vec: grad.outer(conj(vec)),
        "vec": lambda grad, input: conj(input.t()).mv(grad),
    },
)
def mv(input: Tensor, vec: Tensor) -> Tensor:
    """The product of a matrix (n, m) and a vector (m)."""
    if not isinstance(vec, Tensor):
        raise wrong_type("mv", "vec", 2, "Tensor", vec)
    if len(input._layout.shape) != 2 or len(vec._layout.shape) != 1:
        raise RuntimeError(
            f"vector + matrix @ vector expected, got {vec.dim()}, {input.dim()}, {vec.dim()}"
        )
    if input._layout.shape[1] != vec._layout.shape[0]:
        raise RuntimeError(
            f"size mismatch, got input ({input.shape[0]}), "
            f"mat ({input.shape[0]}x{input.shape[1]}), vec ({vec.shape[0]})"
        )
    check_dtypes("mv", input, vec)
    column = product(input._array, vec._array[:, None], input.dtype)
    column._layout = contiguous((input._layout.shape[0],))
    column.__dict__.pop("_array", None)
    return column


@operator(
    out=True,
    gradient={
        "input": lambda grad, tensor: grad * conj(tensor),
        "tensor": lambda grad, input: grad * conj(input),
    },
)
def dot(input: Tensor, tensor: Tensor) -> Tensor:
    """The sum of the products of two vectors."""
    if not isinstance(tensor, Tensor):
        raise wrong_type("dot", "tensor", 2, "Tensor", tensor)
    a, b = input._layout.shape, tensor._layout.shape
    if len(a) != 1 or len(b) != 1:
        raise RuntimeError(f"1D tensors expected, but got {len(a)}D and {len(b)}D tensors")
    if input.dtype is not tensor.dtype:
        raise RuntimeError(
            "dot : expected both vectors to have same dtype, but found "
            f"{scalar_type(input.dtype)} and {scalar_type(tensor.dtype)}"
        )
    if a != b:
        raise RuntimeError(
            f"inconsistent tensor size, expected tensor [{a[0]}] and src [{b[0]}] to have the same "
            "number of elements, but got "
            f"{a[0]} and {b[0]} elements respectively"
        )
    result = product(input._array[None, :], tensor._array[:, None], input.dtype)
    result._layout = contiguous(())
    result.__dict__.pop("_array", None)
    return result


@composite(where="torch Tensor linalg", out=True)
def matmul(input: Tensor, other: Tensor) -> Tensor:
    """The matrix product with NumPy's rules: vectors become rows and columns, leading dimensions
    broadcast.
    """
    for position, x in enumerate((input, other), 1):
        if not isinstance(x, Tensor):
            raise wrong_type("matmul", ("input", "other")[position - 1], position, "Tensor", x)
    rank_a, rank_b = input.dim(), other.dim()
    if rank_a == 0 or rank_b == 0:
        raise RuntimeError(
            f"both arguments to matmul need to be at least 1D, but they are {rank_a}D and {rank_b}D"
        )
    if rank_a == 1 and rank_b == 1:
        return dot(input, other)
    if rank_b == 1 and rank_a == 2:
        return mv(input, other)
    if rank_a == 1 and rank_b == 2:
        return unsafe_view(mm(input.unsqueeze(0), other), (other.shape[1],))
    if rank_a == 2 and rank_b == 2:
        return mm(input, other)
    if rank_b <= 2 or (rank_a == rank_b and other.shape[:-2].numel() == 1):
        return _fold(input, other)
    if rank_a == 2 and not other._layout.numel and tracked((input, other)):
        return _fold(other.mT, input.mT).mT
    return _batched(input, other)


def _fold(input: Tensor, other: Tensor) -> Tensor:
    """Many rows times one matrix: the leading dimensions become rows, one product."""
    lead = input.shape[:-1]
    if other.dim() == 1:
        return unsafe_view(mv(input.reshape(lead.numel(), input.shape[-1]), other), lead)
    matrix = other if other.dim() == 2 else other.reshape(other.shape[-2:])
    rows = input.reshape(lead.numel(), input.shape[-1])
    return unsafe_view(mm(rows, matrix), (*lead, matrix.shape[1]))


def _batched(input: Tensor, other: Tensor) -> Tensor:
    vector_a, vector_b = input.dim() == 1, other.dim() == 1
    a = input.unsqueeze(0) if vector_a else input
    b = other.unsqueeze(1) if vector_b else other
    batch = broadcast_shapes(tuple(a.shape[:-2]), tuple(b.shape[:-2]))
    n, m, p = a.shape[-2], a.shape[-1], b.shape[-1]
    if m != b.shape[-2]:
        raise RuntimeError(
            "Expected size for first two dimensions of batch2 tensor to be: "
            f"[{_count(batch)}, {m}] but got: "
            f"[{_count(batch)}, {b.shape[-2]}]."
        )
    left = a.expand(*batch, n, m).reshape(_count(batch), n, m)
    right = b.expand(*batch, m, p).reshape(_count(batch), m, p)
    shape = (*batch, *(() if vector_a else (n,)), *(() if vector_b else (p,)))
    return unsafe_view(bmm(left, right), shape)


def _count(batch: tuple[int, ...]) -> int:
    count = 1
    for size in batch:
        count *= size
    return count


def _linear_weight(grad: Any, input: Any) -> Any:
    count = grad.shape[:-1].numel()
    rows = grad.reshape(count, grad.shape[-1]) if grad.dim() != 2 else grad
    columns = input.reshape(count, input.shape[-1]) if input.dim() != 2 else input
    return rows.t().mm(conj(columns))


@operator(
    where="internal",
    name="linear",
    backward_name="AddmmBackward0",
    gradient={
        "input": lambda grad, weight: F.matmul(grad, conj(weight)),
        "weight": _linear_weight,
        "bias": lambda grad: grad.sum(tuple(range(grad.dim() - 1))) if grad.dim() > 1 else grad,
    },
)
def affine(input: Tensor, weight: Tensor, bias: Tensor | None) -> Tensor:
    """`linear` for a matrix of weights."""
    shape = input._layout.shape
    out_features, in_features = weight._layout.shape
    if shape[-1] != in_features:
        rows = input._layout.numel // max(shape[-1], 1)
        raise RuntimeError(
            f"mat1 and mat2 shapes cannot be multiplied ({rows}x{shape[-1]} and "
            f"{in_features}x{out_features})\n"
            f"  linear: the input's last dimension must be in_features, {in_features}."
        )
    check_dtypes("linear", *(t for t in (input, weight, bias) if t is not None))
    if sketch.depth and (bias is None or bias._layout.shape == (out_features,)):
        return sketched((*shape[:-1], out_features), input.dtype)
    array = input._array
    if array.ndim != 2:
        array = array.reshape(math.prod(shape[:-1]), in_features)
    if input.dtype in REDUCED and bias is not None:  # rounded once, after the sum
        out = product(array.astype(np.float32), weight._array.T.astype(np.float32), float32)
        np.add(out._array, bias._array.astype(np.float32), out=out._array)
        out = _rounded(out, input.dtype)
    else:
        out = product(array, weight._array.T, input.dtype)
        if bias is not None:
            np.add(out._array, bias._array, out=out._array)
    if len(shape) != 2:
        out._layout = contiguous((*shape[:-1], out_features))
        out.__dict__.pop("_array", None)
    return out


@composite(where="nn.functional", out=True)
def linear(input: Tensor, weight: Tensor, bias: Tensor | None = None) -> Tensor:
    """`input @ weight.T + bias`: (*, in) with a weight (out, in) gives (*, out)."""
    for place, (name, value) in enumerate((("input", input), ("weight", weight)), 1):
        if not isinstance(value, Tensor):
            raise wrong_type("linear", name, place, "Tensor", value)
    rank = len(input._layout.shape)
    if rank and input.dtype is not weight.dtype:
        raise RuntimeError(
            "mat1 and mat2 must have the same dtype, but got "
            f"{scalar_type(input.dtype)} and {scalar_type(weight.dtype)}\n"
            f"  Convert the input with .to({weight.dtype!r}), or the layer."
        )
    if not rank or not weight._layout.shape:
        raise RuntimeError(
            "both arguments to linear need to be at least 1D, but they are "
            f"{rank}D and {weight.dim()}D"
        )
    if weight.dim() == 1:
        found = matmul(input, weight)
        return found if bias is None else found + bias
    if weight.dim() != 2:
        raise RuntimeError(f"linear: weight must be a matrix, but it has {weight.dim()} dimensions")
    found = affine(input, weight, bias)
    flat = bias is not None and input._layout.is_row_major and bias._layout.is_row_major
    if rank == 2 or not flat:
        return found
    return found.view(found._layout.shape)


_mm_body: Any = mm.spec.body  # type: ignore[attr-defined]
_bmm_body: Any = bmm.spec.body  # type: ignore[attr-defined]


def scaled(grad: Any, factor: Any) -> Any:
    return grad if factor == 1 else grad * conj(factor)


@operator(
    inplace=True,
    out=True,
    gradient={
        "input": lambda grad, beta: scaled(grad, beta),
        "mat1": lambda grad, mat2, alpha: scaled(grad.mm(conj(mat2.t())), alpha),
        "mat2": lambda grad, mat1, alpha: scaled(conj(mat1.t()).mm(grad), alpha),
    },
)
def addmm(input: Tensor, mat1: Tensor, mat2: Tensor, *, beta: Any = 1, alpha: Any = 1) -> Tensor:
    """`beta * input + alpha * (mat1 @ mat2)`; `input` broadcasts to (n, p), and is not read if
    `beta` is 0.
    """
    return add_product("addmm", input, _mm_body, mat1, mat2, beta, alpha)


@operator(
    inplace=True,
    out=True,
    gradient={
        "input": lambda grad, beta: scaled(grad, beta),
        "batch1": lambda grad, batch2, alpha: scaled(grad.bmm(conj(batch2.transpose(1, 2))), alpha),
        "batch2": lambda grad, batch1, alpha: scaled(conj(batch1.transpose(1, 2)).bmm(grad), alpha),
    },
)
def baddbmm(
    input: Tensor, batch1: Tensor, batch2: Tensor, *, beta: Any = 1, alpha: Any = 1
) -> Tensor:
    """`beta * input + alpha * bmm(batch1, batch2)`; `input` broadcasts to (b, n, p)."""
    return add_product("baddbmm", input, _bmm_body, batch1, batch2, beta, alpha)


def add_product(
    name: str,
    input: Tensor,
    multiply: Callable[[Tensor, Tensor], Tensor],
    first: Tensor,
    second: Tensor,
    beta: Any,
    alpha: Any,
) -> Tensor:
    """`beta * input + alpha * multiply(first, second)`; half precision is rounded once, at the end.

    `multiply` answers fresh memory, which is finished in place.
    """
    kind = input.dtype
    if kind in REDUCED and first.dtype is kind and second.dtype is kind:
        wide, left, right = (adopt(t._array.astype(np.float32)) for t in (input, first, second))
        return _rounded(add_product(name, wide, multiply, left, right, beta, alpha), kind)
    out = multiply(first, second)
    check_dtypes(name, out, input)
    if broadcast_shapes(input._layout.shape, out._layout.shape) != out._layout.shape:
        raise RuntimeError(
            f"The expanded size of the tensor ({out.shape[-1]}) must match the existing size "
            f"({input.shape[-1]}) at non-singleton dimension {out.dim() - 1}.  "
            f"Target sizes: {list(out.shape)}.  Tensor sizes: {list(input.shape)}"
        )
    array = out._array
    with np.errstate(all="ignore"):
        if alpha != 1:
            array *= array.dtype.type(alpha)
        if beta != 0:
            array += input._array if beta == 1 else input._array * array.dtype.type(beta)
    return out


def _rounded(wide: Tensor, kind: dtype) -> Tensor:
    """A float32 result as a tensor of dtype `kind`."""
    out = empty(wide._layout, kind)
    copy_array(out._array, wide._array)
    return out
