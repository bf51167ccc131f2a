"""The tape: one `Node` for each recorded call, linked backwards by edges.

A node keeps what its gradient formulas ask for by name and nothing else: `exp` keeps its output, `add` keeps nothing. Leaves end in an
`AccumulateGrad` node. Nothing here computes: the engine walks the nodes, the formulas are operators.
"""

from __future__ import annotations

import itertools
import traceback
import weakref
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.modes import enable_grad
from pellucid.autograd.saved import RELEASED, SavedTensor, save
from pellucid.tensor.dtype import dtype
from pellucid.tensor.tensor import Tensor

_sequence = itertools.count()

Edge = tuple["Node", int, tuple[int, ...], dtype]
"""Where a gradient goes: node, which of its outputs, and the shape and dtype the gradient must have there."""


class Formula:
    """One gradient rule of an operator: which parameters it serves, the function, and the names it asks for.

    `names` may be one parameter or several that are cheaper together. The function's parameter names are what is saved.
    """

    __slots__ = ("function", "joint", "names", "single_tensors", "wants")

    def __init__(self, names: Sequence[str], function: Callable[..., Any], joint: bool) -> None:
        self.names = tuple(names)
        self.function = function
        self.joint = joint
        code = function.__code__
        self.wants = code.co_varnames[: code.co_argcount + code.co_kwonlyargcount]


class Anomaly:
    """`detect_anomaly`: whether nodes remember where they were made and gradients are checked for NaN."""

    enabled = False
    check_nan = True


