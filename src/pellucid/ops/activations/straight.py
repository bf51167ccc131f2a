"""Activations of straight lines: relu, leaky_relu, hardtanh, hardswish, softshrink, threshold, …
and their gradients.

The arithmetic is `numerics/activations.py`; here it becomes operators. A gradient is an internal
operator of its own (`threshold_backward`, …), computed in one go, with a gradient again. Smooth
activations are in `activations_smooth.py`, `softmax` and its kin, which look at a whole dimension,
in `softmax.py`; `prelu`, `rrelu` and `glu` in `gated.py`.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.elementwise.blocks import one_pass
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise
from pellucid.ops.elementwise.refusals import BOOL, COMPLEX, EXACT, WIDE, either, kernel, words
from pellucid.ops.numerics import activations as formulas
from pellucid.ops.numerics.selection import choose
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import registry
from pellucid.tensor.layout import Layout, contiguous, empty_like_layout

SLOPE: dict[str, Any] = {"where": "internal", "inplace": False, "out": False}
"""What the internal operators have in common."""
ACTIVATION: dict[str, Any] = {"where": "nn.functional", "inplace": False, "flagged": True}
BOTH: dict[str, Any] = {"where": "torch nn.functional", "inplace": False, "flagged": True}
PLAIN: dict[str, Any] = {"where": "nn.functional", "inplace": False}
_SIXTH = float(np.float32(1 / 6))
"""PyTorch keeps this slope of `hardsigmoid` in single precision."""


def kept_layout(layout: Layout) -> Layout:
    """Row-major, unless `layout` is dense in another order.

    Where PyTorch allocates before it computes.
    """
    if layout.is_row_major or not layout.is_non_overlapping_and_dense:
        return contiguous(layout.shape)
    return empty_like_layout(layout)


def name_in_place(places: str, **calls: Any) -> None:
    """Enter the in-place forms of operators as functions (`torch.relu_`) in these places."""
    for place in places.split():
        for name, call in calls.items():
            registry.put(place, name + "_", guarded_as(f"{place}.{name}_", call.write))


@elementwise(
    "grad_output output",
    name="threshold_backward",
    gradient={
        "grad_output": lambda grad, output, limit: F.internal.threshold_backward(
            grad, output, limit
        ),
        "output": lambda grad: F.zeros_like(grad),
    },
    **SLOPE,
)
def threshold_grad(grad_output: Any, output: Any, out: Any, limit: float = 0) -> None:
    """grad where `output` > limit or is NaN, else 0."""
    choose(grad_output, np.logical_not(output <= limit), out)


@elementwise(
    where="torch Tensor nn.functional",
    flagged=True,
    refuse=either(
        words("Boolean inputs not supported for relu", BOOL),
        words("clamp is not supported for complex types", COMPLEX, error=NotImplementedError),
        kernel("clamp_min_scalar_cpu", WIDE),
    ),
    gradient={"input": lambda grad, out: F.internal.threshold_backward(grad, out)},
)
@one_pass
def relu(input: Any, out: Any) -> None:
    """max(x, 0)."""
    np.maximum(0, input, out=out)  # in this order -0 stays, as in PyTorch


@elementwise(
    refuse=kernel("threshold_cpu", BOOL, COMPLEX, WIDE),
    gradient={
        "input": lambda grad, input, threshold: F.internal.threshold_backward(
            grad, input, threshold
        )
    },
    **BOTH,
)
def threshold(input: Any, out: Any, threshold: float, value: float) -> None:
    """x where x > threshold, else `value`."""
    formulas.threshold(input, out, threshold, value)


@elementwise(
    "grad_output input",
    name="hardtanh_backward",
    gradient={
        "grad_output": lambda grad, input, min_val, max_val: F.internal.hardtanh_backward(
            grad, input, min_val, max_val
        ),
        "input": lambda grad: F.zeros_like(grad),
    },
    **SLOPE,
)
def hardtanh_grad(grad_output: Any, input: Any, out: Any, min_val: float, max_val: float) -> None:
    """grad where min_val < x < max_val or x is NaN, else 0."""
    choose(grad_output, np.logical_not((input <= min_val) | (input >= max_val)), out)


_NO_LIMITS = either(
    words("Bool inputs not supported for hardtanh", BOOL),
    words("clamp is not supported for complex types", COMPLEX, error=NotImplementedError),
    kernel("clamp_scalar_cpu", WIDE),
)


@elementwise(
    refuse=_NO_LIMITS,
    layout=empty_like_layout,
    gradient={
        "input": lambda grad, input, min_val, max_val: F.internal.hardtanh_backward(
            grad, input, min_val, max_val
        )
    },
    **ACTIVATION,
)
def hardtanh(input: Any, out: Any, min_val: float = -1.0, max_val: float = 1.0) -> None:
    """x limited to [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if out.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    low, high = (int(min_val), int(max_val)) if out.dtype.kind in "iu" else (min_val, max_val)
    np.minimum(np.maximum(input, low, out=out), high, out=out)


@elementwise(
    refuse=_NO_LIMITS,
    layout=empty_like_layout,
    backward_name="HardtanhBackward0",
    gradient={"input": lambda grad, input: F.internal.hardtanh_backward(grad, input, 0.0, 6.0)},
    **ACTIVATION,
)
def relu6(input: Any, out: Any) -> None:
    """x limited to [0, 6]."""
    np.minimum(np.maximum(input, 0, out=out), 6, out=out)


@elementwise(
    "grad_output input",
    name="leaky_relu_backward",
    gradient={
        "grad_output": lambda grad, input, negative_slope: F.internal.leaky_relu_backward(
            grad, input, negative_slope
        ),
        "input": lambda grad: F.zeros_like(grad),
    },
    **SLOPE,
)
def leaky_grad(grad_output: Any, input: Any, out: Any, negative_slope: float) -> None:
    """grad where x > 0, else negative_slope · grad."""
    formulas.leaky_slope(grad_output, input, out, negative_slope)


@elementwise(
    refuse=kernel("leaky_relu_cpu", *EXACT, COMPLEX),
    gradient={
        "input": lambda grad, input, negative_slope: F.internal.leaky_relu_backward(
            grad, input, negative_slope
        )
    },
    **ACTIVATION,
)
def leaky_relu(input: Any, out: Any, negative_slope: float = 0.01) -> None:
    """x where x > 0, else negative_slope · x."""
    formulas.leaky_relu(input, out, negative_slope)


@elementwise(
    refuse=kernel("hardsigmoid_cpu", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input: keep(grad * _SIXTH, (input > -3) & (input < 3))},
    **ACTIVATION,
)
def hardsigmoid(input: Any, out: Any) -> None:
    """min(max(x + 3, 0), 6) / 6."""
    formulas.hardsigmoid(input, out)


@elementwise(
    "grad_output input",
    name="hardswish_backward",
    gradient={
        "grad_output": lambda grad, input: F.internal.hardswish_backward(grad, input),
        "input": lambda grad, grad_output, input: keep(
            grad * grad_output / 3, (input > -3) & (input < 3)
        ),
    },
    **SLOPE,
)
def hardswish_grad(grad_output: Any, input: Any, out: Any) -> None:
    """grad times the slope of `hardswish`."""
    formulas.hardswish_slope(grad_output, input, out)


@elementwise(
    refuse=kernel("hardswish_cpu", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input: F.internal.hardswish_backward(grad, input)},
    **ACTIVATION,
)
def hardswish(input: Any, out: Any) -> None:
    """x · min(max(x + 3, 0), 6) / 6."""
    formulas.hardswish(input, out)


@elementwise(
    "grad_output input",
    name="shrink_backward",
    gradient={
        "grad_output": lambda grad, input, lambd: F.internal.shrink_backward(grad, input, lambd),
        "input": lambda grad: F.zeros_like(grad),
    },
    **SLOPE,
)
def shrink_grad(grad_output: Any, input: Any, out: Any, lambd: float) -> None:
    """grad where |x| > lambd or x is NaN, else 0."""
    choose(grad_output, np.logical_not((input >= -lambd) & (input <= lambd)), out)


@elementwise(
    refuse=kernel("softshrink_check", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input, lambd: F.internal.shrink_backward(grad, input, lambd)},
    **PLAIN,
)
def softshrink(input: Any, out: Any, lambd: float = 0.5) -> None:
    """x moved towards 0 by lambd, 0 within."""
    if not 0 <= lambd <= np.finfo(out.dtype).max:
        name = {"float32": "Float", "float64": "Double"}[out.dtype.name]
        largest = np.finfo(out.dtype).max
        raise RuntimeError(
            f"lambda must be in range [0, {largest:g}] for input dtype {name}, but found {lambd:g}"
        )
    formulas.softshrink(input, out, lambd)


@elementwise(
    where="torch Tensor nn.functional",
    inplace=False,
    refuse=kernel("hardshrink_cpu", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input, lambd: F.internal.shrink_backward(grad, input, lambd)},
)
def hardshrink(input: Any, out: Any, lambd: float = 0.5) -> None:
    """x where |x| > lambd, else 0."""
    formulas.hardshrink(input, out, lambd)


name_in_place("torch nn.functional", relu=relu, threshold=threshold)
name_in_place("nn.functional", hardtanh=hardtanh, leaky_relu=leaky_relu)
