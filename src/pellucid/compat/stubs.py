"""Stand-ins for names that PyTorch has and Pellucid lacks.

A stub lets a program be imported: it can be named, inherited from, subscripted in annotations,
compared by identity and asked about with `isinstance`. Whatever needs it to *do* something (a
call, an instance, a number, a loop) raises `MissingName`, which says what the name is, that
Pellucid lacks it, where the program took it and where it used it.
"""

from __future__ import annotations

import dis
import importlib
from abc import ABCMeta
from collections.abc import Callable
from functools import cache
from types import FrameType, ModuleType
from typing import Any, NoReturn

from pellucid.compat import aliases, names
from pellucid.compat.ledger import ENGINE, LEDGER, caller

# Instructions that want the attribute itself. `hasattr` and `getattr` ask from within a call
# instruction: they are told the truth, that the name is not there.
TAKING = frozenset(
    {"LOAD_ATTR", "LOAD_METHOD", "IMPORT_FROM", "IMPORT_STAR", "IMPORT_NAME", "CALL_INTRINSIC_1"}
)
# PyTorch's own questions after parts that a build may lack. They have a true answer here.
ANSWERS: dict[str, bool | int | None] = {
    "_log_api_usage_once": None,
    "is_available": False,
    "is_built": False,
    "is_initialized": False,
    "is_compiling": False,
    "is_dynamo_compiling": False,
    "is_exporting": False,
    "is_scripting": False,
    "is_traceable_wrapper_subclass": False,
    "is_traceable_wrapper_subclass_type": False,
    "is_tracing": False,
    "kineto_available": False,
    "device_count": 0,
}
# Notes to PyTorch's compilers, put on functions as decorators: run eagerly, nothing changes.
MARKS = frozenset(
    {
        "torch._dynamo.allow_in_graph",
        "torch._dynamo.assume_constant_result",
        "torch._dynamo.disable",
        "torch._dynamo.disallow_in_graph",
        "torch._dynamo.forbid_in_graph",
        "torch._dynamo.graph_break",
        "torch._dynamo.mark_dynamic",
        "torch._dynamo.mark_static",
        "torch._dynamo.mark_static_address",
        "torch._dynamo.maybe_mark_dynamic",
        "torch.fx.wrap",
        "torch.jit.export",
        "torch.jit.ignore",
        "torch.jit.unused",
    }
)
_stubs: dict[str, MissingType] = {}


class MissingName(NotImplementedError):
    """A name that PyTorch has and Pellucid lacks was used.

    `name` is PyTorch's dotted name, `kind` what it is there.
    """

    def __init__(self, message: str, name: str, kind: str) -> None:
        super().__init__(message)
        self.name = name
        self.kind = kind

    def __reduce__(self) -> tuple[Any, ...]:
        return type(self), (self.args[0], self.name, self.kind)


def refuse(name: str, kind: str, what: str) -> NoReturn:
    """Raise the error for using `name`; `what` says how: `called`, `used as a number`, …"""
    _, place = caller()
    entry = LEDGER.note(name, kind, "used", place)
    taken = entry.taken_for(place)
    lines = [f"{name} is a {kind} of PyTorch that Pellucid does not have; it cannot be {what}."]
    for label, where in (("imported", taken), ("used", place)):
        if where is not None and not (label == "imported" and where == place):
            lines.append(f"  {label:9}{where}" + (f"    {where.text}" if where.text else ""))
    lines.append("hint: `pellucid check` lists every such name of a program before it runs")
    raise MissingName("\n".join(lines), name, kind)


def wants_value(frame: FrameType) -> bool:
    """Whether the instruction a frame stands at takes an attribute, rather than asking for it."""
    opcode = frame.f_code.co_code[frame.f_lasti]
    return dis.opname[opcode] in TAKING


def absent(owner: str, name: str, what: str = "module") -> AttributeError:
    """The error for an attribute that is not there, for `hasattr` to find."""
    known = names.kind_of(f"{owner}.{name}")
    also = f"; PyTorch has this {known}, Pellucid does not" if known else ""
    return AttributeError(f"{what} {owner!r} has no attribute {name!r}{also}", name=name)


