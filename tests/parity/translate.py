"""Pellucid's counterpart of a PyTorch value: a function, a dtype, a module, a lambda of the
database.

The database calls many operators through small lambdas (`lambda x, *a: x.expand(*a)`, `lambda *a:
wrapper_set_seed(torch.randn, *a)`). Such a function is rebuilt from its own code with `torch` and
all that hangs on it replaced; a function of PyTorch's public tree is looked up by its name.
"""

from __future__ import annotations

import functools
import importlib
from collections.abc import Callable, Iterator
from types import CellType, CodeType, FunctionType, ModuleType
from typing import Any

import torch

NAMESPACES = (
    "",
    "nn.functional",
    "linalg",
    "special",
    "fft",
    "nn.init",
    "nn.utils.rnn",
    "nn",
    "autograd",
    "Tensor",
    "ops.aten",
)
SEED = 42  # what `wrapper_set_seed` sets


class MissingName(Exception):
    """Pellucid has no such name."""


def resolve(library: ModuleType, path: str) -> Any:
    """The object at a dotted path below `library`.

    Raises:
        MissingName: nothing is there.
    """
    found: Any = library
    for name in filter(None, path.split(".")):
        below = getattr(found, name, None)
        if below is None and isinstance(found, ModuleType):
            try:
                below = importlib.import_module(f"{found.__name__}.{name}")
            except ModuleNotFoundError:
                below = None
        if below is None:
            raise MissingName(path)
        found = below
    return found


@functools.cache
def public_paths() -> dict[int, tuple[str, Any]]:
    """`id` of every callable in PyTorch's tree -> its path without `torch.`, and the callable.

    Holding the callable keeps it alive: an `id` is only meaningful while its object lives.
    """
    paths: dict[int, tuple[str, Any]] = {}
    for namespace in NAMESPACES:
        holder = resolve(torch, namespace)
        for name in dir(holder):
            value = getattr(holder, name, None)
            if callable(value) and not (name.startswith("_") and not name.startswith("__")):
                paths.setdefault(id(value), (f"{namespace}.{name}".lstrip("."), value))
    return paths


def translate(value: Any, library: ModuleType) -> Any:
    """`value` as `library` has it; plain data and everything when `library` is PyTorch stay.

    Raises:
        MissingName: a name of PyTorch that `library` lacks.
    """
    if library is torch:
        return value
    if isinstance(value, torch.dtype | torch.memory_format | torch.layout):
        return resolve(library, str(value).removeprefix("torch."))
    if isinstance(value, torch.device):
        return library.device(str(value))
    if isinstance(value, torch.Size):
        return library.Size(value)
    if isinstance(value, torch.nn.Module):
        return _module(value, library)
    if isinstance(value, ModuleType):
        return _library_module(value, library)
    if callable(value):
        return _callable(value, library)
    return value


def _library_module(value: ModuleType, library: ModuleType) -> Any:
    name = value.__name__
    inside = name == "torch" or name.startswith("torch.")
    if not inside or name.startswith("torch.testing"):
        return value
    return resolve(library, name.removeprefix("torch").removeprefix("."))


def _callable(value: Any, library: ModuleType) -> Any:
    if getattr(value, "__name__", "") == "wrapper_set_seed":
        return functools.partial(_seeded, library)
    path, _ = public_paths().get(id(value), (None, None))
    if path is not None:
        return resolve(library, path)
    if isinstance(value, functools.partial):
        function = translate(value.func, library)
        arguments = [translate(a, library) for a in value.args]
        keywords = {k: translate(v, library) for k, v in value.keywords.items()}
        return functools.partial(function, *arguments, **keywords)
    if isinstance(value, FunctionType) and str(value.__module__).startswith("torch"):
        return _rebuild(value, library)
    if isinstance(value, torch._ops.OpOverloadPacket | torch._ops.OpOverload):
        raise MissingName(f"ops.{value}")
    return value


def _seeded(library: ModuleType, function: Callable, *args: Any, **kwargs: Any) -> Any:
    library.manual_seed(SEED)
    return function(*args, **kwargs)


def _rebuild(function: FunctionType, library: ModuleType) -> FunctionType:
    """The same code over translated globals, defaults and closure."""
    scope = dict(function.__globals__)
    for name in set(_names(function.__code__)):
        if name in scope and scope[name] is not function:
            scope[name] = translate(scope[name], library)
    cells = tuple(CellType(translate(c.cell_contents, library)) for c in function.__closure__ or ())
    defaults = tuple(translate(v, library) for v in function.__defaults__ or ())
    rebuilt = FunctionType(function.__code__, scope, function.__name__, defaults, cells)
    keywords = function.__kwdefaults__ or {}
    rebuilt.__kwdefaults__ = {k: translate(v, library) for k, v in keywords.items()}
    return rebuilt


def _names(code: CodeType) -> Iterator[str]:
    yield from code.co_names
    for constant in code.co_consts:
        if isinstance(constant, CodeType):
            yield from _names(constant)


def _module(module: torch.nn.Module, library: ModuleType) -> Any:
    """A module that samples hand over (`distance_function=…`, `encoder_layer`), with its values."""
    path = f"{type(module).__module__}.{type(module).__name__}".removeprefix("torch.")
    kind = resolve(library, path)
    made = kind.__new__(kind)
    library.nn.Module.__init__(made)
    plain = (int, float, bool, str, tuple, type(None))
    for name, value in vars(module).items():
        if isinstance(value, plain):
            setattr(made, name, value)
        elif callable(value) and not name.startswith("_"):
            setattr(made, name, translate(value, library))
    for name, value in module._parameters.items():
        own = None if value is None else library.nn.Parameter(_copied(value, library))
        made.register_parameter(name, own)
    for name, value in module._buffers.items():
        made.register_buffer(name, None if value is None else _copied(value, library))
    for name, value in module._modules.items():
        made.add_module(name, None if value is None else _module(value, library))
    return made


def _copied(tensor: torch.Tensor, library: ModuleType) -> Any:
    return library.from_numpy(tensor.detach().numpy().copy())
