"""Compiled loops against the loop that they stand for: losses, parameters, state, order, bits."""

import itertools

import numpy as np
import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.data import DataLoader, Dataset, TensorDataset
from pellucid.loops import compile_loop, compile_sweep
from pellucid.loops import training as module

optim, schedules = torch.optim, torch.optim.lr_scheduler


def whole_step(model, chosen, scheduler, clip):
    """A training step as programs write it."""

    def step(x, y):
        chosen.zero_grad()
        loss = F.mse_loss(model(x), y)
        loss.backward()
        if clip:
            nn.utils.clip_grad_norm_(model.parameters(), clip)
        chosen.step()
        if scheduler is not None:
            scheduler.step()
        return loss

    return step


def made(sizes=(3, 7, 5, 2), *, act=nn.Tanh, optimiser=None, clip=0.0, schedule=None, extra=None):
    """A model, its optimiser, its scheduler and its training step."""
    torch.manual_seed(0)
    layers = []
    for a, b in itertools.pairwise(sizes):
        layers += [nn.Linear(a, b), act()]
    model = nn.Sequential(*layers[:-1], *([extra] if extra else []))
    chosen = (optimiser or (lambda p: optim.Adam(p, 1e-2)))(model.parameters())
    scheduler = schedule(chosen) if schedule else None

    return model, chosen, scheduler, whole_step(model, chosen, scheduler, clip)


def points(rows=23, sizes=(3, 7, 5, 2)):
    random = np.random.default_rng(0)
    x = random.standard_normal((rows, sizes[0])).astype(np.float32)
    y = np.sin(x.sum(1, keepdims=True) + np.arange(sizes[-1], dtype=np.float32))
    return torch.from_numpy(x), torch.from_numpy(y)


def eager(step, loader, steps):
    losses = []
    while True:
        for batch in loader:
            losses.append(step(*batch).item())
            if len(losses) == steps:
                return losses


def agree(mine, wanted):
    """Models and optimisers are equal up to rounding."""
    for p, q in zip(mine[0].parameters(), wanted[0].parameters(), strict=True):
        torch.testing.assert_close(p, q, rtol=1e-4, atol=1e-5)
        torch.testing.assert_close(p.grad, q.grad, rtol=1e-3, atol=1e-5)
        state, other = mine[1].state[p], wanted[1].state[q]
        assert state.keys() == other.keys()
        for key in state:
            torch.testing.assert_close(state[key], other[key], rtol=1e-4, atol=1e-5)


CASES = {
    "adam": {},
    "relu and clipping": {"act": nn.ReLU, "clip": 0.3},
    "sigmoid": {"act": nn.Sigmoid, "optimiser": lambda p: optim.RMSprop(p, 0.01)},
    "wide": {"sizes": (5, 40, 33, 17)},
    "one output": {"sizes": (4, 16, 16, 1)},
    "momentum": {"optimiser": lambda p: optim.SGD(p, 0.05, momentum=0.9)},
    "decay": {"optimiser": lambda p: optim.AdamW(p, 0.01)},
    "schedule": {"schedule": lambda o: schedules.StepLR(o, 3, 0.5)},
    "cosine": {"optimiser": lambda p: optim.SGD(p, 0.05),
               "schedule": lambda o: schedules.CosineAnnealingLR(o, 20)},
    "gelu": {"act": nn.GELU},
}  # fmt: skip


@pytest.mark.parametrize("rows", [8, 5])
@pytest.mark.parametrize("name", CASES)
def test_a_loop_is_what_it_stands_for(name, rows):
    options = CASES[name]
    data = points(23, options.get("sizes", (3, 7, 5, 2)))
    wanted, mine = made(**options), made(**options)
    first, second = (torch.Generator().manual_seed(4) for _ in range(2))
    loader = DataLoader(TensorDataset(*data), batch_size=rows, shuffle=True, generator=first)
    losses = eager(wanted[3], loader, 20)
    loop = compile_loop(mine[3], data=data, batch_size=rows, shuffle=True, generator=second)
    found = torch.cat([loop(1), loop(12), loop(7)])
    torch.testing.assert_close(found, torch.tensor(losses), rtol=1e-4, atol=1e-6)
    agree(mine, wanted)
    assert name == "gelu" or "many steps a native call" in str(loop)
    if wanted[2] is not None:
        assert mine[2].last_epoch == wanted[2].last_epoch
        assert mine[1].param_groups[0]["lr"] == wanted[1].param_groups[0]["lr"]


