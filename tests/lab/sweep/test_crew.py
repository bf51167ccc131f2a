"""Cells are trained once, whoever is lost on the way, and to the same bits everywhere."""

import os
import signal
import sys
import types

import pytest

from pellucid.lab.sweep import (
    Cell,
    Here,
    OverRay,
    Question,
    Results,
    SweepError,
    read_grid,
    results_of,
)
from pellucid.lab.sweep.cells import train_cell
from pellucid.lab.sweep.crew import GIVE_UP, RETRIES, Ended
from pellucid.lab.sweep.worker import answer
from pellucid.tensor.threads import get_num_threads, set_num_threads

QUESTION = Question("sin(2*pi*x)", (-1.0, 1.0), "tanh", "adam", 20, 3, 2)
GRID = read_grid("width=2,5,depth=1:2,seeds=2")


class Played:
    """A crew that ends cells as it is told: `lose` says how often each cell's worker is lost."""

    def __init__(self, lose=None, error=None, size=2):
        self.lose, self.error, self.size = dict(lose or {}), error, size
        self.running, self.started, self.closed = [], [], False

    def free(self):
        return len(self.running) < self.size

    def start(self, question, cell):
        assert len(self.running) < self.size
        self.running.append(cell)
        self.started.append(cell)

    def wait(self, seconds):
        cell = self.running.pop(0)
        if self.lose.get(cell, 0):
            self.lose[cell] -= 1
            return [Ended(cell, lost="killed by SIGKILL")]
        if cell == self.error:
            return [Ended(cell, error="MemoryError: no")]
        return [Ended(cell, {"width": cell.width})]

    def close(self):
        self.closed = True


def test_every_cell_once_the_most_expensive_first():
    crew = Played()
    ended = list(results_of(QUESTION, GRID.cells(), crew))
    assert [each.cell for each in ended] == crew.started
    assert crew.started == [Cell(5, 2), Cell(2, 2), Cell(5, 1), Cell(2, 1)]
    assert crew.closed


def test_a_lost_worker_is_replaced_and_told_of():
    told = []
    crew = Played({Cell(5, 2): RETRIES, Cell(2, 1): 1})
    ended = list(results_of(QUESTION, GRID.cells(), crew, told.append))
    assert sorted(each.cell for each in ended) == sorted(GRID.cells())
    assert all(each.record for each in ended)
    assert len(told) == RETRIES + 1
    assert told[0] == "width 5, depth 2: its worker was lost (killed by SIGKILL); try 2 of 4"


def test_a_cell_that_always_loses_its_worker_fails_alone():
    crew = Played({Cell(2, 2): 99}, size=1)
    ended = {each.cell: each for each in results_of(QUESTION, GRID.cells(), crew, str)}
    assert len(ended) == 4
    assert "lost 4 times, last: killed by SIGKILL" in ended[Cell(2, 2)].error
    assert crew.started.count(Cell(2, 2)) == RETRIES + 1


def test_an_error_is_not_tried_again():
    crew = Played(error=Cell(2, 2))
    ended = {each.cell: each for each in results_of(QUESTION, GRID.cells(), crew)}
    assert ended[Cell(2, 2)].error == "MemoryError: no"
    assert crew.started.count(Cell(2, 2)) == 1


def test_workers_that_all_die_stop_the_sweep():
    crew = Played(dict.fromkeys(GRID.cells(), 99), size=4)
    with pytest.raises(SweepError, match=f"{GIVE_UP} workers were lost one after the other"):
        list(results_of(QUESTION, GRID.cells(), crew, str))
    assert crew.closed


def test_the_crew_goes_home_when_the_caller_stops():
    crew = Played()
    results = results_of(QUESTION, GRID.cells(), crew)
    next(results)
    results.close()
    assert crew.closed


@pytest.fixture
def threads():
    before = get_num_threads()
    yield
    set_num_threads(before)


def stored(path, crew, meanwhile=lambda crew, done: None):
    told = []
    with Results(path, QUESTION, resume=True) as results:
        left = [cell for cell in GRID.cells() if cell not in results.records]
        for done, ended in enumerate(results_of(QUESTION, left, crew, told.append)):
            assert ended.record, ended.error
            results.add(ended.record)
            meanwhile(crew, done)
        results.finish()
    return path.read_bytes(), told


def alone(path):
    """What this process finds by itself."""
    with Results(path, QUESTION) as results:
        for cell in GRID.cells():
            results.add(train_cell(QUESTION, cell))
        results.finish()
    return path.read_bytes()


def kill_one(crew, done):
    if done == 0:
        os.kill(crew.pids[0], signal.SIGKILL)


@pytest.mark.skipif(not hasattr(signal, "SIGKILL"), reason="nobody is killed on Windows")
@pytest.mark.slow
def test_real_workers_killed_and_interrupted_give_the_same_bytes(tmp_path, threads):
    wanted = alone(tmp_path / "alone.jsonl")
    crew = Here(1)
    found, told = stored(tmp_path / "killed.jsonl", crew, kill_one)
    assert found == wanted
    assert len(told) == 1
    assert "killed by SIGKILL" in told[0]
    assert crew.pids == []

    def stop(crew, done):
        raise KeyboardInterrupt("Ctrl-C")

    crew = Here(2)
    with pytest.raises(KeyboardInterrupt, match="Ctrl-C"):
        stored(tmp_path / "interrupted.jsonl", crew, stop)
    assert crew.pids == []
    assert len((tmp_path / "interrupted.jsonl").read_bytes().splitlines()) == 2
    assert stored(tmp_path / "interrupted.jsonl", Here(2))[0] == wanted


@pytest.mark.slow
@pytest.mark.filterwarnings("default")
def test_over_ray_the_same_bytes(tmp_path, threads, monkeypatch):
    monkeypatch.setenv("RAY_worker_niceness", "0")
    pytest.importorskip("ray", reason="the extra `ray` is not installed")
    wanted = alone(tmp_path / "alone.jsonl")
    assert stored(tmp_path / "ray.jsonl", OverRay("local", 2))[0] == wanted


@pytest.mark.parametrize(
    ("address", "error", "words"),
    [
        ("nowhere", ValueError, "--ray takes local, auto, HOST:PORT"),
        ("host:port", ValueError, "--ray takes local, auto, HOST:PORT"),
        (":6379", ValueError, "--ray takes local, auto, HOST:PORT"),
        ("ray://host:99999", ValueError, "--ray takes local, auto, HOST:PORT"),
        ("127.0.0.1:1", SweepError, "nobody answers at 127.0.0.1:1"),
    ],
)
def test_addresses_where_no_ray_is(address, error, words, monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", types.ModuleType("ray"))
    with pytest.raises(error, match=words):
        OverRay(address)


def test_without_ray_the_extra_is_named(monkeypatch):
    monkeypatch.setitem(sys.modules, "ray", None)
    with pytest.raises(ImportError, match=r"pip install 'pellucid\[ray\]'"):
        OverRay("local")


def test_a_worker_tells_of_its_error(threads):
    asked = (
        b'{"question": {"pellucid": "0.0", "target": "x"}, '
        b'"cell": {"width": 2, "depth": 1, "rate": null}}\n'
    )
    assert b"install the same version everywhere" in answer(asked)


def test_a_crew_has_workers():
    with pytest.raises(ValueError, match="at least one worker and at most 1024, not 0"):
        Here(0)
