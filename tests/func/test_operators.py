"""`vmap`, gradients through and inside it, and `jvp`, on samples of PyTorch's operator database.

Operators of every family of rules.
"""

import pytest
import torch

import pellucid
from tests.func.agreement import check_vmap, findings, tensors_of, ways
from tests.parity.checks import reference_side
from tests.parity.samples import SUITE, op_cases
from tests.parity.sweep import find_ops, full_name

NAMES = [
    "add",
    "mul",
    "where",
    "clamp",
    "pow",
    "masked_fill",
    "lerp",
    "sum",
    "mean",
    "prod",
    "var",
    "std",
    "amax",
    "argmax",
    "logsumexp",
    "max",
    "median",
    "cumsum",
    "cumprod",
    "softmax",
    "sort",
    "topk",
    "flip",
    "roll",
    "cat",
    "stack",
    "gather",
    "scatter",
    "scatter_add",
    "index_select",
    "index_add",
    "index_put",
    "__getitem__",
    "take",
    "take_along_dim",
    "t",
    "transpose",
    "permute",
    "view",
    "reshape",
    "expand",
    "unfold",
    "squeeze",
    "unsqueeze",
    "diagonal",
    "as_strided",
    "split",
    "tril",
    "diag_embed",
    "matmul",
    "mm",
    "bmm",
    "mv",
    "dot",
    "addmm",
    "baddbmm",
    "einsum",
    "linalg.solve",
    "linalg.det",
    "linalg.inv",
    "linalg.cholesky_ex",
    "linalg.qr",
    "linalg.solve_triangular",
    "nn.functional.linear",
    "nn.functional.conv2d",
    "nn.functional.conv_transpose2d",
    "nn.functional.max_pool2d",
    "nn.functional.avg_pool2d",
    "nn.functional.batch_norm",
    "nn.functional.layer_norm",
    "nn.functional.group_norm",
    "nn.functional.mse_loss",
    "nn.functional.cross_entropy",
    "nn.functional.nll_loss",
    "nn.functional.embedding",
    "nn.functional.interpolate",
    "nn.functional.pad",
    "nn.functional.scaled_dot_product_attention",
    "bernoulli",
    "nn.functional.dropout",
]

ELSEWHERE = {
    # A running mean is an input that moves to PyTorch's jvp; here it takes no gradient.
    "nn.functional.batch_norm": "native_batch_norm",
    "nn.functional.nll_loss": "argument 'weight'",
    # Sizes that PyTorch's own cat computes of an empty legacy tensor have 11 digits.
    "cat": "expected (34359738369, 0, 0)",
    # A Cholesky factor moves along symmetric directions only; the sample's direction is none.
    "linalg.cholesky_ex": "jvp",
}
"""What differs, by a part of the message: PyTorch's own faults, and refusals by choice."""


@pytest.mark.filterwarnings("ignore")
@pytest.mark.parametrize("name", NAMES)
def test_transforms_agree(name):
    compared = 0
    for op in find_ops(lambda op: op.name == name):
        compared += 1
        excuse = ELSEWHERE.get(name)
        found = list(findings(op, pellucid, "float64", 2))
        left = [text for text in found if not (excuse and excuse in text)]
        assert not left, f"{full_name(op)}\n" + "\n".join(left)
    assert compared, f"the database has no {name}"


def test_a_planted_fault_is_found():
    """A rule that forgets to shift its dimension must be seen."""
    op = find_ops(lambda op: op.name == "cumsum")[0]
    case = next(c for c in op_cases(op, SUITE, "float64") if tensors_of(c)[0].shape)
    right = reference_side(op)

    class Wrong:
        library = torch
        function = staticmethod(
            lambda x, *args, **kwargs: right.function(x, *args, **kwargs) * 1.001
        )

    way = next(ways(case))
    assert check_vmap(op, case, way, (right, right), False) is None
    assert "values differ" in check_vmap(op, case, way, (right, Wrong), False)
