"""`MixtureSameFamily`: one of several distributions of a kind, drawn by a categorical one."""

from __future__ import annotations

from typing import Any, ClassVar

from pellucid.autograd.modes import no_grad
from pellucid.distributions import constraints
from pellucid.distributions.categorical import Categorical
from pellucid.distributions.distribution import Distribution, Shape
from pellucid.ops.api import F
from pellucid.tensor.size import Size
from pellucid.tensor.tensor import Tensor


class MixtureSameFamily(Distribution):
    """The components stand along the rightmost batch dimension of `component_distribution`, which
    `mixture_distribution` chooses from.

    Raises: ValueError for batches that do not fit.
    """

    arg_constraints: ClassVar[dict[str, Any]] = {}

    def __init__(
        self,
        mixture_distribution: Categorical,
        component_distribution: Distribution,
        validate_args: bool | None = None,
    ) -> None:
        if not isinstance(mixture_distribution, Categorical):
            raise ValueError(
                " The Mixture distribution needs to be an "
                " instance of torch.distributions.Categorical"
            )
        if not isinstance(component_distribution, Distribution):
            raise ValueError(
                "The Component distribution needs to be an "
                "instance of torch.distributions.Distribution"
            )
        self._mixture_distribution = mixture_distribution
        self._component_distribution = component_distribution
        mixed, batch = mixture_distribution.batch_shape, component_distribution.batch_shape[:-1]
        for size, other in zip(reversed(mixed), reversed(batch), strict=False):
            if size != 1 and other != 1 and size != other:
                raise ValueError(
                    f"`mixture_distribution.batch_shape` ({mixed}) is not compatible with "
                    f"`component_distribution.batch_shape`({batch})"
                )
        weights = mixture_distribution.logits.shape[-1]
        components = component_distribution.batch_shape[-1]
        if weights != components:
            raise ValueError(
                f"`mixture_distribution component` ({weights}) does not equal "
                f"`component_distribution.batch_shape[-1]` ({components})"
            )
        event = component_distribution.event_shape
        self._event_ndims = len(event)
        super().__init__(batch, event, validate_args=validate_args)

    def expand(self, batch_shape: Shape, _instance: Any = None) -> MixtureSameFamily:
        shape = tuple(batch_shape)
        components = self._component_distribution.batch_shape[-1:]
        return MixtureSameFamily(
            self._mixture_distribution.expand(shape),
            self._component_distribution.expand(Size(shape) + components),
            validate_args=self._validate_args,
        )

    @constraints.dependent_property
    def support(self) -> Any:
        """Where the components are, taken one by one."""
        return _AnyComponent(self._component_distribution.support)

    @property
    def mixture_distribution(self) -> Categorical:
        """What chooses a component."""
        return self._mixture_distribution

    @property
    def component_distribution(self) -> Distribution:
        """The components."""
        return self._component_distribution

    @property
    def mean(self) -> Tensor:
        return (self._weights() * self._component_distribution.mean).sum(-1 - self._event_ndims)

    @property
    def variance(self) -> Tensor:
        components, axis = self._component_distribution, -1 - self._event_ndims
        within = (self._weights() * components.variance).sum(axis)
        between = (self._weights() * (components.mean - self._pad(self.mean)).pow(2.0)).sum(axis)
        return within + between

    def cdf(self, x: Tensor) -> Tensor:
        found = self._component_distribution.cdf(self._pad(x))
        return (found * self._mixture_distribution.probs).sum(-1)

    def log_prob(self, x: Tensor) -> Tensor:
        if self._validate_args:
            self._validate_sample(x)
        found = self._component_distribution.log_prob(self._pad(x))
        return F.logsumexp(found + F.log_softmax(self._mixture_distribution.logits, -1), -1)

    def sample(self, sample_shape: Shape = ()) -> Tensor:
        axis = len(sample_shape) + len(self.batch_shape)
        with no_grad():
            chosen = self._mixture_distribution.sample(sample_shape)
            values = self._component_distribution.sample(sample_shape)
            index = chosen.reshape(tuple(chosen.shape) + (1,) * (self._event_ndims + 1))
            index = index.expand(*chosen.shape, 1, *self.event_shape)
            return F.gather(values, axis, index).squeeze(axis)

    def _pad(self, value: Tensor) -> Tensor:
        return value.unsqueeze(-1 - self._event_ndims)

    def _weights(self) -> Tensor:
        probs = self._mixture_distribution.probs
        rank = len(self._mixture_distribution.batch_shape)
        missing = 0 if rank == 1 else len(self.batch_shape) - rank
        *batch, components = probs.shape
        return probs.reshape(*batch, *(1,) * missing, components, *(1,) * self._event_ndims)

    def __repr__(self) -> str:
        return (
            f"MixtureSameFamily(\n  {self._mixture_distribution},\n  "
            f"{self._component_distribution})"
        )


class _AnyComponent(constraints.Constraint):
    """The constraint of the components, for values without their dimension."""

    def __init__(self, base: constraints.Constraint) -> None:
        self.base_constraint = base
        self.is_discrete, self.event_dim = base.is_discrete, base.event_dim

    def check(self, value: Tensor) -> Tensor:
        """Whether each event is allowed for all components."""
        found = self.base_constraint.check(value.unsqueeze(-1 - self.event_dim))
        event = value.dim() - self.event_dim
        return found.reshape(found.shape[:event] + (-1,)).all(-1)

    def __repr__(self) -> str:
        return f"MixtureSameFamilyConstraint({self.base_constraint!r})"
