"""`DataLoader` in one process: PyTorch's batches, orders, generator states and refusals."""

from __future__ import annotations

import warnings

import numpy as np
import pytest

from pellucid import data
from pellucid.tensor.random.generator import Generator, default_generator
from pellucid.tensor.tensor import Tensor, from_numpy

torch = pytest.importorskip("torch")
torch_data = pytest.importorskip("torch.utils.data")


def module(framework: str):
    return data if framework == "pellucid" else torch_data


def pairs(framework: str, length: int = 10):
    make = from_numpy if framework == "pellucid" else torch.from_numpy
    x = make(np.arange(2.0 * length).reshape(length, 2))
    return module(framework).TensorDataset(x, make(np.arange(length)))


def plain(value):
    if isinstance(value, (Tensor, torch.Tensor)):
        return value.tolist()
    if isinstance(value, (list, tuple)):
        return [plain(v) for v in value]
    return value


OPTIONS = [
    {},
    {"batch_size": 3},
    {"batch_size": 3, "drop_last": True},
    {"batch_size": 4, "shuffle": True},
    {"batch_size": None},
    {"batch_size": None, "shuffle": True},
    {"sampler": [3, 1, 2], "batch_size": 2},
    {"batch_sampler": [[0, 1], [2, 3, 4]]},
    {"batch_size": 2, "collate_fn": len},
]


@pytest.mark.parametrize("options", OPTIONS, ids=str)
@pytest.mark.parametrize("own", [True, False], ids=["own generator", "default generator"])
def test_epochs_are_pytorchs(options: dict, own: bool) -> None:
    def epochs(framework: str):
        kind = Generator if framework == "pellucid" else torch.Generator
        default = default_generator if framework == "pellucid" else torch.default_generator
        default.manual_seed(17)
        made = kind()
        made.manual_seed(3)
        extra = {"generator": made} if own else {}
        loader = module(framework).DataLoader(pairs(framework), **options, **extra)
        batches = [[plain(batch) for batch in loader] for _ in range(3)]
        iterator = iter(loader)  # an epoch that is left after its first batch
        batches.append(plain(next(iterator)))
        return batches, len(loader), made.get_state().tolist(), default.get_state().tolist()

    assert epochs("pellucid") == epochs("torch")


class Stream(data.IterableDataset):
    def __init__(self, length: int) -> None:
        self.length = length

    def __iter__(self):
        return iter(range(self.length))

    def __len__(self) -> int:
        return self.length


@pytest.mark.parametrize(
    ("options", "batches"),
    [
        ({"batch_size": 2}, [[0, 1], [2, 3], [4]]),
        ({"batch_size": 2, "drop_last": True}, [[0, 1], [2, 3]]),
        ({"batch_size": None}, [0, 1, 2, 3, 4]),
        ({"batch_size": 5}, [[0, 1, 2, 3, 4]]),
    ],
)
def test_streams(options: dict, batches: list) -> None:
    loader = data.DataLoader(Stream(5), **options)
    assert [plain(batch) for batch in loader] == batches
    assert len(loader) == len(batches)
    assert [plain(batch) for batch in loader] == batches


def test_a_stream_longer_than_it_said_is_warned_of() -> None:
    class Longer(Stream):
        def __len__(self) -> int:
            return 2

    loader = data.DataLoader(Longer(3), batch_size=None)
    assert len(loader) == 2
    with pytest.warns(UserWarning, match="was reported to be 2.* but 3 samples have been fetched"):
        assert list(loader) == [0, 1, 2]


def test_a_data_set_may_fetch_whole_batches() -> None:
    class Batches(data.Dataset):
        def __len__(self) -> int:
            return 5

        def __getitems__(self, indices: list[int]) -> list[int]:
            return [10 * index for index in indices]

    loader = data.DataLoader(Batches(), batch_size=2)
    assert [batch.tolist() for batch in loader] == [[0, 10], [20, 30], [40]]


REFUSALS = [
    ({"num_workers": -1}, "num_workers option should be non-negative"),
    ({"timeout": -1}, "timeout option should be non-negative"),
    ({"prefetch_factor": 2}, "prefetch_factor option could only be specified in multiprocessing"),
    ({"num_workers": 1, "prefetch_factor": -1}, "prefetch_factor option should be non-negative"),
    ({"persistent_workers": True}, "persistent_workers option needs num_workers > 0"),
    ({"sampler": [1], "shuffle": True}, "sampler option is mutually exclusive with shuffle"),
    ({"batch_sampler": [[1]], "batch_size": 2}, "batch_sampler option is mutually exclusive"),
    ({"batch_sampler": [[1]], "shuffle": True}, "batch_sampler option is mutually exclusive"),
    ({"batch_size": None, "drop_last": True}, "batch_size=None option disables auto-batching"),
    ({"batch_size": 0}, "batch_size should be a positive integer value"),
    ({"multiprocessing_context": "fork"}, "can only be used with multi-process loading"),
    (
        {"multiprocessing_context": "thread", "num_workers": 1},
        "should specify a valid start method",
    ),
]


@pytest.mark.parametrize(("options", "words"), REFUSALS)
@pytest.mark.parametrize("framework", ["pellucid", "torch"])
def test_refusals(options: dict, words: str, framework: str) -> None:
    with pytest.raises(ValueError, match=words):
        module(framework).DataLoader([1, 2, 3], **options)


@pytest.mark.parametrize(
    ("options", "words"),
    [
        ({"shuffle": True}, "IterableDataset: expected unspecified shuffle option"),
        ({"sampler": [1]}, "IterableDataset: expected unspecified sampler option"),
        ({"batch_sampler": [[1]]}, "IterableDataset: expected unspecified batch_sampler option"),
    ],
)
def test_streams_choose_their_own_order(options: dict, words: str) -> None:
    with pytest.raises(ValueError, match=words):
        data.DataLoader(Stream(3), **options)


def test_what_decides_the_batches_cannot_be_changed() -> None:
    loader = data.DataLoader([1, 2, 3])
    for name in ("batch_size", "sampler", "batch_sampler", "drop_last", "dataset"):
        with pytest.raises(
            ValueError, match=f"{name} attribute should not be set after DataLoader"
        ):
            setattr(loader, name, None)
    loader.timeout = 0  # others can


def test_a_context_must_be_one() -> None:
    with pytest.raises(TypeError, match="should be a valid context object or a string"):
        data.DataLoader([1], num_workers=1, multiprocessing_context=3)


def test_pinning_is_accepted_with_a_warning() -> None:
    loader = data.DataLoader([1, 2], pin_memory=True)
    with pytest.warns(UserWarning, match="no accelerator is found"):
        assert [batch.tolist() for batch in loader] == [[1], [2]]


def test_too_many_workers_are_warned_of() -> None:
    with pytest.warns(UserWarning, match="will create 1000 worker processes in total"):
        data.DataLoader([1], num_workers=1000)
    with warnings.catch_warnings():
        warnings.simplefilter("error")
        data.DataLoader([1], num_workers=1)
