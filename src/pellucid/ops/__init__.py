"""The operators. Importing this room describes them all, attaches the methods, and hands the tape its arithmetic.

Every operator of PyTorch's top namespace is an attribute here (`ops.matmul`), which is how the rooms above call them.
"""

from __future__ import annotations

from typing import Any

from pellucid.autograd import methods as _tape  # attaches the tape's methods to Tensor
from pellucid.autograd.arithmetic import arithmetic
from pellucid.ops import conversion, creation, dunders, from_data, matmul, memory, reductions, views
from pellucid.ops import indexing as _indexing
from pellucid.ops import diagonals as _diagonals
from pellucid.ops import copying as _copying
from pellucid.ops import chains as _chains
from pellucid.ops import cumulative as _cumulative
from pellucid.ops import legacy as _legacy
from pellucid.ops import einsum as _einsum
from pellucid.ops import gamma_gradient as _gamma_gradient
from pellucid.ops import gathering as _gathering
from pellucid.ops import products as _products
from pellucid.ops import differences as _differences
from pellucid.ops import histograms as _histograms
from pellucid.ops import reduce_extremes as _reduce_extremes
from pellucid.ops import quantiles as _quantiles
from pellucid.ops import searching as _searching
from pellucid.ops import grids as _grids
from pellucid.ops import index_rows as _index_rows
from pellucid.ops import joining as _joining
from pellucid.ops import masking as _masking
from pellucid.ops import rearranging as _rearranging
from pellucid.ops import scatter as _scatter
from pellucid.ops import queries as _queries
from pellucid.ops import random as _random
from pellucid.ops import random_fill as _random_fill
from pellucid.ops import random_parameters as _random_parameters
from pellucid.ops import ranges as _ranges
from pellucid.ops import sorting as _sorting
from pellucid.ops import statistics as _statistics
from pellucid.ops import view_copies as _view_copies
from pellucid.ops import windows as _windows
from pellucid.ops import view_inplace as _view_inplace
from pellucid.ops.elementwise import arithmetic as _arithmetic_table
from pellucid.ops.elementwise import comparison as _comparison
from pellucid.ops.elementwise import complex_numbers as _complex_numbers
from pellucid.ops.elementwise import exponential as _exponential
from pellucid.ops.elementwise import extremes as _extremes
from pellucid.ops.elementwise import logical as _logical
from pellucid.ops.elementwise import powers as _powers
from pellucid.ops.elementwise import rounding as _rounding
from pellucid.ops.elementwise import trigonometric as _trigonometric
from pellucid.ops.elementwise import decomposition as _decomposition
from pellucid.ops import activations as _activations
from pellucid.ops import activations_smooth as _activations_smooth
from pellucid.ops.elementwise import special as _special
from pellucid.ops import gated as _gated
from pellucid.ops import softmax as _softmax
from pellucid.ops.nn import convolution as _convolution
from pellucid.ops.nn import normalisation as _normalisation
from pellucid.ops.nn import pooling as _pooling
from pellucid.ops.nn import adaptive_pooling as _adaptive_pooling
from pellucid.ops.nn import losses_regression as _losses_regression
from pellucid.ops import linalg as _linalg
from pellucid.ops.nn import losses_classes as _losses_classes
from pellucid.ops.nn import losses_margin as _losses_margin
from pellucid.ops.nn import losses_multilabel as _losses_multilabel
from pellucid.ops.nn import dropout as _dropout
from pellucid.ops.nn import embedding as _embedding
from pellucid.ops.nn import padding as _padding
from pellucid.ops.nn import attention as _attention
from pellucid.ops.nn import folding as _folding
from pellucid.ops.nn import shuffling as _shuffling
from pellucid.ops.nn import unpooling as _unpooling
from pellucid.ops.nn import losses_ctc as _losses_ctc
from pellucid.ops.nn import bags as _bags
from pellucid.ops.nn import distances as _distances
from pellucid.ops.nn import sampling as _sampling
from pellucid.ops.nn import interpolation as _interpolation
from pellucid.ops import inplace_functions
from pellucid.ops.nn import normalisation_rows as _normalisation_rows
from pellucid.ops.nn import normalisation_groups as _normalisation_groups
from pellucid.ops.spec import namespace, registry


def __getattr__(name: str) -> Any:
    found = registry.places["torch"].get(name)
    if found is None:
        raise AttributeError(f"there is no operator named {name!r}")
    return found


def _arithmetic() -> dict[str, Any]:
    """What the engine computes with (`autograd/arithmetic.py`), from the registry."""
    functions, methods = namespace("torch"), namespace("Tensor")
    given = {name: functions.get(name) or methods.get(name) for name in arithmetic.names()}
    given["cast"] = conversion.convert
    given["isnan_any"] = lambda tensor: bool((tensor != tensor).any())
    return given


arithmetic.fill(_arithmetic())
dunders.attach()
inplace_functions.attach()
