"""In-place operators through views: base and view agree with PyTorch, the version counts once,
memory that several elements share is refused.
"""

from __future__ import annotations

import types
import warnings
from typing import Any

import numpy as np
import pytest
import torch
from hypothesis import given
from hypothesis import strategies as st

import pellucid
from pellucid.ops.spec import registry
from tests.parity.bridge import build, dtype_name, values
from tests.parity.compare import compare_trees
from tests.properties.all_rows import ROWS
from tests.properties.rows import Row, calls, elements_of_their_own, examples
from tests.strategies import both, tensors

FORMS = [row for row in ROWS if row.spec.inplace and row.args and row.unique is None]
"""The rows of operators with an in-place form; it takes what they take."""


def written(library: types.ModuleType, row: Row, call: Any) -> tuple[Any, Any]:
    """`(what the form returned is its tensor, tensors to compare)`, or the exception's type."""
    base, (_, args, kwargs) = build((call[0], call), library)
    view = base.transpose(0, -1) if base.dim() else base.view(())
    other = base.view_as(base)
    before = base._version
    name = row.spec.name + "_"
    try:
        returned = getattr(view, name)(*args, **kwargs)
    except Exception as error:  # compared with the other side's
        return type(error), (view.detach(), base.detach())
    return (returned is view, base._version - before, other._version - before), (
        view.detach(),
        base.detach(),
        other.detach(),
    )


@pytest.mark.parametrize("row", FORMS, ids=str)
def test_writing_through_a_view_writes_the_base(row: Row) -> None:
    @examples(4)
    @given(call=calls(row))
    def agrees(call: Any) -> None:
        with warnings.catch_warnings(), np.errstate(all="ignore"):
            warnings.simplefilter("ignore")
            (want, expected), (have, got) = (
                written(library, row, call) for library in (torch, pellucid)
            )
        if isinstance(want, type):
            assert isinstance(have, type), f"{row}: PyTorch raises {want.__name__}"
            assert issubclass(have, want), f"{row}: {have.__name__} instead of {want.__name__}"
            return
        assert have == want, f"{row}: (returns itself, versions) {have}, not {want}"
        found = compare_trees(row.key, expected, got)
        assert not any(found.values()), f"{row}: {found}"

    agrees()


def test_every_inplace_operator_has_a_row() -> None:
    public = {key for key, spec in registry.specs.items() if spec.inplace and "." not in key}
    assert public - {row.key for row in FORMS} == set()


@pytest.mark.parametrize("row", FORMS, ids=str)
def test_memory_that_elements_share_is_refused(row: Row) -> None:
    @examples(3)
    @given(call=calls(row), size=st.integers(2, 3))
    def refuses(call: Any, size: int) -> None:
        base, (_, args, kwargs) = build((call[0], call), pellucid)
        if not base.numel() or not elements_of_their_own(call[0]):
            return
        before, bits = base._version, values(base).tobytes()
        with pytest.raises((RuntimeError, TypeError, IndexError), match=r"."):
            getattr(base.expand(size, *base.shape), row.spec.name + "_")(*args, **kwargs)
        assert base._version == before
        assert values(base).tobytes() == bits

    refuses()


PROGRAMS = {
    "mul_ of a slice": lambda t, x: x[..., :1].mul_(3),
    "add_ of a transpose": lambda t, x: x.transpose(0, -1).add_(1),
    "exp_ of a diagonal": lambda t, x: x.diagonal(0, 0, -1).exp_(),
    "copy_ into a row": lambda t, x: x[0].copy_(x[-1].clone() * 2),
    "fill_ of a view of a view": lambda t, x: x.unsqueeze(0)[0].narrow(0, 0, 1).fill_(2),
    "masked_fill_": lambda t, x: x.masked_fill_(x > 0, 0.5),
    "setitem": lambda t, x: x.__setitem__((Ellipsis, 0), x[..., -1] * 2),
    "zero_ of one part": lambda t, x: x.split(1)[0].clone().zero_(),
}


@pytest.mark.parametrize("name", PROGRAMS)
def test_gradients_flow_through_writes_to_views(name: str) -> None:
    shapes = st.sampled_from([(2, 2), (3, 2), (1, 3), (2, 3, 2), (3, 1, 2)])

    @examples(12)
    @given(recipe=tensors(shapes, ("float64",)).filter(elements_of_their_own))
    def agrees(recipe: Any) -> None:
        seen = []
        for library, leaf in zip((torch, pellucid), both(recipe, pellucid), strict=True):
            leaf.requires_grad_()
            changed = leaf.clone()
            PROGRAMS[name](library, changed)
            (grad,) = library.autograd.grad((changed * changed).sum(), leaf, create_graph=True)
            (second,) = library.autograd.grad((grad * grad).sum(), leaf)
            seen.append([changed.detach(), grad.detach(), second, changed._version])
        found = compare_trees("add", seen[0][:3], seen[1][:3])
        assert not (found["value"] or found["shape"]), found
        assert seen[0][3] == seen[1][3]

    agrees()


@examples(25)
@given(recipe=tensors(dtypes=("float32", "int64", "bool")))
def test_versions_are_shared_by_views_and_not_by_detached_copies(recipe: Any) -> None:
    expected, got = both(recipe, pellucid)
    seen = []
    for tensor in (expected, got):
        view, copy, same = tensor.view_as(tensor), tensor.clone(), tensor.detach()
        if elements_of_their_own(recipe):
            view.zero_()
            same.fill_(1)
        copy.zero_()
        seen.append([t._version for t in (tensor, view, copy, same)] + [dtype_name(tensor.dtype)])
    assert seen[0] == seen[1]
