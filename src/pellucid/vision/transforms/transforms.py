"""Transforms with fixed parameters, and how transforms are put together."""

from __future__ import annotations

import math
import random
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.nn.module import Module
from pellucid.tensor.dtype import dtype
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import is_pillow
from pellucid.vision.transforms import colour, conversion, geometry
from pellucid.vision.transforms.base import (
    Transform,
    fill_for,
    is_picture,
    is_pure_tensor,
    leaves,
)
from pellucid.vision.transforms.interpolation import InterpolationMode, mode_of
from pellucid.vision.tv_tensors import Image, TVTensor, Video, plain, wrap


class Compose:
    """Transforms one after another."""

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self.transforms = transforms

    def __call__(self, *inputs: Any) -> Any:
        value: Any = inputs[0] if len(inputs) == 1 else inputs
        unpack = len(inputs) > 1
        for transform in self.transforms:
            value = transform(*value) if unpack else transform(value)
        return value

    def __repr__(self) -> str:
        lines = [f"    {transform}" for transform in self.transforms]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


class _Conversion(Transform):
    """From one representation of images to another; a sample that has no other is handed on."""

    def without(self, sample: Any) -> Any:
        if any(is_picture(part) for part in leaves(sample)):
            return sample
        if isinstance(sample, (dict, tuple)):
            return super().without(sample)
        return self.change(sample, None)  # which says what it takes

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class ToTensor(_Conversion):
    """A Pillow image or an array (H, W, C) as a tensor (C, H, W); bytes become 0 to 1."""

    transformed = (is_pillow, np.ndarray)

    def change(self, image: Any, drawn: Any) -> Any:
        return conversion.to_tensor(image)


class PILToTensor(_Conversion):
    """A Pillow image as a tensor (C, H, W) with the same numbers."""

    transformed = (is_pillow,)

    def change(self, image: Any, drawn: Any) -> Any:
        return conversion.pil_to_tensor(image)


class ToPILImage(_Conversion):
    """A tensor (C, H, W) or an array (H, W, C) as a Pillow image."""

    transformed = (is_pure_tensor, Image, np.ndarray)

    def __init__(self, mode: str | None = None) -> None:
        super().__init__()
        self.mode = mode

    def change(self, image: Any, drawn: Any) -> Any:
        return conversion.to_pil_image(image, self.mode)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({'' if self.mode is None else f'mode={self.mode}'})"


class ConvertImageDtype(Transform):
    """`functional.convert_image_dtype` as a transform."""

    def __init__(self, dtype: dtype) -> None:
        super().__init__()
        self.dtype = dtype

    def change(self, image: Any, drawn: Any) -> Any:
        return conversion.convert_image_dtype(image, self.dtype)


class ToImage(_Conversion):
    """A Pillow image, an array (H, W, C) or a plain tensor as `tv_tensors.Image` (C, H, W).

    The values stay, and so do the parts that already say what they are.
    """

    transformed = (is_pure_tensor, is_pillow, np.ndarray)

    def change(self, image: Any, drawn: Any) -> Any:
        return conversion.to_image(image)


class Identity(Transform):
    """Everything as it is."""

    def forward(self, *inputs: Any) -> Any:
        """The sample itself."""
        return inputs[0] if len(inputs) == 1 else inputs


class Normalize(Transform):
    """(value - mean) / std of each channel."""

    def __init__(self, mean: Sequence[float], std: Sequence[float], inplace: bool = False) -> None:
        super().__init__()
        self.mean = mean
        self.std = std
        self.inplace = inplace

    def change(self, image: Any, drawn: Any) -> Any:
        return colour.normalize(image, self.mean, self.std, self.inplace)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(mean={self.mean}, std={self.std})"


class Resize(Transform):
    """The image in another size: (height, width), or one number for the shorter side."""

    def __init__(
        self,
        size: geometry.Size | None,
        interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
        max_size: int | None = None,
        antialias: bool | None = True,
    ) -> None:
        super().__init__()
        if size is not None and not isinstance(size, (int, tuple, list)):
            raise TypeError(f"Size should be int or sequence. Got {type(size)}")
        if isinstance(size, (tuple, list)) and len(size) not in (1, 2):
            raise ValueError("If size is a sequence, it should have 1 or 2 values")
        self.size = size
        self.max_size = max_size
        self.interpolation = mode_of(interpolation)
        self.antialias = antialias

    def change(self, image: Any, drawn: Any) -> Any:
        return geometry.resize(image, self.size, self.interpolation, self.max_size, self.antialias)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(size={self.size}, interpolation={self.interpolation.value}, "
            f"max_size={self.max_size}, antialias={self.antialias})"
        )


class CenterCrop(Transform):
    """The middle of the image."""

    def __init__(self, size: geometry.Size) -> None:
        super().__init__()
        self.size = geometry.pair(size)

    def change(self, image: Any, drawn: Any) -> Any:
        return geometry.center_crop(image, self.size)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(size={self.size})"


