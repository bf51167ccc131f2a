"""Arithmetic on shapes and strides: the rules under `pellucid.tensor.layout`.

Everything here is a pure function of tuples of Python integers. Strides count elements, not
bytes. The rules are PyTorch 2.13's, because strides are visible to programs (`Tensor.stride()`,
whether `view` works, which order memory is written in); where a rule looks arbitrary, that is the
reason, and the tests compare each with real PyTorch tensors.

Words: a *dense* layout covers every element of its span exactly once; *row-major* is what PyTorch
calls contiguous; *channels last* is NHWC memory under an NCHW shape.
"""

from collections.abc import Iterable, Sequence
from typing import Literal

Ints = tuple[int, ...]
MemoryFormat = Literal["contiguous_format", "preserve_format", "channels_last", "channels_last_3d"]

# Axes from the fastest in memory to the slowest.
_CHANNELS_LAST_ORDER = (1, 3, 2, 0)
_CHANNELS_LAST_3D_ORDER = (1, 4, 3, 2, 0)


# --- dimensions -----------------------------------------------------------------------------------


def normalize_dim(dim: int, ndim: int, *, wrap_scalar: bool = True) -> int:
    """Return `dim` counted from the front, `0 <= dim < ndim`.

    A tensor without axes is treated as if it had one (`dim` may be -1 or 0) unless
    `wrap_scalar=False`.

    >>> normalize_dim(-1, 3)
    2

    Raises: IndexError when `dim` is outside `[-ndim, ndim - 1]`.
    """
    if ndim == 0:
        if not wrap_scalar:
            raise IndexError(f"Dimension specified as {dim} but tensor has no dimensions")
        ndim = 1
    if -ndim <= dim < ndim:
        return dim + ndim if dim < 0 else dim
    raise IndexError(
        f"Dimension out of range (expected to be in range of [{-ndim}, {ndim - 1}], but got {dim})"
    )


def normalize_dims(dims: int | Iterable[int], ndim: int) -> Ints:
    """Normalise one axis or several, in the order given; an axis may be named only once.

    >>> normalize_dims((-1, 0), 3)
    (2, 0)

    Raises: IndexError as `normalize_dim`; RuntimeError when an axis is repeated.
    """
    found: list[int] = []
    for dim in (dims,) if isinstance(dims, int) else dims:
        axis = normalize_dim(dim, ndim)
        if axis in found:
            raise RuntimeError(f"dim {axis} appears multiple times in the list of dims")
        found.append(axis)
    return tuple(found)


def broadcast_shapes(*shapes: Ints) -> Ints:
    """Return the shape to which all `shapes` broadcast, taken pair by pair from the left.

    >>> broadcast_shapes((2, 1), (3,))
    (2, 3)

    Raises: RuntimeError naming the first axis on which two sizes differ and neither is 1. `a` is
    the result so far, `b` the operand that does not fit.
    """
    result: Ints = ()
    for shape in shapes:
        if shape != result:
            result = _broadcast_pair(result, shape)
    return result


def _broadcast_pair(a: Ints, b: Ints) -> Ints:
    ndim = max(len(a), len(b))
    a_sizes, b_sizes = (1,) * (ndim - len(a)) + a, (1,) * (ndim - len(b)) + b
    for axis in range(ndim - 1, -1, -1):
        size_a, size_b = a_sizes[axis], b_sizes[axis]
        if size_a != size_b and size_a != 1 and size_b != 1:
            raise RuntimeError(
                f"The size of tensor a ({size_a}) must match the size of tensor b ({size_b}) "
                f"at non-singleton dimension {axis}\n"
                f"  Shapes {a} and {b} are aligned at their last dimensions; two sizes must be "
                f"equal, or one of them 1.{_broadcast_hint(a, b)}"
            )
    return tuple(q if p == 1 else p for p, q in zip(a_sizes, b_sizes, strict=True))


def _broadcast_hint(a: Ints, b: Ints) -> str:
    """A dimension of size 1 that would make two shapes broadcast, if there is one place for it."""
    for short, long, name in ((b, a, "b"), (a, b, "a")):
        places = range(1, len(short) + 1) if len(short) < len(long) else ()
        for place in places:
            tried = (*short[:place], 1, *short[place:])
            padded = (1,) * (len(long) - len(tried)) + tried
            if all(p == q or 1 in (p, q) for p, q in zip(padded, long, strict=True)):
                return f" {name}.unsqueeze({place}), of shape {tried}, would broadcast."
    return ""


