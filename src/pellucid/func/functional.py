"""`functionalize`: a function without effects on its intermediate tensors."""

from __future__ import annotations

import functools
from collections.abc import Callable
from typing import Any

REMOVE = ("mutations", "mutations_and_views")


def functionalize(func: Callable[..., Any], *, remove: str = "mutations") -> Callable[..., Any]:
    """A function that returns what `func` does, and writes into its arguments what `func` does.

    In PyTorch the transform rewrites in-place operators (and views, with
    `remove="mutations_and_views"`) into ones that return new tensors, for the tracer that looks at
    it; values are the same with and without. Pellucid's own tracer (`torch.compile`) does that
    itself, and no other looks, so the function is called as it is. It composes with `grad`, `vmap`
    and `jvp`.

    Raises: RuntimeError for another `remove`.
    """
    if remove not in REMOVE:
        raise RuntimeError(
            "functionalize(f, remove='mutations'): received invalid argument for remove="
            f"{remove}. Valid options are:\n"
            "     remove='mutations': writes in place become values\n"
            "     remove='mutations_and_views': and views become copies\n"
        )

    @functools.wraps(func)
    def wrapped(*args: Any, **kwargs: Any) -> Any:
        return func(*args, **kwargs)

    return wrapped
