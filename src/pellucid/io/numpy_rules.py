"""NumPy scalars, dtypes and arrays in a pickle, rebuilt as data.

NumPy's own functions of these names accept objects and trust their arguments. Here only numbers
and fixed-length text are made, after the length of the bytes has been compared with the shape.
"""

from __future__ import annotations

import re
from typing import TYPE_CHECKING, Any

import numpy as np

from pellucid.io.errors import UnpicklingError
from pellucid.io.layout_check import checked_layout

if TYPE_CHECKING:
    from pellucid.io.grammar import AllowList

_CODE = re.compile(r"(?:b1|[iu][1248]|f[248]|c(?:8|16)|[SU][1-9]\d{0,6})\Z")


def a_dtype(g: AllowList, args: tuple[Any, ...]) -> np.dtype[Any]:
    """`numpy.dtype("f8", False, True)`: little-endian until its state says otherwise."""
    code = args[0] if args else None
    if type(code) is not str or not _CODE.match(code):
        shown = code if type(code) is str and len(code) < 40 else type(code).__name__
        raise UnpicklingError(
            f"a NumPy dtype {shown!r}; numbers and fixed-length text can be read as data"
        )
    return np.dtype("<" + code, copy=True)


def set_dtype_state(element: np.dtype[Any], state: Any) -> None:
    """Byte order: `(3, "<" or ">" or "|", None, None, None, -1, -1, 0)`."""
    plain = (
        type(state) is tuple
        and len(state) in (8, 9)
        and state[0] in (3, 4)
        and state[1] in ("<", ">", "|", "=")
        and all(part is None for part in state[2:5])
    )
    if not plain:
        raise UnpicklingError("a NumPy dtype with fields or metadata")
    if state[1] == ">" and element.str[0] == "<":
        width = element.itemsize, 4
        size, alignment = width if element.kind == "U" else (-1, -1)
        element.__setstate__((3, ">", None, None, None, size, alignment, 0))  # type: ignore[attr-defined]


def scalar(g: AllowList, args: tuple[Any, ...]) -> Any:
    """`numpy.core.multiarray.scalar(dtype, bytes)`."""
    if len(args) != 2 or not isinstance(args[0], np.dtype) or type(args[1]) is not bytes:
        raise UnpicklingError("a NumPy scalar needs a dtype and bytes")
    element, raw = args
    if len(raw) != element.itemsize:
        raise UnpicklingError(f"a NumPy scalar {element} of {len(raw)} bytes")
    return np.frombuffer(raw, element)[0]


def empty_array(g: AllowList, args: tuple[Any, ...]) -> np.ndarray:
    """`_reconstruct(numpy.ndarray, (0,), b"b")`: an array whose contents follow as state."""
    if len(args) != 3 or args[0] is not np.ndarray or args[1] != (0,):
        raise UnpicklingError("_reconstruct makes empty numpy.ndarray objects only")
    return np.empty(0, np.uint8)


def set_array_state(g: AllowList, array: np.ndarray, state: Any) -> None:
    """`(version, shape, dtype, fortran_order, bytes)`."""
    if type(state) is not tuple or len(state) != 5 or type(state[4]) not in (bytes, bytearray):
        raise UnpicklingError("a NumPy array whose contents are not bytes")
    _, shape, element, fortran, raw = state
    shape = _checked(shape, element, raw)
    g.budget.charge(len(raw), "numpy.ndarray")
    contents: Any = (1, shape, element, bool(fortran), bytes(raw))
    array.__setstate__(contents)


def from_buffer(g: AllowList, args: tuple[Any, ...]) -> np.ndarray:
    """`numpy.core.numeric._frombuffer(bytes, dtype, shape, order)`: arrays in protocol 5."""
    if len(args) != 4 or type(args[0]) not in (bytes, bytearray) or args[3] not in ("C", "F"):
        raise UnpicklingError("_frombuffer needs bytes, a dtype, a shape and 'C' or 'F'")
    raw, element, shape, order = args
    shape = _checked(shape, element, raw)
    g.budget.charge(len(raw), "numpy.ndarray")
    return np.frombuffer(bytearray(raw), element).reshape(shape, order=order)


def _checked(shape: Any, element: Any, raw: bytes) -> tuple[int, ...]:
    if not isinstance(element, np.dtype) or element.hasobject:
        raise UnpicklingError("a NumPy array of objects")
    count = len(raw) // element.itemsize
    zeros = (0,) * len(shape) if isinstance(shape, tuple) else ()
    checked, _, _ = checked_layout(shape, zeros, 0, element.itemsize, max(len(raw), 1 << 12))
    total = 1
    for size in checked:
        total *= size
    if total != count or count * element.itemsize != len(raw):
        raise UnpicklingError(f"a NumPy array of shape {checked} and {element} in {len(raw)} bytes")
    return checked


_MODULES = ("numpy.core", "numpy._core")
VALUES: dict[str, Any] = {
    "numpy.dtype": np.dtype,
    "numpy.ndarray": np.ndarray,
    **{f"{module}.multiarray.scalar": scalar for module in _MODULES},
    **{f"{module}.multiarray._reconstruct": empty_array for module in _MODULES},
    **{f"{module}.numeric._frombuffer": from_buffer for module in _MODULES},
}
CALLS: dict[Any, Any] = {
    np.dtype: a_dtype,
    scalar: scalar,
    empty_array: empty_array,
    from_buffer: from_buffer,
}
