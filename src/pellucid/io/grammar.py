"""`AllowList`: the grammar that decides what a name in a pickle means.

It answers the five questions of `pellucid.io.machine`. Names come from `pellucid.io.rules`, and
from what the user added (`safe_globals`); tensors and storages from a `World`: the real one makes
tensors, the one of `inspect_pickle` only notes what it is told.
"""

from __future__ import annotations

import argparse
from collections import OrderedDict
from typing import Any, NoReturn, Protocol

import numpy as np

from pellucid.io._bridge import as_subclass, own_names
from pellucid.io.budget import Budget
from pellucid.io.element_types import StorageType
from pellucid.io.errors import RefusedError, UnpicklingError
from pellucid.io.numpy_rules import set_array_state, set_dtype_state
from pellucid.io.program_classes import of_the_program
from pellucid.io.refused import Refused
from pellucid.io.rules import (
    CALLS,
    PARAMETER,
    TENSOR,
    VALUES,
    parameter_of,
    rebuild_from_type,
)
from pellucid.io.safe_globals import BLOCKED_MODULES, allowed_by_user
from pellucid.tensor.dtype import dtype


class World(Protocol):
    """Makes the tensors of a file, or notes them down."""

    tensor_class: type

    def parameter_class(self) -> type:
        """The class `Parameter`."""

    def storage(self, kind: StorageType, key: str, location: str, numel: int, view: Any) -> Any:
        """The storage `key` of `numel` elements; `view` is `(key, offset, numel)` or None."""

    def tensor(
        self,
        storage: Any,
        element: dtype | None,
        offset: Any,
        shape: Any,
        strides: Any,
        requires_grad: bool,
        metadata: dict[str, bool],
    ) -> Any:
        """The tensor that shows this layout of `storage`, after checking it."""

    def parameter(self, data: Any, requires_grad: bool) -> Any:
        """`data` as a parameter."""


class _Classes:
    """Names of tensor classes to classes; `Parameter` is fetched when a file mentions it."""

    def __init__(self, world: World) -> None:
        self.world = world

    def __getitem__(self, name: str) -> type:
        return self.world.tensor_class if name == TENSOR else self.world.parameter_class()


