"""Messages between the loader and a worker, with the tensors in them passed without a copy in the
middle.

A message is pickled with protocol 5, which leaves the memory of arrays out. Small memory travels
behind the message.
Large memory (Linux) is written into an anonymous file in memory (`memfd_create`) whose descriptor
travels over the socket;
the receiver maps it, and its tensors look at the mapped pages. Such a file has no name, so nothing
is left behind when a
process is killed: the kernel frees it with its last descriptor and mapping.
"""

from __future__ import annotations

import io
import mmap
import os
import pickle
import socket
from multiprocessing.connection import Connection
from multiprocessing.reduction import ForkingPickler
from typing import Any

import numpy as np

from pellucid.tensor.tensor import Tensor, from_numpy

Array = np.ndarray[Any, Any]

INLINE = 64 * 1024
"""Bytes up to which memory travels behind the message.

Measured on Linux: 16 KiB take 11 µs this way and 26 µs through a file; from some 100 KiB on the
receiver of a file, which
copies nothing, is ahead, and the sender need not wait for it."""

_ALIGNMENT = 64
_HAS_FILES_IN_MEMORY = hasattr(os, "memfd_create") and hasattr(socket, "send_fds")


class Channel:
    """One end of a connection between two processes. One thread at a time may send, one receive."""

    def __init__(self, connection: Connection) -> None:
        self.connection = connection
        self._socket: socket.socket | None = None

    def fileno(self) -> int:
        """The descriptor to wait on."""
        return self.connection.fileno()

    def send(self, message: Any) -> None:
        """Send any picklable object. Raises OSError when the other end is gone."""
        text, buffers = dumps(message)
        places, size = [], 0
        for buffer in buffers:
            places.append((size, buffer.nbytes))
            size += -(-buffer.nbytes // _ALIGNMENT) * _ALIGNMENT
        in_file = size > INLINE and _HAS_FILES_IN_MEMORY
        self.connection.send_bytes(pickle.dumps((text, places, size, in_file)))
        if in_file:
            self._send_file(buffers, places, size)
        elif size:
            memory = bytearray(size)
            for buffer, (start, length) in zip(buffers, places, strict=True):
                memory[start : start + length] = buffer
            self.connection.send_bytes(memory)

    def receive(self) -> Any:
        """The next message. Raises EOFError or OSError when the other end is gone."""
        text, places, size, in_file = pickle.loads(self.connection.recv_bytes())
        memory: Any = b""
        if in_file:
            memory = self._receive_file(size)
        elif size:
            memory = bytearray(size)
            self.connection.recv_bytes_into(memory)
        view = memoryview(memory)
        buffers = [view[start : start + length] for start, length in places]
        return pickle.loads(text, buffers=buffers)

    def close(self) -> None:
        """Close this end; the other one reads the end of the stream."""
        self.connection.close()
        if self._socket is not None:
            self._socket.close()

    def _as_socket(self) -> socket.socket:
        if self._socket is None:
            self._socket = socket.socket(fileno=os.dup(self.connection.fileno()))
        return self._socket

    def _send_file(
        self, buffers: list[memoryview], places: list[tuple[int, int]], size: int
    ) -> None:
        descriptor = os.memfd_create("pellucid-batch")
        try:
            os.ftruncate(descriptor, size)
            for buffer, (start, _) in zip(buffers, places, strict=True):
                _write(descriptor, buffer, start)
            socket.send_fds(self._as_socket(), [b"f"], [descriptor])
        finally:
            os.close(descriptor)

    def _receive_file(self, size: int) -> mmap.mmap:
        data, descriptors, _, _ = socket.recv_fds(self._as_socket(), 1, 1)
        if not data or not descriptors:
            raise EOFError
        try:
            return mmap.mmap(descriptors[0], size)
        finally:
            os.close(descriptors[0])


def _write(descriptor: int, buffer: memoryview, start: int) -> None:
    done = 0
    while done < buffer.nbytes:  # a call writes 2 GiB at most
        done += os.pwrite(descriptor, buffer[done:], start + done)


def dumps(message: Any) -> tuple[bytes, list[memoryview]]:
    """The pickled message and the memory that was left out, as flat views of bytes."""
    buffers: list[pickle.PickleBuffer] = []
    text = io.BytesIO()
    _Pickler(text, 5, True, buffers.append).dump(message)
    return text.getvalue(), [buffer.raw() for buffer in buffers]


class _Pickler(ForkingPickler):
    """Pickles tensors as their elements only, not as a view of a storage that may be far larger."""

    def reducer_override(self, value: Any) -> Any:
        return _reduce(value) if type(value) is Tensor else NotImplemented


def _reduce(tensor: Tensor) -> Any:
    if tensor.requires_grad and not tensor.is_leaf:
        raise RuntimeError(
            "Cowardly refusing to serialize non-leaf tensor which requires_grad, since autograd "
            "does not support crossing process boundaries.  If you just want to transfer the "
            "data, call detach() on the tensor before serializing (e.g., putting it on the queue)."
        )
    array = tensor.detach()._array
    order = sorted(range(array.ndim), key=lambda dim: -array.strides[dim])
    memory = array.transpose(order)
    if not memory.flags.c_contiguous:
        order = list(range(array.ndim))
        memory = np.ascontiguousarray(array)
    # An array is a buffer; its stub says so from Python 3.12 on.
    raw = pickle.PickleBuffer(memory.reshape(-1).view(np.uint8))  # type: ignore[arg-type]
    shape = memory.shape if array.ndim else ()
    return _rebuild, (raw, memory.dtype, shape, order, tensor.requires_grad)


def _rebuild(
    raw: Any, dtype: np.dtype[Any], shape: tuple[int, ...], order: list[int], requires_grad: bool
) -> Tensor:
    """The tensor over `raw`; its dimensions lay in memory in `order`."""
    flat = np.frombuffer(raw, np.uint8) if memoryview(raw).nbytes else np.empty(0, np.uint8)
    array = flat.view(dtype).reshape(shape).transpose(np.argsort(order))
    tensor = from_numpy(array)
    return tensor.requires_grad_() if requires_grad else tensor
