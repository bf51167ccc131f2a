"""Reports as pages that load nothing, so that they open anywhere and for ever."""

from __future__ import annotations

from collections.abc import Sequence
from html import escape
from string import Template

from pellucid.lab.compare import Comparison
from pellucid.lab.drawing import Drawn, figures_of, svg
from pellucid.lab.experiment import Experiment, Outcome, Settings
from pellucid.lab.targets import Target
from pellucid.version import PELLUCID

_PAGE = Template("""<!doctype html>
<html lang="en">
<head>
<meta charset="utf-8">
<meta name="viewport" content="width=device-width, initial-scale=1">
<meta name="generator" content="Pellucid $version">
<title>$title – Pellucid</title>
<style>
:root { color-scheme: light dark; --ink: #1d2329; --soft: #4b5560; --line: #dde3e8; --page: #fff;
  --link: #1f5fa8; --good: #d9f0e3; --good-ink: #14532d; --some: #fdefcf; --some-ink: #6b4708;
  --bad: #fbdcd6; --bad-ink: #7a1f12; }
@media (prefers-color-scheme: dark) {
  :root { --ink: #e3e8ec; --soft: #a3afb9; --line: #39424a; --page: #14181c; --link: #7db4ee;
    --good: #1c4a31; --good-ink: #c5efd6; --some: #54400f; --some-ink: #fbe6b6; --bad: #5c2218;
    --bad-ink: #fbd5cd; }
  svg, svg image, svg [id^="QuadMesh"] { filter: invert(.9) hue-rotate(180deg); }
}
body { margin: 0 auto; max-width: 70rem; padding: 1.5rem; color: var(--ink);
  background: var(--page); font: 16px/1.55 system-ui, sans-serif; }
a { color: var(--link); }
h1 { font-size: 1.7rem; margin: 0 0 .3rem; } h2 { font-size: 1.25rem; margin: 2.4rem 0 .4rem; }
.lead, .claim { color: var(--soft); } .claim { border-left: 3px solid var(--line);
  padding-left: .8rem; }
.wide { overflow-x: auto; } .w { white-space: nowrap; }
table { border-collapse: collapse; font-size: .92rem; margin: 1rem 0; }
th, td { padding: .28rem .8rem .28rem 0; text-align: left; border-bottom: 1px solid var(--line);
  vertical-align: top; }
td:last-child, th:last-child { padding-right: 0; }
.n { text-align: right; white-space: nowrap; font-variant-numeric: tabular-nums; }
.v { display: inline-block; padding: .05rem .6rem; border-radius: 1rem; font-size: .85rem;
  font-weight: 600; white-space: nowrap; }
.holds { background: var(--good); color: var(--good-ink); }
.conditions { background: var(--some); color: var(--some-ink); }
.not { background: var(--bad); color: var(--bad-ink); }
.figures { display: grid; gap: .5rem 1.5rem; margin: 1rem 0;
  grid-template-columns: repeat(auto-fit, minmax(min(100%, 26rem), 1fr)); }
figure { margin: 0; max-width: 36rem; }
svg { width: 100%; height: auto; display: block; }
footer { margin-top: 3rem; color: var(--soft); font-size: .85rem; }
@media (max-width: 40rem) { body { padding: 1rem; } h1 { font-size: 1.35rem; } }
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


def figures_html(figures: Sequence[Drawn]) -> str:
    """Figures beside each other where there is room, else below each other."""
    drawn = "".join(f'<figure aria-label="{escape(f.title)}">{svg([f])}</figure>' for f in figures)
    return f'<div class="figures">{drawn}</div>'


def _verdict(outcome: Outcome) -> str:
    return f'<span class="v {_MARKS[outcome.verdict]}">{outcome.verdict}</span>'


def _place(target: Target) -> str:
    low, high = target.interval
    return f"{target.name} on [{low:g}, {high:g}]"


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
        f"{settings.seed}"
        + ("" if settings.target is None else f", of {escape(_place(settings.target))}")
        + ".</p>",
        '<div class="wide"><table><thead><tr><th>claim</th><th>verdict</th><th class="n">time</th>'
        f"</tr></thead><tbody>{rows}</tbody></table></div>",
    ]
    for experiment, outcome in results:
        parts.append(
            f'<section id="{experiment.name}"><h2>{escape(experiment.title)} '
            f"{_verdict(outcome)}</h2>"
            f'<p class="claim">{escape(experiment.claim)}</p>'
            f"<p>{escape(outcome.why)}</p>{figures_html(outcome.figures)}"
            f"<p><b>Set-up.</b> {escape(experiment.setup)}</p></section>"
        )
    return page("The approximation laboratory", "\n".join(parts))


def _best(comparison: Comparison) -> str:
    """The best fit of each family, in words."""
    ranked = sorted(comparison.best, key=lambda fit: fit.sup)
    told = [
        f"{fit.family} ({fit.name}, {fit.parameters} parameters): {fit.sup:.2g}" for fit in ranked
    ]
    return f"Largest errors of the best of each family: {'; '.join(told)}."


def page_of_comparison(comparison: Comparison) -> str:
    """One target: the table of fits, six figures, and what was found where the networks failed."""
    low, high = comparison.target.interval
    rows = "".join(
        f'<tr><td>{escape(fit.family)}</td><td class="w">{escape(fit.name)}</td>'
        f'<td class="n">{fit.parameters}</td><td class="n">{fit.sup:.3g}</td>'
        f'<td class="n">{fit.l2:.3g}</td><td class="n">{fit.seconds:.3f}</td>'
        f"<td>{escape(fit.note)}</td></tr>"
        for fit in comparison.fits
    )
    found = "".join(
        f"<li><b>{escape(f.cause)}</b>: {escape(f.evidence)}"
        + (f" <i>Tried: {escape(f.tried)}.</i>" if f.tried else "")
        + "</li>"
        for f in comparison.findings
    )
    body = (
        f"<h1>{escape(comparison.target.name)} on [{low:g}, {high:g}]</h1>"
        f'<p class="lead">{escape(_best(comparison))}</p>'
        + (f"<h2>Why the networks did not fit</h2><ul>{found}</ul>" if found else "")
        + figures_html(figures_of(comparison))
        + '<h2>Every fit</h2><div class="wide"><table><thead><tr><th>family</th><th>size</th>'
        '<th class="n">parameters</th><th class="n">sup error</th><th class="n">L2 error</th>'
        f'<th class="n">seconds</th><th></th></tr></thead><tbody>{rows}</tbody></table></div>'
    )
    return page(comparison.target.name, body)
