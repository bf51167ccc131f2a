"""Damaged and hostile files end in clear errors, before memory is taken for them."""

import io
import pickle
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from pellucid import io as pio
from pellucid.io.archive_writer import ArchiveWriter, central_entry, local_extra
from pellucid.io.layout_check import checked_layout
from pellucid.io.zip_format import END, END_SIGNATURE
from tests.io.hostile import archive, good, legacy, tensor_program


def test_the_handwritten_program_is_a_tensor():
    assert pio.load(archive(tensor_program()))._array.tobytes() == bytes(range(8))


LAYOUTS = {
    "too long": ({"shape": (5,)}, "out of bounds for storage of size 16"),
    "stride": ({"strides": (4,)}, "out of bounds for storage of size 16"),
    "offset": ({"offset": 3}, "requiring a storage size of 20 are out of bounds"),
    "negative size": ({"shape": (-1,)}, "shape must be integers"),
    "negative stride": ({"strides": (-1,), "offset": 1}, "strides must be integers"),
    "negative offset": ({"offset": -1}, "a storage offset must be an integer >= 0"),
    "wrap around": ({"shape": (2,), "strides": (2**62,)}, "strides beyond 63 bits|out of bounds"),
    "huge offset": ({"offset": 2**63}, "a storage offset must be an integer"),
    "huge size": ({"shape": (2**64,)}, "shape must be integers"),
    "overflowing product": (
        {"shape": (2**40, 2**40), "strides": (0, 0)},
        r"a shape of more than 2\*\*63 bytes",
    ),
    "overflow with zero": (
        {"shape": (0, 2**62, 2**62), "strides": (0, 0, 0)},
        r"a shape of more than 2\*\*63 bytes",
    ),
    "many dimensions": ({"shape": (1,) * 65, "strides": (1,) * 65}, "at most 64 integers"),
    "uneven": ({"strides": (1, 1)}, "1 dimensions with 2 strides"),
    "float size": ({"shape": (1.0,)}, "shape must be integers"),
    "bool size": ({"shape": (True,)}, "shape must be integers"),
    "gradient of ints": ({"storage": "IntStorage", "grad": True}, "can require gradients"),
    "gradient flag": ({"grad": 1}, "requires_grad must be a bool"),
    "storage too long": ({"numel": 5}, "holds 16 bytes, the pickle says 20"),
    "storage too short": ({"numel": 1}, "holds 16 bytes, the pickle says 4"),
    "negative storage": ({"numel": -4}, "a length >= 0"),
    "giant storage": ({"numel": 2**70}, "a length >= 0"),
    "large storage": ({"numel": 2**45}, "the pickle says 140737488355328"),
    "no such record": ({"key": "1"}, "file not found: a/data/1"),
    "record elsewhere": ({"key": "../data.pkl"}, "file not found"),
    "number as key": ({"key": 0}, "a storage needs a class, a key"),
    "unknown storage": ({"storage": "QInt8Storage"}, "Unsupported global: GLOBAL torch.QInt8"),
}


@pytest.mark.parametrize(("fields", "words"), LAYOUTS.values(), ids=LAYOUTS)
def test_layouts_are_checked_against_their_storage(fields, words):
    with pytest.raises(pio.UnpicklingError, match=words):
        pio.load(archive(tensor_program(**fields)))


def test_layouts_that_reach_exactly_the_end():
    assert checked_layout((2, 2), (1, 2), 0, 4, 16) == ((2, 2), (1, 2), 0)
    assert checked_layout((1, 4), (10**9, 1), 0, 4, 16) == ((1, 4), (10**9, 1), 0)
    assert checked_layout((0,), (1,), 99, 4, 0) == ((0,), (1,), 99)
    assert checked_layout((), (), 3, 4, 16) == ((), (), 3)


