"""Functions that run beside a module: handles to remove them, global lists, backward hooks."""

from __future__ import annotations

import functools
import warnings
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.hooks import RemovableHandle as RemovableHandle
from pellucid.autograd.modes import is_grad_enabled
from pellucid.autograd.node import Node, edge_of
from pellucid.autograd.views import MULTI_VIEW
from pellucid.tensor.tensor import Tensor

Hooks = OrderedDict[int, Callable[..., Any]]


class WrappedHook:
    """A hook that is called with its module first, without keeping the module alive."""

    def __init__(self, hook: Callable[..., Any], module: Any = None) -> None:
        self.hook = hook
        functools.update_wrapper(self, hook)
        self.with_module = module is not None
        if module is not None:
            self.module = weakref.ref(module)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        if not self.with_module:
            return self.hook(*args, **kwargs)
        module = self.module()
        if module is None:
            raise RuntimeError("You are trying to call the hook of a dead Module!")
        return self.hook(module, *args, **kwargs)

    def __getstate__(self) -> dict[str, Any]:
        state = {"hook": self.hook, "with_module": self.with_module}
        if self.with_module:
            state["module"] = self.module()
        return state

    def __setstate__(self, state: dict[str, Any]) -> None:
        self.hook = state["hook"]
        self.with_module = state["with_module"]
        if self.with_module:
            if state["module"] is None:
                raise RuntimeError("You are trying to revive the hook of a dead Module!")
            self.module = weakref.ref(state["module"])


class GlobalHooks:
    """Hooks that run for every module of the program; meant for debugging and profiling."""

    def __init__(self) -> None:
        self.buffer_registration: Hooks = OrderedDict()
        self.module_registration: Hooks = OrderedDict()
        self.parameter_registration: Hooks = OrderedDict()
        self.forward_pre: Hooks = OrderedDict()
        self.forward: Hooks = OrderedDict()
        self.forward_always_called: OrderedDict[int, bool] = OrderedDict()
        self.forward_with_kwargs: OrderedDict[int, bool] = OrderedDict()
        self.backward_pre: Hooks = OrderedDict()
        self.backward: Hooks = OrderedDict()
        self.is_full_backward: bool | None = None


GLOBAL = GlobalHooks()

MIXED_GLOBAL_BACKWARD_HOOKS = (
    "Cannot use both regular backward hooks and full backward hooks as a global Module hook. "
    "Please use only one of them."
)


def _register(hooks: Hooks, hook: Callable[..., Any], **extra: Any) -> RemovableHandle:
    handle = RemovableHandle(hooks, **extra)
    hooks[handle.id] = hook
    return handle


def register_module_buffer_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, buffer)` at every `register_buffer`; a result replaces it."""
    return _register(GLOBAL.buffer_registration, hook)


def register_module_module_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, child)` whenever a child is added; a result replaces the child."""
    return _register(GLOBAL.module_registration, hook)


def register_module_parameter_registration_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, name, param)` at every `register_parameter`; a result replaces it."""
    return _register(GLOBAL.parameter_registration, hook)


def register_module_forward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, args)` before every module's `forward`; a result replaces `args`."""
    return _register(GLOBAL.forward_pre, hook)


def register_module_forward_hook(
    hook: Callable[..., Any], *, with_kwargs: bool = False, always_call: bool = False
) -> RemovableHandle:
    """Call `hook(module, args, output)` after every module's `forward`.

    `with_kwargs`: call `hook(module, args, kwargs, output)`. `always_call`: also after a failure.
    """
    handle = _register(GLOBAL.forward, hook, extra_dict=GLOBAL.forward_always_called)
    if with_kwargs:
        GLOBAL.forward_with_kwargs[handle.id] = True
    if always_call:
        GLOBAL.forward_always_called[handle.id] = True
    return handle


def register_module_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Old form: `hook(module, grad_input, grad_output)` on the last node of an output."""
    if GLOBAL.is_full_backward is True:
        raise RuntimeError(MIXED_GLOBAL_BACKWARD_HOOKS)
    GLOBAL.is_full_backward = False
    return _register(GLOBAL.backward, hook)


def register_module_full_backward_pre_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_output)` before every module's backward; a result replaces it."""
    return _register(GLOBAL.backward_pre, hook)


def register_module_full_backward_hook(hook: Callable[..., Any]) -> RemovableHandle:
    """Call `hook(module, grad_input, grad_output)` when a module's input gradients are known."""
    if GLOBAL.is_full_backward is False:
        raise RuntimeError(MIXED_GLOBAL_BACKWARD_HOOKS)
    GLOBAL.is_full_backward = True
    return _register(GLOBAL.backward, hook)


