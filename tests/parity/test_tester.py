"""The parity checks catch what they are for: each planted fault is found, in its own category."""

import re
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Any

import pytest
import torch
from torch.testing._internal.opinfo.core import ErrorInput, SampleInput

from tests.parity.checks import Side
from tests.parity.differences import Difference, judge, read_table
from tests.parity.extra import ExtraOp
from tests.parity.records import OpReport
from tests.parity.samples import SUITE, op_cases
from tests.parity.sweep import full_check, run_op, sweep
from tests.parity.translate import MissingName


def samples(dtype: torch.dtype, grad: bool) -> Iterator[SampleInput]:
    values = torch.arange(1.0, 7.0, dtype=dtype).reshape(2, 3)
    yield SampleInput(values.clone().requires_grad_(grad))
    yield SampleInput(values.t().clone().requires_grad_(grad))


def errors() -> Iterator[ErrorInput]:
    yield ErrorInput(SampleInput(torch.zeros(2)), error_regex="needs two dimensions")


def square(x: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
    if x.dim() != 2:
        raise RuntimeError("square needs two dimensions, got one")
    return torch.mul(x, x, out=out)


def view(x: torch.Tensor) -> torch.Tensor:
    return x.t()


def findings(
    function: Callable[..., Any],
    planted: Any,
    *,
    inplace: tuple[Any, Any] = (None, None),
    method: tuple[Any, Any] = (None, None),
    out: bool = False,
    with_errors: bool = False,
) -> dict[str, str]:
    """Every disagreement between an honest operator and a planted one, both PyTorch's."""
    op = ExtraOp("square", function, samples, errors if with_errors else None, supports_out=out)
    honest = Side(torch, function, method[0], inplace[0])
    faulty = Side(torch, planted, method[1], inplace[1])
    found: dict[str, str] = {}
    for case in op_cases(op, SUITE):
        for category, text in full_check(op, case, honest, faulty).items():
            if text:
                found.setdefault(category, text)
    return found


class WrongGradient(torch.autograd.Function):
    """x², whose derivative is 0.1 % too large."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x * grad * 1.001


class Detached(torch.autograd.Function):
    """x², whose derivative is right once and a constant when derived again."""

    @staticmethod
    def forward(ctx: Any, x: torch.Tensor) -> torch.Tensor:
        ctx.save_for_backward(x)
        return x * x

    @staticmethod
    def backward(ctx: Any, grad: torch.Tensor) -> torch.Tensor:
        (x,) = ctx.saved_tensors
        return 2 * x.detach() * grad


def test_an_honest_operator_has_no_findings() -> None:
    in_place = (torch.Tensor.square_, torch.Tensor.square_)
    assert findings(square, square, inplace=in_place, out=True, with_errors=True) == {}
    assert findings(view, view) == {}


@pytest.mark.parametrize(
    ("category", "planted"),
    [
        ("value", lambda x: (x * x).where(x != 2, 4.001)),
        ("dtype", lambda x: (x * x).double() if x.dtype == torch.float32 else (x * x).float()),
        ("shape", lambda x: (x * x)[:1]),
        ("strides", lambda x: (x * x).t().contiguous().t()),
        ("structure", lambda x: (x * x, None)),
        ("autograd", lambda x: (x * x).detach()),
        ("grad", WrongGradient.apply),
        ("gradgrad", Detached.apply),
        ("crash", lambda x: [][0]),
        ("missing", MissingName("square")),
        ("missing", lambda x: torch.no_such_function(x)),
    ],
)
def test_a_planted_fault_is_found_in_its_category(category: str, planted: Any) -> None:
    assert category in findings(square, planted)


def test_a_wrong_gradient_is_the_only_finding_of_a_wrong_gradient() -> None:
    assert set(findings(square, WrongGradient.apply)) == {"grad"}


@pytest.mark.parametrize(
    ("planted", "words"),
    [
        (lambda x: x.t().clone(), "is input|shares storage"),
        (lambda x: x.t().detach(), "_is_view"),
        (lambda x: x.t().data, "_is_view"),
    ],
)
def test_a_missing_alias_is_found(planted: Any, words: str) -> None:
    assert re.search(words, findings(view, planted)["alias"])


def test_a_copy_where_the_input_itself_is_returned_is_found() -> None:
    same = lambda x: x
    assert "is input" in findings(same, lambda x: x.view_as(x))["alias"]


def test_a_changed_input_is_found() -> None:
    def planted(x: torch.Tensor) -> torch.Tensor:
        result = x * x
        x.data[0, 0] = 5
        return result

    assert "input after call" in findings(square, planted)["value"]


def test_in_place_faults_are_found() -> None:
    def not_in_place(x: torch.Tensor) -> torch.Tensor:
        return x.square()

    def no_gradient(x: torch.Tensor) -> torch.Tensor:
        x.data.square_()
        return x

    honest = torch.Tensor.square_
    assert "is input" in findings(square, square, inplace=(honest, not_in_place))["inplace"]
    assert "expected" in findings(square, square, inplace=(honest, no_gradient))["inplace"]
    assert (
        "no square_"
        in findings(square, square, inplace=(honest, MissingName("square_")))["inplace"]
    )


def test_out_faults_are_found() -> None:
    def ignores_out(x: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
        return torch.mul(x, x)

    def takes_any_dtype(x: torch.Tensor, *, out: torch.Tensor | None = None) -> torch.Tensor:
        result = torch.mul(x, x)
        return result if out is None else out.resize_(result.shape).copy_(result)

    assert "as the result" in findings(square, ignores_out, out=True)["out"]
    assert "of another dtype" in findings(square, takes_any_dtype, out=True)["out"]


def test_a_method_that_differs_is_found() -> None:
    pair = (torch.Tensor.square, torch.Tensor.sqrt)
    assert "the method" in findings(square, square, method=pair)["method"]


def test_refusals_are_compared_by_type_and_words() -> None:
    def accepts(x: torch.Tensor) -> torch.Tensor:
        return x * x

    def other_type(x: torch.Tensor) -> torch.Tensor:
        if x.dim() != 2:
            raise TypeError("square needs two dimensions")
        return x * x

    def other_words(x: torch.Tensor) -> torch.Tensor:
        if x.dim() != 2:
            raise RuntimeError("bad input")
        return x * x

    assert "accepted" in findings(square, accepts, with_errors=True)["error_type"]
    assert "TypeError" in findings(square, other_type, with_errors=True)["error_type"]
    assert set(findings(square, other_words, with_errors=True)) == {"error_words"}


def test_a_process_that_dies_leaves_a_finding() -> None:
    def dies(job: Any, tell: Callable[[tuple], None]) -> OpReport:
        tell(("float32", "sample 3"))
        raise SystemExit("gone")

    (report,) = sweep([("add", None)], dies, ())
    assert report.failed == {"crash float32": 1}
    assert "gone" in report.failures[0].details["crash"]
    assert report.family == "arithmetic"


def test_an_operator_that_cannot_be_found_is_missing_in_every_sample() -> None:
    class Empty:
        __name__ = "empty"

    op = ExtraOp("square", torch.square, samples)
    report = run_op(op, Empty(), SUITE)  # type: ignore[arg-type]
    assert report.passed == 0
    assert set(report.failed_categories) == {"missing"}


# --- the table ---------------------------------------------------------------------------------


def report_with(category: str, dtype: str = "float32", passed: int = 99) -> OpReport:
    report = OpReport("div.floor_rounding")
    for _ in range(passed):
        report.add(dtype, "sample", "()", {"value": None})
    report.add(dtype, "sample", "()", {category: "differs"})
    return report


def row(**changes: Any) -> Difference:
    fields = {"op": "div", "category": "strides", "reason": "a reason in four words"}
    return Difference(**fields | changes)


def test_a_listed_difference_is_accepted() -> None:
    assert judge([report_with("strides")], [row()]) == []
    assert judge([report_with("strides")], [row(dtypes=("float32",))]) == []


def test_an_unlisted_difference_is_a_complaint() -> None:
    assert "1 samples of float32 differ in value" in judge([report_with("value")], [])[0]
    complaints = judge([report_with("strides")], [row(dtypes=("float64",))])
    assert any("differ in strides" in text for text in complaints)


def test_a_listed_difference_that_agrees_now_is_a_complaint() -> None:
    agreeing = OpReport("div.floor_rounding")
    agreeing.add("float32", "sample", "()", {"strides": None})
    assert "take the row out" in judge([agreeing], [row()])[0]
    assert judge([agreeing], [row(seen="full")]) == []
    assert judge([agreeing], [row(seen="full")], profile="full") != []


def test_too_many_listed_differences_are_a_complaint() -> None:
    assert "at least 98% must" in judge([report_with("strides", passed=9)], [row()])[0]
    assert judge([report_with("strides", passed=9)], [row(below=True)]) == []


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ('op = "add"\ncategory = "value"', "absent .'reason'."),
        ('op = "add"\ncategory = "value"\nreason = "hard"', "a reason is a sentence"),
        ('op = "add"\ncategory = "value"\nreason = "a b c d"\nwhy = 1', "unknown .'why'."),
    ],
)
def test_a_row_without_a_reason_is_refused(text: str, words: str, tmp_path: Path) -> None:
    table = tmp_path / "table.toml"
    table.write_text("[[difference]]\n" + text)
    with pytest.raises(ValueError, match=words):
        read_table(table)
