"""Tensors as Python objects: metadata, conversions, copies, pickles, shared memory, questions."""

from __future__ import annotations

import copy
import multiprocessing
import pickle

import numpy as np
import pytest
import torch

import pellucid
from tests.expressions import check, lines

OBJECTS = """
    torch.ones(2, 3).shape
    torch.ones(2, 3).size(1)
    torch.ones(2, 3).size(2)
    torch.ones(2, 3).stride()
    torch.ones(2, 3).numel()
    torch.ones(2, 3).dim_order()
    torch.ones(2, 3).t().dim_order()
    torch.ones(2).element_size()
    torch.ones(2).nbytes
    torch.ones(2).device
    torch.ones(2).layout
    torch.ones(2).is_leaf
    torch.ones(2).is_shared()
    torch.ones(2).is_pinned()
    torch.ones(2).get_device()
    torch.ones(2).tolist()
    torch.ones(()).tolist()
    torch.ones(2, 0).tolist()
    torch.ones(2, dtype=torch.bfloat16).tolist()
    torch.ones(1).item()
    torch.ones(2).item()
    float(torch.tensor(3))
    float(torch.ones(2))
    int(torch.tensor(1.7))
    complex(torch.ones(()))
    bool(torch.ones(2))
    bool(torch.ones(0))
    hex(torch.tensor(10))
    [1, 2, 3][torch.tensor(1)]
    torch.tensor(1.5).__index__()
    len(torch.ones(2))
    len(torch.ones(()))
    list(torch.arange(3))
    iter(torch.ones(()))
    1 in torch.ones(2)
    torch.ones(1) in torch.ones(2)
    "a" in torch.ones(2)
    reversed(torch.arange(3))
    f"{torch.tensor(1.2345):.2f}"
    f"{torch.ones(2):.2f}"
    np.asarray(torch.ones(2)).dtype
    np.asarray(torch.ones(2, requires_grad=True))
    torch.ones(2, requires_grad=True).numpy()
    torch.ones(2, requires_grad=True).numpy(force=True)
    torch.ones(2, dtype=torch.bfloat16).numpy()
    torch.ones(2).apply_(lambda x: x + 1)
    torch.arange(6).reshape(2, 3).t().apply_(lambda x: x * 2)
    torch.ones(2).map_(torch.arange(2.0), lambda x, y: x + y)
    torch.ones(2, requires_grad=True).apply_(lambda x: x)
    torch.ones(2).to_dense()
    torch.ones(2, 3).dense_dim()
    torch.ones(2).pin_memory()
    torch.ones(2).cuda()
    torch.ones(2).to("cuda")
    torch.tensor([1.0, 2]).untyped_storage().tolist()
    torch.tensor([1.0, 2]).untyped_storage()
    torch.is_tensor(3)
    torch.is_storage(torch.ones(2).untyped_storage())
    torch.is_floating_point(torch.ones(2))
    torch.is_floating_point(3)
    torch.is_nonzero(torch.ones(2))
    torch.numel(torch.ones(2, 3))
    torch.numel(3)
    torch.is_same_size(torch.ones(2), torch.ones(3))
    torch.typename(torch.ones(2))
    torch.typename(torch.nn.Linear(1, 1))
    torch.typename(torch.Tensor)
    torch.typename(3)
    torch.Size([2, 3]) + (1,)
    (1,) + torch.Size([2, 3])
    torch.Size([2, 3])[:1]
    torch.Size([2, 3]).numel()
    torch.device("cuda:1")
    torch.device("cuda", 1)
    torch.device("cpu") == torch.device("cpu", 0)
    torch.device(0)
    torch.device("foo")
    torch.device("cuda:a")
    torch.get_default_device()
    torch.are_deterministic_algorithms_enabled()
    torch.get_deterministic_debug_mode()
    torch.get_float32_matmul_precision()
    torch.set_float32_matmul_precision("foo")
    torch.set_num_threads(0)
    torch.set_num_threads(1.5)
    torch.set_deterministic_debug_mode("foo")
"""


@pytest.mark.parametrize("expression", lines(OBJECTS))
def test_tensors_are_objects_as_pytorchs(expression):
    check(expression)


# -- copies


def both(program):
    """The outcome of a program in both libraries."""
    return program(torch), program(pellucid)


def test_deepcopy_keeps_what_is_shared():
    def program(library):
        x = library.ones(3, 2, requires_grad=True)
        x.note = ["mine"]
        x.grad = library.ones(3, 2)
        view = x.detach()[1]
        new_x, new_view = copy.deepcopy([x, view])
        with library.no_grad():
            new_x[1, 0] = 5
        return (
            new_view.tolist(), view.tolist(), new_x.requires_grad, new_x.is_leaf, new_x.note,
            new_x.note is x.note, new_x.grad.tolist(), new_x.grad is x.grad,
            new_view.storage_offset(), new_view.untyped_storage().nbytes(),
        )  # fmt: skip

    theirs, ours = both(program)
    assert ours == theirs


def test_deepcopy_of_a_computed_tensor_is_refused():
    x = pellucid.ones(2, requires_grad=True) * 2
    with pytest.raises(RuntimeError, match="Only Tensors created explicitly by the user"):
        copy.deepcopy(x)


