"""Files go both ways: what PyTorch writes is read here, what is written here PyTorch reads."""

import collections
import io
import pickle
import sys
import zipfile

import numpy as np
import pytest

import pellucid
from pellucid import io as pio
from pellucid.tensor.device import device
from pellucid.tensor.dtype import all_dtypes, dtype_named
from pellucid.tensor.layout import Layout
from pellucid.tensor.size import Size
from pellucid.tensor.storage import Storage
from pellucid.tensor.tensor import Tensor, from_numpy, make

torch = pytest.importorskip("torch")

DTYPES = [element.name for element in all_dtypes()]


def from_torch(value, **options):
    """Save with PyTorch, load with Pellucid."""
    buffer = io.BytesIO()
    torch.save(value, buffer, **options)
    buffer.seek(0)
    return pio.load(buffer)


def to_torch(value, **options):
    """Save with Pellucid, load with PyTorch as it does by default (weights_only=True)."""
    buffer = io.BytesIO()
    pio.save(value, buffer, **options)
    buffer.seek(0)
    return torch.load(buffer, weights_only=True)


def view(tensor, shape, strides, offset=0):
    return make(tensor._storage, Layout(shape, strides, offset), tensor.dtype)


def assert_same(own, reference):
    """Values (bit for bit), dtype, shape, strides and offset agree."""
    assert isinstance(own, Tensor)
    assert str(own.dtype) == str(reference.dtype)
    assert tuple(own.shape) == tuple(reference.shape)
    assert tuple(own.stride()) == tuple(reference.stride())
    assert own.storage_offset() == reference.storage_offset()
    assert own._requires_grad == reference.requires_grad
    plain = reference.detach().clone(memory_format=torch.contiguous_format)
    width = {1: torch.uint8, 2: torch.int16, 4: torch.int32, 8: torch.int64, 16: torch.int64}
    if plain.ndim:
        plain = plain.view(width[plain.element_size()])
    raw = np.ascontiguousarray(own._array).tobytes()
    assert raw == plain.contiguous().numpy().tobytes() if plain.ndim else len(raw) > 0


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_both_ways(name):
    reference = (torch.arange(6) % 2 if name == "bool" else torch.arange(6)).to(
        getattr(torch, name)
    )
    own = from_torch({"x": reference})["x"]
    assert_same(own, reference)
    back = to_torch({"x": own})["x"]
    assert back.dtype == reference.dtype
    assert torch.equal(back, reference)


@pytest.mark.parametrize("new_format", [True, False], ids=["zip", "legacy"])
def test_views_share_their_storage_and_keep_it_whole(new_format):
    base = torch.arange(12.0)
    options = {"_use_new_zipfile_serialization": new_format}
    loaded = from_torch([base, base[2:7:2], base.view(3, 4).t(), base[3]], **options)
    for own, reference in zip(
        loaded, [base, base[2:7:2], base.view(3, 4).t(), base[3]], strict=True
    ):
        assert_same(own, reference)
        assert own._storage is loaded[0]._storage
    loaded[1]._array[0] = 77
    assert loaded[0]._array[2] == 77
    back = to_torch(loaded, **options)
    assert back[1].stride() == (2,)
    assert back[1].untyped_storage().nbytes() == 48
    back[1][0] = 5
    assert back[0][2] == 5
    assert back[2][2, 0] == 5


def test_compact_writes_what_the_tensors_show():
    base = from_numpy(np.arange(1000, dtype=np.float32))
    parts = [view(base, (3,), (2,), 10), view(base, (2, 2), (1, 4), 12)]
    back = to_torch(parts, compact=True)
    assert back[0].tolist() == [10, 12, 14]
    assert back[1].tolist() == [[12, 16], [13, 17]]
    assert back[0].untyped_storage().nbytes() == 8 * 4
    assert back[0].data_ptr() + 8 == back[1].data_ptr()
    assert to_torch(parts)[0].untyped_storage().nbytes() == 4000
    empty = view(base, (0,), (1,), 7)
    assert to_torch([empty], compact=True)[0].shape == (0,)


def test_scalars_empty_tensors_expanded_tensors():
    for reference in (torch.tensor(3.5), torch.zeros(0, 3), torch.zeros(1).expand(4, 5)):
        assert_same(from_torch(reference), reference)
        back = to_torch(from_torch(reference))
        assert back.stride() == reference.stride()
        assert torch.equal(back, reference)


def test_plain_data_both_ways():
    nested = collections.OrderedDict(
        ints=[0, -1, 255, 65536, 2**40, -(2**70)],
        floats=(1.5, float("inf"), -0.0),
        text="é\N{SNOWMAN}" * 90,
        raw=b"\x00\xff" * 200,
        flags=[None, True, False],
        sets={1, "a", (2, 3)},
        number=1 + 2j,
        array=bytearray(b"abc"),
        counts=collections.Counter("aab"),
    )
    nested["again"] = nested["ints"]
    loaded = from_torch(nested)
    assert loaded == nested
    assert type(loaded) is collections.OrderedDict
    assert loaded["again"] is loaded["ints"]
    assert to_torch(nested) == nested


