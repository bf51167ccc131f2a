"""Transforms for samples with boxes: formats, cleaning up, crops and scales for detectors."""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid import ops
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops.boxes import box_iou
from pellucid.vision.transforms import box_formats, geometry
from pellucid.vision.transforms.base import (
    Transform,
    fill_for,
    is_picture,
    leaves,
    rebuilt,
    size_of_sample,
)
from pellucid.vision.transforms.chance import below
from pellucid.vision.transforms.interpolation import InterpolationMode, mode_of
from pellucid.vision.transforms.v2.labels import getter_of
from pellucid.vision.tv_tensors import (
    BoundingBoxes,
    BoundingBoxFormat,
    Mask,
    format_of,
    plain,
    wrap,
)


class _OfBoxes(Transform):
    transformed = (BoundingBoxes,)

    def without(self, sample: Any) -> Any:
        return sample


class ConvertBoundingBoxFormat(_OfBoxes):
    """Boxes in another format: "XYXY", "XYWH" or "CXCYWH"."""

    def __init__(self, format: BoundingBoxFormat | str) -> None:
        super().__init__()
        self.format = format_of(format)

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return box_formats.convert_bounding_box_format(inpt, new_format=self.format)


class ClampBoundingBoxes(_OfBoxes):
    """Boxes cut to their canvas; "auto" asks each for its `clamping_mode`."""

    def __init__(self, clamping_mode: str | None = "auto") -> None:
        super().__init__()
        self.clamping_mode = clamping_mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return box_formats.clamp_bounding_boxes(inpt, clamping_mode=self.clamping_mode)


class SetClampingMode(_OfBoxes):
    """What later transforms do with boxes that leave their canvas: "soft", "hard" or None."""

    def __init__(self, clamping_mode: str | None) -> None:
        super().__init__()
        if clamping_mode not in (None, "soft", "hard"):
            raise ValueError(f"clamping_mode must be soft, hard or None, got {clamping_mode}")
        self.clamping_mode = clamping_mode

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return wrap(plain(inpt).clone(), like=inpt, clamping_mode=self.clamping_mode)


class SanitizeBoundingBoxes(Transform):
    """Boxes without `min_size` and `min_area`, or not inside their canvas, removed, with their
    labels and masks.

    `labels_getter` finds the labels in a sample: "default" looks for a key with "label" in it, None
    for none; a function may give several tensors, each with one row a box.
    """

    def __init__(
        self,
        min_size: float = 1.0,
        min_area: float = 1.0,
        labels_getter: Callable[[Any], Any] | str | None = "default",
    ) -> None:
        super().__init__()
        if min_size < 1:
            raise ValueError(f"min_size must be >= 1, got {min_size}.")
        if min_area < 1:
            raise ValueError(f"min_area must be >= 1, got {min_area}.")
        self.min_size = min_size
        self.min_area = min_area
        self.labels_getter = labels_getter
        self._getter = getter_of(labels_getter)

    def forward(self, *inputs: Any) -> Any:
        """The sample without such boxes. ValueError without boxes, or if labels do not fit."""
        sample = inputs[0] if len(inputs) == 1 else inputs
        labels = self._labels(sample)
        flat = leaves(sample)
        boxes = boxes_in(flat)
        for label in labels:
            if len(label) != len(boxes):
                raise ValueError(
                    f"Number of boxes (shape={tuple(boxes.shape)}) must match the number of labels."
                    f" Found labels with shape={tuple(label.shape)}."
                )
        _, valid = box_formats.sanitize_bounding_boxes(
            boxes, min_size=self.min_size, min_area=self.min_area
        )
        return rebuilt(sample, [self._kept(part, valid, labels) for part in flat])

    def _labels(self, sample: Any) -> tuple[Tensor, ...]:
        found = self._getter(sample)
        labels = (found,) if isinstance(found, Tensor) else found if found is not None else ()
        if not isinstance(labels, (tuple, list)) or not all(isinstance(x, Tensor) for x in labels):
            kind = type(labels if not isinstance(labels, (tuple, list)) else labels[0])
            raise ValueError(
                "The labels in the input to forward() must be a tensor or None, got "
                f"{kind} instead."
            )
        return tuple(labels)

    @staticmethod
    def _kept(part: Any, valid: Tensor, labels: tuple[Tensor, ...]) -> Any:
        if any(part is label for label in labels):
            return part[valid]
        one_each = isinstance(part, Mask) and part.dim() > 0 and part.shape[0] == len(valid)
        if isinstance(part, BoundingBoxes) or one_each:
            return wrap(plain(part)[valid], like=part)
        return part


def boxes_in(flat: list[Any]) -> BoundingBoxes:
    """The boxes of a sample. ValueError if there are none."""
    for part in flat:
        if isinstance(part, BoundingBoxes):
            return part
    raise ValueError(
        "No bounding boxes were found in the sample\n"
        "  A tensor is one as tv_tensors.BoundingBoxes(data, format=…, canvas_size=…)."
    )