class PassThrough(Node):
    """Hands every gradient on as it is: one node that several tensors go through."""

    def __init__(self, tensors: Sequence[Tensor]) -> None:
        super().__init__("BackwardHookFunctionBackward", [edge_of(t) for t in tensors])
        self.outputs = len(tensors)
        self.kinds = [(t._layout.shape, t.dtype) for t in tensors]

    def apply(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """The gradients themselves; zeros for an output that none reached."""
        return [
            arithmetic.zeros(shape, dtype=dtype) if grad is None else grad
            for grad, (shape, dtype) in zip(grads, self.kinds, strict=True)
        ]

    def release(self) -> None:
        """Nothing is saved."""


def pass_through(tensors: Sequence[Tensor]) -> tuple[Any, list[Tensor]]:
    """A `PassThrough` node, and aliases of `tensors` that come out of it.

    Tensors that want no gradient are returned themselves. The aliases refuse to be written in
    place, as PyTorch's do: the write would go around the node.
    """
    node = PassThrough(tensors)
    aliases = []
    for number, tensor in enumerate(tensors):
        if not tensor.requires_grad:
            aliases.append(tensor)
            continue
        alias = tensor._twin()
        alias._base = tensor if tensor._base is None else tensor._base
        alias._view = MULTI_VIEW
        alias._view_version = tensor._storage.version
        alias._grad_fn, alias._output_nr, alias._requires_grad = node, number, True
        aliases.append(alias)
    return node, aliases


class BackwardHook:
    """Watches the gradients that enter and leave one call of a module.

    An identity node is put before `forward` and another one behind it. The hook on the last one
    sees the gradients of all outputs; the hook on the first one those of all inputs.
    """

    def __init__(
        self, module: Any, user_hooks: Sequence[Any], user_pre_hooks: Sequence[Any]
    ) -> None:
        self.module = module
        self.user_hooks = user_hooks
        self.user_pre_hooks = user_pre_hooks
        self.grad_outputs: tuple[Any, ...] | None = None
        self.input_positions: list[int] | None = None
        self.output_positions: list[int] | None = None
        self.n_inputs = self.n_outputs = -1

    def setup_input_hook(self, args: tuple[Any, ...]) -> tuple[Any, ...]:
        """Route the tensors of `args` through a node that will report their gradients."""
        self.n_inputs = len(args)
        args, self.input_positions = self._through_node(args, self._on_grad_input)
        return args

    def setup_output_hook(self, output: Any) -> Any:
        """Route the module's result through a node that will receive its gradients."""
        outputs = output if isinstance(output, tuple) else (output,)
        self.n_outputs = len(outputs)
        outputs, self.output_positions = self._through_node(outputs, self._on_grad_output)
        return outputs if isinstance(output, tuple) else outputs[0]

    def _through_node(
        self, args: tuple[Any, ...], hook: Callable[..., Any]
    ) -> tuple[tuple[Any, ...], list[int] | None]:
        positions = [i for i, arg in enumerate(args) if isinstance(arg, Tensor)]
        tensors = [args[i] for i in positions]
        if not (is_grad_enabled() and any(t.requires_grad for t in tensors)):
            return args, None
        node, passed = pass_through(tensors)
        node.register_hook(hook)
        replaced = list(args)
        for position, tensor in zip(positions, passed, strict=True):
            replaced[position] = tensor
        return (tuple(replaced) if type(args) is tuple else type(args)(*replaced)), positions

    def _on_grad_input(self, grad_input: tuple[Any, ...], _: Any) -> tuple[Any, ...] | None:
        if self.grad_outputs is None:  # only inputs were differentiated: outputs never reported
            return None
        assert self.input_positions is not None
        grads = _spread(self.input_positions, grad_input, self.n_inputs)
        for hook in self.user_hooks:
            result = hook(self.module, grads, self.grad_outputs)
            if result is None:
                continue
            if len(result) != len(grads):
                raise RuntimeError(
                    "Backward hook returned an invalid number of grad_input, "
                    f"got {len(result)}, but expected {len(grads)}"
                )
            grads = result
        self.grad_outputs = None
        return tuple(grads[i] for i in self.input_positions)

    def _on_grad_output(self, _: Any, grad_output: tuple[Any, ...]) -> tuple[Any, ...]:
        assert self.output_positions is not None
        grads = _spread(self.output_positions, grad_output, self.n_outputs)
        for hook in self.user_pre_hooks:
            result = hook(self.module, grads)
            if result is None:
                continue
            if len(result) != len(grads):
                raise RuntimeError(
                    "Backward pre hook returned an invalid number of grad_output, "
                    f"got {len(result)}, but expected {len(grads)}"
                )
            grads = result
        self.grad_outputs = grads
        if self.input_positions is None:
            self._report_without_inputs(grads)
        return tuple(grads[i] for i in self.output_positions)

    def _report_without_inputs(self, grad_outputs: tuple[Any, ...]) -> None:
        """No input wants a gradient, so the hooks run now, with `None` for every input."""
        warnings.warn(
            "Full backward hook is firing when gradients are computed with respect to module "
            "outputs since no inputs require gradients. Give the input requires_grad=True if the "
            "hook is to see its gradient.",
            stacklevel=5,
        )
        for hook in self.user_hooks:
            result = hook(self.module, (None,) * self.n_inputs, grad_outputs)
            none_only = isinstance(result, tuple) and all(g is None for g in result)
            if result is not None and not none_only:
                raise RuntimeError(
                    "Backward hook for Modules where no input requires gradient should always "
                    "return None or None for all gradients."
                )
        self.grad_outputs = None


def _spread(positions: list[int], values: Sequence[Any], size: int) -> tuple[Any, ...]:
    """Put `values` at `positions` of a tuple of `size`; `None` everywhere else."""
    spread: list[Any] = [None] * size
    for position, value in zip(positions, values, strict=True):
        spread[position] = value
    return tuple(spread)
