"""Operators of training steps: optimisers' updates, backward passes of whole tape nodes, linear
layers whose weights change.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.compiler.graph import Node, substitute
from pellucid.compiler.lower.moves import copy, dense
from pellucid.compiler.lower.products import apart, flat_rows
from pellucid.compiler.lower.rules import eager, row_major_place, rule
from pellucid.compiler.plan import EagerStep, Physical, Planner, Ref
from pellucid.compiler.symbols import rule_expressions
from pellucid.kernels.choose import plan_product
from pellucid.kernels.gemm import gemm, pack_b
from pellucid.kernels.target import current
from pellucid.kernels.tile import width
from pellucid.kernels.updates import update
from pellucid.ops.dispatch import run_fresh
from pellucid.tensor.dtype import float32
from pellucid.tensor.layout import contiguous
from pellucid.tensor.tensor import Tensor


class Numbers:
    """The numbers of the rules of a plan, as each step finds them: one row of float32 for kernels,
    and the values themselves for rules that run on arrays.
    """

    def __init__(self, rules: list[Any]) -> None:
        self.rules = rules
        self.row = np.zeros(max(sum(len(r.numbers) for r in rules), 1), np.float32)
        self.starts = np.cumsum([0, *[len(r.numbers) for r in rules]]).tolist()
        self.values: list[Any] = [rule.numbers for rule in rules]

    def set(self, number: int, values: Any) -> None:
        """The numbers of one rule in the next step."""
        self.values[number] = values
        start = self.starts[number]
        self.row[start : start + len(values)] = [
            0.0 if v is None else v for v in values
        ]  # fmt: skip


def lower_update(planner: Planner, node: Node, numbers: Numbers, in_place: bool) -> None:
    """A rule in one pass over the parameter, its gradient and its state; where it is no expression,
    on arrays as in eager mode.
    """
    call = node.extra["rule"]
    index = next(i for i, r in enumerate(numbers.rules) if r is call)
    places = [planner.place(v) for v in node.args]
    found = None
    if call.optimizer._numbers_keep_their_kind:
        found = rule_expressions(call.rule, len(places), call.numbers)
    layout = dense(places[0].layout)
    if found is None or layout is None or any(p.dtype is not float32 for p in places):
        _update_on_arrays(planner, node, numbers, index)
        return
    expressions, slots = found
    for i, place in enumerate(places):
        if dense(place.layout) != layout:
            places[i] = planner.fresh(layout, place.dtype)
            copy(planner, place, places[i])
    written = [places[0], *places[2:]]
    if not in_place:
        written = [planner.fresh(layout, p.dtype) for p in written]
    row = planner.array(numbers.row)
    given = [Ref(row.buffer, 4 * (numbers.starts[index] + slot)) for slot in slots]
    n = places[0].layout.numel
    planner.step(
        type(call.optimizer).__name__,
        update(expressions=expressions, kinds="v" * len(places) + "s" * len(slots)),
        [n, *(p.ref() for p in written), *(p.ref() for p in places), *given],
        str(list(node.out.shape)), nbytes=4.0 * n * (len(places) + len(written)),
    )  # fmt: skip
    for value, place in zip(node.outputs, written, strict=True):
        planner.places[value] = place


def _update_on_arrays(planner: Planner, node: Node, numbers: Numbers, index: int) -> None:
    call = node.extra["rule"]

    def run(given: dict[Any, Tensor]) -> Any:
        tensors = [given[v].clone() for v in node.args]
        values = numbers.values[index]
        kind = tensors[0]._array.dtype
        as_arrays = [v if v is None or type(v) is bool else np.array(v, kind) for v in values]
        arrays = [t._array.reshape(1) if not t._array.ndim else t._array for t in tensors]
        call.rule(*arrays, *as_arrays)
        return [tensors[0], *tensors[2:]]

    inputs = {value: planner.place(value) for value in node.args}
    outputs = [planner.fresh(contiguous(v.shape), v.dtype) for v in node.outputs]
    planner.eager(EagerStep(node, run, inputs, outputs))
    for value, place in zip(node.outputs, outputs, strict=True):
        planner.places[value] = place


def lower_tape(planner: Planner, node: Node) -> None:
    """The formulas of one node of the tape, as the engine would run them."""
    shadow, present = node.extra["tape"], node.extra["present"]

    def run(given: dict[Any, Tensor]) -> Any:
        grads, kept = substitute(node.args, given)
        shadow.kept = kept
        found = shadow.apply(list(grads))
        shadow.kept = {}
        return [each for each, here in zip(found, present, strict=True) if here]

    _as_step(planner, node, run)


def lower_with_writes(planner: Planner, node: Node) -> None:
    """An operator that changes some of its arguments: it runs on copies of them."""
    positions = [p for p in node.extra["also"] if node.args[p] is not None]

    def run(given: dict[Any, Tensor]) -> Any:
        args = list(substitute(node.args, given))
        for position in positions:
            args[position] = args[position].clone()
        found = run_fresh(node.spec, args, substitute(node.settings, given))
        outputs = found if isinstance(found, (list, tuple)) else (found,)
        return [*outputs, *(args[p] for p in positions)]

    _as_step(planner, node, run)


def _as_step(planner: Planner, node: Node, run: Any) -> None:
    inputs = {value: planner.place(value) for value in node.inputs()}
    outputs = [planner.fresh(contiguous(v.shape), v.dtype) for v in node.outputs]
    planner.eager(EagerStep(node, run, inputs, outputs))
    for value, place in zip(node.outputs, outputs, strict=True):
        planner.places[value] = place


@rule("live_linear")
def lower_live_linear(planner: Planner, node: Node) -> Physical | None:
    """x W^T + bias with weights that change: they are packed in each call."""
    x, weight, *rest = node.args
    bias = rest[0] if rest else node.settings.get("bias")
    if any(v.dtype is not float32 for v in (x, weight)) or len(weight.shape) != 2:
        return None
    n, k = weight.shape
    if not n or not k or not x.shape or not x.numel:
        return None
    a, m, lda = flat_rows(planner, planner.place(x))
    a, lda = apart(planner, a, m, lda)
    w = planner.place(weight)
    panels = -(-n // width(current()))
    packed = planner.buffer(4 * panels * width(current()) * k)
    row, column = w.layout.strides
    planner.step(
        "pack", pack_b(unit=False), [w.ref(), Ref(packed), k, n, column, row, 1, 0, 0],
        f"{k}x{n}", nbytes=8.0 * n * k,
    )  # fmt: skip
    more: Any = 0 if bias is None else row_major_place(planner, planner.place(bias)).ref()
    out = planner.fresh(contiguous(node.out.shape))
    mc, nc, kc = plan_product(m, panels, k, planner.threads)
    planner.step(
        "linear", gemm(packed=True, unit=True, bias=bias is not None, cut=kc < k),
        [a.ref(), Ref(packed), out.ref(), more, 0, m, n, k, lda, 1, 0, n, 0, 1, 0, 0, 0, mc, nc,
         kc],
        f"{m}x{n}x{k}", 2.0 * m * n * k, 4.0 * (m * k + n * k + m * n),
    )  # fmt: skip
    return out


__all__ = ["Numbers", "eager", "lower_tape", "lower_update", "lower_with_writes"]
