"""`torch.signal.windows`: window functions, symmetric unless `sym=False` asks for periodic ones.

All take `M`, the number of points, and the keywords of a factory (`dtype`, float32 or float64,
`layout`, `device`, `requires_grad`); the shape is `(M,)`. Names and formulas: Harris, "On the use
of windows for harmonic analysis with the discrete Fourier transform" (1978).
"""

from __future__ import annotations

import inspect
import math
from collections.abc import Callable, Iterable
from typing import Any, TypedDict, Unpack

import pellucid as torch
from pellucid.tensor.tensor import Tensor

__all__ = [
    "bartlett",
    "blackman",
    "cosine",
    "exponential",
    "gaussian",
    "general_cosine",
    "general_hamming",
    "hamming",
    "hann",
    "kaiser",
    "nuttall",
]


class Settings(TypedDict, total=False):
    """The keywords of a factory."""

    dtype: Any
    layout: Any
    device: Any
    requires_grad: bool


def _factory(window: Callable[..., Tensor]) -> Callable[..., Tensor]:
    """Show the keywords of a factory in the signature."""
    shown = inspect.signature(window)
    kept = [p for p in shown.parameters.values() if p.kind is not p.VAR_KEYWORD]
    defaults = {"dtype": None, "layout": torch.strided, "device": None, "requires_grad": False}
    kept += [
        inspect.Parameter(name, inspect.Parameter.KEYWORD_ONLY, default=default)
        for name, default in defaults.items()
    ]
    window.__signature__ = shown.replace(parameters=kept)  # type: ignore[attr-defined]
    return window


def _checked(name: str, M: int, settings: Settings) -> Settings:
    """The keywords with the dtype filled in, after the checks that all windows share."""
    kind = settings.get("dtype") or torch.get_default_dtype()
    layout = settings.get("layout", torch.strided)
    if M < 0:
        raise ValueError(f"{name} requires non-negative window length, got M={M}")
    if layout is not torch.strided:
        raise ValueError(f"{name} is implemented for strided tensors only, got: {layout}")
    if kind not in (torch.float32, torch.float64):
        raise ValueError(f"{name} expects float32 or float64 dtypes, got: {kind}")
    return {**settings, "dtype": kind}


def _period(M: int, sym: bool) -> int:
    """How many steps a window takes until it repeats."""
    return M - 1 if sym else M


@_factory
def exponential(
    M: int,
    *,
    center: float | None = None,
    tau: float = 1.0,
    sym: bool = True,
    **settings: Unpack[Settings],
) -> Tensor:
    """`exp(-|n - center| / tau)`, the Poisson window; `center` only for periodic ones."""
    settings = _checked("exponential", M, settings)
    if tau <= 0:
        raise ValueError(f"Tau must be positive, got: {tau} instead.")
    if sym and center is not None:
        raise ValueError("Center must be None for symmetric windows")
    if M == 0:
        return torch.empty((0,), **settings)
    if center is None:
        center = (M if not sym and M > 1 else M - 1) / 2.0
    rate = 1 / tau
    k = torch.linspace(-center * rate, (-center + (M - 1)) * rate, M, **settings)
    return torch.exp(-torch.abs(k))


@_factory
def cosine(M: int, *, sym: bool = True, **settings: Unpack[Settings]) -> Tensor:
    """`sin(pi (n + 1/2) / M)`, the sine window."""
    settings = _checked("cosine", M, settings)
    if M == 0:
        return torch.empty((0,), **settings)
    step = torch.pi / (M + 1 if not sym and M > 1 else M)
    return torch.sin(torch.linspace(0.5 * step, (0.5 + (M - 1)) * step, M, **settings))


@_factory
def gaussian(M: int, *, std: float = 1.0, sym: bool = True, **settings: Unpack[Settings]) -> Tensor:
    """`exp(-(n / std)^2 / 2)`, n counted from the middle."""
    settings = _checked("gaussian", M, settings)
    if std <= 0:
        raise ValueError(f"Standard deviation must be positive, got: {std} instead.")
    if M == 0:
        return torch.empty((0,), **settings)
    start = -(M if not sym and M > 1 else M - 1) / 2.0
    step = 1 / (std * math.sqrt(2))
    k = torch.linspace(start * step, (start + (M - 1)) * step, M, **settings)
    return torch.exp(-(k**2))


