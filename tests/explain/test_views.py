"""`explain(tensor)` and `explain(function, *args)`."""

import json

import pytest

import pellucid
import pellucid as torch
from pellucid.explain.failure import product_shape
from pellucid.explain.memory_facts import memory_format
from pellucid.explain.steps import MOST_STEPS
from pellucid.explain.text import duration, size
from pellucid.tensor.events import listeners
from pellucid.tensor.layout import Layout, channels_last, contiguous


def test_explain_is_a_module_that_is_called():
    assert pellucid.explain.explain is pellucid.explain
    assert callable(pellucid.explain.session)
    assert "shape (2,)" in str(pellucid.explain(torch.ones(2)))
    with pytest.raises(TypeError, match="a str is neither a tensor nor a function"):
        pellucid.explain("x")
    with pytest.raises(TypeError, match="takes nothing besides the tensor"):
        pellucid.explain(torch.ones(2), 1)


def test_a_transposed_view_tells_its_memory_and_its_base():
    base = torch.zeros(2, 3)
    turned = base.t()
    turned[0, 0] = 1
    told = pellucid.explain(turned)
    data = told.to_dict()
    assert data["shape"] == [3, 2] and data["strides"] == [1, 3] and data["offset"] == 0
    assert data["contiguous"] is False and "stride[1] = 3" in data["contiguity"]
    assert data["version"] == 1 and data["is_view"] is True
    assert [other["name"] for other in data["shared_with"]] == ["base"]
    text = str(told)
    assert text.startswith("turned") and "(the base it is a view of)" in text
    assert "dense, axes from the slowest in memory: 1, 0" in text
    assert json.loads(json.dumps(data)) == data
    assert "<table>" in told._repr_html_() and repr(told) == text


@pytest.mark.parametrize(
    ("layout", "words"),
    [
        (contiguous((2, 3)), "contiguous (row-major)"),
        (channels_last((2, 3, 4, 5)), "channels_last (NHWC"),
        (Layout((3, 4), (0, 1)), "expanded: along axis 0 the stride is 0"),
        (Layout((2, 2), (4, 1)), "with gaps: 4 elements spread over 6"),
        (contiguous((0, 3)), "no elements"),
    ],
)
def test_memory_formats_in_words(layout, words):
    assert memory_format(layout).startswith(words)


def test_bytes_of_views_say_what_they_keep_alive():
    big = torch.ones(1000)
    assert "12 B shown; the storage it keeps alive holds 3.91 KiB" in str(pellucid.explain(big[:3]))
    wide = torch.ones(4).expand(3, 4)
    assert "each element shown 3 times on average" in str(pellucid.explain(wide))


def test_the_gradients_trail_ends_in_named_leaves():
    weight = torch.ones(3, requires_grad=True)
    loss = (torch.ones(2, 3) @ weight).exp().sum()
    told = str(pellucid.explain(loss))
    assert "SumBackward0 ← ExpBackward0 ← MvBackward0 ← leaf" in told
    assert "reaches weight f32[3]" in told
    assert pellucid.explain(loss).to_dict()["made_by"] == "SumBackward0"


def no_grad_view(w):
    with torch.no_grad():
        return w[:2]


def inference(w):
    with torch.inference_mode():
        return w * 2


@pytest.mark.parametrize(
    ("make", "reason"),
    [
        (lambda w: w.detach(), "detach() or .data cut it off"),
        (lambda w: w.data, "detach() or .data cut it off"),
        (lambda w: w.argmax(), "its dtype is torch.int64"),
        (no_grad_view, "it is a view made under no_grad() (requires_grad is that of its base)"),
        (inference, "it was made under inference_mode()"),
        (lambda w: torch.ones(3), "it is a leaf without requires_grad"),
    ],
    ids=["detach", "data", "integers", "no_grad", "inference", "leaf"],
)
def test_why_no_gradient_flows(make, reason):
    w = torch.ones(3, requires_grad=True)
    assert f"none flows here: {reason}" in str(pellucid.explain(make(w)))


def test_a_detached_factor_is_named_on_the_trail():
    w = torch.ones(3, requires_grad=True)
    y = w * w.detach()
    assert "none for other of MulBackward0, f32[3]: detach() or .data" in str(pellucid.explain(y))


# --- calls ----------------------------------------------------------------------------------------


