"""Batching rules of views: the same view of the values, its dimensions counted one further."""

from __future__ import annotations

from math import prod
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.batching.rules import Call, rule, shifted
from pellucid.tensor.layout import infer_shape
from pellucid.tensor.tensor import Tensor


def _input(call: Call) -> tuple[Tensor, int]:
    return call.value(call["input"]), call["input"].dim()


@rule("internal.alias", "view_as_complex", "view_as_real", "_conj", "_neg_view")
def same(call: Call) -> Any:
    """Nothing moves, or only at the end."""
    return call.rerun()


@rule("as_strided")
def as_strided(call: Call) -> Any:
    """The strides an element asks for, and the batch's own in front."""
    value, _ = _input(call)
    offset = call["storage_offset"]
    if offset is None:
        offset = value.storage_offset()
    batch = value.stride(0)
    return F.as_strided(value, (call.size, *call["size"]), (batch, *call["stride"]), offset)


@rule("select")
def select(call: Call) -> Any:
    """One index of a dimension."""
    value, rank = _input(call)
    if not rank:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    return F.select(value, shifted(call["dim"], rank), call["index"])


@rule(
    "internal.slice",
    "internal.split",
    "internal.split_with_sizes",
    "unbind",
    "unsafe_split",
    "unsafe_split_with_sizes",
)
def along(call: Call) -> Any:
    """Parts along a dimension."""
    _, rank = _input(call)
    return call.rerun(dim=shifted(call["dim"], rank))


@rule("diagonal")
def diagonal(call: Call) -> Any:
    """Two dimensions become their diagonal, at the end."""
    _, rank = _input(call)
    dims = {name: shifted(call[name], rank) for name in ("dim1", "dim2")}
    return call.rerun(**dims)


@rule("internal.permute")
def permute(call: Call) -> Any:
    """The batch stays in front."""
    value, rank = _input(call)
    return value.permute((0, *(shifted(dim, rank) for dim in call["dims"])))


@rule("transpose")
def transpose(call: Call) -> Any:
    """Two dimensions exchanged."""
    value, rank = _input(call)
    if not rank:
        shifted(call["dim0"], rank), shifted(call["dim1"], rank)
        return F.internal.alias(value)
    return F.transpose(value, shifted(call["dim0"], rank), shifted(call["dim1"], rank))


@rule("t")
def t(call: Call) -> Any:
    """A matrix turned; nothing for less."""
    value, rank = _input(call)
    if rank > 2:
        raise RuntimeError(f"t() expects a tensor with <= 2 dimensions, but self is {rank}D")
    return F.transpose(value, 1, 2) if rank == 2 else F.internal.alias(value)


@rule("unsqueeze")
def unsqueeze(call: Call) -> Any:
    """A new dimension of size 1."""
    value, rank = _input(call)
    return F.unsqueeze(value, shifted(call["dim"], rank, 1 if rank else 0))


@rule("internal.squeeze")
def squeeze(call: Call) -> Any:
    """Dimensions of size 1 away, never the batch's."""
    value, rank = _input(call)
    dim = call["dim"]
    if dim is None:
        dims = [i + 1 for i, size in enumerate(call["input"].shape) if size == 1]
    elif not rank:
        dims = []
    else:
        dims = [shifted(each, rank) for each in (dim if isinstance(dim, (tuple, list)) else (dim,))]
    return value.squeeze(tuple(dims)) if dims else F.internal.alias(value)


@rule("unfold")
def unfold(call: Call) -> Any:
    """Windows along a dimension."""
    value, rank = _input(call)
    place = shifted(call["dimension"], rank)
    if rank:
        return value.unfold(place, call["size"], call["step"])
    return value.unsqueeze(1).unfold(1, call["size"], call["step"]).squeeze(1)


@rule("internal.expand")
def expand(call: Call) -> Any:
    """New dimensions come behind the batch."""
    size = tuple(call["size"])
    value = call.aligned(call["input"], len(size))
    return value.expand(call.size, *size)


def _shape(call: Call) -> tuple[int, ...]:
    shape = tuple(call["shape"])
    if -1 in shape:
        shape = infer_shape(shape, prod(call["input"].shape))
    return (call.size, *shape)


@rule("internal.view")
def view(call: Call) -> Any:
    """Another shape of an element."""
    value, _ = _input(call)
    return value.view(_shape(call))


@rule("internal._unsafe_view", "internal.unsafe_view")
def unsafe_view(call: Call) -> Any:
    """Another shape of memory that nobody else holds."""
    value, _ = _input(call)
    return value.reshape(_shape(call))
