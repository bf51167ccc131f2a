"""The tape: one `Node` for each recorded call, linked backwards by edges.

A node keeps what its gradient formulas ask for by name and nothing else: `exp` keeps its output,
`add` keeps nothing. Leaves end in an `AccumulateGrad` node. Nothing here computes: the engine walks
the nodes, the formulas are operators.
"""

from __future__ import annotations

import itertools
import traceback
import weakref
from collections import OrderedDict
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.arithmetic import show_as
from pellucid.autograd.hooks import Hooks, RemovableHandle, add_hook, run_node_hooks
from pellucid.autograd.modes import enable_grad
from pellucid.autograd.refusals import refuse_view
from pellucid.autograd.saved import FREED, PACKED, RELEASED, SavedOutput, SavedTensor, save
from pellucid.autograd.saved import hooks as saving
from pellucid.tensor.device import CPU, chosen
from pellucid.tensor.dtype import FLOATING, dtype
from pellucid.tensor.levels import interpreter, levels
from pellucid.tensor.meta import counted
from pellucid.tensor.tensor import Tensor

_sequence = itertools.count()

Edge = tuple["Node", int, tuple[int, ...], dtype]
"""Where a gradient goes: node, which of its outputs, and the shape and dtype the gradient must have
there.
"""

_ABSENT = object()
_SEQUENCES = (list, tuple)
_FROM_ENGINE = frozenset({"grad", "grads", "needs"})
"""What formulas may ask for that is known only when they run."""


class Formula:
    """One gradient rule of an operator: which parameters it serves, the function, and the names it
    asks for.

    `names` may be one parameter or several that are cheaper together (`joint`). The function's
    parameter names are what is saved.
    """

    __slots__ = ("function", "joint", "name", "names", "needs", "several", "stored", "wants")

    def __init__(self, names: Sequence[str], function: Callable[..., Any], joint: bool) -> None:
        self.names = tuple(names)
        self.name = self.names[0]
        self.function = function
        self.joint = joint
        code = function.__code__
        if code.co_kwonlyargcount:
            raise TypeError(f"the gradient formula of {names} has keyword-only parameters")
        self.wants = code.co_varnames[: code.co_argcount]
        self.stored = tuple(want for want in self.wants if want not in _FROM_ENGINE)
        self.needs = "needs" in self.wants
        self.several = "grads" in self.wants


class Anomaly:
    """`detect_anomaly`: whether nodes remember where they were made and gradients are checked for
    NaN.

    `running` is the node whose backward runs: nodes made meanwhile belong to it.
    """

    enabled = False
    check_nan = True
    running: Node | None = None


