"""Models by name, as torchvision has them."""

from __future__ import annotations

from collections.abc import Callable, Iterable
from difflib import get_close_matches
from fnmatch import fnmatch
from types import ModuleType
from typing import Any

from pellucid import nn
from pellucid.models import resnet
from pellucid.models.resnet_weights import KNOWN
from pellucid.models.weights import Weights

__all__ = ["get_model", "get_model_builder", "get_model_weights", "get_weight", "list_models"]

BUILDERS: dict[str, Callable[..., nn.Module]] = {name: getattr(resnet, name) for name in KNOWN}
"""Builders by name. Further rooms may enter theirs."""


def list_models(
    module: ModuleType | None = None,
    include: str | Iterable[str] | None = None,
    exclude: str | Iterable[str] | None = None,
) -> list[str]:
    """The names that `get_model` knows, sorted.

    Args:
        module: only those of this module, as in `models.detection`; its parts do not count.
        include: a pattern such as "resnet*", or several, of which one must fit.
        exclude: patterns of which none may fit.
    """
    kept = []
    for name, builder in BUILDERS.items():
        home = builder.__module__.rpartition(".")[0]
        if module is not None and module.__name__ not in (home, builder.__module__):
            continue
        if include is not None and not _fits(name, include):
            continue
        if exclude is None or not _fits(name, exclude):
            kept.append(name)
    return sorted(kept)


def _fits(name: str, patterns: str | Iterable[str]) -> bool:
    wanted = [patterns] if isinstance(patterns, str) else patterns
    return any(fnmatch(name, pattern) for pattern in wanted)


def get_model_builder(name: str) -> Callable[..., nn.Module]:
    """The function that builds the model. ValueError for unknown names."""
    found = BUILDERS.get(name.lower())
    if found is None:
        close = get_close_matches(name.lower(), BUILDERS, n=1)
        meant = f"; did you mean {close[0]}?" if close else f". There are {', '.join(BUILDERS)}"
        raise ValueError(f"Unknown model {name}{meant}")
    return found


def get_model(name: str, **config: Any) -> nn.Module:
    """The model `name`, built with `config`: `get_model("resnet18", num_classes=10)`."""
    return get_model_builder(name)(**config)


def get_model_weights(name: str) -> type[Weights]:
    """The published weights of a ResNet. ValueError for unknown names."""
    get_model_builder(name)
    if name.lower() not in KNOWN:
        raise ValueError(f"There are no published weights of {name}")
    return KNOWN[name.lower()]


def get_weight(name: str) -> Weights:
    """Published weights by their full name, as in "ResNet50_Weights.IMAGENET1K_V2".

    Raises: ValueError for unknown names.
    """
    kind, _, member = name.partition(".")
    for known in KNOWN.values():
        if known.__name__ == kind:
            if member in known.__members__:
                return known[member]
            raise ValueError(f"{kind} has no {member!r}: there are {', '.join(known.__members__)}")
    names = ", ".join(known.__name__ for known in KNOWN.values())
    raise ValueError(f"Unable to find the weights {name!r}: there are those of {names}")
