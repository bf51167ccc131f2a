"""On how many threads products run; NumPy's BLAS is replaced by one that writes down what it is
told.
"""

import pytest

import pellucid
from pellucid.kernels import threads as kernel_threads
from pellucid.ops import blas
from pellucid.tensor import threads


class Blas:
    def __init__(self, number: int) -> None:
        self.number = number
        self.told: list[int] = []

    def get(self) -> int:
        return self.number

    def set(self, number: int) -> None:
        self.number = number
        self.told.append(number)


@pytest.fixture
def library(monkeypatch):
    made = Blas(4)
    monkeypatch.setattr(threads, "_openblas", lambda: (made.get, made.set))
    return made


@pytest.mark.parametrize(
    ("size", "told"),
    [(4, []), (64, [1, 4]), (160, [1, 4]), (256, [])],
    ids=["not shared anyway", "middle", "below the limit", "large"],
)
def test_products_of_a_middle_size_run_alone(library, size, told):
    x = pellucid.eye(size)
    assert (x @ x).equal(x)
    assert library.told == told
    assert library.number == 4


def test_one_thread_stays_one(library):
    library.number = 1
    x = pellucid.eye(64)
    x @ x
    assert library.told == []


def test_the_number_comes_back_after_an_error(library, monkeypatch):
    def fail(*arrays):
        raise MemoryError("no room")

    monkeypatch.setattr(blas.np, "dot", fail)
    x = pellucid.eye(64)
    with pytest.raises(MemoryError, match="no room"):
        x @ x
    assert library.told == [1, 4]


def test_set_num_threads_governs(library):
    pellucid.set_num_threads(3)
    x = pellucid.eye(64)
    x @ x
    assert pellucid.get_num_threads() == 3
    assert library.told == [3, 1, 3]


def test_without_openblas_nothing_is_set(monkeypatch):
    monkeypatch.setattr(threads, "_openblas", lambda: None)
    assert threads.alone(threads.ALONE_FROM) == 0
    threads.together(2)


def test_kernels_use_the_same_number(library):
    before = kernel_threads.num_threads()
    pellucid.set_num_threads(3)
    assert (pellucid.get_num_threads(), kernel_threads.num_threads()) == (3, 3)
    kernel_threads.set_num_threads(before)
