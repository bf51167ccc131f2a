"""Hints for a state that does not fit: the usual reasons, checked before they are given."""

from __future__ import annotations

from collections.abc import Iterator, Mapping
from difflib import get_close_matches
from typing import Any

COMMON_PREFIXES = ("module.", "model.", "_orig_mod.", "state_dict.")


def advice_on_keys(
    module: Any, state_dict: Mapping[str, Any], missing: list[str], unexpected: list[str]
) -> list[str]:
    """What would make `state_dict` fit `module`, one sentence each; empty if nothing is known."""
    if not missing and not unexpected:
        return []
    hints = list(_wrapped_or_nested(state_dict, missing, unexpected))
    if hints:
        return hints
    hints += _non_persistent(module, unexpected)
    hints += _renamed(missing, unexpected)
    return hints


def _wrapped_or_nested(
    state_dict: Mapping[str, Any], missing: list[str], unexpected: list[str]
) -> Iterator[str]:
    """One prefix too many or too few, or the state inside a checkpoint dictionary."""
    for prefix in COMMON_PREFIXES:
        stripped = {key[len(prefix) :] for key in unexpected if key.startswith(prefix)}
        if missing and stripped.issuperset(missing):
            yield (
                f"every missing key is there with {prefix!r} before it; load "
                f"{{k.removeprefix({prefix!r}): v for k, v in state_dict.items()}}"
            )
            return
        added = {prefix + key for key in unexpected}
        if missing and added.issuperset(missing):
            yield (
                f"every missing key is there without {prefix!r}; load "
                f"{{{prefix!r} + k: v for k, v in state_dict.items()}}"
            )
            return
    for key, value in state_dict.items():
        if isinstance(value, Mapping) and missing and set(value).issuperset(missing):
            yield f"the state is inside this checkpoint; load checkpoint[{key!r}]"


def _non_persistent(module: Any, unexpected: list[str]) -> Iterator[str]:
    """Keys of buffers that the module has but does not save."""
    for path, part in module.named_modules():
        for name in part._non_persistent_buffers_set:
            key = f"{path}.{name}" if path else name
            if key in unexpected:
                yield (
                    f"{key} is a buffer registered with persistent=False, which no state holds; "
                    "drop the key, or register the buffer with persistent=True"
                )


def _renamed(missing: list[str], unexpected: list[str], at_most: int = 5) -> Iterator[str]:
    """Pairs of a missing and an unexpected key that differ by little."""
    left = list(unexpected)
    for key in missing[:50]:
        close = get_close_matches(key, left, n=1, cutoff=0.75)
        if close and at_most > 0:
            at_most -= 1
            left.remove(close[0])
            yield f"{key} is missing; is it the one called {close[0]} in this state?"
