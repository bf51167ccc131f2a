"""What every factory (`zeros`, `rand`, `arange`, …) does: read the shared keywords, find memory,
mark the result, tell it.

A factory allocates with `place` (or draws and adopts), fills, and returns `finish(...)`. The
keywords
they share are `Options`.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, TypedDict

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.arguments import sizes
from pellucid.ops.inplace import refuse_overlap, resize, scalar_type
from pellucid.ops.memory.memory import layout_in
from pellucid.tensor.device import META, chosen, layout_kind, placed, strided
from pellucid.tensor.device import device as Device
from pellucid.tensor.device import memory_format as MemoryFormat
from pellucid.tensor.dtype import bool_, complex128, default, float64, int64
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.events import Event, before_writes, listeners, tell_before_write
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.meta import let_go, without_data
from pellucid.tensor.tensor import Tensor, empty


class Options(TypedDict, total=False):
    """The keywords that every factory takes.

    `dtype` is a `torch.dtype` (or `float`, `int`, `bool`, `complex`: PyTorch's widest of the kind),
    `layout` is `torch.strided`, `device` the CPU, `requires_grad` makes a leaf that wants a
    gradient;
    `pin_memory` is refused when true, since no accelerator is there.
    """

    dtype: DType | type | None
    layout: layout_kind | None
    device: Device | str | None
    requires_grad: bool
    pin_memory: bool


_PYTHON_TYPES = {float: float64, int: int64, bool: bool_, complex: complex128}
_KNOWN = frozenset(Options.__annotations__)


def read_dtype(name: str, wanted: Any, out: Tensor | None, otherwise: DType) -> DType:
    """The dtype of the result: the one asked for, that of `out`, or `otherwise`.

    Raises: TypeError for anything that is no dtype, RuntimeError if `out` has another one.
    """
    if wanted is None:
        return otherwise if out is None else out.dtype
    found = wanted if isinstance(wanted, DType) else _PYTHON_TYPES.get(wanted)
    if found is None:
        raise TypeError(
            f"{name}(): argument 'dtype' must be torch.dtype, not {type(wanted).__name__}"
        )
    if out is not None and out.dtype is not found:
        raise RuntimeError(
            f"dtype {scalar_type(found)} does not match dtype of out parameter "
            f"({scalar_type(out.dtype)})\n  Leave dtype out: the result has the dtype of out."
        )
    return found


def check_options(name: str, options: Options) -> None:
    """Refuse unknown keywords, other devices and layouts, and pinned memory."""
    for key in options:
        if key not in _KNOWN:
            raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
    wants_grad = options.get("requires_grad", False)
    if not isinstance(wants_grad, bool):
        raise TypeError(
            f"{name}(): argument 'requires_grad' must be bool, not {type(wants_grad).__name__}"
        )
    placed(options.get("device"))
    layout = options.get("layout")
    if layout is not None and layout is not strided:
        raise RuntimeError(
            f"{name}(): layout {layout} is not there; Pellucid's tensors are torch.strided"
        )
    if options.get("pin_memory"):
        raise RuntimeError(
            "pin_memory=True requires a CUDA or other accelerator backend; no pinned memory "
            "allocator is available on this system.\n  Memory is pinned to copy it to a device "
            "while the CPU computes; leave pin_memory out on a CPU."
        )


def check_shape(shape: tuple[int, ...]) -> tuple[int, ...]:
    """`shape`, which must not be negative anywhere. Raises RuntimeError."""
    for size in shape:
        if size < 0:
            raise RuntimeError(
                f"Trying to create tensor with negative dimension {size}: {list(shape)}"
            )
    return shape


def read_sizes(name: str, given: tuple[Any, ...], options: Any) -> tuple[int, ...]:
    """The sizes in `f(2, 3)`, `f((2, 3))` and `f(size=(2, 3))`; takes `size` out of `options`."""
    if options and "size" in options:
        given = (options.pop("size"),)
    elif not given:
        raise TypeError(
            f'{name}() missing 1 required positional arguments: "size"\n'
            f"  {name}(()) makes a tensor without dimensions, of one element."
        )
    return sizes(name, given)


def place(
    name: str,
    shape: tuple[int, ...],
    otherwise: DType | None,
    out: Tensor | None,
    options: Options,
    memory_format: MemoryFormat | None = None,
) -> Tensor:
    """The tensor to fill: a fresh one of this shape, or `out` made to fit and counted as written.

    `otherwise` is the dtype if nothing names one (None: the default floating dtype).
    """
    d = default.floating if otherwise is None else otherwise
    if options:
        check_options(name, options)
        d = read_dtype(name, options.get("dtype"), out, d)
    elif out is not None:
        check_out(name, out)
        d = out.dtype
    layout = contiguous(check_shape(shape))
    if memory_format is not None:
        layout = layout_in(memory_format, layout)
    return blank(layout, d, options) if out is None else fit(out, layout)


def blank(layout: Layout, kind: DType, options: Options) -> Tensor:
    """Memory to be filled; for a tensor that shall have no data one element that stands for all,
    until `finish` lets go of it.
    """
    if not without(options):
        return empty(layout, kind)
    result = without_data(layout, kind)
    element = np.zeros((), kind.numpy)
    result._array = np.lib.stride_tricks.as_strided(
        element, layout.shape, (0,) * len(layout.shape), writeable=True
    )
    return result


def fill(result: Tensor, value: Any) -> None:
    """Write `value` to every element, if there are any to write to."""
    if not result._storage.meta:
        result._array.fill(value)


def without(options: Options | None) -> bool:
    """Whether the factory's tensor shall have no data."""
    if options is None:
        return False
    if options.get("device") is not None:
        return placed(options["device"]) is META
    return bool(chosen.stack) and chosen.stack[-1] is META


def fit(out: Tensor, layout: Layout) -> Tensor:
    """`out` in the shape of `layout`, and counted as written. RuntimeError if its elements
    overlap.
    """
    if out._layout.shape != layout.shape:
        resize(out, layout)
    refuse_overlap(out)
    if before_writes:
        tell_before_write(out)
    out._storage.version += 1
    return out


def check_out(name: str, out: Any) -> None:
    """Refuse an `out=` that is no tensor."""
    if not isinstance(out, Tensor):
        raise TypeError(f"{name}(): argument 'out' must be Tensor, not {type(out).__name__}")


def finish(
    name: str, out: Tensor, options: Options | None = None,
    again: Callable[[], Tensor] | None = None,
) -> Tensor:  # fmt: skip
    """What every factory does last: mark the tensor, tell whoever listens, return it. `again` makes
    one more, for factories that draw.
    """
    if out._storage.meta:
        out.__dict__.pop("_array", None)
    elif without(options):
        let_go(out)
    if options and options.get("requires_grad"):
        if out.dtype.category < 2:
            raise RuntimeError(
                "Only Tensors of floating point and complex dtype can require gradients\n"
                f"  {out.dtype} counts; pass dtype=torch.float32 to differentiate."
            )
        out._requires_grad = True
    if state.inference:
        out._inference = True
    if listeners:
        event = Event(name, (), (out,), "copy", out.nbytes, 0.0, again=again)
        for listener in tuple(listeners):
            listener(event)
    return out
