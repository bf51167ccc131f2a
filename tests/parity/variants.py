"""The other ways to call an operator: method, aliases, in-place variant, `out=`.

======= ===========================================================================================
method  the `Tensor` method, and the operator's aliases
inplace the in-place variant: result, identity, gradient through it
out     `out=` of the right form, empty, of another shape, transposed, of another dtype
======= ===========================================================================================
"""

from __future__ import annotations

import dataclasses
from collections.abc import Callable
from typing import Any

import torch

from tests.parity.bridge import build, dtype_name, is_tensor, leaves
from tests.parity.checks import (
    UNINITIALISED,
    UP_TO_A_PHASE,
    Outcome,
    Side,
    check_gradients,
    invoke,
    missing_name,
    seed,
    told,
)
from tests.parity.compare import Findings, aliases, compare_trees, differ
from tests.parity.samples import Case

# Where PyTorch's own `out=` result is not a function of the inputs.
UNSETTLED_OUT = {
    "native_batch_norm": "an `out=` that is resized keeps uninitialised numbers",
    "nn.functional.gelu": "its oneDNN kernel leaves an `out=` that is not row-major as it was",
}

# PyTorch 2.13 itself dies of a segmentation fault when a batched `out` is laid out backwards.
NO_TRANSPOSED_OUT = frozenset(("tril", "triu", "lu_unpack", "linalg.lu"))


def check_variants(op: Any, case: Case, reference: Side, subject: Side) -> Findings:
    """Method and aliases, in-place variant, `out=`."""
    findings: Findings = {}
    names = [("the method", reference.method, subject.method)]
    for (name, theirs), (_, ours) in zip(reference.aliases, subject.aliases, strict=True):
        names.append((f"alias {name}", theirs, ours))
    for name, theirs, ours in names:
        if theirs is not None:
            problem = _same_call(op, case, (reference, theirs), (subject, ours))
            findings["method"] = findings.get("method") or (problem and f"{name}: {problem}")
    if reference.inplace is not None and not case.broadcasts_input:
        findings["inplace"] = _check_inplace(op, case, reference, subject)
    if getattr(op, "supports_out", False) and op.name not in UNSETTLED_OUT:
        problem = check_out(op, case, reference, subject)
        if problem != "nothing to check":
            findings["out"] = problem
    return findings


def _same_call(
    op: Any, case: Case, theirs: tuple[Side, Callable], ours: tuple[Side, Callable]
) -> str | None:
    """First disagreement of two ways to make one call, without gradients."""
    want = invoke(theirs[0].library, theirs[1], case.call, requires_grad=False)
    have = invoke(ours[0].library, ours[1], case.call, requires_grad=False)
    return compare_outcomes(op, want, have)


def compare_outcomes(op: Any, want: Outcome, have: Outcome) -> str | None:
    """First disagreement of two outcomes in errors, results, aliasing and changed inputs."""
    if want.error or have.error:
        if missing_name(have.error):
            return missing_name(have.error)
        if want.error and have.error and isinstance(have.error, type(want.error)):
            return None
        texts = [told(x.error) if x.error else "a result" for x in (want, have)]
        return differ(*texts)
    settled = op.name not in UNINITIALISED and op.name not in UP_TO_A_PHASE
    found = compare_trees(op.name, want.result, have.result, look_at_values=settled)
    if found["structure"] is None:
        found["alias"] = aliases((want.inputs, have.inputs), (want.result, have.result))
    return next((f"{name}: {text}" for name, text in found.items() if text), None)


def _check_inplace(op: Any, case: Case, reference: Side, subject: Side) -> str | None:
    """In place on a plain tensor; then on a copy of the leaf, with the gradient through it."""
    sides = (reference, reference.inplace), (subject, subject.inplace)
    problem = _same_call(op, case, *sides)
    records = getattr(op, "supports_inplace_autograd", False) and case.dtype == "float64"
    if problem or not records:
        return problem

    def on_a_copy(variant: Callable) -> Callable:
        return lambda first, *args, **kwargs: variant(first.clone(), *args, **kwargs)

    outcomes = [invoke(side.library, on_a_copy(form), case.call) for side, form in sides]
    if any(outcome.error for outcome in outcomes):
        return compare_outcomes(op, *outcomes)
    found = check_gradients(
        op, dataclasses.replace(case, second_order=False), *outcomes, subject.library
    )
    return found.get("grad")


def check_out(op: Any, case: Case, reference: Side, subject: Side) -> str | None:
    """`out=` in five forms, each compared with what PyTorch does: result, strides, refusals."""
    plain = invoke(torch, reference.function, case.call, requires_grad=False)
    if plain.error or not all(is_tensor(x) for _, x in leaves(plain.result)):
        return "nothing to check"
    for form, make in OUT_FORMS.items():
        if form == "transposed" and op.name in NO_TRANSPOSED_OUT:
            continue
        outcomes = []
        for side in (reference, subject):
            outcomes.append(_with_out(side, case, plain.result, make))
        problem = compare_outcomes(op, *outcomes)
        if problem:
            return f"out= {form}: {problem}"
    return None


def _with_out(side: Side, case: Case, like: Any, make: Callable) -> Outcome:
    library = side.library
    inputs: Any = None
    try:
        buffers = [make(library, x, dtype_name(x.dtype)) for _, x in leaves(like)]
        inputs = build(case.call, library, requires_grad=False)
        out = buffers[0] if is_tensor(like) else tuple(buffers)
        first, arguments, keywords = inputs
        seed(library)
        result = side.function(first, *arguments, **keywords, out=out)
        return Outcome((inputs, buffers), result)
    except Exception as error:  # compared with what the other side does
        return Outcome(inputs, error=error)


OTHER_DTYPE = {"complex64": "float32", "complex128": "float64", "bool": "float64", "int64": "bool"}


def _strided_out(library: Any, like: Any, dtype: str) -> Any:
    back = tuple(reversed(range(like.dim())))
    shape = tuple(like.shape[d] for d in back)
    return library.zeros(shape, dtype=getattr(library, dtype)).permute(back)


OUT_FORMS: dict[str, Callable[[Any, Any, str], Any]] = {
    "as the result": lambda lib, x, dtype: lib.zeros(tuple(x.shape), dtype=getattr(lib, dtype)),
    "empty": lambda lib, x, dtype: lib.zeros((0,), dtype=getattr(lib, dtype)),
    "of another shape": lambda lib, x, dtype: lib.zeros((2, 1, 7), dtype=getattr(lib, dtype)),
    "transposed": _strided_out,
    "of another dtype": lambda lib, x, dtype: lib.zeros(
        tuple(x.shape), dtype=getattr(lib, OTHER_DTYPE.get(dtype, "int64"))
    ),
}
