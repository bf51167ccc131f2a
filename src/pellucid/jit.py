"""`torch.jit`: TorchScript, which Pellucid does not have. What decorates leaves functions as they
are.

`script` and its kin return what they are given: a program that scripts for speed runs, in Python.
`trace` and `save` promise a file or a graph and are refused.
"""

from __future__ import annotations

from collections.abc import Callable
from contextlib import contextmanager, nullcontext
from typing import Any, Final, NoReturn, TypeVar

from pellucid.nn.module import Module

T = TypeVar("T")

__all__ = [
    "Attribute",
    "Final",
    "ScriptFunction",
    "ScriptModule",
    "annotate",
    "export",
    "freeze",
    "ignore",
    "is_scripting",
    "is_tracing",
    "isinstance",
    "load",
    "optimize_for_inference",
    "optimized_execution",
    "save",
    "script",
    "script_if_tracing",
    "script_method",
    "trace",
    "trace_module",
    "unused",
]


class ScriptModule(Module):
    """A module in TorchScript; here modules stay Python, so nothing is an instance."""


class ScriptFunction:
    """A function in TorchScript; here functions stay Python, so nothing is an instance."""


def script(obj: T = None, *args: Any, **kwargs: Any) -> T:  # type: ignore[assignment]
    """`obj` itself, a function, module or class: it runs in Python."""
    return obj


def ignore(drop: Any = False, **kwargs: Any) -> Any:
    """Mark a function for TorchScript: returns it. With or without parentheses."""
    return drop if callable(drop) else _unchanged


def _unchanged(function: T) -> T:
    return function


def unused(fn: T) -> T:
    """Mark a function for TorchScript: returns it."""
    return fn


def export(fn: T) -> T:
    """Mark a method for TorchScript: returns it."""
    return fn


def script_method(fn: T) -> T:
    """Mark a method for TorchScript: returns it."""
    return fn


def script_if_tracing(fn: T) -> T:
    """Mark a function for tracing: returns it."""
    return fn


def interface(obj: T) -> T:
    """Mark a class for TorchScript: returns it."""
    return obj


def optimize_for_inference(mod: T, other_methods: Any = None) -> T:
    """The module itself."""
    return mod


def freeze(mod: T, preserved_attrs: Any = None, optimize_numerics: bool = True) -> T:
    """The module itself, which must be in eval mode. RuntimeError otherwise."""
    if getattr(mod, "training", False):
        raise RuntimeError(
            "Freezing is currently only implemented for modules in eval mode. Please call .eval() "
            "on "
            "your module before freezing."
        )
    return mod


def annotate(the_type: Any, the_value: T) -> T:
    """The value; the type is for TorchScript."""
    return the_value


class Attribute:
    """A value with a type for TorchScript."""

    def __init__(self, value: Any, type: Any) -> None:
        self.value, self.type = value, type


def is_scripting() -> bool:
    """Whether the code runs in TorchScript: no."""
    return False


def is_tracing() -> bool:
    """Whether the code is being traced: no."""
    return False


def isinstance(obj: Any, target_type: Any) -> bool:
    """Whether `obj` is of `target_type`, a class or a tuple of classes."""
    return type(obj) in target_type if type(target_type) is tuple else type(obj) is target_type


@contextmanager
def optimized_execution(should_optimize: bool) -> Any:
    """A context that changes nothing."""
    with nullcontext():
        yield


def fuser(name: str) -> Any:
    """A context that changes nothing."""
    return nullcontext()


def set_fusion_strategy(strategy: Any) -> list[tuple[str, int]]:
    """Accepted: nothing is fused."""
    return []


def enable_onednn_fusion(enabled: bool) -> None:
    """Accepted: nothing is fused."""


def onednn_fusion_enabled() -> bool:
    """Whether oneDNN fuses: no."""
    return False


def _refused(name: str) -> Callable[..., NoReturn]:
    def call(*args: Any, **kwargs: Any) -> NoReturn:
        raise RuntimeError(
            f"torch.jit.{name}: Pellucid runs Python and has no TorchScript graphs. Call the "
            "function "
            "or module itself; keep weights with torch.save(module.state_dict(), path)."
        )

    call.__name__ = call.__qualname__ = name
    call.__doc__ = "Refused: RuntimeError."
    return call


trace = _refused("trace")
trace_module = _refused("trace_module")
save = _refused("save")
load = _refused("load")
fork = _refused("fork")
wait = _refused("wait")
