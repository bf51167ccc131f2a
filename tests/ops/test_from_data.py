"""Tensors from Python data, arrays and buffers; the old constructors."""

from __future__ import annotations

import numpy as np
import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

import pellucid
from tests.expressions import check, lines

DATA = """
    torch.tensor(3)
    torch.tensor(3.5)
    torch.tensor(True)
    torch.tensor(2j)
    torch.tensor([1, 2.5])
    torch.tensor([1, True])
    torch.tensor([1.5, True])
    torch.tensor([1.5, 2j])
    torch.tensor([])
    torch.tensor([[], []])
    torch.tensor([[], [1]])
    torch.tensor(((1, 2), [3, 4]))
    torch.tensor(range(3))
    torch.tensor(bytearray(b"ab"))
    torch.tensor(memoryview(b"ab"))
    torch.tensor(np.float64(2.5))
    torch.tensor(np.float32(2.5))
    torch.tensor(np.bool_(True))
    torch.tensor([np.float32(2.5)])
    torch.tensor([np.int32(2), 2.5])
    torch.tensor([np.float64(2), 2.5])
    torch.tensor([np.uint8(2)])
    torch.tensor(np.array([[1, 2], [3, 4]]).T)
    torch.tensor(np.zeros((2, 0)))
    torch.tensor([torch.tensor(1), torch.tensor(2)])
    torch.tensor([torch.tensor(1.5), 2])
    torch.tensor([torch.tensor([1]), torch.tensor([3])])
    torch.tensor([torch.tensor(1.0, dtype=torch.float16), 2.5])
    torch.tensor(torch.ones(3, 2).t())
    torch.tensor([1.7, -2.7], dtype=torch.int8)
    torch.tensor([-1], dtype=torch.uint8)
    torch.tensor([2**63], dtype=torch.uint64)
    torch.tensor([2**63], dtype=torch.float32)
    torch.tensor([-(2**63)])
    torch.tensor([1e39])
    torch.tensor([70000.0], dtype=torch.float16)
    torch.tensor([0.1], dtype=torch.bfloat16)
    torch.tensor([float("nan"), 0.5, 0], dtype=torch.bool)
    torch.tensor([1j], dtype=torch.bool)
    torch.tensor([1], dtype=torch.complex64)
    torch.tensor([1], dtype=float)
    torch.tensor([1.0], requires_grad=True)
    torch.tensor(data=[1, 2])
    torch.as_tensor([1, 2], dtype=torch.float32)
    torch.as_tensor(np.array([1, 2]))
    torch.as_tensor(3)
    torch.as_tensor(torch.ones(2, requires_grad=True), dtype=torch.float64)
    torch.asarray([1, 2])
    torch.asarray(np.float64(2))
    torch.asarray(torch.ones(2), dtype=torch.int32)
    torch.asarray(bytearray(b"1234"))
    torch.asarray(torch.ones(2), requires_grad=True)
    torch.frombuffer(bytearray(b"1234"), dtype=torch.int16)
    torch.frombuffer(bytearray(b"1234"), dtype=torch.int16, offset=2)
    torch.frombuffer(bytearray(b"1234"), dtype=torch.int16, count=1)
    torch.scalar_tensor(3)
    torch.scalar_tensor(3, dtype=torch.int64)
    torch.ones(2, dtype=torch.int32).new_tensor([1.5, 2])
    torch.ones(2).new_tensor(torch.tensor([1, 2]))
"""

REFUSED = """
    torch.tensor([[1, 2, 3], [1, 2]])
    torch.tensor([[1, 2], [1, 2, 3]])
    torch.tensor([[1, 2], 3])
    torch.tensor([1, [2]])
    torch.tensor([1, []])
    torch.tensor([[1, 2], [[1], [2]]])
    torch.tensor([[[1], [2]], [1, 2]])
    torch.tensor("abc")
    torch.tensor(["a"])
    torch.tensor([["a", "b"], ["c", "d"]])
    torch.tensor([1, "a"])
    torch.tensor([b"a"])
    torch.tensor(None)
    torch.tensor([1, None])
    torch.tensor({})
    torch.tensor({1, 2})
    torch.tensor(object())
    torch.tensor(iter([1]))
    torch.tensor(np.array(["a"]))
    torch.tensor(np.array([1, 2]).astype(">i4"))
    torch.tensor([torch.tensor([1, 2]), torch.tensor([3, 4])])
    torch.tensor([torch.tensor([1.0, 2.0])])
    torch.tensor([torch.tensor(1.5)], dtype=torch.int64)
    torch.tensor([300], dtype=torch.uint8)
    torch.tensor([300.7], dtype=torch.int8)
    torch.tensor([2**31], dtype=torch.int32)
    torch.tensor([2**63])
    torch.tensor([2**64], dtype=torch.uint64)
    torch.tensor([-1], dtype=torch.uint64)
    torch.tensor([float("nan")], dtype=torch.int64)
    torch.tensor([1j], dtype=torch.float32)
    torch.tensor([1 + 0j], dtype=torch.int64)
    torch.tensor([[1, 2], [3, "a"]], dtype=torch.float32)
    torch.tensor([1], requires_grad=True)
    torch.tensor([1], dtype=3)
    torch.tensor([1], foo=1)
    torch.as_tensor("a")
    torch.as_tensor(np.array([3, 2, 1])[::-1])
    torch.asarray([1, 2], copy=False)
    torch.asarray(torch.ones(2), dtype=torch.int32, copy=False)
    torch.asarray("a")
    torch.from_numpy([1])
    torch.from_numpy(np.float32(1))
    torch.frombuffer(bytearray(b"1234"), dtype=torch.int16, offset=1)
    torch.frombuffer(bytearray(b"1234"), dtype=torch.int16, count=5)
    torch.frombuffer(bytearray(b"1234"), dtype=torch.int16, count=0)
    torch.frombuffer(bytearray(b""), dtype=torch.int16)
    torch.frombuffer(bytearray(b"1234"), dtype=torch.uint8, offset=4)
    torch.frombuffer([1], dtype=torch.uint8)
    torch.scalar_tensor(2j)
    torch.scalar_tensor([3])
    torch.ones(2).new_tensor("a")
"""

