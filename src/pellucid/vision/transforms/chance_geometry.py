"""Crops and turns with chance in them."""

from __future__ import annotations

import math
from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.vision.transforms import colour, conversion, geometry, warp
from pellucid.vision.transforms.base import Transform, checked_fill, fill_for
from pellucid.vision.transforms.chance import below, uniform
from pellucid.vision.transforms.interpolation import InterpolationMode, mode_of


class RandomCrop(Transform):
    """A part of `size` from anywhere, after `padding`; `pad_if_needed` enlarges what is smaller."""

    def __init__(
        self,
        size: geometry.Size,
        padding: geometry.Size | None = None,
        pad_if_needed: bool = False,
        fill: Any = 0,
        padding_mode: str = "constant",
    ) -> None:
        super().__init__()
        self.size = geometry.pair(size)
        self.padding = padding
        self.pad_if_needed = pad_if_needed
        self.fill = fill
        self.padding_mode = padding_mode

    @staticmethod
    def get_params(img: Any, output_size: Sequence[int]) -> tuple[int, int, int, int]:
        """(top, left, height, width). Raises ValueError for an image that is smaller."""
        height, width = conversion.get_size(img)
        high, wide = output_size
        if height < high or width < wide:
            raise ValueError(
                f"Required crop size {(high, wide)} is larger than input image size "
                f"{(height, width)}\n  RandomCrop(size, pad_if_needed=True) enlarges the image."
            )
        if (high, wide) == (height, width):
            return 0, 0, height, width
        return below(height - high + 1), below(width - wide + 1), high, wide

    def _padded(self, image: Any) -> Any:
        fill = fill_for(self.fill, image)
        if self.padding is not None:
            image = geometry.pad(image, self.padding, fill, self.padding_mode)
        height, width = conversion.get_size(image)
        if self.pad_if_needed and width < self.size[1]:
            around = [self.size[1] - width, 0]
            image = geometry.pad(image, around, fill, self.padding_mode)
        if self.pad_if_needed and height < self.size[0]:
            around = [0, self.size[0] - height]
            image = geometry.pad(image, around, fill, self.padding_mode)
        return image

    def draw(self, image: Any) -> Any:
        return self.get_params(self._padded(image), self.size)

    def change(self, image: Any, drawn: Any) -> Any:
        return geometry.crop(self._padded(image), *drawn)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size}, padding={self.padding})"


class RandomResizedCrop(Transform):
    """A part with `scale` of the area and an aspect of `ratio`, resized to `size` (Szegedy et al.
    2015, "Going deeper with convolutions", section 6)."""

    def __init__(
        self,
        size: geometry.Size,
        scale: Sequence[float] = (0.08, 1.0),
        ratio: Sequence[float] = (3.0 / 4.0, 4.0 / 3.0),
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        self.size = geometry.pair(size)
        self.scale = scale
        self.ratio = ratio
        self.interpolation = mode_of(interpolation)
        self.antialias = antialias

    @staticmethod
    def get_params(
        img: Any, scale: Sequence[float], ratio: Sequence[float]
    ) -> tuple[int, int, int, int]:
        """(top, left, height, width): of ten attempts the first that fits, else the middle."""
        height, width = conversion.get_size(img)
        log_ratio = ops.log(ops.tensor([float(value) for value in ratio])).tolist()
        for _ in range(10):
            area = height * width * uniform(scale[0], scale[1])
            aspect = float(ops.exp(ops.empty(1).uniform_(log_ratio[0], log_ratio[1])).item())
            wide = round(math.sqrt(area * aspect))
            high = round(math.sqrt(area / aspect))
            if 0 < wide <= width and 0 < high <= height:
                return below(height - high + 1), below(width - wide + 1), high, wide
        whole = float(width) / float(height)
        wide, high = width, height
        if whole < min(ratio):
            high = round(wide / min(ratio))
        elif whole > max(ratio):
            wide = round(high * max(ratio))
        return (height - high) // 2, (width - wide) // 2, high, wide

    def draw(self, image: Any) -> Any:
        return self.get_params(image, self.scale, self.ratio)

    def change(self, image: Any, drawn: Any) -> Any:
        top, left, height, width = drawn
        return geometry.resized_crop(
            image, top, left, height, width, self.size, self.interpolation, self.antialias
        )

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, scale={tuple(self.scale)}, "
            f"ratio={tuple(round(value, 4) for value in self.ratio)}, "
            f"interpolation={self.interpolation.value}, antialias={self.antialias})"
        )


