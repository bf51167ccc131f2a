"""Images from one representation to another: Pillow, arrays, tensors, element types.

A tensor is an image (…, C, H, W): floating-point from 0 to 1, integers from 0 to their largest.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid import ops
from pellucid.ops.arguments import type_name
from pellucid.tensor.dtype import bool_, dtype, float32, get_default_dtype, iinfo, uint8
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import is_pillow, pillow, pixels, planes
from pellucid.vision.transforms.kinds import by_kind, kernel
from pellucid.vision.tv_tensors import BoundingBoxes, Image, Mask, TVTensor, plain, wrap

_WIDE_MODES = {"I": np.int32, "I;16": np.int16, "F": np.float32}


def is_image(value: Any) -> bool:
    """Whether `value` is a Pillow image, or a tensor of at least two dimensions."""
    return is_pillow(value) or (isinstance(value, Tensor) and value.dim() >= 2)


def require_image(value: Any) -> None:
    """TypeError unless `value` is an image."""
    if isinstance(value, Tensor) and value.dim() < 2:
        raise TypeError(f"Tensor is not a torch image: its shape is {list(value.shape)}")
    if not is_image(value):
        raise TypeError(
            f"img should be PIL Image or Tensor. Got {type_name(value)}\n"
            "  An array becomes one with torchvision.transforms.functional.to_tensor."
        )


@by_kind
def get_dimensions(img: Any) -> list[int]:
    """[channels, height, width]."""
    require_image(img)
    if isinstance(img, Tensor):
        return [1 if img.dim() == 2 else img.shape[-3], *img.shape[-2:]]
    width, height = img.size
    return [len(img.getbands()), height, width]


@by_kind
def get_size(inpt: Any) -> list[int]:
    """[height, width] of an image, a mask, or what boxes lie on."""
    return get_dimensions(inpt)[1:]


@kernel("get_size", Mask)
def _size_of_mask(inpt: Mask) -> list[int]:
    return list(inpt.shape[-2:])


@kernel("get_size", BoundingBoxes)
def _size_of_canvas(inpt: BoundingBoxes) -> list[int]:
    return list(inpt.canvas_size)


@by_kind
def get_num_channels(inpt: Any) -> int:
    """How many channels the image has."""
    return int(get_dimensions(inpt)[0])


@by_kind
def get_image_size(img: Any) -> list[int]:
    """[width, height]."""
    _, height, width = get_dimensions(img)
    return [width, height]


get_image_num_channels = get_num_channels
"""Its name in the first edition."""


def to_tensor(pic: Any) -> Tensor:
    """A Pillow image or an array (H, W, C) as a tensor (C, H, W); bytes become 0 to 1.

    Raises: TypeError for anything else; ValueError for an array of other ranks.
    """
    if isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        found = planes(pic)
        return found.to(get_default_dtype()) / 255 if pic.dtype == np.uint8 else found
    if not is_pillow(pic):
        raise TypeError(f"pic should be PIL Image or ndarray. Got {type(pic)}")
    if pic.mode in _WIDE_MODES:
        return planes(np.asarray(pic, _WIDE_MODES[pic.mode]))
    found = pil_to_tensor(pic)
    if pic.mode == "1":
        return found.to(get_default_dtype())  # pil_to_tensor has made 0 and 1 of it
    return found.to(get_default_dtype()) / 255


def pil_to_tensor(pic: Any) -> Tensor:
    """A Pillow image as a tensor (C, H, W) with the same numbers. Raises TypeError for others."""
    if not is_pillow(pic):
        raise TypeError(f"pic should be PIL Image. Got {type(pic)}")
    return pixels(pic)


def to_pil_image(pic: Any, mode: str | None = None) -> Any:
    """A tensor (C, H, W) or an array (H, W, C) as a Pillow image; fractions become bytes.

    Raises: TypeError or ValueError for what no Pillow mode holds.
    """
    if isinstance(pic, Tensor):
        if pic.dim() not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.dim()} dimensions.")
        planes = pic if pic.dim() == 3 else pic[None]
        if planes.shape[-3] > 4:
            raise ValueError(f"pic should not have > 4 channels. Got {planes.shape[-3]} channels.")
        if planes.is_floating_point() and mode != "F":
            planes = (planes * 255).to(uint8)
        array = planes.detach().numpy().transpose(1, 2, 0)
    elif isinstance(pic, np.ndarray):
        if pic.ndim not in (2, 3):
            raise ValueError(f"pic should be 2/3 dimensional. Got {pic.ndim} dimensions.")
        array = pic if pic.ndim == 3 else pic[:, :, None]
        if array.shape[-1] > 4:
            raise ValueError(f"pic should not have > 4 channels. Got {array.shape[-1]} channels.")
    else:
        raise TypeError(f"pic should be Tensor or ndarray. Got {type(pic)}.")
    return _from_array(np.ascontiguousarray(array), mode)


_MODES = {
    1: {"uint8": "L", "int16": "I;16", "int32": "I", "float32": "F"},
    2: {"uint8": "LA"},
    3: {"uint8": "RGB"},
    4: {"uint8": "RGBA"},
}
_PERMITTED = {2: ("LA",), 3: ("RGB", "YCbCr", "HSV"), 4: ("RGBA", "CMYK", "RGBX")}


def _from_array(array: np.ndarray, mode: str | None) -> Any:
    channels = array.shape[2]
    expected = _MODES[channels].get(array.dtype.name)
    if channels == 1 and mode is not None and mode != expected:
        raise ValueError(
            f"Incorrect mode ({mode}) supplied for input type {array.dtype}. Should be {expected}"
        )
    if channels > 1 and mode is not None and mode not in _PERMITTED[channels]:
        raise ValueError(
            f"Only modes {list(_PERMITTED[channels])} are supported for {channels}D inputs"
        )
    if expected is None:
        raise TypeError(f"Input type {array.dtype} is not supported")
    image = pillow().fromarray(array[:, :, 0] if channels == 1 else array)
    mode = mode or expected
    if image.mode == mode:
        return image
    return pillow().frombytes(mode, image.size, array.tobytes())


@by_kind
def convert_image_dtype(image: Tensor, dtype: dtype = float32) -> Tensor:
    """The same image in another element type: 0 to 1 where floating, 0 to the largest where whole.

    Raises: TypeError unless `image` is a tensor; RuntimeError for float32 to int32 or int64, which
    cannot be exact.
    """
    if not isinstance(image, Tensor):
        raise TypeError(f"Input img should be Tensor Image, not {type_name(image)}")
    if image.dtype is dtype:
        return image
    if image.is_floating_point():
        if dtype.is_floating_point:
            return image.to(dtype)
        wide = {"float32": ("int32", "int64"), "float64": ("int64",)}
        if dtype.name in wide.get(image.dtype.name, ()):
            raise RuntimeError(
                f"The cast from {image.dtype} to {dtype} cannot be performed safely."
            )
        # Just below the next whole number: 1.0 is the largest and every value has an equal share.
        largest = iinfo(dtype).max if dtype is not bool_ else 1
        return (image * (largest + 1.0 - 1e-3)).to(dtype)
    largest = _largest(image.dtype)
    if dtype.is_floating_point:
        return image.to(dtype) / largest
    target = _largest(dtype)
    if largest > target:
        factor = (largest + 1) // (target + 1)
        return ops.div(image, factor, rounding_mode="floor").to(dtype)
    return image.to(dtype) * ((target + 1) // (largest + 1))


def _largest(kind: dtype) -> int:
    return 1 if kind is bool_ else int(iinfo(kind).max)


@by_kind
def to_dtype(inpt: Any, dtype: dtype = float32, scale: bool = False) -> Any:
    """The tensor in `dtype`; with `scale` its values move to the new type's range."""
    return convert_image_dtype(inpt, dtype) if scale else inpt.to(dtype)


@kernel("to_dtype", Mask)
@kernel("to_dtype", BoundingBoxes)
def _same_numbers(inpt: TVTensor, dtype: dtype = float32, scale: bool = False) -> Any:
    return wrap(plain(inpt).to(dtype), like=inpt)


def to_image(inpt: Any) -> Image:
    """A Pillow image, an array (H, W, C) or a tensor as `tv_tensors.Image` (C, H, W)."""
    if isinstance(inpt, np.ndarray):
        return Image(planes(inpt))
    if isinstance(inpt, Tensor) or is_pillow(inpt):
        return Image(plain(inpt) if isinstance(inpt, TVTensor) else inpt)
    raise TypeError(
        f"Input can either be a pure Tensor, a numpy array, or a PIL image, but got {type(inpt)}"
    )
