"""softmax, log_softmax and softmin: the functions that make a dimension a distribution."""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.arguments import integer
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.elementwise.refusals import COMPLEX, EXACT, kernel
from pellucid.ops.inplace import copy_array
from pellucid.ops.memory.conversion import convert
from pellucid.ops.numerics import softmax as formulas
from pellucid.ops.numerics.softmax import along
from pellucid.tensor.dtype import REDUCED, dtype
from pellucid.tensor.layout import contiguous, normalize_dim
from pellucid.tensor.tensor import Tensor, empty


def _working(array: np.ndarray, reduced: bool) -> np.ndarray:
    """The array computed on: half precision as float32."""
    return array.astype(np.float32) if reduced else array


def _refuse(name: str, input: Tensor, axis: int) -> None:
    last = axis == len(input._layout.shape) - 1 or not input._layout.shape
    stub = f"{name}_lastdim_kernel_impl" if last else f"{name}_kernel_impl"
    error = kernel(stub, *EXACT, COMPLEX)(input.dtype)
    if error is not None:
        raise error


def _finish(work: np.ndarray, out: Tensor) -> Tensor:
    if work is not out._array:
        copy_array(out._array, work)
    return out


def _start(name: str, input: Tensor, dim: int) -> tuple[int, Tensor, np.ndarray]:
    axis = normalize_dim(integer(name, "dim", 2, dim), len(input._layout.shape))
    _refuse(name, input, axis)
    out = empty(contiguous(input._layout.shape), input.dtype)
    work = np.empty(input._layout.shape, np.float32) if input.dtype in REDUCED else out._array
    return axis, out, work


def _slope(function: Any, grad_output: Tensor, output: Tensor, dim: int) -> Tensor:
    """A gradient in fresh row-major memory, computed by `function(grad, output, out, axis)`."""
    reduced = output.dtype in REDUCED
    out = empty(contiguous(output._layout.shape), output.dtype)
    work = np.empty(output._layout.shape, np.float32) if reduced else out._array
    axis = normalize_dim(dim, len(output._layout.shape))
    grad, values = _working(grad_output._array, reduced), _working(output._array, reduced)
    along(axis, function, grad, values, work)
    return _finish(work, out)


def _softmax_output_grad(grad: Any, grad_output: Any, output: Any, dim: int) -> Any:
    return (
        grad * grad_output
        - (output * grad_output).sum(dim, keepdim=True) * grad
        - grad_output * (output * grad).sum(dim, keepdim=True)
    )


@operator(
    where="internal",
    gradient={
        "grad_output": lambda grad, output, dim: softmax_backward(grad, output, dim),
        "output": _softmax_output_grad,
    },
)
def softmax_backward(grad_output: Tensor, output: Tensor, dim: int) -> Tensor:
    """output · (grad − Σ grad · output)."""
    return _slope(formulas.softmax_slope, grad_output, output, dim)


@operator(
    where="internal",
    gradient={"input": lambda grad, out, dim: softmax_backward(grad, out, dim)},
    name="_softmax",
    backward_name="SoftmaxBackward0",
)
def softmax_of(input: Tensor, dim: int) -> Tensor:
    """exp(x) / Σ exp(x) along `dim`."""
    axis, out, work = _start("softmax", input, dim)
    along(axis, formulas.softmax, _working(input._array, input.dtype in REDUCED), work)
    return _finish(work, out)


def _log_softmax_output_grad(grad: Any, grad_output: Any, output: Any, dim: int) -> Any:
    return -grad_output.sum(dim, keepdim=True) * F.exp(output) * grad


@operator(
    where="internal",
    gradient={
        "grad_output": lambda grad, output, dim: (
            grad - (F.exp(output) * grad).sum(dim, keepdim=True)
        ),
        "output": _log_softmax_output_grad,
    },
)
def log_softmax_backward(grad_output: Tensor, output: Tensor, dim: int) -> Tensor:
    """grad − exp(output) · Σ grad."""
    return _slope(formulas.log_softmax_slope, grad_output, output, dim)


@operator(
    where="internal",
    gradient={"input": lambda grad, out, dim: log_softmax_backward(grad, out, dim)},
    name="_log_softmax",
    backward_name="LogSoftmaxBackward0",
)
def log_softmax_of(input: Tensor, dim: int) -> Tensor:
    """x − log Σ exp(x) along `dim`."""
    axis, out, work = _start("log_softmax", input, dim)
    reduced = input.dtype in REDUCED
    # Along the last dimension PyTorch keeps the sum and its logarithm in half precision.
    stored = input.dtype.numpy if reduced and axis == work.ndim - 1 else None
    along(axis, formulas.log_softmax, _working(input._array, reduced), work, stored=stored)
    return _finish(work, out)


def _dim_for(name: str, input: Tensor, dim: int | None, stacklevel: int) -> int:
    if dim is not None:
        return dim
    warnings.warn(
        f"Implicit dimension choice for {name} has been deprecated. Change the call to include "
        "dim=X as an argument.",
        stacklevel=stacklevel + 1,
    )
    return 0 if len(input._layout.shape) in (0, 1, 3) else 1


def _as(input: Tensor, d: dtype | None) -> Tensor:
    return input if d is None else convert(input, d)


@composite(where="torch Tensor special", out=True)
def softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """exp(x) / Σ exp(x) along `dim`. `dtype` converts the input first. Shape.

    As `input`, row-major.
    """
    return softmax_of(_as(input, dtype), dim)


@composite(where="torch Tensor special", out=True)
def log_softmax(input: Tensor, dim: int, dtype: dtype | None = None) -> Tensor:
    """log(softmax(x)) along `dim`, without overflow. `dtype` converts the input first."""
    return log_softmax_of(_as(input, dtype), dim)


@composite(where="nn.functional", name="softmax")
def functional_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None
) -> Tensor:
    """`softmax`; without `dim` one is guessed, with a warning."""
    return softmax_of(_as(input, dtype), _dim_for("softmax", input, dim, _stacklevel))


@composite(where="nn.functional", name="log_softmax")
def functional_log_softmax(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None
) -> Tensor:
    """`log_softmax`; without `dim` one is guessed, with a warning."""
    return log_softmax_of(_as(input, dtype), _dim_for("log_softmax", input, dim, _stacklevel))


@composite(where="nn.functional")
def softmin(
    input: Tensor, dim: int | None = None, _stacklevel: int = 3, dtype: dtype | None = None
) -> Tensor:
    """softmax(−x): small elements get large shares."""
    return softmax_of(_as(-input, dtype), _dim_for("softmin", input, dim, _stacklevel))


@composite(where="nn.functional")
def gumbel_softmax(
    logits: Tensor, tau: float = 1, hard: bool = False, eps: float = 1e-10, dim: int = -1
) -> Tensor:
    """A random draw of a category by `softmax((logits + noise) / tau)`, with Gumbel noise.

    With `hard` the result is one-hot, and its gradient that of the soft draw.
    """
    if eps != 1e-10:
        warnings.warn("`eps` parameter is deprecated and has no effect.", stacklevel=2)
    noise = -F.empty_like(logits).exponential_().log()
    soft = F.softmax((logits + noise) / tau, dim)
    if not hard:
        return soft
    index = F.argmax(soft, dim, keepdim=True)
    one_hot = F.zeros_like(logits).scatter_(dim, index, 1.0)
    return one_hot - soft.detach() + soft
