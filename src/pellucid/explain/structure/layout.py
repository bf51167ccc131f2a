"""Where the boxes of a graph stand: layers from top to bottom, group within group.

Each group is laid out by itself, its inner groups first, which are then boxes in it. What enters or
leaves a group passes a port on its edge. Inside a group: layers by longest path, long edges cut at
every layer they pass, order by barycentres, positions by least squares that keep the order
(Sugiyama, Tagawa, Toda 1981; the last step with pools of adjacent violators).
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass, field
from itertools import pairwise

from pellucid.explain.structure.graph import Edge, Graph, Group, Node

Point = tuple[float, float]

GAP, APART, LANE = 24.0, 26.0, 12.0
"""Between layers; between boxes of a layer; the width of a passing edge."""
MARGIN, HEAD = 18.0, 24.0
"""Inside a group: at its sides and its foot; at its top, where its name is."""


@dataclass(slots=True, eq=False)
class Item:
    """Something that has a place in a layer: a node, a group, a port or the bend of an edge."""

    what: Node | Area | None
    width: float
    height: float
    rank: int = 0
    x: float = 0.0
    """The middle."""
    y: float = 0.0
    """The top."""


@dataclass(slots=True, eq=False)
class Link:
    """An edge between two items of neighbouring layers; offsets are from the items' middles."""

    above: Item
    below: Item
    weight: float
    out_at: float = 0.0
    in_at: float = 0.0


@dataclass(slots=True)
class Wire:
    """A drawn edge: its points from top to bottom, and what it carries."""

    points: list[Point]
    source: Node
    edge: Edge | None
    """The edge, on the piece that reaches its node; None on other pieces."""
    ends: bool
    target: Node | None = None


@dataclass(slots=True, eq=False)
class Area:
    """A group that has been laid out: positions count from its top left corner."""

    group: Group
    width: float = 0.0
    height: float = 0.0
    items: list[Item] = field(default_factory=list)
    wires: list[Wire] = field(default_factory=list)
    entries: dict[Node, float] = field(default_factory=dict)
    """Where the tensor of an outer node comes in, from the left."""
    exits: dict[Node, float] = field(default_factory=dict)


Path = tuple[list[Link], Node, Edge, Node]
"""An edge cut into links, the node its tensor is of, the edge, the node that takes it."""


@dataclass(frozen=True, slots=True)
class Measures:
    """How much room things need."""

    node: Callable[[Node], tuple[float, float]]
    """Width and height of a node."""
    name: Callable[[Group], float]
    """Width of a group's name."""
    edge: Callable[[Edge, Node], float]
    """Width of a long edge, with what is written along it."""


def laid_out(graph: Graph, root: Group, measures: Measures) -> Area:
    """The whole graph."""
    return _Level(graph, root, measures).area()


