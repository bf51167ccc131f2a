"""What a sweep shows of its records."""

import math

import pytest

from pellucid.lab.drawing import png, svg
from pellucid.lab.experiment import HeatMap
from pellucid.lab.sweep import Cell, Question, read_grid
from pellucid.lab.sweep.summary import Summary, evenly

QUESTION = Question("(x < 0) * x + x", (-1.0, 1.0), "relu", "adam", 10, 0, 4)


def record(width, depth, errors, rate=None):
    return {
        "width": width, "depth": depth, "lr": rate, "parameters": 3 * width * depth + 1, "l2": 0.1,
        "sup": errors, "loss": [0.0] * len(errors),
    }  # fmt: skip


def summary(grid, records):
    return Summary(
        QUESTION, read_grid(grid), {Cell(r["width"], r["depth"], r["lr"]): r for r in records}
    )


FOUND = [
    record(1, 1, [0.5, 0.6, None, 0.7]),
    record(2, 1, [0.04, 0.05, 0.2, 0.3]),
    record(1, 2, [0.03, 0.9, 0.8, 0.7]),
    record(2, 2, [0.001, 0.9, 0.8, 0.7]),
]


def test_the_best_and_the_smallest_that_fits():
    """The range is 3, so 0.06 is close."""
    shown = summary("width=1:2,depth=1:2,seeds=4", FOUND)
    assert shown.range == pytest.approx(3)
    assert [row.best for row in shown.ranked] == [0.001, 0.03, 0.04, 0.5]
    assert shown.smallest is not None
    # As many parameters: the better one.
    assert shown.smallest.cell == Cell(1, 2)
    good = {row.cell: row.good for row in shown.rows}
    assert good[Cell(2, 1)] == 0.5
    assert good[Cell(1, 1)] == 0
    medians = {row.cell: row.median for row in shown.rows}
    assert medians[Cell(1, 1)] == 0.7  # what is not finite counts as the worst
    assert "width 2, depth 2: sup error 0.001" in shown.sentence()
    assert "missing" not in shown.sentence()


def test_cells_that_are_missing_leave_gaps():
    shown = summary("width=1:3,depth=1:2,seeds=4", FOUND[1:])
    assert shown.missing == 3
    assert "3 cells are missing" in shown.sentence()
    first, _ = (figure for figure in shown.figures() if isinstance(figure, HeatMap))
    assert math.isnan(first.values[0][0])
    assert first.values[1][1] == 0.001
    assert svg(shown.figures()).startswith("<svg")
    assert "swept" in shown.page()


def test_nothing_finite_is_drawn_too():
    shown = summary("width=1:2,depth=1:2,seeds=2", [record(1, 1, [None, None])])
    assert math.isinf(shown.rows[0].best)
    assert "None comes within 2%" in shown.sentence()
    assert png(shown.figures(), rows=2).startswith(b"\x89PNG")
    assert summary("width=1", []).sentence() == "No cell is finished."


def test_the_best_learning_rate_speaks_for_a_shape():
    shown = summary(
        "width=1,depth=1,lr=0.1,0.01",
        [record(1, 1, [0.5], 0.1), record(1, 1, [0.2], 0.01)],
    )
    assert shown.by_shape[1, 1].cell.rate == 0.01
    assert "learning rate" in shown.page()


def test_the_target_is_escaped():
    page = summary("width=1:2,depth=1:2", FOUND).page()
    assert "(x &lt; 0) * x + x" in page
    for outside in ("<script", "<link", "@import"):
        assert outside not in page


def test_few_of_many():
    assert evenly((1, 2, 3), 5) == (1, 2, 3)
    assert evenly(tuple(range(1, 65)), 4) == (1, 22, 43, 64)
