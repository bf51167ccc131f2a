"""`explain(tensor)`: where its elements lie, who shares them, where its gradient goes."""

from __future__ import annotations

from dataclasses import dataclass
from html import escape
from types import FrameType
from typing import Any

from pellucid.autograd.node import current_grad_fn, wants_grad
from pellucid.explain.memory_facts import called, living, memory_format, names_in, sharers
from pellucid.explain.text import Explanation, brief, facts, size
from pellucid.explain.trail import Trail, trail_of, why_no_gradient
from pellucid.tensor.layout import contiguity_formula
from pellucid.tensor.tensor import Tensor

MOST_SHARERS = 8


@dataclass(frozen=True, eq=False, repr=False)
class TensorExplanation(Explanation):
    """What there is to say about a tensor; `facts` are (name, words), `data` the same as data."""

    facts: tuple[tuple[str, str], ...]
    data: dict[str, Any]

    def __str__(self) -> str:
        return facts(self.facts)

    def to_dict(self) -> dict[str, Any]:
        return self.data

    def _repr_html_(self) -> str:
        rows = "".join(
            f"<tr><th style='text-align:left;vertical-align:top'>{escape(name)}</th>"
            f"<td style='text-align:left;white-space:pre-wrap'>{escape(words)}</td></tr>"
            for name, words in self.facts
        )
        return f"<table>{rows}</table>"


def explain_tensor(tensor: Tensor, frame: FrameType | None = None) -> TensorExplanation:
    """Explain a tensor. `frame` is where names of variables are looked up (the caller's)."""
    names = names_in(frame)
    among = living()
    others = sharers(tensor, among)
    trail = trail_of(tensor, among)
    layout = tensor._layout
    format = memory_format(layout)
    data: dict[str, Any] = {
        "shape": list(layout.shape),
        "strides": list(layout.strides),
        "offset": layout.offset,
        "dtype": tensor.dtype.name,
        "contiguous": layout.is_row_major,
        "contiguity": contiguity_formula(layout),
        "memory_format": format,
        "shown_bytes": tensor.nbytes,
        "storage_bytes": tensor._storage.nbytes(),
        "is_view": tensor._base is not None,
        "shared_with": [_as_data(other, names) for other in others],
        "version": tensor._storage.version,
        "requires_grad": wants_grad(tensor),
        "made_by": _made_by(tensor),
        "gradient": _gradient(tensor, trail, others, names),
    }
    axes = f"shape {tuple(layout.shape)}, strides {tuple(layout.strides)}, offset {layout.offset}"
    pairs = (
        (names.get(id(tensor), "tensor"), f"{tensor.dtype}, {axes}"),
        ("order", data["contiguity"]),
        ("memory", format),
        ("bytes", _bytes(tensor)),
        ("shared with", _shared(tensor, others, names)),
        ("made by", data["made_by"]),
        ("version", _version(tensor)),
        ("gradient", data["gradient"]),
    )
    return TensorExplanation(pairs, data)


def _bytes(tensor: Tensor) -> str:
    shown, held = tensor.nbytes, tensor._storage.nbytes()
    if shown == held:
        return f"{size(shown)}, all of its storage"
    times = f", each element shown {shown / held:.4g} times on average" if shown > held > 0 else ""
    return f"{size(shown)} shown; the storage it keeps alive holds {size(held)}{times}"


def _shared(tensor: Tensor, others: list[Tensor], names: dict[int, str]) -> str:
    if not others:
        return "no other living tensor"
    base = tensor._base
    lines = []
    for other in sorted(others, key=lambda each: each is not base)[:MOST_SHARERS]:
        role = " (the base it is a view of)" if other is base else ""
        words = brief(other.dtype, other._layout, strides=True)
        lines.append(f"{called(other, names)}: {words}{role}")
    if len(others) > MOST_SHARERS:
        lines.append(f"and {len(others) - MOST_SHARERS} more")
    return "\n".join(lines)


def _as_data(tensor: Tensor, names: dict[int, str]) -> dict[str, Any]:
    layout = tensor._layout
    return {
        "name": names.get(id(tensor)),
        "dtype": tensor.dtype.name,
        "shape": list(layout.shape),
        "strides": list(layout.strides),
        "offset": layout.offset,
    }


def _made_by(tensor: Tensor) -> str:
    node = current_grad_fn(tensor)
    if node is not None:
        return node.name()
    view = "a view of its base, not recorded" if tensor._base is not None else ""
    return view or "no recorded operator: a leaf"


def _version(tensor: Tensor) -> str:
    version = tensor._storage.version
    return f"{version}: in-place writes since the memory was made"


def _gradient(
    tensor: Tensor, trail: Trail | None, others: list[Tensor], names: dict[int, str]
) -> str:
    if trail is None:
        return f"none flows here: {why_no_gradient(tensor, others)}"
    return trail.text(names)
