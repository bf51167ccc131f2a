"""Operators that PyTorch's database lacks, described in the form it uses.

`ExtraOp` answers what the checks ask of the database's `OpInfo`; the tests of the tester plant
their faults in it too.
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable, Iterator
from typing import Any

import torch
from torch.nn import functional
from torch.testing import make_tensor
from torch.testing._internal.opinfo.core import ErrorInput, SampleInput

FLOATS = frozenset((torch.float32, torch.float64))
Samples = Callable[[torch.dtype, bool], Iterator[SampleInput]]


@dataclasses.dataclass(eq=False)
class ExtraOp:
    """The fields of an `OpInfo` that the checks read."""

    name: str
    op: Callable[..., Any]
    samples: Samples
    errors: Callable[[], Iterator[ErrorInput]] | None = None
    dtypes: frozenset[torch.dtype] = FLOATS
    variant_test_name: str = ""
    method_variant: Callable[..., Any] | None = None
    inplace_variant: Callable[..., Any] | None = None
    aliases: tuple = ()
    supports_autograd: bool = True
    supports_gradgrad: bool = True
    supports_inplace_autograd: bool = True
    supports_out: bool = False
    reference_inputs_func: None = None

    @property
    def backward_dtypes(self) -> frozenset[torch.dtype]:
        return self.dtypes

    @property
    def error_inputs_func(self) -> Callable[[Any, str], Iterator[ErrorInput]] | None:
        errors = self.errors
        return None if errors is None else lambda op, device: errors()

    def supported_dtypes(self, device: str) -> frozenset[torch.dtype]:
        return self.dtypes

    @staticmethod
    def sample_inputs_func(
        op: ExtraOp, device: str, dtype: torch.dtype, requires_grad: bool
    ) -> Iterator[SampleInput]:
        with torch.no_grad():
            yield from op.samples(dtype, requires_grad)


def _tensor(shape: tuple[int, ...], dtype: torch.dtype, grad: bool) -> torch.Tensor:
    return make_tensor(shape, dtype=dtype, device="cpu", requires_grad=grad)


def samples_fold(dtype: torch.dtype, grad: bool) -> Iterator[SampleInput]:
    """Overlapping, dilated, padded and unbatched blocks."""
    cases = [
        ((1, 12, 12), (4, 5), (2, 2), {}),
        ((2, 12, 4), (4, 4), (2, 2), {"stride": 2}),
        ((2, 18, 20), (5, 6), (3, 2), {"padding": (1, 0)}),
        ((3, 8, 9), (5, 5), (2, 2), {"dilation": 2}),
        ((12, 12), (4, 5), (2, 2), {}),
        ((0, 12, 12), (4, 5), (2, 2), {}),
    ]
    for shape, size, kernel, keywords in cases:
        yield SampleInput(
            _tensor(shape, dtype, grad),
            args=(),
            kwargs={"output_size": size, "kernel_size": kernel} | keywords,
        )


def errors_fold() -> Iterator[ErrorInput]:
    yield ErrorInput(
        SampleInput(torch.zeros(1, 12, 11), (4, 5), (2, 2)),
        error_regex="expected size of input's dimension 2",
    )
    yield ErrorInput(
        SampleInput(torch.zeros(1, 13, 12), (4, 5), (2, 2)),
        error_regex="Expected size of input's dimension 1 to be divisible",
    )


def samples_lp_pool(dimensions: int) -> Samples:
    """Norms 1, 2 and 3 over windows with and without stride and ceiling."""

    def samples(dtype: torch.dtype, grad: bool) -> Iterator[SampleInput]:
        shape = (2, 3) + (7,) * dimensions
        for norm, kernel, keywords in (
            (2, 3, {}),
            (1, 2, {"stride": 1}),
            (3.0, 3, {"ceil_mode": True}),
            (2, 2, {"stride": 3, "ceil_mode": True}),
        ):
            yield SampleInput(_tensor(shape, dtype, grad), args=(norm, kernel), kwargs=keywords)
        yield SampleInput(_tensor(shape[1:], dtype, grad), args=(2, 3))

    return samples


def samples_affine_grid(dtype: torch.dtype, grad: bool) -> Iterator[SampleInput]:
    """Two and three spatial dimensions, both conventions for the corners."""
    for corners in (False, True):
        keywords = {"align_corners": corners}
        flat, solid = (2, 2, 3), (1, 3, 4)
        yield SampleInput(_tensor(flat, dtype, grad), args=((2, 1, 4, 5),), kwargs=keywords)
        yield SampleInput(_tensor(flat, dtype, grad), args=((2, 3, 1, 1),), kwargs=keywords)
        yield SampleInput(_tensor(solid, dtype, grad), args=((1, 1, 2, 3, 4),), kwargs=keywords)


def errors_affine_grid() -> Iterator[ErrorInput]:
    yield ErrorInput(
        SampleInput(torch.zeros(2, 3, 3), (2, 1, 4, 5)),
        error_type=ValueError,
        error_regex="Expected a batch of 2D affine matrices of shape Nx2x3",
    )


extra_db: list[ExtraOp] = [
    ExtraOp("nn.functional.fold", functional.fold, samples_fold, errors_fold),
    ExtraOp("nn.functional.lp_pool1d", functional.lp_pool1d, samples_lp_pool(1)),
    ExtraOp("nn.functional.lp_pool2d", functional.lp_pool2d, samples_lp_pool(2)),
    ExtraOp("nn.functional.lp_pool3d", functional.lp_pool3d, samples_lp_pool(3)),
    ExtraOp(
        "nn.functional.affine_grid",
        functional.affine_grid,
        samples_affine_grid,
        errors_affine_grid,
    ),
]
