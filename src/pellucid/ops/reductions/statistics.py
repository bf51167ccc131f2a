"""Variance and its relatives: `var`, `std`, `var_mean`, `std_mean`, `cov`, `corrcoef`.

The variance is taken in two passes: the mean, then the squares of the distances from it, less what
the rounded mean left over. PyTorch's `unbiased=False` is `correction=0`.
"""

from __future__ import annotations

import math
import warnings
from collections.abc import Callable
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.inplace import copy_array
from pellucid.ops.quiet import quiet, restore
from pellucid.ops.reductions.reduce import Plan, add_up, plan_of, unreduce, work_array
from pellucid.tensor.dtype import COMPLEX, FLOATING, INTEGER
from pellucid.tensor.tensor import Tensor, empty


def _settings(dim: Any, unbiased: Any, correction: Any) -> tuple[Any, float]:
    """The dimensions and the correction of a call: `var(x, False)` means `unbiased=False`."""
    if isinstance(dim, bool):
        return None, float(dim)
    if correction is None:
        correction = 1 if unbiased is None else int(unbiased)
    return dim, correction


def _squares(array: np.ndarray, mean: np.ndarray, plan: Plan) -> np.ndarray:
    """The sums of the squared distances from `mean`, corrected for the rounding of `mean`."""
    distance = np.asarray(array - mean)
    total, left = np.empty(plan.kept, mean.dtype), np.empty(plan.kept, mean.dtype)
    add_up(distance, plan.axes, left)
    np.multiply(distance, distance, out=distance)
    add_up(distance, plan.axes, total)
    total -= left * left / max(plan.each, 1)
    return np.maximum(total, 0, out=total)


def _moments(array: np.ndarray, plan: Plan) -> tuple[np.ndarray, np.ndarray]:
    """Means and sums of squared distances, real and imaginary parts together."""
    mean = np.empty(plan.kept, array.dtype)
    add_up(array, plan.axes, mean)
    mean /= plan.each
    if array.dtype.kind != "c":
        return mean, _squares(array, mean, plan)
    parts = [_squares(getattr(array, p), getattr(mean, p), plan) for p in ("real", "imag")]
    return mean, parts[0] + parts[1]


def _compute(
    name: str, input: Tensor, dim: Any, unbiased: Any, keepdim: bool, correction: Any, root: bool
) -> tuple[Tensor, Tensor]:
    """The variance (or deviation, if `root`) and the mean."""
    d = input.dtype
    if d.category < FLOATING:
        raise RuntimeError(
            "std and var only support floating point and complex dtypes\n"
            f"  The input is {d}: convert it with .float() first."
        )
    dim, correction = _settings(dim, unbiased, correction)
    plan = plan_of(input, dim, keepdim, name)
    freedom = plan.each - correction
    if freedom <= 0:
        warnings.warn(
            f"{name}(): degrees of freedom is <= 0. Correction should be strictly less than the "
            "reduction factor (input numel divided by output numel).",
            UserWarning,
            stacklevel=6,
        )
    token = quiet()
    try:
        mean, total = _moments(work_array(input, d), plan)
        total /= total.dtype.type(max(freedom, 0))
        if root:
            np.sqrt(total, out=total)
    finally:
        restore(token)
    spread, centre = empty(plan.layout, d.to_real()), empty(plan.layout, d)
    copy_array(spread._array, total.reshape(plan.layout.shape))
    copy_array(centre._array, mean.reshape(plan.layout.shape))
    return spread, centre


def _var_grad(
    grad: Any, input: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any
) -> Any:
    dim, correction = _settings(dim, unbiased, correction)
    if dim is None or not input.dim():
        freedom = input.numel() - correction
        distance = input - input.mean()
        if freedom <= 0:
            return grad * F.where(distance == 0, math.nan, math.inf)
        return (2.0 / freedom) * grad * distance
    plan = plan_of(input, dim, keepdim, "var")
    freedom = plan.each - correction
    factor = 2.0 / freedom if freedom else math.inf
    grad = unreduce(grad, input.shape, dim, keepdim)
    return (factor * grad) * (input - input.mean(dim, keepdim=True))


def _std_grad(
    grad: Any, input: Any, out: Any, dim: Any, unbiased: Any, keepdim: bool, correction: Any
) -> Any:
    grad = (grad / (out * 2)).masked_fill(out == 0, 0)
    return _var_grad(grad, input, dim, unbiased, keepdim, correction)


_DOC = """over `dim` (all dimensions if None), with the sum of squares divided by N - `correction`.

    `unbiased=True` is `correction=1`, the default. Complex numbers give a real result.
    """


