"""Schemas of operators: `mylib::scale(Tensor x, float factor=1.0) -> Tensor`, read, inferred from
annotations, and used to bind the arguments of a call.
"""

from __future__ import annotations

import ast
import inspect
import re
import types
import typing
from collections.abc import Callable, Iterable, Sequence
from dataclasses import dataclass
from typing import Any

from pellucid.tensor.device import device
from pellucid.tensor.dtype import dtype
from pellucid.tensor.tensor import Tensor

MISSING = inspect.Parameter.empty
_HEAD = re.compile(r"^\s*([\w:.]*)\s*\((.*)\)\s*->\s*(.+?)\s*$", re.DOTALL)
_ALIAS = re.compile(r"\((\w+(?:\s*\|\s*\w+)*)(!?)(?:\s*->[^)]*)?\)")

# annotation -> (its type in a schema, in a list)
_TYPES: dict[Any, tuple[str, str]] = {
    Tensor: ("Tensor", "Tensor[]"),
    int: ("SymInt", "SymInt[]"),
    float: ("float", "float[]"),
    bool: ("bool", "bool[]"),
    str: ("str", "str[]"),
    dtype: ("ScalarType", "ScalarType[]"),
    device: ("Device", "Device[]"),
}
# type in a schema -> what the values of a call must be
_VALUES: dict[str, tuple[type, ...]] = {
    "Tensor": (Tensor,),
    "SymInt": (int, Tensor),
    "int": (int, Tensor),
    "float": (float, int, Tensor),
    "bool": (bool, Tensor),
    "str": (str,),
    "Scalar": (bool, int, float, complex, Tensor),
    "ScalarType": (dtype,),
    "Device": (device, str),
}


@dataclass(frozen=True)
class Argument:
    """One argument: its type, whether it is written to, whether it is given by keyword only."""

    name: str
    type: str
    default: Any = MISSING
    mutated: bool = False
    keyword: bool = False


@dataclass(frozen=True)
class Schema:
    """An operator's name, arguments and returned types, and the text it was read from."""

    name: str
    arguments: tuple[Argument, ...]
    returns: str
    text: str

    def __str__(self) -> str:
        return f"{self.name}{self.text}"

    def bind(self, args: Sequence[Any], kwargs: dict[str, Any]) -> tuple[Any, ...]:
        """The values of all arguments, in their order.

        Raises: RuntimeError for values that are missing, too many, unknown or of another type.
        """
        places = [a for a in self.arguments if not a.keyword]
        if len(args) > len(places):
            raise RuntimeError(
                f"{self.name}() expected at most {len(places)} argument(s) but received "
                f"{len(args)} argument(s). Declaration: {self}"
            )
        given = dict(zip((a.name for a in places), args, strict=False))
        for name in kwargs:
            if name not in {a.name for a in self.arguments}:
                raise RuntimeError(
                    f"Unknown keyword argument '{name}' for operator '{self.name}'. Schema: {self}"
                )
            if name in given:
                raise RuntimeError(
                    f"{self.name}() got multiple values for argument '{name}'. Declaration: {self}"
                )
        given.update(kwargs)
        return tuple(self._value(at, a, given) for at, a in enumerate(self.arguments))

    def _value(self, at: int, argument: Argument, given: dict[str, Any]) -> Any:
        value = given.get(argument.name, argument.default)
        if value is MISSING:
            raise RuntimeError(
                f"{self.name}() is missing value for argument '{argument.name}'. "
                f"Declaration: {self}"
            )
        if argument.name in given and not _fits(value, argument.type):
            raise RuntimeError(
                f"{self.name}() Expected a value of type '{argument.type}' for argument "
                f"'{argument.name}' but instead found type '{type(value).__name__}'.\n"
                f"Position: {at}\nValue: {value!r}\nDeclaration: {self}"
            )
        return value


def _fits(value: Any, kind: str) -> bool:
    if kind.endswith("?"):
        return value is None or _fits(value, kind[:-1])
    listed = re.fullmatch(r"(.*)\[\d*\]", kind)
    if listed is not None:
        return isinstance(value, (list, tuple)) and all(_fits(v, listed[1]) for v in value)
    allowed = _VALUES.get(kind)
    return allowed is None or isinstance(value, allowed)


def parse(schema: str, name: str | None = None) -> Schema:
    """Read `name(Type argument=default, …) -> Type`; `name` where the text has none."""
    found = _HEAD.match(schema)
    if found is None:
        raise RuntimeError(
            f"cannot read the schema {schema!r}\n"
            "  Write it like 'scale(Tensor x, float factor=1.0) -> Tensor'."
        )
    own, inside, returns = found.groups()
    arguments: list[Argument] = []
    keyword = False
    for part in _split(inside):
        if part == "*":
            keyword = True
        else:
            arguments.append(_argument(part, schema, keyword))
    return Schema(name or own, tuple(arguments), returns, f"({inside.strip()}) -> {returns}")


