"""Reducing values into places that may be named several times, for `scatter_reduce` and its kin."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, NamedTuple

import numpy as np

from pellucid.ops.api import F
from pellucid.tensor.tensor import Tensor


class Reducer(NamedTuple):
    """A ufunc with its neutral element; `averaged` divides by the number of values afterwards."""

    ufunc: np.ufunc
    neutral: Callable[[np.dtype[Any]], Any]
    averaged: bool = False


def _lowest(kind: np.dtype[Any]) -> Any:
    return False if kind.kind == "b" else np.iinfo(kind).min if kind.kind in "iu" else -np.inf


def _highest(kind: np.dtype[Any]) -> Any:
    return True if kind.kind == "b" else np.iinfo(kind).max if kind.kind in "iu" else np.inf


REDUCERS = {
    "sum": Reducer(np.add, lambda kind: 0),
    "prod": Reducer(np.multiply, lambda kind: 1),
    "mean": Reducer(np.add, lambda kind: 0, True),
    "amax": Reducer(np.maximum, _lowest),
    "amin": Reducer(np.minimum, _highest),
}


def reduce_rows(
    reducer: Reducer,
    target: np.ndarray,
    key: tuple[Any, ...],
    values: np.ndarray,
    include_self: bool,
) -> None:
    """`target[key] = ufunc(target[key], values)`, place after place, repeated ones included.

    `key` holds integer arrays from the first axis on. Without `include_self` the places named
    start from the neutral element.
    """
    if not values.size:
        return
    if not include_self:
        target[key] = reducer.neutral(target.dtype)
    with np.errstate(all="ignore"):
        reducer.ufunc.at(target, key, values)
        if reducer.averaged:
            counts = np.full(target.shape[: len(key)], int(include_self), np.int64)
            np.add.at(counts, key, 1)
            if include_self:
                counts = np.maximum(counts, 1)
            else:
                counts[counts == 0] = 1
            counts = counts.reshape(counts.shape + (1,) * (target.ndim - len(key)))
            if target.dtype.kind in "iu":
                np.floor_divide(target, counts, out=target, casting="unsafe")
            else:
                np.divide(target, counts.astype(target.real.dtype), out=target, casting="unsafe")


# --- gradients ------------------------------------------------------------------------------------


class Places(NamedTuple):
    """The places of one reduction as operators: what the gradients are written with."""

    read: Callable[[Tensor], Tensor]
    """What stands at the place of each source element."""
    add: Callable[[Tensor, Tensor], Tensor]
    """The first tensor with the second added at the places."""
    combine: Callable[[Tensor, Tensor], Tensor]
    """The reduction itself."""
    clear: Callable[[Tensor], Tensor]
    """Zeros at the places."""


def reduce_grads(
    grad: Tensor,
    input: Tensor,
    source: Tensor,
    out: Tensor,
    reduce: str,
    include_self: bool,
    places: Places,
) -> tuple[Tensor, Tensor]:
    """Gradients of input and source: ties share, means divide, products leave one factor out."""
    if reduce == "sum":
        own, given = grad, places.read(grad)
    elif reduce == "prod":
        own, given = _prod_grads(grad, input, source, out, places)
    elif reduce == "mean":
        start = F.ones_like(grad) if include_self else F.zeros_like(grad)
        counts = places.add(start, F.ones_like(source))
        own = grad / counts.masked_fill(counts == 0, 1)
        given = places.read(own)
    else:
        mine = (input == out).to(grad.dtype)
        theirs = (source == places.read(out)).to(grad.dtype)
        share = grad / places.add(mine, theirs)
        own, given = mine * share, theirs * places.read(share)
    return (own if include_self else places.clear(own)), given


def _prod_grads(
    grad: Tensor, input: Tensor, source: Tensor, out: Tensor, places: Places
) -> tuple[Tensor, Tensor]:
    """The product of the other factors, found by division where no factor is zero."""
    ones = input.masked_fill(input == 0, 1)
    own = grad * places.combine(ones, source) / ones
    zero = source == 0
    count = places.read(places.add(F.zeros_like(input), zero.to(input.dtype)))
    alone = zero & (count == 1)
    others = places.combine(input, source.masked_fill(alone, 1))
    quotient = places.read(grad * out) / source.masked_fill(zero, 1)
    return own, F.where(alone, places.read(grad * others), quotient)
