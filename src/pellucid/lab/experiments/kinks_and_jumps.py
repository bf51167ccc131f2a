"""|x| and a jump: functions that are not smooth."""

from __future__ import annotations

import numpy as np

from pellucid.lab import constructions
from pellucid.lab.compare import fit_networks
from pellucid.lab.experiment import Experiment, Figure, Outcome, Settings
from pellucid.lab.polynomials import chebyshev, taylor
from pellucid.lab.targets import TARGETS


def _ramp_errors(width: float) -> tuple[float, float]:
    """The largest and the mean error of two ReLUs in place of a jump; they differ in the ramp
    only.
    """
    x = np.linspace(0, width / 2, 2001)[1:]
    error = 1 - constructions.ramp(width)(x)
    return float(error.max()), float(np.sqrt(np.mean(error**2) * width / 2))


def measure(settings: Settings) -> Outcome:
    """How polynomial errors fall for a kink and a jump, and what ReLU networks do."""
    kink, jump = settings.target or TARGETS["abs"], TARGETS["step"]
    degrees = np.array(settings.of((4, 8, 16, 32, 64, 128), (4, 8, 16, 32, 64)))
    on_kink = [chebyshev(kink, int(d)).sup for d in degrees]
    x = np.linspace(-1, 1, 4001)
    x = x[x != 0]
    on_jump = [
        float(np.abs(chebyshev(jump, int(d)).evaluate(x) - jump.values(x)).max()) for d in degrees
    ]
    rate = float(np.polyfit(np.log(degrees), np.log(on_kink), 1)[0])
    own = settings.target is None
    by_theory = float(np.abs(constructions.absolute()(x) - TARGETS["abs"].values(x)).max())
    trained, _, _ = fit_networks(
        kink, (2 if own else 8,), "relu", seeds=settings.seeds(16, 8), steps=100, points=80
    )
    ramps, means = zip(*(_ramp_errors(width) for width in (0.1, 0.01, 0.001)), strict=True)
    note = taylor(kink, 4)
    figure = Figure("sup error over degree", "degree", "sup error", log_x=True, log_y=True)
    figure.line(f"{kink.name}, Chebyshev", degrees, on_kink)
    figure.line("step, Chebyshev", degrees, on_jump)
    if own:
        figure.line("0.28/n (Bernstein's limit for |x|)", degrees, 0.28 / degrees, dashed=True)
    else:
        figure.line("8 ReLUs, trained", [trained.parameters - 1], [trained.sup])
    shape = Figure("a jump", "x", "f(x)")
    shown = np.linspace(-1, 1, 401)
    shape.line("target", shown, jump.values(shown), marked=False)
    shape.line("Chebyshev, degree 32", shown, chebyshev(jump, 32).evaluate(shown), marked=False)
    shape.line("two ReLUs", shown, constructions.ramp(0.05)(shown), marked=False, dashed=True)
    numbers = {
        "degrees": degrees.tolist(), kink.name: on_kink, "step": on_jump, "rate": rate,
        "two ReLUs on abs": by_theory, "ReLUs trained": trained.sup,
        "ramps, sup": list(ramps), "ramps, L2": list(means), f"Taylor of {kink.name}": note.sup,
    }  # fmt: skip
    if by_theory > 1e-12 or not -3 < rate < -0.2:
        why = f"polynomials come closer to {kink.name} as n^{rate:.2f}: " + (
            "it is smooth, and no kink is in their way" if rate <= -3
            else f"not at all; it jumps, or a degree of {degrees[-1]} is too low to tell"
        )  # fmt: skip
        return Outcome("does not hold", why, numbers, [figure, shape])
    if own:
        networks = (
            f"|x| is two ReLUs exactly (error {by_theory:.1g}; found by training up to "
            f"{trained.sup:.1g})"
        )
    else:
        networks = (
            f"Eight trained ReLUs come within {trained.sup:.2g} of {kink.name} with "
            f"{trained.parameters} parameters, a Chebyshev polynomial with as many within "
            f"{chebyshev(kink, trained.parameters - 1).sup:.2g}"
        )
    why = (
        f"{networks}, while polynomials come closer as n^{rate:.2f}: slowly, but they do "
        f"converge, as Weierstrass promises; Taylor's series fails ({note.sup:.2g} away at degree "
        "4), for want of derivatives. A jump is beyond both in the largest error: every continuous "
        f"function is half of it away somewhere (ramps: {', '.join(f'{r:.2g}' for r in ramps)}), "
        "and only the mean error falls "
        f"({', '.join(f'{m:.2g}' for m in means)})."
    )
    return Outcome("holds with conditions", why, numbers, [figure, shape])


EXPERIMENT = Experiment(
    "kinks_and_jumps",
    "|x| and jumps",
    "Taylor needs infinitely many derivatives; networks such as ReLU's approximate functions that "
    "are continuous but not differentiable, such as |x|, and learn where pieces meet, where "
    "polynomials need a very high degree (ReLU神经元可自动学习“转折点”).",
    "Chebyshev least squares of growing degree against two ReLUs, built and trained, for |x|; the "
    "same for a step, its place included.",
    measure,
)
