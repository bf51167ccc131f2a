"""Every optimizer takes the steps that PyTorch's takes, by its rule and by operators, and
checkpoints exchange.
"""

from __future__ import annotations

import copy
import pickle

import numpy as np
import pytest

from pellucid import optim
from pellucid.optim import elementwise
from pellucid.tensor import events
from pellucid.tensor.tensor import from_numpy

torch = pytest.importorskip("torch")

CASES = [
    ("SGD", {"lr": 0.1}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "weight_decay": 0.01}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "dampening": 0.5}),
    ("SGD", {"lr": 0.1, "momentum": 0.9, "nesterov": True, "maximize": True}),
    ("SGD", {"lr": 0.1, "weight_decay": 0.1, "maximize": True, "momentum": 0.5}),
    ("Adam", {"lr": 0.01}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "amsgrad": True}),
    ("Adam", {"lr": 0.01, "betas": (0.3, 0.4), "maximize": True}),
    ("Adam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("AdamW", {"lr": 0.01}),
    ("AdamW", {"lr": 0.01, "amsgrad": True, "weight_decay": 0.3}),
    ("Adamax", {"lr": 0.01, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1}),
    ("NAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RAdam", {"lr": 0.01}),
    ("RAdam", {"lr": 0.01, "weight_decay": 0.1, "decoupled_weight_decay": True}),
    ("RMSprop", {"lr": 0.01, "weight_decay": 0.1}),
    ("RMSprop", {"lr": 0.01, "momentum": 0.9}),
    ("RMSprop", {"lr": 0.01, "centered": True}),
    ("RMSprop", {"lr": 0.01, "centered": True, "momentum": 0.9, "maximize": True}),
    ("Adagrad", {"lr": 0.1, "lr_decay": 0.1, "weight_decay": 0.1}),
    ("Adagrad", {"lr": 0.1, "initial_accumulator_value": 0.5, "maximize": True}),
    ("Adadelta", {"lr": 1.0, "weight_decay": 0.1}),
    ("ASGD", {"lr": 0.1, "t0": 5, "lambd": 0.01, "weight_decay": 0.1}),
    ("Rprop", {"lr": 0.01}),
    ("Rprop", {"lr": 0.01, "maximize": True}),
]
IDS = [f"{name}-{'-'.join(map(str, options))}" for name, options in CASES]
SHAPES = [(3, 4), (5,), ()]


def parameters(dtype: str, framework: str) -> list:
    """Parameters with the same numbers in both frameworks."""
    rng = np.random.default_rng(0)
    arrays = [np.asarray(rng.standard_normal(shape)).astype(dtype) for shape in SHAPES]
    make = from_numpy if framework == "pellucid" else torch.from_numpy
    return [make(array.copy()).requires_grad_() for array in arrays]


def set_gradients(params: list, step: int, framework: str, dtype: str) -> None:
    """The gradients of one step; the second parameter gets none at every third step."""
    rng = np.random.default_rng(100 + step)
    make = from_numpy if framework == "pellucid" else torch.from_numpy
    for index, param in enumerate(params):
        grad = np.asarray(rng.standard_normal(tuple(param.shape))).astype(dtype)
        param.grad = None if index == 1 and step % 3 == 2 else make(grad)


def run(name: str, options: dict, dtype: str, framework: str, steps: int = 20):
    module = optim if framework == "pellucid" else torch.optim
    params = parameters(dtype, framework)
    optimizer = getattr(module, name)(params, **options)
    for step in range(steps):
        set_gradients(params, step, framework, dtype)
        optimizer.step()
    return params, optimizer


def assert_same(mine, theirs, dtype: str) -> None:
    rtol, atol = (2e-6, 2e-7) if dtype == "float32" else (1e-11, 1e-13)
    np.testing.assert_allclose(mine, theirs, rtol=rtol, atol=atol)


def numbers(tensor) -> np.ndarray:
    return np.asarray(tensor.detach().tolist())


