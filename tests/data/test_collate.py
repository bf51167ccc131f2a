"""`default_collate` and `default_convert` make what PyTorch's make of nested samples."""

from __future__ import annotations

from collections import OrderedDict, UserDict, UserList, namedtuple
from types import MappingProxyType

import numpy as np
import pytest

from pellucid import data
from pellucid.tensor.tensor import Tensor, from_numpy

torch = pytest.importorskip("torch")
torch_data = pytest.importorskip("torch.utils.data")

Pair = namedtuple("Pair", "x y")


def tensors(framework: str):
    return from_numpy if framework == "pellucid" else torch.from_numpy


def described(value):
    """Structure, types and numbers, with tensors of both frameworks written alike."""
    if isinstance(value, (Tensor, torch.Tensor)):
        return ("tensor", str(value.dtype).split(".")[-1], tuple(value.shape), value.tolist())
    if isinstance(value, (dict, UserDict, MappingProxyType)):
        return (type(value).__name__, [(k, described(value[k])) for k in value])
    if isinstance(value, (list, tuple, UserList)):
        return (type(value).__name__, [described(v) for v in value])
    if isinstance(value, np.ndarray):
        return ("ndarray", value.tolist())
    return (type(value).__name__, value)


SAMPLES = {
    "ints": lambda t: [1, 2, 3],
    "bools": lambda t: [True, False],
    "floats": lambda t: [0.5, 2.0],
    "strings": lambda t: ["a", "bc"],
    "bytes": lambda t: [b"a", b"b"],
    "tensors": lambda t: [t(np.arange(3.0)), t(np.ones(3))],
    "0-dim tensors": lambda t: [t(np.array(2)), t(np.array(3))],
    "arrays": lambda t: [np.arange(3, dtype=np.int16), np.ones(3, np.int16)],
    "numpy numbers": lambda t: [np.float32(1.5), np.float32(2.5)],
    "numpy bools": lambda t: [np.bool_(True), np.bool_(False)],
    "tuples": lambda t: [(t(np.ones(2)), 1), (t(np.zeros(2)), 0)],
    "lists": lambda t: [[1, 2.0], [3, 4.0]],
    "user lists": lambda t: [UserList([1, "a"]), UserList([2, "b"])],
    "dicts": lambda t: [{"x": 1.0, "name": "a"}, {"x": 2.0, "name": "b"}],
    "ordered dicts": lambda t: [OrderedDict(b=1, a=2), OrderedDict(b=3, a=4)],
    "user dicts": lambda t: [UserDict(x=1), UserDict(x=2)],
    "frozen dicts": lambda t: [MappingProxyType({"x": 1}), MappingProxyType({"x": 2})],
    "named tuples": lambda t: [Pair(1, {"z": (2,)}), Pair(3, {"z": (4,)})],
    "ranges": lambda t: [range(3), range(1, 4)],
}


@pytest.mark.parametrize("case", SAMPLES)
def test_collate(case: str) -> None:
    mine = data.default_collate(SAMPLES[case](tensors("pellucid")))
    theirs = torch_data.default_collate(SAMPLES[case](tensors("torch")))
    assert described(mine) == described(theirs)


@pytest.mark.parametrize("case", SAMPLES)
def test_convert(case: str) -> None:
    for index in (0, 1):
        mine = data.default_convert(SAMPLES[case](tensors("pellucid"))[index])
        theirs = torch_data.default_convert(SAMPLES[case](tensors("torch"))[index])
        assert described(mine) == described(theirs)


def test_convert_leaves_text_arrays_alone() -> None:
    words = np.array(["a", "b"])
    assert data.default_convert(words) is words


@pytest.mark.parametrize("framework", ["pellucid", "torch"])
def test_refusals(framework: str) -> None:
    module = data if framework == "pellucid" else torch_data
    with pytest.raises(RuntimeError, match="each element in list of batch should be of equal size"):
        module.default_collate([[1, 2], [3]])
    with pytest.raises(
        TypeError, match="default_collate: batch must contain tensors, numpy arrays"
    ):
        module.default_collate([object()])
    with pytest.raises(TypeError, match=r"dicts or lists; found <U1"):
        module.default_collate([np.array(["a"])])
    make = tensors(framework)
    with pytest.raises(RuntimeError, match="stack expects each tensor to be equal size"):
        module.default_collate([make(np.ones(2)), make(np.ones(3))])


def test_the_samples_stay_as_they_are() -> None:
    sample = {"x": [1, 2]}
    data.default_collate([sample, {"x": [3, 4]}])
    data.default_convert(sample)
    assert sample == {"x": [1, 2]}
