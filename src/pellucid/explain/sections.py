"""The sections of the report, each a function from what was recorded to HTML."""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from html import escape

from pellucid.explain import charts
from pellucid.explain.modules import Held, ModuleWatch, Root
from pellucid.explain.recorder import Recorder, Row
from pellucid.explain.sites import BACKWARD, FORWARD, UPDATE, Line
from pellucid.explain.summary import (
    SMALL,
    Finding,
    ModuleSum,
    Sum,
    by_line,
    by_module,
    by_operator,
    findings,
    holders,
    shown_file,
)
from pellucid.explain.text import brief, count, duration, size

FIRST = 25
"""Rows shown at once; the rest unfolds."""
MOST = 400
KINDS = {"view": "view", "copy": "fresh memory", "write": "in place", "node": "gradient"}


def folded(rows: Sequence[str], noun: str, wrap: str = "{}") -> str:
    """The first rows, then the others behind a line that unfolds them."""
    shown = wrap.format("".join(rows[:FIRST])) if rows else ""
    rest = rows[FIRST:MOST]
    if not rest:
        return shown
    cut = f"; {len(rows) - MOST:,} more are left out" if len(rows) > MOST else ""
    more = wrap.format("".join(rest))
    return (
        f'{shown}<details class="more"><summary>{count(len(rest), f"more {noun}")}{cut}</summary>'
        f"{more}</details>"
    )


def head(*names: str) -> str:
    """The head of a table; a name that begins with `#` stands over numbers."""
    cells = [
        f'<th class="num">{escape(n[1:])}</th>' if n.startswith("#") else f"<th>{escape(n)}</th>"
        for n in names
    ]
    return f"<thead><tr>{''.join(cells)}</tr></thead>"


# --- worth a look ---------------------------------------------------------------------------------


def worth_a_look(recorder: Recorder) -> str:
    """Copies nobody asked for by name, and their remedies."""
    found = findings(recorder)
    body = "".join(map(_finding, found[:FIRST]))
    if not found:
        body = (
            '<div class="fine">Nothing: no reshape or contiguous copied, no conversion was '
            "repeated, no operand had to be rearranged, no result became float64.</div>"
        )
    elif len(found) > FIRST:
        body += f'<div class="fine">{len(found) - FIRST} more with fewer bytes.</div>'
    return (
        "<h2>Worth a look</h2><p>Copies and conversions that a small change may avoid. A "
        f"conversion that runs once, or fewer than {size(SMALL)}, is left out.</p>{body}"
    )


def _finding(found: Finding) -> str:
    remark, advice = found.remark, found.advice
    times = count(remark.calls, "time")
    return (
        f'<div class="look"><h4>{escape(advice.title)} <span class="cost">{times}, '
        f"{size(remark.nbytes)}, {duration(remark.seconds)}"
        f"{', in backward' if remark.phase is BACKWARD else ''}</span></h4>"
        f'<span class="code">{escape(place(remark.line))}  {escape(remark.line.text)}</span>'
        f"<p>{escape(sentence(advice.why))} {escape(advice.change)}</p></div>"
    )


def sentence(words: str) -> str:
    """Words with a full stop."""
    return words if words.endswith(".") else words + "."


def place(line: Line) -> str:
    """`examples/train.py:12`."""
    return f"{shown_file(line.file)}:{line.number}" if line.number else "outside the program"


# --- memory ---------------------------------------------------------------------------------------


def memory(recorder: Recorder) -> str:
    """The curve of tensor memory, and who held it at the peak."""
    live = recorder.memory
    if not live.peak:
        return ""
    held = "".join(
        f"<li><b>{size(nbytes)}</b><code>{escape(place(line))}  {escape(line.text)}</code></li>"
        for line, nbytes in holders(recorder)
    )
    drawn = charts.curve(*live.curve(), live.peak, live.peak_at)
    return (
        "<h2>Memory over time</h2><p>Bytes of the living tensors that operators made, each storage "
        f"of {size(recorder.smallest)} or more once. Below: the lines whose tensors made up the "
        "peak.</p>"
        f'<div class="card curve">{drawn}<ul class="held">{held}</ul></div>'
    )


# --- lines ----------------------------------------------------------------------------------------


def lines(recorder: Recorder) -> str:
    """Each source line with its time, calls and bytes; unfolds to its operators."""
    found = by_line(recorder)
    if not found:
        return '<h2>Line by line</h2><div class="fine">No operator ran.</div>'
    longest = found[0].total
    heads = "".join(f"<span>{n}</span>" for n in ("line", "", "time", "calls", "allocated"))
    rows = folded([_line(each, longest) for each in found], "line")
    return (
        "<h2>Line by line</h2><p>Time of operators by the line that called them. Backward time "
        "stands at the line whose gradient was computed. Unfold a line to see its operators.</p>"
        f'<div class="card"><div class="heads">{heads}</div>{rows}</div>'
    )


def _line(found: Sum, longest: float) -> str:
    line: Line = found.key
    where = place(line) + (f" in {line.function}" if line.function not in ("", "<module>") else "")
    source = escape(line.text) or "<i>no source</i>"
    return (
        f'<details class="line"><summary><span class="src"><code class="code">{source}</code>'
        f"<small>{escape(where)}</small></span>{charts.bar(found.seconds, longest)}"
        f'<span class="num time">{duration(found.total)}</span>'
        f'<span class="num calls">{found.calls:,}</span>'
        f'<span class="num bytes">{size(found.allocated) if found.allocated else "–"}</span>'
        f'</summary><div class="inner">{_rows(found.rows)}</div></details>'
    )