class _Level:
    """The layout of one group."""

    def __init__(self, graph: Graph, group: Group, measures: Measures) -> None:
        self.graph, self.group, self.measures = graph, group, measures
        self.chains = {node: node.group.chain() for node in graph.nodes}
        self.items: dict[Node | Group, Item] = {}
        self.ports_in: dict[Node, Item] = {}
        self.ports_out: dict[Node, Item] = {}
        self.edges: list[tuple[Item, Item, Node, Edge, Node]] = []

    def area(self) -> Area:
        self._collect()
        self._rank()
        layers, links, paths = self._cut()
        _order(layers, links)
        _place(layers, links)
        _straighten(layers, paths)
        return self._finish(layers, paths)

    # What stands in this group --------------------------------------------------------------------

    def _item_of(self, node: Node) -> Item | None:
        """The item of this level that is or holds `node`; None for a node outside."""
        chain = self.chains[node]
        if self.group not in chain:
            return None
        depth = chain.index(self.group) + 1
        key: Node | Group = node if len(chain) == depth else chain[depth]
        if key not in self.items:
            if isinstance(key, Group):
                area = _Level(self.graph, key, self.measures).area()
                self.items[key] = Item(area, area.width, area.height)
            else:
                self.items[key] = Item(key, *self.measures.node(key))
        return self.items[key]

    def _collect(self) -> None:
        seen = set()
        for node in self.graph.nodes:
            below = self._item_of(node)
            for edge in node.edges:
                above = self._item_of(edge.source)
                if (above is None and below is None) or (above is below and above is not None):
                    continue
                if above is None:
                    above = self.ports_in.setdefault(edge.source, Item(None, LANE, 0))
                target = below or self.ports_out.setdefault(edge.source, Item(None, LANE, 0))
                key = (above, target, edge.source)
                if key not in seen:
                    seen.add(key)
                    self.edges.append((above, target, edge.source, edge, node))

    # Layers ---------------------------------------------------------------------------------------

    def _rank(self) -> None:
        items = [*self.ports_in.values(), *self.items.values()]
        below: dict[Item, list[Item]] = {item: [] for item in items}
        waiting = dict.fromkeys([*items, *self.ports_out.values()], 0)
        if self.ports_in:
            for item in self.items.values():
                item.rank = 1
        for above, target, *_ in self.edges:
            below[above].append(target)
            waiting[target] += 1
        ready = [item for item in items if not waiting[item]]
        while ready:
            item = ready.pop()
            for other in below.get(item, ()):
                other.rank = max(other.rank, item.rank + 1)
                waiting[other] -= 1
                if not waiting[other]:
                    ready.append(other)
        for item in self.items.values():  # what nothing reaches stands just above its reader
            if below[item] and not any(target is item for _, target, *_ in self.edges):
                item.rank = max(item.rank, min(other.rank for other in below[item]) - 1)
        last = max((item.rank for item in self.items.values()), default=0)
        for item in self.ports_out.values():
            item.rank = last + 1

    def _cut(self) -> tuple[list[list[Item]], list[Link], list[Path]]:
        """Layers of items, links between neighbouring layers, and the links of each edge."""
        count = 1 + max(
            (i.rank for i in [*self.items.values(), *self.ports_out.values()]), default=0
        )
        layers: list[list[Item]] = [[] for _ in range(count)]
        for item in [*self.ports_in.values(), *self.items.values(), *self.ports_out.values()]:
            layers[item.rank].append(item)
        links, paths = [], []
        reach = self._reach()
        for above, target, source, edge, node in self.edges:
            path: list[Link] = []
            here, out_at = above, _offset(above, source, "exits")
            long = target.rank - above.rank > 1
            for rank in range(above.rank + 1, target.rank):
                bend = Item(None, self.measures.edge(edge, node), 0, rank)
                layers[rank].append(bend)
                path.append(Link(here, bend, 8.0 if here.what is None else 0.3, out_at))
                here, out_at = bend, 0.0
            furthest = max(reach[other] for start, other, *_ in self.edges if start is above)
            weight = 0.3 if long else 4.0 if reach[target] == furthest else 0.5
            path.append(Link(here, target, weight, out_at, _offset(target, source, "entries")))
            links += path
            paths.append((path, source, edge, node))
        return layers, links, paths

    def _reach(self) -> dict[Item, int]:
        """How many layers still follow each item: of several ways the longest stays straight."""
        reach = dict.fromkeys([i for edge in self.edges for i in edge[:2]], 0)
        for above, target, *_ in sorted(self.edges, key=lambda edge: -edge[0].rank):
            reach[above] = max(reach[above], reach[target] + 1)
        return reach

    # The picture ----------------------------------------------------------------------------------

    def _finish(self, layers: list[list[Item]], paths: list[Path]) -> Area:
        everything = [item for layer in layers for item in layer]
        left = min((i.x - i.width / 2 for i in everything), default=0.0)
        right = max((i.x + i.width / 2 for i in everything), default=0.0)
        inner = self.group.parent is not None
        margin = MARGIN if inner else 0.0
        area = Area(self.group)
        area.width = right - left + 2 * margin
        if inner:  # the name stands at the left of what comes in from above
            name = self.measures.name(self.group)
            first = min((i.x for i in self.ports_in.values()), default=right) - left + margin
            more = max(0.0, min(name - first, 100.0), name - area.width)
            margin += more
            area.width += more
        for item in everything:
            item.x += margin - left
        _spread(paths)
        tops = self._heights(layers, inner, area)
        for node, item in self.ports_in.items():
            area.entries[node] = item.x
        for node, item in self.ports_out.items():
            area.exits[node] = item.x
        area.items = list(self.items.values())
        for path, source, edge, node in paths:
            wire = Wire(_points(path, tops), source, edge, isinstance(path[-1].below.what, Node))
            wire.target = node
            area.wires.append(wire)
        return area

    def _heights(
        self, layers: list[list[Item]], inner: bool, area: Area
    ) -> list[tuple[float, float]]:
        """Top and bottom of each layer; the items get their tops."""
        y, tops = 0.0, []
        for rank, layer in enumerate(layers):
            height = max((item.height for item in layer), default=0.0)
            ports = all(item.what is None for item in layer) and bool(layer)
            if inner and rank == 0 and not self.ports_in:
                y += HEAD
            for item in layer:
                item.y = y + (height - item.height) / 2
            tops.append((y, y + height))
            y += height
            if rank == 0 and ports and self.ports_in:
                y += HEAD
            elif rank + 1 < len(layers):
                last = rank + 2 == len(layers) and bool(self.ports_out)
                y += MARGIN if last else GAP
        area.height = y + (MARGIN if inner and not self.ports_out else 0.0)
        return tops


