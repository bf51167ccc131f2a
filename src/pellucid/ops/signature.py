"""Signatures as PyTorch's argument parser knows them, and what each parameter accepts.

`sum(Tensor input, IntArrayRef[1]? dim, bool keepdim=False, *, ScalarType? dtype=None)` is the
notation of PyTorch's generated bindings. `Signature.read` reads one, `Signature.refusal` says why
given arguments do not fit it, in the parser's words.
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from dataclasses import dataclass, replace
from typing import Any

from pellucid.ops.arguments import type_name
from pellucid.ops.parameter import FITS, Parameter, Place, is_index, overflow
from pellucid.ops.parameter import parameter as read


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
                parameters.append(read(item, keyword_only, name))
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
                key = next((k for k in parameter.names if k in kwargs), None)
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

    def assigned(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[tuple[Place, Parameter, Any]]:
        """Which parameter each of the given arguments, which fit, is for, and where it stands."""
        first = self.parameters[0] if self.parameters else None
        found: list[tuple[Place, Parameter, Any]] = []
        if self.spreads and args and first is not None:
            single = len(args) == 1 and isinstance(args[0], (tuple, list))
            found += [(place, first, value) for place, value in enumerate(args)]
            if not single:  # each of them is an element
                each = replace(first, kind="int64_t", size=0)
                found = [(place, each, value) for place, _, value in found]
        else:
            found += [
                (place, parameter, value)
                for place, (parameter, value) in enumerate(zip(self.parameters, args, strict=False))
            ]
        if kwargs:
            by_name = {key: p for p in self.parameters for key in p.names}
            found += [(key, by_name[key], v) for key, v in kwargs.items() if key in by_name]
        return found

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
                error = overflow("int" if kind == "tuple of ints" else kind, value)
            if error is not None:
                return error
        return None

    def _unpacking_list(self, parameter: Parameter, values: Sequence[Any]) -> TypeError | None:
        for place, value in enumerate(values):
            if not (is_index(value) or (place and isinstance(value, bool))):
                reason = f"type must be tuple of ints,but got {type_name(value)}"
            elif overflow("int", value) is not None:
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
    "Sizes": "SymIntArrayRef[1] input",
    "Sizes | None": "SymIntArrayRef[1]? input",
    "float": "double input",
    "str": "c10::string_view input",
}
"""Annotations that say all about what may be given, in PyTorch's notation."""


class Annotated:
    """The parameters of a function that PyTorch writes in Python: what annotations say of them."""

    __slots__ = ("name", "order", "parameters")

    def __init__(self, name: str, body: Callable[..., Any], skipped: int) -> None:
        function = getattr(body, "__wrapped__", body)
        kinds = getattr(function, "__annotations__", {})
        code = function.__code__
        self.name = name
        self.order = code.co_varnames[skipped : code.co_argcount]
        self.parameters = {
            key: read(_WRITTEN[kind].replace("input", key), False, name)
            for key, kind in kinds.items()
            if kind in _WRITTEN and key != "return"
        }

    def assigned(
        self, args: Sequence[Any], kwargs: Mapping[str, Any]
    ) -> list[tuple[Place, Parameter, Any]]:
        """As `Signature.assigned`, of the arguments whose annotation says what they are."""
        known = self.parameters
        found: list[tuple[Place, Parameter, Any]] = [
            (place, known[key], value)
            for place, (key, value) in enumerate(zip(self.order, args, strict=False))
            if key in known
        ]
        return found + [(key, known[key], v) for key, v in kwargs.items() if key in known]

    def refusal(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> Exception | None:
        """The refusal of an argument whose type is not the one that the annotation names."""
        for place, parameter, value in self.assigned(args, kwargs):
            if (value is None and parameter.none) or parameter.wrong(value) is None:
                continue
            where = f" (position {place + 1})" if isinstance(place, int) else ""
            return TypeError(
                f"{self.name}(): argument '{parameter.name}'{where} must be "
                f"{parameter.type_name}, not {type_name(value)}"
            )
        return None


def _split(listed: str) -> list[str]:
    """The parameters between the commas that stand outside of brackets."""
    return re.split(r", (?![^{\[]*[}\]])", listed) if listed else []
