"""Augmentations of which chance chooses: AutoAugment, RandAugment, TrivialAugment, AugMix.

They take one image (bytes, if a tensor) in a sample, and draw as torchvision's first edition does,
so that the same seed gives the same image; `v2/policies.py` draws as its second.
"""

from __future__ import annotations

import functools
import math
from collections.abc import Callable, Sequence
from enum import Enum
from typing import Any

from pellucid import ops
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import is_pillow
from pellucid.vision.transforms import colour, geometry
from pellucid.vision.transforms.base import Transform, fill_for, is_picture, leaves, rebuilt
from pellucid.vision.transforms.chance import below
from pellucid.vision.transforms.conversion import get_size, pil_to_tensor, to_pil_image
from pellucid.vision.transforms.interpolation import InterpolationMode, mode_of
from pellucid.vision.tv_tensors import Image, TVTensor, Video, wrap


class AutoAugmentPolicy(Enum):
    """The data set for which a policy was found."""

    IMAGENET = "imagenet"
    CIFAR10 = "cifar10"
    SVHN = "svhn"


# Sub-policies of AutoAugment (Cubuk et al. 2018, tables 7 to 9): two operations each, with their
# probability in tenths and their magnitude from 0 to 9.
_POLICIES = {
    AutoAugmentPolicy.IMAGENET: """
        Posterize 4 8, Rotate 6 9; Solarize 6 5, AutoContrast 6; Equalize 8, Equalize 6;
        Posterize 6 7, Posterize 6 6; Equalize 4, Solarize 2 4; Equalize 4, Rotate 8 8;
        Solarize 6 3, Equalize 6; Posterize 8 5, Equalize 10; Rotate 2 3, Solarize 6 8;
        Equalize 6, Posterize 4 6; Rotate 8 8, Color 4 0; Rotate 4 9, Equalize 6;
        Equalize 0, Equalize 8; Invert 6, Equalize 10; Color 6 4, Contrast 10 8;
        Rotate 8 8, Color 10 2; Color 8 8, Solarize 8 7; Sharpness 4 7, Invert 6;
        ShearX 6 5, Equalize 10; Color 4 0, Equalize 6; Equalize 4, Solarize 2 4;
        Solarize 6 5, AutoContrast 6; Invert 6, Equalize 10; Color 6 4, Contrast 10 8;
        Equalize 8, Equalize 6""",
    AutoAugmentPolicy.CIFAR10: """
        Invert 1, Contrast 2 6; Rotate 7 2, TranslateX 3 9; Sharpness 8 1, Sharpness 9 3;
        ShearY 5 8, TranslateY 7 9; AutoContrast 5, Equalize 9; ShearY 2 7, Posterize 3 7;
        Color 4 3, Brightness 6 7; Sharpness 3 9, Brightness 7 9; Equalize 6, Equalize 5;
        Contrast 6 7, Sharpness 6 5; Color 7 7, TranslateX 5 8; Equalize 3, AutoContrast 4;
        TranslateY 4 3, Sharpness 2 6; Brightness 9 6, Color 2 8; Solarize 5 2, Invert 0;
        Equalize 2, AutoContrast 6; Equalize 2, Equalize 6; Color 9 9, Equalize 6;
        AutoContrast 8, Solarize 2 8; Brightness 1 3, Color 7 0; Solarize 4 5, AutoContrast 9;
        TranslateY 9 9, TranslateY 7 9; AutoContrast 9, Solarize 8 3; Equalize 8, Invert 1;
        TranslateY 7 9, AutoContrast 9""",
    AutoAugmentPolicy.SVHN: """
        ShearX 9 4, Invert 2; ShearY 9 8, Invert 7; Equalize 6, Solarize 6 6; Invert 9, Equalize 6;
        Equalize 6, Rotate 9 3; ShearX 9 4, AutoContrast 8; ShearY 9 8, Invert 4;
        ShearY 9 5, Solarize 2 6; Invert 9, AutoContrast 8; Equalize 6, Rotate 9 3;
        ShearX 9 4, Solarize 3 3; ShearY 8 8, Invert 7; Equalize 9, TranslateY 6 6;
        Invert 9, Equalize 6; Contrast 3 3, Rotate 8 4; Invert 8, TranslateY 0 2;
        ShearY 7 6, Solarize 4 8; Invert 6, Rotate 8 4; ShearY 3 7, TranslateX 9 3;
        ShearX 1 6, Invert 6; Solarize 7 2, TranslateY 6 7; ShearY 8 4, Invert 8;
        ShearX 7 9, TranslateY 8 3; ShearY 8 5, AutoContrast 7; ShearX 7 2, Invert 1""",
}

