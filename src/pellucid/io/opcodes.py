"""What each pickle opcode does to the stack of a `Machine`, one handler an opcode.

The opcodes that are missing here (text numbers of protocol 0, the extension registry, buffers
outside the file, INST and OBJ) are written by no version of PyTorch and refused.
"""

from __future__ import annotations

import pickle
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.io.errors import TruncatedFileError

if TYPE_CHECKING:
    from pellucid.io.machine import Machine

_NAMES = """
    PROTO FRAME STOP MARK POP POP_MARK DUP NONE NEWTRUE NEWFALSE BININT BININT1 BININT2 LONG1
    LONG4 BINFLOAT BINUNICODE SHORT_BINUNICODE BINUNICODE8 BINSTRING SHORT_BINSTRING BINBYTES
    SHORT_BINBYTES BINBYTES8 BYTEARRAY8 EMPTY_LIST EMPTY_TUPLE EMPTY_DICT EMPTY_SET LIST TUPLE
    TUPLE1 TUPLE2 TUPLE3 DICT APPEND APPENDS SETITEM SETITEMS ADDITEMS FROZENSET BINGET
    LONG_BINGET BINPUT LONG_BINPUT MEMOIZE GLOBAL STACK_GLOBAL REDUCE NEWOBJ NEWOBJ_EX BUILD
    BINPERSID INST OBJ PERSID INT LONG STRING UNICODE FLOAT GET PUT EXT1 EXT2 EXT4 NEXT_BUFFER
    READONLY_BUFFER
"""
OPCODES: dict[int, str] = {getattr(pickle, name)[0]: name for name in _NAMES.split()}
"""Opcode byte to the name `pickletools` gives it."""


Handler = Callable[["Machine"], Any]
HANDLERS: list[Handler | None] = [None] * 256
"""What to do for each opcode byte; None for bytes that are refused."""


def _on(*names: str) -> Callable[[Handler], Handler]:
    """Make a function the handler of the opcodes `names`."""

    def enter(handler: Handler) -> Handler:
        for name in names:
            HANDLERS[getattr(pickle, name)[0]] = handler
        return handler

    return enter


def _push(name: str, make: Handler) -> None:
    """Opcode `name` pushes what `make(machine)` returns."""

    def push(m: Machine) -> None:
        value = make(m)  # which may change m.stack
        m.stack.append(value)

    HANDLERS[getattr(pickle, name)[0]] = push


_push("NONE", lambda m: None)
_push("NEWTRUE", lambda m: True)
_push("NEWFALSE", lambda m: False)
_push("BININT", lambda m: m.number("<i", 4))
_push("BININT1", lambda m: m.number("<B", 1))
_push("BININT2", lambda m: m.number("<H", 2))
_push("LONG1", lambda m: int.from_bytes(m.take(m.number("<B", 1)), "little", signed=True))
_push("LONG4", lambda m: int.from_bytes(m.take(_length(m, "<i", 4)), "little", signed=True))
_push("BINFLOAT", lambda m: m.number(">d", 8))
_push("BINUNICODE", lambda m: m.text(m.take(m.number("<I", 4))))
_push("SHORT_BINUNICODE", lambda m: m.text(m.take(m.number("<B", 1))))
_push("BINUNICODE8", lambda m: m.text(m.take(m.number("<Q", 8))))
_push("BINSTRING", lambda m: m.old_text(m.take(_length(m, "<i", 4))))
_push("SHORT_BINSTRING", lambda m: m.old_text(m.take(m.number("<B", 1))))
_push("BINBYTES", lambda m: bytes(m.take(m.number("<I", 4))))
_push("SHORT_BINBYTES", lambda m: bytes(m.take(m.number("<B", 1))))
_push("BINBYTES8", lambda m: bytes(m.take(m.number("<Q", 8))))
_push("BYTEARRAY8", lambda m: bytearray(m.take(m.number("<Q", 8))))
_push("EMPTY_LIST", lambda m: [])
_push("EMPTY_TUPLE", lambda m: ())
_push("EMPTY_DICT", lambda m: {})
_push("EMPTY_SET", lambda m: set())
_push("LIST", lambda m: m.pop_mark())
_push("TUPLE", lambda m: tuple(m.pop_mark()))
_push("TUPLE1", lambda m: (m.pop(),))
_push("FROZENSET", lambda m: frozenset(m.key(item) for item in m.pop_mark()))
_push("DUP", lambda m: m.top())


def _length(m: Machine, layout: str, size: int) -> int:
    length = m.number(layout, size)
    return length if length >= 0 else m.fail(f"a negative length: {length}")


@_on("STOP")
def stop(m: Machine) -> None:
    """Never called: `run` returns the top of the stack when it meets STOP."""


