"""`einsum`: products and sums of tensors by the letters of their dimensions.

The equation is read once for its shapes (`einsum_syntax`), the order of contractions is planned
once (`einsum_plan`), and every contraction is one matrix product (`contraction`). What only
rearranges, such as `"ij->ji"` or `"ii->i"`, is a view.
"""

from __future__ import annotations

from collections.abc import Sequence
from typing import Any

from pellucid.ops.arguments import wrong_type
from pellucid.ops.dispatch import composite
from pellucid.ops.einsum.contraction import contract_to
from pellucid.ops.einsum.plan import Plan, Single, plan
from pellucid.ops.einsum.syntax import equation_of, shapes_of
from pellucid.tensor.tensor import Tensor


def _given(arguments: Sequence[Any]) -> tuple[str, list[Tensor]]:
    """Equation and operands of either spelling of a call."""
    if len(arguments) < 2:
        raise ValueError(
            "einsum(): must specify the equation string and at least one operand, or at least one "
            "operand and its subscripts list"
        )
    if isinstance(arguments[0], Tensor):
        output = arguments[-1] if len(arguments) % 2 else None
        pairs = arguments[:-1] if len(arguments) % 2 else arguments
        return equation_of(pairs[1::2], output), list(pairs[::2])
    operands = arguments[1:]
    if len(operands) == 1 and isinstance(operands[0], (list, tuple)):
        operands = operands[0]
    equation = arguments[0]
    if not isinstance(equation, str):
        raise wrong_type("einsum", "equation", 1, "str", equation)
    return equation, list(operands)


@composite(where="torch")
def einsum(*args: Any) -> Tensor:
    """Multiply operands and sum over the letters that the output does not have.

    `einsum("ij,jk->ik", a, b)`: each operand's term has one letter for each dimension, `...` stands
    for any number of further ones (they broadcast), a letter repeated within a term takes the
    diagonal. Without `->` the output has the letters that occur once, in alphabetical order. Or
    with lists of numbers: `einsum(a, [0, 1], b, [1, 2], [0, 2])`.

    Returns a view where nothing is computed. Raises RuntimeError for an equation that does not fit
    the operands.
    """
    equation, operands = _given(args)
    for place, each in enumerate(operands):
        if not isinstance(each, Tensor):
            raise TypeError(
                f"expected Tensor as element {place} in argument 1, but got {type(each).__name__}"
            )
    found = plan(equation, shapes_of(operands))
    prepared = [
        _prepared(each, single) for each, single in zip(operands, found.singles, strict=True)
    ]
    if len(prepared) == 1:
        return _rearranged(prepared[0], found)
    may_swap = not any(single.summed for single in found.singles)
    for pair in found.pairs:
        first, second = pair.places
        right, left = prepared.pop(second), prepared.pop(first)
        prepared.append(contract_to(left, right, pair.left, pair.right, pair.result, may_swap))
    result = prepared[0]
    if result._base is None and len(found.terms.sizes) > len(found.terms.output):
        return result.view(result._layout.shape)
    return result


def _prepared(operand: Tensor, single: Single) -> Tensor:
    """Diagonals taken, broadcast dimensions dropped, lonely letters summed."""
    for first, second in single.diagonals:
        operand = operand.diagonal(0, first, second)
    for place in single.dropped:
        operand = operand.select(place, 0)
    if not single.summed:
        return operand
    return operand.permute(single.order).sum(tuple(range(-single.summed, 0)))


def _rearranged(operand: Tensor, found: Plan) -> Tensor:
    """One operand: its dimensions in the output's order, the rest summed."""
    term, output = found.singles[0].term, found.terms.output
    rest = "".join(letter for letter in term if letter not in output)
    shown = operand.permute(tuple(term.index(letter) for letter in output + rest))
    return shown.sum(tuple(range(len(output), len(term)))) if rest else shown


def einsum_plan(*args: Any) -> Plan:
    """The plan that `einsum` with these arguments follows: an object that prints as a table.

    >>> import pellucid
    >>> print(einsum_plan("ij,jk", pellucid.zeros(2, 3), pellucid.zeros(3, 4)))
    einsum 'ij,jk' with i=2, j=3, k=4
      48 flops in 1 steps (all at once: 48), largest result 8 elements
      1. operands (0, 1): ij,jk->ik  matmul (2, 3) @ (3, 4), 48 flops
    """
    equation, operands = _given(args)
    return plan(equation, shapes_of(operands))
