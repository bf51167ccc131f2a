"""Averaged models and their batch statistics are PyTorch's."""

from __future__ import annotations

import importlib

import numpy as np
import pytest

from pellucid import nn, optim
from pellucid.autograd.modes import no_grad
from pellucid.optim import swa_utils
from pellucid.tensor.tensor import from_numpy

torch = pytest.importorskip("torch")
torch_swa = importlib.import_module("torch.optim.swa_utils")

MODULES = {
    "pellucid": (nn, swa_utils, from_numpy),
    "torch": (torch.nn, torch_swa, torch.from_numpy),
}


def write(framework: str, model, step: int) -> None:
    """Give all parameters and floating buffers the numbers of a step."""
    rng = np.random.default_rng(step)
    make = MODULES[framework][2]
    with no_grad(), torch.no_grad():
        for tensor in [*model.parameters(), *model.buffers()]:
            if tensor.is_floating_point():
                values = rng.random(tuple(tensor.shape)).astype(np.float32)
                tensor.copy_(make(values))


def build(framework: str):
    layers = MODULES[framework][0]
    model = layers.Sequential(layers.Linear(3, 2), layers.BatchNorm1d(2))
    write(framework, model, 0)
    return model


def state(model) -> dict:
    return {key: value.tolist() for key, value in model.state_dict().items()}


def assert_close(mine: dict, theirs: dict) -> None:
    assert list(mine) == list(theirs)
    for key, value in theirs.items():
        np.testing.assert_allclose(mine[key], value, rtol=1e-5, atol=1e-6, err_msg=key)


KINDS = {
    "equal weights": lambda m: {},
    "equal weights, function": lambda m: {"avg_fn": m.get_swa_avg_fn()},
    "exponential": lambda m: {"multi_avg_fn": m.get_ema_multi_avg_fn(0.9)},
    "exponential, one by one": lambda m: {"avg_fn": m.get_ema_avg_fn(0.9)},
    "exponential with buffers": lambda m: {
        "multi_avg_fn": m.get_ema_multi_avg_fn(0.9),
        "use_buffers": True,
    },
    "equal weights, all at once": lambda m: {"multi_avg_fn": m.get_swa_multi_avg_fn()},
}


@pytest.mark.parametrize("kind", KINDS)
def test_averages(kind: str) -> None:
    def run(framework: str) -> dict:
        module = MODULES[framework][1]
        model = build(framework)
        averaged = module.AveragedModel(model, **KINDS[kind](module))
        for step in range(1, 5):
            write(framework, model, step)
            averaged.update_parameters(model)
        return state(averaged)

    assert_close(run("pellucid"), run("torch"))


def test_batch_statistics_are_computed_anew() -> None:
    def run(framework: str) -> dict:
        _, module, make = MODULES[framework]
        model = build(framework).eval()
        rng = np.random.default_rng(5)
        batches = [make(rng.standard_normal((4, 3)).astype(np.float32)) for _ in range(3)]
        module.update_bn([(batch, "label") for batch in batches], model)
        assert not model.training
        assert model[1].momentum == 0.1
        return state(model)

    assert_close(run("pellucid"), run("torch"))


@pytest.mark.parametrize("framework", ["pellucid", "torch"])
def test_refusals(framework: str) -> None:
    module = MODULES[framework][1]
    for function in (module.get_ema_avg_fn, module.get_ema_multi_avg_fn):
        with pytest.raises(ValueError, match=r"Invalid decay value 1.5 provided"):
            function(1.5)
    both = {"avg_fn": module.get_swa_avg_fn(), "multi_avg_fn": module.get_swa_multi_avg_fn()}
    with pytest.raises(AssertionError, match="Only one of avg_fn and multi_avg_fn"):
        module.AveragedModel(build(framework), **both)


@pytest.mark.parametrize("framework", ["pellucid", "torch"])
def test_counts_have_no_average_of_equal_weights(framework: str) -> None:
    module = MODULES[framework][1]
    model = build(framework)
    options = {"multi_avg_fn": module.get_swa_multi_avg_fn(), "use_buffers": True}
    averaged = module.AveragedModel(model, **options)
    averaged.update_parameters(model)
    with pytest.raises(RuntimeError, match="Integer division with addcdiv is no longer supported"):
        averaged.update_parameters(model)


@pytest.mark.parametrize("strategy", ["cos", "linear"])
@pytest.mark.parametrize("epochs", [0, 4])
def test_swalr(strategy: str, epochs: int) -> None:
    def rates(framework: str):
        _, module, make = MODULES[framework]
        groups = [{"params": make(np.ones(2)).requires_grad_(), "lr": lr} for lr in (0.2, 0.05)]
        optimizer = (optim if framework == "pellucid" else torch.optim).SGD(groups)
        scheduler = module.SWALR(optimizer, [0.01, 0.02], epochs, strategy)
        rows = []
        for _ in range(7):
            rows.append(scheduler.get_last_lr())
            optimizer.step()
            scheduler.step()
        return rows, scheduler.state_dict()

    assert rates("pellucid") == rates("torch")
