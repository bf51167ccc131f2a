"""From a list of samples to one batch: `default_collate`, `default_convert`."""

from __future__ import annotations

import copy
import re
from collections.abc import Callable, Mapping, MutableMapping, MutableSequence, Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.tensor.dtype import float64
from pellucid.tensor.tensor import Tensor

__all__ = ["collate", "default_collate", "default_collate_fn_map", "default_convert"]

CollateMap = dict[type | tuple[type, ...], Callable[..., Any]]

_NO_NUMBERS = re.compile(r"[SaUO]")
_REFUSAL = (
    "default_collate: batch must contain tensors, numpy arrays, numbers, dicts or lists; found {}"
)


def default_convert(data: Any) -> Any:
    """NumPy arrays and numbers as tensors, inside lists, tuples, dicts too; everything else as it
    is.
    """
    kind = type(data)
    if isinstance(data, Tensor):
        return data
    if kind.__module__ == "numpy" and kind.__name__ not in ("str_", "string_"):
        if isinstance(data, np.ndarray) and _NO_NUMBERS.search(data.dtype.str):
            return data
        return ops.as_tensor(data)
    if isinstance(data, Mapping):
        return _mapping_like(data, {key: default_convert(data[key]) for key in data})
    if isinstance(data, tuple) and hasattr(data, "_fields"):
        return kind(*(default_convert(value) for value in data))
    if isinstance(data, tuple):
        return [default_convert(value) for value in data]
    if isinstance(data, Sequence) and not isinstance(data, (str, bytes)):
        return _sequence_like(data, [default_convert(value) for value in data])
    return data


def collate(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Samples as one batch, by the type of the first: the map's function for it, else element by
    element of containers.

    Args:
        batch: a list of samples of one structure.
        collate_fn_map: type (or tuple of types) to `function(batch, *, collate_fn_map)`; the exact
        type is looked up
            first, then `isinstance` decides in the map's order.

    Raises: RuntimeError when sequences differ in length, TypeError for a type that nothing is known
    of.
    """
    sample = batch[0]
    kind = type(sample)
    if collate_fn_map is not None:
        if kind in collate_fn_map:
            return collate_fn_map[kind](batch, collate_fn_map=collate_fn_map)
        for known, function in collate_fn_map.items():
            if isinstance(sample, known):
                return function(batch, collate_fn_map=collate_fn_map)

    def together(values: Any) -> Any:
        return collate(values, collate_fn_map=collate_fn_map)

    if isinstance(sample, Mapping):
        return _mapping_like(sample, {key: together([d[key] for d in batch]) for key in sample})
    if isinstance(sample, tuple) and hasattr(sample, "_fields"):
        return kind(*(together(values) for values in zip(*batch, strict=False)))
    if isinstance(sample, Sequence):
        if any(len(other) != len(sample) for other in batch):
            raise RuntimeError("each element in list of batch should be of equal size")
        columns = [together(values) for values in zip(*batch, strict=False)]
        return columns if isinstance(sample, tuple) else _sequence_like(sample, columns)
    raise TypeError(_REFUSAL.format(kind))


def _mapping_like(original: Any, values: dict[Any, Any]) -> Any:
    """`values` in a mapping of the type of `original`, a dict if that cannot be made."""
    try:
        if isinstance(original, MutableMapping):
            clone = copy.copy(original)
            clone.update(values)
            return clone
        return type(original)(values)
    except TypeError:
        return values


def _sequence_like(original: Any, values: list[Any]) -> Any:
    """`values` in a sequence of the type of `original`, a list if that cannot be made."""
    try:
        if isinstance(original, MutableSequence):
            clone = copy.copy(original)
            for index, value in enumerate(values):
                clone[index] = value
            return clone
        return type(original)(values)
    except TypeError:
        return values


def collate_tensor_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Tensor:
    """Tensors of one shape, stacked along a new first dimension."""
    return ops.stack(batch, 0)


def collate_numpy_array_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Arrays as tensors, stacked."""
    if _NO_NUMBERS.search(batch[0].dtype.str):
        raise TypeError(_REFUSAL.format(batch[0].dtype))
    return collate([ops.as_tensor(array) for array in batch], collate_fn_map=collate_fn_map)


def collate_numpy_scalar_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Tensor:
    """NumPy numbers as a 1-D tensor of their dtype."""
    return ops.as_tensor(batch)


def collate_float_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Tensor:
    """Python floats as a 1-D float64 tensor."""
    return ops.tensor(batch, dtype=float64)


def collate_int_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Tensor:
    """Python ints or bools as a 1-D tensor."""
    return ops.tensor(batch)


def collate_str_fn(batch: Any, *, collate_fn_map: CollateMap | None = None) -> Any:
    """Strings and bytes stay a list."""
    return batch


default_collate_fn_map: CollateMap = {
    Tensor: collate_tensor_fn,
    np.ndarray: collate_numpy_array_fn,
    (np.bool_, np.number, np.object_): collate_numpy_scalar_fn,
    float: collate_float_fn,
    int: collate_int_fn,
    str: collate_str_fn,
    bytes: collate_str_fn,
}


def default_collate(batch: Any) -> Any:
    """Stack samples into a batch: `[(x0, y0), (x1, y1)]` becomes `[stack(x0, x1), stack(y0, y1)]`.

    Tensors, NumPy arrays and numbers gain a first dimension; strings become lists; lists, tuples,
    dicts and named tuples
    are taken apart (a tuple comes back as a list).

    Raises: RuntimeError when sequences differ in length, TypeError for a type that nothing is known
    of.
    """
    return collate(batch, collate_fn_map=default_collate_fn_map)
