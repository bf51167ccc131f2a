"""What data sets of images share: a folder, transforms, and words for files that are missing."""

from __future__ import annotations

import os
from collections.abc import Callable
from pathlib import Path
from typing import Any

from pellucid.data.dataset import Dataset

Step = Callable[[Any], Any]


class StandardTransform:
    """A transform of the image and one of the target."""

    def __init__(self, transform: Step | None = None, target_transform: Step | None = None) -> None:
        self.transform = transform
        self.target_transform = target_transform

    def __call__(self, input: Any, target: Any) -> tuple[Any, Any]:
        if self.transform is not None:
            input = self.transform(input)
        if self.target_transform is not None:
            target = self.target_transform(target)
        return input, target

    def __repr__(self) -> str:
        lines = [type(self).__name__]
        if self.transform is not None:
            lines.append(_beside("Transform: ", self.transform))
        if self.target_transform is not None:
            lines.append(_beside("Target transform: ", self.target_transform))
        return "\n".join(lines)


def _beside(label: str, step: Step) -> str:
    """`step` printed after `label`, its further lines below its first one."""
    return label + f"\n{' ' * len(label)}".join(repr(step).splitlines())


class VisionDataset(Dataset[Any]):
    """A folder of images. `transforms` takes image and target, or `transform` and
    `target_transform` one each.

    Raises: ValueError if both kinds are given.
    """

    def __init__(
        self,
        root: str | os.PathLike[str] | None = None,
        transforms: Callable[[Any, Any], tuple[Any, Any]] | None = None,
        transform: Step | None = None,
        target_transform: Step | None = None,
    ) -> None:
        self.root = os.path.expanduser(os.fspath(root)) if root is not None else ""
        if transforms is not None and (transform is not None or target_transform is not None):
            raise ValueError(
                "Only transforms or transform/target_transform can be passed as argument"
            )
        self.transform = transform
        self.target_transform = target_transform
        if transforms is None and (transform is not None or target_transform is not None):
            transforms = StandardTransform(transform, target_transform)
        self.transforms = transforms

    def __len__(self) -> int:
        raise NotImplementedError(f"{type(self).__name__} must define __len__")

    def changed(self, image: Any, target: Any) -> tuple[Any, Any]:
        """A sample, after its transforms."""
        if self.transforms is not None:
            return self.transforms(image, target)
        return image, target

    def extra_repr(self) -> str:
        """A line about the data set, for `repr`."""
        return ""

    def __repr__(self) -> str:
        body = [f"Number of datapoints: {len(self)}"]
        if self.root:
            body.append(f"Root location: {self.root}")
        body += self.extra_repr().splitlines()
        if self.transforms is not None:
            body.append(repr(self.transforms))  # its further lines stay as they are
        return "\n".join([f"Dataset {type(self).__name__}", *(f"    {line}" for line in body)])


def not_found(name: str, folder: Path, files: list[str], source: str) -> RuntimeError:
    """The error for a data set whose files are not there: which, where, and from whom."""
    listed = "\n".join(f"    {file}" for file in files)
    return RuntimeError(
        f"Dataset not found: {name} needs these files in {folder} (each also as .gz where it has "
        f"no ending):\n{listed}\n  Nothing is downloaded here: put them there yourself. {source}"
    )


def damaged(path: Path, problem: str) -> RuntimeError:
    """The error for a file that is not what its name says."""
    return RuntimeError(f"{path.name} is damaged: {problem}\n  Delete {path} and fetch it again.")
