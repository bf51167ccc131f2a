"""Adadelta: steps in the units of the parameter, without a learning rate to tune (Zeiler 2012,
arXiv:1212.5701).
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.optim.elementwise import (
    Array,
    ElementwiseOptimizer,
    Update,
    add_square_,
    check_lr,
    check_not_negative,
    descent,
    descent_of,
    number,
    real,
    revive,
    scalar,
)
from pellucid.optim.optimizer import Group, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["Adadelta"]


class Adadelta(ElementwiseOptimizer):
    """`p -= lr * Δ` with `Δ = √(u + eps) / √(v + eps) * g`; `v` averages `g²` and `u` averages
    `Δ²`, both decaying by `rho`.

    State: `step`, `square_avg` (v), `acc_delta` (u).

    Raises: ValueError for an option out of its range.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1.0,
        rho: float = 0.9,
        eps: float = 1e-6,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        capturable: bool = False,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 <= rho <= 1.0:
            raise ValueError(f"Invalid rho value: {rho}")
        check_not_negative("epsilon value", eps)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "rho": rho,
            "eps": eps,
            "weight_decay": weight_decay,
            "maximize": maximize,
            "capturable": capturable,
            "foreach": foreach,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        flags = {"foreach": None, "maximize": False, "differentiable": False}
        revive(self, {**flags, "capturable": False})

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        state["square_avg"] = ops.zeros_like(param)
        state["acc_delta"] = ops.zeros_like(param)

    def _update(self, group: Group) -> Update:
        return Update(_adadelta, ("square_avg", "acc_delta"))

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        rho, lr, decay = group["rho"], number(group["lr"]), group["weight_decay"]
        return rho, 1 - rho, group["eps"], -lr, decay or None, bool(group["maximize"])

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        rho, eps, lr = group["rho"], group["eps"], scalar(group["lr"])
        state["step"] += 1
        grad = descent_of(param, grad, group)
        param, grad, square, moved = real(param, grad, state["square_avg"], state["acc_delta"])
        square.mul_(rho).addcmul_(grad, grad, value=1 - rho)
        change = moved.add(eps).sqrt().div(square.add(eps).sqrt()).mul(grad)
        moved.mul_(rho).addcmul_(change, change, value=1 - rho)
        if isinstance(lr, Tensor):
            param.sub_(change * lr)
        else:
            param.add_(change, alpha=-lr)


def _adadelta(
    param: Array,
    grad: Array,
    square: Array,
    moved: Array,
    rho: Array,
    weight: Array,
    eps: Array,
    minus_lr: Array,
    decay: Array | None,
    maximize: bool,
) -> None:
    grad = descent(param, grad, decay, maximize)
    add_square_(square, grad, rho, weight)
    change = moved + eps
    np.sqrt(change, out=change)
    scale = square + eps
    np.sqrt(scale, out=scale)
    change /= scale
    change *= grad
    add_square_(moved, change, rho, weight)
    change *= minus_lr
    param += change
