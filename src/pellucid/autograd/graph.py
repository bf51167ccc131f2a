"""Looking at the graph and reaching into it (`torch.autograd.graph`): saved tensors, edges, hooks
on several gradients.
"""

from __future__ import annotations

import functools
import threading
from collections.abc import Callable, Iterable, Iterator, Sequence
from contextlib import contextmanager
from typing import Any

from pellucid.autograd.api import gradient_node
from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.engine import Walk, running
from pellucid.autograd.gradient_edge import GradientEdge, get_gradient_edge
from pellucid.autograd.hooks import RemovableHandle
from pellucid.autograd.node import Node
from pellucid.autograd.saved import Pack, Unpack, hooks
from pellucid.tensor.tensor import Tensor

__all__ = [
    "GradientEdge",
    "Node",
    "allow_mutation_on_saved_tensors",
    "disable_saved_tensors_hooks",
    "get_gradient_edge",
    "increment_version",
    "register_multi_grad_hook",
    "save_on_cpu",
    "saved_tensors_hooks",
]


class saved_tensors_hooks:
    """Inside, each tensor saved for backward goes through `pack_hook`; backward gets it through
    `unpack_hook`.

    `pack_hook(tensor)` may return anything from which `unpack_hook` makes a tensor of the same
    content again.
    """

    def __init__(self, pack_hook: Pack, unpack_hook: Unpack) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        if hooks.forbidden is not None:
            raise RuntimeError(hooks.forbidden)
        hooks.stack.append((self.pack_hook, self.unpack_hook))

    def __exit__(self, *exc: object) -> None:
        hooks.stack.pop()


class save_on_cpu(saved_tensors_hooks):
    """Saved tensors are on the CPU already: they are kept as they are, and later writes are not
    noticed, as in PyTorch.
    """

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda tensor: tensor, lambda tensor: tensor)


@contextmanager
def disable_saved_tensors_hooks(error_message: str) -> Iterator[None]:
    """Inside, entering `saved_tensors_hooks` raises RuntimeError with this message; so does this,
    if one is active.
    """
    if hooks.stack:
        raise RuntimeError(error_message)
    before, hooks.forbidden = hooks.forbidden, error_message
    try:
        yield
    finally:
        hooks.forbidden = before


@contextmanager
def allow_mutation_on_saved_tensors() -> Iterator[None]:
    """Inside, tensors may be written in place after they were saved: backward gets what they were.

    Every saved tensor is copied when it is saved, so memory grows with what the graph keeps.
    Contexts cannot be nested.
    """
    if any(pack is _with_copy for pack, _ in hooks.stack):
        raise RuntimeError("allow_mutation_on_saved_tensors contexts cannot be nested")
    with saved_tensors_hooks(_with_copy, _before_mutation):
        yield


def _with_copy(tensor: Tensor) -> tuple[Tensor, int, Tensor]:
    return tensor, tensor._storage.version, arithmetic.clone(tensor)


def _before_mutation(saved: tuple[Tensor, int, Tensor]) -> Tensor:
    tensor, version, copy = saved
    return tensor if tensor._storage.version == version else copy


def increment_version(tensor: Tensor | Iterable[Tensor]) -> None:
    """Tell the tape that the data of these tensors was written behind its back.

    Inference tensors have no version.
    """
    for each in (tensor,) if isinstance(tensor, Tensor) else tensor:
        if not each._inference:
            each._bump_version()


class _MultiHandle(RemovableHandle):
    """One handle for several."""

    def __init__(self, handles: tuple[RemovableHandle, ...]) -> None:
        self.handles = handles

    def remove(self) -> None:
        """Take all the hooks away."""
        for handle in self.handles:
            handle.remove()

    def __getstate__(self) -> tuple[RemovableHandle, ...]:
        return self.handles

    def __setstate__(self, state: tuple[RemovableHandle, ...]) -> None:
        self.handles = state


def register_multi_grad_hook(
    tensors: Sequence[Tensor],
    fn: Callable[[Sequence[Tensor | None]], None] | Callable[[Tensor], None],
    *,
    mode: str = "all",
) -> RemovableHandle:
    """Call `fn` once in a backward pass: with the gradients of all `tensors` when they are there
    (None where the pass does not compute one), or, in mode "any", with the first.

    Raises: ValueError for another mode.
    """
    if mode not in ("all", "any"):
        raise ValueError(f"Expects mode to be one of ('all', 'any') but got {mode}")
    if mode == "any":
        hook = _first_of_a_pass(fn)
        return _MultiHandle(tuple(t.register_hook(hook) for t in tensors if t.requires_grad))
    collector = _Collector([gradient_node(t) for t in tensors], fn)
    return _MultiHandle(
        tuple(t.register_hook(functools.partial(collector.take, i)) for i, t in enumerate(tensors))
    )


def _first_of_a_pass(function: Callable[..., None]) -> Callable[[Tensor], None]:
    seen: list[Walk | None] = [None]
    lock = threading.Lock()

    def hook(grad: Tensor) -> None:
        walk = running.walk
        with lock:
            first, seen[0] = seen[0] is not walk, walk
        if first:
            function(grad)

    return hook


class _Collector:
    """Collects the gradients of several tensors in one backward pass and hands them on when the
    last one is there.
    """

    def __init__(self, nodes: Sequence[Node], function: Callable[..., None]) -> None:
        self.nodes = nodes
        self.function = function
        self.passes: dict[Walk | None, list[Any]] = {}
        self.missing: dict[Walk | None, int] = {}
        self.lock = threading.Lock()

    def take(self, number: int, grad: Tensor) -> None:
        """The gradient of tensor `number` has arrived."""
        walk = running.walk
        with self.lock:
            if walk not in self.passes:
                assert walk is not None
                self.passes[walk] = [None] * len(self.nodes)
                self.missing[walk] = sum(walk.reaches(node) for node in self.nodes)
            self.passes[walk][number] = grad
            self.missing[walk] -= 1
            complete = not self.missing[walk]
        if complete:
            del self.missing[walk]
            self.function(self.passes.pop(walk))
