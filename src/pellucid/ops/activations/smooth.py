"""Smooth activations: sigmoid, elu and its kin, gelu, silu, mish, softplus, … and their gradients.

Built like `activations.py`: arithmetic in `numerics/activations.py`, long gradients as internal
operators with second derivatives of their own.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.activations.straight import (
    ACTIVATION,
    BOTH,
    PLAIN,
    SLOPE,
    name_in_place,
)
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.elementwise.blocks import blocked
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise, floating
from pellucid.ops.elementwise.refusals import COMPLEX, EXACT, kernel
from pellucid.ops.elementwise.row import Row
from pellucid.ops.numerics import activations as formulas
from pellucid.ops.spec import registry
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, empty


def _single(x: float) -> float:
    """`x` rounded to single precision, as PyTorch rounds the alpha of `celu` in its gradient."""
    return float(np.float32(x))


# -- sigmoid


@elementwise(
    "grad_output output",
    name="sigmoid_backward",
    gradient={
        "grad_output": lambda grad, output: F.internal.sigmoid_backward(grad, conj(output)),
        "output": lambda grad, grad_output, output: grad * conj(grad_output * (1 - 2 * output)),
    },
    **SLOPE,
)
def sigmoid_grad(grad_output: Any, output: Any, out: Any) -> None:
    """grad · output · (1 − output), `output` conjugated by the caller."""
    slope = np.subtract(1, output)
    np.multiply(slope, output, slope)
    np.multiply(slope, grad_output, out)


@elementwise(
    rule=floating,
    where="torch Tensor nn.functional",
    gradient={"input": lambda grad, out: F.internal.sigmoid_backward(grad, conj(out))},
)
def sigmoid(input: Any, out: Any) -> None:
    """1 / (1 + exp(−x))."""
    formulas.sigmoid(input, out)


registry.put("nn.functional", "tanh", registry.ready("torch")["tanh"])


# -- exponential units


@elementwise(
    "grad_output input",
    name="elu_backward",
    gradient={
        "grad_output": lambda grad, input, alpha, scale, input_scale: F.internal.elu_backward(
            grad, input, alpha, scale, input_scale
        ),
        "input": lambda grad, grad_output, input, alpha, scale, input_scale: keep(
            grad
            * grad_output
            * (input_scale * input_scale * alpha * scale)
            * F.exp(input * input_scale),
            input < 0,
        ),
    },
    **SLOPE,
)
def elu_grad(
    grad_output: Any, input: Any, out: Any, alpha: float, scale: float, input_scale: float
) -> None:
    """grad times the slope of the exponential units."""
    formulas.elu_slope(grad_output, input, out, alpha, scale, input_scale)


_NO_ELU = kernel("elu_cpu", *EXACT, COMPLEX)
_SELU_ALPHA = 1.6732632423543772848170429916717
_SELU_SCALE = 1.0507009873554804934193349852946


@elementwise(
    refuse=_NO_ELU,
    gradient={
        "input": lambda grad, input, alpha: F.internal.elu_backward(grad, input, alpha, 1.0, 1.0)
    },
    **ACTIVATION,
)
def elu(input: Any, out: Any, alpha: float = 1.0) -> None:
    """x where x > 0, else alpha · (exp(x) − 1)."""
    formulas.elu(input, out, alpha, 1.0, 1.0)


@elementwise(
    refuse=_NO_ELU,
    backward_name="EluBackward0",
    gradient={
        "input": lambda grad, input: F.internal.elu_backward(
            grad, input, _SELU_ALPHA, _SELU_SCALE, 1.0
        )
    },
    **BOTH,
)
def selu(input: Any, out: Any) -> None:
    """`elu` with the alpha and scale that keep mean 0 and variance 1 from layer to layer."""
    formulas.elu(input, out, _SELU_ALPHA, _SELU_SCALE, 1.0)


@elementwise(
    refuse=_NO_ELU,
    gradient={
        "input": lambda grad, input, alpha: F.internal.elu_backward(
            grad, input, alpha, 1.0, 1.0 / _single(alpha)
        )
    },
    **BOTH,
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
        "grad_output": lambda grad, input, approximate: F.internal.gelu_backward(
            grad, input, approximate
        ),
        "input": _gelu_curve,
    },
    **SLOPE,
)
def gelu_grad(grad_output: Any, input: Any, out: Any, approximate: str) -> None:
    """grad times the slope of `gelu`."""
    formulas.gelu_slope(grad_output, input, out, approximate)


@elementwise(
    where="nn.functional",
    inplace=False,
    refuse=kernel("GeluKernelImpl", *EXACT, COMPLEX),
    gradient={
        "input": lambda grad, input, approximate: F.internal.gelu_backward(grad, input, approximate)
    },
)
def gelu(input: Any, out: Any, *, approximate: str = "none") -> None:
    """x · Φ(x), Φ the normal distribution function.

    `approximate="tanh"` replaces Φ by a formula with tanh.
    """
    if approximate not in ("none", "tanh"):
        raise RuntimeError("approximate argument must be either none or tanh.")
    formulas.gelu(input, out, approximate)


def _silu_curve(grad: Any, grad_output: Any, input: Any) -> Any:
    s = F.sigmoid(input)
    return grad * conj(grad_output * s * (1 - s) * (2 + input * (1 - 2 * s)))


@elementwise(
    "grad_output input",
    name="silu_backward",
    gradient={
        "grad_output": lambda grad, input: F.internal.silu_backward(grad, conj(input)),
        "input": _silu_curve,
    },
    **SLOPE,
)
def silu_grad(grad_output: Any, input: Any, out: Any) -> None:
    """grad times the slope of `silu`, `input` conjugated by the caller."""
    formulas.silu_slope(grad_output, input, out)


@elementwise(
    refuse=kernel("silu_cpu", *EXACT),
    gradient={"input": lambda grad, input: F.internal.silu_backward(grad, conj(input))},
    **ACTIVATION,
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
    gradient={
        "grad_output": lambda grad, input: F.internal.mish_backward(grad, input),
        "input": _mish_curve,
    },
    **SLOPE,
)
def mish_grad(grad_output: Any, input: Any, out: Any) -> None:
    """grad times the slope of `mish`."""
    formulas.mish_slope(grad_output, input, out)


@elementwise(
    refuse=kernel("mish_cpu", *EXACT, COMPLEX),
    gradient={"input": lambda grad, input: F.internal.mish_backward(grad, input)},
    **ACTIVATION,
)
def mish(input: Any, out: Any) -> None:
    """x · tanh(softplus(x))."""
    formulas.mish(input, out)


# -- soft versions of hard functions


@elementwise(
    "grad_output input",
    name="softplus_backward",
    gradient={
        "grad_output": lambda grad, input, beta, threshold: F.internal.softplus_backward(
            grad, input, beta, threshold
        ),
        "input": lambda grad, grad_output, input, beta, threshold: keep(
            F.internal.sigmoid_backward(grad * grad_output, F.sigmoid(input * beta)) * beta,
            input * beta < threshold,
        ),
    },
    **SLOPE,
)
def softplus_grad(grad_output: Any, input: Any, out: Any, beta: float, threshold: float) -> None:
    """grad times the slope of `softplus`."""
    formulas.softplus_slope(grad_output, input, out, beta, threshold)


@elementwise(
    refuse=kernel("softplus_cpu", *EXACT, COMPLEX),
    gradient={
        "input": lambda grad, input, beta, threshold: F.internal.softplus_backward(
            grad, input, beta, threshold
        )
    },
    **PLAIN,
)
def softplus(input: Any, out: Any, beta: float = 1, threshold: float = 20) -> None:
    """log(1 + exp(beta · x)) / beta; x itself where beta · x > threshold."""
    np.copyto(out, formulas.softplus(input, beta, threshold))


@operator(
    where="nn.functional",
    out=True,
    gradient={"input": lambda grad, input: grad * F.sigmoid(-input)},
)
def logsigmoid(input: Tensor) -> Tensor:
    """log(sigmoid(x)), without overflow; row-major."""
    error = kernel("log_sigmoid_cpu", *EXACT, COMPLEX)(input.dtype)
    if error is not None:
        raise error
    out = empty(contiguous(input._layout.shape), input.dtype)
    log_sigmoid_row.evaluate((input,), {}, (input.dtype,) * 3, out._array)
    return out


log_sigmoid_row = Row(blocked(formulas.log_sigmoid), direct=True)


@composite(where="nn.functional")
def tanhshrink(input: Tensor) -> Tensor:
    """x − tanh(x)."""
    return input - F.tanh(input)


@composite(where="nn.functional")
def softsign(input: Tensor) -> Tensor:
    """x / (1 + |x|)."""
    return input / (F.abs(input) + 1)


name_in_place("torch", sigmoid=sigmoid)
name_in_place("torch nn.functional", selu=selu, celu=celu)
name_in_place("nn.functional", elu=elu)
