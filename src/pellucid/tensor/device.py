"""The small enumerations that PyTorch programs mention: device, layout kind, memory format."""

from __future__ import annotations

import threading
from typing import Any

from pellucid.tensor.layout_rules import MemoryFormat

_TYPES = (
    "cpu", "cuda", "ipu", "xpu", "mkldnn", "opengl", "opencl", "ideep", "hip", "ve", "fpga", "maia",
    "xla", "lazy", "vulkan", "mps", "meta", "hpu", "mtia", "privateuseone",
)  # fmt: skip


class device:
    """Where a tensor lives. Pellucid computes on "cpu"; tensors on "meta" have no data; other
    devices can be named, not used. In a `with` block: where factories make tensors."""

    __slots__ = ("index", "type")
    type: str
    index: int | None

    def __init__(self, type: str | device | int = "cpu", index: int | None = None) -> None:
        if isinstance(type, device):
            index, type = type.index, type.type
        if isinstance(type, int):
            raise RuntimeError(
                "Cannot access accelerator device when none is available.\n"
                f"  device({type}) means the accelerator of that number; use device('cpu')."
            )
        if not type:
            raise RuntimeError("Device string must not be empty")
        name, colon, number = type.partition(":")
        if name not in _TYPES:
            known = ", ".join(_TYPES)
            raise RuntimeError(
                f"Expected one of {known} device type at start of device string: {name}"
            )
        if colon:
            if not number.isdigit():
                raise RuntimeError(f"Invalid device string: '{type}'")
            index = int(number)
        self.type = name
        self.index = index

    def __eq__(self, other: object) -> bool:
        return isinstance(other, device) and (self.type, self.index) == (other.type, other.index)

    def __hash__(self) -> int:
        return hash((self.type, self.index))

    def __str__(self) -> str:
        return self.type if self.index is None else f"{self.type}:{self.index}"

    def __repr__(self) -> str:
        return (
            f"device(type='{self.type}')"
            if self.index is None
            else f"device(type='{self.type}', index={self.index})"
        )

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return device, (str(self),)

    def __enter__(self) -> device:
        found = placed(self)
        chosen.stack = (*chosen.stack, found)
        return self

    def __exit__(self, *exc: object) -> None:
        chosen.stack = chosen.stack[:-1]


class _Chosen(threading.local):
    """Where this thread's factories make tensors if no device is named: the last one counts."""

    stack: tuple[device, ...] = ()


chosen = _Chosen()
CPU = device("cpu")
META = device("meta")
"""Where tensors without data are: `tensor/meta.py`."""


def placed(where: device | str | int | None) -> device:
    """Where a factory makes its tensor: META, or CPU. Errors as `require_cpu`."""
    if where is None:
        return chosen.stack[-1] if chosen.stack else CPU
    if where is META or where == "meta" or (isinstance(where, device) and where.type == "meta"):
        return META
    return require_cpu(where)


def require_cpu(where: device | str | int | None) -> device:
    """The CPU device. Raises: AssertionError for "cuda", RuntimeError for any other device."""
    if where is None or where is CPU or where == "cpu":
        return CPU
    found = device(where)
    if found.type == "cpu":
        return CPU
    if found.type == "cuda":
        raise AssertionError(
            "Torch not compiled with CUDA enabled\n"
            "  Pellucid computes on the CPU. Use device='cpu', or choose the device with "
            "torch.device('cuda' if torch.cuda.is_available() else 'cpu')."
        )
    raise RuntimeError(
        f"Pellucid computes on the CPU; there is no device {str(found)!r}. Use device='cpu'."
    )


class memory_format:
    """An order of strides."""

    __slots__ = ("name",)

    def __init__(self, name: MemoryFormat) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"

    def __reduce__(self) -> tuple[Any, tuple[str]]:
        return memory_format_named, (self.name,)


contiguous_format = memory_format("contiguous_format")
channels_last = memory_format("channels_last")
channels_last_3d = memory_format("channels_last_3d")
preserve_format = memory_format("preserve_format")
_FORMATS: dict[str, memory_format] = {
    f.name: f for f in (contiguous_format, channels_last, channels_last_3d, preserve_format)
}


def memory_format_named(name: str) -> memory_format:
    """The memory format with this name."""
    return _FORMATS[name]


class layout_kind:
    """How elements are stored; Pellucid has `torch.strided` only."""

    __slots__ = ("name",)

    def __init__(self, name: str) -> None:
        self.name = name

    def __repr__(self) -> str:
        return f"torch.{self.name}"


strided = layout_kind("strided")
sparse_coo = layout_kind("sparse_coo")
sparse_csr = layout_kind("sparse_csr")
sparse_csc = layout_kind("sparse_csc")
sparse_bsr = layout_kind("sparse_bsr")
sparse_bsc = layout_kind("sparse_bsc")
jagged = layout_kind("jagged")
