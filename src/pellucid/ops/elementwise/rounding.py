"""Rounding, signs and neighbours. Their gradients are zero almost everywhere."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite
from pellucid.ops.elementwise.blocks import one_pass
from pellucid.ops.elementwise.masks import keep
from pellucid.ops.elementwise.pointwise import elementwise, floating, pointwise, truth
from pellucid.ops.elementwise.refusals import (
    BOOL,
    COMPLEX,
    EXACT,
    INTEGER,
    WIDE,
    either,
    kernel,
    words,
)
from pellucid.ops.inplace import scalar_type
from pellucid.ops.spec import NoGradient
from pellucid.ops.underivable import UNLISTED, unlisted
from pellucid.tensor.dtype import dtype
from pellucid.tensor.tensor import Tensor


def only_bool(answer: dtype, out: dtype) -> str | None:
    """Signs of bools go into bools only: the words that refuse another `out=`."""
    return f"Found dtype {scalar_type(out)} but expected Bool" if answer.category == BOOL else None


def _flat(grad: Any) -> Any:
    return F.zeros_like(grad)


def _rounding(name: str, ufunc: Any, aliases: Sequence[str] = ()) -> Any:
    @one_pass
    def compute(input: Any, out: Any) -> None:
        if out.dtype.kind in "iu":
            np.copyto(out, input)
        else:
            ufunc(input, out)

    refuse = either(
        kernel(f"{name}_vml_cpu", BOOL),
        words(f"{name} is not supported for complex inputs", COMPLEX, error=NotImplementedError),
    )
    return pointwise(
        name,
        compute,
        refuse=refuse,
        aliases=aliases,
        gradient={"input": _flat},
        doc=f"`{name}` of each element; integers stay.",
    )


ceil = _rounding("ceil", np.ceil)
floor = _rounding("floor", np.floor)
trunc = _rounding("trunc", np.trunc, ("fix",))


@elementwise(
    refuse=kernel("round_vml_cpu", BOOL, COMPLEX),
    gradient={"input": _flat},
)
def round(input: Any, out: Any, *, decimals: int = 0) -> None:
    """The nearest whole number, ties to the even one.

    With `decimals`, the nearest multiple of 10**-decimals.
    """
    if out.dtype.kind in "iu":
        if decimals:
            raise NotImplementedError(
                '"round_vml_cpu" not implemented for '
                f"'{_C_NAMES.get(out.dtype.name, out.dtype.name)}'"
            )
        np.copyto(out, input)
    elif not decimals:
        np.rint(input, out)
    else:
        scale = out.dtype.type(10.0 ** abs(decimals))
        first, last = (np.multiply, np.divide) if decimals > 0 else (np.divide, np.multiply)
        np.rint(first(input, scale, out), out)
        last(out, scale, out)


_C_NAMES = {"int64": "Long", "int32": "Int", "int16": "Short", "int8": "Char", "uint8": "Byte"}


@composite(where="special", name="round", out=True)
def special_round(input: Tensor, *, decimals: int = 0) -> Tensor:
    """`round`, for floating tensors only."""
    error = kernel("round_vml_cpu", INTEGER)(input.dtype)
    if error is not None:
        raise error
    return round(input, decimals=decimals)


@elementwise(refuse=kernel("frac_cpu", *EXACT, COMPLEX), gradient={"input": lambda grad: grad})
def frac(input: Any, out: Any) -> None:
    """The part after the point, with the sign of the element."""
    np.subtract(input, np.trunc(input), out)


@elementwise(
    refuse=either(
        words(
            "Unlike NumPy, torch.sign is not intended to support complex numbers. Please use "
            "torch.sgn instead.",
            COMPLEX,
            error=NotImplementedError,
        ),
        kernel("sign_cpu", WIDE),
    ),
    exact=only_bool,
    gradient={"input": _flat},
)
def sign(input: Any, out: Any) -> None:
    """−1, 0 or 1; 0 for NaN."""
    if out.dtype.kind == "b":
        np.copyto(out, input)
    elif out.dtype.kind == "u":
        np.copyto(out, input != 0)
    else:
        np.subtract(
            input > 0, input < 0, out, dtype=np.int8, casting="unsafe"
        ) if out.dtype == np.int8 else np.copyto(out, (input > 0).astype(np.int8) - (input < 0))


@elementwise(
    rule=truth,
    inplace=False,
    exact=lambda answer, out: "signbit does not support non-boolean outputs.",
    refuse=words(
        "signbit is not implemented for complex tensors.", COMPLEX, error=NotImplementedError
    ),
    gradient=NoGradient("answers in bool"),
)
def signbit(input: Any) -> Any:
    """Whether the sign bit is set: also for −0.0."""
    return (
        np.signbit(input)
        if input.dtype.kind == "f"
        else input < 0
        if input.dtype.kind == "i"
        else np.zeros(input.shape, bool)
    )


def _copysign_grad(grad: Any, input: Any, out: Any) -> Any:
    ratio = out / input
    return grad * keep(ratio, input != 0)


copysign = pointwise(
    "copysign",
    np.copysign,
    "input other",
    rule=floating,
    tensors="input",
    refuse=kernel("copysign_cpu", COMPLEX),
    gradient={"input": _copysign_grad, "other": lambda grad: F.zeros_like(grad)},
    doc="The size of `input` with the sign of `other`.",
)
nextafter = pointwise(
    "nextafter",
    np.nextafter,
    "input other",
    native=True,
    tensors="input other",
    refuse=kernel("nextafter_cpu", *EXACT, COMPLEX),
    gradient={
        "input": lambda grad, input, other: keep(grad, input != other),
        "other": lambda grad: F.zeros_like(grad),
    },
    doc="The next number after `input` in the direction of `other`.",
)


def _one_dtype(operands: Sequence[Any]) -> None:
    input, values = operands
    if isinstance(input, Tensor) and isinstance(values, Tensor) and input.dtype is not values.dtype:
        raise RuntimeError("heaviside is not yet implemented for tensors with different dtypes.")


@elementwise(
    "input values",
    tensors="input values",
    exact=lambda answer, out: "heaviside is not yet implemented for tensors with different dtypes.",
    refuse=either(
        words("heaviside is not yet implemented for complex tensors.", COMPLEX),
        kernel("heaviside_cpu", WIDE),
    ),
    verify=_one_dtype,
    gradient={"input": unlisted("heaviside"), "values": unlisted("heaviside")},
    backward_name=UNLISTED,
)
def heaviside(input: Any, values: Any) -> Any:
    """0 below zero, 1 above, `values` at zero; 0 for NaN."""
    return np.where(input == 0, values, input > 0).astype(input.dtype)
