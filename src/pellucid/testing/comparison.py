"""`assert_close`: whether two results agree, with words that say where they do not.

Values are close if `|actual - expected| <= atol + rtol * |expected|`; NaN equals NaN only on
request.
Lists, tuples and dictionaries are compared entry by entry.
"""

from __future__ import annotations

import cmath
from collections.abc import Callable, Iterator, Mapping, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.tensor.dtype import (
    bfloat16,
    complex64,
    complex128,
    dtype,
    float16,
    float32,
    float64,
    int64,
)
from pellucid.tensor.promotion import promote_types
from pellucid.tensor.tensor import Tensor

TOLERANCES: dict[dtype, tuple[float, float]] = {
    float16: (1e-3, 1e-5),
    bfloat16: (1.6e-2, 1e-5),
    float32: (1.3e-6, 1e-5),
    float64: (1e-7, 1e-7),
    complex64: (1.3e-6, 1e-5),
    complex128: (1e-7, 1e-7),
}
"""rtol and atol of each dtype; those not named here must be equal."""

_NUMBER_DTYPES = {int: int64, float: float64, complex: complex128}
Message = str | Callable[[str], str] | None
Place = tuple[Any, ...]


@dataclass(frozen=True, slots=True, kw_only=True)
class Rules:
    """What counts as close: the options of `assert_close`."""

    allow_subclasses: bool
    rtol: float | None
    atol: float | None
    equal_nan: bool
    check_device: bool
    check_dtype: bool
    check_layout: bool
    check_stride: bool

    def tolerances(self, *kinds: dtype) -> tuple[float, float]:
        """rtol and atol: those given, or the loosest of the dtypes. ValueError if only one is
        given.
        """
        if self.rtol is not None and self.atol is not None:
            return self.rtol, self.atol
        if self.rtol is not None or self.atol is not None:
            missing = "rtol" if self.rtol is None else "atol"
            raise ValueError(
                "Both 'rtol' and 'atol' must be either specified or omitted, but got no "
                f"{missing}.\n  A tolerance of one alone would leave the other at its default."
            )
        found = [TOLERANCES.get(kind, (0.0, 0.0)) for kind in kinds]
        return max(rtol for rtol, _ in found), max(atol for _, atol in found)


def assert_close(
    actual: Any,
    expected: Any,
    *,
    allow_subclasses: bool = True,
    rtol: float | None = None,
    atol: float | None = None,
    equal_nan: bool = False,
    check_device: bool = True,
    check_dtype: bool = True,
    check_layout: bool = True,
    check_stride: bool = False,
    msg: Message = None,
) -> None:
    """Raise AssertionError unless `actual` is close to `expected`.

    Args:
        actual, expected: tensors, numbers, what `as_tensor` takes, and sequences and mappings of
        them.
        rtol, atol: tolerances, given together; else they follow from the dtypes.
        equal_nan: whether NaN is close to NaN.
        check_dtype, check_stride, …: whether these must agree too.
        msg: a text in place of the generated one, or a function of that.

    Raises: AssertionError where values, shapes, lengths or keys differ; TypeError for inputs of
    unrelated types; ValueError for only one tolerance.
    """
    rules = Rules(
        allow_subclasses=allow_subclasses,
        rtol=rtol,
        atol=atol,
        equal_nan=equal_nan,
        check_device=check_device,
        check_dtype=check_dtype,
        check_layout=check_layout,
        check_stride=check_stride,
    )
    failures = []
    for place, one, other in pairs(actual, expected):
        problem = compare(one, other, rules)
        if problem is not None:
            where = "".join(f"[{key!r}]" if isinstance(key, str) else f"[{key}]" for key in place)
            failures.append((problem, where))
    if failures:
        problem, where = failures[0]
        raise type(problem)(_words(str(problem), where, msg))


def _words(text: str, where: str, msg: Message) -> str:
    if isinstance(msg, str):
        return msg
    if where:
        text += f"\n\nThe failure occurred for item {where}"
    return msg(text) if callable(msg) else text


def pairs(actual: Any, expected: Any, place: Place = ()) -> Iterator[tuple[Place, Any, Any]]:
    """The pairs to compare, found side by side in sequences and mappings, each with its keys."""
    both = (actual, expected)
    if all(isinstance(v, Sequence) and not isinstance(v, str) for v in both):
        if len(actual) != len(expected):
            raise AssertionError(
                f"The length of the sequences mismatch: {len(actual)} != {len(expected)}"
            )
        for index, (one, other) in enumerate(zip(actual, expected, strict=True)):
            yield from pairs(one, other, (*place, index))
    elif all(isinstance(v, Mapping) for v in both):
        if set(actual) != set(expected):
            raise AssertionError(
                "The keys of the mappings do not match:\n"
                f"Missing keys in the actual mapping: {sorted(set(expected) - set(actual))}\n"
                f"Additional keys in the actual mapping: {sorted(set(actual) - set(expected))}"
            )
        for key in _ordered(actual):
            yield from pairs(actual[key], expected[key], (*place, key))
    else:
        yield place, actual, expected


def _ordered(keys: Any) -> list[Any]:
    try:
        return sorted(keys)
    except TypeError:
        return list(keys)