def infer_shape(shape: Ints, numel: int) -> Ints:
    """Replace the one -1 in `shape` by the size that makes it hold `numel` elements.

    >>> infer_shape((2, -1), 12)
    (2, 6)

    Raises: RuntimeError when two sizes are -1, one is below -1, the sizes do not multiply up to
    `numel`, or `numel` is 0 and the -1 could be anything.
    """
    unknown, known = -1, 1
    for axis, size in enumerate(shape):
        if size == -1:
            if unknown >= 0:
                raise RuntimeError("only one dimension can be inferred")
            unknown = axis
        elif size < 0:
            raise RuntimeError(
                f"invalid shape dimension {size} at index {axis} of shape {list(shape)}"
            )
        else:
            known *= size
    if unknown < 0 and known == numel:
        return shape
    if unknown >= 0 and known == 0 and numel == 0:
        raise RuntimeError(
            f"cannot reshape tensor of 0 elements into shape {list(shape)} because the "
            "unspecified dimension size -1 can be any value and is ambiguous"
        )
    if unknown < 0 or known == 0 or numel % known:
        raise RuntimeError(f"shape '{list(shape)}' is invalid for input of size {numel}")
    return (*shape[:unknown], numel // known, *shape[unknown + 1 :])


# --- the named memory formats ---------------------------------------------------------------------


def contiguous_strides(shape: Ints) -> Ints:
    """Row-major strides: the last axis moves by 1, each other by the size of all axes after it.

    An axis of size 0 counts as 1, so that strides never become 0.

    >>> contiguous_strides((2, 3, 4))
    (12, 4, 1)
    """
    strides, step = [1] * len(shape), 1
    for axis in range(len(shape) - 1, -1, -1):
        strides[axis] = step
        step *= shape[axis] or 1
    return tuple(strides)


def channels_last_strides(shape: Ints) -> Ints:
    """Strides of an `(N, C, H, W)` shape over NHWC memory.

    >>> channels_last_strides((2, 3, 4, 5))
    (60, 1, 15, 3)

    Raises: RuntimeError when there are not four axes.
    """
    if len(shape) != 4:
        raise RuntimeError("required rank 4 tensor to use channels_last format")
    return strides_in_order(shape, _CHANNELS_LAST_ORDER)


def channels_last_3d_strides(shape: Ints) -> Ints:
    """Strides of an `(N, C, D, H, W)` shape over NDHWC memory.

    Raises: RuntimeError when there are not five axes.
    """
    if len(shape) != 5:
        raise RuntimeError("required rank 5 tensor to use channels_last_3d format")
    return strides_in_order(shape, _CHANNELS_LAST_3D_ORDER)


def strides_in_order(shape: Ints, order: Sequence[int]) -> Ints:
    """Dense strides with the axes laid out in `order`, fastest first.

    >>> strides_in_order((2, 3), (0, 1))
    (1, 2)
    """
    strides, step = [0] * len(shape), 1
    for axis in order:
        strides[axis] = step
        step *= shape[axis]
    return tuple(strides)


def is_row_major(shape: Ints, strides: Ints) -> bool:
    """PyTorch's `is_contiguous()`: `stride[i] == stride[i+1] * size[i+1]`, last stride 1.

    Axes of size 1 are skipped, since their stride is never used; an empty tensor is row-major.
    """
    if 0 in shape:
        return True
    return _packed_in_order(shape, strides, range(len(shape) - 1, -1, -1))


def is_channels_last(shape: Ints, strides: Ints) -> bool:
    """PyTorch's `is_contiguous(memory_format=torch.channels_last)`; False unless 4 axes."""
    return len(shape) == 4 and _packed_in_order(shape, strides, _CHANNELS_LAST_ORDER)


def is_channels_last_3d(shape: Ints, strides: Ints) -> bool:
    """PyTorch's `is_contiguous(memory_format=torch.channels_last_3d)`; False unless 5 axes."""
    return len(shape) == 5 and _packed_in_order(shape, strides, _CHANNELS_LAST_3D_ORDER)


def _packed_in_order(shape: Ints, strides: Ints, order: Iterable[int]) -> bool:
    step = 1
    for axis in order:
        size = shape[axis]
        if size != 1:
            if strides[axis] != step:
                return False
            step *= size
    return True


def is_non_overlapping_and_dense(shape: Ints, strides: Ints) -> bool:
    """True when some order of the axes makes the layout packed: no gap, no element twice.

    >>> is_non_overlapping_and_dense((2, 3), (1, 2)), is_non_overlapping_and_dense((2, 3), (1, 3))
    (True, False)
    """
    if 0 in shape:
        return True
    used = [axis for axis, size in enumerate(shape) if size > 1]
    return _packed_in_order(shape, strides, sorted(used, key=strides.__getitem__))


def suggest_memory_format(shape: Ints, strides: Ints) -> MemoryFormat:
    """Name the format that an operator such as `conv2d` continues in for this input.

    Only the order of the strides matters, gaps do not. Layouts that could be either (as N×1×H×W)
    count as `"contiguous_format"`.
    """
    if len(shape) == 4 and _ordered_as(shape, strides, _CHANNELS_LAST_ORDER):
        return "channels_last"
    if len(shape) == 5 and _ordered_as(shape, strides, _CHANNELS_LAST_3D_ORDER):
        return "channels_last_3d"
    return "contiguous_format"


def _ordered_as(shape: Ints, strides: Ints, order: Ints) -> bool:
    """True when strides grow along `order`; a tie between the channel and the batch is a no."""
    if strides[1] == 0:
        return False
    least = 0
    for axis in order:
        if shape[axis] == 0 or strides[axis] < least:
            return False
        if axis == 0 and least == strides[1]:
            return False
        least = strides[axis] * max(shape[axis], 1)
    return True


# --- strides of new tensors -----------------------------------------------------------------------


def elementwise_strides(operands: Sequence[tuple[Ints, Ints]], shape: Ints) -> Ints:
    """Strides of the fresh output of an elementwise operator (PyTorch's `TensorIterator`).

    `operands` are `(shape, strides)` pairs as the caller passed them, *not* expanded: whether
    all had one shape from the start decides which of two ways is taken.

    1. All of one shape: all row-major gives row-major, all channels-last gives channels-last, all
       dense with equal strides gives those strides.
    2. Otherwise the axes are ordered by the operands' strides, and the output is packed in that
       order.
    """
    if not operands:
        return contiguous_strides(shape)
    if all(size == operands[0][0] for size, _ in operands):
        strides = _strides_of_equal_shapes(operands, shape)
        if strides is not None:
            return strides
    aligned = [_aligned_strides(size, strides, shape) for size, strides in operands]
    order = memory_order(aligned, shape)
    if order == list(range(len(shape) - 1, -1, -1)):
        return contiguous_strides(shape)
    return strides_in_order(shape, order)


def _strides_of_equal_shapes(operands: Sequence[tuple[Ints, Ints]], shape: Ints) -> Ints | None:
    if all(is_row_major(*operand) for operand in operands):
        return contiguous_strides(shape)
    if all(is_channels_last(*operand) for operand in operands):
        return channels_last_strides(shape)
    first = operands[0][1]
    if all(s == first and is_non_overlapping_and_dense(n, s) for n, s in operands):
        return first
    return None


def _aligned_strides(size: Ints, strides: Ints, shape: Ints) -> Ints:
    """Strides with which an operand is read while the loop runs over `shape`."""
    lead = len(shape) - len(size)
    read = (
        0 if n == 1 and whole != 1 else step
        for n, step, whole in zip(size, strides, shape[lead:], strict=True)
    )
    return (0,) * lead + tuple(read)


def memory_order(operands: Sequence[Ints], shape: Ints) -> list[int]:
    """Order the axes of `shape`, fastest in memory first, by the strides of all `operands`.

    An insertion sort that starts from row-major order. A comparison can be undecided (every
    operand has stride 0 on one of the two axes): then the next axis further in is tried. The
    relation is not transitive, so the steps of the sort, and not only its result, are the rule.
    """

    def compare(a: int, b: int) -> int:
        for strides in operands:
            if strides[a] == 0 or strides[b] == 0:
                continue
            if strides[a] != strides[b]:
                return 1 if strides[a] > strides[b] else -1
            if shape[a] > shape[b]:
                return 1
        return 0

    order = list(range(len(shape) - 1, -1, -1))
    for start in range(1, len(order)):
        moving = start
        for place in range(start - 1, -1, -1):
            verdict = compare(order[place], order[moving])
            if verdict > 0:
                order[place], order[moving] = order[moving], order[place]
                moving = place
            elif verdict < 0:
                break
    return order


def empty_like_strides(shape: Ints, strides: Ints) -> Ints:
    """Strides of `torch.empty_like(x)` and `x.clone()` with `torch.preserve_format`.

    Dense layouts are kept as they are; any other is packed in the order of its strides.

    >>> empty_like_strides((2, 3), (1, 4)), empty_like_strides((2, 3), (0, 1))
    ((1, 2), (3, 1))
    """
    if is_non_overlapping_and_dense(shape, strides):
        return strides
    return strides_in_order(shape, memory_order([strides], shape))


def reduced_shape(shape: Ints, dims: int | Iterable[int] | None, keepdim: bool) -> Ints:
    """Shape left by a reduction over `dims`; `None` and `()` mean every axis.

    >>> reduced_shape((2, 3, 4), (0, -1), True)
    (1, 3, 1)

    Raises: IndexError for an axis out of range; RuntimeError when one is repeated.
    """
    named = () if dims is None else (dims,) if isinstance(dims, int) else tuple(dims)
    in_range = [normalize_dim(dim, len(shape)) for dim in named]  # asked first, as PyTorch does
    axes = normalize_dims(in_range, len(shape)) or range(len(shape))
    if keepdim:
        return tuple(1 if axis in axes else size for axis, size in enumerate(shape))
    return tuple(size for axis, size in enumerate(shape) if axis not in axes)
