"""Resilient backpropagation: only the signs of gradients count (Riedmiller & Braun 1993)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.optim.elementwise import (
    Array,
    ElementwiseOptimizer,
    Update,
    check_lr,
    number,
    real,
    revive,
)
from pellucid.optim.optimizer import Group, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["Rprop"]


class Rprop(ElementwiseOptimizer):
    """`p -= sign(g) * s`, with a step size `s` for each element.

    While `g` keeps its sign, `s` grows by `etas[1]`; when it turns, `s` shrinks by `etas[0]` and
    this step is left out.
    `s` starts at `lr` and stays within `step_sizes`. State: `step`, `prev` (the gradient before),
    `step_size`.

    Raises: ValueError for a negative `lr`, or `etas` that are not `0 < etas[0] < 1 < etas[1]`.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        etas: tuple[float, float] = (0.5, 1.2),
        step_sizes: tuple[float, float] = (1e-6, 50),
        *,
        capturable: bool = False,
        foreach: bool | None = None,
        maximize: bool = False,
        differentiable: bool = False,
    ) -> None:
        check_lr(lr)
        if not 0.0 < etas[0] < 1.0 < etas[1]:
            raise ValueError(f"Invalid eta values: {etas[0]}, {etas[1]}")
        defaults = {
            "lr": lr,
            "etas": etas,
            "step_sizes": step_sizes,
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
        size = number(group["lr"])
        state["prev"] = ops.zeros_like(param)
        size = complex(size, size) if param.is_complex() else size
        state["step_size"] = ops.full_like(param, size).requires_grad_(False)

    def _update(self, group: Group) -> Update:
        return Update(_rprop, ("prev", "step_size"))

    def _numbers(self, group: Group, step: float, state: dict[str, Any]) -> Sequence[Any]:
        return (*group["etas"], *group["step_sizes"], bool(group["maximize"]))

    def _update_by_operators(
        self, param: Tensor, grad: Tensor, state: dict[str, Any], group: Group
    ) -> None:
        shrink, grow = group["etas"]
        state["step"] += 1
        grad = -grad if group["maximize"] else grad
        param, grad, before, size = real(param, grad, state["prev"], state["step_size"])
        sign = grad.mul(before.clone()).sign()
        factor = ops.ones_like(sign).masked_fill(sign > 0, grow).masked_fill(sign < 0, shrink)
        size.mul_(factor).clamp_(*group["step_sizes"])
        kept = grad.masked_fill(sign < 0, 0)
        if group["differentiable"]:
            size = size.clone()
        param.addcmul_(kept.sign(), size, value=-1)
        before.copy_(kept)


def _rprop(
    param: Array,
    grad: Array,
    before: Array,
    size: Array,
    shrink: Array,
    grow: Array,
    smallest: Array,
    largest: Array,
    maximize: bool,
) -> None:
    if maximize:
        grad = np.negative(grad)
    product = grad * before
    turned = product < 0
    size[product > 0] *= grow
    size[turned] *= shrink
    np.clip(size, smallest, largest, out=size)
    before[...] = grad
    before[turned] = 0
    change = np.sign(before)
    change *= size
    param -= change
