"""`map_location`: where storages go, for files that were saved on other devices.

Everything is loaded to the CPU; what remains of the argument is to accept every form of it, to call
it, and to refuse devices in PyTorch's words.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid.tensor.device import device
from pellucid.tensor.storage import Storage

MapLocation = Callable[[Storage, str], Storage | None] | device | str | dict[str, str] | None
_NOT_HERE = {"cuda": "CUDA", "xpu": "XPU", "mps": "MPS", "hpu": "HPU", "mtia": "MTIA"}


def restore_to_cpu(storage: Storage, location: str) -> Storage:
    """`storage` if `location` is the CPU.

    Raises:
        RuntimeError: a device that is not there, or no device at all.
    """
    kind = location.partition(":")[0]
    if kind == "cpu":
        return storage
    if kind in _NOT_HERE:
        raise RuntimeError(
            f"Attempting to deserialize object on a {_NOT_HERE[kind]} device but "
            f"torch.{kind}.is_available() is False. If you are running on a CPU-only machine, "
            "please use torch.load with map_location=torch.device('cpu') to map your storages "
            "to the CPU."
        )
    raise RuntimeError(
        "don't know how to restore data location of torch.storage.UntypedStorage "
        f"(tagged with {location})"
    )


def restorer(map_location: Any) -> Callable[[Storage, str], Storage]:
    """A function of a storage and the location saved with it that gives the storage to use.

    Args:
        map_location: None, a device or its name (for all storages), a dictionary from saved to
            wanted locations, or a function that returns a storage, or None to leave it.
    """
    if map_location is None:
        return restore_to_cpu
    if isinstance(map_location, dict):
        return lambda storage, saved: restore_to_cpu(storage, str(map_location.get(saved, saved)))
    if isinstance(map_location, bytes):
        map_location = map_location.decode()
    if isinstance(map_location, (str, device)):
        wanted = str(map_location)
        return lambda storage, saved: restore_to_cpu(storage, wanted)
    if not callable(map_location):
        raise TypeError(
            "map_location must be a device, its name, a dictionary or a function, got "
            f"{type(map_location).__name__}"
        )

    def restore(storage: Storage, saved: str) -> Storage:
        mapped = map_location(storage, saved)
        return restore_to_cpu(storage, saved) if mapped is None else mapped

    return restore
