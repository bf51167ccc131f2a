"""Plans of whole training steps, and what a function works on."""

from __future__ import annotations

import functools
import sys
import types
from collections.abc import Iterable
from typing import Any

from pellucid.autograd.modes import no_grad
from pellucid.compiler.graph import Graph, Node, Value
from pellucid.compiler.guards import ModuleState
from pellucid.compiler.lower import lower
from pellucid.compiler.lower.live_images import (
    lower_batch_norm,
    lower_batch_norm_gradient,
    lower_max_pool,
)
from pellucid.compiler.lower.moves import copy
from pellucid.compiler.lower.training import (
    Numbers,
    lower_tape,
    lower_update,
    lower_with_writes,
)
from pellucid.compiler.passes import IDENTITIES, name_of, run_passes
from pellucid.compiler.plan import Buffer, Physical, Plan, Planner
from pellucid.compiler.specialised import Output, rebuilder
from pellucid.compiler.step_trace import StepGraph
from pellucid.compiler.trace import tensors_in
from pellucid.compiler.view import plans_text
from pellucid.config import debug_windows
from pellucid.kernels import pool
from pellucid.tensor.layout import contiguous
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, empty, make

_DEEPEST, _LONGEST = 3, 10_000


def objects_of(*roots: Any) -> tuple[list[Any], list[Any], list[Tensor]]:
    """The modules, optimisers and free tensors that a call may use: the function itself, what its
    method belongs to, what it closes over, the globals it names, and those of functions among them.
    """
    modules: dict[int, Any] = {}
    optimisers: dict[int, Any] = {}
    tensors: dict[int, Tensor] = {}
    seen: set[int] = set()

    def look(item: Any, depth: int) -> None:
        if id(item) in seen or depth > _DEEPEST:
            return
        seen.add(id(item))
        if isinstance(item, Tensor):
            tensors[id(item)] = item
        elif hasattr(item, "_modules") and hasattr(item, "_parameters"):
            modules.update((id(module), module) for module in item.modules())
        elif isinstance(getattr(item, "param_groups", None), list):
            optimisers[id(item)] = item
        elif isinstance(item, functools.partial):
            for each in (item.func, *item.args, *item.keywords.values()):
                look(each, depth + 1)
        elif isinstance(item, types.MethodType):
            look(item.__self__, depth)
            look(item.__func__, depth)
        elif isinstance(item, types.FunctionType):
            for each in _named_by(item):
                look(each, depth + 1)
        elif isinstance(item, (list, tuple)) and len(item) < _LONGEST:
            for each in item:
                look(each, depth + 1)
        elif isinstance(item, dict) and len(item) < _LONGEST:
            for each in item.values():
                look(each, depth + 1)
        elif depth and hasattr(item, "_orig_mod"):
            look(item._orig_mod, depth)
        elif type(item).__module__ not in ("builtins", "numpy") and hasattr(item, "__dict__"):
            for each in list(vars(item).values()) if not isinstance(item, type) else ():
                if not isinstance(item, types.ModuleType):
                    look(each, depth + 1)

    for root in roots:
        look(root, 0)
    return list(modules.values()), list(optimisers.values()), list(tensors.values())


def _named_by(function: types.FunctionType) -> Iterable[Any]:
    """What a function closes over, its defaults, and the globals that its code names."""
    yield from function.__defaults__ or ()
    yield from (function.__kwdefaults__ or {}).values()
    for cell in function.__closure__ or ():
        try:
            yield cell.cell_contents
        except ValueError:  # not assigned yet
            continue
    if function.__module__.partition(".")[0] == __name__.partition(".")[0]:
        return
    for name in _names(function.__code__):
        if name in function.__globals__:
            yield function.__globals__[name]


def _names(code: types.CodeType) -> Iterable[str]:
    """The names in a function's code, and in that of the functions and comprehensions inside."""
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, types.CodeType):
            yield from _names(constant)


def leaves_of(
    modules: Iterable[Any], optimisers: Iterable[Any], tensors: Iterable[Tensor]
) -> list[Tensor]:
    """The tensors whose `grad` a step may set."""
    found = {id(t): t for t in tensors if t._requires_grad and t._grad_fn is None}
    for module in modules:
        for parameter in module._parameters.values():
            if parameter is not None:
                found[id(parameter)] = parameter
    for optimiser in optimisers:
        for group in optimiser.param_groups:
            found.update((id(p), p) for p in group["params"])
    return list(found.values())


