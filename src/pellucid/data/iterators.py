"""One epoch of a `DataLoader`: fetched in this process, or by workers."""

from __future__ import annotations

import itertools
import multiprocessing
import warnings
import weakref
from typing import TYPE_CHECKING, Any

from pellucid.data.dataset import IterableDataset
from pellucid.data.exceptions import ExceptionWrapper
from pellucid.data.fetch import create_fetcher
from pellucid.data.pool import WorkerPool
from pellucid.data.sampler import draw_seed
from pellucid.data.worker import IterationEnd, Job, Resume

if TYPE_CHECKING:
    from pellucid.data.dataloader import DataLoader


class _BaseDataLoaderIter:
    """What both kinds share: the indices, the seed of the workers, the count of what was given."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        self._dataset = loader.dataset
        self._is_stream = isinstance(loader.dataset, IterableDataset)
        self._auto_collation = loader._auto_collation
        self._drop_last = loader.drop_last
        self._collate_fn = loader.collate_fn
        self._index_sampler = loader._index_sampler
        self._num_workers = loader.num_workers
        self._timeout = loader.timeout
        self._persistent_workers = loader.persistent_workers
        if loader.pin_memory:
            warnings.warn(
                "'pin_memory' argument is set as true but no accelerator is found, "
                "then device pinned memory won't be used.",
                stacklevel=4,
            )
        # The seed is drawn after the sampler's iterator is made and before it gives an index: this
        # order decides the
        # numbers of the epoch.
        self._sampler_iter = iter(self._index_sampler)
        self._base_seed = draw_seed(loader.generator)
        self._num_yielded = 0
        self._expected_samples = loader._IterableDataset_len_called

    def __iter__(self) -> _BaseDataLoaderIter:
        return self

    def __len__(self) -> int:
        return len(self._index_sampler)

    def __getstate__(self) -> Any:
        raise NotImplementedError("{} cannot be pickled", type(self).__name__)

    def _reset(self, loader: DataLoader[Any]) -> None:
        """Begin the next epoch."""
        self._sampler_iter = iter(self._index_sampler)
        self._num_yielded = 0
        self._expected_samples = loader._IterableDataset_len_called

    def _next_data(self) -> Any:
        raise NotImplementedError

    def __next__(self) -> Any:
        data = self._next_data()
        self._num_yielded += 1
        if self._is_stream and self._expected_samples is not None:
            self._check_length()
        return data

    def _check_length(self) -> None:
        if self._expected_samples is None or self._num_yielded <= self._expected_samples:
            return
        message = (
            f"Length of IterableDataset {self._dataset} was reported to be "
            f"{self._expected_samples}(when accessing len(dataloader)), but "
            f"{self._num_yielded} samples have been fetched. "
        )
        if self._num_workers > 0:
            message += (
                "For multiprocessing data-loading, this could be caused by not properly "
                "configuring the IterableDataset replica at each worker. Please see "
                "https://pytorch.org/docs/stable/data.html#torch.utils.data.IterableDataset for "
                "examples."
            )
        warnings.warn(message, stacklevel=3)


class _SingleProcessDataLoaderIter(_BaseDataLoaderIter):
    """Fetches each batch when it is asked for."""

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if self._timeout != 0:
            raise AssertionError("_SingleProcessDataLoaderIter requires timeout == 0")
        self._fetcher = create_fetcher(
            self._is_stream,
            self._dataset,
            self._auto_collation,
            self._collate_fn,
            self._drop_last,
        )

    def _next_data(self) -> Any:
        return self._fetcher.fetch(next(self._sampler_iter))


class _MultiProcessingDataLoaderIter(_BaseDataLoaderIter):
    """Keeps `prefetch_factor` requests with each worker and puts the answers in order.

    Requests are numbered. `_asked[number]` is the worker that has the request, `_arrived[number]`
    an answer that came before
    its turn; `_next_number` is the one whose turn it is.
    """

    def __init__(self, loader: DataLoader[Any]) -> None:
        super().__init__(loader)
        if not loader.prefetch_factor:
            raise AssertionError(
                "prefetch_factor must be greater than 0 for MultiProcessingDataLoaderIter"
            )
        self._in_flight = loader.prefetch_factor * self._num_workers
        self._in_order = loader.in_order
        job = Job(
            self._dataset,
            self._is_stream,
            self._auto_collation,
            self._collate_fn,
            self._drop_last,
            self._base_seed,
            loader.worker_init_fn,
            self._num_workers,
        )
        context = loader.multiprocessing_context or multiprocessing.get_context()
        self._pool = WorkerPool(context, job)
        # Also when the iterator is abandoned halfway, and when the interpreter ends.
        self._stop = weakref.finalize(self, self._pool.stop)
        super()._reset(loader)
        self._begin()

    @property
    def _workers(self) -> list[Any]:
        return self._pool.processes

    def _reset(self, loader: DataLoader[Any]) -> None:
        super()._reset(loader)
        for worker_id in range(self._num_workers):
            self._pool.send(worker_id, Resume())
        resumed = 0
        while resumed < self._num_workers:  # what comes before is left over from the last epoch
            number, _ = self._pool.receive(self._timeout)
            resumed += isinstance(number, Resume)
        self._begin()

    def _begin(self) -> None:
        self._number_to_ask = self._next_number = 0
        self._asked: dict[int, int] = {}
        self._arrived: dict[int, tuple[int, Any]] = {}
        self._has_samples = [True] * self._num_workers
        self._load = [0] * self._num_workers
        self._turns = itertools.cycle(range(self._num_workers))
        for _ in range(self._in_flight):
            self._ask()

    def _ask(self) -> None:
        """Request one more batch, of the worker whose turn it is, if there are workers and indices
        left.
        """
        worker_id = self._free_worker()
        if worker_id is None:
            return
        try:
            index = next(self._sampler_iter)
        except StopIteration:
            return
        self._pool.send(worker_id, (self._number_to_ask, index))
        self._asked[self._number_to_ask] = worker_id
        self._load[worker_id] += 1
        self._number_to_ask += 1

    def _free_worker(self) -> int | None:
        share = self._in_flight // max(1, sum(self._has_samples))
        for worker_id in itertools.islice(self._turns, self._num_workers):
            if self._has_samples[worker_id] and (self._in_order or self._load[worker_id] < share):
                return worker_id
        return None

    def _skip_lost(self) -> None:
        """Pass over requests that nobody will answer: their worker had no samples left."""
        while self._next_number < self._number_to_ask:
            worker_id = self._asked.get(self._next_number)
            if self._next_number in self._arrived:
                return
            if worker_id is not None and self._has_samples[worker_id]:
                return
            self._asked.pop(self._next_number, None)
            self._next_number += 1

    def _next_data(self) -> Any:
        while True:
            self._skip_lost()
            if self._next_number >= self._number_to_ask:
                if not self._persistent_workers:
                    self._stop()
                raise StopIteration
            if self._next_number in self._arrived:
                worker_id, data = self._arrived.pop(self._next_number)
                self._next_number += 1
                return self._given(worker_id, data)

            number, data = self._pool.receive(self._timeout)
            if isinstance(data, IterationEnd):
                self._has_samples[data.worker_id] = False
                self._asked.pop(number, None)
                self._ask()
                continue
            worker_id = self._asked.pop(number)
            if number == self._next_number:
                self._next_number += 1
            elif self._in_order:
                self._arrived[number] = worker_id, data
                continue
            return self._given(worker_id, data)

    def _given(self, worker_id: int, data: Any) -> Any:
        self._load[worker_id] -= 1
        self._ask()
        if isinstance(data, ExceptionWrapper):
            data.reraise()
        return data
