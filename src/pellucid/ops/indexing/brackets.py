"""`x[...]`: reading and writing through ints, slices, None, `...`, masks and index tensors.

Ints, slices and None are one view together. Tensors, lists and NumPy arrays gather into fresh
memory (`index`) and scatter from it (`index_put_`).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import wrong_type
from pellucid.ops.dispatch import heard, operator, run_view
from pellucid.ops.indexing.accumulate import add_at
from pellucid.ops.indexing.keys import (
    Step,
    check_bounds,
    out_of_bounds,
    parse,
    places,
    without_cover,
)
from pellucid.ops.inplace import refuse_shared, scalar_type
from pellucid.ops.memory.memory import as_scalar
from pellucid.ops.parameter import overflow
from pellucid.ops.spec import OpSpec, describe
from pellucid.ops.views.embed import embed, show, shown
from pellucid.ops.views.parts import select, slice_along
from pellucid.ops.views.shape import alias
from pellucid.ops.writing import writer
from pellucid.tensor.dtype import REDUCED, bool_, from_numpy_dtype, uint8
from pellucid.tensor.events import listeners
from pellucid.tensor.layout import Layout, NoView, contiguous
from pellucid.tensor.layout import view as view_layout
from pellucid.tensor.levels import Batched, levels
from pellucid.tensor.tensor import Tensor, adopt, empty

_NUMBERS = (bool, int, float, complex)
_LARGE = 1 << 15

# --- views ----------------------------------------------------------------------------------------


def _shown_grad(grad: Tensor, input_layout: Layout, steps: tuple[Step, ...]) -> Tensor:
    return embed(grad, input_layout.shape, steps)


def _describe_view(last: str) -> OpSpec:
    """Several steps as one view, known on the tape by the name of the last, as in PyTorch."""

    def body(input: Tensor, steps: tuple[Step, ...]) -> Layout:
        return shown(input._layout, steps)

    return describe(
        body,
        kind="view",
        where="internal",
        name="getitem",
        backward_name=last.capitalize() + "Backward0",
        gradient={"input": _shown_grad},
    )


_VIEWS = {last: _describe_view(last) for last in ("select", "slice", "unsqueeze")}


def _through(input: Tensor, steps: list[Step]) -> Tensor:
    """What the steps show: one view."""
    if len(steps) == 1 or (levels.stack and type(input) is Batched):
        return show(input, tuple(steps))
    spec, call = _VIEWS[steps[-1][0]], (input, tuple(steps))
    if listeners:
        return heard(spec, "view", lambda: run_view(spec, call, {}), call, {})
    return run_view(spec, call, {})


_select = select.unread  # type: ignore[attr-defined]
"""`select` of arguments that have been read."""


def _select_first(input: Tensor, number: int) -> Tensor:
    shape = input._layout.shape
    if not shape:
        raise IndexError(
            "invalid index of a 0-dim tensor. Use `tensor.item()` in Python or `tensor.item<T>()` "
            "in C++ to convert a 0-dim tensor to a number"
        )
    if not -shape[0] <= number < shape[0]:
        raise overflow("int", number) or out_of_bounds(number, 0, shape[0])
    return _select(input, 0, number)


def _slice_first(input: Tensor, item: slice) -> Tensor:
    step = item.step
    if step is None or (type(step) is int and step > 0):
        for bound in (item.start, item.stop):
            if bound is not None and type(bound) is not int:
                break
        else:
            return slice_along(input, 0, item.start, item.stop, step or 1)
    steps, _ = parse(input._layout.shape, item)
    return _through(input, steps) if steps else alias(input)


def getitem(input: Tensor, index: Any) -> Tensor:
    """`input[index]`: a view for ints, slices, None and `...`; fresh memory where tensors index."""
    kind = type(index)
    if kind is int:
        return _select_first(input, index)
    if kind is slice and input._layout.shape:
        return _slice_first(input, index)
    steps, keys = parse(input._layout.shape, index)
    target = _through(input, steps) if steps else input
    if keys is None:
        return target if steps else alias(input)
    return index_read(target, without_cover(keys))


# --- gathering ------------------------------------------------------------------------------------


def _read_grad(grad: Tensor, input_layout: Layout, indices: Any) -> Tensor:
    return index_backward(grad, input_layout.shape, indices)


@operator(
    where="internal", name="index", backward_name="IndexBackward0", gradient={"input": _read_grad}
)
def index_read(input: Tensor, indices: Sequence[Tensor | None]) -> Tensor:
    """The elements that the index tensors point to, one for each dimension (None: all of it)."""
    found = places(input._layout, indices)
    array = input._array
    layout = found.layout
    try:
        taken = _take(array, found.key, layout)
    except IndexError:
        check_bounds(input._layout, found.key)
        raise
    if layout.is_row_major and taken.flags.c_contiguous:
        return adopt(taken, input.dtype)
    out = empty(layout, input.dtype)
    np.copyto(out._array, taken)
    return out


def _take(array: np.ndarray, key: tuple[Any, ...], layout: Layout) -> np.ndarray:
    """`array[key]`, by the faster `np.take` where one index array is used."""
    used = [axis for axis, each in enumerate(key) if isinstance(each, np.ndarray)]
    if len(used) == 1 and array.flags.c_contiguous and layout.is_row_major:
        axis = used[0]
        if layout.numel * array.itemsize < _LARGE:
            return np.take(array, key[axis], axis)
        size, index = array.shape[axis], key[axis]
        if not -size <= index.min() <= index.max() < size:
            raise IndexError
        out = empty(contiguous(layout.shape), from_numpy_dtype(array.dtype))
        return np.take(array, index, axis, out=out._array, mode="wrap")
    return array[key]


def _index_again(grad: Tensor, indices: Any) -> Tensor:
    return index_read(grad, indices)


@operator(where="internal", gradient={"grad_out": _index_again})
def index_backward(grad_out: Tensor, shape: tuple[int, ...], indices: Any) -> Tensor:
    """The transpose of `index_read`: zeros with every element added where it came from."""
    out = empty(contiguous(shape), grad_out.dtype)
    array = out._array
    array.fill(0)
    add_at(array, places(out._layout, indices).key, grad_out._array)
    return out


# --- scattering -----------------------------------------------------------------------------------


def _put_input(grad: Tensor, indices: Any, values_layout: Layout, accumulate: bool) -> Tensor:
    if accumulate:
        return grad
    return index_put(grad, indices, F.zeros(values_layout.shape, dtype=grad.dtype))


def _put_values(grad: Tensor, indices: Any) -> Tensor:
    return index_read(grad, indices)


@writer(gradient={"input": _put_input, "values": _put_values})
def index_put(input: Tensor, indices: Any, values: Tensor, accumulate: bool = False) -> None:
    """Write `values` where the index tensors point; with `accumulate` add, also to repeated places.

    Without `accumulate` the last value written to a place stays.
    """
    if not isinstance(indices, (tuple, list)):
        raise wrong_type("index_put", "indices", 1, "tuple of Tensors", indices)
    if not isinstance(values, Tensor):
        raise wrong_type("index_put", "values", 2, "Tensor", values)
    masks = all(i is None or i.dtype in (bool_, uint8) for i in indices)
    if values.dtype is not input.dtype and not (masks and not values._layout.shape):
        raise RuntimeError(
            "Index put requires the source and destination dtypes match, got "
            f"{scalar_type(input.dtype)} for the destination and {scalar_type(values.dtype)} for "
            f"the source.\n  values.to({input.dtype}) would be taken."
        )
    refuse_shared(input, values, *indices)
    if not accumulate and values._layout.numel == 1 and _is_byte_mask(indices):
        raise RuntimeError(
            "masked_fill_ only supports boolean masks, but got mask with dtype unsigned char\n"
            "  mask.bool() is one."
        )
    if not accumulate and not values._layout.shape and _is_whole_mask(input, indices):
        input._array[indices[0]._array] = _converted(values, input)
        return
    found = places(input._layout, indices)
    source = _converted(values, input)
    shape = found.layout.shape
    if source.shape != shape:
        try:
            source = np.broadcast_to(source, shape)
        except ValueError:
            raise RuntimeError(
                f"shape mismatch: value tensor of shape {list(source.shape)} cannot be broadcast "
                f"to indexing result of shape {list(shape)}"
            ) from None
    check_bounds(input._layout, found.key)
    if accumulate:
        add_at(input._array, found.key, source)
    else:
        input._array[found.key] = source


def _is_whole_mask(input: Tensor, indices: Sequence[Tensor | None]) -> bool:
    """Whether the only index is a bool tensor of the input's shape."""
    mask = indices[0] if len(indices) == 1 else None
    return mask is not None and mask.dtype is bool_ and mask._layout.shape == input._layout.shape


