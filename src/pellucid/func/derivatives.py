"""`grad`, `vjp`, `jvp` and what is made of them: derivatives of functions, to any order."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

from pellucid.autograd.api import grad as tape_grad
from pellucid.autograd.modes import enable_grad, set_grad_enabled, state
from pellucid.autograd.node import wants_grad
from pellucid.autograd.pushforward import Pushforward
from pellucid.func.inputs import Argnums, Point, call, keeps_tape, released
from pellucid.ops.api import F
from pellucid.tensor.dtype import FLOATING
from pellucid.tensor.tensor import Tensor
from pellucid.utils._pytree import TreeSpec, tree_flatten, tree_unflatten

Function = Callable[..., Any]


def pulled_back(
    outputs: list[Tensor], leaves: list[Tensor], weights: list[Tensor | None], recording: bool
) -> list[Tensor]:
    """wᵀJ: the gradient of the outputs, weighted, for each leaf; zeros where nothing depends."""
    used = [(o, w) for o, w in zip(outputs, weights, strict=True) if wants_grad(o)]
    found: Any = (None,) * len(leaves)
    if used:
        kept = keeps_tape([*outputs, *weights], leaves, recording)
        with set_grad_enabled(kept):
            found = tape_grad(
                [o for o, _ in used],
                leaves,
                [w for _, w in used],
                retain_graph=True,
                create_graph=kept,
                allow_unused=True,
            )
    return [F.zeros_like(x) if g is None else g for x, g in zip(leaves, found, strict=True)]


# -- grad


def grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that computes the gradient of `func`, which returns one number.

    Args:
        argnums: the positional arguments (tensors or nested containers of them) to differentiate
            with respect to; a tuple gives a tuple of gradients.
        has_aux: `func` returns `(output, aux)`; then `(gradient, aux)` comes back.
    """
    function = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def gradient(*args: Any, **kwargs: Any) -> Any:
        found, value = function(*args, **kwargs)
        return (found, value[1]) if has_aux else found

    return gradient


