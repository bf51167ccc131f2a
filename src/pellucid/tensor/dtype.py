"""Element types, one object each, with PyTorch's names.

A `dtype` knows its NumPy type (`dtype.numpy`), so that every other module asks here instead of
keeping a map of its own. `bfloat16` is NumPy's through the package `ml_dtypes`, which is imported
when it is first needed.
"""

from __future__ import annotations

import importlib
from typing import Any

import numpy as np


class dtype:
    """One element type.

    Attributes: `name` ("float32"), `itemsize` in bytes, `category` (0 bool, 1 integer, 2 floating,
    3 complex: the order in which PyTorch promotes), `is_floating_point`, `is_complex`, `is_signed`,
    `numpy` (its `np.dtype`).
    """

    __slots__ = (
        "category",
        "is_complex",
        "is_floating_point",
        "is_signed",
        "itemsize",
        "name",
        "numpy",
        "tensor_type",
    )

    def __init__(self, name: str, category: int, itemsize: int, tensor_type: str) -> None:
        self.name = name
        self.category = category
        self.itemsize = itemsize
        self.tensor_type = tensor_type
        self.is_floating_point = category == FLOATING
        self.is_complex = category == COMPLEX
        self.is_signed = name not in ("bool", "float8_e8m0fnu") and not name.startswith("uint")
        if name in NAMED_ONLY:
            _NAMED[name] = self
            return
        if name not in _FROM_ML_DTYPES:
            self.numpy = np.dtype(name)
            _BY_NUMPY[self.numpy] = self
        _BY_NAME[name] = self

    def __getattr__(self, name: str) -> Any:
        if name != "numpy":
            raise AttributeError(f"'dtype' object has no attribute {name!r}")
        if self.name in NAMED_ONLY:
            raise NotImplementedError(
                f"tensors of {self!r} are not available\n"
                "  Only the dtype itself is here: its name, its size, torch.finfo. Use "
                "torch.bfloat16 or torch.float32 for the values."
            )
        self.numpy = np.dtype(getattr(_ml_dtypes(self.name), self.name))
        _BY_NUMPY[self.numpy] = self
        return self.numpy

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return dtype_named, (self.name,)

    def to_real(self) -> dtype:
        """The dtype of this dtype's real part: `complex64` gives `float32`, real dtypes give
        themselves.
        """
        return _REAL_OF.get(self, self)

    def to_complex(self) -> dtype:
        """The complex dtype whose parts have this dtype."""
        if self.is_complex:
            return self
        if self not in _COMPLEX_OF:
            name = self.tensor_type.removesuffix("Tensor")
            raise RuntimeError(
                f"Unknown Complex ScalarType for {name}\n"
                f"  {self} has no complex dtype; use float32 or float64."
            )
        return _COMPLEX_OF[self]


def _ml_dtypes(wanted: str) -> Any:
    """The package `ml_dtypes`; RuntimeError where it is not installed."""
    try:
        return importlib.import_module("ml_dtypes")
    except ImportError as error:
        raise RuntimeError(
            f"{wanted} needs the package ml_dtypes, which is not installed: pip install ml_dtypes"
        ) from error


BOOL, INTEGER, FLOATING, COMPLEX = range(4)
_FROM_ML_DTYPES = frozenset({"bfloat16"})
NAMED_ONLY = frozenset(
    {"float8_e4m3fn", "float8_e4m3fnuz", "float8_e5m2", "float8_e5m2fnuz", "float8_e8m0fnu"}
)
"""Dtypes that programs compare with and ask for their limits, and that no tensor here has."""
_BY_NAME: dict[str, dtype] = {}
_NAMED: dict[str, dtype] = {}
_BY_NUMPY: dict[np.dtype[Any], dtype] = {}

bool_ = dtype("bool", BOOL, 1, "BoolTensor")
uint8 = dtype("uint8", INTEGER, 1, "ByteTensor")
int8 = dtype("int8", INTEGER, 1, "CharTensor")
int16 = dtype("int16", INTEGER, 2, "ShortTensor")
int32 = dtype("int32", INTEGER, 4, "IntTensor")
int64 = dtype("int64", INTEGER, 8, "LongTensor")
uint16 = dtype("uint16", INTEGER, 2, "UInt16Tensor")
uint32 = dtype("uint32", INTEGER, 4, "UInt32Tensor")
uint64 = dtype("uint64", INTEGER, 8, "UInt64Tensor")
float16 = dtype("float16", FLOATING, 2, "HalfTensor")
bfloat16 = dtype("bfloat16", FLOATING, 2, "BFloat16Tensor")
float32 = dtype("float32", FLOATING, 4, "FloatTensor")
float64 = dtype("float64", FLOATING, 8, "DoubleTensor")
complex64 = dtype("complex64", COMPLEX, 8, "ComplexFloatTensor")
complex128 = dtype("complex128", COMPLEX, 16, "ComplexDoubleTensor")
float8_e4m3fn = dtype("float8_e4m3fn", FLOATING, 1, "Float8_e4m3fnTensor")
float8_e4m3fnuz = dtype("float8_e4m3fnuz", FLOATING, 1, "Float8_e4m3fnuzTensor")
float8_e5m2 = dtype("float8_e5m2", FLOATING, 1, "Float8_e5m2Tensor")
float8_e5m2fnuz = dtype("float8_e5m2fnuz", FLOATING, 1, "Float8_e5m2fnuzTensor")
float8_e8m0fnu = dtype("float8_e8m0fnu", FLOATING, 1, "Float8_e8m0fnuTensor")

