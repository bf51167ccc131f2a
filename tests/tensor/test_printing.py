"""`repr` of tensors, character by character as PyTorch prints them, with any options."""

from __future__ import annotations

import pytest
import torch
from hypothesis import assume, given, settings
from hypothesis import strategies as st

import pellucid
from tests.parity.bridge import build
from tests.strategies import ALL_DTYPES, shapes, tensors

SPECIAL = [0.0, -0.0, 1.0, -3.0, 0.1, 1e-5, 12345.678, 1e9, 1e-20, float("inf"), float("nan")]


def printed(values: list, dtype: str, shape: tuple[int, ...], **options) -> tuple[str, str]:
    """The text of both libraries for a tensor of these values."""
    texts = []
    for library in (torch, pellucid):
        library.set_printoptions(profile="default")
        library.set_printoptions(**options)
        try:
            made = library.tensor(values).to(getattr(library, dtype)).reshape(shape)
            texts.append(repr(made))
        finally:
            library.set_printoptions(profile="default")
    return texts[0], texts[1]


option_sets = st.fixed_dictionaries(
    {},
    optional={
        "precision": st.integers(0, 8),
        "threshold": st.sampled_from([0, 3, 10, 1000]),
        "edgeitems": st.integers(0, 4),
        "linewidth": st.sampled_from([10, 25, 80, 120]),
        "sci_mode": st.sampled_from([None, True, False]),
    },
)


@given(
    st.data(),
    shapes(0, 4, largest=6),
    st.sampled_from(["float32", "float64", "float16", "bfloat16"]),
    option_sets,
)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_floats(data, shape, dtype, options):
    count = 1
    for size in shape:
        count *= size
    value = st.one_of(st.sampled_from(SPECIAL), st.floats(-1e4, 1e4, width=32))
    values = data.draw(st.lists(value, min_size=count, max_size=count))
    assume(values)
    theirs, ours = printed(values, dtype, shape, **options)
    assert ours == theirs


@given(tensors(dtypes=(*ALL_DTYPES, "complex64", "complex128")), option_sets)
@settings(max_examples=300, deadline=None, derandomize=True)
def test_all_dtypes_and_layouts(recipe, options):
    texts = []
    for library in (torch, pellucid):
        library.set_printoptions(**options)
        try:
            texts.append(repr(build(recipe, library)))
        finally:
            library.set_printoptions(profile="default")
    assert texts[1] == texts[0]


@pytest.mark.parametrize(
    "program",
    [
        lambda t: t.arange(2000),
        lambda t: t.arange(3000).reshape(30, 10, 10),
        lambda t: t.ones(3, requires_grad=True),
        lambda t: t.ones(3, requires_grad=True) * 2,
        lambda t: t.ones(2, 30, requires_grad=True).exp(),
        lambda t: t.nn.Parameter(t.ones(2)),
        lambda t: t.manual_seed(0) and t.nn.Linear(2, 1).weight * 0,
        lambda t: t.zeros(0),
        lambda t: t.zeros(0, 3),
        lambda t: t.zeros(0, dtype=t.int64),
        lambda t: t.zeros((), dtype=t.float64),
        lambda t: t.zeros(0, 3, dtype=t.bool),
        lambda t: t.tensor([1 + 2j, -3.5j]),
        lambda t: t.tensor([True, False]),
        lambda t: t.max(t.ones(2, 2), 0),
        lambda t: t.Size([2, 3]),
        lambda t: [t.float32, t.strided, t.device("cpu"), t.contiguous_format],
        lambda t: f"{t.tensor(1.23456):.2f} {t.tensor([1.0])}",
        lambda t: t.finfo(t.bfloat16),
        lambda t: t.iinfo(t.int32),
    ],
)
def test_what_programs_print(program):
    assert str(program(pellucid)) == str(program(torch))


def test_default_dtypes_are_not_named():
    for library in (torch, pellucid):
        library.set_default_dtype(library.float64)
    try:
        for value in ([1.0], [1j], [1]):
            assert repr(pellucid.tensor(value)) == repr(torch.tensor(value))
        assert repr(pellucid.ones(1, dtype=pellucid.float32)) == "tensor([1.], dtype=torch.float32)"
    finally:
        for library in (torch, pellucid):
            library.set_default_dtype(library.float32)


def test_options_are_restored():
    before = pellucid.get_printoptions()
    with pytest.raises(ValueError, match="planted"), pellucid.printoptions(precision=2):
        assert repr(pellucid.tensor([1.2345])) == "tensor([1.23])"
        raise ValueError("planted")
    assert pellucid.get_printoptions() == before
    pellucid.set_printoptions(profile="short")
    assert pellucid.get_printoptions()["edgeitems"] == 2
    pellucid.set_printoptions(profile="default")
    assert pellucid.get_printoptions() == before


def test_a_parameter_of_another_class_says_so():
    class Special(pellucid.nn.Parameter):
        pass

    text = repr(Special(pellucid.ones(1)))
    assert text == "Parameter containing:\nParameter(Special([1.], requires_grad=True))"
