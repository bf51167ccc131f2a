"""Gradients that PyTorch leaves out: the outputs ask for one, and the backward pass says that there
is none.

PyTorch has two kinds. Some operators are listed without a derivative (`listed`); others are not
listed at all, and a node named `NotImplemented` stands for them (`unlisted`, with
`backward_name=UNLISTED`).
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.tensor.tensor import Tensor

UNLISTED = "NotImplemented"


def listed(name: str) -> Callable[[Any], Any]:
    """The formula of a derivative that PyTorch's list gives as not implemented."""

    def refuse(grads: tuple[Tensor | None, ...]) -> Any:
        raise NotImplementedError(f"the derivative for '{name}' is not implemented.")

    return refuse


def aten(name: str) -> Callable[[Any], Any]:
    """The formula of a derivative that a gradient function of PyTorch refuses to compute."""

    def refuse(grads: tuple[Tensor | None, ...]) -> Any:
        raise NotImplementedError(f"derivative for aten::{name} is not implemented")

    return refuse


def unlisted(name: str) -> Callable[[Any], Any]:
    """The formula of an operator without any entry in PyTorch's list of derivatives."""

    def refuse(grads: tuple[Tensor | None, ...]) -> Any:
        raise RuntimeError(
            f"derivative for aten::{name} is not implemented\n"
            "  Detach what goes into the operator, or what comes out of it."
        )

    return refuse
