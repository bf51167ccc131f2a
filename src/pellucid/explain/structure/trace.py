"""One run of a model, watched: which module and which function took which tensor from which.

Modules without modules of their own become nodes, and so does every function that a `forward` calls
itself; modules that hold others become groups. Sizes are those of the run.
"""

from __future__ import annotations

import sys
from collections.abc import Callable, Iterator, Mapping
from contextlib import contextmanager
from dataclasses import fields, is_dataclass
from pathlib import Path
from time import perf_counter
from types import FrameType
from typing import Any

import pellucid.nn.functional as functional
import pellucid.nn.modules as library
from pellucid.autograd.modes import no_grad
from pellucid.explain.structure.costs import Counted, multiply_adds
from pellucid.explain.structure.graph import Edge, Graph, Group, Node
from pellucid.explain.structure.words import call_title, family, title
from pellucid.nn.hooks import register_module_forward_hook, register_module_forward_pre_hook
from pellucid.ops.spec import registry
from pellucid.tensor.events import Event, listening
from pellucid.tensor.random.generator import default_generator
from pellucid.tensor.tensor import Tensor

WHOLE = (library.MultiheadAttention, library.RNNBase)
"""Modules that hold others, or compute in many calls, and are one step to their users."""

_HERE = Path(__file__).resolve().parents[2]
_FORWARDS = tuple(str(_HERE / part) for part in ("nn/modules", "models", "vision", "text", "lab"))
"""Where modules of Pellucid's own have their `forward`; all else here is what they call."""


def _is_engine(frame: FrameType) -> bool:
    file = frame.f_code.co_filename
    return file.startswith(str(_HERE)) and not file.startswith(_FORWARDS)


_WITHOUT_PLACE = frozenset({"getitem", "setitem"})
"""Functions that programs know by their signs alone."""


def _is_public(name: str) -> bool:
    """Whether programs know a function of this name; wrappers inside the engine have others."""
    described = registry.has(name) or registry.has(f"nn.functional.{name}")
    return name in _WITHOUT_PLACE or described or hasattr(Tensor, name) or name in vars(functional)


def tensors_in(value: Any) -> Iterator[Tensor]:
    """The tensors in an argument or a result: in lists, dictionaries and objects with fields."""
    if isinstance(value, Tensor):
        yield value
    elif isinstance(value, Mapping):
        for one in value.values():
            yield from tensors_in(one)
    elif isinstance(value, (list, tuple, set)):
        for one in value:
            yield from tensors_in(one)
    elif is_dataclass(value) and not isinstance(value, type):
        for each in fields(value):
            yield from tensors_in(getattr(value, each.name))


