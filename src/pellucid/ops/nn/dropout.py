"""Dropout: multiply by noise that is drawn number for number as PyTorch draws it.

Plain dropout zeroes elements with probability p and scales the rest by 1 / (1 - p) (Srivastava et
al. 2014). Feature dropout draws one number per sample and channel. Alpha dropout keeps mean and
variance of what comes out of SELU (Klambauer et al. 2017): dropped elements become SELU's limit,
and an affine map follows.
"""

from __future__ import annotations

import math
import warnings
from typing import Any

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn.support import require_tensor
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import NoGradient, registry
from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import Layout, contiguous, empty_like_layout
from pellucid.tensor.levels import levels, sampled
from pellucid.tensor.random.distributions import bernoulli, dropout_noise, fill_in_memory_order
from pellucid.tensor.random.generator import current_generator
from pellucid.tensor.tensor import Tensor, empty

_SELU_LIMIT = 1.7580993408473766
"""Minus SELU's value at minus infinity: its scale times its alpha."""


def _noise_layout(input: Tensor, feature: bool) -> Layout:
    """One number per element, in the input's order of memory; or one per sample and channel."""
    if not feature:
        return empty_like_layout(input._layout)
    shape = input._layout.shape
    if len(shape) < 2:
        raise RuntimeError(
            "Feature dropout requires at least 2 dimensions in the input\n"
            "  It drops whole channels of (N, C, ...); use dropout for elements."
        )
    return contiguous(shape[:2] + (1,) * (len(shape) - 2))


def _multiply(input: Tensor, factor: Tensor, inplace: bool) -> Tensor:
    return input.mul_(factor) if inplace else input * factor


def _drop(
    name: str,
    input: Tensor,
    p: float,
    train: bool,
    *,
    feature: bool = False,
    alpha: bool = False,
    inplace: bool = False,
) -> Tensor:
    """Any kind of dropout: the input itself where nothing can be dropped."""
    require_tensor(name, "input", 1, input)
    if not 0 <= p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {p:g}")
    if p == 0 or not train or not input._layout.numel:
        return input
    if p == 1:
        return _multiply(input, F.zeros((), dtype=input.dtype), inplace)
    layout = _noise_layout(input, feature)
    if input.dtype.category < 2:
        raise RuntimeError(
            f"result type Float can't be cast to the desired output type {scalar_type(input.dtype)}"
            "\n  What is kept is scaled by 1 / (1 - p): convert the input to a floating dtype."
        )
    if levels.stack:
        noise = sampled(lambda size: _noise(contiguous(size), input.dtype, p, alpha), layout.shape)
    else:
        noise = _noise(layout, input.dtype, p, alpha)
    return _alpha(input, noise, p, inplace) if alpha else _multiply(input, noise, inplace)


@operator(where="internal", name="dropout_noise", gradient=NoGradient("drawn, not computed"))
def _noise(layout: Layout, d: dtype, p: float, alpha: bool) -> Tensor:
    """What the input is multiplied by; for alpha dropout 1 where it is kept, else 0."""
    noise = empty(layout, d)
    if alpha:
        drawn = bernoulli(current_generator(), layout.numel, d, 1 - p)
    else:
        drawn = dropout_noise(current_generator(), layout.numel, d, p)
    fill_in_memory_order(noise._array, drawn)
    return noise


def _alpha(input: Tensor, noise: Tensor, p: float, inplace: bool) -> Tensor:
    """a * (kept or the limit of SELU) + b, with mean 0 and variance 1 if the input has them."""
    a = 1 / math.sqrt((_SELU_LIMIT * _SELU_LIMIT * p + 1) * (1 - p))
    shift = noise.add(-1).mul_(_SELU_LIMIT * a).add_(_SELU_LIMIT * a * p)
    return _multiply(input, noise.mul_(a), inplace).add_(shift)


def _check_probability(p: float) -> None:
    if p < 0 or p > 1:
        raise ValueError(f"dropout probability has to be between 0 and 1, but got {p}")


@composite(where="nn.functional")
def dropout(input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False) -> Tensor:
    """In training, zero each element with probability `p` and scale the others by 1 / (1 - p)."""
    _check_probability(p)
    return _drop("dropout", input, p, training, inplace=inplace)


