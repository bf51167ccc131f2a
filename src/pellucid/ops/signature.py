"""Signatures as PyTorch's argument parser knows them, and what each parameter accepts.

`sum(Tensor input, IntArrayRef[1]? dim, bool keepdim=False, *, ScalarType? dtype=None)` is the
notation of PyTorch's generated bindings. `Signature.read` reads one, `Signature.refusal` says why
given arguments do not fit it, in the parser's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass
from operator import index as to_index
from typing import Any

import numpy as np

from pellucid.ops.arguments import type_name
from pellucid.tensor.device import device, layout_kind, memory_format
from pellucid.tensor.dtype import BOOL, INTEGER, dtype
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.tensor import Tensor

FITS = -1
"""An element list without a wrong element."""


def _plain_tensor(value: Any) -> bool:
    """A 0-dim tensor that stands for a number."""
    return isinstance(value, Tensor) and not value._layout.shape and not value._requires_grad


def _is_int(value: Any) -> bool:
    return isinstance(value, (int, np.integer)) and not isinstance(value, bool)


def _int(value: Any) -> bool:
    if _is_int(value):
        return True
    return _plain_tensor(value) and value.dtype.category == INTEGER


def _float(value: Any) -> bool:
    return isinstance(value, (int, float, np.integer, np.floating)) or _plain_tensor(value)


def _number(value: Any) -> bool:
    return isinstance(value, (int, float, complex, np.number, np.bool_)) or _plain_tensor(value)


def _index(value: Any) -> bool:
    """An element of a list of ints: whatever `operator.index` takes, but no bool."""
    if isinstance(value, bool):
        return False
    if isinstance(value, Tensor) and value.dtype.category == BOOL:
        return False
    try:
        to_index(value)
    except (TypeError, ValueError, RuntimeError):
        return False
    return True


def _overflow(kind: str, value: Any) -> Exception | None:
    """The refusal of a Python int beyond 64 bits."""
    if not isinstance(value, int) or -(1 << 63) <= value < 1 << 63:
        return None
    if kind == "int":
        return ValueError("Overflow when unpacking long long")
    if kind == "Number" and not 0 <= value < 1 << 64:
        return OverflowError("int too big to convert")
    return None


def _dtype(value: Any) -> bool:
    return isinstance(value, dtype) or value in (float, int, bool, complex)


def _is(*kinds: type) -> Callable[[Any], bool]:
    return lambda value: isinstance(value, kinds)


_KINDS: dict[str, tuple[str, Callable[[Any], bool]]] = {
    "Tensor": ("Tensor", _is(Tensor)),
    "Scalar": ("Number", _number),
    "int64_t": ("int", _int),
    "SymInt": ("int", _int),
    "double": ("float", _float),
    "complex": ("complex", _number),
    "bool": ("bool", _is(bool, np.bool_)),
    "SymBool": ("bool", _is(bool, np.bool_)),
    "c10::string_view": ("str", _is(str)),
    "std::string": ("str", _is(str)),
    "ScalarType": ("torch.dtype", _dtype),
    "Device": ("torch.device", _is(str, int, device)),
    "Layout": ("torch.layout", _is(layout_kind)),
    "MemoryFormat": ("torch.memory_format", _is(memory_format)),
    "Generator": ("torch.Generator", _is(Generator)),
    "Storage": ("torch.Storage", lambda value: True),
    "PyObject*": ("object", lambda value: True),
    "Dimname": ("name", lambda value: value is None or isinstance(value, str)),
    "Stream": ("Stream", lambda value: True),
}
_LISTS = {
    "IntArrayRef": ("tuple of ints", _index, _int),
    "SymIntArrayRef": ("tuple of ints", _index, _int),
    "ArrayRef<double>": ("tuple of floats", _float, None),
    "ArrayRef<Scalar>": ("tuple of Scalars", _number, None),
    "ScalarList": ("tuple of Scalars", _number, None),
    "TensorList": ("tuple of Tensors", _is(Tensor), None),
    "c10::List<::std::optional<Tensor>>": ("tuple of Tensors", lambda value: True, None),
    "DimnameList": ("tuple of names", lambda value: value is None or isinstance(value, str), None),
}
_PARAMETER = re.compile(r"(?P<kind>[\w:*<>]+?)(\[(?P<size>\d*)\])?(?P<optional>\?)? (?P<rest>.+)")
_NUMPY = {"dim": ("axis",), "keepdim": ("keepdims",), "input": ("x", "a", "x1"), "other": ("x2",)}
"""NumPy's names of arguments, which PyTorch takes as well."""
_NUMBERS = "add sub mul div true_divide divide multiply subtract floor_divide"
_TAKES_NUMBERS = frozenset(name + ending for name in _NUMBERS.split() for ending in ("", "_"))
"""The operators that take a Number in place of a Tensor."""


