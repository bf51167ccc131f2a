"""Jacobians, Hessians and their products with vectors (`torch.autograd.functional`), all by
backward passes.

A product with a vector on the right (`jvp`, `hvp`) differentiates a backward pass: vᵀJ is linear in
v, and its derivative with respect to v is J.
"""

from __future__ import annotations

from collections.abc import Callable, Sequence
from typing import Any

from pellucid.autograd.api import grad
from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.modes import enable_grad, is_grad_enabled, set_grad_enabled
from pellucid.autograd.pushforward import forward_jacobian
from pellucid.tensor.tensor import Tensor

__all__ = ["hessian", "hvp", "jacobian", "jvp", "vhp", "vjp"]

Tensors = tuple[Tensor, ...]
Function = Callable[..., Any]


def vjp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, and vᵀJ: the gradient of its outputs weighted with `v`, one tensor for each
    input.

    `v` has the shapes of the outputs; it may be left out for a single output of one element. With
    `strict` an output that does not depend on an input is a RuntimeError, otherwise its gradient is
    zeros.
    """
    with enable_grad():
        given = _Given("inputs", "vjp", inputs)
        points = given.fresh(create_graph)
        results = _Given("outputs of the user-provided function", "vjp", func(*points))
        _require(results.tensors, "outputs", strict)
        if v is None and (len(results.tensors) != 1 or results.tensors[0].numel() != 1):
            raise RuntimeError(
                "The vector v can only be None if the user-provided function returns a single "
                "Tensor with a single element."
            )
        vectors = None if v is None else _vectors("vjp", v, results, create_graph)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _grad(results.tensors, points, vectors, create_graph)
        found = _filled(found, points, strict, create_graph, "back")
    return results.shaped(_done(results.tensors, create_graph)), given.shaped(
        _done(found, create_graph)
    )


def jvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, and Jv: the derivative of its outputs when the inputs move along `v`, one
    tensor for each output.
    """
    with enable_grad():
        given = _Given("inputs", "jvp", inputs)
        points = given.fresh(create_graph)
        vectors = _direction("jvp", v, given, create_graph)
        results = _Given("outputs of the user-provided function", "jvp", func(*points))
        _require(results.tensors, "outputs", strict)
        weights = tuple(arithmetic.zeros_like(out, requires_grad=True) for out in results.tensors)
        gradients = _grad(results.tensors, points, weights, True)
        _require(gradients, "grad_inputs", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _grad(gradients, weights, vectors, create_graph)
        found = _filled(found, results.tensors, strict, create_graph, "back_trick")
    return (
        results.shaped(_done(results.tensors, create_graph)),
        results.shaped(_done(found, create_graph)),
    )


def vhp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, a single number, and vᵀH, one tensor for each input; H is the Hessian."""
    with enable_grad():
        given = _Given("inputs", "vhp", inputs)
        points = given.fresh(create_graph)
        vectors = _direction("vhp", v, given, create_graph)
        output = _one_number("vhp", func(*points), strict)
        gradients = _grad((output,), points, None, True)
        _require(gradients, "jacobian", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _grad(gradients, points, vectors, create_graph)
        found = _filled(found, points, strict, create_graph, "double_back")
    return _done((output,), create_graph)[0], given.shaped(_done(found, create_graph))


def hvp(
    func: Function, inputs: Any, v: Any = None, create_graph: bool = False, strict: bool = False
) -> tuple[Any, Any]:
    """`func(*inputs)`, a single number, and Hv, one tensor for each input.

    `vhp` gives the same for less work where H is symmetric.
    """
    with enable_grad():
        given = _Given("inputs", "hvp", inputs)
        points = given.fresh(create_graph)
        vectors = _direction("hvp", v, given, create_graph)
        output = _one_number("hvp", func(*points), strict)
        gradients = _grad((output,), points, None, True)
        _require(gradients, "jacobian", strict)
        weights = tuple(arithmetic.zeros_like(x, requires_grad=True) for x in points)
        doubled = _grad(gradients, points, weights, True)
        _require(gradients, "hessian", strict)
    with set_grad_enabled(create_graph or is_grad_enabled()):
        found = _grad(doubled, weights, vectors, create_graph)
        found = _filled(found, points, strict, create_graph, "double_back_trick")
    return _done((output,), create_graph)[0], given.shaped(_done(found, create_graph))


def jacobian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    strategy: str = "reverse-mode",
) -> Any:
    """The Jacobian of `func` at `inputs`: for each output and each input a tensor of shape
    `output.shape + input.shape`.

    A tuple of outputs gives a tuple, of tuples if the inputs are one too. `vectorize` is accepted;
    rows are computed one by one either way.
    """
    _check_strategy(strategy, strict, vectorize, create_graph)
    with enable_grad():
        given = _Given("inputs", "jacobian", inputs)
        points = given.fresh(create_graph)
        results = _Given("outputs of the user-provided function", "jacobian", func(*points))
        _require(results.tensors, "outputs", strict)
        if strategy == "forward-mode":
            found = forward_jacobian(results.tensors, points)
            nested = [row if given.several else row[0] for row in found]
            return nested if results.several else nested[0]
        rows = tuple(
            _jacobian_of(number, output, points, create_graph, strict)
            for number, output in enumerate(results.tensors)
        )
        finished = tuple(given.shaped(_done(row, create_graph)) for row in rows)
        return results.shaped(finished)


def _check_strategy(strategy: str, strict: bool, vectorize: bool, create_graph: bool) -> None:
    if strategy not in ("forward-mode", "reverse-mode"):
        raise AssertionError(
            'Expected strategy to be either "forward-mode" or "reverse-mode". Hint: '
            'If your function has more outputs than inputs, "forward-mode" tends to '
            'be more performant. Otherwise, prefer to use "reverse-mode".'
        )
    if strategy == "reverse-mode":
        if vectorize and strict:
            raise RuntimeError(
                "torch.autograd.functional.jacobian: `strict=True` and `vectorized=True` are not "
                "supported together. Please either set `strict=False` or `vectorize=False`."
            )
        return
    if create_graph:
        raise NotImplementedError(
            "torch.autograd.functional.jacobian: `create_graph=True` and "
            '`strategy="forward-mode"` are not supported together (yet). Please '
            'either set `create_graph=False` or `strategy="reverse-mode"`.'
        )
    if strict:
        raise RuntimeError(
            "torch.autograd.functional.jacobian: `strict=True` and "
            '`strategy="forward-mode"` are not supported together (yet). Please '
            'either set `strict=False` or `strategy="reverse-mode"`.'
        )
    if not vectorize:
        raise NotImplementedError(
            "Computing Jacobian using forward-AD or forward-over-reverse Hessian isonly "
            "implemented for `vectorize=True`."
        )


def _jacobian_of(
    number: int, output: Tensor, points: Tensors, create_graph: bool, strict: bool
) -> Tensors:
    columns: list[list[Tensor]] = [[] for _ in points]
    flat = output.reshape(-1)
    for place in range(output.numel()):
        found = _grad((flat[place],), points, None, create_graph, retain_graph=True)
        for i, (column, part, point) in enumerate(zip(columns, found, points, strict=True)):
            if part is None:
                if strict:
                    raise RuntimeError(
                        f"Output {number} of the user-provided function is independent of input "
                        f"{i}. This is not allowed in strict mode."
                    )
                part = arithmetic.zeros_like(point, requires_grad=False)
            elif strict and create_graph and not part.requires_grad:
                raise RuntimeError(
                    f"The jacobian of the user-provided function is independent of input {number}. "
                    "This is not allowed in strict mode when create_graph=True."
                )
            column.append(part)
    return tuple(
        arithmetic.stack(column).reshape((*output.shape, *point.shape))
        if column
        else arithmetic.zeros((*output.shape, *point.shape), dtype=point.dtype)
        for column, point in zip(columns, points, strict=True)
    )


def hessian(
    func: Function,
    inputs: Any,
    create_graph: bool = False,
    strict: bool = False,
    vectorize: bool = False,
    outer_jacobian_strategy: str = "reverse-mode",
) -> Any:
    """The second derivatives of `func`, a function to one number: `result[i][j]` has the shape
    `inputs[i].shape + inputs[j].shape`.
    """
    given = _Given("inputs", "hessian", inputs)

    def gradient(*points: Tensor) -> Any:
        found = jacobian(
            lambda *x: _one_number("hessian", func(*x), strict).squeeze(), points, create_graph=True
        )
        _require(found, "jacobian", strict)
        return found

    found = jacobian(
        gradient, given.tensors, create_graph, strict, vectorize, outer_jacobian_strategy
    )
    return given.shaped(tuple(given.shaped(row) for row in found))


# -- what the functions above share


class _Given:
    """Tensors that the user gave or returned: one, or a tuple of them."""

    def __init__(self, what: str, function: str, value: Any) -> None:
        self.several = isinstance(value, tuple)
        self.tensors: Tensors = value if isinstance(value, tuple) else (value,)
        for number, each in enumerate(self.tensors):
            if not isinstance(each, Tensor):
                place = f"value at index {number}" if self.several else f"given {what}"
                raise TypeError(
                    f"The {what} given to {function} must be either a Tensor or a tuple of Tensors "
                    f"but the {place} has type {type(each)}."
                )

    def fresh(self, create_graph: bool, needed: bool = True) -> Tensors:
        """New tensors of the same values, so that inputs are told from the same tensors used inside
        the function.
        """
        return tuple(
            x.view_as(x) if create_graph and x.requires_grad else x.detach().requires_grad_(needed)
            for x in self.tensors
        )

    def shaped(self, found: Sequence[Any]) -> Any:
        """`found` as a tuple, or its only element if a single tensor was given."""
        return tuple(found) if self.several else found[0]


def _vectors(function: str, v: Any, like: _Given, create_graph: bool) -> Tensors:
    vectors = _Given("v", function, v).fresh(create_graph, needed=False)
    if len(vectors) != len(like.tensors):
        if like.several:
            raise RuntimeError(
                f"v is a tuple of invalid length: should be {len(like.tensors)} but got "
                f"{len(vectors)}."
            )
        raise RuntimeError("The given v should contain a single Tensor.")
    for number, (vector, other) in enumerate(zip(vectors, like.tensors, strict=True)):
        if vector.shape != other.shape:
            where = f"Entry {number} in " if like.several else ""
            raise RuntimeError(
                f"{where}v has invalid size: should be {other.shape} but got {vector.shape}."
            )
    return vectors


def _direction(function: str, v: Any, inputs: _Given, create_graph: bool) -> Tensors | None:
    if v is not None:
        return _vectors(function, v, inputs, create_graph)
    if len(inputs.tensors) != 1 or inputs.tensors[0].numel() != 1:
        raise RuntimeError(
            "The vector v can only be None if the input to the user-provided function is a single "
            "Tensor with a single element."
        )
    return None


def _one_number(function: str, output: Any, strict: bool) -> Tensor:
    results = _Given("outputs of the user-provided function", function, output)
    _require(results.tensors, "outputs", strict)
    if results.several:
        raise RuntimeError(f"The function given to {function} should return a single Tensor")
    if results.tensors[0].numel() != 1:
        raise RuntimeError(
            f"The Tensor returned by the function given to {function} should contain a single "
            "element"
        )
    return results.tensors[0]


def _grad(
    outputs: Sequence[Tensor | None],
    inputs: Tensors,
    vectors: Tensors | None,
    create_graph: bool,
    retain_graph: bool | None = None,
) -> tuple[Tensor | None, ...]:
    """`grad` of those outputs that want one."""
    weights = vectors or (None,) * len(outputs)
    used = [
        (o, w) for o, w in zip(outputs, weights, strict=True) if o is not None and o.requires_grad
    ]
    if not used:
        return (None,) * len(inputs)
    return grad(
        [o for o, _ in used],
        inputs,
        [w for _, w in used],
        retain_graph=retain_graph,
        create_graph=create_graph,
        allow_unused=True,
    )


def _done(tensors: Sequence[Any], create_graph: bool) -> tuple[Any, ...]:
    return tuple(tensors) if create_graph else tuple(t.detach() for t in tensors)


def _require(tensors: Sequence[Tensor | None], kind: str, strict: bool) -> None:
    """With `strict`, refuse values that do not depend on the inputs."""
    for number, tensor in enumerate(tensors if strict else ()):
        if tensor is None:
            raise RuntimeError(
                f"The output of the user-provided function is independent of input {number}. This "
                "is not allowed in strict mode."
            )
        if not tensor.requires_grad:
            raise RuntimeError(_INDEPENDENT[kind].format(number))


_INDEPENDENT = {
    "outputs": (
        "Output {} of the user-provided function does not require gradients. The outputs "
        "must be computed in a differentiable manner from the input when running in strict "
        "mode."
    ),
    "grad_inputs": (
        "The gradient with respect to input {} is independent of the inputs of the "
        "user-provided function. This is not allowed in strict mode."
    ),
    "jacobian": (
        "While computing the hessian, found that the jacobian of the user-provided function "
        "with respect to input {} is independent of the input. This is not allowed in "
        "strict mode. You should ensure that your function is twice differentiable and that "
        "the jacobian depends on the inputs (this would be violated by a linear function "
        "for example)."
    ),
    "hessian": (
        "The hessian of the user-provided function with respect to input {} is independent "
        "of the input. This is not allowed in strict mode. You should ensure that your "
        "function is thrice differentiable and that the hessian depends on the inputs."
    ),
}

_MISSING = {
    "back": (
        "The output of the user-provided function is independent of input {}. This is not "
        "allowed in strict mode."
    ),
    "back_trick": (
        "The gradient with respect to the input is independent of entry {} in the "
        "grad_outputs when using the double backward trick to compute forward mode "
        "gradients. This is not allowed in strict mode."
    ),
    "double_back": (
        "The jacobian of the user-provided function is independent of input {}. This is not "
        "allowed in strict mode."
    ),
    "double_back_trick": (
        "The hessian of the user-provided function is independent of entry {} in the "
        "grad_jacobian. This is not allowed in strict mode as it prevents from using the "
        "double backward trick to replace forward mode AD."
    ),
}


def _filled(
    found: Sequence[Tensor | None], like: Tensors, strict: bool, create_graph: bool, stage: str
) -> Tensors:
    """The gradients, with zeros where there is none; with `strict` that is refused."""
    filled = []
    for number, (value, other) in enumerate(zip(found, like, strict=True)):
        if value is None:
            if strict:
                raise RuntimeError(_MISSING[stage].format(number))
            value = arithmetic.zeros_like(other, requires_grad=False)
        elif strict and create_graph and not value.requires_grad:
            matrix = "hessian" if "double" in stage else "jacobian"
            raise RuntimeError(
                f"The {matrix} of the user-provided function is independent of input {number}. "
                "This is not allowed in strict mode when create_graph=True."
            )
        filled.append(value)
    return tuple(filled)
