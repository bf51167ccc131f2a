"""Why networks did not fit, and what was tried: each suspicion is tested by training again without
it.
"""

from __future__ import annotations

from collections.abc import Callable
from dataclasses import dataclass
from typing import Any

import numpy as np

from pellucid.lab.fits import Fit, measuring_points
from pellucid.lab.measures import dead_units
from pellucid.lab.networks import Ensemble, Network, parameters_of
from pellucid.lab.targets import Target
from pellucid.lab.training import Training, chosen_optimiser


@dataclass(frozen=True)
class Finding:
    """A suspicion, the evidence for it, and what came of trying the remedy."""

    cause: str
    evidence: str
    tried: str = ""

    def as_json(self) -> dict[str, str]:
        """The words."""
        return {"cause": self.cause, "evidence": self.evidence, "tried": self.tried}


def diagnose(
    target: Target,
    fit: Fit,
    ensemble: Ensemble,
    training: Training,
    again: Callable[..., tuple[Fit, Any, Any]],
) -> list[Finding]:
    """Look for the usual causes and try their remedies on a few seeds; the remedies that helped
    come first.
    """
    network: Network = fit.model
    found = [
        *_loss(fit, training),
        *_turns(target, network),
        *_units(target, network),
        *_frequencies(target, network),
        *_jumps(target),
        *_scale(ensemble),
    ]
    wider = tuple(2 * width for width in network.hidden)
    in_vain = []
    for cause, widths, changes in (
        ("too few units", wider, {}),
        ("initial range", network.hidden, {"gain": 3.0}),
    ):
        optimiser = chosen_optimiser(None, parameters_of(target.dimension, widths))
        other = again(
            target, widths, network.activation, seeds=4, optimiser=optimiser,
            steps=200 if optimiser == "levenberg" else 2000, **changes,
        )[0]  # fmt: skip
        what = f"width {'-'.join(map(str, widths))}" if widths is wider else "gain 3"
        if other.sup < 0.5 * fit.sup:
            found.insert(
                0,
                Finding(
                    cause,
                    f"with {what} the sup error falls from {fit.sup:.3g} to {other.sup:.3g}",
                    f"4 seeds, {what}: helped",
                ),
            )
        else:
            in_vain.append(f"{what}: {other.sup:.3g}")
    if not found:
        found = [Finding("unknown", "none of the usual causes was seen")]
    if in_vain:
        found.append(
            Finding(
                "no help", f"sup errors with other settings: {', '.join(in_vain)}", "4 seeds each"
            )
        )
    return found


def _loss(fit: Fit, training: Training) -> list[Finding]:
    diverged = int(training.diverged.sum())
    if diverged:
        return [
            Finding(
                "learning rate",
                f"the loss of {diverged} of {len(training.diverged)} seeds is not finite: steps "
                "are too long",
            )
        ]
    losses = training.losses
    if len(losses) < 20:
        return []
    late = losses[-len(losses) // 5]
    falling = (losses[-1] < 0.7 * late).mean()
    if falling > 0.5:
        return [
            Finding(
                "too few steps",
                f"the loss of {falling:.0%} of the seeds still fell by a third in the last fifth",
            )
        ]
    return []


def _units(target: Target, network: Network) -> list[Finding]:
    dead = dead_units(network, measuring_points(target))
    if not dead:
        return []
    return [
        Finding(
            "dead units",
            f"{dead} of {sum(network.hidden)} hidden units are constant on the whole interval",
        )
    ]


def _turns(target: Target, network: Network) -> list[Finding]:
    """Each time the target turns a unit is needed, or nearly so."""
    if target.dimension != 1 or len(network.hidden) > 1:
        return []
    slopes = np.diff(target.values(np.linspace(*target.interval, 4001)))
    signs = np.sign(slopes[np.abs(slopes) > 1e-12 * np.abs(slopes).max(initial=0.0)])
    turns = int((signs[1:] != signs[:-1]).sum())
    if turns <= 2 * network.hidden[0]:
        return []
    return [
        Finding(
            "too few units",
            f"the target turns {turns} times on the interval, and {network.hidden[0]} units of one "
            "layer follow about as many turns as they are",
        )
    ]


def _frequencies(target: Target, network: Network) -> list[Finding]:
    """Networks learn low frequencies first (Rahaman et al. 2019)."""
    if target.dimension != 1:
        return []
    points = np.linspace(*target.interval, 512)
    wanted = target.values(points)
    left = np.abs(np.fft.rfft((wanted - network(points)) * np.hanning(512)))
    whole = np.abs(np.fft.rfft((wanted - wanted.mean()) * np.hanning(512)))
    numbers = np.arange(len(left))

    def middle(spectrum: np.ndarray) -> float:
        return float((numbers * spectrum**2).sum() / max((spectrum**2).sum(), 1e-300))

    if middle(left) <= 1.5 * middle(whole) + 0.5:
        return []
    return [
        Finding(
            "frequency bias",
            f"what is left oscillates {middle(left) / max(middle(whole), 0.5):.1f} times as fast "
            "as the target: the slow part was learned, the fast part was not",
        )
    ]


def _jumps(target: Target) -> list[Finding]:
    if target.dimension != 1:
        return []
    values = target.values(np.linspace(*target.interval, 4001))
    steps = np.abs(np.diff(values))
    if steps.max() < 0.2 * np.ptp(values):
        return []
    return [
        Finding(
            "a jump",
            "the target jumps by "
            f"{steps.max():.3g} between neighbouring points: a continuous function is at least "
            "half of that away, whatever it is",
        )
    ]


def _scale(ensemble: Ensemble) -> list[Finding]:
    if ensemble.scale == 1.0 and ensemble.centre == 0.0:
        return []
    if 0.1 < ensemble.scale < 10:
        return []
    return [
        Finding(
            "input scale",
            f"the interval's half width is {ensemble.scale:g}; inputs were scaled to [-1, 1]",
            "scaled: done",
        )
    ]
