"""`torch.utils`: trees of containers, measuring, DLPack; settings that are remembered."""

from __future__ import annotations

from collections import OrderedDict, defaultdict, deque, namedtuple

import numpy as np
import pytest
import torch.utils._pytree as theirs

import pellucid
from pellucid.utils import _pytree as ours
from pellucid.utils.benchmark import Measurement, Timer

Point = namedtuple("Point", "x y")
TREES = [
    1,
    [],
    [1, (2, {"a": 3, "b": [4]})],
    Point(1, [2, 3]),
    OrderedDict([("b", 1), ("a", (2,))]),
    defaultdict(list, {"k": [1]}),
    deque([1, [2]], maxlen=3),
    {"x": None, "y": ("s",)},
]


@pytest.mark.parametrize("tree", TREES, ids=repr)
def test_trees(tree):
    leaves, spec = ours.tree_flatten(tree)
    assert leaves == theirs.tree_leaves(tree)
    rebuilt = ours.tree_unflatten(leaves, spec)
    assert rebuilt == tree
    assert type(rebuilt) is type(tree)
    assert spec.num_leaves == len(leaves)
    assert ours.tree_map(str, tree) == theirs.tree_map(str, tree)


def test_trees_with_others_and_with_types():
    assert ours.tree_map(lambda a, b: a + b, [1, (2,)], [10, (20,)]) == [11, (22,)]
    assert ours.tree_map_only(int, lambda x: -x, [1, "a"]) == [-1, "a"]
    assert ours.tree_leaves([(1, 2), 3], is_leaf=lambda x: isinstance(x, tuple)) == [(1, 2), 3]
    assert ours.tree_any(lambda x: x > 2, [1, [3]])
    assert not ours.tree_all(lambda x: x > 2, [1, [3]])
    with pytest.raises(ValueError, match="`leaves` has length 1 but the spec refers"):
        ours.tree_unflatten([1], ours.tree_structure([1, 2]))


def test_a_class_of_ones_own_can_be_a_container():
    class Pair:
        def __init__(self, a, b):
            self.a, self.b = a, b

    ours.register_pytree_node(Pair, lambda p: ([p.a, p.b], None), lambda v, c: Pair(*v))
    try:
        doubled = ours.tree_map(lambda x: 2 * x, Pair(1, 2))
        assert (doubled.a, doubled.b) == (2, 4)
    finally:
        del ours.SUPPORTED_NODES[Pair]


def test_a_timer_counts_its_runs():
    calls = []
    names = {"calls": calls, "threads": pellucid.get_num_threads}
    found = Timer("calls.append(threads())", globals=names, label="append").timeit(10)
    assert found.number_per_run == 10
    assert len(calls) == 12
    assert set(calls) == {1}
    assert "append" in repr(found)
    with pytest.raises(ValueError, match="only Python statements"):
        Timer("x", language="c++")


def test_a_measurement_tells_median_and_spread():
    found = Measurement(2, [2e-6, 4e-6, 6e-6, 8e-6])
    assert found.times == [1e-6, 2e-6, 3e-6, 4e-6]
    assert (found.median, found.mean) == pytest.approx((2.5e-6, 2.5e-6))
    assert found.iqr == pytest.approx(1.5e-6)
    assert found.has_warnings
    assert "Median: 2.50 us" in repr(found)


def test_dlpack_through_utils():
    x = pellucid.arange(3)
    again = pellucid.utils.dlpack.from_dlpack(pellucid.utils.dlpack.to_dlpack(x))
    assert again.tolist() == [0, 1, 2]
    array = np.arange(3)
    pellucid.from_dlpack(array)[0] = 9
    assert array.tolist() == [9, 1, 2]


def test_how_it_was_built():
    assert "NumPy" in pellucid.__config__.show()
    assert "at::get_num_threads" in pellucid.__config__.parallel_info()


def test_rooms_load_by_name():
    for name in ("cuda", "backends", "testing", "distributions", "jit", "hub", "types", "amp"):
        assert getattr(pellucid, name).__name__ == f"pellucid.{name}"
