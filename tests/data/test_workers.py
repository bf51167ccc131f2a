"""`DataLoader` with worker processes: order, seeds, errors, and that no process is left behind."""

from __future__ import annotations

import gc
import multiprocessing
import os
import random
import signal
import subprocess
import sys
import textwrap
import threading

import numpy as np
import pytest

from pellucid import data
from pellucid.data import transport
from pellucid.tensor.random.generator import default_generator
from pellucid.tensor.tensor import from_numpy

torch = pytest.importorskip("torch")
torch_data = pytest.importorskip("torch.utils.data")

START_METHODS = ["fork", "spawn", "forkserver"]


class Squares(data.Dataset):
    def __init__(self, length: int) -> None:
        self.length = length

    def __len__(self) -> int:
        return self.length

    def __getitem__(self, index: int):
        return from_numpy(np.full((3,), float(index * index))), index


class Fails(Squares):
    """Raises at one index."""

    def __init__(self, length: int, error: Exception) -> None:
        super().__init__(length)
        self.error = error

    def __getitem__(self, index: int):
        if index == 3:
            raise self.error
        return index


class Shares(data.IterableDataset):
    """Each worker gives its part of a range."""

    def __init__(self, length: int) -> None:
        self.length = length

    def __iter__(self):
        info = data.get_worker_info()
        start, step = (0, 1) if info is None else (info.id, info.num_workers)
        return iter(range(start, self.length, step))


def batches(loader) -> list:
    return [[part.tolist() for part in batch] for batch in loader]


@pytest.fixture(autouse=True)
def no_process_is_left():
    yield
    gc.collect()
    assert multiprocessing.active_children() == []


@pytest.mark.parametrize("workers", [1, 2])
@pytest.mark.parametrize("shuffle", [False, True])
def test_the_batches_are_those_of_one_process(workers: int, shuffle: bool) -> None:
    def run(**options) -> list:
        default_generator.manual_seed(2)
        loader = data.DataLoader(Squares(11), 3, shuffle, **options)
        return [batches(loader), batches(loader), default_generator.get_state().tolist()]

    assert run(num_workers=workers) == run()


@pytest.mark.parametrize("method", START_METHODS)
def test_start_methods(method: str) -> None:
    loader = data.DataLoader(Squares(5), 2, num_workers=2, multiprocessing_context=method)
    values, indices = zip(*loader, strict=True)
    assert [i.tolist() for i in indices] == [[0, 1], [2, 3], [4]]
    assert values[1].tolist() == [[4.0] * 3, [9.0] * 3]


def test_persistent_workers_stay() -> None:
    loader = data.DataLoader(Squares(6), 2, num_workers=2, persistent_workers=True)
    first = batches(loader)
    pids = [worker.pid for worker in loader._iterator._workers]
    next(iter(loader))  # an epoch left in the middle
    assert batches(loader) == first
    assert [worker.pid for worker in loader._iterator._workers] == pids
    del loader


@pytest.mark.parametrize("persistent", [False, True])
def test_streams_are_shared_by_the_workers(persistent: bool) -> None:
    loader = data.DataLoader(Shares(7), 2, num_workers=2, persistent_workers=persistent)
    wanted = [[0, 2], [1, 3], [4, 6], [5]]
    for _ in range(2):
        assert [batch.tolist() for batch in loader] == wanted
    del loader


def test_batches_may_come_as_they_are_ready() -> None:
    loader = data.DataLoader(Squares(12), 2, num_workers=2, in_order=False)
    found = sorted(index for batch in loader for index in batch[1].tolist())
    assert found == list(range(12))


def describe_worker(index: int) -> list:
    info = data.get_worker_info()
    draws = [float(np.random.rand()), random.random()]
    return [info.id, info.num_workers, info.seed, *draws]


