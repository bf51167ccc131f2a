"""Size, angle and sign of real and complex numbers; making complex from real."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import tensor
from pellucid.ops.dispatch import operator
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise, magnitude, pointwise
from pellucid.ops.elementwise.refusals import BOOL, WIDE, kernel
from pellucid.ops.elementwise.rounding import only_bool
from pellucid.ops.inplace import scalar_type
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import OutRule, registry
from pellucid.tensor.dtype import FLOATING, default, dtype, float16, float32, float64
from pellucid.tensor.layout import elementwise_layout
from pellucid.tensor.tensor import Tensor, empty

abs = pointwise(
    "abs",
    np.absolute,
    inplace=False,
    rule=magnitude,
    aliases=("absolute",),
    refuse=kernel("abs_cpu", BOOL, WIDE),
    gradient={"input": lambda grad, input: grad * F.sgn(input)},
)


def _abs_in_place(input: Tensor) -> Tensor:
    """In-place form of `abs`. Sizes of complex numbers are real, so those are refused."""
    if input.dtype.is_complex:
        raise RuntimeError("In-place abs is not supported for complex tensors.")
    return abs.write(input)  # type: ignore[attr-defined]


registry.put("Tensor", "abs_", guarded_as("Tensor.abs_", _abs_in_place))
registry.put("Tensor", "absolute_", _abs_in_place)


def _angle_types(d: dtype) -> tuple[dtype, dtype]:
    return (default.floating, default.floating) if d.category < FLOATING else (d, d.to_real())


def _angle_grad(grad: Any, input: Any) -> Any:
    if not input.dtype.is_complex:
        return F.zeros_like(grad)
    size = F.abs(input)
    turned = F.complex(-input.imag, input.real) * (grad / (size * size))
    return keep(turned, size != 0)


@elementwise(rule=_angle_types, inplace=False, gradient={"input": _angle_grad})
def angle(input: Any) -> Any:
    """The angle to the positive real axis; for real numbers 0 or π, and NaN for NaN."""
    if input.dtype.kind == "c":
        return np.arctan2(input.imag, input.real)
    return np.where(
        np.isnan(input), input, np.where(input < 0, input.dtype.type(math.pi), input.dtype.type(0))
    )


def _sgn_grad(grad: Any, input: Any, out: Any) -> Any:
    if not input.dtype.is_complex:
        return F.zeros_like(grad)
    size = F.abs(input)
    slope = (grad - F.real(grad * F.conj(out)) * out) / size
    return keep(slope, size != 0)


@elementwise(refuse=kernel("sign_cpu", WIDE), exact=only_bool, gradient={"input": _sgn_grad})
def sgn(input: Any) -> Any:
    """The sign: z / |z| for complex numbers, 0 for 0."""
    if input.dtype.kind == "c":
        size = np.abs(input)
        return np.where(size == 0, 0, input / size).astype(input.dtype)
    if input.dtype.kind == "b":
        return input.copy()
    return ((input > 0).astype(np.int8) - (input < 0)).astype(input.dtype)


def _same_type(source: dtype, target: dtype) -> None:
    if source is not target:
        raise RuntimeError(
            f"Expected object of scalar type {scalar_type(source)} but got scalar type "
            f"{scalar_type(target)} for argument 'out'"
        )


def _check_parts(first: Tensor, second: Tensor) -> None:
    if first.dtype not in (float16, float32, float64) or second.dtype not in (
        float16,
        float32,
        float64,
    ):
        raise RuntimeError(
            "Expected both inputs to be Half, Float or Double tensors but got "
            f"{scalar_type(first.dtype)} and {scalar_type(second.dtype)}"
        )
    if first.dtype is not second.dtype:
        raise RuntimeError(
            f"Expected object of scalar type {scalar_type(first.dtype)} but got scalar type "
            f"{scalar_type(second.dtype)} "
            "for second argument"
        )


@operator(
    where="torch",
    out=OutRule(check=_same_type),
    gradient={"real": lambda grad: F.real(grad), "imag": lambda grad: F.imag(grad)},
)
def complex(real: Tensor, imag: Tensor) -> Tensor:
    """real + i · imag. Both must have one dtype, float32 or float64."""
    _check_parts(tensor("complex", "real", 1, real), tensor("complex", "imag", 2, imag))
    out = empty(elementwise_layout(real._layout, imag._layout), real.dtype.to_complex())
    out._array.real = real._array
    out._array.imag = imag._array
    return out


def _polar_grad(grad: Any, abs: Any, angle: Any) -> Any:
    """The direction of the result for the size, a quarter turn further for the angle."""
    direction = F.polar(F.ones_like(abs), angle)
    return F.real(grad * F.conj(direction)), F.real(grad * F.conj(direction * 1j)) * abs


@operator(where="torch", out=True, gradient={("abs", "angle"): _polar_grad})
def polar(abs: Tensor, angle: Tensor) -> Tensor:
    """abs · (cos(angle) + i · sin(angle)). Both must have one dtype, float32 or float64."""
    _check_parts(tensor("polar", "abs", 1, abs), tensor("polar", "angle", 2, angle))
    if abs.dtype is float16:
        raise NotImplementedError("\"polar_cpu\" not implemented for 'Half'")
    out = empty(elementwise_layout(abs._layout, angle._layout), abs.dtype.to_complex())
    out._array.real = abs._array * np.cos(angle._array)
    out._array.imag = abs._array * np.sin(angle._array)
    return out
