"""What a name in a program may stand for, as far as reading tells."""

from __future__ import annotations

import argparse
import ast
import datetime
import io
import logging
import re
import subprocess
import threading
from collections.abc import Iterator
from dataclasses import dataclass, field
from enum import Enum
from pathlib import Path

from pellucid.compat import names

TENSOR_MAKERS = ("torch", "torch.nn.functional", "torch.linalg", "torch.special", "torch.fft")
NOT_TENSORS = frozenset(
    [
        "allclose",
        "are_deterministic_algorithms_enabled",
        "broadcast_shapes",
        "can_cast",
        "compile",
        "equal",
        "get_default_dtype",
        "get_num_threads",
        "get_rng_state",
        "initial_seed",
        "is_complex",
        "is_tensor",
        "is_floating_point",
        "is_grad_enabled",
        "is_inference_mode_enabled",
        "load",
        "manual_seed",
        "max",
        "min",
        "numel",
        "promote_types",
        "result_type",
        "save",
        "seed",
        "set_default_dtype",
        "set_grad_enabled",
        "sort",
        "topk",
        "set_num_threads",
        "set_printoptions",
        "set_rng_state",
        "typename",
        "use_deterministic_algorithms",
    ]
)
# Whatever these have is no sign of a tensor.
EVERYDAY = (
    *(str, bytes, list, dict, set, tuple, int, float, complex, range, slice, type, BaseException),
    *(Path, argparse.Namespace, datetime.datetime, datetime.timedelta, Enum, logging.Logger),
    *(io.TextIOWrapper, re.Pattern, re.Match, threading.Thread, subprocess.Popen, logging.Handler),
)
EVERYDAY_ATTRIBUTES = frozenset(name for kind in EVERYDAY for name in dir(kind))


@dataclass(frozen=True)
class Torch:
    """A name of PyTorch itself: `torch.nn.functional.relu`."""

    name: str


@dataclass(frozen=True)
class Instance:
    """An object of one of PyTorch's classes; `torch.Tensor` for tensors."""

    cls: str


@dataclass(frozen=True)
class Other:
    """Something known not to be PyTorch's: another module, a class of the program."""


@dataclass(frozen=True)
class Unknown:
    """Anything at all: an argument, the result of a call that was not looked into."""


Binding = Torch | Instance | Other | Unknown
TENSOR = Instance("torch.Tensor")
OTHER = Other()
UNKNOWN = Unknown()


@dataclass
class Scope:
    """Names and what they stand for, with the scope around."""

    parent: Scope | None = None
    names: dict[str, Binding] = field(default_factory=dict)

    def find(self, name: str) -> Binding:
        """What `name` stands for, from here outwards."""
        scope: Scope | None = self
        while scope is not None:
            if name in scope.names:
                return scope.names[name]
            scope = scope.parent
        return UNKNOWN


def local_names(function: ast.FunctionDef | ast.AsyncFunctionDef | ast.Lambda) -> set[str]:
    """Names that belong to a function: its parameters and what it assigns."""
    arguments = function.args
    found = {
        argument.arg
        for argument in (*arguments.posonlyargs, *arguments.args, *arguments.kwonlyargs)
    }
    found |= {extra.arg for extra in (arguments.vararg, arguments.kwarg) if extra is not None}
    declared: set[str] = set()
    for node in _own_nodes(function):
        if isinstance(node, ast.Name) and isinstance(node.ctx, ast.Store):
            found.add(node.id)
        elif isinstance(node, ast.Global | ast.Nonlocal):
            declared.update(node.names)
    return found - declared


def _own_nodes(function: ast.AST) -> Iterator[ast.AST]:
    """The nodes of a function's body, without those of functions and classes inside it."""
    body = function.body if isinstance(function.body, list) else [function.body]  # type: ignore[attr-defined]
    waiting: list[ast.AST] = list(body)
    while waiting:
        node = waiting.pop()
        yield node
        inner = ast.FunctionDef | ast.AsyncFunctionDef | ast.ClassDef | ast.Lambda
        if not isinstance(node, inner):
            waiting.extend(ast.iter_child_nodes(node))


def attribute_of(base: Binding, name: str) -> Binding:
    """What `base.name` stands for."""
    if isinstance(base, Torch):
        return Torch(f"{base.name}.{name}")
    if base == TENSOR and name in ("T", "mT", "H", "mH", "grad", "data", "real", "imag"):
        return TENSOR
    return OTHER if isinstance(base, Other) else UNKNOWN


def result_of(called: Binding) -> Binding:
    """What calling something gives."""
    if isinstance(called, Torch):
        kind = names.kind_of(called.name)
        module, _, name = called.name.rpartition(".")
        if kind == "class":
            return Instance(called.name)
        if kind == "function" and module in TENSOR_MAKERS and name not in NOT_TENSORS:
            return TENSOR
        return UNKNOWN
    if isinstance(called, Instance) and is_module_class(called.cls):
        return TENSOR
    return UNKNOWN


def is_module_class(cls: str) -> bool:
    """Whether a class of PyTorch is an `nn.Module`: it has what only modules have."""
    return "register_buffer" in names.class_members(cls)