class Node:
    """A recorded call. `edges[i]` says where the gradient of the i-th differentiable input goes
    (None: nowhere).

    Public face as PyTorch's `grad_fn`: `name()`, `next_functions`, `metadata`, `register_hook`,
    `register_prehook`.
    """

    # What most nodes do not have costs them nothing: these defaults live on the class.
    _name: str = ""
    outputs: int = 1
    hooks: Hooks | None = None
    prehooks: Hooks | None = None
    tensor_hooks: dict[int, Hooks] | None = None
    retained: dict[int, weakref.ref[Tensor]] | None = None
    trace: list[str] | None = None
    parent: Node | None = None
    _metadata: dict[Any, Any] | None = None
    sequence: float

    def __init__(self, name: str, edges: list[Edge | None]) -> None:
        self._name = name
        self.edges = edges
        self.sequence = next(_sequence)
        if Anomaly.enabled:
            self.remember()

    def remember(self) -> None:
        """Keep the stack of calls that made this node, and the node whose backward made it."""
        self.trace = traceback.format_stack()[:-3]
        self.parent = Anomaly.running

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

    @property
    def requires_grad(self) -> bool:
        """Always true: what needs no gradient has no node."""
        return True

    def _sequence_nr(self) -> float:
        return self.sequence

    def apply(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """The gradients of the inputs, in the order of `edges`, from those of the outputs."""
        raise NotImplementedError(f"{type(self).__name__} has no backward")

    def release(self) -> None:
        """Let go of everything saved."""

    def register_hook(self, fn: Callable[..., Any]) -> RemovableHandle:
        """Call `fn(grad_inputs, grad_outputs)` after this node ran; what it returns replaces the
        gradients of the inputs.
        """
        if self.hooks is None:
            self.hooks = OrderedDict()
        return add_hook(self.hooks, fn)

    def register_prehook(self, fn: Callable[..., Any]) -> RemovableHandle:
        """Call `fn(grad_outputs)` before this node runs; what it returns replaces them."""
        if self.prehooks is None:
            self.prehooks = OrderedDict()
        return add_hook(self.prehooks, fn)

    def __call__(self, *grads: Tensor | None) -> Any:
        """Run this node alone, hooks included."""
        given = list(grads)
        if self.prehooks:
            given = run_node_hooks(self.prehooks.values(), given)
        found = list(self.apply(given))
        if self.hooks:
            found = run_node_hooks(self.hooks.values(), found, (tuple(given),))
        return found[0] if len(found) == 1 else tuple(found)

    def __repr__(self) -> str:
        return f"<{type(self).__name__} object at {hex(id(self))}>"


class Recorded(Node):
    """The node of an operator: its formulas for the inputs that a gradient flows to, and what they
    ask for by name.

    Each name of a node ("MulBackward0") is a class of its own, so that
    `type(tensor.grad_fn).__name__` tells it too.
    """

    def __init__(self, edges: list[Edge | None]) -> None:
        self.edges = edges
        self.sequence = next(_sequence)
        self.active: list[tuple[Formula, Any]] = []
        self.kept: Any = {}
        if Anomaly.enabled:
            self.remember()

    def apply(self, grads: list[Tensor | None]) -> list[Tensor | None]:
        """Run the formulas."""
        kept = self.kept
        if kept is RELEASED:
            raise RuntimeError(FREED)
        grad = grads[0]
        values: dict[str, Any] = {"grad": grad}
        for name, value in kept.items():
            if type(value) is SavedTensor and value.tensor._storage.version == value.version:
                values[name] = value.tensor
            else:
                values[name] = value.unpack(self) if isinstance(value, PACKED) else value
        results: list[Tensor | None] = [None] * len(self.edges)
        for formula, places in self.active:
            if formula.several:
                values["grads"] = tuple(grads)
            elif grad is None:
                continue
            if formula.needs:
                values["needs"] = self._needed(places)
            given = [values[want] for want in formula.wants]
            if levels.stack:
                found = interpreter.formula(formula, given)
            elif counted.living and any(g is not None and g._storage.meta for g in grads):
                found = counted.formula(formula.function, given)
            elif chosen.stack:  # what it makes on its way is where the gradients are
                with CPU:
                    found = formula.function(*given)
            else:
                found = formula.function(*given)
            if type(places) is int:
                results[places] = found
                continue
            for (start, count, _), value in zip(
                places, found if formula.joint else (found,), strict=True
            ):
                if count < 0:
                    results[start] = value
                elif value is not None:
                    results[start : start + count] = value
        return results

    def _needed(self, places: Any) -> frozenset[str]:
        edges = self.edges
        return frozenset(
            name for start, count, name in places if any(edges[start : start + max(count, 1)])
        )

    def release(self) -> None:
        """Let go of the tensors saved. A node that kept none can run again."""
        for name, value in self.kept.items():
            if isinstance(value, PACKED) or name == "other":
                self.kept = RELEASED
                return

    def __getattr__(self, name: str) -> Any:
        """`_saved_self`, `_saved_result`, …: what this node keeps, under PyTorch's names."""
        if name.startswith("_saved_"):
            kept = self.kept
            if kept is RELEASED:
                raise RuntimeError(FREED)
            key = _KEPT_AS.get(name[7:], name[7:])
            if key in kept:
                value = kept[key]
                return value.unpack(self) if isinstance(value, PACKED) else value
        raise AttributeError(f"'{type(self).__name__}' object has no attribute '{name}'")

    def __dir__(self) -> list[str]:
        shown = {value: key for key, value in _KEPT_AS.items()}
        kept = [] if self.kept is RELEASED else [f"_saved_{shown.get(k, k)}" for k in self.kept]
        return [*super().__dir__(), *kept]


_KEPT_AS = {"self": "input", "result": "out"}
"""PyTorch's names of saved values, where ours differ."""


_classes: dict[str, type[Recorded]] = {}


def _node_class(name: str) -> type[Recorded]:
    """The class of the nodes of this name, made when first asked for."""
    own = f"torch::autograd::{name}" if name in ("CopyBackwards", "NotImplemented") else name
    found = _classes[name] = type(name, (Recorded,), {"_name": own, "__module__": "builtins"})
    return found


class AccumulateGrad(Node):
    """The end of the tape at a leaf: adds what arrives to `variable.grad`."""

    def __init__(self, variable: Tensor) -> None:
        super().__init__("torch::autograd::AccumulateGrad", [])
        self.variable = variable
        # Leaves go first: their gradient is complete when all its parts have arrived.
        self.sequence = float("inf")

    def __repr__(self) -> str:
        return f"<AccumulateGrad object at {hex(id(self))}>"


def accumulator(leaf: Tensor) -> AccumulateGrad:
    """The one `AccumulateGrad` node of a leaf, made when first asked for."""
    known = leaf._accumulator
    node = None if known is None else known()
    if node is None:
        node = AccumulateGrad(leaf)
        leaf._accumulator = weakref.ref(node)
    return node


def edge_of(tensor: Tensor) -> Edge | None:
    """Where the gradient of `tensor` goes, or None if it wants none."""
    based = tensor._base is not None
    node = current_grad_fn(tensor) if based else tensor._grad_fn
    if node is not None:
        return node, tensor._output_nr, tensor._layout.shape, tensor.dtype
    if tensor._requires_grad or (based and wants_grad(tensor)):
        return accumulator(tensor), 0, tensor._layout.shape, tensor.dtype
    return None


def wants_grad(tensor: Tensor) -> bool:
    """Whether a gradient flows to `tensor`: it asks for one, or is a view of one that does."""
    return tensor._requires_grad or (tensor._base is not None and tensor._base._requires_grad)


def current_grad_fn(tensor: Tensor) -> Node | None:
    """`grad_fn` of a view: made anew, from the base, when the shared memory was written in between.

    Raises: RuntimeError for a view that no write may reach (made under `no_grad`, or one of several
    views of one call).
    """
    base = tensor._base
    if base is None or tensor._view_version == tensor._storage.version or not base._requires_grad:
        return tensor._grad_fn
    if tensor._view is not None:
        refuse_view(tensor, indirect=True)
    before, number = tensor._grad_fn, tensor._output_nr
    with enable_grad():
        replayed = show_as(base, tensor)
    tensor._grad_fn, tensor._output_nr = replayed._grad_fn, replayed._output_nr
    tensor._requires_grad = True
    tensor._view_version = tensor._storage.version
    if tensor._retains_grad:
        move_retained(tensor, before, number)
    return tensor._grad_fn


def move_retained(tensor: Tensor, before: Node | None, number: int) -> None:
    """`tensor` comes from another node now: that is where its `grad` is to be kept (see
    `retain_grad`).
    """
    if before is not None and before.retained is not None:
        before.retained.pop(number, None)
    node = tensor._grad_fn
    if node.retained is None:
        node.retained = {}
    node.retained[tensor._output_nr] = weakref.ref(tensor)


def record(
    name: str,
    formulas: Sequence[Formula],
    bound: dict[str, Any],
    outputs: Sequence[Tensor],
    fields: Sequence[str],
    in_place: bool = False,
) -> Node | None:
    """Make the node of a call and hang the differentiable `outputs` on it; None if no formula has
    an input that wants a gradient.

    `bound` maps the operator's parameters to the call's arguments. `fields` are the names of the
    outputs. With `in_place` the first output *is* the first input and only the node is made: the
    caller moves the tensor (`views.rebase`).
    """
    edges: list[Edge | None] = []
    node = (_classes.get(name) or _node_class(name))(edges)
    active, kept, plain = node.active, node.kept, not saving.stack
    for formula in formulas:
        value = bound[formula.name]
        if not formula.joint and isinstance(value, Tensor):
            edge = edge_of(value)
            places: Any = len(edges)
            edges.append(edge)
            if edge is None:
                continue
            if formula.needs:
                places = [(places, -1, formula.name)]
        else:
            places, wanted = _connect(formula, bound, edges)
            if not wanted:
                continue
        active.append((formula, places))
        for want in formula.stored:
            if want in kept:
                continue
            value = bound.get(want, _ABSENT)
            if value is _ABSENT:
                kept[want] = _keep(want, outputs, fields, node)
            elif isinstance(value, Tensor):
                kept[want] = SavedTensor(value) if plain else save(value, None, 0)
            elif type(value) in _SEQUENCES:
                kept[want] = save(value, None, 0)
            else:
                kept[want] = value
    if not active:
        return None
    if in_place:
        for saved in kept.values():
            if isinstance(saved, SavedOutput):
                saved.version += 1  # as it will be when the caller has counted this write
        return node
    if len(outputs) > 1:
        node.outputs = len(outputs)
    for number, output in enumerate(outputs):
        if output.dtype.category >= FLOATING:
            output._grad_fn = node
            output._output_nr = number
            output._requires_grad = True
    return node


def _connect(
    formula: Formula, bound: dict[str, Any], edges: list[Edge | None]
) -> tuple[list[tuple[int, int, str]], bool]:
    """Append the edges of a formula of several parameters, or of a list: (first edge, how many or
    -1, parameter) for each.
    """
    places = []
    wanted = False
    for parameter in formula.names:
        value = bound[parameter]
        if isinstance(value, (list, tuple)):
            found = [edge_of(v) if isinstance(v, Tensor) else None for v in value]
            places.append((len(edges), len(found), parameter))
        else:
            found = [edge_of(value) if isinstance(value, Tensor) else None]
            places.append((len(edges), -1, parameter))
        edges.extend(found)
        wanted = wanted or any(edge is not None for edge in found)
    return places, wanted


def _keep(want: str, outputs: Sequence[Tensor], fields: Sequence[str], node: Node) -> Any:
    """What a formula asks for that is no parameter: an output, or all of them."""
    if want == "out":
        return save(outputs[0], node, 0)
    if want == "outs":
        return save(list(outputs), node, 0)
    if want in fields:
        number = fields.index(want)
        return save(outputs[number], node, number)
    raise TypeError(
        f"{node._name}: the gradient formula asks for {want!r}, which the operator does not have"
    )
