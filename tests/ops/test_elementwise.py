"""Elementwise operators against PyTorch: layouts, special values, Python's operators, writing,
refusals.

The operator database is walked in `tests/parity`; here is what it does not ask.
"""

from __future__ import annotations

import math
import operator
from collections.abc import Callable
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from tests.parity.bridge import TensorRecipe, values
from tests.parity.tolerances import words
from tests.strategies import both, broadcasting_pairs, tensors

SPECIAL = [0.0, -0.0, 1.0, -1.0, 0.5, -0.5, 2.0, -3.0, 1e-30, math.inf, -math.inf, math.nan]
UNARY = words(
    """
    abs acos acosh asin asinh atan atanh ceil cos cosh deg2rad digamma erf erfc erfinv
    exp exp2 expm1 floor frac i0 isfinite isinf isnan isneginf isposinf lgamma log log10
    log1p log2 logit
    nan_to_num neg rad2deg reciprocal relu round rsqrt sgn sigmoid sign signbit sin sinc sinh sqrt
    square tan tanh trunc
    """
)
BINARY = words(
    """
    add atan2 copysign div eq floor_divide fmax fmin fmod ge heaviside hypot logaddexp
    logaddexp2 lt maximum minimum mul ne nextafter pow remainder sub xlogy
    """
)
ANY_DTYPE = words("float32 float64 float16 bfloat16 int64 int32 int8 uint8 bool")


def same(expected: torch.Tensor, got: Any, tolerance: float = 1e-6) -> None:
    """Equal dtype, shape, strides and values, signs of zero included."""
    assert str(got.dtype) == str(expected.dtype)
    assert got.stride() == expected.stride()
    want, have = values(expected), values(got)
    if want.dtype.kind not in "fcV":
        assert np.array_equal(want, have)
        return
    want, have = want.astype(np.complex128), have.astype(np.complex128)
    assert np.allclose(want, have, rtol=tolerance, atol=tolerance, equal_nan=True)


@given(recipe=tensors(), name=st.sampled_from(words("neg exp sigmoid abs round sign isnan")))
@settings(deadline=None, max_examples=80)
def test_unary_operators_keep_the_reference_layout(recipe: TensorRecipe, name: str) -> None:
    expected, got = both(recipe, pellucid)
    same(getattr(torch, name)(expected), getattr(pellucid, name)(got))


@given(
    pair=broadcasting_pairs(ANY_DTYPE),
    name=st.sampled_from(words("add mul eq maximum div logical_and")),
)
@settings(deadline=None, max_examples=120)
def test_binary_operators_keep_the_reference_layout_and_dtype(
    pair: tuple[TensorRecipe, TensorRecipe], name: str
) -> None:
    expected, got = both(pair, pellucid)
    tolerance = 1e-6 if "16" not in pair[0].dtype else 1e-2
    same(getattr(torch, name)(*expected), getattr(pellucid, name)(*got), tolerance)


@given(
    first=tensors((2, 3), ANY_DTYPE),
    second=st.one_of(tensors((3,), ANY_DTYPE), tensors((), ANY_DTYPE)),
    number=st.sampled_from([2, 2.5, True, None]),
)
@settings(deadline=None, max_examples=120)
def test_promotion_of_mixed_operands(first: Any, second: Any, number: Any) -> None:
    for other in (second, number):
        if other is not None:
            expected, got = both((first, other), pellucid)
            same(torch.mul(*expected), pellucid.mul(*got), 1e-2)


@pytest.mark.parametrize("name", UNARY)
@pytest.mark.parametrize("dtype", ["float32", "float64"])
def test_special_values_of_one_operand(name: str, dtype: str) -> None:
    data = np.array(SPECIAL, dtype)
    expected = getattr(torch, name)(torch.from_numpy(data.copy()))
    same(expected, getattr(pellucid, name)(pellucid.from_numpy(data)), 2e-6)


@pytest.mark.parametrize("name", BINARY)
def test_special_values_of_two_operands(name: str) -> None:
    first, second = np.meshgrid(np.array(SPECIAL), np.array(SPECIAL), indexing="ij")
    pair = first.copy(), second.copy()
    expected = getattr(torch, name)(*map(torch.from_numpy, pair))
    same(expected, getattr(pellucid, name)(*map(pellucid.from_numpy, pair)))


@pytest.mark.parametrize("mode", [None, "floor", "trunc"])
@pytest.mark.parametrize("dtype", ["int8", "int64", "float32"])
def test_division_of_every_sign(mode: str | None, dtype: str) -> None:
    data = np.array([-7, -4, -1, 0, 1, 4, 7], dtype)
    divisor = np.array([[3], [-3], [2], [-2]], dtype)
    expected = torch.div(torch.from_numpy(data), torch.from_numpy(divisor), rounding_mode=mode)
    given_tensors = pellucid.from_numpy(data), pellucid.from_numpy(divisor)
    same(expected, pellucid.div(*given_tensors, rounding_mode=mode))


