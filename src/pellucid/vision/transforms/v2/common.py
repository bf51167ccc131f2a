"""What the second edition does otherwise than the first: crops, element types, containers."""

from __future__ import annotations

import math
from collections.abc import Callable, Sequence
from typing import Any

from pellucid import ops
from pellucid.nn.module import Module
from pellucid.tensor.dtype import dtype as element_type
from pellucid.tensor.tensor import Tensor
from pellucid.vision.transforms import chance_geometry, conversion, geometry
from pellucid.vision.transforms.base import (
    Transform,
    fill_for,
    is_picture,
    is_pure_tensor,
    size_of_sample,
)
from pellucid.vision.transforms.chance import below
from pellucid.vision.transforms.kinds import by_kind
from pellucid.vision.tv_tensors import TVTensor, Video, plain


@by_kind
def uniform_temporal_subsample(inpt: Any, num_samples: int) -> Any:
    """`num_samples` frames of a video (…, T, C, H, W), evenly from the first to the last."""
    frames = inpt.shape[-4]
    places = ops.linspace(0, frames - 1, num_samples).long()
    return ops.index_select(inpt, -4, places)


class UniformTemporalSubsample(Transform):
    """`functional.uniform_temporal_subsample` as a transform."""

    transformed = (is_pure_tensor, Video)

    def __init__(self, num_samples: int) -> None:
        super().__init__()
        self.num_samples = num_samples

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return uniform_temporal_subsample(inpt, self.num_samples)


class RandomCrop(chance_geometry.RandomCrop):
    """A part of `size` from anywhere, after `padding`; `pad_if_needed` enlarges what is smaller."""

    def make_params(self, flat_inputs: list[Any]) -> dict[str, Any]:
        height, width = size_of_sample(flat_inputs)
        around = [0, 0, 0, 0] if self.padding is None else list(geometry.sides_of(self.padding))
        height, width = height + around[1] + around[3], width + around[0] + around[2]
        high, wide = self.size
        if self.pad_if_needed:
            down, across = max(high - height, 0), max(wide - width, 0)
            around = [side + more for side, more in zip(around, (across, down) * 2, strict=True)]
            height, width = height + 2 * down, width + 2 * across
        if height < high or width < wide:
            padded = "padded " if self.padding is not None else ""
            raise ValueError(
                f"Required crop size {(high, wide)} is larger than {padded}input image size "
                f"{(height, width)}.\n  RandomCrop(size, pad_if_needed=True) enlarges the image."
            )
        top = below(height - high + 1) if height > high else 0
        left = below(width - wide + 1) if width > wide else 0
        crop = (top, left, high, wide) if (height, width) != (high, wide) else None
        return {"around": around, "crop": crop}

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if any(params["around"]):
            fill = fill_for(self.fill, inpt)
            inpt = geometry.pad(inpt, params["around"], fill or 0, self.padding_mode)
        return inpt if params["crop"] is None else geometry.crop(inpt, *params["crop"])


class ToDtype(Transform):
    """Images in another element type; with `scale` their values move to its range.

    A dict says it for each type of input, "others" for the rest; None leaves a type as it is.
    """

    transformed = (Tensor,)

    def __init__(self, dtype: Any, scale: bool = False) -> None:
        super().__init__()
        if not isinstance(dtype, (dict, element_type)):
            raise ValueError(f"dtype must be a dict or a torch.dtype, got {type(dtype)} instead")
        self.dtype = dtype
        self.scale = scale

    def without(self, sample: Any) -> Any:
        raise TypeError("ToDtype takes tensors: put ToImage() before it")

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        if not isinstance(inpt, Tensor):
            return self.without(inpt)
        if not isinstance(self.dtype, dict):
            return conversion.to_dtype(inpt, self.dtype, self.scale) if is_picture(inpt) else inpt
        if type(inpt) not in self.dtype and "others" not in self.dtype:
            raise ValueError(
                f"No dtype was specified for type {type(inpt)}. If you only need to convert the "
                "dtype of images or videos, you can just pass e.g. dtype=torch.float32; "
                '"others" is the key for all types without one of their own.'
            )
        kind = self.dtype.get(type(inpt), self.dtype.get("others"))
        return inpt if kind is None else conversion.to_dtype(inpt, kind, self.scale)


