"""The arithmetic of the benchmarks and what they print. No test here looks at the time."""

import io
import json

import numpy as np
import pytest
from rich.console import Console

import pellucid
from bench.__main__ import load
from bench.frame import machine, runner
from bench.frame.accuracy import error
from bench.frame.machine import Peaks
from bench.frame.peers import PEERS, Absent, NotMeant, Peer, choose, exact_answer, prepare_work
from bench.frame.registry import Benchmark, Network, Registry, registry
from bench.frame.results import Result, write_json
from bench.frame.table import cell, duration, group_table
from bench.frame.timing import Spread, interleaved, ratio

OURS = choose(["numpy"])[:1]


def benchmark(**described):
    return Benchmark(**{"group": "g", "case": "c", "program": lambda t, dtype: int, **described})


def printed(renderable, width=200):
    console = Console(width=width, record=True, file=io.StringIO())
    console.print(renderable)
    return console.export_text()


def test_spread_is_median_and_quartiles():
    found = Spread.of([5.0, 1.0, 3.0, 2.0, 4.0])
    assert (found.median, found.low, found.high) == (3.0, 2.0, 4.0)
    assert found.relative == pytest.approx(1 / 3)
    assert Spread.of([7.0]) == Spread(7.0, 7.0, 7.0)


def test_ratio_is_taken_within_rounds():
    # The machine was three times slower in the second round: the ratio doesn't see it.
    assert ratio([2.0, 6.0, 2.2], [1.0, 3.0, 1.0]).median == pytest.approx(2.0)
    with pytest.raises(ValueError, match="zip"):
        ratio([1.0], [1.0, 2.0])


def test_peers_take_turns():
    seen = []
    calls = {name: lambda name=name: seen.append(name) for name in "ab"}
    samples = interleaved(calls, rounds=3, seconds=0.0)
    assert {name: len(values) for name, values in samples.items()} == {"a": 3, "b": 3}
    assert "".join(seen[-12:]) == "aabb" * 3  # the first of each turn is not counted


def test_a_call_with_its_own_clock_returns_the_seconds():
    answers = iter([0.5, 0.25, 0.125])
    assert interleaved({"a": lambda: next(answers)}, 3, 1.0, own_clock=True) == {
        "a": [0.5, 0.25, 0.125]
    }


def test_error_is_relative_to_the_largest_element():
    exact = np.array([100.0, 1.0])
    assert error(np.array([100.0, 1.5], np.float32), exact) == pytest.approx(0.005)
    assert error([pellucid.tensor([2.0])], [np.array([1.0])]) == pytest.approx(1.0)
    with pytest.raises(ValueError, match="shape"):
        error(np.zeros(3), exact)
    with pytest.raises(ValueError, match="zip"):
        error([exact], [exact, exact])


def test_names_choose_benchmarks():
    own = Registry()
    for group, case in (("a", "x"), ("a", "y"), ("b", "x * 2")):
        own.enter(benchmark(group=group, case=case))
    names = lambda *wanted: [each.name for each in own.select(wanted)]
    assert names() == ["a/x", "a/y", "b/x * 2"]
    assert names("b", "a/x") == ["a/x", "b/x * 2"]
    assert names("*/x*") == ["a/x", "b/x * 2"]
    with pytest.raises(KeyError, match="no benchmark fits 'c': there are the groups a, b"):
        own.select(["c"])
    with pytest.raises(ValueError, match="described twice"):
        own.enter(benchmark(group="a", case="x"))
    with pytest.raises(ValueError, match="neither program nor network"):
        own.enter(Benchmark(group="a", case="z"))


def test_peers_are_chosen_by_name():
    assert [peer.name for peer in choose(["torch"])] == ["pellucid", "torch"]
    assert len(choose([])) == len(PEERS)
    with pytest.raises(KeyError, match="no peer is named 'tourch': there are pellucid"):
        choose(["tourch"])


def test_a_peer_that_is_not_there_says_so():
    def broken(work):
        raise RuntimeError("unsupported operator\nand a page of details")

    def never(work):
        raise NotMeant

    peers = [
        *OURS,
        Peer("elsewhere", ("no_such_package",), never),
        Peer("broken", (), broken),
        Peer("other", (), never),
    ]
    result = runner.run(benchmark(), peers, threads=1, rounds=1)
    assert set(result.samples) == {"pellucid"}
    assert result.skipped == {
        "elsewhere": "no_such_package is not installed",
        "broken": "RuntimeError: unsupported operator",
    }
    text = printed(group_table("g", [result]))
    assert "without elsewhere: no_such_package is not installed" in text
    with pytest.raises(RuntimeError, match="unsupported operator"):
        runner.run(benchmark(), [Peer("pellucid", (), broken)], threads=1, rounds=1)
    with pytest.raises(Absent, match="not installed"):
        peers[1].call(prepare_work(benchmark(), 1))


