"""Calls of a compiled function in which gradients are wanted: whole training steps run as plans."""

from __future__ import annotations

import math
import threading
import warnings
from collections import OrderedDict
from collections.abc import Callable
from typing import Any

from pellucid.compiler.guards import aliasing
from pellucid.compiler.pairs import Pair
from pellucid.compiler.step_trace import NotTraceable, StepGraph, trace_step
from pellucid.compiler.steps import SpecialisedStep, leaves_of, objects_of, settings_of
from pellucid.compiler.trace import TRACING, DataDependent
from pellucid.kernels import pool
from pellucid.ops import autocast
from pellucid.tensor.events import silenced
from pellucid.tensor.tensor import Tensor

MOST_PLANS = 64


def key_of(item: Any) -> Any:
    """What a plan depends on in an argument.

    Raises: TypeError for one whose changes could not be noticed.
    """
    if isinstance(item, Tensor):
        return (item._layout.shape, item._layout.strides, item.dtype.name)
    if isinstance(item, (list, tuple)):
        return (type(item).__name__, *[key_of(each) for each in item])
    if isinstance(item, dict):
        return ("dict", *[(name, key_of(each)) for name, each in item.items()])
    if hasattr(item, "__dataclass_fields__") and not isinstance(item, type):
        names = item.__dataclass_fields__
        return (type(item).__name__, *[(name, key_of(getattr(item, name))) for name in names])
    if type(item) is float:  # 0.0 == -0.0
        return ("float", item, math.copysign(1.0, item))
    try:
        hash(item)
    except TypeError:
        raise TypeError(
            f"a compiled function cannot take a {type(item).__name__}: changes of it would not be "
            "noticed\n  Give tensors (torch.from_numpy for an array), or values that can be hashed."
        ) from None
    return (type(item).__name__, item)


class Original:
    """Stands for a plan where the function itself runs."""

    plan = None

    def __init__(self, function: Callable[..., Any]) -> None:
        self.function = function

    def holds(self) -> bool:
        """It always can."""
        return True


Planned = SpecialisedStep | Pair | Original


class TrainingCalls:
    """The plans of a function's training steps, by kind of input and state."""

    def __init__(self, function: Callable[..., Any], exact: bool) -> None:
        self.function, self.exact = function, exact
        self.steps: OrderedDict[Any, Planned] = OrderedDict()
        self.lock = threading.RLock()
        self.given: dict[int, Any] = {}
        self.look()

    def see(self, args: Any, kwargs: Any) -> None:
        """Notice modules and optimisers that are given as arguments."""
        new = [each for each in (*args, *kwargs.values())
               if hasattr(each, "_parameters") or hasattr(each, "param_groups")]  # fmt: skip
        if any(id(each) not in self.given for each in new):
            self.given.update((id(each), each) for each in new)
            self.look()

    def look(self) -> list[Any]:
        """Find the modules and optimisers that the function uses now."""
        self.modules, self.optimisers, tensors = objects_of(self.function, *self.given.values())
        self.leaves = leaves_of(self.modules, self.optimisers, tensors)
        held = [t for m in self.modules for table in (m._parameters, m._buffers)
                for t in table.values() if t is not None]  # fmt: skip
        self.memory = {id(t._storage) for t in (*tensors, *held, *self.leaves)}
        return self.modules

    def found_among(self, tensors: list[Tensor]) -> tuple[int, ...]:
        """Which inputs lie in memory that the function finds by itself: nothing tells them apart
        while it is traced.
        """
        memory = self.memory
        return tuple([id(t._storage) if id(t._storage) in memory else 0 for t in tensors])

    def _key(self, args: Any, kwargs: Any, tensors: list[Tensor]) -> Any:
        return (
            key_of(args), key_of(kwargs), tuple([m.training for m in self.modules]),
            pool.num_threads(), autocast.mode(), tuple([t._requires_grad for t in tensors]),
            tuple([leaf._requires_grad for leaf in self.leaves]),
            tuple([leaf._grad is None for leaf in self.leaves]), settings_of(self.optimisers),
            aliasing(tensors), self.found_among(tensors),
        )  # fmt: skip

    def __call__(self, args: Any, kwargs: Any, tensors: list[Tensor]) -> Any:
        key = self._key(args, kwargs, tensors)
        found = self.steps.get(key)
        if isinstance(found, Original):
            return self.function(*args, **kwargs)
        with self.lock:
            if found is not None and found.holds():
                return found(tensors)
        with TRACING, self.lock:  # always in this order
            self.look()
            key = self._key(args, kwargs, tensors)
            try:
                step = self.traced(args, kwargs, tensors)
            except (DataDependent, NotTraceable) as refusal:
                if not refusal.harmless:
                    raise
                _warn(refusal)
                self.steps[key] = Original(self.function)
                return self.function(*args, **kwargs)
            result = step.result
            if step.keeps:
                self.steps[key] = self._plan(step)
                while len(self.steps) > MOST_PLANS:
                    self.steps.popitem(last=False)
            return result

    def traced(self, args: Any, kwargs: Any, tensors: list[Tensor]) -> StepGraph:
        """Run the function once and write it down."""
        with TRACING, silenced():
            return trace_step(self.function, args, kwargs, tensors, self.leaves)

    def _plan(self, step: StepGraph) -> Planned:
        if step.backward and not step.wanted:
            return SpecialisedStep(step, self.modules, self.exact)
        inputs = set(step.graph.inputs)
        writes = any(v in inputs and v.traced._requires_grad for v, _ in step.graph.mutated)
        if step.wanted and not (step.held or step.host or writes):
            pair = Pair(step, self.modules, self.exact)
            if pair.possible:
                return pair
        return Original(self.function)


def _warn(reason: Exception) -> None:
    warnings.warn(
        "where gradients are wanted this compiled function runs as it is: "
        + str(reason).partition("\n")[0],
        stacklevel=4,
    )