class ToPureTensor(Transform):
    """Images, boxes and masks as ordinary tensors."""

    transformed = (TVTensor,)

    def without(self, sample: Any) -> Any:
        return sample

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return plain(inpt) if isinstance(inpt, TVTensor) else inpt


def _list_of(transforms: Any) -> Any:
    if not isinstance(transforms, (Sequence, Module)) or isinstance(transforms, str):
        raise TypeError("Argument transforms should be a sequence of callables")
    if not len(transforms):
        raise ValueError("Pass at least one transform")
    return transforms


class _Container(Transform):
    def __init__(self, transforms: Sequence[Callable[..., Any]]) -> None:
        self_transforms = _list_of(transforms)
        super().__init__()
        self.transforms = self_transforms

    def run(self, chosen: Sequence[Any], inputs: tuple[Any, ...]) -> Any:
        """The inputs through the transforms, one after another."""
        if not inputs:
            raise TypeError(
                f"{type(self).__name__} was called without a sample\n"
                "  Pass what it should change: transform(image), or transform(image, target)."
            )
        value: Any = inputs if len(inputs) > 1 else inputs[0]
        for transform in chosen:
            value = transform(*value) if len(inputs) > 1 else transform(value)
        return value

    def __repr__(self) -> str:
        lines = [f"    {transform}" for transform in self.transforms]
        return "\n".join([f"{type(self).__name__}(", *lines, ")"])


class Compose(_Container):
    """Transforms one after another."""

    def forward(self, *inputs: Any) -> Any:
        return self.run(self.transforms, inputs)


class RandomApply(_Container):
    """A list of transforms, all of them with probability `p`, or none."""

    def __init__(self, transforms: Sequence[Callable[..., Any]], p: float = 0.5) -> None:
        super().__init__(transforms)
        if not 0.0 <= p <= 1.0:
            raise ValueError("`p` should be a floating point value in the interval [0.0, 1.0].")
        self.p = p

    def forward(self, *inputs: Any) -> Any:
        skipped = ops.rand(1).item() >= self.p
        return self.run(() if skipped else self.transforms, inputs)


class RandomChoice(_Container):
    """One transform of a list, with the probabilities `p`."""

    def __init__(
        self, transforms: Sequence[Callable[..., Any]], p: Sequence[float] | None = None
    ) -> None:
        super().__init__(transforms)
        weights = [1.0] * len(transforms) if p is None else [float(each) for each in p]
        if len(weights) != len(transforms):
            raise ValueError(
                "Length of p doesn't match the number of transforms: "
                f"{len(weights)} != {len(transforms)}"
            )
        total = sum(weights)
        if not 0.0 < total < math.inf or min(weights) < 0.0:
            raise ValueError(
                f"p must be weights of at least 0 with one above it, got {weights}\n"
                "  Leave p out to choose all transforms alike."
            )
        self.p = [weight / total for weight in weights]

    def forward(self, *inputs: Any) -> Any:
        place = int(ops.multinomial(ops.tensor(self.p), 1).item())
        return self.run([self.transforms[place]], inputs)


class RandomOrder(_Container):
    """All transforms of a list in random order."""

    def forward(self, *inputs: Any) -> Any:
        order = ops.randperm(len(self.transforms)).tolist()
        return self.run([self.transforms[place] for place in order], inputs)


class Lambda(Transform):
    """A function of parts: of all, or of the given types only."""

    def __init__(self, lambd: Callable[[Any], Any], *types: type) -> None:
        super().__init__()
        if not callable(lambd):
            raise TypeError(f"Argument lambd should be callable, got {type(lambd).__name__!r}")
        self.lambd = lambd
        self.types = types or (object,)

    def _chosen(self, flat: list[Any]) -> list[bool]:
        return [isinstance(part, self.types) for part in flat]

    def without(self, sample: Any) -> Any:
        return sample

    def transform(self, inpt: Any, params: dict[str, Any]) -> Any:
        return self.lambd(inpt)
