"""`explain.diagram(model, *inputs)`: a model as a picture, as Mermaid text and as a table."""

from __future__ import annotations

import os
from dataclasses import dataclass, replace
from html import escape
from pathlib import Path
from typing import Any

from pellucid.explain.structure.costs import Counted
from pellucid.explain.structure.graph import Graph, Group, Node, simplified
from pellucid.explain.structure.mermaid import mermaid
from pellucid.explain.structure.svg import svg
from pellucid.explain.structure.trace import tensors_in, traced
from pellucid.explain.structure.words import sizes
from pellucid.explain.text import Explanation, count, size, table
from pellucid.io.atomic import atomic_writer
from pellucid.nn.module import Module
from pellucid.nn.parameter import is_lazy

SUFFIXES = {
    ".svg": "svg",
    ".mmd": "mermaid",
    ".mermaid": "mermaid",
    ".txt": "text",
    ".html": "html",
}


@dataclass(frozen=True, eq=False, repr=False)
class Diagram(Explanation):
    """What a model did with its inputs.

    `parameters` and `trainable` count elements of memory, each once: tied weights and modules that
    are called twice count once. `macs` are the multiply-adds of the run, in matrix products,
    convolutions and attention. `unused` names modules with parameters that the run did not call.
    """

    name: str
    graph: Graph
    """As it is drawn."""
    root: Group
    steps: tuple[Node, ...]
    """Every call of the run, before anything was left out or folded."""
    batch: int | None
    """The size of the first axis if all inputs and outputs have it; labels leave it away."""
    parameters: int
    trainable: int
    buffers: int
    nbytes: int
    macs: int
    tied: tuple[tuple[str, ...], ...]
    unused: tuple[str, ...]

    @property
    def mermaid(self) -> str:
        """A Mermaid flowchart: put it into a ```mermaid block of a Markdown page."""
        return mermaid(self.graph, self.name, self.batch, self.root)

    def svg(self) -> str:
        """The picture. It is self-contained: no fonts, scripts or files besides."""
        return svg(self.graph, self.root, self.name, self.summary(), self.batch)

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `.svg`, `.mmd` (Mermaid), `.html` or `.txt`; the file appears whole or not at all.

        Raises: ValueError for other endings.
        """
        suffix = Path(path).suffix.lower()
        if suffix not in SUFFIXES:
            known = ", ".join(SUFFIXES)
            raise ValueError(f"diagram: {path} ends in none of {known}, so its format is not known")
        text = {
            "svg": self.svg,
            "mermaid": lambda: self.mermaid,
            "text": lambda: str(self) + "\n",
            "html": self._page,
        }[SUFFIXES[suffix]]()
        with atomic_writer(path) as file:
            file.write(text.encode())

    def summary(self) -> str:
        """Parameters, memory and multiply-adds in one line."""
        frozen = self.parameters - self.trainable
        parts = [count(self.parameters, "parameter") + f" ({size(self.nbytes)})"]
        if frozen:
            parts.append(f"{frozen:,} of them frozen")
        if self.buffers:
            parts.append(f"{self.buffers:,} in buffers")
        parts.append(f"{_short(self.macs)} multiply-adds")
        if self.batch is not None and self.batch > 1:
            parts.append(f"for a batch of {self.batch}; sizes are those of one item")
        return ", ".join(parts)

    def __str__(self) -> str:
        rows = []
        for node in self.steps:
            if node.kind == "call" and node.only_views:
                continue
            shown = ", ".join(sizes(shape) for shape in node.outputs[:3])
            own = f"{node.parameters:,}" if node.parameters else ("shared" if node.shared else "")
            where = (
                node.name if node.kind != "call" else f"{node.group.path}.{node.name}".lstrip(".")
            )
            rows.append((where, node.title, shown, own, f"{node.macs:,}" if node.macs else ""))
        heads = ("name", "what", "gives", "parameters", "multiply-adds")
        parts = [f"{self.name}: {self.summary()}", table(heads, rows, right="34")]
        parts += [f"one memory, counted once: {' = '.join(names)}" for names in self.tied]
        if self.unused:
            parts.append("not called in this run: " + ", ".join(self.unused))
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        return {
            "name": self.name,
            "parameters": self.parameters,
            "trainable": self.trainable,
            "buffers": self.buffers,
            "bytes": self.nbytes,
            "multiply_adds": self.macs,
            "tied": [list(names) for names in self.tied],
            "unused": list(self.unused),
            "steps": [
                {
                    "kind": node.kind,
                    "name": node.name,
                    "group": node.group.path,
                    "title": node.title,
                    "outputs": [list(shape) for shape in node.outputs],
                    "inputs": [edge.source.order for edge in node.edges],
                    "order": node.order,
                    "parameters": node.parameters,
                    "multiply_adds": node.macs,
                }
                for node in self.steps
            ],
        }

    def _repr_html_(self) -> str:
        return f"<div style='max-width:100%;overflow:auto'>{self.svg()}</div>"

    def _repr_svg_(self) -> str:
        return self.svg()

    def _page(self) -> str:
        return (
            f"<!doctype html>\n<html lang='en'><meta charset='utf-8'><title>{escape(self.name)}"
            f"</title>\n<body style='margin:0'>{self.svg()}</body></html>\n"
        )


def _short(number: int) -> str:
    for step, unit in ((10**12, "T"), (10**9, "G"), (10**6, "M"), (10**3, "k")):
        if number >= step:
            return f"{number / step:.3g} {unit}"
    return str(number)


def diagram(
    model: Module,
    *inputs: Any,
    depth: int | None = None,
    fold: bool = True,
    name: str | None = None,
    **named: Any,
) -> Diagram:
    """Run `model(*inputs, **named)` once and draw what it did, with the sizes of that run.

    The model runs in evaluation mode and without gradients; its mode, its buffers and the stream of
    random numbers are afterwards what they were. Modules become boxes, functions that a `forward`
    calls too (`torch.flatten`, `+`); views that only turn a tensor become words on edges.

    Args:
        model: any module: branches, residual connections, modules called twice, functions between.
        inputs, named: what `model` is called with: tensors, lists and dictionaries of them.
        depth: draw modules at this depth as one box; None for all of it.
        fold: draw three or more equal blocks in a row as one.
        name: the heading; the model's class.

    Raises:
        TypeError: `model` is no module.
        Exception: whatever the model raises for these inputs.
    """
    if not isinstance(model, Module):
        kind = model.__name__ if isinstance(model, type) else type(model).__name__
        made = f": {kind}() makes one" if isinstance(model, type) else ""
        raise TypeError(f"diagram: the model must be a module (an object), not {kind}{made}")
    if depth is not None and (not isinstance(depth, int) or depth < 1):
        raise ValueError(f"diagram: depth must be 1 or more, not {depth!r}")
    graph, root = traced(model, inputs, named, depth)
    parameters = [p for p in model.parameters() if not is_lazy(p)]
    every = list(model.named_parameters(remove_duplicate=False))
    steps = tuple(replace(node, edges=list(node.edges)) for node in graph.nodes)
    shapes = [tuple(t.shape) for t in tensors_in((inputs, named))]
    return Diagram(
        name or type(model).__name__,
        simplified(graph, fold),
        root,
        steps,
        _batch(shapes, steps),
        Counted().add(parameters)[0],
        Counted().add(p for p in parameters if p.requires_grad)[0],
        Counted().add(model.buffers())[0],
        _bytes(parameters),
        sum(node.macs for node in steps),
        tuple(_tied(every)),
        tuple(_unused(model, steps)),
    )


def _bytes(tensors: list[Any]) -> int:
    """Bytes of the tensors, each byte once."""
    counted = Counted()
    return sum(counted.add([tensor])[0] * tensor.dtype.itemsize for tensor in tensors)


def _batch(shapes: list[tuple[int, ...]], steps: tuple[Node, ...]) -> int | None:
    """The common first axis of inputs and outputs."""
    ends = [shape for node in steps if node.kind == "output" for shape in node.outputs]
    firsts = {shape[0] if shape else None for shape in [*shapes, *ends]}
    return firsts.pop() if len(firsts) == 1 else None


def _tied(named: list[tuple[str, Any]]) -> list[tuple[str, ...]]:
    groups: dict[int, list[str]] = {}
    for name, tensor in named:
        if not is_lazy(tensor):
            groups.setdefault(id(tensor._storage), []).append(name)
    return [tuple(names) for names in groups.values() if len(names) > 1]


def _unused(model: Module, steps: tuple[Node, ...]) -> list[str]:
    """Modules with parameters of their own that were not called, nor held in one that was."""
    called = [node.name for node in steps if node.kind == "module"]
    taken = {node.name for node in steps if node.kind == "parameter"}
    inside = tuple(f"{name}." for name in called)
    found = []
    for path, module in model.named_modules():
        own = [f"{path}.{n}".lstrip(".") for n, _ in module.named_parameters(recurse=False)]
        if own and path not in called and not path.startswith(inside):
            found += [path or type(model).__name__] if not taken.intersection(own) else []
    return found
