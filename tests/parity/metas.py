"""Operators on tensors without data: every sample of the database, with its tensors on "meta".

PyTorch's own answer is that of its meta tensors: shape, dtype and strides of the results, or a
refusal.
"""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import torch

from tests.parity.bridge import build, dtype_name, is_tensor, leaves, map_tree
from tests.parity.checks import Side, missing_name, reference_side, seed, subject_side, told
from tests.parity.compare import Findings, differ
from tests.parity.records import OpReport
from tests.parity.samples import SUITE, chosen_dtypes, evenly, frozen_cases, sample_inputs
from tests.parity.scope import family_of
from tests.parity.sweep import CASE_SECONDS, TooSlow, full_name, quiet, time_limit

MOST_SAMPLES = 6
Answer = list[tuple[str, tuple[int, ...]]] | Exception


def answer(library: ModuleType, side: Side, call: Any, device: str = "meta") -> Answer:
    """Dtypes and shapes of what an operator gives on tensors without data, or its refusal."""

    def moved(value: Any) -> Any:
        return value.to(device) if is_tensor(value) else value

    try:
        first, args, kwargs = map_tree(moved, build(call, library, requires_grad=False))
        seed(library)
        found = side.function(first, *args, **kwargs)
        tensors = [x for _, x in leaves(found) if is_tensor(x)]
        if any(x.device.type != device for x in tensors):
            return AssertionError(f"a result is not on the device {device}")
        return [(dtype_name(x.dtype), tuple(x.shape)) for x in tensors]
    except Exception as error:
        return error


def judge(want: Answer, have: Answer, real: Answer) -> Findings:
    """What PyTorch infers, Pellucid infers too. What PyTorch does not infer it may: but then it has
    the shape that it has with data.
    """
    if isinstance(want, Exception):
        answered = not isinstance(have, Exception) and not isinstance(real, Exception)
        return {"shape": differ(real, have)} if answered else {}
    if isinstance(have, Exception):
        missing = missing_name(have)
        return {"missing": missing} if missing else {"crash": told(have)}
    return {"shape": differ(want, have)}


def run_meta(
    op: Any, library: ModuleType, tell: Callable[[tuple], None] = lambda case: None
) -> OpReport:
    """Samples of one operator without their data, in this process."""
    report = OpReport(full_name(op), family_of(op.name))
    with quiet():
        reference, subject = reference_side(op), subject_side(op, library)
        for dtype, _ in list(chosen_dtypes(op, SUITE, None))[:1]:
            for index, sample in evenly(sample_inputs(op, dtype), MOST_SAMPLES):
                for case in frozen_cases(f"sample {index}", sample, dtype):
                    tell((dtype, case.label))
                    try:
                        with time_limit(CASE_SECONDS):
                            want = answer(torch, reference, case.call)
                            have = answer(library, subject, case.call)
                            real = answer(torch, reference, case.call, "cpu")
                            findings = judge(want, have, real)
                    except TooSlow as slow:
                        findings = {"timeout": str(slow)}
                    report.add(dtype, case.label, str(map_tree(str, case.call)), findings)
    return report
