"""Training steps as programs of `kernels/loops`: one function with all sizes known."""

from __future__ import annotations

from pellucid.compiler.whole import rules as rules
from pellucid.compiler.whole.builder import MOST_WORK as MOST_WORK
from pellucid.compiler.whole.builder import Builder as Builder
from pellucid.compiler.whole.builder import NotWhole as NotWhole
from pellucid.compiler.whole.builder import Program as Program
