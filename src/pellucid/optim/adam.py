"""Adam (Kingma & Ba 2015, arXiv:1412.6980), with AMSGrad (Reddi et al. 2018) and decoupled decay
(AdamW).
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
    add_square_,
    check_betas,
    check_fused,
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

__all__ = ["Adam"]


class Adam(ElementwiseOptimizer):
    """`p -= lr * m / (√v + eps)`, with `m` and `v` the bias-corrected averages of `g` and `g²`.

    `m = β₁ m + (1 - β₁) g` and `v = β₂ v + (1 - β₂) g²` start at zero; at step t they are divided
    by `1 - β₁ᵗ` and
    `1 - β₂ᵗ`. State: `step`, `exp_avg` (m), `exp_avg_sq` (v), and `max_exp_avg_sq` with `amsgrad`.

    Args:
        params: parameters, named parameters, or groups.
        lr: learning rate, a float or a one-element tensor.
        betas: decay rates β₁, β₂ of the averages, in [0, 1).
        eps: keeps the quotient finite.
        weight_decay: added to the gradient as `weight_decay * p`; or, with
        `decoupled_weight_decay`, the parameter
            shrinks by `lr * weight_decay` before the step.
        amsgrad: divide by the largest v so far.
        maximize: climb instead of descend.
        foreach, fused: accepted as in PyTorch; they change nothing here.
        capturable: for accelerators; a step on the CPU refuses it.
        differentiable: record the update itself on the tape.

    Raises:
        ValueError: an option out of its range; only one of the betas a tensor.
        RuntimeError: `fused` with `differentiable` or `foreach`.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float | Tensor, float | Tensor] = (0.9, 0.999),
        eps: float = 1e-8,
        weight_decay: float = 0,
        amsgrad: bool = False,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
        capturable: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
        decoupled_weight_decay: bool = False,
    ) -> None:
        if foreach and not capturable:
            _check_no_tensor("lr", lr)
        check_lr(lr)
        check_not_negative("epsilon value", eps)
        check_betas(betas)
        check_not_negative("weight_decay value", weight_decay)
        _check_beta_types(betas, foreach, capturable)
        defaults = {
            "lr": lr,
            "betas": tuple(scalar(beta) for beta in betas),
            "eps": eps,
            "weight_decay": weight_decay,
            "amsgrad": amsgrad,
            "maximize": maximize,
            "foreach": foreach,
            "capturable": capturable,
            "differentiable": differentiable,
            "fused": fused,
            "decoupled_weight_decay": decoupled_weight_decay,
        }
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        flags = {"amsgrad": False, "maximize": False, "foreach": None, "capturable": False}
        decoupled = {"differentiable": False, "decoupled_weight_decay": False, "fused": None}
        revive(self, {**flags, **decoupled})

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        if group["foreach"] and not group["capturable"] and isinstance(group["lr"], Tensor):
            raise RuntimeError(
                "lr as a Tensor is not supported for capturable=False and foreach=True"
            )
        state["exp_avg"] = ops.zeros_like(param)
        state["exp_avg_sq"] = ops.zeros_like(param)
        if group["amsgrad"]:
            state["max_exp_avg_sq"] = ops.zeros_like(param)

    def _update(self, group: Group) -> Update:
        if group["amsgrad"]:
            return Update(_amsgrad, ("exp_avg", "exp_avg_sq", "max_exp_avg_sq"))
        return Update(_adam, ("exp_avg", "exp_avg_sq"))

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        beta1, beta2 = (number(beta) for beta in group["betas"])
        lr, decay = number(group["lr"]), number(group["weight_decay"])
        penalty, shrink = decay or None, None
        if decay and group["decoupled_weight_decay"]:
            penalty, shrink = None, 1 - lr * decay
        step_size = lr / (1 - beta1**step)
        root = (1 - beta2**step) ** 0.5
        averages = (1 - beta1, beta2, 1 - beta2)
        return (*averages, -step_size, root, group["eps"], penalty, shrink, bool(group["maximize"]))

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        beta1, beta2 = group["betas"]
        lr, decay = scalar(group["lr"]), group["weight_decay"]
        state["step"] += 1
        if group["decoupled_weight_decay"]:
            grad = -grad if group["maximize"] else grad
            if decay != 0:
                param.mul_(1 - lr * decay)
        else:
            grad = descent_of(param, grad, group)
        averages = [state[name] for name in self._update(group).state]
        param, grad, mean, square, *largest = real(param, grad, *averages)

        mean.lerp_(grad, 1 - beta1)
        if isinstance(beta2, Tensor) and beta2.requires_grad:
            square.lerp_(ops.square(grad), 1 - beta2)
        else:
            square.mul_(beta2).addcmul_(grad, grad, value=1 - number(beta2))
        if largest:
            largest[0].copy_(ops.maximum(largest[0].clone(), square))
            square = largest[0]

        step = state["step"].item()
        step_size = lr / (1 - beta1**step)
        root = (1 - beta2**step) ** 0.5
        scale = square.sqrt().div(root).add(group["eps"])
        if isinstance(step_size, Tensor) and step_size.requires_grad:
            param.sub_(mean.clone() * step_size / scale)
        else:
            mean = mean.clone() if group["differentiable"] else mean
            param.addcdiv_(mean, scale, value=-number(step_size))


def _adam(
    param: Array,
    grad: Array,
    mean: Array,
    square: Array,
    weight1: Array,
    beta2: Array,
    weight2: Array,
    minus_step_size: Array,
    root: Array,
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
    _step(param, mean, square, minus_step_size, root, eps)


def _amsgrad(
    param: Array,
    grad: Array,
    mean: Array,
    square: Array,
    largest: Array,
    weight1: Array,
    beta2: Array,
    weight2: Array,
    minus_step_size: Array,
    root: Array,
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
    np.maximum(largest, square, out=largest)
    _step(param, mean, largest, minus_step_size, root, eps)


def _step(
    param: Array, mean: Array, square: Array, minus_step_size: Array, root: Array, eps: Array
) -> None:
    scale = np.sqrt(square)
    scale /= root
    scale += eps
    add_quotient_(param, mean, scale, minus_step_size)


def _check_beta_types(betas: Sequence[Any], foreach: bool | None, capturable: bool) -> None:
    kinds = tuple(Tensor if isinstance(beta, Tensor) else type(beta) for beta in betas[:2])
    if kinds not in ((float, float), (Tensor, Tensor)) and not all(
        isinstance(beta, float) for beta in betas[:2]
    ):
        raise ValueError("betas must be either both floats or both Tensors")
    for index, beta in enumerate(betas[:2]):
        if foreach and not capturable:
            _check_no_tensor(f"betas[{index}]", beta)
        if isinstance(beta, Tensor) and beta.numel() != 1:
            raise ValueError(f"Tensor betas[{index}] must be 1-element")


def _check_no_tensor(name: str, value: Any) -> None:
    if isinstance(value, Tensor):
        raise ValueError(
            f"{name} as a Tensor is not supported for capturable=False and foreach=True"
        )
