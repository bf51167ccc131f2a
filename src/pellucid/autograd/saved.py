"""Saved tensors: what a node keeps for its gradient formulas, with the version each had when it was kept.

An output is kept without its place on the tape (its node would hold itself alive) and gets it back when it is unpacked.
`saved_tensors_hooks` may pack tensors on their way in (to disk, to lower precision) and unpack them on their way out.
"""

from __future__ import annotations

import threading
from collections.abc import Callable
from typing import Any

from pellucid.tensor.tensor import Tensor, make

RELEASED = object()
"""What a node's store becomes when the backward pass has used it."""


class _Hooks(threading.local):
    def __init__(self) -> None:
        self.stack: list[tuple[Callable[[Tensor], Any], Callable[[Any], Tensor]]] = []


hooks = _Hooks()


class saved_tensors_hooks:  # noqa: N801 - PyTorch's name
    """Inside, each tensor saved for backward goes through `pack_hook`; backward gets it through `unpack_hook`."""

    def __init__(self, pack_hook: Callable[[Tensor], Any], unpack_hook: Callable[[Any], Tensor]) -> None:
        self.pack_hook = pack_hook
        self.unpack_hook = unpack_hook

    def __enter__(self) -> None:
        hooks.stack.append((self.pack_hook, self.unpack_hook))

    def __exit__(self, *exc: object) -> None:
        hooks.stack.pop()


class save_on_cpu(saved_tensors_hooks):  # noqa: N801
    """Saved tensors are on the CPU already: accepted and without effect."""

    def __init__(self, pin_memory: bool = False, device_type: str = "cuda") -> None:
        super().__init__(lambda tensor: tensor, lambda tensor: tensor)


def save(value: Any, node: Any, output_nr: int) -> Any:
    """`value` as a node keeps it: tensors (and lists of them) with their versions, anything else as it is."""
    if isinstance(value, Tensor):
        if hooks.stack:
            return PackedTensor(value, node, output_nr)
        return SavedTensor(value, node, output_nr)
    if isinstance(value, (list, tuple)) and any(isinstance(v, Tensor) for v in value):
        return SavedList([save(v, node, output_nr + i if node is not None else 0) for i, v in enumerate(value)])
    return value


class SavedTensor:
    """A tensor kept for backward. `unpack` refuses it if it was written in between."""

    __slots__ = ("is_output", "output_nr", "tensor", "version")

    def __init__(self, tensor: Tensor, node: Any, output_nr: int) -> None:
        if tensor._inference and node is None:
            raise RuntimeError(
                "Inference tensors cannot be saved for backward. Please do not use Tensors created in inference mode in "
                "computation tracked by autograd. To work around this, you can make a clone to get a normal tensor and use it in "
                "autograd, or use `torch.no_grad()` instead of `torch.inference_mode()`."
            )
        self.is_output = node is not None
        self.output_nr = output_nr
        self.version = tensor._storage.version
        self.tensor = make(tensor._storage, tensor._layout, tensor.dtype) if self.is_output else tensor

    def unpack(self, node: Any) -> Tensor:
        """The tensor, as it was when it was saved."""
        tensor = self.tensor
        now = tensor._storage.version
        if now != self.version:
            raise RuntimeError(_modified(tensor, node, self, now))
        if not self.is_output:
            return tensor
        return _on_tape(tensor, node, self.output_nr)


def _on_tape(tensor: Tensor, node: Any, output_nr: int) -> Tensor:
    result = make(tensor._storage, tensor._layout, tensor.dtype)
    if tensor.dtype.category >= 2:
        result._grad_fn = node
        result._output_nr = output_nr
        result._requires_grad = True
    return result


def _modified(tensor: Tensor, node: Any, saved: SavedTensor, now: int) -> str:
    maker = node if saved.is_output else tensor._grad_fn
    number = saved.output_nr if saved.is_output else tensor._output_nr
    origin = f", which is output {number} of {maker.name()}," if maker is not None else ""
    shape = ", ".join(map(str, tensor._layout.shape))
    return (
        "one of the variables needed for gradient computation has been modified by an inplace operation: "
        f"[torch.{tensor.dtype.tensor_type} [{shape}]]{origin} is at version {now}; expected version {saved.version} instead. "
        "Hint: enable anomaly detection to find the operation that failed to compute its gradient, with "
        "torch.autograd.set_detect_anomaly(True).\n"
        f"  {node.name()} saved this tensor and needs it unchanged: use the out-of-place form of the operation that wrote it "
        "(x = x + y instead of x += y), or write to a clone()."
    )


class PackedTensor:
    """A tensor that `saved_tensors_hooks` took into their care."""

    __slots__ = ("is_output", "output_nr", "packed", "unpack_hook")

    def __init__(self, tensor: Tensor, node: Any, output_nr: int) -> None:
        pack, self.unpack_hook = hooks.stack[-1]
        self.is_output = node is not None
        self.output_nr = output_nr
        given = make(tensor._storage, tensor._layout, tensor.dtype) if self.is_output else tensor
        self.packed = pack(given)

    def unpack(self, node: Any) -> Tensor:
        """What `unpack_hook` makes of the packed object."""
        tensor = self.unpack_hook(self.packed)
        if not isinstance(tensor, Tensor):
            raise TypeError("Output of saved tensor unpack_hook expected to be a Tensor but got result of type " + type(tensor).__name__)
        return _on_tape(tensor, node, self.output_nr) if self.is_output else tensor


class SavedList:
    """Several saved values under one name (`tensors` of `cat`)."""

    __slots__ = ("items",)

    def __init__(self, items: list[Any]) -> None:
        self.items = items

    def unpack(self, node: Any) -> list[Any]:
        """The values, tensors unpacked."""
        return [item.unpack(node) if hasattr(item, "unpack") else item for item in self.items]
