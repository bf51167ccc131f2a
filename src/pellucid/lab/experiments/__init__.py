"""One experiment for each claim of the notes' section on the approximation theorem."""

from __future__ import annotations

from pellucid.lab.experiment import Experiment
from pellucid.lab.experiments import (
    basis_functions,
    costs_of_depth,
    dimension,
    four_units,
    kinks_and_jumps,
    linear_pieces,
    nested_sines,
    runge,
    width_against_depth,
)

EXPERIMENTS: tuple[Experiment, ...] = tuple(
    module.EXPERIMENT
    for module in (
        basis_functions,
        four_units,
        runge,
        kinks_and_jumps,
        dimension,
        width_against_depth,
        linear_pieces,
        nested_sines,
        costs_of_depth,
    )
)
"""In the order of the notes."""

__all__ = ["EXPERIMENTS"]
