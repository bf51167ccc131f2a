"""Weights for models: from files, from PyTorch's folder of downloads, whatever head they carry."""

from __future__ import annotations

import functools
import os
import warnings
from collections.abc import Callable, Mapping
from enum import Enum
from pathlib import Path
from typing import Any, TypeVar

from pellucid import Tensor, hub, nn
from pellucid.io import load
from pellucid.vision.transforms.presets import ImageClassification

__all__ = ["Weights", "build", "read_state"]

M = TypeVar("M", bound=nn.Module)

NESTED = ("state_dict", "model_state_dict", "model", "net", "module")
"""Where training programs keep the state inside a checkpoint."""
WRAPPERS = ("module.", "_orig_mod.", "model.")
"""What DataParallel, `compile` and Lightning put before every key."""


class Weights(Enum):
    """Published weights: members are (address, number of parameters[, side that images get])."""

    @property
    def url(self) -> str:
        return str(self.value[0])

    @property
    def meta(self) -> dict[str, Any]:
        return {"num_params": self.value[1], "min_size": (1, 1)}

    @property
    def transforms(self) -> Callable[..., ImageClassification]:
        """What makes the transform with which they were evaluated: `weights.transforms()`."""
        side = self.value[2] if len(self.value) > 2 else 256
        return functools.partial(ImageClassification, crop_size=224, resize_size=side)

    @property
    def path(self) -> Path:
        """Where the file lies once somebody has put it there."""
        return Path(hub.get_dir()) / "checkpoints" / self.url.rpartition("/")[2]

    def get_state_dict(self, *args: Any, **kwargs: Any) -> dict[str, Tensor]:
        """The tensors by name. FileNotFoundError if the file was not downloaded before."""
        if not self.path.exists():
            raise FileNotFoundError(
                f"{type(self).__name__}.{self.name}: Pellucid opens no network connections. Fetch "
                f"{self.url} and save it as {self.path}, or give the file itself: weights=path"
            )
        return read_state(self.path)

    @classmethod
    def verify(cls, given: Any) -> Any:
        """`given`, or the member it names. TypeError for the weights of another model."""
        if isinstance(given, Weights) and not isinstance(given, cls):
            raise TypeError(
                f"Invalid Weight class provided; expected {cls.__name__} but received "
                f"{type(given).__name__}."
            )
        if isinstance(given, str):
            return cls.__members__.get(given.removeprefix(f"{cls.__name__}."), given)
        return given


def build(
    name: str,
    make: Callable[..., M],
    known: type[Weights],
    weights: Any,
    head: str,
    arguments: dict[str, Any],
    kind_of: Callable[[Mapping[str, Any]], str | None],
) -> M:
    """`make(**arguments)`, with `weights` if they are given.

    Args:
        name: how messages call the model.
        known: its published weights.
        weights: None, a file, a state dict, a member of `known` or its name.
        head: the name of its last layer, whose weight has one row a class.
        arguments: for `make`; without `num_classes` the weights decide it.
        kind_of: tells by the keys of a state which model it is of.

    Raises:
        FileNotFoundError, TypeError, ValueError, RuntimeError: as `pellucid.models.resnet18` says.
    """
    weights = known.verify(_without_pretrained(weights, known, arguments))
    if weights is None:
        return make(**arguments)
    source, state = _state_of(weights, known)
    classes = state.get(f"{head}.weight")
    if isinstance(classes, Tensor) and classes.dim() == 2:
        wanted = arguments.setdefault("num_classes", len(classes))
        if wanted != len(classes):
            raise ValueError(
                f"The parameter 'num_classes' expected value {len(classes)} but got {wanted} "
                f"instead: {source} has a head of {len(classes)} classes. To put a new head of "
                f"{wanted} on its features, build the model without num_classes, then "
                f"`model.{head} = nn.Linear({classes.shape[1]}, {wanted})`"
            )
    model = make(**arguments)
    try:
        model.load_state_dict(state)
    except RuntimeError as error:
        kind = kind_of(state)
        found = f"; by its keys it is of {kind}" if kind is not None and kind != name else ""
        raise RuntimeError(f"{source} does not fit {name}{found}.\n{error}") from None
    return model


def _without_pretrained(weights: Any, known: type[Weights], arguments: dict[str, Any]) -> Any:
    """torchvision's old `pretrained=True`, as first argument too: its first published weights."""
    old = arguments.pop("pretrained", weights if isinstance(weights, bool) else None)
    if old is None:
        return weights
    first = next(iter(known))
    chosen = first if old else None
    warnings.warn(
        "The parameter 'pretrained' is deprecated since 0.13 and may be removed in the future, "
        f"please use 'weights' instead: weights={chosen}.",
        UserWarning,
        stacklevel=5,
    )
    return chosen


def _state_of(weights: Any, known: type[Weights]) -> tuple[str, dict[str, Any]]:
    """How messages call the source of the weights, and its state."""
    if isinstance(weights, Weights):
        return str(weights), weights.get_state_dict()
    if isinstance(weights, Mapping):
        return "the given state", unwrap(weights, "the given state")
    if not isinstance(weights, (str, os.PathLike)):
        raise TypeError(
            f"weights must be None, a file, a state dict or a member of {known.__name__}, not "
            f"{type(weights).__name__}"
        )
    if not Path(weights).exists() and not os.path.splitext(weights)[1]:
        raise ValueError(
            f"no weights called {str(weights)!r}: there is no such file, and {known.__name__} has "
            f"{', '.join(known.__members__)}"
        )
    return str(weights), read_state(weights)


def read_state(path: str | os.PathLike[str]) -> dict[str, Any]:
    """The state dict in a file of `torch.save` or a safetensors file.

    A state that lies inside a training checkpoint (`{"state_dict": …}`) is taken out, and what
    wrappers put before every key (`module.`) is left away.

    Raises:
        FileNotFoundError: no such file.
        RuntimeError: damaged, truncated, or no state; a `pickle.UnpicklingError` too.
    """
    if not Path(path).exists():
        raise FileNotFoundError(f"no weights at {path}: there is no such file")
    if Path(path).is_dir():
        raise IsADirectoryError(f"no weights at {path}: it is a folder; name the file in it")
    try:
        content = load(path)
    except RuntimeError as error:
        error.args = (f"{path}: {error}", *error.args[1:])
        raise
    return unwrap(content, str(path))


def unwrap(content: Any, source: str) -> dict[str, Any]:
    """The state in `content`, without wrappers. RuntimeError if there is none."""
    for name in NESTED:
        if isinstance(content, Mapping) and isinstance(content.get(name), Mapping):
            content = content[name]
    if not isinstance(content, Mapping) or not all(isinstance(key, str) for key in content):
        kind = type(content).__name__
        raise RuntimeError(f"{source} holds no state dict (names and tensors), but a {kind}")
    if not any(isinstance(value, Tensor) for value in content.values()):
        raise RuntimeError(f"{source} holds no tensors; its keys: {', '.join(content) or 'none'}")
    metadata = getattr(content, "_metadata", None)
    for prefix in WRAPPERS:
        if content and all(key.startswith(prefix) for key in content):
            content = {key.removeprefix(prefix): value for key, value in content.items()}
            metadata = None
    if metadata is not None:
        return content  # a class whose `_metadata` load_state_dict reads
    return dict(content)
