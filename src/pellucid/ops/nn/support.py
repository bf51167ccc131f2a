"""What the operators of `nn.functional` share: working precision, fresh results, reading sizes."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.autograd.node import wants_grad
from pellucid.ops.arguments import integers, type_name, wrong_type
from pellucid.ops.dispatch import operator
from pellucid.ops.inplace import copy_array, scalar_type
from pellucid.ops.parameter import is_index
from pellucid.tensor.dtype import REDUCED, dtype
from pellucid.tensor.layout import Layout, channels_last, channels_last_3d, contiguous
from pellucid.tensor.levels import Batched
from pellucid.tensor.tensor import Tensor, adopt, empty

Ints = tuple[int, ...]

_MAKERS = {"channels_last": channels_last, "channels_last_3d": channels_last_3d}


def working(tensor: Tensor) -> np.ndarray:
    """The data as it is computed with: half precision as float32, everything else as it is."""
    if tensor.dtype in REDUCED:
        return tensor._array.astype(np.float32)
    return tensor._array


def working_dtype(d: dtype) -> np.dtype:
    """The NumPy dtype that `working` gives for tensors of dtype `d`."""
    return np.dtype(np.float32) if d in REDUCED else d.numpy


def layout_for(shape: Ints, like: Layout) -> Layout:
    """A fresh layout of `shape` in the memory format of `like`: channels-last stays so."""
    maker = _MAKERS.get(like.suggested_memory_format)
    return (
        maker(shape) if maker is not None and len(shape) == len(like.shape) else contiguous(shape)
    )


def finished(array: np.ndarray, d: dtype, layout: Layout | None = None) -> Tensor:
    """A computed array as a tensor of dtype `d`, in `layout` if one is asked for."""
    array = np.asarray(array)
    if layout is None:
        if array.dtype == d.numpy:
            return adopt(array, d)
        layout = contiguous(array.shape)
    elif array.dtype == d.numpy and array.flags.c_contiguous and layout.is_row_major:
        return adopt(array, d)
    out = empty(layout, d)
    copy_array(out._array, array)
    return out


def scratch_for(out: Tensor) -> np.ndarray:
    """An array to compute `out` in: its own memory, or float32 laid out alike if it is half."""
    array = out._array
    return np.empty_like(array, np.float32) if out.dtype in REDUCED else array


def settle(out: Tensor, scratch: np.ndarray) -> Tensor:
    """Round what was computed in `scratch_for(out)` into `out`."""
    if scratch is not out._array:
        copy_array(out._array, scratch)
    return out


def differentiable(*operands: Tensor | None) -> bool:
    """Whether a call with these operands will be recorded."""
    return state.grad and any(x is not None and _recorded(x) for x in operands)


def _recorded(tensor: Tensor) -> bool:
    """Whether a tensor, or inside `vmap` what stands behind it, is on a tape."""
    if wants_grad(tensor):
        return True
    return type(tensor) is Batched and _recorded(tensor._value)


def refuse_gradient(function: str, **arguments: Tensor | None) -> None:
    """PyTorch's error for an argument that asks for a gradient which the function does not have."""
    for name, value in arguments.items():
        if differentiable(value):
            raise RuntimeError(
                f"The function '{function}' is not differentiable with respect to argument "
                f"'{name}'. This input cannot have requires_grad True.\n"
                f"  Give it {name}.detach()."
            )


def not_implemented(kernel: str, d: dtype) -> NotImplementedError:
    """PyTorch's error for a dtype that a kernel does not compute in."""
    return NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_type(d)}'")


def require_floating(kernel: str, tensor: Tensor) -> None:
    """Refuse tensors whose elements are not real floating-point numbers."""
    if not tensor.dtype.is_floating_point:
        raise not_implemented(kernel, tensor.dtype)


def require_tensor(name: str, parameter: str, position: int, value: Any) -> None:
    """TypeError unless `value` is a tensor."""
    if not isinstance(value, Tensor):
        raise wrong_type(name, parameter, position, "Tensor", value)


def sizes(name: str, parameter: str, position: int, value: Any) -> Ints:
    """A number or a sequence of numbers as a tuple of ints. Raises TypeError for anything else."""
    if isinstance(value, (tuple, list)) and value and not is_index(value[0]):
        raise TypeError(
            f"{name}(): argument '{parameter}' (position {position}) must be tuple of ints, "
            f"but found element of type {type_name(value[0])} at pos 0"
        )
    return integers(name, parameter, position, value)


@operator(
    where="internal",
    gradient={"input": lambda grad: grad, "others": lambda: None},
)
def tie(input: Tensor, others: tuple[Tensor, ...]) -> Tensor:
    """A copy of `input` that counts as computed from `others` too, though its value is not.

    PyTorch's gradient functions take all of an operator's inputs, so each gradient requires a
    gradient if one of them does; where it does not depend on them, that one is undefined.
    """
    return adopt(input._array.copy(), input.dtype)