@dataclass(frozen=True, slots=True)
class Parameter:
    """One parameter: what the notation says of it."""

    kind: str
    name: str
    size: int
    none: bool
    optional: bool
    default: str
    keyword_only: bool
    numbers: bool

    @property
    def type_name(self) -> str:
        """What must be given, as messages say it: "int", "tuple of ints", "Tensor"."""
        found = _LISTS.get(self.kind) or _KINDS.get(self.kind)
        return found[0] if found is not None else self.kind

    def wrong(self, value: Any) -> int | None:
        """None if `value` fits; else the number of its first wrong element, or FITS."""
        if self.kind in _LISTS:
            return self._wrong_list(value)
        known = _KINDS.get(self.kind)
        if known is None or known[1](value) or (self.numbers and _number(value)):
            return None
        return FITS

    def _wrong_list(self, value: Any) -> int | None:
        _, element, single = _LISTS[self.kind]
        if isinstance(value, (tuple, list)):
            if self.kind == "TensorList":
                return None  # elements are the business of `wrong_element`
            return None if not value or element(value[0]) else 0  # the others: `unpacking`
        return None if single is not None and self.size and single(value) else FITS

    def __str__(self) -> str:
        return f"{self.type_name} {self.name}" + (f" = {self.default}" if self.default else "")


