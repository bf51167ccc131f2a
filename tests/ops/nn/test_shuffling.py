"""Factors of pixel and channel shuffles: whole numbers, also as tensors of one element."""

import pytest
import torch

import pellucid

NAMES = ["pixel_shuffle", "pixel_unshuffle", "channel_shuffle"]


@pytest.mark.parametrize("name", NAMES)
def test_a_tensor_of_one_integer_is_a_factor(name):
    x = torch.arange(64.0).reshape(1, 4, 4, 4)
    wanted = getattr(torch.nn.functional, name)(x, torch.tensor(2))
    call = getattr(pellucid.nn.functional, name)
    got = call(pellucid.from_numpy(x.numpy()), pellucid.tensor(2))
    assert got.tolist() == wanted.tolist()


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize("factor", [2.0, True, "2"])
def test_other_factors_are_refused(name, factor):
    with pytest.raises(TypeError, match=r"must be int, not"):
        getattr(pellucid.nn.functional, name)(pellucid.ones(1, 4, 4, 4), factor)
