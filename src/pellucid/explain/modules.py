"""Which module runs: hooks around every module's `forward`, and what each module did.

A module called by no other is a root. Its name is its class; the modules below have the names
that `named_modules()` gives them.
"""

from __future__ import annotations

import weakref
from collections.abc import Iterator
from contextlib import contextmanager
from dataclasses import dataclass, field
from time import perf_counter
from typing import Any

from pellucid.explain.recorder import Meta, metas
from pellucid.nn.hooks import register_module_forward_hook, register_module_forward_pre_hook
from pellucid.nn.parameter import is_lazy

MOST_ROOTS = 100


@dataclass(slots=True, eq=False)
class ModuleRow:
    """One module: where it stands, what it holds, what its calls took (children included)."""

    root: int
    path: str
    kind: str
    detail: str
    ref: Any
    parameters: int = 0
    calls: int = 0
    seconds: float = 0.0
    inputs: tuple[Meta, ...] = ()
    outputs: tuple[Meta, ...] = ()

    @property
    def depth(self) -> int:
        """How many modules it stands in."""
        return self.path.count(".") + 1 if self.path else 0

    @property
    def name(self) -> str:
        """Its own name in its parent; a root's class."""
        return self.path.rpartition(".")[2] or self.kind


@dataclass(frozen=True, slots=True)
class Held:
    """Parameters or buffers of a root: tensors, elements, and bytes counted once per storage."""

    tensors: int
    elements: int
    nbytes: int
    shared: tuple[tuple[str, ...], ...]
    """Names under which one storage is held more than once (tied weights)."""


@dataclass(slots=True)
class Root:
    """A module called by no other, all rows below it in the order of `named_modules`."""

    label: str
    rows: list[ModuleRow]
    parameters: Held
    buffers: Held


@dataclass(slots=True)
class ModuleWatch:
    """Hooks that keep `stack` (the rows of the modules now running) and count calls."""

    stack_of: Any
    """An object with an attribute `modules`, the running thread's own list."""
    roots: list[Root] = field(default_factory=list)
    _rows: dict[int, ModuleRow] = field(default_factory=dict)
    _started: dict[int, list[float]] = field(default_factory=dict)

    @contextmanager
    def watching(self) -> Iterator[ModuleWatch]:
        """Put hooks around every module's `forward` inside the block."""
        before = register_module_forward_pre_hook(self._enter)
        after = register_module_forward_hook(self._leave, always_call=True)
        try:
            yield self
        finally:
            before.remove()
            after.remove()

    def _enter(self, module: Any, args: Any) -> None:
        row = self._rows.get(id(module))
        if row is None or row.ref() is not module:
            row = self._known(module)
        self._started.setdefault(id(row), []).append(perf_counter())
        self.stack_of.modules.append(row)
        if not row.calls:
            row.inputs = tuple(metas(args))

    def _leave(self, module: Any, args: Any, output: Any) -> None:
        stack = self.stack_of.modules
        row = self._rows.get(id(module))
        if row is None or row not in stack:
            return
        while stack.pop() is not row:
            pass
        row.seconds += perf_counter() - self._started[id(row)].pop()
        row.calls += 1
        row.outputs = tuple(metas(output if isinstance(output, (tuple, list)) else (output,)))

    def _known(self, module: Any) -> ModuleRow:
        """The row of a module seen for the first time, as a root if no known module holds it."""
        if len(self.roots) < MOST_ROOTS:
            self.roots.append(self._root(module))
        else:
            self._rows[id(module)] = ModuleRow(
                -1, "", type(module).__name__, "", weakref.ref(module)
            )
        return self._rows[id(module)]

    def _root(self, module: Any) -> Root:
        kind = type(module).__name__
        same = sum(root.rows[0].kind == kind for root in self.roots)
        rows = []
        for path, each in module.named_modules():
            row = ModuleRow(
                len(self.roots), path, type(each).__name__, _detail(each), weakref.ref(each)
            )
            row.parameters = sum(p._layout.numel for p in each.parameters() if not is_lazy(p))
            rows.append(row)
            self._rows[id(each)] = row
        return Root(
            f"{kind} #{same + 1}" if same else kind,
            rows,
            held(module.named_parameters(remove_duplicate=False)),
            held(module.named_buffers(remove_duplicate=False)),
        )


def _detail(module: Any) -> str:
    try:
        return " ".join(module.extra_repr().split())
    except Exception:  # a module whose description fails is watched all the same
        return ""


def held(named: Any) -> Held:
    """Sum up named tensors; what shares a storage counts once."""
    names: dict[int, list[str]] = {}
    elements = nbytes = 0
    for name, tensor in named:
        if is_lazy(tensor):
            continue
        storage = tensor._storage
        if id(storage) not in names:
            elements += tensor._layout.numel
            nbytes += storage._nbytes
        names.setdefault(id(storage), []).append(name)
    shared = tuple(tuple(group) for group in names.values() if len(group) > 1)
    return Held(sum(map(len, names.values())), elements, nbytes, shared)
