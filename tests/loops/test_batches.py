"""The order of batches, drawn natively, against the loader's."""

import pytest

import pellucid as torch
from pellucid.data import DataLoader, TensorDataset
from pellucid.loops.batches import Batches


@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("rows", [1, 2, 7, 624, 625, 1249, 3000])
def test_orders_are_those_of_the_loader(rows, seeded):
    data = torch.arange(rows)
    runs = []
    for native in (False, True):
        torch.manual_seed(rows)
        generator = torch.Generator().manual_seed(3) if seeded else None
        options = {"batch_size": rows, "shuffle": True, "generator": generator}
        if native:
            runs.append(Batches(data, **options).take(3).tolist())
            continue
        loader = DataLoader(TensorDataset(data), **options)
        runs.append([batch.tolist() for _ in range(3) for (batch,) in loader])
    assert runs[0] == runs[1]


def test_batches_are_taken_across_epochs_up_to_a_smaller_one():
    batches = Batches(torch.arange(7), batch_size=3)
    assert batches.take(9).tolist() == [[0, 1, 2], [3, 4, 5]]
    assert batches.take(9).tolist() == [[6]]
    assert batches.take(1).tolist() == [[0, 1, 2]]
    assert Batches(torch.arange(6), batch_size=3).take(3).tolist()[2] == [0, 1, 2]


@pytest.mark.parametrize("seeded", [False, True])
@pytest.mark.parametrize("size", [2, 6, 9])
def test_many_epochs_at_once_draw_as_many_seeds(size, seeded):
    data = torch.arange(6)
    ends = []
    for native in (False, True):
        torch.manual_seed(1)
        generator = torch.Generator().manual_seed(3) if seeded else None
        loader = DataLoader(TensorDataset(data), batch_size=size, generator=generator)
        epochs = 4
        steps = epochs * len(loader)
        if native:
            found = Batches(loader).take(steps).tolist()
        else:
            found = [batch.tolist() for _ in range(epochs) for (batch,) in loader]
        ends.append((found, torch.rand(3, generator=generator).tolist()))
    assert ends[0] == ends[1]
