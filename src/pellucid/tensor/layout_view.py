"""`view`: another shape over the same elements in the same order, and why there may be none."""

from itertools import pairwise
from math import prod

from pellucid.tensor.layout_rules import Ints, contiguous_strides, infer_shape, normalize_dim
from pellucid.tensor.layout_value import Layout, NoView, cached


@cached
def view(layout: Layout, shape: Ints) -> Layout | NoView:
    """Show the elements in row-major order under another `shape` (one size may be -1).

    >>> view(Layout((2, 6), (6, 1)), (2, -1, 3))
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
    for left, right in reversed(list(pairwise(axes))):
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
    for left, right in reversed(list(pairwise(axes))):
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


@cached
def unflatten(layout: Layout, dim: int, sizes: Ints) -> Layout | NoView:
    """Split axis `dim` into axes of `sizes` (one may be -1). Always a view.

    >>> unflatten(Layout((2, 6), (6, 1)), 1, (3, -1)).shape
    (2, 3, 2)

    Raises: RuntimeError when the sizes do not multiply up to the size of `dim`.
    """
    if not sizes:
        raise RuntimeError("unflatten: sizes must be non-empty")
    axis = normalize_dim(dim, layout.ndim)
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


@cached
def view_dtype(layout: Layout, old: int, new: int) -> Layout:
    """Read the same bytes as elements of `new` bytes instead of `old`.

    The last axis, whose stride must then be 1, shrinks or grows; the others keep their bytes.

    >>> view_dtype(Layout((2, 4), (4, 1), 4), 4, 8)
    Layout(shape=(2, 2), strides=(2, 1), offset=2)

    Raises: RuntimeError when the last axis is not dense or the sizes do not divide.
    """
    if old == new:
        return layout
    shape, strides, offset = layout
    tail = "to view these elements (different element sizes), but got"
    if not shape:
        raise RuntimeError(
            "self.dim() cannot be 0 to view these elements (different element sizes)"
        )
    ratio = max(old, new) // min(old, new)
    if new > old:
        for name, value in (("self.size(-1)", shape[-1]), ("self.storage_offset()", offset)):
            if value % ratio:
                raise RuntimeError(f"{name} must be divisible by {ratio} {tail} {value}")
    if strides[-1] != 1:
        raise RuntimeError(f"self.stride(-1) must be 1 {tail} {strides[-1]}")
    if old > new:
        return Layout(
            (*shape[:-1], shape[-1] * ratio),
            (*[stride * ratio for stride in strides[:-1]], 1),
            offset * ratio,
        )
    for axis, step in enumerate(strides[:-1]):
        if step % ratio:
            raise RuntimeError(f"self.stride({axis}) must be divisible by {ratio} {tail} {step}")
    return Layout(
        (*shape[:-1], shape[-1] // ratio),
        (*[stride // ratio for stride in strides[:-1]], 1),
        offset // ratio,
    )


@cached
def pairs(layout: Layout) -> Layout:
    """Each element seen as two of half the size, in a last axis.

    >>> pairs(Layout((3,), (2,), 1))
    Layout(shape=(3, 2), strides=(4, 1), offset=2)
    """
    shape, strides, offset = layout
    return Layout((*shape, 2), (*[stride * 2 for stride in strides], 1), offset * 2)


@cached
def joined_pairs(layout: Layout) -> Layout:
    """The opposite of `pairs`: a last axis of size 2 and stride 1 seen as one element.

    Raises: RuntimeError when the last axis is not such, or another stride or the offset is odd.
    """
    shape, strides, offset = layout
    if not shape:
        raise RuntimeError("Input tensor must have one or more dimensions")
    if shape[-1] != 2:
        raise RuntimeError("Tensor must have a last dimension of size 2")
    if strides[-1] != 1:
        raise RuntimeError("Tensor must have a last dimension with stride 1")
    if any(stride % 2 for stride in strides[:-1]):
        raise RuntimeError("Tensor must have a stride divisible by 2 for all but last dimension")
    if offset % 2:
        raise RuntimeError("Tensor must have a storage_offset divisible by 2")
    return Layout(shape[:-1], tuple([stride // 2 for stride in strides[:-1]]), offset // 2)