OLD = """
    torch.Tensor()
    torch.Tensor(2, 3).shape
    torch.Tensor((2, 3))
    torch.Tensor(torch.Size([2, 3])).shape
    torch.Tensor([[1, 2], [3, 4]])
    torch.Tensor(np.array([1.5, 2]))
    torch.Tensor(torch.ones(2, dtype=torch.int64))
    torch.Tensor(range(3))
    torch.Tensor(size=(2, 3)).shape
    torch.Tensor(2.5)
    torch.Tensor("a")
    torch.Tensor(None)
    torch.Tensor(True)
    torch.Tensor(-2)
    torch.Tensor([1, 2], [3, 4])
    torch.Tensor([1, 2], requires_grad=True)
    torch.LongTensor([1.5, 2])
    torch.LongTensor()
    torch.IntTensor((3, 4))
    torch.BoolTensor([1, 0])
    torch.HalfTensor([1, 0])
    torch.DoubleTensor([[1, 0]])
    torch.FloatTensor
    torch.FloatTensor.dtype
    isinstance(torch.ones(2), torch.FloatTensor)
    isinstance(torch.ones(2), torch.LongTensor)
    isinstance(3, torch.LongTensor)
    issubclass(torch.FloatTensor, torch.Tensor)
    torch.ones(2).type()
    torch.ones(2).type(torch.LongTensor)
    torch.ones(2).type("torch.LongTensor")
    torch.ones(2).type("foo")
    torch.ones(2, dtype=torch.int64).new([2, 3])
    torch.ones(2, dtype=torch.int64).new()
    torch.ones(2).new(2, 3).shape
"""


@pytest.mark.parametrize("expression", lines(DATA + REFUSED + OLD))
def test_data(expression):
    check(expression)


numbers = st.one_of(
    st.booleans(), st.integers(-(2**40), 2**40), st.floats(width=32, allow_nan=False)
)
nested = st.recursive(numbers, lambda inner: st.lists(inner, max_size=3), max_leaves=8)


@given(nested, st.sampled_from([None, "float32", "int64", "bool", "float64", "complex64"]))
@settings(max_examples=300, deadline=None, derandomize=True)
def test_nested_lists(data, dtype):
    check(f"torch.tensor({data!r}{'' if dtype is None else f', dtype=torch.{dtype}'})")


def test_memory_is_shared_or_not():
    array = np.arange(4.0)
    for made, shared in (
        (pellucid.tensor(array), False),
        (pellucid.as_tensor(array), True),
        (pellucid.asarray(array), True),
        (pellucid.from_numpy(array), True),
        (pellucid.asarray(array, copy=True), False),
        (pellucid.as_tensor(array, dtype=pellucid.float32), False),
    ):
        assert np.shares_memory(made.numpy(), array) is shared
    buffer = bytearray(4)
    pellucid.frombuffer(buffer, dtype=pellucid.uint8).fill_(7)
    assert buffer == b"\x07\x07\x07\x07"


def test_tensors_are_returned_as_they_are():
    x = pellucid.ones(2, requires_grad=True)
    assert pellucid.as_tensor(x) is x
    assert pellucid.asarray(x) is x
    assert pellucid.Tensor(x).data_ptr() == x.data_ptr()


@pytest.mark.parametrize("call", ["from_numpy", "as_tensor"])
def test_read_only_arrays_warn(call):
    array = np.arange(3)
    array.flags.writeable = False
    with pytest.warns(UserWarning, match="given NumPy array is not writable"):
        getattr(pellucid, call)(array)


def test_a_subclass_is_made_by_its_constructor():
    class Named(pellucid.Tensor):
        pass

    made = Named([1.0, 2.0])
    assert type(made) is Named
    assert repr(made) == "Named([1., 2.])"
    assert type(pellucid.ones(2).as_subclass(Named)) is Named
    with pytest.raises(TypeError, match="cls must be a type"):
        pellucid.ones(2).as_subclass(int)
