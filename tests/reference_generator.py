"""A generator here and one of PyTorch's, drawn from side by side and compared to the bit."""

import numpy as np
import pytest
import torch

from pellucid.tensor import dtype as dtypes
from pellucid.tensor.random.generator import Generator

SEEDS = (0, 1, 42, -3, 2**32 - 1, 2**40 + 17)
SIZES = (0, 1, 2, 7, 15, 16, 17, 31, 33, 100, 1000, 70000)
FLOATING = (dtypes.float32, dtypes.float64, dtypes.float16, dtypes.bfloat16)
SMALL_INTEGERS = (dtypes.uint8, dtypes.int8, dtypes.int16)
INTEGERS = (*SMALL_INTEGERS, dtypes.int32, dtypes.int64)

fused_kernels = pytest.mark.skipif(
    torch.backends.cpu.get_cpu_capability() not in ("AVX2", "AVX512"),
    reason="the reference was compiled without fused multiply-adds for this CPU",
)


class Pair:
    """A generator here and one of PyTorch's with the same seed, and what both have drawn so far."""

    def __init__(self, seed=0):
        self.ours = Generator().manual_seed(seed)
        self.theirs = torch.Generator().manual_seed(seed)

    def check(self, ours, theirs):
        """Same shape, same bits, and the same state of the stream."""
        theirs = theirs.contiguous()
        assert ours.shape == tuple(theirs.shape)
        width = ours.dtype.itemsize
        got = np.ascontiguousarray(ours).reshape(-1).view(np.uint8).reshape(-1, width)
        wanted = as_bytes(theirs).reshape(-1, width)
        differing = np.flatnonzero((got != wanted).any(axis=1))
        assert not differing.size, f"{differing.size} of {len(got)}, first at {differing[:3]}"
        self.check_state()

    def check_state(self):
        same = self.ours.state_bytes() == state_of(self.theirs)
        assert same, "the streams stand in different places"


def as_bytes(tensor):
    if not tensor.numel():
        return np.empty(0, dtype=np.uint8)
    return tensor.reshape(-1).view(torch.uint8).numpy()


def state_of(generator):
    return generator.get_state().numpy().tobytes()


def of(kind):
    return getattr(torch, kind.name)


def to_numpy(tensor, kind):
    """A torch tensor as a NumPy array of `kind` (torch has no way to NumPy for bfloat16)."""
    if kind is dtypes.bfloat16:
        return tensor.float().numpy().astype(kind.numpy)
    return tensor.numpy()
