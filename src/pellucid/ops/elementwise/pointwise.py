"""Elementwise operators: one description each, everything they share handled once.

`pointwise` enters a row of a table: a NumPy ufunc, a dtype rule, a gradient. `elementwise` does the
same for a function of arrays, written as a decorator. Type promotion, broadcasting, output strides,
Python numbers and half precision are `row.py`'s; `out=` and in-place forms `writing.py`'s, the fast
ways for the common case `calling.py`'s, the hottest path of the library.
"""

from __future__ import annotations

import inspect
from collections.abc import Callable, Sequence
from typing import Any

import numpy as np

from pellucid.ops.elementwise.blocks import blocked, threaded
from pellucid.ops.elementwise.calling import make_call
from pellucid.ops.elementwise.refusals import Refusal
from pellucid.ops.elementwise.row import (
    Row,
    Rule,
    Verify,
    arguments,
    common,
    floating,
    magnitude,
    truth,
)
from pellucid.ops.elementwise.threaded import HEAVY, LIGHT
from pellucid.ops.elementwise.writing import make_write
from pellucid.ops.spec import Gradient, describe, registry
from pellucid.tensor.dtype import dtype
from pellucid.tensor.layout import Layout, elementwise_layout
from pellucid.tensor.tensor import Tensor

__all__ = ["common", "elementwise", "floating", "magnitude", "pointwise", "truth"]

_Kind = inspect.Parameter


def pointwise(
    name: str,
    compute: Callable[..., Any],
    parameters: str = "input",
    *,
    rule: Rule = common,
    gradient: Gradient,
    where: str = "torch Tensor",
    inplace: bool = True,
    out: bool = True,
    aliases: Sequence[str] = (),
    refuse: Refusal | None = None,
    verify: Verify | None = None,
    scaled: bool = False,
    native: bool = False,
    tensors: str = "",
    exact: Callable[[dtype, dtype], str | None] | None = None,
    layout: Callable[..., Layout] = elementwise_layout,
    variants: tuple[str, dict[Any, Row]] = ("", {}),
    flagged: bool = False,
    backward_name: str = "",
    doc: str = "",
) -> Callable[..., Any]:
    """Enter an elementwise operator. Returns its public function.

    `compute` is a NumPy ufunc or a function of arrays (see `Row`), whose parameters after the
    operands are settings of the operator. `parameters` names the operands ("input other"). `scaled`
    adds the keyword `alpha`, which multiplies the second operand. `tensors`, `exact` and `layout`
    are the row's. `variants` names a keyword and the rows that its values choose. `flagged` gives
    the function in `nn.functional` the parameter `inplace`.
    """
    operands = tuple(parameters.split())
    signature, direct = _signature(compute, operands, "alpha" if scaled else variants[0])
    optional = [
        p.name
        for p in signature.parameters.values()
        if p.name in operands and p.default is not p.empty
    ]
    if direct and not isinstance(compute, np.ufunc) and not hasattr(compute, "one_pass"):
        compute = blocked(compute, name)
    elif direct and len(operands) == 1 and (name in LIGHT or name in HEAVY):
        compute = threaded(compute, name)
    row = Row(
        compute,
        direct,
        rule=rule,
        refuse=refuse,
        verify=verify,
        arity=len(operands),
        scaled=scaled,
        native=native,
        optional=optional,
        tensors=tensors.split(),
        exact=exact,
        layout=layout,
        choice=variants[0],
        variants=variants[1],
    )

    def body(*args: Any, **kwargs: Any) -> Tensor:
        chosen, operands, settings = arguments(row, args, kwargs)
        return chosen.fresh(operands, settings)

    body.__name__ = name
    body.__doc__ = doc or (
        f"`{name}` of each element." if isinstance(compute, np.ufunc) else inspect.getdoc(compute)
    )
    body.__signature__ = signature  # type: ignore[attr-defined]
    row.spec = spec = describe(
        body,
        kind="pointwise",
        where=where,
        gradient=gradient,
        name=name,
        inplace=inplace,
        out=out,
        aliases=aliases,
        backward_name=backward_name,
    )
    row.name = (
        spec.name
        if spec.where[0] in ("torch", "Tensor", "internal", "nn.functional")
        else f"special_{spec.name}"
    )
    for variant in row.variants.values():
        variant.spec, variant.name, variant.choice = spec, row.name, row.choice
    write = make_write(row)
    forms = {public: make_call(row, public) for public in spec.public}
    call = forms[spec.public[0]]
    for form in forms.values():
        form.__name__ = form.__qualname__ = name
        form.__doc__ = body.__doc__
        form.__signature__ = signature  # type: ignore[attr-defined]
        form.spec = spec  # type: ignore[attr-defined]
        form.write = write  # type: ignore[attr-defined]
    if flagged:
        own = f"nn.functional.{name}"
        forms[own] = with_flag(forms[own])
    registry.enter(spec, call, forms)
    if inplace:
        for each in (name, *aliases):
            registry.put("Tensor", each + "_", write if each == name else make_write(row, each))
    return call


