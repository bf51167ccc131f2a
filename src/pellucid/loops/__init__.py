"""Training loops as native calls."""

from __future__ import annotations

from pellucid.loops.training import TrainingLoop as TrainingLoop
from pellucid.loops.training import compile_loop as compile_loop
from pellucid.loops.training import compile_sweep as compile_sweep

__all__ = ["TrainingLoop", "compile_loop", "compile_sweep"]
