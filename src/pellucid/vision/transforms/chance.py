"""Transforms with chance in them. They draw in torchvision's order, so that a seed means the same.

`get_params` draws without changing anything, for those who change several things alike.
"""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.tensor.dtype import float32
from pellucid.tensor.tensor import Tensor
from pellucid.vision.transforms import colour, conversion, geometry
from pellucid.vision.transforms.base import Transform
from pellucid.vision.tv_tensors import TVTensor


def uniform(low: float, high: float) -> float:
    """One number from [low, high)."""
    return float(ops.empty(1).uniform_(low, high).item())


def below(count: int) -> int:
    """One whole number from 0 to before `count`."""
    return int(ops.randint(0, count, (1,)).item())


class _Maybe(Transform):
    """Done with probability `p`."""

    def __init__(self, p: float = 0.5) -> None:
        super().__init__()
        self.p = p

    def draw(self, image: Any) -> Any:
        return bool(ops.rand(1).item() < self.p)

    def done(self, image: Any) -> Any:
        """The image, changed."""
        raise NotImplementedError

    def change(self, image: Any, drawn: Any) -> Any:
        if not isinstance(image, TVTensor):
            conversion.require_image(image)
        return self.done(image) if drawn else image

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class RandomHorizontalFlip(_Maybe):
    """Left and right exchanged with probability `p`."""

    def done(self, image: Any) -> Any:
        return geometry.hflip(image)


class RandomVerticalFlip(_Maybe):
    """Top and bottom exchanged with probability `p`."""

    def done(self, image: Any) -> Any:
        return geometry.vflip(image)


class RandomGrayscale(_Maybe):
    """Grey with probability `p`, with as many channels as before."""

    def __init__(self, p: float = 0.1) -> None:
        super().__init__(p)

    def done(self, image: Any) -> Any:
        channels = conversion.get_image_num_channels(image)
        return colour.rgb_to_grayscale(image, 3 if channels == 3 else 1)


class RandomInvert(_Maybe):
    """The negative with probability `p`."""

    def done(self, image: Any) -> Any:
        return colour.invert(image)


class RandomAutocontrast(_Maybe):
    """Each channel stretched to the whole range with probability `p`."""

    def done(self, image: Any) -> Any:
        return colour.autocontrast(image)


class RandomEqualize(_Maybe):
    """Each channel's histogram made flat with probability `p`."""

    def done(self, image: Any) -> Any:
        return colour.equalize(image)


