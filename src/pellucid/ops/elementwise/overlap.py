"""Operands that share memory with the tensor that is written."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.ops.inplace import shares_memory
from pellucid.tensor.tensor import Tensor, adopt


def refuse_partial_overlap(target: Tensor, operand: Tensor) -> None:
    """Refuse to write `target` while reading an `operand` that shares part of its memory in another
    order.

    Only dense layouts are judged, as in PyTorch; for others `apart` makes a copy.
    """
    if operand is target or operand._storage.buffer is not target._storage.buffer:
        return
    if (operand._layout == target._layout and operand.dtype is target.dtype) or not shares_memory(
        target, operand
    ):
        return
    dense = (
        target._layout.is_non_overlapping_and_dense and operand._layout.is_non_overlapping_and_dense
    )
    if not dense:
        return
    raise RuntimeError(
        "unsupported operation: some elements of the input tensor and the written-to tensor "
        "refer to a single memory location. "
        "Please clone() the tensor before performing the operation.\n"
        "  The result would depend on the order in which elements are computed."
    )


def apart(target: Tensor, operands: Sequence[Any]) -> Sequence[Any]:
    """The operands, those copied that overlap `target` without being it."""
    return [
        adopt(value._array.copy(), value.dtype)
        if isinstance(value, Tensor)
        and value is not target
        and value._storage.buffer is target._storage.buffer
        and value._layout != target._layout
        and shares_memory(target, value)
        else value
        for value in operands
    ]
