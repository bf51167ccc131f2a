"""Tracing whole training steps: forward, backward, optimiser and schedule in one graph.

The operators of a backward pass tell of themselves like any others. Beyond them a step has

* gradient formulas that compute on arrays: the tape's node becomes a node of the graph (`_opaque`);
* rules of optimisers (`optim/elementwise.py`): a node "update" that writes the parameter and its
  state, and whose numbers (rates, bias corrections) are asked for anew in each step;
* actions on Python's objects, like a scheduler's step, which are done again in each step;
* gradients, which arrive at leaves: `leaf.grad` is an output of the graph.

Nothing that was found is a constant: parameters, statistics and state change from step to step.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from dataclasses import dataclass, field
from typing import Any

from pellucid.autograd.api import grad
from pellucid.autograd.engine import running
from pellucid.autograd.modes import no_grad
from pellucid.autograd.node import AccumulateGrad, Recorded
from pellucid.autograd.saved import PACKED
from pellucid.compiler.graph import Graph, Node, Value
from pellucid.compiler.trace import DataDependent, Tracer, place_of, tensors_in
from pellucid.tensor.events import Action, Event, is_acting, observers
from pellucid.tensor.layout import contiguous
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, empty

_OVERWRITING = ("copy_", "copy", "fill_", "fill", "zero_", "zero")
_ALSO_WRITTEN = {"batch_normalise": (3, 4)}
"""Arguments that operators change besides what they return (running statistics, in training)."""


class NotTraceable(RuntimeError):
    """A training step does something that a graph cannot hold."""

    harmless = False
    """Whether nothing had been changed when it was raised."""


@dataclass
class StepGraph:
    """A traced step. `graph.outputs` are the results, then the gradients in `grads`.

    `host` is what Python does in each step, in order: rules whose numbers are wanted, and actions.
    `grads` says for each leaf what its `grad` becomes: True for an output, False for None. `keeps`
    is False if state was made in this step, so that the next one will be another. `backward` is
    whether there was a backward pass.
    """

    graph: Graph
    result: Any
    host: list[Any] = field(default_factory=list)
    grads: list[tuple[Tensor, bool]] = field(default_factory=list)
    before: list[tuple[Tensor, bool]] = field(default_factory=list)
    held: list[tuple[Tensor, Value]] = field(default_factory=list)
    """Leaves whose `grad` of before the step is read or added to: inputs after the others."""
    keeps: bool = True
    backward: bool = False
    mark: int = 0
    """Where the backward pass begins that the trace added (`differentiate`)."""
    tangents: list[Value] = field(default_factory=list)
    differentiable: list[int] = field(default_factory=list)
    wanted: list[Tensor] = field(default_factory=list)
    gradients: list[Value | None] = field(default_factory=list)

    @property
    def present(self) -> list[bool]:
        """Which of the wanted tensors have a gradient."""
        return [value is not None for value in self.gradients]


class StepTracer(Tracer):
    """Listens to a training step."""

    def __init__(self, leaves: list[Tensor]) -> None:
        super().__init__()
        self.leaves = {id(leaf): leaf for leaf in leaves}
        self.before = {id(leaf): leaf._grad for leaf in leaves}
        self.held: list[tuple[Tensor, Value]] = []
        self.host: list[Any] = []
        self.keeps = True
        self.backward = False
        self.born: set[int] = set()
        """Storages that were made in this trace."""
        self.unheard: list[Value] = []
        """Values that were made in this trace, but not by operators."""
        self.window: list[Value] = []
        """Such values of the node of the tape that runs."""
        self.roots: dict[int, int] = {}
        """By the storage that owns the bytes: the one through which this step looks at them."""
        self.thread = threading.get_ident()

    def run(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        tensors: list[Tensor],
    ) -> Any:  # fmt: skip
        """Run the function, listening; gradients that leaves have already are known."""
        given = {id(tensor) for tensor in tensors}
        for leaf in self.leaves.values():
            before = leaf._grad
            if before is not None and id(before) not in given | self.values.keys():
                value = Value(tuple(before.shape), before.dtype, before)
                self.held.append((leaf, self.enter(before, value)))
        return super().run(function, args, kwargs, tensors)

    def listen(self, call: Callable[[], Any]) -> Any:
        """Listen to operators and to actions."""
        original, adopt, own = Storage.__init__, Storage.adopt, Storage.__dict__["adopt"]

        def remembered(storage: Storage, nbytes: int) -> None:
            original(storage, nbytes)
            if threading.get_ident() == self.thread:
                self.born.add(id(storage))
                self.alive.append(storage)

        def adopted(array: Any) -> Storage:
            storage = adopt(array)
            if threading.get_ident() == self.thread:
                self.born.add(id(storage))
                self.alive.append(storage)
            return storage

        observers.append(self.act)
        Storage.__init__ = remembered  # type: ignore[method-assign, assignment]
        Storage.adopt = adopted  # type: ignore[method-assign]
        try:
            return super().listen(call)
        finally:
            Storage.__init__ = original  # type: ignore[method-assign]
            Storage.adopt = own  # type: ignore[method-assign]
            observers.remove(self.act)

    def may_read(self, value: Value) -> bool:
        """What the step finds changes from step to step."""
        return value.producer is None and value not in self.inputs

    def read_foreign(self, tensor: Tensor) -> None:
        """Not noticed."""

    def capture(self, tensor: Tensor) -> Value:
        known = self.shown.get(place_of(tensor))
        if known is not None:  # another tensor object that shows the same memory, as the tape makes
            return self.enter(tensor, self.value(known))
        own = id(tensor._storage)
        if self.roots.setdefault(id(_root(tensor._storage)), own) != own:
            raise NotTraceable(
                "the step uses `.data` of a tensor: what is written to it would not be noticed\n"
                "  Use the tensor itself under torch.no_grad(), or tensor.detach()."
            )
        value = super().capture(tensor)
        if id(tensor._storage) in self.born:
            (self.unheard if running.walk is None else self.window).append(value)
        return value

    def act(self, action: Action) -> None:
        """Something that is no operator."""
        if threading.get_ident() != self.thread:
            return
        if action.name == "accumulate":
            self.backward = True
            leaf = action.subject
            if id(leaf) not in self.leaves:
                self.leaves[id(leaf)], self.before[id(leaf)] = leaf, None
        elif action.name == "state is made":
            self.keeps = False
        elif action.reason:
            raise NotTraceable(
                f"{action.name} updates {action.reason}, which a compiled step cannot follow: its "
                "learning rate would stay what it is now\n"
                "  Compile the forward and backward passes only and call optimizer.step() outside."
            )
        elif any(True for _ in tensors_in(action.inputs)):
            raise NotTraceable(
                f"{action.name} reads a tensor, whose value a compiled step does not know before "
                "it runs\n  Call it outside of the compiled function, with what that returns."
            )
        else:
            self.host.append(action.again)

    def hear(self, event: Event) -> None:
        if is_acting() or threading.get_ident() != self.thread:
            return
        rule = (event.settings or {}).get("rule") if event.kind == "write" else None
        if event.kind == "node":
            self._opaque(event)
        elif rule is not None:
            self._update(event, rule)
        elif event.name in _ALSO_WRITTEN and event.kind == "copy":
            self._with_writes(event)
        else:
            if event.name in _OVERWRITING and event.kind == "write":
                self._make(event.inputs[0])
            super().hear(event)

    def _make(self, tensor: Tensor) -> None:
        """Memory that nobody told of is about to be overwritten: what it held does not matter."""
        if id(tensor) in self.values or id(tensor._storage) not in self.born:
            return
        node = Node("empty", "fresh", (), {}, [])
        node.outputs = [Value(tuple(tensor.shape), tensor.dtype, tensor, node)]
        self.nodes.append(node)
        self.enter(tensor, node.out)

    def _opaque(self, event: Event) -> None:
        """A node of the tape ran. If what it gives did not come from operators, it is a node of the
        graph itself.
        """
        tape = event.spec
        self.backward = True
        made = [t for t in event.settings["passed"] if isinstance(t, Tensor)]
        unheard, self.window = self.window, []
        known = all(id(t) in self.values for t in made)
        if (known and not unheard) or isinstance(tape, AccumulateGrad) or not made:
            return
        if not isinstance(tape, Recorded):
            raise NotTraceable(
                f"the backward pass of {event.name} computes with something else than operators of "
                "this library, which a compiled step cannot follow\n"
                "  Write it with tensors' operators, or call the step without compile."
            )
        kept = {
            name: value.unpack(tape) if isinstance(value, PACKED) else value
            for name, value in tape.kept.items()
        }
        shadow = Recorded([None if edge is None else edge[:1] for edge in tape.edges])  # type: ignore[misc]
        shadow.active, shadow._name = tape.active, tape.name()
        args = (
            [self._argument(g) for g in event.settings["grads"]],
            {name: self._argument(value) for name, value in kept.items()},
        )
        node = Node(event.name, "fresh", args, {}, [])
        node.extra["tape"] = shadow
        node.outputs = [Value(tuple(t.shape), t.dtype, t, node) for t in made]
        node.extra["present"] = [isinstance(t, Tensor) for t in event.settings["passed"]]
        for tensor, value in zip(made, node.outputs, strict=True):
            self.enter(tensor, value)
        self.nodes.append(node)
        self.alive.append((event, kept, made))

    def _update(self, event: Event, rule: Any) -> None:
        """A rule of an optimiser: the parameter and its state become something else."""
        written = [event.inputs[0], *event.inputs[2:]]
        args = tuple(self._argument(item) for item in event.inputs)
        node = Node("update", "fresh", args, {}, [], None, "", {"rule": rule})
        node.outputs = [Value(tuple(t.shape), t.dtype, t, node) for t in written]
        self.nodes.append(node)
        for tensor, value in zip(written, node.outputs, strict=True):
            self._became(tensor, value)
        self.host.append(rule)
        self.alive.append(event)

    def _with_writes(self, event: Event) -> None:
        """An operator that also changes some of its arguments: they are outputs too."""
        super().hear(event)
        node = self.nodes[-1]
        training = event.inputs[5]
        if not training:
            return
        for position in _ALSO_WRITTEN[event.name]:
            tensor = event.inputs[position]
            if tensor is not None:
                value = Value(tuple(tensor.shape), tensor.dtype, tensor, node)
                node.outputs.append(value)
                self._became(tensor, value)
        node.extra["also"] = _ALSO_WRITTEN[event.name]

    def _became(self, tensor: Tensor, value: Value) -> None:
        """A tensor that no view shares was written to."""
        before = self.values[id(tensor)]
        storage = id(tensor._storage)
        self.written[storage] = self.written.get(storage, 0) + 1
        self.enter(tensor, value)
        if before.producer is None and id(tensor) not in self.mutated:
            self.mutated[id(tensor)] = (before, tensor)

    def differentiate(self, result: Any, tensors: list[Tensor]) -> StepGraph | None:
        """Go backward from the outputs of a run without a backward pass of its own; the gradients
        of the outputs are inputs of the graph. None if no gradient flows.
        """
        outputs = list(tensors_in(result))
        places = [i for i, out in enumerate(outputs) if out._requires_grad]
        found = {id(v.traced): v.traced for v in self.captured}
        found.update((id(t), t) for t in tensors)
        wanted = [t for t in found.values() if t._requires_grad]
        if not places or not wanted:
            return None
        last = self.nodes[-1] if self.nodes else None
        tangents = []
        ones = []
        with no_grad():
            for place in places:
                one = empty(contiguous(outputs[place]._layout.shape), outputs[place].dtype)
                one._array.fill(1)
                value = Value(tuple(one.shape), one.dtype, one)
                self.inputs.append(self.enter(one, value))
                tangents.append(value)
                ones.append(one)
        grads = self.listen(
            lambda: grad([outputs[i] for i in places], wanted, ones, retain_graph=True,
                         allow_unused=True)
        )  # fmt: skip
        gradients = [None if g is None else self.value(g) for g in grads]
        step = self.finish(result)
        mark = 1 + step.graph.nodes.index(last) if last is not None else 0
        while mark < len(step.graph.nodes) and step.graph.nodes[mark].op == "write_through":
            mark += 1
        step.mark, step.tangents, step.differentiable = mark, tangents, places
        step.wanted, step.gradients = wanted, gradients
        return step

    def finish(self, result: Any) -> StepGraph:
        """The graph of what was heard.

        Raises: NotTraceable for a tensor that no operator told of.
        """
        outputs = list(tensors_in(result))
        grads: list[tuple[Tensor, bool]] = []
        for key, leaf in self.leaves.items():
            now = leaf._grad
            if now is None:
                grads.append((leaf, False))
            elif now is not self.before[key]:
                outputs.append(now)
                grads.append((leaf, True))
        graph = self.graph(outputs)
        read = {v for node in graph.nodes for v in node.inputs()} | graph.kept()
        held = [(leaf, value) for leaf, value in self.held if value in read]
        graph.inputs = [*graph.inputs, *[value for _, value in held]]
        if self.unheard and self.keeps:
            used = {v for node in graph.nodes for v in node.inputs()} | graph.kept()
            for value in self.unheard:
                if value in used:
                    raise NotTraceable(
                        f"the step uses a {value} that was made while it ran by something else "
                        "than an operator (NumPy, perhaps): a plan would use its value of now for "
                        "ever\n  Make it outside and give it as an argument."
                    )
        before = [(leaf, self.before[key] is None) for key, leaf in self.leaves.items()]
        return StepGraph(
            graph, result, self.host, grads, before, held, self.keeps, self.backward
        )  # fmt: skip


def _root(storage: Storage) -> Storage:
    while isinstance(storage.owner, Storage):
        storage = storage.owner
    return storage


def trace_step(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
    tensors: list[Tensor], leaves: list[Tensor],
) -> StepGraph:  # fmt: skip
    """Run a training step, or a function that gradients flow through, once and write it down.
    `leaves` are tensors whose `grad` it may set.
    """
    tracer = StepTracer(leaves)
    try:
        result = tracer.run(function, args, kwargs, tensors)
    except (DataDependent, NotTraceable) as refusal:
        refusal.harmless = not (tracer.mutated or tracer.random or tracer.host or tracer.backward)
        raise
    if not tracer.backward:
        pair = tracer.differentiate(result, tensors)
        if pair is not None:
            return pair
    return tracer.finish(result)
