"""What operators keep and share: no graph without grad mode, nothing saved after backward, fresh
memory for every result that is not a view.
"""

from __future__ import annotations

import gc
import warnings
import weakref
from collections.abc import Iterator
from typing import Any

import pytest

import pellucid
from tests.parity.bridge import build, is_tensor, leaves, storage_key
from tests.parity.tolerances import words
from tests.properties.all_rows import ROWS
from tests.properties.rows import Row, function_of, plain

ONE_EACH = list({row.key: row for row in ROWS}.values())
MAY_SHARE = words(
    """
    positive real imag conj conj_physical resolve_conj resolve_neg contiguous to to_dense type_as
    sum_to_size detach view reshape view_as reshape_as flatten ravel unflatten expand expand_as
    broadcast_to broadcast_tensors linalg.diagonal permute swapaxes movedim adjoint squeeze narrow
    split
    split_with_sizes chunk tensor_split hsplit vsplit dsplit unsafe_chunk atleast_1d atleast_2d
    atleast_3d meshgrid diag chain_matmul einsum rrelu unsafe_split
    unsafe_split_with_sizes nn.functional.pad
    """
)
"""Composites that return their input or a view of it where nothing has to be computed."""


@pytest.fixture(autouse=True, scope="module")
def _reference_counts_only() -> Iterator[None]:
    gc.collect()
    gc.disable()
    yield
    gc.enable()


def called(row: Row) -> tuple[list[Any], list[Any]]:
    """`(input tensors, output tensors)` of the row's plain call."""
    first, args, kwargs = build(plain(row), pellucid)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        result = function_of(pellucid, row.key)(first, *args, **kwargs)
    inputs = [x for _, x in leaves((first, args, kwargs)) if is_tensor(x)]
    return inputs, [x for _, x in leaves(result) if is_tensor(x)]


@pytest.mark.parametrize("row", ONE_EACH, ids=str)
def test_results_share_no_memory_unless_they_are_views(row: Row) -> None:
    inputs, outputs = called(row)
    shared = {storage_key(x) for x in inputs} & {storage_key(x) for x in outputs}
    if row.spec.kind == "view":
        assert shared
        assert all(any(out._base is x for x in inputs) for out in outputs)
    elif row.key not in MAY_SHARE:
        assert not shared
        assert not any(out is x for out in outputs for x in inputs)
        keys = [storage_key(out) for out in outputs if out.numel() and not out._is_view()]
        assert len(keys) == len(set(keys))


@pytest.mark.parametrize("row", ONE_EACH, ids=str)
def test_no_grad_records_nothing_and_keeps_nothing(row: Row) -> None:
    with pellucid.no_grad():
        inputs, outputs = called(row)
        views = [x for x in outputs if any(storage_key(x) == storage_key(y) for y in inputs)]
        if not views:
            assert not any(out.requires_grad or out.grad_fn is not None for out in outputs)
        memory = [weakref.ref(x._storage) for x in inputs]
        if not views:
            del inputs, views
            assert all(one() is None for one in memory)


@pytest.mark.parametrize("row", ONE_EACH, ids=str)
def test_the_graph_goes_with_its_outputs(row: Row) -> None:
    inputs, outputs = called(row)
    nodes = [weakref.ref(out.grad_fn) for out in outputs if out.grad_fn is not None]
    memory = [weakref.ref(x._storage) for x in (*inputs, *outputs)]
    del inputs, outputs
    assert all(node() is None for node in nodes)
    assert all(one() is None for one in memory)


@pytest.mark.parametrize("row", [row for row in ONE_EACH if row.orders], ids=str)
def test_backward_frees_what_was_saved(row: Row) -> None:
    """Inputs and outputs that only the tape keeps go with the walk over it."""
    inputs, outputs = called(row)
    wanted = [x for x in inputs if x.requires_grad]
    roots = [o.real.sum() if o.is_complex() else o.sum() for o in outputs if o.requires_grad]
    if not roots or not wanted:
        return
    memory = [weakref.ref(x._storage) for x in inputs if not x.requires_grad]
    memory += [weakref.ref(o._storage) for o in outputs if o._base is None]
    memory = [one for one in memory if one() not in [x._storage for x in wanted]]
    grads = pellucid.autograd.grad(roots, wanted, allow_unused=True)
    assert any(grad is not None for grad in grads)
    del inputs, outputs, grads
    assert all(one() is None for one in memory)
