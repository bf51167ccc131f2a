"""Layout: where each element of a tensor lies in its storage, as a value.

Element `(i, j, …)` of a tensor lies at `offset + i*strides[0] + j*strides[1] + …`, counted in
elements. A view (`permute`, `expand`, `narrow`, …) is another `Layout` over the same storage, so
every view operator is a pure function here: it returns a `Layout`, or a `NoView` that says which
axes are in the way. No other code computes strides.

>>> x = contiguous((2, 3))
>>> transpose(x, 0, 1)
Layout(shape=(3, 2), strides=(1, 3), offset=0)
>>> view(transpose(x, 0, 1), (6,)).pairs
((0, 1),)

These functions run once per operator call, so each is cached on its arguments: pass tuples of
Python integers, not lists. Error types and words are PyTorch 2.13's.
"""

from collections.abc import Callable
from dataclasses import dataclass
from functools import cached_property, lru_cache
from math import prod
from typing import Any, NamedTuple, NoReturn, ParamSpec, TypeVar

from pellucid.tensor import layout_rules as rules
from pellucid.tensor.layout_rules import (
    Ints,
    MemoryFormat,
    channels_last_3d_strides,
    channels_last_strides,
    contiguous_strides,
    infer_shape,
    normalize_dim,
    normalize_dims,
    reduced_shape,
)

__all__ = [
    "Ints",
    "Layout",
    "MemoryFormat",
    "NoView",
    "as_strided",
    "broadcast_shapes",
    "channels_last",
    "channels_last_3d",
    "channels_last_3d_strides",
    "channels_last_strides",
    "contiguity_formula",
    "contiguous",
    "contiguous_strides",
    "diagonal",
    "elementwise_layout",
    "elementwise_strides",
    "empty_like_layout",
    "empty_like_strides",
    "expand",
    "flatten_shape",
    "infer_reduction_strides",
    "infer_shape",
    "movedim",
    "narrow",
    "normalize_dim",
    "normalize_dims",
    "permute",
    "reduced_shape",
    "reduction_layout",
    "select",
    "slice_dim",
    "squeeze",
    "transpose",
    "unflatten",
    "unfold",
    "unsqueeze",
    "view",
    "view_obstacle",
]

P = ParamSpec("P")
R = TypeVar("R")


def _cached(function: Callable[P, R]) -> Callable[P, R]:
    """Remember up to 65536 results; typed as the function itself, which `lru_cache` is not."""
    cached: Any = lru_cache(maxsize=1 << 16)(function)
    return cached


class _Fields(NamedTuple):
    shape: Ints
    strides: Ints
    offset: int


