"""The `Layout` value, the `NoView` answer, and the layouts of fresh tensors."""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import NamedTuple, NoReturn, ParamSpec, TypeVar, cast

from pellucid.tensor import layout_rules as rules
from pellucid.tensor.layout_rules import Ints, MemoryFormat

P = ParamSpec("P")
R = TypeVar("R")


def cached(function: Callable[P, R]) -> Callable[P, R]:
    """Remember up to 16384 results; typed as the function itself, which `lru_cache` is not."""
    return cast(Callable[P, R], lru_cache(maxsize=1 << 14)(function))


class _Fields(NamedTuple):
    shape: Ints
    strides: Ints
    offset: int = 0


class Layout(_Fields):
    """Shape, strides and offset (both in elements): immutable, hashable, equal by value.

    A tuple underneath, so hashing and comparing run in C; what is derived from the three fields is
    worked out on first use and kept.

    >>> Layout((2, 3), (3, 1), 0).numel
    6
    """

    def __setattr__(self, name: str, value: object) -> NoReturn:
        raise AttributeError(f"a Layout never changes: cannot set {name!r}; make a new Layout")

    @cached_property
    def ndim(self) -> int:
        """Number of axes."""
        return len(self.shape)

    @cached_property
    def numel(self) -> int:
        """Number of elements shown (an element shown twice counts twice)."""
        return prod(self.shape)

    @cached_property
    def is_row_major(self) -> bool:
        """PyTorch's `is_contiguous()`."""
        return rules.is_row_major(self.shape, self.strides)

    @cached_property
    def is_channels_last(self) -> bool:
        """PyTorch's `is_contiguous(memory_format=torch.channels_last)`."""
        return rules.is_channels_last(self.shape, self.strides)

    @cached_property
    def is_channels_last_3d(self) -> bool:
        """PyTorch's `is_contiguous(memory_format=torch.channels_last_3d)`."""
        return rules.is_channels_last_3d(self.shape, self.strides)

    @cached_property
    def is_non_overlapping_and_dense(self) -> bool:
        """No gaps and no element shown twice: the span holds exactly `numel` elements."""
        return rules.is_non_overlapping_and_dense(self.shape, self.strides)

    @cached_property
    def has_internal_overlap(self) -> bool | None:
        """Whether two indices show one element: True, False, or None for "too hard to tell"."""
        if self.is_non_overlapping_and_dense:
            return False
        zero = any(s == 0 and n > 1 for n, s in zip(self.shape, self.strides, strict=True))
        return True if zero else None

    @cached_property
    def bounds(self) -> tuple[int, int]:
        """First element index used and one past the last; `(offset, offset)` when empty.

        The storage must hold at least `bounds[1]` elements.

        >>> Layout((2, 3), (4, 1), 5).bounds
        (5, 12)
        """
        if self.numel == 0:
            return self.offset, self.offset
        reach = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
        low = sum(step for step in reach if step < 0)
        return self.offset + low, self.offset + sum(reach) - low + 1

    @cached_property
    def span(self) -> int:
        """Number of elements from the first used to the last, gaps included; 0 when empty."""
        low, high = self.bounds
        return high - low

    @cached_property
    def suggested_memory_format(self) -> MemoryFormat:
        """The format in which operators such as `conv2d` continue for this input."""
        return rules.suggest_memory_format(self.shape, self.strides)

    def is_contiguous(self, memory_format: MemoryFormat = "contiguous_format") -> bool:
        """Whether memory is packed in the order of `memory_format` (a name, as PyTorch's).

        Raises: ValueError for a name that is not one of PyTorch's four.
        """
        if memory_format in ("contiguous_format", "preserve_format"):
            return self.is_row_major
        if memory_format == "channels_last":
            return self.is_channels_last
        if memory_format == "channels_last_3d":
            return self.is_channels_last_3d
        raise ValueError(
            f"is_contiguous: no memory format {memory_format!r}; there are contiguous_format, "
            "preserve_format, channels_last, channels_last_3d"
        )


@dataclass(frozen=True, slots=True)
class NoView:
    """Why no layout over the same storage has the shape asked for; false in conditions.

    Attributes:
        reason: one sentence that names the axes in the way.
        layout: the layout that was to be viewed.
        shape: the shape asked for (without -1).
        pairs: neighbouring input axes `(left, right)` (axes of size 1 between them are left out)
            that the new shape merges although `strides[left] != strides[right] * shape[right]`.
    """

    reason: str
    layout: Layout
    shape: Ints
    pairs: tuple[tuple[int, int], ...]

    def __bool__(self) -> bool:
        return False

    @property
    def message(self) -> str:
        """What `Tensor.view` raises: PyTorch's sentence, then the reason."""
        return (
            "view size is not compatible with input tensor's size and stride (at least one "
            "dimension spans across two contiguous subspaces). Use .reshape(...) instead.\n"
            f"{self.reason}"
        )


