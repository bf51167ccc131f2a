"""Every schedule gives PyTorch's rates, warnings and checkpoints."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pellucid import optim
from pellucid.tensor.tensor import from_numpy

torch = pytest.importorskip("torch")


def halve(epoch: int) -> float:
    return 0.5**epoch


class Warmup:
    """A callable object: checkpoints keep its field."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __call__(self, epoch: int) -> float:
        return min(1.0, (epoch + 1) / self.length)


CASES = {
    "lambda": lambda m, o: m.LambdaLR(o, halve),
    "lambda of objects": lambda m, o: m.LambdaLR(o, [Warmup(3), halve]),
    "multiplicative": lambda m, o: m.MultiplicativeLR(o, [halve, Warmup(4)]),
    "step": lambda m, o: m.StepLR(o, 3, gamma=0.5),
    "multistep": lambda m, o: m.MultiStepLR(o, [2, 5, 5, 7]),
    "constant": lambda m, o: m.ConstantLR(o, factor=0.25, total_iters=4),
    "linear": lambda m, o: m.LinearLR(o, 0.25, 0.75, total_iters=4),
    "exponential": lambda m, o: m.ExponentialLR(o, 0.9),
    "polynomial": lambda m, o: m.PolynomialLR(o, 6, power=2.0),
    "cosine": lambda m, o: m.CosineAnnealingLR(o, 5, eta_min=0.001),
    "restarts": lambda m, o: m.CosineAnnealingWarmRestarts(o, 2, T_mult=2, eta_min=0.001),
    "restarts of one length": lambda m, o: m.CosineAnnealingWarmRestarts(o, 3),
    "triangular": lambda m, o: m.CyclicLR(o, 0.01, [0.1, 0.2], 3, 2),
    "triangular2": lambda m, o: m.CyclicLR(o, 0.01, 0.1, 2, mode="triangular2"),
    "exp_range": lambda m, o: m.CyclicLR(o, 0.01, 0.1, 3, mode="exp_range", gamma=0.9),
    "own scale": lambda m, o: m.CyclicLR(
        o, 0.01, 0.1, 2, scale_fn=halve, scale_mode="iterations", cycle_momentum=False
    ),
    "one cycle": lambda m, o: m.OneCycleLR(o, [0.1, 0.3], total_steps=13),
    "one cycle, three phases": lambda m, o: m.OneCycleLR(
        o, 0.1, epochs=3, steps_per_epoch=5, three_phase=True, anneal_strategy="linear"
    ),
    "sequential": lambda m, o: m.SequentialLR(
        o, [m.ConstantLR(o, 0.1, 2), m.ExponentialLR(o, 0.9), m.StepLR(o, 2)], [3, 6]
    ),
    "chained": lambda m, o: m.ChainedScheduler([m.LinearLR(o), m.ExponentialLR(o, 0.9)]),
    "nested": lambda m, o: m.SequentialLR(
        o,
        [m.SequentialLR(o, [m.LinearLR(o), m.StepLR(o, 2)], [2]), m.CosineAnnealingLR(o, 4)],
        [5],
    ),
}


def optimizer_of(framework: str, tensor_lr: bool = False, name: str = "SGD"):
    make = from_numpy if framework == "pellucid" else torch.from_numpy
    module = optim if framework == "pellucid" else torch.optim
    params = [make(np.ones(2, np.float32)).requires_grad_() for _ in range(2)]
    for param in params:
        param.grad = make(np.ones(2, np.float32))
    lr = make(np.array(0.2)) if tensor_lr else 0.2
    groups = [{"params": params[:1]}, {"params": params[1:], "lr": 0.05}]
    options = {"momentum": 0.9} if name == "SGD" else {}
    return getattr(module, name)(groups, lr=lr, **options)


def schedulers(framework: str):
    return optim.lr_scheduler if framework == "pellucid" else torch.optim.lr_scheduler


def build(case: str, framework: str, optimizer):
    """The scheduler; nested ones step their first part while being made, which PyTorch warns of."""
    with warnings.catch_warnings():
        warnings.simplefilter("ignore", UserWarning)
        return CASES[case](schedulers(framework), optimizer)


