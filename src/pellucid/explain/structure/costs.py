"""What a model holds and what a call computes: parameters counted by memory, multiply-adds."""

from __future__ import annotations

from collections.abc import Iterable
from math import prod
from typing import Any

from pellucid.nn.parameter import is_lazy
from pellucid.tensor.tensor import Tensor


class Counted:
    """Counts elements, each element of memory once.

    Tied weights, modules called twice and views of one storage are counted by the elements that no
    earlier tensor has shown; a transposed weight is the same memory.
    """

    def __init__(self) -> None:
        self._spans: dict[int, list[tuple[int, int]]] = {}
        self._odd: set[tuple[Any, ...]] = set()
        self.alive: list[Any] = []

    def add(self, tensors: Iterable[Tensor]) -> tuple[int, int]:
        """(elements that are new, elements that were counted before)."""
        new = old = 0
        for tensor in tensors:
            if is_lazy(tensor):
                continue
            fresh = self._fresh(tensor)
            new += fresh
            old += tensor._layout.numel - fresh
        return new, old

    def _fresh(self, tensor: Tensor) -> int:
        layout, storage = tensor._layout, tensor._storage
        self.alive.append(storage)  # an id is one storage's as long as it lives
        reach = 1 + sum((n - 1) * s for n, s in zip(layout.shape, layout.strides, strict=True))
        if not layout.numel:
            return 0
        if reach != layout.numel:  # with gaps or overlaps: the same only if it is the very same
            key = (id(storage), layout.shape, layout.strides, layout.offset)
            seen = key in self._odd
            self._odd.add(key)
            return 0 if seen else layout.numel
        spans = self._spans.setdefault(id(storage), [])
        begin, end = layout.offset, layout.offset + layout.numel
        covered = sum(max(0, min(end, b) - max(begin, a)) for a, b in spans)
        if covered < end - begin:
            spans.append((begin, end))
            self._spans[id(storage)] = _merged(spans)
        return layout.numel - covered


def _merged(spans: list[tuple[int, int]]) -> list[tuple[int, int]]:
    result: list[tuple[int, int]] = []
    for begin, end in sorted(spans):
        if result and begin <= result[-1][1]:
            result[-1] = (result[-1][0], max(end, result[-1][1]))
        else:
            result.append((begin, end))
    return result


def multiply_adds(name: str, inputs: tuple[Any, ...], outputs: tuple[Tensor, ...]) -> int:
    """How many products of two numbers an operator adds up; 0 for operators without such sums."""
    if not outputs or len(inputs) < 2:
        return 0
    shapes = [value._layout.shape if isinstance(value, Tensor) else () for value in inputs]
    out = outputs[0]._layout.numel
    if name == "linear":
        return out * shapes[1][-1]
    if name == "convolve":  # weight: outputs × inputs of a group × kernel
        return out * prod(shapes[1][1:])
    if name == "convolve_input":  # a transposed convolution: every input meets a whole kernel
        return prod(shapes[0]) * prod(shapes[1][1:])
    if name in ("matmul", "mm", "bmm", "mv", "dot"):
        return out * shapes[0][-1]
    if name in ("addmm", "baddbmm", "addbmm"):
        return out * shapes[1][-1]
    if name == "attend":  # weights = q kᵀ, output = weights v
        keys, width = shapes[1][-2:]
        rows = prod(shapes[0][:-1])
        return rows * keys * (width + shapes[2][-1])
    if name == "contract":  # every letter of the sum once; letters of one size stand for it
        left, right, _ = inputs[2]
        letters = dict(zip(left, shapes[0], strict=True)) | dict(zip(right, shapes[1], strict=True))
        return prod(letters.values())
    return 0
