"""DropBlock (Ghiasi et al. 2018, "DropBlock: A regularization method for convolutional networks").

Whole squares of a feature map are dropped: their centres are drawn with a probability γ (equation
1) for which a share `p` of the map is lost.
"""

from __future__ import annotations

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor


def _drop(
    input: Tensor, p: float, block_size: int, inplace: bool, eps: float, training: bool, dims: int
) -> Tensor:
    if p < 0.0 or p > 1.0:
        raise ValueError(f"drop probability has to be between 0 and 1, but got {p}.")
    if input.dim() != dims + 2:
        raise ValueError(f"input should be {dims + 2} dimensional. Got {input.dim()} dimensions.")
    if not training or p == 0.0:
        return input
    sizes = tuple(input.shape[2:])
    block = min(block_size, *sizes)
    centres = [size - block + 1 for size in sizes]
    cells = places = 1
    for size, count in zip(sizes, centres, strict=True):
        cells, places = cells * size, places * count
    gamma = p * cells / (block**dims * places)
    noise = ops.empty((*input.shape[:2], *centres), dtype=input.dtype).bernoulli_(gamma)
    noise = F.pad(noise, [block // 2] * (2 * dims), value=0)
    pool = F.max_pool2d if dims == 2 else F.max_pool3d
    kept = 1 - pool(noise, stride=(1,) * dims, kernel_size=(block,) * dims, padding=block // 2)
    scale = kept.numel() / (eps + kept.sum())
    if inplace:
        return input.mul_(kept).mul_(scale)
    result: Tensor = input * kept * scale
    return result


def drop_block2d(
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> Tensor:
    """Drop squares of `block_size` from each map of (N, C, H, W), and scale what is left."""
    return _drop(input, p, block_size, inplace, eps, training, 2)


def drop_block3d(
    input: Tensor,
    p: float,
    block_size: int,
    inplace: bool = False,
    eps: float = 1e-06,
    training: bool = True,
) -> Tensor:
    """Drop cubes of `block_size` from each map of (N, C, D, H, W), and scale what is left."""
    return _drop(input, p, block_size, inplace, eps, training, 3)


class DropBlock2d(Module):
    """`drop_block2d` as a module: the identity in evaluation mode."""

    def __init__(
        self, p: float, block_size: int, inplace: bool = False, eps: float = 1e-06
    ) -> None:
        super().__init__()
        self.p = p
        self.block_size = block_size
        self.inplace = inplace
        self.eps = eps

    def forward(self, input: Tensor) -> Tensor:
        return drop_block2d(input, self.p, self.block_size, self.inplace, self.eps, self.training)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(p={self.p}, block_size={self.block_size}, "
            f"inplace={self.inplace})"
        )


class DropBlock3d(DropBlock2d):
    """`drop_block3d` as a module: the identity in evaluation mode."""

    def forward(self, input: Tensor) -> Tensor:
        return drop_block3d(input, self.p, self.block_size, self.inplace, self.eps, self.training)
