"""Making a module without using up random numbers."""

from __future__ import annotations

import inspect
from typing import Any

from pellucid.nn.module import Module
from pellucid.tensor.random.generator import default_generator


def skip_init(module_cls: type[Module], *args: Any, **kwargs: Any) -> Module:
    """A module whose weights are not to be relied on: the generator is where it was before.

    Its class must take a `device` argument.
    """
    if not issubclass(module_cls, Module):
        raise RuntimeError(f"Expected a Module; got {module_cls}")
    if "device" not in inspect.signature(module_cls).parameters:
        raise RuntimeError("Module must support a 'device' arg to skip initialization")
    state = default_generator.get_state()
    try:
        return module_cls(*args, **kwargs)
    finally:
        default_generator.set_state(state)
