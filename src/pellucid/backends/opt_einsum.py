"""`torch.backends.opt_einsum`: the library that plans contractions, which is not used."""

from __future__ import annotations

enabled = False
strategy: str | None = None


def is_available() -> bool:
    """Whether `opt_einsum` plans contractions: no, `einsum` plans by itself."""
    return False


def get_opt_einsum() -> None:
    """The library: None."""