@pytest.mark.parametrize("how", ["rule", "operators"])
@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_steps_are_pytorchs(name: str, options: dict, dtype: str, how: str, monkeypatch) -> None:
    wanted, reference = run(name, options, dtype, "torch")
    if how == "operators":
        monkeypatch.setattr(elementwise, "_BY_RULE", ())
    params, optimizer = run(name, options, dtype, "pellucid")
    for mine, theirs in zip(params, wanted, strict=True):
        assert_same(numbers(mine), numbers(theirs), dtype)
    mine, theirs = optimizer.state_dict(), reference.state_dict()
    assert mine["param_groups"] == theirs["param_groups"]
    assert mine["state"].keys() == theirs["state"].keys()
    for number, state in theirs["state"].items():
        assert set(mine["state"][number]) == set(state)
        for key, value in state.items():
            found = mine["state"][number][key]
            assert str(found.dtype).split(".")[-1] == str(value.dtype).split(".")[-1]
            assert tuple(found.shape) == tuple(value.shape)
            assert_same(numbers(found), numbers(value), dtype)


def test_listeners_hear_of_one_write_for_each_parameter() -> None:
    told = []
    with events.listening(told.append):
        params, optimizer = run("Adam", {"lr": 0.1}, "float32", "pellucid", steps=1)
    steps = [event for event in told if event.name == "Adam.step"]
    assert [event.outputs[0] for event in steps] == list(params)
    for event, param in zip(steps, params, strict=True):
        state = optimizer.state[param]
        assert event.kind == "write" and event.nbytes == 0 and event.seconds > 0
        assert event.inputs[2:] == (state["exp_avg"], state["exp_avg_sq"])


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_blocks_do_not_change_the_result(name: str, options: dict, monkeypatch) -> None:
    whole, _ = run(name, options, "float32", "pellucid", steps=4)
    monkeypatch.setattr(elementwise, "BLOCK", 5)
    blocks, _ = run(name, options, "float32", "pellucid", steps=4)
    for one, other in zip(whole, blocks, strict=True):
        assert numbers(one).tolist() == numbers(other).tolist()


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_a_checkpoint_goes_on_where_it_was(name: str, options: dict) -> None:
    straight, _ = run(name, options, "float32", "pellucid", steps=8)
    params, optimizer = run(name, options, "float32", "pellucid", steps=4)
    saved = copy.deepcopy(optimizer.state_dict())
    fresh = getattr(optim, name)(params, **{**options, "lr": 123.0})
    fresh.load_state_dict(saved)
    for step in range(4, 8):
        set_gradients(params, step, "pellucid", "float32")
        fresh.step()
    for one, other in zip(straight, params, strict=True):
        assert numbers(one).tolist() == numbers(other).tolist()


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_signature_and_repr_are_pytorchs(name: str, options: dict) -> None:
    _, mine = run(name, options, "float32", "pellucid", steps=0)
    _, theirs = run(name, options, "float32", "torch", steps=0)
    assert repr(mine) == repr(theirs)
    assert mine.defaults == theirs.defaults
    assert list(mine.defaults) == list(theirs.defaults)


@pytest.mark.parametrize(("name", "options"), CASES, ids=IDS)
def test_writes_are_counted(name: str, options: dict) -> None:
    params = parameters("float32", "pellucid")
    optimizer = getattr(optim, name)(params, **options)
    for step in (0, 1):
        set_gradients(params, step, "pellucid", "float32")
        before = params[0]._version
        optimizer.step()
        assert params[0]._version > before


def test_flags_are_taken_and_change_nothing() -> None:
    plain, _ = run("Adam", {"lr": 0.1}, "float32", "pellucid")
    for flags in ({"foreach": True}, {"fused": True}, {"foreach": False, "fused": False}):
        other, _ = run("Adam", {"lr": 0.1, **flags}, "float32", "pellucid")
        for mine, theirs in zip(other, plain, strict=True):
            assert numbers(mine).tolist() == numbers(theirs).tolist()