def test_sizes_devices_dtypes_both_ways():
    loaded = from_torch([torch.Size([2, 3]), torch.device("cuda:1"), torch.bfloat16, torch.int64])
    assert loaded == [
        Size((2, 3)),
        device("cuda", 1),
        dtype_named("bfloat16"),
        dtype_named("int64"),
    ]
    back = to_torch(loaded)
    assert back == [torch.Size([2, 3]), torch.device("cuda:1"), torch.bfloat16, torch.int64]
    assert type(back[0]) is torch.Size


def test_state_dict_keeps_its_metadata():
    reference = torch.nn.Sequential(torch.nn.Linear(3, 2), torch.nn.BatchNorm1d(2)).state_dict()
    loaded = from_torch(reference)
    assert list(loaded) == list(reference)
    assert loaded._metadata == reference._metadata
    for name, value in reference.items():
        assert_same(loaded[name], value)
    back = to_torch(loaded)
    assert back._metadata == reference._metadata


def test_optimizer_state_dict():
    weight = torch.nn.Parameter(torch.ones(3))
    optimizer = torch.optim.Adam([weight])
    weight.grad = torch.ones(3)
    optimizer.step()
    loaded = from_torch(optimizer.state_dict())
    assert loaded["param_groups"] == optimizer.state_dict()["param_groups"]
    assert_same(loaded["state"][0]["exp_avg"], optimizer.state_dict()["state"][0]["exp_avg"])
    torch.optim.Adam([weight]).load_state_dict(to_torch(loaded))


def test_parameters_both_ways():
    reference = torch.nn.Parameter(torch.arange(6.0).view(2, 3).t(), requires_grad=False)
    marked = torch.nn.Parameter(torch.ones(2))
    marked.role = "bias"
    loaded = from_torch([reference, marked])
    assert type(loaded[0]).__name__ == "Parameter"
    assert_same(loaded[0], reference)
    assert loaded[1].role == "bias"
    back = to_torch(loaded)
    assert type(back[0]) is torch.nn.Parameter
    assert not back[0].requires_grad
    assert back[1].requires_grad
    assert back[1].role == "bias"


def test_python_attributes_of_tensors():
    reference = torch.ones(2, requires_grad=True)
    reference.tag = ["x"]
    loaded = from_torch(reference)
    assert loaded.tag == ["x"]
    assert to_torch(loaded).tag == ["x"]


def test_lazy_conjugate_and_negative_are_computed():
    z = torch.tensor([1 + 2j, 3 - 4j])
    conjugate, negative = from_torch(z.conj()), from_torch(z.conj().imag)
    assert conjugate._array.tolist() == [1 - 2j, 3 + 4j]
    assert negative._array.tolist() == [-2.0, 4.0]


def test_results_of_operators_become_leaves():
    loaded = from_torch(torch.ones(2, requires_grad=True) * 2)
    assert loaded._requires_grad
    assert loaded._grad_fn is None


def test_storages_themselves():
    own = from_torch(torch.arange(3, dtype=torch.int16).untyped_storage())
    assert isinstance(own, Storage)
    assert own.tolist() == [0, 0, 1, 0, 2, 0]
    assert to_torch([own])[0]._untyped_storage.tolist() == own.tolist()


@pytest.mark.parametrize("protocol", [2, 3, 4, 5])
def test_every_pickle_protocol(protocol):
    value = {"x": torch.arange(4), "n": 2**80, "b": b"abc", "s": frozenset([1])}
    loaded = from_torch(value, pickle_protocol=protocol)
    assert_same(loaded.pop("x"), value["x"])
    assert loaded == {"n": 2**80, "b": b"abc", "s": frozenset([1])}
    buffer = io.BytesIO()
    pio.save({"x": from_numpy(np.arange(4)), "n": loaded}, buffer, pickle_protocol=protocol)
    buffer.seek(0)
    assert torch.equal(torch.load(buffer, weights_only=False)["x"], torch.arange(4))


