"""Writing single elements by index: `scatter`, `scatter_add`, `scatter_reduce`."""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.arguments import integer, tensor, wrong_type
from pellucid.ops.indexing.gathering import along, check_in_range, check_index, flat_places
from pellucid.ops.indexing.reduce_at import REDUCERS, Places, Reducer, reduce_grads, reduce_rows
from pellucid.ops.inplace import MOVED, refuse_shared, scalar_type
from pellucid.ops.memory.memory import as_scalar
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import registry
from pellucid.ops.views.embed import embed
from pellucid.ops.writing import writer
from pellucid.tensor import layout as layouts
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor

_OLD_NAMES = {"add": "sum", "multiply": "prod"}


def _prepared(
    name: str, input: Tensor, dim: Any, index: Any, source: Any
) -> tuple[np.ndarray, tuple[Any, ...], Any]:
    """Target, NumPy key and values (cut to the index's shape); no values if nothing is to do."""
    axis = layouts.normalize_dim(integer(name, "dim", 1, dim), input.ndim)
    check_index(name, index, input)
    if isinstance(source, Tensor) and source.dtype is not input.dtype:
        raise RuntimeError(
            f"{name}(): Expected self.dtype to be equal to src.dtype\n"
            f"  self is {scalar_type(input.dtype)}, src is {scalar_type(source.dtype)}."
        )
    target, places = np.atleast_1d(input._array), np.atleast_1d(index._array)
    if not places.size:
        return target, (), None
    _check_sizes(input, axis, index, source)
    check_in_range(places, axis, target.shape[axis])
    refuse_shared(input, index, source)
    if isinstance(source, Tensor):
        given = np.atleast_1d(source._array)[tuple(slice(size) for size in places.shape)]
    else:
        given = as_scalar(source, input.dtype)
    return target, (places, axis), given


def _check_sizes(input: Tensor, axis: int, index: Tensor, source: Any) -> None:
    shape, places = input._layout.shape or (1,), index._layout.shape or (1,)
    fits = all(p <= s for a, (p, s) in enumerate(zip(places, shape, strict=True)) if a != axis)
    if not isinstance(source, Tensor):
        if not fits:
            raise RuntimeError(
                f"Expected index {list(index._layout.shape)} to be no larger than self "
                f"{list(input._layout.shape)} apart from dimension {axis}"
            )
        return
    given = source._layout.shape or (1,)
    if len(given) != len(places):
        raise RuntimeError("Index tensor must have the same number of dimensions as src tensor")
    if not fits or any(p > g for p, g in zip(places, given, strict=True)):
        raise RuntimeError(
            f"Expected index {list(index._layout.shape)} to be no larger than self "
            f"{list(input._layout.shape)} apart from dimension {axis} and to be no larger size "
            f"than src {list(source._layout.shape)}"
        )


def _reduce_into(
    target: np.ndarray, reducer: Reducer, where: Any, given: Any, include_self: bool
) -> None:
    """Reduce at single elements; a row-major target is addressed flat, which NumPy does fastest."""
    index, axis = where
    values = np.broadcast_to(given, index.shape)
    if target.flags.c_contiguous:
        flat = flat_places(target.shape, index, axis).reshape(-1)
        reduce_rows(reducer, target.reshape(-1), (flat,), values.reshape(-1), include_self)
    else:
        reduce_rows(reducer, target, along(index, axis), values, include_self)


# --- scatter --------------------------------------------------------------------------------------


def _cleared(grad: Tensor, dim: int, index: Tensor) -> Tensor:
    return _scatter(grad, dim, index, 0)


def _read(grad: Tensor, dim: int, index: Tensor, src_layout: Layout | None) -> Tensor | None:
    """The gradient at each source element; zero for those of a source larger than the index.

    PyTorch refuses such sources in its backward pass.
    """
    if src_layout is None:
        return None
    part = grad.gather(dim, index)
    if part._layout.shape == src_layout.shape:
        return part
    cuts = tuple(("slice", axis, None, size, 1) for axis, size in enumerate(part._layout.shape))
    return embed(part, src_layout.shape, cuts)


@writer(
    where="internal",
    name="scatter",
    out=MOVED,
    row_major=True,
    gradient={"input": _cleared, "src": _read},
)
def _scatter(input: Tensor, dim: int, index: Tensor, src: Any) -> None:
    """Write the elements of `src` (or a number) at `index` along `dim`."""
    target, where, given = _prepared("scatter", input, dim, index, src)
    if given is None:
        return
    if target.flags.c_contiguous:
        target.reshape(-1)[flat_places(target.shape, *where)] = given
    else:
        target[along(*where)] = given


