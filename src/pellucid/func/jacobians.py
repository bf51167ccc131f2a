"""`jacrev`, `jacfwd`, `hessian`: all products of a Jacobian with unit vectors, as one `vmap`."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pellucid.autograd.modes import state
from pellucid.func.derivatives import line_of, vjp_of
from pellucid.func.inputs import Argnums, chosen, released
from pellucid.func.mapping import vmap
from pellucid.ops.api import F
from pellucid.tensor.tensor import Tensor
from pellucid.utils._pytree import tree_flatten, tree_leaves, tree_unflatten

Function = Callable[..., Any]


def jacrev(
    func: Function,
    argnums: Argnums = 0,
    *,
    has_aux: bool = False,
    chunk_size: int | None = None,
    _preallocate_and_copy: bool = False,
) -> Function:
    """A function that computes the Jacobian of `func` by backward passes: for each output and each
    argument of `argnums` a tensor of shape `output.shape + argument.shape`.

    One pass for each element of the outputs, `chunk_size` of them at once (all, if None): for
    functions with more inputs than outputs. With `has_aux` `(jacobian, aux)` comes back.
    """
    if not (chunk_size is None or chunk_size > 0):
        raise ValueError("jacrev: `chunk_size` should be greater than 0.")

    @functools.wraps(func)
    def jacobian(*args: Any) -> Any:
        _refuse_complex("jacrev", args, "inputs")
        output, pull, *aux = vjp_of(func, args, argnums, has_aux)
        outputs, spec = tree_flatten(output)
        _refuse_complex("jacrev", outputs, "outputs")
        inputs, inputs_spec = tree_flatten(chosen(args, argnums))
        basis = _unit_vectors(outputs)
        rows = vmap(lambda *w: pull(tree_unflatten(list(w), spec)), chunk_size=chunk_size)(*basis)
        columns = [
            _cut(row, [o.shape for o in outputs], input.shape, 0)
            for row, input in zip(tree_leaves(rows), inputs, strict=True)
        ]
        # One column of outputs for each input becomes one row of inputs for each output.
        found = [tree_unflatten(list(row), inputs_spec) for row in zip(*columns, strict=True)]
        single = isinstance(argnums, int)
        result = tree_unflatten([row[0] if single else row for row in found], spec)
        return (result, aux[0]) if has_aux else result

    return jacobian


def jacfwd(
    func: Function, argnums: Argnums = 0, has_aux: bool = False, *, randomness: str = "error"
) -> Function:
    """A function that computes the Jacobian of `func` by derivatives along unit vectors: the same
    result as `jacrev`, for functions with more outputs than inputs.
    """

    @functools.wraps(func)
    def jacobian(*args: Any) -> Any:
        recording = state.grad
        _refuse_complex("jacfwd", args, "inputs")
        line = line_of(func, args, argnums, has_aux)
        _refuse_complex("jacfwd", line.outputs, "outputs")
        inputs, inputs_spec = tree_flatten(chosen(args, argnums))
        basis = _unit_vectors(inputs)
        columns = vmap(lambda *v: line(list(v), state.grad), out_dims=-1, randomness=randomness)(
            *basis
        )
        rows = [
            _cut(column, [x.shape for x in inputs], output.shape, -1)
            for column, output in zip(tree_leaves(columns), line.outputs, strict=True)
        ]
        found = [tree_unflatten(list(row), inputs_spec) for row in rows]
        single = isinstance(argnums, int)
        result = tree_unflatten([row[0] if single else row for row in found], line.spec)
        if has_aux:
            return result, released(line.aux, line.point.leaves, recording)
        return result

    return jacobian


def hessian(func: Function, argnums: Argnums = 0) -> Function:
    """A function that computes the second derivatives of `func`: for outputs of one number a tensor
    of shape `argument.shape + argument.shape` for each pair of arguments.
    """
    return jacfwd(jacrev(func, argnums), argnums)


def _unit_vectors(tensors: list[Tensor]) -> list[Tensor]:
    """For each tensor a batch of directions; together one direction for each of their elements."""
    total = sum(tensor.numel() for tensor in tensors)
    made, start = [], 0
    for tensor in tensors:
        count = tensor.numel()
        rows = F.zeros(total, count, dtype=tensor.dtype)
        rows[start : start + count].fill_diagonal_(1)
        made.append(rows.view(total, *tensor.shape))
        start += count
    return made


def _cut(
    stacked: Tensor, parts: list[tuple[int, ...]], rest: tuple[int, ...], dim: int
) -> list[Tensor]:
    """The batch dimension split among `parts`, each in its shape."""
    counts = [_numel(part) for part in parts]
    pieces = stacked.split(counts, dim)
    if dim == 0:
        return [p.reshape((*part, *rest)) for p, part in zip(pieces, parts, strict=True)]
    return [p.reshape((*rest, *part)) for p, part in zip(pieces, parts, strict=True)]


def _numel(shape: tuple[int, ...]) -> int:
    count = 1
    for size in shape:
        count *= size
    return count


def _refuse_complex(name: str, values: Any, what: str) -> None:
    for value in tree_leaves(values):
        if isinstance(value, Tensor) and value.dtype.is_complex:
            raise RuntimeError(
                f"{name}: Expected all {what} to be real but received complex tensor at flattened "
                f"input idx: {tree_leaves(values).index(value)}"
            )