def settings_of(optimisers: Iterable[Any]) -> tuple[Any, ...]:
    """What a rule depends on besides its numbers: the kind of each option of each group."""
    return tuple(
        tuple([(key, _kind(value)) for key, value in group.items() if key not in _PASSED_OVER])
        for optimiser in optimisers
        for group in optimiser.param_groups
    )


_PASSED_OVER = ("params", "lr", "initial_lr", "param_names")


def _kind(value: Any) -> Any:
    """A number by whether it is zero and above a half, all else by value."""
    if isinstance(value, (bool, str)) or value is None:
        return value
    if isinstance(value, (int, float)):
        return (value == 0, value > 0.5)
    if isinstance(value, (tuple, list)):
        return tuple([_kind(each) for each in value])
    return id(value)


class PlannedGraph:
    """A graph whose captured tensors change from call to call, as a plan.

    `result` is what the traced run returned; further outputs of the graph follow its tensors.
    """

    def __init__(
        self, graph: Graph, result: Any, modules: list[Any], exact: bool, rules: Any = ()
    ) -> None:
        self.graph = graph
        graph.live = True
        run_passes(graph, training=True)
        self.numbers = Numbers(list(rules))
        self.plan, self.specs = self._planned(exact)
        if "plan" in debug_windows():
            print(plans_text([self.plan]), file=sys.stderr)
        self.modules = ModuleState(modules, [v.traced for v in graph.captured])
        self.guards = [(v.traced, v.traced._storage) for v in graph.captured]
        self.changed = [old.traced for old, _ in graph.mutated if old not in graph.inputs]
        self.given = [old for old, _ in graph.mutated if old in graph.inputs]
        self.places = [graph.inputs.index(old) for old in self.given]
        tensors = list(tensors_in(result))
        self.count = len(tensors)
        self.rebuild = rebuilder(result, tensors)
        _forget(graph, self.plan)

    def _planned(self, exact: bool) -> tuple[Plan, list[Output]]:
        graph = self.graph
        planner = Planner(pool.num_threads(), exact=exact)
        for number, value in enumerate(graph.inputs):
            place = Physical(Buffer("input", 0, number), contiguous(value.shape), value.dtype)
            planner.places[value] = place
        last = last_uses(graph)

        def special(at: int, node: Node) -> bool:
            if node.op == "update":
                olds = [node.args[0], *node.args[2:]]
                free = all(last[v] <= at and not v.constant and not _given(planner, v)
                           for v in olds)  # fmt: skip
                lower_update(planner, node, self.numbers, free)
            elif "tape" in node.extra:
                if not lower_batch_norm_gradient(planner, node):
                    lower_tape(planner, node)
            elif "also" in node.extra:
                if not lower_batch_norm(planner, node):
                    lower_with_writes(planner, node)
            else:
                return lower_max_pool(planner, node)
            return True

        lower(planner, graph, special)
        first: dict[int, int] = {}
        specs = [Output(v, graph, number, first) for number, v in enumerate(graph.outputs)]
        for number, (spec, value) in enumerate(zip(specs, graph.outputs, strict=True)):
            if spec.written and value.numel:
                out = Physical(Buffer("output", 0, number), spec.layout, value.dtype)
                copy(planner, planner.place(value), out)
        self._write_back(planner, len(specs))
        return Plan.finish(planner), specs

    def _write_back(self, planner: Planner, count: int) -> None:
        """What was written to reaches the tensors themselves: in the plan for those that were
        found, as further outputs for inputs.
        """
        graph = self.graph
        targets: list[tuple[Physical, Physical]] = []
        owned = {id(old.traced._storage) for old, _ in graph.mutated}
        for old, new in graph.mutated:
            source = planner.place(new)
            owner = source.buffer.owner
            if old in graph.inputs:
                out = Physical(Buffer("output", 0, count), contiguous(old.shape), old.dtype)
                count += 1
            else:
                out = planner.constant(old.traced)
                same = owner is not None and owner._storage is old.traced._storage
                if same and source.layout == out.layout:
                    continue
            if owner is not None and id(owner._storage) in owned:
                kept = planner.fresh(contiguous(old.shape), old.dtype)
                copy(planner, source, kept)
                source = kept
            targets.append((source, out))
        for source, out in targets:
            copy(planner, source, out)

    def holds(self) -> bool:
        """Whether everything the plan works on is what and where it was."""
        return self.modules.holds() and all(
            [tensor._storage is storage for tensor, storage in self.guards]
        )

    def run(self, tensors: list[Tensor], ready: dict[int, Tensor] | None = None) -> list[Tensor]:
        """All outputs for these inputs; some of them may be `ready`, made before."""
        given = [t if t._layout.is_row_major else t.contiguous() for t in tensors]
        outputs: list[Tensor] = []
        for number, spec in enumerate(self.specs):
            known = ready.get(number) if ready else None
            outputs.append(spec.make(tensors, outputs) if known is None else known)
        after = [empty(contiguous(old.shape), old.dtype) for old in self.given]
        self.plan.call(given, [*outputs, *after])
        for tensor in self.changed:
            tensor._bump_version()
        for place, value in zip(self.places, after, strict=True):
            tensors[place].copy_(value)
        return outputs


