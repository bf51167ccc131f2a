"""Reports as pages that load nothing, so that they open anywhere and for ever."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from pellucid.lab.compare import Comparison
from pellucid.lab.drawing import figures_of, svg
from pellucid.lab.experiment import Experiment, Outcome, Settings
from pellucid.version import PELLUCID

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Pellucid $version">
<title>$title – Pellucid</title>
<style>
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem; color: #1d2329; background: #fff;
  font: 16px/1.55 system-ui, sans-serif; }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .4rem; }
.lead, .claim { color: #4b5560; } .claim { border-left: 3px solid #c9d2da; padding-left: .8rem; }
table { border-collapse: collapse; font-size: .92rem; margin: 1rem 0; }
th, td { padding: .28rem .8rem .28rem 0; text-align: left; border-bottom: 1px solid #e4e9ed; }
td.n { text-align: right; font-variant-numeric: tabular-nums; }
.v { display: inline-block; padding: .05rem .6rem; border-radius: 1rem; font-size: .85rem;
  font-weight: 600; white-space: nowrap; }
.holds { background: #d9f0e3; color: #14532d; } .conditions { background: #fdefcf; color: #6b4708; }
.not { background: #fbdcd6; color: #7a1f12; }
svg { max-width: 100%; height: auto; display: block; margin: .8rem 0; }
footer { margin-top: 3rem; color: #66717b; font-size: .85rem; }
</style>
</head>
<body>
$body
<footer>Pellucid $version. Errors are largest (sup) and root mean square (L2) over points between
those that were fitted.</footer>
</body>
</html>
""")

_MARKS = {"holds": "holds", "holds with conditions": "conditions", "does not hold": "not"}


def page(title: str, body: str) -> str:
    """A whole page around `body`, which is HTML."""
    return _PAGE.substitute(title=escape(title), version=PELLUCID, body=body)


def _verdict(outcome: Outcome) -> str:
    return f'<span class="v {_MARKS[outcome.verdict]}">{outcome.verdict}</span>'


def page_of_lab(results: Sequence[tuple[Experiment, Outcome]], settings: Settings) -> str:
    """All experiments: a table of verdicts, then each with its claim, set-up, figures and why."""
    rows = "".join(
        f'<tr><td><a href="#{e.name}">{escape(e.title)}</a></td><td>{_verdict(o)}</td>'
        f'<td class="n">{o.seconds:.1f} s</td></tr>'
        for e, o in results
    )
    parts = [
        "<h1>What approximates what</h1>",
        '<p class="lead">Each claim of the notes on the approximation theorem, measured. '
        f"{'Quick settings' if settings.quick else 'Full settings'}, seeds from "
        f"{settings.seed}.</p>",
        "<table><thead><tr><th>claim</th><th>verdict</th><th>time</th></tr></thead>"
        f"<tbody>{rows}</tbody></table>",
    ]
    for experiment, outcome in results:
        parts.append(
            f'<section id="{experiment.name}"><h2>{escape(experiment.title)} '
            f"{_verdict(outcome)}</h2>"
            f'<p class="claim">{escape(experiment.claim)}</p>'
            f"<p>{escape(outcome.why)}</p>{svg(outcome.figures)}"
            f"<p><b>Set-up.</b> {escape(experiment.setup)}</p></section>"
        )
    return page("The approximation laboratory", "\n".join(parts))


def page_of_comparison(comparison: Comparison) -> str:
    """One target: the table of fits, six figures, and what was found where the networks failed."""
    low, high = comparison.target.interval
    rows = "".join(
        f"<tr><td>{escape(fit.family)}</td><td>{escape(fit.name)}</td>"
        f'<td class="n">{fit.parameters}</td><td class="n">{fit.sup:.3g}</td>'
        f'<td class="n">{fit.l2:.3g}</td><td class="n">{fit.seconds:.3f}</td>'
        f"<td>{escape(fit.note)}</td></tr>"
        for fit in comparison.fits
    )
    figures = figures_of(comparison)
    found = "".join(
        f"<li><b>{escape(f.cause)}</b>: {escape(f.evidence)}"
        + (f" <i>Tried: {escape(f.tried)}.</i>" if f.tried else "")
        + "</li>"
        for f in comparison.findings
    )
    body = (
        f"<h1>{escape(comparison.target.name)} on [{low:g}, {high:g}]</h1>"
        "<table><thead><tr><th>family</th><th>size</th><th>parameters</th><th>sup error</th>"
        f"<th>L2 error</th><th>seconds</th><th></th></tr></thead><tbody>{rows}</tbody></table>"
        + (f"<h2>Why the networks did not fit</h2><ul>{found}</ul>" if found else "")
        + "".join(svg(figures[i : i + 2]) for i in range(0, len(figures), 2))
    )
    return page(comparison.target.name, body)
