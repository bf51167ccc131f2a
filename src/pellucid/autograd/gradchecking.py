"""`gradcheck` and `gradgradcheck`: hold the tape's gradients against finite differences.

Slow mode compares whole Jacobians. Fast mode compares one number for each pair of an input and an
output: vᵀJu for random u and v, which a wrong entry of J changes with certainty in practice. Use
float64 inputs: differences of float32 numbers are too coarse.
"""

from __future__ import annotations

import sys
import warnings
from collections.abc import Sequence
from dataclasses import dataclass
from types import ModuleType
from typing import Any

import numpy as np

from pellucid.autograd.api import grad
from pellucid.autograd.gradcheck_forward import check_batched_forward, check_forward
from pellucid.autograd.gradcheck_rules import (
    check_batched,
    check_linear,
    check_undefined,
    random_like,
)
from pellucid.autograd.jacobians import (
    Function,
    GradcheckError,
    along,
    analytical,
    as_tuple,
    differentiable,
    numerical,
    twice,
    wanted,
)
from pellucid.tensor.tensor import Tensor, adopt

__all__ = ["GradcheckError", "gradcheck", "gradgradcheck"]

_DOUBLE = ("float64", "complex128")


@dataclass(frozen=True, slots=True)
class _Check:
    """What a check was asked for. `part` is "real" or "imaginary" while a function with complex
    outputs is split.
    """

    eps: float
    atol: float
    rtol: float
    nondet_tol: float
    check_grad_dtypes: bool
    fast_mode: bool
    split: frozenset[int] = frozenset()
    part: str = ""


def gradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_batched_forward_grad: bool = False,
    check_forward_ad: bool = False,
    check_backward_ad: bool = True,
    fast_mode: bool = False,
    masked: bool | None = None,
) -> bool:
    """Whether the gradients of `func(*inputs)` agree with central differences of step `eps`, within
    `atol + rtol * |numerical|`.

    For each floating or complex input that requires a gradient. Raises GradcheckError where they
    differ (with `raise_exception=False` the answer is False), ValueError if no input requires a
    gradient. `nondet_tol` is how far two backward passes may differ; `masked` is about sparse
    tensors, which do not exist here.

    `check_forward_ad` compares derivatives along directions too, `check_batched_grad` and
    `check_batched_forward_grad` those of batches of vectors and directions.
    """
    _refuse_combinations(
        check_forward_ad, check_backward_ad, check_batched_grad, check_batched_forward_grad
    )
    given = as_tuple(inputs)
    check = _Check(eps, atol, rtol, nondet_tol, check_grad_dtypes, fast_mode)
    try:
        _check_inputs(given)
        outputs: tuple[Tensor, ...] = ()
        if check_backward_ad:
            outputs = _compare_parts(check, func, given)
        if check_forward_ad:
            check_forward(func, given, eps, atol, rtol, fast_mode)
        if check_batched_forward_grad:
            check_batched_forward(func, given, random_like)
        if not check_backward_ad:
            return True
        if check_batched_grad:
            for number, output in enumerate(outputs):
                check_batched(number, output, wanted(given))
        check_linear(outputs, wanted(given))
        if check_undefined_grad:
            check_undefined(func, given, len(outputs))
    except GradcheckError:
        if raise_exception:
            raise
        return False
    return True


def gradgradcheck(
    func: Function,
    inputs: Tensor | Sequence[Any],
    grad_outputs: Any = None,
    *,
    eps: float = 1e-6,
    atol: float = 1e-5,
    rtol: float = 1e-3,
    gen_non_contig_grad_outputs: bool = False,
    raise_exception: bool = True,
    nondet_tol: float = 0.0,
    check_undefined_grad: bool = True,
    check_grad_dtypes: bool = False,
    check_batched_grad: bool = False,
    check_fwd_over_rev: bool = False,
    check_rev_over_rev: bool = True,
    fast_mode: bool = False,
    masked: bool = False,
) -> bool:
    """`gradcheck` of the backward pass of `func`: as a function of the inputs and of `grad_outputs`
    (random in [-1, 1) if not given).
    """
    if not (check_fwd_over_rev or check_rev_over_rev):
        raise AssertionError(
            "Expected at least one of check_fwd_over_rev or check_rev_over_rev to be True"
        )
    for flag, asked in (
        ("check_undefined_grad", check_undefined_grad),
        ("check_batched_grad", check_batched_grad),
    ):
        if asked and not check_rev_over_rev:
            raise AssertionError(f"Setting {flag}=True requires check_rev_over_rev to be True")
    given = as_tuple(inputs)
    if grad_outputs is None:
        vectors = random_like(differentiable(func(*given)), gen_non_contig_grad_outputs)
    else:
        vectors = as_tuple(grad_outputs)
    count = len(vectors)
    active = [i for i, x in enumerate(given) if isinstance(x, Tensor) and x.requires_grad]

    def backward_pass(*args: Any) -> tuple[Tensor, ...]:
        values = args[: len(args) - count]
        outputs = differentiable(func(*values))
        found = grad(
            outputs,
            [values[i] for i in active],
            args[len(args) - count :],
            create_graph=True,
            allow_unused=True,
        )
        return tuple(g for g in found if g is not None)

    return gradcheck(
        backward_pass,
        (*given, *vectors),
        eps=eps,
        atol=atol,
        rtol=rtol,
        raise_exception=raise_exception,
        nondet_tol=nondet_tol,
        check_undefined_grad=check_undefined_grad,
        check_grad_dtypes=check_grad_dtypes,
        check_batched_grad=check_batched_grad,
        check_forward_ad=check_fwd_over_rev,
        check_backward_ad=check_rev_over_rev,
        fast_mode=fast_mode,
        masked=masked,
    )


