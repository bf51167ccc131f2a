"""A graph as an SVG picture that needs nothing else: no Graphviz, no script, no font of its own."""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from html import escape
from itertools import pairwise
from unicodedata import east_asian_width

from pellucid.explain.structure.graph import JOINS, Edge, Graph, Group, Node
from pellucid.explain.structure.layout import LANE, Area, Measures, Point, Wire, laid_out
from pellucid.explain.structure.mermaid import edge_words, group_words, is_shortcut
from pellucid.explain.structure.words import sizes

_STYLE = """
text {

  font-family: system-ui, "Segoe UI", "Helvetica Neue", Arial, "Noto Sans CJK SC", sans-serif;
  fill: #1c2430;
}
.page { fill: #fbfcfd; }
.title { font-size: 19px; font-weight: 650; }
.total { font-size: 12.5px; fill: #5b6675; }
.box { stroke-width: 1.1; }
.words { font-size: 13px; font-weight: 560; }
.more { font-size: 11px; fill: #5b6675; }
.group { fill: #28405f; fill-opacity: .035; stroke: #b9c3cf; stroke-width: 1; }
.name {
  font-size: 11px; fill: #5b6675; paint-order: stroke; stroke: #f7f9fb; stroke-width: 4px;
  stroke-linejoin: round;
}
.name .path { font-weight: 650; fill: #35404e; }
.wire { fill: none; stroke: #7d8998; stroke-width: 1.4; }
.shortcut { stroke: #e0561b; stroke-width: 2; }
.tip { fill: #7d8998; }
.shortcut-tip { fill: #e0561b; }
.edge {
  font-size: 10.5px; fill: #5b6675; paint-order: stroke; stroke: #fbfcfd; stroke-width: 4px;
  stroke-linejoin: round;
}
.cost { fill: #3b82f6; fill-opacity: .75; }
.weights { fill: #e3eefe; stroke: #4f8df0; }
.norm { fill: #e3f7ea; stroke: #38ad6b; }
.activation { fill: #fff4d2; stroke: #d9a21b; }
.pooling { fill: #f0eafe; stroke: #9168ea; }
.attention, .recurrent { fill: #fde8f2; stroke: #dc4a8b; }
.lookup { fill: #d9f7f1; stroke: #1d9e90; }
.dropout, .shape, .function, .module { fill: #f1f3f6; stroke: #a3adb9; }
.parameter, .buffer { fill: #ffffff; stroke: #4f8df0; stroke-dasharray: 5 3; }
.buffer { stroke: #8b95a1; }
.input, .output { fill: #2b3543; stroke: #2b3543; }
.on-dark { fill: #ffffff; }
.on-dark.more { fill: #c8d0da; }
.join { fill: #ffffff; stroke: #e0561b; stroke-width: 1.6; }
.sign { font-size: 17px; font-weight: 600; fill: #e0561b; }
"""
_WIDE, _HIGH = 172.0, 42.0
_EDGE = 30.0


def width_of(text: str, size: float) -> float:
    """About how wide a text is in a font of `size` pixels; Chinese letters are square."""
    narrow = sum(0.32 if c in " .,:;|!ijl'1()[]" else 0.575 for c in text if not _is_wide(c))
    return size * (narrow + sum(1.02 for c in text if _is_wide(c)))


def _is_wide(letter: str) -> bool:
    return east_asian_width(letter) in "WF"


def svg(graph: Graph, root: Group, heading: str, total: str, batch: int | None) -> str:
    """The picture of the whole graph."""
    return _Drawing(graph, root, batch).drawn(heading, total)


