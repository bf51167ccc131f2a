"""Parity needs PyTorch, the reference; without it there is nothing to compare with."""

import importlib.util
import sys
from pathlib import Path

ROOT = str(Path(__file__).resolve().parents[2])
if ROOT not in sys.path:  # the package `tests` itself, for `tests.parity` and `tests.strategies`
    sys.path.insert(0, ROOT)

if importlib.util.find_spec("torch") is None:
    collect_ignore_glob = ["test_*.py"]
