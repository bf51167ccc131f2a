"""`pellucid.compile`: a function that looks like the original and runs as one native call.

For every kind of input (shapes, types, layouts) there is a plan. A plan holds as long as what it
captured is unchanged: parameters are compared by storage and version, the training mode of modules
by value. Where a gradient is wanted the original runs: plans record no graph.
"""

from __future__ import annotations

import threading
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pellucid.autograd.modes import state
from pellucid.compiler.graph import Graph, Value
from pellucid.compiler.lower import lower
from pellucid.compiler.lower.moves import copy
from pellucid.compiler.passes import run_passes
from pellucid.compiler.plan import Buffer, Physical, Plan, Planner
from pellucid.compiler.trace import tensors_in, trace
from pellucid.kernels import pool
from pellucid.tensor.events import listeners
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, empty, make

_MOST_PLANS = 64


class Specialised:
    """One plan and what it needs to be called: guards, outputs, what it writes back."""

    def __init__(
        self, function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any],
        tensors: list[Tensor], modules: list[Any], exact: bool,
    ) -> None:  # fmt: skip
        self.graph, self.first_result = trace(function, args, kwargs, tensors)
        run_passes(self.graph)
        self.plan, self.specs = _planned(self.graph, exact)
        changed = {first for first, _ in self.graph.mutated}
        self.attributes = [
            (table, name, held)
            for module in modules
            for table in (module._parameters, module._buffers, module._modules)
            for name, held in table.items()
        ]
        self.guards = [
            (v.traced, v.traced._storage, v.traced._storage.version)
            for v in self.graph.captured if v not in changed
        ]  # fmt: skip
        self.rebuild = _rebuilder(self.first_result, list(tensors_in(self.first_result)))
        self.lock = threading.Lock()

    def holds(self) -> bool:
        """Whether everything captured is as it was, and modules hold what they held."""
        if not all([table.get(name) is held for table, name, held in self.attributes]):
            return False
        return all([
            tensor._storage is storage and storage.version == version
            for tensor, storage, version in self.guards
        ])  # fmt: skip

    def first(self, tensors: list[Tensor]) -> Any:
        """The result of the call that was traced. A function that writes to its inputs or draws
        random numbers has done so already, so it is not run again.
        """
        result, self.first_result = self.first_result, None
        return result if self.graph.mutated or self.graph.random else self(tensors)

    def __call__(self, tensors: list[Tensor]) -> Any:
        """Run the plan on inputs of the shapes it was made for."""
        given = [t if t._layout.is_row_major else t.contiguous() for t in tensors]
        outputs: list[Tensor] = []
        for spec in self.specs:
            outputs.append(spec.make(tensors, outputs))
        outputs += [empty(contiguous(old.shape), old.dtype) for old, _ in self.graph.mutated]
        with self.lock:
            plan = self.plan
            for number, tensor in enumerate(given):
                address = tensor._storage.address + tensor._layout.offset * tensor.dtype.itemsize
                plan.patch("input", number, address)
            for number, tensor in enumerate(outputs):
                plan.patch("output", number, tensor._storage.address)
            plan.run(given, outputs)
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


class _Output:
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
        self.itself = tensor if captured or value.constant else None
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


def _planned(graph: Graph, exact: bool) -> tuple[Plan, list[_Output]]:
    planner = Planner(pool.num_threads(), exact=exact)
    for number, value in enumerate(graph.inputs):
        buffer = Buffer("input", 0, number)
        planner.places[value] = Physical(buffer, contiguous(value.shape), value.dtype)
    lower(planner, graph)
    first: dict[int, int] = {}
    specs = [_Output(v, graph, number, first) for number, v in enumerate(graph.outputs)]
    for number, (spec, value) in enumerate(zip(specs, graph.outputs, strict=True)):
        if spec.written and value.numel:
            _deliver(planner, value, number, spec.layout)
    for number, (old, new) in enumerate(graph.mutated, len(specs)):
        _deliver(planner, new, number, contiguous(old.shape))
    return Plan.finish(planner), specs


