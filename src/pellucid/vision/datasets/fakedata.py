"""Noise in the form of a data set."""

from __future__ import annotations

from typing import Any

from pellucid import ops
from pellucid.tensor.random.generator import default_generator
from pellucid.vision.datasets.vision import Step, VisionDataset
from pellucid.vision.transforms.conversion import to_pil_image


class FakeData(VisionDataset):
    """`size` images of noise with random labels; each index gives the same sample every time."""

    def __init__(
        self,
        size: int = 1000,
        image_size: tuple[int, int, int] = (3, 224, 224),
        num_classes: int = 10,
        transform: Step | None = None,
        target_transform: Step | None = None,
        random_offset: int = 0,
    ) -> None:
        super().__init__(transform=transform, target_transform=target_transform)
        self.size = size
        self.num_classes = num_classes
        self.image_size = image_size
        self.random_offset = random_offset

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        if index >= len(self):
            raise IndexError(f"{type(self).__name__} index out of range")
        before = default_generator.get_state()
        try:
            default_generator.manual_seed(index + self.random_offset)
            image = ops.randn(*self.image_size)
            target = int(ops.randint(0, self.num_classes, (1,)).item())
        finally:
            default_generator.set_state(before)
        return self.changed(to_pil_image(image), target)

    def __len__(self) -> int:
        return self.size
