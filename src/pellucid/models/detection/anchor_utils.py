"""Anchors: boxes of several sizes and aspects at every cell (Ren et al. 2015, section 3.1.1)."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import pellucid as torch
from pellucid import Tensor, nn
from pellucid.models.detection.image_list import ImageList


class AnchorGenerator(nn.Module):
    """For each level of a pyramid, `sizes[level]` and `aspect_ratios[level]` at every cell.

    A size is the square root of an anchor's area in pixels, an aspect its height over its width.

    Plain numbers are one size a level, and the same aspects for all levels.

    Raises: ValueError where `sizes` and `aspect_ratios` are not as many.
    """

    def __init__(
        self,
        sizes: Any = ((128, 256, 512),),
        aspect_ratios: Any = ((0.5, 1.0, 2.0),),
    ) -> None:
        super().__init__()
        if not isinstance(sizes[0], (tuple, list)):
            sizes = [[size] for size in sizes]
        if not isinstance(aspect_ratios[0], (tuple, list)):
            aspect_ratios = [aspect_ratios] * len(sizes)
        if len(sizes) != len(aspect_ratios):
            raise ValueError(
                f"AnchorGenerator: {len(sizes)} levels of sizes and {len(aspect_ratios)} of "
                "aspect_ratios\n  Each level needs both: ((32,), (64,)) and ((0.5, 1, 2),) * 2."
            )
        self.sizes = tuple(tuple(level) for level in sizes)
        self.aspect_ratios = tuple(tuple(level) for level in aspect_ratios)
        self.cell_anchors = [
            self.generate_anchors(size, aspect)
            for size, aspect in zip(self.sizes, self.aspect_ratios, strict=True)
        ]

    def generate_anchors(self, scales: Sequence[int], aspect_ratios: Sequence[float]) -> Tensor:
        """The anchors of one cell around (0, 0), in whole pixels: (A, 4)."""
        high = torch.sqrt(torch.tensor([float(ratio) for ratio in aspect_ratios]))
        wide = 1 / high
        sizes = torch.tensor([float(scale) for scale in scales])
        ws, hs = (wide[:, None] * sizes).reshape(-1), (high[:, None] * sizes).reshape(-1)
        return (torch.stack([-ws, -hs, ws, hs], dim=1) / 2).round()

    def num_anchors_per_location(self) -> list[int]:
        """How many anchors a cell of each level has."""
        return [len(s) * len(a) for s, a in zip(self.sizes, self.aspect_ratios, strict=True)]

    def grid_anchors(
        self, grid_sizes: Sequence[tuple[int, int]], strides: Sequence[tuple[int, int]]
    ) -> list[Tensor]:
        """The cell's anchors moved to every cell of each level: (H W A, 4)."""
        if not len(grid_sizes) == len(strides) == len(self.cell_anchors):
            raise AssertionError(
                "Anchors should be Tuple[Tuple[int]] because each feature map could potentially "
                "have different sizes and aspect ratios. There needs to be a match between the "
                "number of feature maps passed and the number of sizes / aspect ratios specified."
                f"\n  AnchorGenerator has anchors for {len(self.cell_anchors)} levels, and the "
                f"features have {len(grid_sizes)}"
            )
        anchors = []
        for (height, width), (down, across), cell in zip(
            grid_sizes, strides, self.cell_anchors, strict=True
        ):
            y, x = torch.meshgrid(
                torch.arange(height) * down, torch.arange(width) * across, indexing="ij"
            )
            shifts = torch.stack([x, y, x, y], dim=2).reshape(-1, 1, 4)
            anchors.append((shifts + cell[None]).reshape(-1, 4))
        return anchors

    def forward(self, image_list: ImageList, feature_maps: list[Tensor]) -> list[Tensor]:
        """All anchors of each image: (levels' H W A, 4)."""
        height, width = image_list.tensors.shape[-2:]
        grids = [(maps.shape[-2], maps.shape[-1]) for maps in feature_maps]
        strides = [(height // high, width // wide) for high, wide in grids]
        everywhere = torch.cat(self.grid_anchors(grids, strides))
        return [everywhere] * len(image_list.image_sizes)
