"""Compiled training steps against the same steps in eager mode: parameters, state, gradients."""

import copy

import numpy as np
import pytest
import torch as real

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.compiler.compiled import compile
from pellucid.compiler.pairs import Pair
from pellucid.compiler.step_trace import NotTraceable
from pellucid.compiler.steps import SpecialisedStep
from pellucid.models import resnet18

optim, schedules = torch.optim, torch.optim.lr_scheduler


def train(optimiser, compiled, *, extra=(), clip=0.0, schedule=None, zero="first", steps=6):
    """A few steps: losses, model, optimiser, scheduler, the compiled function."""
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 16), nn.Tanh(), *extra, nn.Linear(16, 16), nn.ReLU(),
                          nn.Linear(16, 1))  # fmt: skip
    chosen = optimiser(model.parameters())
    scheduler = schedule(chosen) if schedule else None

    def step(x, y):
        if zero == "first":
            chosen.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        chosen.step()
        if scheduler is not None:
            scheduler.step()
        if zero == "last":
            chosen.zero_grad()
        return loss

    function = compile(step) if compiled else step
    random = torch.Generator().manual_seed(1)
    losses = []
    for _ in range(steps):
        x = torch.randn(32, 4, generator=random)
        losses.append(function(x, x.sum(1, keepdim=True).sin()).item())
    return losses, model, chosen, scheduler, function


def same(mine, wanted):
    """Nested dictionaries and lists with equal leaves; tensors up to rounding."""
    if isinstance(wanted, dict):
        assert mine.keys() == wanted.keys()
        for key in wanted:
            same(mine[key], wanted[key])
    elif isinstance(wanted, (list, tuple)):
        assert len(mine) == len(wanted)
        for pair in zip(mine, wanted, strict=True):
            same(*pair)
    elif isinstance(wanted, torch.Tensor):
        torch.testing.assert_close(mine, wanted, rtol=2e-5, atol=2e-6)
    else:
        assert mine == wanted


def adam(**options):
    return lambda parameters: optim.Adam(parameters, 1e-2, **options)


def sgd(**options):
    return lambda parameters: optim.SGD(parameters, 1e-1, **options)


