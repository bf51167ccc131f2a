"""Arguments of `load` and `save`, refusals, and what the ways out of a refusal give."""

import argparse
import gzip
import io
import os
import pickle
import subprocess
import zipfile

import numpy as np
import pytest

from pellucid import io as pio
from pellucid.io._bridge import as_subclass
from pellucid.tensor.device import device
from pellucid.tensor.dtype import dtype_named
from pellucid.tensor.layout import contiguous
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, from_numpy, make

torch = pytest.importorskip("torch")


class Config:
    """A class that PyTorch's default loading refuses."""

    def __init__(self):
        self.width = 3


class Net(torch.nn.Module):
    def __init__(self):
        super().__init__()
        self.inner = torch.nn.Sequential(torch.nn.Linear(2, 3), torch.nn.BatchNorm1d(3))
        self.register_buffer("scale", torch.ones(1))
        self.register_buffer("scratch", torch.ones(1), persistent=False)


def saved(value, **options):
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    buffer.seek(0)
    return buffer


def own(value, **options):
    buffer = io.BytesIO()
    pio.save(value, buffer, **options)
    buffer.seek(0)
    return buffer


class Tagged(Tensor):
    """A tensor class of some program."""


NAME = f"{Config.__module__}.Config"


@pytest.mark.parametrize("weights_only", [None, True, False])
def test_a_foreign_class_is_refused_with_name_offset_and_ways_out(weights_only):
    file = saved({"c": Config()})
    with pytest.raises(pickle.UnpicklingError, match="was not an allowed global") as caught:
        pio.load(file, weights_only=weights_only)
    message = str(caught.value)
    assert NAME in message
    data = zipfile.ZipFile(file).read("archive/data.pkl")
    offset = data.index(b"c" + Config.__module__.encode())
    assert f"at byte {offset} of data.pkl" in message
    assert "inspect_pickle" in message
    assert "skip_refused=True" in message
    assert message.startswith("Weights only load failed. ") is (weights_only is not False)
    assert isinstance(caught.value, RuntimeError)


def test_skip_refused_keeps_tensors_and_leaves_placeholders():
    loaded = pio.load(saved({"c": Config(), "x": torch.arange(3)}), skip_refused=True)
    assert loaded["x"]._array.tolist() == [0, 1, 2]
    assert loaded["c"].name == NAME
    assert loaded["c"].state == {"width": 3}
    assert repr(loaded["c"]).startswith(f"Refused('{NAME}(...)', offset=")


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
@pytest.mark.filterwarnings("ignore:Couldn't retrieve source code")
def test_whole_modules_are_refused_and_their_state_dict_can_be_read(new_format):
    model = Net()
    file = saved(model, _use_new_zipfile_serialization=new_format)
    with pytest.raises(
        pio.UnpicklingError, match=r"In all, \d names are refused: .*\n.*holds a whole nn\.Module"
    ):
        pio.load(file, weights_only=False)
    file.seek(0)
    assert f"{Net.__module__}.Net" in pio.get_unsafe_globals_in_checkpoint(file)
    file.seek(0)
    tensors = pio.load(file, skip_refused=True).state_dict()
    reference = model.state_dict()
    assert list(tensors) == list(reference)
    for name, value in reference.items():
        assert tensors[name]._array.tolist() == value.tolist()


def test_state_dict_of_something_else():
    refused = pio.load(saved(Config()), skip_refused=True)
    with pytest.raises(TypeError, match=r"is no nn\.Module"):
        refused.state_dict()


def test_the_user_can_vouch_for_a_class():
    file = saved({"c": Config()})
    with pio.safe_globals([Config]):
        assert pio.load(file)["c"].width == 3
        assert pio.get_safe_globals() == [Config]
    file.seek(0)
    with pytest.raises(pio.UnpicklingError, match="Unsupported global"):
        pio.load(file)
    file.seek(0)
    pio.add_safe_globals([(argparse.ArgumentParser, NAME)])
    try:
        assert isinstance(pio.load(file)["c"], argparse.ArgumentParser)
    finally:
        pio.clear_safe_globals()
    with (
        pytest.raises(ValueError, match="Expected tuple of length 2"),
        pio.safe_globals([(Config,)]),
    ):
        pio.load(saved(1))
    assert pio.get_safe_globals() == []


class Explosive:
    """Its pickle asks for a call the way real attacks do."""

    def __init__(self, function, *args):
        self.call = function, args

    def __reduce__(self):
        return self.call


