"""MixUp and CutMix: batches whose images and labels are mixed with their neighbours."""

from __future__ import annotations

import math
from collections.abc import Callable
from typing import Any

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import is_pillow
from pellucid.vision.transforms.base import (
    Transform,
    is_picture,
    leaves,
    rebuilt,
    size_of_sample,
)
from pellucid.vision.transforms.chance import below
from pellucid.vision.transforms.v2.labels import getter_of
from pellucid.vision.tv_tensors import BoundingBoxes, Mask, TVTensor, Video, plain, wrap


class _Mixing(Transform):
    """Images (N, C, H, W) and labels (N,) or (N, classes); each is mixed with the one before."""

    def __init__(
        self,
        *,
        alpha: float = 1.0,
        num_classes: int | None = None,
        labels_getter: Callable[[Any], Any] | str | None = "default",
    ) -> None:
        super().__init__()
        if not alpha > 0:
            raise ValueError(f"alpha must be greater than 0, got {alpha}")
        self.alpha = float(alpha)
        self.num_classes = num_classes
        self._getter = getter_of(labels_getter)

    def share(self) -> float:
        """λ ~ Beta(α, α), what stays of an image."""
        return float(ops._sample_dirichlet(ops.tensor([[self.alpha, self.alpha]]))[0, 0].item())

    def mixed(self, images: Tensor, params: dict[str, Any]) -> Tensor:
        """The batch of images, mixed."""
        raise NotImplementedError

    def forward(self, *inputs: Any) -> Any:
        """The batch, mixed; labels become shares (N, classes).

        Raises: ValueError for Pillow images, boxes and masks, and for labels of other shapes.
        """
        sample = inputs[0] if len(inputs) == 1 else inputs
        flat = leaves(sample)
        if any(is_pillow(part) or isinstance(part, (BoundingBoxes, Mask)) for part in flat):
            raise ValueError(
                f"{type(self).__name__}() does not support PIL images, bounding boxes and masks.\n"
                "  It mixes batches: put it after the loader, or into its collate_fn."
            )
        labels = self._checked(self._getter(sample))
        chosen = [
            part is not labels and mine and is_picture(part)
            for part, mine in zip(flat, self._chosen(flat), strict=True)
        ]
        params = self.make_params([p for p, mine in zip(flat, chosen, strict=True) if mine])
        parts = []
        for part, mine in zip(flat, chosen, strict=True):
            if part is labels:
                parts.append(self._labels(labels, params["share"]))
            else:
                parts.append(self._images(part, len(labels), params) if mine else part)
        return rebuilt(sample, parts)

    def _checked(self, labels: Any) -> Tensor:
        if not isinstance(labels, Tensor):
            raise ValueError(f"The labels must be a tensor, but got {type(labels)} instead.")
        if labels.dim() not in (1, 2):
            raise ValueError(
                "labels should be index based with shape (batch_size,) or probability based with "
                f"shape (batch_size, num_classes), but got a tensor of shape {tuple(labels.shape)}."
            )
        if labels.dim() == 1 and self.num_classes is None:
            raise ValueError("num_classes must be passed if the labels are index-based (1D)")
        if labels.dim() == 2 and self.num_classes not in (None, labels.shape[-1]):
            raise ValueError(
                "When passing 2D labels, the number of elements in last dimension must match "
                f"num_classes: {labels.shape[-1]} != {self.num_classes}. You can Leave num_classes "
                "to None."
            )
        return labels

    def _images(self, images: Tensor, count: int, params: dict[str, Any]) -> Any:
        dims = 5 if isinstance(images, Video) else 4
        if images.dim() != dims:
            raise ValueError(
                f"Expected a batched input with {dims} dims, but got {images.dim()} dimensions "
                "instead."
            )
        if images.shape[0] != count:
            raise ValueError(
                "The batch size of the image or video does not match the batch size of the labels: "
                f"{images.shape[0]} != {count}."
            )
        if not isinstance(images, TVTensor):
            return self.mixed(images, params)
        return wrap(self.mixed(plain(images), params), like=images)

    def _labels(self, labels: Tensor, share: float) -> Tensor:
        if labels.dim() == 1 and self.num_classes is not None:
            labels = F.one_hot(labels, num_classes=self.num_classes)
        shares = labels if labels.is_floating_point() else labels.float()
        found: Tensor = shares.roll(1, 0) * (1.0 - share) + shares * share
        return found

    def extra_repr(self) -> str:
        return f"alpha={self.alpha}, num_classes={self.num_classes}"


class MixUp(_Mixing):
    """λ of each image and 1 - λ of the one before it in the batch (Zhang et al. 2017)."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        return {"share": self.share()}

    def mixed(self, images: Tensor, params: dict[str, Any]) -> Tensor:
        if not images.is_floating_point():
            raise TypeError(
                f"MixUp takes floating-point images, got {images.dtype}\n"
                "  Put ToDtype(torch.float32, scale=True) before it."
            )
        found: Tensor = images.roll(1, 0) * (1.0 - params["share"]) + images * params["share"]
        return found


class CutMix(_Mixing):
    """A rectangle of each image replaced by that of the one before it (Yun et al. 2019)."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        share = self.share()
        height, width = size_of_sample(flat_inputs)
        x, y = below(width), below(height)
        half = 0.5 * math.sqrt(1.0 - share)
        across, down = int(half * width), int(half * height)
        left, right = max(x - across, 0), min(x + across, width)
        top, bottom = max(y - down, 0), min(y + down, height)
        kept = 1.0 - (right - left) * (bottom - top) / (width * height)
        return {"share": kept, "box": (top, bottom, left, right)}

    def mixed(self, images: Tensor, params: dict[str, Any]) -> Tensor:
        top, bottom, left, right = params["box"]
        found = images.clone()
        found[..., top:bottom, left:right] = images.roll(1, 0)[..., top:bottom, left:right]
        return found
