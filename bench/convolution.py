"""Single convolutions in eager mode, and their gradients."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.frame.registry import Benchmark, Call, enter

LAYERS = {
    "3x3, 64 of 56x56": ((8, 64, 56, 56), (64, 64, 3, 3), {"padding": 1}),
    "3x3, 512 of 7x7": ((8, 512, 7, 7), (512, 512, 3, 3), {"padding": 1}),
    "3x3 stride 2, 64 of 56x56": ((8, 64, 56, 56), (128, 64, 3, 3), {"padding": 1, "stride": 2}),
    "1x1, 256 of 14x14": ((8, 256, 14, 14), (512, 256, 1, 1), {}),
    "7x7 stride 2, 3 of 224x224": ((8, 3, 224, 224), (64, 3, 7, 7), {"padding": 3, "stride": 2}),
    "depthwise 3x3, 144 of 56x56": (
        (8, 144, 56, 56), (144, 1, 3, 3), {"padding": 1, "groups": 144},
    ),
}  # fmt: skip
"""Shapes of input and weight, and the settings."""

Layer = tuple[tuple[int, ...], tuple[int, ...], dict[str, int]]


def _operands(t: Any, dtype: Any, layer: Layer) -> list[Any]:
    rng = np.random.default_rng(0)
    arrays = [rng.standard_normal(shape, np.float32) for shape in layer[:2]]
    return [t.from_numpy(each).to(dtype) for each in arrays]


def forward(layer: Layer) -> Callable[[Any, Any], Call]:
    """A program that convolves."""

    def program(t: Any, dtype: Any) -> Call:
        x, w = _operands(t, dtype, layer)
        return lambda: t.nn.functional.conv2d(x, w, **layer[2])

    return program


def gradient(layer: Layer, of: int) -> Callable[[Any, Any], Call]:
    """A program that computes the gradient for the input (0) or the weight (1)."""

    def program(t: Any, dtype: Any) -> Call:
        operands = _operands(t, dtype, layer)
        operands[of].requires_grad_()
        out = t.nn.functional.conv2d(*operands, **layer[2])
        towards = out.detach() * 0.5

        def call() -> Any:
            return t.autograd.grad(out, operands[of], towards, retain_graph=True)[0]

        return call

    return program


for _name, _layer in LAYERS.items():
    _ways = {"": forward(_layer), ", input gradient": gradient(_layer, 0),
             ", weight gradient": gradient(_layer, 1)}  # fmt: skip
    for _what, _program in _ways.items():
        enter(
            Benchmark(
                group="convolution", case=f"{_name}{_what}", program=_program, checked=True,
                rounds=5,
            )
        )  # fmt: skip
