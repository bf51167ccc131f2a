"""`explain(module)`: every tensor a module holds, and what saving, loading and moving do to it."""

from __future__ import annotations

from collections.abc import Iterator
from dataclasses import dataclass
from html import escape
from typing import Any

from pellucid.explain.text import Explanation, brief, count, size, table
from pellucid.nn.module import Module
from pellucid.nn.parameter import Parameter, is_lazy
from pellucid.tensor.tensor import Tensor

HEADS = ("name", "is a", "tensor", "trained", "saved", "moved", "same memory as")
OWN = frozenset({"_parameters", "_buffers", "_modules"})
"""Where modules keep what they know of; all else are plain attributes."""


@dataclass(frozen=True, slots=True)
class Held:
    """One tensor under one name.

    `kind`: "parameter", "buffer", "buffer, not persistent", "plain attribute", or "empty buffer"
    (None in its place). `saved`: whether `state_dict()` has it, so that loading brings it back.
    `moved`: whether `.to(…)`, `.double()`, … reach it. A deep copy copies all of them.
    """

    name: str
    kind: str
    tensor: Tensor | None
    saved: bool
    moved: bool

    @property
    def trained(self) -> bool:
        """Whether an optimiser over `parameters()` changes it."""
        return self.kind == "parameter" and self.tensor is not None and self.tensor.requires_grad

    def shown(self) -> str:
        if self.tensor is None:
            return "None"
        if is_lazy(self.tensor):
            return "not made yet"
        return brief(self.tensor.dtype, self.tensor._layout)


@dataclass(frozen=True, eq=False, repr=False)
class ModuleExplanation(Explanation):
    """What a module holds. `notes` are the places where something is lost silently, with a fix."""

    kind: str
    held: tuple[Held, ...]
    tied: tuple[tuple[str, ...], ...]
    notes: tuple[str, ...]

    def __str__(self) -> str:
        parts = [f"{self.kind}: {self.summary()}"]
        if self.held:
            parts.append(table(HEADS, self._rows()))
        return "\n\n".join([*parts, *self.notes])

    def summary(self) -> str:
        """How many tensors of each kind, and bytes."""
        kinds: dict[str, int] = {}
        for each in self.held:
            kinds[each.kind] = kinds.get(each.kind, 0) + 1
        words = [count(number, kind, _plural(kind)) for kind, number in kinds.items()]
        memory = {
            id(each.tensor._storage): each.tensor._storage._nbytes
            for each in self.held
            if each.tensor is not None and not is_lazy(each.tensor)
        }
        return ", ".join([*words, f"{size(sum(memory.values()))} of memory"])

    def _rows(self) -> list[tuple[str, ...]]:
        others = {n: [o for o in group if o != n] for group in self.tied for n in group}
        return [
            (
                each.name,
                each.kind,
                each.shown(),
                "yes" if each.trained else "no",
                "yes" if each.saved else "no",
                "yes" if each.moved else "no",
                ", ".join(others.get(each.name, ())),
            )
            for each in self.held
        ]

    def to_dict(self) -> dict[str, Any]:
        return {
            "module": self.kind,
            "tensors": [
                {
                    "name": each.name,
                    "kind": each.kind,
                    "tensor": each.shown(),
                    "trained": each.trained,
                    "saved": each.saved,
                    "moved": each.moved,
                }
                for each in self.held
            ],
            "tied": [list(group) for group in self.tied],
            "notes": list(self.notes),
        }

    def _repr_html_(self) -> str:
        heads = "".join(f"<th style='text-align:left'>{head}</th>" for head in HEADS)
        rows = "".join(
            "<tr>" + "".join(f"<td>{escape(cell)}</td>" for cell in row) + "</tr>"
            for row in self._rows()
        )
        notes = "".join(f"<pre>{escape(note)}</pre>" for note in self.notes)
        title = f"<p><code>{escape(self.kind)}</code>: {escape(self.summary())}</p>"
        return f"{title}<table><tr>{heads}</tr>{rows}</table>{notes}"


def _plural(kind: str) -> str:
    first, comma, rest = kind.partition(",")
    return f"{first}s{comma}{rest}"


