"""Samples whose parameters are tensors: `bernoulli`, `normal`, `poisson`, `binomial`,
`multinomial`, …

A sample has no derivative with respect to its parameters: PyTorch defines some of these gradients
as
zero and leaves others out, which are refused here in the same way, when they are asked for.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integer, sizes, tensor
from pellucid.ops.creation.factory import Options, check_out, fit
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.random.fill import fill_bernoulli_of, number, zeros
from pellucid.ops.random.sizes import drawn, stream
from pellucid.ops.spec import NoGradient
from pellucid.ops.underivable import aten
from pellucid.tensor.dtype import default, int64
from pellucid.tensor.layout import broadcast_shapes, contiguous
from pellucid.tensor.random import distributions as draw
from pellucid.tensor.random import multinomial as categories
from pellucid.tensor.random import rejection
from pellucid.tensor.random.checks import refuse_dtype
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.tensor import Tensor, adopt, empty

# -- bernoulli


@operator(
    where="internal",
    name="bernoulli_of",
    backward_name="BernoulliBackward0",
    gradient={"input": zeros},
)
def bernoulli_of(input: Tensor, generator: Generator) -> Tensor:
    """Ones with the probabilities `input`, row-major."""
    result = empty(contiguous(input._layout.shape), input.dtype)
    fill_bernoulli_of(result, input, generator)
    return result


@operator(
    where="internal",
    name="bernoulli_like",
    backward_name="NotImplemented",
    gradient={"input": aten("bernoulli.p")},
)
def bernoulli_like(input: Tensor, p: float, generator: Generator) -> Tensor:
    """Ones with probability `p` in the shape and dtype of `input`, row-major."""
    samples = draw.bernoulli(generator, input._layout.numel, input.dtype, p)
    return adopt(samples.reshape(input._layout.shape), input.dtype)


@composite()
def bernoulli(
    input: Tensor, p: Any = None, *, generator: Generator | None = None, out: Tensor | None = None
) -> Tensor:
    """Ones with the probabilities in `input`; with `p`, ones with that probability, like `input`.

    Shape and dtype: as `input` (or `out`), row-major. RuntimeError unless all lie in [0, 1].
    """
    tensor("bernoulli", "input", 1, input)
    source = stream("bernoulli", generator)
    if out is not None:
        check_out("bernoulli", out)
        fill_bernoulli_of(fit(out, contiguous(input._layout.shape)), input, source)
        return out
    if p is None:
        return bernoulli_of(input, source)
    if isinstance(p, Tensor) and p._layout.shape:
        return bernoulli_like(input, 0.5, source).bernoulli_(p, generator=source)
    return bernoulli_like(input, number("bernoulli", "p", 2, p), source)


# -- normal


def _normal_of(mean: Any, std: Any, generator: Generator) -> Tensor:
    """Normal samples for each element of `mean` and `std`, one of which is a tensor; row-major."""
    tensors = [each for each in (mean, std) if isinstance(each, Tensor)]
    if isinstance(std, Tensor) and std.dtype.is_complex:
        raise RuntimeError("normal expects standard deviation to be non-complex")
    broadcast_shapes(*(each._layout.shape for each in tensors))
    mean, std = (each._array if isinstance(each, Tensor) else each for each in (mean, std))
    kind = tensors[0].dtype
    return adopt(draw.normal_of(generator, mean, std, kind), kind)


def _normal_operator(number: int, *parameters: str) -> Callable[..., Tensor]:
    return operator(
        where="internal",
        name=f"normal_of_{'_and_'.join(parameters)}",
        backward_name=f"NormalBackward{number}",
        gradient={parameter: zeros for parameter in parameters},
    )(_normal_of)


_NORMALS = {
    (True, False): _normal_operator(1, "mean"),
    (False, True): _normal_operator(2, "std"),
    (True, True): _normal_operator(3, "mean", "std"),
}
"""The operator for a mean that is a tensor or not, and a standard deviation that is or not."""


@composite(where="torch")
def normal(
    mean: Any,
    std: Any = 1.0,
    size: Any = None,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Normal samples: `normal(means, stds)` with one or two tensors that broadcast, or two numbers
    and a size.

    Dtype: that of `mean` (of `std` if only that is a tensor); the default one if both are numbers.
    RuntimeError if a standard deviation is negative.
    """
    key = isinstance(mean, Tensor), isinstance(std, Tensor)
    source = stream("normal", generator)
    if not any(key):
        if not isinstance(size, (tuple, list)):
            kinds = ", ".join(type(v).__name__ for v in (mean, std, size) if v is not None)
            raise TypeError(
                f"normal() received an invalid combination of arguments - got ({kinds}), but "
                "expected one "
                "of:\n * (Tensor mean, Tensor std)\n * (Tensor mean, float std = 1)\n"
                " * (float mean, Tensor std)\n * (float mean, float std, tuple of ints size)"
            )
        center, spread = number("normal", "mean", 1, mean), number("normal", "std", 2, std)
        sample = functools.partial(draw.normal, mean=center, std=spread)
        return drawn(
            "normal", sample, sizes("normal", (size,)), default.floating, source, out, options
        )
    mean = mean if key[0] else number("normal", "mean", 1, mean)
    std = std if key[1] else number("normal", "std", 2, std)
    if out is not None:
        check_out("normal", out)
        if not (out.dtype.is_floating_point or out.dtype.is_complex):
            refuse_dtype("normal_kernel_cpu", out.dtype)
    result = _NORMALS[key](mean, std, source)
    if out is None:
        return result
    return fit(out, result._layout).copy_(result.detach())


