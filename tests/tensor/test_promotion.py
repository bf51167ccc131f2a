"""Type promotion against PyTorch: every pair of dtypes, with tensors, 0-dim tensors and numbers."""

from __future__ import annotations

import itertools

import pytest
import torch

import pellucid
from tests.expressions import check, lines

NAMES = [
    "bool",
    "uint8",
    "int8",
    "int16",
    "int32",
    "int64",
    "uint16",
    "uint32",
    "uint64",
    "float16",
    "bfloat16",
    "float32",
    "float64",
    "complex64",
    "complex128",
]
NUMBERS = [True, 2, 2.5, 2j]


def answer(function, *args):
    """The name of a dtype (or a bool), or the error."""
    try:
        return str(function(*args))
    except RuntimeError as error:
        return str(error).split("\n")[0]


@pytest.mark.parametrize("name", NAMES)
def test_promote_types_and_can_cast(name):
    for other in NAMES:
        ours = [getattr(pellucid, n) for n in (name, other)]
        theirs = [getattr(torch, n) for n in (name, other)]
        for function in ("promote_types", "can_cast"):
            want = answer(getattr(torch, function), *theirs)
            assert answer(getattr(pellucid, function), *ours) == want, (function, name, other)


@pytest.mark.parametrize("name", NAMES)
def test_result_type_of_tensors_and_numbers(name):
    def operands(library):
        for other in NAMES:
            kind = getattr(library, other)
            yield library.ones((), dtype=kind)
            yield library.ones(2, dtype=kind)
        yield from NUMBERS

    for shape in ((), (2,)):
        ours = pellucid.ones(shape, dtype=getattr(pellucid, name))
        theirs = torch.ones(shape, dtype=getattr(torch, name))
        pairs = zip(operands(pellucid), operands(torch), strict=True)
        for place, (one, other) in enumerate(pairs):
            want = answer(torch.result_type, theirs, other)
            want = want.replace("complex32", "complex64")  # NumPy has no smaller complex number
            assert answer(pellucid.result_type, ours, one) == want, (name, shape, place)


@pytest.mark.parametrize("kinds", list(itertools.product(range(len(NUMBERS)), repeat=2)))
def test_result_type_of_numbers(kinds):
    values = [NUMBERS[k] for k in kinds]
    assert str(pellucid.result_type(*values)) == str(torch.result_type(*values))


ABOUT_DTYPES = """
    torch.float32 == torch.float
    torch.float32.itemsize
    torch.float32.to_complex()
    torch.complex64.to_real()
    torch.int32.is_signed
    torch.int32.to_complex()
    torch.finfo(torch.float32)
    torch.finfo(torch.float16)
    torch.finfo(torch.bfloat16)
    torch.finfo(torch.float64)
    torch.finfo(torch.complex64)
    torch.finfo(torch.int32)
    torch.finfo()
    torch.iinfo(torch.int8)
    torch.iinfo(torch.uint64)
    torch.iinfo(torch.bool)
    torch.iinfo(torch.float32)
    torch.result_type("a", 2)
    torch.get_default_dtype()
    torch.set_default_dtype(torch.int64)
    torch.set_default_dtype(3)
"""


@pytest.mark.parametrize("expression", lines(ABOUT_DTYPES))
def test_about_dtypes(expression):
    check(expression)