@pytest.mark.parametrize("skip", [False, True])
def test_nothing_is_called(tmp_path, skip):
    mark = tmp_path / "mark"
    for attack in (
        Explosive(os.system, f"touch {mark}"),
        Explosive(eval, f"open({str(mark)!r}, 'w')"),
        Explosive(subprocess.call, ["touch", str(mark)]),
        Explosive(open, str(mark), "w"),
        Explosive(getattr, 1, "real"),
    ):
        file = io.BytesIO(pickle.dumps(attack, 4))
        report = pio.inspect_pickle(file)
        assert len(report.refused) == 1
        file = saved({"x": torch.ones(1), "evil": attack})
        if skip:
            loaded = pio.load(file, skip_refused=True, weights_only=False)
            assert isinstance(loaded["evil"], pio.Refused)
            assert loaded["x"]._array.tolist() == [1.0]
        else:
            with pytest.raises(pio.UnpicklingError, match=r"GLOBAL .*at byte \d+ of data\.pkl"):
                pio.load(file, weights_only=False)
        assert not mark.exists()


def test_modules_that_no_user_can_allow():
    file = saved(Explosive(os.system, "true"))
    with (
        pio.safe_globals([os.system]),
        pytest.raises(pio.UnpicklingError, match="whose module is blocked"),
    ):
        pio.load(file)


def test_namespaces_are_data():
    loaded = pio.load(saved({"args": argparse.Namespace(lr=0.1, name="x")}))
    assert loaded["args"] == argparse.Namespace(lr=0.1, name="x")


def test_quantized_sparse_and_unknown_dtypes_are_refused_by_name():
    sparse = torch.eye(2).to_sparse()
    small = torch.zeros(2).to(torch.float8_e4m3fn)
    for value, name in ((sparse, "_rebuild_sparse_tensor"), (small, "float8_e4m3fn")):
        with pytest.raises(pio.RefusedError, match=name):
            pio.load(saved([value, torch.ones(1)]))
        loaded = pio.load(saved([value, torch.ones(1)]), skip_refused=True)
        assert isinstance(loaded[0], pio.Refused)
        assert loaded[1]._array.tolist() == [1.0]