class SpecialisedStep:
    """The plan of one training step for one kind of input.

    Results and gradients are outputs; parameters, statistics and state are changed where they lie.
    """

    def __init__(self, step: StepGraph, modules: list[Any], exact: bool) -> None:
        self.rules = [item for item in step.host if hasattr(item, "rule")]
        self.planned = PlannedGraph(step.graph, step.result, modules, exact, self.rules)
        self.host, self.before = step.host, step.before
        self.held = [leaf for leaf, _ in step.held]
        self.leaves = [leaf for leaf, given in step.grads if given]
        self.without = [leaf for leaf, given in step.grads if not given]
        self.grads: dict[int, tuple[Tensor, int]] = {}
        """By output: the tensor that held a gradient last, and how many look at its memory."""

    @property
    def plan(self) -> Plan:
        """What `str()` shows."""
        return self.planned.plan

    def holds(self) -> bool:
        """Whether everything the plan works on is what and where it was."""
        return (
            self.planned.holds()
            and all([rule.holds() for rule in self.rules])
            and all([(leaf._grad is None) is none for leaf, none in self.before])
        )

    def __call__(self, tensors: list[Tensor]) -> Any:
        """Do what Python does in a step, then run the plan."""
        self.prepare()
        planned, ready = self.planned, {}
        for number, leaf in enumerate(self.leaves, planned.count):
            kept = self._kept_grad(number, leaf)
            if kept is not None:
                ready[number] = kept
        with no_grad():
            grads: list[Tensor] = [leaf._grad for leaf in self.held]  # type: ignore[misc]
            outputs = planned.run([*tensors, *grads], ready)
        for leaf in self.without:
            leaf._grad = None
        for number, leaf in enumerate(self.leaves, planned.count):
            grad = outputs[number]
            grad._bump_version()
            self.grads[number] = (grad, sys.getrefcount(grad._storage.owner))
            leaf._grad = grad
        return planned.rebuild(outputs[: planned.count])

    def prepare(self) -> None:
        """Count steps, ask rules for their numbers, do actions, in the order of the traced step."""
        known: dict[Any, Any] = {}
        number = 0
        for item in self.host:
            if hasattr(item, "rule"):
                step, key = item.next()
                values = known.get(key)
                if values is None:
                    values = known[key] = item.values(step)
                self.planned.numbers.set(number, values)
                number += 1
            else:
                item()

    def _kept_grad(self, number: int, leaf: Tensor) -> Tensor | None:
        """The tensor that held this gradient before, if nobody else holds it or its memory."""
        kept, looking = self.grads.get(number, (None, 0))
        if kept is None:
            return None
        held = leaf._grad is kept
        # The references: the tuple, `kept`, and `getrefcount`'s own; the tensor and its own.
        alone = sys.getrefcount(kept) == 3 + held and sys.getrefcount(kept._storage) == 2
        return kept if alone and sys.getrefcount(kept._storage.owner) == looking else None


def _forget(graph: Graph, plan: Plan) -> None:
    """Let go of what the traced step computed."""
    used = {*graph.inputs, *graph.captured, *graph.outputs}
    used.update(v for pair in graph.mutated for v in pair)
    nothing = Storage(0)
    for node in graph.nodes:
        for value in (*node.outputs, *node.inputs()):
            if value not in used and not value.constant and not value.captured:
                value.traced = make(nothing, value.traced._layout, value.dtype)
    graph.nodes = []
    plan.planner.places.clear()


def _given(planner: Planner, value: Value) -> bool:
    return planner.place(value).buffer.kind == "input"


def last_uses(graph: Graph) -> dict[Value, int]:
    """The number of the last node that reads a value or what may share its memory."""
    last: dict[Value, int] = {}
    end = len(graph.nodes) + 1
    for value in graph.outputs:
        last[value] = end
    for at in reversed(range(len(graph.nodes))):
        node = graph.nodes[at]
        shares = node.kind == "view" or name_of(node) in IDENTITIES
        until = max([last.get(v, at) for v in node.outputs], default=at) if shares else at
        for value in node.inputs():
            last[value] = max(last.get(value, -1), until, at)
    return last
