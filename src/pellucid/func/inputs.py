"""What the transforms share: inputs on the tape, results off it again, and the choice of arguments.

Every transform gives its function fresh tensors over the memory of its inputs: leaves, or aliases
recorded on the tape where somebody outside wants a gradient too. Gradients are taken with respect
to these, so that a function that also sees an input by another way (a closure) is differentiated in
the argument alone, and transforms nest without knowing of each other.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable, Sequence
from typing import Any

from pellucid.autograd.modes import state
from pellucid.autograd.node import AccumulateGrad, current_grad_fn, wants_grad
from pellucid.ops.api import F
from pellucid.ops.batching.interpreter import lifted
from pellucid.tensor.dtype import FLOATING
from pellucid.tensor.levels import levels
from pellucid.tensor.tensor import Tensor
from pellucid.utils._pytree import tree_flatten, tree_map, tree_unflatten

Argnums = int | tuple[int, ...]


def own(tensor: Any) -> Tensor:
    """A tensor of the same values that wants a gradient of its own, on the innermost level.

    Raises: ValueError for anything that is no tensor, RuntimeError for one that counts.
    """
    if not isinstance(tensor, Tensor):
        raise ValueError(f"Thing passed to transform API must be Tensor, got {type(tensor)}")
    if tensor.dtype.category < FLOATING:
        raise RuntimeError(
            "only Tensors of floating point dtype can require gradients\n"
            f"  This one is {tensor.dtype}: convert it with .float(), or leave it out of argnums."
        )
    if levels.stack:
        tensor = lifted(tensor, levels.stack[-1])
    if state.grad and wants_grad(tensor):
        made: Tensor = F.internal.alias(tensor)
        made._base = made._view = None
        return made
    made = tensor._twin()
    made._requires_grad = True
    return made


def reaches_others(roots: Iterable[Any], leaves: Sequence[Tensor]) -> bool:
    """Whether the tape behind `roots` ends anywhere but in `leaves`."""
    mine = {id(leaf) for leaf in leaves}
    waiting: list[Any] = []
    for root in roots:
        if isinstance(root, Tensor) and wants_grad(root):
            node = current_grad_fn(root)
            if node is not None:
                waiting.append(node)
            elif id(root) not in mine:
                return True
    seen = set(map(id, waiting))
    while waiting:
        node = waiting.pop()
        if isinstance(node, AccumulateGrad):
            if id(node.variable) not in mine:
                return True
            continue
        for edge in node.edges:
            if edge is not None and id(edge[0]) not in seen:
                seen.add(id(edge[0]))
                waiting.append(edge[0])
    return False


def released(tree: Any, leaves: Sequence[Tensor], recording: bool) -> Any:
    """Results for the caller: on the tape only if `recording` and something besides `leaves` is
    behind them.
    """

    def release(value: Any) -> Any:
        on_tape = isinstance(value, Tensor) and wants_grad(value)
        if on_tape and not (recording and reaches_others((value,), leaves)):
            return value._twin()
        return value

    return tree_map(release, tree)


def keeps_tape(roots: Sequence[Any], leaves: Sequence[Tensor], recording: bool) -> bool:
    """Whether a backward pass must itself be recorded: somebody outside differentiates it, or may
    do so where a level of `vmap` hides the tape outside.
    """
    return recording and (
        any(level.tracked for level in levels.stack) or reaches_others(roots, leaves)
    )


# -- arguments


def chosen(args: tuple[Any, ...], argnums: Any) -> tuple[Any, ...]:
    """The arguments that `argnums` names, as a tuple. RuntimeError for numbers that are none."""
    return tuple(args[number] for number in numbers(args, argnums))


def numbers(args: tuple[Any, ...], argnums: Any) -> tuple[int, ...]:
    """`argnums` as places in `args`."""
    if not isinstance(argnums, (int, tuple)):
        raise RuntimeError(f"argnums must be int or Tuple[int, ...], got: {type(argnums)}")
    given = argnums if isinstance(argnums, tuple) else (argnums,)
    if not given:
        raise RuntimeError("argnums must be non-empty")
    found = tuple(_number(number, len(args)) for number in given)
    if len(set(found)) != len(found):
        raise RuntimeError(f"argnums elements must be unique, got {argnums}")
    return found


def _number(number: Any, count: int) -> int:
    if not isinstance(number, int):
        raise RuntimeError(f"argnum must be int, got: {type(number)}")
    if not -count <= number < count:
        raise RuntimeError(f"Got argnum={number}, but only {count} positional inputs")
    return number % count


def replaced(
    args: tuple[Any, ...], places: tuple[int, ...], values: Sequence[Any]
) -> tuple[Any, ...]:
    """`args` with other values in some places."""
    found = list(args)
    for place, value in zip(places, values, strict=True):
        found[place] = value
    return tuple(found)


class Point:
    """The arguments of one call of a transformed function, the chosen ones as fresh tensors."""

    def __init__(self, args: tuple[Any, ...], argnums: Any) -> None:
        places = tuple(range(len(args))) if argnums is None else numbers(args, argnums)
        self.single = isinstance(argnums, int)
        tree = tuple(args[place] for place in places)
        flat, self.spec = tree_flatten(tree)
        self.given = flat
        self.leaves = [own(tensor) for tensor in flat]
        self.args = replaced(args, places, tree_unflatten(self.leaves, self.spec))

    def shaped(self, values: Sequence[Any]) -> Any:
        """One value for each chosen tensor, nested as the arguments are."""
        tree = tree_unflatten(values, self.spec)
        return tree[0] if self.single else tree


def call(
    func: Callable[..., Any],
    args: tuple[Any, ...],
    kwargs: dict[str, Any],
    has_aux: bool,
    words: str,
) -> tuple[Any, Any]:
    """The function's output, and what it returns beside it if `has_aux`."""
    result = func(*args, **kwargs)
    if not has_aux:
        return result, None
    if not (isinstance(result, tuple) and len(result) == 2):
        raise RuntimeError(words)
    return result
