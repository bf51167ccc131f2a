"""The normal distribution.

Its quantiles `ndtri`, and the logarithm of its distribution function, `log_ndtr`.
"""

from __future__ import annotations

import math

import numpy as np

from pellucid.ops.numerics.erf import erfc, erfcx
from pellucid.ops.numerics.polynomials import in_double, pieces, ratio

_P0 = (
    -5.99633501014107895267e1, 9.80010754185999661536e1, -5.66762857469070293439e1,
    1.39312609387279679503e1, -1.23916583867381258016e0,
)  # fmt: skip
_Q0 = (
    1.00000000000000000000e0, 1.95448858338141759834e0, 4.67627912898881538453e0,
    8.63602421390890590575e1, -2.25462687854119370527e2, 2.00260212380060660359e2,
    -8.20372256168333339912e1, 1.59056225126211695515e1, -1.18331621121330003142e0,
)  # fmt: skip
_P1 = (
    4.05544892305962419923e0, 3.15251094599893866154e1, 5.71628192246421288162e1,
    4.40805073893200834700e1, 1.46849561928858024014e1, 2.18663306850790267539e0,
    -1.40256079171354495875e-1, -3.50424626827848203418e-2, -8.57456785154685413611e-4,
)  # fmt: skip
_Q1 = (
    1.00000000000000000000e0, 1.57799883256466749731e1, 4.53907635128879210584e1,
    4.13172038254672030440e1, 1.50425385692907503408e1, 2.50464946208309415979e0,
    -1.42182922854787788574e-1, -3.80806407691578277194e-2, -9.33259480895457427372e-4,
)  # fmt: skip
_P2 = (
    3.23774891776946035970e0, 6.91522889068984211695e0, 3.93881025292474443415e0,
    1.33303460815807542389e0, 2.01485389549179081538e-1, 1.23716634817820021358e-2,
    3.01581553508235416007e-4, 2.65806974686737550832e-6, 6.23974539184983293730e-9,
)  # fmt: skip
_Q2 = (
    1.00000000000000000000e0, 6.02427039364742014255e0, 3.67983563856160859403e0,
    1.37702099489081330271e0, 2.16236993594496635890e-1, 1.34204006088543189037e-2,
    3.28014464682127739104e-4, 2.89247864745380683936e-6, 6.79019408009981274425e-9,
)  # fmt: skip


@in_double
def ndtri(p: np.ndarray) -> np.ndarray:
    """The x with Φ(x) = p, after Cephes.

    A rational function around 1/2, two of 1/sqrt(−2 log p) in the tails.
    """
    edge = math.exp(-2)

    def middle(p: np.ndarray) -> np.ndarray:
        y = p - 0.5
        square = y * y
        return math.sqrt(2 * math.pi) * (y + y * (square * ratio(square, _P0, _Q0)))

    def tail(p: np.ndarray) -> np.ndarray:
        """The distance from 0 at which a tail of `p` begins."""
        x = np.sqrt(-2 * np.log(p))
        z = 1 / x
        near = pieces(
            z, (x < 8, lambda z: z * ratio(z, _P1, _Q1)), (x >= 8, lambda z: z * ratio(z, _P2, _Q2))
        )
        return x - np.log(x) / x - near

    return pieces(
        p,
        (p == 0, lambda p: np.full_like(p, -np.inf)),
        (p == 1, lambda p: np.full_like(p, np.inf)),
        ((p > edge) & (p <= 1 - edge), middle),
        ((p > 0) & (p <= edge), lambda p: -tail(p)),
        ((p > 0) & (p < 1), lambda p: tail(1 - p)),
    )


@in_double
def log_ndtr(x: np.ndarray) -> np.ndarray:
    """log Φ(x), by `erfcx` where Φ itself is too small."""
    t = x * math.sqrt(0.5)
    return pieces(
        t,
        (t < -math.sqrt(0.5), lambda t: np.log(erfcx(-t) / 2) - t * t),
        (t >= -math.sqrt(0.5), lambda t: np.log1p(-erfc(t) / 2)),
    )
