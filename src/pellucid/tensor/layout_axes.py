"""Views that rename, drop, repeat or thin out axes. These always exist."""

from pellucid.tensor.layout_rules import Ints, normalize_dim, normalize_dims
from pellucid.tensor.layout_value import Layout, cached


@cached
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
    axes: list[int] = []
    for dim in dims:
        axis = normalize_dim(dim, layout.ndim)
        if axis in axes:
            raise RuntimeError("permute(): duplicate dims are not allowed.")
        axes.append(axis)
    return _pick(layout, axes)


def _pick(layout: Layout, axes: list[int]) -> Layout:
    """Keep `axes`, in that order."""
    shape, strides, offset = layout
    return Layout(tuple([shape[a] for a in axes]), tuple([strides[a] for a in axes]), offset)


@cached
def transpose(layout: Layout, dim0: int, dim1: int) -> Layout:
    """Exchange two axes. Raises IndexError for an axis out of range."""
    first, second = normalize_dim(dim0, layout.ndim), normalize_dim(dim1, layout.ndim)
    if first == second:
        return layout
    axes = list(range(layout.ndim))
    axes[first], axes[second] = second, first
    return _pick(layout, axes)


@cached
def movedim(layout: Layout, source: int | Ints, destination: int | Ints) -> Layout:
    """Move axes `source` to the places `destination`; the other axes keep their order.

    >>> movedim(Layout((2, 3, 4), (12, 4, 1)), 0, -1).shape
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


@cached
def expand(layout: Layout, sizes: Ints, kind: str = "torch.FloatTensor") -> Layout:
    """Repeat axes of size 1 without copying: their stride becomes 0. -1 keeps a size.

    `kind` is the tensor's type name, which one of PyTorch's messages quotes.

    >>> expand(Layout((3, 1), (1, 1)), (2, -1, 4))
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
                    f"{list(sizes)}.  Tensor sizes: {list(old_shape)}\n  Only a dimension of size "
                    f"1 can be expanded: -1 keeps the size {size}, repeat() copies."
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


@cached
def slice_dim(
    layout: Layout, dim: int, start: int | None = None, stop: int | None = None, step: int = 1
) -> Layout:
    """Keep indices `start:stop:step` of one axis; ends beyond the axis are clipped as in Python.

    >>> slice_dim(Layout((6,), (1,)), 0, 1, None, 2)
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


@cached
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


@cached
def select(layout: Layout, dim: int, index: int) -> Layout:
    """Keep one index of an axis and drop the axis.

    >>> select(Layout((2, 3), (3, 1)), 0, -1)
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


@cached
def unsqueeze(layout: Layout, dim: int) -> Layout:
    """Insert an axis of size 1 before axis `dim`. Raises IndexError when out of range."""
    shape, strides, offset = layout
    axis = normalize_dim(dim, len(shape) + 1)
    stride = shape[axis] * strides[axis] if axis < len(shape) else 1
    return Layout(
        (*shape[:axis], 1, *shape[axis:]), (*strides[:axis], stride, *strides[axis:]), offset
    )


@cached
def squeeze(layout: Layout, dims: int | Ints | None = None) -> Layout:
    """Drop axes of size 1: all of them, or those among `dims` (others named are kept).

    Raises: IndexError for an axis out of range; RuntimeError when one is repeated.
    """
    asked = range(layout.ndim) if dims is None else normalize_dims(dims, layout.ndim)
    kept = [a for a, size in enumerate(layout.shape) if size != 1 or a not in asked]
    return _pick(layout, kept)


@cached
def unfold(layout: Layout, dim: int, size: int, step: int) -> Layout:
    """Show windows of `size` along `dim`, one every `step`; the window becomes the last axis.

    >>> unfold(Layout((7,), (1,)), 0, 3, 2)
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


@cached
def diagonal(layout: Layout, offset: int = 0, dim1: int = 0, dim2: int = 1) -> Layout:
    """Show the diagonal `index[dim2] - index[dim1] == offset` as the last axis.

    >>> diagonal(Layout((3, 3), (3, 1)), 1)
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


@cached
def as_strided(layout: Layout, shape: Ints, strides: Ints, offset: int | None = None) -> Layout:
    """Any layout at all over the same storage; `offset` None keeps the input's.

    Whether the storage is large enough (`bounds[1]` elements) is for the storage's owner to check.

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