def test_lr_may_be_a_tensor() -> None:
    lr = from_numpy(np.array(0.1, dtype=np.float32))
    for name in ("SGD", "Adam", "RMSprop", "Adagrad", "Adadelta", "NAdam", "RAdam", "Adamax"):
        by_tensor, _ = run(name, {"lr": lr}, "float32", "pellucid", steps=5)
        by_number, _ = run(name, {"lr": 0.1}, "float32", "pellucid", steps=5)
        for mine, theirs in zip(by_tensor, by_number, strict=True):
            assert_same(numbers(mine), numbers(theirs), "float32")


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop", "Adamax", "NAdam", "RAdam", "Rprop"])
def test_complex_parameters(name: str) -> None:
    def steps(module, make):
        rng = np.random.default_rng(3)
        values = (rng.standard_normal(4) + 1j * rng.standard_normal(4)).astype(np.complex64)
        param = make(values).requires_grad_()
        optimizer = getattr(module, name)([param], lr=0.05)
        for _ in range(5):
            grad = rng.standard_normal(4) + 1j * rng.standard_normal(4)
            param.grad = make(grad.astype(np.complex64))
            optimizer.step()
        return numbers(param)

    assert_same(steps(optim, from_numpy), steps(torch.optim, torch.from_numpy), "float32")


@pytest.mark.parametrize("name", ["SGD", "Adam", "RMSprop"])
def test_half_precision_rounds_as_pytorch(name: str) -> None:
    def steps(module, make):
        rng = np.random.default_rng(4)
        param = make(rng.standard_normal(6).astype(np.float16)).requires_grad_()
        optimizer = getattr(module, name)([param], lr=0.05)
        for _ in range(4):
            param.grad = make(rng.standard_normal(6).astype(np.float16))
            optimizer.step()
        return numbers(param)

    mine, theirs = steps(optim, from_numpy), steps(torch.optim, torch.from_numpy)
    np.testing.assert_allclose(mine, theirs, rtol=2e-3, atol=1e-3)


@pytest.mark.parametrize("name", ["SGD", "Adam", "NAdam", "RAdam", "RMSprop", "Adagrad"])
def test_differentiable_gives_the_gradient_of_the_step(name: str) -> None:
    def gradient(module, make):
        start = make(np.array([1.0, -2.0])).requires_grad_()
        param = start.clone()
        optimizer = getattr(module, name)([param], lr=0.1, differentiable=True)
        for scale in (1.0, 0.5, -0.3):
            param.grad = start * scale + 0.1
            optimizer.step()
        (param * make(np.array([1.0, 3.0]))).sum().backward()
        return numbers(start.grad)

    assert_same(gradient(optim, from_numpy), gradient(torch.optim, torch.from_numpy), "float32")


@pytest.mark.parametrize("name", ["Adam", "Adamax", "Adadelta", "RMSprop"])
def test_differentiable_steps_agree_with_differences(name: str) -> None:
    def end(start):
        param = start.clone()
        optimizer = getattr(optim, name)([param], lr=0.1, differentiable=True)
        for scale in (1.0, 0.5, -0.3):
            param.grad = start * scale + 0.1
            optimizer.step()
        return param.sum()

    start = from_numpy(np.array([1.0, -2.0])).requires_grad_()
    end(start).backward()
    width = 1e-5
    for index, slope in enumerate(start.grad.tolist()):
        values = []
        for side in (-width, width):
            moved = np.array([1.0, -2.0])
            moved[index] += side
            values.append(end(from_numpy(moved)).item())
        assert slope == pytest.approx((values[1] - values[0]) / (2 * width), rel=1e-5)


def test_optimizers_can_be_pickled_with_their_state() -> None:
    params, optimizer = run("Adam", {"lr": 0.1}, "float32", "pellucid", steps=3)
    again = pickle.loads(pickle.dumps(optimizer))
    assert again.param_groups[0]["lr"] == 0.1
    assert len(again.state) == len(params)
    again.step()


# -- optimizers of matrices


