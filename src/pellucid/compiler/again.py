"""Running a node of a graph the way eager mode does."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid import ops
from pellucid.compiler.graph import Node, Value, substitute
from pellucid.ops.dispatch import run_fresh, run_view
from pellucid.ops.spec import registry
from pellucid.tensor.tensor import Tensor


def caller(node: Node) -> Callable[[dict[Value, Tensor]], Any]:
    """The operator as a function of its inputs' tensors."""
    spec = node.spec
    if node.kind == "write":
        return _writer(node)
    again = node.extra.get("again")
    if again is not None:
        return lambda tensors: again()
    if spec is None:
        raise RuntimeError(
            f"{node.line}: {node.op} was made after the generator had been set, which a plan "
            "cannot do again\n  Call manual_seed before the compiled function."
        )
    run: Callable[..., Any]
    if spec.kind == "pointwise":
        run = registry.calls[spec]
    elif spec.kind == "view":
        run = lambda *args, **kwargs: run_view(spec, args, kwargs)
    else:
        run = lambda *args, **kwargs: run_fresh(spec, args, kwargs)

    def call(tensors: dict[Value, Tensor]) -> Any:
        args = substitute(node.args, tensors)
        return run(*args, **substitute(node.settings, tensors))

    return call


def _writer(node: Node) -> Callable[[dict[Value, Tensor]], Any]:
    """An in-place operator as a function: it writes into a copy."""
    name = {"copy": "copy_", "fill": "fill_"}.get(node.op, node.op)
    if name == "write_through":
        return lambda tensors: _write_through(node, tensors)

    def call(tensors: dict[Value, Tensor]) -> Any:
        target, *args = substitute(node.args, tensors)
        copy = target.clone()
        settings = substitute(node.settings, tensors)
        if name.endswith("_"):
            getattr(copy, name)(*args, **settings)
        else:
            getattr(ops, name)(*args, **settings, out=copy)
        return copy

    return call


def _write_through(node: Node, tensors: dict[Value, Tensor]) -> Tensor:
    base, part = (tensors[v] for v in node.args)
    spec, rest, settings, index = node.extra["view"]
    copy = base.clone()
    shown = run_view(spec, (copy, *substitute(rest, tensors)), settings)
    (shown[index] if isinstance(shown, tuple) else shown).copy_(part)
    return copy
