"""Views that change the shape as a whole: `view`, `reshape`, `flatten`, `expand`, …

Each body computes a `Layout` by a pure function of `tensor/layout.py`; the dispatcher makes the
alias and records it. `reshape` and what is made of it copy where no view exists, and say why.
"""

from __future__ import annotations

from operator import index as to_index
from typing import Any

from pellucid.ops.arguments import integer, integers, sizes, tensor, type_name
from pellucid.ops.dispatch import composite, operator, view_operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.memory.memory import clone
from pellucid.ops.spec import Gradient
from pellucid.ops.views import advice
from pellucid.tensor import layout as layouts
from pellucid.tensor.device import contiguous_format
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.events import because, listeners
from pellucid.tensor.layout import Layout, NoView, contiguous
from pellucid.tensor.size import Size
from pellucid.tensor.tensor import Tensor, make

_AS_BEFORE: Gradient = {"input": lambda grad, input_layout: reshape(grad, input_layout.shape)}


@view_operator(where="internal", name="view", gradient=_AS_BEFORE)
def _view(input: Tensor, shape: tuple[int, ...]) -> Layout:
    """A view of the same elements in the same order under another shape."""
    try:
        found = layouts.view(input._layout, shape)
    except RuntimeError as error:
        raise advice.wrong_size(error, input, shape) from None
    if isinstance(found, NoView):
        raise advice.no_view(found, input)
    return found


@composite(where="Tensor")
def view(input: Tensor, *shape: Any, dtype: DType | None = None, size: Any = None) -> Tensor:
    """The same memory under another shape (`view(2, -1)`) or another dtype (`view(torch.int32)`).

    One size may be -1. A view as another dtype has no gradient, and its last dimension shrinks or
    grows with the size of the elements. Raises RuntimeError where the strides do not allow the
    shape; the message names the axes in the way and what `reshape` would copy.
    """
    if shape:
        first = shape[0]
        if type(first) is int:
            return _view(input, integers("view", "size", 1, shape))
        if isinstance(first, DType):
            return _view_dtype(input, first)
        if len(shape) > 1 or not isinstance(first, (tuple, list, Tensor)):
            raise _no_such_view(shape)
    elif dtype is not None:
        return _view_dtype(input, dtype)
    elif size is None:
        raise _no_such_view(shape)
    return _view(input, sizes("view", shape or (size,)))


def _no_such_view(given: tuple[Any, ...]) -> TypeError:
    return TypeError(
        f"view() received an invalid combination of arguments - got "
        f"({', '.join(type(each).__name__ for each in given)}), but expected one of:\n"
        " * (tuple of ints size)\n * (torch.dtype dtype)"
    )


def _view_dtype(input: Tensor, dtype: DType) -> Tensor:
    """The same bytes read as another dtype. Off the tape: bits have no derivative."""
    if input._storage.lazy and dtype is not input.dtype:
        lazy = "conjugate view tensors" if input.is_conj() else "tensors with negative bit set"
        raise RuntimeError(
            f"torch.Tensor.view is not supported for {lazy} when converting to a different dtype."
        )
    itemsize = dtype.numpy.itemsize  # asked of NumPy's, which refuses dtypes that no tensor has
    try:
        layout = layouts.view_dtype(input._layout, input.dtype.itemsize, itemsize)
    except RuntimeError as error:
        names = f"{scalar_type(input.dtype)} as {scalar_type(dtype)}"
        raise RuntimeError(str(error).replace("these elements", names)) from None
    result = make(input._storage, layout, dtype)
    result._inference = input._inference
    return result


@operator(
    where="internal", name="_unsafe_view", backward_name="UnsafeViewBackward0", gradient=_AS_BEFORE
)
def _unsafe_view(input: Tensor, shape: tuple[int, ...]) -> Tensor:
    """A fresh row-major tensor under another shape, not known as a view: nobody else holds it."""
    return make(input._storage, contiguous(shape), input.dtype)


@composite()
def reshape(input: Tensor, *shape: Any, **by_name: Any) -> Tensor:
    """The elements in row-major order under another shape: a view if one exists, else a copy.

    One size may be -1. Raises RuntimeError when the sizes do not multiply up.
    """
    asked = sizes("reshape", shape, "shape", by_name)
    try:
        found = layouts.view(input._layout, asked)
    except RuntimeError as error:
        raise advice.wrong_size(error, input, asked) from None
    if not isinstance(found, NoView):
        return _view(input, asked)
    if listeners:
        because(f"reshape: {found.reason}")
    return _unsafe_view(clone(input, memory_format=contiguous_format), found.shape)


@composite(where="Tensor")
def view_as(input: Tensor, other: Tensor) -> Tensor:
    """A view with the shape of `other`."""
    return _view(input, tensor("view_as", "other", 1, other)._layout.shape)


