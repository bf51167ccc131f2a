"""What samplers refuse, in PyTorch's words.

PyTorch's messages name element types in three dialects: the scalar type ("Int"), the C++ type
("int"), and Python's ("torch.int32"). The first two are here.
"""

from __future__ import annotations

from typing import NoReturn

import numpy as np

from pellucid.tensor.dtype import dtype

_CPP_NAMES = {
    "bool": "bool",
    "uint8": "unsigned char",
    "int8": "signed char",
    "int16": "short int",
    "int32": "int",
    "int64": "long int",
    "uint16": "short unsigned int",
    "uint32": "unsigned int",
    "uint64": "long unsigned int",
    "float16": "c10::Half",
    "bfloat16": "c10::BFloat16",
    "float32": "float",
    "float64": "double",
    "complex64": "c10::complex<float>",
    "complex128": "c10::complex<double>",
}
_LARGEST = {"float16": 65504.0, "bfloat16": 3.3895313892515355e38}


def scalar_name(kind: dtype) -> str:
    """PyTorch's scalar type name: "Float", "Half", "ComplexFloat"."""
    return kind.tensor_type.removesuffix("Tensor")


def cpp_name(kind: dtype) -> str:
    """The element type's name in C++: "float", "c10::Half"."""
    return _CPP_NAMES[kind.name]


def shown(value: float) -> str:
    """A float as a C++ stream prints it: six digits, no trailing zeros."""
    return f"{value:g}"


def largest(kind: dtype) -> float:
    """The largest finite value of a floating dtype."""
    return _LARGEST.get(kind.name) or float(np.finfo(kind.numpy).max)


def refuse_dtype(kernel: str, kind: dtype) -> NoReturn:
    """NotImplementedError: `kernel` has no version for this dtype."""
    raise NotImplementedError(f"\"{kernel}\" not implemented for '{scalar_name(kind)}'")


def require_floating(distribution: str, kind: dtype, name: str) -> None:
    """RuntimeError unless `kind` is floating; `name` is how PyTorch spells it in this message."""
    if not kind.is_floating_point:
        raise RuntimeError(
            f"{distribution} distribution is a continuous probability distribution. "
            f"dtype must be a floating point but you specified {name}"
        )


def check_uniform_bounds(low: float, high: float, kind: dtype) -> None:
    """RuntimeError unless [low, high) is an interval whose ends and length are values of floating
    `kind`.
    """
    if not kind.is_floating_point:
        refuse_dtype("check_uniform_bounds", kind)
    most = largest(kind)
    for name, bound in (("from", low), ("to", high)):
        if not -most <= bound <= most:
            raise RuntimeError(f"{name} is out of bounds for {cpp_name(kind)}")
    if not low <= high:
        raise RuntimeError(
            "uniform_ expects to return a [from, to) range, but found "
            f"from={shown(low)} > to={shown(high)}"
        )
    if high - low > most:
        raise RuntimeError(
            f"uniform_ expects to-from <= std::numeric_limits<{scalar_name(kind)}>::max(), but "
            f"found to={shown(high)} and from={shown(low)} which result in to-from to exceed the "
            "limit"
        )


def refuse_wide_unsigned(kernel: str, kind: dtype) -> None:
    """NotImplementedError for complex, uint16, uint32, uint64, which most kernels lack."""
    if kind.is_complex or kind.name in ("uint16", "uint32", "uint64"):
        refuse_dtype(kernel, kind)
