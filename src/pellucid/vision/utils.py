"""Pictures of pictures: grids, boxes, masks and points drawn on images (C, H, W)."""

from __future__ import annotations

import io
import math
import os
import warnings
from collections.abc import Sequence
from pathlib import Path
from typing import Any, BinaryIO

from pellucid import ops
from pellucid.autograd.modes import no_grad
from pellucid.io.atomic import atomic_writer
from pellucid.ops.arguments import type_name
from pellucid.tensor.dtype import bool_, uint8
from pellucid.tensor.tensor import Tensor
from pellucid.vision.flow import flow_to_image as flow_to_image
from pellucid.vision.pillow import pillow
from pellucid.vision.transforms.conversion import convert_image_dtype, pil_to_tensor, to_pil_image

Colour = str | tuple[int, int, int]
Colours = Colour | Sequence[Colour] | None


@no_grad()
def make_grid(
    tensor: Tensor | list[Tensor],
    nrow: int = 8,
    padding: int = 2,
    normalize: bool = False,
    value_range: tuple[float, float] | None = None,
    scale_each: bool = False,
    pad_value: float = 0.0,
) -> Tensor:
    """Images (N, C, H, W) side by side, `nrow` in each row: (3, height, width).

    `normalize` stretches them to 0 … 1, from `value_range` or from their extremes, together or,
    with `scale_each`, one by one.
    """
    if isinstance(tensor, list):
        for each in tensor:
            if not isinstance(each, Tensor):
                raise TypeError(
                    f"tensor or list of tensors expected, got a list with {type_name(each)}"
                )
        tensor = ops.stack(tensor, dim=0)
    if not isinstance(tensor, Tensor):
        raise TypeError(f"tensor or list of tensors expected, got {type_name(tensor)}")
    images: Tensor = tensor[None] if tensor.dim() == 2 else tensor
    if images.dim() == 3:
        images = images[None]
    if images.size(1) == 1:
        images = ops.cat((images, images, images), 1)
    if normalize:
        if value_range is not None and not isinstance(value_range, tuple):
            raise TypeError(
                "value_range has to be a tuple (min, max) if specified. min and max are numbers"
            )
        images = _stretched(images.clone(), value_range, scale_each)
    if images.size(0) == 1:
        return images.squeeze(0)
    count = images.size(0)
    across = min(nrow, count)
    down = math.ceil(count / across)
    high, wide = images.size(2) + padding, images.size(3) + padding
    grid = images.new_full(
        (images.size(1), high * down + padding, wide * across + padding), pad_value
    )
    for place in range(count):
        row, column = divmod(place, across)
        top, left = row * high + padding, column * wide + padding
        grid[:, top : top + images.size(2), left : left + images.size(3)] = images[place]
    return grid


def _stretched(images: Tensor, value_range: tuple[float, float] | None, each: bool) -> Tensor:
    for image in images if each else [images]:
        if value_range is not None:
            low, high = value_range
        else:
            low, high = float(image.min()), float(image.max())
        image.clamp_(min=low, max=high).sub_(low).div_(max(high - low, 1e-5))
    return images


@no_grad()
def save_image(
    tensor: Tensor | list[Tensor],
    fp: str | os.PathLike[str] | BinaryIO,
    format: str | None = None,
    **kwargs: Any,
) -> None:
    """Write images as one picture (`make_grid` takes `kwargs`); it appears whole or not at all."""
    grid = make_grid(tensor, **kwargs)
    image = to_pil_image(grid.mul(255).add(0.5).clamp(0, 255).to(uint8))
    written = io.BytesIO()
    if isinstance(fp, (str, os.PathLike)):
        ending = Path(fp).suffix
        known = pillow().registered_extensions()
        if format is None and ending.lower() not in known:
            raise ValueError(f"unknown file extension: {ending}")
        image.save(written, format or known[ending.lower()])
        with atomic_writer(fp) as file:
            file.write(written.getvalue())
    else:
        if format is None:
            raise ValueError("save_image: a file object needs format=, such as 'png'")
        image.save(fp, format)


