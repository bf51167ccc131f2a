"""Batching rules of reading and writing by index."""

from __future__ import annotations

from typing import Any

from pellucid.ops.api import F
from pellucid.ops.batching.rules import UNTOUCHED, Call, rule, shifted
from pellucid.tensor.dtype import bool_, uint8
from pellucid.tensor.tensor import Tensor


@rule("gather", "internal.scatter", "scatter_add", "scatter_reduce", "internal.scatter_old_reduce")
def by_places(call: Call) -> Any:
    """Every tensor has its own dimension for the batch, and so the indices agree."""
    tensors = {n: call.all(v) for n, v in call.given.items() if isinstance(v, Tensor)}
    rank = call["input"].dim()
    place = shifted(call["dim"], rank)
    plain = {n: v for n, v in call.given.items() if n not in tensors}
    scalars = not rank or not call["index"].dim()
    if scalars:
        tensors = {n: v.unsqueeze(1) if v.dim() == 1 else v for n, v in tensors.items()}
    found = call.run(**(plain | tensors | {"dim": place}))
    return (
        found.squeeze(1)
        if scalars
        and found.dim() == 2
        and not (call["index"].dim() if call.key == "gather" else rank)
        else found
    )


@rule("index_select", "index_add", "index_copy", "index_fill", "index_reduce")
def by_rows(call: Call) -> Any:
    """Rows of a dimension; indices that differ between elements are looked up one by one."""
    rank = call["input"].dim()
    place = shifted(call["dim"], rank)
    index = call["index"]
    value = call["value"] if "value" in call.spec.parameters else None
    if not rank or call.is_batched(value):
        return UNTOUCHED
    if call.is_batched(index):
        return _select_each(call, place) if call.key == "index_select" else UNTOUCHED
    changed: dict[str, Any] = {"input": call.all(call["input"]), "dim": place}
    source = call["source"] if "source" in call.spec.parameters else None
    if source is not None:
        if not source.dim():
            return UNTOUCHED
        changed["source"] = call.all(source)
    return call.rerun(**changed)


def _select_each(call: Call, place: int) -> Any:
    input, index = call.all(call["input"]), call.value(call["index"])
    if index.dim() == 1:
        index = index.unsqueeze(1)
    shape = [1] * input.dim()
    shape[0], shape[place] = index.shape
    size = list(input.shape)
    size[place] = index.shape[1]
    return F.gather(input, place, index.reshape(shape).expand(size))


@rule("take")
def take(call: Call) -> Any:
    """Elements counted in a row."""
    flat = call.all(call["input"])
    count = 1
    for size in call["input"].shape:
        count *= size
    index = call.all(call["index"])
    places = F.remainder(index, max(count, 1)).reshape(call.size, -1)
    return F.gather(flat.reshape(call.size, count), 1, places).reshape(index.shape)


# -- brackets


class _Places:
    """Index tensors of `x[i, :, j]` for all elements: the indexed dimensions in front, behind the
    batch's own, so that one index for each element can stand before them.
    """

    def __init__(self, call: Call, rank: int, indices: Any) -> None:
        self.places = [i for i, index in enumerate(indices) if index is not None]
        tensors = [indices[i] for i in self.places]
        self.masked = any(t.dtype in (bool_, uint8) for t in tensors)
        others = [i for i in range(rank) if i not in self.places]
        self.order = (0, *(i + 1 for i in self.places), *(i + 1 for i in others))
        self.back = tuple(self.order.index(i) for i in range(rank + 1))
        self.rank = max((t.dim() for t in tensors), default=0)
        aligned = [call.aligned(t, self.rank) for t in tensors]
        batch = F.arange(call.size).reshape(call.size, *[1] * self.rank)
        self.indices = [batch, *aligned]
        together = all(b - a == 1 for a, b in zip(self.places, self.places[1:], strict=False))
        self.first = self.places[0] if together and self.places else 0

    def shown(self, found: Tensor) -> Tensor:
        """The dimensions of the indices where PyTorch puts them."""
        if not self.first or not self.rank:
            return found
        source = tuple(range(1, 1 + self.rank))
        return found.movedim(source, tuple(d + self.first for d in source))

    def hidden(self, values: Tensor) -> Tensor:
        """The inverse of `shown`."""
        if not self.first or not self.rank:
            return values
        target = tuple(range(1, 1 + self.rank))
        return values.movedim(tuple(d + self.first for d in target), target)


