"""Samples written into tensors (`normal_`, `random_`, …), and samples whose parameters are tensors
(`bernoulli`, `poisson`, …).

A sample does not depend on what it overwrites, and not smoothly on its parameters: gradients are
zero
where PyTorch defines them so, and refused where it defines none.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from dataclasses import dataclass
from time import perf_counter
from typing import Any

import numpy as np

from pellucid.autograd.views import check_write
from pellucid.ops.api import F
from pellucid.ops.arguments import integer, wrong_type
from pellucid.ops.inplace import after_write, before_write, tell_write
from pellucid.ops.lazy import write_through
from pellucid.ops.overloads import guarded, guarded_as, reader
from pellucid.ops.random.sizes import stream
from pellucid.ops.spec import OpSpec, describe, registry
from pellucid.tensor import layout as layouts
from pellucid.tensor.events import listeners
from pellucid.tensor.layout_rules import memory_order
from pellucid.tensor.levels import Batched, beneath, check_random, levels, wrap
from pellucid.tensor.random import distributions as draw
from pellucid.tensor.random.checks import refuse_dtype, refuse_wide_unsigned
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.random.integers import integers
from pellucid.tensor.tensor import Tensor

REQUIRED = math.nan
"""Stands for a parameter without default."""


def zeros(grad: Any) -> Any:
    """The gradient of what a sample does not depend on."""
    return F.zeros_like(grad)


@dataclass(frozen=True, slots=True)
class Filler:
    """An in-place sampler: its name, what draws, and its parameters with their defaults."""

    name: str
    sample: Callable[..., np.ndarray]
    parameters: tuple[tuple[str, float], ...]
    contiguity: bool = False
    """Whether the sampler draws other numbers for tensors that are not row-major."""


FILLERS = (
    Filler("uniform", draw.uniform, (("from", 0.0), ("to", 1.0))),
    Filler("normal", draw.normal, (("mean", 0.0), ("std", 1.0)), contiguity=True),
    Filler("log_normal", draw.log_normal, (("mean", 1.0), ("std", 2.0))),
    Filler("exponential", draw.exponential, (("lambd", 1.0),)),
    Filler("cauchy", draw.cauchy, (("median", 0.0), ("sigma", 1.0))),
    Filler("geometric", draw.geometric, (("p", REQUIRED),)),
)
"""`x.uniform_(from=0, to=1)`, `x.normal_(mean=0, std=1)`, … all take `generator=` too."""


def number(name: str, parameter: str, position: int, value: Any) -> float:
    """A float argument: a number, or a tensor of one. Raises TypeError for anything else."""
    if isinstance(value, (int, float, np.integer, np.floating)):
        return float(value)
    if isinstance(value, Tensor) and not value._layout.shape and not value._requires_grad:
        return float(value)
    raise wrong_type(name, parameter, position, "float", value)


def _writes(spec: OpSpec, fill: Callable[..., None]) -> Callable[..., Tensor]:
    """The method that checks, fills, records and tells; `fill` gets the tensor and the
    arguments.
    """
    name = spec.name + "_"

    def written(self: Tensor, *args: Any, **kwargs: Any) -> Tensor:
        if self._storage.meta:
            check_write(self)
            self._storage.version += 1
            return self
        if self._storage.lazy:
            return write_through(write, self, args, kwargs)
        start = perf_counter() if listeners else 0.0
        if levels.stack and type(self) is Batched:
            return _fill_inside(write, self, args, kwargs)
        tape = args[:1] if len(spec.parameters) > 1 else ()
        old = before_write(spec, self, tape, {})
        fill(self, *args, **kwargs)
        after_write(spec, self, old, tape, {})
        if listeners:
            tell_write(name, self, args, start, kwargs)
        return self

    write = guarded(written, reader(spec, f"Tensor.{name}"))
    write.__name__ = write.__qualname__ = name
    write.spec = spec  # type: ignore[attr-defined]
    return write


def _fill_inside(
    write: Callable[..., Tensor], self: Batched, args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Tensor:
    """Fill inside `vmap`: every element with numbers of its own, or all with the same."""
    made = F.empty(self._layout.shape, dtype=self.dtype)
    level = levels.stack[-1]
    check_random(level)
    if level.randomness == "different":
        if not self._batched:
            raise RuntimeError(
                "vmap: Cannot ask for different inplace randomness on an unbatched tensor. This "
                "will appear like same randomness. If this is necessary for your usage, please "
                "file an issue with functorch."
            )
        with beneath(level):
            made = wrap(write(F.empty_like(self._value.detach()), *args, **kwargs), level)
    else:
        with beneath(level):
            write(made, *args, **kwargs)
    return self.copy_(made)


def _method(filler: Filler) -> Callable[..., Tensor]:
    name = filler.name + "_"
    names = [parameter for parameter, _ in filler.parameters]

    def fill(self: Tensor, *args: Any, generator: Generator | None = None, **kwargs: Any) -> None:
        if len(args) > len(names):
            raise TypeError(
                f"{name}() takes from 0 to {len(names)} positional arguments but {len(args)} were "
                "given"
            )
        given = dict(filler.parameters) | dict(zip(names, args, strict=False))
        for key, value in kwargs.items():
            if key not in given:
                raise TypeError(f"{name}() got an unexpected keyword argument '{key}'")
            given[key] = value
        values = []
        for place, key in enumerate(names, 1):
            if given[key] is REQUIRED:
                raise TypeError(f'{name}() missing 1 required positional arguments: "{key}"')
            values.append(number(name, key, place, given[key]))
        layout = self._layout
        extra = (
            {"contiguous": layout.is_contiguous("contiguous_format")} if filler.contiguity else {}
        )
        source = stream(name, generator)
        samples = filler.sample(source, layout.numel, self.dtype, *values, **extra)
        draw.fill_in_memory_order(self._array, samples)

    spec = describe(
        lambda input: None,
        kind="fresh",
        where="internal",
        name=filler.name,
        gradient={"input": zeros},
    )
    write = _writes(spec, fill)
    shown = ", ".join(f"{k}" if v is REQUIRED else f"{k}={v:g}" for k, v in filler.parameters)
    write.__doc__ = (
        f"Overwrite with samples of this distribution: `{name}({shown}, *, generator=None)`."
    )
    return write


for _filler in FILLERS:
    registry.put("Tensor", _filler.name + "_", _method(_filler))


# -- random_


def _fill_integers(
    self: Tensor, *args: Any, generator: Generator | None = None, **kwargs: Any
) -> None:
    low, high = _integer_bounds(args, kwargs)
    samples = integers(stream("random_", generator), self._layout.numel, self.dtype, low, high)
    draw.fill_in_memory_order(self._array, samples)


def _integer_bounds(args: tuple[Any, ...], kwargs: dict[str, Any]) -> tuple[int | None, int | None]:
    """The bounds in `random_()`, `random_(to)`, `random_(from, to)`; None: open."""
    given = dict(kwargs)
    names = ["to"] if len(args) == 1 and "to" not in kwargs else ["from", "to"]
    given.update(zip(names, args, strict=False))
    if len(args) > 2 or set(given) - {"from", "to"} or ("from" in given and "to" not in given):
        kinds = ", ".join(type(value).__name__ for value in args)
        raise TypeError(
            f"random_() received an invalid combination of arguments - got ({kinds}), but expected "
            "one of:\n * ()\n * (int from, int to)\n * (int to)"
        )
    if not given:
        return None, None
    low = integer("random_", "from", 1, given["from"]) if "from" in given else 0
    return low, None if given["to"] is None else integer("random_", "to", 2, given["to"])


_RANDOM = describe(
    lambda input: None, kind="fresh", where="internal", name="random", gradient={"input": zeros}
)
random_ = _writes(_RANDOM, _fill_integers)
random_.__doc__ = """Overwrite with integers: `random_()` up to the largest the dtype can count to,
`random_(to)` from 0 to `to` - 1, `random_(from, to)` from `from` to `to` - 1; `to=None` leaves the
end open, which from -2**63 on means every 64-bit pattern."""
registry.put("Tensor", "random_", guarded_as("Tensor.random_", random_))


# -- bernoulli_


def _fill_bernoulli(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> None:
    source = stream("bernoulli_", generator)
    if isinstance(p, Tensor):
        fill_bernoulli_of(self, p, source)
        return
    probability = number("bernoulli_", "p", 1, p)
    samples = draw.bernoulli(source, self._layout.numel, self.dtype, probability)
    draw.fill_in_memory_order(self._array, samples)


def fill_bernoulli_of(target: Tensor, p: Tensor, source: Generator) -> None:
    """Ones with the probabilities `p`, broadcast to `target`, drawn in the order of its memory."""
    shape = target._layout.shape
    layouts.expand(p._layout, shape)
    refuse_wide_unsigned("bernoulli_tensor_cpu_self_", target.dtype)
    if not p.dtype.is_floating_point:
        refuse_dtype("bernoulli_tensor_cpu_p_", p.dtype)
    spread = np.broadcast_to(p._array, shape)
    order = memory_order([target._array.strides, spread.strides], shape)[::-1]
    inside_out = target._array.transpose(order)
    samples = draw.bernoulli_of(source, spread.transpose(order).ravel(), target.dtype)
    inside_out[...] = samples.reshape(inside_out.shape)


def _bernoulli_spec(backward_name: str, *tensors: str) -> OpSpec:
    return describe(
        lambda input, p: None,
        kind="fresh",
        where="internal",
        name="bernoulli",
        backward_name=backward_name,
        gradient={name: zeros for name in tensors},
    )


_with_tensor = _writes(_bernoulli_spec("BernoulliBackward1", "input", "p"), _fill_bernoulli)
_with_number = _writes(_bernoulli_spec("BernoulliBackward2", "input"), _fill_bernoulli)


def bernoulli_(self: Tensor, p: Any = 0.5, *, generator: Generator | None = None) -> Tensor:
    """Overwrite with ones with probability `p`, a number or a tensor that broadcasts, else
    zeros.
    """
    return (_with_tensor if isinstance(p, Tensor) else _with_number)(self, p, generator=generator)


registry.put("Tensor", "bernoulli_", guarded_as("Tensor.bernoulli_", bernoulli_))
