"""Images in, detections out: normalising, resizing, batching, and the way back."""

from __future__ import annotations

import random
from collections.abc import Sequence
from typing import Any

import pellucid as torch
from pellucid import Tensor, nn
from pellucid.models.detection.image_list import ImageList
from pellucid.models.detection.masks import paste_masks_in_image
from pellucid.nn import functional as F

Target = dict[str, Tensor]


def resize_boxes(boxes: Tensor, original_size: Sequence[int], new_size: Sequence[int]) -> Tensor:
    """Boxes (L, 4) moved from an image of one size (height, width) to another."""
    down, across = (
        float(new) / float(old) for new, old in zip(new_size, original_size, strict=True)
    )
    return boxes * torch.tensor([across, down, across, down], dtype=boxes.dtype)


class GeneralizedRCNNTransform(nn.Module):
    """Normalise, resize so that the shorter side is `min_size` (the longer at most `max_size`),
    and pad to a batch whose sides `size_divisible` divides.

    `min_size` may be a list: in training one of them is drawn for each image.
    """

    def __init__(
        self,
        min_size: int | Sequence[int],
        max_size: int,
        image_mean: Sequence[float],
        image_std: Sequence[float],
        size_divisible: int = 32,
        fixed_size: tuple[int, int] | None = None,
    ) -> None:
        super().__init__()
        self.min_size = (min_size,) if isinstance(min_size, int) else tuple(min_size)
        self.max_size = max_size
        self.image_mean = image_mean
        self.image_std = image_std
        self.size_divisible = size_divisible
        self.fixed_size = fixed_size

    def normalize(self, image: Tensor) -> Tensor:
        """(image - mean) / std of each channel. Raises TypeError for whole numbers."""
        if not image.is_floating_point():
            raise TypeError(
                "Expected input images to be of floating type (in range [0, 1]), but found type "
                f"{image.dtype} instead"
            )
        mean = torch.as_tensor(self.image_mean, dtype=image.dtype)
        std = torch.as_tensor(self.image_std, dtype=image.dtype)
        return (image - mean[:, None, None]) / std[:, None, None]

    def resize(self, image: Tensor, target: Target | None) -> tuple[Tensor, Target | None]:
        """The image in the size wanted, its boxes and masks with it."""
        height, width = image.shape[-2:]
        side = random.choice(self.min_size) if self.training else self.min_size[-1]
        if self.fixed_size is not None:
            how: dict[str, Any] = {"size": (self.fixed_size[1], self.fixed_size[0])}
        else:
            scale = min(side / min(height, width), self.max_size / max(height, width))
            how = {"scale_factor": scale, "recompute_scale_factor": True}
        image = F.interpolate(image[None], mode="bilinear", align_corners=False, **how)[0]
        if target is None:
            return image, None
        target = dict(target)
        target["boxes"] = resize_boxes(target["boxes"], (height, width), image.shape[-2:])
        if "masks" in target:
            masks = target["masks"][:, None].float()
            target["masks"] = F.interpolate(masks, **how)[:, 0].byte()
        return image, target

    def batch_images(self, images: list[Tensor]) -> Tensor:
        """Images of different sizes in one tensor, zeros to the right and below."""
        largest = [max(image.shape[dim] for image in images) for dim in range(3)]
        step = self.size_divisible
        largest[1:] = [-(-size // step) * step for size in largest[1:]]
        batch = images[0].new_zeros([len(images), *largest])
        for place, image in enumerate(images):
            batch[place, : image.shape[0], : image.shape[1], : image.shape[2]] = image
        return batch

    def forward(
        self, images: list[Tensor], targets: list[Target] | None = None
    ) -> tuple[ImageList, list[Target] | None]:
        """The batch, and targets in its coordinates."""
        changed: list[Tensor] = []
        moved: list[Target] = []
        for place, image in enumerate(images):
            if image.dim() != 3:
                raise ValueError(
                    "images is expected to be a list of 3d tensors of shape [C, H, W], got "
                    f"{list(image.shape)}"
                )
            target = targets[place] if targets is not None else None
            done, target = self.resize(self.normalize(image), target)
            changed.append(done)
            if target is not None:
                moved.append(target)
        sizes = [(image.shape[-2], image.shape[-1]) for image in changed]
        batch = ImageList(self.batch_images(changed), sizes)
        return batch, (moved if targets is not None else None)

    def postprocess(
        self,
        result: list[Target],
        image_shapes: list[tuple[int, int]],
        original_image_sizes: list[tuple[int, int]],
    ) -> list[Target]:
        """Detections in the coordinates of the images that were given."""
        if self.training:
            return result
        for found, size, original in zip(result, image_shapes, original_image_sizes, strict=True):
            found["boxes"] = resize_boxes(found["boxes"], size, original)
            if "masks" in found:
                found["masks"] = paste_masks_in_image(found["masks"], found["boxes"], original)
        return result
