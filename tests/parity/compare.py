"""What came back from both sides, looked at in every way a program can see.

Each function returns a detail text, or `None` where both agree. Categories and their meaning:

========== =======================================================================================
structure  as many outputs, the same kinds of scalars, the same field names of a named tuple
dtype      element types
shape      sizes
strides    strides of dimensions longer than 1 (all strides and the offset for a view)
value      numbers, by `tolerances`; also of the inputs after the call, which an operator may change
alias      which inputs and outputs share storage, which object is returned, `_is_view()`, `_base`
autograd   `requires_grad` and `is_leaf` of the outputs
========== =======================================================================================
"""

from __future__ import annotations

from typing import Any

import numpy as np

from tests.parity.bridge import dtype_name, is_tensor, leaves, storage_key, values
from tests.parity.tolerances import tolerance

Findings = dict[str, str | None]


def compare_trees(
    op: str, expected: Any, got: Any, *, look_at_values: bool = True, prefix: str = ""
) -> Findings:
    """Structure, dtype, shape, strides and values of everything in two results."""
    problem = structure(expected, got)
    if problem:
        return {"structure": prefix + problem}
    findings: Findings = dict.fromkeys(("structure", "dtype", "shape", "strides", "value"))
    for (path, want), (_, have) in zip(leaves(expected), leaves(got), strict=True):
        name = f"{prefix}output{path}: "
        if not is_tensor(want):
            note(findings, "value", name, scalar(op, want, have) if look_at_values else None)
            continue
        note(findings, "dtype", name, differ(dtype_name(want.dtype), dtype_name(have.dtype)))
        if note(findings, "shape", name, differ(tuple(want.shape), tuple(have.shape))):
            continue
        note(findings, "strides", name, strides(want, have))
        if look_at_values and dtype_name(want.dtype) == dtype_name(have.dtype):
            note(findings, "value", name, tensor_values(op, want, have))
    return findings


def note(findings: Findings, category: str, name: str, problem: str | None) -> bool:
    """Record the first problem of a category; a category without one is recorded as passed."""
    findings.setdefault(category, None)
    if problem and findings[category] is None:
        findings[category] = name + problem
    return bool(problem)


def differ(expected: Any, got: Any) -> str | None:
    return None if expected == got else f"expected {expected}, got {got}"


def structure(expected: Any, got: Any) -> str | None:
    """Kinds and number of the leaves, and field names where PyTorch names its outputs."""
    want = [(path, "tensor" if is_tensor(x) else type(x).__name__) for path, x in leaves(expected)]
    have = [(path, "tensor" if is_tensor(x) else type(x).__name__) for path, x in leaves(got)]
    if want != have:
        return f"expected {_kinds(want)}, got {_kinds(have)}"
    if type(expected).__module__ == "torch.return_types":
        for name in type(expected).__match_args__:
            if not hasattr(got, name):
                return f"expected a named tuple with field {name!r}, got {type(got).__name__}"
    return None


def _kinds(pairs: list[tuple[str, str]]) -> str:
    return ", ".join(f"{kind}{path}" for path, kind in pairs) or "nothing"


def scalar(op: str, expected: Any, got: Any) -> str | None:
    if isinstance(expected, float | complex):
        dtype = "float64" if isinstance(expected, float) else "complex128"
        return array_values(np.asarray(expected), np.asarray(got), tolerance(op, dtype))
    if isinstance(expected, int | str | type(None)):
        return differ(expected, got)
    if isinstance(expected, tuple):
        return differ(tuple(expected), tuple(got))
    return differ(_bare(expected), _bare(got))


def _bare(value: Any) -> str:
    """A dtype, device or layout without the library's name."""
    return str(value).removeprefix("torch.").removeprefix("pellucid.")


def strides(expected: Any, got: Any) -> str | None:
    """Strides that a program can notice: a dimension of size 1 is never stepped along."""
    want, have = tuple(expected.stride()), tuple(got.stride())
    if expected._is_view():
        if (want, expected.storage_offset()) == (have, got.storage_offset()):
            return None
        return (
            f"view: expected strides {want} offset {expected.storage_offset()}, "
            f"got {have} offset {got.storage_offset()}"
        )
    if expected.numel() == 0:
        return None
    seen = [d for d, size in enumerate(expected.shape) if size > 1]
    return None if all(want[d] == have[d] for d in seen) else differ(want, have)


def tensor_values(op: str, expected: Any, got: Any) -> str | None:
    """Values of two tensors of one dtype and shape."""
    name = dtype_name(expected.dtype)
    return array_values(values(expected), values(got), tolerance(op, name))


def array_values(expected: np.ndarray, got: np.ndarray, allowed: tuple[float, float]) -> str | None:
    """NaN equals NaN, infinities must be equal, the rest within relative and absolute bounds."""
    if expected.shape != got.shape:
        return differ(expected.shape, got.shape)
    relative, absolute = allowed
    if expected.dtype.kind not in "fc":
        wrong = expected != got
    else:
        wide = np.complex128 if expected.dtype.kind == "c" else np.float64
        expected, got = expected.astype(wide), got.astype(wide)
        wrong = ~np.isclose(got, expected, rtol=relative, atol=absolute, equal_nan=True)
    if not wrong.any():
        return None
    where = tuple(int(i) for i in np.argwhere(wrong)[0])
    spread = ""
    if expected.dtype.kind in "fc":
        with np.errstate(all="ignore"):
            error = np.abs(expected - got)[wrong]
            scale = error / np.abs(expected)[wrong]
        spread = f"; worst absolute {np.max(error):.2g}, relative {np.max(scale):.2g}"
    return (
        f"{int(wrong.sum())} of {wrong.size} values differ, first at {list(where)}: "
        f"expected {expected[where]}, got {got[where]}{spread}"
    )


def aliases(inputs: tuple[Any, Any], outputs: tuple[Any, Any]) -> str | None:
    """Storage sharing, identity and view bookkeeping of the outputs; each pair is (expected,
    got)."""
    want, have = (_alias_map(i, o) for i, o in zip(inputs, outputs, strict=True))
    for expected, got in zip(want, have, strict=True):
        for question, answer in expected.items():
            if got[question] != answer:
                name = expected["output"]
                return f"output{name}: {question}: expected {answer}, got {got[question]}"
    return None


def _alias_map(inputs: Any, outputs: Any) -> list[dict[str, Any]]:
    given = [(path, x) for path, x in leaves(inputs) if is_tensor(x)]
    made = [(path, x) for path, x in leaves(outputs) if is_tensor(x)]
    rows = []
    for index, (path, out) in enumerate(made):
        key, base = storage_key(out), out._base
        rows.append(
            {
                "output": path,
                "is input": [p for p, x in given if x is out],
                "shares storage with input": [p for p, x in given if storage_key(x) == key],
                "shares storage with output": [p for p, x in made[:index] if storage_key(x) == key],
                "_is_view()": bool(out._is_view()),
                "_base is input": [p for p, x in given if base is x],
            }
        )
    return rows


def autograd_flags(expected: Any, got: Any) -> str | None:
    """`requires_grad` and `is_leaf` of every output tensor."""
    for (path, want), (_, have) in zip(leaves(expected), leaves(got), strict=True):
        if not is_tensor(want):
            continue
        for flag in ("requires_grad", "is_leaf"):
            problem = differ(getattr(want, flag), getattr(have, flag))
            if problem:
                return f"output{path}: {flag}: {problem}"
    return None