@composite(where="Tensor")
def reshape_as(input: Tensor, other: Tensor) -> Tensor:
    """`reshape` to the shape of `other`."""
    return reshape(input, tensor("reshape_as", "other", 1, other)._layout.shape)


@composite()
def flatten(input: Tensor, start_dim: int = 0, end_dim: int = -1) -> Tensor:
    """Merge the dimensions `start_dim` to `end_dim` (both included) into one.

    A view where the strides allow it, else a copy; the tensor itself if nothing is to merge.
    """
    start = integer("flatten", "start_dim", 1, start_dim)
    end = integer("flatten", "end_dim", 2, end_dim)
    shape = layouts.flatten_shape(input._layout.shape, start, end)
    if len(shape) == len(input._layout.shape):
        return input
    return reshape(input, shape)


@composite()
def ravel(input: Tensor) -> Tensor:
    """The elements in row-major order in one dimension: a view if they lie so, else a copy."""
    return reshape(input.contiguous(), (-1,) if input._layout.numel else (0,))


@composite()
def unflatten(input: Tensor, dim: int, sizes: Any) -> Tensor:
    """Split dimension `dim` into `sizes`, one of which may be -1. A view, always."""
    axis = integer("unflatten", "dim", 1, dim)
    found = layouts.unflatten(input._layout, axis, integers("unflatten", "sizes", 2, sizes))
    if isinstance(found, NoView):
        raise advice.no_view(found, input)
    return _view(input, found.shape)


# --- expand ---------------------------------------------------------------------------------------


def _expand_grad(grad: Tensor, input_layout: Layout) -> Tensor:
    return grad.sum_to_size(input_layout.shape)


@view_operator(where="internal", name="expand", gradient={"input": _expand_grad})
def _expand(input: Tensor, size: tuple[int, ...]) -> Layout:
    """A view that repeats dimensions of size 1 with stride 0."""
    try:
        return layouts.expand(input._layout, size)
    except RuntimeError:
        return layouts.expand(input._layout, size, f"torch.{input.dtype.tensor_type}")


@composite(where="Tensor")
def expand(input: Tensor, *size: Any, implicit: bool = False, **by_name: Any) -> Tensor:
    """Repeat dimensions of size 1, and new ones in front, without copying: their stride is 0.

    -1 keeps a size. Raises RuntimeError where a size other than 1 would have to change.
    """
    return _expand(input, sizes("expand", size, "size", by_name))


@composite(where="Tensor")
def expand_as(input: Tensor, other: Tensor) -> Tensor:
    """`expand` to the shape of `other`."""
    return _expand(input, tensor("expand_as", "other", 1, other)._layout.shape)


@composite()
def broadcast_to(input: Tensor, *size: Any, **by_name: Any) -> Tensor:
    """`expand`: the view with the broadcast shape `size`."""
    return _expand(input, sizes("broadcast_to", size, "size", by_name))


@composite(where="torch")
def broadcast_tensors(*tensors: Any) -> tuple[Tensor, ...]:
    """Every tensor expanded to their common shape."""
    given = tensors[0] if len(tensors) == 1 and isinstance(tensors[0], (list, tuple)) else tensors
    for position, each in enumerate(given):
        tensor("broadcast_tensors", "tensors", position + 1, each)
    shape = layouts.broadcast_shapes(*[each._layout.shape for each in given])
    return tuple(each if each._layout.shape == shape else _expand(each, shape) for each in given)


@composite(where="torch")
def broadcast_shapes(*shapes: Any) -> Size:
    """The shape to which all `shapes` (sequences of ints, or ints) broadcast."""
    given = [(shape,) if isinstance(shape, int) else _broadcast_sizes(shape) for shape in shapes]
    for size in (size for shape in given for size in shape):
        if size < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension ({size}): ({size})"
            )
    try:
        return Size(layouts.broadcast_shapes(*given))
    except RuntimeError as error:
        raise RuntimeError(
            "Shape mismatch: objects cannot be broadcast to a single shape\n  " + str(error)
        ) from None


def _broadcast_sizes(shape: Any) -> tuple[int, ...]:
    if not isinstance(shape, (tuple, list)):
        raise RuntimeError(
            f"Input shapes should be of type ints, a tuple of ints, or a list of ints, got {shape}"
        )
    for place, size in enumerate(shape):
        if isinstance(size, (float, complex)):
            raise TypeError(
                f"torch.Size() takes an iterable of 'int' (item {place} is '{type_name(size)}')"
            )
    return tuple([to_index(size) for size in shape])


# --- the same memory ------------------------------------------------------------------------------


@view_operator(where="internal", gradient={"input": lambda grad: grad})
def alias(input: Tensor) -> Layout:
    """Another tensor over the same layout of the same memory, on the tape."""
    return input._layout
