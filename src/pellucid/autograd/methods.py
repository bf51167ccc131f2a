"""The methods and attributes of `Tensor` that belong to the tape: `backward`, `grad`,
`requires_grad`, hooks.
"""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pellucid.autograd.api import backward
from pellucid.autograd.hooks import RemovableHandle, add_hook
from pellucid.autograd.modes import state
from pellucid.autograd.node import Node, current_grad_fn, wants_grad
from pellucid.tensor.dtype import FLOATING
from pellucid.tensor.tensor import Tensor


def _backward_method(
    self: Tensor,
    gradient: Tensor | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    inputs: Any = None,
) -> None:
    """Add the gradient of this tensor to the `grad` of every leaf it was computed from."""
    backward(self, gradient, retain_graph, create_graph, inputs=inputs)


def _get_requires_grad(self: Tensor) -> bool:
    return wants_grad(self)


def _set_requires_grad(self: Tensor, value: bool) -> None:
    if not isinstance(value, bool):
        raise RuntimeError("requires_grad must be a bool")
    if not value and self._grad_fn is not None:
        raise RuntimeError(
            "you can only change requires_grad flags of leaf variables. If you want to use a "
            "computed variable in a subgraph "
            "that doesn't require differentiation use var_no_grad = var.detach()."
        )
    if value and self._grad_fn is None and self.dtype.category < FLOATING:
        raise RuntimeError("only Tensors of floating point and complex dtype can require gradients")
    if value and self._inference and not state.inference:
        raise RuntimeError(
            "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
        )
    self._requires_grad = value


def _requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Set `requires_grad` in place; returns the tensor."""
    if not isinstance(requires_grad, bool):
        raise TypeError(
            "requires_grad_(): argument 'requires_grad' (position 1) must be bool, not "
            f"{type(requires_grad).__name__}"
        )
    if requires_grad and self.dtype.category < FLOATING:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    _set_requires_grad(self, requires_grad)
    return self


def _get_grad_fn(self: Tensor) -> Node | None:
    return current_grad_fn(self)


def _get_is_leaf(self: Tensor) -> bool:
    return current_grad_fn(self) is None


def _get_grad(self: Tensor) -> Tensor | None:
    if self._grad is None and self._grad_fn is not None and not self._retains_grad:
        warnings.warn(
            "The .grad attribute of a Tensor that is not a leaf Tensor is being accessed. Its "
            ".grad attribute won't be "
            "populated during autograd.backward(). If you indeed want the .grad field to be "
            "populated for a non-leaf Tensor, use "
            ".retain_grad() on the non-leaf Tensor. If you access the non-leaf Tensor by mistake, "
            "make sure you access the leaf "
            "Tensor instead. See github.com/pytorch/pytorch/pull/30531 for more informations.",
            UserWarning,
            stacklevel=2,
        )
    return self._grad


def _set_grad(self: Tensor, value: Tensor | None) -> None:
    if value is not None:
        if not isinstance(value, Tensor):
            raise TypeError(
                "assigned grad expected to be a Tensor or None but got grad of type "
                f"{type(value).__name__}"
            )
        if value is self:
            raise RuntimeError("can't assign Variable as its own grad")
        if value._layout.shape != self._layout.shape:
            raise RuntimeError(
                f"attempting to assign a gradient of size '{list(value.shape)}' to a tensor of "
                f"size '{list(self.shape)}'. Please ensure that the gradient and the tensor are "
                "the same size"
            )
        if value.dtype is not self.dtype:
            raise RuntimeError(
                "attempting to assign a gradient with dtype "
                f"'{_C_NAMES.get(value.dtype.name, value.dtype.name)}' to a tensor with grad_dtype "
                f"'{self.dtype.tensor_type.removesuffix('Tensor')}'. The gradient must match the "
                "tensor's grad_dtype (defaults to the tensor's dtype)."
            )
    self._grad = value


_C_NAMES = {
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "float32": "float",
    "float64": "double",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short int",
    "int32": "int",
    "int64": "long int",
}
"""What PyTorch's message calls dtypes here."""


def _get_grad_dtype(self: Tensor) -> Any:
    if self._grad_fn is not None:
        raise RuntimeError("grad_dtype can only be accessed on leaf tensors.")
    return self.dtype


def _del_grad(self: Tensor) -> None:
    self._grad = None


def _register_hook(self: Tensor, hook: Callable[[Tensor], Tensor | None]) -> RemovableHandle:
    """Call `hook(grad)` whenever a gradient with respect to this tensor is computed; what it
    returns replaces the gradient.
    """
    if not wants_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    node = current_grad_fn(self)
    if node is None:
        if self._hooks is None:
            self._hooks = OrderedDict()
        return add_hook(self._hooks, hook)
    if node.tensor_hooks is None:
        node.tensor_hooks = {}
    return add_hook(node.tensor_hooks.setdefault(self._output_nr, OrderedDict()), hook)


def _register_post_accumulate_grad_hook(
    self: Tensor, hook: Callable[[Tensor], None]
) -> RemovableHandle:
    """Call `hook(leaf)` each time a gradient has been added to `leaf.grad`."""
    if not wants_grad(self):
        raise RuntimeError("cannot register a hook on a tensor that doesn't require gradient")
    if self._grad_fn is not None:
        raise RuntimeError("post accumulate grad hooks cannot be registered on non-leaf tensors")
    if self._post_accumulate_hooks is None:
        self._post_accumulate_hooks = OrderedDict()
    return add_hook(self._post_accumulate_hooks, hook)


def _retain_grad(self: Tensor) -> None:
    """Let this tensor, though not a leaf, have its `grad` filled by backward."""
    if not wants_grad(self):
        raise RuntimeError("can't retain_grad on Tensor that has requires_grad=False")
    node = current_grad_fn(self)
    if node is None:
        return
    self._retains_grad = True
    if node.retained is None:
        node.retained = {}
    node.retained[self._output_nr] = weakref.ref(self)


def _attach() -> None:
    cls: Any = Tensor
    cls.backward = _backward_method
    cls.requires_grad = property(
        _get_requires_grad, _set_requires_grad, doc="Whether a gradient is wanted."
    )
    cls.requires_grad_ = _requires_grad_
    cls.grad_fn = property(_get_grad_fn, doc="The node that made this tensor; None for leaves.")
    cls.is_leaf = property(
        _get_is_leaf, doc="Whether the tensor was made by the user, not by a recorded operation."
    )
    cls.grad = property(
        _get_grad, _set_grad, _del_grad, doc="The gradient accumulated by backward."
    )
    cls.grad_dtype = property(_get_grad_dtype, doc="The dtype of a leaf's gradient: its own.")
    cls.register_hook = _register_hook
    cls.register_post_accumulate_grad_hook = _register_post_accumulate_grad_hook
    cls.retain_grad = _retain_grad
    cls.retains_grad = property(
        lambda self: self._retains_grad, doc="Whether `retain_grad` was called."
    )
    cls.output_nr = property(
        lambda self: self._output_nr, doc="Which output of its node the tensor is."
    )


_attach()
