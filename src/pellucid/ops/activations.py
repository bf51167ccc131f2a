"""Activations: functions of one element with parameters, and their gradients.

The arithmetic is `numerics/activations.py`; here it becomes operators. Where the gradient is a long formula it is an internal operator of
its own (`gelu_backward`, …), computed in one go, with a gradient written in ordinary operators. `softmax` and its kin, which look at a
whole dimension, are in `softmax.py`; `prelu`, `rrelu` and `glu` in `gated.py`.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.blocks import blocked
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.masks import keep
from pellucid.ops.numerics import activations as formulas
from pellucid.ops.numerics.selection import choose
from pellucid.ops.pointwise import elementwise, floating
from pellucid.ops.refusals import BOOL, COMPLEX, EXACT, WIDE, either, kernel, words
from pellucid.ops.row import Row
from pellucid.ops.spec import registry
from pellucid.tensor.layout import contiguous, empty_like_layout
from pellucid.tensor.tensor import Tensor, empty

_SLOPE: dict[str, Any] = {"where": "internal", "inplace": False, "out": False}
"""What the internal operators have in common."""
_ACTIVATION: dict[str, Any] = {"where": "nn.functional", "inplace": False, "flagged": True}
_BOTH = {"where": "torch nn.functional", "inplace": False, "flagged": True}


_SIXTH = float(np.float32(1 / 6))
"""PyTorch keeps this slope of `hardsigmoid` in single precision."""


def _single(x: float) -> float:
    """`x` rounded to single precision, as PyTorch rounds the alpha of `celu` in its gradient."""
    return float(np.float32(x))


# -- sigmoid


@elementwise(
    "grad_output output",
    name="sigmoid_backward",
    gradient={
        "grad_output": lambda grad, output: sigmoid_grad(grad, conj(output)),
        "output": lambda grad, grad_output, output: grad * conj(grad_output * (1 - 2 * output)),
    },
    **_SLOPE,
)
def sigmoid_grad(grad_output: Any, output: Any, out: Any) -> None:
    """grad · output · (1 − output), `output` conjugated by the caller."""
    slope = np.subtract(1, output)
    np.multiply(slope, output, slope)
    np.multiply(slope, grad_output, out)


@elementwise(
    rule=floating,
    where="torch Tensor nn.functional",
    gradient={"input": lambda grad, out: sigmoid_grad(grad, conj(out))},
)
def sigmoid(input: Any, out: Any) -> None:
    """1 / (1 + exp(−x))."""
    formulas.sigmoid(input, out)


registry.put("nn.functional", "tanh", registry.places["torch"]["tanh"])


# -- relu and its straight-lined family


@elementwise(
    "grad_output output",
    name="threshold_backward",
    gradient={
        "grad_output": lambda grad, output, limit: threshold_grad(grad, output, limit),
        "output": lambda grad: F.zeros_like(grad),
    },
    **_SLOPE,
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
    gradient={"input": lambda grad, out: threshold_grad(grad, out)},
)
def relu(input: Any, out: Any) -> None:
    """max(x, 0)."""
    np.maximum(input, 0, out)


@elementwise(
    refuse=kernel("threshold_cpu", BOOL, COMPLEX, WIDE),
    gradient={"input": lambda grad, input, threshold: threshold_grad(grad, input, threshold)},
    **_BOTH,
)
def threshold(input: Any, out: Any, threshold: float, value: float) -> None:
    """x where x > threshold, else `value`."""
    formulas.threshold(input, out, threshold, value)


@elementwise(
    "grad_output input",
    name="hardtanh_backward",
    gradient={
        "grad_output": lambda grad, input, min_val, max_val: hardtanh_grad(grad, input, min_val, max_val),
        "input": lambda grad: F.zeros_like(grad),
    },
    **_SLOPE,
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
    gradient={"input": lambda grad, input, min_val, max_val: hardtanh_grad(grad, input, min_val, max_val)},
    **_ACTIVATION,
)
def hardtanh(input: Any, out: Any, min_val: float = -1.0, max_val: float = 1.0) -> None:
    """x limited to [min_val, max_val]."""
    if min_val > max_val:
        raise ValueError("min_val cannot be greater than max_val")
    if out.dtype.kind == "u" and min_val < 0:
        raise RuntimeError("cannot do hardtanh on an unsigned type with negative limits")
    low, high = (int(min_val), int(max_val)) if out.dtype.kind in "iu" else (min_val, max_val)
    np.minimum(np.maximum(input, low, out), high, out)


@elementwise(
    refuse=_NO_LIMITS,
    backward_name="HardtanhBackward0",
    gradient={"input": lambda grad, input: hardtanh_grad(grad, input, 0.0, 6.0)},
    **_ACTIVATION,
)
def relu6(input: Any, out: Any) -> None:
    """x limited to [0, 6]."""
    np.minimum(np.maximum(input, 0, out), 6, out)


@elementwise(
    "grad_output input",
    name="leaky_relu_backward",
    gradient={
        "grad_output": lambda grad, input, negative_slope: leaky_grad(grad, input, negative_slope),
        "input": lambda grad: F.zeros_like(grad),
    },
    **_SLOPE,
)
def leaky_grad(grad_output: Any, input: Any, out: Any, negative_slope: float) -> None:
    """grad where x > 0, else negative_slope · grad."""
    formulas.leaky_slope(grad_output, input, out, negative_slope)


@elementwise(
    refuse=kernel("leaky_relu_cpu", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input, negative_slope: leaky_grad(grad, input, negative_slope)},
    **_ACTIVATION,
)
def leaky_relu(input: Any, out: Any, negative_slope: float = 0.01) -> None:
    """x where x > 0, else negative_slope · x."""
    formulas.leaky_relu(input, out, negative_slope)


@elementwise(
    refuse=kernel("hardsigmoid_cpu", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input: keep(grad * _SIXTH, (input > -3) & (input < 3))},
    **_ACTIVATION,
)
def hardsigmoid(input: Any, out: Any) -> None:
    """min(max(x + 3, 0), 6) / 6."""
    formulas.hardsigmoid(input, out)


@elementwise(
    "grad_output input",
    name="hardswish_backward",
    gradient={
        "grad_output": lambda grad, input: hardswish_grad(grad, input),
        "input": lambda grad, grad_output, input: keep(grad * grad_output / 3, (input > -3) & (input < 3)),
    },
    **_SLOPE,
)
def hardswish_grad(grad_output: Any, input: Any, out: Any) -> None:
    """grad times the slope of `hardswish`."""
    formulas.hardswish_slope(grad_output, input, out)


@elementwise(
    refuse=kernel("hardswish_cpu", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input: hardswish_grad(grad, input)},
    **_ACTIVATION,
)
def hardswish(input: Any, out: Any) -> None:
    """x · min(max(x + 3, 0), 6) / 6."""
    formulas.hardswish(input, out)


# -- exponential units


@elementwise(
    "grad_output input",
    name="elu_backward",
    gradient={
        "grad_output": lambda grad, input, alpha, scale, input_scale: elu_grad(grad, input, alpha, scale, input_scale),
        "input": lambda grad, grad_output, input, alpha, scale, input_scale: keep(
            grad * grad_output * (input_scale * input_scale * alpha * scale) * F.exp(input * input_scale), input < 0
        ),
    },
    **_SLOPE,
)
def elu_grad(grad_output: Any, input: Any, out: Any, alpha: float, scale: float, input_scale: float) -> None:
    """grad times the slope of the exponential units."""
    formulas.elu_slope(grad_output, input, out, alpha, scale, input_scale)


_NO_ELU = kernel("elu_cpu", *EXACT, COMPLEX)
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@elementwise(
    refuse=_NO_ELU, gradient={"input": lambda grad, input, alpha: elu_grad(grad, input, alpha, 1.0, 1.0)}, **_ACTIVATION
)
def elu(input: Any, out: Any, alpha: float = 1.0) -> None:
    """x where x > 0, else alpha · (exp(x) − 1)."""
    formulas.elu(input, out, alpha, 1.0, 1.0)


@elementwise(
    refuse=_NO_ELU,
    backward_name="EluBackward0",
    gradient={"input": lambda grad, input: elu_grad(grad, input, _SELU_ALPHA, _SELU_SCALE, 1.0)},
    **_BOTH,
)
def selu(input: Any, out: Any) -> None:
    """`elu` with the alpha and scale that keep mean 0 and variance 1 from layer to layer."""
    formulas.elu(input, out, _SELU_ALPHA, _SELU_SCALE, 1.0)


@elementwise(
    refuse=_NO_ELU,
    gradient={"input": lambda grad, input, alpha: elu_grad(grad, input, alpha, 1.0, 1.0 / _single(alpha))},
    **_BOTH,
)
def celu(input: Any, out: Any, alpha: float = 1.0) -> None:
    """x where x > 0, else alpha · (exp(x / alpha) − 1)."""
    if alpha == 0:
        raise RuntimeError("ZeroDivisionError: alpha cannot be 0 for CELU")
    formulas.elu(input, out, alpha, 1.0, 1.0 / alpha)


# -- smooth gates


def _gelu_curve(grad: Any, grad_output: Any, input: Any, approximate: str) -> Any:
    """The second derivative of `gelu`."""
    if approximate == "tanh":
        beta, kappa = math.sqrt(2 / math.pi), 0.044715
        t = F.tanh(beta * (input + kappa * input.pow(3)))
        rise, bend = beta * (1 + 3 * kappa * input * input), 6 * beta * kappa * input
        curve = (1 - t * t) * (rise + 0.5 * input * (bend - 2 * t * rise * rise))
    else:
        curve = F.exp(-0.5 * input * input) / math.sqrt(2 * math.pi) * (2 - input * input)
    return grad * grad_output * curve


@elementwise(
    "grad_output input",
    name="gelu_backward",
    gradient={
        "grad_output": lambda grad, input, approximate: gelu_grad(grad, input, approximate),
        "input": _gelu_curve,
    },
    **_SLOPE,
)
def gelu_grad(grad_output: Any, input: Any, out: Any, approximate: str) -> None:
    """grad times the slope of `gelu`."""
    formulas.gelu_slope(grad_output, input, out, approximate)


@elementwise(
    where="nn.functional",
    inplace=False,
    refuse=kernel("GeluKernelImpl", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input, approximate: gelu_grad(grad, input, approximate)},
)
def gelu(input: Any, out: Any, *, approximate: str = "none") -> None:
    """x · Φ(x), Φ the normal distribution function; `approximate="tanh"` replaces Φ by a formula with tanh."""
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    formulas.gelu(input, out, approximate)


def _silu_curve(grad: Any, grad_output: Any, input: Any) -> Any:
    s = F.sigmoid(input)
    return grad * conj(grad_output * s * (1 - s) * (2 + input * (1 - 2 * s)))


@elementwise(
    "grad_output input",
    name="silu_backward",
    gradient={"grad_output": lambda grad, input: silu_grad(grad, conj(input)), "input": _silu_curve},
    **_SLOPE,
)
def silu_grad(grad_output: Any, input: Any, out: Any) -> None:
    """grad times the slope of `silu`, `input` conjugated by the caller."""
    formulas.silu_slope(grad_output, input, out)


@elementwise(
    refuse=kernel("silu_cpu", *EXACT),
    gradient={"input": lambda grad, input: silu_grad(grad, conj(input))},
    **_ACTIVATION,
)
def silu(input: Any, out: Any) -> None:
    """x · sigmoid(x)."""
    formulas.silu(input, out)


def _mish_curve(grad: Any, grad_output: Any, input: Any) -> Any:
    s, t = F.sigmoid(input), F.tanh(F.nn.softplus(input))
    rest = 1 - t * t
    return grad * grad_output * s * rest * (2 + input * (1 - s - 2 * t * s))


@elementwise(
    "grad_output input",
    name="mish_backward",
    gradient={"grad_output": lambda grad, input: mish_grad(grad, input), "input": _mish_curve},
    **_SLOPE,
)
def mish_grad(grad_output: Any, input: Any, out: Any) -> None:
    """grad times the slope of `mish`."""
    formulas.mish_slope(grad_output, input, out)


@elementwise(
    refuse=kernel("mish_cpu", *EXACT, COMPLEX), gradient={"input": lambda grad, input: mish_grad(grad, input)}, **_ACTIVATION
)
def mish(input: Any, out: Any) -> None:
    """x · tanh(softplus(x))."""
    formulas.mish(input, out)


# -- soft versions of hard functions

_PLAIN: dict[str, Any] = {"where": "nn.functional", "inplace": False}


def _softplus_grad(grad: Any, input: Any, beta: float, threshold: float) -> Any:
    scaled = input * beta
    return keep(grad, scaled > threshold) + keep(grad * F.sigmoid(scaled), F.logical_not(scaled > threshold))


@elementwise(refuse=kernel("softplus_cpu", *EXACT, COMPLEX), gradient={"input": _softplus_grad}, **_PLAIN)
def softplus(input: Any, out: Any, beta: float = 1, threshold: float = 20) -> None:
    """log(1 + exp(beta · x)) / beta; x itself where beta · x > threshold."""
    np.copyto(out, formulas.softplus(input, beta, threshold))


@operator(where="nn.functional", out=True, gradient={"input": lambda grad, input: grad * F.sigmoid(-input)})
def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow. Row-major unless `input` is dense in another order."""
    error = kernel("log_sigmoid_cpu", *EXACT, COMPLEX)(input.dtype)
    if error is not None:
        raise error
    layout = input._layout
    dense = layout.is_non_overlapping_and_dense
    out = empty(empty_like_layout(layout) if dense else contiguous(layout.shape), input.dtype)
    log_sigmoid_row.evaluate((input,), {}, (input.dtype,) * 3, out._array)
    return out


