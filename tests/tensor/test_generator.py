"""The engine behind random numbers: seeds, words, states, against PyTorch's `torch.Generator`."""

import copy
import pickle
import threading

import numpy as np
import pytest
import torch
from reference_generator import SEEDS, Pair, state_of

from pellucid.tensor import dtype as dtypes
from pellucid.tensor.random import generator as generators
from pellucid.tensor.random.distributions import normal
from pellucid.tensor.random.generator import Generator


@pytest.mark.parametrize("seed", [*SEEDS, -1, -(2**63), 2**64 - 1])
def test_a_seed_gives_pytorchs_state_and_initial_seed(seed):
    pair = Pair(seed)
    pair.check_state()
    assert pair.ours.initial_seed() == pair.theirs.initial_seed()


def test_a_fresh_generator_is_the_one_pytorch_makes():
    assert Generator().initial_seed() == torch.Generator().initial_seed()
    assert Generator().state_bytes() == state_of(torch.Generator())


@pytest.mark.parametrize("first", [0, 1, 622, 623, 624, 625, 1248, 5000])
def test_words_cross_the_blocks_of_the_engine_without_a_seam(first):
    pair = Pair(7)
    for count in (first, 1, 3, 620, 0, 624, 2000):
        words = pair.ours.words(count)
        drawn = torch.empty(count, dtype=torch.int64).random_(0, 2**20, generator=pair.theirs)
        pair.check((words % 2**20).astype(np.int64), drawn)


def test_scalar_words_are_the_same_stream():
    one, many = Generator().manual_seed(3), Generator().manual_seed(3)
    assert [one.random() for _ in range(700)] == many.words(700).tolist()
    assert [one.random64() for _ in range(5)] == many.words64(5).tolist()
    assert one.state_bytes() == many.state_bytes()


@pytest.mark.parametrize("draws", [0, 1, 3, 9, 17, 624, 1000])
def test_states_travel_to_pytorch_and_back(draws):
    pair = Pair(11)
    normal(pair.ours, draws, dtypes.float64, contiguous=False)
    torch_copy = torch.Generator()
    torch_copy.set_state(torch.frombuffer(bytearray(pair.ours.state_bytes()), dtype=torch.uint8))
    back = Generator()
    back.load_state_bytes(state_of(torch_copy))
    assert back.state_bytes() == pair.ours.state_bytes()
    wanted = torch.empty(5, dtype=torch.float64).normal_(generator=torch_copy)
    assert normal(back, 5, dtypes.float64).tolist() == wanted.tolist()
    assert back.state_bytes() == state_of(torch_copy)


def test_a_state_is_a_tensor_of_bytes():
    generator = Generator().manual_seed(5)
    generator.words(3)
    state = generator.get_state()
    following = generator.words(900).tolist()
    assert state.dtype is dtypes.uint8 and tuple(state.shape) == (5056,)
    assert generator.set_state(state) is generator
    assert generator.words(900).tolist() == following


@pytest.mark.parametrize(
    "duplicate",
    [
        Generator.clone_state,
        copy.copy,
        copy.deepcopy,
        lambda generator: pickle.loads(pickle.dumps(generator)),
    ],
)
def test_a_duplicate_continues_alone(duplicate):
    generator = Generator().manual_seed(9)
    normal(generator, 3, dtypes.float64)
    twin = duplicate(generator)
    state = generator.state_bytes()
    assert twin.state_bytes() == state
    twin.words(1000)
    assert generator.state_bytes() == state


def test_seed_from_the_system_is_remembered():
    generator = Generator()
    seeds = {generator.seed() for _ in range(4)}
    assert len(seeds) == 4 and generator.initial_seed() in seeds
    assert (
        generator.state_bytes() == Generator().manual_seed(generator.initial_seed()).state_bytes()
    )
    assert generators.default_generator.initial_seed() != generators.DEFAULT_SEED


def test_threads_share_a_generator_without_losing_or_repeating_words():
    shared, alone = Generator().manual_seed(1), Generator().manual_seed(1)
    drawn = []

    def draw():
        for _ in range(50):
            drawn.append(shared.words(37))

    threads = [threading.Thread(target=draw) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert sorted(map(tuple, drawn)) == sorted(map(tuple, alone.words(4 * 50 * 37).reshape(-1, 37)))


def test_reseeding_forgets_the_waiting_normal():
    pair = Pair(0)
    for _ in range(2):
        pair.check(
            normal(pair.ours, 3, dtypes.float64),
            torch.empty(3, dtype=torch.float64).normal_(generator=pair.theirs),
        )
        assert pair.ours.next_double_normal is not None
        pair.ours.manual_seed(4)
        pair.theirs.manual_seed(4)
        pair.check_state()


@pytest.mark.parametrize(
    ("error", "message", "call"),
    [
        (RuntimeError, "manual_seed expected a long, but got float", lambda g: g.manual_seed(1.5)),
        (RuntimeError, "manual_seed expected a long, but got bool", lambda g: g.manual_seed(True)),
        (ValueError, "Overflow when unpacking long long", lambda g: g.manual_seed(2**64)),
        (ValueError, "Overflow when unpacking long long", lambda g: g.manual_seed(-(2**63) - 1)),
        (RuntimeError, "CPU Generator does not use offset", lambda g: g.get_offset()),
        (RuntimeError, "CPU Generator does not use offset", lambda g: g.set_offset(3)),
        (RuntimeError, "size 5056 but found .* to be 10", lambda g: g.load_state_bytes(bytes(10))),
        (RuntimeError, "Invalid mt19937 state", lambda g: g.load_state_bytes(bytes(5056))),
        (TypeError, "expected a torch.ByteTensor, but got bytes", lambda g: g.set_state(b"x")),
    ],
)
def test_refusals_of_the_generator(error, message, call):
    generator = Generator().manual_seed(8)
    state = generator.state_bytes()
    with pytest.raises(error, match=message):
        call(generator)
    assert generator.state_bytes() == state