@rule("internal.index")
def index(call: Call) -> Any:
    """Elements that index tensors point to."""
    rank = call["input"].dim()
    found = _Places(call, rank, call["indices"])
    if found.masked:
        if any(call.is_batched(index) for index in call["indices"]):
            raise RuntimeError(
                "vmap: It looks like you're indexing with a mask, whose result has another shape "
                "for each element: we do not support batching operator aten::nonzero.\n"
                "  torch.where(mask, x, 0) keeps the shape."
            )
        return UNTOUCHED
    return found.shown(call.all(call["input"]).permute(found.order)[tuple(found.indices)])


@rule("internal.index_backward")
def index_backward(call: Call) -> Any:
    """The gradient of every element added where it came from."""
    shape = tuple(call["shape"])
    found = _Places(call, len(shape), call["indices"])
    if found.masked:
        return UNTOUCHED
    grad = found.hidden(call.all(call["grad_out"]))
    turned = tuple((call.size, *shape)[i] for i in found.order)
    whole = F.internal.index_backward(grad, turned, tuple(found.indices))
    return whole.permute(found.back)


@rule("index_put")
def index_put(call: Call) -> Any:
    """Values written where index tensors point."""
    rank = call["input"].dim()
    found = _Places(call, rank, call["indices"])
    if found.masked:
        return _masked_put(call)
    turned = call.all(call["input"]).permute(found.order)
    shape = F.broadcast_shapes(*(i.shape for i in found.indices))
    rest = tuple(turned.shape)[1 + len(found.places) :]
    shown = tuple(found.shown(F.empty((*shape, *rest))).shape)
    values = call.aligned(call["values"], len(shown) - 1).expand(shown)
    written = F.index_put(turned, tuple(found.indices), found.hidden(values), call["accumulate"])
    return written.permute(found.back)


def _masked_put(call: Call) -> Any:
    """`x[mask] = number`, where the mask covers whole dimensions."""
    mask, values = call["indices"][0], call["values"]
    if len(call["indices"]) > 1 or values.dim() or call["accumulate"]:
        return UNTOUCHED
    input = call.all(call["input"])
    where = call.all(mask)
    while where.dim() < input.dim():
        where = where.unsqueeze(-1)
    value = call.aligned(values, call["input"].dim()).to(input.dtype)
    return F.where(where, value, input)


@rule("embedding", "internal.embedding_spread")
def embedding(call: Call) -> Any:
    """Rows of a table: one table for all, or one for each element, laid behind each other."""
    if call.key == "embedding":
        table, indices = call["weight"], call["indices"]
        if not call.is_batched(table):
            return call.rerun()
        if call["padding_idx"] >= 0 or call["scale_grad_by_freq"]:
            return UNTOUCHED
        rows, width = table.shape
        places = call.all(indices) + _starts(call, indices.dim(), rows)
        return F.embedding(call.value(table).reshape(call.size * rows, width), places)
    if call["padding_idx"] >= 0 or call["scale_grad_by_freq"]:
        return UNTOUCHED
    grad, indices, rows = call["input"], call["indices"], call["count"]
    places = call.all(indices) + _starts(call, indices.dim(), rows)
    found = call.rerun(input=call.all(grad), indices=places, count=rows * call.size)
    return found.reshape(call.size, rows, found.shape[-1])


def _starts(call: Call, rank: int, rows: int) -> Tensor:
    return (F.arange(call.size) * rows).reshape(call.size, *[1] * rank)
