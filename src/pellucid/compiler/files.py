"""Plans in files: what was traced once runs elsewhere without the model and without tracing.

A file is a zip without compression: `manifest.json` names the steps (kernel, settings, arguments),
the buffers, inputs and outputs; `data.bin` holds packed weights and tables, each at a multiple of
64 bytes; `digest` is the SHA-256 of both, so that damage is noticed. Nothing in a file is code:
kernels are made from their names here. But a plan says which addresses kernels use, as a program
does: load files that you trust.
"""

from __future__ import annotations

import hashlib
import json
import os
import tempfile
import zipfile
from collections.abc import Callable, Sequence
from pathlib import Path
from typing import Any

import numpy as np

from pellucid.compiler.lower.kernels import named
from pellucid.compiler.plan import Buffer, Plan, Planner, Ref, Step
from pellucid.compiler.trace import tensors_in
from pellucid.compiler.view import plans_text
from pellucid.kernels.pack import aligned
from pellucid.kernels.target import current
from pellucid.tensor import dtype as dtypes
from pellucid.tensor.layout import Layout
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, make

FORMAT = 1


def save_compiled(found: Sequence[Any], path: Any) -> None:
    """Write plans (`Specialised`) to a file, under a temporary name first."""
    if not found:
        raise ValueError("there is no plan to save yet: call the compiled function once")
    data: list[bytes] = []
    entries = [_entry(each, data) for each in found]
    manifest = {"format": FORMAT, "target": current().name, "plans": entries}
    target = Path(path)
    descriptor, temporary = tempfile.mkstemp(dir=target.parent or None, prefix=".saving-")
    try:
        with os.fdopen(descriptor, "wb") as file, zipfile.ZipFile(file, "w") as archive:
            text, raw = json.dumps(manifest).encode(), b"".join(data)
            archive.writestr("manifest.json", text)
            archive.writestr("data.bin", raw)
            archive.writestr("digest", hashlib.sha256(text + raw).hexdigest())
        os.replace(temporary, target)
    except BaseException:
        os.unlink(temporary)
        raise


def _entry(found: Any, data: list[bytes]) -> dict[str, Any]:
    """One plan as plain data."""
    plan: Plan = found.plan
    planner = plan.planner
    odd = [step.label for step in planner.steps if not isinstance(step, Step)]
    if odd:
        raise ValueError(
            f"this plan cannot be saved: {odd[0]} runs as in eager mode\n"
            "  Only plans made of kernels can; str(compiled) shows the steps."
        )
    if found.graph.mutated or any(not spec.written for spec in found.specs):
        raise ValueError(
            "this plan cannot be saved: it writes to its inputs, or returns a view of one or a "
            "tensor of the model"
        )
    buffers: dict[Buffer, int] = {}
    table: list[dict[str, Any]] = []

    def number(buffer: Buffer) -> int:
        if buffer not in buffers:
            buffers[buffer] = len(table)
            table.append(_buffer(buffer, plan, data))
        return buffers[buffer]

    steps = [
        {
            "label": step.label, "kernel": step.kernel.name, "settings": step.kernel.settings,
            "shape": step.shape, "flops": step.flops, "nbytes": step.nbytes,
            "values": [
                {"buffer": number(v.buffer), "nbytes": v.nbytes} if isinstance(v, Ref) else v
                for v in step.values
            ],
        }
        for step in planner.steps
        if isinstance(step, Step)
    ]  # fmt: skip
    return {
        "threads": planner.threads,
        "precision": planner.precision,
        "arena": plan.arena_bytes,
        "inputs": [_tensor(v.traced) for v in found.graph.inputs],
        "outputs": [_output(spec) for spec in found.specs],
        "result": _structure(found.structure, found.result_tensors),
        "steps": steps,
        "buffers": table,
    }


def _buffer(buffer: Buffer, plan: Plan, data: list[bytes]) -> dict[str, Any]:
    if buffer.kind in ("input", "output"):
        return {"kind": buffer.kind, "number": buffer.number}
    if buffer.kind == "arena":
        return {"kind": "arena", "offset": buffer.offset, "nbytes": buffer.nbytes}
    if buffer.owner is not None:
        raw = bytes(buffer.owner._storage.buffer[: buffer.owner._storage.nbytes()])
    else:
        kept = next(a for a in plan.planner.kept if _starts_at(a, buffer.offset))
        raw = kept.tobytes()
    start = sum(map(len, data))
    data.append(raw + bytes(-len(raw) % 64))
    return {"kind": "constant", "start": start, "nbytes": len(raw)}


def _starts_at(kept: Any, address: int) -> bool:
    return isinstance(kept, np.ndarray) and kept.ctypes.data == address


def _tensor(tensor: Tensor) -> dict[str, Any]:
    layout = tensor._layout
    return {"shape": layout.shape, "strides": layout.strides, "dtype": tensor.dtype.name}


def _output(spec: Any) -> dict[str, Any]:
    return {"layout": list(spec.layout), "dtype": spec.dtype.name, "nbytes": spec.nbytes,
            "shares": spec.shares}  # fmt: skip


def _structure(item: Any, tensors: Sequence[Tensor]) -> Any:
    """A result's shape as plain data: tensors by number, lists, tuples and dictionaries."""
    if isinstance(item, Tensor):
        return {"tensor": next(i for i, t in enumerate(tensors) if t is item)}
    if type(item) in (list, tuple):
        kind = "list" if type(item) is list else "tuple"
        return {kind: [_structure(each, tensors) for each in item]}
    if type(item) is dict and all(isinstance(key, str) for key in item):
        return {"dict": {key: _structure(each, tensors) for key, each in item.items()}}
    if item is None or isinstance(item, (int, float, str, bool)):
        return {"value": item}
    raise ValueError(
        f"this plan cannot be saved: it returns a {type(item).__name__}\n"
        "  A saved function returns tensors in lists, tuples and dictionaries."
    )