class AllowList:
    """What a file may name, call and set.

    Args:
        world: makes tensors.
        pickle_size: bytes of the pickle, which bound what its calls may copy.
        skip_refused: leave `Refused` objects instead of raising.
        where: what errors call the place.
        program: also allow what the running program has (`pellucid.io.program_classes`).
    """

    def __init__(
        self,
        world: World,
        pickle_size: int,
        *,
        skip_refused: bool = False,
        where: str = "data.pkl",
        program: bool = False,
    ) -> None:
        self.world = world
        self.classes = _Classes(world)
        self.budget = Budget(pickle_size)
        self.skip_refused = skip_refused
        self.where = where
        self.program = program
        self.user = allowed_by_user()
        self.user_objects = {id(value) for value in self.user.values()}
        self.named: list[tuple[int, str, str]] = []
        self.refused: list[Refused] = []
        self.known_parameter: type | None = None

    # -- the five questions

    def find(self, name: str, offset: int) -> Any:
        """The object for a dotted name; `builtins` may be written `__builtin__`."""
        name = _of_python_3(name)
        if name.partition(".")[0] in BLOCKED_MODULES:
            self.named.append((offset, name, "blocked"))
            message = f"Trying to load unsupported GLOBAL {name} whose module is blocked."
            return self._refuse(name, offset, message)
        if name in VALUES:
            self.named.append((offset, name, "allowed"))
            return VALUES[name]
        if name in (TENSOR, PARAMETER, "torch.nn.Parameter"):
            self.named.append((offset, name, "allowed"))
            found: Any = self.classes[TENSOR if name == TENSOR else PARAMETER]
            self.known_parameter = self.known_parameter if name == TENSOR else found
            return found
        if name in self.user:
            self.named.append((offset, name, "allowed by the program"))
            return self.user[name]
        found = of_the_program(name) if self.program else None
        if found is not None:
            self.named.append((offset, name, "of the program"))
            self.user_objects.add(id(found))
            return found
        self.named.append((offset, name, "refused"))
        return self._refuse(name, offset, _unsupported(name))

    def call(self, function: Any, args: Any, kwargs: Any, offset: int) -> Any:
        """REDUCE: a rule of the allow-list, or something the user added."""
        if isinstance(function, Refused):
            return self._note(Refused(function.name, offset, args, kwargs, called=True))
        rule = self._rule(function)
        if rule is None:
            if id(function) in self.user_objects:
                return self._run(function, args, kwargs, offset)
            self._error(
                f"Trying to call reduce for unrecognized function {_named(function)}", offset
            )
        if rule is rebuild_from_type and len(args) == 4 and isinstance(args[1], Refused):
            args = (args[0], self.world.tensor_class, *args[2:])  # the tensor without its class
        if any(isinstance(part, Refused) for part in args):
            return self._note(Refused(_named(function), offset, args, called=True))
        try:
            return rule(self, args)
        except RefusedError as error:
            if self.skip_refused:
                return self._note(Refused(_named(function), offset, args, called=True))
            self._error(str(error), offset, RefusedError)
        except UnpicklingError as error:
            self._error(str(error), offset, type(error))

    def new(self, kind: Any, args: Any, kwargs: Any, offset: int) -> Any:
        """NEWOBJ: as `call` for classes of the allow-list, `kind.__new__` for those of the user."""
        if isinstance(kind, Refused):
            return self._note(Refused(kind.name, offset, args, kwargs, called=True))
        if id(kind) in self.user_objects and isinstance(kind, type):
            return self._run(kind.__new__, (kind, *args), kwargs, offset)
        if not isinstance(kind, type) or self._rule(kind) is None or kwargs:
            self._error(
                "Can only create new object for nn.Parameter or classes allowlisted via "
                f"`add_safe_globals` but got {_named(kind)}",
                offset,
            )
        return self.call(kind, args, kwargs, offset)

    def build(self, instance: Any, state: Any, offset: int) -> None:
        """BUILD: state of ordered dictionaries, namespaces, NumPy data and the user's classes."""
        try:
            self._set_state(instance, state)
        except UnpicklingError as error:
            self._error(str(error), offset, type(error))

    def persistent(self, identity: Any, offset: int) -> Any:
        """BINPERSID: `("storage", class, key, location, numel[, view])`."""
        if type(identity) is not tuple or not identity:
            self._error(
                "persistent_load id must be tuple or int, but got "
                f"{type(identity).__name__}; storages are named by tuples",
                offset,
            )
        kind = _ascii(identity[0])
        if kind == "module" and self._is_class(identity):
            return identity[1]
        if kind != "storage" or len(identity) not in (5, 6):
            self._error(
                f"Only persistent_load of storage is allowed, but got {_brief(identity[0])}", offset
            )
        _, storage_type, key, location, numel, *view = identity
        if isinstance(storage_type, Refused):
            return self._note(Refused(storage_type.name, offset, identity, called=True))
        well_formed = (
            type(storage_type) is StorageType
            and type(numel) is int
            and isinstance(_ascii(key), str)
            and isinstance(_ascii(location), str)
        )
        if not well_formed or not 0 <= numel < 1 << 60:
            self._error("a storage needs a class, a key, a location and a length >= 0", offset)
        try:
            return self.world.storage(
                storage_type, _ascii(key), _ascii(location), numel, view[0] if view else None
            )
        except UnpicklingError as error:
            self._error(str(error), offset, type(error))

    def extend(self, target: Any, items: list[Any], opcode: str) -> None:
        """Lists and dictionaries are the machine's; only placeholders take more."""
        if not isinstance(target, Refused):
            raise UnpicklingError(
                f"Can only {opcode} to lists, sets and dictionaries, but got "
                f"{type(target).__name__} (in {self.where})"
            )
        target.items += items

    # -- what rules ask for

    def tensor(
        self,
        storage: Any,
        element: dtype | None,
        offset: Any,
        shape: Any,
        strides: Any,
        requires_grad: Any,
        metadata: Any,
    ) -> Any:
        """A tensor over a storage of this file."""
        if type(requires_grad) is not bool:
            raise UnpicklingError(f"requires_grad must be a bool, got {_brief(requires_grad)}")
        flags = {} if metadata is None else metadata
        if type(flags) is not dict or not set(flags) <= {"conj", "neg"}:
            raise UnpicklingError("tensor metadata other than 'conj' and 'neg'")
        return self.world.tensor(storage, element, offset, shape, strides, requires_grad, flags)

    def parameter(self, data: Any, requires_grad: Any) -> Any:
        """A parameter over a tensor of this file."""
        if not isinstance(data, self.world.tensor_class) or type(requires_grad) is not bool:
            raise UnpicklingError("a parameter needs a tensor and a bool")
        return self.world.parameter(data, requires_grad)

    def set_attributes(self, instance: Any, state: Any) -> None:
        """Put Python attributes on an object; none may hide one of its class."""
        if type(state) is tuple and len(state) == 2:
            state = {**(state[0] or {}), **(state[1] or {})}
        if state is None:
            return
        if type(state) is not dict or not all(type(key) is str for key in state):
            raise UnpicklingError("attributes must be a dictionary of names")
        kind: Any = type(instance)
        own = own_names(kind)
        for name in state:
            if name in own or name in vars(instance) or name.startswith("__"):
                raise UnpicklingError(f"the attribute {name!r} would hide the object's own")
        vars(instance).update(state)

    def user_tensor(self, data: Any, kind: type, state: Any) -> Any:
        """`data` as a tensor class that the user added, with its state."""
        if not issubclass(kind, self.world.tensor_class):
            raise UnpicklingError(f"{_named(kind)} is no class of tensors")
        made = as_subclass(data, kind)
        if hasattr(kind, "__setstate__"):
            made.__setstate__(state)
        else:
            self.set_attributes(made, state)
        return made

    # -- internals

    def _set_state(self, instance: Any, state: Any) -> None:
        if isinstance(instance, Refused):
            instance.state = state
        elif type(instance) in (OrderedDict, argparse.Namespace):
            self.set_attributes(instance, state)
        elif isinstance(instance, np.dtype):
            set_dtype_state(instance, state)
        elif type(instance) is np.ndarray:
            set_array_state(self, instance, state)
        elif id(type(instance)) in self.user_objects:
            _user_state(instance, state)
        else:
            raise UnpicklingError(
                "Can only build Tensor, Parameter, OrderedDict or types allowlisted via "
                f"`add_safe_globals`, but got {_named(type(instance))}"
            )

    def _is_class(self, identity: tuple[Any, ...]) -> bool:
        """Old files: `("module", class, source file, source text)`; the text is not looked at."""
        named = identity[1] if len(identity) > 1 else None
        return isinstance(named, Refused) or id(named) in self.user_objects

    def _rule(self, function: Any) -> Any:
        if isinstance(function, type) and function is not type:
            if function in CALLS:
                return CALLS[function]
            return parameter_of if function is self.known_parameter else None
        return CALLS.get(function) if callable(function) and _hashable(function) else None

    def _run(self, function: Any, args: Any, kwargs: Any, offset: int) -> Any:
        try:
            return function(*args, **kwargs)
        except Exception as error:
            message = f"{_named(function)} (allowed by the program) raised {error!r}"
            raise UnpicklingError(f"{message} (at byte {offset} of {self.where})") from error

    def _refuse(self, name: str, offset: int, message: str) -> Any:
        if self.skip_refused:
            return Refused(name, offset)
        self._error(message, offset, RefusedError)

    def _note(self, refused: Refused) -> Refused:
        self.refused.append(refused)
        return refused

    def _error(
        self, message: str, offset: int, kind: type[UnpicklingError] = UnpicklingError
    ) -> NoReturn:
        raise kind(f"{message} (at byte {offset} of {self.where})")