def test_archives_are_written_as_torch_writes_them(tmp_path):
    """Every byte agrees, except the serialization id, a hash that is the writer's own."""
    values = np.arange(12, dtype=np.float32)
    base, whole = torch.from_numpy(values.copy()), from_numpy(values.copy())
    theirs = {"a": base, "v": base[2:7], "n": [1, 2.5, "x"], "h": torch.zeros(0, dtype=torch.half)}
    empty = make(Storage(0), Layout((0,), (1,), 0), dtype_named("float16"))
    ours = {"a": whole, "v": view(whole, (5,), (1,), 2), "n": [1, 2.5, "x"], "h": empty}
    torch.save(theirs, tmp_path / "a.b.pt")
    reference = (tmp_path / "a.b.pt").read_bytes()
    pio.save(ours, tmp_path / "a.b.pt")
    written = (tmp_path / "a.b.pt").read_bytes()
    end = written.index(b".data/serialization_id")
    assert written[:end] == reference[:end]
    assert len(written) == len(reference)
    archive = zipfile.ZipFile(tmp_path / "a.b.pt")
    assert archive.testzip() is None
    assert "a.b/.data/serialization_id" in archive.namelist()


def test_records_start_at_multiples_of_64(tmp_path):
    pio.save([from_numpy(np.arange(n)) for n in range(1, 9)], tmp_path / "x.pt")
    with zipfile.ZipFile(tmp_path / "x.pt") as archive, (tmp_path / "x.pt").open("rb") as file:
        for info in archive.infolist():
            file.seek(info.header_offset + 26)
            name, extra = (int.from_bytes(file.read(2), "little") for _ in range(2))
            assert (info.header_offset + 30 + name + extra) % 64 == 0
    mapped = torch.load(tmp_path / "x.pt", mmap=True)
    assert all(part.data_ptr() % 64 == 0 for part in mapped)
    assert mapped[3].tolist() == [0, 1, 2, 3]


def test_mapped_files_are_private(tmp_path):
    path = tmp_path / "x.pt"
    torch.save(torch.arange(5), path)
    mapped = pio.load(path, mmap=True)
    mapped._array[0] = 9
    assert mapped._array.tolist() == [9, 1, 2, 3, 4]
    assert pio.load(path)._array.tolist() == [0, 1, 2, 3, 4]


def test_big_endian_files(tmp_path):
    """A file of a big-endian machine: the record says so, numbers are swapped (complex by part)."""
    buffer = io.BytesIO()
    torch.save([torch.tensor([1.5, -2.0]), torch.tensor([1 + 2j])], buffer)
    swapped = io.BytesIO()
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(swapped, "w") as target:
        for name in source.namelist():
            data = source.read(name)
            data = b"big" if name.endswith("byteorder") else data
            if "/data/" in name and "serial" not in name:
                data = np.frombuffer(data, np.uint32).byteswap().tobytes()
            target.writestr(name, data)
    swapped.seek(0)
    first, second = pio.load(swapped)
    assert first._array.tolist() == [1.5, -2.0]
    assert second._array.tolist() == [1 + 2j]


def test_compressed_archives_are_read():
    """Somebody zipped the records again: PyTorch reads that too."""
    buffer, packed = io.BytesIO(), io.BytesIO()
    torch.save(torch.zeros(50000), buffer)
    with zipfile.ZipFile(buffer) as source, zipfile.ZipFile(packed, "w", zipfile.ZIP_DEFLATED) as z:
        for name in source.namelist():
            z.writestr(name, source.read(name))
    packed.seek(0)
    assert pio.load(packed)._array.sum() == 0


def test_files_without_checksums_are_read():
    torch.serialization.set_crc32_options(False)
    try:
        assert from_torch(torch.arange(3))._array.tolist() == [0, 1, 2]
    finally:
        torch.serialization.set_crc32_options(True)


def test_a_storage_of_two_dtypes_is_refused_as_in_torch():
    base = from_numpy(np.zeros(4, np.float32))
    other = make(base._storage, Layout((4,), (1,), 0), dtype_named("int32"))
    with pytest.raises(RuntimeError, match="view the same data as different types"):
        pio.save([base, other], io.BytesIO())


def test_numpy_data_is_rebuilt():
    arrays = {
        "scalar": np.float64(2.5),
        "matrix": np.asfortranarray(np.arange(6, dtype=np.int16).reshape(2, 3)),
        "big": np.arange(3, dtype=">f8"),
        "text": np.array(["a", "bcd"]),
        "empty": np.zeros((0, 2)),
    }
    for protocol in (2, 5):
        loaded = from_torch(arrays, pickle_protocol=protocol)
        for name, value in arrays.items():
            assert np.array_equal(loaded[name], value)
            assert loaded[name].dtype == pickle.loads(pickle.dumps(value, protocol)).dtype


@pytest.mark.parametrize("engine", [torch, pellucid], ids=["torch", "pellucid"])
def test_what_is_defined_inside_a_function_is_refused_in_pickles_words(engine):
    class Inside(engine.nn.Module):
        pass

    kind = pickle.PicklingError if sys.version_info >= (3, 14) else AttributeError
    with pytest.raises(kind, match=r"Can't pickle local object '?.*<locals>\.Inside"):
        engine.save(Inside(), io.BytesIO())
