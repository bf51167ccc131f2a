"""Bars and the memory curve: plain HTML and SVG, drawn without a script."""

from __future__ import annotations

from collections.abc import Mapping, Sequence
from html import escape

from pellucid.explain.summary import PHASES
from pellucid.explain.text import duration, size

_HEIGHT = 100
_WIDTH = 1000


def percent(part: float, whole: float) -> str:
    """A share as a CSS width."""
    return f"{100 * part / whole if whole else 0:.2f}%"


def bar(seconds: Mapping[str, float], longest: float) -> str:
    """A bar of as many parts as there are phases; `longest` fills the width."""
    parts = [
        f'<i class="{phase}" style="width:{percent(seconds[phase], longest)}"></i>'
        for phase in PHASES
        if seconds.get(phase, 0.0) > longest / 2000
    ]
    said = ", ".join(f"{phase} {duration(seconds[phase])}" for phase in PHASES if seconds[phase])
    return f'<span class="bar" title="{escape(said)}">{"".join(parts)}</span>'


def share(parts: Sequence[tuple[str, str, float]], whole: float) -> str:
    """One bar for the whole run with a legend; `parts` are (CSS class, words, seconds)."""
    drawn = "".join(
        f'<i class="{name}" style="width:{percent(seconds, whole)}"></i>'
        for name, _, seconds in parts
    )
    legend = "".join(
        f'<span><i class="{name}"></i>{escape(words)} {duration(seconds)} '
        f"({100 * seconds / whole if whole else 0:.0f} %)</span>"
        for name, words, seconds in parts
    )
    return f'<div class="share">{drawn}</div><div class="legend">{legend}</div>'


def curve(width: float, points: Sequence[int], peak: int, peak_at: float) -> str:
    """Bytes alive over time; `width` is the seconds between two points."""
    ends = max(len(points), 1)
    step = _WIDTH / ends
    path = []
    for number, value in enumerate(points):
        high = _HEIGHT - (_HEIGHT - 6) * value / peak
        path.append(f"{number * step:.1f},{high:.1f} {(number + 1) * step:.1f},{high:.1f}")
    top = " ".join(path)
    at = min(peak_at / (ends * width), 1) * _WIDTH
    return (
        f'<svg viewBox="0 0 {_WIDTH} {_HEIGHT}" preserveAspectRatio="none" role="img" '
        f'aria-label="tensor memory over time, at most {size(peak)}">'
        f'<polygon class="area" points="0,{_HEIGHT} {top} {_WIDTH},{_HEIGHT}"/>'
        f'<polyline class="edge" points="{top}"/>'
        f'<line class="peak" x1="{at:.1f}" x2="{at:.1f}" y1="0" y2="{_HEIGHT}"/></svg>'
        f'<div class="axis"><span>0 s</span><span>peak {size(peak)} after {duration(peak_at)}'
        f"</span><span>{duration(ends * width)}</span></div>"
    )
