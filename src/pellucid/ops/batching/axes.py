"""Batching rules of operators along dimensions: the same operator, its dimensions counted one
further.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.batching.rules import UNTOUCHED, Call, rule, shifted
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor


def _each(results: Any, change: Any) -> Any:
    """`change` of a result, or of each of several."""
    if isinstance(results, Tensor):
        return change(results)
    return (
        type(results)(*map(change, results))
        if hasattr(results, "_fields")
        else tuple(map(change, results))
    )


@rule(
    "sum",
    "mean",
    "nansum",
    "amax",
    "amin",
    "all",
    "any",
    "count_nonzero",
    "logsumexp",
    "prod",
    "argmax",
    "argmin",
    "aminmax",
    "var",
    "std",
    "var_mean",
    "std_mean",
    "linalg.vector_norm",
)
def reduction(call: Call) -> Any:
    """Dimensions reduced; None and () are all of an element."""
    value, rank = call.value(call["input"]), call["input"].dim()
    dim, keepdim = call["dim"], bool(call["keepdim"])
    if isinstance(dim, bool) and call.spec.name in ("var", "std", "var_mean", "std_mean"):
        return UNTOUCHED  # the old form var(unbiased)
    dims = None if dim is None else tuple(dim) if isinstance(dim, Sequence) else (dim,)
    rest = {name: v for name, v in call.given.items() if name not in ("input", "dim", "keepdim")}
    if not dims or not rank:
        for each in dims or ():
            shifted(each, rank)
        found = call.run(input=value.reshape(call.size, _count(call)), dim=1, **rest)
        shape = (call.size, *[1] * rank)
        return _each(found, lambda r: r.reshape(shape)) if keepdim and rank else found
    places = tuple(shifted(each, rank) for each in dims)
    several = isinstance(dim, Sequence)
    if "keepdim" in call.spec.parameters:
        rest["keepdim"] = keepdim
    return call.run(input=value, dim=places if several else places[0], **rest)


def _count(call: Call) -> int:
    count = 1
    for size in call["input"].shape:
        count *= size
    return count


@rule("internal.max_all", "internal.min_all", "internal.median_all", "internal.nanmedian_all")
def extreme(call: Call) -> Any:
    """The extreme of all of an element; equal ones share the gradient."""
    flat = call.value(call["input"]).reshape(call.size, _count(call))
    name = call.spec.name.removesuffix("_all")
    if name in ("max", "min"):
        return getattr(F, f"a{name}")(flat, 1)
    return getattr(F, name)(flat, 1)[0]


@rule(
    "internal.max_dim",
    "internal.min_dim",
    "internal.median_dim",
    "internal.nanmedian_dim",
    "kthvalue",
    "mode",
)
def choice(call: Call) -> Any:
    """Values and indices along a dimension, which goes or stays with size 1."""
    value, rank = call.value(call["input"]), call["input"].dim()
    place = shifted(call["dim"], rank)
    if rank:
        return call.rerun(input=value, dim=place)
    return call.rerun(input=value.unsqueeze(1), dim=1, keepdim=False)


@rule(
    "cumsum",
    "cumprod",
    "cummax",
    "cummin",
    "logcumsumexp",
    "internal.sort",
    "internal._softmax",
    "internal._log_softmax",
    "topk",
    "nn.functional.glu",
)
def along(call: Call) -> Any:
    """One dimension, which stays."""
    value, rank = call.value(call["input"]), call["input"].dim()
    place = shifted(call["dim"], rank)
    if rank:
        return call.rerun(input=value, dim=place)
    if call.key == "nn.functional.glu":
        return UNTOUCHED
    return _each(call.rerun(input=value.unsqueeze(1), dim=1), lambda r: r.squeeze(1))


@rule("internal.softmax_backward", "internal.log_softmax_backward")
def softmax_backward(call: Call) -> Any:
    """Two tensors of one shape and the dimension."""
    rank = call["output"].dim()
    grad, output = call.all(call["grad_output"]), call.all(call["output"])
    place = shifted(call["dim"], rank)
    if rank:
        return call.run(grad_output=grad, output=output, dim=place)
    return call.run(grad_output=grad.unsqueeze(1), output=output.unsqueeze(1), dim=1).squeeze(1)


@rule("internal.flip")
def flip(call: Call) -> Any:
    """Dimensions reversed."""
    value, rank = call.value(call["input"]), call["input"].dim()
    dims = call["dims"]
    if not rank:
        return value.clone()
    return call.run(input=value, dims=tuple(shifted(d, rank) for d in _several(dims)))


def _several(dims: Any) -> tuple[int, ...]:
    return tuple(dims) if isinstance(dims, Sequence) else (dims,)


@rule("roll")
def roll(call: Call) -> Any:
    """Dimensions shifted in a circle; without dimensions, all elements in a row."""
    value, rank = call.value(call["input"]), call["input"].dim()
    dims = _several(call["dims"])
    if dims and rank:
        return call.rerun(input=value, dims=tuple(shifted(d, rank) for d in dims))
    flat = value.reshape(call.size, _count(call))
    return F.roll(flat, call["shifts"], 1).reshape(value.shape)


@rule("rot90")
def rot90(call: Call) -> Any:
    """A plane turned."""
    rank = call["input"].dim()
    return call.rerun(dims=tuple(shifted(d, rank) for d in call["dims"]))


@rule("tril", "triu", "constant_pad_nd")
def at_the_end(call: Call) -> Any:
    """What is counted from the last dimension needs no change."""
    if call.key in ("tril", "triu") and call["input"].dim() < 2:
        raise RuntimeError(f"{call.key}: input tensor must have at least 2 dimensions")
    return call.rerun()


@rule("trace")
def trace(call: Call) -> Any:
    """The sum of a diagonal."""
    return F.diagonal(call.value(call["input"]), 0, 1, 2).sum(-1)


@rule("diag_embed")
def diag_embed(call: Call) -> Any:
    """A diagonal in a new plane."""
    value, rank = call.value(call["input"]), call["input"].dim()
    dims = {name: shifted(call[name], rank, 1) for name in ("dim1", "dim2")}
    return call.rerun(input=value, **dims)


@rule("internal.repeat")
def repeat(call: Call) -> Any:
    """Copies side by side, new dimensions behind the batch."""
    repeats = tuple(call["repeats"])
    value = call.aligned(call["input"], len(repeats))
    return call.run(input=value, repeats=(1, *repeats))


# -- joining


@rule("cat")
def cat(call: Call) -> Any:
    """Tensors joined; old empty vectors in between are skipped as ever."""
    tensors = [t for t in call["tensors"] if tuple(t.shape) != (0,)] or list(call["tensors"])
    place = shifted(call["dim"], tensors[0].dim())
    return F.cat([call.all(tensor) for tensor in tensors], place)


@rule("stack")
def stack(call: Call) -> Any:
    """Tensors joined along a new dimension."""
    tensors = call["tensors"]
    place = shifted(call["dim"], tensors[0].dim(), 1 if tensors[0].dim() else 0)
    return F.stack([call.all(tensor) for tensor in tensors], place)


# -- the transposes of views


@rule("internal.embed")
def embed(call: Call) -> Any:
    """A part in a whole of zeros."""
    return call.run(
        part=call.all(call["part"]),
        shape=(call.size, *call["shape"]),
        steps=_steps(call["steps"], len(call["shape"])),
    )


def _steps(steps: tuple[tuple[Any, ...], ...], rank: int) -> tuple[tuple[Any, ...], ...]:
    """Views by name, their dimensions counted one further."""
    found: list[tuple[Any, ...]] = []
    for name, *arguments in steps:
        if name == "diagonal":
            offset, first, second = arguments
            found.append((name, offset, shifted(first, rank), shifted(second, rank)))
            rank -= 1
            continue
        extra = 1 if name == "unsqueeze" and rank else 0
        found.append((name, shifted(arguments[0], rank, extra), *arguments[1:]))
        rank += {"select": -1, "unsqueeze": 1}.get(name, 0)
    return tuple(found)


@rule("internal.unfold_backward")
def unfold_backward(call: Call) -> Any:
    """Windows added up where they came from."""
    rank = len(call["shape"])
    windows = call.all(call["windows"])
    if not rank:
        return UNTOUCHED
    return call.run(
        windows=windows,
        shape=(call.size, *call["shape"]),
        dim=shifted(call["dim"], rank),
        size=call["size"],
        step=call["step"],
    )


@rule("select_scatter", "slice_scatter", "diagonal_scatter")
def scattered(call: Call) -> Any:
    """A part of a copy replaced."""
    rank = call["input"].dim()
    names = ("dim1", "dim2") if call.key == "diagonal_scatter" else ("dim",)
    dims = {name: shifted(call[name], rank) for name in names}
    rest = {k: v for k, v in call.given.items() if k not in ("input", "src", *names)}
    return call.run(input=call.all(call["input"]), src=call.all(call["src"]), **rest, **dims)


@rule("internal.regather")
def regather(call: Call) -> Any:
    """Memory read by other strides: every element has its own stretch of it."""
    layouts = {name: call[name] for name in ("source", "target", "weight")}
    given = [each for each in layouts.values() if each is not None]
    low = min(each.bounds[0] for each in given)
    span = max(each.bounds[1] for each in given) - low

    def moved(layout: Layout) -> Layout:
        shape, strides, offset = layout
        return Layout((call.size, *shape), (span, *strides), offset - low)

    return call.run(
        part=call.all(call["part"]),
        **{name: None if each is None else moved(each) for name, each in layouts.items()},
    )
