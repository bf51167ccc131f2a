"""Forward-mode derivatives as a context (`torch.autograd.forward_ad`): tensors that carry a
direction.

`make_dual` gives a fresh tensor on the tape and remembers its direction; `unpack_dual` asks for the
derivative along all directions of the level, by two backward passes (`autograd/pushforward.py`).
Duals are on the tape, so the tape must be on: inside `no_grad` nothing would be carried, and
`make_dual` and `unpack_dual` refuse there.
"""

from __future__ import annotations

import threading
from typing import NamedTuple

from pellucid.autograd.arithmetic import arithmetic
from pellucid.autograd.modes import state
from pellucid.autograd.node import wants_grad
from pellucid.autograd.pushforward import Pushforward
from pellucid.tensor.dtype import FLOATING
from pellucid.tensor.tensor import Tensor

__all__ = [
    "UnpackedDualTensor",
    "dual_level",
    "enter_dual_level",
    "exit_dual_level",
    "make_dual",
    "unpack_dual",
]


class UnpackedDualTensor(NamedTuple):
    """A tensor and the direction it carries, None if it carries none."""

    primal: Tensor
    tangent: Tensor | None


class _Duals(threading.local):
    """The duals of the level that is open in this thread; None: none is open."""

    open: list[tuple[Tensor, Tensor]] | None = None


_duals = _Duals()


def enter_dual_level() -> int:
    """Open the level; there is one at a time. Returns its number, 0."""
    if _duals.open is not None:
        raise RuntimeError(
            "Nested forward mode AD is not supported at the moment\n"
            "  torch.func.jvp nests to any depth."
        )
    _duals.open = []
    return 0


def exit_dual_level(*, level: int | None = None) -> None:
    """Close the level: what was dual carries no direction any more."""
    if _duals.open is None or level not in (None, 0):
        raise RuntimeError(
            "Trying to exit a forward AD level that was not the last one that was created. This is "
            "not supported."
        )
    _duals.open = None


class dual_level:
    """The level, open for a block."""

    def __enter__(self) -> int:
        return enter_dual_level()

    def __exit__(self, *exc: object) -> None:
        exit_dual_level()


def make_dual(tensor: Tensor, tangent: Tensor, *, level: int | None = None) -> Tensor:
    """`tensor` carrying the direction `tangent`, of its shape and dtype.

    Raises: RuntimeError outside a level, ValueError for tensors that count.
    """
    if _duals.open is None:
        raise RuntimeError(
            "Trying to create a dual Tensor for forward AD but no level exists, make sure to "
            "enter_dual_level() first."
        )
    for name, value in (("tensor", tensor), ("tangent", tangent)):
        if value.dtype.category < FLOATING:
            raise ValueError(
                f"Expected {name} to be floating point or complex, but got: {value.dtype}"
            )
    if tensor._layout.shape != tangent._layout.shape:
        raise RuntimeError(
            f"Trying to set a forward gradient that has a different size than that of the original "
            f"Tensor, this is not supported. Tensor is of size {list(tensor.shape)} while the "
            f"given forward gradient is of size {list(tangent.shape)}."
        )
    if tensor.dtype is not tangent.dtype:
        raise RuntimeError(
            "Expected the tangent to have the dtype of its primal, "
            f"{tensor.dtype}, but got {tangent.dtype}"
        )
    _require_tape("make_dual")
    dual: Tensor
    if wants_grad(tensor):
        dual = arithmetic.view_as(tensor, tensor)
    else:
        dual = tensor._twin()
        dual._requires_grad = True
    _duals.open.append((dual, tangent))
    return dual


def unpack_dual(tensor: Tensor, *, level: int | None = None) -> UnpackedDualTensor:
    """The tensor without its direction, and the direction: the derivative of how it was computed
    from the duals of the level. None if it was not.
    """
    if _duals.open is None:
        return UnpackedDualTensor(tensor, None)
    for dual, tangent in _duals.open:
        if dual is tensor:
            return UnpackedDualTensor(tensor.detach(), tangent)
    if not wants_grad(tensor):
        return UnpackedDualTensor(tensor, None)
    _require_tape("unpack_dual")
    push = Pushforward([tensor], [dual for dual, _ in _duals.open])
    recording = any(wants_grad(tangent) for _, tangent in _duals.open)
    found = push([tangent for _, tangent in _duals.open], create_graph=recording)[0]
    return UnpackedDualTensor(tensor.detach(), found)


def _require_tape(name: str) -> None:
    if not state.grad:
        raise RuntimeError(
            f"{name}: recording is off (no_grad or inference_mode), and a direction is carried by "
            "what is recorded\n  Leave the block, or use torch.func.jvp, which records by itself."
        )