def _split(inside: str) -> Iterable[str]:
    """The arguments' texts: parted at the commas outside of brackets and quotes."""
    depth, quote, part = 0, "", ""
    for character in inside:
        if quote:
            quote = "" if character == quote else quote
        elif character in "'\"":
            quote = character
        elif character in "([":
            depth += 1
        elif character in ")]":
            depth -= 1
        elif character == "," and not depth:
            yield part.strip()
            part = ""
            continue
        part += character
    if part.strip():
        yield part.strip()


def _argument(part: str, schema: str, keyword: bool) -> Argument:
    alias = _ALIAS.search(part)
    plain = _ALIAS.sub("", part, count=1) if alias else part
    head, equals, default = plain.partition("=")
    kind, _, name = head.strip().rpartition(" ")
    if not kind or not name.isidentifier():
        raise RuntimeError(f"cannot read the argument {part!r} of the schema {schema!r}")
    value = _default(default.strip()) if equals else MISSING
    return Argument(name, kind.strip(), value, bool(alias and alias[2]), keyword)


def _default(text: str) -> Any:
    try:
        return ast.literal_eval({"true": "True", "false": "False"}.get(text, text))
    except (ValueError, SyntaxError):
        return text  # a dtype or a memory format by its name


def infer_schema(
    prototype_function: Callable[..., Any],
    /,
    *,
    mutates_args: str | Iterable[str],
    op_name: str | None = None,
) -> str:
    """The schema of a function, from its annotations: `(Tensor x, SymInt n=1) -> Tensor`.

    `mutates_args`: the names of the tensors that it writes to, or "unknown" for all.
    Raises: ValueError for arguments without annotation, and for types that schemas do not have.
    """
    signature = inspect.signature(prototype_function)
    try:
        hints = typing.get_type_hints(prototype_function)
    except (NameError, TypeError) as error:
        raise ValueError(f"infer_schema(func): cannot read the annotations: {error}") from None
    unknown = set() if mutates_args == "unknown" else set(mutates_args) - set(signature.parameters)
    if unknown:
        raise _refused(
            f"{unknown} in mutates_args were not found in the custom op's signature. mutates_args "
            "should contain the names of all args that the custom op mutates, or just the string "
            "'unknown' if you don't know.",
            signature,
        )
    words, star = [], False
    for at, (name, parameter) in enumerate(signature.parameters.items()):
        if name not in hints:
            raise _refused(f"Parameter {name} must have a type annotation.", signature)
        if parameter.kind in (parameter.VAR_POSITIONAL, parameter.VAR_KEYWORD):
            raise _refused("We do not support *args or **kwargs.", signature)
        if parameter.kind is parameter.KEYWORD_ONLY and not star:
            star = True
            words.append("*")
        kind = _schema_type(hints[name])
        if kind is None:
            raise _refused(f"Parameter {name} has unsupported type {hints[name]}.", signature)
        if kind.startswith("Tensor") and (mutates_args == "unknown" or name in mutates_args):
            kind = f"Tensor(a{at}!){kind[6:]}"
        default = parameter.default
        if default is not MISSING and not isinstance(default, (bool, int, float, str, type(None))):
            raise _refused(
                f"Parameter {name} has an unsupported default value type {type(default)}.",
                signature,
            )
        shown = f'"{default}"' if isinstance(default, str) else default
        words.append(f"{kind} {name}" if default is MISSING else f"{kind} {name}={shown}")
    returned = _schema_returns(hints.get("return", MISSING), signature)
    return f"{op_name or ''}({', '.join(words)}) -> {returned}"


def _refused(why: str, signature: inspect.Signature) -> ValueError:
    return ValueError(f"infer_schema(func): {why} Got func with signature {signature})")


def _schema_type(annotation: Any) -> str | None:
    """An annotation as a schema says it; None for what schemas cannot say."""
    if annotation in _TYPES:
        return _TYPES[annotation][0]
    origin, inside = typing.get_origin(annotation), typing.get_args(annotation)
    if origin in (typing.Union, types.UnionType):
        kept = [each for each in inside if each is not type(None)]
        numbers = set(kept) == {int, float, bool}
        kind = "Scalar" if numbers else _schema_type(kept[0]) if len(kept) == 1 else None
        return f"{kind}?" if kind and len(kept) < len(inside) else kind
    if origin is not None and isinstance(origin, type) and issubclass(origin, Sequence):
        element = [each for each in inside if each is not Ellipsis]
        if len(set(element)) != 1:
            return None
        kind = _schema_type(element[0])
        return None if kind is None else f"{kind}[]"
    return None


def _schema_returns(annotation: Any, signature: inspect.Signature) -> str:
    if annotation is MISSING:
        raise _refused("No return type annotation was provided. Please add one.", signature)
    if annotation is type(None):
        return "()"
    inside = typing.get_args(annotation)
    if typing.get_origin(annotation) is tuple and Ellipsis not in inside:
        kinds = [_schema_type(each) for each in inside]
        if all(kinds):
            return f"({', '.join(kind for kind in kinds if kind)})"
    kind = _schema_type(annotation)
    if kind is None:
        raise _refused(f"Return has unsupported type {annotation}.", signature)
    return kind