@composite(where="nn.functional")
def alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Dropout that keeps mean and variance, for networks with SELU."""
    _check_probability(p)
    return _drop("alpha_dropout", input, p, training, alpha=True, inplace=inplace)


@composite(where="nn.functional")
def feature_alpha_dropout(
    input: Tensor, p: float = 0.5, training: bool = False, inplace: bool = False
) -> Tensor:
    """Alpha dropout of whole channels of (N, C, ...)."""
    _check_probability(p)
    name = "feature_alpha_dropout"
    return _drop(name, input, p, training, feature=True, alpha=True, inplace=inplace)


def _features(input: Tensor, p: float, training: bool, inplace: bool, batched: bool) -> Tensor:
    """Dropout of whole channels; a sample without batch gets one for the time being."""
    if not batched:
        input = input.unsqueeze_(0) if inplace else input.unsqueeze(0)
    result = _drop("feature_dropout", input, p, training, feature=True, inplace=inplace)
    if not batched:
        result = result.squeeze_(0) if inplace else result.squeeze(0)
    return result


@composite(where="nn.functional")
def dropout1d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zero whole channels of (N, C, L) or (C, L) with probability `p`."""
    _check_probability(p)
    dims = input.dim()
    if dims not in (2, 3):
        raise RuntimeError(
            f"dropout1d: Expected 2D or 3D input, but received a {dims}D input. Note that "
            "dropout1d exists to provide channel-wise dropout on inputs with 1 spatial dimension, "
            "a channel dimension, and an optional batch dimension (i.e. 2D or 3D inputs)."
        )
    return _features(input, p, training, inplace, dims == 3)


def _warn_rank(name: str, dims: int, spatial: int, ranks: str) -> None:
    warnings.warn(
        f"{name}: Received a {dims}-D input to {name}, which is deprecated and will result in an "
        "error in a future release. To retain the behavior and silence this warning, please use "
        f"dropout instead. Note that {name} exists to provide channel-wise dropout on inputs with "
        f"{spatial} spatial dimensions, a channel dimension, and an optional batch dimension (i.e. "
        f"{ranks} inputs).",
        stacklevel=3,
    )


@composite(where="nn.functional")
def dropout2d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zero whole channels of (N, C, H, W) with probability `p`; (N, C, L) works, with a warning."""
    _check_probability(p)
    dims = input.dim()
    if dims not in (3, 4):
        _warn_rank("dropout2d", dims, 2, "3D or 4D")
    if dims == 3:
        warnings.warn(
            "dropout2d: Received a 3D input to dropout2d and assuming that channel-wise 1D dropout "
            "behavior is desired - input is interpreted as shape (N, C, L), where C is the channel "
            "dim. This behavior will change in a future release to interpret the input as one "
            "without a batch dimension, i.e. shape (C, H, W). To maintain the 1D channel-wise "
            "dropout behavior, please switch to using dropout1d instead.",
            stacklevel=2,
        )
    return _features(input, p, training, inplace, True)


@composite(where="nn.functional")
def dropout3d(
    input: Tensor, p: float = 0.5, training: bool = True, inplace: bool = False
) -> Tensor:
    """Zero whole channels of (N, C, D, H, W) or (C, D, H, W) with probability `p`."""
    _check_probability(p)
    dims = input.dim()
    if dims not in (4, 5):
        _warn_rank("dropout3d", dims, 3, "4D or 5D")
    return _features(input, p, training, inplace, dims == 5)


def _torch_names() -> None:
    """`torch.dropout(input, p, train)` and its kin, with their in-place forms."""
    kinds: dict[str, dict[str, Any]] = {
        "dropout": {},
        "feature_dropout": {"feature": True},
        "alpha_dropout": {"alpha": True},
        "feature_alpha_dropout": {"feature": True, "alpha": True},
    }
    for name, kind in kinds.items():
        for suffix, inplace in (("", False), ("_", True)):

            def call(
                input: Tensor,
                p: float,
                train: bool,
                _name: str = name + suffix,
                _kind: dict[str, Any] = {**kind, "inplace": inplace},  # noqa: B006
            ) -> Tensor:
                return _drop(_name, input, p, train, **_kind)

            call.__name__ = call.__qualname__ = name + suffix
            call.__doc__ = f"`nn.functional`'s {name.replace('_', ' ')}, PyTorch's inner spelling."
            registry.put("torch", name + suffix, guarded_as(f"torch.{name}{suffix}", call))


_torch_names()
