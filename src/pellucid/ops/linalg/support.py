"""What the operators on matrices share: checks in PyTorch's words, half precision refused, results
laid out by columns as LAPACK returns them.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.dispatch import operator
from pellucid.ops.inplace import check_castable, copy_array, scalar_type
from pellucid.ops.spec import OutRule
from pellucid.tensor.dtype import FLOATING, REDUCED, dtype
from pellucid.tensor.layout import Layout, contiguous, transpose
from pellucid.tensor.tensor import Tensor, empty


class _LinAlgError(RuntimeError):
    """A matrix has no inverse, is not positive-definite, or an iteration did not converge."""


_LinAlgError.__module__ = "torch._C"  # where PyTorch's tracebacks say it lives
LinAlgError = _LinAlgError


def check_floating(name: str, A: Tensor, *, half: bool = False) -> None:
    """Refuse integers, and half precision unless `half`."""
    if A.dtype.category < FLOATING:
        raise RuntimeError(
            f"{name}: Expected a floating point or complex tensor as input. "
            f"Got {scalar_type(A.dtype)}\n  Convert it with .float() first."
        )
    if not half and A.dtype in REDUCED:
        raise RuntimeError(
            f"{name}: Low precision dtypes not supported. Got {scalar_type(A.dtype)}\n"
            "  Matrices are factored in float32 and wider: convert it with .float() first."
        )


def check_matrix(name: str, A: Tensor, label: str = "A") -> None:
    """Refuse tensors that hold no matrices."""
    if A.dim() < 2:
        raise RuntimeError(
            f"{name}: The input tensor {label} must have at least 2 dimensions.\n"
            f"  It has shape {tuple(A.shape)}; a matrix takes the last two dimensions."
        )


def check_square(name: str, A: Tensor, label: str = "A", *, half: bool = False) -> None:
    """Refuse anything but floating square matrices."""
    check_matrix(name, A, label)
    rows, columns = A._layout.shape[-2:]
    if rows != columns:
        raise RuntimeError(
            f"{name}: {label} must be batches of square matrices, but they are {rows} by {columns} "
            "matrices"
        )
    check_floating(name, A, half=half)


def check_same_dtype(name: str, A: Tensor, B: Tensor, label: str = "B") -> None:
    """Refuse matrices of different dtypes."""
    if A.dtype is not B.dtype:
        raise RuntimeError(
            f"{name}: Expected A and {label} to have the same dtype, but found A of type "
            f"{scalar_type(A.dtype)} and {label} of type {scalar_type(B.dtype)} instead"
        )


def by_columns(shape: tuple[int, ...]) -> Layout:
    """The layout of matrices that lie in memory column after column."""
    turned = contiguous((*shape[:-2], shape[-1], shape[-2]))
    return transpose(turned, -2, -1)


def columns(array: np.ndarray, d: dtype) -> Tensor:
    """Matrices as a tensor, laid out by columns."""
    out = empty(by_columns(array.shape), d)
    copy_array(out._array, array)
    return out


def rows(array: np.ndarray, d: dtype) -> Tensor:
    """An array as a contiguous tensor."""
    out = empty(contiguous(array.shape), d)
    copy_array(out._array, array)
    return out


@operator(
    where="internal",
    backward_name="CloneBackward0",
    gradient={"input": lambda grad: grad, "other": lambda grad: None},
)
def laid_by_columns(input: Tensor, other: Tensor | None = None) -> Tensor:
    """A copy of matrices, laid out by columns. It requires a gradient if `other` does."""
    return columns(input._array, input.dtype)


ROW_MAJOR = OutRule(check_castable, row_major=True)
LAPACK = OutRule(check_castable, row_major="filled")
"""How operators take `out=` whose result LAPACK leaves by columns."""


def adjoint(array: np.ndarray) -> np.ndarray:
    """The conjugate transpose of matrices."""
    return array.conj().swapaxes(-1, -2)


def raise_info(info: np.ndarray, batched: bool, text: Any) -> None:
    """Raise `LinAlgError` for the first matrix whose `info` is not 0; `text(info)` says why."""
    failed = np.flatnonzero(info)
    if failed.size:
        place = int(failed[0])
        where = f"(Batch element {place}): " if batched else ""
        raise LinAlgError(text(where, int(info.reshape(-1)[place])))