def described(engine):
    """A class of tensors that declares attributes, one of them with a default."""

    class Described(engine.Tensor):
        unit: str
        scale = 1

    return Described


@pytest.mark.parametrize("copied", [copy.copy, copy.deepcopy], ids=["copy", "deepcopy"])
def test_copies_keep_what_a_class_declares(copied):
    # PyTorch refuses deepcopy of a class without a new_empty of its own.
    for engine in (pellucid, torch) if copied is copy.copy else (pellucid,):
        value = engine.ones(2).as_subclass(described(engine))
        value.unit, value.scale, value.tag = "m", 3, [1]
        again = copied(value)
        assert type(again) is type(value)
        assert (again.unit, again.scale, again.tag) == ("m", 3, [1])
        assert again.tolist() == [1.0, 1.0]
        again[0] = 5.0
        assert (value[0].item() == 5.0) == (copied is copy.copy)


@pytest.mark.parametrize(
    "copied", [copy.copy, lambda value: pickle.loads(pickle.dumps(value))], ids=["copy", "pickle"]
)
def test_copies_of_a_parameter_keep_its_attributes(copied):
    for engine in (pellucid, torch):
        weight = engine.nn.Parameter(engine.ones(2), requires_grad=False)
        weight.tag = ["norm"]
        again = copied(weight)
        assert type(again) is engine.nn.Parameter
        assert (again.tag, again.requires_grad) == (["norm"], False)
        assert not hasattr(copied(engine.nn.Parameter(engine.ones(2))), "tag")


def test_deepcopy_of_a_class_keeps_the_class():
    class Named(pellucid.Tensor):
        pass

    assert type(copy.deepcopy(Named([1.0]))) is Named
    assert type(copy.deepcopy(pellucid.nn.Parameter(pellucid.ones(1)))) is pellucid.nn.Parameter


@pytest.mark.parametrize("protocol", range(2, pickle.HIGHEST_PROTOCOL + 1))
def test_pickles_keep_layout_and_sharing(protocol):
    x = pellucid.arange(6.0).reshape(2, 3).t()
    x.note = 3
    y = x[1]
    new_x, new_y = pickle.loads(pickle.dumps((x, y), protocol))
    assert new_x.tolist() == x.tolist()
    assert (new_x.stride(), new_x.note, new_x.requires_grad) == (x.stride(), 3, False)
    new_x[1, 0] = 100
    assert new_y[0] == 100
    assert y[0] != 100


def test_copy_shares_memory():
    x = pellucid.ones(2)
    copy.copy(x)[0] = 3
    assert x.tolist() == [3.0, 1.0]


def _add_one(tensor):
    tensor.add_(1)


def test_shared_memory_is_written_by_a_child():
    x = pellucid.zeros(3).share_memory_()
    assert x.is_shared()
    process = multiprocessing.get_context("fork").Process(target=_add_one, args=(x,))
    process.start()
    process.join()
    assert x.tolist() == [1.0, 1.0, 1.0]


# -- storages


def test_typed_storages():
    x = pellucid.arange(4.0)[1:]
    with pytest.warns(UserWarning, match="TypedStorage is deprecated"):
        storage = x.storage()
    assert (len(storage), storage.dtype, storage[1]) == (4, pellucid.float32, 1.0)
    assert storage.data_ptr() == x.data_ptr() - 4
    storage[1] = 9
    assert x[0] == 9
    assert isinstance(storage, pellucid.FloatStorage)
    assert not isinstance(storage, pellucid.LongStorage)
    assert pellucid.is_storage(storage)
    assert storage.clone().tolist() == [0.0, 9.0, 2.0, 3.0]
    with pytest.warns(UserWarning, match="TypedStorage is deprecated"):
        assert pellucid.IntStorage([1, 2]).tolist() == [1, 2]


def test_untyped_storages():
    x = pellucid.zeros(2, dtype=pellucid.uint8)
    storage = x.untyped_storage()
    version = x._version
    storage.fill_(7)
    assert x.tolist() == [7, 7]
    assert x._version > version
    assert storage.clone().copy_(pellucid.ones(2, dtype=pellucid.uint8).untyped_storage())[0] == 1


# -- other libraries


def test_numpy_shares_the_memory():
    x = pellucid.arange(6).reshape(2, 3).t()
    x.numpy()[0, 1] = 100
    assert x[0, 1] == 100
    assert np.from_dlpack(x).strides == x.numpy().strides
    assert (x.__dlpack_device__()) == (1, 0)


def test_threads_can_be_set():
    before = pellucid.get_num_threads()
    try:
        pellucid.set_num_threads(2)
        assert pellucid.get_num_threads() == 2
    finally:
        pellucid.set_num_threads(before)
    assert pellucid.get_num_threads() == before


def test_deterministic_settings_are_remembered():
    pellucid.use_deterministic_algorithms(True, warn_only=True)
    try:
        assert pellucid.get_deterministic_debug_mode() == 1
        assert pellucid.is_deterministic_algorithms_warn_only_enabled()
    finally:
        pellucid.use_deterministic_algorithms(False)
