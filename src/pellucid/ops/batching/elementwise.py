"""Batching rules of operators that work element by element: their operands broadcast, so that it is
enough to align the dimensions behind the first.
"""

from __future__ import annotations

from typing import Any

from pellucid.ops.api import F
from pellucid.ops.batching.rules import BY_KIND, Call, rule
from pellucid.tensor.device import preserve_format
from pellucid.tensor.tensor import Tensor


@rule(
    "internal.where",
    "complex",
    "polar",
    "frexp",
    "internal.conj_physical",
    "internal.owned",
    "nn.functional.logsigmoid",
    "internal._rrelu",
    "internal._slope_grad",
    "internal.keep",
    "_standard_gamma_grad",
    "polygamma",
    "internal.laid_by_columns",
)
def elementwise(call: Call) -> Any:
    """Align the operands, in the dtype that PyTorch computes in: a tensor without dimensions does
    not decide it, although its values have one.
    """
    tensors = {n: v for n, v in call.given.items() if isinstance(v, Tensor)}
    rank = max(tensor.dim() for tensor in tensors.values())
    changed = {name: call.aligned(tensor, rank) for name, tensor in tensors.items()}
    if rank and len(tensors) > 1 and call.spec.kind == "pointwise":
        kinds = {t.dtype for t in tensors.values()}
        if len(kinds) > 1:
            common = _common(list(tensors.values()))
            for name, tensor in tensors.items():
                if not tensor.dim() and tensor.dtype is not common:
                    changed[name] = changed[name].to(common)
    return call.run(**(call.given | changed))


def _common(tensors: list[Tensor]) -> Any:
    common = tensors[0]
    kind = common.dtype
    for other in tensors[1:]:
        kind = F.result_type(common, other)
        shape = common if common.dim() else other
        common = F.empty(shape.shape, dtype=kind)
    return kind


BY_KIND["pointwise"] = elementwise


@rule("masked_fill")
def masked_fill(call: Call) -> Any:
    """A number, or one for each element, where the mask is."""
    input, mask, value = call["input"], call["mask"], call["value"]
    if not call.is_batched(value):
        rank = max(input.dim(), mask.dim())
        aligned = call.aligned(input, rank) if call.is_batched(input) else call.all(input)
        return call.rerun(input=aligned, mask=call.aligned(mask, rank))
    rank = max(input.dim(), mask.dim())
    fill = call.aligned(value, rank).to(input.dtype)
    return F.where(call.aligned(mask, rank), fill, call.aligned(input, rank))


@rule("clone", "internal.cast")
def copy(call: Call) -> Any:
    """Copies; the formats that name a number of dimensions are an element's, not the batch's."""
    format = call["memory_format"]
    if format is not None and format.name.startswith("channels_last"):
        format = preserve_format
    changed = call.plain()
    changed.pop("memory_format", None)
    return call.run(**changed, memory_format=format)


@rule("internal.tie")
def tie(call: Call) -> Any:
    """The input, all elements of it, tied to the others outside."""
    return call.run(
        input=call.all(call["input"]), others=[call.value(other) for other in call["others"]]
    )