def test_every_peer_runs_the_network_with_the_same_weights():
    network = Network(
        module=lambda t: t.nn.Linear(3, 2), inputs=lambda: (np.ones((4, 3), np.float32),)
    )
    work = prepare_work(benchmark(program=None, network=network), threads=1)
    found = OURS[0].call(work)()
    weight, bias = work.weights["weight"], work.weights["bias"]
    assert np.allclose(found.numpy(), np.ones((4, 3)) @ weight.T + bias)
    assert 0 < error(found, exact_answer(work)) < 1e-6


def test_a_planted_error_is_shown():
    wrong = benchmark(program=lambda t, dtype: lambda: t.tensor(1.25 if dtype is t.float32 else 1))
    result = runner.run(benchmark(program=wrong.program, checked=True), OURS, threads=1, rounds=1)
    assert result.errors == {"pellucid": pytest.approx(0.25)}
    assert "2.5e-01" in printed(group_table("g", [result]))


def test_parts_and_the_rest_make_the_whole(monkeypatch):
    times = {"": 0.01, "the rest": 0.51, "memory": 0.21, "the loop": 0.11}
    monkeypatch.setattr(
        runner, "interleaved", lambda calls, *_: {name: [times[name]] for name in calls}
    )
    whole = benchmark(parts=lambda: {"memory": int, "the loop": int})
    assert runner._parts(whole, int, 1) == {
        "memory": pytest.approx(0.2),
        "the loop": pytest.approx(0.1),
        "the rest": pytest.approx(0.2),
    }


def measured():
    return Result(
        benchmark(flops=1e9, nbytes=1e9),
        {"pellucid": [0.2, 0.2, 0.4], "torch": [0.1, 0.1, 0.2]},
        peaks=Peaks(flops=1e10, bandwidth=2e10),
        parts={"memory": 0.05, "the loop": 0.1, "the rest": -0.01},
    )


def test_shares_and_ratios():
    result = measured()
    assert result.times("torch").median == pytest.approx(2.0)
    assert result.times("jax") is None
    assert result.share("pellucid") == pytest.approx(0.5)  # arithmetic needs 0.1 s, memory 0.05
    assert Result(benchmark(), {"pellucid": [1.0]}).share("pellucid") is None


def test_the_table_shows_them():
    text = printed(group_table("title", [measured()]))
    assert "200 ms" in text and "100 ms  2.00×" in text and "50%" in text
    assert "c, 140 ms: memory 50.0 ms, the loop 100 ms, the rest -10.0 ms" in text
    assert str(cell(measured(), "jax")) == ""


@pytest.mark.parametrize(
    ("seconds", "words"),
    [
        (2.5, "2.50 s"),
        (0.0456, "45.6 ms"),
        (1.234e-6, "1.23 µs"),
        (1e-3, "1.00 ms"),
        (4.2e-8, "42.0 ns"),
        (1234.0, "1,234 s"),
    ],
)
def test_durations(seconds, words):
    assert duration(seconds) == words


def test_json_holds_every_number(tmp_path):
    path = tmp_path / "numbers.json"
    write_json(path, {"cpus": "2"}, [measured()])
    found = json.loads(path.read_text())
    assert found["machine"] == {"cpus": "2"}
    (entry,) = found["benchmarks"]
    assert entry["name"] == "g/c"
    assert entry["peers"]["torch"]["pellucid takes"] == pytest.approx(2.0)
    assert entry["peers"]["pellucid"]["share of limit"] == pytest.approx(0.5)
    assert entry["peaks"] == {"flops": 1e10, "bandwidth": 2e10}
    assert [each.name for each in tmp_path.iterdir()] == ["numbers.json"]


def test_rates_count_what_is_done(monkeypatch):
    monkeypatch.setattr(machine, "_best", lambda call, times: 0.5)
    assert machine.product_rate(size=10) == 2 * 10**3 / 0.5
    assert machine.copy_rate(nbytes=100) == 2 * 100 / 0.5


def test_the_meters_can_be_exchanged(monkeypatch):
    monkeypatch.setitem(machine.METERS, "flops", lambda: 7.0)
    monkeypatch.setitem(machine.METERS, "bandwidth", lambda: 8.0)
    assert machine.peaks() == Peaks(7.0, 8.0)


def test_the_small_benchmarks_run():
    load()
    assert {"start", "overhead", "sampling", "training"} <= set(registry.groups)
    for each in registry.select(["overhead", "sampling"]):
        each.program(pellucid, pellucid.float32)()
        for part in (each.parts or dict)().values():
            part()


def test_a_peer_is_compared_with_pellucid_in_its_precision():
    samples = {"pellucid": [4.0], "pellucid bf16": [2.0], "openvino": [2.0], "openvino bf16": [1.0]}
    result = Result(benchmark(), samples)
    assert result.times("openvino").median == 2.0 == result.times("openvino bf16").median
    assert result.times("pellucid bf16").median == 2.0
    names = [peer.name for peer in choose(["openvino bf16"])]
    assert names == ["pellucid", "pellucid bf16", "openvino bf16"]
    assert [peer.name for peer in choose(["openvino"])] == ["pellucid", "openvino"]