def test_a_call_lists_its_operators_in_their_order():
    x = torch.ones(2, 3)
    told = pellucid.explain(lambda a: a.t().reshape(6) + 1, x)
    assert [step.name for step in told.steps][:2] == ["t", "clone"]
    assert told.steps[-1].name == "add" and told.error is None
    assert [step.kind for step in told.steps] == ["view", "copy", "view", "copy"]
    assert told.steps[0].inputs[0][0] == "a"
    assert told.steps[-1].inputs[0][0] == told.steps[-2].outputs[0][0]
    assert told.result.tolist() == [2.0] * 6
    assert told.notes()[0].startswith("test_views.py:") and "reshape copied" in told.notes()[0]
    assert "4 operators, 2 views, 2 fresh, 0 in place, 48 B allocated" in str(told)
    assert json.loads(json.dumps(told.to_dict()))["steps"][1]["bytes"] == 24
    assert "<table>" in told._repr_html_()


def test_what_is_kept_for_backward_and_where_the_gradient_stops():
    def program(x, w):
        h = x @ w
        with torch.no_grad():
            w * 2
        return (h * h.detach()).argmax()

    told = pellucid.explain(program, torch.ones(2, 3), torch.ones(3, requires_grad=True))
    steps = {step.name: step for step in told.steps}
    assert steps["mv"].keeps == (("input", 24),)
    assert [step.stop for step in told.steps if step.stop] == [
        "no_grad() is on",
        "a result of i64 has no gradient",
    ]
    assert any("was cut off by detach() or .data" in note for note in told.notes())


def test_a_long_call_is_cut():
    x = torch.ones(1)

    def program():
        for _ in range(MOST_STEPS + 7):
            x + 1

    told = pellucid.explain(program)
    assert len(told.steps) == MOST_STEPS and told.left_out == 7
    assert "and 7 more operators" in str(told)


def test_a_failing_call_is_told_not_raised():
    before = list(listeners)
    told = pellucid.explain(lambda a: a.t().view(6), torch.ones(2, 3))
    assert isinstance(told.error, RuntimeError) and told.result is None
    assert told.failure.operator == "view"
    assert told.failure.remedies == (".reshape(6): it copies 24 B",)
    assert "f32[3, 2] (1, 3), not contiguous" in str(told)
    assert listeners == before


@pytest.mark.parametrize(
    ("function", "shapes", "operator", "remedy"),
    [
        (lambda a, b: a @ b, [(2, 3), (2, 3)], "matmul", "a @ b.mT: [2, 3] @ [3, 2] gives [2, 2]"),
        (lambda a, b: a + b, [(2, 3), (2,)], "add", "a with b.unsqueeze(1): [2, 1] broadcasts"),
        (lambda a, b: a * b, [(2, 3), (3, 2)], "mul", "a with b.t(): [2, 3] broadcasts"),
        (lambda a: a.view(4, 2), [(2, 3)], "view", "shape (-1, 2): 6 elements fit as (3, 2)"),
    ],
    ids=["matmul", "unsqueeze", "transpose", "view"],
)
def test_remedies_are_tried_on_shapes_and_work(function, shapes, operator, remedy):
    told = pellucid.explain(function, *map(torch.ones, shapes))
    assert told.failure.operator == operator
    assert any(each.startswith(remedy) for each in told.failure.remedies), told.failure.remedies


def test_shapes_of_products():
    assert product_shape((5, 2, 3), (3, 4)) == (5, 2, 4)
    assert product_shape((2, 3), (2, 3)) is None
    assert product_shape((5, 2, 3), (4, 3, 2)) is None


def test_an_error_of_the_program_itself_has_no_operands():
    told = pellucid.explain(lambda: {}["key"])
    assert isinstance(told.error, KeyError) and told.failure.operands == ()
    assert "KeyError: 'key'" in str(told)


def test_ctrl_c_is_not_swallowed():
    def interrupted():
        raise KeyboardInterrupt

    with pytest.raises(KeyboardInterrupt, match=r"^$"):
        pellucid.explain(interrupted)


@pytest.mark.parametrize(
    ("nbytes", "words"),
    [(0, "0 B"), (1023, "1023 B"), (1024, "1 KiB"), (4000, "3.91 KiB"), (3 << 30, "3 GiB")],
)
def test_sizes_read_well(nbytes, words):
    assert size(nbytes) == words


@pytest.mark.parametrize(
    ("seconds", "words"),
    [(0, "0 µs"), (0.0123, "12.3 ms"), (1.5, "1.50 s"), (99.96, "100 s"), (200, "3 min 20 s")],
)
def test_durations_read_well(seconds, words):
    assert duration(seconds) == words
