"""The table of PyTorch's names agrees with PyTorch."""

import importlib
import inspect

import pytest

from pellucid.compat import names
from pellucid.compat.version import TorchVersion

torch = pytest.importorskip("torch")


@pytest.mark.parametrize(
    "module",
    ["torch", "torch.nn", "torch.nn.functional", "torch.optim", "torch.linalg", "torch.utils.data",
     "torch.cuda", "torch.autograd", "torch.special", "torch.fft", "torch.nn.init"],
)  # fmt: skip
def test_every_public_name_of_a_module_is_known_with_its_kind(module):
    real = importlib.import_module(module)
    exported = getattr(real, "__all__", None) or [n for n in dir(real) if not n.startswith("_")]
    known = names.members(module)
    for name in exported:
        value = getattr(real, name)
        home = getattr(value, "__module__", None) or getattr(value, "__name__", "torch")
        if not str(home).startswith("torch"):
            continue  # something the module itself imported: typing.Any, os, ...
        assert name in known, name
        if inspect.isclass(value):
            assert known[name] == "class"
        elif inspect.ismodule(value):
            assert known[name] == "module"


def test_what_pytorch_does_not_have_is_not_known():
    assert names.kind_of("torch.tensor") == "function"
    assert names.kind_of("torch.nonsense") is None
    assert names.kind_of("torch.nn.functional") == "module"
    assert names.kind_of("torch.pi") == "value"
    assert not names.is_module("torch.tensor") and names.members("torch.nonsense") == {}


def test_members_of_classes_with_what_they_inherit():
    tensor = names.class_members("torch.Tensor")
    assert tensor >= {name for name in dir(torch.Tensor) if not name.startswith("_")}
    linear = names.class_members("torch.nn.Linear")
    assert {"forward", "state_dict", "reset_parameters"} <= linear
    assert names.class_members("torch.nn.Nonsense") == frozenset()


@pytest.mark.parametrize("other", ["2.6", "2.9.1", "2.13", "2.13.0", (2, 12, 1), "2.13.0rc1"])
def test_versions_compare_as_versions(other):
    ours = TorchVersion("2.13.0+pellucid")
    theirs = torch.torch_version.TorchVersion("2.13.0+pellucid")
    for name in ("__lt__", "__le__", "__gt__", "__ge__"):
        assert getattr(ours, name)(other) == getattr(theirs, name)(other), name
    assert (ours == other) == (theirs == other)
    assert ours == "2.13.0+pellucid" and hash(ours) == hash(str(ours))


def test_a_version_that_is_none_is_refused():
    with pytest.raises(ValueError, match="'yesterday' is not a version"):
        _ = TorchVersion("2.13.0") < "yesterday"
    assert TorchVersion("2.13.0") != "yesterday"
