"""In-place operators that PyTorch also has as functions: `torch.exp_(x)` is `x.exp_()`."""

from __future__ import annotations

from functools import partial

from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import registry

NAMES = """
    abs_ acos_ acosh_ arccos_ arccosh_ arcsin_ arcsinh_ arctan_ arctanh_ asin_ asinh_ atan_ atanh_
    ceil_ clamp_ clamp_max_ clamp_min_ clip_ conj_physical_ cos_ cosh_ deg2rad_ erf_ erfc_ exp2_
    exp_ expm1_ fill_ fix_ floor_ frac_ gcd_ i0_ lcm_ ldexp_ log10_ log1p_ log2_ log_ logit_
    nan_to_num_ neg_ negative_ rad2deg_ reciprocal_ round_ rsqrt_ sin_ sinc_ sinh_ sqrt_ square_
    tan_ tanh_ trunc_ xlogy_ addmv_ as_strided_ detach_ index_put_
"""


def expect() -> None:
    """Enter the methods among the functions, those of late families as soon as they are there."""
    there = registry.ready("Tensor")
    for name in NAMES.split():
        make = partial(guarded_as, f"torch.{name}")
        if name in there:
            registry.put("torch", name, make(there[name]))
        else:
            registry.twins[name] = make
