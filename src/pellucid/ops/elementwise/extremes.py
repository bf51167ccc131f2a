"""The larger, the smaller, and limits: maximum, minimum, fmax, fmin, clamp, nan_to_num."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.elementwise.blocks import larger, smaller
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise, pointwise
from pellucid.ops.elementwise.refusals import BOOL, COMPLEX, INTEGER, WIDE, either, kernel, words
from pellucid.ops.inplace import scalar_type
from pellucid.ops.memory.memory import as_scalar


def _extreme(name: str, compute: Callable[..., None]) -> Any:
    """`maximum` and `minimum`: NaN wins, and equal operands share the gradient."""
    wins = (lambda a, b: a > b) if name == "maximum" else (lambda a, b: a < b)

    def share(grad: Any, own: Any, rival: Any) -> Any:
        half = keep(grad / 2, own == rival)
        return half + keep(grad, F.logical_not((own == rival) | wins(rival, own)))

    return pointwise(
        name,
        compute,
        "input other",
        inplace=False,
        tensors="input other",
        refuse=either(
            words(f"{name} not implemented for complex tensors.", COMPLEX),
            kernel(f"{name}_cpu", WIDE),
        ),
        gradient={
            "input": lambda grad, input, other: share(grad, input, other),
            "other": lambda grad, input, other: share(grad, other, input),
        },
        doc=f"The {name} of each pair of elements; NaN if one of them is.",
    )


def _extreme_number(name: str, ufunc: np.ufunc) -> Any:
    """`fmax` and `fmin`: a number wins over NaN, and `input` over an equal `other`."""
    reaches = (lambda a, b: a >= b) if name == "fmax" else (lambda a, b: a <= b)
    stub = "maximum_cpu" if name == "fmax" else "minimum_cpu"

    def first(input: Any, other: Any) -> Any:
        return reaches(input, other) | F.isnan(other)

    return pointwise(
        name,
        ufunc,
        "input other",
        inplace=False,
        tensors="input other",
        refuse=either(
            words(f"{name} not implemented for complex tensors.", COMPLEX), kernel(stub, WIDE)
        ),
        gradient={
            "input": lambda grad, input, other: keep(grad, first(input, other)),
            "other": lambda grad, input, other: keep(grad, F.logical_not(first(input, other))),
        },
        doc=f"The {name[1:]}imum of each pair of elements; a number if one of them is NaN.",
    )


maximum = _extreme("maximum", larger)
minimum = _extreme("minimum", smaller)
fmax = _extreme_number("fmax", np.fmax)
fmin = _extreme_number("fmin", np.fmin)

clamp_min = pointwise(
    "clamp_min",
    larger,
    "input min",
    tensors="input",
    refuse=kernel("maximum_cpu", COMPLEX, WIDE),
    gradient={
        "input": lambda grad, input, min: keep(grad, input >= min),
        "min": lambda grad, input, min: keep(grad, input < min),
    },
    doc="Each element, or `min` where it is less.",
)
clamp_max = pointwise(
    "clamp_max",
    smaller,
    "input max",
    tensors="input",
    refuse=kernel("minimum_cpu", COMPLEX, WIDE),
    gradient={
        "input": lambda grad, input, max: keep(grad, input <= max),
        "max": lambda grad, input, max: keep(grad, input > max),
    },
    doc="Each element, or `max` where it is greater.",
)


def _inside(input: Any, min: Any, max: Any) -> Any:
    above = None if min is None else input >= min
    below = None if max is None else input <= max
    return below if above is None else above if below is None else above & below


def _below(grad: Any, input: Any, min: Any, max: Any) -> Any:
    return keep(grad, input < min if max is None else (min < max) & (input < min))


def _above(grad: Any, input: Any, min: Any, max: Any) -> Any:
    return keep(grad, input > max if min is None else (max < min) | (input > max))


def _need_a_bound(operands: Any) -> None:
    if operands[1] is None and operands[2] is None:
        raise RuntimeError("torch.clamp: At least one of 'min' or 'max' must not be None")
    if operands[0].dtype.category == INTEGER:
        for bound in operands[1:]:
            if type(bound) is int:
                as_scalar(bound, operands[0].dtype)  # raises for bounds that the dtype cannot hold


@elementwise(
    "input min max",
    tensors="input",
    aliases=("clip",),
    refuse=either(
        words("clamp is not supported for complex types", COMPLEX, error=NotImplementedError),
        kernel("clamp_cpu", BOOL, WIDE),
    ),
    verify=_need_a_bound,
    gradient={
        "input": lambda grad, input, min, max: keep(grad, _inside(input, min, max)),
        "min": _below,
        "max": _above,
    },
)
def clamp(input: Any, min: Any = None, max: Any = None, out: Any = None) -> None:
    """Each element, moved to `min` if it is less and then to `max` if it is greater; NaN stays."""
    if min is not None:
        input = np.maximum(input, min, out=out)
    if max is not None:
        np.minimum(input, max, out=out)


@elementwise(
    exact=lambda answer, out: (
        f"nan_to_num: dtype of out: {scalar_type(out)} should be same as input: "
        f"{scalar_type(answer)}"
    ),
    gradient={"input": lambda grad, input: keep(grad, F.isfinite(input))},
)
def nan_to_num(
    input: Any, nan: float | None = None, posinf: float | None = None, neginf: float | None = None
) -> Any:
    """Each element.

    NaN becomes `nan` (0), infinities the largest and smallest number unless given.
    """
    if input.dtype.kind in "biu":
        return input.copy()
    if input.dtype.kind == "c":
        result = np.empty_like(input)
        result.real = _numbers(input.real, nan, posinf, neginf)
        result.imag = _numbers(input.imag, nan, posinf, neginf)
        return result
    return _numbers(input, nan, posinf, neginf)


def _numbers(
    input: np.ndarray, nan: float | None, posinf: float | None, neginf: float | None
) -> np.ndarray:
    limits = np.finfo(input.dtype)
    return np.nan_to_num(
        input,
        nan=0.0 if nan is None else nan,
        posinf=limits.max if posinf is None else posinf,
        neginf=limits.min if neginf is None else neginf,
    )


__all__ = ["clamp", "clamp_max", "clamp_min", "fmax", "fmin", "maximum", "minimum", "nan_to_num"]
