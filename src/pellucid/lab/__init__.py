"""The approximation laboratory: how well polynomials and networks approximate a function, and what
theory promises about it.

`approximate(target, …)` asks about one function; `lab.experiments` measures each claim of the notes
on the approximation theorem and says whether it holds.
"""

from __future__ import annotations

from pellucid.lab.compare import Comparison, approximate
from pellucid.lab.expression import ExpressionError, read_expression
from pellucid.lab.fits import Fit
from pellucid.lab.targets import TARGETS, Target, target_of

__all__ = [
    "TARGETS",
    "Comparison",
    "ExpressionError",
    "Fit",
    "Target",
    "approximate",
    "read_expression",
    "target_of",
]