class Seeds(data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> list:
        return describe_worker(index)


class TorchSeeds(torch_data.Dataset):
    def __len__(self) -> int:
        return 4

    def __getitem__(self, index: int) -> list:
        info = torch_data.get_worker_info()
        return [info.id, info.num_workers, info.seed, float(np.random.rand()), random.random()]


def test_workers_are_seeded_as_pytorchs() -> None:
    default_generator.manual_seed(9)
    mine = list(data.DataLoader(Seeds(), None, num_workers=2))
    torch.manual_seed(9)
    theirs = list(torch_data.DataLoader(TorchSeeds(), None, num_workers=2))
    assert [[float(v) for v in row] for row in mine] == [[float(v) for v in row] for row in theirs]
    assert data.get_worker_info() is None


class FromInit(Squares):
    def __getitem__(self, index: int) -> int:
        return int(os.environ["PELLUCID_TEST_WORKER"])


def remember(worker_id: int) -> None:
    os.environ["PELLUCID_TEST_WORKER"] = str(worker_id + 40)


def refuse(worker_id: int) -> None:
    raise RuntimeError("no work today")


def test_init_function() -> None:
    loader = data.DataLoader(FromInit(4), None, num_workers=2, worker_init_fn=remember)
    assert list(loader) == [40, 41, 40, 41]
    with pytest.raises(RuntimeError, match=r"(?s)Caught RuntimeError in DataLoader.*no work today"):
        list(data.DataLoader(FromInit(4), None, num_workers=1, worker_init_fn=refuse))


class TwoArguments(Exception):
    def __init__(self, one: int, two: int) -> None:
        super().__init__(f"{one} and {two}")


@pytest.mark.parametrize(
    ("error", "kind", "words"),
    [
        (ValueError("bad sample"), ValueError, "bad sample"),
        (KeyError("missing"), KeyError, "missing"),
        (TwoArguments(1, 2), RuntimeError, "TwoArguments: 1 and 2"),
    ],
)
def test_errors_come_back_with_the_workers_traceback(error, kind, words: str) -> None:
    iterator = iter(data.DataLoader(Fails(8, error), 1, num_workers=2))
    assert [next(iterator).tolist() for _ in range(3)] == [[0], [1], [2]]
    name = type(error).__name__
    found = rf"(?s)Caught {name} in DataLoader worker process 1\.\nOriginal Traceback.*{words}"
    with pytest.raises(kind, match=found):
        next(iterator)
    assert next(iterator).tolist() == [4]


def test_what_cannot_be_pickled_is_reported() -> None:
    loader = data.DataLoader(Squares(2), None, collate_fn=lambda s: lambda: s, num_workers=1)
    with pytest.raises(Exception, match=r"(?s)in DataLoader worker process 0.*pickle"):
        next(iter(loader))


class Dies(Squares):
    def __getitem__(self, index: int) -> int:
        if index == 2:
            os.kill(os.getpid(), signal.SIGKILL)
        return index


def test_a_worker_that_dies_is_noticed() -> None:
    iterator = iter(data.DataLoader(Dies(6), None, num_workers=1))
    words = r"DataLoader worker \(pid\(s\) \d+\) exited unexpectedly \(killed by SIGKILL"
    with pytest.raises(RuntimeError, match=words):
        list(iterator)


class Waits(Squares):
    def __getitem__(self, index: int) -> int:
        threading.Event().wait(60)
        return index


def test_timeout() -> None:
    iterator = iter(data.DataLoader(Waits(2), None, num_workers=1, timeout=0.2))
    with pytest.raises(RuntimeError, match=r"DataLoader timed out after 0.2 seconds"):
        next(iterator)
    iterator._pool.processes[0].kill()


def test_an_abandoned_iterator_ends_its_workers() -> None:
    iterator = iter(data.DataLoader(Squares(100), 1, num_workers=2))
    next(iterator)
    workers = iterator._workers
    assert all(worker.is_alive() for worker in workers)
    del iterator
    gc.collect()
    assert not any(worker.is_alive() for worker in workers)


def test_two_loaders_at_once() -> None:
    first, second = (data.DataLoader(Squares(6), 2, num_workers=1) for _ in range(2))
    together = [(a[1].tolist(), b[1].tolist()) for a, b in zip(first, second, strict=True)]
    assert together == [([0, 1],) * 2, ([2, 3],) * 2, ([4, 5],) * 2]


# -- memory between processes


class Large(data.Dataset):
    def __len__(self) -> int:
        return 3

    def __getitem__(self, index: int):
        image = np.arange(60_000, dtype=np.float32).reshape(3, 100, 200) + index
        turned = from_numpy(np.ones((2, 3, 4), np.int16)).permute(2, 0, 1)
        return {
            "image": from_numpy(image),
            "channels last": from_numpy(image.transpose(1, 2, 0).copy()).permute(2, 0, 1),
            "turned": turned,
            "slice": from_numpy(image)[:, ::2, 5:9],
            "empty": from_numpy(np.empty((0, 3))),
            "number": from_numpy(np.array(7)),
            "array": image[0],
            "leaf": from_numpy(np.ones(2)).requires_grad_(),
        }


def test_tensors_arrive_as_they_were() -> None:
    received = list(data.DataLoader(Large(), None, collate_fn=dict, num_workers=1))
    for index, sample in enumerate(received):
        for key, value in Large()[index].items():
            found = sample[key]
            assert np.asarray(found.tolist()).tolist() == np.asarray(value.tolist()).tolist()
            assert found.dtype == value.dtype
            if key not in ("slice", "array", "empty"):
                assert found.stride() == value.stride()
                assert found.requires_grad == value.requires_grad
        sample["image"] += 1.0  # the memory can be written
        sample["array"] += 1.0


def test_a_view_does_not_take_its_storage_along() -> None:
    whole = from_numpy(np.zeros((1000, 1000)))
    text, buffers = transport.dumps(whole[3])
    assert sum(buffer.nbytes for buffer in buffers) == 8000
    assert len(text) < 1000


def test_what_has_a_history_cannot_cross() -> None:
    with pytest.raises(RuntimeError, match="Cowardly refusing to serialize non-leaf tensor"):
        transport.dumps(from_numpy(np.ones(2)).requires_grad_() * 2)


@pytest.mark.parametrize("in_files", [True, False])
def test_large_messages(in_files: bool, monkeypatch) -> None:
    if in_files and not transport._HAS_FILES_IN_MEMORY:
        pytest.skip("this system has no anonymous files in memory")
    monkeypatch.setattr(transport, "_HAS_FILES_IN_MEMORY", in_files)
    here, there = (transport.Channel(end) for end in multiprocessing.Pipe())
    sent = [from_numpy(np.arange(40_000.0)), from_numpy(np.arange(3)), "text"]
    sender = threading.Thread(target=here.send, args=(sent,))
    sender.start()
    values = there.receive()
    sender.join()
    assert [v.tolist() for v in values[:2]] == [v.tolist() for v in sent[:2]]
    assert values[2] == "text"
    here.close()
    with pytest.raises(EOFError, match=r"^$"):
        there.receive()
    there.close()


# -- programs that end in the middle of an epoch


def run_program(text: str, **options) -> subprocess.Popen:
    # The program says where its workers are; they hold no pipe of it, so that reading ends when it
    # does.
    head = "import os, signal, sys\nimport numpy as np\nfrom pellucid import data\n"
    return subprocess.Popen(
        [sys.executable, "-c", head + textwrap.dedent(text)],
        stdout=subprocess.PIPE,
        stderr=subprocess.PIPE,
        text=True,
        start_new_session=True,
        **options,
    )


def is_running(pid: int) -> bool:
    try:
        with open(f"/proc/{pid}/stat") as file:
            return file.read().rsplit(")", 1)[1].split()[0] not in "ZX"
    except FileNotFoundError:
        return False


def assert_gone(pids: list[int], seconds: float = 20.0) -> None:
    waiting = threading.Event()
    for _ in range(int(seconds / 0.1)):
        if not any(is_running(pid) for pid in pids):
            return
        waiting.wait(0.1)
    raise AssertionError(f"still running: {[pid for pid in pids if is_running(pid)]}")


PROGRAM = """
    loader = data.DataLoader(range(100000), 1, num_workers=2, persistent_workers=True)
    iterator = iter(loader)
    next(iterator)
    print(*[worker.pid for worker in iterator._workers], flush=True)
"""


@pytest.mark.skipif(not os.path.isdir("/proc/self"), reason="looks processes up in /proc")
@pytest.mark.parametrize(
    ("ending", "code"),
    [
        ("sys.exit(0)", 0),
        ("raise ValueError('stop')", 1),
        ("os.kill(0, signal.SIGINT); signal.pause()", -signal.SIGINT),
        ("os.kill(os.getpid(), signal.SIGKILL)", -signal.SIGKILL),
    ],
    ids=["exit", "error", "ctrl-c", "kill"],
)
def test_no_worker_outlives_its_program(ending: str, code: int) -> None:
    process = run_program(textwrap.dedent(PROGRAM) + ending)
    out, err = process.communicate(timeout=60)
    pids = [int(pid) for pid in out.split()]
    assert len(pids) == 2
    assert process.returncode == code, err
    assert_gone(pids)
    assert "DataLoader" not in err
    assert err.count("Traceback") <= 1