def _require_picture(image: Any, words: str = "The image must be a tensor, got") -> None:
    if not isinstance(image, Tensor):
        raise TypeError(f"{words} {type(image)}")
    if not (image.dtype is uint8 or image.is_floating_point()):
        raise ValueError(f"The image dtype must be uint8 or float, got {image.dtype}")
    if image.dim() != 3:
        raise ValueError("Pass individual images, not batches")
    if image.size(0) not in (1, 3):
        raise ValueError("Only grayscale and RGB images are supported")


def _to_bytes(image: Tensor) -> Tensor:
    bytes_ = convert_image_dtype(image.clamp(0, 1) if image.is_floating_point() else image, uint8)
    return bytes_ if bytes_.size(0) == 3 else bytes_.expand(3, -1, -1)


def _as_before(drawn: Tensor, image: Tensor) -> Tensor:
    return drawn if image.dtype is uint8 else (drawn.to(image.dtype) / 255)


def _generate_color_palette(num_objects: int) -> list[tuple[int, int, int]]:
    """Colours that differ: multiples of three large numbers."""
    base = (2**25 - 1, 2**15 - 1, 2**21 - 1)
    return [(base[0] * i % 255, base[1] * i % 255, base[2] * i % 255) for i in range(num_objects)]


def _colours(colours: Colours, count: int) -> list[tuple[int, int, int]]:
    if colours is None:
        found: list[Colour] = [*_generate_color_palette(count)]
    elif isinstance(colours, list):
        if len(colours) < count:
            raise ValueError(
                "Number of colors must be equal or larger than the number of objects, but got "
                f"{len(colours)} < {count}."
            )
        found = list(colours)
    elif isinstance(colours, (str, tuple)):
        found = [colours] * count
    else:
        raise ValueError("colors must be a tuple or a string, or a list thereof")
    colour_of = pillow("ImageColor").getrgb
    return [colour_of(each) if isinstance(each, str) else each for each in found]


@no_grad()
def draw_bounding_boxes(
    image: Tensor,
    boxes: Tensor,
    labels: list[str | None] | None = None,
    colors: Colours = None,
    fill: bool | None = False,
    width: int = 1,
    font: str | None = None,
    font_size: int | None = None,
    label_colors: Colours = None,
    label_background_colors: Colours = None,
    fill_labels: bool = False,
) -> Tensor:
    """Boxes (N, 4) as (x1, y1, x2, y2), cut to whole pixels, drawn on an image (C, H, W).

    Each may have a label, in its own colour, or with `fill_labels` on a ground of that colour.

    Raises: ValueError for boxes with x1 > x2 or y1 > y2, or fewer labels or colours than boxes.
    """
    _require_picture(image, "Tensor expected, got")
    if boxes.numel() == 0:
        warnings.warn("boxes doesn't contain any box. No box was drawn", stacklevel=2)
        return image
    if boxes.dim() != 2 or boxes.size(1) != 4:
        raise ValueError(f"boxes must be (N, 4), got {list(boxes.shape)}")
    if not bool(boxes.isfinite().all()):
        raise ValueError("boxes must be finite; draw boxes[boxes.isfinite().all(dim=1)]")
    if bool((boxes[:, 0] > boxes[:, 2]).any()) or bool((boxes[:, 1] > boxes[:, 3]).any()):
        raise ValueError(
            "Boxes need to be in (xmin, ymin, xmax, ymax) format. Use torchvision.ops.box_convert "
            "to convert them"
        )
    count = boxes.shape[0]
    names = [None] * count if labels is None else labels
    if len(names) != count:
        raise ValueError(
            f"Number of boxes ({count}) and labels ({len(names)}) mismatch. Please specify "
            "labels for each box."
        )
    plain = [(*corners, name) for corners, name in zip(boxes.long().tolist(), names, strict=True)]
    own = _colours(colors, count)
    letters_in = own
    if label_colors is not None or fill_labels:
        letters_in = _colours(label_colors if label_colors is not None else "black", count)
    ground = _colours(label_background_colors, count) if label_background_colors else own
    canvas = to_pil_image(_to_bytes(image))
    pen = pillow("ImageDraw").Draw(canvas, "RGBA" if fill else None)
    letters = _letters(font, font_size)
    for (*corners, name), colour, ink, back in zip(plain, own, letters_in, ground, strict=False):
        inner = (*colour, 100) if fill else None
        pen.rectangle(corners, fill=inner, outline=colour, width=width)
        if name is not None:
            at = (corners[0] + width + 1, corners[1] + width + 1)
            if fill_labels:
                left, top, right, bottom = pen.textbbox(at, name, font=letters)
                pen.rectangle((left - 1, top - 1, right + 1, bottom + 1), fill=back)
            pen.text(at, name, fill=ink, font=letters)
    return _as_before(pil_to_tensor(canvas), image)