class MissingType(ABCMeta):
    """The type of stubs: classes without instances, whose every use is refused in words."""

    def __new__(
        metacls, name: str, bases: tuple[type, ...], space: dict[str, Any], **options: Any
    ) -> MissingType:
        options = {} if any(isinstance(base, MissingType) for base in bases) else options
        return super().__new__(metacls, name, bases, space, **options)

    def __init__(cls, name: str, bases: tuple[type, ...], space: dict[str, Any], **_: Any) -> None:
        super().__init__(name, bases, space)

    @property
    def _missing(cls) -> tuple[str, str]:
        """(PyTorch's dotted name, kind) of the stub this is, or that this class inherits from."""
        for base in cls.__mro__:
            if "_stub_of" in vars(base):
                found: tuple[str, str] = vars(base)["_stub_of"]
                return found
        raise AssertionError(f"{cls.__name__} inherits from no stub")

    @property
    def _is_stub(cls) -> bool:
        return "_stub_of" in vars(cls)

    def __call__(cls, *args: Any, **kwargs: Any) -> NoReturn:
        name, kind = cls._missing
        if cls._is_stub:
            refuse(name, kind, "made an instance of" if kind == "class" else "called")
        refuse(name, kind, f"the base of an object (class {cls.__name__} inherits from it)")

    def __getattr__(cls, attribute: str) -> Any:
        if not cls._is_stub or attribute.startswith("__"):
            raise AttributeError(f"type object {cls.__name__!r} has no attribute {attribute!r}")
        frame, _ = caller()
        name, _ = cls._missing
        if attribute.startswith("_") or not wants_value(frame):
            raise absent(name, attribute, "missing name")
        return stub(f"{name}.{attribute}", "value")

    def __getitem__(cls, item: Any) -> Any:
        name, kind = cls._missing
        if cls._is_stub and kind == "value":
            refuse(name, kind, "indexed")
        return cls  # an annotation: Missing[int]

    def __bool__(cls) -> bool:
        name, kind = cls._missing
        if cls._is_stub and kind == "value":
            refuse(name, kind, "tested for truth")
        return True

    def __instancecheck__(cls, instance: Any) -> bool:
        return not cls._is_stub and super().__instancecheck__(instance)

    def __repr__(cls) -> str:
        if not cls._is_stub:
            return super().__repr__()
        name, kind = cls._missing
        return f"<{kind} {name}: in PyTorch, not in Pellucid>"


def _refusing(what: str) -> Callable[..., NoReturn]:
    def method(cls: MissingType, *_: Any) -> NoReturn:
        name, kind = cls._missing
        refuse(name, kind, what)

    return method


_USES = {
    "used in arithmetic": "add radd sub rsub mul rmul truediv rtruediv floordiv rfloordiv mod rmod "
    "pow rpow matmul rmatmul neg pos abs invert and rand xor rxor lshift rlshift rshift rrshift",
    "ordered": "lt le gt ge",
    "used as a number": "int float complex index",
    "looped over": "iter next reversed",
    "measured with len()": "len",
    "searched with `in`": "contains",
    "written to": "setitem delitem",
    "entered with `with`": "enter exit aenter aexit",
    "awaited": "await",
}
for _what, _methods in _USES.items():
    for _method in _methods.split():
        setattr(MissingType, f"__{_method}__", _refusing(_what))


def stub(name: str, kind: str) -> MissingType:
    """The one stub for PyTorch's dotted `name`; the place that takes it goes into the ledger."""
    found = _stubs.get(name)
    if found is None:
        module, _, short = name.rpartition(".")
        space = {"_stub_of": (name, kind), "__module__": module, "__doc__": None}
        found = _stubs[name] = MissingType(short, (), space)
    _, place = caller()
    LEDGER.note(name, kind, "taken", place)
    return found


class StubModule(ModuleType):
    """A module that PyTorch has and Pellucid lacks: it can be imported, its names are stubs."""

    def __getattr__(self, name: str) -> Any:
        owner = self.__name__
        if name == "__all__":
            known = names.members(owner).items()
            return [name for name, kind in known if name[0] != "_" and kind != "module"]
        if name.startswith("__"):
            raise AttributeError(f"module {owner!r} has no attribute {name!r}")
        return missing_attribute(owner, name)

    def __setattr__(self, name: str, value: Any) -> None:
        if not name.startswith("__") and not isinstance(value, ModuleType):
            _, place = caller()
            LEDGER.note(f"{self.__name__}.{name}", "value", "assigned", place)
        super().__setattr__(name, value)

    def __repr__(self) -> str:
        return f"<module {self.__name__!r}: in PyTorch, not in Pellucid>"


def is_neutral(name: str) -> bool:
    """Whether PyTorch's `name` does what it does also where the part it belongs to is missing."""
    if name in MARKS:
        return True
    return name.rpartition(".")[2] in ANSWERS and names.kind_of(name) == "function"


def mark(function: Any = None, *_: Any, **__: Any) -> Any:
    """A note to a compiler that is not there: gives the function back, bare or with arguments."""
    return function if callable(function) else lambda decorated: decorated


@cache
def answer(name: str) -> Callable[..., bool | int | None]:
    """PyTorch's function `name`, which asks for a part that Pellucid lacks: it is not there."""
    module, _, short = name.rpartition(".")

    def ask(*_: Any, **__: Any) -> bool | int | None:
        return ANSWERS[short]

    ask.__name__ = ask.__qualname__ = short
    ask.__module__ = module
    ask.__doc__ = f"{ANSWERS[short]}: Pellucid does not have what `{name}` asks for."
    return ask


def missing_attribute(owner: str, name: str) -> Any:
    """What `owner.name` is when Pellucid has no such attribute: a stub, or the honest error."""
    full = f"{owner}.{name}"
    kind = names.kind_of(full)
    frame, place = caller()
    if place.file.startswith(ENGINE):  # the engine itself is to fail as it does without the alias
        raise absent(owner, name)
    if kind == "module" and aliases.is_alias(name) and not names.is_module(full):
        return importlib.import_module(name)  # PyTorch imports it there: torch.torch is torch
    if kind == "module" and aliases.exists(aliases.target_of(full)):
        return importlib.import_module(full)  # there, and not imported yet
    if is_neutral(full):
        return mark if full in MARKS else answer(full)
    if kind is None or not wants_value(frame):
        raise absent(owner, name)
    return importlib.import_module(full) if kind == "module" else stub(full, kind)
