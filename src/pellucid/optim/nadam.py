"""NAdam: Adam with Nesterov's momentum (Dozat 2016)."""

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
    add_square_,
    check_betas,
    check_lr,
    check_not_negative,
    counter_dtype,
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

__all__ = ["NAdam"]


class NAdam(ElementwiseOptimizer):
    """Adam whose step looks ahead: `p -= lr * (a * g + b * m) / (√v + eps)`.

    The momentum grows with the step t: `μₜ = β₁ (1 - ½ · 0.96^(t · momentum_decay))`. With `Πμ`
    the product of all so
    far, `a = (1 - μₜ) / (1 - Πμ)` and `b = μₜ₊₁ / (1 - Πμ · μₜ₊₁)`. State: `step`, `mu_product`,
    `exp_avg`,
    `exp_avg_sq`. The other arguments are those of `Adam`.

    Raises: ValueError for an option out of its range.
    """

    _numbers_depend_on_step_only = False

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 2e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum_decay: float = 4e-3,
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
        check_not_negative("momentum_decay value", momentum_decay)
        defaults = {
            "lr": lr,
            "betas": betas,
            "eps": eps,
            "weight_decay": weight_decay,
            "momentum_decay": momentum_decay,
            "decoupled_weight_decay": decoupled_weight_decay,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        flags = {"maximize": False, "foreach": None, "capturable": False, "differentiable": False}
        revive(self, {**flags, "decoupled_weight_decay": False}, ("step", "mu_product"))

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        state["mu_product"] = ops.ones((), dtype=counter_dtype(group))
        state["exp_avg"] = ops.zeros_like(param)
        state["exp_avg_sq"] = ops.zeros_like(param)

    def _update(self, group: Group) -> Update:
        return Update(_nadam, ("exp_avg", "exp_avg_sq"))

    def _momenta(self, group: Group, step: float, state: dict[str, Any]) -> tuple[float, float]:
        """Multiply the product of momenta by this step's; returns the weights of `g` and of `m`."""
        beta1, decay = group["betas"][0], group["momentum_decay"]
        now = beta1 * (1.0 - 0.5 * 0.96 ** (step * decay))
        ahead = beta1 * (1.0 - 0.5 * 0.96 ** ((step + 1) * decay))
        product = state["mu_product"]._array
        np.multiply(product, now, out=product)
        state["mu_product"]._bump_version()
        product = product.item()
        return (1.0 - now) / (1.0 - product), ahead / (1.0 - product * ahead)

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        beta1, beta2 = group["betas"]
        lr, decay = number(group["lr"]), group["weight_decay"]
        of_grad, of_mean = self._momenta(group, step, state)
        penalty, shrink = decay or None, None
        if decay and group["decoupled_weight_decay"]:
            penalty, shrink = None, 1 - lr * decay
        averages = (1 - beta1, beta2, 1 - beta2, 1 - beta2**step, group["eps"])
        return (*averages, -lr * of_grad, -lr * of_mean, penalty, shrink, bool(group["maximize"]))

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
        of_grad, of_mean = self._momenta(group, step, state)
        param, grad, mean, square = real(param, grad, state["exp_avg"], state["exp_avg_sq"])
        mean.lerp_(grad, 1 - beta1)
        square.mul_(beta2).addcmul_(grad, grad, value=1 - beta2)
        scale = square.div(1 - beta2**step).sqrt().add(group["eps"])
        if group["differentiable"]:
            param.addcdiv_(grad * (-lr * of_grad), scale)
            param.addcdiv_(mean * (-lr * of_mean), scale)
        else:
            param.addcdiv_(grad, scale, value=-number(lr) * of_grad)
            param.addcdiv_(mean, scale, value=-number(lr) * of_mean)


def _nadam(
    param: Array,
    grad: Array,
    mean: Array,
    square: Array,
    weight1: Array,
    beta2: Array,
    weight2: Array,
    correction2: Array,
    eps: Array,
    of_grad: Array,
    of_mean: Array,
    penalty: Array | None,
    shrink: Array | None,
    maximize: bool,
) -> None:
    if shrink is not None:
        param *= shrink
    grad = descent(param, grad, penalty, maximize)
    lerp_(mean, grad, weight1)
    add_square_(square, grad, beta2, weight2)
    scale = square / correction2
    np.sqrt(scale, out=scale)
    scale += eps
    add_quotient_(param, grad, scale, of_grad)
    add_quotient_(param, mean, scale, of_mean)