Step = tuple[str, float, int | None]


def _step(words: str) -> Step:
    name, tenths, *magnitude = words.split()
    return name, int(tenths) / 10, int(magnitude[0]) if magnitude else None


def policies_of(policy: AutoAugmentPolicy) -> list[list[Step]]:
    """Sub-policies as [(operation, probability, magnitude or None), …]."""
    return [[_step(words) for words in pair.split(",")] for pair in _POLICIES[policy].split(";")]


Span = Callable[[int, int, int], Any]
"""The magnitudes of an operation by number of bins, height and width; None if it has none."""


def _line(low: float, high: float) -> Span:
    return lambda bins, height, width: ops.linspace(low, high, bins).tolist()


def _bits(first: int, levels: int) -> Span:
    return lambda bins, height, width: (
        (first - ops.arange(bins) / ((bins - 1) / levels)).round().tolist()
    )


def _none(bins: int, height: int, width: int) -> None:
    return None


def _space(
    shear: float, across: Span, down: Span, angle: float, strength: float | None, bits: Span
) -> dict[str, tuple[Span, bool]]:
    """Operations in torchvision's order: (magnitudes, whether they have a sign)."""
    found = {
        "ShearX": (_line(0.0, shear), True),
        "ShearY": (_line(0.0, shear), True),
        "TranslateX": (across, True),
        "TranslateY": (down, True),
        "Rotate": (_line(0.0, angle), True),
    }
    if strength is not None:
        for name in ("Brightness", "Color", "Contrast", "Sharpness"):
            found[name] = (_line(0.0, strength), True)
    found["Posterize"] = (bits, False)
    found["Solarize"] = (_line(1.0, 0.0), False)  # of the largest value
    found["AutoContrast"] = (_none, False)
    found["Equalize"] = (_none, False)
    return found


def _across(share: float) -> Span:
    return lambda bins, height, width: ops.linspace(0.0, share * width, bins).tolist()


def _down(share: float) -> Span:
    return lambda bins, height, width: ops.linspace(0.0, share * height, bins).tolist()


_AUTO = _space(0.3, _across(150 / 331), _down(150 / 331), 30.0, 0.9, _bits(8, 4))
_AUTO["Invert"] = (_none, False)
_RAND = {"Identity": (_none, False), **_AUTO}
del _RAND["Invert"]
_WIDE = {
    "Identity": (_none, False),
    **_space(0.99, _line(0.0, 32.0), _line(0.0, 32.0), 135.0, 0.99, _bits(8, 6)),
}
_MIX_PARTS = _space(0.3, _across(1 / 3), _down(1 / 3), 30.0, None, _bits(4, 4))
_MIX_FULL = {
    **_MIX_PARTS,
    **{name: (_line(0.0, 0.9), True) for name in ("Brightness", "Color", "Contrast", "Sharpness")},
}


def apply(
    img: Any,
    name: str,
    magnitude: float,
    mode: InterpolationMode,
    fill: Any,
    stretch: Callable[[Any], Any],
) -> Any:
    """The image after one operation of a policy; `stretch` is the edition's autocontrast."""

    def affine(move: Sequence[int], shear: Sequence[float], center: Any = None) -> Any:
        return geometry.affine(img, 0.0, move, 1.0, shear, mode, fill, center)

    slant = math.degrees(math.atan(magnitude))
    done: dict[str, Callable[[], Any]] = {
        "Identity": lambda: img,
        "ShearX": lambda: affine((0, 0), (slant, 0.0), (0, 0)),
        "ShearY": lambda: affine((0, 0), (0.0, slant), (0, 0)),
        "TranslateX": lambda: affine((int(magnitude), 0), (0.0, 0.0)),
        "TranslateY": lambda: affine((0, int(magnitude)), (0.0, 0.0)),
        "Rotate": lambda: geometry.rotate(img, magnitude, mode, fill=fill),
        "Brightness": lambda: colour.adjust_brightness(img, 1.0 + magnitude),
        "Color": lambda: colour.adjust_saturation(img, 1.0 + magnitude),
        "Contrast": lambda: colour.adjust_contrast(img, 1.0 + magnitude),
        "Sharpness": lambda: colour.adjust_sharpness(img, 1.0 + magnitude),
        "Posterize": lambda: colour.posterize(img, int(magnitude)),
        "Solarize": lambda: colour.solarize(img, colour.largest_of(img) * magnitude),
        "AutoContrast": lambda: stretch(img),
        "Equalize": lambda: colour.equalize(img),
        "Invert": lambda: colour.invert(img),
    }
    return done[name]()


