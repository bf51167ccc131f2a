"""SparseAdam: Adam for gradients that are sparse tensors, of which Pellucid has none."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.autograd.modes import enable_grad, no_grad
from pellucid.optim.optimizer import Optimizer, Params
from pellucid.tensor.tensor import Tensor

__all__ = ["SparseAdam"]


class SparseAdam(Optimizer):
    """Adam that touches only the rows of which a sparse gradient speaks.

    All gradients here are dense, and dense ones PyTorch's refuses too: a step takes parameters
    without a gradient only. For a table of embeddings use `Adam`.

    Raises: ValueError for an option out of its range, and for complex parameters.
    """

    def __init__(
        self,
        params: Params,
        lr: float | Tensor = 1e-3,
        betas: tuple[float, float] = (0.9, 0.999),
        eps: float = 1e-8,
        maximize: bool = False,
    ) -> None:
        if isinstance(lr, Tensor) and lr.numel() != 1:
            raise ValueError("Tensor lr must be 1-element")
        for name, value in (("learning rate", lr), ("epsilon value", eps)):
            if not value > 0.0:
                raise ValueError(f"Invalid {name}: {value}")
        for index, beta in enumerate(betas):
            if not 0.0 <= beta < 1.0:
                raise ValueError(f"Invalid beta parameter at index {index}: {beta}")
        super().__init__(params, {"lr": lr, "betas": betas, "eps": eps, "maximize": maximize})
        strange = [
            [number, place]
            for number, group in enumerate(self.param_groups)
            for place, parameter in enumerate(group["params"])
            if parameter.is_complex()
        ]
        if strange:
            raise ValueError(
                f"Complex params at indices {strange}: SparseAdam does not support complex "
                "parameters"
            )

    @no_grad()
    def step(self, closure: Callable[[], Any] | None = None) -> Any:
        """What `closure` returns. Raises: RuntimeError if any parameter has a gradient."""
        loss = None
        if closure is not None:
            with enable_grad():
                loss = closure()
        for group in self.param_groups:
            if any(parameter.grad is not None for parameter in group["params"]):
                raise RuntimeError(
                    "SparseAdam does not support dense gradients, please consider Adam instead\n"
                    "  Pellucid's gradients are all dense, also those of embeddings: "
                    "torch.optim.Adam takes the same lr, betas and eps."
                )
        return loss