class _Drawing:
    def __init__(self, graph: Graph, root: Group, batch: int | None) -> None:
        self.graph, self.root, self.batch = graph, root, batch
        self.most = max((node.macs for node in graph.nodes), default=0)

    def drawn(self, heading: str, total: str) -> str:
        area = laid_out(self.graph, self.root, Measures(self._measure, _name_width, self._lane))
        head = 62.0
        left, right = _extent(area, self.batch)
        inner = max(right - left, width_of(heading, 20), width_of(total, 12.5))
        width, height = inner + 2 * _EDGE, area.height + head + 2 * _EDGE
        shift = (inner - (right - left)) / 2 + _EDGE - left
        parts = [
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{width:.0f}" height="{height:.0f}" '
            f'viewBox="0 0 {width:.0f} {height:.0f}" role="img" aria-label="{escape(heading)}">',
            f"<style>{_STYLE}</style>",
            f'<rect class="page" width="{width:.0f}" height="{height:.0f}"/>',
            f'<text class="title" x="{_EDGE}" y="42">{escape(heading)}</text>',
            f'<text class="total" x="{_EDGE}" y="62">{escape(total)}</text>',
            f'<g transform="translate({shift:.1f} {head + _EDGE:.1f})">',
            *self._boxes(area, 0.0, 0.0),
            *self._wires(area, 0.0, 0.0),
            *self._contents(area, 0.0, 0.0),
            "</g></svg>",
        ]
        return "\n".join(parts) + "\n"

    # Sizes ----------------------------------------------------------------------------------------

    def _lines(self, node: Node) -> tuple[str, str]:
        shown = ", ".join(dict.fromkeys(sizes(shape, self.batch) for shape in node.outputs))
        more = [shown] if shown else []
        if node.parameters:
            more.append(f"{node.parameters:,} parameters")
        elif node.shared:
            more.append("shared parameters")
        return node.title, "  ·  ".join(more)

    def _measure(self, node: Node) -> tuple[float, float]:
        if node.is_join:
            return 28.0, 28.0
        words, more = self._lines(node)
        width = max(_WIDE, width_of(words, 14.5) + 26, width_of(more, 11) + 26)
        return width, _HIGH if more else 30.0

    def _lane(self, edge: Edge, node: Node) -> float:
        return LANE + 14 if edge_words(edge, node, self.batch) else LANE

    # Pictures -------------------------------------------------------------------------------------

    def _boxes(self, area: Area, x: float, y: float) -> Iterator[str]:
        """The groups, the outer ones first."""
        for item in area.items:
            if isinstance(item.what, Area):
                left, top = x + item.x - item.width / 2, y + item.y
                yield (
                    f'<rect class="group" x="{left:.1f}" y="{top:.1f}" width="{item.width:.1f}" '
                    f'height="{item.height:.1f}" rx="10"/>'
                )
                yield from self._boxes(item.what, left, top)

    def _wires(self, area: Area, x: float, y: float) -> Iterator[str]:
        for wire in area.wires:
            yield from self._wire(wire, x, y)
        for item in area.items:
            if isinstance(item.what, Area):
                yield from self._wires(item.what, x + item.x - item.width / 2, y + item.y)

    def _wire(self, wire: Wire, x: float, y: float) -> Iterator[str]:
        points = [(px + x, py + y) for px, py in wire.points]
        skips = wire.ends and wire.edge is not None and wire.target is not None
        special = skips and is_shortcut(wire.edge, wire.target)  # type: ignore[arg-type]
        if wire.ends:
            tip = points[-1]
            points[-1] = (tip[0], tip[1] - 5)
        name = "wire shortcut" if special else "wire"
        yield f'<path class="{name}" d="{_path(points)}"/>'
        if wire.ends:
            shape = f"M{tip[0] - 4:.1f} {tip[1] - 7:.1f}h8l-4 7z"
            yield f'<path class="{"shortcut-tip" if special else "tip"}" d="{shape}"/>'
        if wire.ends and wire.edge is not None and wire.target is not None:
            words = edge_words(wire.edge, wire.target, self.batch)
            if words:
                yield _edge_label(points, words)

    def _contents(self, area: Area, x: float, y: float) -> Iterator[str]:
        """Nodes, and the names of groups, over everything else."""
        for item in area.items:
            left, top = x + item.x - item.width / 2, y + item.y
            if isinstance(item.what, Area):
                yield self._name(item.what, left, top)
                yield from self._contents(item.what, left, top)
            elif isinstance(item.what, Node):
                yield from self._node(item.what, left, top, item.width, item.height)

    def _name(self, area: Area, x: float, y: float) -> str:
        path, _, rest = group_words(area.group).partition(" ")
        return (
            f'<text class="name" x="{x + 12:.1f}" y="{y + 16:.1f}">'
            f'<tspan class="path">{escape(path)}</tspan> {escape(rest)}</text>'
        )

    def _node(self, node: Node, x: float, y: float, width: float, height: float) -> Iterator[str]:
        middle = x + width / 2
        if node.is_join:
            yield f'<circle class="join" cx="{middle:.1f}" cy="{y + 14:.1f}" r="13"/>'
            yield (
                f'<text class="sign" x="{middle:.1f}" y="{y + 20:.1f}" text-anchor="middle">'
                f"{JOINS[node.name]}</text>"
            )
            return
        words, more = self._lines(node)
        round_ = height / 2 if node.kind in ("input", "output") else 7
        dark = " on-dark" if node.kind in ("input", "output") else ""
        yield "<g>"
        yield f"<title>{escape(self._tooltip(node))}</title>"
        yield (
            f'<rect class="box {node.family}" x="{x:.1f}" y="{y:.1f}" width="{width:.1f}" '
            f'height="{height:.1f}" rx="{round_:.0f}"/>'
        )
        if node.macs and self.most:
            long = max(2.0, (width - 14) * node.macs / self.most)
            yield (
                f'<rect class="cost" x="{x + 7:.1f}" y="{y + height - 4.5:.1f}" '
                f'width="{long:.1f}" height="2.5" rx="1.2"/>'
            )
        at = y + (18 if more else 20)
        yield f'<text class="words{dark}" x="{middle:.1f}" y="{at:.1f}" text-anchor="middle">'
        yield f"{escape(words)}</text>"
        if more:
            yield (
                f'<text class="more{dark}" x="{middle:.1f}" y="{y + 33:.1f}" '
                f'text-anchor="middle">{escape(more)}</text>'
            )
        yield "</g>"

    def _tooltip(self, node: Node) -> str:
        parts = [node.name, node.title]
        if node.macs:
            parts.append(f"{node.macs:,} multiply-adds")
        if node.parameters:
            parts.append(f"{node.parameters:,} parameters")
        return "\n".join(parts)


