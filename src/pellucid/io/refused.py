"""`Refused`: what stands in the loaded data for an object that was not made.

A checkpoint that holds a whole module, an `argparse` action or a class of somebody's program still
holds tensors. `load(..., skip_refused=True)` reads them all: each object that is not on the
allow-list becomes a `Refused`, which keeps what the file wanted to hand to it.
"""

from __future__ import annotations

from typing import Any


class Refused:
    """A class, function or instance named by a file and not made.

    Attributes:
        name: the dotted name in the file, `"__main__.Net"`.
        offset: where the opcode that names it stands, in bytes from the start of the pickle.
        called: False for the bare name, True for what calling it would have given.
        args: what the file wanted to call it with, `()` for none.
        state: what the file wanted to set on it (usually the instance's `__dict__`), or None.
        items: elements and key/value pairs the file wanted to add to it.
    """

    __slots__ = ("args", "called", "items", "kwargs", "name", "offset", "state")

    def __init__(
        self,
        name: str,
        offset: int,
        args: Any = (),
        kwargs: Any = None,
        called: bool = False,
    ) -> None:
        self.name = name
        self.offset = offset
        self.args = args
        self.kwargs = {} if kwargs is None else kwargs
        self.called = called
        self.state: Any = None
        self.items: list[Any] = []

    def __repr__(self) -> str:
        call = "(...)" if self.called else ""
        return f"Refused({self.name + call!r}, offset={self.offset})"

    def state_dict(self, prefix: str = "") -> dict[str, Any]:
        """The tensors of a refused `nn.Module`, under the names its `state_dict()` would use.

        Raises:
            TypeError: the refused object does not look like a module.
        """
        state = self.state if isinstance(self.state, dict) else {}
        if not isinstance(state.get("_modules"), dict):
            raise TypeError(
                f"state_dict: {self!r} is no nn.Module: the file sets no `_modules` on it. "
                "Look at .args, .state and .items for what the file holds"
            )
        return dict(_module_tensors(self, prefix))


def _module_tensors(root: Refused, prefix: str) -> list[tuple[str, Any]]:
    """Names and tensors of a module tree, parents first, without recursion (files may be deep)."""
    found: list[tuple[str, Any]] = []
    waiting = [(root, prefix)]
    seen: set[int] = set()
    while waiting:
        module, path = waiting.pop()
        state = module.state if isinstance(module.state, dict) else {}
        if id(module) in seen:
            continue
        seen.add(id(module))
        hidden = state.get("_non_persistent_buffers_set") or ()
        for table in ("_parameters", "_buffers"):
            entries = state.get(table)
            if isinstance(entries, dict):
                found += [
                    (f"{path}{name}", tensor)
                    for name, tensor in entries.items()
                    if tensor is not None and name not in hidden
                ]
        children = state.get("_modules")
        if isinstance(children, dict):
            waiting += [
                (child, f"{path}{name}.")
                for name, child in reversed(children.items())
                if isinstance(child, Refused)
            ]
    return found