class Tracer:
    """Builds the graph: a listener for operators, and hooks around modules."""

    def __init__(self, model: Any, depth: int | None) -> None:
        self.model = model
        self.depth = depth
        self.root = Group("", type(model).__name__, None)
        self.nodes: list[Node] = []
        self.counted = Counted()
        self._paths = {id(m): path for path, m in model.named_modules()}
        self._held = {id(t): ("parameter", name) for name, t in model.named_parameters()}
        self._held |= {id(t): ("buffer", name) for name, t in model.named_buffers()}
        self._stack: list[tuple[Any, Group, Node | None]] = [(None, self.root, None)]
        self._made: dict[int, Node] = {}
        self._written: dict[int, Node] = {}
        self._memory: dict[int, Node] = {}
        self._alive: list[Tensor] = []
        self._frame: FrameType | None = None
        self._ended: list[tuple[float, int]] = []

    def run(self, args: tuple[Any, ...], kwargs: dict[str, Any]) -> Graph:
        """Call the model and return what happened."""
        given = [(str(i) if len(args) > 1 else "", value) for i, value in enumerate(args)]
        for name, value in [*given, *kwargs.items()]:
            found = list(tensors_in(value))
            for number, tensor in enumerate(found):
                shown = f"{name}[{number}]" if len(found) > 1 else name
                node = self._node("input", f"input_{shown}".rstrip("_"), f"Input {shown}".strip())
                self._give(node, [tensor])
        with no_grad(), listening(self), self._watching():
            result = self.model(*args, **kwargs)
        self._stack = [(None, self.root, None)]
        for number, tensor in enumerate(found := list(tensors_in(result))):
            name = f"output_{number}" if len(found) > 1 else "output"
            node = self._node("output", name, "Output" + (f" {number}" if len(found) > 1 else ""))
            self._take(node, tensor)
            node.outputs.append(tensor._layout.shape)
        return Graph(self.nodes)

    # Modules ------------------------------------------------------------------------------------

    @contextmanager
    def _watching(self) -> Iterator[None]:
        before = register_module_forward_pre_hook(self._enter)
        after = register_module_forward_hook(self._leave)
        try:
            yield
        finally:
            before.remove()
            after.remove()

    def _enter(self, module: Any, args: Any) -> None:
        _, group, leaf = self._stack[-1]
        if leaf is None and module is not self.model:
            path = self._paths.get(id(module), type(module).__name__)
            if self._is_step(module, path):
                leaf = self._node("module", path, title(module), type(module).__name__)
                leaf.parameters, old = self.counted.add(module.parameters())
                leaf.shared = old > 0
                for tensor in tensors_in(args):
                    self._take(leaf, tensor)
            else:
                group = Group(path, type(module).__name__, group)
        self._frame = None
        self._stack.append((module, group, leaf))

    def _is_step(self, module: Any, path: str) -> bool:
        deep = self.depth is not None and path.count(".") + 1 >= self.depth
        return deep or isinstance(module, WHOLE) or not any(True for _ in module.children())

    def _leave(self, module: Any, args: Any, output: Any) -> Any:
        while self._stack.pop()[0] is not module:
            pass
        leaf = self._stack[-1][2]
        self._frame = None
        if leaf is not None or module is self.model:
            return None
        node = next((n for n in reversed(self.nodes) if n.kind == "module"), None)
        if node is None or node.name != self._paths.get(id(module), type(module).__name__):
            return None
        if (
            isinstance(output, Tensor)
            and self._made.get(id(output)) is not node
            and self._written.get(id(output._storage)) is not node
        ):  # it handed its input on; a view of it tells the two apart
            self._stack.append((module, self.root, node))
            output = output.view_as(output)
            self._stack.pop()
            self._give(node, [output])
            return output
        self._give(node, list(tensors_in(output)))
        return None

    # Operators ----------------------------------------------------------------------------------

    def __call__(self, event: Event) -> None:
        """Hear of one operator."""
        if event.kind == "node":
            return
        macs = self._macs(event)
        _, _, leaf = self._stack[-1]
        node = leaf if leaf is not None else self._call(sys._getframe(1), event)
        node.macs += macs
        views = event.kind == "view"
        node.only_views = views and (node.only_views or not node.outputs)
        for tensor in tensors_in(event.inputs):
            self._take(node, tensor)
        if event.kind == "write" and event.outputs:
            self._written[id(event.outputs[0]._storage)] = node
        if leaf is None:
            shown = event.outputs if views else event.outputs[:1]  # others are kept for backward
            node.outputs = [tensor._layout.shape for tensor in shown]
        self._give(node, event.outputs, shapes=False)

    def _macs(self, event: Event) -> int:
        """Multiply-adds of a call, without those of calls inside it that were told before."""
        began, inside = perf_counter() - event.seconds, 0
        while self._ended and self._ended[-1][0] >= began:
            inside += self._ended.pop()[1]
        own = 0 if inside else multiply_adds(event.name.rstrip("_"), event.inputs, event.outputs)
        self._ended.append((began, inside + own))
        return own

    def _call(self, frame: FrameType | None, event: Event) -> Node:
        """The node of the function that a `forward` called and that ran this operator."""
        frames: list[FrameType] = []
        while frame is not None and _is_engine(frame):
            frames.append(frame)
            frame = frame.f_back
        if frames and frames[-1] is self._frame:
            return self.nodes[-1]
        self._frame = frames[-1] if frames else None
        name = _public_name(frames, event)
        return self._node("call", name, call_title(name), name)

    # Tensors ------------------------------------------------------------------------------------

    def _node(self, kind: str, name: str, words: str, of: str = "") -> Node:
        group = self._stack[-1][1]
        node = Node(kind, name, words, family(of) if of else kind, group, len(self.nodes))
        self.nodes.append(node)
        return node

    def _give(self, node: Node, tensors: Any, shapes: bool = True) -> None:
        for tensor in tensors:
            self._made[id(tensor)] = self._memory[id(tensor._storage)] = node
            self._alive.append(tensor)
            if shapes:
                node.outputs.append(tensor._layout.shape)

    def _take(self, node: Node, tensor: Tensor) -> None:
        source = self._source(tensor, node)
        if source is None or source is node:
            return
        shape = tensor._layout.shape
        if not any(e.source is source and e.shape == shape for e in node.edges):
            node.edges.append(Edge(source, shape))

    def _source(self, tensor: Tensor, taker: Node) -> Node | None:
        """Where a tensor comes from: who made it, or who wrote into its memory after that."""
        made = self._made.get(id(tensor))
        written = self._written.get(id(tensor._storage))
        if written is not None and (made is None or written.order > made.order):
            return written
        if made is not None:
            return made
        if id(tensor) in self._held:
            return self._source_held(tensor, taker)
        return self._memory.get(id(tensor._storage))

    def _source_held(self, tensor: Tensor, taker: Node) -> Node | None:
        """A parameter (or a buffer of floating numbers) that a function uses directly."""
        kind, name = self._held[id(tensor)]
        if taker.kind != "call" or (kind == "buffer" and tensor.dtype.category < 2):
            return None
        node = Node(kind, name, f"{kind.capitalize()} {name}", kind, taker.group, taker.order)
        self.nodes.insert(self.nodes.index(taker), node)
        if kind == "parameter":
            node.parameters, old = self.counted.add([tensor])
            node.shared = old > 0
        self._give(node, [tensor])
        return node


def _public_name(frames: list[FrameType], event: Event) -> str:
    """The name under which a program knows the function; `frames` from the operator outwards."""
    for frame in reversed(frames):
        here = frame.f_locals
        wrapped = (here.get("spec"), here.get("call"), here.get("operator"))
        called = [getattr(w, "name", None) or getattr(w, "__name__", "") for w in wrapped]
        for found in (*called, frame.f_code.co_name):
            name = str(found).removeprefix("functional_").strip("_")
            if _is_public(name):
                return name
    return event.name.strip("_")


def traced(
    model: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any], depth: int | None
) -> tuple[Graph, Group]:
    """Run the model in evaluation mode; modes, buffers and random numbers are put back."""
    modes = [(module, module.training) for module in model.modules()]  # type: ignore[attr-defined]
    buffers = [(b, b.detach().clone()) for b in model.buffers()]  # type: ignore[attr-defined]
    stream = default_generator.get_state()
    tracer = Tracer(model, depth)
    try:
        model.eval()  # type: ignore[attr-defined]
        return tracer.run(args, kwargs), tracer.root
    finally:
        default_generator.set_state(stream)
        for module, training in modes:
            module.training = training
        with no_grad():
            for buffer, before in buffers:
                buffer.copy_(before)
