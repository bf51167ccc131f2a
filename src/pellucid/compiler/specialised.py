"""One plan for one kind of input: what it needs to be called, and how its outputs are made."""

from __future__ import annotations

import sys
from collections.abc import Callable
from typing import Any

from pellucid.compiler.accuracy import accuracy
from pellucid.compiler.graph import Graph, Value
from pellucid.compiler.guards import ModuleState
from pellucid.compiler.lower import lower
from pellucid.compiler.lower.moves import copy
from pellucid.compiler.passes import run_passes
from pellucid.compiler.plan import Buffer, Physical, Plan, Planner
from pellucid.compiler.trace import tensors_in, trace
from pellucid.compiler.view import plans_text
from pellucid.config import debug_windows
from pellucid.kernels import pool
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.storage import Storage, raw_writes, unnoticed
from pellucid.tensor.tensor import Tensor, empty, make


class Specialised:
    """One plan and what it needs to be called: guards, outputs, what it writes back."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        tensors: list[Tensor], modules: list[Any], exact: bool, precision: str = "float32",
    ) -> None:  # fmt: skip
        # Modules that train write their statistics; a lower precision is compared with the result;
        # functions may count and collect.
        still = hasattr(function, "_modules") and not any([m.training for m in modules])
        self.graph, self.first_result = trace(
            function, args, kwargs, tensors, sketches=still and precision == "float32",
            modules=modules,
        )  # fmt: skip
        run_passes(self.graph)
        self.plan, self.specs = _planned(self.graph, exact, precision)
        _forget(self.graph)
        if "plan" in debug_windows():
            print(plans_text([self.plan]), file=sys.stderr)
        changed = {first for first, _ in self.graph.mutated}
        self.modules = ModuleState(modules, [v.traced for v in self.graph.captured])
        self.guards = [
            (v.traced, v.traced._storage, v.traced._storage.version)
            for v in self.graph.captured if v not in changed
        ]  # fmt: skip
        self.unnoticed = unnoticed.total
        self.raw = self._raw_writes()
        self.found = {id(storage) for _, storage, _ in self.guards}
        self.touched = self._touch(tensors)
        self.structure = self.first_result
        self.result_tensors = list(tensors_in(self.first_result))
        self.rebuild = rebuilder(self.first_result, self.result_tensors)

    def _raw_writes(self) -> list[int]:
        """How often what was captured was written to through `.data`."""
        return [raw_writes(storage) for _, storage, _ in self.guards]

    def _touch(self, tensors: list[Tensor]) -> list[bool]:
        return [id(t._storage) in self.found for t in tensors]

    def fits(self, tensors: list[Tensor]) -> bool:
        """Whether those inputs, and no others, lie in memory that was captured too, for which the
        plan was made.
        """
        return self._touch(tensors) == self.touched

    def holds(self) -> bool:
        """Whether everything captured is as it was, and modules hold what they held."""
        if not self.modules.holds():
            return False
        if self.unnoticed != unnoticed.total:
            if self._raw_writes() != self.raw:
                return False
            self.unnoticed = unnoticed.total
        return all([
            tensor._storage is storage and storage.version == version
            for tensor, storage, version in self.guards
        ])  # fmt: skip

    def first(self, tensors: list[Tensor]) -> Any:
        """The result of the call that was traced. A function that writes to its inputs or draws
        random numbers has done so already, so it is not run again.
        """
        result, self.first_result = self.first_result, None
        if self.graph.mutated or self.graph.random:
            return result
        found = self(tensors)
        if self.plan.planner.precision != "float32":
            self.plan.accuracy = accuracy(list(tensors_in(found)), self.result_tensors)
        return found

    def __call__(self, tensors: list[Tensor]) -> Any:
        """Run the plan on inputs of the shapes it was made for."""
        given = [t if t._layout.is_row_major else t.contiguous() for t in tensors]
        outputs: list[Tensor] = []
        for spec in self.specs:
            outputs.append(spec.make(tensors, outputs))
        outputs += [empty(contiguous(old.shape), old.dtype) for old, _ in self.graph.mutated]
        self.plan.call(given, outputs)
        self._write_back(tensors, outputs)
        return self.rebuild(outputs[: len(self.graph.outputs)])

    def _write_back(self, tensors: list[Tensor], outputs: list[Tensor]) -> None:
        """In-place writes of the function reach the tensors that it wrote to."""
        after = outputs[len(self.graph.outputs) :]
        for (first, _), value in zip(self.graph.mutated, after, strict=True):
            target = first.traced
            if first in self.graph.inputs:
                target = tensors[self.graph.inputs.index(first)]
            target.copy_(value)


def _forget(graph: Graph) -> None:
    """Give the memory of the traced run's intermediate tensors back."""
    kept = graph.kept()
    nothing = empty(contiguous((0,)), float32)
    for node in graph.nodes:
        for value in node.outputs:
            if value not in kept:
                value.traced = nothing


