"""Random tensors from sizes: `rand`, `randn`, `randint`, `randperm`, and their `_like` forms.

What is drawn, and in which order, the samplers of `pellucid.tensor.random` decide; here it is laid
into tensors. Every operator takes `generator=`; without one the default generator is used, which
`torch.manual_seed` seeds. In-place forms and distributions with tensor parameters:
`ops/random/fill.py`, `ops/random/parameters.py`.
"""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any, Unpack

import numpy as np

from pellucid.ops.arguments import integer, integers, wrong_type
from pellucid.ops.creation.factory import (
    Options,
    check_options,
    check_out,
    check_shape,
    finish,
    fit,
    read_dtype,
    read_sizes,
    without,
)
from pellucid.ops.dispatch import composite
from pellucid.ops.memory.memory import layout_in
from pellucid.tensor.device import memory_format as MemoryFormat
from pellucid.tensor.dtype import default, dtype, int64
from pellucid.tensor.layout import contiguous
from pellucid.tensor.levels import levels, sampled
from pellucid.tensor.meta import without_data
from pellucid.tensor.random.distributions import fill_in_memory_order, normal, uniform
from pellucid.tensor.random.generator import Generator, current_generator
from pellucid.tensor.random.integers import integers as random_integers
from pellucid.tensor.random.integers import randperm as permutation
from pellucid.tensor.tensor import Tensor, adopt, empty

Sampler = Callable[[Generator, int, dtype], np.ndarray]
"""Draws `count` values of a dtype, in the order of their places in memory: `(count,)`."""


def stream(name: str, generator: Generator | None) -> Generator:
    """The generator to draw from. Raises TypeError for anything that is none."""
    if generator is None:
        return current_generator()
    if not isinstance(generator, Generator):
        kind = type(generator).__name__
        raise TypeError(f"{name}(): argument 'generator' must be torch.Generator, not {kind}")
    return generator


def drawn(
    name: str,
    sample: Sampler,
    shape: tuple[int, ...],
    otherwise: dtype,
    generator: Generator | None,
    out: Tensor | None,
    options: Options,
) -> Tensor:
    """A row-major tensor of samples; in `out`, made to fit, if there is one."""
    check_options(name, options)
    if out is not None:
        check_out(name, out)
    kind = read_dtype(name, options.get("dtype"), out, otherwise)
    layout = contiguous(check_shape(shape))
    if levels.stack:
        return _drawn_inside(name, sample, shape, kind, generator, out, options)
    if out is None and without(options):
        return finish(name, without_data(layout, kind), options)
    samples = sample(stream(name, generator), layout.numel, kind)
    if out is None:
        again = functools.partial(drawn, name, sample, shape, kind, generator, None, options)
        return finish(name, adopt(samples.reshape(shape), kind), options, again)
    fill_in_memory_order(fit(out, layout)._array, samples)
    return finish(name, out, options)


def _drawn_inside(
    name: str,
    sample: Sampler,
    shape: tuple[int, ...],
    kind: dtype,
    generator: Generator | None,
    out: Tensor | None,
    options: Options,
) -> Tensor:
    """Samples inside `vmap`: for each element, or for all the same."""
    settings: Options = {**options, "dtype": kind}
    made = sampled(lambda size: drawn(name, sample, size, kind, generator, None, settings), shape)
    return made if out is None else fit(out, made._layout).copy_(made)


def drawn_like(
    name: str,
    sample: Sampler,
    input: Tensor,
    format: MemoryFormat | None,
    generator: Generator | None,
    options: Options,
) -> Tensor:
    """A tensor of samples laid out like `input`."""
    if not isinstance(input, Tensor):
        raise wrong_type(name, "input", 1, "Tensor", input)
    check_options(name, options)
    kind = read_dtype(name, options.get("dtype"), None, input.dtype)
    if levels.stack:
        return _drawn_inside(name, sample, input._layout.shape, kind, generator, None, options)
    if options.get("device") is None:
        options["device"] = input.device
    if without(options):
        return finish(name, without_data(layout_in(format, input._layout), kind), options)
    result = empty(layout_in(format, input._layout), kind)
    layout = result._layout
    if sample is normal and not layout.is_contiguous("contiguous_format"):
        sample = functools.partial(normal, contiguous=False)
    samples = sample(stream(name, generator), layout.numel, kind)
    fill_in_memory_order(result._array, samples)
    again = functools.partial(drawn_like, name, sample, input, format, generator, options)
    return finish(name, result, options, again)


