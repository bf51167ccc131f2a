"""Operators of programs: what they run, how they are recorded, where `torch.ops` finds them."""

from __future__ import annotations

from collections.abc import Callable
from functools import partial
from typing import Any

from pellucid import ops
from pellucid.autograd.function import Function
from pellucid.autograd.modes import no_grad
from pellucid.library.schema import Schema
from pellucid.tensor.tensor import Tensor

_operators: dict[str, Operator] = {}


class Operator:
    """One operator: `kernel` computes it off the tape, `recorded` with its own recording."""

    def __init__(self, name: str, schema: Schema) -> None:
        self.name = name
        self.schema = schema
        self.kernel: Callable[..., Any] | None = None
        self.recorded: Callable[..., Any] | None = None
        self.fake: Callable[..., Any] | None = None
        self.backward: Callable[..., Any] | None = None
        self.setup_context: Callable[..., Any] | None = None
        self.packet = Packet(self)
        label = name.replace("::", "_")
        self._function: Any = type(
            f"GeneratedBackwardFor_{label}_default",
            (Function,),
            {
                "forward": staticmethod(partial(_forward, self)),
                "backward": staticmethod(partial(_backward, self)),
            },
        )

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        values = self.schema.bind(args, kwargs)
        if self.recorded is not None:
            return self._run(self.recorded, values)
        plan: list[Any] = []
        tensors: list[Tensor] = []
        for value in values:
            plan.append(_taken(value, tensors))
        return self._function.apply(plan, *tensors)

    def compute(self, values: tuple[Any, ...]) -> Any:
        """Run the kernel; what it returns may not be one of its inputs."""
        if self.kernel is None:
            raise NotImplementedError(
                f"Could not run '{self.name}' with arguments from the 'CPU' backend.\n"
                f"  No function was registered for it: torch.library.register_kernel("
                f"'{self.name}', 'cpu', function)."
            )
        out = self._run(self.kernel, values)
        inputs = {id(t._storage.base) for t in _tensors(values)}
        for tensor in _tensors(out):
            if id(tensor._storage.base) in inputs and tensor.numel():
                raise RuntimeError(
                    f"{self.name.rpartition('::')[2]} (with implementation in "
                    f"{getattr(self.kernel, '__module__', None)}): The output of this custom "
                    "operator (1) must not also be an input to this custom operator and (2) may "
                    "not alias any inputs to this custom operator or other returns. Return a "
                    "copy: out.clone()."
                )
        return out

    def _run(self, function: Callable[..., Any], values: tuple[Any, ...]) -> Any:
        named = {a.name: v for a, v in zip(self.schema.arguments, values, strict=True) if a.keyword}
        return function(*values[: len(values) - len(named)], **named)


class _Slot:
    """The place of a tensor in a plan."""

    def __init__(self, index: int) -> None:
        self.index = index


def _taken(value: Any, tensors: list[Tensor]) -> Any:
    """`value` with its tensors moved to `tensors`, slots in their place."""
    if isinstance(value, Tensor):
        tensors.append(value)
        return _Slot(len(tensors) - 1)
    if isinstance(value, (list, tuple)):
        return [_taken(each, tensors) for each in value]
    return value


def _put(plan: Any, found: Callable[[int], Any]) -> Any:
    """The plan with `found(index)` in the place of each slot."""
    if isinstance(plan, _Slot):
        return found(plan.index)
    if isinstance(plan, list):
        return [_put(each, found) for each in plan]
    return plan


def _tensors(value: Any) -> list[Tensor]:
    tensors: list[Tensor] = []
    _taken(value if isinstance(value, (list, tuple)) else [value], tensors)
    return tensors


def _forward(operator: Operator, ctx: Any, plan: list[Any], *tensors: Tensor) -> Any:
    values = tuple(_put(plan, tensors.__getitem__))
    with no_grad():
        out = operator.compute(values)
    if operator.setup_context is not None:
        needs = ctx.needs_input_grad
        ctx.needs_input_grad = tuple(
            False if each is None else each
            for each in _put(
                [p if isinstance(p, (_Slot, list)) else None for p in plan],
                lambda at: needs[at + 1],
            )
        )
        keywords = {
            a.name: v for a, v in zip(operator.schema.arguments, values, strict=True) if a.keyword
        }
        inputs = values[: len(values) - len(keywords)]
        extra = {"keyword_only_inputs": keywords} if keywords else {}
        operator.setup_context(ctx=ctx, inputs=inputs, output=out, **extra)
    ctx.plan, ctx.listed = plan, isinstance(out, list)
    return tuple(out) if isinstance(out, list) else out


def _backward(operator: Operator, ctx: Any, *grads: Any) -> tuple[Any, ...]:
    if operator.backward is None:
        raise RuntimeError(
            f"Trying to backward through {operator.name.replace('::', '.')}.default but no "
            "autograd formula was registered. Please use register_autograd to add one."
        )
    found = operator.backward(ctx, *([list(grads)] if ctx.listed else grads))
    returned = found if isinstance(found, tuple) else (found,)
    plan = ctx.plan[: len(returned)]
    count = len(_slots(ctx.plan))
    out: list[Any] = [None] * count
    for slots, grad in zip(plan, returned, strict=False):
        given = grad if isinstance(grad, (list, tuple)) else [grad]
        for slot, each in zip(_slots(slots), given, strict=False):
            out[slot.index] = each
    return (None, *out)


def _slots(plan: Any) -> list[_Slot]:
    if isinstance(plan, _Slot):
        return [plan]
    return [s for each in plan for s in _slots(each)] if isinstance(plan, list) else []


class Overload:
    """`torch.ops.mylib.scale.default`."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._operator(*args, **kwargs)

    @property
    def _schema(self) -> Schema:
        return self._operator.schema

    def name(self) -> str:
        """The operator's name, `mylib::scale`."""
        return self._operator.name

    def __str__(self) -> str:
        return f"{self._operator.name.replace('::', '.')}.default"

    def __repr__(self) -> str:
        short = self._operator.name.replace("::", ".")
        return f"<OpOverload(op='{short}', overload='default')>"


class Packet:
    """`torch.ops.mylib.scale`: all overloads of an operator; programs make one, `default`."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self.default = Overload(operator)

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._operator(*args, **kwargs)

    def overloads(self) -> list[str]:
        """The names of the overloads."""
        return ["default"]

    def __repr__(self) -> str:
        return f"<OpOverloadPacket(op='{self._operator.name.replace('::', '.')}')>"


class Namespace:
    """`torch.ops.mylib`."""

    def __init__(self, name: str) -> None:
        self._name = name

    def __getattr__(self, name: str) -> Packet:
        operator = _operators.get(f"{self._name}::{name}")
        if operator is None:
            raise AttributeError(f"'_OpNamespace' '{self._name}' object has no attribute '{name}'")
        return operator.packet


def define_operator(name: str, schema: Schema) -> Operator:
    """Make the operator `namespace::name`, in the place of one that has the name already."""
    space, _, short = name.partition("::")
    if not space.isidentifier() or not short.isidentifier():
        raise ValueError(
            f"Expected `{name}` to be of the form `namespace::name`\n"
            "  The namespace keeps names of different libraries apart: 'mylib::scale'."
        )
    ops.namespaces.setdefault(space, Namespace(space))
    operator = _operators[name] = Operator(name, schema)
    return operator


def find(name: str) -> Operator | None:
    """The operator of that name, without or with its overload: `mylib::scale.default`."""
    return _operators.get(name.removesuffix(".default"))