class RandomIoUCrop(Transform):
    """A crop in which some box keeps at least a drawn overlap, its centre too (SSD, Liu et al.
    2016). Boxes whose centres are outside become empty: put SanitizeBoundingBoxes after it."""

    def __init__(
        self,
        min_scale: float = 0.3,
        max_scale: float = 1.0,
        min_aspect_ratio: float = 0.5,
        max_aspect_ratio: float = 2.0,
        sampler_options: Sequence[float] | None = None,
        trials: int = 40,
    ) -> None:
        super().__init__()
        self.min_scale = min_scale
        self.max_scale = max_scale
        self.min_aspect_ratio = min_aspect_ratio
        self.max_aspect_ratio = max_aspect_ratio
        self.options = list(sampler_options or (0.0, 0.1, 0.3, 0.5, 0.7, 0.9, 1.0))
        self.trials = trials

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        boxes = any(isinstance(part, BoundingBoxes) for part in flat_inputs)
        if not boxes or not any(is_picture(part) for part in flat_inputs):
            raise TypeError(
                f"{type(self).__name__}() requires input sample to contain tensor or PIL images "
                "and bounding boxes. Sample can also contain masks."
            )

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = size_of_sample(flat_inputs)
        boxes = boxes_in(flat_inputs)
        corners = box_formats.to_corners(plain(boxes), boxes.format)
        while True:
            wanted = self.options[below(len(self.options))]
            if wanted >= 1.0:
                return {"crop": None}
            for _ in range(self.trials):
                found = self._tried(height, width, corners, wanted)
                if found is not None:
                    return found

    def _tried(
        self, height: int, width: int, corners: Tensor, wanted: float
    ) -> dict[str, Any] | None:
        share = self.min_scale + (self.max_scale - self.min_scale) * ops.rand(2)
        wide, high = int(width * share[0]), int(height * share[1])
        if not high or not self.min_aspect_ratio <= wide / high <= self.max_aspect_ratio:
            return None
        place = ops.rand(2)
        left, top = int((width - wide) * place[0]), int((height - high) * place[1])
        if not wide:
            return None
        x = 0.5 * (corners[..., 0] + corners[..., 2])
        y = 0.5 * (corners[..., 1] + corners[..., 3])
        inside = (left < x) & (x < left + wide) & (top < y) & (y < top + high)
        if not bool(inside.any()):
            return None
        crop = ops.tensor([[left, top, left + wide, top + high]]).to(corners.dtype)
        if float(box_iou(corners[inside], crop).max()) < wanted:
            return None
        return {"crop": (top, left, high, wide), "inside": inside}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["crop"] is None:
            return inpt
        found = geometry.crop(inpt, *params["crop"])
        if isinstance(found, BoundingBoxes):
            return wrap(plain(found) * params["inside"][:, None], like=found)
        return found


class RandomZoomOut(Transform):
    """The image somewhere on a larger canvas of colour `fill`, with probability `p`: between
    `side_range` times as wide and high."""

    def __init__(
        self, fill: Any = 0, side_range: Sequence[float] = (1.0, 4.0), p: float = 0.5
    ) -> None:
        super().__init__()
        if len(side_range) != 2 or not 1.0 <= side_range[0] <= side_range[1]:
            raise ValueError(f"Invalid side range provided {side_range}.")
        self.fill = fill
        self.side_range = side_range
        self.p = p

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        if ops.rand(1).item() >= self.p:
            return {"padding": None}
        height, width = size_of_sample(flat_inputs)
        low, high = self.side_range
        scale = low + ops.rand(1) * (high - low)
        across, down = int(width * scale), int(height * scale)
        place = ops.rand(2)
        left, top = int((across - width) * place[0]), int((down - height) * place[1])
        return {"padding": [left, top, across - left - width, down - top - height]}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if params["padding"] is None:
            return inpt
        return geometry.pad(inpt, params["padding"], fill_for(self.fill, inpt) or 0)


class _Resized(Transform):
    def __init__(
        self, interpolation: InterpolationMode | int | str, antialias: bool | None
    ) -> None:
        super().__init__()
        self.interpolation = mode_of(interpolation)
        self.antialias = antialias

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return geometry.resize(
            inpt, params["size"], interpolation=self.interpolation, antialias=self.antialias
        )


class ScaleJitter(_Resized):
    """Resized to `target_size` times a factor from `scale_range`, the aspect kept (large scale
    jitter, Ghiasi et al. 2020)."""

    def __init__(
        self,
        target_size: tuple[int, int],
        scale_range: Sequence[float] = (0.1, 2.0),
        interpolation: InterpolationMode | int | str = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__(interpolation, antialias)
        self.target_size = target_size
        self.scale_range = scale_range

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = size_of_sample(flat_inputs)
        low, high = self.scale_range
        scale = low + ops.rand(1) * (high - low)
        ratio = min(self.target_size[1] / height, self.target_size[0] / width) * scale
        return {"size": (int(height * ratio), int(width * ratio))}


class RandomShortestSize(_Resized):
    """The shorter side resized to one of `min_size`, the longer to at most `max_size`."""

    def __init__(
        self,
        min_size: int | Sequence[int],
        max_size: int | None = None,
        interpolation: InterpolationMode | int | str = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__(interpolation, antialias)
        self.min_size = [min_size] if isinstance(min_size, int) else list(min_size)
        self.max_size = max_size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = size_of_sample(flat_inputs)
        ratio = self.min_size[below(len(self.min_size))] / min(height, width)
        if self.max_size is not None:
            ratio = min(ratio, self.max_size / max(height, width))
        return {"size": (int(height * ratio), int(width * ratio))}


class RandomResize(_Resized):
    """The shorter side resized to a number from `min_size` to before `max_size`."""

    def __init__(
        self,
        min_size: int,
        max_size: int,
        interpolation: InterpolationMode | int | str = InterpolationMode.BILINEAR,
        antialias: bool | None = True,
    ) -> None:
        super().__init__(interpolation, antialias)
        self.min_size = min_size
        self.max_size = max_size

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"size": [int(ops.randint(self.min_size, self.max_size, ()).item())]}
