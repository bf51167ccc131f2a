"""`backward` and `grad`: from tensors to the engine, with the checks users meet."""

from __future__ import annotations

import warnings
from collections.abc import Sequence
from functools import lru_cache
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.engine import run_backward
from pellucid.autograd.gradient_edge import GradientEdge
from pellucid.autograd.node import Edge, Node, accumulator, current_grad_fn, edge_of, wants_grad
from pellucid.tensor.tensor import Tensor

Ends = Tensor | GradientEdge | Sequence[Tensor | GradientEdge]
"""Tensors or places in the graph, one or several."""


def backward(
    tensors: Ends,
    grad_tensors: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    grad_variables: Any = None,
    inputs: Ends | None = None,
) -> None:
    """Add the gradients of `tensors` to the `grad` of every leaf they were computed from (or of
    `inputs` only).

    `grad_tensors` are the vectors of the vector-Jacobian product, one per tensor; None stands for 1
    where the tensor has one element. The graph is freed unless `retain_graph` (by default
    `create_graph`, which records the pass itself).
    """
    if grad_variables is not None:
        warnings.warn(
            "`grad_variables` is deprecated. Use `grad_tensors` instead.",
            FutureWarning,
            stacklevel=2,
        )
        if grad_tensors is not None:
            raise RuntimeError(
                "`grad_tensors` and `grad_variables` (deprecated) arguments both passed to "
                "`backward()`. Please only use `grad_tensors`."
            )
        grad_tensors = grad_variables
    if create_graph:
        _warn_of_cycle()
    roots = _several(tensors)
    given = _starts(roots, grad_tensors)
    retain = create_graph if retain_graph is None else retain_graph
    if inputs is None:
        run_backward(given, retain, create_graph)
        return
    wanted = _several(inputs)
    if not wanted:
        raise RuntimeError("`inputs` argument to `backward()` cannot be empty.")
    edges = [_target(tensor) for tensor in wanted]
    found = run_backward(given, retain, create_graph, edges, accumulate=True)
    for tensor, value in zip(wanted, found, strict=True):
        if isinstance(tensor, Tensor) and tensor._grad_fn is not None and value is not None:
            before = tensor._grad
            tensor._grad = (
                arithmetic.clone(value) if before is None else arithmetic.add(before, value)
            )


def grad(
    outputs: Ends,
    inputs: Ends,
    grad_outputs: Tensor | Sequence[Tensor | None] | None = None,
    retain_graph: bool | None = None,
    create_graph: bool = False,
    only_inputs: bool = True,
    allow_unused: bool | None = None,
    is_grads_batched: bool = False,
    materialize_grads: bool = False,
) -> tuple[Tensor | None, ...]:
    """The gradients of `outputs` with respect to `inputs`, without touching any `.grad`.

    With `is_grads_batched` the first dimension of each `grad_outputs` counts vectors, and results
    have it too. Raises RuntimeError for an input that the outputs do not depend on, unless
    `allow_unused` (None comes back) or `materialize_grads` (zeros come back).
    """
    if materialize_grads and allow_unused is False:
        raise ValueError(
            "Expected allow_unused to be True or not passed when materialize_grads=True, but got: "
            "allow_unused=False."
        )
    if not only_inputs:
        warnings.warn(
            "only_inputs argument is deprecated and is ignored now (defaults to True). To "
            "accumulate gradient for other parts of the graph, please use torch.autograd.backward.",
            FutureWarning,
            stacklevel=2,
        )
    roots, wanted = _several(outputs), _several(inputs)
    retain = create_graph if retain_graph is None else retain_graph
    unused = bool(allow_unused) or materialize_grads
    if is_grads_batched:
        return _batched(
            roots, wanted, grad_outputs, retain, create_graph, unused, materialize_grads
        )
    given = _starts(roots, grad_outputs)
    if not wanted:
        raise RuntimeError("`inputs` argument to `grad()` cannot be empty.")
    edges = [_target(tensor) for tensor in wanted]
    found = run_backward(given, retain, create_graph, edges, accumulate=False)
    return _checked(wanted, found, unused, materialize_grads)


@lru_cache(maxsize=1)
def _warn_of_cycle() -> None:
    """Said once in a program."""
    warnings.warn(
        "Using backward() with create_graph=True will create a reference cycle between the "
        "parameter and its gradient which can cause a memory leak. We recommend using "
        "autograd.grad when creating the graph to avoid this. If you have to use this function, "
        "make sure to reset the .grad fields of your parameters to None after use to break the "
        "cycle and avoid the leak.",
        UserWarning,
        stacklevel=4,
    )


def _several(ends: Any) -> tuple[Any, ...]:
    return (ends,) if isinstance(ends, (Tensor, GradientEdge)) else tuple(ends)


