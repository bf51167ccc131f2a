"""What the region operators and losses share: boxes as lists, precision, overlap of pairs."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid import ops
from pellucid.nn.module import Module
from pellucid.nn.modules.batchnorm import _BatchNorm
from pellucid.nn.modules.instancenorm import _InstanceNorm
from pellucid.nn.modules.normalization import GroupNorm, LayerNorm
from pellucid.ops.arguments import type_name
from pellucid.tensor.dtype import float32, float64, int32, int64
from pellucid.tensor.tensor import Tensor

Boxes = Tensor | Sequence[Tensor]
"""Regions: Tensor[K, 5] rows of (image, x1, y1, x2, y2), or for each image a Tensor[L, 4]."""


def check_roi_boxes_shape(boxes: Boxes) -> None:
    """Refuse what is neither a Tensor[K, 5] nor a list of Tensor[L, 4].

    Raises: AssertionError, as torchvision does.
    """
    if isinstance(boxes, (list, tuple)):
        for place, each in enumerate(boxes):
            if not isinstance(each, Tensor) or each.dim() != 2 or each.size(1) != 4:
                got = list(each.shape) if isinstance(each, Tensor) else type_name(each)
                raise AssertionError(
                    "The shape of the tensor in the boxes list is not correct as List[Tensor[L, 4]]"
                    f"\n  boxes[{place}] is {got}; each row must be (x1, y1, x2, y2)."
                )
    elif isinstance(boxes, Tensor):
        if boxes.dim() != 2 or boxes.size(1) != 5:
            hint = (
                "\n  Boxes of four columns go in a list, one tensor for each image: [boxes]."
                if boxes.dim() == 2 and boxes.size(1) == 4
                else "\n  Each row must be (image index, x1, y1, x2, y2)."
            )
            raise AssertionError(
                "The boxes tensor shape is not correct as Tensor[K, 5]: it is "
                f"{list(boxes.shape)}{hint}"
            )
    else:
        raise AssertionError(
            "boxes is expected to be a Tensor[L, 5] or a List[Tensor[K, 4]], "
            f"not {type_name(boxes)}"
        )


def convert_boxes_to_roi_format(boxes: Sequence[Tensor]) -> Tensor:
    """A list of Tensor[L, 4], one for each image, as one Tensor[K, 5] with the image first."""
    joined = ops.cat(list(boxes), 0)
    index = ops.cat([ops.full_like(each[:, :1], place) for place, each in enumerate(boxes)], 0)
    return ops.cat([index, joined], 1)


def as_rows(boxes: Boxes) -> Tensor:
    """Boxes in either spelling as Tensor[K, 5]."""
    check_roi_boxes_shape(boxes)
    if isinstance(boxes, Tensor):
        return boxes
    if not boxes:
        raise AssertionError(
            "boxes is an empty list: it needs one Tensor[L, 4] for each image\n"
            "  For an image without boxes give torch.empty(0, 4)."
        )
    return convert_boxes_to_roi_format(boxes)


def split_normalization_params(
    model: Module, norm_classes: Sequence[type] | None = None
) -> tuple[list[Any], list[Any]]:
    """The parameters of `model`'s normalisation layers, and all others."""
    classes = tuple(norm_classes or (_BatchNorm, LayerNorm, GroupNorm, _InstanceNorm))
    for each in classes:
        if not issubclass(each, Module):
            raise ValueError(f"Class {each} is not a subclass of nn.Module.")
    of_norms: list[Any] = []
    others: list[Any] = []
    for module in model.modules():
        if next(module.children(), None) is not None:
            others.extend(p for p in module.parameters(recurse=False) if p.requires_grad)
        else:
            target = of_norms if isinstance(module, classes) else others
            target.extend(p for p in module.parameters() if p.requires_grad)
    return of_norms, others


def _upcast(t: Tensor) -> Tensor:
    """In at least 32 bits, so that products of coordinates do not overflow."""
    if t.is_floating_point():
        return t if t.dtype in (float32, float64) else t.float()
    return t if t.dtype in (int32, int64) else t.int()


def _upcast_non_float(t: Tensor) -> Tensor:
    """As float32 unless it is float32 or float64."""
    return t if t.dtype in (float32, float64) else t.float()


def _loss_inter_union(boxes1: Tensor, boxes2: Tensor) -> tuple[Tensor, Tensor]:
    """Intersection and union of each pair (…, 4) and (…, 4): (…) and (…)."""
    if boxes1.shape[-1:] != (4,) or boxes2.shape[-1:] != (4,):
        raise ValueError(
            f"pairs of boxes must be (…, 4) and (…, 4), got {list(boxes1.shape)} and "
            f"{list(boxes2.shape)}"
        )
    x1, y1, x2, y2 = boxes1.unbind(dim=-1)
    x1g, y1g, x2g, y2g = boxes2.unbind(dim=-1)
    left, top = ops.max(x1, x1g), ops.max(y1, y1g)
    right, bottom = ops.min(x2, x2g), ops.min(y2, y2g)
    meets = (bottom > top) & (right > left)
    zero = ops.zeros_like(x1)
    shared = ops.where(meets, (right - left) * (bottom - top), zero)
    union = (x2 - x1) * (y2 - y1) + (x2g - x1g) * (y2g - y1g) - shared
    return shared, union


def reduced(loss: Tensor, reduction: str) -> Tensor:
    """`loss` as "none", "mean" or "sum" says; the mean of nothing is 0."""
    if reduction == "none":
        return loss
    if reduction == "mean":
        return loss.mean() if loss.numel() > 0 else 0.0 * loss.sum()
    if reduction == "sum":
        return loss.sum()
    raise ValueError(
        f"Invalid Value for arg 'reduction': '{reduction} \n Supported reduction modes: "
        "'none', 'mean', 'sum'"
    )