def plain(value):
    """A checkpoint with tensors as numbers."""
    if isinstance(value, dict):
        return {key: plain(v) for key, v in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value.tolist() if hasattr(value, "tolist") else value


def trace(case: str, framework: str, tensor_lr: bool, name: str, steps: int = 12):
    optimizer = optimizer_of(framework, tensor_lr, name)
    scheduler = build(case, framework, optimizer)
    rows = []
    for _ in range(steps):
        key = "momentum" if name == "SGD" else "betas"
        rows.append([[float(g["lr"]), g[key]] for g in optimizer.param_groups])
        rows.append([float(rate) for rate in scheduler.get_last_lr()])
        optimizer.step()
        with warnings.catch_warnings():
            warnings.simplefilter("ignore", UserWarning)
            scheduler.step()
    return rows, scheduler


@pytest.mark.parametrize("name", ["SGD", "Adam"])
@pytest.mark.parametrize("tensor_lr", [False, True], ids=["float lr", "tensor lr"])
@pytest.mark.parametrize("case", CASES)
def test_rates_and_momenta_are_pytorchs(case: str, tensor_lr: bool, name: str) -> None:
    mine, scheduler = trace(case, "pellucid", tensor_lr, name)
    theirs, reference = trace(case, "torch", tensor_lr, name)
    for one, other in zip(mine, theirs, strict=True):
        assert str(one) == str(other)
    state, wanted = plain(scheduler.state_dict()), plain(reference.state_dict())
    assert set(state) == set(wanted)
    assert str({k: state[k] for k in sorted(state)}) == str({k: wanted[k] for k in sorted(wanted)})


@pytest.mark.parametrize("case", [c for c in CASES if c not in ("one cycle",)])
def test_a_checkpoint_goes_on_where_it_was(case: str) -> None:
    straight, _ = trace(case, "pellucid", False, "SGD")
    optimizer = optimizer_of("pellucid")
    scheduler = build(case, "pellucid", optimizer)
    for _ in range(5):
        optimizer.step()
        scheduler.step()
    saved, saved_optimizer = scheduler.state_dict(), optimizer.state_dict()
    optimizer = optimizer_of("pellucid")
    scheduler = build(case, "pellucid", optimizer)
    scheduler.load_state_dict(saved)
    optimizer.load_state_dict(saved_optimizer)
    for step in range(5, 12):
        rates = [[float(g["lr"]), g["momentum"]] for g in optimizer.param_groups]
        assert rates == straight[2 * step]
        optimizer.step()
        scheduler.step()


@pytest.mark.parametrize("case", ["step", "multistep", "cosine", "exponential", "linear"])
def test_epochs_may_be_given(case: str) -> None:
    def rates(framework: str) -> list:
        optimizer = optimizer_of(framework)
        scheduler = CASES[case](schedulers(framework), optimizer)
        optimizer.step()
        rows = []
        for epoch in (3, 1, 7):
            with pytest.warns(UserWarning, match="The epoch parameter in `scheduler.step"):
                scheduler.step(epoch)
            rows.append(scheduler.get_last_lr())
        return rows

    assert rates("pellucid") == rates("torch")


def test_restarts_take_fractions_of_epochs() -> None:
    def rates(framework: str) -> list:
        scheduler = CASES["restarts"](schedulers(framework), optimizer_of(framework))
        rows = []
        for epoch in (0.5, 1.5, 2.25, 7.0, 0.25):
            scheduler.step(epoch)
            rows.append((scheduler.get_last_lr(), scheduler.last_epoch))
        return rows

    assert rates("pellucid") == rates("torch")


@pytest.mark.parametrize("mode", ["min", "max"])
@pytest.mark.parametrize("threshold_mode", ["rel", "abs"])
def test_plateau(mode: str, threshold_mode: str) -> None:
    def rates(framework: str):
        optimizer = optimizer_of(framework)
        scheduler = schedulers(framework).ReduceLROnPlateau(
            optimizer, mode, 0.5, 1, 0.01, threshold_mode, cooldown=1, min_lr=[0.02, 0.01]
        )
        rows = []
        for metric in (1.0, 0.9, 0.899, 0.95, 0.9, 1.2, 1.3, 1.3, 1.1, 1.4, 1.5, 0.1, 0.1, 0.1):
            optimizer.step()
            scheduler.step(metric)
            rows.append(scheduler.get_last_lr())
        return rows, scheduler.state_dict()

    assert rates("pellucid") == rates("torch")


def test_the_wrong_order_of_calls_is_noticed() -> None:
    scheduler = optim.lr_scheduler.StepLR(optimizer_of("pellucid"), 2)
    with pytest.warns(UserWarning, match=r"Detected call of `lr_scheduler.step\(\)` before"):
        scheduler.step()
    optimizer = optimizer_of("pellucid")
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.step = lambda: None
    with pytest.warns(UserWarning, match="has been overridden after learning rate scheduler"):
        scheduler.step()
    optimizer = optimizer_of("pellucid")
    scheduler = optim.lr_scheduler.StepLR(optimizer, 2)
    optimizer.step()
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        scheduler.step()


def test_get_lr_is_not_for_users() -> None:
    scheduler = optim.lr_scheduler.ExponentialLR(optimizer_of("pellucid"), 0.9)
    with pytest.warns(UserWarning, match="please use `get_last_lr"):
        scheduler.get_lr()


REFUSALS = [
    (TypeError, "dict is not an Optimizer", lambda m, o: m.StepLR({}, 1)),
    (KeyError, "'initial_lr' is not specified", lambda m, o: m.StepLR(o, 1, last_epoch=3)),
    (ValueError, "Expected 2 lr_lambdas, but got 1", lambda m, o: m.LambdaLR(o, [halve])),
    (TypeError, "should be a function, but got int", lambda m, o: m.MultiplicativeLR(o, 3)),
    (ValueError, "expected to be between 0 and 1", lambda m, o: m.ConstantLR(o, 2)),
    (ValueError, "Starting multiplicative factor", lambda m, o: m.LinearLR(o, 0)),
    (ValueError, "Ending multiplicative factor", lambda m, o: m.LinearLR(o, 1, 2)),
    (ValueError, "integer T_0", lambda m, o: m.CosineAnnealingWarmRestarts(o, 0)),
    (ValueError, "integer T_mult", lambda m, o: m.CosineAnnealingWarmRestarts(o, 1, 0)),
    (ValueError, "must have the same length", lambda m, o: m.CyclicLR(o, [1.0], 2.0)),
    (ValueError, "mode is invalid", lambda m, o: m.CyclicLR(o, 1.0, 2.0, mode="square")),
    (ValueError, "define either total_steps OR", lambda m, o: m.OneCycleLR(o, 1.0, epochs=3)),
    (ValueError, "integer total_steps", lambda m, o: m.OneCycleLR(o, 1.0, 0)),
    (ValueError, "pct_start", lambda m, o: m.OneCycleLR(o, 1.0, 9, pct_start=2.0)),
    (ValueError, "must be one of", lambda m, o: m.OneCycleLR(o, 1.0, 9, anneal_strategy="x")),
    (ValueError, "at least one scheduler", lambda m, o: m.SequentialLR(o, [], [])),
    (
        ValueError,
        "one more than the number of milestone",
        lambda m, o: m.SequentialLR(o, [m.StepLR(o, 1)], [1]),
    ),
    (ValueError, "Factor should be < 1.0", lambda m, o: m.ReduceLROnPlateau(o, factor=1.0)),
    (ValueError, "expected 2 min_lrs", lambda m, o: m.ReduceLROnPlateau(o, min_lr=[1.0])),
    (ValueError, "mode best is unknown", lambda m, o: m.ReduceLROnPlateau(o, mode="best")),
]


@pytest.mark.parametrize(("error", "words", "attempt"), REFUSALS)
@pytest.mark.parametrize("framework", ["pellucid", "torch"])
def test_refusals(error, words: str, attempt, framework: str) -> None:
    with pytest.raises(error, match=words):
        attempt(schedulers(framework), optimizer_of(framework))


def test_one_cycle_ends() -> None:
    optimizer = optimizer_of("pellucid")
    scheduler = optim.lr_scheduler.OneCycleLR(optimizer, 0.1, total_steps=2)
    optimizer.step()
    scheduler.step()
    scheduler.step()
    with pytest.raises(ValueError, match=r"Tried to step 3 times\. The specified number of total"):
        scheduler.step()


def test_momentum_is_wanted() -> None:
    params = [from_numpy(np.ones(1)).requires_grad_()]
    with pytest.raises(ValueError, match="optimizer must support momentum or beta1"):
        optim.lr_scheduler.OneCycleLR(optim.Rprop(params), 0.1, total_steps=2)