def _of_python_3(name: str) -> str:
    """Protocol 2 writes Python 2's names for what is built in."""
    if name == "__builtin__.xrange":
        return "builtins.range"
    if name.startswith("__builtin__."):
        return "builtins." + name.removeprefix("__builtin__.")
    return "copyreg." + name[9:] if name.startswith("copy_reg.") else name


def _unsupported(name: str) -> str:
    shown = name.removeprefix("builtins.")
    return (
        f"Unsupported global: GLOBAL {shown} was not an allowed global by default. "
        f"Please use `torch.serialization.add_safe_globals([{shown}])` or the "
        f"`torch.serialization.safe_globals([{shown}])` context manager to allowlist this global "
        "if you trust this class/function."
    )


def _user_state(instance: Any, state: Any) -> None:
    """What Python's pickle does with state, for a class the user added."""
    if hasattr(instance, "__setstate__"):
        instance.__setstate__(state)
        return
    slots = None
    if isinstance(state, tuple) and len(state) == 2:
        state, slots = state
    for attributes in (state, slots):
        if attributes:
            for name, value in attributes.items():
                setattr(instance, name, value)


def _hashable(value: Any) -> bool:
    return type(value).__hash__ is not None


def _ascii(text: Any) -> Any:
    """Internal words written by Python 2 may arrive as bytes."""
    return str(text, "latin1") if isinstance(text, bytes) else text


def _named(value: Any) -> str:
    return getattr(value, "__qualname__", type(value).__name__)


def _brief(value: Any) -> str:
    return repr(value[:40]) if isinstance(value, (str, bytes)) else type(value).__name__
