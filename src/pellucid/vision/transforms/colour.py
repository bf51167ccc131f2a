"""Which colours pixels have. Pillow images and tensors (…, C, H, W) of one or three channels."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.tensor.dtype import float32, uint8
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import pillow
from pellucid.vision.transforms.conversion import (
    convert_image_dtype,
    get_dimensions,
    pil_to_tensor,
    require_image,
    to_pil_image,
)
from pellucid.vision.transforms.kinds import by_kind
from pellucid.vision.transforms.sampling import as_before, as_floats

GRAY = (0.2989, 0.587, 0.114)
"""How bright red, green and blue are (ITU-R 601)."""


def _channels(img: Tensor, permitted: Sequence[int]) -> int:
    count = get_dimensions(img)[0]
    if count not in permitted:
        raise TypeError(
            f"Input image tensor permitted channel values are {list(permitted)}, but found {count}"
        )
    return count


def _largest(img: Tensor) -> float:
    return 1.0 if img.is_floating_point() else 255.0


def largest_of(img: Any) -> float:
    """The largest value of an image: 1 where floating, else 255."""
    return _largest(img) if isinstance(img, Tensor) else 255.0


@by_kind
def permute_channels(inpt: Any, permutation: Sequence[int] | Tensor) -> Any:
    """The channels in another order: channel i of the result is channel permutation[i]."""
    require_image(inpt)
    order = [int(each) for each in permutation]
    if not isinstance(inpt, Tensor):
        return to_pil_image(permute_channels(pil_to_tensor(inpt), order), mode=inpt.mode)
    if len(order) != get_dimensions(inpt)[0]:
        raise ValueError(
            "Length of permutation does not match number of channels: "
            f"{len(order)} != {get_dimensions(inpt)[0]}"
        )
    return inpt[..., order, :, :]


@by_kind
def grayscale_to_rgb(inpt: Any) -> Any:
    """Three equal channels of one; coloured images stay."""
    require_image(inpt)
    if not isinstance(inpt, Tensor):
        return inpt.convert("RGB")
    return rgb_to_grayscale(inpt, 3) if get_dimensions(inpt)[0] == 1 else inpt


def _blend(first: Tensor, second: Tensor, ratio: float) -> Tensor:
    """`ratio` of the first and the rest of the second, cut to the range of the first."""
    mixed = ratio * first + (1.0 - ratio) * second
    result: Tensor = mixed.clamp(0, _largest(first)).to(first.dtype)
    return result


def _gray(img: Tensor) -> Tensor:
    r, g, b = img.unbind(dim=-3)
    result: Tensor = (GRAY[0] * r + GRAY[1] * g + GRAY[2] * b).to(img.dtype).unsqueeze(-3)
    return result


@by_kind
def rgb_to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """Brightness alone, in one channel or in three equal ones."""
    require_image(img)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    if not isinstance(img, Tensor):
        return to_grayscale(img, num_output_channels)
    found = _gray(img) if _channels(img, (1, 3)) == 3 else img
    if num_output_channels == 3:
        return found.expand(*found.shape[:-3], 3, *found.shape[-2:])
    return found


@by_kind
def to_grayscale(img: Any, num_output_channels: int = 1) -> Any:
    """`rgb_to_grayscale` of a Pillow image."""
    if isinstance(img, Tensor):
        raise TypeError("Input should be PIL Image: tensors have rgb_to_grayscale")
    require_image(img)
    if num_output_channels not in (1, 3):
        raise ValueError("num_output_channels should be either 1 or 3")
    gray = img.convert("L")
    if num_output_channels == 1:
        return gray
    return pillow().merge("RGB", (gray, gray, gray))


def _factor(name: str, value: float) -> None:
    if value < 0:
        raise ValueError(f"{name} ({value}) is not non-negative.")


@by_kind
def adjust_brightness(img: Any, brightness_factor: float) -> Any:
    """0 is black, 1 the image, 2 twice as bright."""
    _factor("brightness_factor", brightness_factor)
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageEnhance").Brightness(img).enhance(brightness_factor)
    _channels(img, (1, 3))
    return _blend(img, ops.zeros_like(img), brightness_factor)


@by_kind
def adjust_contrast(img: Any, contrast_factor: float) -> Any:
    """0 is the mean grey, 1 the image, 2 twice as far from the mean."""
    _factor("contrast_factor", contrast_factor)
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageEnhance").Contrast(img).enhance(contrast_factor)
    gray = _gray(img) if _channels(img, (1, 3)) == 3 else img
    kind = img.dtype if img.is_floating_point() else float32
    mean = gray.to(kind).mean(dim=(-3, -2, -1), keepdim=True)
    return _blend(img, mean, contrast_factor)


@by_kind
def adjust_saturation(img: Any, saturation_factor: float) -> Any:
    """0 is grey, 1 the image, 2 twice as colourful."""
    _factor("saturation_factor", saturation_factor)
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageEnhance").Color(img).enhance(saturation_factor)
    if _channels(img, (1, 3)) == 1:
        return img
    return _blend(img, _gray(img), saturation_factor)


@by_kind
def adjust_sharpness(img: Any, sharpness_factor: float) -> Any:
    """0 is blurred, 1 the image, 2 sharpened."""
    _factor("sharpness_factor", sharpness_factor)
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageEnhance").Sharpness(img).enhance(sharpness_factor)
    channels = _channels(img, (1, 3))
    if min(img.shape[-2:]) <= 2:
        return img
    batch, whole = as_floats(img)
    kernel = ops.ones((3, 3), dtype=batch.dtype)
    kernel[1, 1] = 5.0
    kernel = (kernel / kernel.sum()).expand(channels, 1, 3, 3)
    inner = F.conv2d(batch, kernel, groups=channels)
    blurred = batch.clone()
    blurred[..., 1:-1, 1:-1] = inner.round() if whole else inner
    return _blend(img, blurred.reshape(img.shape).to(img.dtype), sharpness_factor)


@by_kind
def adjust_gamma(img: Any, gamma: float, gain: float = 1) -> Any:
    """gain · value ** gamma, with values from 0 to 1."""
    _factor("gamma", gamma)
    require_image(img)
    if isinstance(img, Tensor):
        largest = _largest(img)
        found = (gain * (img.to(float32) / largest) ** gamma).clamp(0, 1)
        if img.is_floating_point():
            return found.to(img.dtype)
        return (found * (largest + 1 - 1e-3)).to(img.dtype)
    mode = img.mode
    table = [int((255 + 1 - 1e-3) * gain * pow(value / 255.0, gamma)) for value in range(256)] * 3
    return img.convert("RGB").point(table).convert(mode)


@by_kind
def adjust_hue(img: Any, hue_factor: float) -> Any:
    """The circle of hues turned by `hue_factor` of a full turn, from -0.5 to 0.5."""
    if not -0.5 <= hue_factor <= 0.5:
        raise ValueError(f"hue_factor ({hue_factor}) is not in [-0.5, 0.5].")
    require_image(img)
    if not isinstance(img, Tensor):
        return _turned_pillow(img, hue_factor)
    if _channels(img, (1, 3)) == 1:
        return img
    h, s, v = _to_hsv(convert_image_dtype(img, float32)).unbind(dim=-3)
    found = _to_rgb(ops.stack(((h + hue_factor) % 1.0, s, v), dim=-3))
    return convert_image_dtype(found, img.dtype)


def _turned_pillow(img: Any, hue_factor: float) -> Any:
    mode = img.mode
    if mode in ("L", "1", "I", "F"):
        return img
    h, s, v = img.convert("HSV").split()
    turned = np.array(h, np.uint8) + np.uint8(int(hue_factor * 255) % 256)
    return pillow().merge("HSV", (pillow().fromarray(turned), s, v)).convert(mode)


def _to_hsv(img: Tensor) -> Tensor:
    r, g, b = img.unbind(dim=-3)
    high, low = img.amax(dim=-3), img.amin(dim=-3)
    gray = high == low
    span = high - low
    s = span / ops.where(gray, ops.ones_like(high), high)
    divisor = ops.where(gray, ops.ones_like(high), span)
    rc, gc, bc = (high - r) / divisor, (high - g) / divisor, (high - b) / divisor
    hr = (high == r) * (bc - gc)
    hg = ((high == g) & (high != r)) * (2.0 + rc - bc)
    hb = ((high != g) & (high != r)) * (4.0 + gc - rc)
    h = ((hr + hg + hb) / 6.0 + 1.0) % 1.0
    return ops.stack((h, s, high), dim=-3)


def _to_rgb(img: Tensor) -> Tensor:
    h, s, v = img.unbind(dim=-3)
    sector = (h * 6.0).floor()
    f = h * 6.0 - sector
    p = (v * (1.0 - s)).clamp(0.0, 1.0)
    q = (v * (1.0 - s * f)).clamp(0.0, 1.0)
    t = (v * (1.0 - s * (1.0 - f))).clamp(0.0, 1.0)
    number = sector.to(uint8) % 6
    choices = ((v, q, p, p, t, v), (t, v, v, q, p, p), (p, p, t, v, v, q))
    planes = []
    for six in choices:
        plane = ops.zeros_like(v)
        for place, value in enumerate(six):
            plane = ops.where(number == place, value, plane)
        planes.append(plane)
    return ops.stack(planes, dim=-3)


# -- tables: each value on its own


@by_kind
def invert(img: Any) -> Any:
    """The negative."""
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageOps").invert(img)
    return _largest(img) - img if img.is_floating_point() else 255 - img


@by_kind
def posterize(img: Any, bits: int) -> Any:
    """Only the `bits` highest bits of each byte kept."""
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageOps").posterize(img, bits)
    if img.dtype is not uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")
    return img & (256 - 2 ** (8 - bits))


@by_kind
def solarize(img: Any, threshold: float) -> Any:
    """Values from `threshold` on inverted."""
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageOps").solarize(img, threshold)
    if threshold > _largest(img):
        raise TypeError("Threshold should be less than bound of img.")
    return ops.where(img >= threshold, invert(img), img)


@by_kind
def autocontrast(img: Any) -> Any:
    """Each channel stretched from its least value to its largest."""
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageOps").autocontrast(img)
    largest = _largest(img)
    values = img if img.is_floating_point() else img.to(float32)
    low, high = values.amin(dim=(-2, -1), keepdim=True), values.amax(dim=(-2, -1), keepdim=True)
    flat = high == low
    scale = largest / ops.where(flat, ops.ones_like(high), high - low)
    found = ((values - ops.where(flat, ops.zeros_like(low), low)) * scale).clamp(0, largest)
    return ops.where(flat, values, found).to(img.dtype)


@by_kind
def equalize(img: Any) -> Any:
    """Each channel's histogram made flat."""
    require_image(img)
    if not isinstance(img, Tensor):
        return pillow("ImageOps").equalize(img)
    if img.dtype is not uint8:
        raise TypeError(f"Only torch.uint8 image tensors are supported, but found {img.dtype}")
    if not img.numel():
        return img.clone()
    planes = img.reshape(-1, *img.shape[-2:])
    done = [pil_to_tensor(equalize(to_pil_image(plane[None]))) for plane in planes]
    return ops.stack(done).reshape(img.shape)