def run_on_matrices(name: str, options: dict, framework: str):
    make = from_numpy if framework == "pellucid" else torch.from_numpy
    shapes = [(6, 4), (3, 5)] if name == "Muon" else [(6, 4), (2, 3, 5), (4,), ()]
    rng = np.random.default_rng(2)
    values = [np.asarray(rng.standard_normal(shape), np.float32) for shape in shapes]
    params = [make(value).requires_grad_() for value in values]
    module = optim if framework == "pellucid" else torch.optim
    optimizer = getattr(module, name)(params, **options)
    for _ in range(6):
        for param in params:
            param.grad = make(np.asarray(rng.standard_normal(tuple(param.shape)), np.float32))
        optimizer.step()
    return params, optimizer


@pytest.mark.parametrize(
    ("name", "options"),
    [
        ("Muon", {"lr": 0.1}),
        ("Muon", {"lr": 0.1, "nesterov": False, "adjust_lr_fn": "match_rms_adamw"}),
        ("Adafactor", {"lr": 0.1}),
        ("Adafactor", {"lr": 0.1, "weight_decay": 0.1, "eps": (1e-4, 1e-2), "maximize": True}),
    ],
)
def test_optimizers_of_matrices(name: str, options: dict) -> None:
    params, optimizer = run_on_matrices(name, options, "pellucid")
    wanted, reference = run_on_matrices(name, options, "torch")
    tolerance = 2e-2 if name == "Muon" else 2e-5  # Muon computes in bfloat16
    for mine, theirs in zip(params, wanted, strict=True):
        np.testing.assert_allclose(numbers(mine), numbers(theirs), rtol=tolerance, atol=tolerance)
    assert repr(optimizer) == repr(reference)
    mine, theirs = optimizer.state_dict()["state"], reference.state_dict()["state"]
    for number in theirs:
        assert set(mine[number]) == set(theirs[number])
        for key in theirs[number]:
            found, expected = numbers(mine[number][key]), numbers(theirs[number][key])
            np.testing.assert_allclose(found, expected, rtol=2e-5, atol=1e-6)


def test_muon_wants_matrices() -> None:
    with pytest.raises(ValueError, match="Muon only supports 2D parameters whereas we found"):
        optim.Muon(parameters("float32", "pellucid"))


# -- L-BFGS


def rosenbrock(x):
    return (1 - x[0]) ** 2 + 100 * (x[1] - x[0] ** 2) ** 2


@pytest.mark.parametrize(
    "options",
    [
        {"lr": 0.01, "max_iter": 4},
        {"line_search_fn": "strong_wolfe"},
        {"line_search_fn": "strong_wolfe", "max_iter": 3, "history_size": 2},
        {"line_search_fn": "strong_wolfe", "max_eval": 5, "tolerance_change": 1e-3},
    ],
)
def test_lbfgs_walks_as_pytorchs(options: dict) -> None:
    def walk(module, make):
        x = make(np.array([-1.2, 1.0])).requires_grad_()
        optimizer = module.LBFGS([x], **options)
        path = []

        def closure():
            optimizer.zero_grad()
            loss = rosenbrock(x)
            loss.backward()
            path.append([*x.tolist(), loss.item()])
            return loss

        for _ in range(8):
            optimizer.step(closure)
        state = optimizer.state_dict()["state"][0]
        return np.array(path), x.tolist(), state

    mine_path, mine_x, mine_state = walk(optim, from_numpy)
    path, x, state = walk(torch.optim, torch.from_numpy)
    assert mine_path.shape == path.shape
    np.testing.assert_allclose(mine_path, path, rtol=1e-6, atol=1e-9)
    np.testing.assert_allclose(mine_x, x, rtol=1e-6)
    assert set(mine_state) == set(state)
    for key in ("func_evals", "n_iter"):
        assert mine_state[key] == state[key]


def test_lbfgs_refuses_groups_and_unknown_searches() -> None:
    params = parameters("float32", "pellucid")
    with pytest.raises(ValueError, match="doesn't support per-parameter options"):
        optim.LBFGS([{"params": params[:1]}, {"params": params[1:]}])
    optimizer = optim.LBFGS(params, line_search_fn="golden")
    set_gradients(params, 0, "pellucid", "float32")
    with pytest.raises(RuntimeError, match="only 'strong_wolfe' is supported"):
        optimizer.step(lambda: 1.0)