def compare(actual: Any, expected: Any, rules: Rules) -> Exception | None:
    """What is wrong with `actual`, as an exception to raise; None if nothing is. TypeError if
    unrelated.
    """
    if actual is None or expected is None:
        if actual is expected:
            return None
        return AssertionError(f"None mismatch: {actual} is not {expected}")
    truths = (bool, np.bool_)
    if isinstance(actual, truths) and isinstance(expected, truths):
        if bool(actual) is bool(expected):
            return None
        return AssertionError(f"Booleans mismatch: {actual} is not {expected}")
    numbers = (int, float, complex, np.number)
    if isinstance(actual, numbers) and isinstance(expected, numbers):
        return _compare_numbers(_plain(actual), _plain(expected), rules)
    related = isinstance(actual, type(expected)) or isinstance(expected, type(actual))
    if related and (rules.allow_subclasses or type(actual) is type(expected)):
        try:
            tensors = ops.as_tensor(actual), ops.as_tensor(expected)
        except Exception:
            related = False
        else:
            return _compare_tensors(*tensors, rules)
    raise TypeError(
        f"No comparison pair was able to handle inputs of type {type(actual)} and {type(expected)}."
    )


def _plain(number: Any) -> Any:
    return number.item() if isinstance(number, np.number) else number


def _compare_numbers(actual: Any, expected: Any, rules: Rules) -> Exception | None:
    kinds = (_NUMBER_DTYPES[type(actual)], _NUMBER_DTYPES[type(expected)])
    rtol, atol = rules.tolerances(*kinds)
    if rules.check_dtype and type(actual) is not type(expected):
        return AssertionError(f"The (d)types do not match: {type(actual)} != {type(expected)}.")
    if actual == expected:
        return None
    if rules.equal_nan and cmath.isnan(actual) and cmath.isnan(expected):
        return None
    difference = abs(actual - expected)
    if cmath.isfinite(difference) and difference <= atol + rtol * abs(expected):
        return None
    return AssertionError(_scalar_words(actual, expected, rtol, atol))


def _compare_tensors(actual: Tensor, expected: Tensor, rules: Rules) -> Exception | None:
    rtol, atol = rules.tolerances(actual.dtype, expected.dtype)
    attributes: list[tuple[str, Any, Any]] = [("shape", actual.shape, expected.shape)]
    if rules.check_stride:
        attributes.append(("stride()", actual.stride(), expected.stride()))
    if rules.check_dtype:
        attributes.append(("dtype", actual.dtype, expected.dtype))
    for name, one, other in attributes:
        if one != other:
            return AssertionError(
                f"The values for attribute '{name}' do not match: {one} != {other}."
            )
    actual, expected = actual.detach(), expected.detach()
    if actual.dtype is not expected.dtype:
        common = promote_types(*(_promotable(each.dtype) for each in (actual, expected)))
        actual, expected = actual.to(common), expected.to(common)
    matches = ops.isclose(actual, expected, rtol=rtol, atol=atol, equal_nan=rules.equal_nan)
    if bool(matches.all()):
        return None
    if not actual.shape:
        return AssertionError(_scalar_words(actual.item(), expected.item(), rtol, atol))
    return AssertionError(_tensor_words(actual._array, expected._array, matches._array, rtol, atol))


def _promotable(kind: dtype) -> dtype:
    return int64 if kind.name in ("uint16", "uint32", "uint64") else kind


# -- words


def _scalar_words(actual: Any, expected: Any, rtol: float, atol: float) -> str:
    difference = abs(actual - expected)
    relative = float("inf") if expected == 0 else difference / abs(expected)
    return _join(
        "Scalars",
        f"Expected {expected} but got {actual}.",
        [
            ("Absolute difference", difference, "", atol),
            ("Relative difference", relative, "", rtol),
        ],
        rtol,
        atol,
    )


def _tensor_words(
    actual: np.ndarray, expected: np.ndarray, matches: np.ndarray, rtol: float, atol: float
) -> str:
    count, wrong = matches.size, int(matches.size - matches.sum())
    if actual.dtype.kind in "biu":
        actual, expected = actual.astype(np.int64), expected.astype(np.int64)
    with np.errstate(all="ignore"):
        absolute = np.abs(actual - expected)
        relative = absolute / np.abs(expected)
    if relative.dtype == np.float64 and actual.dtype.kind == "i":
        relative = relative.astype(np.float32)
    differences = []
    for name, values, tolerance in (("absolute", absolute, atol), ("relative", relative, rtol)):
        values = np.where(matches, values.dtype.type(0), values)
        index = np.unravel_index(int(np.argmax(values)), values.shape)
        shown = tuple(int(i) for i in index)
        greatest = values[index].item()
        number = greatest if isinstance(greatest, (int, float)) else float(greatest)
        differences.append((f"Greatest {name} difference", number, f" at index {shown}", tolerance))
    extra = f"Mismatched elements: {wrong} / {count} ({wrong / count:.1%})"
    return _join("Tensor-likes", extra, differences, rtol, atol)


def _join(
    what: str,
    extra: str,
    differences: list[tuple[str, Any, str, float]],
    rtol: float,
    atol: float,
) -> str:
    exact = rtol == 0 and atol == 0
    lines = [f"{what} are not {'equal' if exact else 'close'}!", "", extra]
    for name, value, where, tolerance in differences:
        allowed = "" if exact else f" (up to {tolerance} allowed)"
        lines.append(f"{name}: {value}{where}{allowed}")
    return "\n".join(lines)
