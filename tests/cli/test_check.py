"""`pellucid check`: what a program uses, found by reading, compared with what is there."""

import json

import pytest
from subprocesses import PELLUCID, start

from pellucid.compat import differences
from pellucid.compat.survey import survey
from pellucid.compat.survey.report import judge


def found(folder, text, others=()):
    """name -> (verdict, lines, guarded, guess) of a program, with `others` as files beside it."""
    for name, content in dict(others).items():
        path = folder / name
        path.parent.mkdir(parents=True, exist_ok=True)
        path.write_text(content)
    (folder / "program.py").write_text(text)
    result = survey(folder / "program.py")
    return {
        finding.name: (
            finding.verdict,
            [line for _, line in finding.places],
            finding.guarded,
            finding.guess,
        )
        for finding in result.findings
    }


MISSING = "torch.onnx.export"  # will stay missing: there is nothing to export from


def test_every_way_of_naming_is_followed(tmp_path):
    names = found(
        tmp_path,
        """\
import torch
import torch as t
import torch.onnx
import torch.onnx as o
from torch import onnx
from torch import onnx as oo
from torch.onnx import export
from torch.onnx import export as e
a = torch.onnx.export
b = t.onnx.export
c = o.export
d = onnx.export()
f = [oo.export for _ in ()]
export; e
alias = torch.onnx
def g(x=alias.export):
    import torch.onnx as inner
    return inner.export, o.export
getattr(torch.onnx, "export")
""",
    )
    assert names[MISSING][:2] == ("missing", [7, 8, 9, 10, 11, 12, 13, 14, 16, 18, 19])
    assert names["torch.onnx"][0] == "missing" and names["torch"][0] == "there"


def test_names_that_are_there_or_nowhere(tmp_path):
    names = found(tmp_path, "import torch\ntorch.tensor([1])\ntorch.nonsense()\ntorch.float32\n")
    assert names["torch.tensor"][0] == names["torch.float32"][0] == "there"
    assert names["torch.nonsense"] == ("unknown", [3], False, False)


def test_local_names_hide_torch(tmp_path):
    names = found(
        tmp_path,
        """\
import torch
from torch import onnx
def f(torch, onnx):
    return torch.onnx.export, onnx.export
def g():
    onnx = {}
    return onnx.export
x = lambda onnx: onnx.export
def late():
    return defined_below.export
from torch import onnx as defined_below
""",
    )
    assert names[MISSING][1] == [10]


def test_names_come_through_modules_of_the_program(tmp_path):
    names = found(
        tmp_path,
        """\
import deep.inside
from common import o, make, torch as t
from deep import *
o.export
t.onnx.export
again.export
""",
        {
            "common.py": "import torch\nimport torch.onnx as o\nfrom program import nothing\n"
            "def make():\n    return torch.onnx.export\n",
            "deep/__init__.py": "from torch import onnx as again\n",
            "deep/inside.py": "from . import again\nfrom .. import nowhere\nagain.export\n",
        },
    )
    assert names[MISSING][1] == [4, 5, 6, 3, 5]  # of the program, deep/inside.py, common.py


def test_a_relative_path_and_sibling_files_are_reported(tmp_path):
    found(tmp_path, "import other\n", {"other.py": "import torch.onnx\n"})
    result = survey(tmp_path / "program.py")
    assert [file.rpartition("/")[2] for file in result.files] == ["program.py", "other.py"]


def test_methods_of_tensors(tmp_path):
    names = found(
        tmp_path,
        """\
import numpy as np
import torch
x = torch.zeros(3) + 1
x.to_mkldnn()
x[0].abs().to_mkldnn()
x.no_such_thing
def step(anything):
    anything.to_mkldnn()
    anything.append(1)
    "text".index("t")
    anything.rename("x")
    np.to_mkldnn()
    Mine().sparse_mask()
class Mine:
    def sparse_mask(self): pass
class Net(torch.nn.Module):
    def forward(self, x):
        self.to_mkldnn
        return x.to_dense()
""",
    )
    assert names["torch.Tensor.to_mkldnn"][:2] == ("missing", [4, 5, 8])
    assert names["torch.Tensor.abs"][0] == "there"
    assert names["torch.Tensor.to_dense"][1] == [19]
    unlisted = (
        "torch.Tensor.rename",
        "torch.Tensor.append",
        "torch.Tensor.index",
        "torch.Tensor.sparse_mask",
    )
    assert not names.keys() & set(unlisted)


