"""Saved plans: the same numbers elsewhere, and refusals in words."""

import hashlib
import json
import subprocess
import sys
import zipfile

import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn


@pytest.fixture
def saved(tmp_path):
    torch.manual_seed(0)
    model = nn.Sequential(
        nn.Conv2d(3, 16, 3, padding=1), nn.ReLU(), nn.Flatten(), nn.Linear(400, 4)
    )
    compiled = torch.compile(model.eval())
    inputs = [torch.randn(n, 3, 5, 5) for n in (1, 2)]
    with torch.no_grad():
        wanted = [compiled(x) for x in inputs]
    path = tmp_path / "model.plan"
    compiled.save(path)
    return path, inputs, wanted


def test_a_loaded_function_gives_the_same_numbers(saved):
    path, inputs, wanted = saved
    loaded = torch.load_compiled(path)
    for x, y in zip(inputs, wanted, strict=True):
        assert torch.equal(loaded(x), y)
        assert torch.equal(loaded(x.transpose(2, 3).contiguous().transpose(2, 3)), y)


def test_another_process_needs_no_model(saved, tmp_path):
    path, inputs, wanted = saved
    torch.save((inputs[0], wanted[0]), tmp_path / "pair.pt")
    code = f"""
import sys, pellucid
x, y = pellucid.load({str(tmp_path / "pair.pt")!r})
assert pellucid.equal(pellucid.load_compiled({str(path)!r})(x), y)
assert "pellucid.nn" not in sys.modules
"""
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, timeout=120)
    assert done.returncode == 0, done.stderr


def test_shapes_without_a_plan_are_refused(saved):
    with pytest.raises(ValueError, match="no plan in this file takes inputs"):
        torch.load_compiled(saved[0])(torch.randn(3, 3, 5, 5))


def test_damage_is_noticed(saved, tmp_path):
    raw = saved[0].read_bytes()
    for number, damaged in enumerate((raw[: len(raw) // 2], b"", b"<html>", _flipped(saved[0]))):
        path = tmp_path / f"damaged{number}"
        path.write_bytes(damaged)
        with pytest.raises(ValueError, match=r"is not a compiled function|is damaged"):
            torch.load_compiled(path)


def _flipped(path):
    data = bytearray(path.read_bytes())
    place = data.find(b'"flops"')
    data[place + 2] ^= 1
    return bytes(data)


def _rewritten(path, copy, **changes):
    with zipfile.ZipFile(path) as archive:
        manifest = json.loads(archive.read("manifest.json"))
        raw = archive.read("data.bin")
    text = json.dumps(manifest | changes).encode()
    with zipfile.ZipFile(copy, "w") as archive:
        archive.writestr("manifest.json", text)
        archive.writestr("data.bin", raw)
        archive.writestr("digest", hashlib.sha256(text + raw).hexdigest())


@pytest.mark.parametrize(
    ("changes", "words"),
    [({"format": 0}, "another format"), ({"target": "mmx"}, "was compiled for mmx")],
)
def test_files_of_another_kind_are_refused(saved, tmp_path, changes, words):
    _rewritten(saved[0], tmp_path / "other", **changes)
    with pytest.raises(ValueError, match=words):
        torch.load_compiled(tmp_path / "other")


def test_a_missing_file_is_that(tmp_path):
    with pytest.raises(FileNotFoundError, match="nothing"):
        torch.load_compiled(tmp_path / "nothing")


@pytest.mark.parametrize(
    ("function", "words"),
    [
        (lambda x: x.cumsum(0), "cumsum runs as in eager mode"),
        (lambda x: x.add_(1.0), "writes to its inputs"),
        (lambda x: x.t(), "returns a view"),
    ],
)
def test_plans_that_cannot_be_saved_say_why(function, words, tmp_path):
    compiled = torch.compile(function)
    compiled(torch.randn(2, 3))
    with pytest.raises(ValueError, match=words):
        compiled.save(tmp_path / "x")
    assert list(tmp_path.iterdir()) == []


def test_nothing_to_save(tmp_path):
    with pytest.raises(ValueError, match="no plan to save yet"):
        torch.compile(F.relu).save(tmp_path / "x")


def test_the_public_names():
    model = nn.Linear(2, 2)
    compiled = torch.compile(model, mode="reduce-overhead", fullgraph=True)
    assert isinstance(compiled, nn.Linear) and compiled.weight is model.weight
    assert compiled.eval() is model and compiled._orig_mod is model
    assert torch.compile(model, disable=True) is model
    assert torch.compiler.is_compiling() is False
    with pytest.raises(RuntimeError, match="Unrecognized mode=fast"):
        torch.compile(model, mode="fast")
    with pytest.raises(TypeError, match="takes a Module or a function"):
        torch.compile(3)

    @torch.compile
    def doubled(x):
        assert torch.compiler.is_compiling()
        return x * 2

    assert torch.equal(doubled(torch.ones(3)), torch.full((3,), 2.0))
    assert "mul" in str(doubled) and "of limit" in doubled.profile(1)
