"""What `gradcheck` asks of derivatives along directions: `check_forward_ad` and
`check_batched_forward_grad`.

A derivative along a direction is two backward passes here (`pushforward.py`), so this holds the
gradients of gradient formulas against differences. The `jvp` of a custom Function is not called.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.autograd.api import grad
from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.jacobians import Function, GradcheckError, along_one, as_tuple, wanted
from pellucid.autograd.node import wants_grad
from pellucid.autograd.pushforward import Pushforward
from pellucid.tensor.tensor import Tensor, adopt


@dataclass(frozen=True)
class _Point:
    """A function at its inputs: what it returned that has a derivative, and where among all."""

    function: Function
    inputs: Sequence[Any]
    targets: list[Tensor]
    outputs: list[tuple[int, Tensor]]
    push: Pushforward

    def moved(self, target: Tensor, direction: np.ndarray) -> list[np.ndarray]:
        """The derivative of each output when `target` moves along `direction`, flat."""
        moves: list[Tensor | None] = [
            adopt(direction, target.dtype) if each is target else None for each in self.targets
        ]
        found = self.push(moves, create_graph=False)
        return [
            np.zeros(o.numel(), o.dtype.numpy) if f is None else _shaped(f, o)._array.reshape(-1)
            for f, (_, o) in zip(found, self.outputs, strict=True)
        ]


def _shaped(found: Tensor, output: Tensor) -> Tensor:
    if found._layout.shape != output._layout.shape:
        raise GradcheckError("Analytical gradient has incorrect size")
    return found


def _at(function: Function, inputs: Sequence[Any]) -> _Point:
    outputs = [
        (place, output)
        for place, output in enumerate(as_tuple(function(*inputs)))
        if isinstance(output, Tensor) and wants_grad(output)
    ]
    targets = wanted(inputs)
    return _Point(function, inputs, targets, outputs, Pushforward([o for _, o in outputs], targets))


def _parts(target: Tensor) -> list[tuple[str, complex]]:
    """Real inputs move one way, complex ones two."""
    if not target.dtype.is_complex:
        return [("", 1)]
    words = "While considering the {} part of complex inputs only, "
    return [(words.format("imaginary"), 1j), (words.format("real"), 1)]


def check_forward(
    function: Function, inputs: Sequence[Any], eps: float, atol: float, rtol: float, fast: bool
) -> None:
    """Derivatives along each element's direction, or along a random one (`fast`), must agree with
    central differences.

    Raises: GradcheckError where they do not, and where no movement moves an output.
    """
    point = _at(function, inputs)
    random = np.random.default_rng(0)
    for number, target in enumerate(point.targets):
        for prefix, factor in _parts(target):
            directions = _random(target, random) if fast else _units(target)
            rows = [(d * factor).astype(target.dtype.numpy) for d in directions]
            _compare(point, number, target, prefix, rows, eps, atol, rtol)
        still = np.zeros(target._layout.shape, target.dtype.numpy)
        if any(each.any() for each in point.moved(target, still)):
            raise GradcheckError(
                "Expected all output derivatives to be undefined or zero when the inputs do not "
                "move"
            )


def _units(target: Tensor) -> list[np.ndarray]:
    shape = target._layout.shape
    return list(np.eye(target.numel()).reshape(target.numel(), *shape))


def _random(target: Tensor, random: np.random.Generator) -> list[np.ndarray]:
    found = random.random(target._layout.shape)
    return [found / float(np.linalg.norm(found))] if found.size else []


def _compare(
    point: _Point, number: int, target: Tensor, prefix: str, rows: list[np.ndarray],
    eps: float, atol: float, rtol: float,
) -> None:  # fmt: skip
    if not rows:
        return
    analytical = [point.moved(target, row) for row in rows]
    numerical = [along_one(point.function, point.inputs, target, row, eps) for row in rows]
    for output, (place, _) in enumerate(point.outputs):
        ours = np.stack([row[output] for row in analytical])
        columns = [row[place] for row in numerical]
        theirs = np.stack([column for column in columns if column is not None])
        if not np.allclose(ours, theirs, rtol, atol):
            raise GradcheckError(
                f"{prefix}Jacobian computed with forward mode mismatch for output {output} with "
                f"respect to input {number},\nnumerical:{adopt(theirs)}\nanalytical:{adopt(ours)}\n"
            )


def check_batched_forward(
    function: Function, inputs: Sequence[Any], like: Callable[..., tuple[Tensor, ...]]
) -> None:
    """A batch of directions must give what the directions give one by one."""
    point = _at(function, inputs)
    for number, target in enumerate(point.targets):
        pulled = point.push.pulled[number]
        if pulled is None or not wants_grad(pulled):
            continue
        moves = [like((target,), False)[0].detach() * factor for factor in (1.0, -0.5)]
        batch = arithmetic.stack(moves)
        together = grad(
            [pulled], point.push.weights, [batch], retain_graph=True, allow_unused=True,
            is_grads_batched=True,
        )  # fmt: skip
        single = [point.moved(target, each._array) for each in moves]
        for output, found in enumerate(together):
            expected = np.stack([each[output] for each in single])
            if found is None:
                continue
            if not np.allclose(found._array.reshape(expected.shape), expected):
                raise GradcheckError(
                    f"For output {output} and input {number}:\n\n"
                    "gradcheck failed while testing batched gradient computation in forward "
                    "mode.\n\n"
                    f"Got:\n{found}\n\nExpected:\n{adopt(expected)}"
                )
