"""Function transforms (`torch.func`): derivatives of functions, and functions of one element that
are applied to batches.

They take a function and return a function, and nest in any order: `vmap(grad(loss))` gives
gradients for each sample, `jacfwd(jacrev(f))` second derivatives.
"""

from __future__ import annotations

from pellucid.func.derivatives import grad, grad_and_value, jvp, linearize, value_and_grad, vjp
from pellucid.func.functional import functionalize
from pellucid.func.jacobians import hessian, jacfwd, jacrev
from pellucid.func.mapping import vmap
from pellucid.func.stacking import (
    functional_call,
    replace_all_batch_norm_modules_,
    stack_module_state,
)

__all__ = [
    "functional_call",
    "functionalize",
    "grad",
    "grad_and_value",
    "hessian",
    "jacfwd",
    "jacrev",
    "jvp",
    "linearize",
    "replace_all_batch_norm_modules_",
    "stack_module_state",
    "value_and_grad",
    "vjp",
    "vmap",
]
