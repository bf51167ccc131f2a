"""Calling a module: `forward` with the hooks around it."""

from __future__ import annotations

import warnings
from collections.abc import Callable
from typing import Any

from pellucid.nn.hooks import GLOBAL, BackwardHook, Hooks, RemovableHandle, WrappedHook
from pellucid.nn.parameter import is_lazy
from pellucid.tensor.tensor import Tensor

MIXED_BACKWARD_HOOKS = (
    "Cannot use both regular backward hooks and full backward hooks on a single Module. "
    "Please use only one of them."
)


class CallMixin:
    """`module(…)` and the registration of hooks."""

    forward: Callable[..., Any]
    _forward_hooks: Hooks
    _forward_hooks_with_kwargs: dict[int, bool]
    _forward_hooks_always_called: dict[int, bool]
    _forward_pre_hooks: Hooks
    _forward_pre_hooks_with_kwargs: dict[int, bool]
    _backward_hooks: Hooks
    _backward_pre_hooks: Hooks
    _is_full_backward_hook: bool | None

    def _call_impl(self, *args: Any, **kwargs: Any) -> Any:
        """Run `forward`, inside the hooks if there are any."""
        if not (
            self._forward_hooks
            or self._forward_pre_hooks
            or self._backward_hooks
            or self._backward_pre_hooks
            or GLOBAL.forward
            or GLOBAL.forward_pre
            or GLOBAL.backward
            or GLOBAL.backward_pre
        ):
            try:
                return self.forward(*args, **kwargs)
            except Exception as error:
                _note_module(error, self, args)
                raise
        call = HookedCall(self, args, kwargs)
        try:
            return call.run()
        except Exception as error:
            call.run_always_called_hooks()
            _note_module(error, self, args)
            raise

    __call__: Callable[..., Any] = _call_impl

    def register_forward_pre_hook(
        self, hook: Callable[..., Any], *, prepend: bool = False, with_kwargs: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, args)` before `forward`; a result replaces the arguments.

        `with_kwargs`: call `hook(module, args, kwargs)`, which returns `None` or both of them.
        """
        handle = _enter(
            self._forward_pre_hooks, hook, prepend, extra=[self._forward_pre_hooks_with_kwargs]
        )
        if with_kwargs:
            self._forward_pre_hooks_with_kwargs[handle.id] = True
        return handle

    def register_forward_hook(
        self,
        hook: Callable[..., Any],
        *,
        prepend: bool = False,
        with_kwargs: bool = False,
        always_call: bool = False,
    ) -> RemovableHandle:
        """Call `hook(module, args, output)` after `forward`; a result replaces the output.

        `with_kwargs`: call `hook(module, args, kwargs, output)`. `always_call`: also when
        `forward` failed (the output is then `None`).
        """
        extra = [self._forward_hooks_with_kwargs, self._forward_hooks_always_called]
        handle = _enter(self._forward_hooks, hook, prepend, extra=extra)
        if with_kwargs:
            self._forward_hooks_with_kwargs[handle.id] = True
        if always_call:
            self._forward_hooks_always_called[handle.id] = True
        return handle

    def register_full_backward_pre_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_output)` before the backward; a result replaces it."""
        return _enter(self._backward_pre_hooks, hook, prepend)

    def register_full_backward_hook(
        self, hook: Callable[..., Any], prepend: bool = False
    ) -> RemovableHandle:
        """Call `hook(module, grad_input, grad_output)` once all input gradients are known.

        A result replaces `grad_input`. Positions of arguments that are no tensors hold `None`.
        """
        if self._is_full_backward_hook is False:
            raise RuntimeError(MIXED_BACKWARD_HOOKS)
        self._is_full_backward_hook = True
        return _enter(self._backward_hooks, hook, prepend)

    def register_backward_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Old form of a backward hook: it sees only the last node that `forward` recorded.

        Use `register_full_backward_hook`.
        """
        if self._is_full_backward_hook is True:
            raise RuntimeError(MIXED_BACKWARD_HOOKS)
        self._is_full_backward_hook = False
        return _enter(self._backward_hooks, hook)


def _enter(
    hooks: Hooks, hook: Callable[..., Any], prepend: bool = False, extra: Any = None
) -> RemovableHandle:
    handle = RemovableHandle(hooks, extra_dict=extra)
    hooks[handle.id] = hook
    if prepend:
        hooks.move_to_end(handle.id, last=False)
    return handle


NOTE = "in module "


def _note_module(error: Exception, module: Any, args: tuple[Any, ...]) -> None:
    """Name the innermost module that an error came out of, with the shapes it was given."""
    if any(note.startswith(NOTE) for note in getattr(error, "__notes__", ())):
        return
    given = [
        f"{str(a.dtype).removeprefix('torch.')}{list(a.shape)}"
        if isinstance(a, Tensor) and not is_lazy(a)
        else type(a).__name__
        for a in args
    ]
    try:
        name = f"{module._get_name()}({module.extra_repr()})".replace("\n", " ")
    except Exception:  # a half-built module; its own error must not hide the first one
        name = type(module).__name__
    error.add_note(f"{NOTE}{name}, called with ({', '.join(given)})")


