"""Autocast: which operators change the dtype of their arguments inside `torch.autocast("cpu")`.

Products (`matmul`, `linear`, convolutions, attention) run in the lower precision; losses, pooling
in
three dimensions, Fourier transforms and decompositions run in float32; joins run in the widest
dtype
of their arguments; everything else runs in the dtypes it is given. float64, integers and complex
numbers are left alone. The tables are PyTorch's for the CPU (aten/src/ATen/autocast_mode.h) and
torchvision's.

The dispatcher looks an operator up here once, when it is described: operators that are in no table
pay nothing.
"""

from __future__ import annotations

import threading
from collections.abc import Callable, Iterator
from contextlib import contextmanager
from typing import Any

from pellucid.tensor.dtype import bfloat16, dtype, float32, float64
from pellucid.tensor.tensor import Tensor

LOWER = frozenset(
    [
        "addbmm",
        "addmm",
        "baddbmm",
        "bmm",
        "conv1d",
        "conv2d",
        "conv3d",
        "conv_tbc",
        "conv_transpose1d",
        "conv_transpose2d",
        "conv_transpose3d",
        "linear",
        "matmul",
        "mm",
        "multi_dot",
        "prelu",
        "scaled_dot_product_attention",
        "vecdot",
    ]
)
"""Computed in the dtype of the autocast."""

FLOAT32 = frozenset(
    [
        "adaptive_avg_pool3d",
        "adaptive_max_pool3d",
        "avg_pool3d",
        "binary_cross_entropy",
        "binary_cross_entropy_with_logits",
        "cdist",
        "cholesky",
        "cholesky_ex",
        "cond",
        "cosine_embedding_loss",
        "cross_entropy",
        "ctc_loss",
        "fft",
        "fft2",
        "fftn",
        "fractional_max_pool2d",
        "fractional_max_pool3d",
        "grid_sample",
        "hfft",
        "hinge_embedding_loss",
        "householder_product",
        "huber_loss",
        "ifft",
        "ifft2",
        "ifftn",
        "ihfft",
        "irfft",
        "irfft2",
        "irfftn",
        "kl_div",
        "l1_loss",
        "margin_ranking_loss",
        "max_unpool1d",
        "max_unpool2d",
        "max_unpool3d",
        "mse_loss",
        "multi_margin_loss",
        "multilabel_margin_loss",
        "nanquantile",
        "nll_loss",
        "nms",
        "poisson_nll_loss",
        "polar",
        "prod",
        "ps_roi",
        "quantile",
        "reflection_pad",
        "replication_pad",
        "rfft",
        "rfft2",
        "rfftn",
        "roi_align",
        "roi_align_max",
        "roi_pool",
        "smooth_l1_loss",
        "soft_margin_loss",
        "stft",
        "svd",
        "svdvals",
        "tensorsolve",
        "trace",
        "triplet_margin_loss",
        "view_as_complex",
    ]
)
"""Computed in float32 where an argument has 16 bits."""

WIDEST = frozenset(("cat", "concat", "concatenate", "index_copy", "stack"))
"""Computed in the widest floating dtype among the arguments."""


class _Autocast(threading.local):
    """What the thread's autocast is: whether it is on, and the dtype of the lower precision."""

    enabled = False
    dtype = bfloat16
    cache = True


current = _Autocast()


def mode() -> dtype | None:
    """The dtype of the lower precision where autocast is on in this thread, else None."""
    return current.dtype if current.enabled else None


def policy(name: str) -> str:
    """ "lower", "float32", "widest", or "" for an operator's name."""
    if name in LOWER:
        return "lower"
    if name in FLOAT32:
        return "float32"
    return "widest" if name in WIDEST else ""


def cast_call(
    rule: str, call: Callable[..., Any], args: tuple[Any, ...], kwargs: dict[str, Any]
) -> Any:
    """`call` with its arguments in the dtype that the tables say for its policy `rule`; inside it
    autocast is off.
    """
    target = _target(rule, (args, tuple(kwargs.values())))
    with switched(False, current.dtype):
        return call(
            *(cast(value, target) for value in args),
            **{key: cast(value, target) for key, value in kwargs.items()},
        )


def _target(rule: str, arguments: Any) -> dtype:
    if rule == "lower":
        return current.dtype
    if rule == "float32":
        return float32
    found = set(_dtypes(arguments))
    return float32 if float32 in found else current.dtype


def _dtypes(value: Any) -> Iterator[dtype]:
    if isinstance(value, Tensor):
        yield value.dtype
    elif isinstance(value, (list, tuple)):
        for item in value:
            yield from _dtypes(item)


def cast(value: Any, target: dtype) -> Any:
    """A floating tensor (not float64) in `target`, lists of them too; anything else as it is."""
    if isinstance(value, Tensor):
        kind = value.dtype
        if kind is target or kind is float64 or not kind.is_floating_point:
            return value
        return value.to(target)
    if type(value) in (list, tuple):
        return type(value)(cast(item, target) for item in value)
    return value


@contextmanager
def switched(enabled: bool, kind: dtype, cache: bool = True) -> Iterator[None]:
    """The thread's autocast on or off for a block."""
    before = current.enabled, current.dtype, current.cache
    current.enabled, current.dtype, current.cache = enabled, kind, cache
    try:
        yield
    finally:
        current.enabled, current.dtype, current.cache = before
