"""Values in a few words: a tensor by its shape, strides and element type, never by its contents."""

from __future__ import annotations

from typing import Any

ITEMS = 6  # of a container that are shown
BRACKETS: dict[type, str] = {list: "[{}]", tuple: "({})", dict: "{{{}}}", set: "{{{}}}"}
CHARACTERS = 80  # of any other value that are shown


def describe(value: Any, depth: int = 2) -> str:
    """`value` in a few words; never raises, whatever the value's own `repr` does.

    Anything with `shape`, `dtype` and strides counts as a tensor (PyTorch's, Pellucid's, NumPy's,
    by shape of the interface, not by type): `Tensor[2, 3] strides (3, 1) float32`. Strides are in
    elements where `stride()` gives them, and in bytes, marked so, where only `strides` does.
    """
    try:
        return _tensor(value) or _container(value, depth) or _short(repr(value))
    except Exception as error:
        return f"<{type(value).__name__}, whose repr failed with {type(error).__name__}>"


def _tensor(value: Any) -> str | None:
    if isinstance(value, type):
        return None
    shape, dtype = getattr(value, "shape", None), getattr(value, "dtype", None)
    if shape is None or dtype is None:
        return None
    stride, strides = getattr(value, "stride", None), getattr(value, "strides", None)
    if callable(stride):
        layout = f" strides {tuple(stride())}"
    elif strides is not None:
        layout = f" strides {tuple(strides)} bytes"
    else:
        return None
    element = str(dtype).rpartition(".")[2]
    gradient = " requires_grad" if getattr(value, "requires_grad", False) is True else ""
    return f"{type(value).__name__}{list(shape)}{layout} {element}{gradient}"


def _container(value: Any, depth: int) -> str | None:
    kind = type(value)
    if kind not in BRACKETS or not value:
        return None
    if depth == 0:
        return f"{kind.__name__} of {len(value)}"
    shown = list(value.items() if kind is dict else value)[:ITEMS]
    if kind is dict:
        parts = [f"{describe(key, 0)}: {describe(item, depth - 1)}" for key, item in shown]
    else:
        parts = [describe(item, depth - 1) for item in shown]
    if len(value) > ITEMS:
        parts.append(f"... {len(value)} in all")
    comma = "," if kind is tuple and len(value) == 1 else ""
    return BRACKETS[kind].format(", ".join(parts) + comma)


def _short(text: str) -> str:
    text = " ".join(text.split())
    return text if len(text) <= CHARACTERS else text[: CHARACTERS - 3] + "..."
