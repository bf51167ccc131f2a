"""Images bent: perspective (a camera that looks from elsewhere) and elastic displacement."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.tensor.dtype import float32
from pellucid.tensor.tensor import Tensor
from pellucid.vision.pillow import pixels
from pellucid.vision.transforms.conversion import get_dimensions, require_image, to_pil_image
from pellucid.vision.transforms.interpolation import PILLOW, InterpolationMode, mode_of
from pellucid.vision.transforms.kinds import by_kind
from pellucid.vision.transforms.sampling import colour_of, read_at

Points = Sequence[Sequence[int]]


def perspective_coefficients(startpoints: Points, endpoints: Points) -> list[float]:
    """Eight numbers a … h: the pixel (x, y) comes from ((a x + b y + c) / w, (d x + e y + f) / w),
    w = g x + h y + 1, so that each of the four `endpoints` comes from its start point.

    Raises: ValueError for other than four points.
    """
    if len(startpoints) != 4 or len(endpoints) != 4:
        raise ValueError(
            f"Please provide exactly four corners, got {len(startpoints)} startpoints and "
            f"{len(endpoints)} endpoints."
        )
    rows = []
    for (x, y), (u, v) in zip(endpoints, startpoints, strict=True):
        rows.append([x, y, 1, 0, 0, 0, -u * x, -u * y])
        rows.append([0, 0, 0, x, y, 1, -v * x, -v * y])
    wanted = np.asarray(startpoints, np.float64).reshape(8)
    found = np.linalg.lstsq(np.asarray(rows, np.float64), wanted, rcond=None)[0]
    coefficients: list[float] = found.astype(np.float32).tolist()
    return coefficients


def chosen_coefficients(
    startpoints: Points | None, endpoints: Points | None, coefficients: Sequence[float] | None
) -> Sequence[float]:
    """The coefficients, given themselves or by four pairs of points. ValueError otherwise."""
    if coefficients is not None:
        if startpoints is not None and endpoints is not None:
            raise ValueError(
                "The startpoints/endpoints and the coefficients shouldn't be defined concurrently."
            )
        if len(coefficients) != 8:
            raise ValueError("Argument coefficients should have 8 float values")
        return coefficients
    if startpoints is None or endpoints is None:
        raise ValueError(
            "Either the startpoints/endpoints or the coefficients must have non `None` values."
        )
    return perspective_coefficients(startpoints, endpoints)


@by_kind
def perspective(
    img: Any,
    startpoints: Points | None,
    endpoints: Points | None,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    fill: Any = None,
    coefficients: Sequence[float] | None = None,
) -> Any:
    """The image as if its corner points `startpoints` ((x, y) each) lay at `endpoints`.

    `coefficients`, eight numbers, say it directly; `fill` is the colour of what lies outside.
    """
    require_image(img)
    found = chosen_coefficients(startpoints, endpoints, coefficients)
    mode = mode_of(interpolation)
    if not isinstance(img, Tensor):
        return img.transform(img.size, 2, found, PILLOW[mode], fillcolor=colour_of(img, fill))
    height, width = img.shape[-2:]
    kind = img.dtype if img.is_floating_point() else float32
    x = ops.arange(width).to(kind) + 0.5
    y = ops.arange(height).to(kind)[:, None] + 0.5
    a, b, c, d, e, f, g, h = found
    w = g * x + h * y + 1.0
    across = (a * x + b * y + c) / (0.5 * width) / w - 1.0
    down = (d * x + e * y + f) / (0.5 * height) / w - 1.0
    return read_at(img, ops.stack([across, down], dim=-1), mode, fill)


def identity_grid(height: int, width: int, kind: Any) -> Tensor:
    """Where every pixel's centre lies, (height, width, 2), from -1 to 1 across the image."""
    x = (ops.arange(width).to(kind) * 2 + (1 - width)) / width
    y = (ops.arange(height).to(kind) * 2 + (1 - height)) / height
    grid: Tensor = ops.stack(ops.broadcast_tensors(x, y[:, None]), dim=-1)
    return grid


def require_displacement(displacement: Any, height: int, width: int) -> None:
    """Raises: TypeError, ValueError unless it is a tensor (1, height, width, 2)."""
    if not isinstance(displacement, Tensor):
        raise TypeError("Argument displacement should be a Tensor")
    if tuple(displacement.shape) != (1, height, width, 2):
        raise ValueError(
            f"Argument displacement shape should be {(1, height, width, 2)}, but given "
            f"{tuple(displacement.shape)}"
        )


@by_kind
def elastic(
    img: Any,
    displacement: Tensor,
    interpolation: InterpolationMode | int = InterpolationMode.BILINEAR,
    fill: Any = None,
) -> Any:
    """Every pixel read `displacement` (1, H, W, 2; x, y in half images) away from its place."""
    require_image(img)
    mode = mode_of(interpolation)
    _, height, width = get_dimensions(img)
    require_displacement(displacement, height, width)
    image = img if isinstance(img, Tensor) else pixels(img)
    kind = image.dtype if image.is_floating_point() else float32
    grid = identity_grid(height, width, kind) + displacement[0].to(kind)
    found = read_at(image, grid, mode, fill)
    return found if isinstance(img, Tensor) else to_pil_image(found, mode=img.mode)