def _refuse_combinations(
    forward: bool, backward: bool, batched: bool, batched_forward: bool
) -> None:
    if not (forward or backward):
        raise AssertionError(
            "Expected at least one of check_forward_ad or check_backward_ad to be True"
        )
    if batched and not backward:
        raise AssertionError(
            "Setting check_batched_grad=True requires check_backward_ad to be True"
        )
    if batched_forward and not forward:
        raise AssertionError(
            "Setting check_batched_forward_grad=True requires check_forward_ad to be True"
        )


def _check_inputs(inputs: Sequence[Any]) -> None:
    for number, x in enumerate(inputs):
        if not (isinstance(x, Tensor) and x.requires_grad):
            continue
        if x.dtype.name not in _DOUBLE:
            warnings.warn(
                f"Input #{number} requires gradient and is not a double precision floating point "
                "or complex. This check will likely fail if all the inputs are not of double "
                "precision floating point or complex. ",
                stacklevel=3,
            )
        if any(s == 0 and n > 1 for s, n in zip(x._layout.strides, x._layout.shape, strict=True)):
            raise RuntimeError(
                f"The {number}th input has a dimension with stride 0. gradcheck only supports "
                "inputs that are non-overlapping to be able to compute the numerical gradients "
                "correctly. You should call .contiguous on the input before passing it to "
                "gradcheck."
            )
    if not wanted(inputs):
        raise ValueError(
            "gradcheck expects at least one input tensor to require gradient, but none of them "
            "have requires_grad=True."
        )


# -- Jacobians


def _compare_parts(check: _Check, function: Function, inputs: Sequence[Any]) -> tuple[Tensor, ...]:
    """Compare, for complex outputs the imaginary part first, then the real one. Returns the
    differentiable outputs.
    """
    result = as_tuple(function(*inputs))
    outputs = differentiable(result)
    compare = _compare_projected if check.fast_mode else _compare_jacobians
    if not any(isinstance(o, Tensor) and o.dtype.is_complex for o in result):
        compare(check, function, inputs)
        return outputs
    split = frozenset(i for i, o in enumerate(outputs) if o.dtype.is_complex)
    for part, name in (("imaginary", "imag"), ("real", "real")):
        compare(_of_part(check, split, part), _part(function, name), inputs)
    return outputs


def _of_part(check: _Check, split: frozenset[int], part: str) -> _Check:
    return _Check(
        check.eps,
        check.atol,
        check.rtol,
        check.nondet_tol,
        check.check_grad_dtypes,
        check.fast_mode,
        split,
        part,
    )


def _part(function: Function, name: str) -> Function:
    def wrapped(*inputs: Any) -> tuple[Any, ...]:
        found = as_tuple(function(*inputs))
        return tuple(
            getattr(o, name) if isinstance(o, Tensor) and o.dtype.is_complex else o for o in found
        )

    return wrapped


def _compare_jacobians(check: _Check, function: Function, inputs: Sequence[Any]) -> None:
    result = as_tuple(function(*inputs))
    by_difference = numerical(function, inputs, check.eps)
    outputs = [(i, o) for i, o in enumerate(result) if isinstance(o, Tensor) and o.requires_grad]
    if not outputs:
        _expect_zero(by_difference, 0.0)
        return
    for number, (place, output) in enumerate(outputs):
        by_tape = analytical(inputs, output, check.nondet_tol, check.check_grad_dtypes)
        for i, (ours, row) in enumerate(zip(by_tape, by_difference, strict=True)):
            theirs = row[place]
            assert theirs is not None
            if not np.allclose(ours, theirs, check.rtol, check.atol):
                raise GradcheckError(_mismatch(check, ours, theirs, number, i))


