"""`embedding_bag`: the sum, mean or maximum of table rows, one result for each bag of indices.

Bags lie one after the other in a vector of indices; offsets say where each begins. Sums over
consecutive rows need no more than the gathered rows themselves.
"""

from __future__ import annotations

import warnings
from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn.embedding import embedding_renorm_, embedding_spread
from pellucid.ops.nn.kernels_bags import reduce_runs
from pellucid.ops.nn.support import finished, require_tensor, working
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import int32, int64
from pellucid.tensor.levels import Batched
from pellucid.tensor.tensor import Tensor, adopt

_Maxima = return_type("embedding_bag_max", "out choices")
_MODES = ("sum", "mean", "max")


def _per_bag(ufunc: np.ufunc, rows: np.ndarray, bags: np.ndarray, out: np.ndarray) -> np.ndarray:
    """`ufunc` over the rows of each bag, into `out`, whose empty bags stay as they are.

    `rows` (M, D) belong to `bags` (M,), which ascend.
    """
    if rows.size:
        starts = np.flatnonzero(np.diff(bags, prepend=-1))
        reduce_runs(ufunc, rows, starts, out, bags[starts])
    return out


def _row_gradient(
    grad: Tensor, weights: Tensor | None, bags: Tensor, sizes: Tensor | None
) -> Tensor:
    """What each looked-up row gets of its bag's gradient: (M, D)."""
    if sizes is not None:
        grad = grad / sizes.clamp(min=1).to(grad.dtype).unsqueeze(-1)
    rows = grad.index_select(0, bags)
    return rows if weights is None else rows * weights.unsqueeze(-1)


def _sum_gradient(
    grad: Tensor,
    weight: Tensor,
    indices: Tensor,
    per_sample_weights: Tensor | None,
    bags: Tensor,
    sizes: Tensor | None,
    padding_idx: int,
    scale_grad_by_freq: bool,
    needs: Any,
) -> tuple[Tensor | None, Tensor | None]:
    table = samples = None
    if "weight" in needs:
        rows = _row_gradient(grad, per_sample_weights, bags, sizes)
        table = embedding_spread(rows, indices, weight.shape[0], padding_idx, scale_grad_by_freq)
    if "per_sample_weights" in needs:
        found = (grad.index_select(0, bags) * weight.index_select(0, indices)).sum(-1)
        samples = found * (indices != padding_idx)
    return table, samples


@operator(
    where="internal",
    name="embedding_bag_sum",
    gradient={("weight", "per_sample_weights"): _sum_gradient},
    backward_name="EmbeddingBagBackward0",
)
def _sums(
    weight: Tensor,
    indices: Tensor,
    per_sample_weights: Tensor | None,
    bags: Tensor,
    count: int,
    sizes: Tensor | None,
    padding_idx: int,
    scale_grad_by_freq: bool,
) -> Tensor:
    """The sums (B, D) of the rows of `count` bags; over `sizes` if those are given."""
    used, owners = indices._array, bags._array
    factors = None if per_sample_weights is None else working(per_sample_weights)
    if padding_idx >= 0:
        kept = used != padding_idx
        used, owners = used[kept], owners[kept]
        factors = None if factors is None else factors[kept]
    table = working(weight)
    rows = table[used]
    if factors is not None:
        rows *= factors[:, None]
    out = _per_bag(np.add, rows, owners, np.zeros((count, table.shape[1]), table.dtype))
    if sizes is not None:
        out /= np.maximum(sizes._array, 1).astype(table.dtype)[:, None]
    return finished(out, weight.dtype)


def _max_gradient(grad: Tensor, weight: Tensor, sizes: Tensor, choices: Tensor) -> Tensor:
    pulled = grad * (sizes > 0).unsqueeze(-1)
    return F.zeros_like(weight).scatter_add(0, choices, pulled)


@operator(
    where="internal",
    name="embedding_bag_max",
    gradient={"weight": _max_gradient},
    fields=("out", "choices"),
    backward_name="EmbeddingBagBackward0",
)
def _maxima(
    weight: Tensor, indices: Tensor, bags: Tensor, count: int, sizes: Tensor, padding_idx: int
) -> Any:
    """The largest elements (B, D) of each bag, and the rows they are from; 0 for empty bags."""
    used, owners = indices._array, bags._array
    if padding_idx >= 0:
        kept = used != padding_idx
        used, owners = used[kept], owners[kept]
    table = working(weight)
    rows = table[used]
    shape = (count, table.shape[1])
    out = _per_bag(np.maximum, rows, owners, np.zeros(shape, table.dtype))
    largest = out[owners]
    chosen = (rows == largest) | (rows != rows)
    places = np.where(chosen, np.arange(len(used))[:, None], len(used))
    first = _per_bag(np.minimum, places, owners, np.zeros(shape, np.int64))
    choices = used[first] if used.size else np.zeros(shape, np.int64)
    choices[sizes._array == 0] = 0
    return _Maxima(finished(out, weight.dtype), adopt(choices.astype(np.int64)))


