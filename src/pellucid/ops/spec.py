"""What an operator is: one description, from which functions, methods, in-place forms, `out=` and
the support table follow.

`@operator` describes an operator that computes fresh memory, `@view_operator` one that only
computes a layout, `@composite` one made of others. Each returns the public function and enters it
under its names. A missing part is a TypeError at import.
"""

from __future__ import annotations

import gc
import importlib
import inspect
import os
from collections.abc import Callable, Iterator, Mapping, Sequence
from contextlib import contextmanager
from dataclasses import dataclass, field
from typing import Any

from pellucid.autograd.node import Formula
from pellucid.tensor.tensor import Tensor


@dataclass(frozen=True, slots=True)
class NoGradient:
    """Why an operator has no gradient: its outputs never require one."""

    reason: str


@dataclass(frozen=True, slots=True)
class OutRule:
    """How an operator takes `out=` where it is stricter than usual.

    `check(source, target)` refuses dtypes. With `apart` the target may not lie in memory that is
    read. With `row_major` a target that must be resized becomes row-major, whatever the strides of
    the result; with "filled" only one that held elements does, and an empty one gets the result's
    strides. `prepare(args, target, settings)` comes first and may change the settings, the call's
    keywords: a sum is computed in the target's dtype.
    """

    check: Callable[[Any, Any], None]
    apart: bool = False
    row_major: bool | str = False
    prepare: Callable[[Any, Any, dict[str, Any]], None] | None = None


Gradient = Mapping[str | tuple[str, ...], Callable[..., Any]] | NoGradient


@dataclass(frozen=True, slots=True, kw_only=True, eq=False)
class OpSpec:
    """All that an operator must answer.

    `body` is the reference, `gradient` its rules (see ARCHITECTURE.md), `where` the public places,
    `kind` one of "fresh", "view", "composite", "pointwise". `parameters` are the body's, `variadic`
    the name of its `*args` if it has one, `fields` the names of its outputs if they are a named
    tuple. `writes` is the in-place form's direct way to compute, if the family has one. `measured`
    are the parameters whose layout (not the data, so a later write does not matter) a formula asks
    for: `input_layout` for `input`. `infer` gives the result without data of arguments without
    data, where the body would be long about it (`ops/meta.py`).
    """

    name: str
    body: Callable[..., Any]
    kind: str
    where: tuple[str, ...]
    gradient: tuple[Formula, ...]
    no_gradient: str = ""
    inplace: bool = False
    out: bool | OutRule = False
    aliases: tuple[str, ...] = ()
    backward_name: str = ""
    parameters: tuple[str, ...] = ()
    variadic: str = ""
    defaults: dict[str, Any] = field(default_factory=dict)
    fields: tuple[str, ...] = ()
    measured: tuple[str, ...] = ()
    infer: Callable[..., Any] | None = None

    @property
    def public(self) -> list[str]:
        """Its public names with their places: "torch.add", "Tensor.add"."""
        return [f"{place}.{name}" for place in self.where for name in (self.name, *self.aliases)]

    def bind(self, args: Sequence[Any], kwargs: Mapping[str, Any]) -> dict[str, Any]:
        """The call's arguments by parameter name, defaults filled in."""
        bound = dict(self.defaults)
        if self.variadic:
            count = self.parameters.index(self.variadic)
            bound.update(zip(self.parameters, args[:count], strict=False))
            bound[self.variadic] = args[count:]
        else:
            bound.update(zip(self.parameters, args, strict=False))
        bound.update(kwargs)
        for name in self.measured:
            bound[name + "_layout"] = layout_of(bound[name])
        return bound


def layout_of(value: Any) -> Any:
    """The layout of a tensor, the layouts of a list of them, None for anything else."""
    if isinstance(value, Tensor):
        return value._layout
    if isinstance(value, (list, tuple)):
        return tuple(layout_of(each) for each in value)
    return None


_WORKSHOP = "pellucid.ops."
_HOMES = {
    "torch": "pellucid",
    "nn.functional": "pellucid.nn.functional",
    "linalg": "pellucid.linalg",
    "special": "pellucid.special",
    "fft": "pellucid.fft",
}
"""The modules that show the operators of a place; pickle looks a function up where it lives."""


def table(name: str) -> str:
    """The text of a table that stands beside the operators. `importlib.resources` would do it, and
    bring `tempfile` and ten milliseconds more at import.
    """
    path = os.path.join(os.path.dirname(__file__), name)
    loaded: bytes = __loader__.get_data(path)  # type: ignore[name-defined]
    return loaded.decode("ascii")


