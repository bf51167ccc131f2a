"""RAdam: Adam that waits until the variance of its step size is tractable (Liu et al. 2020,
arXiv:1908.03265).
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

__all__ = ["RAdam"]


class RAdam(ElementwiseOptimizer):
    """`p -= lr * m̂ * r * √(1 - β₂ᵗ) / (√v + eps)` once `ρₜ > 5`, before that `p -= lr * m̂`.

    `ρ∞ = 2 / (1 - β₂) - 1` is the length of the average of squares, `ρₜ = ρ∞ - 2 t β₂ᵗ / (1 -
    β₂ᵗ)` its length at step
    t, and `r = √((ρₜ-4)(ρₜ-2)ρ∞ / ((ρ∞-4)(ρ∞-2)ρₜ))`. State and arguments are those of `Adam`.

    Raises: ValueError for an option out of its range.
    """

    _numbers_keep_their_kind = False

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        decoupled_weight_decay: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
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
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "decoupled_weight_decay": decoupled_weight_decay,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        flags = {"foreach": None, "maximize": False, "differentiable": False}
        revive(self, {**flags, "decoupled_weight_decay": False, "capturable": False})

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        state["exp_avg"] = ops.zeros_like(param)
        state["exp_avg_sq"] = ops.zeros_like(param)

    def _update(self, group: Group) -> Update:
        return Update(_radam, ("exp_avg", "exp_avg_sq"))

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        beta1, beta2 = group["betas"]
        lr, decay = number(group["lr"]), group["weight_decay"]
        penalty, shrink = decay or None, None
        if decay and group["decoupled_weight_decay"]:
            penalty, shrink = None, 1 - lr * decay
        root, rectified = _rectification(beta2, step)
        averages = (1 - beta1, beta2, 1 - beta2, 1 - beta1**step)
        size = (lr, root, rectified, group["eps"])
        return (*averages, *size, penalty, shrink, bool(group["maximize"]))

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        beta1, beta2 = group["betas"]
        lr, decay = scalar(group["lr"]), group["weight_decay"]
        state["step"] += 1
        step = state["step"].item()
        if group["decoupled_weight_decay"]:
            grad = -grad if group["maximize"] else grad
            if decay != 0:
                param.mul_(1 - lr * decay)
        else:
            grad = descent_of(param, grad, group)
        param, grad, mean, square = real(param, grad, state["exp_avg"], state["exp_avg_sq"])
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        change = mean / (1 - beta1**step) * lr
        root, rectified = _rectification(beta2, step)
        if root is not None:
            change = change * (root / square.sqrt().add(group["eps"])) * rectified
        param.add_(change, alpha=-1.0)


def _rectification(beta2: float, step: float) -> tuple[float | None, float | None]:
    """`√(1 - β₂ᵗ)` and the rectification r at this step; None while the variance is intractable."""
    correction = 1 - beta2**step
    longest = 2 / (1 - beta2) - 1
    length = longest - 2 * step * (beta2**step) / correction
    if length <= 5.0:
        return None, None
    above = (length - 4) * (length - 2) * longest
    below = (longest - 4) * (longest - 2) * length
    return correction**0.5, (above / below) ** 0.5


def _radam(
    param: Array,
    grad: Array,
    mean: Array,
    square: Array,
    weight1: Array,
    beta2: Array,
    weight2: Array,
    correction1: Array,
    lr: Array,
    root: Array | None,
    rectified: Array | None,
    eps: Array,
    penalty: Array | None,
    shrink: Array | None,
    maximize: bool,
) -> None:
    if shrink is not None:
        param *= shrink
    grad = descent(param, grad, penalty, maximize)
    lerp_(mean, grad, weight1)
    add_square_(square, grad, beta2, weight2)
    change = mean / correction1
    change *= lr
    if root is not None and rectified is not None:
        scale = np.sqrt(square)
        scale += eps
        np.divide(root, scale, out=scale)
        change *= scale
        change *= rectified
    param -= change
