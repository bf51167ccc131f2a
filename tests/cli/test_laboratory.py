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
    assert page.count("<svg") == 6
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
        (["x", "--seeds", "0"], "from 1 to 1000"),
        (["x", "--activation", "gelu"], "there is no activation"),
        (["x", "--optimiser", "newton"], "there is no optimiser"),
        (["x", "--steps", "0"], "at least one step"),
        (["x", "--steps", "99999999999"], "at most 10000000"),
        (["x", "--units", "5000"], "more than this laboratory holds"),
        (["x", "--units", "4096,4096,4096"], "GiB with adam"),
        (["x", "--units", "400,400", "--optimiser", "levenberg"], "GiB with levenberg"),
        (["x", "--seeds", "1001"], "from 1 to 1000"),
        (["x", "--seed", "-1"], "--seed takes"),
        (["x", "--seed", str(2**63)], "--seed takes"),
        (["x", "--on", "nan,1"], "finite ends"),
        (["x", "--on", "-1e308,1e308"], "too wide"),
        (["x*1e308*10"], "must be finite"),
        (["log(x)", "--on", "-1,1"], "must be finite"),
        (["ripple"], "one variable"),
        (["x", "--degree", "201"], "up to 200"),
        (["x", "--report", "page.png"], "the name of a page"),
        (["x", "--report", "nowhere/page.html"], "there is no folder nowhere"),
        (["x", "--resume"], "--resume belongs to a sweep"),
        (["x", "--ray", "local"], "--ray belongs to a sweep"),
        (["x", "--workers", "2"], "--workers belongs to a sweep"),
        (["x", "--sweep", "width=1:4", "--units", "3"], "--units does not go with --sweep"),
        (["x", "--sweep", "width=1:4", "--degree", "3"], "--degree does not go with --sweep"),
        (["x", "--sweep", "width=1:4", "--seeds", "3"], "--seeds does not go with --sweep"),
        (["x", "--sweep", "width=4:1"], "ends before it begins"),
        (["x", "--sweep", "width=1:4", "--workers", "0"], "at least one worker"),
        (["x.real", "--sweep", "width=1:4"], "is not arithmetic"),
        (["1/x", "--sweep", "width=1:4"], "must be finite"),
        (["ripple", "--sweep", "width=1:4"], "a sweep takes one"),
        (["x", "--sweep", "width=1:4", "--activation", "gelu"], "there is no activation"),
        (["x", "--sweep", "width=4096,depth=64,seeds=1000"], "GiB with adam"),
        (["x", "--sweep", "width=4,lr=0.1"], "levenberg has no learning rate"),
    ],
)
def test_what_makes_no_sense_gets_a_sentence(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("approx", *arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert "Traceback" not in told
    assert list(tmp_path.iterdir()) == []


def test_a_sweep_prints_writes_and_goes_on(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    common = ("approx", "abs(x)", "--activation", "relu", "--steps", "5", "--workers", "1")
    assert call(*common, "--sweep", "width=1:2,depth=1:2,seeds=2") == 0
    told = capsys.readouterr()
    assert "the best cells" in told.out
    assert "4 cells of 2 networks, levenberg" in told.err
    page = (tmp_path / "sweep.html").read_text(encoding="utf-8")
    assert page.count("<svg") == 4
    names = ["sweep.html", "sweep.jsonl", "sweep.png"]
    assert sorted(path.name for path in tmp_path.iterdir()) == names
    whole = (tmp_path / "sweep.jsonl").read_bytes()

    # Not overwritten; taken up again; a larger grid keeps what is there.
    assert call(*common, "--sweep", "width=1:2,depth=1:2,seeds=2") == 2
    assert "--resume goes on" in capsys.readouterr().err
    (tmp_path / "sweep.jsonl").write_bytes(b"".join(whole.splitlines(keepends=True)[:3]))
    assert call(*common, "--sweep", "width=1:2,depth=1:2,seeds=2", "--resume") == 0
    assert "2 of 4 cells are kept" in capsys.readouterr().err
    assert (tmp_path / "sweep.jsonl").read_bytes() == whole
    assert call(*common, "--sweep", "width=1:2,depth=1:3,seeds=2", "--resume", "--json") == 0
    told = capsys.readouterr()
    assert "4 of 6 cells are kept" in told.err
    assert len(json.loads(told.out)["cells"]) == 6
    assert call(*common, "--sweep", "width=1:2,seeds=3", "--resume") == 2
    assert "seeds 2 there, 3 here" in capsys.readouterr().err


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


def interrupted(*args, **kwargs):
    yield from ()
    raise KeyboardInterrupt


def test_an_interruption_is_told_of(tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    monkeypatch.setattr("pellucid.cli.laboratory.run", interrupted)
    with pytest.raises(SystemExit, match="130"):
        parse(["lab", "--quick", "--out", "results"])
    told = capsys.readouterr().err
    assert "interrupted: the results of 0 experiments are in results" in " ".join(told.split())
    assert "Traceback" not in told
    monkeypatch.setattr("pellucid.cli.sweeping.results_of", interrupted)
    with pytest.raises(SystemExit, match="130"):
        parse(["approx", "x", "--sweep", "width=1:4", "--workers", "1"])
    told = capsys.readouterr().err
    assert "interrupted: 0 of 4 cells are in sweep.jsonl" in " ".join(told.split())
    assert "Traceback" not in told


def test_lab_takes_another_function(tmp_path, capsys):
    out = ("--quick", "--out", str(tmp_path / "results"))
    assert call("lab", "runge", "linear_pieces", "--target", "exp(x)", "--on", "0,2", *out) == 0
    told = capsys.readouterr()
    assert "linear_pieces takes no --target" in told.err
    assert "does not hold" in told.out
    assert "exp(x)" in told.out
    stored = json.loads((tmp_path / "results" / "runge.json").read_text())
    assert stored["settings"]["target"] == ["exp(x)", 0.0, 2.0]
    assert "of exp(x) on [0, 2]" in (tmp_path / "results" / "report.html").read_text()
    # Another function is another run.
    assert call("lab", "runge", "--resume", *out) == 0
    assert "(kept)" not in capsys.readouterr().out


@pytest.mark.parametrize(
    ("arguments", "words"),
    [
        (["--seed", "-1"], "--seed takes"),
        (["--target", "x.real"], "is not arithmetic"),
        (["--target", "1/x"], "must be finite"),
        (["--target", "ripple"], "of one variable"),
        (["--target", "x", "--on", "2,1"], "is empty"),
        (["--on", "0,1"], "there is none"),
    ],
)
def test_lab_refuses_what_makes_no_sense(arguments, words, tmp_path, capsys, monkeypatch):
    monkeypatch.chdir(tmp_path)
    assert call("lab", "runge", "--quick", *arguments) == 2
    told = capsys.readouterr().err
    assert words in told
    assert list(tmp_path.iterdir()) == []


@pytest.mark.parametrize(
    ("text", "degrees"), [("7", [7]), ("3,9", [3, 9]), ("3:6", [3, 4, 5, 6]), ("3:8:2", [3, 5, 7])]
)
def test_degrees(text, degrees):
    assert degrees_of(text) == degrees
