"""The window `PELLUCID_DEBUG=ops`: each operator on a line of stderr as it ends."""

from __future__ import annotations

import sys
from typing import TYPE_CHECKING, Any

if TYPE_CHECKING:
    from pellucid.tensor.events import Event

_WORDS = {"view": "view", "copy": "fresh", "write": "in place", "node": "backward"}
_LONGEST = 40


def line_of(event: Event) -> str:
    """A call in one line: `t(float32[2, 3]) -> float32[3, 2] (1, 3)  view`.

    Strides are shown where they are not row-major; numbers and other arguments as they are.
    """
    given = ", ".join(shown(value) for value in event.inputs)
    parts = [f"{event.name}({given})"]
    if event.kind != "write":
        parts.append(f"-> {', '.join(shown(value) for value in event.outputs)}")
    parts.append(f" {_WORDS[event.kind]}")
    if event.nbytes:
        parts.append(f"{event.nbytes} bytes")
    parts.append(f"{event.seconds * 1e6:.0f} µs")
    if event.reason:
        parts.append(f"({event.reason})")
    return " ".join(parts)


def shown(value: Any) -> str:
    """An argument in a few words: tensors by dtype and layout, lists by their first members."""
    layout = getattr(value, "_layout", None)
    if layout is not None:
        strides = "" if layout.is_row_major else f" {tuple(layout.strides)}"
        return f"{value.dtype.name}{list(layout.shape)}{strides}"
    if isinstance(value, (list, tuple)) and any(hasattr(each, "_layout") for each in value):
        more = ", …" if len(value) > 3 else ""
        return f"[{', '.join(shown(each) for each in value[:3])}{more}]"
    text = repr(value)
    return text if len(text) <= _LONGEST else text[: _LONGEST - 1] + "…"


def print_event(event: Event) -> None:
    """The listener itself."""
    print(f"pellucid: {line_of(event)}", file=sys.stderr)
