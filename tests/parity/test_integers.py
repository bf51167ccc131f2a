"""Whole numbers may be spelt as tensors, NumPy integers and bools where PyTorch takes them.

They mean the same there and are refused elsewhere: no operator ever sees a tensor for a size.
"""

import re

import pytest

from tests.parity.integers import run_integers
from tests.parity.run import subject
from tests.parity.scope import FAMILIES
from tests.parity.sweep import find_ops, full_name, sweep

QUIRKS = {
    r"broadcast_shapes \S+ as (tensor|numpy|vector|float tensor)": (
        "PyTorch's comparison of sizes stops at an assertion about bools."
    ),
    r"broadcast_shapes \S+ as float": "PyTorch takes 5.0 where another shape has that size.",
    r"split(\.\w+)? \.1\.0 as numpy": "PyTorch's Python knows ints only; here as elsewhere.",
    r"nn\.functional\.(cross_entropy|nll_loss) \.2\.ignore_index as vector": (
        "PyTorch takes a tensor of one element, by accident of a parser for symbolic sizes."
    ),
    r"nn\.functional\.local_response_norm \.1\.0 as vector": "As above.",
    r"nn\.functional\.lp_pool\dd \.1\.\d as (vector|tensor)": (
        "PyTorch computes with the tensor in Python, which unpacks it or not."
    ),
    r"nn\.functional\.multi_margin_loss \.2\.p as vector": (
        "PyTorch refuses a tensor with dimensions for p."
    ),
    r"nn\.functional\.max_unpool\dd(\.grad)? \.2\.\S+ as .*": (
        "PyTorch computes with the sizes in Python: floats pass, its own ranges are asked first."
    ),
    r"nn\.functional\.(un)?fold \.\S+ as (tensor|vector)": (
        "PyTorch iterates over the tensor in Python; in its other windows one number is taken."
    ),
    r"(svd|pca)_lowrank \.2\.q as (vector|bool)": (
        "PyTorch computes with q in Python before any parser sees it."
    ),
    r"randint_like \.1\.0 as (vector|float tensor)": (
        "PyTorch takes a tensor of any dtype for the limit; here whole numbers only."
    ),
    r"histogram \.1\.0 as (tensor|vector|float tensor)": (
        "A tensor is the edges of the bins in both; the words and the type of the refusal differ."
    ),
    r"tensordot \.2\.dims\.\d\.\d as bool": "PyTorch's parser refuses a bool as a dimension.",
    r"signal\.windows\.\w+ \.0 as (bool|float|float tensor)": (
        "PyTorch compares the length with 0 and 1 before it uses it; here it must be an int."
    ),
}
"""What differs, as patterns over "operator place as spelling", and why."""
SETTLED = ("crash", "error_type", "structure", "dtype", "shape", "strides", "value", "timeout")


def findings(family: str) -> list[tuple[str, str]]:
    """Every replaced int of a family's samples on which the libraries disagree."""
    names = FAMILIES[family]
    jobs = [(full_name(op), op) for op in find_ops(lambda op: op.name in names)]
    return [
        (f"{report.name} {failure.label}", text)
        for report in sweep(jobs, run_integers, (subject(),))
        for failure in report.failures
        for category, text in failure.details.items()
        if category in SETTLED
    ]


SEEN: dict[str, str] = {}


@pytest.mark.parametrize("family", sorted(FAMILIES))
def test_whole_numbers_are_read_as_pytorch_reads_them(family: str) -> None:
    found = findings(family)
    for pattern in QUIRKS:
        for label, text in found:
            if re.fullmatch(pattern, label):
                SEEN[pattern] = text
    strange = [
        f"{label}: {text}"
        for label, text in found
        if not any(re.fullmatch(pattern, label) for pattern in QUIRKS)
    ]
    assert strange == []


def test_every_quirk_is_seen() -> None:
    assert SEEN, "run the whole file: the families' tests collect what is seen"
    assert [pattern for pattern in QUIRKS if pattern not in SEEN] == []