@dataclass(frozen=True, slots=True)
class Signature:
    """One overload of a function: its parameters, in PyTorch's notation."""

    name: str
    parameters: tuple[Parameter, ...]
    positional: int
    required: int
    deprecated: bool

    @classmethod
    def read(cls, text: str) -> Signature:
        """Read `name(kind parameter=default, *, …)`, with `|deprecated` behind it or not."""
        text, _, mark = text.partition("|")
        name, _, listed = text[:-1].partition("(")
        parameters: list[Parameter] = []
        keyword_only = False
        for item in _split(listed):
            if item == "*":
                keyword_only = True
            else:
                parameters.append(_parameter(item, keyword_only, name))
        return cls(
            name,
            tuple(parameters),
            sum(not p.keyword_only for p in parameters),
            sum(not p.optional for p in parameters),
            mark == "deprecated",
        )

    def __str__(self) -> str:
        words = []
        for place, parameter in enumerate(self.parameters):
            if place == self.positional:
                words.append("*")
            words.append(str(parameter))
        return f"({', '.join(words)})"

    @property
    def spreads(self) -> bool:
        """Whether its one list of ints may be given as several arguments: `expand(5, 3)`."""
        return self.positional == 1 and self.parameters[0].kind in (
            "IntArrayRef",
            "SymIntArrayRef",
        )

    def refusal(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> TypeError | None:
        """Why these arguments do not fit, or None if they do."""
        if len(args) > self.positional and not self.spreads:
            return self._too_many(args)
        place, left = 0, len(kwargs)
        for number, parameter in enumerate(self.parameters):
            by_name = place >= len(args)
            if by_name:
                key = next((k for k in _names(parameter) if k in kwargs), None)
                if key is None:
                    if parameter.optional:
                        continue
                    return self._missing(number)
                value = kwargs[key]
                left -= 1
            elif parameter.keyword_only:
                return self._too_many(args)
            else:
                value = args[place]
            if value is None and parameter.none:
                place += not by_name
                continue
            wrong = parameter.wrong(value)
            if wrong is not None:
                if self.spreads and place == 0 and not by_name:
                    if parameter.wrong(tuple(args)) is None:
                        place = len(args)
                        continue
                    if len(args) > 1:
                        return self._too_many(args)
                return self._wrong(parameter, value, place, by_name, wrong, args)
            place += not by_name
        return self._unexpected(kwargs, len(args)) if left > 0 else None

    def unpacking(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Exception | None:
        """What is wrong inside arguments that fit: elements of lists, integers beyond 64 bits."""
        given = dict(zip([p.name for p in self.parameters], args, strict=False)) | dict(kwargs)
        if self.spreads and args and not isinstance(args[0], (tuple, list)):
            given[self.parameters[0].name] = args
        for parameter in self.parameters:
            value = given.get(parameter.name)
            if isinstance(value, (tuple, list)) and parameter.type_name == "tuple of ints":
                error: Exception | None = self._unpacking_list(parameter, value)
            else:
                kind = parameter.type_name
                error = _overflow("int" if kind == "tuple of ints" else kind, value)
            if error is not None:
                return error
        return None

    def _unpacking_list(self, parameter: Parameter, values: Sequence[Any]) -> TypeError | None:
        for place, value in enumerate(values):
            if not (_index(value) or (place and isinstance(value, bool))):
                reason = f"type must be tuple of ints,but got {type_name(value)}"
            elif _overflow("int", value) is not None:
                reason = "Overflow when unpacking long long"
            else:
                continue
            return TypeError(
                f"{self.name}(): argument '{parameter.name}' failed to unpack the object at pos "
                f'{place + 1} with error "{reason}"'
            )
        return None

    def _too_many(self, args: Sequence[Any]) -> TypeError:
        most, given = self.positional, len(args)
        least = self.required  # keyword-only ones too
        if least != most:
            return TypeError(
                f"{self.name}() takes from {least} to {most} positional arguments but {given} "
                "were given"
            )
        return TypeError(
            f"{self.name}() takes {most} positional argument{'' if most == 1 else 's'} but "
            f"{given} {'was' if given == 1 else 'were'} given"
        )

    def _missing(self, number: int) -> TypeError:
        names = [f'"{p.name}"' for p in self.parameters[number:] if not p.optional]
        return TypeError(
            f"{self.name}() missing {len(names)} required positional "
            f"argument{'s' if len(names) == 1 else ''}: {', '.join(names)}"
        )

    def _unexpected(self, kwargs: Mapping[str, Any], given: int) -> TypeError:
        places = {p.name: place for place, p in enumerate(self.parameters)}
        for key in kwargs:
            if key not in places:
                return TypeError(f"{self.name}() got an unexpected keyword argument '{key}'")
            if places[key] < given:
                return TypeError(f"{self.name}() got multiple values for argument '{key}'")
        return TypeError("invalid keyword arguments")

    def _wrong(
        self,
        parameter: Parameter,
        value: Any,
        place: int,
        by_name: bool,
        element: int,
        args: Sequence[Any],
    ) -> TypeError:
        start = f"{self.name}(): argument '{parameter.name}'"
        if by_name:
            return TypeError(f"{start} must be {parameter.type_name}, not {type_name(value)}")
        start += f" (position {place + 1}) must be {parameter.type_name}"
        if element == FITS:
            return TypeError(f"{start}, not {type_name(value)}")
        return TypeError(
            f"{start}, but found element of type {type_name(value[element])} at pos {element}"
        )

    def mismatch(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> str:
        """Which of the arguments do not fit, if there are as many as parameters; else nothing.

        PyTorch compares names of types here, so that an `int` does not match a `Number`.
        """
        given, own = len(args) + len(kwargs), {p.name: p for p in self.parameters}
        if given != len(self.parameters) - ("out" in own and "out" not in kwargs):
            return ""
        strange = [key for key in kwargs if key not in own]
        if strange:
            return f"keywords were incorrect: {', '.join(strange)}"
        words = []
        for place, parameter in enumerate(self.parameters[:given]):
            by_name = place >= len(args)
            if by_name and parameter.name not in kwargs:
                return ""
            name = type_name(kwargs[parameter.name] if by_name else args[place])
            matches = name in ("float", "int") if parameter.type_name == "float" else False
            shown = name if matches or name == parameter.type_name else f"!{name}!"
            words.append(f"{parameter.name}={shown}" if by_name else shown)
        return f"arguments have invalid types: ({', '.join(words)})"


_WRITTEN = {
    "Tensor": "Tensor input",
    "Tensor | None": "Tensor? input",
    "bool": "bool input",
    "int": "int64_t input",
    "int | None": "int64_t? input",
    "float": "double input",
    "str": "c10::string_view input",
}
"""Annotations that say all about what may be given, in PyTorch's notation."""


def annotated(
    name: str, body: Callable[..., Any], args: Sequence[Any], kwargs: Mapping[str, Any]
) -> TypeError | None:
    """The refusal of an argument whose type is not the one that the body's annotation names."""
    function = getattr(body, "__wrapped__", body)
    kinds = getattr(function, "__annotations__", {})
    code = function.__code__
    names = code.co_varnames[: code.co_argcount]
    given = dict(zip(names, args, strict=False)) | dict(kwargs)
    for place, (key, value) in enumerate(given.items()):
        written = _WRITTEN.get(kinds.get(key, ""))
        if written is None:
            continue
        parameter = _parameter(written.replace("input", key), False, name)
        if not (value is None and parameter.none) and parameter.wrong(value) is not None:
            where = "" if key in kwargs else f" (position {place + 1})"
            return TypeError(
                f"{name}(): argument '{key}'{where} must be {parameter.type_name}, not "
                f"{type_name(value)}"
            )
    return None


def _names(parameter: Parameter) -> tuple[str, ...]:
    return (parameter.name, *_NUMPY.get(parameter.name, ()))


def _split(listed: str) -> list[str]:
    """The parameters between the commas that stand outside of brackets."""
    return re.split(r", (?![^{\[]*[}\]])", listed) if listed else []


def _parameter(item: str, keyword_only: bool, function: str) -> Parameter:
    found = _PARAMETER.fullmatch(item)
    if found is None:
        raise ValueError(f"not a parameter in PyTorch's notation: {item!r}")
    name, has_default, default = found["rest"].partition("=")
    return Parameter(
        kind=found["kind"],
        name=name,
        size=int(found["size"] or 0),
        none=bool(found["optional"]) or default == "None",
        optional=bool(has_default),
        default=default,
        keyword_only=keyword_only,
        numbers=function in _TAKES_NUMBERS,
    )