def _deliver(planner: Planner, value: Value, number: int, layout: Layout) -> None:
    """Copy a value to the output with this number."""
    buffer = Buffer("output", 0, number)
    copy(planner, planner.place(value), Physical(buffer, layout, value.dtype))


def _rebuilder(result: Any, tensors: list[Tensor]) -> Callable[[list[Tensor]], Any]:
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


def _key(item: Any) -> Any:
    """What a plan depends on in an argument."""
    if isinstance(item, Tensor):
        return (item._layout.shape, item._layout.strides, item.dtype.name)
    if isinstance(item, (list, tuple)):
        return (type(item).__name__, *[_key(each) for each in item])
    if isinstance(item, dict):
        return ("dict", *[(name, _key(each)) for name, each in item.items()])
    try:
        hash(item)
    except TypeError:
        return ("object", id(item))
    return (type(item).__name__, item)


def _modules_of(function: Any) -> list[Any]:
    """The modules that a call may use: the function itself, what its method belongs to, what it
    closes over.
    """
    cells = getattr(function, "__closure__", None) or ()
    roots = [function, getattr(function, "__self__", None), *[c.cell_contents for c in cells]]
    found: dict[int, Any] = {}
    for root in roots:
        if hasattr(root, "_modules") and hasattr(root, "_parameters"):
            found.update((id(module), module) for module in root.modules())
    return list(found.values())


class CompiledFunction:
    """A compiled Module or function. Call it like the original.

    `explain()` on it shows the plans; `original` is what was compiled.
    """

    def __init__(self, original: Callable[..., Any], *, exact: bool = False) -> None:
        self.original = original
        self.exact = exact
        self.plans: OrderedDict[Any, Specialised] = OrderedDict()
        self._lock = threading.RLock()
        self._modules = _modules_of(original)
        self.__wrapped__ = original
        self.__name__ = getattr(original, "__name__", type(original).__name__)
        self.__doc__ = original.__doc__

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tensors = list(tensors_in((args, kwargs)))
        if state.grad and self._wants_gradient(tensors):
            return self.original(*args, **kwargs)
        modes = tuple([module.training for module in self._modules])
        key = (_key(args), _key(kwargs), modes, pool.num_threads())
        found = self.plans.get(key)
        if found is None or not found.holds():
            found, made = self._specialise(key, args, kwargs, tensors)
            if made:
                return found.first(tensors)
        return found(tensors)

    def _wants_gradient(self, tensors: list[Tensor]) -> bool:
        if any(t.requires_grad for t in tensors):
            return True
        return any(p.requires_grad for m in self._modules for p in m._parameters.values()
                   if p is not None)  # fmt: skip

    def _specialise(
        self, key: Any, args: tuple[Any, ...], kwargs: dict[str, Any], tensors: list[Tensor]
    ) -> tuple[Specialised, bool]:
        """The plan for these arguments, and whether it was made now."""
        with self._lock:
            found = self.plans.get(key)
            if found is not None and found.holds():
                return found, False
            self._modules = _modules_of(self.original)
            quiet, listeners[:] = list(listeners), []
            try:
                found = Specialised(self.original, args, kwargs, tensors, self._modules, self.exact)
            finally:
                listeners[:] = quiet
            self.plans[key] = found
            while len(self.plans) > _MOST_PLANS:
                self.plans.popitem(last=False)
            return found, True

    def __getattr__(self, name: str) -> Any:
        return getattr(self.original, name)


def compile(function: Callable[..., Any] | None = None, *, exact: bool = False) -> Any:
    """Compile a Module or a function of tensors for inference.

    Args:
        function: what to compile; without it, a decorator is returned.
        exact: forbid Winograd's convolution, whose rounding error is about three times that of
            the direct way.

    The first call with inputs of new shapes traces the function and makes a plan; later ones run
    it. Parameters that change are noticed. `DataDependent` is raised where the function asks for
    the value of a tensor while it is traced.
    """
    if function is None:
        return lambda given: compile(given, exact=exact)
    return CompiledFunction(function, exact=exact)
