"""Data sets and samplers give PyTorch's indices and leave generators where PyTorch does."""

from __future__ import annotations

import numpy as np
import pytest

from pellucid import data
from pellucid.tensor.random.generator import Generator, default_generator
from pellucid.tensor.tensor import from_numpy

torch = pytest.importorskip("torch")
torch_data = pytest.importorskip("torch.utils.data")


def generator(framework: str, seed: int = 5):
    made = Generator() if framework == "pellucid" else torch.Generator()
    made.manual_seed(seed)
    return made


def module(framework: str):
    return data if framework == "pellucid" else torch_data


def seed_default(framework: str, seed: int):
    default = default_generator if framework == "pellucid" else torch.default_generator
    default.manual_seed(seed)
    return default


def state(made) -> list:
    return np.asarray(made.get_state().tolist()).tolist()


SAMPLERS = {
    "sequential": lambda m, g: m.SequentialSampler(range(7)),
    "random": lambda m, g: m.RandomSampler(range(70), generator=g),
    "random twice over": lambda m, g: m.RandomSampler(range(7), num_samples=17, generator=g),
    "replacement": lambda m, g: m.RandomSampler(range(9), True, 75, generator=g),
    "replacement, even": lambda m, g: m.RandomSampler(range(9), True, 64, generator=g),
    "subset": lambda m, g: m.SubsetRandomSampler([3, 1, 4, 1, 5], generator=g),
    "weighted": lambda m, g: m.WeightedRandomSampler([0.1, 0.0, 3.0, 1.0], 20, generator=g),
    "weighted, once each": lambda m, g: m.WeightedRandomSampler(
        [0.1, 0.5, 3.0, 1.0], 4, False, generator=g
    ),
    "batches": lambda m, g: m.BatchSampler(m.RandomSampler(range(10), generator=g), 3, False),
    "full batches": lambda m, g: m.BatchSampler(m.RandomSampler(range(10), generator=g), 3, True),
}


@pytest.mark.parametrize("case", SAMPLERS)
@pytest.mark.parametrize("own", [True, False], ids=["own generator", "default generator"])
def test_indices_and_generator(case: str, own: bool) -> None:
    def run(framework: str):
        default = seed_default(framework, 11)
        made = generator(framework) if own else None
        sampler = SAMPLERS[case](module(framework), made)
        first, second = list(sampler), list(sampler)
        return first, second, len(sampler), state(made) if own else state(default)

    assert run("pellucid") == run("torch")


@pytest.mark.parametrize("drop_last", [True, False])
@pytest.mark.parametrize("shuffle", [True, False])
@pytest.mark.parametrize(("length", "replicas"), [(10, 3), (12, 4), (2, 5), (7, 1), (7, 2)])
def test_distributed_shares(length: int, replicas: int, shuffle: bool, drop_last: bool) -> None:
    def run(framework: str) -> list:
        shares = []
        for rank in range(replicas):
            sampler = module(framework).DistributedSampler(
                range(length), replicas, rank, shuffle, 3, drop_last
            )
            for epoch in (0, 1):
                sampler.set_epoch(epoch)
                shares.append((list(sampler), len(sampler)))
        return shares

    assert run("pellucid") == run("torch")


@pytest.mark.parametrize("lengths", [[3, 4, 3], [0.5, 0.25, 0.25], [0.33, 0.33, 0.34], [10, 0]])
@pytest.mark.parametrize("own", [True, False])
def test_random_split(lengths: list, own: bool) -> None:
    def run(framework: str):
        default = seed_default(framework, 4)
        made = {"generator": generator(framework)} if own else {}
        parts = module(framework).random_split(range(10), lengths, **made)
        return [list(part.indices) for part in parts], state(default)

    assert run("pellucid") == run("torch")


def test_random_split_refuses_and_warns() -> None:
    with pytest.raises(ValueError, match="Sum of input lengths does not equal the length"):
        data.random_split(range(10), [3, 3])
    with pytest.raises(ValueError, match="Fraction at index 0 is not between 0 and 1"):
        data.random_split(range(10), [1.5, -0.5])
    with pytest.warns(UserWarning, match="Length of split at index 1 is 0"):
        data.random_split(range(2), [0.9, 0.1])


