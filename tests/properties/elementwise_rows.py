"""Elementwise operators. A row for each is derived from its description; here stand the operators
that need other numbers or further arguments, and those that are not rows of the family's table.
"""

from __future__ import annotations

from pellucid.ops.spec import registry
from tests.properties.rows import Row, row

REALS = ("float32", "float64", "int64", "bool")
INTEGERS = ("int64", "int32", "uint8", "bool")

DOMAIN = {
    "positive": "log log2 log10 sqrt rsqrt lgamma digamma i0 log1p",
    "above1": "acosh special.zeta",
    "unit": "asin acos atanh erfinv",
    "open": "logit special.ndtri special.entr",
    "nonzero": "reciprocal div",
    "small": "exp exp2 expm1 sinh cosh special.i0e special.i1 special.i1e special.erfcx",
}
"""Where the numbers of the first tensor lie; anywhere for operators that are not named."""

SPECIAL = [
    row("sub", "*", "~", alpha=2, dtypes=REALS),
    row("add", "*", "~", alpha=2, dtypes=REALS),
    row("div", "*", "~:nonzero", rounding_mode="floor"),
    row("div", "*", "~:nonzero", rounding_mode="trunc"),
    row("pow", "*:positive", "~"),
    row("pow", "*", 3),
    row("remainder", "*", "~:nonzero"),
    row("fmod", "*", "~:nonzero"),
    row("floor_divide", "*", "~:nonzero", orders=0),
    row("xlogy", "*", "~:positive"),
    row("special.xlog1py", "*", "~:positive"),
    row("heaviside", "*", "~", orders=0),
    row("addcdiv", "*", "~", "~:nonzero", value=0.5),
    row("addcmul", "*", "~", "~", value=2),
    row("lerp", "*", "~", "~:open"),
    row("lerp", "*", "~", 0.25),
    row("clamp", "*", min=-0.5, max=1.0),
    row("clamp", "*", "~", "~"),
    row("nan_to_num", "*", nan=1.0),
    row("gcd", "*:index7", "~:index9"),
    row("lcm", "*:index7", "~:index9"),
    row("bitwise_and", "*:index7", "~:index9"),
    row("bitwise_or", "*:index7", "~:mask"),
    row("bitwise_xor", "*:index7", "~:index9"),
    row("bitwise_not", "*:mask"),
    row("bitwise_left_shift", "*:index7", "~:index5"),
    row("bitwise_right_shift", "*:index70", "~:index5"),
    row("threshold", "*", 0.3, 2.0),
    row("igamma", "*:positive", "~:positive", orders=0),
    row("igammac", "*:positive", "~:positive", orders=0),
    row("special.zeta", "*:above1", "~:positive", orders=0),
    row("round", "*", decimals=1),
    row("special.round", "*"),
    row("polygamma", 1, "*:positive"),
    row("mvlgamma", "*:above1", 2),
    row("float_power", "*:positive", "~"),
    row("frexp", "*"),
    row("ldexp", "*", "~:index4"),
    row("special.ndtr", "*"),
    row("complex", "*", "~"),
    row("polar", "*:positive", "~"),
    row("isclose", "*", "~", dtypes=REALS),
    row("allclose", "*", "~"),
    row("equal", "*", "*"),
    row("rsub", "*", "~", alpha=2),
    row("positive", "*"),
    row("real", "*"),
    row("conj", "*"),
    row("conj_physical", "*"),
    row("_conj", "*", dtypes=("complex64", "complex128")),
    row("_neg_view", "*"),
    row("resolve_conj", "*"),
    row("resolve_neg", "*"),
    row("prelu", "3c", "c"),
    row("nn.functional.leaky_relu", "*", 0.2),
    row("nn.functional.logsigmoid", "*"),
    row("nn.functional.tanhshrink", "*"),
    row("nn.functional.softsign", "*"),
    row("nn.functional.glu", "n4", -1),
    row("nn.functional.gelu", "*", approximate="tanh"),
    row("rrelu", "*"),
    row("nn.functional.hardsigmoid", "*", orders=1),
]

_own = {"add", "sub", "div", "nan_to_num", "round", "nn.functional.leaky_relu"}
"""Operators that are also called as their description says."""


def derived() -> list[Row]:
    """`(input, other, …)` for every elementwise operator that no row above describes."""
    described = {each.key for each in SPECIAL} - _own
    domain = {name: where for where, names in DOMAIN.items() for name in names.split()}
    rows = []
    for key, spec in registry.specs.items():
        if spec.kind != "pointwise" or spec.where[0] == "internal" or key in described:
            continue
        operands = [name for name in spec.parameters if name not in spec.defaults]
        texts = ["*", *["~"] * (len(operands) - 1)]
        texts[0] += ":" + domain.get(key, "any")
        rows.append(row(key, *texts, dtypes=REALS if len(texts) < 3 else ("float32", "float64")))
    return rows


ROWS = derived() + SPECIAL