def _check_types(weight: Tensor, indices: Tensor, offsets: Tensor, samples: Tensor | None) -> None:
    for position, name, tensor in ((1, "indices", indices), (1, "offsets", offsets)):
        if tensor.dtype not in (int64, int32):
            raise RuntimeError(
                f"Expected tensor for argument #{position} '{name}' to have one of the following "
                f"scalar types: Long, Int; but got {tensor.type()} instead (while checking "
                "arguments for embedding_bag)"
            )
    if not weight.dtype.is_floating_point:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have one of the following scalar types: "
            f"Half, BFloat16, Float, Double; but got {weight.type()} instead (while checking "
            "arguments for embedding_bag)"
        )
    if samples is not None and samples.dtype is not weight.dtype:
        raise RuntimeError(
            "Expected tensor for argument #1 'weight' to have the same type as tensor for argument "
            f"#1 'per_sample_weights'; but type {weight.type()} does not equal {samples.type()} "
            "(while checking arguments for embedding_bag)"
        )


def _check_offsets(offsets: np.ndarray, length: int, include_last_offset: bool) -> None:
    if include_last_offset and not offsets.size:
        raise RuntimeError("include_last_offset: number of offset should be at least 1")
    if not offsets.size:
        return
    if offsets[0] != 0:
        raise RuntimeError(
            "offsets[0] has to be 0, i.e., the first sequence in the mini-batch has to start from "
            f"position 0. However, got {offsets[0]}"
        )
    if offsets[-1] > length:
        raise RuntimeError(
            f"offsets[-1] can not be greater than input's length {length} but got offsets[-1] of "
            f"{offsets[-1]}"
        )
    if (np.diff(offsets) < 0).any():
        raise RuntimeError(
            "Expected i < index_size to be true, but got false.\n"
            "  The offsets say where each bag begins: they must not descend."
        )


def _check_indices(indices: np.ndarray, count: int) -> None:
    if indices.size and (indices.min() < 0 or indices.max() >= count):
        place = int(np.flatnonzero((indices < 0) | (indices >= count))[0])
        raise RuntimeError(
            f"Index {place} of input takes value {indices[place]} which is not in the valid range "
            f"[0, {count})"
        )


def _padding(weight: Tensor, padding_idx: int | None) -> int:
    if padding_idx is None:
        return -1
    count = weight.shape[0]
    if not -count <= padding_idx < count:
        raise RuntimeError(
            f"padding_idx must be within the number of embeddings, {-count} through {count - 1}, "
            f"but got {padding_idx}"
        )
    return padding_idx % count