class HookedCall:
    """One call of a module that has hooks."""

    def __init__(self, module: Any, args: tuple[Any, ...], kwargs: dict[str, Any]) -> None:
        self.module = module
        self.args = args
        self.kwargs = kwargs
        self.result: Any = None
        self.already_called: set[int] = set()

    def run(self) -> Any:
        """Pre-hooks, `forward`, forward hooks, and backward hooks put around them."""
        full, plain, pre = self._backward_hooks()
        self._run_forward_pre_hooks()
        backward = BackwardHook(self.module, full, pre) if full or pre else None
        if backward is not None:
            self.args = backward.setup_input_hook(self.args)
        self.result = self.module.forward(*self.args, **self.kwargs)
        self._run_forward_hooks()
        if backward is not None:
            if not isinstance(self.result, (Tensor, tuple)):
                warnings.warn(
                    "For backward hooks to be called, module output should be a Tensor or a tuple "
                    f"of Tensors but received {type(self.result)}",
                    stacklevel=4,
                )
            self.result = backward.setup_output_hook(self.result)
        if plain:
            self._attach_plain_backward_hooks(plain)
        return self.result

    def _backward_hooks(self) -> tuple[list[Any], list[Any], list[Any]]:
        """The full, the old-style, and the pre-hooks: those of the program before the module's."""
        full: list[Any] = []
        plain: list[Any] = []
        for is_full, hooks in (
            (GLOBAL.is_full_backward, GLOBAL.backward),
            (self.module._is_full_backward_hook, self.module._backward_hooks),
        ):
            if is_full is not None:
                (full if is_full else plain).extend(hooks.values())
        return (
            full,
            plain,
            [*GLOBAL.backward_pre.values(), *self.module._backward_pre_hooks.values()],
        )

    def _run_forward_pre_hooks(self) -> None:
        own = self.module._forward_pre_hooks
        for key, hook in (*GLOBAL.forward_pre.items(), *own.items()):
            if key in self.module._forward_pre_hooks_with_kwargs:
                result = hook(self.module, self.args, self.kwargs)
                if result is None:
                    continue
                if not (isinstance(result, tuple) and len(result) == 2):
                    raise RuntimeError(
                        "forward pre-hook must return None or a tuple of (new_args, new_kwargs), "
                        f"but got {result}."
                    )
                self.args, self.kwargs = result
            else:
                result = hook(self.module, self.args)
                if result is not None:
                    self.args = result if isinstance(result, tuple) else (result,)

    def _run_forward_hooks(self) -> None:
        module = self.module
        for key, hook in (*GLOBAL.forward.items(), *module._forward_hooks.items()):
            if key in module._forward_hooks_always_called or key in GLOBAL.forward_always_called:
                self.already_called.add(key)
            if key in module._forward_hooks_with_kwargs or key in GLOBAL.forward_with_kwargs:
                result = hook(module, self.args, self.kwargs, self.result)
            else:
                result = hook(module, self.args, self.result)
            if result is not None:
                self.result = result

    def run_always_called_hooks(self) -> None:
        """After a failure: the hooks registered with `always_call=True` that did not run yet."""
        module = self.module
        always: tuple[tuple[str, Any, Any, Any], ...] = (
            ("global module", GLOBAL.forward, GLOBAL.forward_always_called, {}),
            (
                "module",
                module._forward_hooks,
                module._forward_hooks_always_called,
                module._forward_hooks_with_kwargs,
            ),
        )
        for kind, hooks, chosen, with_kwargs in always:
            for key in [k for k in hooks if k in chosen and k not in self.already_called]:
                middle = (self.args, self.kwargs) if key in with_kwargs else (self.args,)
                try:
                    result = hooks[key](module, *middle, self.result)
                    if result is not None:
                        self.result = result
                except Exception as error:
                    warnings.warn(
                        f"{kind} forward hook with ``always_call=True`` raised an exception that "
                        f"was silenced as another error was raised in forward: {error}",
                        stacklevel=4,
                    )

    def _attach_plain_backward_hooks(self, hooks: list[Any]) -> None:
        """Old-style hooks hang on the node of the first tensor in the result."""
        tensor = self.result
        while not isinstance(tensor, Tensor):
            if isinstance(tensor, dict):
                tensor = next(v for v in tensor.values() if isinstance(v, Tensor))
            else:
                tensor = tensor[0]
        if tensor.grad_fn is None:
            return
        for hook in hooks:
            tensor.grad_fn.register_hook(WrappedHook(hook, self.module))
        _warn_about_plain_hook(self.args, self.result, tensor.grad_fn)


def _warn_about_plain_hook(inputs: Any, result: Any, grad_fn: Any) -> None:
    """Say what an old-style backward hook will not see, if anything."""
    advice = "Please use register_full_backward_hook to get the documented behavior."
    inputs = inputs if isinstance(inputs, tuple) else (inputs,)
    outputs = result if isinstance(result, tuple) else (result,)
    output_nodes = {t.grad_fn for t in outputs if isinstance(t, Tensor) and t.grad_fn is not None}
    missing = None
    if not all(isinstance(t, Tensor) for t in outputs):
        missing = (
            "on a Module that does not return a single Tensor or a tuple of Tensors is deprecated "
            "and will be removed in future versions. This hook will be missing some of the "
            f"grad_output. {advice}"
        )
    elif not all(isinstance(t, Tensor) for t in inputs):
        missing = (
            "on a Module that does not take as input a single Tensor or a tuple of Tensors is "
            "deprecated and will be removed in future versions. This hook will be missing some of "
            f"the grad_input. {advice}"
        )
    elif len(output_nodes) > 1:
        missing = (
            "when outputs are generated by different autograd Nodes is deprecated and will be "
            f"removed in future versions. This hook will be missing some grad_output. {advice}"
        )
    else:
        input_nodes = {t.grad_fn for t in inputs if t.grad_fn is not None}
        if input_nodes != {edge[0] for edge in grad_fn.next_functions}:
            missing = (
                "when the forward contains multiple autograd Nodes is deprecated and will be "
                f"removed in future versions. This hook will be missing some grad_input. {advice}"
            )
    if missing is not None:
        article = (
            "non-full backward hooks" if missing.startswith("on") else "a non-full backward hook"
        )
        warnings.warn(f"Using {article} {missing}", FutureWarning, stacklevel=5)
