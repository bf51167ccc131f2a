"""Exponentials, logarithms, roots and powers."""

from __future__ import annotations

import numpy as np

from pellucid.ops.elementwise.arithmetic import conj
from pellucid.ops.pointwise import floating, pointwise

exp = pointwise("exp", np.exp, rule=floating, gradient={"input": lambda grad, out: grad * conj(out)})
log = pointwise("log", np.log, rule=floating, gradient={"input": lambda grad, input: grad / conj(input)})
sqrt = pointwise("sqrt", np.sqrt, rule=floating, gradient={"input": lambda grad, out: grad / (2 * conj(out))})
tanh = pointwise(
    "tanh", np.tanh, rule=floating, gradient={"input": lambda grad, out: grad * conj(1 - out * out)}
)