# -- from sizes


@composite(where="torch")
def rand(
    *size: Any,
    generator: Generator | None = None,
    out: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Uniform numbers from [0, 1): `rand(2, 3)` or `rand((2, 3))`.

    Floating dtypes; complex ones get a uniform real and imaginary part.
    """
    shape = read_sizes("rand", size, options)
    return drawn("rand", uniform, shape, default.floating, generator, out, options)


@composite(where="torch")
def randn(
    *size: Any,
    generator: Generator | None = None,
    out: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Standard normal numbers: `randn(2, 3)` or `randn((2, 3))`.

    Floating dtypes; complex ones have variance 1 in both parts together.
    """
    shape = read_sizes("randn", size, options)
    return drawn("randn", normal, shape, default.floating, generator, out, options)


@composite(where="torch")
def randint(
    *args: Any,
    generator: Generator | None = None,
    out: Tensor | None = None,
    **options: Any,
) -> Tensor:
    """Integers from low to high - 1: `randint(high, size)` or `randint(low, high, size)`.

    int64 unless a dtype is named; RuntimeError if low >= high or the dtype cannot hold them.
    """
    low, high, size = _integer_bounds("randint", args, options)
    sample = functools.partial(random_integers, low=low, high=high)
    return drawn("randint", sample, size, int64, generator, out, options)  # type: ignore[arg-type]


def _integer_bounds(
    name: str, args: tuple[Any, ...], options: dict[str, Any]
) -> tuple[int, int, tuple[int, ...]]:
    """low, high and size of `(high, size)` and `(low, high, size)`, with any of them by keyword."""
    found: dict[str, Any] = {
        key: options.pop(key) for key in ("low", "high", "size") if key in options
    }
    names = [key for key in ("low", "high", "size") if key not in found]
    if "low" in names and len(args) == len(names) - 1:
        names.remove("low")
    if len(args) != len(names):
        kinds = ", ".join(type(value).__name__ for value in args)
        raise TypeError(
            f"{name}() received an invalid combination of arguments - got ({kinds}), but expected "
            "one of:\n * (int high, tuple of ints size)\n * (int low, int high, tuple of ints size)"
        )
    found.update(zip(names, args, strict=True))
    position = 1 if "low" not in found else 2
    size = found["size"]
    if not isinstance(size, (tuple, list)):
        raise wrong_type(name, "size", position + 1, "tuple of ints", size)
    low = integer(name, "low", 1, found["low"]) if "low" in found else 0
    return (
        low,
        integer(name, "high", position, found["high"]),
        integers(name, "size", position + 1, size),
    )


@composite(where="torch")
def randperm(
    n: int,
    *,
    generator: Generator | None = None,
    out: Tensor | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """The numbers 0 … n - 1 in random order: `(n,)`, int64 unless a dtype is named."""
    n = integer("randperm", "n", 1, n)
    sample = lambda source, count, kind: permutation(source, n, kind)
    return drawn("randperm", sample, (n,), int64, generator, out, options)


# -- like another tensor


@composite(where="torch")
def rand_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    memory_format: MemoryFormat | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Uniform numbers from [0, 1), in the shape, dtype and order of strides of `input`."""
    return drawn_like("rand_like", uniform, input, memory_format, generator, options)


@composite(where="torch")
def randn_like(
    input: Tensor,
    *,
    generator: Generator | None = None,
    memory_format: MemoryFormat | None = None,
    **options: Unpack[Options],
) -> Tensor:
    """Standard normal numbers, in the shape, dtype and order of strides of `input`."""
    return drawn_like("randn_like", normal, input, memory_format, generator, options)


@composite(where="torch")
def randint_like(
    input: Tensor,
    *args: Any,
    generator: Generator | None = None,
    memory_format: MemoryFormat | None = None,
    **options: Any,
) -> Tensor:
    """Integers from low to high - 1: `randint_like(x, high)`, `randint_like(x, low, high)`."""
    low, high, _ = _integer_bounds("randint_like", (*args, ()), options)
    sample = functools.partial(random_integers, low=low, high=high)
    return drawn_like("randint_like", sample, input, memory_format, generator, options)  # type: ignore[arg-type]
