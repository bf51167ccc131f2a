"""The inputs PyTorch's database offers for an operator, drawn the same way each time.

The database's sample functions are called directly: its own iterators set the seed anew for every
sample, which gives all samples the same numbers and costs more than most operators.

Beside the database's own samples come, for some, the same values in another memory layout
(transposed, every second element, channels last): strides of results are decided there.
"""

from __future__ import annotations

import dataclasses
import itertools
import random
import zlib
from collections.abc import Callable, Iterator
from typing import Any

import numpy as np
import torch

from tests.parity.bridge import (
    CannotFreeze,
    TensorRecipe,
    dtype_name,
    freeze,
    leaves,
)

MAIN_DTYPES = ("float32", "float64", "int64", "bool")
LIGHT_DTYPES = ("complex64", "complex128", "bfloat16", "float16", "int8", "uint8", "int32")
LONGEST_LIST = 300  # samples looked at before choosing
MOST_ELEMENTS = 40_000  # larger samples cost time and show nothing new


@dataclasses.dataclass(frozen=True)
class Profile:
    """How many samples an operator gets: of each main dtype, of each light dtype, of each kind."""

    name: str
    main: int
    light: int
    reference: int
    layouts: int
    variants: int
    second_order: int
    errors: int


SUITE = Profile("suite", 5, 1, 3, 1, 1, 1, 12)
FULL = Profile("full", 40, 8, 12, 4, 5, 4, 60)
PROFILES = {profile.name: profile for profile in (SUITE, FULL)}


@dataclasses.dataclass(frozen=True, eq=False)
class Case:
    """One frozen call: `function(input, *args, **kwargs)`, with what is to be looked at."""

    dtype: str
    label: str
    call: tuple[Any, tuple, dict]
    process: Callable[[Any], Any] | None = None
    broadcasts_input: bool = False
    variants: bool = False
    second_order: bool = False
    error: tuple[type[Exception], str] | None = None

    @property
    def inputs(self) -> list[TensorRecipe]:
        return [x for _, x in leaves(self.call) if isinstance(x, TensorRecipe)]


def seed_all(*parts: str) -> int:
    """Seed every generator from the words given; the same words give the same samples."""
    seed = zlib.crc32(" ".join(parts).encode())
    torch.manual_seed(seed)
    random.seed(seed)
    np.random.seed(seed)
    return seed


def evenly(items: list, count: int) -> list[tuple[int, Any]]:
    """`count` items with their indices, spread from the first to the last."""
    if len(items) <= count:
        return list(enumerate(items))
    if count == 1:
        return [(0, items[0])]
    chosen = sorted({round(i * (len(items) - 1) / (count - 1)) for i in range(count)})
    return [(i, items[i]) for i in chosen]


def chosen_dtypes(op: Any, profile: Profile, only: str | None) -> Iterator[tuple[str, int]]:
    """`(dtype name, sample cap)` for the dtypes that the operator supports on the CPU."""
    supported = {dtype_name(d) for d in op.supported_dtypes("cpu")}
    has_main = bool(supported & set(MAIN_DTYPES))
    for name in (*MAIN_DTYPES, *LIGHT_DTYPES):
        if name in supported and only in (None, name):
            main = name in MAIN_DTYPES or not has_main
            yield name, profile.main if main else profile.light


def op_cases(op: Any, profile: Profile, only_dtype: str | None = None) -> Iterator[Case]:
    """Every case of an operator: samples, reference samples, other layouts, errors."""
    for dtype, cap in chosen_dtypes(op, profile, only_dtype):
        yield from _sample_cases(op, profile, dtype, cap)
        if op.reference_inputs_func is not None and dtype in MAIN_DTYPES:
            yield from _reference_cases(op, profile, dtype)
    if op.error_inputs_func is not None and only_dtype in (None, "float32"):
        yield from _error_cases(op, profile)


def sample_inputs(op: Any, dtype: str) -> list[Any]:
    """The database's own samples of an operator, but for very many or very large ones."""
    torch_dtype = getattr(torch, dtype)
    continuous = torch_dtype.is_floating_point or torch_dtype.is_complex
    grad = continuous and op.supports_autograd and torch_dtype in op.backward_dtypes
    seed_all(op.name, op.variant_test_name, dtype)
    source = op.sample_inputs_func(op, "cpu", torch_dtype, grad)
    return [s for s in itertools.islice(source, LONGEST_LIST) if _is_small(s)]


