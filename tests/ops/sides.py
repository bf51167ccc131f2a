"""One program, run by PyTorch and by Pellucid: `agree` compares everything a user can see.

A program takes the library (`torch` or `pellucid`) and tensors over equal numbers; it returns
tensors, Python values, or lists of them, or raises. Compared are values, dtypes, strides and
offsets (of tensors that have elements), view and autograd flags; of an exception the type and
the first line.
"""

import warnings
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings

import pellucid

torch.set_num_threads(1)

Program = Callable[..., Any]


def drawn(*strategies: Any, examples: int = 100) -> Callable[[Any], Any]:
    """Run a test on so many examples, the same ones each time."""
    fixed = settings(max_examples=examples, deadline=None, derandomize=True)
    return lambda test: fixed(given(*strategies)(test))


def numbers(*shape: int, dtype: str = "float64", seed: int = 0) -> np.ndarray:
    """Normal numbers (or small integers) of a shape."""
    generator = np.random.default_rng(seed + sum(shape))
    if np.dtype(dtype).kind in "iu":
        return generator.integers(0, 9, shape).astype(dtype)
    if np.dtype(dtype).kind == "b":
        return generator.integers(0, 2, shape).astype(bool)
    return np.asarray(generator.standard_normal(shape), dtype)


def _seen(value: Any) -> Any:
    """What is compared of a result, as plain Python objects."""
    if isinstance(value, (torch.Tensor, pellucid.Tensor)):
        detached = value.detach()
        flags = (value.requires_grad, value.is_leaf, value._is_view())
        strides = tuple(value.stride()) if value.numel() else ()
        where = (tuple(value.shape), strides, value.storage_offset() if value.numel() else 0)
        return "tensor", str(value.dtype), where, flags, np.asarray(detached.tolist())
    if isinstance(value, (list, tuple)):
        return [_seen(each) for each in value]
    return value


def run(program: Program, library: Any, arrays: tuple[np.ndarray, ...], grad: bool = False) -> Any:
    """The program's result on one side, as `_seen`, or the type and first line of its error."""
    tensors = []
    for array in arrays:
        tensor = library.from_numpy(np.array(array))
        tensors.append(tensor.requires_grad_() if grad and array.dtype.kind in "fc" else tensor)
    try:
        with warnings.catch_warnings():
            warnings.simplefilter("ignore")
            return _seen(program(library, *tensors))
    except Exception as error:  # compared with the other side's
        return type(error).__name__, str(error).split("\n")[0]


def same(want: Any, have: Any) -> bool:
    """Whether two `_seen` results are equal, floats to 12 digits."""
    if isinstance(want, np.ndarray):
        return np.shape(want) == np.shape(have) and np.allclose(
            want, have, rtol=1e-5, atol=1e-6, equal_nan=True
        )
    if isinstance(want, (float, complex)) and isinstance(have, (float, complex)):
        return bool(np.isclose(want, have, rtol=1e-5, atol=1e-6, equal_nan=True))
    if isinstance(want, (list, tuple)) and isinstance(have, (list, tuple)):
        return len(want) == len(have) and all(map(same, want, have))
    return want == have


def agree(program: Program, *arrays: np.ndarray, grad: bool = False) -> Any:
    """Run on both sides and compare; returns what was seen of Pellucid's side."""
    want, have = (run(program, library, arrays, grad) for library in (torch, pellucid))
    if not same(want, have):
        pytest.fail(f"PyTorch: {want}\nPellucid: {have}")
    return have


def with_gradients(program: Program, order: int = 1) -> Program:
    """The program's results, then the gradients of the sum of their squares, up to `order`.

    A gradient that does not depend on an input counts as zero.
    """

    def whole(library: Any, *tensors: Any) -> Any:
        results = program(library, *tensors)
        found = [results]
        wanted = [t for t in tensors if t.requires_grad]
        for step in range(order):
            outputs = [r for r in _flat(results) if r is not None and r.requires_grad]
            results = [None] * len(wanted)
            if outputs:
                total = sum(_square(r) for r in outputs)
                results = library.autograd.grad(
                    total, wanted, create_graph=step + 1 < order, allow_unused=True
                )
            found.append([_plain(g, t) for g, t in zip(results, wanted, strict=True)])
        return found

    return whole


def _square(tensor: Any) -> Any:
    return (tensor * tensor.conj()).real.sum() if tensor.is_complex() else (tensor * tensor).sum()


def _plain(grad: Any, like: Any) -> Any:
    """The values of a gradient, without its history and layout."""
    values = like.detach() * 0 if grad is None else grad.detach()
    return values.contiguous().tolist()


def _flat(value: Any) -> list[Any]:
    if isinstance(value, (list, tuple)):
        return [each for part in value for each in _flat(part)]
    return [value]