def _no_derivative() -> None:
    raise RuntimeError(
        "derivative for aten::scatter is not implemented\n"
        "  scatter(reduce=...) has none; scatter_reduce, which replaces it, does."
    )


@writer(
    where="internal",
    name="scatter_old_reduce",
    out=MOVED,
    row_major=True,
    gradient={"input": lambda grad: _no_derivative(), "src": lambda grad: _no_derivative()},
)
def _scatter_old_reduce(input: Tensor, dim: int, index: Tensor, src: Any, reduce: str) -> None:
    """`scatter(reduce="add")`: the older form of `scatter_reduce`, which has no gradient."""
    if reduce not in _OLD_NAMES:
        raise RuntimeError("reduce argument must be either add or multiply.")
    target, where, given = _prepared("scatter", input, dim, index, src)
    if given is not None:
        _reduce_into(target, REDUCERS[_OLD_NAMES[reduce]], where, given, True)


def _source(src: Any, value: Any) -> Any:
    given = src if value is None else value
    if not isinstance(given, (Tensor, bool, int, float, complex)):
        raise wrong_type("scatter", "src", 3, "Tensor or Number", given)
    return given


def scatter(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
    out: Tensor | None = None,
) -> Tensor:
    """A copy with the elements of `src` (or `value`) at `index` along `dim`.

    For `dim=0`: `out[index[i][j]][j] = src[i][j]`. Of several writes to one place the last stays;
    `reduce` "add" or "multiply" combines them instead (`scatter_reduce` does more).
    """
    given = _source(src, value)
    keep = {} if out is None else {"out": out}
    if reduce is None:
        return _scatter(input, dim, index, given, **keep)
    return _scatter_old_reduce(input, dim, index, given, reduce, **keep)


def _scatter_in_place(
    self: Tensor,
    dim: int,
    index: Tensor,
    src: Any = None,
    *,
    value: Any = None,
    reduce: str | None = None,
) -> Tensor:
    """In-place form of `scatter`: writes into this tensor and returns it."""
    given = _source(src, value)
    if reduce is None:
        return _scatter.in_place(self, dim, index, given)  # type: ignore[attr-defined]
    return _scatter_old_reduce.in_place(self, dim, index, given, reduce)  # type: ignore[attr-defined]


registry.put("torch", "scatter", guarded_as("torch.scatter", scatter))
registry.put("Tensor", "scatter", guarded_as("Tensor.scatter", scatter))
registry.put("Tensor", "scatter_", guarded_as("Tensor.scatter_", _scatter_in_place))


@writer(out=MOVED, row_major=True, gradient={"input": lambda grad: grad, "src": _read})
def scatter_add(input: Tensor, dim: int, index: Tensor, src: Tensor) -> None:
    """Add the elements of `src` at `index` along `dim`, every one of them."""
    tensor("scatter_add", "src", 3, src)
    target, where, given = _prepared("scatter", input, dim, index, src)
    if given is not None:
        _reduce_into(target, REDUCERS["sum"], where, given, True)


def _reduce_grads(
    grad: Tensor,
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    include_self: bool,
    out: Tensor,
) -> tuple[Tensor, Tensor]:
    places = Places(
        read=lambda whole: whole.gather(dim, index),
        add=lambda whole, values: whole.scatter_add(dim, index, values),
        combine=lambda whole, values: whole.scatter_reduce(
            dim, index, values, reduce, include_self=include_self
        ),
        clear=lambda whole: _scatter(whole, dim, index, 0),
    )
    return reduce_grads(grad, input, src, out, reduce, include_self, places)


@writer(out=MOVED, row_major=True, gradient={("input", "src"): _reduce_grads})
def scatter_reduce(
    input: Tensor,
    dim: int,
    index: Tensor,
    src: Tensor,
    reduce: str,
    *,
    include_self: bool = True,
) -> None:
    """Reduce the elements of `src` at `index` along `dim` by sum, prod, mean, amax or amin.

    With `include_self=False` the old values at those places do not take part.
    """
    if reduce not in REDUCERS:
        raise RuntimeError(
            "reduce argument must be either sum, prod, mean, amax or amin, got " + str(reduce)
        )
    tensor("scatter_reduce", "src", 3, src)
    target, where, given = _prepared("scatter", input, dim, index, src)
    if given is not None:
        _reduce_into(target, REDUCERS[reduce], where, given, include_self)
