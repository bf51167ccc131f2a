"""Damage by the thousand, always the same: only clear errors, and every tensor can be looked at."""

import io
import random
import zipfile

import pytest

from pellucid import io as pio
from tests.io.hostile import archive, good, legacy


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
