"""What all transforms share: parameters are drawn once for a sample, then every image gets them."""

from __future__ import annotations

from typing import Any

from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import is_pillow
from pellucid.vision.transforms.conversion import is_image


class Transform(Module):
    """A transform of images.

    Called with one image it returns one; called with a sample, several arguments or a structure of
    lists, tuples and dicts, it changes the images in it alike and hands on everything else.
    Images are Pillow's; where there is none, the first tensor is. Subclasses write `change`, and
    `draw` if there is chance in them.
    """

    def draw(self, image: Any) -> Any:
        """The parameters for a sample, by its first image."""
        return None

    def change(self, image: Any, drawn: Any) -> Any:
        """The image, changed as `draw` has said."""
        raise NotImplementedError(f"{type(self).__name__} must define change(image, drawn)")

    def forward(self, *inputs: Any) -> Any:
        sample = inputs[0] if len(inputs) == 1 else inputs
        if is_image(sample) or not isinstance(sample, (tuple, list, dict)):
            return self.change(sample, self.draw(sample))
        images = images_in(sample)
        if not images:
            raise TypeError(f"{type(self).__name__}: there is no image among the inputs")
        drawn = self.draw(images[0])
        return self._walk(sample, {id(image) for image in images}, drawn)

    def _walk(self, value: Any, chosen: set[int], drawn: Any) -> Any:
        if id(value) in chosen:
            return self.change(value, drawn)
        if isinstance(value, dict):
            return {key: self._walk(item, chosen, drawn) for key, item in value.items()}
        if isinstance(value, (tuple, list)):
            done = [self._walk(item, chosen, drawn) for item in value]
            if hasattr(value, "_fields"):
                return type(value)(*done)
            return type(value)(done)
        return value


def _leaves(value: Any) -> list[Any]:
    if isinstance(value, dict):
        return [leaf for item in value.values() for leaf in _leaves(item)]
    if isinstance(value, (tuple, list)):
        return [leaf for item in value for leaf in _leaves(item)]
    return [value]


def images_in(sample: Any) -> list[Any]:
    """The images of a sample: all that are Pillow's, else its first tensor."""
    leaves = _leaves(sample)
    found = [leaf for leaf in leaves if is_pillow(leaf)]
    if found:
        return found
    return [leaf for leaf in leaves if isinstance(leaf, Tensor) and is_image(leaf)][:1]
