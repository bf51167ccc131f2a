"""Experiments: stored and taken up again, drawn and judged. What is slow is run by hand
(`pellucid lab`); the quick ones run here.
"""

import json

import numpy as np
import pytest

from pellucid.lab.drawing import in_terminal, png, svg
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.experiments import EXPERIMENTS
from pellucid.lab.experiments.nested_sines import built
from pellucid.lab.report import page_of_lab
from pellucid.lab.runner import chosen, run
from pellucid.lab.targets import TARGETS, target_of

FAST = ("runge", "kinks_and_jumps", "linear_pieces")


@pytest.mark.parametrize("seed", [0, 1000])
@pytest.mark.parametrize("name", FAST)
def test_other_seeds_give_the_same_verdict(name, seed):
    (experiment,) = chosen([name])
    outcome = experiment.measure(Settings(quick=True, seed=seed))
    assert outcome.verdict == "holds with conditions"
    assert len(outcome.why) > 100
    assert json.loads(json.dumps(outcome.as_json(), default=float))


@pytest.mark.slow
@pytest.mark.parametrize(
    ("name", "seed", "target", "verdict"),
    [
        ("basis_functions", 5000, "exp(x)*sin(5*x)", "holds with conditions"),
        ("four_units", 5000, None, "holds with conditions"),
        ("four_units", 0, "cos(2*pi*x)", "holds with conditions"),
        ("nested_sines", 5000, None, "does not hold"),
        ("costs_of_depth", 5000, "exp(x)", "holds with conditions"),
    ],
)
def test_trained_networks_give_the_same_verdict_again(name, seed, target, verdict):
    (experiment,) = chosen([name])
    other = None if target is None else target_of(target)
    outcome = experiment.measure(Settings(quick=True, seed=seed, target=other))
    assert outcome.verdict == verdict, outcome.why


@pytest.mark.parametrize(
    ("name", "target", "verdict"),
    [
        ("runge", "1/(1+16*x^2)", "holds with conditions"),
        ("runge", "abs(x)", "holds with conditions"),
        ("runge", "exp(x)", "does not hold"),
        ("kinks_and_jumps", "abs(x-0.3)", "holds with conditions"),
        ("kinks_and_jumps", "max(0,x)", "holds with conditions"),
        ("kinks_and_jumps", "exp(x)", "does not hold"),
        ("kinks_and_jumps", "step(x)", "does not hold"),
    ],
)
def test_other_functions(name, target, verdict):
    (experiment,) = chosen([name])
    outcome = experiment.measure(Settings(quick=True, target=target_of(target)))
    assert outcome.verdict == verdict
    assert target in outcome.why


def test_three_sines_are_the_nested_sine():
    target = TARGETS["nested"]
    x = target.grid(501)
    np.testing.assert_allclose(built()(x), target.values(x), atol=1e-14)


def test_every_experiment_states_its_claim():
    assert len(EXPERIMENTS) == 9
    for experiment in EXPERIMENTS:
        assert experiment.claim
        assert experiment.setup
        assert experiment.title


def figure():
    made = Figure("t", "x", "y", log_y=True)
    made.line("a", [1, 2, 3], [1.0, 0.1, 0.0])
    made.line("b", [1, 1, 1], [1.0, 2.0, float("nan")])
    return made


def counted(calls):
    def measure(settings):
        calls.append(settings)
        return Outcome("holds", "because <it> does", {"n": 1}, [figure()])

    return Experiment("counted", "Counted & told", "claim", "set-up", measure)


def test_results_are_kept_for_the_same_settings_only(tmp_path):
    calls = []
    experiment = counted(calls)
    once = list(run([experiment], Settings(True), tmp_path))
    again = list(run([experiment], Settings(True), tmp_path, resume=True))
    assert (once[0][2], again[0][2], len(calls)) == (False, True, 1)
    assert again[0][1].why == once[0][1].why
    list(run([experiment], Settings(True, 5), tmp_path, resume=True))
    assert len(calls) == 2
    (tmp_path / "counted.json").write_text("{ damaged")
    list(run([experiment], Settings(True, 5), tmp_path, resume=True))
    assert len(calls) == 3
    assert [path.name for path in tmp_path.iterdir()] == ["counted.json"]


def test_numbers_that_json_lacks_are_null(tmp_path):
    def measure(settings):
        return Outcome("holds", "so", {"most": float("inf"), "found": np.float64(2)}, [figure()])

    experiment = Experiment("odd", "Odd", "claim", "set-up", measure)
    list(run([experiment], Settings(), tmp_path))
    text = (tmp_path / "odd.json").read_text()

    def refuse(name):
        raise AssertionError(f"{name} is no JSON")

    stored = json.loads(text, parse_constant=refuse)
    assert stored["outcome"]["numbers"] == {"most": None, "found": 2.0}
    ((_, outcome, kept),) = run([experiment], Settings(), tmp_path, resume=True)
    assert kept
    assert np.isnan(outcome.figures[0].series[1].y[2])
    assert svg(outcome.figures).startswith("<svg")


def test_an_unknown_experiment_is_named():
    with pytest.raises(ValueError, match="there is no experiment 'pi'"):
        chosen(["pi"])


def test_the_page_escapes_and_shows_every_verdict():
    experiment = counted([])
    outcome = experiment.measure(Settings())
    page = page_of_lab([(experiment, outcome)], Settings(True))
    assert "because &lt;it&gt; does" in page
    assert "Counted &amp; told" in page
    assert page.count("<svg") == 1
    for outside in ("<script", "<link", "src=", "@import"):
        assert outside not in page


def test_figures_are_drawn_everywhere():
    assert svg([figure()]).startswith("<svg")
    assert png([figure(), figure(), figure()], rows=2).startswith(b"\x89PNG")
    assert "a" in in_terminal(figure())
    assert Figure.from_json(figure().as_json()).as_json()["title"] == "t"
