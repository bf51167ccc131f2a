"""Sequences of different lengths: padded to one tensor, or packed row by row.

A *padded* batch is (T, N, *) or, with `batch_first`, (N, T, *). A *packed* one has no padding: the
rows of step 0, then those of step 1, …, the longest sequence first.
"""

from __future__ import annotations

from collections.abc import Iterable, Sequence
from itertools import pairwise
from typing import Any, NamedTuple, Self

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.tensor import dtype as dtypes
from pellucid.tensor.tensor import Tensor


class PackedSequence_(NamedTuple):
    """The fields of a `PackedSequence`."""

    data: Tensor
    batch_sizes: Tensor
    sorted_indices: Tensor | None
    unsorted_indices: Tensor | None


class PackedSequence(PackedSequence_):
    """A packed batch; made by `pack_padded_sequence` and `pack_sequence`.

    Fields: `data` (ΣT, *), `batch_sizes` (T,) on the CPU, `sorted_indices` (N,), which sorted the
    batch by falling length, and `unsorted_indices` (N,), which undoes it.
    """

    def __new__(
        cls,
        data: Any,
        batch_sizes: Tensor | None = None,
        sorted_indices: Tensor | None = None,
        unsorted_indices: Tensor | None = None,
    ) -> Self:
        if unsorted_indices is None:
            unsorted_indices = invert_permutation(sorted_indices)
        if batch_sizes is None:
            if not (isinstance(data, (list, tuple)) and len(data) == 2):
                raise AssertionError("Expected data to be a list or tuple of length 2")
            data, batch_sizes = data
        return super().__new__(cls, data, batch_sizes, sorted_indices, unsorted_indices)

    def to(self, *args: Any, **kwargs: Any) -> Self:
        """Convert `data`; the indices stay."""
        data = self.data.to(*args, **kwargs)
        if data is self.data:
            return self
        return type(self)(data, *self[1:])

    def cpu(self, *args: Any, **kwargs: Any) -> Self:
        """Itself, converted as `to` says: it is on the CPU already."""
        return self.to(*args, **kwargs) if args or kwargs else self

    def double(self) -> Self:
        """`to(float64)`."""
        return self.to(dtype=dtypes.float64)

    def float(self) -> Self:
        """`to(float32)`."""
        return self.to(dtype=dtypes.float32)

    def half(self) -> Self:
        """`to(float16)`."""
        return self.to(dtype=dtypes.float16)

    def long(self) -> Self:
        """`to(int64)`."""
        return self.to(dtype=dtypes.int64)

    def int(self) -> Self:
        """`to(int32)`."""
        return self.to(dtype=dtypes.int32)

    def short(self) -> Self:
        """`to(int16)`."""
        return self.to(dtype=dtypes.int16)

    def char(self) -> Self:
        """`to(int8)`."""
        return self.to(dtype=dtypes.int8)

    def byte(self) -> Self:
        """`to(uint8)`."""
        return self.to(dtype=dtypes.uint8)

    @property
    def is_cuda(self) -> bool:
        """Whether `data` is on a GPU; it never is."""
        return False

    def is_pinned(self) -> bool:
        """Whether `data` is in page-locked memory; it never is."""
        return False


def invert_permutation(permutation: Tensor | None) -> Tensor | None:
    """The permutation that undoes `permutation` (N,)."""
    if permutation is None:
        return None
    positions = ops.arange(0, permutation.numel(), dtype=permutation.dtype)
    return ops.empty_like(permutation).scatter_(0, permutation, positions)


def _batch_sizes(lengths: Sequence[int]) -> list[int]:
    """How many of the sequences, sorted by falling length, have an element at each step."""
    sizes, running = [], len(lengths)
    for step in range(lengths[0]):
        while lengths[running - 1] <= step:
            running -= 1
        sizes.append(running)
    return sizes


def _row_numbers(batch_sizes: Sequence[int], batch: int) -> Tensor:
    """Where the packed rows lie in a padded (T·N, *)."""
    rows = [step * batch + n for step, size in enumerate(batch_sizes) for n in range(size)]
    return ops.tensor(rows, dtype=dtypes.int64)


def pack_padded_sequence(
    input: Tensor,
    lengths: Tensor | Sequence[int],
    batch_first: bool = False,
    enforce_sorted: bool = True,
) -> PackedSequence:
    """Drop the padding of a batch.

    Args:
        input: (T, N, *), or (N, T, *) with `batch_first`.
        lengths: of each sequence (N,).
        enforce_sorted: they fall already; otherwise the batch is sorted, and `sorted_indices`
            remembers how.
    """
    counted: Any = ops.as_tensor(lengths).to(dtype=dtypes.int64)
    sorted_indices = None
    if not enforce_sorted:
        counted, sorted_indices = ops.sort(counted, descending=True)
        input = input.index_select(0 if batch_first else 1, sorted_indices)
    padded = input.transpose(0, 1) if batch_first else input
    counts = counted.tolist()
    _check_lengths(padded, counts)
    sizes = _batch_sizes(counts)
    time, batch = padded.shape[:2]
    flat = padded.reshape(time * batch, *padded.shape[2:])
    data = flat.index_select(0, _row_numbers(sizes, batch))
    return PackedSequence(data, ops.tensor(sizes, dtype=dtypes.int64), sorted_indices, None)


