"""Adagrad: steps shrink with the sum of squared gradients (Duchi et al. 2011)."""

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
    check_flags,
    check_fused,
    check_lr,
    check_not_negative,
    counter_dtype,
    descent,
    descent_of,
    number,
    real,
    revive,
    scalar,
)
from pellucid.optim.optimizer import Group, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["Adagrad"]


class Adagrad(ElementwiseOptimizer):
    """`p -= lr / (1 + (t - 1) * lr_decay) * g / (√s + eps)`, with `s` the sum of all `g²`.

    State, made at construction: `step` and `sum` (s, starting at `initial_accumulator_value`).

    Raises:
        ValueError: an option below zero.
        RuntimeError: `fused` with `differentiable` or `foreach`.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        lr_decay: float = 0,
        weight_decay: float = 0,
        initial_accumulator_value: float = 0,
        eps: float = 1e-10,
        foreach: bool | None = None,
        *,
        maximize: bool = False,
        differentiable: bool = False,
        fused: bool | None = None,
    ) -> None:
        check_lr(lr)
        check_not_negative("lr_decay value", lr_decay)
        check_not_negative("weight_decay value", weight_decay)
        check_not_negative("initial_accumulator_value value", initial_accumulator_value)
        check_not_negative("epsilon value", eps)
        defaults = {
            "lr": lr,
            "lr_decay": lr_decay,
            "eps": eps,
            "weight_decay": weight_decay,
            "initial_accumulator_value": initial_accumulator_value,
            "foreach": foreach,
            "maximize": maximize,
            "differentiable": differentiable,
            "fused": fused,
        }
        super().__init__(params, defaults)
        check_fused(fused, foreach, differentiable)
        for group in self.param_groups:
            for param in group["params"]:
                state = self.state[param]
                state["step"] = ops.zeros((), dtype=counter_dtype(group))
                self._start(param, group, state)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        flags = {"foreach": None, "maximize": False, "differentiable": False, "fused": None}
        revive(self, flags)

    def share_memory(self) -> None:
        """Nothing to do: the sums of squares stay in this process's memory."""

    def _state_of(self, param: Tensor, group: Group) -> dict[str, Any]:
        if group["fused"]:
            check_flags(param, group)
        return super()._state_of(param, group)

    def _start(self, param: Tensor, group: Group, state: dict[str, Any]) -> None:
        start = self.defaults["initial_accumulator_value"]
        state["sum"] = ops.full_like(param, complex(start, start) if param.is_complex() else start)
        state["sum"].requires_grad_(False)

    def _update(self, group: Group) -> Update:
        return Update(_adagrad, ("sum",))

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        step_size = number(group["lr"]) / (1 + (step - 1) * group["lr_decay"])
        decay, climb = group["weight_decay"] or None, bool(group["maximize"])
        return -step_size, group["eps"], decay, climb

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        state["step"] += 1
        grad = descent_of(param, grad, group)
        step_size = scalar(group["lr"]) / (1 + (state["step"].item() - 1) * group["lr_decay"])
        param, grad, total = real(param, grad, state["sum"])
        total.addcmul_(grad, grad, value=1)
        scale = total.sqrt().add(group["eps"])
        if isinstance(step_size, Tensor) and step_size.requires_grad:
            param.sub_(grad * step_size / scale)
        else:
            param.addcdiv_(grad, scale, value=-number(step_size))


def _adagrad(
    param: Array,
    grad: Array,
    total: Array,
    minus_step_size: Array,
    eps: Array,
    decay: Array | None,
    maximize: bool,
) -> None:
    grad = descent(param, grad, decay, maximize)
    total += grad * grad
    scale = np.sqrt(total)
    scale += eps
    add_quotient_(param, grad, scale, minus_step_size)