REFUSALS = [
    (TypeError, "replacement should be a boolean", lambda m: m.RandomSampler([1], replacement=1)),
    (ValueError, "num_samples should be a positive", lambda m: m.RandomSampler([])),
    (ValueError, "num_samples should be a positive", lambda m: m.WeightedRandomSampler([1.0], 0)),
    (ValueError, "weights should be a 1d", lambda m: m.WeightedRandomSampler([[1.0]], 1)),
    (ValueError, "batch_size should be a positive", lambda m: m.BatchSampler([1], True, False)),
    (ValueError, "drop_last should be a boolean", lambda m: m.BatchSampler([1], 1, 1)),
    (ValueError, "Invalid rank 3, rank should", lambda m: m.DistributedSampler([1], 3, 3)),
    (ValueError, "At least one dataset", lambda m: m.StackDataset()),
    (ValueError, "Supported either", lambda m: m.StackDataset([1], b=[1])),
    (ValueError, "Size mismatch between datasets", lambda m: m.StackDataset([1], [1, 2])),
    (AssertionError, "should not be an empty iterable", lambda m: m.ConcatDataset([])),
    (ValueError, "absolute value of index", lambda m: m.ConcatDataset([[1, 2]])[-3]),
    (NotImplementedError, "Subclasses of Dataset should", lambda m: m.Dataset()[0]),
]


@pytest.mark.parametrize(("error", "words", "attempt"), REFUSALS)
@pytest.mark.parametrize("framework", ["pellucid", "torch"])
def test_refusals(error, words: str, attempt, framework: str) -> None:
    with pytest.raises(error, match=words):
        attempt(module(framework))


def test_tensor_dataset() -> None:
    x, y = from_numpy(np.arange(6.0).reshape(3, 2)), from_numpy(np.arange(3))
    pairs = data.TensorDataset(x, y)
    assert len(pairs) == 3
    assert [value.tolist() for value in pairs[1]] == [[2.0, 3.0], 1]
    assert pairs[0][0].data_ptr() == x.data_ptr()
    with pytest.raises(AssertionError, match="Size mismatch between tensors"):
        data.TensorDataset(x, from_numpy(np.arange(2)))


class Squares(data.Dataset):
    """Counts the calls that ask for several samples at once."""

    def __init__(self, length: int) -> None:
        self.length = length
        self.calls = 0

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int) -> int:
        return index * index

    def __getitems__(self, indices: list[int]) -> list[int]:
        self.calls += 1
        return [index * index for index in indices]


def test_datasets_of_datasets() -> None:
    both = Squares(3) + Squares(4)
    assert isinstance(both, data.ConcatDataset)
    assert [both[i] for i in range(7)] == [0, 1, 4, 0, 1, 4, 9]
    assert (both[-1], len(both), both.cumulative_sizes) == (9, 7, [3, 7])

    source = Squares(9)
    subset = data.Subset(source, [8, 2, 5])
    assert (subset[0], subset.__getitems__([1, 2]), source.calls) == (64, [4, 25], 1)

    stacked = data.StackDataset(source, range(9))
    assert (stacked[3], stacked.__getitems__([2, 4])) == ((9, 3), [(4, 2), (16, 4)])
    named = data.StackDataset(square=source, index=range(9))
    assert named.__getitems__([3]) == [{"square": 9, "index": 3}]


class Stream(data.IterableDataset):
    def __init__(self, begin: int, end: int) -> None:
        self.range = range(begin, end)

    def __iter__(self):
        return iter(self.range)

    def __len__(self) -> int:
        return len(self.range)


def test_streams_can_be_chained_but_not_concatenated() -> None:
    chained = Stream(0, 3) + Stream(7, 9)
    assert (list(chained), len(chained)) == ([0, 1, 2, 7, 8], 5)
    with pytest.raises(AssertionError, match="ConcatDataset does not support IterableDataset"):
        data.ConcatDataset([Stream(0, 1)])
    with pytest.raises(AssertionError, match="ChainDataset only supports IterableDataset"):
        list(data.ChainDataset([Squares(1)]))


def test_a_subset_with_its_own_getitem_needs_getitems() -> None:
    class Half(data.Subset):
        def __getitem__(self, idx):
            return super().__getitem__(idx) / 2

    with pytest.raises(NotImplementedError, match="overrides __getitem__ but not __getitems__"):
        Half(Squares(2), [0])
