"""Muon: momentum whose update is made orthogonal (Jordan et al. 2024), for the weight matrices of
hidden layers.
"""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid import ops
from pellucid.autograd.modes import enable_grad, no_grad
from pellucid.optim.elementwise import scalar
from pellucid.optim.optimizer import Optimizer, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["Muon"]

NEWTON_SCHULZ = (3.4445, -4.7750, 2.0315)
"""Coefficients of the quintic iteration: they push singular values to about 1, fast rather than
exactly.
"""


class Muon(Optimizer):
    """`p -= lr * c * orthogonal(m)`, with `m` the momentum of the gradient and `p` shrunk by `lr *
    weight_decay` before.

    `orthogonal(m)` has the singular vectors of `m` and singular values of about one; it is computed
    in bfloat16. `c` is
    `√max(1, rows / columns)` ("original", or None), or `0.2 √max(rows, columns)`
    ("match_rms_adamw", which lets AdamW's
    learning rates be used). State: `momentum_buffer`. Biases, embeddings and the last layer want
    another optimizer.

    Raises: ValueError for parameters that are no matrices and options out of range; RuntimeError,
    at a step, for complex ones.
    """

    def __init__(
        self,
        params: Params,
        lr: float = 1e-3,
        weight_decay: float = 0.1,
        momentum: float = 0.95,
        nesterov: bool = True,
        ns_coefficients: tuple[float, float, float] = NEWTON_SCHULZ,
        eps: float = 1e-7,
        ns_steps: int = 5,
        adjust_lr_fn: str | None = None,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        named = {"Learning rate": lr, "momentum": momentum, "weight decay": weight_decay}
        for name, value in named.items():
            if not value >= 0.0:
                raise ValueError(f"{name} should be >= 0 but is: {value}")
        if adjust_lr_fn not in (None, "original", "match_rms_adamw"):
            raise ValueError(f"Adjust learning rate function {adjust_lr_fn} is not supported")
        defaults = {
            "lr": lr,
            "weight_decay": weight_decay,
            "momentum": momentum,
            "nesterov": nesterov,
            "ns_coefficients": ns_coefficients,
            "eps": eps,
            "ns_steps": ns_steps,
            "adjust_lr_fn": adjust_lr_fn,
        }
        super().__init__(params, defaults)
        for group in self.param_groups:
            for param in group["params"]:
                if param.ndim != 2:
                    raise ValueError(
                        "Muon only supports 2D parameters whereas we found a parameter with size: "
                        f"{param.size()}"
                    )

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
            lr = scalar(group["lr"])
            for param in group["params"]:
                grad = param.grad
                if grad is None:
                    continue
                if param.is_complex():
                    raise RuntimeError("Muon does not support complex parameters")
                state = self.state[param]
                if "momentum_buffer" not in state:
                    state["momentum_buffer"] = ops.zeros_like(grad)
                buffer = state["momentum_buffer"]
                buffer.lerp_(grad, 1 - group["momentum"])
                update = grad.lerp(buffer, group["momentum"]) if group["nesterov"] else buffer
                update = orthogonal(
                    update, group["ns_coefficients"], group["ns_steps"], group["eps"]
                )
                param.mul_(1 - lr * group["weight_decay"])
                factor = _factor(group["adjust_lr_fn"], *param.shape)
                param.add_(update, alpha=-float(lr) * factor)
        return loss


def orthogonal(
    matrix: Tensor, coefficients: tuple[float, float, float], steps: int, eps: float
) -> Tensor:
    """A bfloat16 matrix with the singular vectors of `matrix` and singular values near 1, by
    Newton-Schulz iterations.

    Raises: ValueError for 100 steps and more, for what is no matrix, and for other than three
    coefficients.
    """
    if steps >= 100:
        raise ValueError("Number of steps must be less than 100 for computational efficiency")
    if matrix.dim() != 2:
        raise ValueError("Input tensor gradient must be a 2D matrix")
    if len(coefficients) != 3:
        raise ValueError("Coefficients must be a tuple of exactly 3 values")
    a, b, c = coefficients
    tall = matrix.size(0) > matrix.size(1)
    x = matrix.bfloat16()
    x = x.T if tall else x
    x = x.div(x.norm().clamp(min=eps))
    for _ in range(steps):
        gram = x @ x.T
        x = ops.addmm(x, ops.addmm(gram, gram, gram, beta=b, alpha=c), x, beta=a)
    return x.T if tall else x


def _factor(name: str | None, rows: int, columns: int) -> float:
    if name == "match_rms_adamw":
        return 0.2 * math.sqrt(max(rows, columns))
    return math.sqrt(max(1, rows / columns))
