"""Every description in the registry is whole: explained, differentiable or with a reason, callable
under every name it claims, and called by a row of these tables.
"""

from __future__ import annotations

import contextlib
import warnings
from typing import Any

import pytest
import torch

import pellucid
from pellucid.autograd import gradgradcheck
from pellucid.ops.dispatch import operator
from pellucid.ops.spec import NoGradient, OpSpec, registry
from pellucid.tensor import events
from tests.parity.bridge import build, is_tensor, leaves
from tests.parity.scope import FAMILIES
from tests.parity.tolerances import words
from tests.parity.translate import MissingName, resolve
from tests.properties.all_rows import ROWS, WITHOUT_ROWS
from tests.properties.rows import Row, function_of, keys, plain, public

SPECS = registry.specs
INVENTED = {"Tensor.fill", "Tensor.searchsorted", "Tensor.bucketize"}
"""Methods that only Pellucid has: they came with functions of these names."""
PUBLIC = {key: spec for key, spec in SPECS.items() if spec.where[0] != "internal"}


@pytest.mark.parametrize("key", sorted(PUBLIC))
def test_an_operator_is_explained_and_answers_to_its_names(key: str) -> None:
    spec = SPECS[key]
    explained = spec.body.__doc__ or function_of(pellucid, key).__doc__ or ""
    assert explained.strip(), f"{key} has no docstring"
    assert spec.gradient or spec.no_gradient, f"{key} has neither gradient nor reason"
    for place in spec.where:
        for name in (spec.name, *spec.aliases):
            if place != "internal":
                assert callable(public(pellucid, place, name)), f"{place}.{name}"
    if spec.inplace and "Tensor" in spec.where:
        for name in (spec.name, *spec.aliases):
            assert callable(getattr(pellucid.Tensor, name + "_"))


def test_gradients_name_parameters_once() -> None:
    for key, spec in SPECS.items():
        names = [name for formula in spec.gradient for name in formula.names]
        assert len(names) == len(set(names)), key
        assert set(names) <= set(spec.parameters), key


def test_every_place_shows_functions_pytorch_has() -> None:
    """A public name that PyTorch lacks is an invention, and a program could come to rely on it."""
    invented = []
    for place, names in registry.places.items():
        if place == "internal":
            continue
        for name in names:
            try:
                public(torch, place, name)
            except AttributeError:
                invented.append(f"{place}.{name}")
    assert set(invented) == INVENTED


@pytest.mark.parametrize("family", FAMILIES)
def test_every_name_of_a_family_exists(family: str) -> None:
    missing = []
    for name in FAMILIES[family]:
        for path in (name, f"Tensor.{name}", f"Tensor.{name}_"):
            try:
                resolve(pellucid, path)
                break
            except MissingName:
                continue
        else:
            if any(_has(torch, path) for path in (name, f"Tensor.{name}", f"Tensor.{name}_")):
                missing.append(name)
    assert missing == []


def _has(library: Any, path: str) -> bool:
    try:
        resolve(library, path)
    except MissingName:
        return False
    return True


# --- the tables -----------------------------------------------------------------------------------


def test_every_public_operator_has_a_row_or_a_reason() -> None:
    rows, described = keys(ROWS), set(PUBLIC)
    assert described - rows - set(WITHOUT_ROWS) == set(), "add a row to a table of this folder"
    assert rows - described == set(), "rows of operators that are not there"
    assert set(WITHOUT_ROWS) - described == set()
    assert rows & set(WITHOUT_ROWS) == set()


@pytest.mark.parametrize("row", ROWS, ids=str)
def test_a_row_is_a_call_that_pytorch_accepts(row: Row) -> None:
    """Else the comparison of its layouts would compare refusals."""
    call = plain(row)
    first, args, kwargs = build(call, torch, requires_grad=False)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        function_of(torch, row.key)(first, *args, **kwargs)


def heard_names() -> set[str]:
    """The names of all operators that run when every row is called and derived twice."""
    heard: set[str] = set()
    listener = lambda event: heard.add(event.name)
    events.listeners.append(listener)
    try:
        for row in ROWS:
            first, args, kwargs = build(plain(row), pellucid)
            result = function_of(pellucid, row.key)(first, *args, **kwargs)
            _derive(result, [x for _, x in leaves((first, args, kwargs)) if is_tensor(x)])
    finally:
        events.listeners.remove(listener)
    return heard


NO_FORMULA = (NotImplementedError, RuntimeError)
"""What a backward pass through an operator without a derivative raises."""


