"""Exponentials and logarithms, and the sums of them."""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.elementwise.blocks import one_pass
from pellucid.ops.elementwise.pointwise import elementwise, floating, pointwise
from pellucid.ops.elementwise.refusals import COMPLEX, EXACT, kernel

_LN2 = math.log(2)

exp = pointwise(
    "exp", np.exp, rule=floating, gradient={"input": lambda grad, out: grad * conj(out)}
)


@elementwise(
    rule=floating,
    where="torch Tensor special",
    gradient={"input": lambda grad, out: grad * conj(out) * _LN2},
)
@one_pass
def exp2(input: Any, out: Any) -> None:
    """2 to the power of each element."""
    if out.dtype.kind == "c":
        np.exp(np.multiply(input, _LN2, out), out)
    else:
        np.exp2(input, out)


expm1 = pointwise(
    "expm1",
    np.expm1,
    rule=floating,
    where="torch Tensor special",
    gradient={"input": lambda grad, out: grad * (conj(out) + 1)},
    doc="exp(x) − 1, accurate near 0.",
)
log = pointwise(
    "log", np.log, rule=floating, gradient={"input": lambda grad, input: grad / conj(input)}
)
log2 = pointwise(
    "log2",
    np.log2,
    rule=floating,
    gradient={"input": lambda grad, input: grad / (conj(input) * _LN2)},
)
log10 = pointwise(
    "log10",
    np.log10,
    rule=floating,
    gradient={"input": lambda grad, input: grad / (conj(input) * math.log(10))},
)
log1p = pointwise(
    "log1p",
    np.log1p,
    rule=floating,
    where="torch Tensor special",
    gradient={"input": lambda grad, input: grad / conj(input + 1)},
    doc="log(1 + x), accurate near 0.",
)


def _log_add(input: Any, other: Any) -> Any:
    if np.result_type(input, other).kind != "c":
        return np.logaddexp(input, other)
    larger = np.where(np.real(input) >= np.real(other), input, other)
    smaller = np.where(np.real(input) >= np.real(other), other, input)
    same = np.isinf(larger.real) & (larger == smaller)
    return np.where(same, larger, larger + np.log1p(np.exp(smaller - larger)))


logaddexp = pointwise(
    "logaddexp",
    _log_add,
    "input other",
    tensors="input other",
    inplace=False,
    refuse=kernel("logaddexp_cpu", *EXACT),
    gradient={
        "input": lambda grad, input, other: grad / conj(1 + F.exp(other - input)),
        "other": lambda grad, input, other: grad / conj(1 + F.exp(input - other)),
    },
    doc="log(exp(input) + exp(other)) without overflow.",
)
logaddexp2 = pointwise(
    "logaddexp2",
    np.logaddexp2,
    "input other",
    tensors="input other",
    inplace=False,
    refuse=kernel("logaddexp2_cpu", *EXACT, COMPLEX),
    gradient={
        "input": lambda grad, input, other: grad / (1 + F.exp2(other - input)),
        "other": lambda grad, input, other: grad / (1 + F.exp2(input - other)),
    },
    doc="log2(2**input + 2**other) without overflow.",
)