@operator(out=True, gradient={"input": _var_grad})
def var(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> Tensor:
    return _compute("var", input, dim, unbiased, keepdim, correction, False)[0]


@operator(out=True, gradient={"input": _std_grad})
def std(
    input: Tensor,
    dim: Any = None,
    unbiased: Any = None,
    keepdim: bool = False,
    *,
    correction: Any = None,
) -> Tensor:
    return _compute("std", input, dim, unbiased, keepdim, correction, True)[0]


var.__doc__, std.__doc__ = "The variance " + _DOC, "The standard deviation " + _DOC


def _with_mean(name: str, root: bool) -> Callable[..., Any]:
    """`var_mean` or `std_mean`: spread and mean from one pass over the data."""

    def gradient(
        grads: Any,
        input: Any,
        outs: Any,
        dim: Any,
        unbiased: Any,
        keepdim: bool,
        correction: Any,
    ) -> Any:
        total = None
        if grads[0] is not None:
            if root:
                total = _std_grad(grads[0], input, outs[0], dim, unbiased, keepdim, correction)
            else:
                total = _var_grad(grads[0], input, dim, unbiased, keepdim, correction)
        if grads[1] is not None:
            dim = _settings(dim, unbiased, correction)[0]
            plan = plan_of(input, dim, keepdim, name)
            part = unreduce(grads[1], input.shape, dim, keepdim).expand(input.shape) / plan.each
            total = part if total is None else total + part
        return total

    def body(
        input: Tensor,
        dim: Any = None,
        unbiased: Any = None,
        keepdim: bool = False,
        *,
        correction: Any = None,
    ) -> tuple[Tensor, Tensor]:
        return _compute(name, input, dim, unbiased, keepdim, correction, root)

    body.__name__ = name
    body.__doc__ = f"`({name[:3]}, mean)` {_DOC}"
    return operator(where="torch", gradient={"input": gradient})(body)


var_mean = _with_mean("var_mean", False)
std_mean = _with_mean("std_mean", True)


# --- covariance -----------------------------------------------------------------------------------


def _check_weights(name: str, weights: Tensor, count: int, integral: bool) -> None:
    if weights.dim() > 1:
        raise RuntimeError(f"cov(): expected {name} to have one or fewer dimensions")
    kinds = "integral" if integral else "floating point"
    if (weights.dtype.category == INTEGER) is not integral or weights.dtype.category == COMPLEX:
        raise RuntimeError(f"cov(): expected {name} to have {kinds} dtype")
    if weights.numel() != count:
        raise RuntimeError(
            f"cov(): expected {name} to have the same numel as there are observations in the input "
            f"but got {weights.numel()} != {count}"
        )
    if bool((weights < 0).any()):
        raise RuntimeError(f"cov(): {name} cannot be negative")


@composite()
def cov(
    input: Tensor,
    *,
    correction: int = 1,
    fweights: Tensor | None = None,
    aweights: Tensor | None = None,
) -> Tensor:
    """The covariance matrix of variables (rows) over observations (columns).

    `fweights` counts each observation several times, `aweights` gives it a weight.
    """
    if input.dim() > 2:
        raise RuntimeError(
            "cov(): expected input to have two or fewer dimensions but got an input with "
            f"{input.dim()} dimensions"
        )
    if input.dtype.category == 0:
        raise RuntimeError("cov(): bool dtype is not supported for input")
    rows = input.unsqueeze(0) if input.dim() < 2 else input
    if not input.dim():
        rows = rows.unsqueeze(0)
    count = rows.shape[1]
    weights = None
    if fweights is not None:
        _check_weights("fweights", fweights, count, True)
        weights = fweights
    if aweights is not None:
        _check_weights("aweights", aweights, count, False)
        weights = aweights if weights is None else fweights * aweights
    total = count if weights is None else weights.sum()
    if weights is not None and not bool(total):
        raise RuntimeError("cov(): weights sum to zero, can't be normalized")
    if weights is None:
        mean = rows.sum(1, keepdim=True) / count if count else rows.sum(1, keepdim=True) / 0.0
    else:
        mean = (rows * weights).sum(1, keepdim=True) / total
    norm: Any
    if weights is None:
        norm = count - correction
    elif aweights is None or not correction:
        norm = total - correction
    else:
        norm = total - correction * (weights * aweights).sum() / total
    if float(norm) <= 0:
        warnings.warn(
            "cov(): degrees of freedom is <= 0. Correction should be strictly less than "
            "the number of observations.",
            UserWarning,
            stacklevel=2,
        )
        norm = F.zeros_like(norm) if isinstance(norm, Tensor) else 0
    distance = rows - mean
    weighted = distance if weights is None else distance * weights
    return _divided(distance.mm(conj(weighted.t())), norm).squeeze()


def _divided(matrix: Tensor, norm: Any) -> Tensor:
    if isinstance(norm, Tensor):
        return matrix / norm
    return matrix / F.tensor(float(norm), dtype=matrix.dtype.to_real())


@composite()
def corrcoef(input: Tensor) -> Tensor:
    """The correlation coefficients of variables (rows) over observations (columns)."""
    if input.dim() > 2:
        raise RuntimeError(
            "corrcoef(): expected input to have two or fewer dimensions but got an input with "
            f"{input.dim()} dimensions"
        )
    covariance = cov(input)
    if not covariance.dim():
        return covariance / covariance
    variances = covariance.diagonal()
    if covariance.is_complex():
        variances = F.real(variances)
    deviations = variances.sqrt()
    found = covariance / deviations.unsqueeze(1) / deviations.unsqueeze(0)
    if not found.is_complex():
        return found.clip(-1, 1)
    return F.complex(F.real(found).clip(-1, 1), F.imag(found).clip(-1, 1))
