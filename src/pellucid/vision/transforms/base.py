"""What all transforms share: parameters are drawn once for a sample, then every part gets them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any, ClassVar

from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import is_pillow
from pellucid.vision.transforms.conversion import get_dimensions, get_size
from pellucid.vision.transforms.kinds import NoKernel
from pellucid.vision.tv_tensors import BoundingBoxes, Image, Mask, TVTensor, Video


def is_pure_tensor(value: Any) -> bool:
    """Whether `value` is a tensor that does not say what it is."""
    return isinstance(value, Tensor) and not isinstance(value, TVTensor)


def is_picture(value: Any) -> bool:
    """Whether `value` is an image or a video, or a tensor that stands for one."""
    return is_pillow(value) or isinstance(value, (Image, Video)) or is_pure_tensor(value)


class Transform(Module):
    """A transform of samples: an image, several arguments, or lists, tuples and dicts of parts.

    Images, boxes and masks are changed alike, everything else is handed on. Of plain tensors only
    the first is taken for an image, and none where an image says that it is one.

    Derive from it and write `transform(inpt, params)`, which changes one part, and if there is
    chance in it `make_params(flat_inputs)`, which draws what all parts share. What `transform` has
    no kernel for (`NoKernel`) is handed on as it is.
    """

    transformed: ClassVar[tuple[type | Callable[[Any], bool], ...]] = (Tensor, is_pillow)
    """Which parts are changed: types, or functions that say so."""

    def check_inputs(self, flat_inputs: list[Any]) -> None:
        """Raise what a sample with such parts should raise."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        """What to do, drawn once for the parts of a sample that will be changed."""
        return {"drawn": self.draw(flat_inputs[0])} if flat_inputs else {"drawn": None}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        """One part, changed."""
        return self.change(inpt, params["drawn"])

    def draw(self, image: Any) -> Any:
        """What `make_params` draws, for transforms that need only the first part."""
        return None

    def change(self, image: Any, drawn: Any) -> Any:
        """What `transform` does, for such transforms."""
        raise NotImplementedError(
            f"{type(self).__name__} must define transform(inpt, params) or change(image, drawn)"
        )

    def forward(self, *inputs: Any) -> Any:
        """The sample, changed. TypeError if a sample of several parts has none to change."""
        sample = inputs[0] if len(inputs) == 1 else inputs
        flat = leaves(sample)
        self.check_inputs(flat)
        chosen = self._chosen(flat)
        if not any(chosen):
            if isinstance(sample, TVTensor):
                return sample  # it says that it is something else
            if len(flat) == 1 and flat[0] is sample:
                return self.transform(sample, self.make_params([sample]))
            return self.without(sample)
        params = self.make_params([part for part, mine in zip(flat, chosen, strict=True) if mine])
        return rebuilt(sample, self._changed(flat, chosen, params))

    def without(self, sample: Any) -> Any:
        """What becomes of a sample with no part to change."""
        raise TypeError(f"{type(self).__name__}: there is no image among the inputs")

    def _changed(self, flat: list[Any], chosen: list[bool], params: dict[str, Any]) -> list[Any]:
        return [
            self._one(part, params) if mine else part
            for part, mine in zip(flat, chosen, strict=True)
        ]

    def _one(self, part: Any, params: dict[str, Any]) -> Any:
        try:
            return self.transform(part, params)
        except NoKernel:
            return part

    def _chosen(self, flat: list[Any]) -> list[bool]:
        """Which parts are changed."""
        told = any(is_pillow(part) or isinstance(part, (Image, Video)) for part in flat)
        chosen = []
        for part in flat:
            mine = any(
                isinstance(part, check) if isinstance(check, type) else check(part)
                for check in self.transformed
            )
            if mine and is_pure_tensor(part):
                mine, told = not told, True
            chosen.append(mine)
        return chosen


def size_of_sample(flat: list[Any]) -> tuple[int, int]:
    """(height, width) that the images, masks and boxes of a sample share.

    Raises: TypeError where nothing has a size; ValueError where parts have different ones.
    """
    known = [p for p in flat if is_picture(p) or isinstance(p, (Mask, BoundingBoxes))]
    sizes = sorted({tuple(get_size(part)) for part in known})
    if not sizes:
        raise TypeError("No image, video, mask or bounding box was found in the sample")
    if len(sizes) > 1:
        raise ValueError(
            f"Found multiple HxW dimensions in the sample: {', '.join(map(str, sizes))}\n"
            "  Boxes are of the size that their canvas_size says."
        )
    return int(sizes[0][0]), int(sizes[0][1])


def dimensions_of_sample(flat: list[Any]) -> tuple[int, int, int]:
    """(channels, height, width) that the images of a sample share. Raises: as `size_of_sample`."""
    shapes = sorted({tuple(get_dimensions(part)) for part in flat if is_picture(part)})
    if not shapes:
        raise TypeError("No image or video was found in the sample")
    if len(shapes) > 1:
        raise ValueError(
            f"Found multiple CxHxW dimensions in the sample: {', '.join(map(str, shapes))}"
        )
    return int(shapes[0][0]), int(shapes[0][1]), int(shapes[0][2])


def checked_fill(fill: Any) -> Any:
    """A fill of a transform: a number, one for each channel, or a dict of types. TypeError else."""
    if fill is None:
        return 0
    if not isinstance(fill, (int, float, tuple, list, dict)) or fill == {}:
        raise TypeError(f"Fill should be either a sequence or a number, or a dict. Got {fill!r}")
    return fill


def fill_for(fill: Any, part: Any) -> Any:
    """The colour for this part: `fill`, or what a dict of types says ("others" for the rest)."""
    if not isinstance(fill, dict):
        return fill
    for key in (type(part), "others"):
        if key in fill:
            return fill[key]
    made = getattr(fill, "default_factory", None)
    return None if made is None else made()


def leaves(sample: Any) -> list[Any]:
    """The parts of a sample, in order."""
    if isinstance(sample, dict):
        return [leaf for item in sample.values() for leaf in leaves(item)]
    if isinstance(sample, (tuple, list)):
        return [leaf for item in sample for leaf in leaves(item)]
    return [sample]


def rebuilt(sample: Any, parts: list[Any]) -> Any:
    """A sample like `sample` with other parts."""
    left = iter(parts)

    def put(value: Any) -> Any:
        if isinstance(value, dict):
            made = {key: put(item) for key, item in value.items()}
            return made if type(value) is dict else _like(value, made)
        if isinstance(value, (tuple, list)):
            done = [put(item) for item in value]
            return type(value)(*done) if hasattr(value, "_fields") else type(value)(done)
        return next(left)

    return put(sample)


def _like(value: Any, made: dict[Any, Any]) -> Any:
    copied = value.copy()
    copied.update(made)
    return copied
