"""Embeddings: rows of a table by index, sums of them (`embedding_bag`), and `one_hot`."""

from __future__ import annotations

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn import kernels_embedding as kernels
from pellucid.ops.nn.support import finished, require_tensor, working
from pellucid.ops.spec import NoGradient
from pellucid.tensor.dtype import int32, int64
from pellucid.tensor.layout import contiguous
from pellucid.tensor.meta import without_data
from pellucid.tensor.refusals import no_number
from pellucid.tensor.tensor import Tensor, empty


def _embedding_gradient(
    grad: Tensor, indices: Tensor, weight: Tensor, padding_idx: int, scale_grad_by_freq: bool
) -> Tensor:
    return embedding_spread(grad, indices, weight.shape[0], padding_idx, scale_grad_by_freq)


@operator(
    where="torch",
    name="embedding",
    gradient={"weight": _embedding_gradient},
    backward_name="EmbeddingBackward0",
)
def rows(
    weight: Tensor,
    indices: Tensor,
    padding_idx: int = -1,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """The rows of `weight` (V, D) at `indices` (*): (*, D). Row `padding_idx` gets no gradient."""
    require_tensor("embedding", "weight", 1, weight)
    require_tensor("embedding", "indices", 2, indices)
    if sparse:
        raise NotImplementedError(
            "embedding with sparse=True is not available\n"
            "  Its gradient would be a sparse tensor; leave sparse out for a dense one."
        )
    if weight.dim() != 2:
        raise RuntimeError("'weight' must be 2-D")
    if indices.dtype not in (int64, int32):
        raise RuntimeError(
            "Expected tensor for argument #1 'indices' to have one of the following scalar types: "
            f"Long, Int; but got {indices.type()} instead (while checking arguments for embedding)"
        )
    shape = (*indices._layout.shape, *weight._layout.shape[1:])
    out = empty(contiguous(shape), weight.dtype)
    kernels.check_indices(indices._array, weight._layout.shape[0])
    np.take(
        weight._array,
        indices._array.reshape(-1),
        axis=0,
        out=out._array.reshape(indices._layout.numel, -1) if out._layout.numel else None,
        mode="clip",
    )
    return out


@operator(
    where="internal",
    gradient={
        "input": lambda grad, indices, padding_idx, scale_grad_by_freq: _spread_again(
            grad, indices, padding_idx, scale_grad_by_freq
        )
    },
    backward_name="EmbeddingDenseBackwardBackward0",
)
def embedding_spread(
    input: Tensor, indices: Tensor, count: int, padding_idx: int, scale_grad_by_freq: bool
) -> Tensor:
    """The gradient of `embedding` for the table: each row's gradients, added up (V, D)."""
    flat = indices._array.reshape(-1)
    grads = working(input).reshape(flat.size, input._layout.shape[-1])
    factors = None
    if padding_idx >= 0 or scale_grad_by_freq:
        factors = kernels.row_factors(flat, padding_idx, scale_grad_by_freq, grads.dtype)
    sums = kernels.add_rows(grads, flat, count, factors)
    return finished(sums, input.dtype)


def _spread_again(
    grad: Tensor, indices: Tensor, padding_idx: int, scale_grad_by_freq: bool
) -> Tensor:
    found = rows(grad, indices)
    if padding_idx < 0 and not scale_grad_by_freq:
        return found
    flat = indices._array.reshape(-1)
    factors = kernels.row_factors(flat, padding_idx, scale_grad_by_freq, working(grad).dtype)
    return found * finished(factors.reshape((*indices._layout.shape, 1)), grad.dtype)


def embedding_renorm_(input: Tensor, indices: Tensor, max_norm: float, norm_type: float) -> Tensor:
    """Scale down, in place, the rows at `indices` whose norm exceeds `max_norm`."""
    if input.dim() != 2:
        raise RuntimeError("'self' must be 2-D")
    table = input._array
    used = np.unique(indices._array)
    kernels.check_indices(used, table.shape[0])
    found = working(input)[used]
    norms = np.linalg.norm(found.astype(np.float64), norm_type, axis=1)
    over = norms > max_norm
    scale = max_norm / (norms[over] + 1e-7)
    table[used[over]] = (found[over] * scale[:, None]).astype(table.dtype)
    input._bump_version()
    return input


def resolve_padding(weight: Tensor, padding_idx: int | None) -> int:
    """The row without gradient: -1 for none, negative ones counted from the end."""
    if padding_idx is None:
        return -1
    count = weight.shape[0]
    if not -count <= padding_idx < count:
        raise AssertionError("Padding_idx must be within num_embeddings")
    return padding_idx % count


@composite(where="nn.functional")
def embedding(
    input: Tensor,
    weight: Tensor,
    padding_idx: int | None = None,
    max_norm: float | None = None,
    norm_type: float = 2.0,
    scale_grad_by_freq: bool = False,
    sparse: bool = False,
) -> Tensor:
    """Look up rows: indices (*) in a table (V, D) give (*, D).

    `max_norm` first scales the rows used down to that norm, in the table itself.
    `scale_grad_by_freq` divides a row's gradient by how often the row is used.
    """
    padding = resolve_padding(weight, padding_idx)
    if max_norm is not None:
        embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    return rows(weight, input, padding, scale_grad_by_freq, sparse)


def _require_long(tensor: Tensor) -> None:
    if tensor.dtype is not int64:
        raise RuntimeError(
            "one_hot is only applicable to index tensor of type LongTensor.\n"
            f"  The indices are {scalar_type(tensor.dtype)}: use .long()."
        )


def _one_hot_without_data(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """What `one_hot` gives of indices without data, if it is told how many classes there are."""
    _require_long(tensor)
    if num_classes == -1:
        raise no_number()
    if num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    return without_data(contiguous((*tensor._layout.shape, num_classes)), int64)


@operator(
    where="nn.functional",
    gradient=NoGradient("takes indices"),
    infer=_one_hot_without_data,
)
def one_hot(tensor: Tensor, num_classes: int = -1) -> Tensor:
    """int64 (*, C): one at each class index, else zero; C is the largest index plus one if -1."""
    _require_long(tensor)
    array = tensor._array
    if not array.size:
        if num_classes <= 0:
            raise RuntimeError("Can not infer total number of classes from empty tensor.")
        return F.zeros((*tensor.shape, num_classes), dtype=int64)
    if array.min() < 0:
        raise RuntimeError("Class values must be non-negative.")
    if num_classes == -1:
        num_classes = int(array.max()) + 1
    elif num_classes < 1:
        raise RuntimeError("num_classes should be positive")
    elif array.max() >= num_classes:
        raise RuntimeError(
            "Class values must be smaller than num_classes.\n"
            f"  The largest index is {int(array.max())}, num_classes is {num_classes}."
        )
    out = empty(contiguous((*tensor._layout.shape, num_classes)), int64)
    out._array.fill(0)
    np.put_along_axis(out._array, array[..., None], 1, -1)
    return out
