"""What `pellucid diagram` does: find a model, run it, draw it."""

from __future__ import annotations

import importlib
import os
import sys
from collections.abc import Callable
from pathlib import Path
from typing import Any

import pellucid
from pellucid import compat, models, nn
from pellucid.cli.complaint import Complaint
from pellucid.explain.structure.diagram import SUFFIXES, diagram
from pellucid.instrument import log, timing


def read_input(text: str) -> Any:
    """`1,3,224,224` or `1,128:int64` as a tensor of zeros (of floats: standard normal numbers)."""
    sizes, _, kind = text.partition(":")
    try:
        shape = [int(size) for size in sizes.split(",")]
    except ValueError:
        raise Complaint(f"--input {text}: sizes are whole numbers, as in 1,3,224,224") from None
    if any(size < 0 for size in shape):
        raise Complaint(f"--input {text}: a size is negative")
    dtype = getattr(pellucid, kind or "float32", None)
    if not isinstance(dtype, pellucid.dtype):
        raise Complaint(f"--input {text}: there is no dtype {kind}; int64, float32, bool are some")
    if dtype.is_floating_point:
        return pellucid.randn(shape, dtype=dtype)
    return pellucid.zeros(shape, dtype=dtype)


def find(target: str) -> Callable[..., Any]:
    """`package.module:name` (or a name of `pellucid.models`) as what makes the model."""
    if ":" not in target:
        if target in models.list_models():
            return models.get_model_builder(target)
        known = ", ".join(models.list_models())
        raise Complaint(f"{target}: neither module:callable nor one of {known}")
    module, _, name = target.partition(":")
    compat.install()
    sys.path.insert(0, os.getcwd())
    try:
        found: Any = importlib.import_module(module)
    except ModuleNotFoundError as error:
        raise Complaint(f"{target}: there is no module {error.name}") from None
    for part in name.split("."):
        if not hasattr(found, part):
            raise Complaint(f"{target}: {module} has no {part}")
        found = getattr(found, part)
    return found


def model_of(made_by: Any, target: str) -> nn.Module:
    """The module itself, or what the callable makes without arguments."""
    model = made_by
    if not isinstance(model, nn.Module):
        if not callable(model):
            kind = type(model).__name__
            raise Complaint(f"{target} is a {kind}, neither a module nor something that makes one")
        model = model()
    if not isinstance(model, nn.Module):
        raise Complaint(f"{target} made a {type(model).__name__}, not a module")
    return model


@timing
@log("DEBUG")
def draw(target: str, inputs: list[str], out: Path | None, depth: int | None, fold: bool) -> str:
    """Make the model, run it, write or return the diagram."""
    if out is not None and out.suffix.lower() not in SUFFIXES:
        raise Complaint(f"-o {out}: the name must end in one of {', '.join(SUFFIXES)}")
    given = [read_input(text) for text in inputs]
    model = model_of(find(target), target)
    drawn = diagram(model, *given, depth=depth, fold=fold)
    if out is None:
        return str(drawn)
    drawn.save(out)
    return f"{out}: {drawn.name}, {drawn.summary()}"
