"""How a gamma sample moves with its shape parameter: `d sample / d alpha` at a fixed quantile.

The derivative of the quantile function has no closed form. PyTorch approximates it in three regions
(aten/src/ATen/native/Distributions.h, after Jankowiak & Obermeyer, "Pathwise Derivatives Beyond the
Reparameterization Trick", 2018), and so does this: a Taylor series for small samples, a saddle
point
expansion for large alpha (Rice 1968), a rational function of log(x / alpha) and log(alpha) between.
"""

from __future__ import annotations

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import operator
from pellucid.ops.spec import NoGradient
from pellucid.tensor.tensor import Tensor, adopt

_RATIONAL = np.array(
    [
        [0.16009398, -0.094634809, 0.025146376, -0.0030648343]
        + [1.0, 0.32668115, 0.10406089, 0.0014179084],
        [0.53487893, 0.1298071, 0.065735949, -0.0015649758]
        + [0.16639465, 0.020070113, -0.0035938915, -0.00058392623],
        [0.040121004, -0.0065914022, -0.0026286047, -0.0013441777]
        + [0.017050642, -0.0021309326, 0.00085092367, -1.5247877e-07],
    ]
)
"""Coefficients by powers of log(x / alpha) (rows) and of log(alpha): four of the numerator,
four below.
"""


@operator(where="torch", name="_standard_gamma_grad", gradient=NoGradient("is a gradient itself"))
def standard_gamma_grad(input: Tensor, output: Tensor) -> Tensor:
    """`d output / d input` for gamma samples `output` of shape parameters `input`: their shape."""
    alpha = input._array.astype(np.float64)
    x = output._array.astype(np.float64)
    digamma = F.digamma(adopt(alpha.copy()))._array
    with np.errstate(all="ignore"):
        small = _taylor(x, alpha, digamma)
        large = np.where(
            (0.9 * alpha <= x) & (x <= 1.1 * alpha), _near_alpha(x, alpha), _saddle(x, alpha)
        )
        found = np.where(x < 0.8, small, np.where(alpha > 8, large, _rational(x, alpha)))
    return adopt(found.astype(input.dtype.numpy), input.dtype)


def _taylor(x: np.ndarray, alpha: np.ndarray, digamma: np.ndarray) -> np.ndarray:
    numerator, denominator = np.ones_like(x), alpha.copy()
    first, second = numerator / denominator, numerator / denominator**2
    for i in range(1, 6):
        numerator = numerator * -x / i
        denominator = denominator + 1
        first = first + numerator / denominator
        second = second + numerator / denominator**2
    power = x**alpha
    density = x ** (alpha - 1) * np.exp(-x)
    slope = (np.log(x) - digamma) * (power * first) - power * second
    result = -slope / density
    return np.where(np.isnan(result), 0.0, result)


def _near_alpha(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    square = alpha * alpha
    one = 1 + 24 * alpha * (1 + 12 * alpha)
    two = 1440 * square + 6 * x * (53 - 120 * x) - 65 * x * x / alpha + alpha * (107 + 3600 * x)
    return one * two / (1244160 * square * square)


def _saddle(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    root = np.sqrt(8 * alpha)
    near = root / (alpha - x)
    far = (x - alpha - alpha * np.log(x / alpha)) ** -1.5
    both = np.where(x < alpha, near - far, near + far)
    term = np.log(x / alpha) * both - np.sqrt(2 / alpha) * (alpha + x) / (alpha - x) ** 2
    stirling = 1 + 1 / (12 * alpha) * (1 + 1 / (24 * alpha))
    return -stirling * x * term / root


def _rational(x: np.ndarray, alpha: np.ndarray) -> np.ndarray:
    u, v = np.log(x / alpha), np.log(alpha)
    c = [_RATIONAL[0, i] + u * (_RATIONAL[1, i] + u * _RATIONAL[2, i]) for i in range(8)]
    above = c[0] + v * (c[1] + v * (c[2] + v * c[3]))
    below = c[4] + v * (c[5] + v * (c[6] + v * c[7]))
    return np.exp(above / below)