def _is_zero(sign: Tensor) -> bool:
    return bool(sign.item() == 0)


class _Augment(Transform):
    """One image of a sample is changed."""

    stretch = staticmethod(colour.autocontrast)

    def __init__(self, interpolation: InterpolationMode | int | str, fill: Any) -> None:
        super().__init__()
        self.interpolation = mode_of(interpolation)
        self.fill = fill

    def forward(self, *inputs: Any) -> Any:
        """The sample with its image changed. TypeError without one, with two, or with boxes."""
        sample = inputs[0] if len(inputs) == 1 else inputs
        flat = leaves(sample)
        chosen = self._chosen(flat)
        images = [at for at, mine in enumerate(chosen) if mine and is_picture(flat[at])]
        for part in flat:
            if isinstance(part, TVTensor) and not isinstance(part, (Image, Video)):
                raise TypeError(
                    f"Inputs of type {type(part).__name__} are not supported by "
                    f"{type(self).__name__}()"
                )
        if len(images) != 1:
            raise TypeError(
                "Found no image in the sample."
                if not images
                else "Auto augment transformations are only properly defined for a single image "
                f"or video, but found {len(images)}."
            )
        flat[images[0]] = self.augmented(flat[images[0]])
        return rebuilt(sample, flat)

    def augmented(self, img: Any) -> Any:
        """The image, changed as chance says."""
        raise NotImplementedError

    def _negative(self) -> bool:
        return bool(below(2))

    def _some(self, img: Any, space: dict[str, tuple[Span, bool]], bins: int, at: Any) -> Any:
        """The image after one operation, drawn; `at()` says which of its magnitudes."""
        height, width = get_size(img)
        name = list(space)[below(len(space))]
        magnitudes, signed = space[name]
        values = magnitudes(bins, height, width)
        magnitude = 0.0
        if values is not None:
            magnitude = float(values[at()])
            if signed and self._negative():
                magnitude = -magnitude
        fill = fill_for(self.fill, img)
        return apply(img, name, magnitude, self.interpolation, fill, self.stretch)

    def extra_repr(self) -> str:
        words = {**self._own(), "interpolation": self.interpolation.value, "fill": self.fill}
        return ", ".join(f"{name}={value}" for name, value in words.items())

    def _own(self) -> dict[str, Any]:
        """What is printed first."""
        return {}