class RandomSolarize(_Maybe):
    """Values from `threshold` on inverted with probability `p`."""

    def __init__(self, threshold: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.threshold = threshold

    def done(self, image: Any) -> Any:
        return colour.solarize(image, self.threshold)


class RandomPosterize(_Maybe):
    """Only the `bits` highest bits of each byte kept, with probability `p`."""

    def __init__(self, bits: int, p: float = 0.5) -> None:
        super().__init__(p)
        self.bits = bits

    def done(self, image: Any) -> Any:
        return colour.posterize(image, self.bits)


class RandomAdjustSharpness(_Maybe):
    """Sharpened by `sharpness_factor` with probability `p`."""

    def __init__(self, sharpness_factor: float, p: float = 0.5) -> None:
        super().__init__(p)
        self.sharpness_factor = sharpness_factor

    def done(self, image: Any) -> Any:
        return colour.adjust_sharpness(image, self.sharpness_factor)


def _around(name: str, value: Any, centre: float, bound: tuple[float, float]) -> Any:
    """A factor's range: a number is that far around `centre`; None where nothing changes."""
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be non negative.")
        found = [centre - float(value), centre + float(value)]
        if name != "hue":
            found[0] = max(found[0], 0.0)
    elif isinstance(value, (tuple, list)) and len(value) == 2:
        found = [float(value[0]), float(value[1])]
    else:
        raise TypeError(f"{name} should be a single number or a list/tuple with length 2.")
    if not bound[0] <= found[0] <= found[1] <= bound[1]:
        raise ValueError(f"{name} values should be between {bound}, but got {found}.")
    return None if found[0] == found[1] == centre else tuple(found)


class ColorJitter(Transform):
    """Brightness, contrast, saturation and hue changed at random, in random order."""

    def __init__(
        self,
        brightness: float | Sequence[float] = 0,
        contrast: float | Sequence[float] = 0,
        saturation: float | Sequence[float] = 0,
        hue: float | Sequence[float] = 0,
    ) -> None:
        super().__init__()
        self.brightness = _around("brightness", brightness, 1.0, (0.0, math.inf))
        self.contrast = _around("contrast", contrast, 1.0, (0.0, math.inf))
        self.saturation = _around("saturation", saturation, 1.0, (0.0, math.inf))
        self.hue = _around("hue", hue, 0.0, (-0.5, 0.5))

    @staticmethod
    def get_params(brightness: Any, contrast: Any, saturation: Any, hue: Any) -> tuple[Any, ...]:
        """(order, brightness, contrast, saturation, hue); None for what does not change."""
        order = ops.randperm(4)
        factors = [
            None if bounds is None else uniform(bounds[0], bounds[1])
            for bounds in (brightness, contrast, saturation, hue)
        ]
        return order, *factors

    def draw(self, image: Any) -> Any:
        return self.get_params(self.brightness, self.contrast, self.saturation, self.hue)

    def change(self, image: Any, drawn: Any) -> Any:
        order, *factors = drawn
        functions = (
            colour.adjust_brightness,
            colour.adjust_contrast,
            colour.adjust_saturation,
            colour.adjust_hue,
        )
        for place in order.tolist():
            if factors[place] is not None:
                image = functions[place](image, factors[place])
        return image

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(brightness={self.brightness}, contrast={self.contrast}, "
            f"saturation={self.saturation}, hue={self.hue})"
        )


class RandomErasing(Transform):
    """A rectangle of a tensor erased with probability `p` (Zhong et al. 2020, "Random Erasing").

    `value` fills it: a number, one for each channel, or "random" for normal noise.
    """

    def __init__(
        self,
        p: float = 0.5,
        scale: Sequence[float] = (0.02, 0.33),
        ratio: Sequence[float] = (0.3, 3.3),
        value: Any = 0,
        inplace: bool = False,
    ) -> None:
        super().__init__()
        if not isinstance(value, (int, float, str, tuple, list)):
            raise TypeError("Argument value should be either a number or str or a sequence")
        if isinstance(value, str) and value != "random":
            raise ValueError("If value is str, it should be 'random'")
        if scale[0] < 0 or scale[1] > 1:
            raise ValueError("Scale should be between 0 and 1")
        if p < 0 or p > 1:
            raise ValueError("Random erasing probability should be between 0 and 1")
        self.p = p
        self.scale = scale
        self.ratio = ratio
        self.value = value
        self.inplace = inplace

    @staticmethod
    def get_params(
        img: Tensor,
        scale: Sequence[float],
        ratio: Sequence[float],
        value: Sequence[float] | None = None,
    ) -> tuple[int, int, int, int, Tensor]:
        """(top, left, height, width, filling): the first of ten that fits, else all."""
        channels, height, width = img.shape[-3:]
        log_ratio = ops.log(ops.tensor([float(each) for each in ratio])).tolist()
        for _ in range(10):
            area = height * width * uniform(scale[0], scale[1])
            aspect = float(ops.exp(ops.empty(1).uniform_(log_ratio[0], log_ratio[1])).item())
            high, wide = round(math.sqrt(area * aspect)), round(math.sqrt(area / aspect))
            if not (high < height and wide < width):
                continue
            if value is None:
                filling = ops.empty((channels, high, wide), dtype=float32).normal_()
            else:
                filling = ops.tensor([float(each) for each in value])[:, None, None]
            return below(height - high + 1), below(width - wide + 1), high, wide, filling
        return 0, 0, height, width, img

    def draw(self, image: Any) -> Any:
        if not isinstance(image, Tensor):
            raise TypeError(
                f"img should be Tensor Image. Got {type(image)}\n"
                "  Put ToTensor() before RandomErasing()."
            )
        if not ops.rand(1).item() < self.p:
            return None
        value: Any = self.value
        if isinstance(value, (int, float)):
            value = [float(value)]
        elif isinstance(value, str):
            value = None
        elif len(value) not in (1, image.shape[-3]):
            raise ValueError(
                "If value is a sequence, it should have either a single value or "
                f"{image.shape[-3]} (number of input channels)"
            )
        return self.get_params(image, self.scale, self.ratio, value)

    def change(self, image: Any, drawn: Any) -> Any:
        if drawn is None:
            return image
        top, left, high, wide, filling = drawn
        return colour.erase(image, top, left, high, wide, filling, self.inplace)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(p={self.p}, scale={self.scale}, ratio={self.ratio}, "
            f"value={self.value}, inplace={self.inplace})"
        )


class GaussianBlur(Transform):
    """Blurred with a window of `kernel_size` and a deviation drawn from `sigma`."""

    def __init__(
        self, kernel_size: int | Sequence[int], sigma: float | Sequence[float] = (0.1, 2.0)
    ) -> None:
        super().__init__()
        sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else kernel_size
        if not isinstance(sizes, (list, tuple)) or len(sizes) not in (1, 2):
            raise ValueError("Kernel size should be a tuple/list of two integers")
        sizes = list(sizes) * 2 if len(sizes) == 1 else list(sizes)
        if any(size <= 0 or size % 2 == 0 for size in sizes):
            raise ValueError("Kernel size value should be an odd and positive number.")
        if isinstance(sigma, (int, float)) and sigma <= 0:
            raise ValueError("If sigma is a single number, it must be positive.")
        bounds = (sigma, sigma) if isinstance(sigma, (int, float)) else sigma
        if not isinstance(bounds, (list, tuple)) or len(bounds) != 2:
            raise ValueError("sigma should be a single number or a list/tuple with length 2.")
        if not 0.0 < bounds[0] <= bounds[1]:
            raise ValueError(
                f"sigma values should be positive and of the form (min, max). Got {sigma}"
            )
        self.kernel_size = tuple(sizes)
        self.sigma = tuple(bounds)

    @staticmethod
    def get_params(sigma_min: float, sigma_max: float) -> float:
        """One deviation for both directions."""
        return uniform(sigma_min, sigma_max)

    def draw(self, image: Any) -> Any:
        return self.get_params(self.sigma[0], self.sigma[1])

    def change(self, image: Any, drawn: Any) -> Any:
        return colour.gaussian_blur(image, self.kernel_size, [drawn, drawn])

    def __repr__(self) -> str:
        return f"{type(self).__name__}(kernel_size={self.kernel_size}, sigma={self.sigma})"
