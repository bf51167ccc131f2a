"""Colours and noise of the second edition."""

from __future__ import annotations

import io
from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.tensor.dtype import float32, int16, uint8
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import pillow
from pellucid.vision.transforms import chance, colour
from pellucid.vision.transforms.base import Transform, dimensions_of_sample
from pellucid.vision.transforms.chance import uniform
from pellucid.vision.transforms.conversion import (
    get_dimensions,
    pil_to_tensor,
    require_image,
    to_pil_image,
)
from pellucid.vision.transforms.kinds import by_kind


@by_kind
def autocontrast(inpt: Any) -> Any:
    """Each channel stretched from its least value to its largest.

    Bytes are divided by the step between two grey values, where the first edition multiplies; one
    in three differs by one.
    """
    if not isinstance(inpt, Tensor):
        return colour.autocontrast(inpt)
    require_image(inpt)
    values = inpt if inpt.is_floating_point() else inpt.to(float32)
    low, high = values.amin(dim=(-2, -1), keepdim=True), values.amax(dim=(-2, -1), keepdim=True)
    flat, largest = high == low, colour.largest_of(inpt)
    step = ops.where(flat, ops.ones_like(high), (high - low) * (1.0 / largest))
    found = (values - ops.where(flat, ops.zeros_like(low), low)) / step
    return found.clamp(0, largest).to(inpt.dtype)


class RandomAutocontrast(chance.RandomAutocontrast):
    """Each channel stretched to the whole range with probability `p`."""

    def done(self, image: Any) -> Any:
        return autocontrast(image)


@by_kind
def gaussian_noise(inpt: Any, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> Any:
    """Normal noise added to a tensor of floats or bytes; `mean` and `sigma` are of 0 to 1."""
    require_image(inpt)
    if sigma < 0:
        raise ValueError(f"sigma shouldn't be negative. Got {sigma}")
    if not isinstance(inpt, Tensor):
        raise TypeError("gaussian_noise takes tensors: put ToImage() before it")
    if inpt.is_floating_point():
        noisy = inpt + (mean + ops.randn_like(inpt) * sigma)
        return noisy.clamp(0, 1) if clip else noisy
    if inpt.dtype is not uint8:
        raise ValueError(
            f"Input tensor is expected to be in uint8 or float dtype, got dtype={inpt.dtype}"
        )
    noise = mean * 255 + ops.randn_like(inpt, dtype=float32) * (sigma * 255)
    noisy = inpt + noise.to(int16)
    return (noisy.clamp(0, 255) if clip else noisy).to(uint8)


@by_kind
def jpeg(inpt: Any, quality: int) -> Any:
    """What JPEG of this quality, 1 to 100, leaves of an image of bytes."""
    require_image(inpt)
    if not isinstance(inpt, Tensor):
        stored = io.BytesIO()
        inpt.save(stored, format="JPEG", quality=quality)
        stored.seek(0)
        return pillow().open(stored).convert(inpt.mode)
    if inpt.dtype is not uint8:
        raise TypeError(f"JPEG stores bytes: the tensor must be torch.uint8, not {inpt.dtype}")
    if not inpt.numel():
        return inpt.clone()
    channels, height, width = get_dimensions(inpt)
    done = [
        pil_to_tensor(jpeg(to_pil_image(each), quality))
        for each in inpt.reshape(-1, channels, height, width)
    ]
    return ops.stack(done).reshape(inpt.shape)


class GaussianNoise(Transform):
    """`functional.gaussian_noise` as a transform."""

    def __init__(self, mean: float = 0.0, sigma: float = 0.1, clip: bool = True) -> None:
        super().__init__()
        self.mean = mean
        self.sigma = sigma
        self.clip = clip

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return gaussian_noise(inpt, self.mean, self.sigma, self.clip)


class JPEG(Transform):
    """Stored as JPEG of a quality, or of one drawn from (lowest, highest), and read again."""

    def __init__(self, quality: int | Sequence[int]) -> None:
        super().__init__()
        bounds = list(quality) if isinstance(quality, Sequence) else [quality] * 2
        if isinstance(quality, bool) or len(bounds) != 2 or any(type(q) is not int for q in bounds):
            raise TypeError(f"quality must be a whole number or two of them, got {quality!r}")
        if not 1 <= bounds[0] <= bounds[1] <= 100:
            raise ValueError(f"quality must be an integer from 1 to 100, got {quality}")
        self.quality = bounds

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        low, high = self.quality
        return {"quality": int(ops.randint(low, high + 1, ()).item())}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return jpeg(inpt, params["quality"])


class RGB(Transform):
    """Grey images with three equal channels."""

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return colour.grayscale_to_rgb(inpt)


class RandomChannelPermutation(Transform):
    """The channels in random order."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"order": ops.randperm(dimensions_of_sample(flat_inputs)[0])}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return colour.permute_channels(inpt, params["order"])


class RandomPhotometricDistort(Transform):
    """Brightness, contrast, saturation, hue and the order of channels, each changed with
    probability `p` (SSD, Liu et al. 2016)."""

    def __init__(
        self,
        brightness: tuple[float, float] = (0.875, 1.125),
        contrast: tuple[float, float] = (0.5, 1.5),
        saturation: tuple[float, float] = (0.5, 1.5),
        hue: tuple[float, float] = (-0.05, 0.05),
        p: float = 0.5,
    ) -> None:
        super().__init__()
        self.brightness = brightness
        self.contrast = contrast
        self.saturation = saturation
        self.hue = hue
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        channels = dimensions_of_sample(flat_inputs)[0]
        params: dict[str, Any] = {
            name: uniform(*getattr(self, name)) if ops.rand(1).item() < self.p else None
            for name in ("brightness", "contrast", "saturation", "hue")
        }
        params["contrast first"] = ops.rand(()).item() < 0.5
        params["order"] = ops.randperm(channels) if ops.rand(1).item() < self.p else None
        return params

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        steps = [
            (colour.adjust_brightness, "brightness"),
            (colour.adjust_saturation, "saturation"),
            (colour.adjust_hue, "hue"),
        ]
        steps.insert(1 if params["contrast first"] else 3, (colour.adjust_contrast, "contrast"))
        steps.append((colour.permute_channels, "order"))
        for function, name in steps:
            if params[name] is not None:
                inpt = function(inpt, params[name])
        return inpt
