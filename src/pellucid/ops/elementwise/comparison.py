"""Comparisons: bool results, no gradient."""

from __future__ import annotations

import numpy as np

from pellucid.ops.pointwise import pointwise, truth
from pellucid.ops.spec import NoGradient

_STEP = NoGradient("a comparison is constant almost everywhere and answers in bool")

eq = pointwise("eq", np.equal, "input other", rule=truth, gradient=_STEP)
ne = pointwise("ne", np.not_equal, "input other", rule=truth, gradient=_STEP, aliases=("not_equal",))
lt = pointwise("lt", np.less, "input other", rule=truth, gradient=_STEP, aliases=("less",))
le = pointwise("le", np.less_equal, "input other", rule=truth, gradient=_STEP, aliases=("less_equal",))
gt = pointwise("gt", np.greater, "input other", rule=truth, gradient=_STEP, aliases=("greater",))
ge = pointwise("ge", np.greater_equal, "input other", rule=truth, gradient=_STEP, aliases=("greater_equal",))
