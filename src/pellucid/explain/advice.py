"""What is worth a look, why it happened, and the smallest change that avoids it."""

from __future__ import annotations

from dataclasses import dataclass

from pellucid.tensor.dtype import float32, float64
from pellucid.tensor.events import Event
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import Tensor

PRODUCTS = frozenset({"mm", "bmm", "matmul", "addmm", "baddbmm", "linear", "addbmm"})
"""Matrix products: BLAS reads an operand in place if one of its last two strides is 1."""


def needs_rearranging(layout: Layout) -> bool:
    """Whether BLAS cannot read a matrix (or batch of them) where it lies."""
    if layout.ndim < 2 or not layout.numel:
        return False
    (rows, columns), (down, along) = layout.shape[-2:], layout.strides[-2:]
    by_rows = (along == 1 or columns == 1) and (down >= columns or rows == 1)
    by_columns = (down == 1 or rows == 1) and (along >= rows or columns == 1)
    return not (by_rows or by_columns)


def worth_a_look(event: Event) -> str:
    """Why an operator that is no copy cost more than it had to; empty if it did not."""
    if event.name in PRODUCTS:
        for value in event.inputs:
            if isinstance(value, Tensor) and needs_rearranging(value._layout):
                shape, strides = value._layout.shape, value._layout.strides
                return f"{event.name}: an operand of shape {shape} has strides {strides}"
    if event.outputs and event.outputs[0].dtype is float64:
        kinds = {v.dtype for v in event.inputs if isinstance(v, Tensor) and v._layout.shape}
        if float32 in kinds and float64 in kinds:
            return f"{event.name}: float32 and float64 give float64"
    return ""


@dataclass(frozen=True, slots=True)
class Advice:
    """A remark's reason, unfolded: what it is called, why it happened, what to change."""

    title: str
    why: str
    change: str


def advise(reason: str, calls: int = 1) -> Advice:
    """What to say of a reason that an operator or `worth_a_look` gave."""
    name, _, why = reason.partition(": ")
    repeated = " Do it once, outside the loop, if the tensor stays the same." if calls > 1 else ""
    if name == "reshape":
        return Advice(
            "reshape copied",
            why,
            "Reshape before the transpose or permute, or ask for axes that can merge. Where the "
            "copy is wanted, .contiguous().view(...) says so." + repeated,
        )
    if name == "contiguous":
        return Advice(
            "contiguous copied",
            why,
            "Elementwise operators, sums and matrix products take any strides: leave contiguous() "
            "out where only those follow." + repeated,
        )
    if name == "to":
        return Advice(
            "to converted" if "becomes" in why else "to copied",
            why,
            "Create the tensor in the dtype that is needed (dtype=...)." + repeated,
        )
    if why.startswith("an operand"):
        return Advice(
            f"{name} rearranged an operand",
            f"{why}: none of the last two is 1, so BLAS cannot read it in place",
            "Call .contiguous() once, before the products that use it, or change the order in "
            "which its axes are made.",
        )
    if why.startswith("float32 and float64"):
        return Advice(
            f"{name} became float64",
            f"{why}: twice the memory and half the speed from here on",
            "Convert the float64 operand with .float() (arrays from NumPy are float64 unless "
            "they say otherwise).",
        )
    return Advice(f"{name} copied", why, "Look at the strides of what it was given." + repeated)
