"""One expression, evaluated with PyTorch as `torch` and with Pellucid: both must show the same.

Seen are: type, dtype, shape, strides, offset, autograd flags and the bits of the values of tensors;
the
`repr` of anything else; the type and the first sentence of an error; the category and first
sentence
of warnings. Both sides start from `manual_seed(0)`.
"""

from __future__ import annotations

import re
import warnings
from types import ModuleType
from typing import Any

import numpy as np
import torch

import pellucid

torch.set_num_threads(1)


def lines(text: str) -> list[str]:
    """The expressions of a table: one a line, without comments."""
    return [line for line in map(str.strip, text.splitlines()) if line and line[0] != "#"]


def first_sentence(message: str) -> str:
    """The first sentence of the first line, without Pellucid's own hints."""
    return re.split(r"(?<=[.!?])\s", message.split("\n")[0])[0]


def seen(value: Any) -> Any:
    """What is compared of a result."""
    if isinstance(value, (torch.Tensor, pellucid.Tensor)):
        node = value.grad_fn
        name = node.name() if node is not None else None
        place = tuple(value.shape), tuple(value.stride()), value.storage_offset()
        return str(value.dtype), place, value.requires_grad, name, bits(value.detach())
    if isinstance(value, (list, tuple)):
        return type(value).__name__, [seen(each) for each in value]
    return repr(value)


def bits(tensor: Any) -> Any:
    """The values as they lie in memory, so that -0.0 and 0.0 differ and NaN equals NaN."""
    if str(tensor.dtype) == "torch.bfloat16":
        tensor = tensor.float()
    array = np.ascontiguousarray(tensor.numpy())
    return array.shape, np.where(array != array, np.nan, array).tobytes()


def outcome(expression: str, library: ModuleType) -> Any:
    """What the expression gives or raises with `library` as `torch`, and what it warns of."""
    library.manual_seed(0)
    with warnings.catch_warnings(record=True) as told:
        warnings.simplefilter("always")
        try:
            result = seen(eval(expression, {"torch": library, "np": np}))
        except Exception as error:
            result = type(error).__name__, first_sentence(str(error))
    return result, [(w.category.__name__, first_sentence(str(w.message))) for w in told]


def check(expression: str, *, warned: bool = True) -> None:
    """Compare both sides; `warned=False` leaves warnings out (PyTorch gives some only once)."""
    theirs, told_theirs = outcome(expression, torch)
    ours, told_ours = outcome(expression, pellucid)
    assert ours == theirs, f"{expression}\nPyTorch:  {theirs}\nPellucid: {ours}"
    if warned:
        assert told_ours == told_theirs, expression
