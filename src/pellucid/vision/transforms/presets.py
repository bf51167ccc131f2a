"""The transforms with which published weights were evaluated."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor
from pellucid.vision.transforms import colour, conversion, geometry
from pellucid.vision.transforms.interpolation import InterpolationMode, mode_of


class ImageClassification(Module):
    """An image with its shorter side at `resize_size`, the middle `crop_size` of it, from 0 to 1,
    standardised."""

    def __init__(
        self,
        *,
        crop_size: int,
        resize_size: int = 256,
        mean: Sequence[float] = (0.485, 0.456, 0.406),
        std: Sequence[float] = (0.229, 0.224, 0.225),
        interpolation: InterpolationMode = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.crop_size = [crop_size]
        self.resize_size = [resize_size]
        self.mean = list(mean)
        self.std = list(std)
        self.interpolation = mode_of(interpolation)
        self.antialias = antialias

    def forward(self, img: Any) -> Tensor:
        """A Pillow image or a tensor (…, 3, H, W) as floats (…, 3, crop_size, crop_size)."""
        img = geometry.resize(
            img, self.resize_size, interpolation=self.interpolation, antialias=self.antialias
        )
        img = geometry.center_crop(img, self.crop_size)
        if not isinstance(img, Tensor):
            img = conversion.pil_to_tensor(img)
        found: Tensor = colour.normalize(
            conversion.convert_image_dtype(img), mean=self.mean, std=self.std
        )
        return found

    def __repr__(self) -> str:
        names = ("crop_size", "resize_size", "mean", "std", "interpolation")
        lines = [f"    {name}={getattr(self, name)}" for name in names]
        return "\n".join(["ImageClassification(", *lines, ")"])
