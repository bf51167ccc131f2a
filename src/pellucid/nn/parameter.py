"""Tensors a module owns: `Parameter` (trained) and `Buffer` (kept, saved, not trained).

Both are ordinary tensors. Assigned to an attribute of a `Module` they are entered in its lists, so
that `parameters()`, `state_dict()` and `to()` find them.
"""

from __future__ import annotations

from collections import OrderedDict
from typing import TYPE_CHECKING, Any

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.ops.memory.copying import user_attributes
from pellucid.tensor.tensor import Tensor, make


def share_as(cls: type[Any], data: Tensor, requires_grad: bool) -> Any:
    """A leaf of class `cls` over the memory of `data`."""
    if requires_grad and not (data.is_floating_point() or data.is_complex()):
        raise RuntimeError(
            "Only Tensors of floating point and complex dtype can require gradients\n"
            f"  These are {data.dtype}: pass requires_grad=False."
        )
    leaf = make(data._storage, data._layout, data.dtype)
    leaf.__class__ = cls
    return leaf.requires_grad_(requires_grad)


class _MarkedTensorMeta(type(Tensor)):  # type: ignore[misc]
    """Lets a tensor of another class count as an instance of the class that carries `_mark`."""

    _mark: str = ""

    def __instancecheck__(cls, instance: object) -> bool:
        if super().__instancecheck__(instance):
            return True
        mark = cls.__dict__.get("_mark", "")
        return bool(mark) and isinstance(instance, Tensor) and getattr(instance, mark, False)


class Parameter(Tensor, metaclass=_MarkedTensorMeta):
    """A tensor that an optimiser is meant to change.

    Shares memory with `data`; it is a leaf, cut off from whatever computed `data`. Results of
    operators on it are plain tensors.

    Args:
        data: the values; an empty float tensor when left out.
        requires_grad: whether gradients are wanted.
    """

    _mark = "_is_param"
    _plain = True

    def __new__(cls, data: Tensor | None = None, requires_grad: bool = True) -> Parameter:
        if data is None:
            data = ops.empty(0)
        if type(data) is Tensor or type(data) is Parameter:
            return share_as(cls, data, requires_grad)
        leaf = data.detach().requires_grad_(requires_grad)
        if type(leaf) is not type(data):
            raise RuntimeError(
                f"Creating a Parameter from an instance of type {type(data).__name__} requires "
                "that detach() returns an instance of the same type, but return type "
                f"{type(leaf).__name__} was found instead. Let {type(data).__name__}.detach() "
                "return its own class, or pass a plain tensor."
            )
        parameter: Any = leaf
        parameter._is_param = True
        return parameter

    def __deepcopy__(self, memo: dict[int, Any]) -> Parameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.detach().clone(), self.requires_grad)
        return memo[id(self)]

    # mypy drops the names of a dunder's keywords and finds no two alike.
    def __repr__(self, *, tensor_contents: str | None = None) -> str:  # type: ignore[override]
        text = super().__repr__()
        if type(self) is not Parameter:
            text = f"Parameter({text})"
        return "Parameter containing:\n" + text

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        hooks: OrderedDict[int, Any] = OrderedDict()
        # The third part is what a program put on it; pickle and copy put it on the new one.
        attributes = user_attributes(self) or None
        return rebuild_parameter, (self.data, self.requires_grad, hooks), attributes


def rebuild_parameter(data: Tensor, requires_grad: bool, hooks: Any) -> Parameter:
    """Make the parameter that a pickle describes (`hooks` is empty: hooks are never saved)."""
    return Parameter(data, requires_grad)


class Buffer(Tensor, metaclass=_MarkedTensorMeta):
    """A tensor that belongs to a module's state without being trained, like a running mean.

    `Buffer(data)` returns a plain tensor that shares `data`'s memory and remembers that it is to be
    registered as a buffer.

    Args:
        data: the values; an empty float tensor when left out.
        persistent: whether `state_dict()` contains it.
    """

    _mark = "_is_buffer"

    def __new__(cls, data: Tensor | None = None, *, persistent: bool = True) -> Any:
        if data is None:
            data = ops.empty(0)
        marked: Any = data.detach().requires_grad_(data.requires_grad)
        marked.persistent = persistent
        marked._is_buffer = True
        return marked


if TYPE_CHECKING:
    _TensorToBe = Tensor  # what the mixin is mixed with
else:
    _TensorToBe = object


class UninitializedTensorMixin(_TensorToBe):
    """What the tensors of a lazy module share: no shape until the first input has been seen."""

    cls_to_become: type[Tensor]

    def materialize(self, shape: tuple[int, ...], device: Any = None, dtype: Any = None) -> None:
        """Become a real tensor of `shape` (uninitialised memory), in place."""
        plain = self.data
        with no_grad():
            self.data = ops.empty(
                shape, device=device, dtype=plain.dtype if dtype is None else dtype
            )
        self.__class__ = self.cls_to_become  # type: ignore[assignment]  # it stops being lazy

    @property
    def shape(self) -> Any:
        raise RuntimeError(
            "Can't access the shape of an uninitialized parameter or buffer. This error usually "
            "happens in `load_state_dict` when trying to load an uninitialized parameter into an "
            "initialized one. Call `forward` to initialize the parameters before accessing their "
            "attributes."
        )

    def share_memory_(self) -> Any:
        raise RuntimeError(
            "Can't share memory on an uninitialized parameter or buffer. Call `forward` to "
            "initialize the parameters before calling `module.share_memory()`."
        )

    # mypy drops the names of a dunder's keywords and finds no two alike.
    def __repr__(self, *, tensor_contents: str | None = None) -> str:  # type: ignore[override]
        return f"<{type(self).__name__}>"

    def __reduce_ex__(self, protocol: Any) -> tuple[Any, ...]:
        return type(self), (self.requires_grad,)


def is_lazy(param: object) -> bool:
    """Whether `param` still waits for its shape."""
    return isinstance(param, UninitializedTensorMixin)


class UninitializedParameter(UninitializedTensorMixin, Parameter):  # type: ignore[misc]  # __repr__
    """A parameter whose shape the first input decides; see `LazyModuleMixin`."""

    _mark = ""
    cls_to_become = Parameter

    def __new__(
        cls, requires_grad: bool = True, device: Any = None, dtype: Any = None
    ) -> UninitializedParameter:
        return share_as(cls, ops.empty(0, device=device, dtype=dtype), requires_grad)

    def __deepcopy__(self, memo: dict[int, Any]) -> UninitializedParameter:
        if id(self) not in memo:
            memo[id(self)] = type(self)(self.requires_grad, self.data.device, self.data.dtype)
        return memo[id(self)]


class UninitializedBuffer(UninitializedTensorMixin, Tensor):
    """A buffer whose shape the first input decides; see `LazyModuleMixin`."""

    cls_to_become = Tensor

    def __new__(
        cls,
        requires_grad: bool = False,
        device: Any = None,
        dtype: Any = None,
        persistent: bool = True,
    ) -> UninitializedBuffer:
        data = ops.empty(0, device=device, dtype=dtype)
        buffer = share_as(cls, data, requires_grad)
        buffer.persistent = persistent
        buffer._is_buffer = True
        return buffer
