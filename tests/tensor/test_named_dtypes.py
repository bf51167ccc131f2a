"""Dtypes that are here in name: what programs ask them, and the refusal to make tensors of them."""

import pickle

import pytest
import torch

import pellucid
from pellucid.tensor.dtype import NAMED_ONLY

NAMES = sorted(NAMED_ONLY)


@pytest.mark.parametrize("name", NAMES)
def test_they_answer_as_pytorchs(name):
    ours, theirs = getattr(pellucid, name), getattr(torch, name)
    for attribute in ("itemsize", "is_floating_point", "is_complex", "is_signed"):
        assert getattr(ours, attribute) == getattr(theirs, attribute)
    assert repr(ours) == repr(theirs)
    assert repr(pellucid.finfo(ours)) == repr(torch.finfo(theirs))
    assert isinstance(ours, pellucid.dtype)
    assert pickle.loads(pickle.dumps(ours)) is ours
    assert pellucid.zeros(1).dtype not in (ours,)


@pytest.mark.parametrize("name", NAMES)
def test_both_refuse_to_promote_and_to_be_the_default(name):
    for engine in (torch, pellucid):
        kind = getattr(engine, name)
        assert engine.promote_types(kind, kind) is kind
        with pytest.raises(RuntimeError, match="Promotion for Float8 Types is not supported"):
            engine.promote_types(kind, engine.float32)
        with pytest.raises(TypeError, match=f"couldn't find storage object F{name[1:]}Storage"):
            engine.set_default_dtype(kind)
        assert engine.get_default_dtype() is engine.float32


@pytest.mark.parametrize("name", NAMES)
@pytest.mark.parametrize(
    "make",
    [
        lambda kind: pellucid.zeros(2, dtype=kind),
        lambda kind: pellucid.empty(0, dtype=kind),
        lambda kind: pellucid.tensor([1.0], dtype=kind),
        lambda kind: pellucid.ones(2).to(kind),
        lambda kind: pellucid.zeros(2, dtype=pellucid.uint8).view(kind),
        lambda kind: pellucid.ones(2).sum(dtype=kind),
        lambda kind: pellucid.nn.Linear(2, 2).to(kind),
    ],
)
def test_no_tensor_has_them(name, make):
    with pytest.raises(NotImplementedError, match=rf"tensors of torch\.{name} are not available"):
        make(getattr(pellucid, name))
