"""The allow-list: every name a file may use without the user's word, and what it means.

Each rule checks its arguments and builds plain data. `VALUES` gives what a bare name stands for,
`CALLS` what calling that value gives; a name in neither is refused.
"""

from __future__ import annotations

import argparse
from collections import Counter, OrderedDict
from collections.abc import Callable
from typing import TYPE_CHECKING, Any

from pellucid.io import numpy_rules
from pellucid.io.budget import checked_key
from pellucid.io.element_types import DTYPES, STORAGE_TYPES
from pellucid.io.errors import RefusedError, UnpicklingError
from pellucid.tensor.device import device
from pellucid.tensor.dtype import dtype
from pellucid.tensor.size import Size

if TYPE_CHECKING:
    from pellucid.io.grammar import AllowList

Rule = Callable[["AllowList", tuple[Any, ...]], Any]

TENSOR = "torch.Tensor"
PARAMETER = "torch.nn.parameter.Parameter"


def expect(condition: bool, what: str) -> None:
    """Raise `UnpicklingError(what)` unless `condition` holds."""
    if not condition:
        raise UnpicklingError(what)


# -- tensors


def rebuild_tensor(g: AllowList, args: tuple[Any, ...]) -> Any:
    """(storage, offset, shape, strides): files older than PyTorch 0.4."""
    expect(len(args) == 4, f"_rebuild_tensor takes 4 arguments, got {len(args)}")
    return g.tensor(args[0], None, args[1], args[2], args[3], False, None)


def rebuild_tensor_v2(g: AllowList, args: tuple[Any, ...]) -> Any:
    """(storage, offset, shape, strides, requires_grad, hooks[, metadata])."""
    expect(len(args) in (6, 7), f"_rebuild_tensor_v2 takes 6 or 7 arguments, got {len(args)}")
    metadata = args[6] if len(args) == 7 else None
    return g.tensor(args[0], None, args[1], args[2], args[3], args[4], metadata)


def rebuild_tensor_v3(g: AllowList, args: tuple[Any, ...]) -> Any:
    """(untyped storage, offset, shape, strides, requires_grad, hooks, dtype[, metadata])."""
    expect(len(args) in (7, 8), f"_rebuild_tensor_v3 takes 7 or 8 arguments, got {len(args)}")
    expect(isinstance(args[6], dtype), "_rebuild_tensor_v3 needs a dtype")
    metadata = args[7] if len(args) == 8 else None
    return g.tensor(args[0], args[6], args[1], args[2], args[3], args[4], metadata)


def rebuild_parameter(g: AllowList, args: tuple[Any, ...]) -> Any:
    """(data, requires_grad, hooks)."""
    expect(len(args) == 3, f"_rebuild_parameter takes 3 arguments, got {len(args)}")
    return g.parameter(args[0], args[1])


def rebuild_parameter_with_state(g: AllowList, args: tuple[Any, ...]) -> Any:
    """(data, requires_grad, hooks, state): a parameter with Python attributes."""
    expect(len(args) == 4, f"_rebuild_parameter_with_state takes 4 arguments, got {len(args)}")
    parameter = g.parameter(args[0], args[1])
    g.set_attributes(parameter, args[3])
    return parameter


def rebuild_from_type(g: AllowList, args: tuple[Any, ...]) -> Any:
    """(rebuild function, class, its arguments, state): a tensor with Python attributes."""
    expect(len(args) == 4, f"_rebuild_from_type_v2 takes 4 arguments, got {len(args)}")
    function, kind, arguments, state = args
    expect(any(function is known for known in REBUILDERS), "not a function that rebuilds tensors")
    expect(type(arguments) is tuple, "the arguments of a rebuild function must be a tuple")
    made = function(g, arguments)
    if kind is g.known_parameter and type(made) is not kind:
        made = g.parameter(made, False)
    elif id(kind) in g.user_objects and isinstance(kind, type):
        return g.user_tensor(made, kind, state)
    elif kind is not g.world.tensor_class and kind is not g.known_parameter:
        raise RefusedError(f"a tensor of the class {getattr(kind, '__name__', 'unknown')!r}")
    g.set_attributes(made, state)
    return made


def parameter_of(g: AllowList, args: tuple[Any, ...]) -> Any:
    """`Parameter(data[, requires_grad])`."""
    expect(len(args) in (1, 2), f"Parameter takes 1 or 2 arguments, got {len(args)}")
    return g.parameter(args[0], args[1] if len(args) == 2 else True)


REBUILDERS = (rebuild_tensor, rebuild_tensor_v2, rebuild_tensor_v3, rebuild_parameter)


# -- containers and numbers


def ordered_dict(g: AllowList, args: tuple[Any, ...]) -> Any:
    """`OrderedDict()` or `OrderedDict(pairs)`."""
    made: OrderedDict[Any, Any] = OrderedDict()
    for pair in _one_sequence("OrderedDict", g, args):
        expect(isinstance(pair, (tuple, list)) and len(pair) == 2, "OrderedDict needs pairs")
        made[checked_key(pair[0])] = pair[1]
    return made


def counter(g: AllowList, args: tuple[Any, ...]) -> Any:
    """`Counter()` or `Counter(dictionary)`."""
    expect(len(args) <= 1, f"Counter takes 1 argument, got {len(args)}")
    if not args:
        return Counter()
    expect(type(args[0]) is dict, "Counter needs a dictionary")
    g.budget.charge(64 * len(args[0]), "Counter")
    made: Counter[Any] = Counter()
    dict.update(made, args[0])
    return made


def a_set(g: AllowList, args: tuple[Any, ...]) -> Any:
    """`set()` or `set(items)`."""
    return {checked_key(item) for item in _one_sequence("set", g, args)}


