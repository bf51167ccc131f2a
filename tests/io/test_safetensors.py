"""safetensors: byte for byte what the library writes, and every rule of the format checked."""

import io
import json
import random

import numpy as np
import pytest

from pellucid import io as pio
from pellucid.io import safetensors as own
from pellucid.tensor.dtype import all_dtypes
from pellucid.tensor.layout import Layout
from pellucid.tensor.tensor import from_numpy, make

torch = pytest.importorskip("torch")
library = pytest.importorskip("safetensors.torch")
reader = pytest.importorskip("safetensors")

DTYPES = [element.name for element in all_dtypes() if element.name != "complex128"]


def pair(name, count=6):
    """The same tensor twice: Pellucid's and PyTorch's."""
    reference = (torch.arange(count) % 2 if name == "bool" else torch.arange(count)).to(
        getattr(torch, name)
    )
    buffer = io.BytesIO()
    torch.save(reference, buffer)
    buffer.seek(0)
    return pio.load(buffer), reference


def test_files_are_those_of_the_library(tmp_path):
    ours, theirs = {}, {}
    for name in DTYPES:
        ours[f"w.{name}"], theirs[f"w.{name}"] = pair(name, 5)
    ours["a"], theirs["a"] = pair("float32", 0)
    ours["é"], theirs["é"] = pair("float32", 3)
    own.save_file(ours, tmp_path / "own", metadata={"format": "pt"})
    library.save_file(theirs, tmp_path / "library", metadata={"format": "pt"})
    assert (tmp_path / "own").read_bytes() == (tmp_path / "library").read_bytes()
    assert own.save(ours) == library.save(theirs)


@pytest.mark.parametrize("name", DTYPES)
def test_every_dtype_both_ways(name, tmp_path):
    ours, theirs = pair(name)
    library.save_file({"x": theirs}, tmp_path / "x")
    for loaded in (own.load_file(tmp_path / "x"), own.load((tmp_path / "x").read_bytes())):
        assert str(loaded["x"].dtype) == str(theirs.dtype)
        assert loaded["x"]._array.tobytes() == ours._array.tobytes()
    own.save_file({"x": ours}, tmp_path / "y")
    assert torch.equal(library.load_file(tmp_path / "y")["x"], theirs)


def test_shapes_and_metadata(tmp_path):
    matrix = from_numpy(np.arange(6.0).reshape(2, 3))
    own.save_file({"m": matrix, "s": from_numpy(np.array(3))}, tmp_path / "x", {"k": "v"})
    loaded = own.load_file(tmp_path / "x")
    assert loaded["m"]._array.tolist() == [[0, 1, 2], [3, 4, 5]]
    assert loaded["s"].shape == ()
    with own.safe_open(tmp_path / "x", framework="pt") as file:
        assert file.keys() == ["m", "s"]
        assert file.metadata() == {"k": "v"}
        assert file.get_tensor("m")._array.tolist() == [[0, 1, 2], [3, 4, 5]]
        part = file.get_slice("m")
        assert part.get_shape() == [2, 3]
        assert part.get_dtype() == "F64"
        with pytest.raises(pio.ArchiveError, match="contain tensor x: there are m, s"):
            file.get_tensor("x")
    with pytest.raises(pio.ArchiveError, match="the file is closed"):
        file.get_tensor("m")
    with own.safe_open(tmp_path / "x", framework="np") as file:
        assert file.get_slice("m")[1, 1:].tolist() == [4, 5]


def test_opened_files_are_mapped_not_read(tmp_path):
    own.save_file({"x": from_numpy(np.zeros(4))}, tmp_path / "x")
    with own.safe_open(tmp_path / "x") as file:
        first, second = file.get_tensor("x"), file.get_tensor("x")
    first._array[0] = 1
    assert second._array[0] == 1
    assert own.load_file(tmp_path / "x")["x"]._array[0] == 0


def test_what_the_format_cannot_say():
    base = from_numpy(np.arange(6.0).reshape(2, 3))
    turned = make(base._storage, Layout((3, 2), (1, 3), 0), base.dtype)
    with pytest.raises(ValueError, match="You are trying to save a non contiguous tensor: `t`"):
        own.save({"t": turned})
    with pytest.raises(RuntimeError, match="Some tensors share memory"):
        own.save({"a": base, "b": make(base._storage, base._layout, base.dtype)})
    with pytest.raises(ValueError, match=r"expected torch\.Tensor but received"):
        own.save({"a": np.zeros(2)})
    with pytest.raises(ValueError, match="complex128 is not a dtype of the format"):
        own.save({"a": from_numpy(np.zeros(2, complex))})
    with pytest.raises(ValueError, match="metadata must map text to text"):
        own.save({"a": base}, {"n": 1})


