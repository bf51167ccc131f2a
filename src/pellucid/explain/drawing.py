"""A drawing of rectangles, lines, circles and words: as SVG, or as PNG through matplotlib.

Coordinates are pixels from the upper left corner.
"""

from __future__ import annotations

import io
import os
from collections.abc import Callable
from dataclasses import dataclass, field
from html import escape
from pathlib import Path
from typing import Any

from pellucid.io.atomic import atomic_writer

FONT = "DejaVu Sans, Helvetica, Arial, sans-serif"


@dataclass(frozen=True, slots=True)
class Style:
    """How a shape looks: colours as #rrggbb or "none", widths in pixels."""

    fill: str = "none"
    line: str = "none"
    width: float = 1.0
    dashed: bool = False
    alpha: float = 1.0
    """Opacity of the fill."""


@dataclass(frozen=True, slots=True)
class Rectangle:
    """From (x, y), the upper left corner."""

    x: float
    y: float
    wide: float
    high: float
    style: Style
    title: str = ""


@dataclass(frozen=True, slots=True)
class Segment:
    """A line from (x1, y1) to (x2, y2)."""

    x1: float
    y1: float
    x2: float
    y2: float
    style: Style


@dataclass(frozen=True, slots=True)
class Circle:
    """Around (x, y)."""

    x: float
    y: float
    radius: float
    style: Style
    title: str = ""


@dataclass(frozen=True, slots=True)
class Words:
    """A line of text whose baseline is at y; `anchor` is "start", "middle" or "end"."""

    x: float
    y: float
    text: str
    size: float = 12
    colour: str = "#212529"
    anchor: str = "start"
    bold: bool = False


Shape = Rectangle | Segment | Circle | Words


@dataclass
class Drawing:
    """Shapes on a white sheet of `wide` × `high` pixels, the later above the earlier."""

    wide: float
    high: float
    label: str
    """What the picture shows, for those who cannot see it."""
    shapes: list[Shape] = field(default_factory=list)

    def add(self, *shapes: Shape) -> None:
        self.shapes.extend(shapes)

    def svg(self) -> str:
        """The drawing as a self-contained SVG."""
        body = "\n".join(_SVG[type(shape)](shape) for shape in self.shapes)
        return (
            f'<svg xmlns="http://www.w3.org/2000/svg" width="{self.wide:.0f}" '
            f'height="{self.high:.0f}" viewBox="0 0 {self.wide:.0f} {self.high:.0f}" role="img" '
            f'aria-label="{escape(self.label)}" font-family="{FONT}">\n'
            f'<rect width="100%" height="100%" fill="#ffffff"/>\n{body}\n</svg>\n'
        )

    def png(self, dots: float = 2.0) -> bytes:
        """The drawing as PNG, `dots` pixels for each of its own.

        Raises: ModuleNotFoundError without matplotlib.
        """
        try:
            from matplotlib.backends.backend_agg import FigureCanvasAgg
            from matplotlib.figure import Figure
        except ModuleNotFoundError as error:
            raise ModuleNotFoundError(
                "a PNG is drawn by matplotlib, which is not installed\n"
                "  pip install 'pellucid[plots]', or save an .svg, which needs nothing.",
                name=error.name,
            ) from None
        figure = Figure(figsize=(self.wide / 100, self.high / 100), dpi=100 * dots)
        FigureCanvasAgg(figure)
        axes = figure.add_axes((0, 0, 1, 1))
        axes.set_xlim(0, self.wide)
        axes.set_ylim(self.high, 0)
        axes.axis("off")
        for order, shape in enumerate(self.shapes):
            _paint(axes, shape, order)
        found = io.BytesIO()
        figure.savefig(found, format="png", facecolor="white")
        return found.getvalue()

    def save(self, path: str | os.PathLike[str]) -> None:
        """Write `.svg` or `.png`, by the name. The file appears whole or not at all.

        Raises: ValueError for another ending; OSError where nothing can be written.
        """
        target = Path(path)
        ending = target.suffix.lower()
        if ending not in (".svg", ".png"):
            raise ValueError(
                f"a drawing is saved as .svg or .png, not as {target.suffix or 'a file without'}"
                f"{'' if target.suffix else ' ending'}: {target.name}"
            )
        data = self.svg().encode() if ending == ".svg" else self.png()
        with atomic_writer(target) as file:
            file.write(data)


