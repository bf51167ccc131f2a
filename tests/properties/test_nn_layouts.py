"""Softmax, norms, pools, losses, padding, embeddings give PyTorch's results for every layout."""

import pytest

from tests.properties.nn_rows import ROWS
from tests.properties.rows import Row, check_layouts


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_every_layout_gives_the_reference_result(row: Row) -> None:
    check_layouts(row)
