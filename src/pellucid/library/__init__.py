"""`torch.library`: operators that programs define, found as `torch.ops.<namespace>.<name>`.

    @torch.library.custom_op("mylib::scale", mutates_args=())
    def scale(x: Tensor, factor: float) -> Tensor:
        return x * factor

A call binds its arguments by the schema and runs the function with recording off; its gradient is
what `register_autograd` was given. Functions that only tell shapes (`register_fake`) are kept:
plans of `torch.compile` find shapes by running the operator.
"""

from __future__ import annotations

from collections.abc import Callable, Iterable
from typing import Any

from pellucid.library.operators import Operator, define_operator, find
from pellucid.library.schema import infer_schema as infer_schema
from pellucid.library.schema import parse

__all__ = [
    "CustomOpDef",
    "Library",
    "custom_op",
    "define",
    "impl",
    "infer_schema",
    "register_autograd",
    "register_fake",
    "register_kernel",
]

Fn = Callable[..., Any]
_CPU = ("", "cpu", "compositeexplicitautograd", "default", "backendselect")


class CustomOpDef:
    """An operator made by `custom_op`: call it, or add to it what it does elsewhere."""

    def __init__(self, operator: Operator) -> None:
        self._operator = operator
        self._opoverload = operator.packet.default

    def __call__(self, *args: Any, **kwargs: Any) -> Any:
        return self._operator(*args, **kwargs)

    def __repr__(self) -> str:
        return f"<CustomOpDef({self._operator.name})>"

    def register_kernel(self, device_types: Any, func: Fn | None = None, /) -> Fn:
        """Compute with `func` on these device types (a name, several, or None for all)."""
        return register_kernel(self._operator.name, device_types, func)

    def register_fake(self, fn: Fn, /) -> Fn:
        """`fn` tells the shapes of the outputs."""
        return register_fake(self._operator.name, fn)

    def register_autograd(self, backward: Fn, /, *, setup_context: Fn | None = None) -> None:
        """`backward(ctx, *grads)` gives a gradient for each argument;
        `setup_context(ctx, inputs, output)` saves what it needs.
        """
        register_autograd(self._operator.name, backward, setup_context=setup_context)


def custom_op(
    name: str,
    fn: Fn | None = None,
    /,
    *,
    mutates_args: str | Iterable[str],
    device_types: Any = None,
    schema: str | None = None,
    tags: Any = None,
) -> Any:
    """Make a function an operator named `namespace::name`; a decorator where `fn` is not given.

    `mutates_args`: the tensors it writes to. `schema` is inferred from the annotations if absent.
    Raises: ValueError for names without namespace and for functions no schema can be inferred of.
    """

    def made(function: Fn) -> CustomOpDef:
        text = infer_schema(function, mutates_args=mutates_args) if schema is None else schema
        operator = define_operator(name, parse(text, name))
        if _on_cpu(device_types):
            operator.kernel = function
        return CustomOpDef(operator)

    return made if fn is None else made(fn)


def _on_cpu(device_types: Any) -> bool:
    if device_types is None:
        return True
    asked = [device_types] if isinstance(device_types, str) else device_types
    return any(each.lower() in _CPU for each in asked)


def register_kernel(op: Any, device_types: Any, func: Fn | None = None, /, **_: Any) -> Fn:
    """Compute operator `op` with `func` on these device types; a decorator without `func`."""
    operator = _known(op)

    def registered(function: Fn) -> Fn:
        if _on_cpu(device_types):
            operator.kernel = function
        return function

    return registered if func is None else registered(func)


def register_fake(op: Any, func: Fn | None = None, /, **_: Any) -> Fn:
    """`func` tells the shapes of operator `op`'s outputs; a decorator without `func`."""
    operator = _known(op)

    def registered(function: Fn) -> Fn:
        operator.fake = function
        return function

    return registered if func is None else registered(func)


impl_abstract = register_fake


def register_autograd(
    op: Any, backward: Fn, /, *, setup_context: Fn | None = None, lib: Any = None
) -> None:
    """Give operator `op` a gradient; see `CustomOpDef.register_autograd`."""
    operator = _known(op)
    operator.backward, operator.setup_context = backward, setup_context


def define(qualname: str, schema: str, *, lib: Any = None, tags: Any = ()) -> None:
    """Say that there is an operator `namespace::name`, and its schema: `(Tensor x) -> Tensor`."""
    define_operator(qualname, parse(schema, qualname))


def impl(qualname: str, types: Any, func: Fn | None = None, *, lib: Any = None) -> Any:
    """Compute an operator that was defined with `func` on these device types; a decorator without
    `func`."""
    return register_kernel(qualname, None if types == "default" else types, func)


class Library:
    """The operators of a namespace: `kind` "DEF" or "FRAGMENT" defines them, "IMPL" adds functions.

    Raises: ValueError for other kinds.
    """

    def __init__(self, ns: str, kind: str, dispatch_key: str = "") -> None:
        if kind not in ("DEF", "FRAGMENT", "IMPL"):
            raise ValueError(f"Unsupported kind: {kind}")
        self.ns = ns
        self.kind = kind
        self.dispatch_key = dispatch_key

    def __repr__(self) -> str:
        return f"Library(kind={self.kind}, ns={self.ns}, dispatch_key={self.dispatch_key})>"

    def define(self, schema: str, alias_analysis: str = "", *, tags: Any = ()) -> str:
        """Define the operator of `schema`, `name(Type argument, …) -> Type`; returns its name."""
        name = parse(schema).name
        define_operator(f"{self.ns}::{name}", parse(schema, f"{self.ns}::{name}"))
        return name

    def impl(self, op_name: Any, fn: Fn, dispatch_key: str = "", **_: Any) -> None:
        """Run `fn` for calls with `dispatch_key` (this library's own if empty).

        Keys of other devices are kept for them, and never asked for here.
        """
        name = op_name if isinstance(op_name, str) else op_name.name()
        short = name.rpartition("::")[2].removesuffix(".default")
        operator = _known(f"{self.ns}::{short}")
        key = (dispatch_key or self.dispatch_key or "CompositeImplicitAutograd").lower()
        if key in ("compositeimplicitautograd", "autograd", "autogradcpu"):
            operator.recorded = fn
        elif key == "meta":
            operator.fake = fn
        elif key in _CPU:
            operator.kernel = fn


def _known(op: Any) -> Operator:
    name = op if isinstance(op, str) else getattr(op, "_operator", op).name
    operator = find(name if isinstance(name, str) else name())
    if operator is None:
        raise RuntimeError(
            f"{op}: there is no such operator\n"
            "  Define it first: torch.library.define(name, schema) or custom_op(name, …)."
        )
    return operator