def _offset(item: Item, source: Node, side: str) -> float:
    """Where the tensor of `source` meets an item, from its middle."""
    if isinstance(item.what, Area):
        found: float = getattr(item.what, side)[source]
        return found - item.width / 2
    return 0.0


def _spread(paths: list[Path]) -> None:
    """Let several edges into one node arrive side by side, in the order they come from."""
    arrivals: dict[Item, list[Link]] = {}
    for path, *_ in paths:
        if isinstance(path[-1].below.what, Node):
            arrivals.setdefault(path[-1].below, []).append(path[-1])
    for item, links in arrivals.items():
        if len(links) < 2 or (isinstance(item.what, Node) and item.what.is_join):
            continue
        links.sort(key=lambda link: link.above.x + link.out_at)
        step = min(28.0, item.width / (len(links) + 1))
        for number, link in enumerate(links):
            link.in_at = (number - (len(links) - 1) / 2) * step


def _points(path: list[Link], tops: list[tuple[float, float]]) -> list[Point]:
    first, last = path[0], path[-1]
    points = [(first.above.x + first.out_at, first.above.y + first.above.height)]
    for link in path[:-1]:
        top, bottom = tops[link.below.rank]
        points += [(link.below.x, top), (link.below.x, bottom)]
    points.append((last.below.x + last.in_at, last.below.y))
    return points


# Order and place of the items of each layer ------------------------------------------------------


def _order(layers: list[list[Item]], links: list[Link]) -> None:
    """Sort each layer by the mean place of what its items hang on, down and up, keep the best."""
    best, fewest = [list(layer) for layer in layers], _crossings(layers, links)
    for sweep in range(8):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            place = {item: i / max(len(row) - 1, 1) for row in layers for i, item in enumerate(row)}
            key = {}
            for item in layer:
                beside = [
                    place[link.above] if down else place[link.below]
                    for link in links
                    if (link.below if down else link.above) is item
                ]
                key[item] = sum(beside) / len(beside) if beside else place[item]
            layer.sort(key=lambda item: (key[item], isinstance(item.what, type(None))))
        crossings = _crossings(layers, links)
        if crossings < fewest:
            best, fewest = [list(layer) for layer in layers], crossings
    for layer, found in zip(layers, best, strict=True):
        layer[:] = found


