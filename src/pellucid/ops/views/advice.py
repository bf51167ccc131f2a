"""What shape and view errors add to PyTorch's sentence: the layout, the reason, and a way out.

Every fix named here was tried on layouts first; a fix that would fail too is not shown.
"""

from __future__ import annotations

from collections.abc import Sequence

from pellucid.tensor import layout as layouts
from pellucid.tensor.layout import Ints, NoView
from pellucid.tensor.tensor import Tensor


def described(tensor: Tensor) -> str:
    """`float32 of shape (2, 3) with strides (3, 1)`."""
    shape, strides, _ = tensor._layout
    return f"{tensor.dtype.name} of shape {tuple(shape)} with strides {tuple(strides)}"


def _fits(tensor: Tensor, shape: Ints) -> Ints | None:
    """The full shape if `tensor` holds that many elements."""
    try:
        return layouts.infer_shape(shape, tensor._layout.numel)
    except RuntimeError:
        return None


def wrong_size(error: RuntimeError, tensor: Tensor, shape: Ints) -> RuntimeError:
    """`error` of a shape that does not hold the tensor's elements, with the shapes that do."""
    if not str(error).startswith("shape "):
        return error
    lines = [str(error), f"  input: {described(tensor)}, {tensor._layout.numel} elements"]
    for axis in range(len(shape)):
        tried = (*shape[:axis], -1, *shape[axis + 1 :])
        found = _fits(tensor, tried)
        if found is not None:
            lines.append(f"  {list(tried)} would fit: it means {list(found)}.")
            break
    else:
        lines.append(
            "  No single size can be exchanged to make it fit: the sizes must multiply up to "
            f"{tensor._layout.numel}."
        )
    return RuntimeError("\n".join(lines))


def no_view(found: NoView, tensor: Tensor) -> RuntimeError:
    """The refusal of `view`: which axes cannot merge, and what the way out costs."""
    nbytes = tensor._layout.numel * tensor.dtype.itemsize
    sizes = ", ".join(map(str, found.shape))
    lines = [found.message, f"  input: {described(tensor)}"]
    if layouts.view(layouts.contiguous(tensor._layout.shape), found.shape):
        lines.append(
            f"  .reshape({sizes}) gives it with a copy of {nbytes} bytes, and so does "
            f".contiguous().view({sizes}), whose first step you can share between several views."
        )
    return RuntimeError("\n".join(lines))


def odd_one(tensors: Sequence[Tensor], same: Sequence[int | None]) -> str:
    """Name the first tensor whose shape is not that of the others, and list the shapes.

    `same` are the sizes that must agree, None where any will do.
    """
    for number, tensor in enumerate(tensors):
        shape = tensor._layout.shape
        if len(shape) != len(same) or any(
            s is not None and s != n for s, n in zip(same, shape, strict=True)
        ):
            wanted = ", ".join("*" if s is None else str(s) for s in same)
            return f"  tensors[{number}] is {described(tensor)}; it should fit ({wanted})."
    return ""
