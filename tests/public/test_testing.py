"""`torch.testing`: who is close to whom, in PyTorch's words."""

from __future__ import annotations

import numpy as np
import pytest
import torch

import pellucid
from tests.expressions import check, lines

CLOSE = """
    torch.testing.assert_close(torch.tensor([1.0, 2.0]), torch.tensor([1.0, 2.0 + 1e-6]))
    torch.testing.assert_close(torch.tensor([1, 2]), torch.tensor([1.0, 2]), check_dtype=False)
    torch.testing.assert_close(1.0, 1, check_dtype=False)
    torch.testing.assert_close("a", "a")
    torch.testing.assert_close(torch.ones(2), torch.ones(2) * 1.1, rtol=0.2, atol=0)
    torch.testing.assert_close(torch.nn.Parameter(torch.ones(2)), torch.ones(2))
    torch.testing.make_tensor(3, 4, dtype=torch.float32, device="cpu")
    torch.testing.make_tensor((3, 4), dtype=torch.int64, device="cpu")
    torch.testing.make_tensor((3, 4), dtype=torch.uint8, device="cpu")
    torch.testing.make_tensor((3, 4), dtype=torch.bool, device="cpu")
    torch.testing.make_tensor((3, 4), dtype=torch.complex64, device="cpu")
    torch.testing.make_tensor((3, 4), dtype=torch.bfloat16, device="cpu", noncontiguous=True)
    torch.testing.make_tensor((3,), dtype=torch.float64, device="cpu", low=0, requires_grad=True)
    torch.testing.make_tensor((3,), dtype=torch.int8, device="cpu", low=-1000, high=1000)
    torch.testing.make_tensor((30,), dtype=torch.int8, device="cpu", low=0, exclude_zero=True)
    torch.testing.make_tensor((3,), dtype=torch.int8, device="cpu", low=3, high=1)
    torch.testing.make_tensor((3,), dtype=torch.int8, device="cpu", low=300, high=301)
    torch.testing.make_tensor((3,), dtype=torch.int8, device="cpu", requires_grad=True)
    torch.testing.make_tensor((3,), dtype=torch.float32, device="cpu", low=1.0, high=1.0)
"""

DIFFERENT = """
    (torch.tensor([1.0, 2.0]), torch.tensor([1.0, 3.0]))
    (torch.tensor([1, 2]), torch.tensor([1, 3]))
    (torch.tensor([1, 2]), torch.tensor([1.0, 3]))
    (torch.tensor([1, 2]), torch.tensor([1.0, 2, 3]))
    (torch.ones(2, 3) * 2, torch.ones(2, 3))
    (torch.ones(2, 2, dtype=torch.complex64), torch.zeros(2, 2, dtype=torch.complex64))
    (torch.ones(2, dtype=torch.bool), torch.zeros(2, dtype=torch.bool))
    (torch.tensor(float("nan")), torch.tensor(float("nan")))
    (1, 2)
    (1.0, 1)
    (1.0, 1.1)
    (True, False)
    (None, 1)
    ([torch.ones(2), 1.0], [torch.ones(2), 2.0])
    ({"a": 1, "b": [1, 2]}, {"a": 1, "b": [1, 3]})
    ({"a": 1}, {"b": 1})
    ([1], [1, 2])
    (np.ones(2), np.ones(2) * 2)
    ("a", "b")
    (torch.zeros(2), torch.ones(2), 0.2)
"""


@pytest.mark.parametrize("expression", lines(CLOSE))
def test_close_or_made(expression):
    check(expression)


def words(library, pair):
    actual, expected, *rtol = eval(pair, {"torch": library, "np": np})
    try:
        library.testing.assert_close(actual, expected, rtol=rtol[0] if rtol else None)
    except (AssertionError, TypeError, ValueError) as error:
        return type(error).__name__, str(error).split("\n  A tolerance")[0]
    return None


@pytest.mark.parametrize("pair", lines(DIFFERENT))
def test_the_whole_message(pair):
    want = words(torch, pair)
    assert want is not None
    assert words(pellucid, pair) == want


def test_a_message_of_ones_own():
    pair = pellucid.ones(2), pellucid.zeros(2)
    with pytest.raises(AssertionError, match=r"^mine$"):
        pellucid.testing.assert_close(*pair, msg="mine")
    with pytest.raises(AssertionError, match=r"(?s)^mine: Tensor-likes are not close!"):
        pellucid.testing.assert_close(*pair, msg=lambda text: f"mine: {text}")