class AutoAugment(_Augment):
    """A sub-policy of those that a search found best for a data set (Cubuk et al. 2018)."""

    def __init__(
        self,
        policy: AutoAugmentPolicy = AutoAugmentPolicy.IMAGENET,
        interpolation: InterpolationMode | int | str = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not isinstance(policy, AutoAugmentPolicy):
            raise ValueError(
                f"The provided policy {policy} is not recognized: there are "
                f"{', '.join(str(each) for each in AutoAugmentPolicy)}"
            )
        self.policy = policy
        self.policies = policies_of(policy)

    @staticmethod
    def get_params(transform_num: int) -> tuple[int, Tensor, Tensor]:
        """(which sub-policy, two probabilities, two signs)."""
        return below(transform_num), ops.rand((2,)), ops.randint(2, (2,))

    def augmented(self, img: Any) -> Any:
        number, chances, signs = self.get_params(len(self.policies))
        for place, step in enumerate(self.policies[number]):
            if chances[place].item() <= step[1]:
                img = self._stepped(img, step, functools.partial(_is_zero, signs[place]))
        return img

    def _stepped(self, img: Any, step: Step, negative: Callable[[], bool]) -> Any:
        name, _, number = step
        magnitudes, signed = _AUTO[name]
        values = magnitudes(10, *get_size(img))
        magnitude = 0.0 if values is None or number is None else float(values[number])
        if values is not None and signed and negative():
            magnitude = -magnitude
        fill = fill_for(self.fill, img)
        return apply(img, name, magnitude, self.interpolation, fill, self.stretch)

    def _own(self) -> dict[str, Any]:
        return {"policy": self.policy}


class RandAugment(_Augment):
    """`num_ops` operations at random, all of one `magnitude` (Cubuk et al. 2019)."""

    def __init__(
        self,
        num_ops: int = 2,
        magnitude: int = 9,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode | int | str = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not isinstance(num_ops, int) or num_ops < 0:
            raise ValueError(
                f"num_ops should be a non-negative integer, but got {num_ops} instead."
            )
        if not 0 <= magnitude < num_magnitude_bins:
            raise ValueError(
                f"magnitude should be from 0 to num_magnitude_bins - 1 = {num_magnitude_bins - 1}, "
                f"got {magnitude}"
            )
        self.num_ops = num_ops
        self.magnitude = magnitude
        self.num_magnitude_bins = num_magnitude_bins

    def augmented(self, img: Any) -> Any:
        for _ in range(self.num_ops):
            img = self._some(img, _RAND, self.num_magnitude_bins, lambda: self.magnitude)
        return img

    def _own(self) -> dict[str, Any]:
        return {
            "num_ops": self.num_ops,
            "magnitude": self.magnitude,
            "num_magnitude_bins": self.num_magnitude_bins,
        }


class TrivialAugmentWide(_Augment):
    """One operation at random, of random magnitude, from wide ranges (Müller and Hutter 2021)."""

    def __init__(
        self,
        num_magnitude_bins: int = 31,
        interpolation: InterpolationMode | int | str = InterpolationMode.NEAREST,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        self.num_magnitude_bins = num_magnitude_bins

    def augmented(self, img: Any) -> Any:
        bins = self.num_magnitude_bins
        return self._some(img, _WIDE, bins, lambda: below(bins))

    def _own(self) -> dict[str, Any]:
        return {"num_magnitude_bins": self.num_magnitude_bins}


class AugMix(_Augment):
    """The image mixed with chains of operations on it (Hendrycks et al. 2019, algorithm 1)."""

    def __init__(
        self,
        severity: int = 3,
        mixture_width: int = 3,
        chain_depth: int = -1,
        alpha: float = 1.0,
        all_ops: bool = True,
        interpolation: InterpolationMode | int | str = InterpolationMode.BILINEAR,
        fill: Any = None,
    ) -> None:
        super().__init__(interpolation, fill)
        if not 1 <= severity <= 10:
            raise ValueError(f"The severity must be between [1, 10]. Got {severity} instead.")
        self.severity = severity
        self.mixture_width = mixture_width
        self.chain_depth = chain_depth
        self.alpha = alpha
        self.all_ops = all_ops

    def augmented(self, img: Any) -> Any:
        pixels = img if isinstance(img, Tensor) else pil_to_tensor(img)
        plain = pixels.as_subclass(Tensor)
        dims = 5 if isinstance(img, Video) else 4
        batch = plain.reshape((1,) * max(dims - plain.dim(), 0) + tuple(plain.shape))
        size, each = batch.shape[0], (-1,) + (1,) * (batch.dim() - 1)
        # m ~ Beta(α, α) weighs the image against its mixture; w ~ Dirichlet(α, …, α) the chains.
        m = ops._sample_dirichlet(ops.tensor([self.alpha] * 2).expand(size, -1))
        w = ops._sample_dirichlet(ops.tensor([self.alpha] * self.mixture_width).expand(size, -1))
        w = w * m[:, 1].reshape(size, -1)
        mixed = m[:, 0].reshape(each) * batch
        space = _MIX_FULL if self.all_ops else _MIX_PARTS
        for chain in range(self.mixture_width):
            changed = batch
            depth = self.chain_depth if self.chain_depth > 0 else 1 + below(3)
            for _ in range(depth):
                changed = self._some(changed, space, 10, lambda: below(self.severity))
            mixed = mixed + w[:, chain].reshape(each) * changed
        found = mixed.reshape(plain.shape).to(plain.dtype)
        if is_pillow(img):
            return to_pil_image(found, mode=img.mode)
        return wrap(found, like=img) if isinstance(img, TVTensor) else found

    def _own(self) -> dict[str, Any]:
        names = ("severity", "mixture_width", "chain_depth", "alpha", "all_ops")
        return {name: getattr(self, name) for name in names}
