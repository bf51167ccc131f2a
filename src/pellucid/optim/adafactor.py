"""Adafactor: Adam's second moment kept as a row and a column (Shazeer & Stern 2018,
arXiv:1804.04235).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid import ops
from pellucid.autograd.modes import enable_grad, no_grad
from pellucid.optim.elementwise import counter_dtype, number, revive
from pellucid.optim.optimizer import Group, Optimizer, Params
from pellucid.tensor.dtype import finfo
from pellucid.tensor.tensor import Tensor

__all__ = ["Adafactor"]


class Adafactor(Optimizer):
    """Steps of a size relative to the parameter, with memory for a row and a column instead of a
    whole matrix.

    With t the step, `v` averages `g²` with weight `t^beta2_decay` for the newest; of matrices (and
    stacks of them) only the
    mean of each row and of each column is kept, and `v` is their product over the mean of all. Then
    `u = g / √v`, cut to a
    root mean square of at most `d`, and `p -= max(eps2, rms(p)) * min(lr, 1/√t) * u`. State:
    `step`, and `row_var` and
    `col_var`, or `variance`.

    Args:
        eps: `(eps1, eps2)`, the least square root of v (None: the dtype's precision) and the least
        size of a parameter.

    Raises: ValueError for options out of range; RuntimeError, at a step, for complex parameters.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-2,
        beta2_decay: float = -0.8,
        eps: tuple[float | None, float] = (None, 1e-3),
        d: float = 1.0,
        weight_decay: float = 0.0,
        *,
        foreach: bool | None = None,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        if not lr >= 0.0:
            raise ValueError(f"Learning rate should be >= 0 but is: {lr}")
        if not beta2_decay <= 0.0:
            raise ValueError(f"beta2_decay should be <= 0 but is: {beta2_decay}")
        if eps[0] is not None and not eps[0] >= 0.0:
            raise ValueError(f"epsilon1 should be >= 0 but is: {eps[0]}")
        if not eps[1] >= 0.0:
            raise ValueError(f"epsilon2 should be >= 0 but is: {eps[1]}")
        if not d >= 1.0:
            raise ValueError(f"Clipping threshold d should be >= 1 but is: {d}")
        if not weight_decay >= 0.0:
            raise ValueError(f"weight_decay should be >= 0 but is: {weight_decay}")
        defaults = {
            "lr": lr,
            "beta2_decay": beta2_decay,
            "eps": eps,
            "d": d,
            "weight_decay": weight_decay,
            "foreach": foreach,
            "maximize": maximize,
        }
        super().__init__(params, defaults)

    def __setstate__(self, state: dict[str, Any]) -> None:
        super().__setstate__(state)
        revive(self, {"foreach": None})

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """Update each parameter that has a gradient. `closure` computes the loss anew; what it
        returns is returned.
        """
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            for param in group["params"]:
                if param.grad is not None:
                    self._update(param, param.grad, group)
        return loss

    def _state_of(self, param: Tensor, grad: Tensor, group: Group) -> dict[str, Any]:
        if param.is_complex():
            raise RuntimeError("Adafactor does not support complex parameters")
        state: dict[str, Any] = self.state[param]
        if not state:
            state["step"] = ops.zeros((), dtype=counter_dtype(group))
            if grad.dim() > 1:
                *stack, rows, columns = grad.shape
                state["row_var"] = ops.zeros((*stack, rows, 1), dtype=grad.dtype)
                state["col_var"] = ops.zeros((*stack, 1, columns), dtype=grad.dtype)
            else:
                state["variance"] = ops.zeros_like(grad)
        return state

    def _update(self, param: Tensor, grad: Tensor, group: Group) -> None:
        state = self._state_of(param, grad, group)
        eps1, eps2 = group["eps"]
        eps1 = finfo(param.dtype).eps if eps1 is None else eps1
        grad = -grad if group["maximize"] else grad
        lr = number(group["lr"])
        state["step"] += 1
        step = state["step"].item()
        size = max(eps2, _rms(param)) * min(lr, 1 / step**0.5)
        if group["weight_decay"] != 0:
            param.mul_(1 - lr * group["weight_decay"])
        variance = _average(grad, state, step ** group["beta2_decay"], eps1)
        update = variance.clamp(min=eps1 * eps1).rsqrt().mul(grad)
        param.add_(update, alpha=-size / max(1.0, _rms(update) / group["d"]))


def _rms(tensor: Tensor) -> float:
    return float(tensor.norm(2).item() / tensor.numel() ** 0.5)


def _average(grad: Tensor, state: dict[str, Any], weight: float, eps: float) -> Tensor:
    """Take `grad²` into the averages with `weight`; returns the second moment they stand for."""
    if "variance" in state:
        return state["variance"].lerp_(grad * grad, weight)
    rows, columns = state["row_var"], state["col_var"]
    for average, dim in ((rows, -1), (columns, -2)):
        norm = ops.norm(grad, dim=dim, keepdim=True)
        average.lerp_(norm.square().div(grad.size(dim)), weight)
    product: Tensor = rows @ columns
    return product.div(rows.mean(dim=-2, keepdim=True).clamp(min=eps))