def explain_module(module: Module) -> ModuleExplanation:
    """Look at every tensor of a module and of the modules in it."""
    saved = set(module.state_dict())
    held = tuple(_held(module, saved))
    notes = (*_notes_on_attributes(module), *_notes_on_memory(held), *_notes_on_checkpoint(module))
    return ModuleExplanation(type(module).__name__, held, tuple(_tied(held)), notes)


def _held(module: Module, saved: set[str]) -> Iterator[Held]:
    for path, part in module.named_modules(remove_duplicate=False):
        before = f"{path}." if path else ""
        for name, parameter in part._parameters.items():
            if parameter is not None:
                full = before + name
                yield Held(full, "parameter", parameter, full in saved, True)
        for name, buffer in part._buffers.items():
            full, here = before + name, name not in part._non_persistent_buffers_set
            kind = "buffer" if here else "buffer, not persistent"
            kind = "empty buffer" if buffer is None else kind
            yield Held(full, kind, buffer, full in saved, buffer is not None)
        for name, value in _attributes(part):
            for place, tensor in _tensors(value):
                yield Held(f"{before}{name}{place}", "plain attribute", tensor, False, False)


def _attributes(part: Module) -> Iterator[tuple[str, Any]]:
    """Plain attributes of a module; what its class keeps for itself is left out."""
    for name, value in vars(part).items():
        if name not in OWN and not name.endswith("_hooks") and not name.startswith("__"):
            yield name, value


def _tensors(value: Any, place: str = "") -> Iterator[tuple[str, Tensor]]:
    if isinstance(value, Tensor):
        yield place, value
    elif isinstance(value, (list, tuple)):
        for i, one in enumerate(value):
            yield from _tensors(one, f"{place}[{i}]")
    elif isinstance(value, dict):
        for key, one in value.items():
            yield from _tensors(one, f"{place}[{key!r}]")


def _modules(value: Any) -> bool:
    values = value.values() if isinstance(value, dict) else value
    return any(isinstance(one, Module) for one in values)


def _tied(held: tuple[Held, ...]) -> Iterator[tuple[str, ...]]:
    groups: dict[int, list[str]] = {}
    for each in held:
        if each.tensor is not None and not is_lazy(each.tensor):
            groups.setdefault(id(each.tensor._storage), []).append(each.name)
    for names in groups.values():
        if len(set(names)) > 1:
            yield tuple(dict.fromkeys(names))


def _notes_on_attributes(module: Module) -> Iterator[str]:
    for path, part in module.named_modules():
        where = f"{path or 'the module'} ({type(part).__name__})"
        for name, value in _attributes(part):
            if isinstance(value, (list, tuple, dict)) and _modules(value):
                kind = "ModuleDict" if isinstance(value, dict) else "ModuleList"
                yield (
                    f"{where}: {name} is a plain {type(value).__name__} of modules: parameters() "
                    f"and state_dict() do not see them\n    self.{name} = nn.{kind}({name})"
                )
            found = list(_tensors(value))
            if not found:
                continue
            if isinstance(value, Tensor):
                fix = f'self.register_buffer("{name}", {name})'
            elif any(isinstance(tensor, Parameter) for _, tensor in found):
                kind = "ParameterDict" if isinstance(value, dict) else "ParameterList"
                fix = f"self.{name} = nn.{kind}({name})"
            else:
                fix = f'self.register_buffer("{name}_0", {name}[0])  # one for each'
            yield (
                f"{where}: {name} is a plain attribute: state_dict() does not save it, .to() and "
                f".double() leave it as it is\n    {fix}"
            )


def _notes_on_memory(held: tuple[Held, ...]) -> Iterator[str]:
    for each in held:
        if each.tensor is None or is_lazy(each.tensor) or not each.saved:
            continue
        whole, own = each.tensor._storage._nbytes, each.tensor.nbytes
        if whole > 2 * own and whole - own > 4096:
            yield (
                f"{each.name} shows {size(own)} of {size(whole)}: torch.save writes all of it\n"
                f"    give the module a copy of its own: .clone()"
            )


def _notes_on_checkpoint(module: Module) -> Iterator[str]:
    for path, part in module.named_modules():
        missing = getattr(part, "not_in_checkpoint", ())
        if missing:
            where = f"{path}: " if path else ""
            yield (
                f"{where}not in the checkpoint, so random until trained: {', '.join(missing)}\n"
                "    what is computed with them means nothing yet; nothing else depends on them"
            )
