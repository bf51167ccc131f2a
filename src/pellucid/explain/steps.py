"""One call, step by step: each operator in its order, what it got, what it keeps for backward."""

from __future__ import annotations

import sys
import weakref
from collections.abc import Iterator
from dataclasses import dataclass
from time import perf_counter
from typing import Any

from pellucid.autograd.modes import state
from pellucid.autograd.node import wants_grad
from pellucid.autograd.saved import SavedList, SavedTensor
from pellucid.explain.advice import worth_a_look
from pellucid.explain.recorder import Meta, looks_at_its_input
from pellucid.explain.sites import Line, Sites
from pellucid.explain.text import SHORT
from pellucid.ops.spec import registry
from pellucid.tensor.events import Event
from pellucid.tensor.tensor import Tensor

MOST_STEPS = 1000


@dataclass(slots=True)
class Step:
    """One operator call. `inputs` and `outputs` are (label, dtype and layout)."""

    name: str
    kind: str
    line: Line
    inputs: tuple[tuple[str, Meta], ...]
    outputs: tuple[tuple[str, Meta], ...]
    nbytes: int
    seconds: float
    keeps: tuple[tuple[str, int], ...]
    reason: str
    stop: str
    began: float
    depth: int = 0


class Steps:
    """A listener that writes every call down, `MOST_STEPS` at most; `left_out` counts the others.

    Tensors are labelled: arguments by their names, what operators make by numbers (`%1`, `%2`).
    """

    def __init__(self) -> None:
        self.steps: list[Step] = []
        self.left_out = 0
        self._sites = Sites()
        self._labels: dict[int, tuple[weakref.ref[Tensor], str]] = {}
        self._made = 0

    def name(self, tensor: Tensor, label: str) -> None:
        """Call a tensor by this label from now on."""
        self._labels[id(tensor)] = (weakref.ref(tensor), label)

    def __call__(self, event: Event) -> None:
        """Write one call down."""
        began = perf_counter() - event.seconds
        if len(self.steps) >= MOST_STEPS:
            self.left_out += 1
            return
        given = [value for value in _tensors(event.inputs)]
        inputs = tuple((self._label(t, given), (t.dtype, t._layout)) for t in given)
        for output in event.outputs:
            if self._known(output) is None:
                self._made += 1
                self.name(output, f"%{self._made}")
        is_view = looks_at_its_input(event)
        step = Step(
            event.name,
            "view" if is_view else event.kind,
            self._sites.find(sys._getframe(1))[0],
            inputs,
            tuple((self._known(t) or "", (t.dtype, t._layout)) for t in event.outputs),
            0 if is_view else event.nbytes,
            event.seconds,
            tuple(kept_by(event.outputs)),
            event.reason or worth_a_look(event),
            why_it_stops(event, given),
            began,
        )
        for earlier in reversed(self.steps):
            if earlier.began < began:
                break
            earlier.depth += 1
        self.steps.append(step)

    def _known(self, tensor: Tensor) -> str | None:
        found = self._labels.get(id(tensor))
        return found[1] if found is not None and found[0]() is tensor else None

    def _label(self, tensor: Tensor, beside: list[Tensor]) -> str:
        label = self._known(tensor)
        if label is not None:
            return label
        for reference, known in reversed(list(self._labels.values())):
            other = reference()
            if other is not None and other._storage.buffer is tensor._storage.buffer:
                cut = wants_grad(other) and not wants_grad(tensor)
                return f"{known} detached" if cut else f"memory of {known}"
        return _scalar(tensor) or "·"


def _scalar(tensor: Tensor) -> str:
    """A constant of one element by its value."""
    return str(tensor._array.item()) if not tensor._layout.shape else ""


def _tensors(values: Any) -> Iterator[Tensor]:
    for value in values:
        if isinstance(value, Tensor):
            yield value
        elif isinstance(value, (list, tuple)):
            yield from _tensors(value)


def kept_by(outputs: tuple[Tensor, ...]) -> Iterator[tuple[str, int]]:
    """(name, bytes) of each tensor that the node of a call keeps for backward."""
    node = outputs[0]._grad_fn if outputs else None
    kept = getattr(node, "kept", None)
    if not isinstance(kept, dict):
        return
    for name, saved in kept.items():
        for one in saved.items if isinstance(saved, SavedList) else (saved,):
            if isinstance(one, SavedTensor):
                yield name, one.tensor.nbytes


def why_it_stops(event: Event, given: list[Tensor]) -> str:
    """Why no gradient flows through a call that was given a tensor that wants one; else empty."""
    if not any(map(wants_grad, given)) or any(map(wants_grad, event.outputs)):
        return ""
    if state.inference:
        return "inference_mode() is on"
    if not state.grad:
        return "no_grad() is on"
    if not event.outputs:
        return ""
    kind = event.outputs[0].dtype
    if kind.category < 2:
        return f"a result of {SHORT.get(kind.name, kind.name)} has no gradient"
    spec = registry.spec(event.name)
    return spec.no_gradient if spec is not None else ""