NOT_CHECKPOINTS = {
    "empty": (b"", "the file is empty"),
    "html": (b"\n<!DOCTYPE html><html>404</html>", "a web page"),
    "xml": (b"<?xml version='1.0'?><Error/>", "a web page"),
    "json": (b'{"error": "unauthorized"}', "JSON text"),
    "lfs": (
        b"version https://git-lfs.github.com/spec/v1\noid sha256:12\nsize 9\n",
        "a Git LFS pointer.*git lfs pull",
    ),
    "gzip": (b"\x1f\x8b\x08\x00" + bytes(20), "compressed with gzip"),
    "npy": (b"\x93NUMPY\x01\x00" + bytes(20), "a NumPy array"),
    "hdf5": (b"\x89HDF\r\n\x1a\n" + bytes(20), "an HDF5 file"),
    "safetensors": (struct.pack("<Q", 8) + b'{      }' + b"", "a safetensors file"),
    "empty zip": (b"PK\x05\x06" + bytes(18), "an empty zip archive"),
    "text": (b"hello world", "no pickle .* it begins with b'hello world'"),
    "old tar": (b"storage" + bytes(600), "a tar archive"),
    "plain pickle": (pickle.dumps([1], 2), "Invalid magic number"),
    "half a zip": (good()[:700], "failed finding central directory"),
    "zip without its end": (good()[:-30], "failed finding central directory"),
    "start of a zip": (b"PK\x03\x04" + bytes(6), "failed finding central directory"),
}  # fmt: skip


@pytest.mark.parametrize(("data", "words"), NOT_CHECKPOINTS.values(), ids=NOT_CHECKPOINTS)
def test_files_that_are_something_else_are_recognised(data, words, tmp_path):
    path = tmp_path / "x.pt"
    path.write_bytes(data)
    for source in (path, io.BytesIO(data)):
        with pytest.raises(pio.UnpicklingError, match=words):
            pio.load(source)
    assert pio.inspect_pickle(path).problem or "plain pickle" in str(pio.inspect_pickle(path))


def test_truncated_files_are_end_of_file_errors():
    for data in (b"", good()[:-30]):
        with pytest.raises(EOFError, match=r"the file is empty|central directory"):
            pio.load(io.BytesIO(data))


def test_archives_of_other_programs():
    with pytest.raises(pio.UnpicklingError, match=r"TorchScript archives passed to ``torch.load``"):
        pio.load(archive(b"", {"constants.pkl": b""}))
    with pytest.raises(pio.UnpicklingError, match=r"not in a subdirectory: x\.npy"):
        buffer = io.BytesIO()
        np.savez(buffer, x=np.zeros(2))
        buffer.seek(0)
        pio.load(buffer)
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w") as z:
        z.writestr("word/document.xml", "x")
    buffer.seek(0)
    with pytest.raises(pio.UnpicklingError, match=r"has no word/data\.pkl"):
        pio.load(buffer)


@pytest.mark.filterwarnings("ignore:Duplicate name")
def test_records_that_occur_twice():
    buffer = archive(tensor_program())
    with zipfile.ZipFile(buffer, "a") as z:
        z.writestr("a/data/0", bytes(16))
    buffer.seek(0)
    with pytest.raises(pio.ArchiveError, match="'a/data/0' occurs twice"):
        pio.load(buffer)


def test_damaged_bytes_are_noticed():
    data = bytearray(good())
    at = data.index(np.arange(100.0).tobytes())
    data[at + 17] ^= 1
    with pytest.raises(pio.ArchiveError, match=r"data/0: the CRC-32 of the record is"):
        pio.load(io.BytesIO(data))


def directory_patch(data, name, field, value):
    """Change a number (field: offset, `struct` code) in the directory entry of `name`."""
    data = bytearray(data)
    at = data.rindex(name.encode()) - 46
    assert data[at : at + 4] == b"PK\x01\x02"
    struct.pack_into("<" + field[1], data, at + field[0], value)
    return io.BytesIO(bytes(data))


PACKED, SIZE, HEADER, METHOD, FLAGS = (20, "I"), (24, "I"), (42, "I"), (10, "H"), (8, "H")


def test_directories_that_contradict_the_file():
    data = archive(tensor_program()).getvalue()
    cases = (
        (PACKED, 2**31, "announces 2147483648 bytes from byte"),
        (SIZE, 17, "announces 17 bytes in 16, which cannot be"),
        (HEADER, 5, "there is no header for"),
        (HEADER, 2**31, "lies outside the file"),
        (HEADER, 0, "disagree on the name"),
        (METHOD, 99, "in a way PyTorch does not write"),
        (FLAGS, 1, "is encrypted"),
    )
    for field, value, words in cases:
        with pytest.raises(pio.UnpicklingError, match=words):
            pio.load(directory_patch(data, "a/data/0", field, value))


