"""`explain(function, *args)`: run a function and list its operators in their order."""

from __future__ import annotations

import inspect
from collections.abc import Callable
from dataclasses import dataclass
from html import escape
from time import perf_counter
from typing import Any

from pellucid.explain.advice import advise
from pellucid.explain.failure import Failure, explain_failure
from pellucid.explain.live import LiveMemory
from pellucid.explain.steps import Step, Steps
from pellucid.explain.text import Explanation, brief, count, duration, size, table
from pellucid.tensor.events import Event, listening
from pellucid.tensor.tensor import Tensor

HEADS = ("operator", "given", "gives", "result", "bytes", "time", "keeps for backward", "line")
KINDS = {"view": "view", "copy": "fresh", "write": "in place", "node": "gradient"}


@dataclass(frozen=True, eq=False, repr=False)
class CallExplanation(Explanation):
    """A call and what it did.

    `result` is what the function returned, `error` what it raised (then `result` is None; the
    error is told, not raised). `steps` are its operators, at most `steps.MOST_STEPS`; `left_out`
    counts those beyond. `seconds` is the time of the whole call, `peak_bytes` the most memory that
    its results took at once.
    """

    call: str
    result: Any
    error: BaseException | None
    failure: Failure | None
    steps: tuple[Step, ...]
    left_out: int
    seconds: float
    peak_bytes: int

    def __str__(self) -> str:
        parts = [f"{self.call}: {self.summary()}"]
        if self.steps:
            parts.append(table(HEADS, map(cells, self.steps), right="45"))
        if self.left_out:
            parts.append(f"and {count(self.left_out, 'more operator')}")
        if notes := self.notes():
            parts.append("\n".join(notes))
        if self.failure is not None:
            parts.append(self.failure.text())
        return "\n\n".join(parts)

    def summary(self) -> str:
        """Operators, views, fresh results, bytes and time in one line."""
        kinds = [step.kind for step in self.steps]
        allocated = sum(step.nbytes for step in self.steps)
        return ", ".join(
            [
                count(len(kinds) - kinds.count("node") + self.left_out, "operator"),
                count(kinds.count("view"), "view"),
                f"{kinds.count('copy')} fresh",
                f"{kinds.count('write')} in place",
                f"{size(allocated)} allocated, {size(self.peak_bytes)} at most at once",
                duration(self.seconds),
            ]
        )

    def notes(self) -> list[str]:
        """Silent copies with their remedies, and where the gradient stops."""
        found = []
        for step in self.steps:
            if step.reason:
                advice = advise(step.reason)
                found.append(f"{step.line}  {advice.title}: {advice.why}\n    {advice.change}")
            if step.stop:
                found.append(f"{step.line}  the gradient stops at {step.name}: {step.stop}")
            cut = [label for label, _ in step.inputs if label.endswith(" detached")]
            found += [
                f"{step.line}  the gradient stops before {step.name}: {label.split()[0]} was cut "
                "off by detach() or .data"
                for label in cut
            ]
        return list(dict.fromkeys(found))

    def to_dict(self) -> dict[str, Any]:
        return {
            "call": self.call,
            "error": repr(self.error) if self.error is not None else None,
            "seconds": self.seconds,
            "peak_bytes": self.peak_bytes,
            "left_out": self.left_out,
            "notes": self.notes(),
            "steps": [_as_data(step) for step in self.steps],
        }

    def _repr_html_(self) -> str:
        heads = "".join(f"<th style='text-align:left'>{escape(head)}</th>" for head in HEADS)
        rows = "".join(
            "<tr>"
            + "".join(f"<td style='text-align:left'>{escape(cell)}</td>" for cell in cells(step))
            + "</tr>"
            for step in self.steps
        )
        rest = [*self.notes(), *([self.failure.text()] if self.failure is not None else [])]
        notes = "".join(f"<pre>{escape(note)}</pre>" for note in rest)
        title = f"<p><code>{escape(self.call)}</code>: {escape(self.summary())}</p>"
        return f"{title}<table><tr>{heads}</tr>{rows}</table>{notes}"


def explain_call(function: Callable[..., Any], *args: Any, **kwargs: Any) -> CallExplanation:
    """Run `function(*args, **kwargs)` and tell what its operators did.

    An exception that it raises is part of the explanation; `KeyboardInterrupt` and `SystemExit`
    go on to the caller.
    """
    steps, memory = Steps(), LiveMemory()
    for label, tensor in _named_arguments(function, args, kwargs):
        steps.name(tensor, label)

    def listener(event: Event) -> None:
        steps(event)
        if event.kind == "copy":
            for output in event.outputs:
                memory.watch(output._storage, None, perf_counter())

    result, error = None, None
    start = perf_counter()
    with listening(listener):
        try:
            result = function(*args, **kwargs)
        except Exception as raised:
            error = raised
    seconds = perf_counter() - start
    return CallExplanation(
        _name(function),
        result,
        error,
        explain_failure(error) if error is not None else None,
        tuple(steps.steps),
        steps.left_out,
        seconds,
        memory.peak,
    )


def _name(function: Any) -> str:
    name = getattr(function, "__qualname__", None) or type(function).__name__
    return name if name != "<lambda>" else "lambda"


def _named_arguments(
    function: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> list[tuple[str, Tensor]]:
    try:
        bound = dict(inspect.signature(function).bind(*args, **kwargs).arguments)
    except (TypeError, ValueError):  # no signature, or arguments that do not fit: the call tells
        bound = {f"argument {number}": value for number, value in enumerate(args)} | kwargs
    found = []
    for name, value in bound.items():
        if isinstance(value, Tensor):
            found.append((name, value))
        elif isinstance(value, (list, tuple)):
            found += [(f"{name}[{i}]", t) for i, t in enumerate(value) if isinstance(t, Tensor)]
        elif isinstance(value, dict):
            found += [(str(key), t) for key, t in value.items() if isinstance(t, Tensor)]
    if hasattr(function, "named_parameters"):
        found += list(function.named_parameters())
    return found


def cells(step: Step) -> tuple[str, ...]:
    """A step as the cells of a table row."""
    given = ", ".join(f"{label} {brief(*meta, strides=True)}" for label, meta in step.inputs[:3])
    if len(step.inputs) > 3:
        given += f", … {len(step.inputs) - 3} more"
    gives = ", ".join(f"{label} {brief(*meta, strides=True)}" for label, meta in step.outputs[:2])
    if len(step.outputs) > 2:
        gives += f", … {len(step.outputs) - 2} more"
    keeps = ", ".join(f"{name} {size(nbytes)}" for name, nbytes in step.keeps)
    return (
        "  " * step.depth + step.name,
        given,
        gives,
        KINDS[step.kind],
        size(step.nbytes) if step.nbytes else "0",
        duration(step.seconds),
        keeps,
        str(step.line) if step.line.number else "",
    )


def _as_data(step: Step) -> dict[str, Any]:
    def tensors(parts: Any) -> list[dict[str, Any]]:
        return [
            {
                "label": label,
                "dtype": kind.name,
                "shape": list(layout.shape),
                "strides": list(layout.strides),
                "offset": layout.offset,
            }
            for label, (kind, layout) in parts
        ]

    return {
        "operator": step.name,
        "kind": step.kind,
        "file": step.line.file,
        "line": step.line.number,
        "inputs": tensors(step.inputs),
        "outputs": tensors(step.outputs),
        "bytes": step.nbytes,
        "seconds": step.seconds,
        "keeps": dict(step.keeps),
        "reason": step.reason,
        "gradient_stops": step.stop,
        "depth": step.depth,
    }
