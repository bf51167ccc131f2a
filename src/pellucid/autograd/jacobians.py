"""Jacobians for `gradcheck`: by finite differences, and row by row from the tape.

Both come as NumPy matrices with a row for each element of the input and a column for each element
of the output. For a complex input z = x + iy and a real output s an entry is ∂s/∂x + i ∂s/∂y, the
gradient that `backward` gives; complex outputs are split into real and imaginary parts before they
come here.
"""

from __future__ import annotations

from collections.abc import Callable, Iterator, Sequence
from typing import Any

import numpy as np

from pellucid.autograd.api import grad
from pellucid.tensor.tensor import Tensor, adopt

Function = Callable[..., Any]


class GradcheckError(RuntimeError):
    """A gradient that `gradcheck` or `gradgradcheck` found to be wrong."""


def as_tuple(value: Any) -> tuple[Any, ...]:
    """What a function took or returned, as a tuple."""
    return tuple(value) if isinstance(value, (tuple, list)) else (value,)


def differentiable(outputs: Any) -> tuple[Tensor, ...]:
    """The outputs that a gradient flows from."""
    return tuple(o for o in as_tuple(outputs) if isinstance(o, Tensor) and o.requires_grad)


def wanted(inputs: Sequence[Any]) -> list[Tensor]:
    """The inputs that a gradient is wanted for."""
    return [x for x in inputs if isinstance(x, Tensor) and x.requires_grad]


def numerical(
    function: Function, inputs: Sequence[Any], eps: float
) -> list[list[np.ndarray | None]]:
    """`result[i][o]`: the Jacobian of output `o` for the i-th wanted input, by central differences;
    None for what is no tensor.
    """
    return [_numerical_for(function, inputs, x, eps) for x in wanted(inputs)]


def _numerical_for(
    function: Function, inputs: Sequence[Any], input: Tensor, eps: float
) -> list[np.ndarray | None]:
    array = input._array
    rows: list[list[np.ndarray | None]] = []
    for index in np.ndindex(array.shape):
        unit = np.zeros(array.shape, array.dtype)
        unit[index] = 1
        rows.append(along(function, inputs, input, unit, eps, index))
    if not rows:
        outputs = as_tuple(function(*inputs))
        return [
            np.zeros((0, o.numel()), array.dtype) if isinstance(o, Tensor) else None
            for o in outputs
        ]
    return [None if column[0] is None else np.stack(column) for column in zip(*rows, strict=True)]


def along(
    function: Function,
    inputs: Sequence[Any],
    input: Tensor,
    direction: np.ndarray | tuple[np.ndarray, np.ndarray],
    eps: float,
    where: Any = None,
) -> list[np.ndarray | None]:
    """The derivatives of the outputs when `input` moves along `direction`: along its real part,
    plus i times along its imaginary part.
    """
    if not input.dtype.is_complex:
        return _central(function, inputs, input, direction, eps, where)
    real, imaginary = direction if isinstance(direction, tuple) else (direction, direction)
    by_x = _central(function, inputs, input, real, eps, where)
    by_y = _central(function, inputs, input, imaginary * 1j, eps, where)
    return [None if x is None or y is None else x + 1j * y for x, y in zip(by_x, by_y, strict=True)]


def along_one(
    function: Function, inputs: Sequence[Any], input: Tensor, direction: np.ndarray, eps: float
) -> list[np.ndarray | None]:
    """The derivatives of the outputs, complex ones included, when `input` moves along `direction`,
    which may be complex.
    """
    return _central(function, inputs, input, direction, eps, None)


def _central(
    function: Function, inputs: Sequence[Any], input: Tensor, unit: Any, eps: float, where: Any
) -> list[np.ndarray | None]:
    # Written behind the tape's back: a perturbation is not an in-place operation of the program.
    array = input._array
    original = array.copy()
    try:
        array[...] = original - eps * unit
        before = [_copied(o) for o in as_tuple(function(*inputs))]
        array[...] = original + eps * unit
        after = [_copied(o) for o in as_tuple(function(*inputs))]
    finally:
        array[...] = original
    found: list[np.ndarray | None] = []
    for low, high in zip(before, after, strict=True):
        if low is None or high is None:
            found.append(None)
            continue
        _same_kind(low, high, eps, where)
        found.append(((high - low) / (2 * eps)).reshape(-1))
    return found


def _copied(output: Any) -> np.ndarray | None:
    if not isinstance(output, Tensor):
        return None
    array = output._array
    return array.copy() if output.dtype.category >= 2 else array.astype(np.float64)


def _same_kind(low: np.ndarray, high: np.ndarray, eps: float, where: Any) -> None:
    place = f"on index {where} " if where is not None else ""
    for what, a, b in (("shape", low.shape, high.shape), ("dtype", low.dtype, high.dtype)):
        if a != b:
            raise AssertionError(
                f"Expected `func` to return outputs with the same {what} when inputs are perturbed "
                f"{place}by {eps}, but got: {what}s {a} and {b}."
            )


def analytical(
    inputs: Sequence[Any], output: Tensor, nondet_tol: float, check_dtypes: bool
) -> list[np.ndarray]:
    """The Jacobians of `output` for the wanted inputs, one backward pass for each element of the
    output.
    """
    return twice(inputs, output, list(_units(output)), nondet_tol, check_dtypes)


def _units(output: Tensor) -> Iterator[Tensor]:
    for index in np.ndindex(output._layout.shape):
        unit = np.zeros(output._layout.shape, output.dtype.numpy)
        unit[index] = 1
        yield adopt(unit, output.dtype)


def twice(
    inputs: Sequence[Any],
    output: Tensor,
    vectors: Sequence[Tensor],
    nondet_tol: float,
    check_dtypes: bool,
) -> list[np.ndarray]:
    """The vector-Jacobian products of `vectors` as columns, one matrix for each wanted input,
    computed twice and compared.

    Raises: GradcheckError for gradients of another size or dtype than their input's, and for two
    passes that differ.
    """
    targets = wanted(inputs)
    first, sizes_fit, dtypes_fit = _columns(targets, output, vectors)
    second, _, _ = _columns(targets, output, vectors)
    if not dtypes_fit and check_dtypes:
        raise GradcheckError("Gradient has dtype mismatch")
    if not sizes_fit:
        raise GradcheckError("Analytical gradient has incorrect size")
    if any(a.size and np.abs(a - b).max() > nondet_tol for a, b in zip(first, second, strict=True)):
        raise GradcheckError(
            "Backward is not reentrant, i.e., running backward with same input and grad_output "
            "multiple times gives different values, although analytical gradient matches numerical "
            f"gradient.The tolerance for nondeterminism was {nondet_tol}.\n"
            "  If that is expected (an operation that draws random numbers), pass nondet_tol=."
        )
    return first


def _columns(
    targets: Sequence[Tensor], output: Tensor, vectors: Sequence[Tensor]
) -> tuple[list[np.ndarray], bool, bool]:
    matrices = [np.zeros((t.numel(), len(vectors)), t.dtype.numpy) for t in targets]
    sizes_fit = dtypes_fit = True
    for column, vector in enumerate(vectors):
        grads = grad(output, targets, vector, retain_graph=True, allow_unused=True)
        for target, found, matrix in zip(targets, grads, matrices, strict=True):
            if found is None:
                continue
            if found._layout.shape != target._layout.shape:
                sizes_fit = False
            elif found.dtype is not target.dtype:
                dtypes_fit = False
            matrix[:, column] = found._array.reshape(-1)
    return matrices, sizes_fit, dtypes_fit
