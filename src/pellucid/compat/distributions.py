"""What `importlib.metadata` reads about `torch` and `torchvision` while the alias is installed."""

from __future__ import annotations

import importlib.util
from collections.abc import Iterator
from importlib.metadata import Distribution
from pathlib import Path
from typing import Any

from pellucid.compat import aliases


class AliasDistribution(Distribution):
    """A distribution that says its name and version, and has no files of its own."""

    def __init__(self, name: str) -> None:
        self.alias = name

    def read_text(self, filename: str) -> str | None:
        if filename == "METADATA":
            return (
                "Metadata-Version: 2.1\n"
                f"Name: {self.alias}\nVersion: {aliases.DISTRIBUTIONS[self.alias]}\n"
                "Summary: PyTorch's programming model, provided by Pellucid\n"
            )
        return f"{self.alias}\n" if filename == "top_level.txt" else None

    def locate_file(self, path: Any) -> Path:
        spec = importlib.util.find_spec(aliases.ALIASES["torch"])
        assert spec is not None and spec.origin is not None
        return Path(spec.origin).parent / str(path)


def distributions(wanted: str | None) -> Iterator[Distribution]:
    """The distribution called `wanted`, or all of them for None."""
    name = None if wanted is None else wanted.lower().replace("-", "_")
    for known in aliases.DISTRIBUTIONS:
        if name in (None, known):
            yield AliasDistribution(known)
