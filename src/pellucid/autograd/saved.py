"""Saved tensors: what a node keeps for its gradient formulas, with the version each had when it was
kept.

An output is kept without its place on the tape (its node would hold itself alive) and gets it back
when it is unpacked. `saved_tensors_hooks` may pack tensors on their way in (to disk, to lower
precision) and unpack them on their way out.
"""

from __future__ import annotations

import re
import threading
from collections.abc import Callable
from typing import Any

from pellucid.tensor.tensor import Tensor


class _Released:
    """What a node's store becomes when the backward pass has used it."""

    __slots__ = ()


RELEASED = _Released()

FREED = (
    "Trying to backward through the graph a second time (or directly access saved tensors after "
    "they have already been freed). Saved intermediate values of the graph are freed when you call "
    ".backward() or autograd.grad(). Specify retain_graph=True if you need to backward through the "
    "graph a second time or if you need to access saved tensors after calling backward."
)

Pack = Callable[[Tensor], Any]
Unpack = Callable[[Any], Tensor]


class _Hooks(threading.local):
    """The `saved_tensors_hooks` that are on in this thread, the innermost last; None says why they
    are forbidden.
    """

    def __init__(self) -> None:
        self.stack: list[tuple[Pack, Unpack]] = []
        self.forbidden: str | None = None


hooks = _Hooks()


def save(value: Any, node: Any, output_nr: int) -> Any:
    """`value` as a node keeps it: tensors (and lists of them) with their versions, anything else as
    it is.

    `node` is given for outputs of the operation that is being recorded.
    """
    if isinstance(value, Tensor):
        if hooks.stack:
            return PackedTensor(value, node, output_nr)
        if node is None:
            return SavedTensor(value)
        return SavedOutput(value, output_nr)
    if isinstance(value, (list, tuple)):
        for each in value:
            if isinstance(each, Tensor):
                return SavedList([save(v, node, i) for i, v in enumerate(value)])
    return value


class SavedTensor:
    """A tensor kept for backward. `unpack` refuses it if it was written in between."""

    __slots__ = ("tensor", "version")
    is_output = False

    def __init__(self, tensor: Tensor) -> None:
        if tensor._inference:
            raise RuntimeError(
                "Inference tensors cannot be saved for backward. Please do not use Tensors created "
                "in inference mode in computation tracked by autograd. To work around this, you "
                "can make a clone to get a normal tensor and use it in autograd, or use "
                "`torch.no_grad()` instead of `torch.inference_mode()`."
            )
        self.version = tensor._storage.version
        self.tensor = tensor

    def unpack(self, node: Any) -> Tensor:
        """The tensor, as it was when it was saved."""
        tensor = self.tensor
        if tensor._storage.version != self.version:
            maker = tensor._grad_fn
            raise RuntimeError(modified(tensor, self.version, node, maker, tensor._output_nr))
        return tensor


class SavedOutput(SavedTensor):
    """An output of the node that keeps it."""

    __slots__ = ("output_nr",)
    is_output = True

    def __init__(self, tensor: Tensor, output_nr: int) -> None:
        self.output_nr = output_nr
        self.version = tensor._storage.version
        self.tensor = tensor._twin()

    def unpack(self, node: Any) -> Tensor:
        """The output with its place on the tape."""
        tensor = self.tensor
        if tensor._storage.version != self.version:
            raise RuntimeError(modified(tensor, self.version, node, node, self.output_nr))
        return _on_tape(tensor, node, self.output_nr)


def _on_tape(tensor: Tensor, node: Any, output_nr: int) -> Tensor:
    result = tensor._twin()
    if tensor.dtype.category >= 2:
        result._grad_fn = node
        result._output_nr = output_nr
        result._requires_grad = True
    return result


def modified(tensor: Tensor, expected: int, node: Any, maker: Any, output_nr: int) -> str:
    """Why `node` can't have the tensor it saved: who made it, who wrote it, what to do."""
    storage = tensor._storage
    shape = ", ".join(map(str, tensor._layout.shape))
    name = "" if maker is None else re.sub(r"Backward\d*$", "", maker.name())
    origin = f", which is output {output_nr} of {name}," if name else ""
    writer = getattr(storage, "writer", "")
    wrote = f" {writer} was the last to write it." if writer else ""
    if node.trace is None and " (" not in writer:  # see `writers.py`
        wrote += " In anomaly mode its line stands here."
    if node.trace is None:
        hint = (
            "enable anomaly detection to find the operation that failed to compute its gradient, "
            "with "
            "torch.autograd.set_detect_anomaly(True, check_nan=False)."
        )
    else:
        hint = (
            "the backtrace further above shows the operation that failed to compute its gradient. "
            "The variable in question was changed in there or anywhere later. Good luck!"
        )
    return (
        "one of the variables needed for gradient computation has been modified by an inplace "
        "operation: "
        f"[torch.{tensor.dtype.tensor_type} [{shape}]]{origin} is at version {storage.version}; "
        f"expected version {expected} instead. Hint: {hint}\n"
        f"  {node.name()} saved this tensor and needs it unchanged.{wrote} Use the out-of-place "
        "form of "
        "that operation (x = x + y instead of x += y), or write to a clone()."
    )


class PackedTensor:
    """A tensor that `saved_tensors_hooks` took into their care.

    What they return is not checked for later writes.
    """

    __slots__ = ("grad_fn", "is_output", "leaf", "output_nr", "packed", "unpack_hook")

    def __init__(self, tensor: Tensor, node: Any, output_nr: int) -> None:
        pack, self.unpack_hook = hooks.stack[-1]
        self.is_output = node is not None
        self.output_nr = output_nr if self.is_output else tensor._output_nr
        self.grad_fn = None if self.is_output else tensor._grad_fn
        # The graph holds a leaf anyway, by the node that accumulates its gradient.
        self.leaf = tensor if tensor._requires_grad and tensor._grad_fn is None else None
        given = tensor._twin() if self.is_output else tensor
        version = given._storage.version
        self.packed = pack(given)
        if given._storage.version != version:
            raise RuntimeError(
                "A saved tensor pack hook is modifying its input in place. Tensors provided as "
                "input to pack hook can not be modified by in-place operations as this can lead to "
                "unexpected side-effects. Please open an issue if you need to perform in-place "
                "operations on the input to a pack hook."
            )

    def unpack(self, node: Any) -> Tensor:
        """What `unpack_hook` makes of the packed object, at the place of the packed tensor on the
        tape: a gradient of the gradient flows on from there.
        """
        tensor = self.unpack_hook(self.packed)
        if not isinstance(tensor, Tensor):
            raise TypeError(
                "Output of saved tensor unpack_hook expected to be a Tensor but got result of "
                f"type {type(tensor).__name__}"
            )
        if self.is_output:
            return _on_tape(tensor, node, self.output_nr)
        if tensor._requires_grad or tensor._grad_fn is not None:
            return tensor
        if self.grad_fn is not None:
            return _on_tape(tensor, self.grad_fn, self.output_nr)
        if self.leaf is None or self.leaf._accumulator is None:
            return tensor
        result = tensor._twin()
        result._requires_grad, result._accumulator = True, self.leaf._accumulator
        return result


class SavedList:
    """Several saved values under one name (`tensors` of `cat`)."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def unpack(self, node: Any) -> list[Any]:
        """The values, tensors unpacked."""
        return [item.unpack(node) if isinstance(item, PACKED) else item for item in self.items]


PACKED = (SavedTensor, PackedTensor, SavedList)
"""What has to be unpacked; any other value is kept as it is."""