# -- neighbourhoods and statistics


@by_kind
def gaussian_blur(
    img: Any, kernel_size: int | Sequence[int], sigma: float | Sequence[float] | None = None
) -> Any:
    """Blurred with a Gaussian window of (width, height) and standard deviations (x, y)."""
    require_image(img)
    if not isinstance(kernel_size, (int, list, tuple)):
        raise TypeError(
            f"kernel_size should be int or a sequence of integers. Got {type(kernel_size)}"
        )
    sizes = [kernel_size] * 2 if isinstance(kernel_size, int) else list(kernel_size)
    if len(sizes) != 2:
        raise ValueError(f"If kernel_size is a sequence its length should be 2. Got {len(sizes)}")
    if any(size % 2 == 0 or size < 0 for size in sizes):
        raise ValueError(f"kernel_size should have odd and positive integers. Got {sizes}")
    if sigma is None:
        spread = [size * 0.15 + 0.35 for size in sizes]
    elif isinstance(sigma, (int, float)):
        spread = [float(sigma)] * 2
    elif isinstance(sigma, (list, tuple)):
        spread = [float(value) for value in sigma] * (2 if len(sigma) == 1 else 1)
    else:
        raise TypeError(f"sigma should be either float or sequence of floats. Got {type(sigma)}")
    if len(spread) != 2:
        raise ValueError(f"If sigma is a sequence, its length should be 2. Got {len(spread)}")
    if min(spread) <= 0.0:
        raise ValueError(f"sigma should have positive values. Got {spread}")
    if not isinstance(img, Tensor):
        return to_pil_image(gaussian_blur(pil_to_tensor(img), sizes, spread), mode=img.mode)
    batch, whole = as_floats(img)
    lines = []
    for size, wide in zip(sizes, spread, strict=True):
        half = (size - 1) * 0.5
        weight = ops.exp(-0.5 * (ops.linspace(-half, half, size).to(batch.dtype) / wide) ** 2)
        lines.append(weight / weight.sum())
    kernel = (lines[1][:, None] * lines[0][None, :]).expand(batch.shape[1], 1, sizes[1], sizes[0])
    around = [sizes[0] // 2, sizes[0] // 2, sizes[1] // 2, sizes[1] // 2]
    found = F.conv2d(F.pad(batch, around, mode="reflect"), kernel, groups=batch.shape[1])
    return as_before(found, img, whole)


@by_kind
def normalize(
    tensor: Tensor, mean: Sequence[float], std: Sequence[float], inplace: bool = False
) -> Tensor:
    """(value - mean) / std of each channel of a floating-point tensor (…, C, H, W).

    Raises: TypeError for Pillow images and whole numbers; ValueError for a deviation of 0.
    """
    if not isinstance(tensor, Tensor):
        raise TypeError(
            f"img should be Tensor Image. Got {type(tensor)}\n  Put ToTensor() before Normalize()."
        )
    if not tensor.is_floating_point():
        raise TypeError(f"Input tensor should be a float tensor. Got {tensor.dtype}.")
    if tensor.dim() < 3:
        raise ValueError(
            "Expected tensor to be a tensor image of size (..., C, H, W). Got tensor.size() = "
            f"{tensor.size()}"
        )
    middle = ops.as_tensor(mean, dtype=tensor.dtype)
    spread = ops.as_tensor(std, dtype=tensor.dtype)
    if bool((spread == 0).any()):
        raise ValueError(
            f"std evaluated to zero after conversion to {tensor.dtype}, leading to division by "
            "zero."
        )
    middle = middle.reshape(-1, 1, 1) if middle.dim() == 1 else middle
    spread = spread.reshape(-1, 1, 1) if spread.dim() == 1 else spread
    target = tensor if inplace else tensor.clone()
    return target.sub_(middle).div_(spread)


@by_kind
def erase(
    img: Tensor, i: int, j: int, h: int, w: int, v: Tensor | float, inplace: bool = False
) -> Tensor:
    """The rectangle from (i, j) of a tensor (…, C, H, W) filled with `v`."""
    if not isinstance(img, Tensor):
        raise TypeError(f"img should be Tensor Image. Got {type(img)}")
    target = img if inplace else img.clone()
    target[..., i : i + h, j : j + w] = v
    return target
