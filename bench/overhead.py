"""What a call costs when there is next to nothing to compute: tensors of a few floats.

The floor is NumPy's own call on the same numbers; PyTorch's C++ dispatcher is the peer.
"""

from __future__ import annotations

import importlib
from collections.abc import Callable, Mapping
from typing import Any

import numpy as np

from bench.frame.registry import Benchmark, Call, enter

Operation = Callable[[Any, Any, Any], Any]
"""A computation on two tensors `x` and `y`, with the module that brings the functions."""


def on_two(operation: Operation, *shape: int) -> Callable[[Any, Any], Call]:
    """A program that does `operation` on two tensors of ones of this shape."""

    def program(t: Any, dtype: Any) -> Call:
        x, y = t.ones(*shape, dtype=dtype), t.ones(*shape, dtype=dtype)
        return lambda: operation(t, x, y)

    return program


def recorded(operation: Operation, *shape: int) -> Callable[[Any, Any], Call]:
    """The same, where `x` wants a gradient."""

    def program(t: Any, dtype: Any) -> Call:
        x = t.ones(*shape, dtype=dtype, requires_grad=True)
        y = t.ones(*shape, dtype=dtype)
        return lambda: operation(t, x, y)

    return program


def backward(operation: Operation, *shape: int) -> Callable[[Any, Any], Call]:
    """The same with the backward pass from the sum of the outcome."""

    def program(t: Any, dtype: Any) -> Call:
        x = t.ones(*shape, dtype=dtype, requires_grad=True)
        y = t.ones(*shape, dtype=dtype)

        def call() -> Any:
            x.grad = None
            operation(t, x, y).sum().backward()
            return x.grad

        return call

    return program


def chain(t: Any, x: Any, y: Any) -> Any:
    """Ten products one after the other: what a node of the tape costs."""
    for _ in range(10):
        x = x * y
    return x


def step_of(name: str, **settings: Any) -> Callable[[Any, Any], Call]:
    """A step of an optimiser over 60 small parameters."""

    def program(t: Any, dtype: Any) -> Call:
        parameters = [t.ones(8, dtype=dtype, requires_grad=True) for _ in range(60)]
        for each in parameters:
            each.grad = t.full((8,), 0.01, dtype=dtype)
        optimizer = getattr(t.optim, name)(parameters, **settings)

        def call() -> None:
            optimizer.step()

        return call

    return program


def module_call(t: Any, dtype: Any) -> Call:
    """`Module.__call__` around a `forward` that returns its argument."""
    module, x = t.nn.Identity(), t.ones(4, dtype=dtype)
    return lambda: module(x)


def linear(t: Any, dtype: Any) -> Call:
    """`nn.Linear` under `no_grad`."""
    module, x = t.nn.Linear(4, 4, dtype=dtype), t.ones(4, 4, dtype=dtype)

    def call() -> Any:
        with t.no_grad():
            return module(x)

    return call


def loader(t: Any, dtype: Any) -> Call:
    """Ten batches of eight samples from a `DataLoader`."""
    data = t.utils.data
    x, y = t.ones(80, 4, dtype=dtype), t.zeros(80, dtype=t.int64)
    batches = data.DataLoader(data.TensorDataset(x, y), batch_size=8)

    def call() -> None:
        for _ in batches:
            pass

    return call


CASES: dict[str, Callable[[Any, Any], Call]] = {
    "x * 2.0": on_two(lambda t, x, y: x * 2.0, 4),
    "x.add_(y)": on_two(lambda t, x, y: x.add_(y), 4),
    "x.reshape(2, 2)": on_two(lambda t, x, y: x.reshape(2, 2), 4),
    "x.transpose(0, 1)": on_two(lambda t, x, y: x.transpose(0, 1), 2, 3),
    "x[0]": on_two(lambda t, x, y: x[0], 4),
    "x[:, 1:]": on_two(lambda t, x, y: x[:, 1:], 2, 3),
    "x.sum()": on_two(lambda t, x, y: x.sum(), 4),
    "x.mean(1)": on_two(lambda t, x, y: x.mean(1), 2, 3),
    "x @ y": on_two(lambda t, x, y: x @ y, 4, 4),
    "F.linear(x, y)": on_two(lambda t, x, y: t.nn.functional.linear(x, y), 4, 4),
    "relu": on_two(lambda t, x, y: t.relu(x), 4),
    "softmax": on_two(lambda t, x, y: t.softmax(x, -1), 2, 3),
    "cat": on_two(lambda t, x, y: t.cat([x, y]), 4),
    "x + y, recorded": recorded(lambda t, x, y: x + y, 4),
    "x * x, recorded": recorded(lambda t, x, y: x * x, 4),
    "sum and backward": backward(lambda t, x, y: x, 4),
    "ten products and backward": backward(chain, 4),
    "SGD step, 60 parameters": step_of("SGD", lr=1e-3, momentum=0.9),
    "Adam step, 60 parameters": step_of("Adam", lr=1e-3),
    "Module.__call__": module_call,
    "nn.Linear, no_grad": linear,
    "DataLoader, 10 batches": loader,
}


def numpy_sum() -> Call:
    """NumPy's `x + y`: the floor."""
    x, y = np.ones(4, np.float32), np.ones(4, np.float32)
    return lambda: x + y


def parts_of_sum() -> Mapping[str, Call]:
    """The pieces of `x + y`, on the same operands, as `ops/elementwise/calling.py` puts them
    together.
    """
    ours = importlib.import_module("pellucid")
    layouts = importlib.import_module("pellucid.tensor.layout")
    storages = importlib.import_module("pellucid.tensor.storage")
    quieting = importlib.import_module("pellucid.ops.quiet")
    x, y = ours.ones(4), ours.ones(4)
    a, b, out = x._array, y._array, np.empty(4, np.float32)
    layout, buffer, kind = x._layout, x._storage.buffer, np.dtype(np.float32)
    return {
        "NumPy's addition": lambda: np.add(a, b, out),
        "its warnings off and on": lambda: quieting.restore(quieting.quiet()),
        "shape and strides": lambda: layouts.elementwise_layout(layout, layout),
        "memory": lambda: storages.Storage(16),
        "the array over it": lambda: np.ndarray((4,), kind, buffer),
        "the tensor": lambda: object.__new__(ours.Tensor),
    }


def parts_of_view() -> Mapping[str, Call]:
    """The pieces of `x.view(2, 2)`."""
    ours = importlib.import_module("pellucid")
    layouts = importlib.import_module("pellucid.tensor.layout")
    dispatch = importlib.import_module("pellucid.ops.dispatch")
    x = ours.ones(4)
    layout, kind = x._layout, x.dtype
    two = layouts.contiguous((2, 2))
    return {
        "shape and strides": lambda: layouts.view(layout, (2, 2)),
        "the tensor that shows it": lambda: dispatch.alias(x, two, kind),
    }


enter(
    Benchmark(
        group="overhead",
        case="x + y",
        program=on_two(lambda t, x, y: x + y, 4),
        own={"numpy": numpy_sum},
        parts=parts_of_sum,
    )
)
enter(
    Benchmark(
        group="overhead",
        case="x.view(2, 2)",
        program=on_two(lambda t, x, y: x.view(2, 2), 4),
        parts=parts_of_view,
    )
)
for _case, _program in CASES.items():
    enter(Benchmark(group="overhead", case=_case, program=_program))
