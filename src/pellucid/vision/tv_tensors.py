"""Tensors that say what they are: an image, a video, boxes, a mask. torchvision's `tv_tensors`.

Transforms of the second edition ask for the type and change each part of a sample in its own way.
Operators give plain tensors; `clone`, `to`, `detach` and `requires_grad_` keep the type, and `wrap`
gives it back.
"""

from __future__ import annotations

import copy
from collections.abc import Sequence
from enum import Enum
from typing import Any, Self

from pellucid import ops
from pellucid.ops.arguments import type_name
from pellucid.ops.memory.copying import user_attributes
from pellucid.tensor.dtype import dtype as element_type
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import is_pillow, pixels

__all__ = [
    "BoundingBoxFormat",
    "BoundingBoxes",
    "Image",
    "Mask",
    "TVTensor",
    "Video",
    "is_rotated_bounding_format",
    "wrap",
]


def plain(value: Tensor) -> Tensor:
    """The same memory as an ordinary tensor."""
    result: Tensor = value.as_subclass(Tensor)
    return result


class TVTensor(Tensor):
    """What all of them share. Derive from it to give transforms a kind of your own."""

    @staticmethod
    def _to_tensor(
        data: Any, dtype: element_type | None, device: Any, requires_grad: bool | None
    ) -> Tensor:
        if requires_grad is None:
            requires_grad = isinstance(data, Tensor) and data.requires_grad
        data = plain(data) if isinstance(data, TVTensor) else data
        made: Tensor = ops.as_tensor(data, dtype=dtype, device=device)
        return made if made.requires_grad == requires_grad else made.requires_grad_(requires_grad)

    @classmethod
    def wrap(cls, tensor: Tensor, like: TVTensor, **kwargs: Any) -> Any:
        """`tensor` as one of these, with what `like` knows; `kwargs` say what differs."""
        return tensor.as_subclass(cls)

    def clone(self, **kwargs: Any) -> Self:
        """A copy of the same kind."""
        return wrap(plain(self).clone(**kwargs), like=self)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Another element type, the same kind."""
        return wrap(plain(self).to(*args, **kwargs), like=self)

    def detach(self) -> Self:
        """The same memory, off the tape, the same kind."""
        return wrap(plain(self).detach(), like=self)

    def requires_grad_(self, requires_grad: bool = True) -> Self:
        """Ask for gradients; the same kind."""
        super().requires_grad_(requires_grad)
        return self

    def __deepcopy__(self, memo: dict[int, Any]) -> Self:
        copied = self.detach().clone()
        for name, value in user_attributes(self).items():
            setattr(copied, name, copy.deepcopy(value, memo))
        return copied.requires_grad_() if self.requires_grad else copied

    def _words(self, **known: Any) -> str:
        more = "".join(f", {name}={value}" for name, value in known.items())
        return f"{super().__repr__()[:-1]}{more})"


def wrap(wrappee: Tensor, *, like: Any, **kwargs: Any) -> Any:
    """`wrappee` as the same kind of tensor as `like`, with its format, canvas size, ….

    `kwargs` say what differs: `wrap(moved, like=boxes, canvas_size=(64, 64))`.
    """
    if isinstance(like, TVTensor):
        return type(like).wrap(wrappee, like, **kwargs)
    return wrappee.as_subclass(type(like))


class _Picture(TVTensor):
    def __new__(
        cls,
        data: Any,
        *,
        dtype: element_type | None = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Any:
        data = pixels(data) if is_pillow(data) else data
        return cls._shaped(cls._to_tensor(data, dtype, device, requires_grad)).as_subclass(cls)

    @classmethod
    def _shaped(cls, tensor: Tensor) -> Tensor:
        return tensor


class Image(_Picture):
    """An image (…, C, H, W), from anything `as_tensor` takes or from Pillow; (H, W) gets a channel.

    Raises: ValueError for less than two dimensions.
    """

    @classmethod
    def _shaped(cls, tensor: Tensor) -> Tensor:
        if tensor.dim() < 2:
            raise ValueError(f"Tensor must be 2D or higher, got {tensor.dim()}D tensor.")
        return tensor.unsqueeze(0) if tensor.dim() == 2 else tensor


class Video(_Picture):
    """Frames (…, T, C, H, W). Raises: ValueError for less than four dimensions."""

    @classmethod
    def _shaped(cls, tensor: Tensor) -> Tensor:
        if tensor.dim() < 4:
            raise ValueError(
                f"Expected tensor to be at least 4D (..., T, C, H, W), got {tensor.dim()}D"
            )
        return tensor


class Mask(_Picture):
    """Masks (…, H, W): one for each object, or one of classes. Never interpolated."""


class BoundingBoxFormat(Enum):
    """What the numbers of a box are: corners; corner and size; centre and size."""

    XYXY = "XYXY"
    XYWH = "XYWH"
    CXCYWH = "CXCYWH"
    XYWHR = "XYWHR"
    CXCYWHR = "CXCYWHR"
    XYXYXYXY = "XYXYXYXY"


_ROTATED = ("XYWHR", "CXCYWHR", "XYXYXYXY")


def is_rotated_bounding_format(format: BoundingBoxFormat | str) -> bool:
    """Whether boxes of this format have an angle."""
    return format_of(format).value in _ROTATED


def format_of(value: BoundingBoxFormat | str) -> BoundingBoxFormat:
    """The format itself, or the one of this name. Raises: ValueError for other values."""
    if isinstance(value, BoundingBoxFormat):
        return value
    if isinstance(value, str) and value.upper() in BoundingBoxFormat.__members__:
        return BoundingBoxFormat[value.upper()]
    raise ValueError(
        f"there is no format of boxes {value!r}: formats are "
        f"{', '.join(name for name in BoundingBoxFormat.__members__ if name not in _ROTATED)}"
    )


class BoundingBoxes(TVTensor):
    """Boxes (N, 4) of an image whose size is `canvas_size` (height, width); (4,) becomes (1, 4).

    `clamping_mode` says what transforms do with what leaves the image: "soft" and "hard" cut it
    off, None leaves it.

    Raises: ValueError for other shapes, formats and modes. Boxes with an angle (XYWHR, …) are
        refused: transforms of them are not there.
    """

    format: BoundingBoxFormat
    canvas_size: tuple[int, int]
    clamping_mode: str | None

    def __new__(
        cls,
        data: Any,
        *,
        format: BoundingBoxFormat | str,
        canvas_size: Sequence[int],
        clamping_mode: str | None = "soft",
        dtype: element_type | None = None,
        device: Any = None,
        requires_grad: bool | None = None,
    ) -> Any:
        tensor = cls._to_tensor(data, dtype, device, requires_grad)
        if tensor.dim() == 1 and tensor.numel():
            tensor = tensor.unsqueeze(0)
        return cls._made(tensor, format, canvas_size, clamping_mode)

    @classmethod
    def _made(cls, tensor: Tensor, format: Any, canvas_size: Any, clamping_mode: Any) -> Any:
        if clamping_mode not in (None, "soft", "hard"):
            raise ValueError(f"clamping_mode must be None, hard or soft, got {clamping_mode}.")
        chosen = format_of(format)
        if chosen.value in _ROTATED:
            raise ValueError(
                f"boxes with an angle ({chosen.value}) are not there; their corners' extremes as "
                "XYXY are"
            )
        if tensor.dim() != 2:
            raise ValueError(f"Expected a 1D or 2D tensor, got {tensor.dim()}D")
        if tensor.shape[1] != 4 and tensor.numel():
            raise ValueError(
                f"boxes of format {chosen.value} have 4 numbers, these have {tensor.shape[1]}: "
                f"their shape is {tuple(tensor.shape)}"
            )
        if not isinstance(canvas_size, Sequence) or len(canvas_size) != 2:
            raise ValueError(
                f"canvas_size must be (height, width) of the image, got {canvas_size!r}"
            )
        boxes = tensor.as_subclass(cls)
        boxes.format = chosen
        boxes.canvas_size = (int(canvas_size[0]), int(canvas_size[1]))
        boxes.clamping_mode = clamping_mode
        return boxes

    @classmethod
    def wrap(cls, tensor: Tensor, like: Any, **kwargs: Any) -> Any:
        """`tensor` (N, 4) as boxes with the format, canvas size and clamping mode of `like`."""
        unknown = set(kwargs) - {"format", "canvas_size", "clamping_mode"}
        if unknown:
            raise TypeError(f"wrap of {type_name(like)} knows nothing of {', '.join(unknown)}")
        return cls._made(
            tensor,
            kwargs.get("format", like.format),
            kwargs.get("canvas_size", like.canvas_size),
            kwargs.get("clamping_mode", like.clamping_mode),
        )

    def __repr__(self, **_: Any) -> str:  # type: ignore[override]
        return self._words(
            format=self.format, canvas_size=self.canvas_size, clamping_mode=self.clamping_mode
        )