class Node:
    """A recorded call. `edges[i]` says where the gradient of the i-th differentiable input goes (None: nowhere).

    Public face as PyTorch's `grad_fn`: `name()`, `next_functions`, `metadata`, `register_hook`, `register_prehook`.
    """

    __slots__ = (
        "__weakref__",
        "_metadata",
        "_name",
        "active",
        "edges",
        "hooks",
        "kept",
        "outputs",
        "prehooks",
        "retained",
        "sequence",
        "tensor_hooks",
        "trace",
    )

    def __init__(self, name: str, edges: list[Edge | None]) -> None:
        self._name = name
        self.edges = edges
        self.sequence: float = next(_sequence)
        self.active: list[tuple[Formula, list[tuple[int, int, str]]]] = []
        self.kept: Any = {}
        self.outputs = 1
        self.hooks: dict[int, Callable[..., Any]] | None = None
        self.prehooks: dict[int, Callable[..., Any]] | None = None
        self.tensor_hooks: dict[int, dict[int, Callable[..., Any]]] | None = None
        self.retained: dict[int, weakref.ref[Tensor]] | None = None
        self._metadata: dict[Any, Any] | None = None
        self.trace = traceback.format_stack()[:-3] if Anomaly.enabled else None

    def name(self) -> str:
        """PyTorch's name of the node, such as "MulBackward0"."""
        return self._name

    @property
    def next_functions(self) -> tuple[tuple[Node | None, int], ...]:
        """The nodes that the gradients of the inputs go to, with the number of their output."""
        return tuple((None, 0) if e is None else (e[0], e[1]) for e in self.edges)

    @property
    def metadata(self) -> dict[Any, Any]:
        """A dictionary for the user's own notes."""
        if self._metadata is None:
            self._metadata = {}
        return self._metadata

    def apply(self, grads: list[Tensor | None]) -> Sequence[Tensor | None]:
        """The gradients of the inputs, in the order of `edges`, from those of the outputs."""
        if self.kept is RELEASED:
            raise RuntimeError(
                "Trying to backward through the graph a second time (or directly access saved tensors after they have "
                "already been freed). Saved intermediate values of the graph are freed when you call .backward() or "
                "autograd.grad(). Specify retain_graph=True if you need to backward through the graph a second time or if "
                "you need to access saved tensors after calling backward."
            )
        values = {name: kept.unpack(self) if hasattr(kept, "unpack") else kept for name, kept in self.kept.items()}
        values["grad"] = grads[0]
        values["grads"] = tuple(grads)
        results: list[Tensor | None] = [None] * len(self.edges)
        for formula, places in self.active:
            if grads[0] is None and "grads" not in formula.wants:
                continue
            if "needs" in formula.wants:
                values["needs"] = frozenset(
                    name for start, _, name in places if self.edges[start] is not None
                )
            found = formula.function(**{want: values[want] for want in formula.wants})
            if not formula.joint:
                found = (found,)
            for (start, count, _), value in zip(places, found, strict=True):
                if count < 0:
                    results[start] = value
                elif value is not None:
                    results[start : start + count] = value
        return results

    def release(self) -> None:
        """Let go of everything saved."""
        self.kept = RELEASED

    def register_hook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(grad_inputs, grad_outputs)` after this node ran; what it returns replaces the gradients of the inputs."""
        if self.hooks is None:
            self.hooks = {}
        return RemovableHandle(self.hooks, hook)

    def register_prehook(self, hook: Callable[..., Any]) -> RemovableHandle:
        """Call `hook(grad_outputs)` before this node runs; what it returns replaces them."""
        if self.prehooks is None:
            self.prehooks = {}
        return RemovableHandle(self.prehooks, hook)

    def __repr__(self) -> str:
        return f"<{self._name} object at {hex(id(self))}>"

    def __str__(self) -> str:
        return f"<{self._name}>"


class RemovableHandle:
    """What registering a hook returns: `remove()` takes it away again; a `with` block does so at its end."""

    _ids = itertools.count()

    def __init__(self, hooks: dict[int, Any], hook: Any) -> None:
        self.id = next(self._ids)
        self._hooks: dict[int, Any] | None = hooks
        hooks[self.id] = hook

    def remove(self) -> None:
        """Take the hook away; doing it twice is harmless."""
        if self._hooks is not None:
            self._hooks.pop(self.id, None)
            self._hooks = None

    def __enter__(self) -> RemovableHandle:
        return self

    def __exit__(self, *exc: object) -> None:
        self.remove()


class AccumulateGrad(Node):
    """The end of the tape at a leaf: adds what arrives to `variable.grad`."""

    __slots__ = ("variable",)

    def __init__(self, variable: Tensor) -> None:
        super().__init__("AccumulateGrad", [])
        self.variable = variable
        self.sequence = float("inf")  # leaves go first: their gradient is complete when all its parts have arrived

    def release(self) -> None:
        """Nothing is saved."""


def accumulator(leaf: Tensor) -> AccumulateGrad:
    """The one `AccumulateGrad` node of a leaf, made when first asked for."""
    node = leaf._accumulator() if leaf._accumulator is not None else None
    if node is None:
        node = AccumulateGrad(leaf)
        leaf._accumulator = weakref.ref(node)
    return node


def edge_of(tensor: Tensor) -> Edge | None:
    """Where a gradient with respect to `tensor` goes; None if it wants none."""
    node = tensor._grad_fn if tensor._base is None else current_grad_fn(tensor)
    if node is not None:
        return node, tensor._output_nr, tensor._layout.shape, tensor.dtype
    if wants_grad(tensor):
        return accumulator(tensor), 0, tensor._layout.shape, tensor.dtype
    return None


def wants_grad(tensor: Tensor) -> bool:
    """Whether a gradient flows to `tensor`: it asks for one, or it is a view of a tensor that does."""
    return tensor._requires_grad or (tensor._base is not None and tensor._base._requires_grad)


def current_grad_fn(tensor: Tensor) -> Node | None:
    """`grad_fn` of a view: made anew, from the base, when the shared memory was written in between."""
    base = tensor._base
    if base is None or tensor._view_version == tensor._storage.version or not base._requires_grad:
        return tensor._grad_fn
    with enable_grad():
        replayed = arithmetic.as_strided(
            base, tensor._layout.shape, tensor._layout.strides, tensor._layout.offset
        )
    tensor._grad_fn = replayed._grad_fn
    tensor._output_nr = 0
    tensor._requires_grad = True
    tensor._view_version = tensor._storage.version
    return tensor._grad_fn


def record(
    name: str,
    formulas: Sequence[Formula],
    bound: dict[str, Any],
    outputs: Sequence[Tensor],
    fields: Sequence[str],
    in_place: bool = False,
) -> Node:
    """Make the node of a call and hang the differentiable `outputs` on it.

    `bound` maps the operator's parameters to the call's arguments. `fields` are the names of the outputs. With `in_place` the first output *is*
    the first input and only the node is made: the caller moves the tensor (`views.rebase`).
    """
    edges: list[Edge | None] = []
    node = Node(name, edges)
    kept: dict[str, Any] = {}
    for formula in formulas:
        places = []
        active = False
        for parameter in formula.names:
            value = bound[parameter]
            if isinstance(value, Tensor):
                edge = edge_of(value)
                places.append((len(edges), -1, parameter))
                edges.append(edge)
                active = active or edge is not None
            elif isinstance(value, (list, tuple)):
                found = [edge_of(v) if isinstance(v, Tensor) else None for v in value]
                places.append((len(edges), len(found), parameter))
                edges.extend(found)
                active = active or any(found)
            else:
                places.append((len(edges), -1, parameter))
                edges.append(None)
        if active:
            node.active.append((formula, places))
            for want in formula.wants:
                if want not in kept and want not in _FROM_ENGINE:
                    kept[want] = _keep(want, bound, outputs, fields, node)
    node.kept = kept
    node.outputs = len(outputs)
    if in_place:
        for saved in kept.values():
            if isinstance(saved, SavedTensor) and saved.is_output:
                saved.version += 1  # the output is as it will be when the caller has counted this write
    else:
        for number, output in enumerate(outputs):
            if output.dtype.category >= 2:
                output._grad_fn = node
                output._output_nr = number
                output._requires_grad = True
    return node


_FROM_ENGINE = frozenset({"grad", "grads", "needs"})


def _keep(want: str, bound: dict[str, Any], outputs: Sequence[Tensor], fields: Sequence[str], node: Node) -> Any:
    if want in bound:
        return save(bound[want], None, 0)
    if want == "out":
        return save(outputs[0], node, 0)
    if want == "outs":
        return save(list(outputs), node, 0)
    if want in fields:
        number = fields.index(want)
        return save(outputs[number], node, number)
    raise TypeError(f"{node._name}: the gradient formula asks for {want!r}, which the operator does not have")
