"""Random samples, number for number as PyTorch's CPU kernels draw them.

Every sampler takes a `Generator` and a count, and returns a fresh one-dimensional NumPy array of
`count` samples **in the order they are drawn**, which is the order of a tensor's elements in
memory; `fill_in_memory_order` lays them into a strided array. Each sampler takes from the stream
exactly as many 32-bit words as PyTorch's. `n` stands for the count:

* `uniform`: n; float64 2n; complex as 2n parts.
* `normal` of a contiguous tensor with n >= 16: n, and 16 more if 16 does not divide n; float64
  twice that; float16 and bfloat16: n rounded up to a multiple of 16.
* `normal` otherwise, `log_normal`: 4 for each pair; an odd one leaves a normal for the next call.
* `integers`: n; 2n for ranges of 2**28 and more, and for float64 and int64 without bounds.
* `bernoulli`, `exponential`, `geometric`, `cauchy`: 2n.
* `bernoulli_of`: n; for float64 probabilities 2n.
* `randperm`: n - 1; 2n from n = 214748364 on.

Integers, booleans and uniforms are equal to PyTorch's in every bit, as are normals in float32
(`box_muller`). Where a logarithm or a tangent is taken, float64 goes through the C library and the
rest through NumPy in float64 before it is rounded: the last bit of one float32 sample in some 10**9
may differ.

Sources: ATen/core/TransformationHelper.h, ATen/core/DistributionsHelper.h,
ATen/native/DistributionTemplates.h and ATen/native/cpu/DistributionTemplates.h of PyTorch 2.13,
which includes the kernels for AVX2 and AVX-512 (they agree). PyTorch's MKL streams for Bernoulli
and exponential samples are switched off since 2.5.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.tensor.dtype import REDUCED, bool_, dtype, float64
from pellucid.tensor.layout_rules import memory_order
from pellucid.tensor.random.box_muller import RUN, fill_normal, normals_one_at_a_time, scaled
from pellucid.tensor.random.checks import (
    check_uniform_bounds,
    cpp_name,
    refuse_dtype,
    refuse_wide_unsigned,
    require_floating,
    scalar_name,
    shown,
)
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.random.uniform import (
    c_library,
    integers_53_bits,
    round_to,
    unit_float32,
    unit_float64,
)


def fill_in_memory_order(array: np.ndarray, samples: np.ndarray) -> None:
    """Write `samples` `(array.size,)` into `array`, in the order of its elements in memory.

    For a contiguous array that is its own order; for a transposed one the transpose's, and so on
    for any strides.
    """
    order = memory_order([array.strides], array.shape)[::-1]
    inside_out = array.transpose(order)
    inside_out[...] = samples.reshape(inside_out.shape)


# -- continuous


def uniform(
    generator: Generator, count: int, kind: dtype, low: float = 0.0, high: float = 1.0
) -> np.ndarray:
    """`count` samples from [low, high): floating or complex (real and imaginary part) `kind`.

    RuntimeError: a bound beyond the dtype, low > high, or high - low beyond the dtype.
    """
    if kind.is_complex:
        parts = uniform(generator, 2 * count, kind.to_real(), low, high)
        return parts.view(kind.numpy)
    check_uniform_bounds(low, high, kind)
    if kind is float64:
        return scaled(unit_float64(generator, count), low, high - low)
    first, last = np.float32(low), np.float32(high)
    samples = scaled(unit_float32(generator, count), float(first), float(last - first))
    samples = round_to(samples, kind)
    end = kind.numpy.type(high)
    samples[samples == end] = kind.numpy.type(low)  # rounding must not reach the open end
    return samples


def normal(
    generator: Generator,
    count: int,
    kind: dtype,
    mean: float = 0.0,
    std: float = 1.0,
    *,
    contiguous: bool = True,
) -> np.ndarray:
    """`count` normal samples of floating or complex `kind`.

    The two parts of a complex sample have the standard deviation `std / sqrt(2)` each.
    `contiguous`: whether the tensor to be filled is row-major; the kernel that PyTorch chooses, and
    with it every number, depends on it. RuntimeError if `std` is negative.
    """
    if not std >= 0:
        raise RuntimeError(f"normal expects std >= 0.0, but found std {shown(std)}")
    if kind.is_complex:
        parts = normal(
            generator,
            2 * count,
            kind.to_real(),
            mean,
            std / math.sqrt(2),
            contiguous=contiguous,
        )
        return parts.view(kind.numpy)
    if not kind.is_floating_point and count:
        refuse_dtype("normal_kernel_cpu", kind)
    with generator.lock:
        if contiguous and count >= RUN:
            return fill_normal(generator, count, kind, mean, std)
        return round_to(normals_one_at_a_time(generator, count, mean, std), kind)


def normal_of(
    generator: Generator, mean: np.ndarray | float, std: np.ndarray | float, kind: dtype
) -> np.ndarray:
    """`torch.normal` with tensors: a sample for each element of `mean` and `std`, broadcast.

    `kind` is the dtype of the result. RuntimeError if an element of `std` is negative.
    """
    shape = np.broadcast_shapes(np.shape(mean), np.shape(std))
    count = math.prod(shape)
    if isinstance(std, np.ndarray):
        if std.size and not np.all(std.astype(np.float64) >= 0):
            raise RuntimeError("normal expects all elements of std >= 0.0")
        samples = normal(generator, count, kind).reshape(shape)
        samples *= std.astype(kind.numpy)
    else:
        samples = normal(generator, count, kind, 0.0, std).reshape(shape)
    samples += np.asarray(mean).astype(kind.numpy)
    return samples


def exponential(generator: Generator, count: int, kind: dtype, rate: float = 1.0) -> np.ndarray:
    """`count` samples of density `rate * exp(-rate * x)`. RuntimeError unless rate > 0."""
    if not rate > 0:
        raise RuntimeError(f"exponential_ expects lambda > 0.0, but found lambda={shown(rate)}")
    if count:
        require_floating("Exponential", kind, scalar_name(kind))
    uniforms = unit_float64(generator, count)
    return round_to(-1.0 / rate * _function("log1p", -uniforms, kind), kind)


def cauchy(
    generator: Generator, count: int, kind: dtype, median: float = 0.0, sigma: float = 1.0
) -> np.ndarray:
    """`count` samples `median + sigma * tan(pi * (u - 1/2))`. RuntimeError unless sigma > 0."""
    if not sigma > 0:
        raise RuntimeError(f"cauchy_ expects sigma > 0.0, but found sigma={shown(sigma)}")
    require_floating("Cauchy", kind, cpp_name(kind))
    angles = math.pi * (unit_float64(generator, count) - 0.5)
    return round_to(scaled(_function("tan", angles, kind), median, sigma), kind)


def log_normal(
    generator: Generator, count: int, kind: dtype, mean: float = 1.0, std: float = 2.0
) -> np.ndarray:
    """`count` samples `exp(x)` of normal x, drawn one at a time. RuntimeError unless std > 0."""
    if not std > 0:
        raise RuntimeError(f"log_normal_ expects std > 0.0, but found std={shown(std)}")
    if not kind.is_floating_point and count:
        refuse_dtype("log_normal_cpu", kind)
    with generator.lock:
        exponents = normals_one_at_a_time(generator, count, mean, std)
    return round_to(_function("exp", exponents, kind), kind)


def _function(name: str, x: np.ndarray, kind: dtype) -> np.ndarray:
    """A function of float64 `x`, exact to the bit only where the result stays float64."""
    if kind is float64 or x.size < 64:
        return c_library(name, x)
    with np.errstate(all="ignore"):
        values: np.ndarray = getattr(np, name)(x)
    return values


# -- discrete


def bernoulli(generator: Generator, count: int, kind: dtype, p: float = 0.5) -> np.ndarray:
    """`count` ones with probability `p`, else zeros. RuntimeError unless 0 <= p <= 1."""
    if not 0 <= p <= 1:
        raise RuntimeError(f"bernoulli_ expects p to be in [0, 1], but got p={shown(p)}")
    if count:
        refuse_wide_unsigned("bernoulli_scalar_cpu_", kind)
    threshold = math.ceil(p * 2.0**53)  # exact: the integers below it are the uniforms below p
    return (integers_53_bits(generator, count) < threshold).astype(kind.numpy)


def bernoulli_of(generator: Generator, p: np.ndarray, kind: dtype) -> np.ndarray:
    """A one with probability `p[i]`, else zero: `p` is `(n,)`, floating, in drawing order.

    Probabilities in float64 are compared with 53 random bits, all others with 24. RuntimeError
    unless 0 <= p <= 1.
    """
    if not np.all((p >= p.dtype.type(0)) & (p <= p.dtype.type(1))):
        raise RuntimeError(
            "Expected p_in >= 0 && p_in <= 1 to be true, but got false.  "
            "A probability lies in [0, 1]: apply sigmoid or clamp(0, 1) first."
        )
    if p.dtype == np.float64:
        return (unit_float64(generator, p.size) < p).astype(kind.numpy)
    return (unit_float32(generator, p.size) < p.astype(np.float32)).astype(kind.numpy)


def dropout_noise(generator: Generator, count: int, kind: dtype, p: float) -> np.ndarray:
    """What dropout multiplies by, 0 < p < 1: 0 with probability `p`, else `1 / (1 - p)` in floating
    `kind`.

    Feature dropout draws the same for `(N, C, 1, …)`: count = N * C.
    """
    noise = bernoulli(generator, count, kind, 1 - p)
    compute = np.float32 if kind in REDUCED else kind.numpy.type
    kept = (compute(1) / compute(1 - p)).astype(kind.numpy)
    return noise * kept


def geometric(generator: Generator, count: int, kind: dtype, p: float) -> np.ndarray:
    """The number of trials up to the first success: `ceil(log u / log(1 - p))`. RuntimeError unless
    0 < p < 1.
    """
    if not 0 < p < 1:
        raise RuntimeError(f"geometric_ expects p to be in (0, 1), but got p={shown(p)}")
    if count:
        refuse_wide_unsigned("geometric_cpu", kind)
    if count and kind is bool_:
        refuse_dtype("geometric_cpu", kind)
    trials = np.ceil(c_library("log", unit_float64(generator, count)) / math.log1p(-p))
    if kind.is_floating_point:
        return round_to(trials, kind)
    return trials.astype(np.int64).astype(kind.numpy)
