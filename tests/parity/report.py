"""`docs/PARITY.md`: for every operator and module, how many samples agree, by category.

python -m tests.parity.report               run the suite's samples and write the page
python -m tests.parity.report --from x.json make the page from `run --json x.json`
python -m tests.parity.report --suggest     rows for `differences.toml`, reasons to be written
"""

from __future__ import annotations

import argparse
import json
import os
import sys
import tempfile
from collections.abc import Iterator
from pathlib import Path

from tests.parity.differences import Difference, judge, read_table
from tests.parity.records import OpReport
from tests.parity.run import ROOT, arguments, reports
from tests.parity.scope import FAMILIES

PAGE = ROOT / "docs" / "PARITY.md"
HEAD = """# Parity with PyTorch

Every operator in scope is called with the sample inputs of PyTorch 2.13's own operator database, on
both sides, and all that a program can see is compared: values, dtypes, shapes, strides, aliasing,
gradients of first and second order, the method, in-place and `out=` forms, and which inputs are
refused with which words. A sample agrees only if every check made on it does. Entries are *agreeing
/ checked*.

This page is written by `python -m tests.parity.report`; the test suite fails when a difference is
not in the table below, and also when a row of the table does not differ any more.
"""
COLUMNS = (
    ("values", ("value", "structure", "init", "buffers")),
    ("dtype, shape", ("dtype", "shape")),
    ("strides", ("strides",)),
    ("aliasing", ("alias", "autograd")),
    ("gradients", ("grad", "gradgrad")),
    ("method, in-place, out", ("method", "inplace", "out", "pickle", "repr", "state_keys")),
    ("refusals", ("error_type", "error_words")),
)


def page(found: list[OpReport], rows: list[Difference]) -> str:
    """The whole page."""
    return "\n".join([HEAD, *_totals(found), *_known(rows), *_tables(found)]) + "\n"


def _totals(found: list[OpReport]) -> list[str]:
    passed, cases = sum(r.passed for r in found), sum(r.cases for r in found)
    whole = sum(r.passed == r.cases for r in found)
    share = passed / cases if cases else 1.0
    return [
        f"**{passed} of {cases} samples agree ({share:.2%}); {whole} of {len(found)} entirely.**\n"
    ]


def _known(rows: list[Difference]) -> list[str]:
    if not rows:
        return ["## Known differences\n", "None.\n"]
    lines = ["## Known differences\n", "| operator | what | dtypes | why |", "|---|---|---|---|"]
    for row in sorted(rows, key=lambda r: (r.op, r.category)):
        dtypes = ", ".join(row.dtypes) or "all"
        lines.append(f"| `{row.op}` | {row.category} | {dtypes} | {row.reason} |")
    return [*lines, ""]


def _tables(found: list[OpReport]) -> Iterator[str]:
    heading = " | ".join(title for title, _ in COLUMNS)
    for family in (*FAMILIES, "modules"):
        members = sorted((r for r in found if r.family == family), key=lambda r: r.name)
        if not members:
            continue
        yield f"## {family.capitalize()}\n"
        yield f"| operator | samples | {heading} |"
        yield "|---|---|" + "---|" * len(COLUMNS)
        for report in members:
            cells = " | ".join(_cell(report, categories) for _, categories in COLUMNS)
            yield f"| `{report.name}` | {report.passed}/{report.cases} | {cells} |"
        yield ""


def _cell(report: OpReport, categories: tuple[str, ...]) -> str:
    tallies = [report.checks[c] for c in categories if c in report.checks]
    if not tallies:
        return ""
    return f"{sum(t[0] for t in tallies)}/{sum(t[1] for t in tallies)}"


def suggest(found: list[OpReport]) -> Iterator[str]:
    """One row for every operator and category that differs; its reason is left empty."""
    for report in found:
        by_category: dict[str, list[str]] = {}
        for key in report.failed:
            category, _, dtype = key.partition(" ")
            by_category.setdefault(category, []).append(dtype)
        for category, dtypes in by_category.items():
            listed = json.dumps(sorted(dtypes))
            yield (
                f'[[difference]]\nop = "{report.name}"\ncategory = "{category}"\n'
                f'dtypes = {listed}\nreason = ""\n'
            )


def gather(source: str | None, workers: int) -> list[OpReport]:
    """Reports from a JSON file, or from a run of everything in scope."""
    if source:
        return [OpReport.from_dict(data) for data in json.loads(Path(source).read_text())]
    found = list(reports(arguments(["-j", str(workers)])))
    return found + list(reports(arguments(["--module", "all", "-j", str(workers)])))


def main(words: list[str] | None = None) -> int:
    parser = argparse.ArgumentParser(prog="python -m tests.parity.report")
    parser.add_argument("--from", dest="source", help="a file that `run --json` wrote")
    parser.add_argument("--suggest", action="store_true", help="print rows for the table")
    parser.add_argument("-j", dest="workers", type=int, default=1)
    options = parser.parse_args(words)
    found = gather(options.source, options.workers)
    rows = read_table()
    if options.suggest:
        print("\n".join(suggest(found)))
        return 0
    PAGE.parent.mkdir(exist_ok=True)
    with tempfile.NamedTemporaryFile("w", dir=PAGE.parent, delete=False) as file:
        file.write(page(found, rows))
    os.replace(file.name, PAGE)
    complaints = judge(found, rows)
    print("\n".join(complaints) or f"wrote {PAGE.relative_to(ROOT)}: nothing unlisted differs")
    return int(bool(complaints))


if __name__ == "__main__":
    sys.exit(main())
