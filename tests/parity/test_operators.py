"""Every operator in scope agrees with PyTorch, or is in the table of differences with a reason.

An operator runs in a process of its own, so that one that hangs or dies fails alone.
"""

import pytest

from tests.parity.differences import Difference, judge, read_table
from tests.parity.run import subject
from tests.parity.samples import SUITE
from tests.parity.scope import all_names, family_of
from tests.parity.sweep import find_ops, full_name, run_op, sweep


@pytest.fixture(scope="module")
def table() -> list[Difference]:
    return read_table()


@pytest.mark.parametrize("name", sorted(all_names()))
def test_operator_agrees(name: str, table: list[Difference]) -> None:
    jobs = [(full_name(op), op) for op in find_ops(lambda op: op.name == name)]
    found = list(sweep(jobs, run_op, (subject(), SUITE, None)))
    assert sum(report.cases for report in found) > 0, f"{name}: no sample was compared"
    complaints = judge(found, table)
    assert not complaints, "\n".join(complaints)


def test_every_row_of_the_table_is_about_an_operator_in_scope(table: list[Difference]) -> None:
    outside = [row.op for row in table if not family_of(row.op) and not row.op.startswith("nn.")]
    assert outside == []
