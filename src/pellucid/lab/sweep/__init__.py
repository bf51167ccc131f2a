"""Sweeps: one target, networks of every width, depth and learning rate of a grid, several seeds
each, on the cores of this machine or of many (Ray).

A cell of the grid is trained by one thread of one process, so that its numbers do not depend on
where it ran, on what ran beside it, or on how often the sweep was interrupted. (Another kind of CPU
adds up products in another order: its last bits may differ.)
"""

from __future__ import annotations

from pellucid.lab.sweep.cells import Cell, Question, train_cell
from pellucid.lab.sweep.crew import SweepError, results_of
from pellucid.lab.sweep.grid import Grid, read_grid
from pellucid.lab.sweep.here import Here
from pellucid.lab.sweep.over_ray import OverRay
from pellucid.lab.sweep.store import Results

__all__ = [
    "Cell",
    "Grid",
    "Here",
    "OverRay",
    "Question",
    "Results",
    "SweepError",
    "read_grid",
    "results_of",
    "train_cell",
]