class FiveCrop(CenterCrop):
    """Four corners and the middle, as a tuple."""

    def change(self, image: Any, drawn: Any) -> Any:
        return geometry.five_crop(image, self.size)


class TenCrop(CenterCrop):
    """Four corners and the middle of the image and of its mirror image."""

    def __init__(self, size: geometry.Size, vertical_flip: bool = False) -> None:
        super().__init__(size)
        self.vertical_flip = vertical_flip

    def change(self, image: Any, drawn: Any) -> Any:
        return geometry.ten_crop(image, self.size, self.vertical_flip)


class Pad(Transform):
    """Border added, as `functional.pad` says."""

    def __init__(
        self, padding: geometry.Size, fill: Any = 0, padding_mode: str = "constant"
    ) -> None:
        super().__init__()
        geometry.sides_of(padding)
        self.padding = padding
        self.fill = fill
        self.padding_mode = padding_mode

    def change(self, image: Any, drawn: Any) -> Any:
        return geometry.pad(image, self.padding, fill_for(self.fill, image), self.padding_mode)

    def __repr__(self) -> str:
        return (
            f"{type(self).__name__}(padding={self.padding}, fill={self.fill}, "
            f"padding_mode={self.padding_mode})"
        )


class Grayscale(Transform):
    """Brightness alone, in one channel or in three equal ones."""

    def __init__(self, num_output_channels: int = 1) -> None:
        super().__init__()
        self.num_output_channels = num_output_channels

    def change(self, image: Any, drawn: Any) -> Any:
        return colour.rgb_to_grayscale(image, self.num_output_channels)

    def __repr__(self) -> str:
        return f"{type(self).__name__}(num_output_channels={self.num_output_channels})"


class Lambda:
    """A function as a transform."""

    def __init__(self, lambd: Callable[[Any], Any]) -> None:
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd

    def __call__(self, img: Any) -> Any:
        return self.lambd(img)

    def __repr__(self) -> str:
        return f"{type(self).__name__}()"


class LinearTransformation(Transform):
    """(x - mean) · matrix of a flattened tensor (…, C, H, W): whitening.

    Raises: ValueError where the matrix does not fit the vector, or the image; TypeError for Pillow
        images.
    """

    transformed = (is_pure_tensor, Image, Video)

    def __init__(self, transformation_matrix: Tensor, mean_vector: Tensor) -> None:
        super().__init__()
        rows, columns = transformation_matrix.shape
        if rows != columns:
            raise ValueError(f"transformation_matrix should be square. Got {rows} x {columns}")
        if len(mean_vector) != rows:
            raise ValueError(
                f"mean_vector should have the same length {len(mean_vector)} as any one of the "
                f"dimensions of the transformation_matrix [{rows} x {columns}]"
            )
        self.transformation_matrix = transformation_matrix
        self.mean_vector = mean_vector

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        if any(is_pillow(part) for part in flat_inputs):
            raise TypeError(
                "LinearTransformation does not work on PIL Images: put ToImage() before it"
            )

    def change(self, image: Any, drawn: Any) -> Any:
        values = plain(image) if isinstance(image, TVTensor) else image
        length = len(self.mean_vector)
        if math.prod(values.shape[-3:]) != length:
            raise ValueError(
                "Input tensor and transformation matrix have incompatible shape. "
                f"{' x '.join(map(str, values.shape[-3:]))} != {length}"
            )
        flat = values.reshape(math.prod(values.shape[:-3]), length) - self.mean_vector
        matrix = self.transformation_matrix.to(flat.dtype)
        result: Tensor = ops.mm(flat, matrix).reshape(values.shape)
        return wrap(result, like=image) if isinstance(image, TVTensor) else result


class RandomApply(Module):
    """A list of transforms, all of them with probability `p`, or none."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: float = 0.5) -> None:
        super().__init__()
        self.transforms = transforms
        self.p = p

    def forward(self, *inputs: Any) -> Any:
        value = inputs[0] if len(inputs) == 1 else inputs
        if self.p < ops.rand(1).item():
            return value
        return Compose(self.transforms)(*inputs)

    def __repr__(self) -> str:
        lines = [f"    {transform}" for transform in self.transforms]
        return "\n".join([f"{type(self).__name__}(", f"    p={self.p}", *lines, ")"])


class RandomChoice:
    """One transform of a list, drawn with Python's `random` as torchvision does."""

    def __init__(
        self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None
    ) -> None:
        if p is not None and not isinstance(p, (tuple, list)):
            raise TypeError("Argument p should be a sequence")
        self.transforms = transforms
        self.p = p

    def __call__(self, *args: Any) -> Any:
        return random.choices(self.transforms, weights=self.p)[0](*args)

    def __repr__(self) -> str:
        return f"{type(self).__name__}({self.transforms})(p={self.p})"


class RandomOrder:
    """All transforms of a list in an order drawn with Python's `random`."""

    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self.transforms = transforms

    def __call__(self, img: Any) -> Any:
        order = list(range(len(self.transforms)))
        random.shuffle(order)
        for place in order:
            img = self.transforms[place](img)
        return img