def test_overlapping_records_are_refused():
    """Two names for the same bytes: how small archives hold petabytes."""
    data = archive(tensor_program(), {"data/0": bytes(16), "data/1": bytes(16)}).getvalue()
    patched = directory_patch(data, "a/data/0", PACKED, 60).getvalue()
    with pytest.raises(pio.UnpicklingError, match=r"overlaps the record before it"):
        pio.load(directory_patch(patched, "a/data/0", SIZE, 60))


def test_zip_bombs_are_refused_by_their_announcement():
    packed = zlib.compress(bytes(1 << 20))
    data = archive(tensor_program(), {"data/0": packed}).getvalue()
    data = directory_patch(data, "a/data/0", METHOD, 8).getvalue()
    with pytest.raises(pio.ArchiveError, match="which cannot be"):
        pio.load(directory_patch(data, "a/data/0", SIZE, 2**31))


def test_compressed_records_hold_what_they_announce():
    zeros = archive(
        tensor_program(numel=1000), {"data/0": bytes(4000)}, compression=zipfile.ZIP_DEFLATED
    )
    assert pio.load(zeros)._array.tolist() == [0, 0]
    for size in (3999, 4001):
        patched = directory_patch(zeros.getvalue(), "a/data/0", SIZE, size)
        with pytest.raises(pio.UnpicklingError, match=r"data/0"):
            pio.load(patched)


def test_byte_order_record():
    program = tensor_program()
    records = {"byteorder": b"middle", "data/0": bytes(16)}
    with pytest.raises(ValueError, match="Unknown endianness type: middle"):
        pio.load(archive(program, records))


def test_refusals_cost_no_memory():
    """A pickle that announces 128 TB is refused without allocating."""
    file = archive(tensor_program(numel=2**45))
    tracemalloc.start()
    try:
        with pytest.raises(pio.UnpicklingError, match="the pickle says"):
            pio.load(file)
        assert tracemalloc.get_traced_memory()[1] < 1 << 20
    finally:
        tracemalloc.stop()


def test_legacy_files_that_lie():
    data = legacy()
    for cut in (len(data) - 1, len(data) - 30, 120, 60, 20):
        with pytest.raises(EOFError, match=r"EOF|Ran out|announced|more than the file"):
            pio.load(io.BytesIO(data[:cut]))
    lengths = data.index(struct.pack("<q", 9))
    wrong = data[:lengths] + struct.pack("<q", 8) + data[lengths + 8 :]
    with pytest.raises(pio.UnpicklingError, match=r"has 8 elements of torch\.DoubleStorage"):
        pio.load(io.BytesIO(wrong))
    huge = data.replace(b"K\tN", b"J\x00\x00\x00\x40N")
    assert huge != data
    with pytest.raises(pio.UnpicklingError, match="more than the file still holds"):
        pio.load(io.BytesIO(huge))


def test_numbers_beyond_4_gib():
    """zip64 fields, as Python's own reader understands them."""
    entry = central_entry(b"a/x", 5 << 30, 0, 0x808, 6 << 30)
    end = END.pack(END_SIGNATURE, 0, 0, 1, 1, len(entry), 0, 0)
    with zipfile.ZipFile(io.BytesIO(entry + end)) as z:
        (info,) = z.infolist()
    assert info.file_size == info.compress_size == 5 << 30
    assert info.header_offset == 6 << 30
    for header, size in ((6 << 30, 10), (0, 5 << 30), (6 << 30, 5 << 30), (0, 10)):
        extra = local_extra(header, 3, size)
        assert (header + 30 + 3 + len(extra)) % 64 == 0


def test_archive_writer_and_reader_agree_with_zipfile():
    parts = []
    writer = ArchiveWriter(lambda data: parts.append(bytes(data)), "folder")
    for index in range(40):
        writer.record(f"data/{index}", bytes(range(index)))
    writer.finish()
    with zipfile.ZipFile(io.BytesIO(b"".join(parts))) as z:
        assert z.testzip() is None
        assert z.read("folder/data/39") == bytes(range(39))
        assert z.read("folder/version") == b"3\n"