@_factory
def kaiser(M: int, *, beta: float = 12.0, sym: bool = True, **settings: Unpack[Settings]) -> Tensor:
    """`I0(beta sqrt(1 - x^2)) / I0(beta)`, x from -1 to 1 (Kaiser 1974)."""
    settings = _checked("kaiser", M, settings)
    if beta < 0:
        raise ValueError(f"beta must be non-negative, got: {beta} instead.")
    if M < 2:
        return torch.ones((M,), **settings)
    width = torch.tensor(beta, dtype=settings["dtype"])
    end = torch.minimum(width, -width + (M - 1) * (2.0 * width / _period(M, sym)))
    k = torch.linspace(-width, end, M, **settings)
    return torch.i0(torch.sqrt(width * width - torch.pow(k, 2))) / torch.i0(width)


@_factory
def bartlett(M: int, *, sym: bool = True, **settings: Unpack[Settings]) -> Tensor:
    """`1 - |x|`, x from -1 to 1: a triangle."""
    settings = _checked("bartlett", M, settings)
    if M < 2:
        return torch.ones((M,), **settings)
    end = -1 + (M - 1) * (2 / _period(M, sym))
    return 1 - torch.abs(torch.linspace(-1, end, M, **settings))


@_factory
def general_cosine(
    M: int, *, a: Iterable[float], sym: bool = True, **settings: Unpack[Settings]
) -> Tensor:
    """The sum of `(-1)^i a[i] cos(2 pi i n / period)`."""
    settings = _checked("general_cosine", M, settings)
    if M < 2:
        return torch.ones((M,), **settings)
    if not isinstance(a, Iterable):
        raise TypeError("Coefficients must be a list/tuple")
    if not a:
        raise ValueError("Coefficients cannot be empty")
    k = torch.linspace(0, (M - 1) * (2 * torch.pi / _period(M, sym)), M, **settings)
    weights = torch.tensor([(-1) ** i * weight for i, weight in enumerate(a)], **settings)
    i = torch.arange(len(weights), dtype=weights.dtype, requires_grad=weights.requires_grad)
    return (weights.unsqueeze(-1) * torch.cos(i.unsqueeze(-1) * k)).sum(0)


@_factory
def general_hamming(
    M: int, *, alpha: float = 0.54, sym: bool = True, **settings: Unpack[Settings]
) -> Tensor:
    """`alpha - (1 - alpha) cos(2 pi n / period)`."""
    return general_cosine(M, a=[alpha, 1.0 - alpha], sym=sym, **settings)


@_factory
def hamming(M: int, *, sym: bool = True, **settings: Unpack[Settings]) -> Tensor:
    """`general_hamming` with 0.54: does not reach 0."""
    return general_hamming(M, sym=sym, **settings)


@_factory
def hann(M: int, *, sym: bool = True, **settings: Unpack[Settings]) -> Tensor:
    """`general_hamming` with 0.5: a raised cosine."""
    return general_hamming(M, alpha=0.5, sym=sym, **settings)


@_factory
def blackman(M: int, *, sym: bool = True, **settings: Unpack[Settings]) -> Tensor:
    """Three cosines with the weights 0.42, 0.5, 0.08."""
    settings = _checked("blackman", M, settings)
    return general_cosine(M, a=[0.42, 0.5, 0.08], sym=sym, **settings)


@_factory
def nuttall(M: int, *, sym: bool = True, **settings: Unpack[Settings]) -> Tensor:
    """Four cosines whose side lobes are lowest (Nuttall 1981)."""
    weights = [0.3635819, 0.4891775, 0.1365995, 0.0106411]
    return general_cosine(M, a=weights, sym=sym, **settings)
