"""Every view: importing this module describes them all."""

from pellucid.ops.views.axes import permute, squeeze, transpose, unsqueeze
from pellucid.ops.views.memory import as_strided, conj, imag, real
from pellucid.ops.views.parts import narrow, select, split
from pellucid.ops.views.shape import expand, flatten, reshape, view

__all__ = [
    "as_strided",
    "conj",
    "expand",
    "flatten",
    "imag",
    "narrow",
    "permute",
    "real",
    "reshape",
    "select",
    "split",
    "squeeze",
    "transpose",
    "unsqueeze",
    "view",
]
