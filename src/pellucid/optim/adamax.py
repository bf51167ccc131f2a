"""Adamax: Adam with the largest decayed gradient in place of the root mean square (Kingma & Ba
2015, section 7.1).
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
    add_quotient_,
    check_betas,
    check_lr,
    check_not_negative,
    descent,
    descent_of,
    lerp_,
    number,
    real,
    revive,
    scalar,
)
from pellucid.optim.optimizer import Group, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["Adamax"]


class Adamax(ElementwiseOptimizer):
    """`p -= lr / (1 - β₁ᵗ) * m / u`, with `m` the average of `g` and `u = max(β₂ u, |g| + eps)`.

    State: `step`, `exp_avg` (m), `exp_inf` (u). `g` is the gradient plus `weight_decay * p`. The
    flags are those of `Adam`.

    Raises: ValueError for an option out of its range.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        capturable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
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
        revive(self, {**flags, "capturable": False})

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        state["exp_avg"] = ops.zeros_like(param)
        state["exp_inf"] = ops.zeros_like(param)

    def _update(self, group: Group) -> Update:
        return Update(_adamax, ("exp_avg", "exp_inf"))

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        beta1, beta2 = group["betas"]
        step_size = number(group["lr"]) / (1 - beta1**step)
        decay, climb = group["weight_decay"] or None, bool(group["maximize"])
        return 1 - beta1, beta2, -step_size, group["eps"], decay, climb

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        beta1, beta2 = group["betas"]
        state["step"] += 1
        grad = descent_of(param, grad, group)
        param, grad, mean, largest = real(param, grad, state["exp_avg"], state["exp_inf"])
        mean.lerp_(grad, 1 - beta1)
        largest.copy_(ops.maximum(largest * beta2, grad.abs().add(group["eps"])))
        step_size = scalar(group["lr"]) / (1 - beta1 ** state["step"].item())
        if group["differentiable"]:
            param.sub_(mean.clone() * step_size / largest.clone())
        else:
            param.addcdiv_(mean, largest, value=-number(step_size))


def _adamax(
    param: Array,
    grad: Array,
    mean: Array,
    largest: Array,
    weight1: Array,
    beta2: Array,
    minus_step_size: Array,
    eps: Array,
    decay: Array | None,
    maximize: bool,
) -> None:
    grad = descent(param, grad, decay, maximize)
    lerp_(mean, grad, weight1)
    largest *= beta2
    now = np.abs(grad)
    now += eps
    np.maximum(largest, now, out=largest)
    add_quotient_(param, mean, largest, minus_step_size)
