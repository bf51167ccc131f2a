"""Ask PyTorch's operator database what Pellucid does differently.

    python -m tests.parity.run --op add --dtype float32 -v      each failing sample, both sides
    python -m tests.parity.run --family views --summary         one line per operator
    python -m tests.parity.run -k conv --category strides       what differs in strides
    python -m tests.parity.run --module Conv2d -v               the module database
    python -m tests.parity.run --json report.json               everything, for a program

With `--op` or `--module` every sample is run (`--profile full`), otherwise the suite's selection.
The exit status is 1 if anything differs.
"""

from __future__ import annotations

import argparse
import contextlib
import importlib
import importlib.util
import json
import os
import sys
import tempfile
import warnings
from collections.abc import Iterator
from pathlib import Path
from types import ModuleType

with warnings.catch_warnings():
    warnings.simplefilter("ignore")
    from tests.parity.modules import find_modules, run_module
    from tests.parity.records import Failure, OpReport
    from tests.parity.samples import PROFILES
    from tests.parity.scope import FAMILIES, all_names
    from tests.parity.sweep import find_ops, full_name, run_op, sweep
    from tests.parity.translate import public_paths, resolve

ROOT = Path(__file__).resolve().parents[2]


def subject() -> ModuleType:
    """Pellucid, installed or from this checkout's `src`, with its common rooms loaded.

    Loaded here, they are loaded once and not again in the process of each operator.
    """
    if importlib.util.find_spec("pellucid") is None:
        sys.path.insert(0, str(ROOT / "src"))
    library = importlib.import_module("pellucid")
    public_paths()
    for path in ("nn.functional", "linalg", "special", "autograd.grad"):
        with contextlib.suppress(Exception):  # what is missing shows in the operators' findings
            resolve(library, path)
    return library


def arguments(words: list[str] | None = None) -> argparse.Namespace:
    parser = argparse.ArgumentParser(
        prog="python -m tests.parity.run",
        description=__doc__,
        formatter_class=argparse.RawDescriptionHelpFormatter,
    )
    parser.add_argument("--op", action="append", default=[], help="add, div.floor_rounding, …")
    parser.add_argument("--family", action="append", default=[], choices=sorted(FAMILIES))
    parser.add_argument("-k", dest="part", action="append", default=[], help="part of a name")
    parser.add_argument("--module", action="append", default=[], help="Conv2d, …, or `all`")
    parser.add_argument("--dtype", help="only this dtype: float32")
    parser.add_argument("--category", action="append", default=[], help="show only: strides, …")
    parser.add_argument("--profile", choices=sorted(PROFILES), help="suite (short) or full")
    parser.add_argument("--failures-only", action="store_true", help="hide operators that agree")
    parser.add_argument("--summary", action="store_true", help="one line per operator, no samples")
    parser.add_argument("-v", "--verbose", action="store_true", help="every failing sample")
    parser.add_argument("--limit", type=int, default=3, help="samples shown per operator, not -v")
    parser.add_argument("--json", metavar="FILE", help="write all reports; `-` for standard output")
    parser.add_argument("-j", dest="workers", type=int, default=1, help="processes side by side")
    parser.add_argument("--here", action="store_true", help="in this process: for a debugger")
    return parser.parse_args(words)


def reports(options: argparse.Namespace) -> Iterator[OpReport]:
    """The reports of everything that the options choose."""
    library = subject()
    chosen_one = bool(options.op or options.module)
    profile = PROFILES[options.profile or ("full" if chosen_one else "suite")]
    if options.module:
        jobs = [(info.name, info) for info in find_modules(options.module)]
        run, rest = run_module, (library, options.dtype)
    else:
        jobs = [(full_name(op), op) for op in chosen_ops(options)]
        run, rest = run_op, (library, profile, options.dtype)
    if not jobs:
        raise SystemExit("no operator of the database has such a name")
    if options.here:
        yield from (run(job, *rest) for _, job in jobs)
    else:
        yield from sweep(jobs, run, rest, options.workers)


def chosen_ops(options: argparse.Namespace) -> list:
    """Operators by name, family or part of the name; without any of these, all in scope."""
    names = {name for family in options.family for name in FAMILIES[family]}
    if options.op:
        return find_ops(lambda op: op.name in options.op or full_name(op) in options.op)
    if options.part:
        return find_ops(
            lambda op: (
                any(part in full_name(op) for part in options.part)
                and (not names or op.name in names)
            )
        )
    names = names or set(all_names())
    return find_ops(lambda op: op.name in names)


def line(report: OpReport) -> str:
    """`views   transpose      31/40   78 %  strides 9`."""
    failed = "  ".join(f"{c} {n}" for c, n in report.failed_categories.most_common())
    return (
        f"{report.family:<13} {report.name:<44} {report.passed:>4}/{report.cases:<4} "
        f"{report.rate:>6.1%}  {failed}"
    )


def sample(failure: Failure, categories: list[str]) -> str:
    """One failing sample with what was called and both sides of each disagreement."""
    head = f"    {failure.dtype} {failure.label}  {failure.call}"
    shown = {c: d for c, d in failure.details.items() if not categories or c in categories}
    return "\n".join([head, *(f"      {c:<11} {d}" for c, d in shown.items())])


def show(report: OpReport, options: argparse.Namespace) -> None:
    """Print a report as far as the options ask."""
    failures = [
        f for f in report.failures if not options.category or set(options.category) & set(f.details)
    ]
    if options.category and not failures:
        return
    if options.failures_only and report.passed == report.cases:
        return
    print(line(report), flush=True)
    if options.summary:
        return
    for failure in failures if options.verbose else failures[: options.limit]:
        print(sample(failure, options.category))
    hidden = 0 if options.verbose else max(len(failures) - options.limit, 0)
    if hidden:
        print(f"    … {hidden} more with -v")


def write_json(target: str, found: list[OpReport]) -> None:
    """All reports as one JSON list, in place at once."""
    text = json.dumps([report.as_dict() for report in found], indent=1)
    if target == "-":
        print(text)
        return
    path = Path(target)
    with tempfile.NamedTemporaryFile("w", dir=path.parent, delete=False) as file:
        file.write(text)
    os.replace(file.name, path)


def main(words: list[str] | None = None) -> int:
    options = arguments(words)
    found = []
    for report in reports(options):
        found.append(report)
        if options.json != "-":
            show(report, options)
    if options.json:
        write_json(options.json, found)
    passed, cases = sum(r.passed for r in found), sum(r.cases for r in found)
    whole = sum(r.passed == r.cases for r in found)
    if options.json != "-":
        print(f"{passed}/{cases} samples agree; {whole}/{len(found)} operators agree entirely")
    return int(passed != cases)


if __name__ == "__main__":
    sys.exit(main())
