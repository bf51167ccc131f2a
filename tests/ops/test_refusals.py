"""Arguments that PyTorch's parser refuses are refused in its words."""

from collections.abc import Callable
from importlib.resources import files
from typing import Any

import pytest
import torch

import pellucid
from tests.ops.sides import agree, numbers

TABLE = files("pellucid.ops").joinpath("signatures.txt").read_text(encoding="ascii").splitlines()
NAMES = sorted({line.split(" ")[0] for line in TABLE})
UNSEEN = {f"unknown_{number}": None for number in range(40)}


def public(library: Any, name: str) -> Callable[..., Any]:
    """The function, or the method of a tensor, that a name of the table stands for."""
    place, _, last = name.rpartition(".")
    home = library.ones(2, 2) if place == "Tensor" else library
    for part in () if place in ("torch", "Tensor") else place.split("."):
        home = getattr(home, part)
    return getattr(home, last)


def said(library: Any, name: str) -> list[str]:
    """What a function calls itself, and the overloads that it lists, when it knows no keyword."""
    with pytest.raises(TypeError, match=r"\(\)") as refused:
        public(library, name)(**UNSEEN)
    lines = str(refused.value).splitlines()
    return [lines[0].split(" - got")[0], *(line for line in lines if line.startswith(" * "))]


def test_every_name_lists_the_overloads_of_pytorch():
    # `new` also takes a torch.device first, of whatever kind: PyTorch lists its forms otherwise.
    names = [name for name in NAMES if name != "Tensor.new"]
    assert [name for name in names if said(torch, name) != said(pellucid, name)] == []


SNIPPETS = """
f.sum(t, "a")
t.sum("a")
t.sum(dim=1, keepdim=1)
t.sum(dim=1, keepdims=None)
f.sum(t, 2**70)
f.flip(t, 0)
f.flip(t, ["a"])
t.flip("a", 1)
t.flip(0, "a")
f.arange(3, step=1)
f.arange("a")
f.arange(10**18)
f.zeros(2, "a")
f.zeros("a", 2)
f.zeros((2, 1.5))
f.zeros([None])
f.ones(2, dtype="float32")
f.full((2,), "a")
f.add(t, None)
f.add(t, t, t)
f.add(t)
f.add(t, t, alpha="a")
t.add_("a")
t.clamp(0, t)
t.clamp_(0, t)
f.clamp(t, "a")
f.var(t, dim=1, unbiased=3)
f.max(t, "a")
t.view("a")
t.view(2, "a")
t.expand(t, 3)
t.permute(0, "a")
t.transpose(0)
t.unsqueeze(1.5)
f.cat(t)
f.stack(3)
f.where(t > 0, "a", t)
f.topk(t, 1, largest=1)
t.scatter_(1)
t.copy_("a")
t.fill_("a")
t.uniform_("a")
t.random_(0, "a")
f.nonzero(t, as_tuple=1)
f.matmul(t)
f.matmul(t, 2)
f.einsum(3)
f.rand(2, generator=3)
f.multinomial(t, 1, replacement=1)
f.linalg.solve(t, 1)
f.special.xlogy("a", t)
f.nn.functional.conv2d(t, 3)
f.nn.functional.linear(t)
f.nn.functional.layer_norm(1, (3,))
f.outer(t, 1)
f.cdist(t, 1)
f.roll(t, 2**70)
""".strip().splitlines()


def test_only_the_first_size_may_not_be_a_bool():
    assert agree(lambda f, t: f.zeros(2, True) + t, numbers(2, 3))
    agree(lambda f, t: f.zeros(True, 2), numbers(2, 3))


@pytest.mark.parametrize("snippet", SNIPPETS)
def test_what_is_refused_and_in_which_words(snippet: str):
    have = agree(lambda f, t: eval(snippet, {"f": f, "t": t}), numbers(2, 3))
    assert have[0] in ("TypeError", "ValueError", "RuntimeError")


BEYOND = {
    "roll": lambda y, n: y.roll(n, 0),
    "roll by a list": lambda y, n: y.roll((n,), (0,)),
    "chunk": lambda y, n: y.chunk(n),
    "repeat": lambda y, n: y.repeat(n),
    "repeat by a list": lambda y, n: y.repeat((1, n)),
    "select": lambda y, n: y.select(0, n),
    "brackets": lambda y, n: y[n],
    "sum": lambda y, n: y.sum(n),
    "topk": lambda y, n: y.topk(n),
    "narrow": lambda y, n: y.narrow(0, n, 1),
    "view": lambda y, n: y.view(n, 3),
    "tensor_split": lambda y, n: y.tensor_split(n),
    "diff": lambda y, n: y.diff(n),
    "diagonal": lambda y, n: y[None].diagonal(n),
    "fill_": lambda y, n: y.fill_(n),
    "assignment": lambda y, n: y.__setitem__(0, n),
    "rot90": lambda y, n: y[None].rot90(n),
}


@pytest.mark.parametrize("program", BEYOND.values(), ids=BEYOND)
def test_integers_beyond_64_bits(program):
    """Also where a call of these types has gone well before."""
    told = []
    for lib in (torch, pellucid):
        y = lib.ones(3)
        program(y, 1) if program is not BEYOND["sum"] else y.sum(0)
        with pytest.raises(
            (ValueError, TypeError, OverflowError), match=r"Overflow|too big"
        ) as caught:
            program(y, 2**70)
        told.append((caught.type, str(caught.value).split("\n")[0].rstrip(chr(34))))
    assert told[0] == told[1]
