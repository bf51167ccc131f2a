"""Views that change the tensor itself: `transpose_`, `squeeze_`, `t_`, `as_strided_`, …

No data moves: the tensor looks at its storage through another layout. The tape sees an in-place
operation with the gradient of the view.
"""

from __future__ import annotations

from collections.abc import Callable
from time import perf_counter
from typing import Any

from pellucid.autograd.modes import no_grad, state
from pellucid.autograd.node import current_grad_fn, record, wants_grad
from pellucid.autograd.views import check_write
from pellucid.ops.arguments import integers
from pellucid.ops.inplace import tell_write
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import OpSpec, registry
from pellucid.tensor.events import listeners
from pellucid.tensor.layout import Layout
from pellucid.tensor.levels import Batched
from pellucid.tensor.tensor import Tensor


def _relayout(spec: OpSpec, self: Tensor, arguments: tuple[Any, ...]) -> Tensor:
    """Give `self` the layout that the view `spec` has of it."""
    start = perf_counter() if listeners else 0.0
    check_write(self)
    layout: Layout = spec.body(self, *arguments)
    node = None
    if state.grad and wants_grad(self):
        old = self._twin()
        old._grad_fn, old._output_nr = current_grad_fn(self), self._output_nr
        old._requires_grad = True
        bound = spec.bind((old, *arguments), {})
        name = spec.backward_name.replace("Backward0", "Backward1")
        node = record(name, spec.gradient, bound, (self,), (), in_place=True)
    if type(self) is Batched:
        self._value = spec_view(spec, self, arguments)
    self._layout = layout
    self.__dict__.pop("_array", None)
    if not self._inference:
        self._storage.version += 1
    if node is not None:
        self._grad_fn, self._output_nr, self._requires_grad = node, 0, True
    self._view_version = self._storage.version
    if listeners:
        tell_write(spec.name + "_", self, arguments, start)
    return self


def spec_view(spec: OpSpec, self: Batched, arguments: tuple[Any, ...]) -> Tensor:
    """The view of the values that shows the view of each element."""
    with no_grad():
        found: Batched = registry.calls[spec](self._twin(), *arguments)
    return found._value


def _one_or_more(self: Tensor, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    dim = arguments[0] if arguments else None
    return (dim if dim is None or type(dim) is int else integers("squeeze_", "dim", 1, dim),)


def _as_given(self: Tensor, arguments: tuple[Any, ...]) -> tuple[Any, ...]:
    return arguments


_FORMS: dict[str, tuple[str, tuple[str, ...], Callable[..., tuple[Any, ...]]]] = {
    "transpose_": ("transpose", ("dim0", "dim1"), _as_given),
    "swapaxes_": ("transpose", ("axis0", "axis1"), _as_given),
    "swapdims_": ("transpose", ("dim0", "dim1"), _as_given),
    "t_": ("t", (), _as_given),
    "unsqueeze_": ("unsqueeze", ("dim",), _as_given),
    "squeeze_": ("internal.squeeze", ("dim",), _one_or_more),
    "as_strided_": ("as_strided", ("size", "stride", "storage_offset"), _as_given),
}
"""Method: the view it is, the names of its arguments, and how these become the view's."""


def _enter(name: str) -> None:
    view, names, convert = _FORMS[name]
    spec = registry.spec(view)
    assert spec is not None

    def change(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        given = (*args, *(kwargs.pop(each) for each in names[len(args) :] if each in kwargs))
        if kwargs or len(given) > len(names):
            raise TypeError(f"{name}() takes {', '.join(names) or 'no arguments'}")
        return _relayout(spec, self, convert(self, given))

    change.__name__ = change.__qualname__ = name
    change.__doc__ = f"`{spec.name}` of the tensor itself: no data moves, its layout changes."
    registry.put("Tensor", name, guarded_as(f"Tensor.{name}", change))


for _name in _FORMS:
    _enter(_name)
