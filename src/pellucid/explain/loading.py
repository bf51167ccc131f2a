"""`explain.loading(module, state)`: why a state does not fit a module, and the lines that fix it.

The lines are run, on names and shapes, before they are shown.
"""

from __future__ import annotations

import os
from collections.abc import Iterator, Mapping
from dataclasses import dataclass
from difflib import get_close_matches
from html import escape
from typing import Any

from pellucid.explain.text import Explanation, count
from pellucid.io.reader import load
from pellucid.nn._module.advice import COMMON_PREFIXES
from pellucid.nn.module import Module
from pellucid.tensor.tensor import Tensor

NESTED = ("state_dict", "model_state_dict", "model", "net")
OLD = (("gamma", "weight"), ("beta", "bias"))
MOST = 12

Shapes = dict[str, Any]


@dataclass(frozen=True, eq=False, repr=False)
class Loading(Explanation):
    """What `module.load_state_dict(state)` would do.

    `missing`: keys of the module that the state lacks; `unexpected`: keys it has beyond; `sizes`:
    (key, shape in the state, shape in the module) where they differ. `fix`: lines of Python, in
    which `state` and `model` are what was given; empty if nothing needs fixing. `left` keys stay as
    they are in the module even after the fix.
    """

    missing: tuple[str, ...]
    unexpected: tuple[str, ...]
    sizes: tuple[tuple[str, tuple[int, ...], tuple[int, ...]], ...]
    fix: str
    left: tuple[str, ...]

    @property
    def fits(self) -> bool:
        """Whether the state loads as it is."""
        return not (self.missing or self.unexpected or self.sizes)

    def __str__(self) -> str:
        if self.fits:
            return "The state fits: every key and every size."
        parts = []
        for words, keys in (
            ("missing in the state", self.missing),
            ("in the state, with no place in the module", self.unexpected),
        ):
            if keys:
                parts.append("\n  ".join([f"{count(len(keys), 'key')} {words}:", *_some(keys)]))
        if self.sizes:
            lines = [f"{key}: {given} in the state, {own} here" for key, given, own in self.sizes]
            parts.append("\n  ".join(["sizes differ:", *_some(lines)]))
        parts.append(f"what loads it:\n\n{self.fix}")
        if self.left:
            shown = ", ".join(_some(self.left))
            parts.append(f"After that these still have the module's own values: {shown}")
        return "\n\n".join(parts)

    def to_dict(self) -> dict[str, Any]:
        return {
            "fits": self.fits,
            "missing": list(self.missing),
            "unexpected": list(self.unexpected),
            "sizes": [[key, list(given), list(own)] for key, given, own in self.sizes],
            "fix": self.fix,
            "left": list(self.left),
        }

    def _repr_html_(self) -> str:
        return f"<pre>{escape(str(self))}</pre>"


def _some(lines: Any) -> list[str]:
    lines = list(lines)
    more = [f"… and {len(lines) - MOST} more"] if len(lines) > MOST else []
    return lines[:MOST] + more


def loading(module: Module, state: Mapping[str, Any] | str | os.PathLike[str]) -> Loading:
    """Compare a state, or the file of one, with a module; nothing is loaded into it.

    Raises: TypeError if `module` is no module or `state` neither mapping nor file; what
        `pellucid.load` raises for files that are damaged.
    """
    if not isinstance(module, Module):
        raise TypeError(f"loading: the first argument is a module, not {type(module).__name__}")
    given: Any = state
    lines = []
    if isinstance(state, (str, os.PathLike)):
        given = load(state)
        lines.append(f"state = torch.load({os.fspath(state)!r})")
    if not isinstance(given, Mapping):
        raise TypeError(f"loading: a state maps names to tensors; this is a {type(given).__name__}")
    own = {key: tuple(tensor.shape) for key, tensor in module.state_dict().items()}
    shapes = _shapes(given)
    missing, unexpected, sizes = _differences(own, shapes)
    if not (missing or unexpected or sizes):
        return Loading((), (), (), "", ())
    steps = []
    while step := _best_step(own, shapes) or _unpacking(own, shapes):
        steps.append(step)
        shapes = _run(step, shapes, own)
    for step in _clean_up(own, shapes):
        steps.append(step)
        shapes = _run(step, shapes, own)
    left, beyond, unlike = _differences(own, shapes)
    assert not beyond and not unlike, "the fix was run and does not fit"
    strict = ", strict=False" if left else ""
    fix = "\n".join([*lines, *steps, f"model.load_state_dict(state{strict})"])
    return Loading(missing, unexpected, sizes, fix, left)


