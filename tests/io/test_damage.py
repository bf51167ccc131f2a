"""Damaged and hostile files end in clear errors, before memory is taken for them."""

import io
import pickle
import random
import struct
import tracemalloc
import zipfile
import zlib

import numpy as np
import pytest

from pellucid import io as pio
from pellucid.io.archive_writer import ArchiveWriter, central_entry, local_extra
from pellucid.io.layout_check import checked_layout
from pellucid.tensor.tensor import from_numpy

FLOATS = "FloatStorage"


def tensor_program(
    shape=(2,), strides=(1,), offset=0, numel=4, key="0", storage=FLOATS, location="cpu", grad=False
):
    """The pickle of one tensor, written by hand."""

    def data(value):
        return pickle.dumps(value, 2)[2:-1].replace(b"q\x00", b"")

    identity = (
        b"(" + data("storage") + b"ctorch\n" + storage.encode() + b"\n" + data(key)
        + data(location) + data(numel) + b"tQ"
    )  # fmt: skip
    layout = data(offset) + numbers(shape) + numbers(strides)
    hooks = b"ccollections\nOrderedDict\n)R"
    return (
        b"\x80\x02ctorch._utils\n_rebuild_tensor_v2\n(" + identity + layout + data(grad) + hooks
        + b"tR."
    )  # fmt: skip


def numbers(values):
    return b"(" + b"".join(pickle.dumps(value, 2)[2:-1] for value in values) + b"t"


def archive(program, records=None, folder="a", **options):
    """A zip archive with this `data.pkl` and sixteen bytes of storage 0."""
    buffer = io.BytesIO()
    with zipfile.ZipFile(buffer, "w", **options) as z:
        z.writestr(f"{folder}/data.pkl", program)
        for name, data in (records or {"data/0": bytes(range(16))}).items():
            z.writestr(f"{folder}/{name}", data)
    buffer.seek(0)
    return buffer


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


def good():
    buffer = io.BytesIO()
    values = {"a": from_numpy(np.arange(100.0)), "b": [from_numpy(np.arange(7)), "text"]}
    pio.save(values, buffer)
    return buffer.getvalue()


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


def legacy():
    buffer = io.BytesIO()
    value = {"a": from_numpy(np.arange(9.0)), "b": from_numpy(np.arange(3))}
    pio.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()


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
    info = zipfile.ZipInfo("a/x")
    length = struct.unpack_from("<H", entry, 30)[0]
    info.file_size, info.compress_size = struct.unpack_from("<II", entry, 20)[::-1]
    info.header_offset = struct.unpack_from("<I", entry, 42)[0]
    info.extra = entry[-length:]
    info._decodeExtra(zlib.crc32(b"a/x")) if info._decodeExtra.__code__.co_argcount > 1 else (
        info._decodeExtra()
    )
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


def mutations(data, seed, count):
    """Flips, cuts, insertions, deletions and copies of pieces; always the same ones for a seed."""
    draw = random.Random(seed)
    for _ in range(count):
        changed = bytearray(data)
        for _ in range(draw.choice((1, 1, 2, 5))):
            at = draw.randrange(len(changed))
            kind = draw.randrange(6)
            if kind == 0:
                changed[at] ^= 1 << draw.randrange(8)
            elif kind == 1:
                changed[at] = draw.choice((0, 1, 0x7F, 0x80, 0xFF))
            elif kind == 2:
                del changed[at : at + draw.randrange(1, 9)]
            elif kind == 3:
                changed[at:at] = draw.randbytes(draw.randrange(1, 9))
            elif kind == 4:
                begin = draw.randrange(len(changed))
                changed[at : at + 8] = changed[begin : begin + 8]
            else:
                del changed[max(at, 1) :]
            if not changed:
                break
        yield bytes(changed)


def read_whatever(data, read):
    """Read hostile bytes: it works (True), or fails in a way programs expect (False)."""
    try:
        read(data)
    except (pio.UnpicklingError, ValueError) as error:
        assert str(error)
        return False
    except RuntimeError as error:
        assert "restore data location" in str(error) or "deserialize object" in str(error)
        return False
    return True


def load_all(data):
    """Load without checksums, so that damage reaches the machine; look at every tensor."""
    value = pio.load(io.BytesIO(data), skip_refused=True)
    waiting = [value]
    seen = set()
    while waiting:
        part = waiting.pop()
        if id(part) in seen:
            continue
        seen.add(id(part))
        if isinstance(part, dict):
            waiting += list(part.values())
        elif isinstance(part, (list, tuple)):
            waiting += list(part)
        elif hasattr(part, "_array") and part.numel() < 10**7:
            part._array.sum()


def without_checksums(data):
    """The archive with every CRC set to 0, which means 'not computed'."""
    data = bytearray(data)
    at = data.find(b"PK\x01\x02")
    while at >= 0:
        data[at + 16 : at + 20] = bytes(4)
        at = data.find(b"PK\x01\x02", at + 4)
    return bytes(data)


SOURCES = {"zip": without_checksums(good()), "legacy": legacy()}


@pytest.mark.parametrize("source", SOURCES)
def test_mutated_files_end_in_clear_errors(source):
    worked = sum(read_whatever(data, load_all) for data in mutations(SOURCES[source], 20240, 600))
    assert 0 < worked < 600


def test_mutated_pickles_end_in_clear_errors():
    with zipfile.ZipFile(io.BytesIO(good())) as z:
        program = z.read("archive/data.pkl")
    records = {"data/0": bytes(800), "data/1": bytes(56)}
    for data in mutations(program, 7, 500):
        read_whatever(archive(data, records).getvalue(), load_all)


def test_random_programs_end_in_clear_errors():
    """Opcodes in random order, with short operands: the machine's inner paths."""
    draw = random.Random(11)
    pieces = [
        bytes([byte]) for byte in b"N)]}(0012tlde\x85\x86\x87\x88\x89\x8f\x90\x91\x94RbsauQ\x81\x92"
    ]
    pieces += [b"K\x01", b"X\x01\x00\x00\x00a", b"h\x00", b"q\x00", b"q\x01", b"h\x01", b"C\x01b"]
    pieces += [
        f"c{module}\n{name}\n".encode()
        for module, name in (
            ("collections", "OrderedDict"),
            ("torch._utils", "_rebuild_tensor_v2"),
            ("torch._utils", "_rebuild_parameter"),
            ("torch._tensor", "_rebuild_from_type_v2"),
            ("torch", "FloatStorage"),
            ("torch", "float32"),
            ("torch", "Size"),
            ("numpy", "dtype"),
            ("numpy", "ndarray"),
            ("numpy.core.multiarray", "_reconstruct"),
            ("numpy.core.multiarray", "scalar"),
            ("builtins", "set"),
            ("_codecs", "encode"),
            ("argparse", "Namespace"),
            ("os", "system"),
        )
    ]
    for _ in range(3000):
        program = b"\x80\x02" + b"".join(draw.choices(pieces, k=draw.randrange(1, 25))) + b"."
        report = pio.inspect_pickle(io.BytesIO(program))
        assert str(report)
        read_whatever(archive(program).getvalue(), load_all)
