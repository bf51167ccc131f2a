"""The graph of one run of a model: nodes, the groups they stand in, edges with their sizes.

Also what makes it readable: views that only turn or cut a tensor become words on an edge, constants
go, and blocks repeated one after another can be folded into one.
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from dataclasses import dataclass, field

Shape = tuple[int, ...]


@dataclass(slots=True, eq=False)
class Group:
    """One call of a module that holds others: a box around its nodes. The root has no parent."""

    path: str
    kind: str
    parent: Group | None
    times: int = 1
    """How many blocks of this form follow one another, where they are drawn as one."""
    until: str = ""
    """The path of the last of them."""

    def chain(self) -> list[Group]:
        """The groups around it from the root, itself included."""
        return ([] if self.parent is None else self.parent.chain()) + [self]


@dataclass(slots=True)
class Edge:
    """A tensor on its way to a node: from which node, its shape, the views it went through."""

    source: Node
    shape: Shape
    through: tuple[str, ...] = ()


@dataclass(slots=True, eq=False)
class Node:
    """One call of a module without modules of its own, of a function, an input, an output.

    `kind`: "module", "call", "input", "output", "parameter" or "buffer". `family` groups modules
    and calls by what they do: it chooses the colour. `macs` are multiply-adds, `parameters` those
    elements that no earlier node has shown.
    """

    kind: str
    name: str
    title: str
    family: str
    group: Group
    order: int
    outputs: list[Shape] = field(default_factory=list)
    edges: list[Edge] = field(default_factory=list)
    parameters: int = 0
    macs: int = 0
    shared: bool = False
    """Its parameters were shown before: the module is called again, or they are tied."""
    only_views: bool = False
    times: int = 1

    @property
    def is_join(self) -> bool:
        """Whether it is an addition or product of two paths, drawn as a small sign."""
        return self.kind == "call" and self.name in JOINS and len(self.sources()) > 1

    def sources(self) -> list[Node]:
        """The nodes its inputs come from, each once."""
        return list(dict.fromkeys(edge.source for edge in self.edges))


JOINS = {"add": "+", "mul": "×", "sub": "−"}
SHOWN_VIEWS = frozenset({"flatten", "reshape", "unflatten"})
"""Calls that only look at memory in another way, and yet are a step of the model."""


@dataclass(slots=True)
class Graph:
    """Nodes in the order of their calls."""

    nodes: list[Node]

    def consumers(self) -> dict[Node, list[tuple[Node, Edge]]]:
        """For every node, who takes its tensors."""
        found: dict[Node, list[tuple[Node, Edge]]] = {node: [] for node in self.nodes}
        for node in self.nodes:
            for edge in node.edges:
                found[edge.source].append((node, edge))
        return found


def simplified(graph: Graph, fold: bool) -> Graph:
    """The graph as it is drawn."""
    nodes = _without_constants(graph.nodes)
    nodes = _without_views(nodes)
    nodes = _without_dead_ends(nodes)
    return Graph(_folded(nodes) if fold else nodes)


def _without_constants(nodes: list[Node]) -> list[Node]:
    """Leave out calls that no input and no parameter reaches."""
    kept: set[Node] = set()
    for node in nodes:
        if node.kind != "call" or any(edge.source in kept for edge in node.edges):
            kept.add(node)
    for node in kept:
        node.edges = [edge for edge in node.edges if edge.source in kept]
    return [node for node in nodes if node in kept]


def _without_views(nodes: list[Node]) -> list[Node]:
    """Replace every call that made only views by words on the edges that passed through it."""

    def resolved(edge: Edge) -> Iterator[Edge]:
        if edge.source not in hidden:
            yield edge
            return
        for earlier in edge.source.edges:
            for found in resolved(earlier):
                yield Edge(
                    found.source, edge.shape, (*found.through, edge.source.name, *edge.through)
                )

    hidden = {
        node
        for node in nodes
        if node.kind == "call" and node.only_views and node.name not in SHOWN_VIEWS
    }
    for node in nodes:
        if node not in hidden:
            node.edges = _distinct(e for edge in node.edges for e in resolved(edge))
    return [node for node in nodes if node not in hidden]


def _distinct(edges: Iterable[Edge]) -> list[Edge]:
    return list({(id(e.source), e.shape, e.through): e for e in edges}.values())


def _without_dead_ends(nodes: list[Node]) -> list[Node]:
    """Leave out calls whose results reach no output; modules stay, even if nothing uses them."""
    alive: set[Node] = set()
    for node in reversed(nodes):
        if node.kind in ("module", "output", "input") or node in alive:
            alive.add(node)
            alive.update(node.sources())
    return [node for node in nodes if node in alive]


# Folding ------------------------------------------------------------------------------------------

LEAST = 3
"""How many equal blocks in a row are drawn as one."""


def _folded(nodes: list[Node]) -> list[Node]:
    """Draw runs of equal neighbouring blocks as one; the innermost runs are looked for last."""
    done: set[Group] = set()
    while True:
        run = _a_run(nodes, done)
        if run is None:
            return nodes
        done.update(run)
        nodes = _fold(nodes, run)


def _a_run(nodes: list[Node], done: set[Group]) -> list[Group] | None:
    groups = list(dict.fromkeys(group for node in nodes for group in node.group.chain()))
    forms = {group: _form(nodes, group) for group in groups if group.parent is not None}
    for parent in groups:
        siblings = [group for group in groups if group.parent is parent]
        run: list[Group] = []
        for group in [*siblings, None]:
            if run and group is not None and forms[group] == forms[run[0]]:
                run.append(group)
                continue
            if len(run) >= LEAST and run[0] not in done and _is_chain(nodes, run):
                return run
            run = [group] if group is not None else []
    return None


def _members(nodes: list[Node], group: Group) -> list[Node]:
    return [node for node in nodes if group in node.group.chain()]


def _form(nodes: list[Node], group: Group) -> tuple[object, ...]:
    """What two blocks have in common when they may be drawn as one."""
    members = _members(nodes, group)
    place = {node: number for number, node in enumerate(members)}
    return tuple(
        (
            node.title,
            tuple(node.outputs),
            node.parameters,
            node.shared,
            tuple((place.get(e.source, -1), e.shape, e.through) for e in node.edges),
        )
        for node in members
    )


def _is_chain(nodes: list[Node], run: list[Group]) -> bool:
    """Whether each block takes what its neighbour before it gave, and nothing skips a block."""
    place = {node: i for i, group in enumerate(run) for node in _members(nodes, group)}
    for node in nodes:
        for edge in node.edges:
            i, k = place.get(edge.source), place.get(node)
            if i is None:
                continue
            if k is None and i != len(run) - 1:
                return False
            if k is not None and k - i not in (0, 1):
                return False
    return True


def _fold(nodes: list[Node], run: list[Group]) -> list[Node]:
    first, last = run[0], run[-1]
    twin = dict(zip(_members(nodes, last), _members(nodes, first), strict=True))
    dropped = {node for group in run[1:] for node in _members(nodes, group)}
    for node in nodes:
        if node not in dropped:
            node.edges = [
                Edge(twin.get(edge.source, edge.source), edge.shape, edge.through)
                for edge in node.edges
            ]
    for node in _members(nodes, first):
        node.times *= len(run)
    first.times, first.until = len(run), last.path
    return [node for node in nodes if node not in dropped]