def grad_and_value(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """A function that returns `(gradient, value)` of `func`; with `has_aux`
    `(gradient, (value, aux))`.
    """

    @functools.wraps(func)
    def both(*args: Any, **kwargs: Any) -> Any:
        recording = state.grad
        with enable_grad():
            point = _point(args, argnums)
            output, aux = call(
                func, point.args, kwargs, has_aux, _AUX.format("grad_and_value(f)(*args)")
            )
            _check_number(output)
            found = pulled_back([output], point.leaves, [None], recording)
            kept = released((found, output, aux), point.leaves, recording)
        found, output, aux = kept
        return point.shaped(found), ((output, aux) if has_aux else output)

    return both


def value_and_grad(func: Function, argnums: Argnums = 0, has_aux: bool = False) -> Function:
    """`grad_and_value` in the other order: `(value, gradient)`, or `((value, aux), gradient)`."""
    function = grad_and_value(func, argnums, has_aux)

    @functools.wraps(func)
    def both(*args: Any, **kwargs: Any) -> Any:
        found, value = function(*args, **kwargs)
        return value, found

    return both


_AUX = "{}: output of function f should be a tuple: (output, aux) if has_aux is True"


def _point(args: tuple[Any, ...], argnums: Any) -> Point:
    with enable_grad():
        return Point(args, argnums)


def _check_number(output: Any) -> None:
    if not isinstance(output, Tensor):
        raise RuntimeError(
            f"grad_and_value(f)(*args): Expected f(*args) to return a Tensor, got {type(output)}"
        )
    if output.dim() != 0:
        raise RuntimeError(
            "grad_and_value(f)(*args): Expected f(*args) "
            "to return a scalar Tensor, got tensor with "
            f"{output.dim()} dims. Maybe you wanted to "
            "use the vjp or jacrev APIs instead?"
        )


# -- vjp


def vjp(func: Function, *primals: Any, has_aux: bool = False) -> Any:
    """`func(*primals)`, and a function that takes vectors shaped like its outputs and returns the
    vector-Jacobian product, one tensor for each of `primals`.

    With `has_aux` the auxiliary output comes third.
    """
    return vjp_of(func, primals, None, has_aux)


def vjp_of(func: Function, primals: tuple[Any, ...], argnums: Any, has_aux: bool) -> Any:
    """`vjp` with respect to some of the arguments."""
    recording = state.grad
    point = _point(primals, argnums)
    leaves = point.leaves
    with enable_grad():
        result, aux = call(func, point.args, {}, has_aux, _AUX.format("vjp(f, *primals)"))
    outputs, spec = tree_flatten(result)
    _check_outputs(outputs, "vjp(f, *primals)")
    for output in outputs:
        if output.dtype.category < FLOATING:
            raise RuntimeError(
                "vjp(f, ...): All outputs of f must be floating-point or complex Tensors, got "
                f"Tensor with dtype {output.dtype}"
            )

    def pull(cotangents: Any, retain_graph: bool = True, create_graph: bool | None = None) -> Any:
        given, given_spec = tree_flatten(cotangents)
        if given_spec != spec:
            raise RuntimeError(
                "Expected pytree structure of cotangents to be the same as pytree structure of "
                f"outputs to the function. cotangents: {given_spec}, primal output: {spec}"
            )
        record = state.grad if create_graph is None else create_graph
        found = pulled_back(outputs, leaves, given, record)
        return point.shaped(released(found, leaves, record))

    shown = released(tree_unflatten(outputs, spec), leaves, recording)
    if has_aux:
        return shown, pull, released(aux, leaves, recording)
    return shown, pull


def _check_outputs(outputs: list[Any], words: str) -> None:
    if not outputs:
        raise RuntimeError(
            f"{words}: Expected f to be a function that has non-empty output (got output = [])"
        )
    for output in outputs:
        if not isinstance(output, Tensor):
            raise RuntimeError(
                f"{words}: expected f(*primals) to return only tensors, got unsupported type "
                f"{type(output)}"
            )


# -- jvp


def jvp(
    func: Function, primals: Any, tangents: Any, *, strict: bool = False, has_aux: bool = False
) -> Any:
    """`func(*primals)` and its derivative when `primals` move along `tangents`, both shaped like
    the output.

    With `strict` an output that does not depend on the inputs is a RuntimeError; otherwise it does
    not move. With `has_aux` the auxiliary output comes third.
    """
    if not isinstance(primals, tuple):
        raise RuntimeError(
            f"{_JVP}: Expected primals to be a tuple. E.g. it should be valid to call f(*primals)."
        )
    flat, flat_spec = tree_flatten(primals)
    moves, moves_spec = tree_flatten(tangents)
    if flat_spec != moves_spec:
        raise RuntimeError(
            f"{_JVP}: Expected primals and tangents to have the same python structure. For "
            "example, if primals is a tuple of 3 tensors, tangents also must be. Got primals with "
            f"structure {flat_spec} and tangents with structure {moves_spec}"
        )
    _check_tensors(flat, "primals")
    _check_tensors(moves, "tangents")
    recording = state.grad
    line = _Line(func, primals, None, has_aux)
    if strict and len(line.push.places) < len(line.outputs):
        raise RuntimeError(
            "jvp(f, primals, tangents, strict=True): The output of f is independent of the inputs. "
            "This is not allowed with strict=True."
        )
    moved = line(moves, recording)
    shown = released(tree_unflatten(line.outputs, line.spec), line.point.leaves, recording)
    if has_aux:
        return shown, moved, released(line.aux, line.point.leaves, recording)
    return shown, moved


_JVP = "jvp(f, primals, tangents)"


def _check_tensors(values: list[Any], name: str) -> None:
    if not values:
        raise RuntimeError(f"{_JVP}: Expected {name} to contain at least one Tensor.")
    for value in values:
        if not isinstance(value, Tensor):
            raise RuntimeError(
                f"{_JVP}: Expected {name} to only contain Tensors, got {type(value)}"
            )


class _Line:
    """A function at a point with its derivative there, which can be asked along any direction."""

    def __init__(
        self, func: Function, primals: tuple[Any, ...], argnums: Any, has_aux: bool = False
    ) -> None:
        self.point = _point(primals, argnums)
        with enable_grad():
            result, self.aux = call(func, self.point.args, {}, has_aux, _AUX.format(_JVP))
        self.outputs, self.spec = tree_flatten(result)
        for output in self.outputs:
            if not isinstance(output, Tensor):
                raise RuntimeError(
                    f"{_JVP}: expected f(*primals) to return only tensors, got unsupported type "
                    f"{type(output)}"
                )
        self.push = Pushforward(self.outputs, self.point.leaves)

    def __call__(self, directions: list[Tensor], recording: bool) -> Any:
        """The derivatives of the outputs, nested as they are."""
        for leaf, direction in zip(self.point.leaves, directions, strict=True):
            if leaf.shape != direction.shape:
                raise RuntimeError(
                    f"Expected tangent to have the same shape as its primal, {tuple(leaf.shape)}, "
                    f"but got {tuple(direction.shape)}"
                )
        leaves = [*self.point.leaves, *self.push.weights]
        kept = keeps_tape([*self.outputs, *directions], leaves, recording)
        moved = self.push(directions, kept)
        full = [
            F.zeros_like(o) if m is None else m for o, m in zip(self.outputs, moved, strict=True)
        ]
        return released(tree_unflatten(full, self.spec), leaves, recording)


def linearize(func: Function, *primals: Any) -> tuple[Any, Function]:
    """`func(*primals)`, and its derivative there as a function of the direction.

    The function is run once; each call of the derivative is one pass over the record.
    """
    recording = state.grad
    line = _Line(func, primals, None)
    _, spec = tree_flatten(primals)

    def push(*tangents: Any) -> Any:
        moves, moves_spec = tree_flatten(tangents)
        if moves_spec != spec:
            raise RuntimeError(
                f"Expected the tangents {moves_spec} to have the same structure as the primals "
                f"{spec}"
            )
        return line(moves, state.grad)

    return released(tree_unflatten(line.outputs, line.spec), line.point.leaves, recording), push


def line_of(func: Function, args: tuple[Any, ...], argnums: Any, has_aux: bool) -> _Line:
    """The function at a point with its derivative, with respect to some of the arguments."""
    return _Line(func, args, argnums, has_aux)


def nested_like(values: list[Any], spec: TreeSpec) -> Any:
    """`values` in the nesting `spec`."""
    return tree_unflatten(values, spec)
