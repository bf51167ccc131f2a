"""Models by name, as torchvision has them."""

from __future__ import annotations

from collections.abc import Callable
from difflib import get_close_matches
from fnmatch import fnmatch
from typing import Any

from pellucid import nn
from pellucid.models import resnet
from pellucid.models.resnet_weights import KNOWN
from pellucid.models.weights import Weights

__all__ = ["get_model", "get_model_builder", "get_model_weights", "list_models"]

BUILDERS: dict[str, Callable[..., nn.Module]] = {name: getattr(resnet, name) for name in KNOWN}
"""Builders by name. Further rooms may enter theirs."""


def list_models(include: str | None = None) -> list[str]:
    """The names that `get_model` knows, sorted; `include` is a pattern such as "resnet*"."""
    return sorted(name for name in BUILDERS if include is None or fnmatch(name, include))


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