@pytest.mark.parametrize("base", [-2, -1, 0, 1, 3])
def test_negative_exponents_of_integer_tensors(base: int) -> None:
    exponents = np.array([-3, -2, -1, 0, 1, 2])
    bases = np.full(6, base)
    expected = torch.pow(torch.from_numpy(bases), torch.from_numpy(exponents))
    same(expected, pellucid.pow(pellucid.from_numpy(bases), pellucid.from_numpy(exponents)))


def test_integers_wrap_around() -> None:
    top = pellucid.tensor([127], dtype=pellucid.int8)
    assert (top + 1).tolist() == [-128]
    assert (top + 300).tolist() == [(127 + 300 + 128) % 256 - 128]


OPERATORS: list[Callable[[Any, Any], Any]] = [
    operator.add, operator.sub, operator.mul, operator.truediv, operator.floordiv, operator.mod,
    operator.pow, operator.eq, operator.ne, operator.lt, operator.le, operator.gt, operator.ge,
]  # fmt: skip


@pytest.mark.parametrize("function", OPERATORS)
@pytest.mark.parametrize("number", [2, 2.5, -3])
def test_python_operators_on_both_sides(function: Any, number: float) -> None:
    data = np.array([1.5, -2.0, 4.0], np.float32)
    expected, got = torch.from_numpy(data), pellucid.from_numpy(data)
    same(function(expected, number), function(got, number))
    same(function(number, expected), function(number, got))


@pytest.mark.parametrize("function", [operator.and_, operator.or_, operator.xor])
def test_bits_on_both_sides(function: Any) -> None:
    data = np.array([12, -7, 0])
    expected, got = torch.from_numpy(data), pellucid.from_numpy(data)
    same(function(expected, 10), function(got, 10))
    same(function(10, expected), function(10, got))


def test_shifts_past_the_last_bit() -> None:
    data, steps = np.array([-8, 5], np.int8), np.array([[1], [7], [8], [100], [-1]], np.int8)
    for name in ("bitwise_left_shift", "bitwise_right_shift"):
        expected = getattr(torch, name)(torch.from_numpy(data), torch.from_numpy(steps))
        got = getattr(pellucid, name)(pellucid.from_numpy(data), pellucid.from_numpy(steps))
        same(expected, got)


def test_unknown_operands_are_left_to_python() -> None:
    x = pellucid.ones(2)
    assert (x == None) is False  # noqa: E711 - the comparison itself is asked about
    assert (x != "a") is True
    with pytest.raises(TypeError, match=r"unsupported operand type\(s\) for \+"):
        x + None  # type: ignore[operator]
    with pytest.raises(TypeError, match="must be Tensor, not str"):
        pellucid.add(x, "a")


def test_a_subclass_of_nothing_may_answer_for_a_tensor() -> None:
    class Answers:
        def __radd__(self, other: Any) -> str:
            return "mine"

    assert pellucid.ones(2) + Answers() == "mine"


@given(recipe=tensors((3, 4), ("float32",), contiguous=True), number=st.floats(-3, 3, width=32))
@settings(deadline=None, max_examples=30)
def test_in_place_forms_write_what_the_others_return(recipe: TensorRecipe, number: float) -> None:
    for name, arguments in [
        ("add_", (number,)),
        ("clamp_", (-1, 1)),
        ("tanh_", ()),
        ("mul_", (2,)),
    ]:
        expected, got = both(recipe, pellucid)
        returned = getattr(got, name)(*arguments)
        assert returned is got
        same(getattr(expected, name)(*arguments), got)


def test_in_place_operators_count_each_write() -> None:
    x = pellucid.ones(3)
    before = x._version
    x += 1
    x.exp_()
    x.add_(x, alpha=2)
    assert x._version == before + 3


def test_writing_over_part_of_an_operand_is_refused() -> None:
    x = pellucid.arange(6.0)
    with pytest.raises(RuntimeError, match="some elements of the input tensor and the written-to"):
        x[1:].add_(x[:-1])
    with pytest.raises(RuntimeError, match="more than one element of the written-to tensor"):
        x.expand(2, 6).add_(1)
    x[:].mul_(x)
    assert x.tolist() == [0.0, 1.0, 4.0, 9.0, 16.0, 25.0]


def test_an_output_of_a_lower_category_is_refused() -> None:
    with pytest.raises(RuntimeError, match="result type Float can't be cast to the desired output"):
        pellucid.exp(pellucid.ones(2), out=pellucid.ones(2, dtype=pellucid.int64))
    with pytest.raises(RuntimeError, match=r"output with shape .2. doesn't match the broadcast"):
        pellucid.ones(2).add_(pellucid.ones(3, 2))