# --- the properties as functions ------------------------------------------------------------------


def is_contiguous(layout: Layout, memory_format: MemoryFormat = "contiguous_format") -> bool:
    """See `Layout.is_contiguous`."""
    return layout.is_contiguous(memory_format)


def is_non_overlapping_and_dense(layout: Layout) -> bool:
    """See `Layout.is_non_overlapping_and_dense`."""
    return layout.is_non_overlapping_and_dense


def has_internal_overlap(layout: Layout) -> bool | None:
    """See `Layout.has_internal_overlap`."""
    return layout.has_internal_overlap


def span(layout: Layout) -> int:
    """See `Layout.span`."""
    return layout.span


def bounds(layout: Layout) -> tuple[int, int]:
    """See `Layout.bounds`."""
    return layout.bounds


def suggest_memory_format(layout: Layout) -> MemoryFormat:
    """See `Layout.suggested_memory_format`."""
    return layout.suggested_memory_format


# --- layouts of fresh tensors ---------------------------------------------------------------------


@cached
def contiguous(shape: Ints, offset: int = 0) -> Layout:
    """Row-major layout of `shape`.

    >>> contiguous((2, 3))
    Layout(shape=(2, 3), strides=(3, 1), offset=0)
    """
    return Layout(shape, rules.contiguous_strides(shape), offset)


@cached
def channels_last(shape: Ints, offset: int = 0) -> Layout:
    """NHWC memory under an `(N, C, H, W)` shape. Raises RuntimeError unless there are 4 axes."""
    return Layout(shape, rules.channels_last_strides(shape), offset)


@cached
def channels_last_3d(shape: Ints, offset: int = 0) -> Layout:
    """NDHWC memory under `(N, C, D, H, W)`. Raises RuntimeError unless there are 5 axes."""
    return Layout(shape, rules.channels_last_3d_strides(shape), offset)


broadcast_shapes = cached(rules.broadcast_shapes)


@cached
def elementwise_strides(layouts: tuple[Layout, ...], shape: Ints) -> Ints:
    """Strides of the fresh output of an elementwise operator over `layouts`.

    Pass the operands' own layouts, *not* expanded to `shape`: PyTorch takes a different way when
    all operands have one shape from the start. A Python number takes part as a 0-dim layout.
    See `layout_rules.elementwise_strides`.
    """
    return rules.elementwise_strides([(each.shape, each.strides) for each in layouts], shape)


@cached
def elementwise_layout(*layouts: Layout) -> Layout:
    """Broadcast shape and output strides of an elementwise operator, in one cached step.

    >>> elementwise_layout(Layout((2, 3), (1, 2)), contiguous(()))
    Layout(shape=(2, 3), strides=(1, 2), offset=0)
    """
    shape = rules.broadcast_shapes(*[each.shape for each in layouts])
    return Layout(shape, elementwise_strides(layouts, shape))


def empty_like_strides(layout: Layout) -> Ints:
    """Strides of `empty_like`/`clone` under `torch.preserve_format`."""
    return empty_like_layout(layout).strides


@cached
def empty_like_layout(layout: Layout) -> Layout:
    """Layout of `empty_like`/`clone` under `torch.preserve_format`: dense, same axis order."""
    return Layout(layout.shape, rules.empty_like_strides(layout.shape, layout.strides))


@cached
def fourier_layout(layout: Layout, shape: Ints, dims: Ints) -> Layout:
    """Layout of a Fourier transform's output of `shape`: the dimensions transformed, `dims`, lie
    innermost, the last one fastest; the others keep their order in the input's memory.
    """
    kept = [axis for axis in range(len(shape)) if axis not in dims]
    kept.sort(key=lambda axis: -layout.strides[axis])
    return Layout(shape, rules.strides_in_order(shape, (*kept, *dims)[::-1]))


@cached
def reduction_layout(layout: Layout, dims: int | Ints | None, keepdim: bool = False) -> Layout:
    """Layout of `sum(dim=dims, keepdim=keepdim)`: row-major whatever the input's strides."""
    return contiguous(rules.reduced_shape(layout.shape, dims, keepdim))


def infer_reduction_strides(layout: Layout, dims: int | Ints | None, keepdim: bool = False) -> Ints:
    """Strides of a reduction's fresh output; `dims` None or () means every axis."""
    return reduction_layout(layout, dims, keepdim).strides
