"""Data sets from folders: one subfolder for each class."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pellucid.vision.datasets.vision import Step, VisionDataset
from pellucid.vision.pillow import pillow

IMG_EXTENSIONS = (".jpg", ".jpeg", ".png", ".ppm", ".bmp", ".pgm", ".tif", ".tiff", ".webp")


def has_file_allowed_extension(filename: str, extensions: str | tuple[str, ...]) -> bool:
    """Whether the name ends in one of the extensions, in any case."""
    return filename.lower().endswith(extensions)


def is_image_file(filename: str) -> bool:
    """Whether the name is that of an image."""
    return has_file_allowed_extension(filename, IMG_EXTENSIONS)


def find_classes(directory: str | os.PathLike[str]) -> tuple[list[str], dict[str, int]]:
    """The subfolders, sorted, and the label of each. Raises FileNotFoundError if there are none."""
    path = Path(directory)
    if not path.is_dir():
        raise FileNotFoundError(f"there is no folder {path}")
    classes = sorted(entry.name for entry in path.iterdir() if entry.is_dir())
    if not classes:
        raise FileNotFoundError(
            f"Couldn't find any class folder in {path}.\n"
            "  Images lie in one subfolder for each class: root/cat/1.png, root/dog/2.png."
        )
    return classes, {name: place for place, name in enumerate(classes)}


def make_dataset(
    directory: str | os.PathLike[str],
    class_to_idx: dict[str, int] | None = None,
    extensions: str | tuple[str, ...] | None = None,
    is_valid_file: Callable[[str], bool] | None = None,
    allow_empty: bool = False,
) -> list[tuple[str, int]]:
    """(path, label) of every file of every class, sorted.

    Raises: ValueError unless exactly one of `extensions` and `is_valid_file` is given;
    FileNotFoundError for a class without files, unless `allow_empty`.
    """
    root = os.path.expanduser(os.fspath(directory))
    labels = find_classes(root)[1] if class_to_idx is None else class_to_idx
    if not labels:
        raise ValueError("'class_to_index' must have at least one entry to collect any samples.")
    if (extensions is None) == (is_valid_file is None):
        raise ValueError(
            "Both extensions and is_valid_file cannot be None or not None at the same time"
        )

    def valid(path: str) -> bool:
        if is_valid_file is not None:
            return is_valid_file(path)
        return has_file_allowed_extension(path, extensions or ())

    found: list[tuple[str, int]] = []
    empty = set(labels)
    for name in sorted(labels):
        for folder, _, files in sorted(os.walk(os.path.join(root, name), followlinks=True)):
            for file in sorted(files):
                path = os.path.join(folder, file)
                if valid(path):
                    found.append((path, labels[name]))
                    empty.discard(name)
    if empty and not allow_empty:
        words = f"Found no valid file for the classes {', '.join(sorted(empty))}. "
        if extensions is not None:
            names = extensions if isinstance(extensions, str) else ", ".join(extensions)
            words += f"Supported extensions are: {names}"
        raise FileNotFoundError(words)
    return found


def pil_loader(path: str | os.PathLike[str]) -> Any:
    """The image of a file in RGB. Raises OSError, naming the file, for what is no image."""
    with open(path, "rb") as file:
        try:
            return pillow().open(file).convert("RGB")
        except OSError as error:
            raise OSError(f"{os.fspath(path)} cannot be read as an image: {error}") from None


default_loader = pil_loader


class DatasetFolder(VisionDataset):
    """Samples in one subfolder for each class, opened by `loader`: (sample, label)."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        loader: Callable[[str], Any],
        extensions: tuple[str, ...] | None = None,
        transform: Step | None = None,
        target_transform: Step | None = None,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(root, transform=transform, target_transform=target_transform)
        self.classes, self.class_to_idx = self.find_classes(self.root)
        self.samples = make_dataset(
            self.root, self.class_to_idx, extensions, is_valid_file, allow_empty
        )
        self.loader = loader
        self.extensions = extensions
        self.targets = [label for _, label in self.samples]

    def find_classes(self, directory: str) -> tuple[list[str], dict[str, int]]:
        """The classes; subclasses may find others."""
        return find_classes(directory)

    def __getitem__(self, index: int) -> tuple[Any, Any]:
        path, target = self.samples[index]
        return self.changed(self.loader(path), target)

    def __len__(self) -> int:
        return len(self.samples)


class ImageFolder(DatasetFolder):
    """Images in one subfolder for each class: (Pillow image in RGB, label)."""

    def __init__(
        self,
        root: str | os.PathLike[str],
        transform: Step | None = None,
        target_transform: Step | None = None,
        loader: Callable[[str], Any] = pil_loader,
        is_valid_file: Callable[[str], bool] | None = None,
        allow_empty: bool = False,
    ) -> None:
        super().__init__(
            root,
            loader,
            None if is_valid_file is not None else IMG_EXTENSIONS,
            transform,
            target_transform,
            is_valid_file,
            allow_empty,
        )
        self.imgs = self.samples