def a_frozenset(g: AllowList, args: tuple[Any, ...]) -> Any:
    """`frozenset(items)`."""
    return frozenset(checked_key(item) for item in _one_sequence("frozenset", g, args))


def _one_sequence(name: str, g: AllowList, args: tuple[Any, ...]) -> Any:
    expect(len(args) <= 1, f"{name} takes at most 1 argument, got {len(args)}")
    if not args:
        return ()
    expect(type(args[0]) in (list, tuple), f"{name} needs a list, got {type(args[0]).__name__}")
    g.budget.charge(64 * len(args[0]), name)
    return args[0]


def encode(g: AllowList, args: tuple[Any, ...]) -> bytes:
    """`_codecs.encode(text, "latin1")`: how protocol 2 writes bytes."""
    expect(
        len(args) == 2 and type(args[0]) is str and args[1] in ("latin1", "latin-1"),
        "_codecs.encode needs text and 'latin1'",
    )
    g.budget.charge(len(args[0]), "_codecs.encode")
    try:
        return args[0].encode("latin1")
    except UnicodeEncodeError as error:
        raise UnpicklingError(
            f"bytes written as text hold a character beyond 255: {error.reason}"
        ) from None


def a_bytes(g: AllowList, args: tuple[Any, ...]) -> bytes:
    """`bytes()`, which is how protocol 2 writes empty ones, or `bytes(bytes)`."""
    return bytes(_one_bytes("bytes", g, args))


def a_bytearray(g: AllowList, args: tuple[Any, ...]) -> bytearray:
    """`bytearray(bytes)` or `bytearray(text, "latin-1")`; never `bytearray(count)`."""
    if len(args) == 2:
        return bytearray(encode(g, args))
    return bytearray(_one_bytes("bytearray", g, args))


def _one_bytes(name: str, g: AllowList, args: tuple[Any, ...]) -> Any:
    expect(len(args) <= 1, f"{name} takes at most 1 argument, got {len(args)}")
    if not args:
        return b""
    expect(type(args[0]) in (bytes, bytearray), f"{name} needs bytes")
    g.budget.charge(len(args[0]), name)
    return args[0]


def a_complex(g: AllowList, args: tuple[Any, ...]) -> complex:
    """`complex(real, imag)`."""
    expect(len(args) == 2 and all(type(part) is float for part in args), "complex needs two floats")
    return complex(*args)


def a_slice(g: AllowList, args: tuple[Any, ...]) -> slice:
    """`slice(start, stop, step)`."""
    plain = all(part is None or _is_int64(part) for part in args)
    expect(len(args) == 3 and plain, "slice needs three integers or None")
    return slice(*args)


def _is_int64(value: Any) -> bool:
    return type(value) is int and -(1 << 63) <= value < 1 << 63


def a_range(g: AllowList, args: tuple[Any, ...]) -> range:
    """`range(start, stop, step)`."""
    expect(
        len(args) == 3 and all(map(_is_int64, args)) and args[2] != 0,
        "range needs three integers, the last not 0",
    )
    return range(*args)


def size(g: AllowList, args: tuple[Any, ...]) -> Size:
    """`torch.Size((2, 3))`."""
    values = _one_sequence("torch.Size", g, args)
    expect(all(map(_is_int64, values)), "torch.Size needs integers")
    return Size(values)


def a_device(g: AllowList, args: tuple[Any, ...]) -> device:
    """`torch.device("cpu")`, `torch.device("cuda", 0)`."""
    plain = len(args) in (1, 2) and type(args[0]) is str and len(args[0]) < 64
    expect(plain and (len(args) == 1 or args[1] in range(256)), "torch.device needs a name")
    try:
        return device(*args)
    except RuntimeError as error:
        raise UnpicklingError(str(error)) from None


def namespace(g: AllowList, args: tuple[Any, ...]) -> argparse.Namespace:
    """An empty `argparse.Namespace`; its fields follow as state."""
    expect(not args, "argparse.Namespace is written without arguments")
    return argparse.Namespace()


VALUES: dict[str, Any] = {
    "_codecs.encode": encode,
    "argparse.Namespace": argparse.Namespace,
    "builtins.bytearray": bytearray,
    "builtins.bytes": bytes,
    "builtins.complex": complex,
    "builtins.frozenset": frozenset,
    "builtins.range": range,
    "builtins.set": set,
    "builtins.slice": slice,
    "collections.Counter": Counter,
    "collections.OrderedDict": OrderedDict,
    "torch.Size": Size,
    "torch.device": device,
    "torch._tensor._rebuild_from_type_v2": rebuild_from_type,
    "torch._utils._rebuild_parameter": rebuild_parameter,
    "torch._utils._rebuild_parameter_with_state": rebuild_parameter_with_state,
    "torch._utils._rebuild_tensor": rebuild_tensor,
    "torch._utils._rebuild_tensor_v2": rebuild_tensor_v2,
    "torch._utils._rebuild_tensor_v3": rebuild_tensor_v3,
    **numpy_rules.VALUES,
    **STORAGE_TYPES,
    **DTYPES,
}

CALLS: dict[Any, Rule] = {
    argparse.Namespace: namespace,
    bytearray: a_bytearray,
    bytes: a_bytes,
    complex: a_complex,
    frozenset: a_frozenset,
    range: a_range,
    set: a_set,
    slice: a_slice,
    Counter: counter,
    OrderedDict: ordered_dict,
    Size: size,
    device: a_device,
    encode: encode,
    rebuild_from_type: rebuild_from_type,
    rebuild_parameter_with_state: rebuild_parameter_with_state,
    **{rule: rule for rule in REBUILDERS},
    **numpy_rules.CALLS,
}
