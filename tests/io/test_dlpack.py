"""Memory shared with NumPy and PyTorch, both ways, by DLPack and by NumPy."""

import numpy as np
import pytest

from pellucid.io import dlpack
from pellucid.io.numpy import from_numpy
from pellucid.tensor.dtype import all_dtypes, dtype_named
from pellucid.tensor.layout import Layout, contiguous
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import make

torch = pytest.importorskip("torch")

DTYPES = [element.name for element in all_dtypes()]


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_both_ways_without_a_copy(name):
    theirs = torch.ones(2, 3).to(getattr(torch, name))
    ours = dlpack.from_dlpack(theirs)
    assert ours.dtype.name == name
    assert ours.data_ptr() == theirs.data_ptr()
    assert tuple(ours.shape) == (2, 3)
    assert ours._array.tobytes() == theirs.view(torch.uint8).numpy().tobytes()
    for exported in (ours, dlpack.to_dlpack(ours)):
        back = torch.from_dlpack(exported)
        assert back.dtype == theirs.dtype
        assert back.data_ptr() == theirs.data_ptr()
        assert torch.equal(back, theirs)


def test_strides_and_writes_are_shared():
    theirs = torch.arange(12.0).view(3, 4).t()[1:]
    ours = dlpack.from_dlpack(theirs)
    assert tuple(ours.stride()) == theirs.stride()
    ours._array[0, 0] = 50
    assert theirs[0, 0] == 50
    back = torch.from_dlpack(ours)
    assert back.stride() == theirs.stride()
    back[0, 1] = 60
    assert theirs[0, 1] == 60


def test_the_memory_outlives_its_producer():
    ours = dlpack.from_dlpack(torch.arange(1000))
    assert ours._array.sum() == 499500


def test_numpy_arrays_and_copies():
    array = np.arange(4.0)
    shared = dlpack.from_dlpack(array)
    assert shared.data_ptr() == array.ctypes.data
    copied = dlpack.from_dlpack(array, copy=True)
    assert copied.data_ptr() != array.ctypes.data
    locked = np.arange(3)
    locked.flags.writeable = False
    assert dlpack.from_dlpack(locked).data_ptr() != locked.ctypes.data
    again = dlpack.from_dlpack(shared)
    assert again._storage is shared._storage
    assert dlpack.from_dlpack(shared, copy=True).data_ptr() != shared.data_ptr()


def test_refusals():
    tensor = make(Storage(8), contiguous((2,)), dtype_named("float32"))
    tensor._requires_grad = True
    with pytest.raises(BufferError, match="Can't export tensors that require gradient"):
        dlpack.to_dlpack(tensor)
    with pytest.raises(TypeError, match="needs an object with __dlpack__, got list"):
        dlpack.from_dlpack([1, 2])
    capsule = dlpack.to_dlpack(make(Storage(8), contiguous((2,)), dtype_named("float32")))
    dlpack.from_dlpack(capsule)
    with pytest.raises(BufferError, match="was consumed already"):
        dlpack.from_dlpack(capsule)
    with pytest.raises((BufferError, TypeError), match=r"from_dlpack|float8"):
        dlpack.from_dlpack(torch.zeros(2).to(torch.float8_e4m3fn))

    class Elsewhere:
        def __dlpack__(self):
            raise AssertionError("must not be asked")

        def __dlpack_device__(self):
            return (2, 0)

    with pytest.raises(BufferError, match="move it to the CPU first"):
        dlpack.from_dlpack(Elsewhere())


def test_from_numpy_shares_memory():
    array = np.arange(6, dtype=np.int32).reshape(2, 3).T
    tensor = from_numpy(array)
    assert tensor._layout == Layout((3, 2), (1, 3), 0)
    tensor._array[2, 1] = 9
    assert array[2, 1] == 9
    with pytest.raises(ValueError, match="negative"):
        from_numpy(array[::-1])
    with pytest.raises(TypeError, match=r"can't convert np\.ndarray of type numpy\.str_"):
        from_numpy(np.array(["a"]))
    with pytest.raises(TypeError, match=r"expected np\.ndarray"):
        from_numpy([1])
    locked = np.zeros(2)
    locked.flags.writeable = False
    with pytest.warns(UserWarning, match="The given NumPy array is not writable"):
        from_numpy(locked)
