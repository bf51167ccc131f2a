"""What all optimizers share: groups, refusals, hooks, closures, checkpoints, `zero_grad`."""

from __future__ import annotations

import copy
import importlib

import numpy as np
import pytest

from pellucid import optim
from pellucid.autograd.modes import is_grad_enabled
from pellucid.optim.optimizer import (
    register_optimizer_step_post_hook,
    register_optimizer_step_pre_hook,
    required,
)
from pellucid.tensor.tensor import from_numpy

torch = pytest.importorskip("torch")

MAKE = {"pellucid": from_numpy, "torch": torch.from_numpy}
MODULE = {"pellucid": optim, "torch": torch.optim}
both = pytest.mark.parametrize("framework", ["pellucid", "torch"])


def leaf(framework: str = "pellucid", size: int = 2, dtype: str = "float32"):
    param = MAKE[framework](np.ones(size, dtype)).requires_grad_()
    param.grad = MAKE[framework](np.full(size, 0.5, dtype))
    return param


@both
@pytest.mark.parametrize(
    ("error", "words", "params"),
    [
        (ValueError, "optimizer got an empty parameter list", lambda p: []),
        (TypeError, "should be an iterable of Tensors or dicts, but got torch.Flo", lambda p: p),
        (TypeError, "can only optimize Tensors, but one of the params is int", lambda p: [p, 3]),
        (ValueError, "can't optimize a non-leaf Tensor", lambda p: [p * 2]),
        (ValueError, "appear in more than one", lambda p: [{"params": p}, {"params": [p]}]),
        (TypeError, "in ordered collections", lambda p: [{"params": {p}}]),
        (ValueError, "Some param names are missing", lambda p: [("w", p), p * 1]),
        (TypeError, "param_group must be a dict", lambda p: [{"params": p}, [p]]),
    ],
)
def test_what_is_no_parameter_is_refused(framework: str, error, words: str, params) -> None:
    with pytest.raises(error, match=words):
        MODULE[framework].SGD(params(leaf(framework)), lr=0.1)


@both
def test_groups_inherit_the_defaults(framework: str) -> None:
    first, second, third = (leaf(framework) for _ in range(3))
    optimizer = MODULE[framework].SGD([{"params": first, "lr": 1.0}, {"params": [second]}], lr=0.5)
    optimizer.add_param_group({"params": third, "momentum": 0.9})
    assert [group["lr"] for group in optimizer.param_groups] == [1.0, 0.5, 0.5]
    assert [group["momentum"] for group in optimizer.param_groups] == [0, 0, 0.9]
    optimizer.step()
    assert [p.tolist() for p in (first, second)] == [[0.5, 0.5], [0.75, 0.75]]


@both
def test_named_parameters(framework: str) -> None:
    named = [("weight", leaf(framework)), ("bias", leaf(framework))]
    optimizer = MODULE[framework].Adam(named)
    assert optimizer.param_groups[0]["param_names"] == ["weight", "bias"]
    assert optimizer.state_dict()["param_groups"][0]["param_names"] == ["weight", "bias"]
    with pytest.raises(ValueError, match="cannot add param group without names to the optimizer"):
        optimizer.add_param_group({"params": leaf(framework)})


@both
def test_duplicates_are_warned_of(framework: str) -> None:
    param = leaf(framework)
    with pytest.warns(UserWarning, match="a parameter group with duplicate parameters"):
        MODULE[framework].SGD([param, param], lr=0.1)


def test_required_options() -> None:
    class Plain(optim.Optimizer):
        def __init__(self, params) -> None:
            super().__init__(params, {"lr": required})

    with pytest.raises(ValueError, match="didn't specify a value of required optimization par"):
        Plain([leaf()])
    assert Plain([{"params": leaf(), "lr": 1}]).param_groups[0]["lr"] == 1
    with pytest.raises(NotImplementedError, match=r"^$"):
        Plain([{"params": leaf(), "lr": 1}]).step()


INVALID = [
    ("SGD", {"lr": -1}, "Invalid learning rate: -1"),
    ("SGD", {"lr": 1, "momentum": -1}, "Invalid momentum value: -1"),
    ("SGD", {"lr": 1, "weight_decay": -1}, "Invalid weight_decay value: -1"),
    ("SGD", {"lr": 1, "nesterov": True}, "Nesterov momentum requires a momentum"),
    ("Adam", {"betas": (1.0, 0.9)}, "Invalid beta parameter at index 0: 1.0"),
    ("Adam", {"betas": (0.9, -1.0)}, "Invalid beta parameter at index 1: -1.0"),
    ("Adam", {"eps": -1}, "Invalid epsilon value: -1"),
    ("Adam", {"betas": (0, 0.9)}, "betas must be either both floats or both Tensors"),
    ("AdamW", {"weight_decay": -1}, "Invalid weight_decay value: -1"),
    ("Adamax", {"lr": -1.0}, "Invalid learning rate: -1.0"),
    ("NAdam", {"momentum_decay": -1}, "Invalid momentum_decay value: -1"),
    ("RAdam", {"betas": (2.0, 0.9)}, "Invalid beta parameter at index 0"),
    ("RMSprop", {"alpha": -1}, "Invalid alpha value: -1"),
    ("RMSprop", {"momentum": -1}, "Invalid momentum value: -1"),
    ("Adagrad", {"lr_decay": -1}, "Invalid lr_decay value: -1"),
    ("Adagrad", {"initial_accumulator_value": -1}, "Invalid initial_accumulator_value value: -1"),
    ("Adadelta", {"rho": 1.1}, "Invalid rho value: 1.1"),
    ("ASGD", {"weight_decay": -0.5}, "Invalid weight_decay value: -0.5"),
    ("Rprop", {"etas": (1.0, 0.5)}, "Invalid eta values: 1.0, 0.5"),
    ("LBFGS", {"lr": -1}, "Invalid learning rate: -1"),
]


