"""Running the experiments: one after the other, each result written at once, so that a run that was
interrupted goes on where it stopped.
"""

from __future__ import annotations

import json
import math
import os
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path
from time import perf_counter
from typing import Any

from pellucid.lab.experiment import Experiment, Outcome, Settings
from pellucid.lab.experiments import EXPERIMENTS
from pellucid.version import PELLUCID


def chosen(names: Sequence[str]) -> tuple[Experiment, ...]:
    """The experiments of these names; all, if none is named. ValueError for an unknown one."""
    known = {experiment.name: experiment for experiment in EXPERIMENTS}
    for name in names:
        if name not in known:
            raise ValueError(f"there is no experiment {name!r}; there are {', '.join(known)}")
    return tuple(known[name] for name in names) if names else EXPERIMENTS


def without_a_target(experiments: Sequence[Experiment]) -> tuple[Experiment, ...]:
    """Those of the experiments that cannot be made with another function."""
    return tuple(experiment for experiment in experiments if experiment.own)


def run(
    experiments: Sequence[Experiment],
    settings: Settings,
    folder: Path,
    *,
    resume: bool = False,
    begin: Callable[[Experiment], None] = lambda experiment: None,
) -> Iterator[tuple[Experiment, Outcome, bool]]:
    """Run experiments and store their results in `folder`; yields each with its outcome, and
    whether it was taken from an earlier run with the same settings.
    """
    folder.mkdir(parents=True, exist_ok=True)
    for experiment in experiments:
        path = folder / f"{experiment.name}.json"
        stored = _stored(path, settings) if resume else None
        if stored is not None:
            yield experiment, stored, True
            continue
        begin(experiment)
        start = perf_counter()
        outcome = experiment.measure(settings)
        outcome.seconds = perf_counter() - start
        write_json(path, _record(experiment, settings, outcome))
        yield experiment, outcome, False


def _record(experiment: Experiment, settings: Settings, outcome: Outcome) -> dict[str, Any]:
    return {
        "experiment": experiment.name,
        "claim": experiment.claim,
        "version": PELLUCID,
        "settings": settings.as_json(),
        "outcome": outcome.as_json(),
    }


def _stored(path: Path, settings: Settings) -> Outcome | None:
    """An earlier result of the same settings and version; a damaged file is none."""
    try:
        record = json.loads(path.read_text(encoding="utf-8"))
        same = record["settings"] == settings.as_json() and record["version"] == PELLUCID
        return Outcome.from_json(record["outcome"]) if same else None
    except (OSError, ValueError, KeyError, TypeError):
        return None


def write_json(path: Path, value: Any) -> None:
    """Write JSON so that a reader sees the old file or the new one, never a part."""
    write_text(path, as_text(value, 1) + "\n")


def as_text(value: Any, indent: int | None) -> str:
    """JSON as any reader takes it: what is not finite, for which it has no number, is null."""
    return json.dumps(_finite(value), ensure_ascii=False, indent=indent, allow_nan=False)


def _finite(value: Any) -> Any:
    if isinstance(value, dict):
        return {str(key): _finite(each) for key, each in value.items()}
    if isinstance(value, (list, tuple)):
        return [_finite(each) for each in value]
    if value is None or isinstance(value, (str, bool, int)):
        return value
    number = float(value)
    return number if math.isfinite(number) else None


def write_text(path: Path, text: str) -> None:
    """Write text to a temporary file beside `path`, then rename it."""
    write_bytes(path, text.encode("utf-8"))


def write_bytes(path: Path, data: bytes) -> None:
    """Write bytes to a temporary file beside `path`, then rename it."""
    temporary = path.with_name(f".{path.name}.{os.getpid()}.part")
    try:
        temporary.write_bytes(data)
        temporary.replace(path)
    finally:
        temporary.unlink(missing_ok=True)