class Layout(_Fields):
    """Shape, strides and offset (both in elements): immutable, hashable, equal by value.

    A tuple underneath, so hashing and comparing run in C; what is derived from the three fields is
    worked out on first use and kept.

    >>> Layout((2, 3), (3, 1), 0).numel
    6
    """

    def __new__(cls, shape: Ints, strides: Ints, offset: int = 0) -> "Layout":
        return super().__new__(cls, shape, strides, offset)

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
    def span(self) -> tuple[int, int]:
        """First element index used and one past the last; `(offset, offset)` when empty.

        The storage must hold at least `span[1]` elements.

        >>> Layout((2, 3), (4, 1), 5).span
        (5, 12)
        """
        if self.numel == 0:
            return self.offset, self.offset
        reach = [(n - 1) * s for n, s in zip(self.shape, self.strides, strict=True)]
        low = sum(step for step in reach if step < 0)
        return self.offset + low, self.offset + sum(reach) - low + 1

    @cached_property
    def suggested_memory_format(self) -> MemoryFormat:
        """The format in which operators such as `conv2d` continue for this input."""
        return rules.suggest_memory_format(self.shape, self.strides)

    def is_contiguous(self, memory_format: MemoryFormat = "contiguous") -> bool:
        """Whether memory is packed in `memory_format` order."""
        if memory_format == "contiguous":
            return self.is_row_major
        if memory_format == "channels_last":
            return self.is_channels_last
        if memory_format == "channels_last_3d":
            return self.is_channels_last_3d
        raise ValueError(
            f"is_contiguous: no memory format {memory_format!r}; "
            "there are contiguous, channels_last, channels_last_3d"
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


# --- layouts of fresh tensors ---------------------------------------------------------------------


@_cached
def contiguous(shape: Ints, offset: int = 0) -> Layout:
    """Row-major layout of `shape`.

    >>> contiguous((2, 3))
    Layout(shape=(2, 3), strides=(3, 1), offset=0)
    """
    return Layout(shape, contiguous_strides(shape), offset)


@_cached
def channels_last(shape: Ints, offset: int = 0) -> Layout:
    """NHWC memory under an `(N, C, H, W)` shape. Raises RuntimeError unless there are 4 axes."""
    return Layout(shape, channels_last_strides(shape), offset)


@_cached
def channels_last_3d(shape: Ints, offset: int = 0) -> Layout:
    """NDHWC memory under `(N, C, D, H, W)`. Raises RuntimeError unless there are 5 axes."""
    return Layout(shape, channels_last_3d_strides(shape), offset)


broadcast_shapes = _cached(rules.broadcast_shapes)


@_cached
def elementwise_strides(layouts: tuple[Layout, ...], shape: Ints) -> Ints:
    """Strides of the fresh output of an elementwise operator over `layouts`.

    Pass the operands' own layouts, *not* expanded to `shape`: PyTorch takes a different way when
    all operands have one shape from the start. A Python number takes part as a 0-dim layout.
    See `layout_rules.elementwise_strides`.
    """
    return rules.elementwise_strides([(each.shape, each.strides) for each in layouts], shape)


@_cached
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


@_cached
def empty_like_layout(layout: Layout) -> Layout:
    """Layout of `empty_like`/`clone` under `torch.preserve_format`: dense, same axis order."""
    return Layout(layout.shape, rules.empty_like_strides(layout.shape, layout.strides))


@_cached
def reduction_layout(layout: Layout, dims: int | Ints | None, keepdim: bool = False) -> Layout:
    """Layout of `sum(dim=dims, keepdim=keepdim)`: row-major whatever the input's strides."""
    return contiguous(reduced_shape(layout.shape, dims, keepdim))


def infer_reduction_strides(layout: Layout, dims: int | Ints | None, keepdim: bool = False) -> Ints:
    """Strides of a reduction's fresh output; `dims` None or () means every axis."""
    return reduction_layout(layout, dims, keepdim).strides


# --- view: another shape over the same elements, in the same order --------------------------------


@_cached
def view(layout: Layout, shape: Ints) -> Layout | NoView:
    """Show the elements in row-major order under another `shape` (one size may be -1).

    >>> view(contiguous((2, 6)), (2, -1, 3))
    Layout(shape=(2, 2, 3), strides=(6, 3, 1), offset=0)

    Returns `NoView` when the strides do not allow it.
    Raises: RuntimeError when `shape` cannot hold the elements, see `infer_shape`.
    """
    shape = infer_shape(shape, layout.numel)
    strides = _view_strides(layout, shape)
    if strides is not None:
        return Layout(shape, strides, layout.offset)
    return NoView(view_obstacle(layout, shape), layout, shape, _obstacles(layout, shape))


def _view_strides(layout: Layout, shape: Ints) -> Ints | None:
    """Strides that show `layout` as `shape`, or None.

    Walking from the last axis, the input is cut into chunks inside which it is evenly spaced; each
    chunk must be covered exactly by some run of new axes, which then get their strides from it.
    """
    old_shape, old_strides = layout.shape, layout.strides
    if not old_shape:
        return (1,) * len(shape)
    if layout.numel == 0:
        return old_strides if shape == old_shape else contiguous_strides(shape)
    strides = [0] * len(shape)
    axis = len(shape) - 1
    base, in_chunk, covered = old_strides[-1], 1, 1
    for old in range(len(old_shape) - 1, -1, -1):
        in_chunk *= old_shape[old]
        if old and (old_shape[old - 1] == 1 or old_strides[old - 1] == in_chunk * base):
            continue
        while axis >= 0 and (covered < in_chunk or shape[axis] == 1):
            strides[axis] = covered * base
            covered *= shape[axis]
            axis -= 1
        if covered != in_chunk:
            return None
        if old:
            base, in_chunk, covered = old_strides[old - 1], 1, 1
    return tuple(strides) if axis < 0 else None


def _obstacles(layout: Layout, shape: Ints) -> tuple[tuple[int, int], ...]:
    """Pairs of neighbouring input axes that `shape` merges and the strides do not allow.

    A gap between two axes survives a view only where the new shape has a boundary too: some
    run of last sizes must multiply up to the number of elements right of the gap.
    """
    if layout.numel == 0:
        return ()
    boundaries, size = {1}, 1
    for each in reversed(shape):
        size *= each
        boundaries.add(size)
    axes = [axis for axis, each in enumerate(layout.shape) if each != 1]
    pairs, size = [], 1
    for left, right in reversed(list(zip(axes, axes[1:], strict=False))):
        size *= layout.shape[right]
        even = layout.strides[left] == layout.strides[right] * layout.shape[right]
        if not even and size not in boundaries:
            pairs.append((left, right))
    return tuple(reversed(pairs))


def view_obstacle(layout: Layout, shape: Ints) -> str:
    """Say which axes keep `layout` from being viewed as `shape`, and by which numbers.

    Returns `""` when the view exists. `shape` may hold one -1.

    >>> print(view_obstacle(Layout((3, 2), (1, 3)), (6,)))
    shape (3, 2) with strides (1, 3) has no view of shape (6,): axes 0 and 1 cannot merge, because \
stride[0] = 1 is not stride[1] * size[1] = 3 * 2 = 6
    """
    shape = infer_shape(shape, layout.numel)
    pairs = _obstacles(layout, shape)
    if not pairs:
        return ""
    facts = [
        f"axes {a} and {b} cannot merge, because stride[{a}] = {layout.strides[a]} is not "
        f"stride[{b}] * size[{b}] = {layout.strides[b]} * {layout.shape[b]} = "
        f"{layout.strides[b] * layout.shape[b]}"
        for a, b in pairs
    ]
    return (
        f"shape {layout.shape} with strides {layout.strides} has no view of shape {shape}: "
        + "; ".join(facts)
    )


def contiguity_formula(layout: Layout) -> str:
    """Say by formula why a layout is row-major, or at which axis it stops being so.

    >>> print(contiguity_formula(Layout((3, 2), (1, 3))))
    not contiguous: stride[1] = 3, but the last axis needs 1; stride[0] = 1, but \
stride[1] * size[1] = 3 * 2 = 6
    """
    shape, strides = layout.shape, layout.strides
    if layout.numel == 0:
        return "contiguous: it has no elements"
    axes = [axis for axis, size in enumerate(shape) if size != 1]
    if not axes:
        return "contiguous: it has one element"
    last = axes[-1]
    held = [f"stride[{last}] = 1"]
    broken = []
    if strides[last] != 1:
        broken.append(f"stride[{last}] = {strides[last]}, but the last axis needs 1")
    for left, right in reversed(list(zip(axes, axes[1:], strict=False))):
        product = strides[right] * shape[right]
        terms = f"stride[{right}] * size[{right}] = {strides[right]} * {shape[right]} = {product}"
        if strides[left] == product:
            held.append(f"stride[{left}] = {terms}")
        else:
            broken.append(f"stride[{left}] = {strides[left]}, but {terms}")
    if broken:
        return "not contiguous: " + "; ".join(broken)
    return "contiguous: " + "; ".join(held)


def flatten_shape(shape: Ints, start_dim: int = 0, end_dim: int = -1) -> Ints:
    """Shape after merging axes `start_dim` to `end_dim` (both included); give it to `view`.

    >>> flatten_shape((2, 3, 4), 1)
    (2, 12)

    Raises: IndexError for an axis out of range; RuntimeError when the axes are out of order.
    """
    start, end = normalize_dim(start_dim, len(shape)), normalize_dim(end_dim, len(shape))
    if start > end:
        raise RuntimeError("flatten() has invalid args: start_dim cannot come after end_dim")
    if not shape:
        return (1,)
    return (*shape[:start], prod(shape[start : end + 1]), *shape[end + 1 :])


@_cached
def unflatten(layout: Layout, dim: int, sizes: Ints) -> Layout | NoView:
    """Split axis `dim` into axes of `sizes` (one may be -1). Always a view.

    >>> unflatten(contiguous((2, 6)), 1, (3, -1)).shape
    (2, 3, 2)

    Raises: RuntimeError when the sizes do not multiply up to the size of `dim`.
    """
    axis = normalize_dim(dim, layout.ndim)
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    if not layout.shape:
        raise RuntimeError(
            f"unflatten got an unexpected error:\nDimension specified as {dim} but tensor has no "
            "dimensions"
        )
    size = layout.shape[axis]
    try:
        filled = infer_shape(sizes, size)
    except RuntimeError as error:
        if str(error).startswith("shape "):
            raise RuntimeError(
                f"unflatten: Provided sizes {list(sizes)} don't multiply up to the size of "
                f"dim {axis} ({size}) in the input tensor"
            ) from None
        raise RuntimeError(f"unflatten got an unexpected error:\n{error}") from None
    return view(layout, (*layout.shape[:axis], *filled, *layout.shape[axis + 1 :]))


# --- views that rename, drop, repeat or thin out axes ---------------------------------------------


@_cached
def permute(layout: Layout, dims: Ints) -> Layout:
    """Reorder the axes: axis `i` of the result is axis `dims[i]` of the input.

    Raises: RuntimeError unless each axis is named once; IndexError for an axis out of range.
    """
    if len(dims) != layout.ndim:
        raise RuntimeError(
            "permute(sparse_coo): number of dimensions in the tensor input does not match the "
            "length of the desired ordering of dimensions i.e. "
            f"input.dim() = {layout.ndim} is not equal to len(dims) = {len(dims)}"
        )
    axes = [normalize_dim(dim, layout.ndim) for dim in dims]
    if len(set(axes)) != len(axes):
        raise RuntimeError("permute(): duplicate dims are not allowed.")
    return _pick(layout, axes)


def _pick(layout: Layout, axes: list[int]) -> Layout:
    """Keep `axes`, in that order."""
    shape, strides, offset = layout
    return Layout(tuple([shape[a] for a in axes]), tuple([strides[a] for a in axes]), offset)


@_cached
def transpose(layout: Layout, dim0: int, dim1: int) -> Layout:
    """Exchange two axes. Raises IndexError for an axis out of range."""
    first, second = normalize_dim(dim0, layout.ndim), normalize_dim(dim1, layout.ndim)
    if first == second:
        return layout
    axes = list(range(layout.ndim))
    axes[first], axes[second] = second, first
    return _pick(layout, axes)


@_cached
def movedim(layout: Layout, source: int | Ints, destination: int | Ints) -> Layout:
    """Move axes `source` to the places `destination`; the other axes keep their order.

    >>> movedim(contiguous((2, 3, 4)), 0, -1).shape
    (3, 4, 2)

    Raises: RuntimeError when the two lists differ in length or repeat an axis.
    """
    sources = (source,) if isinstance(source, int) else source
    places = (destination,) if isinstance(destination, int) else destination
    if len(sources) != len(places):
        raise RuntimeError(
            f"movedim: Invalid source or destination dims: source ({list(sources)} dims) should "
            f"contain the same number of dims as destination ({list(places)} dims)"
        )
    moved = [normalize_dim(dim, layout.ndim) for dim in sources]
    targets = [normalize_dim(dim, layout.ndim) for dim in places]
    for name, given, axes in (("source", sources, moved), ("destination", places, targets)):
        if len(set(axes)) != len(axes):
            raise RuntimeError(f"movedim: repeated dim in `{name}` ({list(given)})")
    if not layout.shape:
        return layout
    order = [axis for axis in range(layout.ndim) if axis not in moved]
    for target, axis in sorted(zip(targets, moved, strict=True)):
        order.insert(target, axis)
    return _pick(layout, order)


@_cached
def expand(layout: Layout, sizes: Ints, kind: str = "torch.FloatTensor") -> Layout:
    """Repeat axes of size 1 without copying: their stride becomes 0. -1 keeps a size.

    `kind` is the tensor's type name, which one of PyTorch's messages quotes.

    >>> expand(contiguous((3, 1)), (2, -1, 4))
    Layout(shape=(2, 3, 4), strides=(0, 1, 0), offset=0)

    Raises: RuntimeError when there are fewer sizes than axes, or a size other than 1 would change.
    """
    old_shape, old_strides, offset = layout
    lead = len(sizes) - len(old_shape)
    if lead < 0:
        raise RuntimeError(
            f"expand({kind}{{{list(old_shape)}}}, size={list(sizes)}): the number of sizes "
            f"provided ({len(sizes)}) must be greater or equal to the number of dimensions in "
            f"the tensor ({len(old_shape)})"
        )
    if not old_shape:
        return Layout(_checked_sizes(sizes), (0,) * len(sizes), offset)
    shape, strides = list(sizes), [0] * len(sizes)
    for axis in range(len(sizes) - 1, -1, -1):
        size, stride = 1, 0
        if axis >= lead:
            size, stride = old_shape[axis - lead], old_strides[axis - lead]
        else:
            stride = shape[axis + 1] * strides[axis + 1]
        if shape[axis] == -1:
            if axis < lead:
                raise RuntimeError(
                    "The expanded size of the tensor (-1) isn't allowed in a leading, "
                    f"non-existing dimension {axis}"
                )
            shape[axis] = size
        if shape[axis] != size:
            if size != 1:
                raise RuntimeError(
                    f"The expanded size of the tensor ({shape[axis]}) must match the existing "
                    f"size ({size}) at non-singleton dimension {axis}.  Target sizes: "
                    f"{list(sizes)}.  Tensor sizes: {list(old_shape)}"
                )
            stride = 0
        strides[axis] = stride
    return Layout(_checked_sizes(tuple(shape)), tuple(strides), offset)


def _checked_sizes(shape: Ints) -> Ints:
    if any(size < 0 for size in shape):
        raise RuntimeError(
            f"numel: integer multiplication overflow\nexpand: sizes {list(shape)} hold a negative "
            "number; use -1 only for an axis that the tensor already has"
        )
    return shape


@_cached
def slice_dim(
    layout: Layout, dim: int, start: int | None = None, stop: int | None = None, step: int = 1
) -> Layout:
    """Keep indices `start:stop:step` of one axis; ends beyond the axis are clipped as in Python.

    >>> slice_dim(contiguous((6,)), 0, 1, None, 2)
    Layout(shape=(3,), strides=(2,), offset=1)

    Raises: IndexError for a 0-dim layout or an axis out of range; RuntimeError unless `step > 0`.
    """
    if not layout.shape:
        raise IndexError("slice() cannot be applied to a 0-dim tensor.")
    axis = normalize_dim(dim, layout.ndim)
    if step <= 0:
        raise RuntimeError("slice step must be positive")
    size = layout.shape[axis]
    first = 0 if start is None else max(start + size, 0) if start < 0 else min(start, size)
    end = size if stop is None else stop + size if stop < 0 else min(stop, size)
    length = (max(end - first, 0) + step - 1) // step
    return _replace_axis(layout, axis, length, layout.strides[axis] * step, first)


def _replace_axis(layout: Layout, axis: int, size: int, stride: int, first: int) -> Layout:
    """Give one axis another size and stride, starting at its old index `first`."""
    shape, strides, offset = layout
    return Layout(
        (*shape[:axis], size, *shape[axis + 1 :]),
        (*strides[:axis], stride, *strides[axis + 1 :]),
        offset + first * strides[axis],
    )


@_cached
def narrow(layout: Layout, dim: int, start: int, length: int) -> Layout:
    """Keep `length` indices of one axis from `start` on; unlike a slice, nothing is clipped.

    Raises: RuntimeError for a 0-dim layout, a negative length, or a range that ends outside;
    IndexError when `start` is outside.
    """
    if not layout.shape:
        raise RuntimeError("narrow() cannot be applied to a 0-dim tensor.")
    if length < 0:
        raise RuntimeError("narrow(): length must be non-negative.")
    axis = normalize_dim(dim, layout.ndim)
    size = layout.shape[axis]
    if not -size <= start <= size:
        raise IndexError(
            f"start out of range (expected to be in range of [{-size}, {size}], but got {start})"
        )
    first = start + size if start < 0 else start
    if first + length > size:
        raise RuntimeError(f"start ({first}) + length ({length}) exceeds dimension size ({size}).")
    return _replace_axis(layout, axis, length, layout.strides[axis], first)


@_cached
def select(layout: Layout, dim: int, index: int) -> Layout:
    """Keep one index of an axis and drop the axis.

    >>> select(contiguous((2, 3)), 0, -1)
    Layout(shape=(3,), strides=(1,), offset=3)

    Raises: IndexError for a 0-dim layout, an axis or an index out of range.
    """
    shape, strides, offset = layout
    if not shape:
        raise IndexError("select() cannot be applied to a 0-dim tensor.")
    axis = normalize_dim(dim, len(shape))
    size = shape[axis]
    if not -size <= index < size:
        raise IndexError(
            f"select(): index {index} out of range for tensor of size {list(shape)} at "
            f"dimension {axis}"
        )
    first = index + size if index < 0 else index
    return Layout(
        shape[:axis] + shape[axis + 1 :],
        strides[:axis] + strides[axis + 1 :],
        offset + first * strides[axis],
    )


@_cached
def unsqueeze(layout: Layout, dim: int) -> Layout:
    """Insert an axis of size 1 before axis `dim`. Raises IndexError when out of range."""
    shape, strides, offset = layout
    axis = normalize_dim(dim, len(shape) + 1)
    stride = shape[axis] * strides[axis] if axis < len(shape) else 1
    return Layout(
        (*shape[:axis], 1, *shape[axis:]), (*strides[:axis], stride, *strides[axis:]), offset
    )


@_cached
def squeeze(layout: Layout, dims: int | Ints | None = None) -> Layout:
    """Drop axes of size 1: all of them, or those among `dims` (others named are kept).

    Raises: IndexError for an axis out of range; RuntimeError when one is repeated.
    """
    asked = range(layout.ndim) if dims is None else normalize_dims(dims, layout.ndim)
    kept = [a for a, size in enumerate(layout.shape) if size != 1 or a not in asked]
    return _pick(layout, kept)


@_cached
def unfold(layout: Layout, dim: int, size: int, step: int) -> Layout:
    """Show windows of `size` along `dim`, one every `step`; the window becomes the last axis.

    >>> unfold(contiguous((7,)), 0, 3, 2)
    Layout(shape=(3, 3), strides=(2, 1), offset=0)

    Raises: RuntimeError for a negative or too large size or a step below 1.
    """
    axis = normalize_dim(dim, layout.ndim)
    length = layout.shape[axis] if layout.shape else 1
    if size < 0:
        raise RuntimeError(f"size is {size} but must be >= 0")
    if size > length:
        raise RuntimeError(
            f"maximum size for tensor at dimension {axis} is {length} but size is {size}"
        )
    if step <= 0:
        raise RuntimeError(f"step is {step} but must be > 0")
    if not layout.shape:
        return Layout((size,), (1,), layout.offset)
    stride = layout.strides[axis]
    windows = _replace_axis(layout, axis, (length - size) // step + 1, stride * step, 0)
    return Layout((*windows.shape, size), (*windows.strides, stride), windows.offset)


@_cached
def diagonal(layout: Layout, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Layout:
    """Show the diagonal `index[dim2] - index[dim1] == offset` as the last axis.

    >>> diagonal(contiguous((3, 3)), 1)
    Layout(shape=(2,), strides=(4,), offset=1)

    Raises: IndexError for an axis out of range; RuntimeError when both are the same.
    """
    shape, strides, start = layout
    row, column = normalize_dim(dim1, len(shape)), normalize_dim(dim2, len(shape))
    if row == column:
        raise RuntimeError(f"diagonal dimensions cannot be identical {dim1}, {dim2}")
    down, right = max(-offset, 0), max(offset, 0)
    length = max(min(shape[row] - down, shape[column] - right), 0)
    if length:
        start += down * strides[row] + right * strides[column]
    kept = _pick(layout, [axis for axis in range(len(shape)) if axis not in (row, column)])
    stride = strides[row] + strides[column]
    return Layout((*kept.shape, length), (*kept.strides, stride), start)


@_cached
def as_strided(layout: Layout, shape: Ints, strides: Ints, offset: int | None = None) -> Layout:
    """Any layout at all over the same storage; `offset` None keeps the input's.

    Whether the storage is large enough (`span[1]` elements) is for the storage's owner to check.

    Raises: RuntimeError when lengths differ, or a size, stride or offset is negative.
    """
    if len(shape) != len(strides):
        raise RuntimeError("mismatch in length of strides and shape")
    if any(stride < 0 for stride in strides):
        raise RuntimeError(
            "as_strided: Negative strides are not supported at the moment, got strides: "
            f"{list(strides)}"
        )
    if any(size < 0 for size in shape):
        raise RuntimeError(
            f"Storage size calculation overflowed with sizes={list(shape)} and "
            f"strides={list(strides)}"
        )
    start = layout.offset if offset is None else offset
    if start < 0:
        raise RuntimeError(f"Tensor: invalid storage offset {start}")
    return Layout(shape, strides, start)
