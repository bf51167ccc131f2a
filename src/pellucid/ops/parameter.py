"""One parameter of PyTorch's argument parser: what it accepts, and how that becomes plain numbers.

`IntArrayRef[1]? dim=None` is the notation of PyTorch's generated bindings.
"""

from __future__ import annotations

import re
from collections.abc import Callable
from dataclasses import dataclass
from operator import index as to_index
from typing import Any

import numpy as np

from pellucid.tensor.device import device, layout_kind, memory_format
from pellucid.tensor.dtype import BOOL, INTEGER, dtype
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.size import Size
from pellucid.tensor.tensor import Tensor

FITS = -1
"""An element list without a wrong element."""
_INT = {int}
_BEYOND = 1 << 63
_TOO_LARGE = "Overflow when unpacking long long"
_BOUNDED = frozenset(("dim", "dim0", "dim1", "dims", "axis0", "axis1", "index", "size", "shape"))
"""Ints that every operator compares with what the tensor has: one beyond 64 bits fails there, and
is explained then. The others are compared at every call.
"""
_PLAIN = {"int": (int,), "float": (int, float), "Number": (bool, int, float, complex)}
"""The Python types that operators read as they are, by what a parameter takes."""
_LIST_OF = {"tuple of ints": "int", "tuple of floats": "float", "tuple of Scalars": "Number"}
Place = int | str
"""Where an argument stands in a call: its position, or its keyword."""
Convert = Callable[[Any], Any]


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


def _item(value: Any) -> Any:
    """The Python number that a NumPy scalar or a 0-dim tensor stands for."""
    return value.item()


def plain_ints(values: Any) -> Any:
    """`values` if all of them are Python ints, else None."""
    return values if set(map(type, values)) <= _INT else None


def _plain_ints_of_64_bits(values: Any) -> Any:
    """`values` if all of them are Python ints of 64 bits, else None."""
    plain = set(map(type, values)) <= _INT
    within = plain and -_BEYOND <= min(values, default=0) <= max(values, default=0) < _BEYOND
    return values if within else None


def _index_of_64_bits(value: Any) -> int | None:
    return _of_64_bits(to_index(value))


def _of_64_bits(value: int) -> int | None:
    """`value` if 64 bits reach so far, else None."""
    return value if -_BEYOND <= value < _BEYOND else None


def is_index(value: Any) -> bool:
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


def _size(value: Any) -> bool:
    """A size, which may also be a tensor of one element, whatever its dimensions."""
    return is_index(value) and not getattr(value, "_requires_grad", False)


def overflow(kind: str, value: Any) -> Exception | None:
    """The refusal of a Python int beyond 64 bits."""
    if not isinstance(value, int) or -_BEYOND <= value < _BEYOND:
        return None
    if kind == "int":
        return ValueError(_TOO_LARGE)
    if kind == "Number" and value < 0:
        return OverflowError("can't convert negative int to unsigned")
    if kind == "Number" and value >= 1 << 64:
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
    "SymInt": ("int", _size),
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
    "IntArrayRef": ("tuple of ints", is_index, _size),
    "SymIntArrayRef": ("tuple of ints", is_index, _size),
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


def _plain_numbers(wanted: str) -> Convert:
    plain = _PLAIN[_LIST_OF[wanted]]

    def numbers(values: Any) -> Any:
        return values if all(type(value) in plain for value in values) else None

    return numbers


def plain(values: Any, wanted: str) -> list[Any]:
    """The elements of a list that fits a parameter as plain Python numbers. ValueError for what is
    no list: an int that 64 bits do not reach.
    """
    if not isinstance(values, (tuple, list)):
        raise ValueError(_TOO_LARGE)
    if wanted == "tuple of ints":
        return [int(value) if isinstance(value, bool) else to_index(value) for value in values]
    return [_item(v) if isinstance(v, (np.generic, Tensor)) else v for v in values]


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

    @property
    def names(self) -> tuple[str, ...]:
        """Its name, and those under which NumPy knows it."""
        return (self.name, *_NUMPY.get(self.name, ()))

    @property
    def numeric(self) -> bool:
        """Whether it takes numbers, so that a tensor given for it is read at once."""
        return self.type_name in _PLAIN or self.type_name in _LIST_OF

    def reading(self, value: Any) -> Convert | None:
        """How a fitting `value` becomes plain Python numbers; None if it is left as it is."""
        wanted = self.type_name
        if wanted in _LIST_OF:
            if isinstance(value, (tuple, list)):
                if type(value) is Size:
                    return None
                if wanted != "tuple of ints":
                    return _plain_numbers(wanted)
                return plain_ints if self.name in _BOUNDED else _plain_ints_of_64_bits
            wanted = _LIST_OF[wanted]
        if wanted == "int" and type(value) is int and self.name not in _BOUNDED:
            return _of_64_bits
        if wanted not in _PLAIN or type(value) in _PLAIN[wanted] or value is None:
            return None
        if wanted == "int":
            return _index_of_64_bits
        return _item if isinstance(value, (np.generic, Tensor)) else None

    def __str__(self) -> str:
        return f"{self.type_name} {self.name}" + (f" = {self.default}" if self.default else "")


def parameter(item: str, keyword_only: bool, function: str) -> Parameter:
    """Read `kind name=default`. Raises ValueError for anything else."""
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