def _check_lengths(padded: Tensor, lengths: list[int]) -> None:
    if padded.numel() == 0:
        raise RuntimeError("Cannot pack empty tensors.")
    batch = padded.size(1)
    if len(lengths) != batch:
        raise RuntimeError(
            f"Expected `len(lengths)` to be equal to batch_size, but got {len(lengths)} "
            f"(batch_size={batch})"
        )
    if any(n < m for n, m in pairwise(lengths)):
        raise RuntimeError(
            "`lengths` array must be sorted in decreasing order when `enforce_sorted` is True. "
            "You can pass `enforce_sorted=False` to pack_padded_sequence and/or pack_sequence to "
            "sidestep this requirement if you do not need ONNX exportability."
        )
    if lengths[-1] <= 0:
        raise RuntimeError(
            "Length of all samples has to be greater than 0, but found an element in 'lengths' "
            "that is <= 0"
        )
    if lengths[0] > padded.size(0):
        raise RuntimeError(
            f"Expected the longest sequence ({lengths[0]}) to fit the padded length "
            f"({padded.size(0)})"
        )


def pad_packed_sequence(
    sequence: PackedSequence,
    batch_first: bool = False,
    padding_value: float = 0.0,
    total_length: int | None = None,
) -> tuple[Tensor, Tensor]:
    """Undo `pack_padded_sequence`: the padded batch and the lengths (N,).

    `total_length`: pad to this length instead of the longest sequence's.
    """
    sizes = sequence.batch_sizes.tolist()
    longest = len(sizes)
    if total_length is not None:
        if total_length < longest:
            raise ValueError(
                "Expected total_length to be at least the length of the longest sequence in "
                f"input, but got total_length={total_length} and max sequence length being "
                f"{longest}"
            )
        longest = total_length
    batch = sizes[0]
    data = sequence.data
    flat = data.new_full((longest * batch, *data.shape[1:]), padding_value)
    flat = flat.index_copy(0, _row_numbers(sizes, batch), data)
    padded = flat.view(longest, batch, *data.shape[1:])
    if batch_first:
        padded = padded.transpose(0, 1)
    counts = [sum(size > n for size in sizes) for n in range(batch)]
    lengths = ops.tensor(counts, dtype=dtypes.int64)
    order = sequence.unsorted_indices
    if order is None:
        return padded, lengths
    return padded.index_select(0 if batch_first else 1, order), lengths[order]


def pad_sequence(
    sequences: Any,
    batch_first: bool = False,
    padding_value: float = 0.0,
    padding_side: str = "right",
) -> Tensor:
    """Stack sequences (Tₙ, *) as (T, N, *), or (N, T, *) with `batch_first`, T the longest."""
    if not isinstance(sequences, Iterable):
        raise RuntimeError(
            "pad_sequence: Expected iterable for input sequences, but got arg of type: "
            f"{type(sequences)}"
        )
    sequences = list(sequences)
    if not sequences:
        raise RuntimeError("received an empty list of sequences")
    if padding_side not in ("left", "right"):
        raise RuntimeError(
            f"Expected padding_side to be one of left or right, but got {padding_side}."
        )
    longest = max(sequence.size(0) for sequence in sequences)
    rows = []
    for sequence in sequences:
        missing = longest - sequence.size(0)
        ends = (0, missing) if padding_side == "right" else (missing, 0)
        rows.append(F.pad(sequence, (0, 0) * (sequence.dim() - 1) + ends, value=padding_value))
    return ops.stack(rows, 0 if batch_first else 1)


def unpad_sequence(
    padded_sequences: Tensor, lengths: Tensor, batch_first: bool = False
) -> list[Tensor]:
    """Undo `pad_sequence`: the sequences without their padding."""
    if not batch_first:
        padded_sequences = padded_sequences.transpose(0, 1)
    pairs = zip(padded_sequences.unbind(0), lengths.tolist(), strict=True)
    return [sequence[:length].clone() for sequence, length in pairs]


def pack_sequence(sequences: Sequence[Tensor], enforce_sorted: bool = True) -> PackedSequence:
    """Pack sequences (Tₙ, *) directly; see `pack_padded_sequence`."""
    lengths = [sequence.size(0) for sequence in sequences]
    return pack_padded_sequence(pad_sequence(sequences), lengths, enforce_sorted=enforce_sorted)


def unpack_sequence(packed_sequences: PackedSequence) -> list[Tensor]:
    """Undo `pack_sequence`."""
    padded, lengths = pad_packed_sequence(packed_sequences, batch_first=True)
    return unpad_sequence(padded, lengths, batch_first=True)
