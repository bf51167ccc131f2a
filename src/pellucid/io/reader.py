"""`load`: read what `torch.save` wrote, without running any of it."""

from __future__ import annotations

import os
from typing import IO, Any

import numpy as np

from pellucid.io import safetensors
from pellucid.io.archive import Archive
from pellucid.io.detect import ZIP, no_checkpoint
from pellucid.io.errors import RefusedError, UnpicklingError
from pellucid.io.grammar import AllowList
from pellucid.io.inspection import inspect_pickle
from pellucid.io.legacy import load_legacy
from pellucid.io.locations import MapLocation, restorer
from pellucid.io.machine import Machine
from pellucid.io.opening import File, opened, pickle_of
from pellucid.io.refused import Refused
from pellucid.io.worlds import ZipWorld, map_file

_WAYS_OUT = (
    "\nNothing was run. Ways on:"
    "\n  pellucid.io.inspect_pickle(file)           what the file holds and where"
    "\n  load(file, skip_refused=True)              every tensor, `Refused` in place of the rest"
    "\n  with safe_globals([TheClass]): load(file)  if you know the class and trust the file"
)
_MODULE_HINT = (
    "\nThe file holds a whole nn.Module, whose classes only its own program has. Save "
    "model.state_dict() there; or read it here with load(file, skip_refused=True).state_dict()."
)


def load(
    f: File,
    map_location: MapLocation = None,
    pickle_module: Any = None,
    *,
    weights_only: bool | None = None,
    mmap: bool | None = None,
    skip_refused: bool = False,
    **pickle_load_args: Any,
) -> Any:
    """Read an object saved with `torch.save`, by PyTorch or by Pellucid.

    The file is data: names in it are looked up in a fixed list (`pellucid.io.rules`) plus
    `add_safe_globals`, and nothing is imported. `weights_only=False` adds what the running program
    itself has: classes of modules, classes of its own files, operators
    (`pellucid.io.program_classes`). Whole models are read so; no other code can be reached.

    Args:
        f: a path, or a seekable file opened for reading bytes.
        map_location: a device, its name, a dictionary of locations or a function of storage and
            location. All tensors are on the CPU in the end.
        pickle_module: accepted if None or Python's own `pickle`; it is not used.
        weights_only: see above.
        mmap: look at the storages where they lie in the file (copy on write) instead of reading
            them. Needs a path.
        skip_refused: put `Refused(name, offset)` where an object outside the list would be.
        **pickle_load_args: `encoding=` for strings written by Python 2, "utf-8" by default.

    Returns:
        The object: tensors (leaves; shared storage stays shared) in plain containers.

    Raises:
        UnpicklingError: a refused name, damage, a file that is something else; also a
            `pickle.UnpicklingError` and a `RuntimeError`.
        TruncatedFileError: the same, and an `EOFError`.
        RuntimeError: `map_location` (or the file) asks for a device that is not there.
    """
    unknown = set(pickle_load_args) - {"encoding", "errors", "fix_imports"}
    if unknown:
        raise TypeError(f"load() got an unexpected keyword argument {min(unknown)!r}")
    only = weights_only is not False
    if only and pickle_module is not None and weights_only:
        raise RuntimeError("Can not safely load weights when explicit pickle_module is specified")
    encoding = pickle_load_args.get("encoding", "utf-8")
    if isinstance(f, (str, os.PathLike)) and os.fspath(f).endswith(".safetensors"):
        return safetensors.load_file(f, device=_safetensors_device(map_location))
    with opened(f) as file:
        start = file.tell()
        problem = no_checkpoint(file)
        if problem is not None:
            raise problem
        try:
            return _load(file, f, map_location, bool(mmap), encoding, skip_refused, not only)
        except RefusedError as error:
            raise RefusedError(_advice(str(error), only, file, start)) from None
        except UnpicklingError as error:
            if only and type(error) is UnpicklingError:
                raise UnpicklingError(f"Weights only load failed. {error}") from None
            raise


def _load(
    file: IO[bytes],
    f: File,
    map_location: Any,
    mapped: bool,
    encoding: str,
    skip_refused: bool,
    program: bool,
) -> Any:
    start = file.tell()
    head = file.read(len(ZIP))
    file.seek(start)
    restore = restorer(map_location)
    if head != ZIP:
        if mapped:
            named = f"{f}, " if isinstance(f, str) else ""
            raise RuntimeError(
                f"mmap can only be used with files saved with `torch.save({named}"
                "_use_new_zipfile_serialization=True), please torch.save your checkpoint with "
                "this option in order to use mmap."
            )
        return load_legacy(
            file, restore, encoding=encoding, skip_refused=skip_refused, program=program
        )
    if mapped and not isinstance(f, (str, os.PathLike)):
        raise ValueError("f must be a file path in order to use the mmap argument")
    archive = Archive(file)
    memory: np.ndarray | None = map_file(file) if mapped else None
    data = pickle_of(archive)
    world = ZipWorld(archive, restore, memory)
    grammar = AllowList(world, len(data), skip_refused=skip_refused, program=program)
    return Machine(data, grammar, encoding=encoding).run()


def _advice(message: str, only: bool, file: IO[bytes], start: int) -> str:
    """The message of a refusal, with all refused names and the ways on."""
    file.seek(start)
    report = inspect_pickle(file)
    names = report.refused
    text = ("Weights only load failed. " if only else "") + message
    if len(names) > 1:
        shown = ", ".join(f"{name} (byte {at})" for at, name in names[:8])
        text += f"\nIn all, {len(names)} names are refused: {shown}{' ...' * (len(names) > 8)}"
    value = report.value
    if isinstance(value, Refused) and isinstance(value.state, dict) and "_modules" in value.state:
        text += _MODULE_HINT
    return text + _WAYS_OUT


def _safetensors_device(map_location: Any) -> str:
    if isinstance(map_location, dict) or callable(map_location):
        kind = "dict" if isinstance(map_location, dict) else "callable"
        raise RuntimeError(
            f"Loading safetensors file with {kind} map_location is not supported. Use a device "
            "string or torch.device instead."
        )
    return "cpu" if map_location is None else str(map_location)