@_on("PROTO")
def _proto(m: Machine) -> None:
    m.protocol = m.number("<B", 1)
    if m.protocol > pickle.HIGHEST_PROTOCOL:
        m.fail(f"pickle protocol {m.protocol}; protocols 2 to 5 can be read")


@_on("FRAME")
def _frame(m: Machine) -> None:
    length = m.number("<Q", 8)
    if length > len(m.data) - m.position:
        left = len(m.data) - m.position
        m.fail(f"a frame of {length} bytes announced, {left} left", TruncatedFileError)


@_on("MARK")
def _mark(m: Machine) -> None:
    m.below.append(m.stack)
    m.stack = []


@_on("POP")
def _pop(m: Machine) -> None:
    if m.stack:
        m.stack.pop()
    else:
        m.pop_mark()


@_on("POP_MARK")
def _pop_mark(m: Machine) -> None:
    m.pop_mark()


@_on("TUPLE2")
def _tuple2(m: Machine) -> None:
    second, first = m.pop(), m.pop()
    m.stack.append((first, second))


@_on("TUPLE3")
def _tuple3(m: Machine) -> None:
    third, second, first = m.pop(), m.pop(), m.pop()
    m.stack.append((first, second, third))


@_on("DICT")
def _dict(m: Machine) -> None:
    items = m.pop_mark()
    made: dict[Any, Any] = {}
    m.set_items(made, items)
    m.stack.append(made)


@_on("APPEND")
def _append(m: Machine) -> None:
    item = m.pop()
    _extend(m, m.top(), [item])


@_on("APPENDS")
def _appends(m: Machine) -> None:
    items = m.pop_mark()
    _extend(m, m.top(), items)


def _extend(m: Machine, target: Any, items: list[Any]) -> None:
    if type(target) is list:
        target.extend(items)
    else:
        m.grammar.extend(target, items, "APPENDS")


@_on("SETITEM")
def _setitem(m: Machine) -> None:
    value, key = m.pop(), m.pop()
    m.set_items(m.top(), [key, value])


@_on("SETITEMS")
def _setitems(m: Machine) -> None:
    items = m.pop_mark()
    m.set_items(m.top(), items)


@_on("ADDITEMS")
def _additems(m: Machine) -> None:
    items = m.pop_mark()
    target = m.top()
    if type(target) is set:
        target.update(m.key(item) for item in items)
    else:
        m.grammar.extend(target, items, "ADDITEMS")


_on("BINPUT")(lambda m: m.memoize(m.number("<B", 1)))
_on("LONG_BINPUT")(lambda m: m.memoize(m.number("<I", 4)))
_on("MEMOIZE")(lambda m: m.memoize(len(m.memo)))
_on("BINGET")(lambda m: m.recall(m.number("<B", 1)))
_on("LONG_BINGET")(lambda m: m.recall(m.number("<I", 4)))


@_on("GLOBAL")
def _global(m: Machine) -> None:
    module, name = m.line(), m.line()
    m.stack.append(m.grammar.find(f"{module}.{name}", m.opcode_at))


@_on("STACK_GLOBAL")
def _stack_global(m: Machine) -> None:
    name, module = m.pop(), m.pop()
    if type(name) is not str or type(module) is not str:
        m.fail("a global whose name is not text")
    m.stack.append(m.grammar.find(f"{module}.{name}", m.opcode_at))


@_on("REDUCE")
def _reduce(m: Machine) -> None:
    args, function = m.pop(), m.pop()
    _check_args(m, args)
    m.stack.append(m.grammar.call(function, args, {}, m.opcode_at))


@_on("NEWOBJ")
def _newobj(m: Machine) -> None:
    args, kind = m.pop(), m.pop()
    _check_args(m, args)
    m.stack.append(m.grammar.new(kind, args, {}, m.opcode_at))


@_on("NEWOBJ_EX")
def _newobj_ex(m: Machine) -> None:
    kwargs, args, kind = m.pop(), m.pop(), m.pop()
    _check_args(m, args)
    if type(kwargs) is not dict or not all(type(key) is str for key in kwargs):
        m.fail("keyword arguments that are no dictionary of names")
    m.stack.append(m.grammar.new(kind, args, kwargs, m.opcode_at))


def _check_args(m: Machine, args: Any) -> None:
    if type(args) is not tuple:
        m.fail(f"arguments must be a tuple, got {type(args).__name__}")


@_on("BUILD")
def _build(m: Machine) -> None:
    state = m.pop()
    m.grammar.build(m.top(), state, m.opcode_at)


@_on("BINPERSID")
def _binpersid(m: Machine) -> None:
    m.stack.append(m.grammar.persistent(m.pop(), m.opcode_at))
