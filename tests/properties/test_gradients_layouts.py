"""Gradients of inputs in every layout are PyTorch's, of first and second order; and the second
derivative of every operator that has one agrees with finite differences.
"""

from __future__ import annotations

import warnings
from typing import Any

import pytest

import pellucid
from pellucid.autograd import gradgradcheck
from tests.parity.bridge import build, is_tensor, leaves
from tests.properties.all_rows import ROWS
from tests.properties.rows import Argument, Row, check_gradients, function_of, plain

WITH_GRADIENTS = [row for row in ROWS if row.orders]


@pytest.mark.parametrize("row", WITH_GRADIENTS, ids=str)
def test_gradients_of_every_layout_are_the_reference_ones(row: Row) -> None:
    check_gradients(row)


def smooth_call(row: Row) -> tuple[Any, list[Any]] | None:
    """A function of the row's differentiable tensors, with them; None if nothing depends on them.

    Numbers are generic, so no kink is near.
    """
    call = plain(row)
    inputs = build(call, pellucid)
    tensors = [x for _, x in leaves(inputs) if is_tensor(x) and x.requires_grad]
    function = function_of(pellucid, row.key)

    def of_tensors(*changed: Any) -> Any:
        replaced = dict(zip(map(id, tensors), changed, strict=True))
        first, args, kwargs = replace(inputs, replaced)
        result = function(first, *args, **kwargs)
        found = row.unique(result) if row.unique else result
        return tuple(x for _, x in leaves(found) if is_tensor(x) and x.requires_grad)

    return (of_tensors, tensors) if tensors and of_tensors(*tensors) else None


def replace(tree: Any, replaced: dict[int, Any]) -> Any:
    """The tree with tensors exchanged by identity."""
    if isinstance(tree, dict):
        return {key: replace(value, replaced) for key, value in tree.items()}
    if type(tree) in (list, tuple):
        return type(tree)(replace(value, replaced) for value in tree)
    return replaced.get(id(tree), tree)


def free(row: Row) -> bool:
    """Whether each element may change alone: not in a symmetric or triangular matrix."""
    domains = [leaf.domain for _, leaf in leaves(row.args) if isinstance(leaf, Argument)]
    return row.orders > 1 and not {"definite", "lower"}.intersection(domains)


@pytest.mark.parametrize("row", [row for row in ROWS if free(row)], ids=str)
def test_second_derivatives_agree_with_differences(row: Row) -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = smooth_call(row)
        if found is None:
            return
        function, tensors = found
        assert gradgradcheck(function, tuple(tensors), fast_mode=True, rtol=1e-3, atol=1e-4)
