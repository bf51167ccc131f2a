"""Small files, valid and made by hand, that the tests of readers damage."""

import io
import pickle
import zipfile

import numpy as np

from pellucid import io as pio
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


def good():
    buffer = io.BytesIO()
    values = {"a": from_numpy(np.arange(100.0)), "b": [from_numpy(np.arange(7)), "text"]}
    pio.save(values, buffer)
    return buffer.getvalue()


def legacy():
    buffer = io.BytesIO()
    value = {"a": from_numpy(np.arange(9.0)), "b": from_numpy(np.arange(3))}
    pio.save(value, buffer, _use_new_zipfile_serialization=False)
    return buffer.getvalue()
