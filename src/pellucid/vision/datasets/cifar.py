"""CIFAR-10 and CIFAR-100 (Krizhevsky 2009, "Learning Multiple Layers of Features from Tiny
Images").

The archives hold pickles. A pickle can run anything: these are read by an unpickler that builds
arrays and plain values and nothing else.
"""

from __future__ import annotations

import io
import os
import pickle
import tarfile
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pellucid.vision.datasets.vision import Step, VisionDataset, damaged, not_found
from pellucid.vision.pillow import pillow


def _rebuild(subtype: Any, shape: Any, dtype: Any) -> np.ndarray:
    """What NumPy's `_reconstruct` does, for plain arrays alone."""
    return np.ndarray.__new__(np.ndarray, (0,), "u1")


def _encode(text: str, encoding: str = "latin1") -> bytes:
    """How newer pickles spell bytes."""
    return text.encode("latin1")


class _Plain(pickle.Unpickler):
    """Arrays, numbers, strings, lists and dicts; every other name is refused."""

    _allowed: ClassVar[dict[tuple[str, str], Any]] = {
        ("numpy.core.multiarray", "_reconstruct"): _rebuild,
        ("numpy._core.multiarray", "_reconstruct"): _rebuild,
        ("_codecs", "encode"): _encode,
        ("numpy", "ndarray"): np.ndarray,
        ("numpy", "dtype"): np.dtype,
    }

    def find_class(self, module: str, name: str) -> Any:
        found = self._allowed.get((module, name))
        if found is None:
            raise pickle.UnpicklingError(f"it asks for {module}.{name}, which no image needs")
        return found


def read_batch(data: bytes, path: Path) -> dict[str, Any]:
    """One pickled batch. Raises RuntimeError for what is damaged or asks for code to be run."""
    try:
        found = _Plain(io.BytesIO(data), encoding="latin1").load()
    except Exception as error:
        raise damaged(path, str(error) or type(error).__name__) from None
    if not isinstance(found, dict):
        raise damaged(path, f"it holds a {type(found).__name__}, not a batch")
    return found


class CIFAR10(VisionDataset):
    """50,000 training and 10,000 test images of 32 × 32 in ten classes; (Pillow image, label).

    `root` holds `cifar-10-python.tar.gz` or the folder `cifar-10-batches-py` unpacked from it.

    Raises: RuntimeError, naming the files, where they are missing or damaged.
    """

    base_folder: ClassVar[str] = "cifar-10-batches-py"
    filename: ClassVar[str] = "cifar-10-python.tar.gz"
    parts: ClassVar[dict[bool, list[str]]] = {
        True: [f"data_batch_{number}" for number in range(1, 6)],
        False: ["test_batch"],
    }
    meta: ClassVar[tuple[str, str]] = ("batches.meta", "label_names")
    label: ClassVar[str] = "labels"

    def __init__(
        self,
        root: str | os.PathLike[str],
        train: bool = True,
        transform: Step | None = None,
        target_transform: Step | None = None,
        download: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.train = train
        files = self._files([*self.parts[train], self.meta[0]])
        data, self.targets = [], list[int]()
        for name in self.parts[train]:
            batch = read_batch(*files[name])
            pixels, labels = batch.get("data"), batch.get(self.label)
            if not isinstance(pixels, np.ndarray) or pixels.shape[1:] != (3072,):
                raise damaged(files[name][1], "it holds no images of 32 × 32")
            if not isinstance(labels, list) or len(labels) != len(pixels):
                raise damaged(files[name][1], f"it has no {self.label} for its images")
            data.append(pixels)
            self.targets += labels
        self.data = np.concatenate(data).reshape(-1, 3, 32, 32).transpose(0, 2, 3, 1)
        self.classes: list[str] = list(read_batch(*files[self.meta[0]]).get(self.meta[1], []))
        self.class_to_idx = {name: place for place, name in enumerate(self.classes)}

    def _files(self, names: list[str]) -> dict[str, tuple[bytes, Path]]:
        """The batches, from the folder or from the archive."""
        folder, archive = Path(self.root) / self.base_folder, Path(self.root) / self.filename
        if folder.is_dir() and all((folder / name).is_file() for name in names):
            return {name: ((folder / name).read_bytes(), folder / name) for name in names}
        if not archive.is_file():
            raise not_found(
                type(self).__name__,
                Path(self.root),
                [self.filename, f"or the folder {self.base_folder} unpacked from it"],
                "It is published at https://www.cs.toronto.edu/~kriz/cifar.html.",
            )
        wanted = {f"{self.base_folder}/{name}": name for name in names}
        found: dict[str, tuple[bytes, Path]] = {}
        try:
            with tarfile.open(archive) as opened:
                for member in opened:
                    content = opened.extractfile(member) if member.name in wanted else None
                    if content is not None:
                        found[wanted[member.name]] = content.read(), archive
        except (EOFError, OSError, tarfile.TarError, zlib.error) as error:
            raise damaged(archive, f"it cannot be unpacked ({error})") from None
        missing = [name for name in names if name not in found]
        if missing:
            raise damaged(archive, f"it lacks {', '.join(missing)}")
        return found

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pillow().fromarray(np.ascontiguousarray(self.data[index]))
        return self.changed(image, self.targets[index])

    def __len__(self) -> int:
        return len(self.data)

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class CIFAR100(CIFAR10):
    """`CIFAR10` with a hundred classes: `cifar-100-python.tar.gz`."""

    base_folder = "cifar-100-python"
    filename = "cifar-100-python.tar.gz"
    parts: ClassVar[dict[bool, list[str]]] = {True: ["train"], False: ["test"]}
    meta = ("meta", "fine_label_names")
    label = "fine_labels"
