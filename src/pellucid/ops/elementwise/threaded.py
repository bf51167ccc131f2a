"""Large elementwise operators on compiled kernels, all threads: what they are as expressions.

`ops/native.py` states the rule which calls go this way.
"""

from __future__ import annotations

import math
from collections.abc import Callable, Mapping
from typing import Any

Expression = tuple[Any, ...]

_A, _B = ("in", 0), ("in", 1)


def _number(x: float) -> Expression:
    return ("number", x)


def _cdf(x: Expression) -> Expression:
    """The normal distribution function."""
    scaled = ("mul", x, _number(math.sqrt(0.5)))
    return ("mul", ("add", ("erf", scaled), _number(1.0)), _number(0.5))


def _gelu_slope(approximate: str = "none") -> Expression | None:
    if approximate != "none":
        return None
    bell = ("exp", ("mul", ("mul", _B, _B), _number(-0.5)))
    density = ("mul", bell, _number(1 / math.sqrt(2 * math.pi)))
    return ("mul", _A, ("add", _cdf(_B), ("mul", _B, density)))


def _silu_slope() -> Expression:
    gate = ("sigmoid", _B)
    rest = ("sub", _number(1.0), gate)
    return ("mul", _A, ("mul", gate, ("add", _number(1.0), ("mul", _B, rest))))


def _sigmoid_slope() -> Expression:
    return ("mul", _A, ("mul", ("sub", _number(1.0), _B), _B))


def _tanh_slope() -> Expression:
    return ("mul", _A, ("sub", _number(1.0), ("mul", _B, _B)))


def _threshold_slope(limit: float = 0) -> Expression:
    return ("where", ("le", _B, _number(float(limit))), _number(0.0), _A)


def _same(op: str, arity: int) -> Callable[[], Expression]:
    return lambda: (op, _A, _B) if arity == 2 else (op, _A)


HEAVY: dict[str, Callable[..., Expression | None]] = {
    "gelu": lambda approximate="none": ("gelu_tanh" if approximate == "tanh" else "gelu", _A),
    "gelu_backward": _gelu_slope,
    "sigmoid": _same("sigmoid", 1),
    "silu": _same("silu", 1),
    "silu_backward": _silu_slope,
    "erf": _same("erf", 1),
    "relu": _same("relu", 1),
}
"""What takes NumPy several passes, by operator: the expression for the call's settings."""
LIGHT: dict[str, Callable[..., Expression | None]] = {
    **{name: _same(name, 2) for name in ("add", "sub", "mul", "div", "maximum", "minimum")},
    **{name: _same(name, 1) for name in ("exp", "log", "tanh", "sqrt", "neg", "abs")},
    "sigmoid_backward": _sigmoid_slope,
    "tanh_backward": _tanh_slope,
    "threshold_backward": _threshold_slope,
}
"""What NumPy does at the speed of one thread's memory."""


def expression(name: str, settings: Mapping[str, Any]) -> Expression | None:
    """The expression of an operator with these settings."""
    found = HEAVY.get(name) or LIGHT.get(name)
    return None if found is None else found(**settings)
