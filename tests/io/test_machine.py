"""The stack machine: Python's own pickles are read, and every wrong program is refused in words."""

import pickle
import pickletools
import struct
from collections import Counter, OrderedDict

import pytest
from hypothesis import given, settings
from hypothesis import strategies as st

from pellucid.io.errors import TruncatedFileError, UnpicklingError
from pellucid.io.grammar import AllowList
from pellucid.io.inspection import NotesWorld
from pellucid.io.machine import Machine
from pellucid.io.opcodes import HANDLERS, OPCODES


def run(program, **options):
    grammar = AllowList(NotesWorld(), len(program), where="the program")
    return Machine(program, grammar, where="the program", **options).run()


keys = st.one_of(
    st.integers(-(2**63), 2**64 - 1),
    st.text(max_size=8),
    st.booleans(),
    st.binary(max_size=8),
    st.tuples(st.integers(0, 9), st.text(max_size=3)),
)
leaves = st.one_of(
    st.none(),
    st.integers(-(2**200), 2**200),
    st.floats(allow_nan=False),
    st.complex_numbers(allow_nan=False),
    st.binary(max_size=300).map(bytearray),
    st.frozensets(keys, max_size=3),
    st.sets(keys, max_size=3),
    st.builds(slice, st.none(), st.integers(0, 5), st.none()),
    st.builds(range, st.integers(0, 5), st.integers(5, 9), st.integers(1, 3)),
    keys,
)
nested = st.recursive(
    leaves,
    lambda inner: st.one_of(
        st.lists(inner, max_size=4),
        st.lists(inner, max_size=4).map(tuple),
        st.dictionaries(keys, inner, max_size=4),
        st.dictionaries(keys, inner, max_size=4).map(OrderedDict),
        st.dictionaries(keys, st.integers(), max_size=4).map(Counter),
    ),
    max_leaves=20,
)


@settings(max_examples=150, deadline=None)
@given(nested, st.integers(2, 5))
def test_whatever_python_pickles_is_read(value, protocol):
    program = pickle.dumps(value, protocol)
    found = run(program)
    assert found == pickle.loads(program)
    assert type(found) is type(value)


def test_identity_and_cycles_are_kept():
    shared = [1]
    ring = {"a": shared, "b": shared}
    ring["self"] = ring
    for protocol in (2, 4):
        found = run(pickle.dumps(ring, protocol))
        assert found["a"] is found["b"]
        assert found["self"] is found


def test_large_containers_and_long_text():
    value = {"list": list(range(3000)), "text": "x" * 70000, "bytes": b"y" * 70000, "set": {*"abc"}}
    for protocol in (2, 3, 4, 5):
        assert run(pickle.dumps(value, protocol)) == value


WRONG = {
    "empty": (b"", "Ran out of input"),
    "no stop": (b"\x80\x02N", "without a STOP opcode"),
    "nothing to return": (b".", "the stack is empty"),
    "protocol": (b"\x80\x09N.", "pickle protocol 9"),
    "pop": (b"0.", "there is no MARK"),
    "tuple": (b"t.", "there is no MARK"),
    "tuple2": (b"N\x86.", "the stack is empty"),
    "mark hides the stack": (b"N(\x85.", "the stack is empty"),
    "memo read": (b"h\x05.", "memo entry 5 is read before it is written"),
    "memo write": (b"q\x05.", "the stack is empty"),
    "text too long": (b"X\xff\xff\xff\x7fab.", "2147483647 bytes announced, 3 left"),
    "text too long for any file": (b"\x8d" + b"\xff" * 8 + b".", "bytes announced"),
    "bytes too long": (b"B\xff\xff\xff\xffab.", "bytes announced"),
    "bytearray too long": (b"\x96" + b"\xff" * 8, "bytes announced"),
    "number too long": (b"\x8b\xff\xff\xff\x7f.", "bytes announced"),
    "negative length": (b"\x8b\xff\xff\xff\xff.", "a negative length"),
    "frame": (b"\x95" + struct.pack("<Q", 2**40) + b"N.", "a frame of 1099511627776 bytes"),
    "not utf-8": (b"X\x01\x00\x00\x00\xff.", "text that is not UTF-8"),
    "unhashable key": (b"}]Ns.", "unhashable key: list"),
    "unhashable element": (b"\x8f(]\x90.", "unhashable key: list"),
    "huge key": (b"}\x8a\x09" + b"\x01" * 9 + b"Ns.", "an integer key beyond 64 bits"),
    "odd items": (b"}(Nu.", "a key without a value"),
    "append": (b"NNa.", "Can only APPENDS"),
    "append to a tuple": (b")Na.", "Can only APPENDS"),
    "setitem": (b"NNNs.", "Can only SETITEMS"),
    "additems": (b"N(N\x90.", "Can only ADDITEMS"),
    "name": (b"cnewline", "a name without an end"),
    "name length": (b"c" + b"a" * 9000, "a name longer than"),
    "name of numbers": (b"K\x01K\x02\x93.", "a global whose name is not text"),
    "global": (b"cos\nsystem\n.", "whose module is blocked"),
    "posix": (b"cposix\nsystem\n.", "whose module is blocked"),
    "import": (b"cbuiltins\n__import__\n.", "Unsupported global: GLOBAL __import__"),
    "python 2 eval": (b"c__builtin__\neval\n.", "Unsupported global: GLOBAL eval"),
    "dotted": (b"\x8c\x0bcollections\x8c\x0fOrderedDict.pop\x93.", "OrderedDict.pop"),
    "inside a class": (b"\x8c\x05torch\x8c\x0eSize.__class__\x93.", r"torch\.Size\.__class__"),
    "call a number": (b"K\x01)R.", "Trying to call reduce for unrecognized function int"),
    "call a dtype": (b"ctorch\nfloat32\n)R.", "Trying to call reduce"),
    "arguments": (b"ccollections\nOrderedDict\n]R.", "arguments must be a tuple"),
    "new number": (b"K\x01)\x81.", "Can only create new object"),
    "new function": (b"ctorch._utils\n_rebuild_tensor_v2\n)\x81.", "Can only create new object"),
    "build": (b"]}b.", "Can only build Tensor"),
    "hide a method": (
        b"ccollections\nOrderedDict\n)R}X\x05\x00\x00\x00itemsNsb.",
        "'items' would hide",
    ),
    "class attribute": (
        b"cargparse\nNamespace\n)\x81}X\x09\x00\x00\x00__class__Nsb.",
        "'__class__' would hide",
    ),
    "persistent text": (b"X\x01\x00\x00\x00aQ.", "persistent_load id must be"),
    "persistent other": (b"X\x01\x00\x00\x00aK\x01\x86Q.", "Only persistent_load of storage"),
    "bytearray of a size": (
        b"cbuiltins\nbytearray\n\x8a\x05\x00\x00\x00\x00\x40\x85R.",
        "bytearray needs bytes",
    ),
    "encode": (b"c_codecs\nencode\nX\x01\x00\x00\x00aX\x03\x00\x00\x00zip\x86R.", "'latin1'"),
    "size": (b"ctorch\nSize\nX\x01\x00\x00\x00a\x85\x85R.", "torch.Size needs integers"),
    "device": (b"ctorch\ndevice\nX\x04\x00\x00\x00moon\x85R.", "device type at start"),
    "tensor": (b"ctorch._utils\n_rebuild_tensor_v2\n)R.", "takes 6 or 7 arguments"),
    "range": (b"cbuiltins\nrange\nK\x00K\x01K\x00\x87R.", "range needs three integers"),
    "slice": (b"cbuiltins\nslice\nNN]\x87R.", "slice needs three integers or None"),
    "dtype": (b"cnumpy\ndtype\nX\x01\x00\x00\x00O\x89\x88\x87R.", "a NumPy dtype 'O'"),
    "registry": (b"\x82\x01.", "EXT1 is not used by PyTorch"),
    "instance": (b"(ios\nsystem\n.", "INST is not used by PyTorch"),
    "obj": (b"(o.", "OBJ is not used by PyTorch"),
    "buffer": (b"\x97.", "NEXT_BUFFER is not used"),
    "protocol 0": (b"I1\n.", "INT is not used by PyTorch"),
    "no opcode": (b"\xff.", "Unsupported operand 255: byte 0xff is no pickle opcode"),
}


