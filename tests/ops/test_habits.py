"""How programs spell their calls: NumPy's names of arguments, NumPy arrays beside tensors, sizes,
overlapping writes, memory that cannot be had; each program run by PyTorch and by Pellucid.
"""

import numpy as np
import pytest
from ops.sides import agree, numbers

import pellucid

NUMPY_NAMES = {
    "softmax": lambda lib, x: lib.softmax(x, axis=1),
    "softmax method": lambda lib, x: x.softmax(axis=-1),
    "squeeze": lambda lib, x: lib.squeeze(x[:1], axis=0),
    "unsqueeze": lambda lib, x: lib.unsqueeze(x, axis=0),
    "sort": lambda lib, x: list(lib.sort(x, axis=0)),
    "chunk": lambda lib, x: list(lib.chunk(x, chunks=2, axis=0)),
    "median": lambda lib, x: list(lib.median(x, axis=1)),
    "diff": lambda lib, x: lib.diff(x, axis=0),
    "norm": lambda lib, x: lib.linalg.norm(x, axis=0),
    "sum": lambda lib, x: x.sum(axis=1, keepdims=True),
}


@pytest.mark.parametrize("program", NUMPY_NAMES.values(), ids=NUMPY_NAMES)
def test_names_of_numpy(program):
    agree(program, numbers(4, 3))


def test_functions_of_nn_know_only_their_own_names():
    with pytest.raises(TypeError, match="unexpected keyword argument 'axis'"):
        pellucid.nn.functional.softmax(pellucid.ones(2), axis=0)


BESIDE_NUMPY = {
    "ufunc": lambda lib, x: np.sin(x),
    "ufunc of two": lambda lib, x: np.add(x, 1),
    "comparison": lambda lib, x: np.isnan(x),
    "x * array": lambda lib, x: x * np.ones(3),
    "array * x": lambda lib, x: np.ones(3) * x,
    "x - array": lambda lib, x: x - np.ones((4, 1), np.float32),
    "x @ array": lambda lib, x: x @ np.ones((3, 2)),
    "x += array": lambda lib, x: x.__iadd__(np.ones(3)) is NotImplemented,
    "x == array": lambda lib, x: x == np.ones(3),
    "array == x": lambda lib, x: np.ones(3) == x,
    "x == strings": lambda lib, x: x == np.array(["a"]),
    "transpose": lambda lib, x: np.transpose(x),
    "reshape": lambda lib, x: np.reshape(x, (3, 4)),
    "scalar": lambda lib, x: np.exp(x[0, 0]),
}


@pytest.mark.parametrize("program", BESIDE_NUMPY.values(), ids=BESIDE_NUMPY)
def test_beside_numpy(program):
    agree(program, numbers(4, 3, dtype="float32"))


OTHERS = {
    "to(float)": lambda lib, x: x.to(float),
    "to(int)": lambda lib, x: x.to(int),
    "Size of a tensor": lambda lib, x: tuple(lib.Size((lib.tensor(2), 3))),
    "Size of a float": lambda lib, x: lib.Size([1.5]),
    "Size + list": lambda lib, x: x.shape + [1],
    "copy over itself": lambda lib, x: x.copy_(x),
    "copy over a part": lambda lib, x: x[1:].copy_(x[:-1]),
    "assign over a part": lambda lib, x: x.__setitem__(slice(1, None), x[:-1]),
    "zero_ of expanded": lambda lib, x: x[:1].expand(4, 3).zero_(),
    "add_ of expanded": lambda lib, x: x[:1].expand(4, 3).add_(1).sum(),
    "empty device": lambda lib, x: str(lib.device("")),
    "an array for a tensor": lambda lib, x: lib.matmul(x, np.ones((3, 2))),
    "overflowing sizes": lambda lib, x: lib.empty(2**40, 2**40),
}


@pytest.mark.parametrize("program", OTHERS.values(), ids=OTHERS)
def test_other_habits(program):
    agree(program, numbers(4, 3, dtype="float32"))


def test_memory_that_cannot_be_had():
    with pytest.raises(RuntimeError, match=r"you tried to allocate 4503599627370496 bytes"):
        pellucid.empty(2**50)


def test_out_of_too_few_tensors():
    with pytest.raises(TypeError, match="invalid combination of arguments"):
        pellucid.max(pellucid.ones(2, 2), 1, out=pellucid.empty(0))


def test_hooks_after_accumulation_return_nothing():
    x = pellucid.ones(2, requires_grad=True)
    x.register_post_accumulate_grad_hook(lambda p: p.grad)
    with pytest.raises(RuntimeError, match="should return None"):
        x.sum().backward()


def test_groups_of_an_optimizer_stand_apart():
    groups = [{"params": [pellucid.ones(1, requires_grad=True)]} for _ in range(2)]
    assert "\n\nParameter Group 1\n" in repr(pellucid.optim.SGD(groups, lr=0.1))


WRONG = {
    "None in a layer": lambda lib, x: lib.nn.ReLU()(None),
    "an array in a layer": lambda lib, x: lib.nn.Linear(3, 2)(x.numpy()),
    "another dtype": lambda lib, x: lib.nn.Linear(3, 2)(x.double()),
    "a vector of another dtype": lambda lib, x: lib.nn.Linear(3, 2)(x[0].double()),
    "a function of an array": lambda lib, x: lib.exp(x.numpy()),
}


@pytest.mark.parametrize("program", WRONG.values(), ids=WRONG)
def test_wrong_arguments(program):
    agree(program, numbers(4, 3, dtype="float32"))


def test_a_storage_that_was_never_made_leaves_quietly():
    unmade = pellucid.UntypedStorage.__new__(pellucid.UntypedStorage)
    assert unmade.__del__() is None
