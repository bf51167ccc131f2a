"""Normal samples by Box and Muller's transform, in the two forms PyTorch's CPU kernels use.

*Filling*: contiguous, at least 16 elements. Uniforms are drawn for all elements, then every run of
16 is turned into normals: eight radii from the first eight, eight angles from the last eight,
cosines in front, sines behind. If 16 does not divide the size, the last 16 elements are drawn anew.

*One at a time*: everything else. In float64 whatever the dtype; a pair of uniforms gives two
normals, the second one waits in the generator for the next call.

Float32 filling is bit-exact with PyTorch on x86 with AVX2: its kernel evaluates Cephes' polynomials
for log, sin and cos (S. Moshier, Cephes; J. Pommier, sse_mathfun; G. Garberoglio, avx_mathfun) with
fused multiply-adds, and so does this one. An FMA of float32 is computed in float64 and then
rounded: that is the same unless the exact sum lies within 2**-29 of the middle between two floats,
which one sample in about 10**8 may meet, with an error of one ulp. Float64 goes through the C
library, the one PyTorch calls.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.tensor.dtype import REDUCED, dtype, float64
from pellucid.tensor.random.fused import fused_multiply_add
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.random.uniform import c_library, one_unit, round_to, unit_float32, unit_float64

RUN = 16
"""Elements transformed together by the filling kernel; also the least size it takes."""

_CHUNK = 1024
"""Runs transformed at a time: a dozen temporaries of 8192 float64 fit the second-level cache."""

_TWO_PI = np.float32(2 * math.pi)
_SQRT_HALF_BITS = 0x3F3504F3
_ONE_BITS = 0x3F800000
_LOG_POLYNOMIAL = (
    7.0376836292e-2,
    -1.1514610310e-1,
    1.1676998740e-1,
    -1.2420140846e-1,
    1.4249322787e-1,
    -1.6668057665e-1,
    2.0000714765e-1,
    -2.4999993993e-1,
    3.3333331174e-1,
)
_LN2_HIGH = np.float64(np.float32(0.693359375))
_LN2_LOW = np.float64(np.float32(-2.12194440e-4))
_FOUR_OVER_PI = np.float32(1.27323954473516)
_MINUS_PI_OVER_4 = (-0.78515625, -2.4187564849853515625e-4, -3.77489497744594108e-8)
_SIN_POLYNOMIAL = (-1.9515295891e-4, 8.3321608736e-3, -1.6666654611e-1)
_COS_POLYNOMIAL = (2.443315711809948e-5, -1.388731625493765e-3, 4.166664568298827e-2)


def fill_normal(
    generator: Generator, count: int, kind: dtype, mean: float, std: float
) -> np.ndarray:
    """`count >= 16` samples for a contiguous tensor of floating `kind`: shape `(count,)`."""
    uniforms = unit_float64 if kind is float64 else unit_float32
    transform = _normals_float64 if kind is float64 else _normals_float32
    whole = count - count % RUN
    # The reduced dtypes pass through a buffer of 16: an incomplete run is not drawn twice.
    drawn = uniforms(generator, whole if kind in REDUCED else count)
    samples = np.empty(count, dtype=drawn.dtype)
    with np.errstate(divide="ignore"):
        transform(drawn[:whole].reshape(-1, RUN), samples[:whole].reshape(-1, RUN), mean, std)
        if whole < count:
            last = uniforms(generator, RUN).reshape(1, RUN)
            transform(last, samples[count - RUN :].reshape(1, RUN), mean, std)
    return round_to(samples, kind)


def normals_one_at_a_time(generator: Generator, count: int, mean: float, std: float) -> np.ndarray:
    """`count` samples in float64, shape `(count,)`; `sample * std + mean` is rounded once.

    The second normal of the last pair may wait in `generator.next_double_normal`.
    """
    standard = np.empty(count)
    waiting = generator.next_double_normal
    start = 0
    if waiting is not None and count:
        standard[0] = waiting
        generator.next_double_normal = None
        start = 1
    pairs = (count - start + 1) // 2
    if pairs:
        uniforms = unit_float64(generator, 2 * pairs)
        radius = np.sqrt(-2.0 * c_library("log1p", -uniforms[1::2]))
        theta = 2.0 * math.pi * uniforms[0::2]
        standard[start::2] = radius * c_library("cos", theta)
        sines = radius * c_library("sin", theta)
        standard[start + 1 :: 2] = sines[: (count - start) // 2]
        if (count - start) % 2:
            generator.next_double_normal = float(sines[-1])
    return scaled(standard, mean, std)


def one_normal(generator: Generator) -> float:
    """One standard normal of the same sequence."""
    waiting = generator.next_double_normal
    if waiting is not None:
        generator.next_double_normal = None
        return waiting
    first, second = one_unit(generator), one_unit(generator)
    radius = math.sqrt(-2.0 * math.log1p(-second))
    theta = 2.0 * math.pi * first
    generator.next_double_normal = radius * math.sin(theta)
    return radius * math.cos(theta)


def scaled(x: np.ndarray, mean: float, std: float) -> np.ndarray:
    """`x * std + mean` in the dtype of `x`, rounded once."""
    mean, std = float(x.dtype.type(mean)), float(x.dtype.type(std))
    if mean != 0 and std not in (0.0, 1.0) and math.isfinite(mean) and math.isfinite(std):
        return fused_multiply_add(x, std, mean)
    scale = x.dtype.type(std)
    return x * scale + x.dtype.type(mean)  # one rounding anyway: the product or the sum is exact


def _normals_float64(uniforms: np.ndarray, out: np.ndarray, mean: float, std: float) -> None:
    """Runs `(n, 16)` of uniforms to runs of normals, float64."""
    half = RUN // 2
    radius = np.sqrt(-2.0 * c_library("log", 1 - uniforms[:, :half]))
    theta = 2.0 * math.pi * uniforms[:, half:]
    out[:, :half] = scaled((radius * c_library("cos", theta)).ravel(), mean, std).reshape(-1, half)
    out[:, half:] = scaled((radius * c_library("sin", theta)).ravel(), mean, std).reshape(-1, half)


def _normals_float32(uniforms: np.ndarray, out: np.ndarray, mean: float, std: float) -> None:
    """Runs `(n, 16)` of uniforms to runs of normals, float32, as the AVX2 kernel computes them."""
    half = RUN // 2
    for start in range(0, uniforms.shape[0], _CHUNK):
        runs = uniforms[start : start + _CHUNK]
        radius = np.sqrt(np.float32(-2) * _log(np.float32(1) - runs[:, :half].ravel()))
        sine, cosine = _sine_and_cosine(_TWO_PI * runs[:, half:].ravel())
        done = out[start : start + _CHUNK]
        done[:, :half] = scaled(radius * cosine, mean, std).reshape(-1, half)
        done[:, half:] = scaled(radius * sine, mean, std).reshape(-1, half)


def _horner(coefficients: tuple[float, ...], x: np.ndarray) -> np.ndarray:
    """The polynomial in float64 `x`, rounded to float32 at each step; highest power first."""
    value = np.full_like(x, np.float32(coefficients[0]))
    single = np.empty(x.shape, dtype=np.float32)
    for coefficient in coefficients[1:]:
        value *= x
        value += np.float64(np.float32(coefficient))
        single[...] = value
        value[...] = single
    return value


def _single(x: np.ndarray) -> np.ndarray:
    """Round to float32: the last step of an FMA whose product and sum were float64."""
    return x.astype(np.float32)


def _log(x: np.ndarray) -> np.ndarray:
    """Natural logarithm of float32 in (0, 1]: Cephes' `logf` with fused steps.

    `x = (1 + m) * 2**e` with `1 + m` from sqrt(1/2) to sqrt(2): a polynomial in m, and e times ln 2
    in two parts.
    """
    bits = x.view(np.int32) + (_ONE_BITS - _SQRT_HALF_BITS)
    exponent = ((bits >> 23) - 127).astype(np.float64)
    m = ((bits & 0x007FFFFF) + _SQRT_HALF_BITS).view(np.float32) - np.float32(1)
    wide = m.astype(np.float64)
    square = _single(wide * wide).astype(np.float64)
    y = _single(_horner(_LOG_POLYNOMIAL, wide) * wide).astype(np.float64)
    y = _single(y * square + _single(exponent * _LN2_LOW)).astype(np.float64)
    y = _single(y - square * 0.5)
    return _single(exponent * _LN2_HIGH + (m + y))


def _sine_and_cosine(angle: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Sine and cosine of float32 in [0, 2 pi]: Cephes' `sinf` and `cosf` with fused steps."""
    octant = ((angle * _FOUR_OVER_PI).astype(np.int32) + 1) & ~1
    turns = octant.astype(np.float64)
    x = angle
    for part in _MINUS_PI_OVER_4:  # the angle less octant * pi/4, in three parts of few bits each
        x = _single(turns * np.float64(np.float32(part)) + x)
    wide = _single(x.astype(np.float64) ** 2).astype(np.float64)
    near_cosine = _single(_horner(_COS_POLYNOMIAL, wide) * wide).astype(np.float64)
    near_cosine = _single(near_cosine * wide - wide * 0.5) + np.float32(1)
    near_sine = _single(_horner(_SIN_POLYNOMIAL, wide) * wide).astype(np.float64)
    near_sine = _single(near_sine * x + x)
    is_straight = (octant & 2) == 0
    sine = np.where(is_straight, near_sine, near_cosine)
    cosine = np.where(is_straight, near_cosine, near_sine)
    sine.view(np.int32)[...] ^= (octant & 4) << 29  # the sign bit
    cosine.view(np.int32)[...] ^= (~(octant - 2) & 4) << 29
    return sine, cosine
