"""The operators. Importing this room describes them all, attaches the methods, and hands the tape
its arithmetic.

Every operator of PyTorch's top namespace is an attribute here (`ops.matmul`): so the rooms above
call them.
"""

from __future__ import annotations

import gc
import importlib
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.ops import dunders, inplace_functions
from pellucid.ops.memory.conversion import convert
from pellucid.ops.spec import namespace

FAMILIES = (
    "memory.conversion",
    "creation.sizes",
    "creation.data",
    "linalg.matmul",
    "memory.memory",
    "reductions.sums",
    "views.every",
    "indexing.brackets",
    "shapes.diagonals",
    "memory.copying",
    "linalg.chains",
    "reductions.cumulative",
    "creation.legacy",
    "einsum.einsum",
    "gamma_gradient",
    "indexing.gathering",
    "linalg.products",
    "reductions.differences",
    "sorting.histograms",
    "reductions.extremes",
    "reductions.quantiles",
    "sorting.searching",
    "shapes.grids",
    "indexing.rows",
    "shapes.joining",
    "indexing.masking",
    "shapes.rearranging",
    "indexing.scatter",
    "queries",
    "random.sizes",
    "random.fill",
    "random.parameters",
    "creation.ranges",
    "sorting.order",
    "reductions.statistics",
    "views.copies",
    "creation.windows",
    "views.inplace",
    "elementwise.arithmetic",
    "elementwise.comparison",
    "elementwise.complex_numbers",
    "elementwise.exponential",
    "elementwise.extremes",
    "elementwise.logical",
    "elementwise.powers",
    "elementwise.rounding",
    "elementwise.trigonometric",
    "elementwise.decomposition",
    "activations.straight",
    "activations.smooth",
    "elementwise.special",
    "elementwise.special_series",
    "activations.gated",
    "activations.softmax",
    "nn.convolution",
    "nn.normalisation",
    "nn.pooling",
    "nn.adaptive_pooling",
    "nn.losses_regression",
    "linalg",
    "nn.losses_classes",
    "nn.losses_margin",
    "nn.losses_multilabel",
    "nn.dropout",
    "nn.embedding",
    "nn.padding",
    "nn.attention",
    "nn.folding",
    "nn.shuffling",
    "nn.unpooling",
    "nn.losses_ctc",
    "nn.bags",
    "nn.distances",
    "nn.sampling",
    "nn.interpolation",
    "nn.normalisation_rows",
    "nn.normalisation_groups",
    "nn.torch_names",
    "fourier.transforms",
    "fourier.frequencies",
    "fourier.short_time",
)
"""The modules that describe operators, in the order in which they are read: some tables give names
to operators of tables before them."""


def _arithmetic() -> dict[str, Any]:
    """What the engine computes with (`autograd/arithmetic.py`), from the registry."""
    functions, methods = namespace("torch"), namespace("Tensor")
    given = {name: functions.get(name) or methods.get(name) for name in arithmetic.names()}
    given["cast"] = convert
    given["isnan_any"] = lambda tensor: bool((tensor != tensor).any())
    return given


def _describe_all() -> None:
    """Read every family. What is described lives as long as the process, so the collector, which
    would look through it again and again, rests meanwhile: a third of the time.
    """
    collects = gc.isenabled()
    gc.disable()
    try:
        importlib.import_module("pellucid.autograd.methods")  # attaches the tape's methods
        for family in FAMILIES:
            importlib.import_module(f"pellucid.ops.{family}")
        arithmetic.fill(_arithmetic())
        dunders.attach()
        inplace_functions.attach()
    finally:
        if collects:
            gc.enable()


_describe_all()
globals().update(namespace("torch"))


def __getattr__(name: str) -> Any:
    raise AttributeError(f"there is no operator named {name!r}")