def gradient_node(tensor: Any) -> Node:
    """The node where the gradient of a tensor arrives: its `grad_fn`, or what accumulates into a
    leaf.
    """
    if isinstance(tensor, GradientEdge):
        return tensor.node
    return current_grad_fn(tensor) or accumulator(tensor)


def _checked(
    wanted: Sequence[Any], found: Sequence[Tensor | None], allow_unused: bool, materialize: bool
) -> tuple[Tensor | None, ...]:
    results: list[Tensor | None] = []
    for index, (tensor, value) in enumerate(zip(wanted, found, strict=True)):
        if value is None and not allow_unused:
            raise RuntimeError(
                f"The differentiated Tensor at index {index} appears to not have been used in the "
                "graph. Set "
                "allow_unused=True if this is the desired behavior."
            )
        if value is None and materialize:
            if not isinstance(tensor, Tensor):
                raise RuntimeError(
                    "materialize_grads cannot be used when the given input is a GradientEdge"
                )
            value = arithmetic.zeros_like(tensor, requires_grad=False)
        results.append(value)
    return tuple(results)


def _batched(
    roots: Sequence[Any],
    wanted: Sequence[Any],
    grad_outputs: Any,
    retain: bool,
    create_graph: bool,
    allow_unused: bool,
    materialize: bool,
) -> tuple[Tensor | None, ...]:
    given = () if grad_outputs is None else _several(grad_outputs)
    counts = [g.shape[0] for g in given if g is not None and g.dim()]
    if not counts:
        raise RuntimeError(
            "is_grads_batched=True needs grad_outputs whose first dimension counts the vectors"
        )
    rows = []
    for number in range(counts[0]):
        one = [None if g is None else g[number] for g in given]
        keep = retain or number < counts[0] - 1
        rows.append(
            grad(
                roots,
                wanted,
                one,
                keep,
                create_graph,
                allow_unused=allow_unused or None,
                materialize_grads=materialize,
            )
        )
    return tuple(
        None if column[0] is None else arithmetic.stack(column)
        for column in zip(*rows, strict=True)
    )


def _target(tensor: Any) -> Edge:
    if isinstance(tensor, GradientEdge):
        return tensor.node, tensor.output_nr, (), _ANY
    edge = edge_of(tensor) if wants_grad(tensor) else None
    if edge is None:
        raise RuntimeError("One of the differentiated Tensors does not require grad")
    return edge


_ANY: Any = None
"""Stands for the dtype of an edge that nothing is sent along."""


def _starts(roots: Sequence[Any], grads: Any) -> list[tuple[Edge, Tensor]]:
    if grads is None:
        grads = (None,) * len(roots)
    elif isinstance(grads, Tensor):
        grads = (grads,)
    else:
        grads = tuple(grads)
    if len(grads) != len(roots):
        raise RuntimeError(f"got {len(roots)} tensors and {len(grads)} gradients")
    starts = []
    for index, (root, given) in enumerate(zip(roots, grads, strict=True)):
        if isinstance(root, GradientEdge):
            if given is None:
                raise RuntimeError(
                    "grad_outputs must be given for a GradientEdge: it does not know its shape"
                )
            starts.append((_target(root), given))
            continue
        edge = edge_of(root) if wants_grad(root) else None
        if edge is None:
            raise RuntimeError(
                f"element {index} of tensors does not require grad and does not have a grad_fn\n"
                "  Nothing it was computed from has requires_grad=True, or it was computed under "
                "torch.no_grad(), or it went through detach(), item(), numpy() or an integer "
                "dtype. pellucid.explain(tensor) shows the trail."
            )
        starts.append((edge, _start(root, given)))
    return starts


def _start(root: Tensor, given: Tensor | None) -> Tensor:
    if given is None:
        if root._layout.numel != 1:
            raise RuntimeError(
                "grad can be implicitly created only for scalar outputs\n"
                f"  This tensor has shape {tuple(root.shape)}: call .sum() or .mean() on it first, "
                "or pass gradient= with this shape."
            )
        if root.dtype.is_complex:
            raise RuntimeError(
                "grad can be implicitly created only for real scalar outputs but got "
                + repr(root.dtype)
            )
        return arithmetic.ones_like(root, requires_grad=False)
    if not isinstance(given, Tensor):
        raise TypeError("gradients can be either Tensors or None, but got " + type(given).__name__)
    if given._layout.shape != root._layout.shape:
        raise RuntimeError(
            f"Mismatch in shape: grad_output[0] has a shape of {given.shape} and output[0] has a "
            f"shape of {root.shape}."
        )
    if given.dtype.is_complex != root.dtype.is_complex:
        raise RuntimeError(
            "For complex Tensors, both grad_output and output are required to have the same dtype. "
            "Mismatch in dtype: "
            f"grad_output[0] has a dtype of {given.dtype} and output[0] has a dtype of "
            f"{root.dtype}."
        )
    return given if given.dtype is root.dtype else arithmetic.cast(given, root.dtype)
