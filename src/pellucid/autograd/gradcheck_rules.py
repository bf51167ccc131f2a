"""What `gradcheck` asks of a backward formula besides its numbers.

It must be linear in what it is given (zeros give zeros), take undefined gradients, and give for a
batch of vectors what it gives for each of them.
"""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from typing import Any

import numpy as np

from pellucid.autograd.api import grad
from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.function import Function as CustomFunction
from pellucid.autograd.jacobians import Function, GradcheckError, differentiable, wanted
from pellucid.tensor.tensor import Tensor, adopt, from_numpy


def check_batched(number: int, output: Tensor, targets: Sequence[Tensor]) -> None:
    """A batch of vectors must give what the vectors give one by one."""
    vectors = [random_like((output,), False)[0].detach() for _ in range(2)]
    batch = arithmetic.stack(vectors)
    together = grad(
        output, targets, batch, retain_graph=True, allow_unused=True, is_grads_batched=True
    )
    single = [grad(output, targets, v, retain_graph=True, allow_unused=True) for v in vectors]
    for input, (found, expected) in enumerate(
        zip(together, zip(*single, strict=True), strict=True)
    ):
        if found is None or expected[0] is None:
            continue
        one_by_one = np.stack([e._array for e in expected])
        if not np.allclose(found._array, one_by_one):
            raise GradcheckError(
                f"For output {number} and input {input}:\n\n"
                "gradcheck or gradgradcheck failed while testing batched gradient computation.\n\n"
                f"Got:\n{found}\n\nExpected:\n{adopt(one_by_one)}"
            )


def check_linear(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    """Zero gradients must come back as zeros, in the dtype and shape of the inputs."""
    if not outputs:
        return
    zeros = [arithmetic.zeros_like(o, requires_grad=False) for o in outputs]
    for found, target in zip(
        grad(outputs, targets, zeros, allow_unused=True), targets, strict=True
    ):
        if found is None:
            continue
        if found._array.any():
            raise GradcheckError("backward not multiplied by grad_output")
        if found.dtype is not target.dtype:
            raise GradcheckError("grad is incorrect type")
        if found._layout.shape != target._layout.shape:
            raise GradcheckError("grad is incorrect size")


class _UndefinedGrad(CustomFunction):
    """Passes a tensor on; what comes back is an undefined gradient."""

    @staticmethod
    def forward(ctx: Any, x: Tensor) -> Tensor:
        return x

    @staticmethod
    def backward(ctx: Any, *grads: Any) -> Any:
        return None


def check_undefined(function: Function, inputs: Sequence[Any], count: int) -> None:
    """Backward must take undefined gradients for all outputs, and for each single one of
    several.
    """
    for undefined in [None, *range(count)] if count > 1 else [None]:
        outputs = [
            _UndefinedGrad.apply(o) if undefined is None or undefined == number else o
            for number, o in enumerate(differentiable(function(*inputs)))
        ]
        if outputs:
            _expect_nothing(outputs, wanted(inputs))


def _expect_nothing(outputs: Sequence[Tensor], targets: Sequence[Tensor]) -> None:
    zeros = [arithmetic.zeros_like(o, requires_grad=False) for o in outputs]
    try:
        found = grad(outputs, targets, zeros, allow_unused=True)
    except RuntimeError as error:
        _warn_undefined()
        raise GradcheckError(
            "Expected backward function to handle undefined output grads. "
            "An output that nobody used has gradient None: treat it as zeros, or leave "
            "ctx.set_materialize_grads(True)."
        ) from error
    if any(g is not None and g._array.any() for g in found):
        _warn_undefined()
        raise GradcheckError(
            "Expected all input grads to be undefined or zero when all output grads are undefined "
            "or zero."
        )


def _warn_undefined() -> None:
    warnings.warn(
        "Backwards compatibility: New undefined gradient support checking feature is enabled by "
        "default, but it may break existing callers of this function. If this is true for you, you "
        "can call this function with "
        '"check_undefined_grad=False" to disable the feature',
        stacklevel=6,
    )


def random_like(outputs: Sequence[Tensor], scattered: bool) -> tuple[Tensor, ...]:
    """Random tensors in [-1, 1) like `outputs`, with a gap behind each element if `scattered`."""
    random = np.random.default_rng(0)
    made = []
    for output in outputs:
        shape = (*output._layout.shape, 2) if scattered else output._layout.shape
        values = random.uniform(-1, 1, shape)
        if output.dtype.is_complex:
            values = values + 1j * random.uniform(-1, 1, shape)
        values = np.asarray(values).astype(output.dtype.numpy)
        made.append(
            (
                from_numpy(values[..., 0]) if scattered else adopt(values, output.dtype)
            ).requires_grad_()
        )
    return tuple(made)
