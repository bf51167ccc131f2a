"""What values a parameter or a sample may have: `constraints.positive.check(x)` is a bool tensor.

`event_dim` is the number of rightmost dimensions that are judged together (1 for a simplex);
`is_discrete` says whether the allowed values are isolated.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.ops.api import F
from pellucid.tensor.tensor import Tensor


class Constraint:
    """A set of allowed values."""

    is_discrete = False
    event_dim = 0

    def check(self, value: Tensor) -> Tensor:
        """Whether each event in `value` is allowed: bool, without the event's dimensions."""
        raise NotImplementedError

    def __repr__(self) -> str:
        return f"{type(self).__name__.removeprefix('_')}()"


class _Rule(Constraint):
    """A constraint with a name as it is printed, and a function that checks."""

    def __init__(
        self,
        text: str,
        check: Callable[[Tensor], Tensor],
        *,
        event_dim: int = 0,
        is_discrete: bool = False,
        **fields: Any,
    ) -> None:
        self._text = text
        self._check = check
        self.event_dim = event_dim
        self.is_discrete = is_discrete
        vars(self).update(fields)

    def check(self, value: Tensor) -> Tensor:
        """Whether each event in `value` is allowed."""
        return self._check(value)

    def __repr__(self) -> str:
        return self._text


class _Dependent(Constraint):
    """Values whose limits depend on other parameters: they cannot be checked alone."""

    def __init__(self, is_discrete: bool = False, event_dim: int = 0) -> None:
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def check(self, value: Tensor) -> Tensor:
        """ValueError: ask the distribution's `support`."""
        raise ValueError("Cannot determine validity of dependent constraint")


def is_dependent(constraint: Any) -> bool:
    """Whether the limits depend on other parameters."""
    return isinstance(constraint, (_Dependent, dependent_property))


class dependent_property(property):
    """A property that gives a constraint, made of a distribution's parameters."""

    def __init__(self, fn: Any = None, *, is_discrete: bool = False, event_dim: int = 0) -> None:
        super().__init__(fn)
        self.is_discrete, self.event_dim = is_discrete, event_dim

    def __call__(self, fn: Any) -> dependent_property:
        return dependent_property(fn, is_discrete=self.is_discrete, event_dim=self.event_dim)


class independent(Constraint):
    """`base` for each of `reinterpreted_batch_ndims` rightmost dimensions together."""

    def __init__(self, base_constraint: Constraint, reinterpreted_batch_ndims: int) -> None:
        self.base_constraint = base_constraint
        self.reinterpreted_batch_ndims = reinterpreted_batch_ndims
        self.is_discrete = base_constraint.is_discrete
        self.event_dim = base_constraint.event_dim + reinterpreted_batch_ndims

    def check(self, value: Tensor) -> Tensor:
        """Whether all values of each event are allowed."""
        result = self.base_constraint.check(value)
        kept = result.dim() - self.reinterpreted_batch_ndims
        if kept < 0:
            raise ValueError(f"Expected value.dim() >= {self.event_dim} but got {value.dim()}")
        return result.reshape(result.shape[:kept] + (-1,)).all(-1)

    def __repr__(self) -> str:
        return f"IndependentConstraint({self.base_constraint!r}, {self.reinterpreted_batch_ndims})"


def greater_than(lower_bound: Any) -> Constraint:
    """Numbers above `lower_bound`."""
    text = f"GreaterThan(lower_bound={lower_bound})"
    return _Rule(text, lambda x: lower_bound < x, lower_bound=lower_bound)


def greater_than_eq(lower_bound: Any) -> Constraint:
    """Numbers from `lower_bound` on."""
    text = f"GreaterThanEq(lower_bound={lower_bound})"
    return _Rule(text, lambda x: lower_bound <= x, lower_bound=lower_bound)


def less_than(upper_bound: Any) -> Constraint:
    """Numbers below `upper_bound`."""
    text = f"LessThan(upper_bound={upper_bound})"
    return _Rule(text, lambda x: x < upper_bound, upper_bound=upper_bound)


def _between(lower: Any, upper: Any) -> Callable[[Tensor], Tensor]:
    return lambda x: (lower <= x) & (x <= upper)


def interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Numbers from `lower_bound` to `upper_bound`, both allowed."""
    text = f"Interval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    check = _between(lower_bound, upper_bound)
    return _Rule(text, check, lower_bound=lower_bound, upper_bound=upper_bound)


def half_open_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Numbers from `lower_bound` to below `upper_bound`."""
    text = f"HalfOpenInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    return _Rule(
        text,
        lambda x: (lower_bound <= x) & (x < upper_bound),
        lower_bound=lower_bound,
        upper_bound=upper_bound,
    )


def integer_interval(lower_bound: Any, upper_bound: Any) -> Constraint:
    """Integers from `lower_bound` to `upper_bound`."""
    text = f"IntegerInterval(lower_bound={lower_bound}, upper_bound={upper_bound})"
    within = _between(lower_bound, upper_bound)
    return _Rule(
        text,
        lambda x: (x % 1 == 0) & within(x),
        is_discrete=True,
        lower_bound=lower_bound,
        upper_bound=upper_bound,
    )


def integer_greater_than(lower_bound: Any) -> Constraint:
    """Integers from `lower_bound` on."""
    text = f"IntegerGreaterThan(lower_bound={lower_bound})"
    return _Rule(
        text, lambda x: (x % 1 == 0) & (x >= lower_bound), is_discrete=True, lower_bound=lower_bound
    )


def multinomial(upper_bound: Any) -> Constraint:
    """Counts that add up to `upper_bound`."""
    return _Rule(
        "Multinomial()",
        lambda x: (x >= 0).all(dim=-1) & (x.sum(dim=-1) <= upper_bound),
        event_dim=1,
        is_discrete=True,
    )


def _is_simplex(x: Tensor) -> Tensor:
    return (x >= 0).all(dim=-1) & ((x.sum(-1) - 1).abs() < 1e-6)


def _is_one_hot(x: Tensor) -> Tensor:
    return ((x == 0) | (x == 1)).all(dim=-1) & x.sum(-1).eq(1)


def _is_lower_cholesky(x: Tensor) -> Tensor:
    lower = (x.tril() == x).reshape(x.shape[:-2] + (-1,)).all(-1)
    return lower & (x.diagonal(dim1=-2, dim2=-1) > 0).all(-1)


def _is_positive_definite(x: Tensor) -> Tensor:
    symmetric = F.isclose(x, x.mT, atol=1e-6).all(-2).all(-1)
    if not bool(symmetric.all()):
        return symmetric
    return F.linalg.cholesky_ex(x)[1] == 0


dependent = _Dependent()
boolean = _Rule("Boolean()", lambda x: (x == 0) | (x == 1), is_discrete=True)
real = _Rule("Real()", lambda x: x == x)
real_vector = independent(real, 1)
positive = greater_than(0.0)
nonnegative = greater_than_eq(0.0)
unit_interval = interval(0.0, 1.0)
nonnegative_integer = integer_greater_than(0)
positive_integer = integer_greater_than(1)
simplex = _Rule("Simplex()", _is_simplex, event_dim=1)
one_hot = _Rule("OneHot()", _is_one_hot, event_dim=1, is_discrete=True)
lower_cholesky = _Rule("LowerCholesky()", _is_lower_cholesky, event_dim=2)
positive_definite = _Rule("PositiveDefinite()", _is_positive_definite, event_dim=2)
