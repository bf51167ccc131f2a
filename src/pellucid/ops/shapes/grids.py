"""More dimensions and grids: `atleast_2d`, `hstack`, `meshgrid`, `cartesian_prod`, …"""

from __future__ import annotations

import itertools
import warnings
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.ops.arguments import tensors as as_list
from pellucid.ops.dispatch import composite
from pellucid.ops.indexing.brackets import index_read
from pellucid.ops.shapes.joining import JOINED, cat, stack
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor, adopt, empty


def _each(raised: Callable[[Tensor], Tensor], given: tuple[Any, ...]) -> Any:
    """Apply to one tensor, or to each of several (given one by one or as a list)."""
    if len(given) == 1 and isinstance(given[0], Tensor):
        return raised(given[0])
    several = given[0] if len(given) == 1 and isinstance(given[0], (list, tuple)) else given
    return tuple(raised(each) for each in as_list("atleast", list(several)))


def _at_least_1(input: Tensor) -> Tensor:
    return input if input.ndim else input.reshape(1)


def _at_least_2(input: Tensor) -> Tensor:
    if input.ndim >= 2:
        return input
    return input.unsqueeze(0) if input.ndim else input.reshape(1, 1)


def _at_least_3(input: Tensor) -> Tensor:
    if input.ndim >= 3:
        return input
    if input.ndim == 2:
        return input.unsqueeze(-1)
    return input.unsqueeze(0).unsqueeze(-1) if input.ndim else input.reshape(1, 1, 1)


@composite(where="torch")
def atleast_1d(*tensors: Any) -> Any:
    """The tensor with at least 1 dimension, or a tuple if several are given."""
    return _each(_at_least_1, tensors)


@composite(where="torch")
def atleast_2d(*tensors: Any) -> Any:
    """The tensor with at least 2 dimensions: a vector becomes a row."""
    return _each(_at_least_2, tensors)


@composite(where="torch")
def atleast_3d(*tensors: Any) -> Any:
    """The tensor with at least 3 dimensions: (N,) becomes (1, N, 1) and (M, N) (M, N, 1)."""
    return _each(_at_least_3, tensors)


# --- stacking by NumPy's names --------------------------------------------------------------------


def _given(name: str, tensors: Any) -> list[Tensor]:
    found = as_list(name, tensors)
    if not found:
        raise RuntimeError(f"{name} expects a non-empty TensorList")
    return found


@composite(where="torch", out=JOINED)
def hstack(tensors: Any) -> Tensor:
    """Join along dimension 1 (vectors along their only one)."""
    raised = [_at_least_1(each) for each in _given("hstack", tensors)]
    return cat(raised, 0 if raised[0].ndim == 1 else 1)


@composite(where="torch", out=JOINED, aliases=("row_stack",))
def vstack(tensors: Any) -> Tensor:
    """Join along dimension 0; vectors are rows."""
    return cat([_at_least_2(each) for each in _given("vstack", tensors)], 0)


@composite(where="torch", out=JOINED)
def dstack(tensors: Any) -> Tensor:
    """Join along dimension 2, which is added where it is missing."""
    return cat([_at_least_3(each) for each in _given("dstack", tensors)], 2)


@composite(where="torch", out=JOINED)
def column_stack(tensors: Any) -> Tensor:
    """Join along dimension 1; vectors are columns."""
    found = _given("column_stack", tensors)
    return hstack([each.reshape(each.numel(), 1) if each.ndim <= 1 else each for each in found])


# --- grids ----------------------------------------------------------------------------------------


@composite(where="torch")
def meshgrid(*tensors: Any, indexing: str | None = None) -> tuple[Tensor, ...]:
    """Vectors as grids (views): the i-th varies along dimension i ("ij"), or as in plots ("xy")."""
    single = len(tensors) == 1 and isinstance(tensors[0], (list, tuple))
    given = as_list("meshgrid", list(tensors[0] if single else tensors))
    if indexing is None:
        warnings.warn(
            "torch.meshgrid: in an upcoming release, it will be required to pass the indexing "
            "argument.",
            UserWarning,
            stacklevel=2,
        )
    if not given:
        raise RuntimeError("meshgrid expects a non-empty TensorList")
    for each in given:
        if each.ndim > 1:
            raise RuntimeError(
                f"torch.meshgrid: Expected 0D or 1D tensor in the tensor list but got: {each}"
            )
        if each.dtype is not given[0].dtype:
            raise RuntimeError("meshgrid expects all tensors to have the same dtype")
    if indexing not in (None, "ij", "xy"):
        raise RuntimeError(
            f'torch.meshgrid: indexing must be one of "xy" or "ij", but received: {indexing}'
        )
    swapped = indexing == "xy" and len(given) >= 2
    if swapped:
        given[0], given[1] = given[1], given[0]
    shape = tuple(each.numel() for each in given)
    grids = []
    for axis, each in enumerate(given):
        own = [1] * len(given)
        own[axis] = shape[axis]
        grids.append(each.view(own).expand(shape))
    if swapped:
        grids[0], grids[1] = grids[1], grids[0]
    return tuple(grids)


def _vectors(given: Sequence[Tensor]) -> None:
    for each in given:
        if each.ndim != 1:
            raise RuntimeError(f"Expect a 1D vector, but got shape {list(each.shape)}")


@composite(where="torch")
def cartesian_prod(*tensors: Any) -> Tensor:
    """Every combination of one element of each vector, one in a row, the last varying fastest."""
    single = len(tensors) == 1 and isinstance(tensors[0], (list, tuple))
    given = as_list("cartesian_prod", list(tensors[0] if single else tensors))
    _vectors(given)
    if len(given) == 1:
        return given[0]
    return stack([grid.flatten() for grid in meshgrid(given, indexing="ij")], 1)


@composite(where="torch")
def combinations(input: Tensor, r: int = 2, with_replacement: bool = False) -> Tensor:
    """Every choice of `r` elements of a vector, one in a row, in the order of their indices."""
    _vectors([input])
    if r < 0:
        raise RuntimeError(f"Expect a non-negative number, but got {r}")
    if r == 0:
        return empty(contiguous((0,)), input.dtype)
    choose = itertools.combinations_with_replacement if with_replacement else itertools.combinations
    chosen = np.array(list(choose(range(input.numel()), r)), np.int64).reshape(-1, r)
    return index_read(input, (adopt(chosen),))
