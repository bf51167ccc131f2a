"""Stochastic depth (Huang et al. 2016, "Deep Networks with Stochastic Depth")."""

from __future__ import annotations

from pellucid import ops
from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor


def stochastic_depth(input: Tensor, p: float, mode: str, training: bool = True) -> Tensor:
    """Zero a residual branch with probability `p`, and scale what survives by 1 / (1 - p).

    `mode` "batch" decides once for (N, …), "row" for each of the N.
    """
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}")
    if mode not in ("batch", "row"):
        raise ValueError(f"mode has to be either 'batch' or 'row', but got {mode}")
    if not training or p == 0.0:
        return input
    survival = 1.0 - p
    rows = input.shape[0] if mode == "row" else 1
    noise = ops.empty([rows] + [1] * (input.dim() - 1), dtype=input.dtype).bernoulli_(survival)
    if survival > 0.0:
        noise.div_(survival)
    result: Tensor = input * noise
    return result


class StochasticDepth(Module):
    """`stochastic_depth` as a module: the identity in evaluation mode."""

    def __init__(self, p: float, mode: str) -> None:
        super().__init__()
        self.p = p
        self.mode = mode

    def forward(self, input: Tensor) -> Tensor:
        return stochastic_depth(input, self.p, self.mode, self.training)

    def __repr__(self) -> str:
        return f"{self.__class__.__name__}(p={self.p}, mode={self.mode})"
