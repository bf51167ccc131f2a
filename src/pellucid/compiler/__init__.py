"""Compiled functions: a Module or a function of tensors as one native call.

`trace` runs it once and writes down its operators, `passes` change the graph, `lower` chooses a
kernel and a layout for each node, `plan` lays out memory and arguments, `compiled` keeps a plan for
each kind of input and checks that it still fits, `files` saves plans and loads them, `view` shows
them. PyTorch's `torch.compiler` names are here too.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.compiler.compiled import CompiledFunction as CompiledFunction
from pellucid.compiler.compiled import compile as compile
from pellucid.compiler.files import load_compiled as load_compiled
from pellucid.compiler.trace import DataDependent as DataDependent
from pellucid.compiler.trace import is_tracing as is_compiling

__all__ = [
    "CompiledFunction",
    "DataDependent",
    "allow_in_graph",
    "assume_constant_result",
    "compile",
    "cudagraph_mark_step_begin",
    "disable",
    "is_compiling",
    "is_dynamo_compiling",
    "is_exporting",
    "list_backends",
    "load_compiled",
    "reset",
]


def disable(fn: Callable[..., Any] | None = None, recursive: bool = True, **_: Any) -> Any:
    """Mark a function as not for compiling. Functions are traced through their operators, so it
    comes back as it is.
    """
    return (lambda given: given) if fn is None else fn


def allow_in_graph(fn: Any) -> Any:
    """Mark a function as fit for a graph: all are, through their operators."""
    return fn


def assume_constant_result(fn: Any) -> Any:
    """Mark a function whose result does not change; a trace takes it so anyway."""
    return fn


def is_dynamo_compiling() -> bool:
    """Whether PyTorch's Dynamo is at work: never here."""
    return False


def is_exporting() -> bool:
    """Whether `torch.export` is at work: never here."""
    return False


def cudagraph_mark_step_begin() -> None:
    """The start of a step, for CUDA graphs, which the CPU has not."""


def list_backends(exclude_tags: Any = ("debug", "experimental")) -> list[str]:
    """The compilers there are."""
    return ["pellucid"]


def reset() -> None:
    """Forget plans: each compiled function holds its own, so there is nothing shared to drop."""
