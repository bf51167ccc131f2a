"""What a sweep found: plain data that prints, counts and travels as JSON."""

from __future__ import annotations

import dataclasses
from collections import Counter
from typing import Any

from tests.parity.compare import Findings

KEPT_FAILURES = 400  # failing cases an operator's report describes; all are counted


@dataclasses.dataclass
class Failure:
    """One failing case: every category that disagreed, with its detail."""

    dtype: str
    label: str
    call: str
    details: dict[str, str]


@dataclasses.dataclass
class OpReport:
    """The cases of one operator. `checks` maps a category to `[passed, total]`."""

    name: str
    family: str = ""
    cases: int = 0
    passed: int = 0
    seconds: float = 0.0
    checks: dict[str, list[int]] = dataclasses.field(default_factory=dict)
    failed: dict[str, int] = dataclasses.field(default_factory=dict)
    failures: list[Failure] = dataclasses.field(default_factory=list)

    def add(self, dtype: str, label: str, call: str, findings: Findings) -> None:
        """Count one case. A case without findings says nothing about Pellucid and is left out."""
        if not findings:
            return
        self.cases += 1
        details = {category: text for category, text in findings.items() if text}
        for category, text in findings.items():
            tally = self.checks.setdefault(category, [0, 0])
            tally[0] += text is None
            tally[1] += 1
        for category in details:
            key = f"{category} {dtype}"
            self.failed[key] = self.failed.get(key, 0) + 1
        self.passed += not details
        if details and len(self.failures) < KEPT_FAILURES:
            self.failures.append(Failure(dtype, label, call, details))

    @property
    def rate(self) -> float:
        return self.passed / self.cases if self.cases else 1.0

    @property
    def failed_categories(self) -> Counter[str]:
        """Failing checks per category, all dtypes together."""
        total: Counter[str] = Counter()
        for key, count in self.failed.items():
            total[key.split()[0]] += count
        return total

    def as_dict(self) -> dict[str, Any]:
        return dataclasses.asdict(self) | {"rate": round(self.rate, 4)}

    @classmethod
    def from_dict(cls, data: dict[str, Any]) -> OpReport:
        fields = {f.name for f in dataclasses.fields(cls)} - {"failures"}
        report = cls(**{key: value for key, value in data.items() if key in fields})
        report.failures = [Failure(**failure) for failure in data["failures"]]
        return report