def _crossings(layers: list[list[Item]], links: list[Link]) -> int:
    place = {item: i for layer in layers for i, item in enumerate(layer)}
    by_rank: dict[int, list[tuple[float, float]]] = {}
    for link in links:
        ends = (place[link.above] + link.out_at / 1e4, place[link.below] + link.in_at / 1e4)
        by_rank.setdefault(link.above.rank, []).append(ends)
    return sum(
        (a - c) * (b - d) < 0
        for ends in by_rank.values()
        for i, (a, b) in enumerate(ends)
        for c, d in ends[:i]
    )


def _place(layers: list[list[Item]], links: list[Link]) -> None:
    """Positions from left to right: below what they hang on, apart from their neighbours.

    Sweeps down look only upwards and sweeps up only downwards, so that a chain is straight after
    one sweep; bends look both ways, and give way to everything else.
    """
    above: dict[Item, list[Link]] = {item: [] for layer in layers for item in layer}
    below: dict[Item, list[Link]] = {item: [] for layer in layers for item in layer}
    for link in links:
        above[link.below].append(link)
        below[link.above].append(link)
    for layer in layers:
        x = 0.0
        for item in layer:
            item.x = x + item.width / 2
            x += item.width + APART
        for item in layer:
            item.x -= (x - APART) / 2
    for sweep in range(13):
        down = sweep % 2 == 0
        for layer in layers if down else reversed(layers):
            wishes = []
            for item in layer:
                bend = item.what is None and above[item] and below[item]
                pulls = [
                    (link.above.x + link.out_at - link.in_at, link.weight)
                    for link in (above[item] if down or bend else ())
                ]
                pulls += [
                    (link.below.x + link.in_at - link.out_at, link.weight)
                    for link in (below[item] if not down or bend else ())
                ]
                wish, firm = _wish(pulls, item.x)
                wishes.append((wish, 0.02 if bend else firm))
            _pool(layer, wishes)


def _wish(pulls: list[tuple[float, float]], here: float) -> tuple[float, float]:
    """Where an item would stand, and how firmly: the mean of its strongest pulls."""
    if not pulls:
        return here, 0.05
    strongest = max(weight for _, weight in pulls)
    firm = [x for x, weight in pulls if weight == strongest]
    return sum(firm) / len(firm), strongest


def _straighten(layers: list[list[Item]], paths: list[Path]) -> None:
    """Bring the bends of each edge into one column: below its source, or as far out as need be."""
    beside = {
        item: (layer[i - 1] if i else None, layer[i + 1] if i + 1 < len(layer) else None)
        for layer in layers
        for i, item in enumerate(layer)
    }
    for path, *_ in paths:
        bends = [link.below for link in path[:-1]]
        if not bends:
            continue
        below_its_source = path[0].above.x + path[0].out_at
        for x in (below_its_source, max(b.x for b in bends), min(b.x for b in bends)):
            if all(_has_room(bend, x, *beside[bend]) for bend in bends):
                for bend in bends:
                    bend.x = x
                break


def _has_room(item: Item, x: float, left: Item | None, right: Item | None) -> bool:
    half = item.width / 2
    return (left is None or left.x + left.width / 2 <= x - half) and (
        right is None or x + half <= right.x - right.width / 2
    )


def _pool(layer: list[Item], wishes: list[tuple[float, float]]) -> None:
    """The positions nearest to the wishes at which neighbours keep their distance."""
    shift = [0.0]
    for one, other in pairwise(layer):
        apart = APART if one.what is not None and other.what is not None else APART / 2
        shift.append(shift[-1] + (one.width + other.width) / 2 + apart)
    pools: list[list[float]] = []  # sum of weighted wishes, of weights, number of items
    for (wish, weight), moved in zip(wishes, shift, strict=True):
        pools.append([(wish - moved) * weight, weight, 1])
        while len(pools) > 1 and pools[-2][0] / pools[-2][1] > pools[-1][0] / pools[-1][1]:
            total, weights, number = pools.pop()
            pools[-1] = [pools[-1][0] + total, pools[-1][1] + weights, pools[-1][2] + number]
    found = [total / weights for total, weights, number in pools for _ in range(int(number))]
    for item, x, moved in zip(layer, found, shift, strict=True):
        item.x = x + moved