def relocated(location):
    """A file whose storages claim to have been saved on `location` (as long as 'cpu')."""
    buffer, changed = saved(torch.arange(3)), io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(changed, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            if name.endswith("data.pkl"):
                old = b"X\x03\x00\x00\x00cpu"
                new = b"X" + len(location).to_bytes(4, "little") + location.encode()
                assert data.count(old) == 1
                data = data.replace(old, new)
            target.writestr(name, data)
    changed.seek(0)
    return changed


def test_map_location():
    seen = []

    def note(storage, location):
        seen.append((storage.nbytes(), location))

    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        pio.load(relocated("cuda:0"))
    for where in (
        "cpu",
        device("cpu"),
        {"cuda:0": "cpu"},
        lambda storage, location: storage,
        b"cpu",
    ):
        assert pio.load(relocated("cuda:0"), map_location=where)._array.tolist() == [0, 1, 2]
    pio.load(saved([torch.arange(3), torch.ones(1)]), map_location=note)
    assert seen == [(24, "cpu"), (4, "cpu")]
    with pytest.raises(RuntimeError, match="Attempting to deserialize object on a CUDA device"):
        pio.load(saved(torch.ones(1)), map_location="cuda")
    with pytest.raises(RuntimeError, match="don't know how to restore data location"):
        pio.load(saved(torch.ones(1)), map_location="moon")
    with pytest.raises(TypeError, match="map_location must be"):
        pio.load(saved(torch.ones(1)), map_location=3)


def test_map_location_must_return_a_storage():
    with pytest.raises(TypeError, match="map_location must return None or a storage"):
        pio.load(saved(torch.ones(1)), map_location=lambda storage, location: 3)


def test_tensor_classes_of_the_program():
    tensor = make(Storage(8), contiguous((2,)), dtype_named("float32"))
    tensor._array[...] = 4
    tagged = as_subclass(tensor, Tagged)
    tagged.tag = "x"
    file = own([tagged])
    with pytest.raises(pio.UnpicklingError, match="Tagged was not an allowed global"):
        pio.load(file)
    file.seek(0)
    plain = pio.load(file, skip_refused=True)[0]
    assert type(plain) is Tensor
    assert plain._array.tolist() == [4, 4]
    file.seek(0)
    with pio.safe_globals([Tagged]):
        loaded = pio.load(file)[0]
    assert type(loaded) is Tagged
    assert loaded.tag == "x"
    assert loaded._array.tolist() == [4, 4]


def test_files_are_left_where_they_are_wanted(tmp_path):
    path = tmp_path / "two.pt"
    with path.open("wb") as file:
        for part in (1, 2):
            pio.save(torch_free(part), file, _use_new_zipfile_serialization=False)
    with path.open("rb") as file:
        assert [pio.load(file)._array.tolist() for _ in range(2)] == [[1], [2]]
    buffer = io.BytesIO(b"before" + own(torch_free(3)).getvalue())
    buffer.seek(6)
    assert pio.load(buffer)._array.tolist() == [3]
    packed = io.BytesIO(gzip.compress(own(torch_free(4)).getvalue()))
    with gzip.open(packed) as file:
        assert pio.load(file)._array.tolist() == [4]
    assert isinstance(pio.load(str(saved_at(tmp_path))), Tensor)


def torch_free(number):
    return from_numpy(np.array([number]))


def saved_at(folder):
    pio.save(torch_free(5), folder / "x.pt")
    return folder / "x.pt"


def test_wrong_arguments(tmp_path):
    with pytest.raises(AttributeError, match="has no attribute 'seek'"):
        pio.load(5)
    with pytest.raises(AttributeError, match="expected 'f' to be string, path, or a file-like"):
        pio.save(1, 5)
    with pytest.raises(ValueError, match="f must be a file path in order to use the mmap"):
        pio.load(own(1), mmap=True)
    with pytest.raises(RuntimeError, match="mmap can only be used with files saved with"):
        pio.load(own(1, _use_new_zipfile_serialization=False), mmap=True)
    with pytest.raises(FileNotFoundError, match="nowhere"):
        pio.load(tmp_path / "nowhere.pt")
    with pytest.raises(RuntimeError, match=r"Parent directory .* does not exist"):
        pio.save(1, tmp_path / "no" / "x.pt")
    with pytest.raises(RuntimeError, match="when explicit pickle_module is specified"):
        pio.load(own(1), pickle_module=pickle, weights_only=True)
    with pytest.raises(TypeError, match="unexpected keyword argument 'skip_refuse'"):
        pio.load(own(1), skip_refuse=True)
    with pytest.raises(RuntimeError, match="pickle_module 'zipfile' is not used"):
        pio.save(1, io.BytesIO(), pickle_module=zipfile)


def test_saving_is_all_or_nothing(tmp_path):
    path = tmp_path / "x.pt"
    pio.save([1], path)
    path.chmod(0o640)
    with pytest.raises((AttributeError, pickle.PicklingError), match=r"[Cc]an't pickle"):
        pio.save([torch_free(1), lambda: 0], path)
    assert pio.load(path) == [1]
    pio.save([2], path)
    assert pio.load(path) == [2]
    assert path.stat().st_mode & 0o777 == 0o640
    assert [entry.name for entry in tmp_path.iterdir()] == ["x.pt"]
    link = tmp_path / "link.pt"
    link.symlink_to(path)
    pio.save([3], link)
    assert link.is_symlink()
    assert pio.load(path) == [3]


def test_python_2_strings():
    """SHORT_BINSTRING, as a Python 2 wrote it."""
    program = b"\x80\x02U\x02\xe9a."
    assert pio.inspect_pickle(io.BytesIO(program)).value == "éa"
    archive = io.BytesIO()
    with zipfile.ZipFile(archive, "w") as z:
        z.writestr("a/data.pkl", program)
    for encoding, value in (("latin1", "éa"), ("bytes", b"\xe9a")):
        archive.seek(0)
        assert pio.load(archive, encoding=encoding) == value
    archive.seek(0)
    with pytest.raises(pio.UnpicklingError, match="pass encoding='latin1'"):
        pio.load(archive)


def test_safetensors_files_by_their_name(tmp_path):
    pio.safetensors.save_file({"x": torch_free(7)}, tmp_path / "m.safetensors")
    assert pio.load(tmp_path / "m.safetensors")["x"]._array.tolist() == [7]
    with pytest.raises(RuntimeError, match="with dict map_location is not supported"):
        pio.load(tmp_path / "m.safetensors", map_location={})


def test_inspection_tells_structure_names_and_problems(tmp_path):
    path = tmp_path / "x.pt"
    base = torch.arange(12.0).view(3, 4)
    torch.save({"a": base.t(), "c": Config(), "p": torch.nn.Parameter(torch.ones(2))}, path)
    report = pio.inspect_pickle(path)
    text = str(report)
    assert "'a': tensor float32[4, 3] strides (1, 4) offset 0 in storage 0 of 12 x float32" in text
    assert [name for _, name in report.refused] == [NAME]
    assert list(report.tensors()) == ["a", "p"]
    assert "parameter float32[2]" in text
    assert report.problem == ""
    assert pio.inspect_pickle(io.BytesIO(b"<html>")).problem.startswith("This is no file of")
    data = path.read_bytes()
    assert "central directory" in pio.inspect_pickle(io.BytesIO(data[:-40])).problem
    legacy = saved({"a": base}, _use_new_zipfile_serialization=False)
    assert "before PyTorch 1.6" in str(pio.inspect_pickle(legacy))