@pytest.mark.parametrize("options", [
    {"batch_size": 6, "drop_last": True}, {"batch_size": 23}, {"batch_size": 50},
    {"batch_size": 4, "shuffle": True}, {"batch_size": 4, "shuffle": True, "drop_last": True},
])  # fmt: skip
def test_batches_come_in_the_order_of_the_loader(options):
    data = points()
    wanted, mine = made(), made()
    torch.manual_seed(7)
    losses = eager(wanted[3], DataLoader(TensorDataset(*data), **options), 14)
    torch.manual_seed(7)
    loop = compile_loop(mine[3], data=DataLoader(TensorDataset(*data), **options))
    torch.testing.assert_close(loop(14), torch.tensor(losses), rtol=1e-4, atol=1e-6)
    agree(mine, wanted)


def test_all_rows_are_a_batch_without_a_size():
    data = points()
    wanted, mine = made(), made()
    losses = [wanted[3](*data).item() for _ in range(9)]
    found = compile_loop(mine[3], data=data)(9)
    torch.testing.assert_close(found, torch.tensor(losses), rtol=1e-4, atol=1e-6)


def test_bits_do_not_depend_on_how_steps_are_cut(monkeypatch):
    found = []
    for cuts, most in (([30], 1 << 14), ([3, 20, 7], 1 << 14), ([30], 4)):
        monkeypatch.setattr(module, "_MOST", most)
        model, _, _, step = made(act=nn.ReLU)
        loop = compile_loop(step, data=points(24), batch_size=8, shuffle=True,
                            generator=torch.Generator().manual_seed(1))  # fmt: skip
        losses = torch.cat([loop(n) for n in cuts])
        found.append((losses.tolist(), [p.detach().numpy().tobytes() for p in model.parameters()]))
    assert found[0] == found[1] == found[2]


def test_what_has_no_fixed_form_runs_as_plans():
    data = points()
    torch.manual_seed(3)
    wanted = made(extra=nn.Dropout(0.2))
    torch.manual_seed(5)
    losses = [wanted[3](*data).item() for _ in range(6)]
    mine = made(extra=nn.Dropout(0.2))
    torch.manual_seed(5)
    loop = compile_loop(mine[3], data=DataLoader(TensorDataset(*data), batch_size=23,
                        generator=torch.Generator()))  # fmt: skip
    torch.testing.assert_close(loop(6), torch.tensor(losses), rtol=1e-4, atol=1e-6)
    assert "draws random numbers" in str(loop)


@pytest.mark.parametrize(("ignored", "reduction"), [(-100, "mean"), (3, "mean"), (3, "sum")])
def test_losses_of_classes(ignored, reduction):
    random = np.random.default_rng(0)
    data = points(21)[0], torch.from_numpy(random.integers(0, 19, 21))
    runs = []
    for kind in ("eager", "loop", "sweep"):
        torch.manual_seed(0)
        model = nn.Sequential(nn.Linear(3, 9), nn.ReLU(), nn.Linear(9, 19))
        chosen = optim.Adam(model.parameters(), 1e-2)

        def step(x, y, model=model, chosen=chosen):
            chosen.zero_grad()
            loss = F.cross_entropy(model(x), y, ignore_index=ignored, reduction=reduction)
            loss.backward()
            chosen.step()
            return loss

        if kind == "eager":
            losses = eager(step, DataLoader(TensorDataset(*data), batch_size=8), 12)
        else:
            steps = (compile_loop, step) if kind == "loop" else (compile_sweep, [step])
            loop = steps[0](steps[1], data=data, batch_size=8)
            losses = loop(12).reshape(-1).tolist()
            assert "many steps a native call" in str(loop)
        runs.append((losses, model, chosen))
    for losses, model, chosen in runs[1:]:
        assert losses == pytest.approx(runs[0][0], rel=1e-4)
        agree((model, chosen), runs[0][1:])


