"""Run one small program on PyTorch and on Pellucid and compare what comes out.

A program takes the module that it would call `torch` and returns anything: tensors, strings,
containers of them. Exceptions count as results: the type and the first sentence of the message.
Warnings are told too, by category and first sentence.
"""

from __future__ import annotations

import re
import warnings
from collections.abc import Callable
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np
import pytest

import pellucid

torch = pytest.importorskip("torch", reason="PyTorch is what these programs are compared with")

BACKENDS = ("nested tensors", "oneDNN")
"""Warnings about how PyTorch computes, not about what: Pellucid has none of these."""

Program = Callable[[Any], Any]


@dataclass
class Values:
    """A tensor as plain data."""

    dtype: str
    requires_grad: bool
    array: np.ndarray


def first_sentence(message: str) -> str:
    """Up to the first full stop that ends a sentence, in one line, names of the package unified.

    Indented lines are what Pellucid adds to PyTorch's words.
    """
    line = " ".join(message.split("\n  ")[0].split())
    line = re.sub(r"pellucid\.nn\.module\.Module", "torch.nn.modules.module.Module", line)
    line = line.replace("pellucid.", "torch.")
    return re.split(r"(?<=[.!?])\s", line)[0]


def plain(value: Any) -> Any:
    """`value` with every tensor replaced by `Values`, and other objects by their names."""
    if hasattr(value, "detach") and hasattr(value, "stride"):
        array = value.detach().numpy().copy()
        return Values(str(value.dtype).rpartition(".")[2], value.requires_grad, array)
    if isinstance(value, dict):
        return {key: plain(item) for key, item in value.items()}
    if isinstance(value, (list, tuple)):
        return [plain(item) for item in value]
    if isinstance(value, (bool, int, float, type(None))):
        return value
    return str(value).replace("pellucid.", "torch.")


def outcome(program: Program, library: ModuleType) -> tuple[Any, list[str]]:
    """What `program` returns or raises, and what it warns of."""
    library.manual_seed(0)
    with warnings.catch_warnings(record=True) as caught:
        warnings.simplefilter("always")
        try:
            result = plain(program(library))
        except Exception as error:
            result = f"{type(error).__name__}: {first_sentence(str(error))}"
    told = [
        f"{w.category.__name__}: {first_sentence(str(w.message))}"
        for w in caught
        if not any(name in str(w.message) for name in BACKENDS)
    ]
    return result, told


def assert_same(ours: Any, theirs: Any, rtol: float, where: str = "result") -> None:
    """Compare two plain values; arrays by value within `rtol`, everything else exactly."""
    if isinstance(theirs, Values):
        assert isinstance(ours, Values), f"{where}: {ours} / {theirs}"
        assert (ours.dtype, ours.requires_grad) == (theirs.dtype, theirs.requires_grad), where
        np.testing.assert_allclose(ours.array, theirs.array, rtol, rtol, err_msg=where)
    elif isinstance(theirs, list):
        assert isinstance(ours, list) and len(ours) == len(theirs), f"{where}: {ours} / {theirs}"
        for i, (a, b) in enumerate(zip(ours, theirs, strict=True)):
            assert_same(a, b, rtol, f"{where}[{i}]")
    elif isinstance(theirs, dict):
        assert list(ours) == list(theirs), where
        for key in theirs:
            assert_same(ours[key], theirs[key], rtol, f"{where}[{key!r}]")
    elif isinstance(theirs, float) and isinstance(ours, float):
        assert ours == pytest.approx(theirs, rel=rtol, nan_ok=True), where
    else:
        assert ours == theirs, where


def agree(program: Program, rtol: float = 2e-6) -> Any:
    """Run `program` on both sides, compare, and return Pellucid's plain result."""
    theirs, told_theirs = outcome(program, torch)
    ours, told_ours = outcome(program, pellucid)
    assert_same(ours, theirs, rtol)
    assert told_ours == told_theirs
    return ours


def programs(*given: Program) -> Any:
    """Parametrise a test over programs, named by the programs."""
    return pytest.mark.parametrize("program", given, ids=[p.__name__ for p in given])
