"""Who wrote a storage last, for the error of a backward pass that finds a saved tensor changed.

The name of the operator is always known. Its line in the program is looked for only while somebody
looks on: in anomaly mode, or while `explain` or a trace listens.
"""

from __future__ import annotations

import linecache
import os
import sys

from pellucid.autograd.node import Anomaly
from pellucid.tensor.events import listeners
from pellucid.tensor.storage import Storage

_PACKAGE = os.path.dirname(os.path.dirname(__file__)) + os.sep


def sign(storage: Storage, name: str) -> None:
    """Note that the operator `name` has written `storage`."""
    storage.writer = name + line() if Anomaly.enabled or listeners else name


def line() -> str:
    """ " (train.py, line 12: `x += 1`)": the first line of the call that is not Pellucid's."""
    frame = sys._getframe(1)
    while frame is not None and frame.f_code.co_filename.startswith(_PACKAGE):
        frame = frame.f_back  # type: ignore[assignment]
    if frame is None:
        return ""
    file = frame.f_code.co_filename
    text = linecache.getline(file, frame.f_lineno).strip()
    shown = f": `{text}`" if text else ""
    return f" ({os.path.basename(file)}, line {frame.f_lineno}{shown})"
