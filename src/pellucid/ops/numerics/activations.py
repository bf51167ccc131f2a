"""Activation functions and their slopes, written array operation by array operation into `out`.

`out` may be the first operand itself, so each function reads an operand for the last time before it
writes to `out`, or keeps a copy.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.numerics.erf import normal_cdf
from pellucid.ops.numerics.selection import choose

Array = np.ndarray
_BETA = math.sqrt(2 / math.pi)
_KAPPA = 0.044715
_SQRT_TWO_PI = math.sqrt(2 * math.pi)


def sigmoid(x: Array, out: Array) -> None:
    """1 / (1 + exp(−x))."""
    np.negative(x, out)
    np.exp(out, out)
    np.add(out, 1, out)
    np.reciprocal(out, out)


def logistic(x: Array) -> Array:
    """`sigmoid` in a new array."""
    out = np.empty_like(x)
    sigmoid(x, out)
    return out


def softplus(x: Array, beta: float = 1.0, threshold: float = 20.0) -> Array:
    """log(1 + exp(beta · x)) / beta in a new array; x itself where beta · x > threshold."""
    scaled = x * beta
    result = np.log1p(np.exp(np.minimum(scaled, threshold)))
    result /= beta
    np.copyto(result, x, where=scaled > threshold)
    return result


def softplus_slope(grad: Array, x: Array, out: Array, beta: float, threshold: float) -> None:
    """grad · sigmoid(beta · x); grad itself where beta · x > threshold."""
    scaled = x * beta
    slope = logistic(scaled)
    np.copyto(slope, x.dtype.type(1), where=scaled > threshold)
    np.multiply(grad, slope, out)


def silu(x: Array, out: Array) -> None:
    """x · sigmoid(x)."""
    np.multiply(x, logistic(x), out)


def silu_slope(grad: Array, x: Array, out: Array) -> None:
    """grad · s · (1 + x · (1 − s)) with s = sigmoid(x)."""
    s = logistic(x)
    slope = 1 - s
    slope *= x
    slope += 1
    slope *= s
    np.multiply(grad, slope, out)


def mish(x: Array, out: Array) -> None:
    """x · tanh(softplus(x))."""
    np.multiply(x, np.tanh(softplus(x)), out)


def mish_slope(grad: Array, x: Array, out: Array) -> None:
    """grad · (t + x · s · (1 − t²)) with t = tanh(softplus(x)), s = sigmoid(x)."""
    t = np.tanh(softplus(x))
    slope = 1 - t * t
    slope *= x
    slope *= logistic(x)
    slope += t
    np.multiply(grad, slope, out)


def gelu(x: Array, out: Array, approximate: str) -> None:
    """x · Φ(x), Φ the normal distribution function; or PyTorch's approximation of it with tanh."""
    if approximate == "tanh":
        inner = _tanh_inner(x)
        np.tanh(inner, inner)
        inner += 1
        inner *= 0.5
    else:
        inner = normal_cdf(x)
    np.multiply(x, inner, out)


def _tanh_inner(x: Array) -> Array:
    inner = np.multiply(x, x)
    inner *= _BETA * _KAPPA
    inner += _BETA
    inner *= x
    return inner


def gelu_slope(grad: Array, x: Array, out: Array, approximate: str) -> None:
    """grad times the derivative of `gelu`."""
    if approximate == "tanh":
        t = np.tanh(_tanh_inner(x))
        slope = np.multiply(x, x)
        slope *= 3 * _BETA * _KAPPA
        slope += _BETA
        slope *= x
        slope *= 1 - t * t
        slope += t
        slope += 1
        slope *= 0.5
    else:
        slope = np.multiply(x, x)
        slope *= -0.5
        np.exp(slope, slope)
        slope *= 1 / _SQRT_TWO_PI
        slope *= x
        slope += normal_cdf(x)
    np.multiply(grad, slope, out)


def elu(x: Array, out: Array, alpha: float, scale: float, input_scale: float) -> None:
    """scale · x where x > 0, else scale · alpha · (exp(input_scale · x) − 1)."""
    t = np.minimum(x, 0)
    t *= 0.5 * input_scale
    np.tanh(t, t)
    bent = 1 - t
    np.divide(t, bent, bent)  # tanh(z/2) / (1 − tanh(z/2)) is (exp(z) − 1) / 2, also near 0
    bent *= 2 * alpha * scale
    if not math.isfinite(alpha):
        np.copyto(bent, 0, where=x > 0)  # 0 · ∞ is no number
    straight = np.maximum(x, 0)
    if scale != 1:
        straight *= scale
    np.add(straight, bent, out)


def elu_slope(
    grad: Array, x: Array, out: Array, alpha: float, scale: float, input_scale: float
) -> None:
    """grad times the derivative of `elu`."""
    slope = np.minimum(x, 0)
    slope *= input_scale
    np.exp(slope, slope)
    slope *= alpha * scale * input_scale
    np.copyto(slope, x.dtype.type(scale), where=np.logical_not(x <= 0))
    np.multiply(grad, slope, out)


def leaky_relu(x: Array, out: Array, negative_slope: float) -> None:
    """x where x > 0, else negative_slope · x."""
    if 0 <= negative_slope <= 1:
        np.maximum(x, np.multiply(x, negative_slope), out=out)
    else:
        np.copyto(out, np.where(x > 0, x, x * x.dtype.type(negative_slope)))


def leaky_slope(grad: Array, x: Array, out: Array, negative_slope: float) -> None:
    """grad where x > 0, else negative_slope · grad."""
    slope = np.where(x > 0, x.dtype.type(1), x.dtype.type(negative_slope))
    np.multiply(grad, slope, out)


def hardsigmoid(x: Array, out: Array) -> None:
    """min(max(x + 3, 0), 6) / 6."""
    np.add(x, 3, out)
    np.minimum(np.maximum(out, 0, out=out), 6, out=out)
    np.divide(out, 6, out)


def hardswish(x: Array, out: Array) -> None:
    """x · min(max(x + 3, 0), 6) / 6."""
    gate = np.add(x, 3)
    np.minimum(np.maximum(gate, 0, out=gate), 6, out=gate)
    gate *= x
    np.divide(gate, 6, out)


def hardswish_slope(grad: Array, x: Array, out: Array) -> None:
    """grad · (0 below −3, x / 3 + 1/2 up to 3, 1 above)."""
    slope = x / 3 + x.dtype.type(0.5)
    np.copyto(slope, x.dtype.type(1), where=np.logical_not(x < 3))
    choose(np.multiply(grad, slope), np.logical_not(x <= -3), out)


def softshrink(x: Array, out: Array, lambd: float) -> None:
    """x moved towards 0 by lambd, 0 within; NaN stays."""
    np.subtract(x, np.clip(x, -lambd, lambd), out)


def hardshrink(x: Array, out: Array, lambd: float) -> None:
    """x where |x| > lambd, else 0."""
    choose(x, np.logical_not((x >= -lambd) & (x <= lambd)), out)


def log_sigmoid(x: Array, out: Array) -> None:
    """min(0, x) − log(1 + exp(−|x|))."""
    tail = np.abs(x)
    np.negative(tail, tail)
    np.exp(tail, tail)
    np.log1p(tail, tail)
    np.subtract(np.minimum(x, 0), tail, out)


def threshold(x: Array, out: Array, limit: Any, value: Any) -> None:
    """x where x > limit, else value; NaN stays."""
    low = x <= limit
    np.copyto(out, x)
    np.copyto(out, np.asarray(value).astype(out.dtype), where=low)
