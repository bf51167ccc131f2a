"""`vmap`: a function of one element, applied to all elements of a batch at once."""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.random import get_rng_state, set_rng_state
from pellucid.tensor.levels import Batched, Level, entered, wrap
from pellucid.tensor.tensor import Tensor
from pellucid.utils._pytree import (
    TreeSpec,
    _broadcast_to_and_flatten,
    tree_flatten,
    tree_map_,
    tree_unflatten,
)

Function = Callable[..., Any]


def vmap(
    func: Function,
    in_dims: Any = 0,
    out_dims: Any = 0,
    randomness: str = "error",
    *,
    chunk_size: int | None = None,
) -> Function:
    """A function that applies `func` along a dimension of its inputs.

    Args:
        in_dims: for each positional argument the dimension that counts the elements, or None for
            one that all share; nested as the arguments are. An int stands for all.
        out_dims: where that dimension goes in the outputs.
        randomness: what random operators do inside: "error", "same" numbers for all elements, or
            "different" ones.
        chunk_size: compute so many elements at once, at most.

    Raises: ValueError for dimensions that do not fit the inputs.
    """
    _check_randomness(randomness)
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError(f"vmap: chunk_size should be None or greater than 0. (got {chunk_size})")

    @functools.wraps(func)
    def mapped(*args: Any, **kwargs: Any) -> Any:
        _check_out_dims(out_dims, func)
        size, dims, flat, spec = _inputs(in_dims, args, func)
        run = functools.partial(_map_flat, func, dims, spec, out_dims, randomness, kwargs)
        if chunk_size is None or size <= chunk_size:
            return run(flat, size)
        return _in_chunks(run, flat, dims, size, chunk_size, out_dims, randomness)

    return mapped


def _check_randomness(randomness: str) -> None:
    if randomness not in ("error", "different", "same"):
        raise RuntimeError(
            "Only allowed values for randomness are 'error', 'different', or 'same'. Got "
            f"{randomness}"
        )


def name_of(func: Function) -> str:
    """The function's name in messages."""
    if hasattr(func, "__name__"):
        return str(func.__name__)
    if isinstance(func, functools.partial):
        return f"functools.partial({name_of(func.func)}, ...)"
    return repr(func)


def _check_out_dims(out_dims: Any, func: Function) -> None:
    def check(dim: Any) -> None:
        if not (dim is None or isinstance(dim, int)):
            raise ValueError(
                f"vmap({name_of(func)}, ..., out_dims={out_dims}): `out_dims` must be an int, None "
                "or a python collection of ints representing where in the outputs the vmapped "
                "dimension should appear."
            )

    tree_map_(check, out_dims)


def _inputs(
    in_dims: Any, args: tuple[Any, ...], func: Function
) -> tuple[int, list[int | None], list[Any], TreeSpec]:
    """The size of the batch, and each leaf of the arguments with its dimension."""
    words = f"vmap({name_of(func)}, in_dims={in_dims}, ...)(<inputs>): "
    if not isinstance(in_dims, (int, tuple)):
        raise ValueError(
            f"{words}expected `in_dims` to be int or a (potentially nested) tuple matching the "
            f"structure of inputs, got: {type(in_dims)}."
        )
    if not args:
        raise ValueError(
            f"vmap({name_of(func)})(<inputs>): got no inputs. Maybe you forgot to add inputs, or "
            "you are trying to vmap over a function with no inputs. The latter is unsupported."
        )
    flat, spec = tree_flatten(args)
    dims = _broadcast_to_and_flatten(in_dims, spec)
    if dims is None:
        raise ValueError(
            f"{words}in_dims is not compatible with the structure of `inputs`. in_dims has "
            f"structure {tree_flatten(in_dims)[1]} but inputs has structure {spec}."
        )
    found: list[int | None] = []
    for arg, dim in zip(flat, dims, strict=True):
        if dim is None:
            found.append(None)
            continue
        if not isinstance(dim, int):
            raise ValueError(
                f"{words}Got in_dim={dim} for an input but in_dim must be either an integer "
                "dimension or None."
            )
        if not isinstance(arg, Tensor):
            raise ValueError(
                f"{words}Got in_dim={dim} for an input but the input is of type {type(arg)}. We "
                "cannot vmap over non-Tensor arguments, please use None as the respective in_dim"
            )
        if not -arg.dim() <= dim < arg.dim():
            raise ValueError(
                f"{words}Got in_dim={dim} for some input, but that input is a Tensor of "
                f"dimensionality {arg.dim()} so expected in_dim to satisfy -{arg.dim()} <= in_dim "
                f"< {arg.dim()}."
            )
        found.append(dim % arg.dim())
    return _size(flat, found), found, flat, spec


