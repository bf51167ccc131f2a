"""Which rows of the data each step sees: as `DataLoader` would give them, as indices."""

from __future__ import annotations

from collections.abc import Iterator, Sequence
from typing import Any

import numpy as np

from pellucid import ops
from pellucid.data.dataloader import DataLoader
from pellucid.data.dataset import TensorDataset
from pellucid.data.sampler import BatchSampler, RandomSampler, SequentialSampler, draw_seed
from pellucid.kernels import pool
from pellucid.kernels.loops.order import permute, permute_seeded
from pellucid.tensor.dtype import int64
from pellucid.tensor.random.generator import Generator, default_generator
from pellucid.tensor.tensor import Tensor, from_numpy

_TABLE = 1 << 20
"""Indices that are drawn at a time, at most."""
_LONG = 1 << 20
"""Rows from which on `torch.randperm` itself draws the order."""


class Batches:
    """The data of a loop and the order of its batches, epoch after epoch.

    `take(n)` gives the indices of the next n batches, or of fewer if the batch after them has
    another size.
    """

    def __init__(self, data: Any, **options: Any) -> None:
        loader = data if isinstance(data, DataLoader) else _loader(data, options)
        self.loader = loader
        source = loader.dataset
        if not isinstance(source, TensorDataset):
            raise TypeError(
                f"a compiled loop takes its rows from tensors, not from {type(source).__name__}: "
                "they are gathered without Python\n  Give the tensors, or a DataLoader of a "
                "TensorDataset."
            )
        if loader.batch_sampler is None:
            raise ValueError("a compiled loop needs batches: give batch_size")
        self.tensors: tuple[Tensor, ...] = tuple(source.tensors)
        if not len(source):
            raise ValueError("there are no rows to train on: the tensors of `data` are empty")
        self._rest: np.ndarray = np.empty((0, 0), np.int64)
        self._tail: np.ndarray | None = None
        self._begun = False

    def take(self, most: int) -> np.ndarray:
        """Indices (batches, rows) of at most `most` batches of one size."""
        found: list[np.ndarray] = []
        size = getattr(self.loader.batch_sampler, "batch_size", 1)
        left = max(min(most, _TABLE // min(size, len(self.tensors[0]))), 1)
        while left:
            if not len(self._rest):
                if self._tail is not None:
                    if not found:
                        tail, self._tail = self._tail, None
                        return tail
                    break
                self._epoch(left)
                continue
            part, self._rest = self._rest[:left], self._rest[left:]
            found.append(part)
            left -= len(part)
        return found[0] if len(found) == 1 else np.concatenate(found)

    def _epoch(self, wanted: int) -> None:
        """Draw what a new iterator of the loader draws, and the epoch's order; of rows in their own
        order as many epochs as have the batches that are wanted.
        """
        loader = self.loader
        sampler: Any = loader.batch_sampler
        self._end()
        draw_seed(loader.generator)
        order = _order(sampler)
        if order is None:
            groups = [np.asarray(batch, np.int64) for batch in sampler]
            if not groups:
                raise ValueError("the batch sampler of `data` gives no batch")
            sizes = {len(group) for group in groups[:-1]} or {len(groups[-1])}
            if len(sizes) > 1:
                raise ValueError("a compiled loop takes batches of one size, but for the last one")
            if len(groups[-1]) not in sizes:
                self._tail = groups.pop()[None]
            self._rest = np.stack(groups)
            return
        size = min(sampler.batch_size, len(order)) if not sampler.drop_last else sampler.batch_size
        whole = len(order) // size
        self._rest = order[: whole * size].reshape(whole, size)
        again = -(-wanted // whole) - 1 if whole else 0
        left_over = whole * size < len(order) and not sampler.drop_last
        if isinstance(sampler.sampler, SequentialSampler) and again and not left_over:
            source = default_generator if loader.generator is None else loader.generator
            source.words64(again)  # the seeds of these epochs
            self._rest = np.tile(self._rest, (again + 1, 1))
        if left_over:
            self._tail = order[whole * size :][None]
        elif not whole:
            raise ValueError(
                f"there is no batch: {len(order)} rows are fewer than batch_size={size}, and "
                "drop_last is set"
            )

    def _end(self) -> None:
        """What a random sampler draws at the end of its order: one more, of which it takes none."""
        inner: Any = getattr(self.loader.batch_sampler, "sampler", None)
        random = isinstance(inner, RandomSampler) and inner.generator is not None
        if self._begun and random and _order_is_known(self.loader.batch_sampler):
            _drawn(inner.generator, len(inner.data_source))
        self._begun = True


def _order_is_known(sampler: Any) -> bool:
    """Whether `_order` draws the order itself."""
    inner = getattr(sampler, "sampler", None)
    if type(sampler) is not BatchSampler:
        return False
    if type(inner) is SequentialSampler:
        return True
    if type(inner) is not RandomSampler or inner.replacement:
        return False
    return inner.num_samples == len(inner.data_source)


def _order(sampler: Any) -> np.ndarray | None:
    """An epoch's order, for the samplers that need no Python for each row."""
    if not _order_is_known(sampler):
        return None
    inner = sampler.sampler
    length = len(inner.data_source)
    if isinstance(inner, SequentialSampler):
        return np.arange(length, dtype=np.int64)
    generator = inner.generator
    order = np.empty(length, np.int64)
    if generator is None:
        seed = draw_seed()
        if length < _LONG:
            state, words = np.empty(624, np.int64), np.empty(-(-length // 624) * 624, np.int64)
            pool.run_alone(permute_seeded(), seed, state.ctypes.data, words.ctypes.data,
                           order.ctypes.data, length)  # fmt: skip
            return order
        generator = Generator()
        generator.manual_seed(seed)
    words = _drawn(generator, length)
    if length >= _LONG:
        return words
    pool.run_alone(permute(), words.ctypes.data, order.ctypes.data, length)
    return order


def _drawn(generator: Generator, length: int) -> np.ndarray:
    """The words of a permutation, or, of a long one, the permutation."""
    if length < _LONG:
        return np.ascontiguousarray(generator.words(length - 1))
    order: np.ndarray = ops.randperm(length, generator=generator, dtype=int64)._array
    return order


def _loader(data: Any, options: dict[str, Any]) -> DataLoader:
    tensors: Sequence[Any] = [data] if isinstance(data, Tensor) else list(data)
    odd = [type(each).__name__ for each in tensors if not isinstance(each, Tensor)]
    if odd or not tensors:
        raise TypeError(
            "`data` is a tensor, a tuple of tensors, or a DataLoader, not "
            + (odd[0] if odd else "nothing")
        )
    rows = {len(each) if each.dim() else 0 for each in tensors}
    if len(rows) > 1:
        sizes = ", ".join(str(len(each)) for each in tensors)
        raise ValueError(f"the tensors of `data` have different numbers of rows: {sizes}")
    if options.get("batch_size") is None:
        options = {**options, "batch_size": max(rows.pop(), 1)}
    return DataLoader(TensorDataset(*tensors), **options)


def rows_of(tensors: Sequence[Tensor], indices: np.ndarray) -> Iterator[Tensor]:
    """The batch of these rows."""
    index = from_numpy(np.ascontiguousarray(indices))
    for tensor in tensors:
        yield ops.index_select(tensor, 0, index)
