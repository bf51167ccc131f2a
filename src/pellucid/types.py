"""`torch.types`: names for annotations."""

from __future__ import annotations

from collections.abc import Sequence
from os import PathLike
from typing import IO, Any

from pellucid.tensor.device import device as _device
from pellucid.tensor.dtype import dtype as _dtype  # noqa: F401
from pellucid.tensor.size import Size as _Size
from pellucid.tensor.storage import Storage as Storage
from pellucid.tensor.tensor import Tensor

__all__ = ["Device", "FileLike", "Number", "Storage"]

Number = int | float | bool
Device = _device | str | int | None
FileLike = str | PathLike[str] | IO[bytes]
_TensorOrTensors = Tensor | Sequence[Tensor]
_TensorOrTensorsOrGradEdge = _TensorOrTensors | Any
_size = _Size | list[int] | tuple[int, ...]
_int, _float, _bool, _complex = int, float, bool, complex
_symsize = _size
PySymType = int | float | bool
IntLikeType = int
FloatLikeType = float
BoolLikeType = bool
py_sym_types = (int, float, bool)