def _number(value: float) -> str:
    return f"{value:.2f}".rstrip("0").rstrip(".")


def _look(style: Style) -> str:
    words = f'fill="{style.fill}"'
    if style.fill != "none" and style.alpha < 1:
        words += f' fill-opacity="{style.alpha:g}"'
    if style.line != "none":
        words += f' stroke="{style.line}" stroke-width="{style.width:g}"'
    return words + (' stroke-dasharray="6 4"' if style.dashed else "")


def _closed(tag: str, title: str) -> str:
    return f"{tag}><title>{escape(title)}</title></{tag.split()[0][1:]}>" if title else f"{tag}/>"


def _rectangle(shape: Rectangle) -> str:
    return _closed(
        f'<rect x="{_number(shape.x)}" y="{_number(shape.y)}" width="{_number(shape.wide)}" '
        f'height="{_number(shape.high)}" {_look(shape.style)}',
        shape.title,
    )


def _segment(shape: Segment) -> str:
    return (
        f'<line x1="{_number(shape.x1)}" y1="{_number(shape.y1)}" x2="{_number(shape.x2)}" '
        f'y2="{_number(shape.y2)}" {_look(shape.style)}/>'
    )


def _circle(shape: Circle) -> str:
    return _closed(
        f'<circle cx="{_number(shape.x)}" cy="{_number(shape.y)}" r="{_number(shape.radius)}" '
        f"{_look(shape.style)}",
        shape.title,
    )


def _words(shape: Words) -> str:
    weight = ' font-weight="bold"' if shape.bold else ""
    return (
        f'<text x="{_number(shape.x)}" y="{_number(shape.y)}" font-size="{shape.size:g}" '
        f'fill="{shape.colour}" text-anchor="{shape.anchor}"{weight} xml:space="preserve">'
        f"{escape(shape.text)}</text>"
    )


_SVG: dict[type, Callable[[Any], str]] = {
    Rectangle: _rectangle,
    Segment: _segment,
    Circle: _circle,
    Words: _words,
}


def _paint(axes: Any, shape: Shape, order: int) -> None:
    """One shape on matplotlib's axes."""
    from matplotlib import patches
    from matplotlib.colors import to_rgba

    if isinstance(shape, Words):
        side = {"start": "left", "middle": "center", "end": "right"}[shape.anchor]
        axes.text(
            shape.x,
            shape.y,
            shape.text,
            fontsize=shape.size * 0.72,  # points
            color=shape.colour,
            ha=side,
            va="baseline",
            fontweight="bold" if shape.bold else "normal",
            zorder=order,
            parse_math=False,
        )
        return
    style = shape.style
    dashes = (0, (6, 4)) if style.dashed else "-"
    width = style.width * 0.72 if style.line != "none" else 0
    if isinstance(shape, Segment):
        axes.plot(
            [shape.x1, shape.x2],
            [shape.y1, shape.y2],
            color=style.line,
            linewidth=width,
            linestyle=dashes,
            zorder=order,
        )
        return
    look: dict[str, Any] = {
        "facecolor": to_rgba(style.fill, style.alpha) if style.fill != "none" else "none",
        "edgecolor": style.line,
        "linewidth": width,
        "linestyle": dashes,
        "zorder": order,
    }
    if isinstance(shape, Circle):
        axes.add_patch(patches.Circle((shape.x, shape.y), shape.radius, **look))
    else:
        axes.add_patch(patches.Rectangle((shape.x, shape.y), shape.wide, shape.high, **look))
