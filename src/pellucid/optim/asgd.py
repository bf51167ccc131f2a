"""Averaged stochastic gradient descent (Polyak & Juditsky 1992)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.optim.elementwise import (
    Array,
    ElementwiseOptimizer,
    Update,
    check_lr,
    check_not_negative,
    counter_dtype,
    descent,
    descent_of,
    number,
    real,
    revive,
    set_counter,
)
from pellucid.optim.optimizer import Group, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["ASGD"]


class ASGD(ElementwiseOptimizer):
    """`p = (1 - lambd * η) p - η g`, while `ax` averages p from step `t0` on.

    `η = lr / (1 + lambd * lr * t)^alpha` falls with the step t, and `mu = 1 / max(1, t - t0)`
    weighs each p in the
    average. State: `step`, `eta`, `mu`, `ax`.

    Raises: ValueError for a negative `lr` or `weight_decay`.
    """

    _numbers_depend_on_step_only = False
    _numbers_keep_their_kind = False

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lambd: float = 1e-4,
        alpha: float = 0.75,
        t0: float = 1e6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "lambd": lambd,
            "alpha": alpha,
            "t0": t0,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "capturable": capturable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        flags = {"foreach": None, "maximize": False, "differentiable": False}
        revive(self, {**flags, "capturable": False}, ("step", "eta", "mu"))

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        kind = counter_dtype(group)
        state["eta"] = ops.tensor(float(number(group["lr"])), dtype=kind)
        state["mu"] = ops.ones((), dtype=kind)
        state["ax"] = ops.zeros_like(param)

    def _update(self, group: Group) -> Update:
        return Update(_asgd, ("ax",))

    def _schedule(self, group: Group, step: float, state: dict[str, Any]) -> tuple[float, float]:
        """The η and mu of this step; those of the next one are put into the state."""
        eta, mu = state["eta"].item(), state["mu"].item()
        lr = number(group["lr"])
        set_counter(state["eta"], lr / ((1 + group["lambd"] * lr * step) ** group["alpha"]))
        set_counter(state["mu"], 1 / max(1, step - group["t0"]))
        return eta, mu

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        eta, mu = self._schedule(group, step, state)
        decay, climb = group["weight_decay"] or None, bool(group["maximize"])
        return 1 - group["lambd"] * eta, -eta, mu if mu != 1 else None, decay, climb

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        state["step"] += 1
        eta, mu = self._schedule(group, state["step"].item(), state)
        grad = descent_of(param, grad, group)
        param, grad, average = real(param, grad, state["ax"])
        param.mul_(1 - group["lambd"] * eta)
        param.add_(grad, alpha=-eta)
        if mu != 1:
            average.add_(param.sub(average).mul(mu))
        else:
            average.copy_(param)


def _asgd(
    param: Array,
    grad: Array,
    average: Array,
    shrink: Array,
    minus_eta: Array,
    mu: Array | None,
    decay: Array | None,
    maximize: bool,
) -> None:
    grad = descent(param, grad, decay, maximize)
    param *= shrink
    param += grad * minus_eta
    if mu is None:
        average[...] = param
    else:
        change = param - average
        change *= mu
        average += change
