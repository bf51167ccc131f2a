"""Invertible functions with the logarithm of their slope: `ExpTransform`, `AffineTransform`, …"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any, ClassVar

from pellucid.distributions import constraints
from pellucid.distributions.transform import (
    ComposeTransform,
    IndependentTransform,
    Transform,
)
from pellucid.distributions.utils import sum_rightmost
from pellucid.ops.api import F
from pellucid.tensor.dtype import finfo
from pellucid.tensor.size import Size
from pellucid.tensor.tensor import Tensor

__all__ = [
    "AbsTransform",
    "AffineTransform",
    "ComposeTransform",
    "ExpTransform",
    "IndependentTransform",
    "PowerTransform",
    "SigmoidTransform",
    "SoftmaxTransform",
    "SoftplusTransform",
    "TanhTransform",
    "Transform",
    "identity_transform",
]


class _Rising(Transform):
    """A bijection of numbers that rises everywhere."""

    bijective = True
    sign: ClassVar[int] = 1

    def __eq__(self, other: object) -> bool:
        return type(self) is type(other)

    def __hash__(self) -> int:
        return hash(type(self))


class ExpTransform(_Rising):
    """y = exp(x)."""

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return x.exp()

    def _inverse_of(self, y: Tensor) -> Tensor:
        return y.log()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return x


class PowerTransform(Transform):
    """y = x ^ exponent, for positive x."""

    bijective = True
    domain = codomain = constraints.positive

    def __init__(self, exponent: Any, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.exponent = exponent if isinstance(exponent, Tensor) else F.tensor(float(exponent))

    @property
    def sign(self) -> Any:
        return self.exponent.sign()

    def _call(self, x: Tensor) -> Tensor:
        return x.pow(self.exponent)

    def _inverse_of(self, y: Tensor) -> Tensor:
        return y.pow(1 / self.exponent)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return (self.exponent * y / x).abs().log()

    def forward_shape(self, shape: Sequence[int]) -> Size:
        return Size(F.broadcast_shapes(tuple(shape), tuple(self.exponent.shape)))

    inverse_shape = forward_shape

    def __eq__(self, other: object) -> bool:
        return isinstance(other, PowerTransform) and _equal(self.exponent, other.exponent)

    def __hash__(self) -> int:
        return hash(type(self))


class SigmoidTransform(_Rising):
    """y = 1 / (1 + exp(-x))."""

    codomain = constraints.unit_interval

    def _call(self, x: Tensor) -> Tensor:
        return _open(F.sigmoid(x))

    def _inverse_of(self, y: Tensor) -> Tensor:
        y = _open(y)
        return y.log() - (-y).log1p()

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -F.nn.softplus(-x) - F.nn.softplus(x)


def _open(probs: Tensor) -> Tensor:
    """Numbers within (0, 1), as near to the ends as the dtype holds."""
    kind = finfo(probs.dtype)
    return probs.clamp(min=kind.tiny, max=1.0 - kind.eps)


class SoftplusTransform(_Rising):
    """y = log(1 + exp(x)); x itself above 20."""

    codomain = constraints.positive

    def _call(self, x: Tensor) -> Tensor:
        return F.nn.softplus(x)

    def _inverse_of(self, y: Tensor) -> Tensor:
        return (-y).expm1().neg().log() + y

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return -F.nn.softplus(-x)


class TanhTransform(_Rising):
    """y = tanh(x)."""

    codomain = constraints.interval(-1.0, 1.0)

    def _call(self, x: Tensor) -> Tensor:
        return x.tanh()

    def _inverse_of(self, y: Tensor) -> Tensor:
        return F.atanh(y)

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        return 2.0 * (0.6931471805599453 - x - F.nn.softplus(-2.0 * x))


class AbsTransform(Transform):
    """y = |x|; `inv` gives the positive x."""

    codomain = constraints.positive

    def __eq__(self, other: object) -> bool:
        return isinstance(other, AbsTransform)

    def __hash__(self) -> int:
        return hash(type(self))

    def _call(self, x: Tensor) -> Tensor:
        return x.abs()

    def _inverse_of(self, y: Tensor) -> Tensor:
        return y


class AffineTransform(Transform):
    """y = loc + scale * x; `event_dim` dimensions are taken together."""

    bijective = True

    def __init__(self, loc: Any, scale: Any, event_dim: int = 0, cache_size: int = 0) -> None:
        super().__init__(cache_size)
        self.loc, self.scale, self._event_dim = loc, scale, event_dim
        if event_dim:
            self.domain = self.codomain = constraints.independent(constraints.real, event_dim)

    @property
    def sign(self) -> Any:
        if isinstance(self.scale, Tensor):
            return self.scale.sign()
        return (self.scale > 0) - (self.scale < 0)

    def with_cache(self, cache_size: int = 1) -> Transform:
        return AffineTransform(self.loc, self.scale, self._event_dim, cache_size)

    def __eq__(self, other: object) -> bool:
        return (
            isinstance(other, AffineTransform)
            and _equal(self.loc, other.loc)
            and _equal(self.scale, other.scale)
        )

    def __hash__(self) -> int:
        return hash(type(self))

    def _call(self, x: Tensor) -> Tensor:
        return self.loc + self.scale * x

    def _inverse_of(self, y: Tensor) -> Tensor:
        return (y - self.loc) / self.scale

    def log_abs_det_jacobian(self, x: Tensor, y: Tensor) -> Tensor:
        slope = F.abs(F.as_tensor(self.scale, dtype=x.dtype)).log()
        kept = x.dim() - self._event_dim
        return sum_rightmost(slope.expand(x.shape), self._event_dim).expand(x.shape[:kept])

    def forward_shape(self, shape: Sequence[int]) -> Size:
        sizes = [tuple(p.shape) for p in (self.loc, self.scale) if isinstance(p, Tensor)]
        return Size(F.broadcast_shapes(tuple(shape), *sizes))

    inverse_shape = forward_shape


def _equal(a: Any, b: Any) -> bool:
    """Whether two parameters, numbers or tensors, are the same everywhere."""
    same = a == b
    return bool(same.all()) if isinstance(same, Tensor) else bool(same)


class SoftmaxTransform(Transform):
    """Shares of exp(x) along the last dimension; `inv` gives their logarithms."""

    domain = constraints.real_vector
    codomain = constraints.simplex

    def _call(self, x: Tensor) -> Tensor:
        shares = (x - x.max(-1, True)[0]).exp()
        return shares / shares.sum(-1, True)

    def _inverse_of(self, y: Tensor) -> Tensor:
        return y.log()


identity_transform = ComposeTransform([])