def packed(header, data=b"", length=None):
    text = header if isinstance(header, bytes) else json.dumps(header).encode()
    return (len(text) if length is None else length).to_bytes(8, "little") + text + data


def one(**changes):
    return {"x": {"dtype": "F32", "shape": [2], "data_offsets": [0, 8], **changes}}


WRONG = {
    "no length": (b"\x00" * 5, "header too small"),
    "too large": (packed({}, length=2**40), "header too large"),
    "beyond the end": (packed({}, length=100), "invalid header length"),
    "no brace": (packed(b" {}"), "invalid header start"),
    "no json": (packed(b"{'a'"), "invalid JSON"),
    "not utf-8": (packed(b'{"\xff": 1}'), "invalid JSON"),
    "deep json": (packed(b'{"a":' + b"[" * 100_000), "invalid JSON"),
    "twice": (
        packed(b'{"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]},'
               b'"x":{"dtype":"U8","shape":[1],"data_offsets":[0,1]}}', b"a"),
        "a key occurs twice",
    ),
    "metadata": (packed({"__metadata__": {"a": 1}}), "metadata must map text"),
    "fields": (packed({"x": {"dtype": "F32"}}), "needs dtype, shape and data_offsets"),
    "no entry": (packed({"x": 3}), "needs dtype, shape and data_offsets"),
    "dtype": (packed(one(dtype="F3"), bytes(8)), "the dtype F3 is not in Pellucid"),
    "dtype list": (packed(one(dtype=["F32"]), bytes(8)), "is not in Pellucid"),
    "shape": (packed(one(shape=[3]), bytes(8)), "needs 12 bytes, data_offsets give 8"),
    "negative shape": (packed(one(shape=[-2]), bytes(8)), "shape must be integers"),
    "float shape": (packed(one(shape=[2.0]), bytes(8)), "shape must be integers"),
    "overflow": (packed(one(shape=[2**40, 2**40]), bytes(8)), "more than"),
    "overflow to fit": (packed(one(shape=[2**62, 4]), bytes(8)), "more than"),
    "offsets": (packed(one(data_offsets=[8, 0]), bytes(8)), "data_offsets give -8"),
    "negative offsets": (packed(one(data_offsets=[-8, 0]), bytes(8)), "two integers >= 0"),
    "three offsets": (packed(one(data_offsets=[0, 8, 8]), bytes(8)), "two integers >= 0"),
    "hole": (packed(one(data_offsets=[4, 12]), bytes(12)), "begins at byte 4"),
    "cut": (packed(one(), bytes(7)), "it is cut short"),
    "tail": (packed(one(), bytes(9)), "1 bytes behind the last tensor"),
    "overlap": (
        packed({**one(), "y": one()["x"]}, bytes(8)),
        "begins at byte 0, the tensor before it ends at 8",
    ),
}  # fmt: skip


MORE_THAN_THE_LIBRARY = {"invalid header start", "a key occurs twice"}
"""Rules of the format's README that the library's parser lets pass."""


@pytest.mark.parametrize(("data", "words"), WRONG.values(), ids=WRONG)
def test_every_rule_of_the_format_is_checked(data, words, tmp_path):
    with pytest.raises(pio.UnpicklingError, match=words):
        own.load(data)
    (tmp_path / "x").write_bytes(data)
    with pytest.raises(pio.UnpicklingError, match=words):
        own.load_file(tmp_path / "x")
    if words not in MORE_THAN_THE_LIBRARY:
        with pytest.raises(reader.SafetensorError, match=r"\w"):
            library.load(data)


def test_mutated_files_end_in_clear_errors():
    data = own.save({"a": from_numpy(np.arange(9.0)), "b": from_numpy(np.arange(3))}, {"k": "v"})
    draw = random.Random(3)
    refused = 0
    for _ in range(1500):
        changed = bytearray(data)
        at = draw.randrange(len(changed) - 80)
        if draw.random() < 0.5:
            changed[at] = draw.randrange(256)
        else:
            del changed[at : at + draw.randrange(1, 5)]
        try:
            own.load(bytes(changed))
        except pio.UnpicklingError:
            refused += 1
    assert refused > 700
