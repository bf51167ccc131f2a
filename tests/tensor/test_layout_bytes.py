"""Layouts of the same bytes read as other elements, against PyTorch's."""

import re

import pytest
import torch
from hypothesis import strategies as st
from tensor.layout_cases import drawn, of, tensors

from pellucid.tensor import layout as L
from pellucid.tensor.layout import Layout

_BYTES = {1: torch.int8, 2: torch.int16, 4: torch.float32, 8: torch.float64}


@drawn(tensors, st.sampled_from([1, 2, 4, 8]), examples=300)
def test_view_dtype_is_pytorchs(tensor: torch.Tensor, size: int):
    tensor = tensor.to(torch.float32) if tensor.dtype is not torch.float32 else tensor
    try:
        want = of(tensor.view(_BYTES[size]))
    except RuntimeError as error:
        first = str(error).split(" to view ")[0]
        with pytest.raises(RuntimeError, match="^" + re.escape(first)):
            L.view_dtype(of(tensor), 4, size)
        return
    assert L.view_dtype(of(tensor), 4, size) == want


@drawn(tensors, examples=200)
def test_pairs_are_view_as_reals(tensor: torch.Tensor):
    numbers = tensor.to(torch.complex64)
    real = torch.view_as_real(numbers)
    assert L.pairs(of(numbers)) == of(real)
    assert L.joined_pairs(of(real)) == of(torch.view_as_complex(real))


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (Layout((), (), 0), "one or more dimensions"),
        (Layout((3,), (1,), 0), "last dimension of size 2"),
        (Layout((2,), (3,), 0), "last dimension with stride 1"),
        (Layout((4, 2), (3, 1), 0), "stride divisible by 2"),
        (Layout((4, 2), (2, 1), 1), "storage_offset divisible by 2"),
    ],
)
def test_what_cannot_be_pairs_is_refused(layout: Layout, words: str):
    with pytest.raises(RuntimeError, match=words):
        L.joined_pairs(layout)
