"""A traced step as one function, its memory, and calls of many steps."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.compiler.graph import Value
from pellucid.compiler.passes import run_passes
from pellucid.compiler.step_trace import StepGraph
from pellucid.compiler.trace import tensors_in
from pellucid.compiler.whole import MOST_WORK, Builder, NotWhole, Program
from pellucid.kernels import pool
from pellucid.kernels.loops.steps import whole_steps
from pellucid.kernels.pack import aligned
from pellucid.kernels.target import current
from pellucid.loops.numbers import Ahead
from pellucid.optim.elementwise import RuleCall
from pellucid.tensor.dtype import float32, int64
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty

_CACHE = 640 << 10
"""Bytes of a group of models that stay in a core's second-level cache."""


class NativeStep:
    """One traced step of one batch size, ready to run again and again, or the equal steps of
    several models.

    Models stand side by side in the lanes of vectors where a vector of them stays in the cache;
    larger ones run one after the other, on all threads.

    Raises: NotWhole for steps that cannot be one function, NotSteady for steps after which the next
    one is another.
    """

    def __init__(
        self, models: Sequence[StepGraph], data: Sequence[Tensor], rows: int, sweep: bool = False
    ) -> None:
        self.models = list(models)
        first = self.models[0]
        for each in self.models:
            _check_steady(each)
            each.graph.live = True
        self.twins = [_twins(first, each) for each in self.models]
        graph = first.graph
        self.returned = len(list(tensors_in(first.result)))
        logged = graph.outputs[: self.returned]
        if any(v.numel != 1 for v in logged):
            raise NotWhole("the step returns more than single numbers")
        gathered = _gathered(first, data)
        run_passes(graph)
        self.ahead = [Ahead(each.host) for each in self.models]
        places = self.ahead[0].places

        def built(lanes: int) -> Program:
            build = Builder(graph, self.ahead[0].rules, places.starts, len(places.row), lanes)
            return build.build(gathered, logged)

        wide = current().lanes
        self.lanes = 0
        if sweep and wide > 1:  # of one model too: its bits do not depend on the others
            program = built(wide)
            if 4 * wide * program.room <= _CACHE:
                self.lanes = wide
        self.program = program if self.lanes else built(0)
        if self.program.work > MOST_WORK:
            raise NotWhole(f"a step of {self.program.work} multiply-adds is no small one")
        _check_classes(self.program, data)
        self.kernel = whole_steps(
            program=self.program.steps, room=self.program.room, row=len(places.row),
            logs=max(self.program.logs, 1), rows=rows, data=len(data), lanes=self.lanes,
        )  # fmt: skip
        self.tensors = list(data)
        self.data: list[np.ndarray] = []
        self.width = self.lanes or 1
        self.groups = -(-len(self.models) // self.width)
        self.memory = aligned(self.groups * self.program.room * self.width)
        self.memory[:] = 0

    def holds(self) -> bool:
        """Whether the step would be traced as it was: the same optimisers, gradients where there
        were some.
        """
        return all(
            all(rule.holds() for rule in ahead.rules)
            and all((leaf._grad is None) is none for leaf, none in step.before)
            and all(leaf._grad is value.traced for leaf, value in step.held)
            for step, ahead in zip(self.models, self.ahead, strict=True)
        )

    def load(self) -> None:
        """Bring parameters and state into the function's memory, and look at the data again."""
        _check_classes(self.program, self.tensors)
        self.data = [np.ascontiguousarray(each._array) for each in self.tensors]
        for model, twins in enumerate(self.twins):
            for value in self.program.state:
                tensor = twins.get(value, value).traced
                self._view(model, value)[:] = tensor._array.reshape(-1)

    def _view(self, model: int, value: Value) -> np.ndarray:
        """The floats of a value of one model."""
        offset, count = self.program.values[value], value.numel
        group, lane = divmod(model, self.width)
        block = self.memory.reshape(self.groups, self.program.room, self.width)
        return block[group, offset : offset + count, lane]

    def store(self) -> None:
        """Bring what became of parameters, state and gradients back."""
        first = self.models[0]
        for model, (step, twins) in enumerate(zip(self.models, self.twins, strict=True)):
            for old, _ in first.graph.mutated:
                tensor = twins[old].traced
                tensor._array[...] = self._view(model, old).reshape(old.shape)
                tensor._bump_version()
            outputs = iter(first.graph.outputs[self.returned :])
            for leaf, given in step.grads:
                leaf._grad = None
                if given:
                    value = next(outputs)
                    grad = empty(contiguous(value.shape), float32)
                    grad._array[...] = self._view(model, value).reshape(value.shape)
                    leaf._grad = grad

    def run(self, indices: np.ndarray) -> np.ndarray:
        """One native call for as many steps as there are rows of indices: what they returned,
        (steps, models, numbers).
        """
        steps = len(indices)
        numbers = _beside([ahead.take(steps) for ahead in self.ahead], self.groups, self.width)
        count = max(self.program.logs, 1)
        log = np.zeros((self.groups, steps, count, self.width), np.float32)
        indices = np.ascontiguousarray(indices, np.int64)
        values = [self.memory.ctypes.data, numbers.ctypes.data, log.ctypes.data,
                  indices.ctypes.data, *[d.ctypes.data for d in self.data], steps,
                  self.groups]  # fmt: skip
        if self.groups > 1:
            pool.run(self.kernel, *values)
        else:
            pool.run_alone(self.kernel, *values)
        found: np.ndarray = log.transpose(1, 0, 3, 2).reshape(steps, -1, count)
        return found[:, : len(self.models)]


def _twins(first: StepGraph, other: StepGraph) -> dict[Value, Value]:
    """The value of `other` for each of `first`.

    Raises: NotWhole where the steps differ.
    """
    if first is other:
        return {v: v for v, _ in first.graph.mutated}
    known: dict[Value, Value] = {}

    def same(a: Any, b: Any) -> bool:
        if isinstance(a, Value):
            if not isinstance(b, Value) or (a.shape, a.dtype) != (b.shape, b.dtype):
                return False
            return known.setdefault(a, b) is b
        if type(a) is not type(b):
            return False
        if isinstance(a, (list, tuple)):
            return len(a) == len(b) and all(same(x, y) for x, y in zip(a, b, strict=True))
        if isinstance(a, dict):
            return a.keys() == b.keys() and all(same(a[key], b[key]) for key in a)
        if isinstance(a, RuleCall):
            kinds = [[v is None or (type(v) is bool and v) for v in r.numbers] for r in (a, b)]
            return a.rule is b.rule and a.names == b.names and kinds[0] == kinds[1]
        return bool(a == b) if isinstance(a, (int, float, str, bool)) else True

    pairs = zip(first.graph.nodes, other.graph.nodes, strict=False)
    equal = len(first.graph.nodes) == len(other.graph.nodes) and all(
        a.op == b.op and a.kind == b.kind and same(a.args, b.args) and same(a.settings, b.settings)
        and same(a.extra, b.extra) and same(a.outputs, b.outputs)
        for a, b in pairs
    )  # fmt: skip
    hosts = [[type(item) for item in each.host] for each in (first, other)]
    if not equal or hosts[0] != hosts[1] or len(first.grads) != len(other.grads):
        raise NotWhole("the steps of the models differ in more than their numbers")
    if not same([v for v, _ in first.graph.mutated], [v for v, _ in other.graph.mutated]):
        raise NotWhole("the steps of the models change different tensors")
    return known


def _beside(tables: list[np.ndarray], groups: int, wide: int) -> np.ndarray:
    """Tables (steps, row) of models as (groups, steps, row, lanes)."""
    if wide == 1:
        return np.stack(tables)
    steps, row = tables[0].shape
    out = np.zeros((groups, steps, row, wide), np.float32)
    for model, table in enumerate(tables):
        group, lane = divmod(model, wide)
        out[group, :, :, lane] = table
    return out


def _gathered(step: StepGraph, data: Sequence[Tensor]) -> dict[Value, tuple[int, int]]:
    """Inputs of the graph as rows of the data; gradients of before the step are state."""
    graph = step.graph
    batch = graph.inputs[: len(graph.inputs) - len(step.held)]
    if len(batch) != len(data):
        raise NotWhole("the step takes other things than the batch")
    if any(tensor.dtype not in (float32, int64) for tensor in data):
        raise NotWhole("data are of another type than float32 and int64")
    if any(old in batch for old, _ in graph.mutated):
        raise NotWhole("the step writes to its batch")
    return {value: (number, 0) for number, value in enumerate(batch)}


def _check_classes(program: Program, data: Sequence[Tensor]) -> None:
    for source, count, ignored in program.classes:
        numbers = data[source]._array
        inside = (numbers >= 0) & (numbers < count)
        if not (inside | (numbers == ignored)).all():
            raise NotWhole(f"the data hold classes that are none of {count}")


def _check_steady(step: StepGraph) -> None:
    """A step after which gradients are where they were before."""
    after = {id(leaf): not given for leaf, given in step.grads}
    for leaf, none in step.before:
        if after.get(id(leaf), none) is not none:
            raise NotSteady


class NotSteady(Exception):
    """The next step will be another: gradients were not there yet."""
