"""Writing: in-place forms (`exp_`) and `out=`, derived from the description of the out-of-place
operator.
"""

from __future__ import annotations

import warnings
from collections.abc import Callable, Mapping, Sequence
from time import perf_counter
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.autograd.node import current_grad_fn, record, wants_grad
from pellucid.autograd.views import check_write, rebase
from pellucid.autograd.writers import sign
from pellucid.ops.lazy import put_lazily, write_through
from pellucid.ops.overloads import guarded, reader
from pellucid.ops.spec import OpSpec, OutRule
from pellucid.tensor.dtype import dtype
from pellucid.tensor.events import Event, before_writes, listeners, tell_before_write
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.levels import UNTOUCHED, Batched, interpreter, levels
from pellucid.tensor.promotion import can_cast
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, make

_NAMES = {
    "float32": "Float",
    "float64": "Double",
    "float16": "Half",
    "bfloat16": "BFloat16",
    "int64": "Long",
    "int32": "Int",
    "int16": "Short",
    "int8": "Char",
    "uint8": "Byte",
    "bool": "Bool",
    "complex64": "ComplexFloat",
    "complex128": "ComplexDouble",
    "uint16": "UInt16",
    "uint32": "UInt32",
    "uint64": "UInt64",
}


def scalar_type(d: dtype) -> str:
    """PyTorch's name of a dtype in its C++ messages: "Float", "Long"."""
    return _NAMES[d.name]


def refuse_overlap(target: Tensor) -> None:
    """Refuse to write a tensor whose elements share memory (after `expand`)."""
    if target._layout.has_internal_overlap:
        axes = [
            i
            for i, (s, n) in enumerate(
                zip(target._layout.strides, target._layout.shape, strict=True)
            )
            if s == 0 and n > 1
        ]
        raise RuntimeError(
            "unsupported operation: more than one element of the written-to tensor refers to a "
            "single memory location. Please "
            "clone() the tensor before performing the operation.\n"
            f"  Dimension {', '.join(map(str, axes)) or '?'} has stride 0 (made by expand or "
            "broadcasting): every index along it "
            "is the same memory."
        )


def check_castable(source: dtype, target: dtype) -> None:
    """Refuse to store a result in a dtype of a lower category."""
    if not can_cast(source, target):
        raise RuntimeError(
            f"result type {scalar_type(source)} can't be cast to the desired output type "
            f"{scalar_type(target)}"
        )


_C_NAMES = {
    "bool": "bool",
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short",
    "int32": "int",
    "int64": "long int",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "float32": "float",
    "float64": "double",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}


def c_name(d: dtype) -> str:
    """The C++ name of a dtype in PyTorch's messages: "float", "long int"."""
    return _C_NAMES.get(d.name, d.name)


def same_dtype(source: dtype, target: dtype) -> None:
    """Refuse an `out=` of another dtype, as operators do that move elements without converting
    them.
    """
    if source is not target:
        names = [c_name(each) for each in (source, target)]
        raise RuntimeError(
            f"Expected out tensor to have dtype {names[0]}, but got {names[1]} instead"
        )


EXACT = OutRule(same_dtype)
MOVED = OutRule(same_dtype, row_major=True)
MOVED_APART = OutRule(same_dtype, apart=True, row_major=True)


def refuse_shared(target: Tensor, *sources: Any) -> None:
    """Refuse to write into memory that a source is read from at the same time."""
    for source in sources:
        if isinstance(source, (list, tuple)):
            refuse_shared(target, *source)
        elif isinstance(source, Tensor) and (source is target or _surely_overlap(target, source)):
            raise RuntimeError(
                "unsupported operation: some elements of the input tensor and the written-to "
                "tensor refer to a single memory "
                "location. Please clone() the tensor before performing the operation."
            )


def _surely_overlap(a: Tensor, b: Tensor) -> bool:
    return (
        shares_memory(a, b)
        and a._layout.is_non_overlapping_and_dense
        and b._layout.is_non_overlapping_and_dense
    )


def shares_memory(a: Tensor, b: Tensor) -> bool:
    """Whether two tensors look at overlapping bytes (judged by their bounds)."""
    if a._storage is not b._storage and a._storage.is_own and b._storage.is_own:
        return False
    if not a._layout.numel or not b._layout.numel:
        return False
    low_a, high_a = (a._storage.address + bound * a.dtype.itemsize for bound in a._layout.bounds)
    low_b, high_b = (b._storage.address + bound * b.dtype.itemsize for bound in b._layout.bounds)
    return low_a < high_b and low_b < high_a


