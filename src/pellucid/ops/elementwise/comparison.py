"""Comparisons: bool results, no gradient."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import wrong_type
from pellucid.ops.dispatch import composite
from pellucid.ops.elementwise.pointwise import elementwise, pointwise, truth
from pellucid.ops.elementwise.refusals import COMPLEX, WIDE, kernel, words
from pellucid.ops.spec import NoGradient
from pellucid.tensor.events import listeners
from pellucid.tensor.tensor import Tensor

_STEP = NoGradient("a comparison is constant almost everywhere and answers in bool")

eq = pointwise("eq", np.equal, "input other", rule=truth, tensors="input", gradient=_STEP)
ne = pointwise(
    "ne",
    np.not_equal,
    "input other",
    rule=truth,
    tensors="input",
    gradient=_STEP,
    aliases=("not_equal",),
)


def _ordering(name: str, ufunc: np.ufunc, alias: str) -> Any:
    refuse = kernel(f"{name}_cpu", COMPLEX, WIDE)
    return pointwise(
        name,
        ufunc,
        "input other",
        rule=truth,
        tensors="input",
        gradient=_STEP,
        aliases=(alias,),
        refuse=refuse,
    )


lt = _ordering("lt", np.less, "less")
le = _ordering("le", np.less_equal, "less_equal")
gt = _ordering("gt", np.greater, "greater")
ge = _ordering("ge", np.greater_equal, "greater_equal")

isnan = pointwise("isnan", np.isnan, rule=truth, inplace=False, out=False, gradient=_STEP)
isinf = pointwise("isinf", np.isinf, rule=truth, inplace=False, out=False, gradient=_STEP)
isfinite = pointwise("isfinite", np.isfinite, rule=truth, inplace=False, out=False, gradient=_STEP)


@elementwise(
    rule=truth,
    inplace=False,
    gradient=_STEP,
    exact=lambda answer, out: "isposinf does not support non-boolean outputs.",
    refuse=words("isposinf does not support complex inputs.", COMPLEX),
)
def isposinf(input: Any) -> Any:
    """Whether each element is +∞."""
    return input == np.inf


@elementwise(
    rule=truth,
    inplace=False,
    gradient=_STEP,
    exact=lambda answer, out: "isneginf does not support non-boolean outputs.",
    refuse=words("isneginf does not support complex inputs.", COMPLEX),
)
def isneginf(input: Any) -> Any:
    """Whether each element is −∞."""
    return input == -np.inf


@elementwise(rule=truth, inplace=False, out=False, gradient=_STEP)
def isreal(input: Any) -> Any:
    """Whether each element has no imaginary part."""
    return np.imag(input) == 0


def _close(
    input: Any, other: Any, *, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Any:
    """Whether |input − other| ≤ atol + rtol · |other|, or both are the same infinity."""
    close = input == other
    if equal_nan:
        close = close | (np.isnan(input) & np.isnan(other))
    if rtol == 0 and atol == 0:
        return close
    if input.dtype.kind in "biu":
        allowed = atol + np.abs(rtol * np.asarray(other, np.float64))
        distance = np.abs(input.astype(np.float64) - other)
    else:
        allowed, distance = atol + np.abs(rtol * other), np.abs(input - other)
    return close | (np.isfinite(distance) & (distance <= allowed))


_isclose = pointwise(
    "_isclose",
    _close,
    "input other",
    rule=truth,
    where="internal",
    inplace=False,
    out=False,
    gradient=_STEP,
)


@composite()
def isclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> Tensor:
    """Whether |input − other| ≤ atol + rtol · |other|. Both must have one dtype."""
    _two_tensors("isclose", input, other)
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{_long(input)} did not match {_long(other)}")
    if rtol < 0:
        raise RuntimeError(f"rtol must be greater than or equal to zero, but got {rtol:g}")
    if atol < 0:
        raise RuntimeError(f"atol must be greater than or equal to zero, but got {atol:g}")
    return _isclose(input, other, rtol=rtol, atol=atol, equal_nan=equal_nan)


def _two_tensors(name: str, input: Any, other: Any) -> None:
    for position, (parameter, value) in enumerate((("input", input), ("other", other)), 1):
        if not isinstance(value, Tensor):
            raise wrong_type(name, parameter, position, "Tensor", value)


def _long(tensor: Tensor) -> str:
    return tensor.dtype.tensor_type.removesuffix("Tensor")


@composite()
def allclose(
    input: Tensor, other: Tensor, rtol: float = 1e-05, atol: float = 1e-08, equal_nan: bool = False
) -> bool:
    """Whether all elements are close (see `isclose`)."""
    _two_tensors("allclose", input, other)
    if input.dtype is not other.dtype:
        raise RuntimeError(f"{_long(input)} did not match {_long(other)}")
    return bool(isclose(input, other, rtol, atol, equal_nan).all())


@composite()
def equal(input: Tensor, other: Tensor) -> bool:
    """Whether two tensors have the same shape and the same elements; NaN equals nothing."""
    _two_tensors("equal", input, other)
    if input._layout.shape != other._layout.shape:
        return False
    if listeners:  # whoever listens learns where the answer comes from
        return bool(F.eq(input, other).all())
    return bool(np.array_equal(input._array, other._array))
