"""Random numbers: seeding, and saving and restoring the state of the default generator
(`torch.random`).

>>> import pellucid as torch
>>> torch.manual_seed(0).initial_seed()
0
>>> with torch.random.fork_rng():
...     inside = torch.rand(2)
>>> bool((torch.rand(2) == inside).all())
True
"""

from __future__ import annotations

from collections.abc import Iterable, Iterator
from contextlib import contextmanager
from typing import Any

from pellucid.tensor.random.generator import Generator as Generator
from pellucid.tensor.random.generator import default_generator as default_generator
from pellucid.tensor.tensor import Tensor

__all__ = [
    "set_rng_state",
    "get_rng_state",
    "manual_seed",
    "seed",
    "initial_seed",
    "fork_rng",
    "thread_safe_generator",
]


def manual_seed(seed: int) -> Generator:
    """Start the default generator with `seed` and return it.

    `seed`: from -2**63 to 2**64 - 1, negative ones count from 2**64. The same seed gives the same
    numbers as PyTorch's. Raises RuntimeError beyond that range.
    """
    return default_generator.manual_seed(int(seed))


def seed() -> int:
    """Start the default generator with 64 bits from the operating system, and return them."""
    return default_generator.seed()


def initial_seed() -> int:
    """The seed that the default generator was started with."""
    return default_generator.initial_seed()


def get_rng_state() -> Tensor:
    """The state of the default generator: uint8 `(5056,)`."""
    return default_generator.get_state()


def set_rng_state(new_state: Tensor) -> None:
    """Continue the default generator from a state of `get_rng_state`. Raises as
    `Generator.set_state`.
    """
    default_generator.set_state(new_state)


@contextmanager
def fork_rng(
    devices: Iterable[Any] | None = None,
    enabled: bool = True,
    _caller: str = "fork_rng",
    _devices_kw: str = "devices",
    device_type: str | None = None,
) -> Iterator[None]:
    """What is drawn inside leaves the default generator outside as it was.

    `enabled=False` makes this do nothing. There are no other devices' generators to keep; `devices`
    and `device_type` are accepted.
    """
    if not enabled:
        yield
        return
    state = default_generator.get_state()
    try:
        yield
    finally:
        default_generator.set_state(state)


def thread_safe_generator() -> Generator | None:
    """The generator of a data loader's worker thread, or None: every generator is safe to share
    here.
    """
    return None
