"""The outcome as text."""

from __future__ import annotations

from collections.abc import Sequence

from rich.console import Group, RenderableType
from rich.table import Table
from rich.text import Text

from bench.frame.peers import OURS
from bench.frame.results import Result


def duration(seconds: float) -> str:
    """Three digits and a unit: `1.23 µs`, `45.6 ms`.

    >>> duration(0.0123)
    '12.3 ms'
    """
    for scale, unit in ((1.0, "s"), (1e-3, "ms"), (1e-6, "µs")):
        if seconds >= scale:
            return f"{_digits(seconds / scale)} {unit}"
    return f"{_digits(seconds * 1e9)} ns"


def _digits(value: float) -> str:
    return f"{value:.2f}" if value < 10 else f"{value:.1f}" if value < 100 else f"{value:,.0f}"


def cell(result: Result, peer: str) -> Text:
    """A peer's time and how many times longer Pellucid takes: `1.05 µs  1.90×`."""
    if peer not in result.samples:
        return Text("")
    seconds = result.seconds(peer)
    words = duration(seconds.median)
    if peer == OURS:
        return Text(f"{words} ±{seconds.relative:.0%}")
    times = result.times(peer)
    if times is None:
        return Text(words)
    style = "green" if times.median <= 1 else ""
    return Text.assemble(words, "  ", (f"{_digits(times.median)}×", style))


def group_table(title: str, results: Sequence[Result]) -> RenderableType:
    """One row a benchmark, one column a peer; below it, parts and what was left out."""
    peers = list(dict.fromkeys(peer for result in results for peer in result.samples))
    with_errors = any(result.errors for result in results)
    with_share = any(result.peaks for result in results)
    table = Table(title=title, title_justify="left", title_style="bold", box=None, pad_edge=False)
    table.add_column("")
    for peer in peers:
        table.add_column(peer, justify="right", no_wrap=True)
    if with_share:
        table.add_column("of limit", justify="right")
    if with_errors:
        table.add_column("error: ours; largest", justify="right")
    for result in results:
        cells = [cell(result, peer) for peer in peers]
        if with_share:
            share = result.share(OURS)
            cells.append(Text("" if share is None else f"{share:.0%}"))
        if with_errors:
            cells.append(Text(_errors(result)))
        table.add_row(result.benchmark.case, *cells)
    notes = [_parts(result) for result in results if result.parts]
    return Group(table, *notes, *_left_out(results), Text(""))


def _errors(result: Result) -> str:
    if not result.errors:
        return ""
    ours = [
        f"{name.removeprefix(OURS).strip()} {error:.1e}".strip()
        for name, error in result.errors.items() if name.startswith(OURS)
    ]  # fmt: skip
    return f"{', '.join(ours)}; {max(result.errors.values()):.1e}"


def _parts(result: Result) -> Text:
    """`x + y, 1.20 µs: NumPy's addition 400 ns, memory 300 ns, …, the rest 200 ns`."""
    whole = sum(result.parts.values())
    pieces = [
        f"{name} {'-' if seconds < 0 else ''}{duration(abs(seconds))}"
        for name, seconds in result.parts.items()
    ]
    words = f"{result.benchmark.case}, {duration(whole)}: " + ", ".join(pieces)
    return Text(words, style="dim")


def _left_out(results: Sequence[Result]) -> list[Text]:
    """Each reason once, with the benchmarks it holds for unless it is all of them."""
    reasons: dict[tuple[str, str], list[str]] = {}
    for result in results:
        for peer, word in result.skipped.items():
            reasons.setdefault((peer, word), []).append(result.benchmark.case)
    lines = []
    for (peer, word), cases in reasons.items():
        where = "" if len(cases) == len(results) else f" ({', '.join(cases)})"
        lines.append(Text(f"without {peer}: {word}{where}", style="dim"))
    return lines


def machine_lines(facts: dict[str, str], threads: int) -> Text:
    """One line about the machine, one about versions, and how to read the tables."""
    machine = f"{facts['processor']}, {facts['cpus']} CPUs, load {facts['load before']}"
    others = ("processor", "cpus", "platform", "load before")
    versions = ", ".join(f"{name} {word}" for name, word in facts.items() if name not in others)
    reading = (
        "times are medians; 2.00× beside a peer: pellucid takes twice its time, in its precision"
    )
    return Text(f"{machine}, {threads} threads\n{versions}\n{reading}\n", style="dim")
