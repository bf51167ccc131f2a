"""Elementwise operators give PyTorch's numbers and strides for every layout of their operands."""

import pytest

from tests.properties.elementwise_rows import ROWS
from tests.properties.rows import Row, check_layouts


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_layout_gives_the_reference_result(row: Row) -> None:
    check_layouts(row)
