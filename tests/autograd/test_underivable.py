"""Outputs of operators without a derivative require a gradient, and backward says there is none."""

from __future__ import annotations

from collections.abc import Callable
from types import ModuleType
from typing import Any

import pytest
import torch

import pellucid

VALUES = [0.5, -1.0, 0.25, 0.0, 2.0, 0.5]

CALLS: dict[str, Callable[[ModuleType, Any], Any]] = {
    "unique": lambda t, x: t.unique(x),
    "unique of several": lambda t, x: t.unique(x, return_inverse=True, return_counts=True)[0],
    "unique along a dimension": lambda t, x: t.unique(x.reshape(2, 3), dim=0),
    "unique_consecutive": lambda t, x: t.unique_consecutive(x),
    "unique_consecutive along one": lambda t, x: t.unique_consecutive(x.reshape(2, 3), dim=0),
    "histogram": lambda t, x: t.histogram(x, 4)[0],
    "edges of a histogram": lambda t, x: t.histogram(x, 4)[1],
    "weights of a histogram": lambda t, x: t.histogram(x.detach(), 4, weight=x)[0],
    "histogramdd": lambda t, x: t.histogramdd(x.reshape(3, 2), [2, 2])[0],
    "bincount": lambda t, x: t.bincount(t.arange(6), x),
    "heaviside": lambda t, x: t.heaviside(x, x.detach()),
    "values of heaviside": lambda t, x: t.heaviside(x.detach(), x),
    "floor_divide": lambda t, x: t.floor_divide(x, 2.0),
    "igamma": lambda t, x: t.igamma(x, x.detach()),
    "zeta": lambda t, x: t.special.zeta(x, x.detach() + 3),
}


@pytest.mark.parametrize("name", CALLS)
def test_backward_refuses_as_pytorch_does(name: str) -> None:
    outputs = [CALLS[name](t, t.tensor(VALUES, requires_grad=True)) for t in (torch, pellucid)]
    theirs, ours = outputs
    assert ours.requires_grad
    assert ours.grad_fn.name() == theirs.grad_fn.name()
    with pytest.raises((RuntimeError, NotImplementedError), match="derivative for") as expected:
        theirs.sum().backward()
    with pytest.raises(type(expected.value), match="derivative for") as found:
        ours.sum().backward()
    assert str(found.value).splitlines()[0] == str(expected.value).splitlines()[0]


def test_counts_and_places_ask_for_no_gradient() -> None:
    x = pellucid.tensor(VALUES, requires_grad=True)
    _, inverse, counts = pellucid.unique(x, return_inverse=True, return_counts=True)
    assert not inverse.requires_grad
    assert not counts.requires_grad
    assert not pellucid.histc(x).requires_grad