@pytest.mark.parametrize(("program", "words"), WRONG.values(), ids=WRONG)
def test_wrong_programs_are_refused(program, words):
    with pytest.raises(UnpicklingError, match=words) as caught:
        run(program)
    assert "the program" in str(caught.value)


def test_errors_tell_offset_and_opcode():
    with pytest.raises(UnpicklingError, match=r"at byte 4 of the program, opcode TUPLE1"):
        run(b"\x80\x02N(\x85.")


def test_early_ends_are_end_of_file_errors():
    program = pickle.dumps({"a": [1, 2.5, "text"], "b": b"bytes"}, 4)
    for cut in range(len(program)):
        with pytest.raises(TruncatedFileError, match=r"Ran out of input|announced|without an end"):
            run(program[:cut])


def test_nested_equal_tuples_are_no_time_bomb():
    """The hash of ((((...), (...)), ...)) would take 2**60 steps."""
    with pytest.raises(UnpicklingError, match="a key of more than 1000 parts"):
        run(b"}" + b")" + b"q\x00h\x00\x86" * 60 + b"Ns.")


def test_deep_tuples_as_keys_do_not_overflow_the_stack():
    with pytest.raises(UnpicklingError, match="a key of more than 1000 parts"):
        run(b"})" + b"\x85" * 200_000 + b"Ns.")


def test_deep_nesting_is_read_without_recursion():
    value = run(b"]" * 100_000 + b"a" * 99_999 + b".")
    depth = 1
    while value:
        value = value[0]
        depth += 1
    assert depth == 100_000


def test_copies_are_bounded_by_the_size_of_the_pickle():
    """One text of 4 MB, remembered, and turned into bytes a thousand times."""
    text = b"X" + struct.pack("<I", 4_000_000) + b"a" * 4_000_000 + b"q\x00"
    latin = b"X\x06\x00\x00\x00latin1q\x01"
    call = b"c_codecs\nencode\nh\x00h\x01\x86R"
    with pytest.raises(UnpicklingError, match="asks for more copied bytes"):
        run(text + latin + b"(" + call * 1000 + b"l.")


def test_every_opcode_python_writes_in_protocols_2_to_5_is_known():
    """What has no handler is exactly what is announced as refused."""
    refused = {name for byte, name in OPCODES.items() if HANDLERS[byte] is None}
    known = {name for byte, name in OPCODES.items() if HANDLERS[byte] is not None}
    old = {"INST", "OBJ", "PERSID", "INT", "LONG", "STRING", "UNICODE", "FLOAT", "GET", "PUT"}
    assert refused == old | {"EXT1", "EXT2", "EXT4", "NEXT_BUFFER", "READONLY_BUFFER"}
    written = {opcode.name for opcode in pickletools.opcodes if opcode.proto >= 2}
    assert written - refused <= known
