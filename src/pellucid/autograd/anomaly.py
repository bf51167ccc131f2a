"""Anomaly mode: nodes remember the calls that made them, and NaNs in gradients are errors.

With it on, a backward pass that fails warns with the stack of the forward call whose gradient it
was computing. It slows every recorded operation down; use it for looking, not for running.
"""

from __future__ import annotations

import warnings

from pellucid.autograd.node import Anomaly

__all__ = ["detect_anomaly", "set_detect_anomaly"]


def is_anomaly_enabled() -> bool:
    """Whether anomaly mode is on."""
    return Anomaly.enabled


def is_anomaly_check_nan_enabled() -> bool:
    """Whether anomaly mode, when on, looks for NaNs."""
    return Anomaly.check_nan


def set_anomaly_enabled(mode: bool, check_nan: bool = True) -> None:
    """Switch anomaly mode on or off for all threads."""
    Anomaly.enabled, Anomaly.check_nan = mode, check_nan


class set_detect_anomaly:
    """Switch anomaly mode on or off: at once, and back again at the end of a `with` block."""

    def __init__(self, mode: bool, check_nan: bool = True) -> None:
        self._before = (Anomaly.enabled, Anomaly.check_nan)
        set_anomaly_enabled(mode, check_nan)

    def __enter__(self) -> None:
        pass

    def __exit__(self, *exc: object) -> None:
        set_anomaly_enabled(*self._before)


class detect_anomaly:
    """Anomaly mode inside a `with` block; `check_nan` says whether NaNs in gradients are errors."""

    def __init__(self, check_nan: bool = True) -> None:
        self._before = (Anomaly.enabled, Anomaly.check_nan)
        self.check_nan = check_nan
        warnings.warn(
            "Anomaly Detection has been enabled. This mode will increase the runtime and should "
            "only be enabled for debugging.",
            stacklevel=2,
        )

    def __enter__(self) -> None:
        set_anomaly_enabled(True, self.check_nan)

    def __exit__(self, *exc: object) -> None:
        set_anomaly_enabled(*self._before)