REFUSED: list[tuple[Callable[[Any], Any], str]] = [
    (lambda t: -t.tensor([True]), "Negation, the `-` operator, on a bool tensor is not supported"),
    (lambda t: t.tensor([True]) - t.tensor([True]), "with two bool tensors is not supported"),
    (lambda t: t.floor(t.tensor([1j])), "floor is not supported for complex inputs"),
    (lambda t: t.tensor([1j]) < 1, "\"lt_cpu\" not implemented for 'ComplexFloat'"),
    (lambda t: t.tensor([1, 2]) ** -1, "Integers to negative integer powers are not allowed"),
    (lambda t: t.tensor([1, 2]) // 0, "ZeroDivisionError"),
    (lambda t: t.clamp(t.ones(2)), "At least one of 'min' or 'max' must not be None"),
    (lambda t: t.lerp(t.ones(2), t.ones(2).double(), 0.5), "expected dtype .* for `end`"),
    (lambda t: t.add(t.tensor([1]), t.tensor([1]), alpha=0.5), "For integral input tensors"),
    (lambda t: t.div(t.ones(2), t.ones(2), rounding_mode="up"), "expected rounding_mode to be one"),
    (
        lambda t: t.ones(2, 3) + t.ones(2),
        "The size of tensor a .3. must match the size of tensor b",
    ),
    (lambda t: t.frexp(t.tensor([1])), "only supports floating-point dtypes"),
    (lambda t: t.polygamma(-1, t.ones(2)), "does not support negative n"),
    (lambda t: t.tensor([1j]).abs_(), "In-place abs is not supported for complex tensors"),
    (lambda t: ~t.ones(2), "only implemented on integer and Boolean-type tensors"),
    (lambda t: t.isclose(t.ones(2), t.ones(2).double()), "Float did not match Double"),
]


@pytest.mark.parametrize(("call", "said"), REFUSED)
def test_refusals_have_the_type_and_words_of_the_reference(call: Any, said: str) -> None:
    with pytest.raises(Exception, match=said) as theirs:
        call(torch)
    with pytest.raises(theirs.type, match=said):
        call(pellucid)


def test_a_value_is_checked_at_every_call_and_not_only_at_the_first() -> None:
    x = pellucid.tensor([1, 2])
    assert (x**2).tolist() == [1, 4]
    with pytest.raises(RuntimeError, match="Integers to negative integer powers"):
        x**-1


GRADIENTS: list[tuple[str, Callable[[Any, Any], Any], list[float]]] = [
    ("abs", lambda t, x: x.abs(), [-1.0, 0.0, 1.0]),
    ("relu", lambda t, x: t.relu(x), [-1.0, 0.0, 1.0]),
    ("sqrt", lambda t, x: x.sqrt(), [0.0, 4.0]),
    ("clamp", lambda t, x: x.clamp(-1, 1), [-2.0, -1.0, 0.0, 1.0, 2.0]),
    ("clamp_min", lambda t, x: x.clamp_min(0), [-1.0, 0.0, 1.0]),
    ("pow of zero", lambda t, x: x**0, [0.0, 2.0]),
    ("power", lambda t, x: x**x, [1.0, 2.0]),
    ("zero to a power", lambda t, x: 0**x, [0.0, 2.0]),
    ("maximum", lambda t, x: t.maximum(x, t.zeros_like(x)), [-1.0, 0.0, 1.0]),
    ("fmin", lambda t, x: t.fmin(x, t.zeros_like(x)), [-1.0, 0.0, 1.0, math.nan]),
    ("atan2", lambda t, x: t.atan2(x, x * 0), [0.0, 1.0]),
    ("xlogy", lambda t, x: t.xlogy(x, x), [0.0, 1.0]),
    ("sinc", lambda t, x: t.sinc(x), [0.0, 0.5]),
    ("nan_to_num", lambda t, x: t.nan_to_num(x), [math.nan, math.inf, 1.0]),
    ("remainder", lambda t, x: t.remainder(x, x * 0 + 3), [-4.0, 3.0, 7.0]),
    ("infinite slope masked", lambda t, x: x.sqrt().clamp(min=1), [0.0, 4.0]),
    ("logit", lambda t, x: t.logit(x, 0.1), [0.05, 0.1, 0.5]),
    ("copysign", lambda t, x: t.copysign(x, -t.ones_like(x)), [-1.0, 0.0, 1.0]),
    ("i1", lambda t, x: t.special.i1(x), [0.0, 1.0]),
]


@pytest.mark.parametrize(("name", "function", "points"), GRADIENTS)
def test_gradients_where_the_slope_jumps(name: str, function: Any, points: list[float]) -> None:
    found = []
    for library in (torch, pellucid):
        x = library.tensor(points, dtype=library.float64, requires_grad=True)
        function(library, x).sum().backward()
        found.append(np.asarray(values(x.grad)))
    np.testing.assert_allclose(found[1], found[0], rtol=1e-12, atol=1e-12)


def test_a_number_is_rounded_to_half_precision_before_it_is_compared() -> None:
    data = np.array([1.0, 2.0], np.float16)
    expected = torch.from_numpy(data) == 1.0001
    same(expected, pellucid.from_numpy(data) == 1.0001)
    same(torch.from_numpy(data) * 1.0001, pellucid.from_numpy(data) * 1.0001)


def test_nothing_listens_and_nothing_is_recorded_without_gradients() -> None:
    x = pellucid.ones(3, requires_grad=True)
    with pellucid.no_grad():
        assert (x * 2).grad_fn is None
    assert (x * 2).grad_fn.name() == "MulBackward0"
