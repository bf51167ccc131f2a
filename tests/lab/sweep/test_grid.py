"""Grids as people type them."""

import pytest

from pellucid.lab.sweep import Cell, read_grid


def test_the_grid_of_the_readme():
    grid = read_grid("width=1:64,depth=1:8,seeds=32")
    assert len(grid) == 512
    assert grid.seeds == 32
    cells = list(grid.cells())
    assert len(set(cells)) == 512
    assert cells[0] == Cell(1, 1)
    assert cells[-1] == Cell(64, 8)
    assert cells == sorted(cells, key=lambda cell: (cell.width, cell.depth))


@pytest.mark.parametrize(
    ("text", "widths", "depths", "rates", "seeds"),
    [
        ("width=4", (4,), (1,), (None,), 8),
        ("width=8,2,4", (2, 4, 8), (1,), (None,), 8),
        ("width=1:9:4,depth=2,3", (1, 5, 9), (2, 3), (None,), 8),
        ("width=1:64:x2", (1, 2, 4, 8, 16, 32, 64), (1,), (None,), 8),
        ("width=3:100:x3", (3, 9, 27, 81), (1,), (None,), 8),
        ("width=5:5", (5,), (1,), (None,), 8),
        ("width=1:3,2:4", (1, 2, 3, 4), (1,), (None,), 8),
        (" seeds = 3 , width = 2 , lr = 0.1, 1e-3", (2,), (1,), (0.001, 0.1), 3),
    ],
)
def test_ranges_and_lists(text, widths, depths, rates, seeds):
    grid = read_grid(text)
    assert (grid.widths, grid.depths, grid.rates, grid.seeds) == (widths, depths, rates, seeds)


@pytest.mark.parametrize(
    ("text", "words"),
    [
        ("", "takes a grid such as"),
        ("4", "takes a grid such as"),
        (",", "takes a grid such as"),
        ("width", "takes a grid such as"),
        ("depth=1:3", "needs widths"),
        ("width=", "a value is missing"),
        ("width=1,,2", "a value is missing"),
        ("width=1,", "a value is missing"),
        ("width=a", "whole numbers and ranges"),
        ("width=1.5", "whole numbers and ranges"),
        ("width=-1", "whole numbers and ranges"),
        ("width=1:2:3:4", "whole numbers and ranges"),
        ("width=:4", "whole numbers and ranges"),
        ("width=1..4", "whole numbers and ranges"),
        ("width=1:4:x", "whole numbers and ranges"),
        ("width=0", "width is from 1 to 4096, not 0"),
        ("width=0:4", "width is from 1 to 4096, not 0"),
        ("width=5000", "width is from 1 to 4096, not 5000"),
        ("width=1:" + "9" * 5000, "width is from 1 to 4096, not 999999999…"),
        ("width=4,depth=65", "depth is from 1 to 64"),
        ("width=4:1", "is empty: it ends before it begins"),
        ("width=1:4:0", "its step is 0"),
        ("width=1:4:x1", "does not grow"),
        ("width=1,width=2", "given twice"),
        ("height=4", "there is no 'height' to vary"),
        ("width=4,seeds=0", "seeds is from 1 to 1000"),
        ("width=4,seeds=1:8", "seeds is one number"),
        ("width=4,seeds=1,2", "seeds is one number"),
        ("width=4,lr=fast", "lr takes numbers"),
        ("width=4,lr=0", "positive and finite"),
        ("width=4,lr=-1", "positive and finite"),
        ("width=4,lr=nan", "positive and finite"),
        ("width=4,lr=inf", "positive and finite"),
        ("width=1:4096,depth=1:3", "at most 10000"),
    ],
)
def test_what_is_no_grid_gets_a_sentence(text, words):
    with pytest.raises(ValueError, match=words):
        read_grid(text)