# -- the others


@operator(backward_name="PoissonBackward0", gradient={"input": zeros}, where="torch")
def poisson(input: Tensor, generator: Generator | None = None) -> Tensor:
    """A Poisson sample for each rate in `input`. RuntimeError for a negative rate."""
    samples = rejection.poisson(stream("poisson", generator), input._array.ravel(), input.dtype)
    return adopt(samples.reshape(input._layout.shape), input.dtype)


@operator(
    where="torch",
    backward_name="NotImplemented",
    gradient={"count": aten("binomial"), "prob": aten("binomial")},
)
def binomial(count: Tensor, prob: Tensor, generator: Generator | None = None) -> Tensor:
    """The number of successes in `count` trials of probability `prob`; shapes broadcast.

    Raises: ValueError for counts that are not floating, RuntimeError for two dtypes.
    """
    for place, (name, value) in enumerate((("count", count), ("prob", prob)), 1):
        tensor("binomial", name, place, value)
        if not value.dtype.is_floating_point:
            raise ValueError(
                f"binomial only supports floating-point dtypes for {name}, got: "
                f"{scalar_type(value.dtype)}"
            )
    if count.dtype is not prob.dtype:
        raise RuntimeError(
            f"Found dtype {scalar_type(prob.dtype)} but expected {scalar_type(count.dtype)}"
        )
    shape = broadcast_shapes(count._layout.shape, prob._layout.shape)
    trials, chances = (np.broadcast_to(each._array, shape).ravel() for each in (count, prob))
    samples = rejection.binomial(stream("binomial", generator), trials, chances, count.dtype)
    return adopt(samples.reshape(shape), count.dtype)


@operator(gradient=NoGradient("returns indices"))
def multinomial(
    input: Tensor,
    num_samples: int,
    replacement: bool = False,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """`num_samples` indices per row of weights `input` `(k,)` or `(rows, k)`: int64, in drawing
    order.

    Raises: RuntimeError for weights that are negative, infinite, NaN or all zero, and for more
    samples than weights without replacement.
    """
    count = integer("multinomial", "num_samples", 2, num_samples)
    if out is not None and out.dtype is not int64:
        raise RuntimeError(f"multinomial expects Long tensor out, got: {scalar_type(out.dtype)}")
    source = stream("multinomial", generator)
    chosen = categories.multinomial(source, input._array, count, bool(replacement), input.dtype)
    if out is None:
        return adopt(chosen, int64)
    np.copyto(fit(out, contiguous(chosen.shape))._array, chosen)
    return out


@operator(
    where="torch",
    name="_standard_gamma",
    gradient={"input": lambda grad, input, out: grad * F._standard_gamma_grad(input, out)},
    backward_name="StandardGammaBackward0",
)
def standard_gamma(input: Tensor, generator: Generator | None = None) -> Tensor:
    """A gamma sample of rate 1 for each shape parameter in `input`."""
    source = stream("_standard_gamma", generator)
    samples = rejection.standard_gamma(source, input._array.ravel(), input.dtype)
    return adopt(samples.reshape(input._layout.shape), input.dtype)


@operator(
    where="torch",
    name="_sample_dirichlet",
    gradient={"input": aten("_sample_dirichlet")},
    backward_name="NotImplemented",
)
def sample_dirichlet(input: Tensor, generator: Generator | None = None) -> Tensor:
    """A point of the simplex for each row of concentrations in `input`."""
    source = stream("_sample_dirichlet", generator)
    return adopt(
        rejection.dirichlet(source, np.ascontiguousarray(input._array), input.dtype), input.dtype
    )
