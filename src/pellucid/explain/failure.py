"""A call that failed: which operator, on which operands, and what would have worked.

Remedies are tried on shapes and strides alone; nothing is computed.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from dataclasses import dataclass
from types import FrameType
from typing import Any

from pellucid.explain.advice import PRODUCTS
from pellucid.explain.sites import PACKAGE
from pellucid.explain.text import brief, size
from pellucid.ops.spec import OpSpec
from pellucid.tensor import layout as layouts
from pellucid.tensor.layout import Ints, NoView, broadcast_shapes
from pellucid.tensor.tensor import Tensor

MOST_REMEDIES = 3


@dataclass(frozen=True, slots=True)
class Failure:
    """What is known of an error: the operator, its operands, remedies that fit."""

    error: BaseException
    operator: str
    operands: tuple[Tensor, ...]
    remedies: tuple[str, ...]

    def text(self) -> str:
        """The error, the operands, what would work."""
        lines = [f"{type(self.error).__name__}: {self.error}"]
        lines += [f"note: {note}" for note in getattr(self.error, "__notes__", ())]
        if self.operands:
            lines.append(f"{self.operator} was given")
            lines += [
                f"  {number}  {brief(t.dtype, t._layout, strides=True)}"
                f"{'' if t._layout.is_row_major else ', not contiguous'}"
                for number, t in enumerate(self.operands)
            ]
        lines += [f"would work: {remedy}" for remedy in self.remedies]
        return "\n".join(lines)


def explain_failure(error: BaseException) -> Failure:
    """Find the operator that raised `error` in its traceback, and what it was given."""
    frames = []
    trace = error.__traceback__
    while trace is not None:
        frames.append(trace.tb_frame)
        trace = trace.tb_next
    name, call = "", tuple[Any, ...]()
    for frame in reversed(frames):
        if not frame.f_code.co_filename.startswith(PACKAGE):
            break
        found = tuple(_operands(frame))
        if found:
            name, call = _operator(frame) or name or frame.f_code.co_name, found
    tensors = tuple(value for value in call if isinstance(value, Tensor))
    return Failure(error, name, tensors, tuple(_remedies(name, call, tensors))[:MOST_REMEDIES])


def _operator(frame: FrameType) -> str:
    """The name of the operator that a frame of the dispatcher calls; else empty."""
    values = frame.f_locals
    for spec in (values.get("spec"), getattr(values.get("row"), "spec", None)):
        if isinstance(spec, OpSpec):
            return spec.name
    return ""


def _operands(frame: FrameType) -> Iterator[Any]:
    """The arguments of a frame's function, `*args` unfolded, if a tensor is among them."""
    code, values = frame.f_code, frame.f_locals
    names = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount + bool(code.co_flags & 4)]
    flat: list[Any] = []
    for name in names:
        value = values.get(name)
        flat.extend(value if isinstance(value, (tuple, list)) else (value,))
    if any(isinstance(value, Tensor) for value in flat):
        yield from flat


def _remedies(name: str, call: Sequence[Any], tensors: Sequence[Tensor]) -> Iterator[str]:
    if name in ("view", "view_as", "reshape") and tensors:
        shape = tensors[1]._layout.shape if len(tensors) > 1 else _ints(call)
        yield from reshaping(tensors[0], shape)
    elif name in PRODUCTS and len(tensors) >= 2:
        a, b = tensors[-2:] if name.startswith("add") else tensors[:2]
        yield from multiplying(a, b)
    elif len(tensors) == 2:
        yield from broadcasting(*tensors)
    kinds = {t.dtype for t in tensors if t._layout.shape}
    if len(kinds) == 2 and len(tensors) == 2 and "dtype" in str(call) + name:
        yield f"the second operand .to({tensors[0].dtype})"


def _ints(values: Sequence[Any]) -> Ints:
    return tuple(v for v in values if isinstance(v, int) and not isinstance(v, bool))


def reshaping(tensor: Tensor, shape: Ints) -> Iterator[str]:
    """What gives a tensor another shape where `view` or `reshape` refused to."""
    layout = tensor._layout
    try:
        found = layouts.view(layout, shape)
    except (RuntimeError, TypeError):
        for axis in range(len(shape)):
            free = (*shape[:axis], -1, *shape[axis + 1 :])
            try:
                whole = layouts.infer_shape(free, layout.numel)
            except RuntimeError:
                continue
            yield f"shape {free}: {layout.numel} elements fit as {whole}"
        return
    if isinstance(found, NoView):
        yield f".reshape({', '.join(map(str, shape))}): it copies {size(tensor.nbytes)}"


def product_shape(a: Ints, b: Ints) -> Ints | None:
    """The shape of `a @ b`; None where it does not exist."""
    if len(a) < 2 or len(b) < 2 or a[-1] != b[-2]:
        return None
    try:
        return (*broadcast_shapes(a[:-2], b[:-2]), a[-2], b[-1])
    except RuntimeError:
        return None


def multiplying(a: Tensor, b: Tensor) -> Iterator[str]:
    """Which transposes make two matrices fit."""
    if a.dtype is not b.dtype:
        yield f"the second operand .to({a.dtype})"
    for left, right in (("a", "b.mT"), ("a.mT", "b"), ("a.mT", "b.mT")):
        shapes = (_turned(a, left.endswith("mT")), _turned(b, right.endswith("mT")))
        found = product_shape(*shapes)
        if found is not None and product_shape(a._layout.shape, b._layout.shape) is None:
            yield f"{left} @ {right}: {list(shapes[0])} @ {list(shapes[1])} gives {list(found)}"


def _turned(tensor: Tensor, turned: bool) -> Ints:
    shape = tensor._layout.shape
    return (*shape[:-2], *reversed(shape[-2:])) if turned and len(shape) > 1 else shape


def broadcasting(a: Tensor, b: Tensor) -> Iterator[str]:
    """Which new axis, or which transpose, makes two shapes broadcast."""
    if _broadcast(a._layout.shape, b._layout.shape) is not None:
        return
    for name, changed, other, flip in (("b", b, a, False), ("a", a, b, True)):
        ways: list[tuple[str, Callable[[], Ints]]] = [
            (f"{name}.unsqueeze({axis})", lambda axis=axis, t=changed: _with_axis(t, axis))  # type: ignore[misc]
            for axis in range(1, changed._layout.ndim + 1)
        ]
        if changed._layout.ndim == 2:
            ways.append((f"{name}.t()", lambda t=changed: _turned(t, True)))  # type: ignore[misc]
        for words, shape in ways:
            found = _broadcast(shape(), other._layout.shape)
            if found is not None:
                pair = f"a with {words}" if not flip else f"{words} with b"
                yield f"{pair}: {list(shape())} broadcasts, the result is {list(found)}"


def _with_axis(tensor: Tensor, axis: int) -> Ints:
    shape = tensor._layout.shape
    return (*shape[:axis], 1, *shape[axis:])


def _broadcast(a: Ints, b: Ints) -> Ints | None:
    try:
        return broadcast_shapes(a, b)
    except RuntimeError:
        return None