def _expect_zero(jacobians: Sequence[Sequence[np.ndarray | None]], tolerance: float) -> None:
    for row in jacobians:
        for matrix in row:
            if matrix is not None and matrix.size and np.abs(matrix).max() > tolerance:
                raise GradcheckError("Numerical gradient for function expected to be zero")


def _mismatch(check: _Check, ours: Any, theirs: Any, output: int, input: int) -> str:
    prefix = ""
    if output in check.split:
        prefix = f"While considering the {check.part} part of complex outputs only, "
    return (
        f"{prefix}Jacobian mismatch for output {output} with respect to input {input},\n"
        f"numerical:{adopt(np.asarray(theirs))}\nanalytical:{adopt(np.asarray(ours))}\n"
    )


def _compare_projected(check: _Check, function: Function, inputs: Sequence[Any]) -> None:
    """Fast mode: vᵀJu for each pair of an output and an input. u and v are nonnegative unit
    vectors, always the same ones.
    """
    random = np.random.default_rng(0)
    result = as_tuple(function(*inputs))
    outputs = [(i, o) for i, o in enumerate(result) if isinstance(o, Tensor) and o.requires_grad]
    v = [_unit(random, o.numel()) for _, o in outputs]
    targets = wanted(inputs)
    u = [(_unit(random, t.numel()), _unit(random, t.numel())) for t in targets]
    moved = []
    for target, (real, imaginary) in zip(targets, u, strict=True):
        shape = target._layout.shape
        direction = (real.reshape(shape), imaginary.reshape(shape))
        moved.append(
            along(
                function,
                inputs,
                target,
                direction if target.dtype.is_complex else direction[0],
                check.eps,
            )
        )
    if not outputs:
        _expect_zero(moved, check.nondet_tol)
    for number, (place, output) in enumerate(outputs):
        vector = adopt(
            v[number].reshape(output._layout.shape).astype(output.dtype.numpy), output.dtype
        )
        by_tape = twice(inputs, output, [vector], check.nondet_tol, check.check_grad_dtypes)
        for i, matrix in enumerate(by_tape):
            real, imaginary = u[i]
            column = matrix[:, 0]
            derivative = moved[i][place]
            assert derivative is not None
            theirs = np.dot(derivative, v[number])
            ours = column.real @ real
            scale = real.sum()
            if targets[i].dtype.is_complex:
                ours = ours + 1j * (column.imag @ imaginary)
                scale += imaginary.sum()
            atol = check.atol * float(scale) * float(v[number].sum())
            if not np.allclose(ours, theirs, check.rtol, atol):
                message = _mismatch(check, ours, theirs, number, i)
                raise GradcheckError(
                    message + _in_slow_mode(check, function, inputs, place, number, i)
                )


def _unit(random: np.random.Generator, size: int) -> np.ndarray:
    vector = random.random(size)
    return vector / np.linalg.norm(vector) if size else vector


def _in_slow_mode(
    check: _Check, function: Function, inputs: Sequence[Any], place: int, number: int, input: int
) -> str:
    theirs = numerical(function, inputs, check.eps)[input][place]
    output = differentiable(function(*inputs))[number]
    ours = analytical(inputs, output, float("inf"), False)[input]
    assert theirs is not None
    message = (
        "\nThe above quantities relating the numerical and analytical jacobians are computed \nin "
        "fast mode (vᵀJu for random u and v). Below, we recompute numerical and analytical "
        "jacobians in slow mode:\n\n"
        f"Numerical:\n {adopt(theirs)}\nAnalytical:\n{adopt(ours)}\n\n"
        f"The max per-element difference (slow mode) is: {np.abs(theirs - ours).max()}.\n"
    )
    if np.allclose(ours, theirs, check.rtol, check.atol):
        message += (
            "Fast gradcheck failed but element-wise differences are small. This means that the "
            "test might've passed in slow_mode!"
        )
    return message


class _Called(ModuleType):
    """The function and this module have one name in `torch.autograd`; importing the module puts it
    in the function's place, so it answers calls.
    """

    def __call__(self, *args: Any, **kwargs: Any) -> bool:
        return gradcheck(*args, **kwargs)


sys.modules[__name__].__class__ = _Called
