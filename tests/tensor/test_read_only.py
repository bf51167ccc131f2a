"""What a tensor tells of itself cannot be assigned; what PyTorch lets a program assign can."""

import re

import pytest
import torch

import pellucid

NAMES = """
    dtype shape device layout ndim is_leaf grad_fn T mT H mH itemsize nbytes is_cuda is_cpu
    is_sparse is_quantized is_mkldnn is_mps is_meta is_nested is_vulkan is_ipu is_xpu output_nr
    retains_grad _version
"""


def refusal(library, name, change):
    with pytest.raises(AttributeError, match="not writable") as refused:
        change(library.ones(2, 3), name)
    return str(refused.value).splitlines()[0]


@pytest.mark.parametrize("name", NAMES.split())
@pytest.mark.parametrize("change", [lambda x, name: setattr(x, name, None), delattr])
def test_metadata_is_not_writable(name, change):
    assert refusal(pellucid, name, change) == refusal(torch, name, change)


def test_a_refused_dtype_changes_nothing_and_says_what_does():
    x = pellucid.ones(2)
    with pytest.raises(AttributeError, match=re.escape("x.to(dtype) gives")):
        x.dtype = pellucid.float64
    assert x.dtype is pellucid.float32 and (x + 1).tolist() == [2.0, 2.0]


def test_subclasses_and_parameters_refuse_too():
    class Mine(pellucid.Tensor):
        pass

    for tensor in (pellucid.ones(2).as_subclass(Mine), pellucid.nn.Parameter(pellucid.ones(2))):
        with pytest.raises(AttributeError, match="attribute 'shape' of"):
            tensor.shape = (1, 2)


def test_what_may_be_assigned():
    for library in (torch, pellucid):
        x = library.ones(2, 3)
        x.data = library.zeros(3)
        x.requires_grad = True
        x.grad = library.ones(3)
        x.names = None
        x.note = "mine"
        assert (tuple(x.shape), x.requires_grad, x.grad.tolist()) == ((3,), True, [1.0] * 3)
        assert x.note == "mine"


def test_names_of_dimensions_are_refused_with_the_reason():
    with pytest.raises(NotImplementedError, match="dimensions have no names"):
        pellucid.ones(2).names = ("batch",)
