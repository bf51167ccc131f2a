"""RMSprop (Tieleman & Hinton 2012, lecture 6.5), with momentum and, `centered`, Graves's (2013)
variance.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.optim.elementwise import (
    Array,
    ElementwiseOptimizer,
    Rule,
    Update,
    add_quotient_,
    add_square_,
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

__all__ = ["RMSprop"]


class RMSprop(ElementwiseOptimizer):
    """`p -= lr * g / (√v + eps)` with `v` the average of `g²`, decaying by `alpha`.

    With `centered`, `v - mean(g)²` stands in place of `v`; with `momentum`, the quotients are
    summed up as
    `b = momentum * b + g / (√v + eps)` and `p -= lr * b`. State: `step`, `square_avg`,
    `momentum_buffer`, `grad_avg`.

    Raises: ValueError for an option below zero.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        alpha: float = 0.99,
        eps: float = 1e-8,
        weight_decay: float = 0,
        momentum: float = 0,
        centered: bool = False,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        check_not_negative("epsilon value", eps)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("alpha value", alpha)
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "alpha": alpha,
            "eps": eps,
            "centered": centered,
            "weight_decay": weight_decay,
            "capturable": capturable,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        options = {"momentum": 0, "centered": False, "foreach": None, "maximize": False}
        revive(self, {**options, "differentiable": False, "capturable": False})

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        for name in self._update(group).state:
            state[name] = ops.zeros_like(param)

    def _update(self, group: Group) -> Update:
        names = ["square_avg"]
        if group["momentum"] > 0:
            names.append("momentum_buffer")
        if group["centered"]:
            names.append("grad_avg")
        return Update(_RULES[group["momentum"] > 0, bool(group["centered"])], names)

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        alpha, momentum = group["alpha"], group["momentum"]
        numbers = (alpha, 1 - alpha, group["eps"], -number(group["lr"]))
        decay, climb = group["weight_decay"] or None, bool(group["maximize"])
        return (*numbers, momentum if momentum > 0 else None, decay, climb)

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        alpha, lr = group["alpha"], scalar(group["lr"])
        state["step"] += 1
        grad = descent_of(param, grad, group)
        param, grad, square = real(param, grad, state["square_avg"])
        square.mul_(alpha).addcmul_(grad, grad, value=1 - alpha)
        variance = square
        if group["centered"]:
            (mean,) = real(state["grad_avg"])
            mean.lerp_(grad, 1 - alpha)
            variance = square.addcmul(mean, mean, value=-1)
        scale = variance.sqrt().add(group["eps"])
        if group["momentum"] > 0:
            (buffer,) = real(state["momentum_buffer"])
            buffer.mul_(group["momentum"]).addcdiv_(grad, scale)
            if isinstance(lr, Tensor):
                param.sub_(buffer * lr)
            else:
                param.add_(buffer, alpha=-lr)
        elif isinstance(lr, Tensor) and lr.requires_grad:
            param.sub_(grad * lr / scale)
        else:
            param.addcdiv_(grad, scale, value=-number(lr))


def _scale(square: Array, mean: Array | None, eps: Array) -> Array:
    if mean is None:
        scale = np.sqrt(square)
    else:
        scale = square - mean * mean
        np.sqrt(scale, out=scale)
    scale += eps
    return scale


def _rule(with_momentum: bool, centered: bool) -> Rule:
    """The rule for the state that these options keep."""

    def rule(param: Array, grad: Array, square: Array, *rest: Any) -> None:
        kept, numbers = rest[:-7], rest[-7:]
        alpha, weight, eps, minus_lr, momentum, decay, maximize = numbers
        grad = descent(param, grad, decay, maximize)
        add_square_(square, grad, alpha, weight)
        if centered:
            lerp_(kept[-1], grad, weight)
        scale = _scale(square, kept[-1] if centered else None, eps)
        if with_momentum:
            buffer = kept[0]
            buffer *= momentum
            buffer += grad / scale
            param += buffer * minus_lr
        else:
            add_quotient_(param, grad, scale, minus_lr)

    return rule


_RULES = {(m, c): _rule(m, c) for m in (False, True) for c in (False, True)}
