"""What Python computes for steps that run without it: the numbers of optimisers' rules, ahead."""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.compiler.lower.training import Numbers
from pellucid.optim.elementwise import RuleCall, set_counter


class Ahead:
    """The numbers of the next steps of a traced one, and what else Python does in each."""

    def __init__(self, host: Sequence[Any]) -> None:
        self.host = list(host)
        self.rules: list[RuleCall] = [item for item in self.host if isinstance(item, RuleCall)]
        self.places = Numbers(self.rules)
        self.row = len(self.places.row)
        self.acts = len(self.rules) < len(self.host)

    def take(self, count: int) -> np.ndarray:
        """The numbers (count, row) of the next steps. Counters count and schedulers step."""
        table = np.zeros((count, self.row), np.float32)
        first = [_counter(rule) for rule in self.rules]
        known: dict[Any, np.ndarray] = {}
        if self.acts:
            for step in range(count):
                self._one(table[step], first, step + 1)
        else:
            for number, rule in enumerate(self.rules):
                key = (id(rule.group), first[number])
                if key not in known:
                    known[key] = _several(rule, first[number], count)
                start = self.places.starts[number]
                table[:, start : start + known[key].shape[1]] = known[key]
        for rule, before in zip(self.rules, first, strict=True):
            if "step" in rule.state:
                set_counter(rule.state["step"], before + count)
        return table

    def _one(self, row: np.ndarray, first: list[float], ahead: int) -> None:
        known: dict[Any, Any] = {}
        number = 0
        for item in self.host:
            if not isinstance(item, RuleCall):
                item()
                continue
            key = (id(item.group), first[number])
            if key not in known:
                known[key] = _plain(item.values(first[number] + ahead))
            start = self.places.starts[number]
            row[start : start + len(known[key])] = known[key]
            number += 1


def _counter(rule: RuleCall) -> float:
    counter = rule.state.get("step")
    return 0.0 if counter is None else float(counter._array)


def _plain(values: Sequence[Any]) -> list[float]:
    return [0.0 if v is None else float(v) for v in values]


def _several(rule: RuleCall, first: float, count: int) -> np.ndarray:
    """The numbers of steps first + 1 to first + count: all at once if the formula takes arrays and
    agrees with itself on numbers, else one by one.
    """
    steps = np.arange(first + 1, first + count + 1)
    try:
        found = rule.values(steps)  # type: ignore[arg-type]
        table = np.empty((count, len(found)), np.float32)
        for column, value in enumerate(found):
            table[:, column] = 0.0 if value is None else value
        for row in (0, -1):
            one = np.array(_plain(rule.values(float(steps[row]))), np.float32)
            if not np.array_equal(table[row], one):
                raise ValueError("the formula does not take arrays")
    except (TypeError, ValueError):
        return np.array([_plain(rule.values(float(step))) for step in steps], np.float32)
    return table
