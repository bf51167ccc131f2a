"""`pellucid diagram`."""

import pytest
import typer

from pellucid.cli.complaint import Complaint, complaining
from pellucid.cli.drawing import draw, find, read_input
from tests.subprocesses import PELLUCID, start


def test_a_model_is_drawn_into_a_file(tmp_path):
    path = tmp_path / "net.svg"
    said = draw("resnet18", ["1,3,32,32"], path, None, True)
    assert "11,689,512 parameters" in said and path.read_text().startswith("<svg")
    assert "layer4.1.conv2" in draw("resnet18", ["1,3,32,32"], None, None, True)


def test_inputs_are_read():
    assert read_input("2,5:int64").dtype.name == "int64"
    assert read_input("2,5").shape == (2, 5)
    for text, words in (("1,x", "whole numbers"), ("-1,2", "negative"), ("1:flout", "no dtype")):
        with pytest.raises(Complaint, match=words):
            read_input(text)


def test_targets_that_are_none_are_told(tmp_path):
    with pytest.raises(Complaint, match=r"neither module:callable nor one of .*resnet101"):
        find("resnet19")
    with pytest.raises(Complaint, match=r"must end in one of \.svg"):
        draw("resnet18", ["1,3,32,32"], tmp_path / "a.png", None, True)


def test_errors_are_one_line(capsys):
    with pytest.raises(typer.Exit, match=r"^1$|^$"), complaining("diagram"):
        raise RuntimeError("sizes differ")
    assert capsys.readouterr().err == "pellucid diagram: RuntimeError: sizes differ\n"


def test_as_a_user_types_it(tmp_path):
    """A module of the user's own, written for PyTorch."""
    (tmp_path / "mine.py").write_text(
        "import torch\n"
        "from torch import nn\n"
        "def net(): return nn.Sequential(nn.Linear(4, 2), nn.ReLU())\n"
        "broken = 3\n"
    )
    ask = ("diagram", "mine:net", "--input", "1,4")
    done = start(PELLUCID, *ask, "-o", "net.mmd", cwd=tmp_path)
    assert done.returncode == 0 and "10 parameters" in done.stdout, done.stderr
    assert "Linear 4→2" in (tmp_path / "net.mmd").read_text()
    for target, words in (
        ("mine:other", "mine has no other"),
        ("theirs:net", "there is no module theirs"),
        ("mine:broken", "neither a module nor something that makes one"),
    ):
        done = start(PELLUCID, "diagram", target, "--input", "1,4", cwd=tmp_path)
        assert done.returncode == 2 and words in done.stderr and "Traceback" not in done.stderr
    done = start(PELLUCID, "diagram", "mine:net", "--input", "1,5", cwd=tmp_path)
    assert done.returncode == 1 and "pellucid diagram: RuntimeError" in done.stderr
