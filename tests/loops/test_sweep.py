"""Many models at once against each of them alone."""

import pytest

import pellucid as torch
from pellucid import nn
from pellucid.loops import compile_loop, compile_sweep
from tests.loops.test_training import agree, points, whole_step

optim, schedules = torch.optim, torch.optim.lr_scheduler


def member(seed, *, width=7, act=nn.Tanh, kind=optim.Adam, schedule=None, clip=0.0, **options):
    torch.manual_seed(seed)
    model = nn.Sequential(nn.Linear(3, width), act(), nn.Linear(width, 2))
    chosen = kind(model.parameters(), 1e-3 * (1 + seed % 5), **options)
    scheduler = schedule(chosen) if schedule else None

    return model, chosen, scheduler, whole_step(model, chosen, scheduler, clip)


CASES = {
    "adam": {},
    "relu": {"act": nn.ReLU, "clip": 0.5},
    "momentum": {"kind": optim.SGD, "momentum": 0.9},
    "schedule": {"schedule": lambda o: schedules.StepLR(o, 4)},
    "large": {"width": 600},
}


@pytest.mark.parametrize("count", [1, 19])
@pytest.mark.parametrize("name", CASES)
def test_each_model_is_trained_as_alone(name, count):
    data = points(20, (3, 2))
    members = [member(seed, **CASES[name]) for seed in range(count)]
    loop = compile_sweep([m[3] for m in members], data=data, batch_size=6, shuffle=True,
                         generator=torch.Generator().manual_seed(2))  # fmt: skip
    losses = torch.cat([loop(3), loop(9)])
    assert losses.shape == (12, count) and "many steps a native call" in str(loop)
    for seed in {0, count // 2, count - 1}:
        alone = member(seed, **CASES[name])
        wanted = compile_loop(alone[3], data=data, batch_size=6, shuffle=True,
                              generator=torch.Generator().manual_seed(2))(12)  # fmt: skip
        torch.testing.assert_close(losses[:, seed], wanted, rtol=1e-4, atol=1e-6)
        agree(members[seed], alone)


def test_models_that_differ_run_as_plans():
    data = points(20, (3, 2))
    steps = [member(0)[3], member(1, width=9)[3], member(2, act=nn.ReLU)[3]]
    loop = compile_sweep(steps, data=data)
    assert loop(6).shape == (6, 3)
    assert "a plan a step, because the steps of the models differ" in str(loop)


def test_sweeps_of_nothing_are_refused():
    with pytest.raises(ValueError, match="at least one step"):
        compile_sweep([], data=points())
    with pytest.raises(TypeError, match="takes functions, not int"):
        compile_sweep([3], data=points())


def test_bits_of_a_model_do_not_depend_on_the_others():
    data = points(20, (3, 2))
    found = []
    for seeds in ([7], [3, 7], [*range(8, 25), 7]):
        members = [member(seed) for seed in seeds]
        compile_sweep([m[3] for m in members], data=data, batch_size=6)(12)
        model = members[seeds.index(7)][0]
        found.append([p.detach().numpy().tobytes() for p in model.parameters()])
    assert found[0] == found[1] == found[2]