def _derive(result: Any, inputs: list[Any]) -> None:
    outputs = [x for _, x in leaves(result) if is_tensor(x) and x.requires_grad]
    wanted = [x for x in inputs if x.requires_grad]
    if not outputs or not wanted:
        return
    try:
        grads = pellucid.autograd.grad(
            [(o * o.conj()).real.sum() if o.is_complex() else (o * o).sum() for o in outputs],
            wanted,
            create_graph=True,
            allow_unused=True,
        )
    except NO_FORMULA:  # a formula that says why there is none
        return
    second = [(g * g).sum() for g in grads if g is not None and g.requires_grad]
    if second:
        with contextlib.suppress(*NO_FORMULA):
            pellucid.autograd.grad(second, wanted, allow_unused=True)


def test_every_internal_operator_with_a_gradient_runs_in_some_row() -> None:
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        heard = heard_names()
    silent = {
        key
        for key, spec in SPECS.items()
        if spec.where[0] == "internal" and spec.gradient and spec.name not in heard
    }
    assert silent - set(ELSEWHERE) == set(), "no row reaches them"


ELSEWHERE = words(
    """
        internal._rrelu internal._slope_grad internal.bernoulli_like internal.bernoulli_of
        internal.complex_to_complex internal.complex_to_real internal.conj_physical
        internal.ctc_loss_backward internal.ctc_losses internal.differing
        internal.gather_cells internal.gather_points internal.ps_roi internal.ps_roi_transpose
        internal.real_to_complex internal.roi_align internal.roi_align_max
        internal.roi_align_transpose internal.roi_pool internal.spread_cells internal.spread_points
        internal.embedding_bag_max internal.embedding_bag_sum internal.euclidean_distances
        internal.fill_diagonal internal.give_up internal.lu_unpack internal.nanmedian_all
        internal.normal_of_mean internal.normal_of_mean_and_std internal.normal_of_std
        internal.owned internal.scatter_old_reduce internal.upsample_bicubic2daa
        internal.upsample_bicubic2daa_backward internal.upsample_bilinear2daa
        internal.upsample_bilinear2daa_backward internal.upsample_lanczos2daa
        internal.upsample_lanczos2daa_backward internal.upsample_nearest1d
        internal.upsample_nearest1d_backward internal.upsample_nearest3d
        internal.upsample_nearest3d_backward internal.upsample_nearestexact1d
        internal.upsample_nearestexact1d_backward internal.upsample_nearestexact2d
        internal.upsample_nearestexact2d_backward internal.upsample_nearestexact3d
        internal.upsample_nearestexact3d_backward
    """
)
"""Internal operators that no row reaches; tests/parity calls them through their composites, and
tests/ops/detection the regions of interest, which are described when vision is first used.
"""


# --- descriptions ---------------------------------------------------------------------------------


def test_an_operator_without_gradient_says_so() -> None:
    def count_up(input: Any) -> Any:
        """Counts up."""
        return input

    with pytest.raises(TypeError, match="has no gradient: describe it, or write NoGradient"):
        operator(where="internal", name="_counting_without")(count_up)


def test_no_gradient_keeps_its_reason_and_gives_constants() -> None:
    def whole_part(input: Any) -> Any:
        """The integer part."""
        return input.clone()

    name = "_whole_part_for_a_test"
    try:
        call = operator(where="internal", name=name, gradient=NoGradient("steps"))(whole_part)
        spec: OpSpec = SPECS[f"internal.{name}"]
        assert spec.no_gradient == "steps"
        found = call(pellucid.ones(2, requires_grad=True))
        assert not found.requires_grad
        with pytest.raises(TypeError, match="is described twice"):
            operator(where="internal", name=name, gradient=NoGradient("steps"))(whole_part)
    finally:
        SPECS.pop(f"internal.{name}", None)
        registry.places["internal"].pop(name, None)


def test_a_gradient_for_a_parameter_that_is_not_there_is_refused() -> None:
    def scale(input: Any) -> Any:
        """Scales."""
        return input

    wrong = {"other": lambda grad: grad}
    with pytest.raises(TypeError, match="which is not one of its parameters"):
        operator(where="internal", name="_scale_wrong", gradient=wrong)(scale)


def test_a_wrong_formula_is_found() -> None:
    """The check of second derivatives is one that can fail."""

    def double(input: Any) -> Any:
        """Three times the input, said to be twice."""
        return input * 3

    name = "_double_for_a_test"
    try:
        call = operator(
            where="internal", name=name, gradient={"input": lambda grad, input: grad * input}
        )(double)
        x = pellucid.ones(2, dtype=pellucid.float64, requires_grad=True)
        with pytest.raises(RuntimeError, match="Jacobian mismatch"):
            pellucid.autograd.gradcheck(call, (x,))
        assert gradgradcheck(lambda t: t * t, (x,))
    finally:
        SPECS.pop(f"internal.{name}", None)
        registry.places["internal"].pop(name, None)
