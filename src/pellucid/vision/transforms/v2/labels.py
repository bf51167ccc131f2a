"""Where the labels are in a sample."""

from __future__ import annotations

from collections.abc import Callable, Mapping
from typing import Any

from pellucid.vision.transforms.base import is_pure_tensor


def getter_of(labels_getter: Any) -> Callable[[Any], Any]:
    """The function that finds them. ValueError unless "default", a function or None."""
    if labels_getter == "default":
        return find_labels
    if callable(labels_getter):
        found: Callable[[Any], Any] = labels_getter
        return found
    if labels_getter is None:
        return lambda sample: None
    raise ValueError(
        f"labels_getter should either be 'default', a callable, or None, but got {labels_getter}."
    )


def find_labels(sample: Any) -> Any:
    """The second part, if it is a tensor; else what has "labels", or "label" in it, as its key.

    Raises: ValueError where there is no such key.
    """
    if isinstance(sample, (tuple, list)):
        sample = sample[1] if len(sample) > 1 else None
    if is_pure_tensor(sample):
        return sample
    if not isinstance(sample, Mapping):
        raise ValueError(
            "When using the default labels_getter, the input passed to forward must be a "
            "dictionary or a two-tuple whose second item is a dictionary or a tensor, but got "
            f"{type(sample).__name__} instead."
        )
    keys = [key for key in sample if isinstance(key, str)]
    found = [key for key in keys if key.lower() == "labels"]
    found += [key for key in keys if "label" in key.lower()]
    if not found:
        raise ValueError(
            "Could not infer where the labels are in the sample. Try passing a callable as the "
            "labels_getter parameter? If there are no labels in the sample by design, pass "
            "labels_getter=None."
        )
    return sample[found[0]]
