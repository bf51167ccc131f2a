"""A pickle is a program for a small stack machine. This module is that machine, without the power
to run anything.

The opcodes that build data (numbers, text, lists, dictionaries, …) are carried out here. The five
that reach outside the data (find a name, call it, make an instance, set its state, fetch a
storage) are questions to a `Grammar`, which answers from a fixed list (`pellucid.io.grammar`).
Nothing is imported, looked up by name in a module, or called because a file says so.

Every length is compared with the bytes that are left before anything is allocated; every opcode
that takes from the stack checks that something lies there. Opcodes and their meaning:
Python's `pickletools` module, PEP 307 (protocol 2), PEP 3154 (4), PEP 574 (5).
"""

from __future__ import annotations

import struct
from typing import Any, Protocol

from pellucid.io.budget import checked_key
from pellucid.io.errors import TruncatedFileError, UnpicklingError
from pellucid.io.opcodes import HANDLERS, OPCODES, stop


class Grammar(Protocol):
    """What the machine asks when an opcode reaches outside the data. Offsets are in bytes."""

    def find(self, name: str, offset: int) -> Any:
        """The object that stands for the dotted `name`."""

    def call(self, function: Any, args: Any, kwargs: Any, offset: int) -> Any:
        """What `function(*args)` is to give (REDUCE)."""

    def new(self, kind: Any, args: Any, kwargs: Any, offset: int) -> Any:
        """A fresh instance of the class `kind` (NEWOBJ)."""

    def build(self, instance: Any, state: Any, offset: int) -> None:
        """Give `instance` its state (BUILD)."""

    def persistent(self, identity: Any, offset: int) -> Any:
        """The storage with this persistent id (BINPERSID)."""

    def extend(self, target: Any, items: list[Any], opcode: str) -> None:
        """Add `items` to something that is no list, set or dictionary of the machine's own."""


class Machine:
    """Reads one pickle from `data`, beginning at byte `start`.

    Args:
        data: the bytes of the file or record.
        grammar: answers for names, calls, instances, state and storages.
        start: where the pickle begins.
        encoding: how Python 2 strings become text; `"bytes"` leaves them alone.
        where: what errors call the place, `"data.pkl"`.
    """

    def __init__(
        self,
        data: bytes | memoryview,
        grammar: Grammar,
        *,
        start: int = 0,
        encoding: str = "utf-8",
        where: str = "data.pkl",
    ) -> None:
        self.data = memoryview(data)
        self.grammar = grammar
        self.position = start
        self.opcode_at = start
        self.encoding = encoding
        self.where = where
        self.protocol = 0
        self.opcodes = 0
        self.memo: dict[int, Any] = {}
        self.stack: list[Any] = []
        self.below: list[list[Any]] = []

    def run(self) -> Any:
        """Carry out the program up to its STOP; `position` is then the byte after it.

        Raises:
            UnpicklingError: with the byte offset and the opcode where the program went wrong.
        """
        data, handlers = self.data, HANDLERS
        size = len(data)
        while True:
            at = self.opcode_at = self.position
            if at >= size:
                raise TruncatedFileError(
                    f"Ran out of input: {self.where} ends at byte {size} without a STOP opcode; "
                    "the file is probably cut short"
                )
            self.position = at + 1
            self.opcodes += 1
            handler = handlers[data[at]]
            if handler is None:
                return self.fail(self._unsupported(data[at]))
            if handler is stop:
                return self.pop()
            handler(self)

    # -- what handlers are made of

    def fail(self, what: str, kind: type[UnpicklingError] = UnpicklingError) -> Any:
        """Raise `kind` with the place in the program where it happened."""
        raise kind(f"{what} ({self.place()})")

    def place(self) -> str:
        """The current opcode and its offset, for messages."""
        byte = self.data[self.opcode_at] if self.opcode_at < len(self.data) else 0
        name = OPCODES.get(byte, f"0x{byte:02x}")
        return f"at byte {self.opcode_at} of {self.where}, opcode {name}"

    def take(self, count: int) -> memoryview:
        """The next `count` bytes of the program."""
        begin, end = self.position, self.position + count
        if end > len(self.data):
            left = len(self.data) - begin
            self.fail(f"{count} bytes announced, {left} left", TruncatedFileError)
        self.position = end
        return self.data[begin:end]

    def number(self, layout: str, size: int) -> Any:
        """The next number of the program, in `struct`'s notation."""
        return struct.unpack(layout, self.take(size))[0]

    def line(self) -> str:
        """Text up to the next newline (names in protocol 2 are written so)."""
        begin = self.position
        for chunk in range(begin, len(self.data), 256):
            piece = bytes(self.data[chunk : chunk + 256])
            found = piece.find(b"\n")
            if found >= 0:
                self.position = chunk + found + 1
                return self.text(self.data[begin : chunk + found])
            if chunk - begin > 4096:
                self.fail("a name longer than 4096 bytes")
        return self.fail("a name without an end", TruncatedFileError)

    def text(self, raw: memoryview) -> str:
        """UTF-8 to text; lone surrogates pass, as in Python's own pickles."""
        try:
            return str(raw, "utf-8", "surrogatepass")
        except UnicodeDecodeError as error:
            return self.fail(f"text that is not UTF-8: {error.reason}")

    def old_text(self, raw: memoryview) -> Any:
        """A Python 2 string: text in `encoding`, or bytes."""
        if self.encoding == "bytes":
            return bytes(raw)
        try:
            return str(raw, self.encoding)
        except UnicodeDecodeError as error:
            return self.fail(
                f"a Python 2 string that is not {self.encoding}: {error.reason}; "
                "pass encoding='latin1' or encoding='bytes' to load"
            )

    def pop(self) -> Any:
        """Take the top of the stack."""
        if not self.stack:
            self.fail("the stack is empty")
        return self.stack.pop()

    def top(self) -> Any:
        """Look at the top of the stack."""
        if not self.stack:
            self.fail("the stack is empty")
        return self.stack[-1]

    def pop_mark(self) -> list[Any]:
        """Take everything above the last MARK."""
        if not self.below:
            self.fail("there is no MARK on the stack")
        items = self.stack
        self.stack = self.below.pop()
        return items

    def set_items(self, target: Any, items: list[Any]) -> None:
        """Enter keys and values, alternating in `items`, in a dictionary."""
        if len(items) % 2:
            self.fail("a key without a value")
        if isinstance(target, dict):
            for index in range(0, len(items), 2):
                target[self.key(items[index])] = items[index + 1]
        else:
            self.grammar.extend(target, items, "SETITEMS")

    def key(self, value: Any) -> Any:
        """`value` if it can be a dictionary key or set element at bounded cost."""
        try:
            return checked_key(value)
        except UnpicklingError as error:
            return self.fail(str(error))

    def memoize(self, index: int) -> None:
        """Remember the top of the stack under `index`."""
        self.memo[index] = self.top()

    def recall(self, index: int) -> None:
        """Push what is remembered under `index`."""
        if index not in self.memo:
            self.fail(f"memo entry {index} is read before it is written")
        self.stack.append(self.memo[index])

    def _unsupported(self, byte: int) -> str:
        name = OPCODES.get(byte)
        if name is None:
            shown = f" ({chr(byte)!r})" if 32 <= byte < 127 else ""
            return f"Unsupported operand {byte}: byte 0x{byte:02x}{shown} is no pickle opcode"
        return (
            f"Unsupported operand {byte}: {name} is not used by PyTorch's files and not carried out"
        )