@both
@pytest.mark.parametrize(("name", "options", "words"), INVALID)
def test_options_out_of_range(framework: str, name: str, options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        getattr(MODULE[framework], name)([leaf(framework)], **options)


@both
@pytest.mark.parametrize("name", ["SGD", "Adam", "Adagrad"])
def test_flags_that_exclude_each_other(framework: str, name: str) -> None:
    build = getattr(MODULE[framework], name)
    with pytest.raises(RuntimeError, match="`fused` does not support `differentiable`"):
        build([leaf(framework)], fused=True, differentiable=True)
    with pytest.raises(RuntimeError, match="`fused` and `foreach` cannot be `True` together"):
        build([leaf(framework)], fused=True, foreach=True)


@both
def test_lr_tensors_have_one_element(framework: str) -> None:
    two = MAKE[framework](np.ones(2))
    with pytest.raises(ValueError, match="Tensor lr must be 1-element"):
        MODULE[framework].Adam([leaf(framework)], lr=two)
    one = MAKE[framework](np.ones(1))
    with pytest.raises(ValueError, match=r"lr as a Tensor is not supported for capturable=False"):
        MODULE[framework].Adam([leaf(framework)], lr=one, foreach=True)


@both
def test_capturable_wants_an_accelerator(framework: str) -> None:
    for name in ("Adam", "RMSprop", "Adadelta", "Rprop", "NAdam", "RAdam", "Adamax", "ASGD"):
        optimizer = getattr(MODULE[framework], name)([leaf(framework)], capturable=True)
        with pytest.raises(AssertionError, match="If capturable=True, params"):
            optimizer.step()


# -- stepping


@both
def test_step_runs_the_closure_with_gradients_on(framework: str) -> None:
    grad_mode = is_grad_enabled if framework == "pellucid" else torch.is_grad_enabled
    optimizer = MODULE[framework].SGD([leaf(framework)], lr=0.1)
    seen = []

    def closure() -> float:
        seen.append(grad_mode())
        return 3.5

    assert optimizer.step(closure) == 3.5
    assert optimizer.step() is None
    assert seen == [True]
    assert grad_mode()


def test_the_grad_mode_comes_back_after_an_error() -> None:
    optimizer = optim.SGD([leaf()], lr=0.1)

    def closure() -> float:
        raise ValueError("no loss")

    with pytest.raises(ValueError, match="no loss"):
        optimizer.step(closure)
    assert is_grad_enabled()


@both
def test_hooks_are_called_in_pytorchs_order(framework: str) -> None:
    seen: list = []
    optimizer = MODULE[framework].SGD([leaf(framework)], lr=0.1)
    package = "pellucid" if framework == "pellucid" else "torch"
    module = importlib.import_module(f"{package}.optim.optimizer")

    def note(name: str):
        def hook(owner, args, kwargs) -> None:
            assert owner is optimizer
            assert args[0] is optimizer
            seen.append((name, len(args), sorted(kwargs)))

        return hook

    handles = [
        optimizer.register_step_post_hook(note("post")),
        module.register_optimizer_step_post_hook(note("post of all")),
        optimizer.register_step_pre_hook(note("pre")),
        module.register_optimizer_step_pre_hook(note("pre of all")),
    ]
    optimizer.step()
    optimizer.step(closure=lambda: 1.0)
    for handle in handles:
        handle.remove()
    optimizer.step()
    names = ["pre of all", "pre", "post", "post of all"]
    assert seen == [(n, 1, []) for n in names] + [(n, 1, ["closure"]) for n in names]


def test_a_pre_hook_may_replace_the_arguments() -> None:
    optimizer = optim.SGD([leaf()], lr=0.1)
    handle = optimizer.register_step_pre_hook(lambda o, args, kwargs: ((o, lambda: 7), {}))
    assert optimizer.step() == 7
    handle.remove()
    optimizer.register_step_pre_hook(lambda o, args, kwargs: 3)
    with pytest.raises(RuntimeError, match=r"must return None or a tuple of \(new_args, new_kw"):
        optimizer.step()


def test_hooks_of_all_optimizers_can_be_removed() -> None:
    seen: list = []
    before = register_optimizer_step_pre_hook(lambda o, a, k: seen.append("pre"))
    after = register_optimizer_step_post_hook(lambda o, a, k: seen.append("post"))
    optim.Adam([leaf()]).step()
    before.remove()
    after.remove()
    optim.Adam([leaf()]).step()
    assert seen == ["pre", "post"]


@both
def test_zero_grad(framework: str) -> None:
    param = leaf(framework)
    optimizer = MODULE[framework].SGD([param], lr=0.1)
    grad = param.grad
    optimizer.zero_grad(set_to_none=False)
    assert param.grad is grad
    assert grad.tolist() == [0.0, 0.0]
    optimizer.zero_grad()
    assert param.grad is None


def test_users_write_optimizers() -> None:
    class Signs(optim.Optimizer):
        def __init__(self, params, lr: float) -> None:
            super().__init__(params, {"lr": lr})

        def step(self, closure=None) -> str:
            for group in self.param_groups:
                for param in group["params"]:
                    param.data.add_(param.grad.sign(), alpha=-group["lr"])
                    self.state[param]["steps"] = self.state[param].get("steps", 0) + 1
            return "stepped"

    param = leaf()
    optimizer = Signs([param], lr=0.25)
    seen: list = []
    optimizer.register_step_post_hook(lambda *a: seen.append(1))
    assert optimizer.step() == "stepped"
    assert (param.tolist(), seen) == ([0.75, 0.75], [1])
    assert optimizer.state_dict()["state"] == {0: {"steps": 1}}


# -- checkpoints


@both
def test_checkpoints_of_other_shapes_are_refused(framework: str) -> None:
    module = MODULE[framework]
    one = module.SGD([leaf(framework)], lr=0.1).state_dict()
    two = module.SGD([leaf(framework), leaf(framework)], lr=0.1)
    groups = module.SGD([{"params": leaf(framework)}, {"params": leaf(framework)}], lr=0.1)
    with pytest.raises(ValueError, match="loaded state dict has a different number of parameter"):
        groups.load_state_dict(one)
    with pytest.raises(ValueError, match="a parameter group that doesn't match the size"):
        two.load_state_dict(one)


@both
def test_state_takes_the_parameters_dtype_but_not_the_counter(framework: str) -> None:
    module = MODULE[framework]
    optimizer = module.Adam([leaf(framework, dtype="float64")])
    optimizer.step()
    fresh = module.Adam([leaf(framework)])
    fresh.load_state_dict(optimizer.state_dict())
    (state,) = fresh.state.values()
    kinds = {key: str(value.dtype) for key, value in state.items()}
    wanted = {"step": "torch.float32", "exp_avg": "torch.float32", "exp_avg_sq": "torch.float32"}
    assert kinds == wanted


@both
def test_old_checkpoints_count_steps_in_numbers(framework: str) -> None:
    module = MODULE[framework]
    optimizer = module.Adam([leaf(framework)])
    optimizer.step()
    saved = copy.deepcopy(optimizer.state_dict())
    saved["state"][0]["step"] = 4
    del saved["param_groups"][0]["amsgrad"]
    optimizer.load_state_dict(saved)
    (state,) = optimizer.state.values()
    assert state["step"].item() == 4.0
    assert optimizer.param_groups[0]["amsgrad"] is False


@both
def test_checkpoint_hooks(framework: str) -> None:
    optimizer = MODULE[framework].SGD([leaf(framework)], lr=0.1, momentum=0.9)
    seen: list = []
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("second"))
    optimizer.register_state_dict_pre_hook(lambda o: seen.append("first"), prepend=True)
    optimizer.register_state_dict_post_hook(lambda o, state: {**state, "note": "hello"})
    optimizer.register_load_state_dict_post_hook(lambda o: seen.append("loaded"))

    def halve(owner, state: dict) -> dict:
        state = copy.deepcopy(state)
        state["param_groups"][0]["lr"] /= 2
        return state

    optimizer.register_load_state_dict_pre_hook(halve)
    saved = optimizer.state_dict()
    assert saved["note"] == "hello"
    optimizer.load_state_dict(saved)
    assert seen == ["first", "second", "loaded"]
    assert optimizer.param_groups[0]["lr"] == 0.05


def test_checkpoints_go_to_pytorch_and_back() -> None:
    """A state dict with the same numbers continues the same way on the other side."""
    mine, theirs = leaf("pellucid", 3), leaf("torch", 3)
    one, other = optim.AdamW([mine], amsgrad=True), torch.optim.AdamW([theirs], amsgrad=True)
    for _ in range(3):
        one.step()
    saved = one.state_dict()
    saved["state"] = {
        number: {k: torch.tensor(v.tolist()) for k, v in state.items()}
        for number, state in saved["state"].items()
    }
    other.load_state_dict(saved)
    with torch.no_grad():
        theirs.copy_(torch.tensor(mine.tolist()))
    one.step()
    other.step()
    np.testing.assert_allclose(mine.tolist(), theirs.tolist(), rtol=1e-6)