def _rebuild(item: Any, tensors: Sequence[Tensor]) -> Any:
    ((kind, value),) = item.items()
    if kind == "tensor":
        return tensors[value]
    if kind in ("list", "tuple"):
        parts = [_rebuild(each, tensors) for each in value]
        return parts if kind == "list" else tuple(parts)
    if kind == "dict":
        return {key: _rebuild(each, tensors) for key, each in value.items()}
    return value


class LoadedFunction:
    """A function from a file. It takes tensors in the order of the original's and runs the plan
    that was made for their shapes.
    """

    def __init__(self, plans: list[tuple[Plan, dict[str, Any]]]) -> None:
        self.plans = plans

    def __str__(self) -> str:
        return plans_text([plan for plan, _ in self.plans])

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        tensors = list(tensors_in((args, kwargs)))
        kinds = [(tuple(t.shape), t.dtype.name) for t in tensors]
        for plan, entry in self.plans:
            if kinds == [(tuple(i["shape"]), i["dtype"]) for i in entry["inputs"]]:
                return _run(plan, entry, tensors)
        known = [[(tuple(i["shape"]), i["dtype"]) for i in e["inputs"]] for _, e in self.plans]
        raise ValueError(
            f"no plan in this file takes inputs {kinds}\n  It has plans for {known}; call the "
            "compiled function with such inputs before save() to have more."
        )


def _run(plan: Plan, entry: dict[str, Any], tensors: list[Tensor]) -> Any:
    given = [t.contiguous() for t in tensors]
    outputs: list[Tensor] = []
    for number, out in enumerate(entry["outputs"]):
        shared = out["shares"] != number
        storage = outputs[out["shares"]]._storage if shared else Storage(out["nbytes"])
        shape, strides, offset = out["layout"]
        layout = Layout(tuple(shape), tuple(strides), offset)
        outputs.append(make(storage, layout, getattr(dtypes, out["dtype"])))
    plan.call(given, outputs)
    return _rebuild(entry["result"], outputs)


def load_compiled(path: Any) -> Callable[..., Any]:
    """A compiled function from a file that `save` wrote.

    Raises: FileNotFoundError; ValueError for something else than such a file, a damaged one, or one
    made for another kind of CPU.
    """
    try:
        with zipfile.ZipFile(path) as archive:
            text, raw = archive.read("manifest.json"), archive.read("data.bin")
            digest = archive.read("digest").decode("ascii", "replace")
    except FileNotFoundError:
        raise
    except (OSError, KeyError, zipfile.BadZipFile, ValueError) as error:
        raise ValueError(f"{path} is not a compiled function: {error}") from None
    if hashlib.sha256(text + raw).hexdigest() != digest:
        raise ValueError(f"{path} is damaged: its digest does not match what it holds")
    manifest, data = json.loads(text), np.frombuffer(raw, np.uint8)
    if not isinstance(manifest, dict) or manifest.get("format") != FORMAT:
        raise ValueError(f"{path} has another format than {FORMAT}: save it again")
    if manifest.get("target") != current().name:
        raise ValueError(
            f"{path} was compiled for {manifest.get('target')}, this process makes code for "
            f"{current().name}: weights are packed for vectors of another length. Save it here."
        )
    memory = aligned(-(-data.size // 4)).view(np.uint8)
    memory[: data.size] = data
    try:
        return LoadedFunction([(_plan(e, memory, data.size), e) for e in manifest["plans"]])
    except (KeyError, TypeError, IndexError, AttributeError) as error:
        raise ValueError(f"{path} is damaged: {type(error).__name__} {error}") from None


def _plan(entry: dict[str, Any], memory: np.ndarray, size: int) -> Plan:
    planner = Planner(int(entry["threads"]), precision=entry.get("precision", "float32"))
    planner.kept.append(memory)
    buffers = []
    for each in entry["buffers"]:
        buffer = Buffer(each["kind"], int(each.get("nbytes", 0)), int(each.get("number", 0)))
        if buffer.kind == "constant":
            start = int(each["start"])
            if not 0 <= start <= start + buffer.nbytes <= size:
                raise ValueError("damaged: a constant lies outside the data")
            buffer.offset = memory.ctypes.data + start
        elif buffer.kind == "arena":
            buffer.offset = int(each["offset"])
            if not 0 <= buffer.offset <= buffer.offset + buffer.nbytes <= entry["arena"]:
                raise ValueError("damaged: a buffer lies outside the arena")
        elif buffer.kind not in ("input", "output"):
            raise ValueError(f"damaged: a buffer of kind {buffer.kind!r}")
        buffers.append(buffer)
    for step in entry["steps"]:
        kernel = named(step["kernel"])(**_settings(step["settings"]))
        values = [
            Ref(buffers[v["buffer"]], int(v["nbytes"])) if isinstance(v, dict) else v
            for v in step["values"]
        ]
        planner.steps.append(Step(step["label"], kernel, values, step["shape"], step["flops"],
                                  step["nbytes"]))  # fmt: skip
    return Plan.placed(planner, int(entry["arena"]))


def _settings(given: dict[str, Any]) -> dict[str, Any]:
    """Settings as kernels take them: expressions are tuples."""

    def tuples(item: Any) -> Any:
        return tuple(tuples(each) for each in item) if isinstance(item, list) else item

    return {name: tuples(value) for name, value in given.items()}