def _sample_cases(op: Any, profile: Profile, dtype: str, cap: int) -> Iterator[Case]:
    drawn = sample_inputs(op, dtype)
    main = dtype in MAIN_DTYPES
    for order, (index, sample) in enumerate(evenly(drawn, cap)):
        second = op.supports_gradgrad and dtype == "float64" and order < profile.second_order
        flags = {"variants": main and order < profile.variants, "second_order": second}
        yield from frozen_cases(f"sample {index}", sample, dtype, **flags)
    if not main:
        return
    for index, sample in evenly(drawn, profile.layouts):
        for name, relayout in LAYOUTS.items():
            changed = sample.transform(relayout)
            if _strides(changed) == _strides(sample):
                continue
            label = f"sample {index} {name}"
            yield from frozen_cases(label, changed, dtype, variants=name == "transposed")


def _reference_cases(op: Any, profile: Profile, dtype: str) -> Iterator[Case]:
    seed_all(op.name, op.variant_test_name, dtype, "reference")
    source = op.reference_inputs_func(op, "cpu", getattr(torch, dtype), False)
    drawn = [s for s in itertools.islice(source, LONGEST_LIST) if _is_small(s)]
    for index, sample in evenly(drawn, profile.reference):
        yield from frozen_cases(f"reference {index}", sample, dtype)


def _error_cases(op: Any, profile: Profile) -> Iterator[Case]:
    seed_all(op.name, op.variant_test_name, "error")
    for index, error in evenly(list(op.error_inputs_func(op, "cpu")), profile.errors):
        expected = (error.error_type, error.error_regex)
        yield from frozen_cases(f"error {index}", error.sample_input, "float32", error=expected)


def frozen_cases(label: str, sample: Any, dtype: str, **fields: Any) -> Iterator[Case]:
    """A sample of the database as a case; none if it holds what no recipe can say."""
    try:
        call = freeze((sample.input, tuple(sample.args), dict(sample.kwargs)))
    except CannotFreeze:
        return  # sparse and quantised inputs are out of scope
    process = getattr(sample, "output_process_fn_grad", None)
    broadcasts = bool(getattr(sample, "broadcasts_input", False))
    yield Case(dtype, label, call, process, broadcasts, **fields)


def _strides(sample: Any) -> list[tuple[int, ...]]:
    found = [x for _, x in leaves((sample.input, sample.args, sample.kwargs))]
    return [x.stride() for x in found if isinstance(x, torch.Tensor) and x.layout is torch.strided]


def _is_small(sample: Any) -> bool:
    tensors = [x for _, x in leaves((sample.input, sample.args, sample.kwargs))]
    return sum(x.numel() for x in tensors if isinstance(x, torch.Tensor)) <= MOST_ELEMENTS


# --- layouts --------------------------------------------------------------------------------------


def _with_values(layout: Callable[[torch.Tensor], torch.Tensor]) -> Callable[[Any], Any]:
    """`layout` rearranges a plain tensor's memory; this keeps `requires_grad` and all else."""

    def relayout(value: Any) -> Any:
        strided = isinstance(value, torch.Tensor) and value.layout is torch.strided
        if not strided or value.dim() == 0 or value.numel() == 0:
            return value
        with torch.no_grad():
            return layout(value.detach()).requires_grad_(value.requires_grad)

    return relayout


def _transposed(tensor: torch.Tensor) -> torch.Tensor:
    back = tuple(reversed(range(tensor.dim())))
    return tensor.permute(back).contiguous().permute(back)


def _every_second(tensor: torch.Tensor) -> torch.Tensor:
    wide = tensor.new_zeros((*tensor.shape, 2))
    wide[..., 1] = tensor
    return wide[..., 1]


def _channels_last(tensor: torch.Tensor) -> torch.Tensor:
    formats = {4: torch.channels_last, 5: torch.channels_last_3d}
    if tensor.dim() not in formats:
        return tensor
    return tensor.contiguous(memory_format=formats[tensor.dim()])


LAYOUTS: dict[str, Callable[[Any], Any]] = {
    "transposed": _with_values(_transposed),
    "strided": _with_values(_every_second),
    "channels last": _with_values(_channels_last),
}