@contextmanager
def resting() -> Iterator[None]:
    """The collector rests while operators are described: they live as long as the process, and to
    look through them again and again takes a third of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        yield
    finally:
        if collects:
            gc.enable()


class _Late:
    """A method of `Tensor` whose family has not been read yet: it is read when asked for."""

    __slots__ = ("family", "name")

    def __init__(self, name: str, family: str) -> None:
        self.name = name
        self.family = family

    def __get__(self, tensor: Any, kind: type) -> Any:
        registry.read(self.family)  # puts the method in this one's place
        method = registry.ready("Tensor")[self.name]
        if Tensor.__dict__.get(self.name) is self:  # put back by who had patched it
            setattr(Tensor, self.name, method)
        return method.__get__(tensor, kind)


class Registry:
    """Every operator by name, its public function, and every public place with what stands in
    it.

    Families that a plain tensor program may not need are read when one of their names is first
    looked up: `find` does that for one name, `specs` and `places` read all that is left.
    """

    def __init__(self) -> None:
        self._specs: dict[str, OpSpec] = {}
        self._places: dict[str, dict[str, Callable[..., Any]]] = {}
        self.calls: dict[OpSpec, Callable[..., Any]] = {}
        self.twins: dict[str, Callable[[Callable[..., Any]], Callable[..., Any]]] = {}
        """How the function is made that stands beside a method: `torch.exp_` of `Tensor.exp_`."""
        self._late: dict[str, dict[str, str]] = {}
        self._unread: list[str] = []

    # -- families that are read late

    def expect(self, family: str, names: Sequence[str]) -> None:
        """Note that a family, not read yet, has these names ("torch.fft", "Tensor.stft")."""
        self._unread.append(family)
        for place_and_name in names:
            place, _, name = place_and_name.rpartition(".")
            self._late.setdefault(place, {})[name] = family
            if place == "Tensor":
                setattr(Tensor, name, _Late(name, family))

    def read(self, family: str) -> None:
        """Read a family."""
        with resting():
            importlib.import_module(_WORKSHOP + family)
        if family in self._unread:
            self._unread.remove(family)

    def read_all(self) -> None:
        """Read every family that has not been read."""
        while self._unread:
            self.read(self._unread[0])

    @property
    def specs(self) -> dict[str, OpSpec]:
        """Every operator by its key, "exp" or "linalg.det"."""
        self.read_all()
        return self._specs

    @property
    def places(self) -> dict[str, dict[str, Callable[..., Any]]]:
        """Every public place ("torch", "Tensor", "linalg", …) with what stands in it."""
        self.read_all()
        return self._places

    def ready(self, place: str) -> dict[str, Callable[..., Any]]:
        """What stands in a place, of the families that have been read."""
        return self._places.get(place, {})

    def names(self, place: str) -> list[str]:
        """The names of a place, whether their families have been read or not."""
        return sorted({*self._places.get(place, ()), *self._late.get(place, ())})

    def find(self, place: str, name: str) -> Callable[..., Any] | None:
        """What stands under a name; None if nothing does."""
        found = self._places.get(place, {}).get(name)
        if found is not None or not self._unread:
            return found
        family = self._late.get(place, {}).get(name)
        if family is not None:
            self.read(family)
        return self._places.get(place, {}).get(name)

    def spec(self, key: str) -> OpSpec | None:
        """The operator of a key; None if there is none."""
        if key not in self._specs and self._unread:
            place, _, name = key.rpartition(".")
            if self.find(place or "torch", name) is None:
                self.find("Tensor", name)
        return self._specs.get(key)

    def has(self, key: str) -> bool:
        """Whether there is an operator of this key; no family is read for the answer."""
        place, _, name = key.rpartition(".")
        homes = (place,) if place else ("torch", "Tensor")
        return key in self._specs or any(name in self._late.get(home, ()) for home in homes)

    # -- describing

    def enter(
        self,
        spec: OpSpec,
        call: Callable[..., Any],
        forms: Mapping[str, Callable[..., Any]] | None = None,
    ) -> None:
        """Put an operator under its names; `forms` are what some of them ("Tensor.add") show
        instead of `call`.

        Two operators of one name in one place are a mistake.
        """
        for place in spec.where:
            for name in (spec.name, *spec.aliases):
                self.put(place, name, forms.get(f"{place}.{name}", call) if forms else call)
        key = (
            spec.name
            if spec.where and spec.where[0] in ("torch", "Tensor")
            else f"{spec.where[0]}.{spec.name}"
        )
        if key in self._specs:
            raise TypeError(f"operator {key} is described twice")
        self._specs[key] = spec
        self.calls[spec] = call

    def put(self, place: str, name: str, call: Callable[..., Any]) -> None:
        """Make `call` known as `name` in `place`; methods are attached to `Tensor` at once."""
        names = self._places.setdefault(place, {})
        if name in names:
            raise TypeError(f"{place}.{name} is described twice")
        names[name] = call
        if place == "Tensor":
            held = Tensor.__dict__.get(name)
            if name not in self._late.get(place, ()) or isinstance(held, _Late):
                setattr(Tensor, name, call)  # a late method that somebody patched stays patched
            if name in self.twins:
                self.put("torch", name, self.twins[name](call))
        elif place in _HOMES and call.__module__.startswith(_WORKSHOP):
            call.__module__ = _HOMES[place]
            call.__name__ = call.__qualname__ = name


registry = Registry()


def namespace(place: str) -> dict[str, Callable[..., Any]]:
    """The public functions of a place: "torch", "Tensor", "nn.functional", "linalg", …"""
    return dict(registry.places.get(place, {}))


def show(place: str, module: dict[str, Any]) -> Callable[[str], Any]:
    """Put the operators of a place into a module's `globals()`: those that have been read now,
    the others when the returned function is asked for them (it answers None for other names).
    """
    module.update(registry.ready(place))

    def late(name: str) -> Any:
        found = registry.find(place, name)
        if found is not None:
            module[name] = found
        return found

    return late


def formulas(
    name: str, gradient: Gradient | None, parameters: Sequence[str]
) -> tuple[tuple[Formula, ...], str]:
    """The gradient rules in the order of the parameters, or the reason why there are none."""
    if isinstance(gradient, NoGradient):
        return (), gradient.reason
    if gradient is None:
        raise TypeError(
            f"operator {name} has no gradient: describe it, or write NoGradient(reason)"
        )
    rules = []
    for names, function in gradient.items():
        joint = isinstance(names, tuple)
        group = names if isinstance(names, tuple) else (names,)
        for one in group:
            if one not in parameters:
                raise TypeError(
                    f"operator {name}: gradient for {one!r}, which is not one of its parameters "
                    f"{tuple(parameters)}"
                )
        rules.append(Formula(group, function, joint))
    rules.sort(key=lambda rule: parameters.index(rule.names[0]))
    return tuple(rules), ""


def describe(
    body: Callable[..., Any],
    *,
    kind: str,
    where: str,
    gradient: Gradient | None,
    name: str | None = None,
    inplace: bool = False,
    out: bool | OutRule = False,
    aliases: Sequence[str] = (),
    backward_name: str = "",
    fields: Sequence[str] = (),
    infer: Callable[..., Any] | None = None,
) -> OpSpec:
    """Build the description of `body` from its signature and what the decorator was told."""
    own = name or body.__name__
    parameters, variadic, defaults = signature_of(body)
    rules, reason = (
        ((), "made of other operators")
        if kind == "composite"
        else formulas(own, gradient, parameters)
    )
    return OpSpec(
        name=own,
        body=body,
        kind=kind,
        where=tuple(where.split()),
        gradient=rules,
        no_gradient=reason,
        inplace=inplace,
        out=out,
        aliases=tuple(aliases),
        backward_name=backward_name or _node_name(own, where),
        parameters=tuple(parameters),
        variadic=variadic,
        defaults=defaults,
        fields=tuple(fields),
        infer=infer,
        measured=tuple(p for p in parameters if any(p + "_layout" in rule.wants for rule in rules)),
    )


def _node_name(name: str, where: str) -> str:
    """`SpecialErfcxBackward0`: operators that only `torch.special` has say so in their node."""
    return ("Special" if where.startswith("special") else "") + camel(name) + "Backward0"


def signature_of(body: Callable[..., Any]) -> tuple[list[str], str, dict[str, Any]]:
    """A function's parameters, the name of its `*args`, and its defaults: read off the code object,
    which is quick at import.
    """
    given_signature = getattr(body, "__signature__", None)
    if given_signature is not None:
        return _read(given_signature)
    function = inspect.unwrap(body) if hasattr(body, "__wrapped__") else body
    code = function.__code__
    names = code.co_varnames
    positional, total = code.co_argcount, code.co_argcount + code.co_kwonlyargcount
    variadic = names[total] if code.co_flags & inspect.CO_VARARGS else ""
    parameters = [*names[:positional], *([variadic] if variadic else []), *names[positional:total]]
    given = function.__defaults__ or ()
    defaults = dict(zip(names[positional - len(given) : positional], given, strict=True))
    return parameters, variadic, defaults | (function.__kwdefaults__ or {})


def _read(signature: inspect.Signature) -> tuple[list[str], str, dict[str, Any]]:
    kept = [p for p in signature.parameters.values() if p.kind is not p.VAR_KEYWORD]
    variadic = next((p.name for p in kept if p.kind is p.VAR_POSITIONAL), "")
    return (
        [p.name for p in kept],
        variadic,
        {p.name: p.default for p in kept if p.default is not p.empty},
    )


def camel(name: str) -> str:
    """`log_softmax` as `LogSoftmax`, as PyTorch names nodes."""
    return "".join(part[:1].upper() + part[1:] for part in name.split("_"))