def _size(flat: Sequence[Any], dims: Sequence[int | None]) -> int:
    sizes = [arg.size(dim) for arg, dim in zip(flat, dims, strict=True) if dim is not None]
    if not sizes:
        raise ValueError("vmap: Expected at least one Tensor to vmap over")
    if any(size != sizes[0] for size in sizes):
        raise ValueError(
            "vmap: Expected all tensors to have the same size in the mapped dimension, got sizes "
            f"{sizes} for the mapped dimension"
        )
    return int(sizes[0])


def _map_flat(
    func: Function,
    dims: Sequence[int | None],
    spec: TreeSpec,
    out_dims: Any,
    randomness: str,
    kwargs: dict[str, Any],
    flat: Sequence[Any],
    size: int,
) -> Any:
    outside = [
        arg if dim in (None, 0) else arg.movedim(dim, 0)
        for arg, dim in zip(flat, dims, strict=True)
    ]
    with entered(size, randomness, state.grad) as level:
        given = [
            arg if dim is None else wrap(arg, level) for arg, dim in zip(outside, dims, strict=True)
        ]
        outputs = func(*tree_unflatten(given, spec), **kwargs)
    return _unwrapped(outputs, out_dims, level, func)


def _unwrapped(outputs: Any, out_dims: Any, level: Level, func: Function) -> Any:
    flat, spec = tree_flatten(outputs)
    if isinstance(outputs, Tensor):
        single = isinstance(out_dims, int) or out_dims is None
        dims = [out_dims] if single else list(out_dims) if len(out_dims) == 1 else None
    else:
        dims = _broadcast_to_and_flatten(out_dims, spec)
    if dims is None:
        raise ValueError(
            f"vmap({name_of(func)}, ..., out_dims={out_dims})(<inputs>): out_dims is not "
            "compatible with the structure of `outputs`. out_dims has structure "
            f"{tree_flatten(out_dims)[1]} but outputs has structure {spec}."
        )
    name = name_of(func)
    return tree_unflatten(
        [_outside(value, dim, level, name) for value, dim in zip(flat, dims, strict=True)], spec
    )


def _outside(value: Any, dim: int | None, level: Level, name: str) -> Any:
    """An output as a tensor of all elements."""
    mine = isinstance(value, Batched) and value._level is level
    if dim is None:
        if mine and value._batched:
            raise ValueError(
                f"vmap({name}, ...): `{name}` can not return a BatchedTensor when out_dim is None"
            )
        return value._value if mine else value
    if not isinstance(value, Tensor):
        raise ValueError(
            f"vmap({name}, ...): `{name}` must only return Tensors, got type {type(value)}. Did "
            "you mean to set out_dims= to None for output?"
        )
    batched = mine and value._batched
    found: Tensor = value._value if mine else value
    rank = found.dim() + (not batched)
    if not -rank <= dim < rank:
        raise IndexError(
            f"Dimension out of range (expected to be in range of [{-rank}, {rank - 1}], but got "
            f"{dim})"
        )
    if not batched:
        found = found.unsqueeze(0).expand(level.size, *found.shape)
    return found if dim % rank == 0 else found.movedim(0, dim)


def _in_chunks(
    run: Function,
    flat: Sequence[Any],
    dims: Sequence[int | None],
    size: int,
    chunk_size: int,
    out_dims: Any,
    randomness: str,
) -> Any:
    """A part of the batch after the other, and the results joined."""
    seed = get_rng_state() if randomness == "same" else None
    chunks = []
    for start in range(0, size, chunk_size):
        count = min(chunk_size, size - start)
        part = [
            arg if dim is None else arg.narrow(dim, start, count)
            for arg, dim in zip(flat, dims, strict=True)
        ]
        if seed is not None:
            set_rng_state(seed)
        chunks.append(tree_flatten(run(part, count)))
    spec = chunks[0][1]
    places = _broadcast_to_and_flatten(out_dims, spec) or [out_dims[0]]
    columns = zip(*(leaves for leaves, _ in chunks), strict=True)
    joined = [
        column[0] if dim is None else F.cat(column, dim)
        for column, dim in zip(columns, places, strict=True)
    ]
    return tree_unflatten(joined, spec)