_COMPLEX_OF = {float32: complex64, float64: complex128}
_REAL_OF = {complex64: float32, complex128: float64}

ALIASES = {
    "half": float16,
    "float": float32,
    "double": float64,
    "short": int16,
    "int": int32,
    "long": int64,
    "cfloat": complex64,
    "cdouble": complex128,
}
REDUCED = frozenset({float16, bfloat16})
"""Floating dtypes that PyTorch's CPU kernels compute in float32 and round at the end."""


def dtype_named(name: str) -> dtype:
    """The dtype with PyTorch's name or alias `name`."""
    found = _BY_NAME.get(name) or ALIASES.get(name) or _NAMED.get(name)
    if found is None:
        raise TypeError(f"there is no dtype named {name!r}; there are {', '.join(_BY_NAME)}")
    return found


def all_dtypes() -> tuple[dtype, ...]:
    """Every dtype that tensors have, in the order of definition."""
    return tuple(_BY_NAME.values())


def named_dtypes() -> tuple[dtype, ...]:
    """The dtypes that are here in name only (`NAMED_ONLY`)."""
    return tuple(_NAMED.values())


def from_numpy_dtype(numpy_dtype: np.dtype[Any]) -> dtype:
    """The dtype for a NumPy dtype; TypeError for those PyTorch has no counterpart of (strings,
    objects).
    """
    found = _BY_NUMPY.get(numpy_dtype)
    if found is not None:
        return found
    if numpy_dtype.name in _FROM_ML_DTYPES:
        own = _BY_NAME[numpy_dtype.name]
        _BY_NUMPY[numpy_dtype] = own
        return own
    native = numpy_dtype.newbyteorder("=")
    if native != numpy_dtype and native in _BY_NUMPY:
        raise ValueError(
            "given numpy array has byte order different from the native byte order. "
            "Conversion between byte orders is currently not supported."
        )
    supported = "float64, float32, float16, complex64, complex128, int64, int32, int16, int8, "
    raise TypeError(
        f"can't convert np.ndarray of type numpy.{numpy_dtype.type.__name__}. The only supported "
        f"types are: {supported}uint64, uint32, uint16, uint8, and bool."
    )


class _Default:
    """The dtype that Python floats become (`set_default_dtype`)."""

    __slots__ = ("floating",)

    def __init__(self) -> None:
        self.floating = float32


default = _Default()


def get_default_dtype() -> dtype:
    """The floating dtype that Python floats become when no dtype is given; at first float32."""
    return default.floating


def set_default_dtype(d: dtype) -> None:
    """Set the dtype that Python floats become. Only floating dtypes are taken."""
    if not isinstance(d, dtype):
        raise TypeError(
            "invalid dtype object: only floating-point types are supported as the default type"
        )
    if not d.is_floating_point:
        raise TypeError("only floating-point types are supported as the default type")
    if d.name in NAMED_ONLY:
        raise TypeError(f"couldn't find storage object {d.tensor_type[:-6]}Storage")
    default.floating = d


def default_complex() -> dtype:
    """The complex dtype that Python complex numbers become."""
    return complex128 if default.floating is float64 else complex64


class finfo:
    """Numerical limits of a floating dtype: `bits, eps, max, min, tiny, smallest_normal,
    resolution`.
    """

    def __init__(self, type: dtype | None = None) -> None:
        type = default.floating if type is None else type
        if type.category < FLOATING:
            raise TypeError(
                "torch.finfo() requires a floating point input type. Use torch.iinfo to handle "
                "'torch.iinfo'"
            )
        type = type.to_real()
        info: Any
        if type is bfloat16 or type.name in NAMED_ONLY:
            limits = _ml_dtypes(type.name)
            info = limits.finfo(getattr(limits, type.name))
        else:
            info = np.finfo(type.numpy)
        self.dtype = type.name
        self.bits = type.itemsize * 8
        self.eps = 0.125 if type is float8_e5m2fnuz else float(info.eps)  # as PyTorch has it
        self.max = float(info.max)
        self.min = float(info.min)
        self.tiny = self.smallest_normal = float(info.smallest_normal)
        self.resolution = float(f"1e-{0 if type.name in NAMED_ONLY else info.precision}")

    def __repr__(self) -> str:
        return (
            f"finfo(resolution={self.resolution:g}, min={self.min:g}, max={self.max:g}, "
            f"eps={self.eps:g}, "
            f"smallest_normal={self.smallest_normal:g}, tiny={self.tiny:g}, dtype={self.dtype})"
        )


class iinfo:
    """Numerical limits of an integer dtype: `bits, max, min`."""

    def __init__(self, type: dtype) -> None:
        if type is bool_:
            raise TypeError("torch.bool is not supported by torch.iinfo")
        if type.category != INTEGER:
            raise TypeError(
                "torch.iinfo() requires an integer input type. Use torch.finfo to handle "
                "'torch.iinfo'"
            )
        info = np.iinfo(type.numpy)
        self.dtype = type.name
        self.bits = type.itemsize * 8
        self.max = int(info.max)
        self.min = int(info.min)

    def __repr__(self) -> str:
        return f"iinfo(min={self.min:g}, max={self.max:g}, dtype={self.dtype})"
