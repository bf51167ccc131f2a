"""Gradient descent with momentum (Polyak 1964) or Nesterov's (Sutskever et al. 2013)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.optim.elementwise import (
    Array,
    ElementwiseOptimizer,
    Update,
    check_flags,
    check_fused,
    check_lr,
    check_not_negative,
    descent,
    descent_of,
    number,
    revive,
    scalar,
)
from pellucid.optim.optimizer import Group, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["SGD"]


class SGD(ElementwiseOptimizer):
    """`p -= lr * v` where `v = momentum * v + (1 - dampening) * g`, or `v = g` without momentum.

    `g` is the gradient plus `weight_decay * p`. With `nesterov`, `p -= lr * (g + momentum * v)`.
    The first `v` is `g`
    itself, undamped.

    Args:
        params: parameters, named parameters, or groups.
        lr: learning rate, a float or a one-element tensor.
        maximize: climb instead of descend.
        foreach, fused: accepted as in PyTorch; they change nothing here.
        differentiable: record the update itself on the tape.

    Raises:
        ValueError: a negative `lr`, `momentum` or `weight_decay`; `nesterov` without momentum or
        with dampening.
        RuntimeError: `fused` with `differentiable` or `foreach`.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        momentum: float = 0,
        dampening: float = 0,
        weight_decay: float | Tensor = 0,
        nesterov: bool = False,
        *,
        maximize: bool = False,
        foreach: bool | None = None,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_not_negative("momentum value", momentum)
        check_not_negative("weight_decay value", weight_decay)
        if nesterov and (momentum <= 0 or dampening != 0):
            raise ValueError("Nesterov momentum requires a momentum and zero dampening")
        defaults = {
            "lr": lr,
            "momentum": momentum,
            "dampening": dampening,
            "weight_decay": weight_decay,
            "nesterov": nesterov,
            "maximize": maximize,
            "foreach": foreach,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        missing = {"nesterov": False, "maximize": False, "foreach": None}
        revive(self, {**missing, "differentiable": False, "fused": False}, counters=())

    def _state_of(self, param: Tensor, group: Group) -> dict[str, Any]:
        if group["fused"]:
            check_flags(param, group)
        return self.state[param] if group["momentum"] != 0 else {}

    def _update(self, group: Group) -> Update:
        if group["momentum"] == 0:
            return Update(_plain, ())
        return Update(_nesterov if group["nesterov"] else _momentum, ("momentum_buffer",))

    def _advance(self, state: dict[str, Any], group: Group) -> float | None:
        # Nothing counts steps here. The first velocity is the gradient itself: operators make it.
        ready = group["momentum"] == 0 or state.get("momentum_buffer") is not None
        return 0.0 if ready else None

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        decay = number(group["weight_decay"]) or None
        shared = (-number(group["lr"]), decay, bool(group["maximize"]))
        if group["momentum"] == 0:
            return shared
        return (*shared, group["momentum"], 1 - group["dampening"])

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        grad = descent_of(param, grad, group)
        momentum = group["momentum"]
        if momentum != 0:
            velocity = state.get("momentum_buffer")
            if velocity is None:
                velocity = state["momentum_buffer"] = grad.detach().clone()
            else:
                velocity.mul_(momentum).add_(grad, alpha=1 - group["dampening"])
            grad = grad.add(velocity, alpha=momentum) if group["nesterov"] else velocity
        lr = scalar(group["lr"])
        if isinstance(lr, Tensor) and lr.requires_grad:
            param.addcmul_(grad, lr, value=-1)
        else:
            param.add_(grad, alpha=-number(lr))


def _plain(param: Array, grad: Array, minus_lr: Array, decay: Array | None, maximize: bool) -> None:
    param += descent(param, grad, decay, maximize) * minus_lr


def _momentum(
    param: Array,
    grad: Array,
    velocity: Array,
    minus_lr: Array,
    decay: Array | None,
    maximize: bool,
    momentum: Array,
    share: Array,
) -> None:
    velocity *= momentum
    velocity += descent(param, grad, decay, maximize) * share
    param += velocity * minus_lr


def _nesterov(
    param: Array,
    grad: Array,
    velocity: Array,
    minus_lr: Array,
    decay: Array | None,
    maximize: bool,
    momentum: Array,
    share: Array,
) -> None:
    grad = descent(param, grad, decay, maximize)
    velocity *= momentum
    velocity += grad * share
    ahead = velocity * momentum
    ahead += grad
    ahead *= minus_lr
    param += ahead
