"""Group normalisation, local response normalisation, and division by p-norms.

Group normalisation is an operator with a fast gradient on arrays; for gradients of gradients, and
for gradients of the statistics it answers, the same is computed with recorded operators.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import copy_array
from pellucid.ops.nn import kernels_normalisation as kernels
from pellucid.ops.nn.normalisation_rows import statistics_dtype
from pellucid.ops.nn.support import finished, layout_for, not_implemented, tie, working
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import REDUCED
from pellucid.tensor.levels import levels
from pellucid.tensor.tensor import Tensor, adopt, empty

_Groups = return_type("normalise_groups", "out mean rstd")


def _group_gradient(
    grads: tuple[Tensor | None, ...],
    needs: frozenset[str],
    input: Tensor,
    weight: Tensor | None,
    groups: int,
    eps: float,
    mean: Tensor,
    rstd: Tensor,
) -> tuple[Tensor | None, ...]:
    grad, for_mean, for_rstd = grads
    found: tuple[Tensor | None, ...] = (None, None, None)
    if grad is not None:
        if state.grad or levels.stack or not input._layout.numel:
            found = _group_composed(grad, input, weight, groups, eps)
        else:
            found = _group_backward(grad, needs, input, weight, groups, mean, rstd)
    if for_mean is not None or for_rstd is not None:
        extra = _statistics_gradient(for_mean, for_rstd, input, groups, eps)
        found = (extra if found[0] is None else found[0] + extra, *found[1:])
    return found


def _statistics_gradient(
    for_mean: Tensor | None, for_rstd: Tensor | None, input: Tensor, groups: int, eps: float
) -> Tensor:
    """What gradients of the mean and of 1/std (N, groups) contribute to the input's."""
    shape = input._layout.shape
    size = shape[1] // groups * math.prod(shape[2:])
    x = input.reshape(shape[0], groups, size)
    centred = x - x.mean(2, keepdim=True)
    total = F.zeros_like(x)
    if for_mean is not None:
        total = total + (for_mean / size).unsqueeze(2)
    if for_rstd is not None:
        rstd = ((centred * centred).mean(2) + eps).rsqrt()
        total = total - (for_rstd * rstd * rstd * rstd / size).unsqueeze(2) * centred
    return total.reshape(input.shape)


def _group_backward(
    grad: Tensor,
    needs: frozenset[str],
    input: Tensor,
    weight: Tensor | None,
    groups: int,
    mean: Tensor,
    rstd: Tensor,
) -> tuple[Tensor | None, ...]:
    shape = input._layout.shape
    x = _planes(input)
    kind = x.dtype
    centre, factor = (working(s).astype(kind, copy=False) for s in (mean, rstd))
    out = np.empty(x.shape, kind)
    for_weight, for_bias = kernels.groups_backward(
        _planes(grad), x, centre, factor, _flat(weight, kind), out
    )
    found = (weight if weight is not None else input).dtype.numpy
    return (
        finished(out.reshape(shape), input.dtype, layout_for(shape, input._layout)),
        adopt(for_weight.astype(found)) if "weight" in needs and weight is not None else None,
        adopt(for_bias.astype(found)) if "bias" in needs else None,
    )


def _planes(tensor: Tensor) -> np.ndarray:
    """(N, C, *S) as contiguous (N, C, L) to compute with."""
    n, c = tensor._layout.shape[:2]
    return np.ascontiguousarray(working(tensor)).reshape(n, c, -1)


def _flat(tensor: Tensor | None, d: np.dtype) -> np.ndarray | None:
    return None if tensor is None else working(tensor).astype(d, copy=False)