def _in_batches(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool,
    mode: int,
    per_sample_weights: Tensor | None,
    include_last_offset: bool,
    padding: int,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The same under `vmap`, by operators that never look at the numbers: whose bag an index is in
    may differ between the elements. Offsets are taken as they are.
    """
    places = F.arange(indices.shape[0], dtype=offsets.dtype)
    kept = indices != padding
    if include_last_offset:
        kept = kept & (places < offsets[-1])
        offsets = offsets[:-1]
    count = offsets.shape[0]
    rows = F.embedding(weight, indices, -1, scale_grad_by_freq)
    if not count:
        empty = F.zeros(0, dtype=int64)
        return rows[:0], empty, empty, empty
    bags = F.searchsorted(offsets, places, right=True) - 1
    sizes = F.zeros(count, dtype=int64).index_add(0, bags, kept.to(int64))
    if mode == 2:
        members = (bags == F.arange(count).unsqueeze(1)) & kept  # (B, M)
        spread = F.where(members.unsqueeze(-1), rows, -float("inf"))  # (B, M, D)
        out, first = spread.max(1)
        out = F.where((sizes > 0).unsqueeze(-1), out, 0)
        return out, bags, sizes, indices.index_select(0, first.flatten()).view(first.shape)
    rows = F.where(kept.unsqueeze(-1), rows, 0)
    if per_sample_weights is not None:
        rows = rows * per_sample_weights.unsqueeze(-1)
    out = F.zeros(count, rows.shape[1], dtype=rows.dtype).index_add(0, bags, rows)
    if mode == 1:
        out = out / sizes.clamp(min=1).to(out.dtype).unsqueeze(-1)
    return out, bags, sizes, sizes


@composite(where="torch", name="embedding_bag")
def bags_of_rows(
    weight: Tensor,
    indices: Tensor,
    offsets: Tensor,
    scale_grad_by_freq: bool = False,
    mode: int = 0,
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Sums, means or maxima (mode 0, 1, 2) of the rows of bags (B, D).

    Further results: the bag of each index, the number of rows in each bag (without padding), and
    the row of each maximum.
    """
    require_tensor("embedding_bag", "weight", 1, weight)
    require_tensor("embedding_bag", "indices", 2, indices)
    require_tensor("embedding_bag", "offsets", 3, offsets)
    if sparse:
        raise NotImplementedError(
            "embedding_bag with sparse=True is not available\n"
            "  Its gradient would be a sparse tensor; leave sparse out for a dense one."
        )
    _check_types(weight, indices, offsets, per_sample_weights)
    if per_sample_weights is not None and mode != 0:
        raise RuntimeError("embedding_bag: per_sample_weights only supported with mode='sum'")
    padding = _padding(weight, padding_idx)
    if any(isinstance(t, Batched) for t in (weight, indices, offsets, per_sample_weights)):
        return _in_batches(
            weight, indices, offsets, scale_grad_by_freq, mode, per_sample_weights,
            include_last_offset, padding,
        )  # fmt: skip
    starts = offsets._array.astype(np.int64)
    length = indices._layout.numel
    _check_offsets(starts, length, include_last_offset)
    _check_indices(indices._array, weight.shape[0])
    end = int(starts[-1]) if include_last_offset else length
    if include_last_offset:
        starts = starts[:-1]
    if not starts.size:
        end = 0
    owners = np.repeat(np.arange(starts.size), np.diff(starts, append=end))
    if end < length:
        indices = indices[:end]
        per_sample_weights = None if per_sample_weights is None else per_sample_weights[:end]
    counted = owners if padding < 0 else owners[indices._array != padding]
    sizes = adopt(np.bincount(counted, minlength=starts.size).astype(np.int64))
    bags, count = adopt(owners.astype(np.int64)), starts.size
    if mode == 2:
        out, choices = _maxima(weight, indices, bags, count, sizes, padding)
        return out, bags, sizes, choices
    divisors = sizes if mode == 1 else None
    out = _sums(
        weight, indices, per_sample_weights, bags, count, divisors, padding, scale_grad_by_freq
    )
    return out, bags, sizes, sizes


def _read_bags(
    input: Tensor, offsets: Tensor | None, samples: Tensor | None
) -> tuple[Tensor, Tensor, Tensor | None]:
    """Flat indices, offsets and weights, from bags in rows (B, L) or one after the other (M,)."""
    if input.dim() == 2:
        if offsets is not None:
            raise ValueError(
                "if input is 2D, then offsets has to be None, as input is treated is a mini-batch "
                "of fixed length sequences. However, found offsets of type "
                f"{type(offsets)}"
            )
        starts = F.arange(0, input.numel(), input.shape[1], dtype=input.dtype)
        return input.reshape(-1), starts, None if samples is None else samples.reshape(-1)
    if input.dim() != 1:
        raise ValueError(
            f"input has to be 1D or 2D Tensor, but got Tensor of dimension {input.dim()}"
        )
    if offsets is None:
        raise ValueError("offsets has to be a 1D Tensor but got None")
    if offsets.dim() != 1:
        raise ValueError("offsets has to be a 1D Tensor")
    return input, offsets, samples


@composite(where="nn.functional")
def embedding_bag(
    input: Tensor,
    weight: Tensor,
    offsets: Tensor | None = None,
    max_norm: float | None = None,
    norm_type: float = 2,
    scale_grad_by_freq: bool = False,
    mode: str = "mean",
    sparse: bool = False,
    per_sample_weights: Tensor | None = None,
    include_last_offset: bool = False,
    padding_idx: int | None = None,
) -> Tensor:
    """Combine the rows of `weight` (V, D) in each bag of indices: (B, D).

    Bags are the rows of `input` (B, L), or lie one after the other in (M,), bag i from
    `offsets[i]` on; with `include_last_offset` the last offset is where the last bag ends. Modes:
    "sum" (of rows times `per_sample_weights`, if given), "mean", "max". Row `padding_idx` is left
    out.
    """
    if weight.dtype is int64 and input.is_floating_point():
        warnings.warn(
            "Argument order of nn.functional.embedding_bag was changed. Usage `embedding_bag("
            "weight, input, ...)` is deprecated, and should now be `embedding_bag(input, weight, "
            "...)`.",
            stacklevel=2,
        )
        weight, input = input, weight
    if per_sample_weights is not None and input.size() != per_sample_weights.size():
        raise ValueError(
            f"embedding_bag: If per_sample_weights ({per_sample_weights.shape}) is not None, then "
            f"it must have the same shape as the input ({input.shape})"
        )
    if weight.dim() != 2:
        raise ValueError(
            f"weight has to be a 2D Tensor, but got Tensor of dimension {weight.dim()}"
        )
    input, offsets, per_sample_weights = _read_bags(input, offsets, per_sample_weights)
    if mode not in _MODES:
        raise ValueError("mode has to be one of sum, mean or max")
    for refused, words in (
        (scale_grad_by_freq, "scaling the gradient by the frequency"),
        (sparse, "sparse weights"),
    ):
        if mode == "max" and refused:
            raise ValueError(f"max mode does not support {words}")
    if max_norm is not None:
        embedding_renorm_(weight.detach(), input, max_norm, norm_type)
    if per_sample_weights is not None and mode != "sum":
        raise NotImplementedError(
            "embedding_bag: per_sample_weights was not None. per_sample_weights is only supported "
            f"for mode='sum' (got mode='{mode}'). Please open a feature request on GitHub."
        )
    number = _MODES.index(mode)
    return bags_of_rows(
        weight,
        input,
        offsets,
        scale_grad_by_freq,
        number,
        sparse,
        per_sample_weights,
        include_last_offset,
        padding_idx,
    )[0]
