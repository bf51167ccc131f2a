"""Derivatives along a direction, for every operator that has a gradient: two backward passes.

The product of a vector with the Jacobian, wᵀJ, is linear in w, and its derivative in w is J. So the
tape of one backward pass with an undetermined w is run backwards in turn with the direction v, and
gives Jv (Townsend, "A new trick for calculating Jacobian vector products", 2017). No operator needs
a rule of its own for that. The cost: a recorded backward pass once, for any number of directions,
and a pass over that record for each; together about twice the work of a rule for each operator.
"""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from contextlib import contextmanager

from pellucid.autograd.api import grad
from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.modes import enable_grad, set_grad_enabled, state
from pellucid.autograd.node import wants_grad
from pellucid.tensor.levels import Batched, wrap
from pellucid.tensor.tensor import Tensor


@contextmanager
def _undetermined_weights() -> Iterator[None]:
    """Formulas that refuse some weights (a loss that depends on the phase of an eigenvector) must
    take these, which are no loss.
    """
    before, state.undetermined = state.undetermined, True
    try:
        yield
    finally:
        state.undetermined = before


def undetermined(like: Tensor) -> Tensor:
    """Weights for a tensor, on its level, that want a gradient.

    Any numbers would do in a linear formula; ones also where it goes through logarithms.
    """
    made = arithmetic.ones(like._layout.shape, dtype=like.dtype)
    if isinstance(like, Batched):
        made = wrap(made, like._level, False)
    made._requires_grad = True
    return made


class Pushforward:
    """The derivative of `outputs` when `inputs` move, as a function of the direction.

    The inputs are tensors from which the outputs were computed with recording on.
    """

    def __init__(self, outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> None:
        self.outputs = list(outputs)
        self.places = [i for i, output in enumerate(outputs) if wants_grad(output)]
        self.weights = [undetermined(outputs[i]) for i in self.places]
        self.pulled: tuple[Tensor | None, ...] = (None,) * len(inputs)
        if self.places:
            with enable_grad(), _undetermined_weights():
                self.pulled = grad(
                    [outputs[i] for i in self.places],
                    inputs,
                    self.weights,
                    create_graph=True,
                    allow_unused=True,
                )

    def __call__(
        self, directions: Sequence[Tensor | None], create_graph: bool
    ) -> list[Tensor | None]:
        """The derivative of each output along `directions`, one for each input (None: it does not
        move). None where an output does not depend on the inputs that move.
        """
        found: list[Tensor | None] = [None] * len(self.outputs)
        used = [
            (pulled, direction)
            for pulled, direction in zip(self.pulled, directions, strict=True)
            if pulled is not None and direction is not None and wants_grad(pulled)
        ]
        if not used:
            return found
        with set_grad_enabled(create_graph):
            pushed = grad(
                [pulled for pulled, _ in used],
                self.weights,
                [direction for _, direction in used],
                retain_graph=True,
                create_graph=create_graph,
                allow_unused=True,
            )
        for place, value in zip(self.places, pushed, strict=True):
            found[place] = value
        return found


def forward_jacobian(outputs: Sequence[Tensor], inputs: Sequence[Tensor]) -> list[list[Tensor]]:
    """For each output and each input a tensor of shape `output.shape + input.shape`, a column at a
    time.
    """
    push = Pushforward(outputs, inputs)
    found: list[list[Tensor]] = [[] for _ in outputs]
    for place, point in enumerate(inputs):
        columns: list[list[Tensor]] = [[] for _ in outputs]
        for number in range(point._layout.numel):
            unit = arithmetic.zeros(point._layout.numel, dtype=point.dtype)
            unit._array[number] = 1
            directions: list[Tensor | None] = [None] * len(inputs)
            directions[place] = unit.view(point._layout.shape)
            for column, output, moved in zip(
                columns, outputs, push(directions, False), strict=True
            ):
                column.append(arithmetic.zeros_like(output) if moved is None else moved)
        for row, column, output in zip(found, columns, outputs, strict=True):
            shape = (*output._layout.shape, *point._layout.shape)
            row.append(
                arithmetic.stack(column, -1).detach().reshape(shape)
                if column
                else arithmetic.zeros(shape, dtype=output.dtype)
            )
    return found