def _is_byte_mask(indices: Sequence[Tensor | None]) -> bool:
    """Whether the only tensor among the indices is a uint8 mask, PyTorch's older kind."""
    given = [index for index in indices if index is not None]
    return len(given) == 1 and given[0].dtype is uint8


def _converted(values: Tensor, target: Tensor) -> np.ndarray:
    """The values in the target's dtype."""
    if values.dtype is target.dtype:
        return values._array
    return values._array.astype(target.dtype.numpy)


# --- assignment -----------------------------------------------------------------------------------


def setitem(input: Tensor, index: Any, value: Any) -> None:
    """`input[index] = value`: a number or a tensor, broadcast to what the index shows."""
    number = isinstance(value, (*_NUMBERS, np.generic))
    if not number and not isinstance(value, Tensor):
        kind = "numpy.ndarray" if isinstance(value, np.ndarray) else type(value).__name__
        raise TypeError(
            f"can't assign a {kind} to a torch.{input.dtype.tensor_type}\n"
            "  Wrap it: torch.as_tensor(value)."
        )
    if (error := overflow("int", value)) is not None:
        raise error
    if index is False:
        return
    keys = None
    if type(index) is int:
        target = _select_first(input, index)
    else:
        wide = Ellipsis if index is True or index is None else index
        steps, keys = parse(input._layout.shape, wide)
        target = _through(input, steps) if steps else input
    if keys is not None:
        _put(target, without_cover(keys), value, number)
    elif number:
        scalar = value.item() if isinstance(value, np.generic) else value
        if target.dtype in REDUCED:  # here several elements become infinite, too
            scalar = adopt(as_scalar(scalar, target.dtype, saturate=True), target.dtype)
        target.fill_(scalar)
    else:
        _copy_into(target, value)


