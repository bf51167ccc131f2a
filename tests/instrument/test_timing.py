"""`timing`: counts and quantiles are right; no test here depends on how fast the machine is."""

import asyncio
import io
import math
import sys
import threading

import pytest

from pellucid.instrument import Timing, Timings, timing, timings
from pellucid.instrument import timings as common
from pellucid.instrument.stopwatch import KEPT, readable


def test_quantiles_by_nearest_rank():
    timed = Timing("t")
    for i in range(100, 0, -1):
        timed.add(float(i))
    assert (timed.count, timed.total, timed.mean) == (100, 5050.0, 50.5)
    assert (timed.p50, timed.p95) == (50.0, 95.0)
    assert (timed.quantile(0), timed.quantile(1)) == (1.0, 100.0)
    with pytest.raises(ValueError, match="q must be between 0 and 1, got 2"):
        timed.quantile(2)


def test_before_the_first_call_there_is_no_number():
    empty = Timing("t")
    assert math.isnan(empty.mean) and math.isnan(empty.p50)
    assert empty.row() == ("t", "0", "-", "-", "-", "0 ns")


def test_quantiles_are_of_recent_calls_and_counts_of_all():
    timed = Timing("t")
    for _ in range(KEPT):
        timed.add(1.0)
    for _ in range(KEPT):
        timed.add(2.0)
    assert timed.count == 2 * KEPT and timed.p50 == 2.0 and timed.mean == 1.5


def test_names_collections_and_failed_calls():
    mine = Timings()

    @timing("load", into=mine)
    def load(fail=False):
        if fail:
            raise OSError("gone")

    load()
    with pytest.raises(OSError, match="gone"):
        load(fail=True)
    assert mine["load"].count == 2 and mine["load"].total >= 0
    assert "load" in mine and len(mine) == 1 and "load" not in common
    mine.clear()
    assert len(mine) == 0


def test_a_name_given_to_a_class_stands_before_its_methods():
    mine = Timings()

    @timing("disk", into=mine)
    class Store:
        def read(self):
            return 1

    Store().read()
    assert [timed.name for timed in mine] == ["disk.read"]


def test_bare_timing_uses_the_common_collection():
    @timing
    def counted_in_common():
        return 1

    counted_in_common()
    name = next(timed.name for timed in timings if timed.name.endswith("counted_in_common"))
    assert timings[name].count == 1


def test_a_generator_is_charged_its_own_time_only(monkeypatch):
    clock = iter(range(100))
    monkeypatch.setattr("time.perf_counter", lambda: float(next(clock)))
    mine = Timings()

    @timing("g", into=mine)
    def body():
        yield 1
        yield 2

    for _ in body():
        for _ in range(10):
            next(clock)  # the consumer takes ten seconds over each value
    assert (mine["g"].count, mine["g"].total) == (1, 3.0)  # three stretches of one second


def test_coroutines_and_threads_are_all_counted():
    mine = Timings()

    @timing("c", into=mine)
    async def work():
        await asyncio.sleep(0)

    async def many():
        await asyncio.gather(*(work() for _ in range(20)))

    asyncio.run(many())
    counted = timing("t", into=mine)(lambda: None)

    def loop():
        for _ in range(500):
            counted()

    threads = [threading.Thread(target=loop) for _ in range(4)]
    for thread in threads:
        thread.start()
    for thread in threads:
        thread.join()
    assert (mine["c"].count, mine["t"].count) == (20, 2000)


def test_the_table_lists_the_longest_total_first():
    mine = Timings()
    mine.of("short").add(0.001)
    mine.of("long").add(2.0)
    mine.of("long").add(4.0)
    lines = mine.table().splitlines()
    assert lines[0].split() == ["name", "count", "mean", "p50", "p95", "total"]
    assert lines[1].split() == ["long", "2", "3.00", "s", "2.00", "s", "4.00", "s", "6.00", "s"]
    assert lines[2].split()[:2] == ["short", "1"]


@pytest.mark.parametrize("rich", [True, False])
def test_printing_with_and_without_rich(monkeypatch, rich):
    if rich:
        pytest.importorskip("rich")
    else:
        monkeypatch.setitem(sys.modules, "rich", None)
        monkeypatch.setattr("importlib.util.find_spec", lambda name: None)
    mine = Timings()
    mine.of("read[0]").add(0.5)
    out = io.StringIO()
    mine.print(out)
    text = out.getvalue()
    assert "read[0]" in text and "500.00 ms" in text and "p95" in text
    assert ("┃" in text) == rich


def test_units():
    spans = (2.5, 0.0025, 2.5e-6, 2.5e-8)
    assert [readable(s) for s in spans] == ["2.50 s", "2.50 ms", "2.50 us", "25 ns"]
