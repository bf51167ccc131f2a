"""`load(weights_only=False)` reads whole models whose classes the program has, and nothing more."""

import io
import os

import pytest
import torch

import pellucid
from pellucid import nn
from pellucid.nn import functional as F


class Net(nn.Module):
    def __init__(self):
        super().__init__()
        self.layers = nn.Sequential(nn.Linear(3, 4), nn.BatchNorm1d(4), nn.ReLU())
        self.act = F.relu

    def forward(self, x):
        return self.act(self.layers(x))


def saved(value, save=pellucid.save):
    buffer = io.BytesIO()
    save(value, buffer)
    buffer.seek(0)
    return buffer


def test_a_whole_model_comes_back():
    net = Net().eval()
    x = pellucid.randn(5, 3)
    again = pellucid.load(saved(net), weights_only=False)
    assert type(again) is Net
    assert again.act is F.relu
    assert not again.training
    assert pellucid.equal(again(x), net(x))


def test_a_whole_model_of_pytorch_comes_back():
    reference = torch.nn.Sequential(torch.nn.Linear(3, 4), torch.nn.GELU(), torch.nn.Dropout(0.1))
    reference.eval()
    again = pellucid.load(saved(reference, torch.save), weights_only=False)
    assert type(again[0]) is nn.Linear
    x = torch.randn(5, 3)
    actual = again(pellucid.from_numpy(x.numpy())).detach().numpy()
    assert actual == pytest.approx(reference(x).detach().numpy(), rel=1e-5, abs=1e-6)


def test_without_the_word_it_is_refused():
    with pytest.raises(pellucid.serialization.UnpicklingError, match="was not an allowed global"):
        pellucid.load(saved(Net()))


@pytest.mark.parametrize(
    "value", [os.system, eval, pellucid.load, io.BytesIO], ids=["system", "eval", "load", "BytesIO"]
)
def test_other_code_stays_out_of_reach(value):
    file = saved({"x": value})
    with pytest.raises(pellucid.serialization.UnpicklingError, match=r"Nothing was run"):
        pellucid.load(file, weights_only=False)


@pytest.mark.parametrize(
    "function", [pellucid.exp, pellucid.relu, F.relu, F.conv2d, F.gelu, pellucid.linalg.norm]
)
def test_operators_are_saved_by_name(function):
    assert pellucid.load(saved([function]), weights_only=False) == [function]