def _wants(values: Sequence[Any]) -> bool:
    for value in values:
        if isinstance(value, Tensor):
            if wants_grad(value):
                return True
        elif isinstance(value, (list, tuple)) and _wants(value):
            return True
    return False


def before_write(
    spec: OpSpec, self: Tensor, args: Sequence[Any], kwargs: dict[str, Any]
) -> Tensor | None:
    """Refuse what cannot be written; if the write must be recorded, return what stands for `self`'s
    old value on the tape.
    """
    others = state.grad and (_wants(args) or (bool(kwargs) and _wants(tuple(kwargs.values()))))
    check_write(self, others)
    if before_writes:
        tell_before_write(self)
    if spec.name != "fill":  # which writes the same value everywhere
        refuse_overlap(self)
    if not state.grad or not (others or wants_grad(self)):
        return None
    if any(spec.parameters[0] in rule.wants for rule in spec.gradient):
        layout = self._layout
        if self._storage.meta:
            return _dated(self._twin(), self)
        old = make(Storage(0), layout, self.dtype)
        old._array = self._array.copy(order="K")
        old._storage = Storage.adopt(old._array)
        strides = tuple(s // self.dtype.itemsize for s in old._array.strides)
        old._layout = Layout(layout.shape, strides, 0)
    else:
        old = self._twin()
    return _dated(old, self)


def _dated(old: Tensor, self: Tensor) -> Tensor:
    """`old` at the place on the tape where `self` is."""
    old._grad_fn = current_grad_fn(self)
    old._output_nr = self._output_nr
    old._requires_grad = old._grad_fn is not None
    return old


def after_write(
    spec: OpSpec, self: Tensor, old: Tensor | None, args: Sequence[Any], kwargs: dict[str, Any]
) -> None:
    """Count the write and, if `old` is given, record it."""
    # Recorded before the write is counted: an argument that looks at the memory just written is
    # then found out of date.
    node = None
    if old is not None and self.dtype.category >= 2:
        bound = spec.bind((old, *args), kwargs)
        node = record(spec.backward_name, spec.gradient, bound, (self,), spec.fields, in_place=True)
    if not self._inference:
        self._storage.version += 1
        sign(self._storage, spec.name + "_")
    if node is not None:
        rebase(self, node)


def store(self: Tensor, result: Tensor) -> None:
    """Put a computed result into `self`, refusing other shapes and lower categories of dtype."""
    if result._layout.shape != self._layout.shape:
        raise RuntimeError(
            f"output with shape {list(self._layout.shape)} doesn't match the broadcast shape "
            f"{list(result._layout.shape)}\n"
            "  An in-place operation keeps its tensor's shape: use the out-of-place form, or "
            "expand() and clone() first."
        )
    check_castable(result.dtype, self.dtype)
    copy_array(self._array, result._array)


def copy_array(target: np.ndarray, source: np.ndarray) -> None:
    """Copy with PyTorch's casts (NumPy warns when a complex number loses its imaginary part; here
    it is asked for).
    """
    if source.dtype.kind == "c" and target.dtype.kind not in "cb":
        source = source.real
    with np.errstate(all="ignore"):
        np.copyto(target, source, casting="unsafe")


def put(target: Tensor, values: np.ndarray) -> None:
    """`copy_array` into a tensor, which may be a lazy view."""
    if not target._storage.lazy:
        copy_array(target._array, values)
        return
    converted = np.empty(values.shape, target.dtype.numpy)
    copy_array(converted, values)
    put_lazily(target, converted)


def make_inplace(spec: OpSpec, name: str) -> Callable[..., Any]:
    """The in-place form of an operator: compute, check, store, record."""
    composed = spec.kind == "composite"

    def written(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._storage.lazy:
            return write_through(write, self, args, kwargs)
        start = perf_counter() if listeners else 0.0
        if composed:
            return _write_composite(spec, self, args, kwargs)
        if levels.stack and interpreter.write(spec, self, args, kwargs) is not UNTOUCHED:
            return self
        old = before_write(spec, self, args, kwargs)
        enabled, state.grad = state.grad, False
        try:
            result = spec.body(self, *args, **kwargs)
        finally:
            state.grad = enabled
        store(self, result)
        after_write(spec, self, old, args, kwargs)
        if listeners:
            tell_write(name, self, args, start, kwargs)
        return self

    write = guarded(written, reader(spec, f"Tensor.{name}"))
    write.__name__ = write.__qualname__ = name
    write.__doc__ = (
        f"In-place form of `{spec.name}`: writes the result into this tensor and returns it."
    )
    write.spec = spec  # type: ignore[attr-defined]
    return write


def _write_composite(
    spec: OpSpec, self: Tensor, args: Sequence[Any], kwargs: dict[str, Any]
) -> Tensor:
    check_write(self)
    refuse_overlap(self)
    result = spec.body(self, *args, **kwargs)
    if result._layout.shape != self._layout.shape:
        raise RuntimeError(
            f"output with shape {list(self._layout.shape)} doesn't match the broadcast shape "
            f"{list(result._layout.shape)}"
        )
    check_castable(result.dtype, self.dtype)
    return self.copy_(result)


def tell_write(
    name: str,
    self: Tensor,
    args: Sequence[Any],
    start: float,
    settings: Mapping[str, Any] | None = None,
) -> None:
    """Tell the listeners of an in-place call."""
    event = Event(name, (self, *args), (self,), "write", 0, perf_counter() - start)
    event.settings = settings
    for listener in tuple(listeners):
        listener(event)


def resize(target: Tensor, layout: Layout) -> None:
    """Give `target` the shape and strides of `layout`, enlarging its storage if it must be."""
    if type(target) is Batched:
        raise RuntimeError(
            "vmap: a tensor inside vmap cannot be resized, nor be an `out=` of another shape\n"
            "  Its memory holds the other elements of the batch too: make a new tensor."
        )
    offset = target._layout.offset
    needed = (layout.span + offset) * target.dtype.itemsize
    if needed > target._storage.nbytes():
        target._storage.resize_(needed)
    target._layout = Layout(layout.shape, layout.strides, offset)
    target.__dict__.pop("_array", None)


def resize_output(target: Tensor, layout: Layout) -> None:
    """Make an `out=` tensor fit a result, with PyTorch's warning if it held something."""
    if target._layout.shape == layout.shape:
        return
    if target._layout.numel:
        warnings.warn(
            "An output with one or more elements was resized since it had shape "
            f"{list(target._layout.shape)}, which does not "
            f"match the required output shape {list(layout.shape)}. This behavior is deprecated, "
            "and in a future PyTorch release "
            "outputs will not be resized unless they have zero elements. You can explicitly reuse "
            "an out tensor t by resizing it, "
            "inplace, to zero elements with t.resize_(0).",
            UserWarning,
            stacklevel=4,
        )
    resize(target, layout)


_USUAL = OutRule(check_castable)


def write_outputs(spec: OpSpec, out: Any, args: Sequence[Any], kwargs: dict[str, Any]) -> Any:
    """Run an operator into the tensors given as `out=`; they are returned."""
    targets = tuple(out) if isinstance(out, (tuple, list)) else (out,)
    for target in targets:
        if not isinstance(target, Tensor):
            raise TypeError(
                f"{spec.name}(): argument 'out' must be Tensor, not {type(target).__name__}"
            )
    if state.grad and (_wants(args) or _wants(tuple(kwargs.values())) or _wants(targets)):
        raise RuntimeError(
            f"{spec.name}(): functions with out=... arguments don't support automatic "
            "differentiation, but one of the arguments "
            "requires grad."
        )
    rule = spec.out if isinstance(spec.out, OutRule) else _USUAL
    if rule.apart:
        for target in targets:
            refuse_shared(target, *args, *kwargs.values())
    if rule.prepare is not None:
        rule.prepare(args, targets[0], kwargs)
    result = spec.body(*args, **kwargs)
    results = result if isinstance(result, (tuple, list)) else (result,)
    if len(targets) != len(results):
        raise TypeError(
            f"{spec.name}() received an invalid combination of arguments - got "
            f"{len(targets)} tensors as out=, but its results are {len(results)}"
        )
    for target, value in zip(targets, results, strict=True):
        rule.check(value.dtype, target.dtype)
        refuse_overlap(target)
        plain = rule.row_major is True or (rule.row_major and target._layout.numel)
        if rule.row_major == "filled" and not target._layout.numel:
            resize(target, value._layout)
        resize_output(target, contiguous(value._layout.shape) if plain else value._layout)
        if rule.apart:
            refuse_shared(target, *args, *kwargs.values())
        refuse_overlap(target)
        if before_writes:
            tell_before_write(target)
        put(target, value._array)
        target._storage.version += 1
        sign(target._storage, f"{spec.name}(out=…)")
    if isinstance(result, tuple) and hasattr(result, "_fields"):
        return type(result)(*targets)
    return targets if isinstance(result, (tuple, list)) else targets[0]
