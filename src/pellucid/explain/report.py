"""The report: one HTML page about a run. It loads nothing, so it opens anywhere and for ever."""

from __future__ import annotations

import os
import platform
from html import escape
from pathlib import Path
from string import Template
from typing import TYPE_CHECKING

import numpy as np

from pellucid.explain import charts, sections
from pellucid.explain.sites import BACKWARD, FORWARD, UPDATE
from pellucid.explain.summary import by_kind, findings
from pellucid.explain.text import count, duration, size
from pellucid.version import PELLUCID

if TYPE_CHECKING:
    from pellucid.explain.session import Session

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Pellucid $version">
<title>$title – Pellucid</title>
<style>
$style</style>
</head>
<body>
<header>
<div class="mark">Pellucid report</div>
<h1>$command</h1>
$ended<div class="facts">$facts</div>
<div class="tiles">$tiles</div>
</header>
<main>
<h2>Where the time went</h2>
$share
$body
</main>
<footer>
<h2>How this was measured</h2>
$notes
</footer>
</body>
</html>
""")

_NOTES = (
    (
        "Time",
        "of an operator from its call to its return, without operators it calls. What is left of "
        "the wall time is Python, the program's other libraries, and the recording itself. A "
        "gradient is what a backward formula took beside its operators.",
    ),
    (
        "Allocated",
        "bytes of the results that lie in fresh memory, added up; most of it is reused memory, "
        "because freed memory is kept for the next tensor. A view allocates nothing.",
    ),
    (
        "Lines",
        "of the first frame outside Pellucid and the standard library. An optimiser's step "
        "is told as one write for each parameter.",
    ),
)


def page(run: Session) -> str:
    """The whole page as text."""
    recorder = run.recorder
    command = " ".join([run.script, *run.argv])
    body = [
        sections.worth_a_look(recorder),
        sections.memory(recorder),
        sections.lines(recorder),
        sections.modules(recorder, run.modules),
        sections.operators(recorder),
    ]
    return _PAGE.substitute(
        version=escape(PELLUCID),
        title=escape(Path(run.script).name),
        style=Path(__file__).with_name("page.css").read_text(encoding="utf-8"),
        command=escape(command),
        ended=f'<div class="ended">ended by {escape(run.ended)}</div>\n' if run.ended else "",
        facts=escape(facts(run)),
        tiles=tiles(run),
        share=shares(run),
        body="\n".join(part for part in body if part),
        notes="<dl>" + "".join(f"<dt>{a}</dt><dd>{b}</dd>" for a, b in _NOTES) + "</dl>",
    )


def facts(run: Session) -> str:
    """When it ran, on what."""
    return " · ".join(
        [
            run.began.strftime("%Y-%m-%d %H:%M"),
            f"Pellucid {PELLUCID}",
            f"Python {platform.python_version()}",
            f"NumPy {np.__version__}",
            f"{platform.system()} {platform.machine()}",
            count(os.cpu_count() or 1, "CPU"),
        ]
    )


def tiles(run: Session) -> str:
    """The numbers to see first."""
    recorder = run.recorder
    kinds = by_kind(recorder)
    allocated = sum(row.allocated for row in recorder.rows())
    found = findings(recorder)
    shown = [
        (duration(run.seconds), f"wall time ({duration(run.cpu_seconds)} of CPU)"),
        (
            f"{recorder.calls:,}",
            f"operator calls: {kinds['view']:,} views, {kinds['copy']:,} fresh, "
            f"{kinds['write']:,} in place",
        ),
        (size(recorder.memory.peak), "most tensor memory at once"),
        (size(allocated), "allocated, all results added up"),
        (
            size(sum(each.remark.nbytes for each in found)),
            f"copied silently, {count(len(found), 'place')}",
        ),
    ]
    if run.process_peak:
        shown.insert(3, (size(run.process_peak), "most memory of the process"))
    return "".join(
        f'<div class="tile"><b>{escape(value)}</b><span>{escape(words)}</span></div>'
        for value, words in shown
    )


def shares(run: Session) -> str:
    """The wall time, divided."""
    seconds = dict.fromkeys((FORWARD, BACKWARD, UPDATE), 0.0)
    for row in run.recorder.rows():
        seconds[row.phase] += row.seconds
    known = sum(seconds.values())
    whole = max(run.seconds, known)  # threads may compute side by side
    parts = [
        (FORWARD, "operators of the program", seconds[FORWARD]),
        (BACKWARD, "of backward passes", seconds[BACKWARD]),
        (UPDATE, "of optimisers", seconds[UPDATE]),
        ("rest", "everything else", whole - known),
    ]
    return charts.share(parts, whole)
