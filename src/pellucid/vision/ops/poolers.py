"""Regions from a feature pyramid: each box is read from the level that suits its size."""

from __future__ import annotations

from collections.abc import Mapping, Sequence

from pellucid import ops
from pellucid.nn.module import Module
from pellucid.tensor.dtype import int64
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops._utils import convert_boxes_to_roi_format
from pellucid.vision.ops.boxes import box_area
from pellucid.vision.ops.roi_align import roi_align
from pellucid.vision.ops.roi_pool import roi_pool


class LevelMapper:
    """k = ⌊k0 + log2(√(w h) / 224)⌋ (Lin et al. 2017, "Feature Pyramid Networks", equation 1).

    A box of `canonical_scale` pixels a side goes to level `canonical_level`; one of half the size,
    one level finer; all between `k_min` and `k_max`.
    """

    def __init__(
        self,
        k_min: int,
        k_max: int,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        eps: float = 1e-6,
    ) -> None:
        self.k_min = k_min
        self.k_max = k_max
        self.s0 = canonical_scale
        self.lvl0 = canonical_level
        self.eps = eps

    def __call__(self, boxlists: Sequence[Tensor]) -> Tensor:
        """The level of each box, as an index from `k_min` (int64, (K,))."""
        sides = ops.sqrt(ops.cat([box_area(boxes) for boxes in boxlists]))
        level = ops.floor(self.lvl0 + ops.log2(sides / self.s0) + self.eps)
        result: Tensor = ops.clamp(level, min=self.k_min, max=self.k_max).to(int64) - self.k_min
        return result


def initLevelMapper(
    k_min: int,
    k_max: int,
    canonical_scale: int = 224,
    canonical_level: int = 4,
    eps: float = 1e-6,
) -> LevelMapper:
    """A `LevelMapper`, by torchvision's name."""
    return LevelMapper(k_min, k_max, canonical_scale, canonical_level, eps)


def _infer_scale(feature: Tensor, original_size: Sequence[int]) -> float:
    """The power of two by which a map is smaller than the image, from their heights (or widths)."""
    scales = [
        2.0 ** float(ops.tensor(float(s1) / float(s2)).log2().round())
        for s1, s2 in zip(feature.shape[-2:], original_size, strict=True)
    ]
    return scales[0]


def setup_scales(
    features: Sequence[Tensor],
    image_shapes: Sequence[tuple[int, int]],
    canonical_scale: int,
    canonical_level: int,
) -> tuple[list[float], LevelMapper]:
    """The scale of each level, and which level a box goes to."""
    if not image_shapes:
        raise ValueError("images list should not be empty")
    largest = (max(shape[0] for shape in image_shapes), max(shape[1] for shape in image_shapes))
    scales = [_infer_scale(feature, largest) for feature in features]
    first = -float(ops.tensor(scales[0]).log2())
    last = -float(ops.tensor(scales[-1]).log2())
    return scales, LevelMapper(int(first), int(last), canonical_scale, canonical_level)


class MultiScaleRoIAlign(Module):
    """`roi_align` over a pyramid, each box at its level (`LevelMapper`).

    `featmap_names` are the levels used, `sampling_ratio` and `aligned` those of `roi_align`
    (torchvision's class has no `aligned`).
    """

    def __init__(
        self,
        featmap_names: list[str],
        output_size: int | Sequence[int],
        sampling_ratio: int,
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
        aligned: bool = False,
    ) -> None:
        super().__init__()
        self.featmap_names = featmap_names
        self.sampling_ratio = sampling_ratio
        self.output_size = _pair(output_size)
        self.scales: list[float] | None = None
        self.map_levels: LevelMapper | None = None
        self.canonical_scale = canonical_scale
        self.canonical_level = canonical_level
        self.aligned = aligned

    def region(self, feature: Tensor, rois: Tensor, scale: float) -> Tensor:
        """The regions (K, 5) of one level: (K, C, *output_size)."""
        return roi_align(feature, rois, self.output_size, scale, self.sampling_ratio, self.aligned)

    def forward(
        self,
        x: Mapping[str, Tensor],
        boxes: list[Tensor],
        image_shapes: list[tuple[int, int]],
    ) -> Tensor:
        """Levels by name, boxes (L, 4) and sizes (height, width) of each image: (K, C, P, Q)."""
        features = [feature for name, feature in x.items() if name in self.featmap_names]
        if not features:
            raise ValueError(
                f"none of the levels {self.featmap_names} is among the features {list(x)}"
            )
        if self.scales is None or self.map_levels is None:
            self.scales, self.map_levels = setup_scales(
                features, image_shapes, self.canonical_scale, self.canonical_level
            )
        rois = convert_boxes_to_roi_format(boxes)
        if len(features) == 1:
            return self.region(features[0], rois, self.scales[0])
        levels = self.map_levels(boxes)
        shape = (len(rois), features[0].shape[1], *self.output_size)
        result = ops.zeros(shape, dtype=features[0].dtype)
        for level, (feature, scale) in enumerate(zip(features, self.scales, strict=True)):
            mine = ops.where(levels == level)[0]
            pooled = self.region(feature, rois[mine], scale)
            result = result.index_put((mine,), pooled.to(result.dtype))
        return result

    def __repr__(self) -> str:
        words = (
            f"{self.__class__.__name__}(featmap_names={self.featmap_names}, "
            f"output_size={self.output_size}, sampling_ratio={self.sampling_ratio}"
        )
        return words + (", aligned=True)" if self.aligned else ")")


class MultiScaleRoIPool(MultiScaleRoIAlign):
    """`roi_pool` in place of `roi_align`, everything else equal: what rounding costs a detector."""

    def __init__(
        self,
        featmap_names: list[str],
        output_size: int | Sequence[int],
        *,
        canonical_scale: int = 224,
        canonical_level: int = 4,
    ) -> None:
        super().__init__(
            featmap_names,
            output_size,
            0,
            canonical_scale=canonical_scale,
            canonical_level=canonical_level,
        )

    def region(self, feature: Tensor, rois: Tensor, scale: float) -> Tensor:
        return roi_pool(feature, rois, self.output_size, scale)

    def __repr__(self) -> str:
        return (
            f"{self.__class__.__name__}(featmap_names={self.featmap_names}, "
            f"output_size={self.output_size})"
        )


def _pair(output_size: int | Sequence[int]) -> tuple[int, int]:
    if isinstance(output_size, int):
        return (output_size, output_size)
    height, width = output_size
    return (int(height), int(width))