def with_flag(call: Callable[..., Any]) -> Callable[..., Any]:
    """The operator `call` with a last parameter `inplace`, which chooses its in-place form."""
    spec, write = call.spec, call.write  # type: ignore[attr-defined]
    count = len(spec.parameters)
    given = inspect.signature(call).parameters.values()
    needed = sum(p.default is p.empty for p in given)

    def function(*args: Any, **kwargs: Any) -> Tensor:
        if len(args) > count:
            if len(args) > count + 1:
                raise TypeError(
                    f"{call.__name__}() takes from {needed} to {count + 1} positional arguments "
                    f"but {len(args)} were given"
                )
            if "inplace" in kwargs:
                raise TypeError(f"{call.__name__}() got multiple values for argument 'inplace'")
            inplace, args = args[count], args[:count]
        else:
            inplace = kwargs.pop("inplace", False)
        return (write if inplace else call)(*args, **kwargs)

    function.__name__ = function.__qualname__ = call.__name__
    function.__doc__ = f"{call.__doc__}\n\nWith `inplace` the result overwrites `input`."
    listed = [p.replace(kind=_Kind.POSITIONAL_OR_KEYWORD) for p in given]
    flag = _Kind("inplace", _Kind.POSITIONAL_OR_KEYWORD, default=False)
    function.__signature__ = inspect.Signature([*listed, flag])  # type: ignore[attr-defined]
    function.spec = spec  # type: ignore[attr-defined]
    return function


def elementwise(
    parameters: str = "input", *, name: str = "", **described: Any
) -> Callable[[Callable[..., Any]], Any]:
    """`pointwise` as a decorator of the function of arrays that computes the operator, and whose
    name it takes.
    """

    def decorate(compute: Callable[..., Any]) -> Callable[..., Any]:
        return pointwise(name or compute.__name__.rstrip("_"), compute, parameters, **described)

    return decorate


def _signature(
    compute: Callable[..., Any], operands: Sequence[str], keyword: str
) -> tuple[inspect.Signature, bool]:
    """The public signature: operands, then the settings of `compute`.

    And whether `compute` writes into an output.
    """
    if isinstance(compute, np.ufunc):
        listed = [_Kind(name, _Kind.POSITIONAL_OR_KEYWORD) for name in operands]
        if keyword:
            listed.append(
                _Kind(keyword, _Kind.KEYWORD_ONLY, default=1 if keyword == "alpha" else None)
            )
        return inspect.Signature(listed), True
    found = [
        p.replace(annotation=_Kind.empty) for p in inspect.signature(compute).parameters.values()
    ]
    direct = len(found) > len(operands) and found[len(operands)].name == "out"
    found = [p.replace(name=n) for n, p in zip(operands, found, strict=False)] + found[
        len(operands) :
    ]
    return inspect.Signature([p for p in found if p.name != "out"]), direct
