"""The table of known differences, and the judge that keeps it true in both directions.

`differences.toml` holds rows such as

    [[difference]]
    op = "linalg.eig"            # as the sweep prints it, or a name for all its variants
    category = "value"
    dtypes = ["complex64"]       # optional: otherwise any dtype
    seen = "full"                # optional: shows in the full sweep only
    below = true                 # optional: lets the operator fall below the least rate
    reason = "why it differs, and why that is right or what it would take"

A failure without a row is a complaint, and so is a row that nothing fails any more.
"""

from __future__ import annotations

import dataclasses
import tomllib
from collections.abc import Iterable, Iterator
from pathlib import Path

from tests.parity.records import OpReport
from tests.parity.scope import LEAST_RATE

TABLE = Path(__file__).with_name("differences.toml")
KEYS = {"op", "category", "dtypes", "seen", "below", "reason"}


@dataclasses.dataclass(frozen=True)
class Difference:
    """One row: what is allowed to differ, and why."""

    op: str
    category: str
    reason: str
    dtypes: tuple[str, ...] = ()
    seen: str = "suite"
    below: bool = False

    def names(self, report: OpReport) -> bool:
        return report.name == self.op or report.name.startswith(f"{self.op}.")

    def covers(self, report: OpReport, category: str, dtype: str) -> bool:
        right_dtype = not self.dtypes or dtype in self.dtypes
        return self.names(report) and category == self.category and right_dtype


def read_table(path: Path = TABLE) -> list[Difference]:
    """The rows of the table.

    Raises:
        ValueError: a row has an unknown key, lacks one, or gives no real reason.
    """
    rows = tomllib.loads(path.read_text()).get("difference", [])
    return [_row(number, row) for number, row in enumerate(rows, 1)]


def _row(number: int, row: dict) -> Difference:
    unknown = set(row) - KEYS
    absent = {"op", "category", "reason"} - set(row)
    if unknown or absent:
        raise ValueError(f"difference {number}: unknown {sorted(unknown)}, absent {sorted(absent)}")
    if len(row["reason"].split()) < 4:
        raise ValueError(f"difference {number} ({row['op']}): a reason is a sentence")
    return Difference(**row | {"dtypes": tuple(row.get("dtypes", ()))})


def judge(
    reports: Iterable[OpReport],
    rows: list[Difference],
    *,
    profile: str = "suite",
    least: float = LEAST_RATE,
) -> list[str]:
    """Complaints about reports and table; empty when both tell the same story.

    Args:
        reports: complete reports (all dtypes) of some operators. rows: the table; rows about
        operators that are not in `reports` are not judged. profile: which samples were run; a row
        `seen` in the full sweep only is not stale in the suite. least: the part of an operator's
        samples that must agree, unless a row about the operator says `below`.
    """
    reports = list(reports)
    complaints = [text for report in reports for text in _unlisted(report, rows)]
    for row in rows:
        about = [report for report in reports if row.names(report)]
        if about and row.seen in ("suite", profile) and not _happens(row, about):
            complaints.append(
                f"{row.op}: listed as different in {row.category}"
                f"{' of ' + ', '.join(row.dtypes) if row.dtypes else ''}, but it agrees now: "
                "take the row out"
            )
    for report in reports:
        if report.rate < least and not any(row.below and row.names(report) for row in rows):
            complaints.append(
                f"{report.name}: {report.passed} of {report.cases} samples agree "
                f"({report.rate:.1%}), at least {least:.0%} must"
            )
    return complaints


def _unlisted(report: OpReport, rows: list[Difference]) -> Iterator[str]:
    for key, count in report.failed.items():
        category, _, dtype = key.partition(" ")
        if any(row.covers(report, category, dtype) for row in rows):
            continue
        example = next(
            (
                f": {f.label} {f.call}: {f.details[category]}"
                for f in report.failures
                if f.dtype == dtype and category in f.details
            ),
            "",
        )
        yield f"{report.name}: {count} samples of {dtype} differ in {category}{example}"


def _happens(row: Difference, reports: list[OpReport]) -> bool:
    return any(
        row.covers(report, *key.split(" ", 1)) for report in reports for key in report.failed
    )
