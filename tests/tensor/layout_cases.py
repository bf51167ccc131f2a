"""Tensors of every layout, and how a layout is compared with PyTorch's answer.

A case is drawn once and asked of both: what comes back is a layout, or the type and first line of
an error. Tensors come from chains of views (transposed, sliced, expanded, offset, empty, 0-dim,
channels last) and from arbitrary strides.
"""

from collections.abc import Callable
from typing import Any

import torch
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.tensor.layout import Layout, NoView

torch.set_num_threads(1)


def drawn(*strategies: Any, examples: int = 100) -> Callable[[Any], Any]:
    """Run a test on so many examples, the same ones each time."""
    fixed = settings(max_examples=examples, deadline=None, derandomize=True)
    return lambda test: fixed(given(*strategies)(test))


dims = st.integers(-6, 5)


def of(tensor: torch.Tensor) -> Layout:
    return Layout(tuple(tensor.shape), tensor.stride(), tensor.storage_offset())


def outcome(function: Callable[[], Any]) -> Any:
    """The layout that comes back, or the type and first line of the error."""
    try:
        result = function()
    except (RuntimeError, IndexError) as error:
        return type(error), str(error).split("\n")[0]
    if isinstance(result, NoView):
        return RuntimeError, result.message.split("\n")[0]
    return of(result) if isinstance(result, torch.Tensor) else result


def agree(ours: Callable[[], Any], theirs: Callable[[], Any]) -> None:
    assert outcome(ours) == outcome(theirs)


# --- tensors of every kind ------------------------------------------------------------------------


def any_shape(max_dims: int) -> st.SearchStrategy[list[int]]:
    return st.lists(st.sampled_from([0, 1, 1, 2, 2, 3, 4]), max_size=max_dims)


@st.composite
def strided(draw: st.DrawFn, max_dims: int = 5, shape: Any = None) -> torch.Tensor:
    """A tensor of any strides at all, overlapping and gapped ones too."""
    sizes = draw(any_shape(max_dims)) if shape is None else shape
    steps = draw(st.lists(st.integers(0, 12), min_size=len(sizes), max_size=len(sizes)))
    return torch.empty_strided(sizes, steps)


@st.composite
def dense(draw: st.DrawFn, max_dims: int = 5, shape: Any = None) -> torch.Tensor:
    """A packed tensor with its axes in any order in memory; 4 and 5 axes often channels last.

    Axes of size 1 sometimes have a stride that means nothing.
    """
    sizes = draw(any_shape(max_dims)) if shape is None else shape
    tensor = torch.empty(sizes)
    kind = draw(st.sampled_from(["row major", "channels last", "permuted", "loose"]))
    if kind == "channels last" and len(sizes) in (4, 5):
        last = torch.channels_last if len(sizes) == 4 else torch.channels_last_3d
        return torch.empty(sizes, memory_format=last)
    if kind == "loose":
        steps = [
            draw(st.integers(0, 9)) if n == 1 else tensor.stride(a) for a, n in enumerate(sizes)
        ]
        return torch.empty_strided(sizes, steps)
    if kind == "permuted":
        order = draw(st.permutations(range(len(sizes))))
        inverse = [order.index(axis) for axis in range(len(sizes))]
        return torch.empty([sizes[axis] for axis in order]).permute(inverse)
    return tensor


@st.composite
def viewed(draw: st.DrawFn) -> torch.Tensor:
    """A dense tensor seen through up to four views."""
    tensor = draw(dense(4))
    for _ in range(draw(st.integers(0, 4))):
        step = draw(st.sampled_from(["t", "slice", "expand", "select", "new", "diagonal", "sub"]))
        axis = draw(st.integers(0, max(tensor.dim() - 1, 0)))
        other = draw(st.integers(0, max(tensor.dim() - 1, 0)))
        if step == "new" and tensor.dim() < 5:
            tensor = tensor.unsqueeze(axis)
        elif not tensor.dim():
            continue
        elif step == "t":
            tensor = tensor.transpose(axis, other)
        elif step == "slice":
            tensor = torch.ops.aten.slice(tensor, axis, draw(st.integers(0, 2)), None, 2)
        elif step == "sub":
            tensor = torch.ops.aten.slice(tensor, axis, draw(st.integers(0, 2)), 3)
        elif step == "expand":
            tensor = tensor.expand([3 if size == 1 else -1 for size in tensor.shape])
        elif step == "select" and tensor.shape[axis]:
            tensor = tensor.select(axis, 0)
        elif step == "diagonal" and axis != other:
            tensor = tensor.diagonal(1, axis, other)
    return tensor


tensors = st.one_of(viewed(), dense(), strided())