def test_a_method_that_is_only_a_guess_says_so(tmp_path):
    names = found(tmp_path, "def f(a):\n    return a.to_mkldnn()\n")
    assert names["torch.Tensor.to_mkldnn"] == ("missing", [2], False, True)


@pytest.mark.parametrize(
    "text",
    [
        "try:\n    from torch.onnx import export\nexcept ImportError:\n    export = None\n",
        "import torch\nif hasattr(torch, 'onnx'):\n    torch.onnx.export()\n",
        "import torch\nx = torch.onnx.export() if hasattr(torch, 'onnx') else None\n",
        "import torch\nif torch.cuda.is_available():\n    torch.onnx.export()\n",
        "import torch\ntry:\n    torch.onnx.export()\nexcept (KeyError, AttributeError): pass\n",
    ],
)
def test_a_program_that_is_prepared_is_not_incomplete(tmp_path, text):
    assert found(tmp_path, text)[MISSING][2] is True


def test_asking_with_a_default_is_no_use(tmp_path):
    text = "import torch\ngetattr(torch.onnx, 'export', None)\nhasattr(torch.onnx, 'export')\n"
    assert MISSING not in found(tmp_path, text)


def test_the_other_branch_is_not_prepared(tmp_path):
    text = "import torch\nif not hasattr(torch, 'onnx'):\n    torch.onnx.export()\n"
    assert found(tmp_path, text)[MISSING][2] is False


def test_nothing_of_the_program_runs(tmp_path):
    found(tmp_path, f"open({str(tmp_path / 'ran')!r}, 'w')\nimport beside", {"beside.py": "1 / 0"})
    assert not (tmp_path / "ran").exists()


def test_differences_are_told(monkeypatch):
    monkeypatch.setitem(differences.DIFFERENCES, "torch.tensor", "tells a difference")
    judge.cache_clear()
    assert judge("torch.tensor") == ("differs", "tells a difference")
    judge.cache_clear()


def test_the_command_prints_a_table_and_ends_with_1_when_something_is_missing(tmp_path):
    found(tmp_path, "import torch\nimport torch.onnx\ntorch.onnx.export()\ntorch.tensor(1)\n")
    done = start(PELLUCID, "check", "program.py", cwd=tmp_path)
    assert done.returncode == 1
    line = next(line for line in done.stdout.splitlines() if line.startswith(MISSING))
    assert line.split()[:3] == [MISSING, "missing", "3"]
    assert "program.py: 4 names in 1 file: 2 there, 2 missing" in done.stdout
    assert "torch.tensor" not in done.stdout
    everything = start(PELLUCID, "check", "--all", "program.py", cwd=tmp_path).stdout
    assert "torch.tensor" in everything


def test_the_command_prints_json(tmp_path):
    found(tmp_path, "import torch\ntorch.tensor(1)\n")
    done = start(PELLUCID, "check", "program.py", "--json", cwd=tmp_path)
    data = json.loads(done.stdout)
    assert done.returncode == 0 and data["complete"] is True
    assert data["counts"] == {"missing": 0, "unknown": 0, "differs": 0, "there": 2}
    assert data["names"][1] == {
        "name": "torch.tensor",
        "verdict": "there",
        "note": "",
        "places": [{"file": "program.py", "line": 2}],
        "guarded": False,
        "guess": False,
    }


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("x = = 1\n", "program.py:1: not Python"),
        ("x = 1\0\n", "program.py:1: not Python"),
        (None, "program.py: No such file"),
    ],
)
def test_what_cannot_be_read_ends_with_2(tmp_path, text, words):
    if text is not None:
        (tmp_path / "program.py").write_text(text)
    done = start(PELLUCID, "check", "program.py", cwd=tmp_path)
    assert done.returncode == 2 and words in done.stderr
