"""What the distributions share: broadcasting parameters, logits and probabilities, lazy
attributes.
"""

from __future__ import annotations

import functools
from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.modes import enable_grad
from pellucid.ops.api import F
from pellucid.tensor.dtype import default, dtype, finfo
from pellucid.tensor.tensor import Tensor


def broadcast_all(*values: Any) -> tuple[Tensor, ...]:
    """Tensors and numbers as tensors of one shape; numbers take the dtype of the first tensor.

    Raises: ValueError for anything else.
    """
    if not all(isinstance(v, (Tensor, int, float, complex)) for v in values):
        raise ValueError(
            "Input arguments must all be instances of Number, torch.Tensor or objects implementing "
            "__torch_function__."
        )
    kinds = [v.dtype for v in values if isinstance(v, Tensor)]
    kind = kinds[0] if kinds else default.floating
    tensors = [v if isinstance(v, Tensor) else F.tensor(v, dtype=kind) for v in values]
    return tuple(F.broadcast_tensors(*tensors))


def standard_normal(shape: Sequence[int], kind: dtype) -> Tensor:
    """Standard normal numbers of this shape."""
    return F.empty(tuple(shape), dtype=kind).normal_()


def sum_rightmost(value: Tensor, count: int) -> Tensor:
    """`value` summed over its `count` rightmost dimensions."""
    return value if not count else value.reshape(value.shape[:-count] + (-1,)).sum(-1)


def logits_to_probs(logits: Tensor, is_binary: bool = False) -> Tensor:
    """Probabilities of log odds (binary), or of unnormalised log probabilities in the last
    dimension.
    """
    return F.sigmoid(logits) if is_binary else F.softmax(logits, -1)


def clamp_probs(probs: Tensor) -> Tensor:
    """Probabilities within the open interval (0, 1)."""
    eps = finfo(probs.dtype).eps
    return probs.clamp(min=eps, max=1 - eps)


def probs_to_logits(probs: Tensor, is_binary: bool = False) -> Tensor:
    """Log odds (binary), or log probabilities."""
    clamped = clamp_probs(probs)
    return F.log(clamped) - F.log1p(-clamped) if is_binary else F.log(clamped)


class lazy_property:
    """An attribute that is computed when it is first read."""

    def __init__(self, wrapped: Callable[[Any], Any]) -> None:
        self.wrapped = wrapped
        functools.update_wrapper(self, wrapped)  # type: ignore[arg-type]

    def __get__(self, instance: Any, owner: Any = None) -> Any:
        if instance is None:
            return self
        with enable_grad():
            value = self.wrapped(instance)
        setattr(instance, self.wrapped.__name__, value)
        return value
