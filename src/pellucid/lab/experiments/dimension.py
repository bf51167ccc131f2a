"""How much is needed as the dimension grows."""

from __future__ import annotations

from math import comb

import numpy as np

from pellucid.lab.compare import fit_networks
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.polynomials import tensor_product
from pellucid.lab.targets import Target, gaussian, ridge

CLOSE = 0.05
"""Sup error that is asked for."""


def _polynomial(target: Target, most: int) -> int | None:
    """Terms of the smallest tensor product that is close."""
    for degree in range(1, 12):
        if (degree + 1) ** target.dimension > most:
            return None
        fit = tensor_product(target, degree)
        if fit.sup < CLOSE:
            return fit.parameters
    return None


def _network(target: Target, settings: Settings) -> int | None:
    """Parameters of the smallest network of one hidden layer that is close."""
    for width in (1, 2, 4, 8, 16):
        fit, _, _ = fit_networks(
            target, (width,), seeds=settings.seeds(4, 2), steps=settings.of(120, 50),
            points=settings.of(1200, 500),
        )  # fmt: skip
        if fit.sup < CLOSE:
            return fit.parameters
    return None


def measure(settings: Settings) -> Outcome:
    """Sizes that reach the same error, for a function of one direction and for a round bump."""
    dimensions = settings.of((1, 2, 3, 4), (1, 2, 3))
    most = settings.of(1500, 700)
    figure = Figure("parameters for a sup error of 0.05", "dimension", "parameters", log_y=True)
    numbers: dict[str, object] = {}
    wave = None if settings.target is None else settings.target.function
    for label, make in (("ridge", lambda d: ridge(d, wave)), ("bump", gaussian)):
        targets = [make(d) for d in dimensions]
        terms = [_polynomial(t, most) for t in targets]
        sizes = [_network(t, settings) for t in targets]
        numbers[label] = {"polynomial": terms, "network": sizes}
        for name, found in (("tensor product", terms), ("network", sizes)):
            kept = [(d, n) for d, n in zip(dimensions, found, strict=True) if n is not None]
            if kept:
                figure.line(f"{label}, {name}", *zip(*kept, strict=True))
    degree = 3
    whole = [(degree + 1) ** d for d in dimensions]
    total = [comb(degree + d, d) for d in dimensions]
    figure.line("(n+1)^D for n = 3", dimensions, whole, dashed=True)
    figure.line("terms of total degree 3", dimensions, total, dashed=True)
    shown: dict[str, dict[str, list[int | None]]] = numbers  # type: ignore[assignment]
    easy, hard = shown["ridge"]["network"], shown["bump"]["network"]
    grows = _growth(shown["ridge"]["polynomial"])
    slow = _growth(easy)
    if grows is None or slow is None or slow > 0.7 * grows:
        why = "networks did not need fewer parameters than tensor products even on a ridge"
        return Outcome("does not hold", why, numbers, [figure])
    why = (
        f"On a function of one direction tensor products multiply by {grows:.1f} with each "
        f"dimension and networks by {slow:.1f}. But O(n^D) counts one basis: polynomials of total "
        f"degree n have only C(n+D, D) terms ({total[-1]} instead of {whole[-1]} in "
        f"{dimensions[-1]} dimensions), "
        "and a network gains because the function is simple: for a bump that depends on every "
        f"coordinate it needs {_told(hard)} parameters in {_told(list(dimensions))} dimensions. No "
        "size is enough for all functions (the width may have to grow exponentially in D)."
    )
    return Outcome("holds with conditions", why, numbers, [figure])


def _told(values: list[int | None]) -> str:
    return ", ".join("more than tried" if v is None else str(v) for v in values)


def _growth(found: list[int | None]) -> float | None:
    """The mean factor from one dimension to the next."""
    known = [v for v in found if v is not None]
    if len(known) < 2:
        return None
    return float(np.exp((np.log(known[-1]) - np.log(known[0])) / (len(known) - 1)))


EXPERIMENT = Experiment(
    "dimension",
    "Terms against dimension",
    "In D dimensions polynomials need O(n^D) terms; networks may reach the same with O(N) neurons "
    "(多项式逼近需要 O(n^D) 项，而神经网络可能以 O(N) 神经元实现相同精度).",
    "The smallest tensor product of Chebyshev polynomials and the smallest tanh network that come "
    "within 0.05, for sin of the mean direction and for exp(-|x|²), in growing dimension.",
    measure,
)