class Output:
    """How one output is made for each call, with the aliasing that the traced run had.

    Outputs over one storage share one again; an output over an input's storage is a view of that
    input; one over a captured tensor is that tensor or its view.
    """

    def __init__(self, value: Value, graph: Graph, number: int, first: dict[int, int]) -> None:
        tensor = value.traced
        self.layout, self.dtype = tensor._layout, value.dtype
        self.nbytes = tensor._storage.nbytes()
        self.of_input = next(
            (i for i, v in enumerate(graph.inputs) if v.traced._storage is tensor._storage), None
        )
        captured = any(v.traced._storage is tensor._storage for v in graph.captured)
        self.itself = tensor if captured else None
        self.shares = first.setdefault(id(tensor._storage), number)
        self.number = number
        if self.of_input is not None:
            self.shift = -graph.inputs[self.of_input].traced._layout.offset

    @property
    def written(self) -> bool:
        """Whether the plan writes it."""
        return self.of_input is None and self.itself is None

    def make(self, inputs: list[Tensor], before: list[Tensor]) -> Tensor:
        shape, strides, offset = self.layout
        if self.itself is not None:
            return self.itself
        if self.of_input is not None:
            given = inputs[self.of_input]
            layout = Layout(shape, strides, offset + self.shift + given._layout.offset)
            return make(given._storage, layout, self.dtype)
        shared = self.shares != self.number
        storage = before[self.shares]._storage if shared else Storage(self.nbytes)
        return make(storage, self.layout, self.dtype)


def _planned(graph: Graph, exact: bool, precision: str) -> tuple[Plan, list[Output]]:
    planner = Planner(pool.num_threads(), exact=exact, precision=precision)
    for number, value in enumerate(graph.inputs):
        buffer = Buffer("input", 0, number)
        planner.places[value] = Physical(buffer, contiguous(value.shape), value.dtype)
    lower(planner, graph)
    first: dict[int, int] = {}
    specs = [Output(v, graph, number, first) for number, v in enumerate(graph.outputs)]
    for number, (spec, value) in enumerate(zip(specs, graph.outputs, strict=True)):
        if spec.written and value.numel:
            _deliver(planner, value, number, spec.layout)
    for number, (old, new) in enumerate(graph.mutated, len(specs)):
        _deliver(planner, new, number, contiguous(old.shape))
    return Plan.finish(planner), specs


def _deliver(planner: Planner, value: Value, number: int, layout: Layout) -> None:
    """Copy a value to the output with this number."""
    if value.shape != layout.shape:
        raise RuntimeError(
            f"a tensor of shape {list(value.shape)} got the shape {list(layout.shape)} in place "
            "(resize_), which a plan cannot do\n  Make a new tensor of that size instead."
        )
    buffer = Buffer("output", 0, number)
    copy(planner, planner.place(value), Physical(buffer, layout, value.dtype))


def rebuilder(result: Any, tensors: list[Tensor]) -> Callable[[list[Tensor]], Any]:
    """A function that puts new tensors into the structure of a result."""
    numbers = {id(tensor): number for number, tensor in enumerate(tensors)}

    def rebuild(item: Any, new: list[Tensor]) -> Any:
        if isinstance(item, Tensor):
            return new[numbers[id(item)]]
        if isinstance(item, (list, tuple)):
            parts = [rebuild(each, new) for each in item]
            return type(item)(*parts) if hasattr(item, "_fields") else type(item)(parts)
        if isinstance(item, dict):
            if type(item) is dict:
                return {key: rebuild(each, new) for key, each in item.items()}
            return type(item)({key: rebuild(each, new) for key, each in item.items()})
        if hasattr(item, "__dataclass_fields__"):
            names = item.__dataclass_fields__
            return type(item)(**{name: rebuild(getattr(item, name), new) for name in names})
        return item

    return lambda new: rebuild(result, new)
