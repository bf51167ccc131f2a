"""A graph as Mermaid text: a flowchart that GitHub, GitLab and many editors draw.

Nodes are called after their modules (`layer1_0_conv1`), groups are subgraphs, sums are diamonds,
and a path that goes around others says so on its edge.
"""

from __future__ import annotations

import re
from collections.abc import Iterator

from pellucid.explain.structure.graph import Edge, Graph, Group, Node
from pellucid.explain.structure.words import sizes

RESERVED = [
    "end",
    "graph",
    "subgraph",
    "flowchart",
    "direction",
    "default",
    "style",
    "linkstyle",
    "classdef",
    "class",
    "click",
    "call",
    "href",
    "tb",
    "td",
    "bt",
    "rl",
    "lr",
]
"""Words that mean something to Mermaid."""
COLOURS = {
    "weights": "fill:#dbeafe,stroke:#3b82f6",
    "norm": "fill:#dcfce7,stroke:#22a55b",
    "activation": "fill:#fef3c7,stroke:#d99a0b",
    "pooling": "fill:#ede9fe,stroke:#8b5cf6",
    "attention": "fill:#fce7f3,stroke:#db2777",
    "recurrent": "fill:#fce7f3,stroke:#db2777",
    "lookup": "fill:#ccfbf1,stroke:#0d9488",
    "input": "fill:#1f2937,stroke:#1f2937,color:#ffffff",
    "output": "fill:#1f2937,stroke:#1f2937,color:#ffffff",
    "parameter": "fill:#ffffff,stroke:#3b82f6,stroke-dasharray:4 3",
    "buffer": "fill:#ffffff,stroke:#6b7280,stroke-dasharray:4 3",
}


def quoted(text: str) -> str:
    """Text that may stand in a label: quotation marks and backslashes would end or bend it."""
    plain = text.replace("#", "#35;").replace('"', "#quot;").replace("`", "#96;")
    return '"' + plain.replace("<", "#lt;").replace(">", "#gt;").replace("\\", "#92;") + '"'


class _Names:
    """Names of nodes and groups: letters, digits and `_`, none twice, none a word of Mermaid's."""

    def __init__(self) -> None:
        self._taken: set[str] = set()
        self._of: dict[object, str] = {}

    def __call__(self, thing: Node | Group) -> str:
        if thing not in self._of:
            wanted = _wanted(thing)
            base = re.sub(r"\W", "_", wanted, flags=re.ASCII) or "node"
            if base.lower() in RESERVED or base[0].isdigit():
                base = f"_{base}"
            name, number = base, 1
            while name.lower() in self._taken:
                number += 1
                name = f"{base}{number}" if not base[-1].isdigit() else f"{base}_{number}"
            self._taken.add(name.lower())
            self._of[thing] = name
        return self._of[thing]


def _wanted(thing: Node | Group) -> str:
    if isinstance(thing, Group):
        return f"{thing.path}_box"
    if thing.kind == "call" and thing.group.path:
        return f"{thing.group.path}.{thing.name}"
    return thing.name


def mermaid(graph: Graph, heading: str, batch: int | None, root: Group) -> str:
    """The whole flowchart."""
    names = _Names()
    for node in graph.nodes:
        names(node)
    lines = ["---", f"title: {_heading(heading)}", "---", "flowchart TD"]
    lines += _group(graph, root, names, batch, 1)
    for node in graph.nodes:
        for edge in node.edges:
            words = edge_words(edge, node, batch)
            arrow = f" -->|{quoted(words)}| " if words else " --> "
            lines.append(f"    {names(edge.source)}{arrow}{names(node)}")
    used = {node.family for node in graph.nodes}
    for name, colours in COLOURS.items():
        if name in used:
            members = ",".join(names(n) for n in graph.nodes if n.family == name)
            lines += [f"    classDef {name}_ {colours}", f"    class {members} {name}_"]
    return "\n".join(lines) + "\n"


def _heading(text: str) -> str:
    """A title as YAML takes it, whatever is in it."""
    return "'" + text.replace("'", "''") + "'"


def _group(
    graph: Graph, group: Group, names: _Names, batch: int | None, depth: int
) -> Iterator[str]:
    """The lines of a group: its nodes, and the groups in it, in the order of their calls."""
    pad = "    " * depth
    seen: set[Group] = set()
    for node in graph.nodes:
        chain = node.group.chain()
        if group not in chain:
            continue
        if node.group is group:
            yield pad + _box(node, names(node), batch)
            continue
        inner = chain[chain.index(group) + 1]
        if inner not in seen:
            seen.add(inner)
            yield f"{pad}subgraph {names(inner)}[{quoted(group_words(inner))}]"
            yield from _group(graph, inner, names, batch, depth + 1)
            yield f"{pad}end"


def group_words(group: Group) -> str:
    """`0 BasicBlock` in the group `layer1`; `layer.0…5 BertLayer, 6 times` in `encoder`."""
    outer = group.parent.path if group.parent is not None else ""
    path = group.path.removeprefix(f"{outer}.")
    if group.times > 1:
        last = group.until.rpartition(".")[2]
        return f"{path}…{last} {group.kind}, {group.times} times"
    return f"{path} {group.kind}"


def _box(node: Node, name: str, batch: int | None) -> str:
    if node.is_join:
        return f"{name}{{{node.title}}}"
    shown = ", ".join(dict.fromkeys(sizes(shape, batch) for shape in node.outputs))
    label = quoted(f"{node.title}\n{shown}" if shown else node.title).replace("\n", "<br/>")
    if node.kind in ("input", "output"):
        return f"{name}([{label}])"
    return f"{name}[{label}]"


def edge_words(edge: Edge, node: Node, batch: int | None) -> str:
    """What stands on an edge: the views on the way, and that it is a shortcut, with its size."""
    words = ", ".join(name.replace("_", " ") for name in edge.through)
    if is_shortcut(edge, node):
        words = ", ".join(filter(None, ["shortcut", words])) + f" {sizes(edge.shape, batch)}"
    return words


def is_shortcut(edge: Edge, node: Node) -> bool:
    """Whether what joins the edge's tensor at `node` was computed from the same source."""
    if not node.is_join:
        return False
    others = [each.source for each in node.edges if each.source is not edge.source]
    seen: set[Node] = set()
    while others:
        one = others.pop()
        if one is edge.source:
            return True
        if one not in seen and one.order > edge.source.order:
            seen.add(one)
            others += one.sources()
    return False