def test_classes_that_are_none_are_refused_as_in_eager_mode():
    data = torch.randn(4, 3), torch.tensor([0, 1, 2, 7])
    model = nn.Linear(3, 3)
    chosen = optim.SGD(model.parameters(), 0.1)

    def step(x, y):
        chosen.zero_grad()
        loss = F.cross_entropy(model(x), y)
        loss.backward()
        chosen.step()
        return loss

    with pytest.raises(IndexError, match="Target 7 is out of bounds"):
        compile_loop(step, data=data, batch_size=2)(4)


def test_rates_set_between_calls_are_used():
    runs = []
    for compiled in (False, True):
        model, chosen, _, step = made()
        data = points()
        loop = compile_loop(step, data=data) if compiled else lambda n, s=step, d=data: [
            s(*d) for _ in range(n)]  # fmt: skip
        loop(5)
        chosen.param_groups[0]["lr"] = 0.1
        loop(5)
        chosen.param_groups[0]["weight_decay"] = 0.1
        loop(5)
        runs.append((model, chosen))
    agree(runs[1], runs[0])


def test_parameters_set_between_calls_are_used():
    model, _, _, step = made()
    loop = compile_loop(step, data=points())
    loop(6)
    with torch.no_grad():
        for p in model.parameters():
            p.zero_()
    first = loop(1).item()
    assert first == pytest.approx(points()[1].square().mean().item(), rel=1e-5)


def test_an_interrupted_loop_leaves_the_model_where_it_was(monkeypatch):
    model, chosen, _, step = made()
    loop = compile_loop(step, data=points())
    loop(4)
    native = next(iter(loop.native.values()))
    run, calls = native.run, []

    def interrupted(indices):
        calls.append(len(indices))
        if len(calls) == 3:
            raise KeyboardInterrupt("stop")
        return run(indices)

    monkeypatch.setattr(native, "run", interrupted)
    with pytest.raises(KeyboardInterrupt, match="stop"):
        loop(1_000_000)
    steps = chosen.state[model[0].weight]["step"].item()
    assert steps == 4 + calls[0] + calls[1]
    other = made()
    again = compile_loop(other[3], data=points())
    again(int(steps))
    for p, q in zip(model.parameters(), other[0].parameters(), strict=True):
        assert p.detach().numpy().tobytes() == q.detach().numpy().tobytes()


class Own(Dataset):
    def __len__(self):
        return 3

    def __getitem__(self, index):
        return torch.ones(2)


@pytest.mark.parametrize(("data", "options", "words"), [
    ([], {}, "a tensor, a tuple of tensors, or a DataLoader"),
    ((np.ones(3),), {}, "not ndarray"),
    ((torch.ones(3), torch.ones(4)), {}, "different numbers of rows: 3, 4"),
    ((torch.ones(0, 2),), {}, "no rows to train on"),
    (DataLoader(Own()), {}, "takes its rows from tensors, not from Own"),
    (DataLoader(TensorDataset(torch.ones(3, 2))), {"batch_size": 2}, "says itself how it makes"),
    ((torch.ones(3, 2),), {"batch_size": 8, "drop_last": True}, "there is no batch: 3 rows"),
])  # fmt: skip
def test_data_that_are_none_are_refused(data, options, words):
    with pytest.raises((TypeError, ValueError), match=words):
        compile_loop(lambda x: None, data=data, **options)(1)


@pytest.mark.parametrize("steps", [0, -1, 1.5, True])
def test_numbers_of_steps_that_are_none_are_refused(steps):
    with pytest.raises(ValueError, match="a positive number of steps"):
        compile_loop(made()[3], data=points())(steps)


def test_steps_that_are_none_are_refused():
    with pytest.raises(TypeError, match="takes a function, not int"):
        compile_loop(3, data=points())
    model, _, _, step = made()
    with pytest.raises(ValueError, match="is a whole training step"):
        compile_loop(lambda x, y: F.mse_loss(model(x), y), data=points())(2)

    def whole(x, y):
        step(x, y)
        return model(x)

    with pytest.raises(ValueError, match=r"returns its loss, or several single numbers"):
        compile_loop(whole, data=points())(2)
