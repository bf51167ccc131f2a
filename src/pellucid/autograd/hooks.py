"""Functions that users hang on tensors and nodes, and the handles to take them off again."""

from __future__ import annotations

import weakref
from collections import OrderedDict
from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pellucid.tensor.tensor import Tensor

Hooks = OrderedDict[int, Callable[..., Any]]
"""Hooks by the id of their handle, in the order they run.

An `OrderedDict`, because handles refer to it weakly.
"""


class RemovableHandle:
    """What registering a hook returns: `handle.remove()` takes the hook away again.

    Also a context manager: the hook lives for the `with` block. The handle does not keep the owner
    of the hooks alive.
    """

    next_id: int = 0

    def __init__(self, hooks_dict: Any, *, extra_dict: Any = None) -> None:
        self.hooks_dict_ref = weakref.ref(hooks_dict)
        self.id = RemovableHandle.next_id
        RemovableHandle.next_id += 1
        extra = [] if extra_dict is None else extra_dict
        extra = extra if isinstance(extra, list) else [extra]
        self.extra_dict_ref = tuple(weakref.ref(d) for d in extra)

    def remove(self) -> None:
        """Take the hook out of every list it was entered in; a second call does nothing."""
        for ref in (self.hooks_dict_ref, *self.extra_dict_ref):
            hooks = ref()
            if hooks is not None:
                hooks.pop(self.id, None)

    def __getstate__(self) -> tuple[Any, ...]:
        return self.hooks_dict_ref(), self.id, tuple(ref() for ref in self.extra_dict_ref)

    def __setstate__(self, state: tuple[Any, ...]) -> None:
        hooks_dict, self.id, extra = state
        self.hooks_dict_ref = weakref.ref(OrderedDict() if hooks_dict is None else hooks_dict)
        self.extra_dict_ref = tuple(weakref.ref(d) for d in extra)
        RemovableHandle.next_id = max(RemovableHandle.next_id, self.id + 1)

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc_info: object) -> None:
        self.remove()


def add_hook(hooks: Hooks, hook: Callable[..., Any]) -> RemovableHandle:
    """Enter `hook` as the last one of `hooks`."""
    handle = RemovableHandle(hooks)
    hooks[handle.id] = hook
    return handle


def run_tensor_hooks(hooks: Hooks, grad: Tensor) -> Tensor:
    """The gradient of one tensor after each of its hooks has seen and perhaps replaced it."""
    for hook in tuple(hooks.values()):
        found = hook(grad)
        if found is not None:
            check_replacement(hook, grad, found)
            grad = found
    return grad


def run_node_hooks(
    hooks: Iterable[Callable[..., Any]], values: Sequence[Any], seen: tuple[Any, ...] = ()
) -> list[Any]:
    """The gradients of a node after its hooks: each is called as `hook(values, *seen)` and may
    return a tuple of as many others.
    """
    current = tuple(values)
    for hook in tuple(hooks):
        found = hook(current, *seen)
        if found is None:
            continue
        if not isinstance(found, tuple):
            if len(current) != 1 or not isinstance(found, Tensor):
                raise TypeError(f"expected tuple, but hook returned '{type(found).__name__}'")
            found = (found,)
        if len(found) != len(current):
            raise RuntimeError(
                f"hook '{name_of(hook)}' has returned an incorrect number of values (got "
                f"{len(found)}, but expected {len(current)})"
            )
        for before, after in zip(current, found, strict=True):
            if after is not before:
                check_replacement(hook, before, after)
        current = found
    return list(current)


def check_replacement(hook: Callable[..., Any], before: Any, after: Any) -> None:
    """Refuse what a hook returned if it can't stand for the gradient it saw."""
    if before is None:
        raise TypeError("can't replace a None gradient with a non-None value")
    if after is None:
        return
    if not isinstance(after, Tensor):
        raise TypeError(f"expected Variable, but hook returned '{type(after).__name__}'")
    if after.dtype is not before.dtype:
        raise RuntimeError(
            f"hook '{name_of(hook)}' has changed the type of value (was "
            f"torch.{before.dtype.tensor_type} "
            f"got torch.{after.dtype.tensor_type})"
        )
    if after._layout.shape != before._layout.shape:
        raise RuntimeError(f"hook '{name_of(hook)}' has changed the size of value")


def name_of(hook: Callable[..., Any]) -> str:
    """How a message calls the hook."""
    return getattr(hook, "__name__", "<unknown>")