def _shapes(state: Mapping[str, Any]) -> Shapes:
    """The state with shapes in place of tensors: enough to try a fix."""
    return {
        key: tuple(value.shape)
        if isinstance(value, Tensor)
        else _shapes(value)
        if isinstance(value, Mapping)
        else None
        for key, value in state.items()
    }


def _differences(
    own: Shapes, given: Shapes
) -> tuple[tuple[str, ...], tuple[str, ...], tuple[tuple[str, Any, Any], ...]]:
    missing = tuple(key for key in own if key not in given)
    unexpected = tuple(key for key in given if key not in own)
    sizes = tuple((k, given[k], own[k]) for k in own if k in given and given[k] != own[k])
    return missing, unexpected, sizes


@dataclass(frozen=True)
class _Model:
    """As much of a module as the lines ask for."""

    own: Shapes

    def state_dict(self) -> Shapes:
        return self.own


def _run(line: str, shapes: Shapes, own: Shapes) -> Shapes:
    """What a line makes of a state."""
    space: dict[str, Any] = {"state": dict(shapes), "model": _Model(own)}
    exec(line, space)  # a line of this module's own making
    found: Shapes = space["state"]
    return found


def _fitting(own: Shapes, shapes: Shapes) -> int:
    return sum(shapes.get(key) == shape for key, shape in own.items())


def _best_step(own: Shapes, shapes: Shapes) -> str | None:
    """The line after which the most keys fit, if that is more than before."""
    best, most = None, _fitting(own, shapes)
    for line in _candidates(own, shapes):
        fitting = _fitting(own, _run(line, shapes, own))
        if fitting > most:
            best, most = line, fitting
    return best


def _unpacking(own: Shapes, shapes: Shapes) -> str | None:
    """Take the state out of a training program's checkpoint, and off what wraps all of it."""
    if _fitting(own, shapes):
        return None
    for name in NESTED:
        if isinstance(shapes.get(name), dict):
            return f"state = state[{name!r}]"
    firsts = {key.partition(".")[0] for key in shapes}
    if len(firsts) == 1 and all("." in key for key in shapes):
        return f"state = {{k.removeprefix({firsts.pop() + '.'!r}): v for k, v in state.items()}}"
    return None


def _candidates(own: Shapes, shapes: Shapes) -> Iterator[str]:
    firsts = {f"{key.partition('.')[0]}." for key in shapes if "." in key}
    for prefix in sorted(firsts.union(COMMON_PREFIXES)):
        yield f"state = {{k.removeprefix({prefix!r}): v for k, v in state.items()}}"
    for prefix in sorted({f"{key.partition('.')[0]}." for key in own if "." in key}):
        yield (
            f"state = {{k if k in model.state_dict() else {prefix!r} + k: v "
            "for k, v in state.items()}"
        )
    for old, new in OLD:
        if any(key.endswith(old) for key in shapes):
            yield (
                f"state = {{k.removesuffix({old!r}) + {new!r} if k.endswith({old!r}) else k: v "
                "for k, v in state.items()}"
            )
    yield from _renamings(own, shapes)


def _renamings(own: Shapes, shapes: Shapes) -> Iterator[str]:
    """One key that is spelt a little differently and has the right size."""
    missing = [key for key in own if key not in shapes]
    free = [key for key in shapes if key not in own]
    for key in missing[:50]:
        same_size = [other for other in free if shapes[other] == own[key]]
        close = get_close_matches(key, same_size, n=1, cutoff=0.75)
        if close:
            yield f"state[{key!r}] = state.pop({close[0]!r})"


def _clean_up(own: Shapes, shapes: Shapes) -> list[str]:
    """Lines that drop what has no place, and what has another size."""
    _, unexpected, sizes = _differences(own, shapes)
    steps = []
    if unexpected:
        steps.append(
            f"state = {{k: v for k, v in state.items() if k not in {sorted(unexpected)!r}}}"
        )
    if sizes:
        wrong = sorted(key for key, *_ in sizes)
        steps.append(f"state = {{k: v for k, v in state.items() if k not in {wrong!r}}}")
    return steps