def _name_width(group: Group) -> float:
    return width_of(group_words(group), 11.5) + 24


def _path(points: list[Point]) -> str:
    """A smooth line through the points: straight down, with a curve where it changes its column."""
    parts = [f"M{points[0][0]:.1f} {points[0][1]:.1f}"]
    for (x, y), (to_x, to_y) in pairwise(points):
        if abs(x - to_x) < 0.5:
            parts.append(f"L{to_x:.1f} {to_y:.1f}")
        else:
            middle = (y + to_y) / 2
            parts.append(f"C{x:.1f} {middle:.1f} {to_x:.1f} {middle:.1f} {to_x:.1f} {to_y:.1f}")
    return "".join(parts)


def _edge_label(points: list[Point], words: str) -> str:
    """Words along the longest straight piece of an edge, turned if it is long enough for them."""
    pieces = list(pairwise(points))
    (x, y), (to_x, to_y) = max(pieces, key=lambda p: (p[1][1] - p[0][1]) - abs(p[0][0] - p[1][0]))
    if len(pieces) > 1:
        straight = [p for p in points[1:-1] if abs(p[0] - points[1][0]) < 0.5]
        y, to_y = straight[0][1], straight[-1][1]
        x = to_x = straight[0][0]
    middle = (y + to_y) / 2
    if len(pieces) > 1 and to_y - y > width_of(words, 10.5):
        turned = f'transform="rotate(90 {x + 6:.1f} {middle:.1f})" text-anchor="middle"'
        return (
            f'<text class="edge" x="{x + 6:.1f}" y="{middle:.1f}" {turned}>{escape(words)}</text>'
        )
    at = (x + to_x) / 2 + 6
    return f'<text class="edge" x="{at:.1f}" y="{middle + 4:.1f}">{escape(words)}</text>'


def _extent(area: Area, batch: int | None) -> tuple[float, float]:
    """How far the picture reaches to the left and right, labels of short edges included."""

    def ends(area: Area, x: float) -> Iterable[float]:
        for wire in area.wires:
            if wire.ends and wire.edge is not None and wire.target is not None:
                words = edge_words(wire.edge, wire.target, batch)
                if words and len(wire.points) == 2:
                    yield x + max(p[0] for p in wire.points) + 12 + width_of(words, 10.5)
        for item in area.items:
            if isinstance(item.what, Area):
                yield from ends(item.what, x + item.x - item.width / 2)

    return 0.0, max([area.width, *ends(area, 0.0)])
