"""Images of different sizes in one tensor."""

from __future__ import annotations

from pellucid import Tensor


class ImageList:
    """A batch (N, C, H, W), and the (height, width) that each image has before its padding."""

    def __init__(self, tensors: Tensor, image_sizes: list[tuple[int, int]]) -> None:
        self.tensors = tensors
        self.image_sizes = image_sizes