CASES = {
    "adam": (adam(), {}),
    "decay": (adam(weight_decay=0.1), {"zero": "last"}),
    "amsgrad": (adam(amsgrad=True), {"clip": 0.1}),
    "adamw": (optim.AdamW, {"clip": 0.1, "zero": "last"}),
    "sgd": (sgd(), {}),
    "momentum": (sgd(momentum=0.9), {"zero": "last"}),
    "gradients that add up": (sgd(momentum=0.9, nesterov=True), {"zero": ""}),
    "batch norm": (adam(), {"extra": [nn.BatchNorm1d(16)]}),
    "dropout": (adam(), {"extra": [nn.Dropout(0.3)]}),
    "step schedule": (adam(), {"schedule": lambda o: schedules.StepLR(o, 2)}),
    "cosine": (sgd(momentum=0.9), {"schedule": lambda o: schedules.CosineAnnealingLR(o, 9)}),
    "momentum that changes": (
        sgd(momentum=0.9), {"schedule": lambda o: schedules.OneCycleLR(o, 0.1, total_steps=9)}),
    "chained": (sgd(), {"schedule": lambda o: schedules.ChainedScheduler(
        [schedules.ExponentialLR(o, 0.9), schedules.StepLR(o, 2)])}),
    "nadam": (optim.NAdam, {}),
    "radam": (optim.RAdam, {"steps": 8}),
    "rprop": (optim.Rprop, {}),
    "asgd": (optim.ASGD, {}),
    "rmsprop": (optim.RMSprop, {}),
    "adagrad": (optim.Adagrad, {}),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_steps_are_those_of_eager_mode(name):
    optimiser, options = CASES[name]
    wanted = train(optimiser, False, **copy.deepcopy(options))
    found = train(optimiser, True, **options)
    np.testing.assert_allclose(found[0], wanted[0], rtol=1e-5)
    for mine, other in zip(found[1:3], wanted[1:3], strict=True):
        same(mine.state_dict(), other.state_dict())
    for mine, other in zip(found[1].parameters(), wanted[1].parameters(), strict=True):
        assert (mine.grad is None) == (other.grad is None)
        if other.grad is not None:
            torch.testing.assert_close(mine.grad, other.grad, rtol=1e-4, atol=1e-6)
    if wanted[3] is not None and not isinstance(wanted[3], schedules.ChainedScheduler):
        plain = [{k: v for k, v in s.state_dict().items() if not callable(v)}
                 for s in (found[3], wanted[3])]  # fmt: skip
        same(*plain)
    plans = found[4]._training.steps.values()
    assert plans and all(isinstance(each, SpecialisedStep) for each in plans)


def test_training_follows_pytorch():
    torch.manual_seed(0)
    model = nn.Sequential(nn.Linear(4, 8), nn.Tanh(), nn.Linear(8, 3))
    other = real.nn.Sequential(real.nn.Linear(4, 8), real.nn.Tanh(), real.nn.Linear(8, 3))
    other.load_state_dict({k: real.from_numpy(v.numpy()) for k, v in model.state_dict().items()})
    mine, theirs = optim.AdamW(model.parameters(), 0.02), real.optim.AdamW(other.parameters(), 0.02)

    def step(library, net, chosen, x, y):
        chosen.zero_grad()
        loss = library.nn.functional.cross_entropy(net(x), y)
        loss.backward()
        chosen.step()
        return loss

    compiled = compile(lambda x, y: step(torch, model, mine, x, y))
    random = np.random.default_rng(0)
    for _ in range(8):
        x = random.standard_normal((16, 4)).astype(np.float32)
        y = random.integers(0, 3, 16)
        found = compiled(torch.from_numpy(x), torch.from_numpy(y))
        wanted = step(real, other, theirs, real.from_numpy(x), real.from_numpy(y))
        assert found.item() == pytest.approx(wanted.item(), rel=1e-4)
    for p, q in zip(model.parameters(), other.parameters(), strict=True):
        np.testing.assert_allclose(p.detach().numpy(), q.detach().numpy(), rtol=1e-3, atol=1e-5)


def test_a_loaded_state_is_used():
    _, model, chosen, _, compiled = train(adam(), True, steps=4)
    _, _, other, _, _ = train(adam(), False, steps=9)
    chosen.load_state_dict(copy.deepcopy(other.state_dict()))
    before = chosen.state[model[0].weight]["step"].item()
    x = torch.ones(32, 4)
    compiled(x, x.sum(1, keepdim=True))
    assert before == 9.0 and chosen.state[model[0].weight]["step"].item() == 10.0


def test_a_gradient_that_somebody_holds_is_not_written_to():
    _, model, _, _, compiled = train(sgd(), True)
    held = model[0].weight.grad
    before = held.clone()
    compiled(torch.ones(32, 4), torch.ones(32, 1))
    assert model[0].weight.grad is not held
    torch.testing.assert_close(held, before)


def test_options_that_change_make_another_plan():
    found = {}
    for compiled in (False, True):
        _, model, chosen, _, function = train(adam(), compiled)
        chosen.param_groups[0]["weight_decay"] = 0.5
        chosen.param_groups[0]["lr"] = 0.3
        function(torch.ones(32, 4), torch.ones(32, 1))
        found[compiled] = model.state_dict()
    same(found[True], found[False])


MODELS = {
    "norms": (lambda: nn.Sequential(nn.Linear(4, 8), nn.LayerNorm(8), nn.GELU()), (5, 4)),
    "resnet": (lambda: resnet18(num_classes=3), (2, 3, 33, 33)),
    "transformer": (lambda: nn.TransformerEncoderLayer(16, 2, 32, batch_first=True), (2, 5, 16)),
    "lstm": (lambda: nn.LSTM(4, 5), (3, 2, 4)),
    "groups": (lambda: nn.Sequential(nn.Conv2d(3, 4, 3), nn.MaxPool2d(2), nn.GroupNorm(2, 4)),
               (2, 3, 8, 8)),
}  # fmt: skip


@pytest.mark.parametrize("name", MODELS)
def test_gradients_through_compiled_models(name):
    make, shape = MODELS[name]
    runs = []
    for compiled in (False, True):
        torch.manual_seed(0)
        model = make()
        function = compile(model) if compiled else model
        random = torch.Generator().manual_seed(1)
        found = []
        for _ in range(3):
            x = torch.randn(shape, generator=random, requires_grad=True)
            out = function(x)
            out = out[0] if isinstance(out, tuple) else out
            (out * torch.linspace(-1, 1, out.numel()).view(out.shape)).sum().backward()
            found.append([out.detach(), x.grad, *[p.grad.clone() for p in model.parameters()]])
            model.zero_grad()
            with torch.no_grad():
                for p in model.parameters():
                    p.mul_(0.99)
        runs.append((found, model.state_dict()))
    assert [type(p) for p in function._training.steps.values()] == [Pair]
    for mine, wanted in zip(runs[1][0], runs[0][0], strict=True):
        for a, b in zip(mine, wanted, strict=True):
            scale = max(float(b.abs().max()), 1e-3)
            assert float((a - b).abs().max()) <= 1e-4 * scale
    same(runs[1][1], runs[0][1])


def test_a_second_backward_and_one_after_a_write_are_refused():
    model = nn.Sequential(nn.Linear(4, 3), nn.Tanh())
    compiled, x = compile(model), torch.randn(2, 4, requires_grad=True)
    compiled(x)
    loss = compiled(x).sum()
    loss.backward()
    with pytest.raises(RuntimeError, match="backward through the graph a second time"):
        loss.backward()
    loss = compiled(x).sum()
    with torch.no_grad():
        model[0].weight.mul_(2)
    with pytest.raises(RuntimeError, match="modified by an inplace operation"):
        loss.backward()
    (grad,) = torch.autograd.grad(compiled(x).sum(), x)
    assert grad.shape == x.shape
    with pytest.raises(RuntimeError, match="does not currently support double backward"):
        torch.autograd.grad(compiled(x).sum(), x, create_graph=True)


def test_what_cannot_be_followed_is_refused():
    weight = torch.ones(3, requires_grad=True)

    def by_data(x):
        (weight * x).sum().backward()
        weight.data.add_(weight.grad, alpha=-0.1)

    with pytest.raises(NotTraceable, match=r"`\.data` of a tensor"):
        compile(by_data)(torch.ones(3))

    def by_numpy(x):
        noise = torch.from_numpy(np.random.default_rng(0).standard_normal(3))
        (weight * x * noise).sum().backward()

    with pytest.raises(NotTraceable, match="made while it ran by something else than an operator"):
        compile(by_numpy)(torch.ones(3))

    half = torch.ones(3, dtype=torch.bfloat16, requires_grad=True)
    chosen = optim.SGD([half], 0.1)

    def in_half(x):
        (half * x).sum().backward()
        chosen.step()

    with pytest.raises(NotTraceable, match=r"SGD.step updates torch.bfloat16 parameters"):
        compile(in_half)(torch.ones(3, dtype=torch.bfloat16))
    plateau = schedules.ReduceLROnPlateau(optim.SGD([weight], 0.1))

    def on_plateau(x):
        loss = (weight * x).sum()
        loss.backward()
        plateau.step(loss)

    with pytest.raises(NotTraceable, match=r"ReduceLROnPlateau.step reads a tensor"):
        compile(on_plateau)(torch.ones(3))


def test_a_function_that_reads_values_runs_as_it_is_where_gradients_are_wanted():
    weight = torch.ones(3, requires_grad=True)

    def choose(x):
        return weight * x if float(x.sum()) > 0 else -weight * x

    compiled = compile(choose)
    with pytest.warns(UserWarning, match="this compiled function runs as it is"):
        first = compiled(torch.ones(3))
    assert first.sum().item() == 3.0 and compiled(-torch.ones(3)).sum().item() == 3.0


def test_a_compiled_model_inside_a_compiled_step_is_part_of_it():
    runs = []
    for inner in (lambda model: model, compile):
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        called, chosen = inner(model), optim.SGD(model.parameters(), 0.1)

        def step(x, called=called, chosen=chosen):
            chosen.zero_grad()
            loss = called(x).square().mean()
            loss.backward()
            chosen.step()
            return loss

        compiled = compile(step)
        runs.append([compiled(torch.ones(3, 4)).item() for _ in range(4)])
    assert runs[0] == runs[1] and len(set(runs[0])) == 4


def test_autocast_makes_a_plan_of_its_own():
    model = nn.Linear(64, 8)
    compiled, x = compile(model), torch.randn(4, 64)
    for _ in range(2):
        assert compiled(x).dtype is torch.float32
        with torch.autocast("cpu", dtype=torch.bfloat16):
            assert compiled(x).dtype is torch.bfloat16
    compiled(x).sum().backward()
    assert model.weight.grad.dtype is torch.float32


def test_a_model_and_an_optimiser_may_be_arguments():
    def step(model, chosen, x):
        chosen.zero_grad()
        loss = model(x).square().mean()
        loss.backward()
        chosen.step()
        return loss

    runs = []
    for function in (step, compile(step)):
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        chosen = optim.SGD(model.parameters(), 0.1)
        runs.append([function(model, chosen, torch.ones(3, 4)).item() for _ in range(4)])
    assert runs[0] == pytest.approx(runs[1]) and len(set(runs[0])) == 4


def test_gradients_add_up_over_calls_until_they_are_dropped_outside():
    runs = []
    for kind in (lambda f: f, compile):
        torch.manual_seed(0)
        model = nn.Linear(4, 2)
        chosen = optim.Adam(model.parameters(), 0.1)

        def gather(x, model=model):
            loss = model(x).square().mean()
            loss.backward()
            return loss

        function = kind(gather)
        for number in range(13):
            function(torch.full((3, 4), float(number)))
            if number % 3 == 2:
                chosen.step()
                chosen.zero_grad(set_to_none=number % 2 == 0)
        runs.append([*model.parameters(), *[p.grad for p in model.parameters()]])
    assert len(function._training.steps) == 2
    for mine, wanted in zip(runs[1], runs[0], strict=True):
        torch.testing.assert_close(mine, wanted, rtol=1e-5, atol=1e-6)
