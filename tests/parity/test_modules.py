"""Every module of PyTorch's database agrees, or is in the table of differences with a reason."""

import pytest

from tests.parity.differences import Difference, judge, read_table
from tests.parity.modules import find_modules, run_module
from tests.parity.run import subject
from tests.parity.sweep import sweep

NAMES = sorted(info.name for info in find_modules(["all"]))


@pytest.fixture(scope="module")
def table() -> list[Difference]:
    return read_table()


@pytest.mark.parametrize("name", NAMES)
def test_module_agrees(name: str, table: list[Difference]) -> None:
    jobs = [(info.name, info) for info in find_modules([name])]
    found = list(sweep(jobs, run_module, (subject(), None)))
    assert sum(report.cases for report in found) > 0, f"{name}: no sample was compared"
    complaints = judge(found, table)
    assert not complaints, "\n".join(complaints)