def _put(target: Tensor, keys: tuple[Tensor | None, ...], value: Any, number: bool) -> None:
    if number:
        scalar = value.item() if isinstance(value, np.generic) else value
        value = adopt(as_scalar(scalar, target.dtype), target.dtype)
    else:
        value = _stripped(value)
    index_put.in_place(target, keys, value)  # type: ignore[attr-defined]


def _copy_into(target: Tensor, value: Tensor) -> None:
    value = _stripped(value)
    shape = target._layout.shape
    if not value._layout.shape and shape:
        target.fill_(value)
    else:
        target.copy_(value if value._layout.shape == shape else value.expand(shape))


def _stripped(value: Tensor) -> Tensor:
    """`value` without leading dimensions of size 1, which assignment ignores."""
    shape = value._layout.shape
    first = 0
    while first < len(shape) and shape[first] == 1:
        first += 1
    if not first:
        return value
    found = view_layout(value._layout, shape[first:])
    return value.reshape(shape[first:]) if isinstance(found, NoView) else value.view(shape[first:])


def contains(input: Tensor, element: Any) -> bool:
    """`element in input`: whether any element equals it."""
    if isinstance(element, (Tensor, *_NUMBERS)):
        return bool(input.eq(element).any().item())
    raise RuntimeError(
        f"Tensor.__contains__ only supports Tensor or scalar, but you passed in a {type(element)}."
    )


Tensor.__getitem__ = getitem  # type: ignore[method-assign, assignment]
Tensor.__setitem__ = setitem  # type: ignore[method-assign, assignment]
Tensor.__contains__ = contains  # type: ignore[method-assign, assignment]