log_sigmoid_row = Row(blocked(formulas.log_sigmoid), direct=True)


@elementwise(
    "grad_output input",
    name="shrink_backward",
    gradient={
        "grad_output": lambda grad, input, lambd: shrink_grad(grad, input, lambd),
        "input": lambda grad: F.zeros_like(grad),
    },
    **_SLOPE,
)
def shrink_grad(grad_output: Any, input: Any, out: Any, lambd: float) -> None:
    """grad where |x| > lambd or x is NaN, else 0."""
    choose(grad_output, np.logical_not((input >= -lambd) & (input <= lambd)), out)


@elementwise(
    refuse=kernel("softshrink_check", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input, lambd: shrink_grad(grad, input, lambd)},
    **_PLAIN,
)
def softshrink(input: Any, out: Any, lambd: float = 0.5) -> None:
    """x moved towards 0 by lambd, 0 within."""
    if not 0 <= lambd <= np.finfo(out.dtype).max:
        name = {"float32": "Float", "float64": "Double"}[out.dtype.name]
        largest = np.finfo(out.dtype).max
        raise RuntimeError(f"lambda must be in range [0, {largest:g}] for input dtype {name}, but found {lambd:g}")
    formulas.softshrink(input, out, lambd)


@elementwise(
    where="torch Tensor nn.functional",
    inplace=False,
    refuse=kernel("hardshrink_cpu", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input, lambd: shrink_grad(grad, input, lambd)},
)
def hardshrink(input: Any, out: Any, lambd: float = 0.5) -> None:
    """x where |x| > lambd, else 0."""
    formulas.hardshrink(input, out, lambd)


@composite(where="nn.functional")
def tanhshrink(input: Tensor) -> Tensor:
    """x − tanh(x)."""
    return input - F.tanh(input)


@composite(where="nn.functional")
def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (F.abs(input) + 1)


for _name, _places in {
    "relu": "torch nn.functional",
    "threshold": "torch nn.functional",
    "selu": "torch nn.functional",
    "celu": "torch nn.functional",
    "elu": "nn.functional",
    "hardtanh": "nn.functional",
    "leaky_relu": "nn.functional",
    "sigmoid": "torch",
}.items():
    for _place in _places.split():
        registry.put(_place, _name + "_", globals()[_name].write)
