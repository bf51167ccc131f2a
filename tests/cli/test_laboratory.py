"""`pellucid approx` and `pellucid lab`."""

import json

import pytest

from pellucid.cli.app import parse
from pellucid.cli.approx import degrees_of


def call(*arguments):
    with pytest.raises(SystemExit, match=r"^\d$") as ended:
        parse(list(arguments))
    return ended.value.code


def test_approx_prints_and_writes(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    code = call("approx", "sin(2*pi*x)", "--on", "-1,1", "--degree", "3:5", "--seeds", "2",
                "--steps", "20")  # fmt: skip
    told = capsys.readouterr()
    assert code == 0, told.err
    assert "Chebyshev" in told.out
    assert "4 tanh" in told.out
    page = (tmp_path / "approx.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 3
    assert (tmp_path / "approx.png").read_bytes().startswith(b"\x89PNG")
    assert sorted(path.name for path in tmp_path.iterdir()) == ["approx.html", "approx.png"]


def test_approx_as_json(tmp_path, capsys):
    report = tmp_path / "page.html"
    code = call("approx", "abs(x)", "--json", "--degree", "4", "--seeds", "1", "--steps", "5",
                "--units", "2", "--activation", "relu", "--report", str(report))  # fmt: skip
    found = json.loads(capsys.readouterr().out)
    assert code == 0
    assert {fit["family"] for fit in found["fits"]} >= {"Taylor", "Chebyshev", "network"}


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["x.__class__"], "is not arithmetic"),
        (["sin(2*pi*x"], "does not parse"),
        (["1/x"], "must be finite"),
        (["x", "--on", "1,1"], "is empty"),
        (["x", "--on", "a,b"], "--on takes two numbers"),
        (["x", "--units", "0"], "at least one unit"),
        (["x", "--units", "a"], "--units takes widths"),
        (["x", "--degree", "9:3"], "--degree takes degrees"),
        (["x", "--seeds", "0"], "at least 1"),
        (["x", "--activation", "gelu"], "there is no activation"),
        (["x", "--optimiser", "newton"], "there is no optimiser"),
        (["x", "--steps", "0"], "at least one step"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("approx", *arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_lab_runs_and_resumes(tmp_path, capsys):
    out = tmp_path / "results"
    for again in ([], ["--resume"]):
        assert call("lab", "runge", "--quick", "--out", str(out), *again) == 0
    told = capsys.readouterr().out
    assert told.count("Runge's phenomenon") == 2
    assert told.count("(kept)") == 1
    assert sorted(path.name for path in out.iterdir()) == ["report.html", "runge.json"]
    assert json.loads((out / "runge.json").read_text())["outcome"]["verdict"]
    assert call("lab", "pi") == 2


@pytest.mark.parametrize(
    ("text", "degrees"), [("7", [7]), ("3,9", [3, 9]), ("3:6", [3, 4, 5, 6]), ("3:8:2", [3, 5, 7])]
)
def test_degrees(text, degrees):
    assert degrees_of(text) == degrees
