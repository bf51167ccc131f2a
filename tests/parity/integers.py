"""Whole numbers in other spellings: every int of the database's samples, given as something else.

PyTorch's parser takes a 0-dim tensor or a NumPy integer for an int, here and there a bool, never a
float; which of them depends on the parameter. Each int of a sample is replaced in turn, and both
libraries must take or refuse the call alike, and give the same result.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Iterator
from types import ModuleType
from typing import Any

import numpy as np
import torch

from tests.parity.bridge import from_array, map_tree
from tests.parity.checks import (
    UNINITIALISED,
    UP_TO_A_PHASE,
    Outcome,
    invoke,
    missing_name,
    reference_side,
    subject_side,
    told,
)
from tests.parity.compare import Findings, compare_trees
from tests.parity.records import OpReport
from tests.parity.samples import SUITE, Case, chosen_dtypes, evenly, frozen_cases, sample_inputs
from tests.parity.scope import family_of
from tests.parity.sweep import CASE_SECONDS, TooSlow, full_name, quiet, time_limit

SPELLINGS: dict[str, Callable[[int], Any]] = {
    "tensor": lambda value: from_array(np.array(value, np.int64)),
    "numpy": np.int64,
    "vector": lambda value: from_array(np.array([value], np.int64)),
    "bool": lambda value: True,
    "float": float,
    "float tensor": lambda value: from_array(np.array(value, np.float32)),
}
MOST_SAMPLES = 16
"""Samples of an operator in which ints are looked for."""


def places(call: Any) -> list[str]:
    """Where in a frozen call its ints stand; of a list the first two."""
    found: list[str] = []

    def walk(tree: Any, path: str) -> None:
        if isinstance(tree, dict):
            for key, value in tree.items():
                walk(value, f"{path}.{key}")
        elif isinstance(tree, (list, tuple)):
            for index, value in enumerate(tree):
                walk(value, f"{path}.{index}")
        elif type(tree) is int:
            found.append(path)

    walk(call, "")
    return found


def kind_of_place(path: str) -> str:
    """The place without the number inside of a list, but for its first one."""
    return re.sub(r"^((?:\.\w+){3})\.[1-9]\d*$", r"\1.1", path)


def replaced(call: Any, path: str, spelling: Callable[[int], Any]) -> Any:
    """The frozen call with the int at `path` spelt otherwise."""

    def walk(tree: Any, steps: list[str]) -> Any:
        if not steps:
            return spelling(tree)
        if isinstance(tree, dict):
            return {k: walk(v, steps[1:]) if k == steps[0] else v for k, v in tree.items()}
        changed = [walk(v, steps[1:]) if str(i) == steps[0] else v for i, v in enumerate(tree)]
        return changed if isinstance(tree, list) else tuple(changed)

    return walk(call, path.split(".")[1:])


def cases(op: Any) -> Iterator[tuple[Case, str]]:
    """The samples of an operator that have an int where none before had one, and the place."""
    seen: set[str] = set()
    for dtype, _ in list(chosen_dtypes(op, SUITE, None))[:1]:
        for _, sample in evenly(sample_inputs(op, dtype), MOST_SAMPLES):
            for case in frozen_cases("", sample, dtype):
                for path in places(case.call):
                    if kind_of_place(path) not in seen:
                        seen.add(kind_of_place(path))
                        yield case, path


def judge(op: Any, want: Outcome, have: Outcome) -> Findings:
    """Both refuse with one type and one first sentence, or both give the same."""
    missing = missing_name(have.error)
    if missing:
        return {"missing": missing}
    if want.error is not None or have.error is not None:
        if want.error is None:
            return {"crash": f"{told(have.error)} (PyTorch gives a result)"}
        if have.error is None:
            return {"error_type": f"accepted, but PyTorch raises {told(want.error)}"}
        if type(want.error) is not type(have.error):
            return {"error_type": f"expected {told(want.error)}, got {told(have.error)}"}
        if first_sentence(want.error) != first_sentence(have.error):
            return {"error_words": f"expected {told(want.error)}, got {told(have.error)}"}
        return {"error_type": None, "error_words": None}
    look = not getattr(op, "has_nondeterministic_output", False)
    look = look and op.name not in UNINITIALISED | UP_TO_A_PHASE
    return compare_trees(op.name, want.result, have.result, look_at_values=look)


def first_sentence(error: Exception) -> str:
    return re.split(r"\n|\. ", str(error))[0].strip()


def run_integers(
    op: Any, library: ModuleType, tell: Callable[[tuple], None] = lambda case: None
) -> OpReport:
    """Every int of an operator's samples in every spelling, in this process."""
    report = OpReport(full_name(op), family_of(op.name))
    with quiet():
        reference, subject = reference_side(op), subject_side(op, library)
        for case, path in cases(op):
            for name, spelling in SPELLINGS.items():
                label = f"{path} as {name}"
                tell((case.dtype, label))
                call = replaced(case.call, path, spelling)
                try:
                    with time_limit(CASE_SECONDS):
                        want = invoke(torch, reference.function, call, requires_grad=False)
                        have = invoke(library, subject.function, call, requires_grad=False)
                        findings = judge(op, want, have)
                except TooSlow as slow:
                    findings = {"timeout": str(slow)}
                report.add(case.dtype, label, str(map_tree(str, call)), findings)
    return report
