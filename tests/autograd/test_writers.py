"""The error about a saved tensor that was changed names what wrote it, and its line on demand."""

import pytest
import torch

import pellucid
from pellucid import explain

WORDS = "one of the variables needed for gradient computation has been modified by an inplace"


def failed(spoil, library=pellucid):
    x = library.ones(2, requires_grad=True)
    y = x.exp()
    z = y * y
    spoil(y, library)
    with pytest.raises(RuntimeError, match=WORDS) as refused:
        z.sum().backward()
    return str(refused.value)


def add(y, library):
    y += 1


def fill(y, library):
    with library.no_grad():
        y.fill_(2)


def assign(y, library):
    with library.no_grad():
        y[0] = 2


def into(y, library):
    with library.no_grad():
        library.add(y.detach(), 1, out=y)


@pytest.mark.parametrize(("spoil", "name"), [(add, "add_"), (fill, "fill_"), (into, "add(out=…)")])
def test_the_writer_is_named_and_its_line_is_offered(spoil, name):
    said = failed(spoil)
    assert f"{name} was the last to write it. In anomaly mode its line stands here." in said


def test_the_first_sentence_is_that_of_pytorch():
    ours, theirs = failed(add).splitlines()[0], failed(add, torch).splitlines()[0]
    assert ours.split("Hint")[0] == theirs.split("Hint")[0]


@pytest.mark.parametrize(
    ("spoil", "line"),
    [(add, "y += 1"), (fill, "y.fill_(2)"), (assign, "y[0] = 2")],
)
def test_anomaly_mode_names_the_line(spoil, line):
    with pellucid.autograd.set_detect_anomaly(True), pytest.warns(UserWarning, match="Error det"):
        said = failed(spoil)
    assert (
        f"(test_writers.py, line {spoil.__code__.co_firstlineno + 1 + (spoil is not add)}" in said
    )
    assert f": `{line}`) was the last to write it." in said and "anomaly mode its" not in said


def test_explain_names_the_line_too():
    said = []
    explain(lambda: said.append(failed(add)))
    assert "`y += 1`) was the last to write it." in said[0]
