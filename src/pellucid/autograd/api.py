"""`backward` and `grad`: from tensors to the engine, with the checks users meet."""

from __future__ import annotations

import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.engine import run_backward
from pellucid.autograd.hooks import RemovableHandle, add_hook
from pellucid.autograd.modes import state
from pellucid.autograd.node import Edge, Node, current_grad_fn, edge_of, wants_grad
from pellucid.tensor.tensor import Tensor


def backward(
    tensors: Tensor | Sequence[Tensor],
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Tensor | Sequence[Tensor] | None = None,
) -> None:
    """Add the gradients of `tensors` to the `grad` of every leaf they were computed from (or of
    `inputs` only).

    `grad_tensors` are the vectors of the vector-Jacobian product, one per tensor; None stands for 1
    where the tensor has one element.
    """
    roots = (tensors,) if isinstance(tensors, Tensor) else tuple(tensors)
    if inputs is not None:
        inputs = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
        if not inputs:
            raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    given = _starts(roots, grad_tensors, False)
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run_backward(given, retain, create_graph)
        return
    edges = [_target(tensor) for tensor in inputs]
    found = run_backward(given, retain, create_graph, edges, accumulate=True)
    for tensor, value in zip(inputs, found, strict=True):
        if tensor._grad_fn is not None and value is not None:
            tensor._grad = (
                arithmetic.clone(value)
                if tensor._grad is None
                else arithmetic.add(tensor._grad, value)
            )


def grad(
    outputs: Tensor | Sequence[Tensor],
    inputs: Tensor | Sequence[Tensor],
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs`, without touching any `.grad`.

    With `is_grads_batched` the first dimension of each `grad_outputs` counts vectors, and results
    have it too. Raises RuntimeError for an input that the outputs do not depend on, unless
    `allow_unused` (None comes back) or `materialize_grads` (zeros come back).
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    roots = (outputs,) if isinstance(outputs, Tensor) else tuple(outputs)
    wanted = (inputs,) if isinstance(inputs, Tensor) else tuple(inputs)
    retain = create_graph if retain_graph is None else retain_graph
    if is_grads_batched:
        return _batched(
            roots, wanted, grad_outputs, retain, create_graph, allow_unused, materialize_grads
        )
    given = _starts(roots, grad_outputs, False)
    edges = [_target(tensor) for tensor in wanted]
    found = run_backward(given, retain, create_graph, edges, accumulate=False)
    return _checked(wanted, found, bool(allow_unused) or materialize_grads, materialize_grads)


def _checked(
    wanted: Sequence[Tensor], found: Sequence[Tensor | None], allow_unused: bool, materialize: bool
) -> tuple[Tensor | None, ...]:
    results: list[Tensor | None] = []
    for tensor, value in zip(wanted, found, strict=True):
        if value is None and not allow_unused:
            raise RuntimeError(
                "One of the differentiated Tensors appears to not have been used in the graph. Set "
                "allow_unused=True if this is "
                "the desired behavior."
            )
        results.append(
            arithmetic.zeros_like(tensor, requires_grad=False)
            if value is None and materialize
            else value
        )
    return tuple(results)


def _batched(
    roots: Sequence[Tensor],
    wanted: Sequence[Tensor],
    grad_outputs: Any,
    retain: bool,
    create_graph: bool,
    allow_unused: bool | None,
    materialize: bool,
) -> tuple[Tensor | None, ...]:
    given = (grad_outputs,) if isinstance(grad_outputs, Tensor) else tuple(grad_outputs)
    count = next(g.shape[0] for g in given if g is not None)
    rows = []
    for number in range(count):
        one = [None if g is None else g[number] for g in given]
        keep = retain or number < count - 1
        rows.append(
            grad(roots, wanted, one, keep, create_graph, True, allow_unused, False, materialize)
        )
    return tuple(
        None if column[0] is None else arithmetic.stack(column)
        for column in zip(*rows, strict=True)
    )


def _target(tensor: Tensor) -> Edge:
    if not wants_grad(tensor):
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    edge = edge_of(tensor)
    assert edge is not None
    return edge


def _starts(roots: Sequence[Tensor], grads: Any, batched: bool) -> list[tuple[Edge, Tensor]]:
    if grads is None:
        grads = (None,) * len(roots)
    elif isinstance(grads, Tensor):
        grads = (grads,)
    if len(grads) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(grads)} gradients")
    starts = []
    for index, (root, given) in enumerate(zip(roots, grads, strict=True)):
        if not wants_grad(root):
            raise RuntimeError(
                f"element {index} of tensors does not require grad and does not have a grad_fn\n"
                "  Nothing it was computed from has requires_grad=True, or it was computed under "
                "torch.no_grad(), or it went "
                "through detach(), item(), numpy() or an integer dtype. pellucid.explain(tensor) "
                "shows the trail."
            )
        edge = edge_of(root)
        assert edge is not None
        starts.append((edge, _start(root, given)))
    return starts


def _start(root: Tensor, given: Tensor | None) -> Tensor:
    if given is None:
        if root._layout.numel != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs\n"
                f"  This tensor has shape {tuple(root.shape)}: call .sum() or .mean() on it first, "
                "or pass gradient= with this shape."
            )
        if root.dtype.is_complex:
            raise RuntimeError(
                "grad can be implicitly created only for real scalar outputs but got "
                + repr(root.dtype)
            )
        return arithmetic.ones_like(root, requires_grad=False)
    if not isinstance(given, Tensor):
        raise TypeError("gradients can be either Tensors or None, but got " + type(given).__name__)
    if given._layout.shape != root._layout.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {given.shape} and output[0] has a "
            f"shape of {root.shape}."
        )
    if given.dtype.is_complex != root.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. "
            "Mismatch in dtype: "
            f"grad_output[0] has a dtype of {given.dtype} and output[0] has a dtype of "
            f"{root.dtype}."
        )
    return given if given.dtype is root.dtype else arithmetic.cast(given, root.dtype)


# -- methods of Tensor


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
    if value and self._grad_fn is None and self.dtype.category < 2:
        raise RuntimeError("only Tensors of floating point dtype can require gradients")
    if value and self._inference and not state.inference:
        raise RuntimeError(
            "Setting requires_grad=True on inference tensor outside InferenceMode is not allowed."
        )
    self._requires_grad = value


def _requires_grad_(self: Tensor, requires_grad: bool = True) -> Tensor:
    """Set `requires_grad` in place; returns the tensor."""
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
        if value.dtype is not self.dtype:
            raise RuntimeError(
                f"assigned grad has data of a different type: expected {self.dtype}, got "
                f"{value.dtype}"
            )
        if value._layout.shape != self._layout.shape:
            raise RuntimeError("assigned grad has data of a different size")
    self._grad = value


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