def _degrees(name: str, value: float | Sequence[float]) -> tuple[float, float]:
    if isinstance(value, (int, float)):
        if value < 0:
            raise ValueError(f"If {name} is a single number, it must be positive.")
        return -float(value), float(value)
    if len(value) != 2:
        raise ValueError(f"{name} should be a sequence of length 2.")
    return float(value[0]), float(value[1])


class RandomRotation(Transform):
    """Turned by an angle drawn from `degrees`."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        expand: bool = False,
        center: Sequence[float] | None = None,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.degrees = _degrees("degrees", degrees)
        self.interpolation = mode_of(interpolation)
        self.expand = expand
        self.center = center
        self.fill = checked_fill(fill)

    @staticmethod
    def get_params(degrees: Sequence[float]) -> float:
        """One angle."""
        return uniform(float(degrees[0]), float(degrees[1]))

    def draw(self, image: Any) -> Any:
        return self.get_params(self.degrees)

    def change(self, image: Any, drawn: Any) -> Any:
        fill = fill_for(self.fill, image)
        return geometry.rotate(image, drawn, self.interpolation, self.expand, self.center, fill)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(degrees={list(self.degrees)}, "
            f"interpolation={self.interpolation.value}, expand={self.expand}, fill={self.fill})"
        )


class RandomAffine(Transform):
    """Turned, moved, scaled and sheared, each by what is drawn from its range."""

    def __init__(
        self,
        degrees: float | Sequence[float],
        translate: Sequence[float] | None = None,
        scale: Sequence[float] | None = None,
        shear: float | Sequence[float] | None = None,
        interpolation: InterpolationMode | int = InterpolationMode.NEAREST,
        fill: Any = 0,
        center: Sequence[float] | None = None,
    ) -> None:
        super().__init__()
        self.degrees = _degrees("degrees", degrees)
        for name, given in (("translate", translate), ("scale", scale)):
            if given is not None and len(given) != 2:
                raise ValueError(f"{name} should be a sequence of length 2.")
        if translate is not None and not all(0.0 <= t <= 1.0 for t in translate):
            raise ValueError("translation values should be between 0 and 1")
        if scale is not None and not all(s > 0 for s in scale):
            raise ValueError("scale values should be positive")
        self.translate = translate
        self.scale = scale
        if shear is None or isinstance(shear, (int, float)) or len(shear) == 2:
            self.shear = None if shear is None else list(_degrees("shear", shear))
        elif len(shear) == 4:
            self.shear = [float(value) for value in shear]
        else:
            raise ValueError(f"shear should be a number or a sequence of 2 or 4. Got {shear}")
        self.interpolation = mode_of(interpolation)
        self.fill = checked_fill(fill)
        self.center = center

    @staticmethod
    def get_params(
        degrees: Sequence[float],
        translate: Sequence[float] | None,
        scale_ranges: Sequence[float] | None,
        shears: Sequence[float] | None,
        img_size: Sequence[int],
    ) -> tuple[float, tuple[int, int], float, tuple[float, float]]:
        """(angle, translations, scale, shears); `img_size` is (width, height)."""
        angle = uniform(float(degrees[0]), float(degrees[1]))
        moved = (0, 0)
        if translate is not None:
            far_x, far_y = float(translate[0] * img_size[0]), float(translate[1] * img_size[1])
            moved = round(uniform(-far_x, far_x)), round(uniform(-far_y, far_y))
        scale = 1.0
        if scale_ranges is not None:
            scale = uniform(float(scale_ranges[0]), float(scale_ranges[1]))
        shear_x = shear_y = 0.0
        if shears is not None:
            shear_x = uniform(float(shears[0]), float(shears[1]))
            if len(shears) == 4:
                shear_y = uniform(float(shears[2]), float(shears[3]))
        return angle, moved, scale, (shear_x, shear_y)

    def draw(self, image: Any) -> Any:
        height, width = conversion.get_size(image)
        size = width, height
        return self.get_params(self.degrees, self.translate, self.scale, self.shear, size)

    def change(self, image: Any, drawn: Any) -> Any:
        angle, moved, scale, shear = drawn
        fill = fill_for(self.fill, image)
        return geometry.affine(
            image, angle, moved, scale, shear, self.interpolation, fill, self.center
        )

    def __repr__(self) -> str:
        words = [f"degrees={list(self.degrees)}"]
        for name in ("translate", "scale", "shear"):
            value = getattr(self, name)
            words += [] if value is None else [f"{name}={value}"]
        if self.interpolation is not InterpolationMode.NEAREST:
            words.append(f"interpolation={self.interpolation.value}")
        words += [f"fill={self.fill}"] if self.fill != 0 else []
        words += [] if self.center is None else [f"center={self.center}"]
        return f"{type(self).__name__}({', '.join(words)})"


class RandomPerspective(Transform):
    """Seen from elsewhere with probability `p`: each corner moves inwards by up to
    `distortion_scale` of half a side."""

    def __init__(
        self,
        distortion_scale: float = 0.5,
        p: float = 0.5,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        if not 0 <= distortion_scale <= 1:
            raise ValueError("Argument distortion_scale value should be between 0 and 1")
        self.distortion_scale = distortion_scale
        self.p = p
        self.interpolation = mode_of(interpolation)
        self.fill = checked_fill(fill)

    @staticmethod
    def get_params(
        width: int, height: int, distortion_scale: float
    ) -> tuple[list[list[int]], list[list[int]]]:
        """(the corners, where they go), each as [x, y] from the upper left clockwise."""
        far_x = int(distortion_scale * (width // 2)) + 1
        far_y = int(distortion_scale * (height // 2)) + 1
        ends = []
        for right, bottom in ((False, False), (True, False), (True, True), (False, True)):
            x = below(far_x) + (width - far_x if right else 0)
            y = below(far_y) + (height - far_y if bottom else 0)
            ends.append([x, y])
        starts = [[0, 0], [width - 1, 0], [width - 1, height - 1], [0, height - 1]]
        return starts, ends

    def draw(self, image: Any) -> Any:
        if not ops.rand(1).item() < self.p:
            return None
        height, width = conversion.get_size(image)
        return self.get_params(width, height, self.distortion_scale)

    def change(self, image: Any, drawn: Any) -> Any:
        if drawn is None:
            return image
        fill = fill_for(self.fill, image)
        return warp.perspective(image, *drawn, self.interpolation, fill)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(p={self.p})"


class ElasticTransform(Transform):
    """Bent like rubber (Simard et al. 2003): pixels move by noise, blurred by `sigma`, of about
    `alpha` pixels; each one number or (x, y)."""

    def __init__(
        self,
        alpha: float | Sequence[float] = 50.0,
        sigma: float | Sequence[float] = 5.0,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        fill: Any = 0,
    ) -> None:
        super().__init__()
        self.alpha = _two("alpha", alpha)
        self.sigma = _two("sigma", sigma)
        self.interpolation = mode_of(interpolation)
        self.fill = checked_fill(fill)

    @staticmethod
    def get_params(alpha: Sequence[float], sigma: Sequence[float], size: Sequence[int]) -> Any:
        """The displacement (1, H, W, 2), x and y in half images, for an image of `size` (H, W)."""
        parts = []
        for axis, extent in ((0, size[1]), (1, size[0])):
            noise = ops.rand(1, 1, size[0], size[1]) * 2 - 1
            if sigma[axis] > 0.0:
                window = int(8 * sigma[axis] + 1)
                window += window % 2 == 0
                noise = colour.gaussian_blur(noise, [window, window], list(sigma))
            parts.append(noise * alpha[axis] / extent)
        return ops.cat(parts, 1).permute(0, 2, 3, 1)

    def draw(self, image: Any) -> Any:
        return self.get_params(self.alpha, self.sigma, conversion.get_size(image))

    def change(self, image: Any, drawn: Any) -> Any:
        return warp.elastic(image, drawn, self.interpolation, fill_for(self.fill, image))

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(alpha={self.alpha}, sigma={self.sigma}, "
            f"interpolation={self.interpolation.value}, fill={self.fill})"
        )


def _two(name: str, value: float | Sequence[float]) -> list[float]:
    values = [value] * 2 if isinstance(value, (int, float)) else value
    if isinstance(value, bool) or not isinstance(values, (list, tuple)):
        raise TypeError(f"{name} should be float or a sequence of floats. Got {type(value)}")
    if len(values) not in (1, 2):
        raise ValueError(
            f"{name} is a sequence its length should be one of 2 or 1. Got {len(values)}"
        )
    for each in values:
        if isinstance(each, bool) or not isinstance(each, (int, float)):
            raise TypeError(f"{name} should be a sequence of floats. Got {type(each)}")
    return [float(values[0]), float(values[-1])]
