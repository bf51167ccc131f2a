"""Operators written with others: kernels all the way, eager mode's numbers."""

import pytest

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import nn
from pellucid.compiler.decompositions import DECOMPOSITIONS
from tests.compiler.test_compile import agree, eager_steps, randomise

IMAGES, ROWS = (2, 8, 6, 6), (2, 6, 17)
CASES = {
    "stack": (lambda x: torch.stack([x, x * 2], 1), IMAGES),
    "roll": (lambda x: torch.roll(x, (1, -2), (2, 3)), IMAGES),
    "constant_pad_nd": (lambda x: F.pad(x, (1, 2, 0, 3), value=0.5), IMAGES),
    "pixel_shuffle": (lambda x: F.pixel_shuffle(x, 2), IMAGES),
    "upsample_nearest2d": (lambda x: F.interpolate(x, scale_factor=(2, 3)), IMAGES),
    "var": (lambda x: x.var((2, 3), keepdim=True) + x.var(1, unbiased=False)[:, None], IMAGES),
    "std": (lambda x: x.std(-1, correction=2), IMAGES),
    "vector_norm": (lambda x: x.norm(dim=1) + torch.linalg.vector_norm(x, 1, (2, 1))[:, None],
                    ROWS),
    "normalise_groups": (lambda x: F.group_norm(x, 4, torch.arange(8.0), torch.ones(8)), IMAGES),
    "contract": (lambda x: torch.einsum("nchw,ndhw->ncd", x, x.flip(1)[:, :5]), IMAGES),
    "addmm": (lambda x: torch.addmm(x[0, :1], x[0].T, x[1], beta=2, alpha=3)
              if x.dim() == 3 else x, (2, 6, 6)),
    "baddbmm": (lambda x: torch.baddbmm(x, x, x), (2, 6, 6)),
    "convolve": (nn.Conv1d(6, 5, 3, padding=1, stride=2).eval(), ROWS),
    "max_pool_values": (lambda x: F.max_pool1d(x, 3, 2, 1), ROWS),
}  # fmt: skip


@pytest.mark.parametrize("name", CASES)
def test_numbers_and_kernels(name):
    assert name in DECOMPOSITIONS
    torch.manual_seed(0)
    function, shape = CASES[name]
    compiled = agree(function, torch.randn(shape))
    assert set(eager_steps(compiled)) <= {"flip"}


def test_every_decomposition_is_tested():
    assert CASES.keys() == DECOMPOSITIONS.keys()


@pytest.mark.parametrize("norm", [nn.BatchNorm1d(6), nn.BatchNorm1d(6, affine=False)])
def test_batch_norm_that_no_convolution_takes_in(norm):
    torch.manual_seed(0)
    norm.running_mean.normal_()
    norm.running_var.uniform_(0.5, 2)
    compiled = agree(nn.Sequential(nn.ReLU(), norm).eval(), torch.randn(ROWS))
    assert eager_steps(compiled) == []


@pytest.mark.parametrize("arguments", [(2,), (3, 1, 1), (3, 2, 1, False, False), (3, 2, 0, True)])
def test_average_pooling(arguments):
    compiled = agree(lambda x: F.avg_pool2d(x, *arguments), torch.randn(2, 5, 9, 11))
    assert set(eager_steps(compiled)) <= ({"average_windows"} if len(arguments) == 4 else set())


def test_networks_of_one_dimension():
    torch.manual_seed(0)
    model = randomise(nn.Sequential(
        nn.Conv1d(4, 8, 3, padding=1), nn.BatchNorm1d(8), nn.ReLU(), nn.MaxPool1d(2),
        nn.Conv1d(8, 8, 3, groups=8), nn.BatchNorm1d(8), nn.AdaptiveAvgPool1d(1), nn.Flatten(),
        nn.Linear(8, 3)))  # fmt: skip
    agree(model, torch.randn(3, 4, 40))
