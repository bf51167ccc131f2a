"""MNIST and its family, from idx files (http://yann.lecun.com/exdb/mnist/ describes them)."""

from __future__ import annotations

import gzip
import os
import struct
import zlib
from pathlib import Path
from typing import Any, ClassVar

import numpy as np

from pellucid.tensor.tensor import Tensor, from_numpy
from pellucid.vision.datasets.vision import Step, VisionDataset, damaged, not_found
from pellucid.vision.pillow import pillow

_TYPES = {8: ">u1", 9: ">i1", 11: ">i2", 12: ">i4", 13: ">f4", 14: ">f8"}


def read_idx(path: Path) -> np.ndarray:
    """The array of an idx file, plain or `.gz`.

    Raises: RuntimeError for a file that is truncated, too long, or no idx file.
    """
    try:
        with gzip.open(path) if path.suffix == ".gz" else path.open("rb") as file:
            data = file.read()
    except (EOFError, gzip.BadGzipFile, zlib.error) as error:
        raise damaged(path, f"it cannot be decompressed ({error})") from None
    if len(data) < 4 or data[:2] != b"\0\0" or data[2] not in _TYPES:
        raise damaged(path, "it does not begin as an idx file does")
    kind, count = np.dtype(_TYPES[data[2]]), data[3]
    start = 4 + 4 * count
    if len(data) < start:
        raise damaged(path, "its header is cut off")
    shape = struct.unpack(f">{count}I", data[4:start])
    wanted = start + kind.itemsize * int(np.prod(shape, dtype=object))
    if len(data) != wanted:
        raise damaged(path, f"it has {len(data):,} bytes, its header says {wanted:,}")
    found = np.frombuffer(data, kind, offset=start).reshape(shape)
    return found.astype(kind.newbyteorder("="))


class MNIST(VisionDataset):
    """Digits (LeCun et al. 1998): 60,000 training and 10,000 test images of 28 × 28.

    The files lie in `root/MNIST/raw` (where torchvision puts them), `root/MNIST` or `root`, plain
    or as `.gz`. Samples are (Pillow image, label).

    Raises: RuntimeError, naming the files, where they are missing or damaged.
    """

    source: ClassVar[str] = "They are published at http://yann.lecun.com/exdb/mnist/."
    classes: ClassVar[list[str]] = [
        "0 - zero",
        "1 - one",
        "2 - two",
        "3 - three",
        "4 - four",
        "5 - five",
        "6 - six",
        "7 - seven",
        "8 - eight",
        "9 - nine",
    ]

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
        self.data, self.targets = self._load(self._part())

    def _part(self) -> str:
        return "train" if self.train else "t10k"

    def _folders(self) -> list[Path]:
        own = Path(self.root) / type(self).__name__
        return [own / "raw", own, Path(self.root)]

    def _file(self, name: str) -> Path | None:
        """Where a file lies, plain or compressed."""
        for folder in self._folders():
            for path in (folder / name, folder / f"{name}.gz"):
                if path.is_file():
                    return path
        return None

    def _load(self, part: str) -> tuple[Tensor, Tensor]:
        names = [f"{part}-images-idx3-ubyte", f"{part}-labels-idx1-ubyte"]
        images, labels = (self._file(name) for name in names)
        if images is None or labels is None:
            raise not_found(type(self).__name__, self._folders()[0], names, self.source)
        pixels, targets = read_idx(images), read_idx(labels)
        if pixels.ndim != 3 or targets.ndim != 1:
            raise damaged(images, f"it holds arrays of {pixels.ndim} dimensions, not 3")
        if len(pixels) != len(targets):
            raise damaged(labels, f"it has {len(targets):,} labels for {len(pixels):,} images")
        return from_numpy(pixels), from_numpy(targets.astype(np.int64))

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        image = pillow().fromarray(self.data[index].numpy())
        return self.changed(image, int(self.targets[index]))

    def __len__(self) -> int:
        return len(self.data)

    @property
    def class_to_idx(self) -> dict[str, int]:
        """Names of classes to labels."""
        return {name: place for place, name in enumerate(self.classes)}

    def extra_repr(self) -> str:
        return f"Split: {'Train' if self.train else 'Test'}"


class FashionMNIST(MNIST):
    """Clothes (Xiao et al. 2017, "Fashion-MNIST"), in MNIST's form."""

    source = "They are published at https://github.com/zalandoresearch/fashion-mnist."
    classes: ClassVar[list[str]] = [
        "T-shirt/top",
        "Trouser",
        "Pullover",
        "Dress",
        "Coat",
        "Sandal",
        "Shirt",
        "Sneaker",
        "Bag",
        "Ankle boot",
    ]


class KMNIST(MNIST):
    """Cursive Japanese characters (Clanuwat et al. 2018), in MNIST's form."""

    source = "They are published at http://codh.rois.ac.jp/kmnist/."
    classes: ClassVar[list[str]] = ["o", "ki", "su", "tsu", "na", "ha", "ma", "ya", "re", "wo"]


class EMNIST(MNIST):
    """Letters and digits (Cohen et al. 2017, "EMNIST"), in six splits.

    Images stand transposed in the files, as the authors made them.

    Raises: ValueError for another split.
    """

    source = "They are published at https://www.nist.gov/itl/products-and-services/emnist-dataset."
    splits = ("byclass", "bymerge", "balanced", "letters", "digits", "mnist")

    def __init__(self, root: str | os.PathLike[str], split: str, **options: Any) -> None:
        if split not in self.splits:
            raise ValueError(
                f"Unknown value '{split}' for argument split. Valid values are {self.splits}."
            )
        self.split = split
        super().__init__(root, **options)

    def _part(self) -> str:
        return f"emnist-{self.split}-{'train' if self.train else 'test'}"
