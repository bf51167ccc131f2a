"""The operators. Importing this room describes what a plain tensor program needs, attaches the
methods, and hands the tape its arithmetic; other families are read when they are first used.

Every operator of PyTorch's top namespace is an attribute here (`ops.matmul`): so the rooms above
call them.
"""

from __future__ import annotations

import importlib
from typing import Any

from pellucid.autograd.arithmetic import arithmetic
from pellucid.ops import dunders, inplace_functions
from pellucid.ops.memory.conversion import convert
from pellucid.ops.spec import registry, resting, show, table
from pellucid.tensor.read_only import seal
from pellucid.tensor.tensor import Tensor

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
    "reductions.cumulative",
    "creation.legacy",
    "einsum.einsum",
    "indexing.gathering",
    "reductions.extremes",
    "indexing.rows",
    "shapes.joining",
    "indexing.masking",
    "shapes.rearranging",
    "indexing.scatter",
    "queries",
    "random.sizes",
    "random.fill",
    "creation.ranges",
    "sorting.order",
    "reductions.statistics",
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
    "activations.straight",
    "activations.smooth",
    "activations.softmax",
)
"""The modules that describe operators, in the order in which they are read: some tables give names
to operators of tables before them."""

LATE = (
    "linalg.chains",
    "gamma_gradient",
    "linalg.products",
    "reductions.differences",
    "sorting.histograms",
    "reductions.quantiles",
    "sorting.searching",
    "shapes.grids",
    "random.parameters",
    "views.copies",
    "creation.windows",
    "elementwise.decomposition",
    "elementwise.special",
    "elementwise.special_series",
    "activations.gated",
    "nn.convolution",
    "nn.normalisation",
    "nn.pooling",
    "nn.adaptive_pooling",
    "nn.losses_regression",
    "linalg.norms",
    "linalg.solving",
    "linalg.factors",
    "linalg.determinants",
    "linalg.lu",
    "linalg.least_squares",
    "linalg.indefinite",
    "linalg.reflections",
    "linalg.low_rank",
    "linalg.tensors",
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
"""The modules whose operators are described when one of them is first asked for. Their names stand
in `late_names.txt`, written by `tools/write_stubs.py`."""


PLACES = ("torch", "Tensor", "nn.functional", "linalg", "special", "fft", "internal")
"""The public places, and that of the operators for other operators."""


def late_names() -> dict[str, list[str]]:
    """The public names of each late family, as `late_names.txt` holds them: "torch.stft"."""
    lines = table("late_names.txt").splitlines()
    return {family: names for family, *names in map(str.split, lines)}


def _arithmetic() -> dict[str, Any]:
    """What the engine computes with (`autograd/arithmetic.py`), from the registry."""
    found = {
        name: registry.find("torch", name) or registry.find("Tensor", name)
        for name in arithmetic.names()
    }
    found["cast"] = convert
    found["isnan_any"] = lambda tensor: bool((tensor != tensor).any())
    return found


def _describe() -> None:
    """Read the families that every program needs, and note the names of the others."""
    importlib.import_module("pellucid.autograd.methods")  # attaches the tape's methods
    inplace_functions.expect()
    with resting():
        for family in FAMILIES:
            importlib.import_module(f"pellucid.ops.{family}")
        arithmetic.fill(_arithmetic())
        dunders.attach()
    seal(Tensor)
    known = late_names()
    for family in LATE:
        registry.expect(family, known.get(family, ()))


_describe()
_late = show("torch", globals())


namespaces: dict[str, Any] = {}
"""Operators that programs define (`torch.library`), by namespace: `torch.ops.mylib.scale`."""


def __getattr__(name: str) -> Any:
    if name in namespaces:
        return namespaces[name]
    found = _late(name)
    if found is None:
        raise AttributeError(f"there is no operator named {name!r}")
    return found