def _rows(rows: Iterable[Row]) -> str:
    body = "".join(
        f"<tr><td><code>{escape(row.name)}</code></td><td class='kind'>{_phase(row)}</td>"
        f"<td class='kind'>{KINDS[row.kind]}</td><td><code>{escape(_shapes(row))}</code></td>"
        f"<td class='num'>{row.calls:,}</td><td class='num'>{duration(row.seconds)}</td>"
        f"<td class='num'>{size(row.allocated) if row.allocated else '–'}</td></tr>"
        for row in sorted(rows, key=lambda each: -each.seconds)[:FIRST]
    )
    heads = head("operator", "for", "result", "a call", "#calls", "#time", "#allocated")
    return f"<table>{heads}<tbody>{body}</tbody></table>"


def _phase(row: Row) -> str:
    module = ""
    if row.module is not None and row.module.path:
        module = f" of {escape(row.module.path)}"
    return f"{row.phase}{module}"


def _shapes(row: Row) -> str:
    given = ", ".join(brief(*each) for each in row.inputs[:3]) + (", …" * (len(row.inputs) > 3))
    if row.kind == "write":
        return given
    made = ", ".join(brief(*each) for each in row.outputs[:3]) + (", …" * (len(row.outputs) > 3))
    return f"{given} → {made}" if given else made


# --- operators ------------------------------------------------------------------------------------


def operators(recorder: Recorder) -> str:
    """Every operator, whoever called it."""
    found = by_operator(recorder)
    if not found:
        return ""
    longest = found[0].total
    rows = [
        f"<tr><td><code>{escape(each.key[0])}</code></td>"
        f"<td class='kind wide'>{KINDS[each.key[1]]}</td>"
        f"<td>{charts.bar(each.seconds, longest)}</td><td class='num'>{duration(each.total)}</td>"
        f"<td class='num'>{times(each):,}</td>"
        f"<td class='num'>{duration(each.total / times(each))}</td>"
        f"<td class='num wide'>{size(each.allocated) if each.allocated else '–'}</td></tr>"
        for each in found
    ]
    heads = head("operator", "result", "", "#time", "#calls", "#per call", "#allocated")
    heads = heads.replace("<th>result", '<th class="wide">result')
    heads = heads.replace('"num">allocated', '"num wide">allocated')
    wrap = f'<div class="scroll"><table>{heads}<tbody>{{}}</tbody></table></div>'
    return (
        "<h2>Operators</h2><p>Time without the operators that an operator calls in turn.</p>"
        f'<div class="card">{folded(rows, "operator", wrap)}</div>'
    )


def times(found: Sum) -> int:
    """Calls, of nodes too."""
    return sum(row.calls for row in found.rows)


# --- modules --------------------------------------------------------------------------------------


def modules(recorder: Recorder, watch: ModuleWatch) -> str:
    """The module trees: output shapes, parameters, calls, time."""
    ran = [root for root in watch.roots if any(row.calls for row in root.rows)]
    if not ran:
        return ""
    trees = "".join(_tree(recorder, root) for root in ran[:FIRST])
    left = f"<p>{len(ran) - FIRST} more roots ran.</p>" if len(ran) > FIRST else ""
    return (
        "<h2>Modules</h2><p>A module's times include those of the modules in it. Forward is the "
        "time of its calls, Python included; backward that of the operators of its gradients.</p>"
        f"{trees}{left}"
    )


def _tree(recorder: Recorder, root: Root) -> str:
    found = by_module(recorder, root)
    longest = max((each.row.seconds + each.backward for each in found), default=0.0)
    rows = [_module(each, longest) for each in found]
    heads = head("module", "output", "#parameters", "#calls", "", "#forward", "#backward")
    wrap = f'<div class="scroll"><table>{heads}<tbody>{{}}</tbody></table></div>'
    holds = "; ".join(
        _held(noun, each)
        for noun, each in (("parameter", root.parameters), ("buffer", root.buffers))
        if each.tensors
    )
    note = f"<p>{holds}.</p>" if holds else ""
    return (
        f'<h3>{escape(root.label)}</h3>{note}<div class="card">{folded(rows, "module", wrap)}</div>'
    )


def _held(noun: str, held: Held) -> str:
    text = (
        f"{count(held.tensors, noun + ' tensor')}, {count(held.elements, 'element')}, "
        f"{size(held.nbytes)}"
    )
    if held.shared:
        groups = "; ".join(" = ".join(names) for names in held.shared[:5])
        text += f" (one storage each, counted once: {escape(groups)})"
    return text


def _module(found: ModuleSum, longest: float) -> str:
    row = found.row
    detail = f" <small>{escape(row.kind)}</small>" if row.path else ""
    if row.detail and not row.path.count(".") > 6:
        words = row.detail if len(row.detail) < 40 else row.detail[:38] + "…"
        detail += f' <small class="wide">{escape(words)}</small>'
    outputs = ", ".join(brief(*each) for each in row.outputs[:2])
    seconds = {FORWARD: row.seconds, BACKWARD: found.backward, UPDATE: 0.0}
    return (
        f'<tr><td class="tree" style="padding-left:{0.9 + 1.1 * row.depth:.1f}rem">'
        f'<code class="at">{escape(row.name)}</code>{detail}</td>'
        f"<td class='kind'><code>{escape(outputs) or '–'}</code></td>"
        f"<td class='num'>{f'{row.parameters:,}' if row.parameters else '–'}</td>"
        f"<td class='num'>{row.calls:,}</td><td>{charts.bar(seconds, longest)}</td>"
        f"<td class='num'>{duration(row.seconds) if row.calls else '–'}</td>"
        f"<td class='num'>{duration(found.backward) if found.backward else '–'}</td></tr>"
    )
