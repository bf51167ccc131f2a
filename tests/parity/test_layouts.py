"""Every operator in scope gives PyTorch's results whatever the memory layout of its inputs is.

The samples are the database's; their layouts are drawn by `relayout.py`. What differs in the
suite's own layouts is in `differences.toml`; `REFUSED` adds what only drawn layouts show.
"""

from __future__ import annotations

import random
from collections.abc import Iterator

import pytest
import torch

from tests.parity.bridge import dtype_name
from tests.parity.checks import reference_side, subject_side
from tests.parity.differences import read_table
from tests.parity.records import OpReport
from tests.parity.relayout import random_layout, relaid_cases
from tests.parity.run import subject
from tests.parity.scope import FAMILIES, family_of
from tests.parity.sweep import describe, find_ops, full_check, full_name, quiet

SAMPLES = {"float32": 2, "complex64": 1, "int64": 1}
SEED = 7

REFUSED = {
    "kron": "PyTorch refuses some transposed factors: it views its own strided product",
    "take_along_dim": "PyTorch views a transposed input where no dim is given, and refuses it",
    "as_strided_scatter": "PyTorch asserts that an input which requires a gradient is contiguous",
    "nn.functional.max_unpool2d": "PyTorch's gradient views what may not be contiguous",
    "nn.functional.max_unpool3d": "PyTorch's gradient views what may not be contiguous",
    "nn.functional.nll_loss": "PyTorch's gradient refuses what is not contiguous",
}
"""Operators that PyTorch refuses in layouts which are no difficulty here."""

UNSTABLE = {
    ("linalg.eig", "value"): "eigenvalues have no order, and LAPACK's depends on rounding",
    ("linalg.pinv.hermitian", "grad"): "entries of 4e3 from a matrix that is nearly singular",
}
"""What rounding decides in some samples."""


def reports(family: str) -> Iterator[OpReport]:
    for op in find_ops(lambda op: family_of(op.name) == family):
        report = OpReport(full_name(op), family)
        with quiet():
            reference, tested = reference_side(op), subject_side(op, subject())
            for dtype, count in SAMPLES.items():
                if dtype not in {dtype_name(d) for d in op.supported_dtypes("cpu")}:
                    continue
                for case in relaid_cases(op, dtype, count, SEED):
                    found = full_check(op, case, reference, tested)
                    report.add(dtype, case.label, describe(case.call), found)
        yield report


@pytest.mark.parametrize("family", FAMILIES)
def test_any_layout(family: str) -> None:
    table = read_table()
    wrong = []
    for report in reports(family):
        for failure in report.failures:
            for category, text in failure.details.items():
                known = any(row.covers(report, category, failure.dtype) for row in table)
                if "but PyTorch raises" in text or "expected RuntimeError" in text:
                    known = known or report.name.removesuffix(".grad") in REFUSED
                if not known and (report.name, category) not in UNSTABLE:
                    wrong.append(f"{report.name} {failure.call}: {category}: {text}")
    assert not wrong, "\n".join(wrong)


def test_a_layout_is_a_layout_of_the_same_values() -> None:
    draw = random.Random(0)
    x = torch.arange(24.0).reshape(2, 1, 3, 4).requires_grad_()
    strides = set()
    for _ in range(60):
        relaid = random_layout(x, draw)
        assert torch.equal(relaid, x)
        assert relaid.requires_grad
        assert relaid.is_leaf
        strides.add((relaid.stride(), relaid.storage_offset()))
    assert len(strides) > 30