def _letters(font: str | None, size: int | None) -> Any:
    fonts = pillow("ImageFont")
    if font is not None:
        return fonts.truetype(font, size or 10)
    if size is not None:
        warnings.warn("Argument 'font_size' will be ignored since 'font' is not set.", stacklevel=3)
    return fonts.load_default()


@no_grad()
def draw_segmentation_masks(
    image: Tensor, masks: Tensor, alpha: float = 0.8, colors: Colours = None
) -> Tensor:
    """Boolean masks (N, H, W) or (H, W) laid over an image (3, H, W), `alpha` opaque; black where
    masks overlap.

    Raises: TypeError or ValueError for masks of another dtype or size.
    """
    _require_picture(image)
    if masks.dim() == 2:
        masks = masks[None]
    if masks.dim() != 3:
        raise ValueError("masks must be of shape (H, W) or (batch_size, H, W)")
    if masks.dtype is not bool_:
        raise ValueError(f"The masks must be of dtype bool. Got {masks.dtype}")
    if masks.shape[-2:] != image.shape[-2:]:
        raise ValueError("The image and the masks must have the same height and width")
    count = masks.size(0)
    if not count:
        warnings.warn("masks doesn't contain any mask. No mask was drawn", stacklevel=2)
        return image
    largest = 1 if image.is_floating_point() else 255
    painted = image.detach().clone()
    for mask, colour in zip(masks, _colours(colors, count), strict=False):
        ink = ops.tensor([value / 255 * largest for value in colour]).to(image.dtype)
        painted = ops.where(mask, ink[:, None, None], painted)
    painted = ops.where(masks.sum(dim=0) > 1, ops.zeros_like(painted), painted)
    mixed: Tensor = (image * (1 - alpha) + painted * alpha).to(image.dtype)
    return mixed


@no_grad()
def draw_keypoints(
    image: Tensor,
    keypoints: Tensor,
    connectivity: list[tuple[int, int]] | None = None,
    colors: Colour | None = None,
    radius: int = 2,
    width: int = 3,
    visibility: Tensor | None = None,
) -> Tensor:
    """Points (N, K, 2) as (x, y) drawn on an image (C, H, W), and lines between those of an
    instance that `connectivity` pairs, in white; `visibility` (N, K) hides some."""
    _require_picture(image)
    if image.size(0) != 3:
        raise ValueError("Pass an RGB image. Other Image formats are not supported")
    if keypoints.dim() != 3 or keypoints.size(-1) != 2:
        raise ValueError("keypoints must be of shape (num_instances, K, 2)")
    seen = ops.ones(keypoints.shape[:2], dtype=bool_) if visibility is None else visibility
    seen = seen.squeeze(-1) if seen.dim() == 3 else seen
    if seen.dim() != 2:
        raise ValueError(f"visibility must be of shape (num_instances, K). Got ndim={seen.dim()}")
    if seen.shape != keypoints.shape[:-1]:
        raise ValueError(
            "keypoints and visibility must have the same dimensionality for num_instances and K. "
            f"Got visibility.shape={tuple(seen.shape)} and keypoints.shape={tuple(keypoints.shape)}"
        )
    canvas = to_pil_image(_to_bytes(image))
    pen = pillow("ImageDraw").Draw(canvas)
    for points, shown in zip(keypoints.long().tolist(), seen.bool().tolist(), strict=True):
        for (x, y), visible in zip(points, shown, strict=True):
            if visible:
                around = [x - radius, y - radius, x + radius, y + radius]
                pen.ellipse(around, fill=colors, outline=None, width=0)
        for first, second in connectivity or ():
            if shown[first] and shown[second]:
                pen.line([*points[first], *points[second]], width=width)
    return _as_before(pil_to_tensor(canvas), image)