def _group_composed(
    grad: Tensor, input: Tensor, weight: Tensor | None, groups: int, eps: float
) -> tuple[Tensor | None, ...]:
    shape = input._layout.shape
    n, c = shape[:2]
    split = (n, groups, c // groups * math.prod(shape[2:]))
    x = input.reshape(split)
    centred = x - x.mean(2, keepdim=True)
    rstd = ((centred * centred).mean(2, keepdim=True) + eps).rsqrt()
    hat = centred * rstd
    along = (1, c, *[1] * (len(shape) - 2))
    scaled = (grad if weight is None else grad * weight.view(along)).reshape(split)
    slope = scaled - scaled.mean(2, keepdim=True) - hat * (scaled * hat).mean(2, keepdim=True)
    dims = (0, *range(2, len(shape)))
    others = [input] if weight is None else [input, weight]
    return (
        tie((rstd * slope).reshape(shape), others),
        None if weight is None else tie((grad * hat.reshape(shape)).sum(dims), others),
        tie(grad.sum(dims), others),
    )


@operator(
    where="internal",
    fields=("out", "mean", "rstd"),
    gradient={("input", "weight", "bias"): _group_gradient},
    backward_name="NativeGroupNormBackward0",
)
def normalise_groups(
    input: Tensor, weight: Tensor | None, bias: Tensor | None, groups: int, eps: float
) -> Any:
    """Group normalisation of (N, C, *S), with the mean and 1/std of each group, (N, groups)."""
    shape = input._layout.shape
    out = empty(layout_for(shape, input._layout), input.dtype)
    kind = statistics_dtype(input, weight)
    if not input._layout.numel:
        none = np.zeros((shape[0], groups), np.float64)
        return _Groups(out, finished(none, kind), finished(none, kind))
    x = _planes(input)
    direct = input.dtype not in REDUCED and out._layout.is_row_major
    found = out._array.reshape(x.shape) if direct else np.empty_like(x)
    with np.errstate(all="ignore"):
        means, factors = kernels.normalise_groups(
            x, groups, eps, _flat(weight, x.dtype), _flat(bias, x.dtype), found
        )
    if not direct:
        copy_array(out._array, found.reshape(shape))
    return _Groups(out, finished(means, kind), finished(factors, kind))


def _check_groups(input: Tensor, groups: int, weight: Tensor | None, bias: Tensor | None) -> None:
    c = input._layout.shape[1]
    if groups <= 0:
        raise RuntimeError(f"Expected num groups to be greater than 0, got {groups}")
    if c % groups:
        raise RuntimeError(
            "Expected number of channels in input to be divisible by num_groups, but got input of "
            f"shape {list(input.shape)} and num_groups={groups}"
        )
    for label, given in (("weight", weight), ("bias", bias)):
        if given is not None and tuple(given.shape) != (c,):
            raise RuntimeError(
                f"Expected {label} to be a vector of size equal to the number of channels in "
                f"input, but got {label} of shape {list(given.shape)} and input of shape "
                f"{list(input.shape)}"
            )
    if not input.dtype.is_floating_point:
        raise not_implemented("GroupNormKernelImpl", input.dtype)


@composite(where="nn.functional torch")
def group_norm(
    input: Tensor,
    num_groups: int,
    weight: Tensor | None = None,
    bias: Tensor | None = None,
    eps: float = 1e-05,
    cudnn_enabled: bool = True,
) -> Tensor:
    """Normalise the channels of (N, C, *S) in groups, each sample on its own (Wu and He 2018)."""
    shape = input._layout.shape
    if len(shape) < 2:
        raise RuntimeError(
            f"Expected at least 2 dimensions for input tensor but received {len(shape)}"
        )
    seen = [shape[0] * shape[1] // num_groups, num_groups, *shape[2:]]
    if seen[0] * math.prod(seen[2:]) == 1:
        raise ValueError(
            f"Expected more than 1 value per channel when training, got input size {seen}"
        )
    _check_groups(input, num_groups, weight, bias)
    return normalise_groups(input, weight, bias, num_groups, float(eps))[0]


@composite(where="torch")
def native_group_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    N: int,
    C: int,
    HxW: int,
    group: int,
    eps: float,
) -> tuple[Tensor, Tensor, Tensor]:
    """Group normalisation with the mean and 1/std of each group, (N, groups)."""
    _check_groups(input, group, weight, bias)
    layout = input._layout
    if not (layout.is_row_major or layout.is_contiguous(layout.suggested_memory_format)):
        raise RuntimeError(
            "Expected X.is_contiguous(memory_format) to be true, but got false.\n"
            f"  The input's strides are {layout.strides}: give it input.contiguous(), or use "
            "nn.functional.group_norm, which does that itself."
        )
    return tuple(normalise_groups(input, weight, bias, group, float(eps)))


# -- over neighbours, over a norm


@composite(where="nn.functional")
def local_response_norm(
    input: Tensor, size: int, alpha: float = 1e-4, beta: float = 0.75, k: float = 1.0
) -> Tensor:
    """Divide by (k + alpha * mean of squares over `size` neighbouring channels)^beta.

    Krizhevsky, Sutskever and Hinton 2012.
    """
    dims = input.dim()
    if dims < 3:
        raise ValueError(
            "Expected 3D or higher dimensionality                          input "
            f"(got {dims} dimensions)"
        )
    if not input.numel():
        return input
    squares = input * input
    around = (size // 2, (size - 1) // 2)
    if dims == 3:
        padded = F.nn.pad(squares.unsqueeze(1), (0, 0, *around))
        mean = F.nn.avg_pool2d(padded, (size, 1), stride=1).squeeze(1)
    else:
        n, c, first = input.shape[:3]
        planes = squares.view(n, 1, c, first, -1)
        padded = F.nn.pad(planes, (0, 0, 0, 0, *around))
        mean = F.nn.avg_pool3d(padded, (size, 1, 1), stride=1).squeeze(1).view(input.shape)
    return input / F.pow(mean * alpha + k, beta)


@composite(where="nn.functional")
def normalize(
    input: Tensor, p: float = 2.0, dim: Any = 1, eps: float = 1e-12, out: Tensor | None = None
) -> Tensor:
    """Divide by the p-norm over `dim`, or by `eps` if that is larger."""
    norm = F.linalg.vector_norm(input, p, dim, keepdim=True)
    denominator = F.clamp_min(norm, eps).expand_as(input)
    if out is None:
        return input / denominator
    return F.div(input, denominator, out=out)
