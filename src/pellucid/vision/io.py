"""Images in files and bytes, as tensors (C, H, W) of uint8. Pillow decodes and encodes."""

from __future__ import annotations

import io
import os
from enum import Enum
from typing import Any

import numpy as np

from pellucid.io.atomic import atomic_writer
from pellucid.tensor.dtype import uint8
from pellucid.tensor.tensor import Tensor, from_numpy
from pellucid.vision.pillow import pillow
from pellucid.vision.transforms.conversion import pil_to_tensor, to_pil_image


class ImageReadMode(Enum):
    """Which colours are asked for; UNCHANGED keeps the file's."""

    UNCHANGED = 0
    GRAY = 1
    GRAY_ALPHA = 2
    RGB = 3
    RGB_ALPHA = 4


_MODES = {
    ImageReadMode.GRAY: "L",
    ImageReadMode.GRAY_ALPHA: "LA",
    ImageReadMode.RGB: "RGB",
    ImageReadMode.RGB_ALPHA: "RGBA",
}


def read_file(path: str | os.PathLike[str]) -> Tensor:
    """The bytes of a file as a tensor (L,) of uint8. Raises RuntimeError if it cannot be read."""
    try:
        with open(path, "rb") as file:
            data = file.read()
    except OSError as error:
        raise RuntimeError(f"[Errno {error.errno}] {error.strerror}: '{os.fspath(path)}'") from None
    return from_numpy(np.frombuffer(data, np.uint8).copy())


def write_file(filename: str | os.PathLike[str], data: Tensor) -> None:
    """Write a tensor (L,) of uint8 to a file, which appears whole or not at all."""
    if data.dtype is not uint8 or data.dim() != 1:
        raise RuntimeError(
            f"write_file: data must be a 1-dimensional uint8 tensor, got {data.dtype}"
        )
    with atomic_writer(filename) as file:
        file.write(data.numpy().tobytes())


def _decoded(data: bytes, mode: ImageReadMode, turn: bool, name: str) -> Tensor:
    image_module = pillow()
    try:
        image = image_module.open(io.BytesIO(data))
        image.load()
    except (OSError, SyntaxError, ValueError) as error:
        raise RuntimeError(f"{name} is no image that can be decoded: {error}") from None
    if turn:
        image = pillow("ImageOps").exif_transpose(image)
    if mode is not ImageReadMode.UNCHANGED:
        image = image.convert(_MODES[mode])
    elif image.mode in ("P", "CMYK", "1"):
        image = image.convert("L" if image.mode == "1" else "RGB")
    return pil_to_tensor(image)


def decode_image(
    input: Tensor | str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """A picture in bytes (a tensor (L,) of uint8, or a file's name) as a tensor (C, H, W).

    Raises: RuntimeError for what is no picture.
    """
    if isinstance(mode, str):
        mode = ImageReadMode[mode.upper()]
    if not isinstance(input, Tensor):
        return read_image(input, mode, apply_exif_orientation)
    if input.dtype is not uint8 or input.dim() != 1 or not input.numel():
        raise RuntimeError(
            "decode_image: input must be a non-empty 1-dimensional uint8 tensor, got "
            f"{input.dtype} of shape {list(input.shape)}"
        )
    return _decoded(input.numpy().tobytes(), mode, apply_exif_orientation, "the input")


decode_jpeg = decode_png = decode_gif = decode_webp = decode_image


def read_image(
    path: str | os.PathLike[str],
    mode: ImageReadMode | str = ImageReadMode.UNCHANGED,
    apply_exif_orientation: bool = False,
) -> Tensor:
    """The picture of a file as a tensor (C, H, W) of uint8 (int32 for 16 bits a channel).

    Raises: RuntimeError if there is no such file, or no picture in it.
    """
    if isinstance(mode, str):
        mode = ImageReadMode[mode.upper()]
    data = read_file(path).numpy().tobytes()
    return _decoded(data, mode, apply_exif_orientation, os.fspath(path))


def _encoded(input: Tensor, kind: str, **options: Any) -> Tensor:
    if not isinstance(input, Tensor) or input.dtype is not uint8:
        raise RuntimeError("Input tensor dtype should be uint8")
    if input.dim() != 3 or input.shape[0] not in (1, 3):
        raise RuntimeError(
            f"The number of channels should be 1 or 3, got a tensor of shape {list(input.shape)}"
        )
    written = io.BytesIO()
    to_pil_image(input).save(written, kind, **options)
    return from_numpy(np.frombuffer(written.getvalue(), np.uint8).copy())


def encode_png(input: Tensor, compression_level: int = 6) -> Tensor:
    """A picture (C, H, W) of uint8 as the bytes of a PNG (L,)."""
    if not 0 <= compression_level <= 9:
        raise RuntimeError("Compression level should be between 0 and 9")
    return _encoded(input, "png", compress_level=compression_level)


def encode_jpeg(input: Tensor, quality: int = 75) -> Tensor:
    """A picture (C, H, W) of uint8 as the bytes of a JPEG (L,)."""
    if not 1 <= quality <= 100:
        raise ValueError("Image quality should be a positive number between 1 and 100")
    return _encoded(input, "jpeg", quality=quality)


def write_png(input: Tensor, filename: str | os.PathLike[str], compression_level: int = 6) -> None:
    """Write a picture (C, H, W) of uint8 as PNG."""
    write_file(filename, encode_png(input, compression_level))


def write_jpeg(input: Tensor, filename: str | os.PathLike[str], quality: int = 75) -> None:
    """Write a picture (C, H, W) of uint8 as JPEG."""
    write_file(filename, encode_jpeg(input, quality))
