"""`LowRankMultivariateNormal`: normal vectors with few directions of common variation.

The covariance is W Wᵀ + D with W (*, n, k) and D diagonal; determinant and distance go through the
k × k matrix I + Wᵀ D⁻¹ W (Woodbury's identity, and the determinant lemma).
"""

from __future__ import annotations

import math
from typing import Any, ClassVar

from pellucid.distributions import constraints
from pellucid.distributions.distribution import Distribution, Shape
from pellucid.distributions.utils import lazy_property, standard_normal
from pellucid.ops.api import F
from pellucid.tensor.size import Size
from pellucid.tensor.tensor import Tensor


class LowRankMultivariateNormal(Distribution):
    """Normal vectors of mean `loc` and covariance `cov_factor cov_factorᵀ + diag(cov_diag)`.

    Raises: ValueError for shapes that do not fit.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {
        "loc": constraints.real_vector,
        "cov_factor": constraints.independent(constraints.real, 2),
        "cov_diag": constraints.independent(constraints.positive, 1),
    }
    support = constraints.real_vector
    has_rsample = True

    def __init__(
        self,
        loc: Tensor,
        cov_factor: Tensor,
        cov_diag: Tensor,
        validate_args: bool | None = None,
    ) -> None:
        if loc.dim() < 1:
            raise ValueError("loc must be at least one-dimensional.")
        event = loc.shape[-1:]
        if cov_factor.dim() < 2:
            raise ValueError(
                "cov_factor must be at least two-dimensional, with optional leading batch "
                "dimensions"
            )
        if cov_factor.shape[-2:-1] != event:
            raise ValueError(f"cov_factor must be a batch of matrices with shape {event[0]} x m")
        if cov_diag.shape[-1:] != event:
            raise ValueError(f"cov_diag must be a batch of vectors with shape {event}")
        try:
            batch = F.broadcast_shapes(
                tuple(loc.shape[:-1]), tuple(cov_factor.shape[:-2]), tuple(cov_diag.shape[:-1])
            )
        except RuntimeError:
            raise ValueError(
                "Incompatible batch shapes: "
                f"loc {loc.shape}, cov_factor {cov_factor.shape}, cov_diag {cov_diag.shape}"
            ) from None
        self.loc = loc.expand(*batch, *event)
        self.cov_diag = cov_diag.expand(*batch, *event)
        self.cov_factor = cov_factor.expand(*batch, *cov_factor.shape[-2:])
        super().__init__(Size(batch), event, validate_args=validate_args)

    @lazy_property
    def _inner_factor(self) -> Tensor:
        """The Cholesky factor of I + Wᵀ D⁻¹ W."""
        scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)
        inner = F.matmul(scaled, self.cov_factor)
        return F.linalg.cholesky(inner + F.eye(inner.shape[-1], dtype=inner.dtype))

    @property
    def mean(self) -> Tensor:
        return self.loc

    @property
    def mode(self) -> Tensor:
        return self.loc

    @property
    def variance(self) -> Tensor:
        return self.cov_factor.pow(2).sum(-1) + self.cov_diag

    @property
    def covariance_matrix(self) -> Tensor:
        """W Wᵀ + D."""
        return F.matmul(self.cov_factor, self.cov_factor.mT) + F.diag_embed(self.cov_diag)

    @property
    def scale_tril(self) -> Tensor:
        """The Cholesky factor of the covariance, by that of D^(-1/2) W Wᵀ D^(-1/2) + I."""
        root = self.cov_diag.sqrt().unsqueeze(-1)
        scaled = self.cov_factor / root
        inner = F.matmul(scaled, scaled.mT)
        return root * F.linalg.cholesky(inner + F.eye(inner.shape[-1], dtype=inner.dtype))

    @property
    def precision_matrix(self) -> Tensor:
        """The inverse of the covariance."""
        scaled = self.cov_factor.mT / self.cov_diag.unsqueeze(-2)
        half = F.linalg.solve_triangular(self._inner_factor, scaled, upper=False)
        return F.diag_embed(self.cov_diag.reciprocal()) - F.matmul(half.mT, half)

    def log_determinant(self) -> Tensor:
        """The logarithm of the covariance's determinant."""
        inner = self._inner_factor.diagonal(dim1=-2, dim2=-1).log().sum(-1)
        return 2 * inner + self.cov_diag.log().sum(-1)

    def rsample(self, sample_shape: Shape = ()) -> Tensor:
        shape = self._extended_shape(sample_shape)
        common = standard_normal((*shape[:-1], self.cov_factor.shape[-1]), self.loc.dtype)
        own = standard_normal(shape, self.loc.dtype)
        moved = F.matmul(self.cov_factor, common.unsqueeze(-1)).squeeze(-1)
        return self.loc + moved + self.cov_diag.sqrt() * own

    def log_prob(self, value: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(value)
        apart = value - self.loc
        scaled = (apart / self.cov_diag).unsqueeze(-1)
        inner = F.matmul(self.cov_factor.mT, scaled)
        half = F.linalg.solve_triangular(self._inner_factor, inner, upper=False).squeeze(-1)
        distance = (apart.pow(2) / self.cov_diag).sum(-1) - half.pow(2).sum(-1)
        size = self._event_shape[0]
        return -0.5 * (size * math.log(2 * math.pi) + self.log_determinant() + distance)

    def entropy(self) -> Tensor:
        size = self._event_shape[0]
        return 0.5 * (size * (1.0 + math.log(2 * math.pi)) + self.log_determinant())
