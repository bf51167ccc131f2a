"""Losses against PyTorch: every reduction, gradients of two orders, targets of every kind."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from tests.ops.sides import agree, numbers, with_gradients

REDUCTIONS = ("none", "mean", "sum")
Losses = dict[str, Any]

PAIRS: Losses = {
    "mse": lambda f, x, y, r: f.mse_loss(x, y, reduction=r),
    "l1": lambda f, x, y, r: f.l1_loss(x, y, reduction=r),
    "smooth_l1": lambda f, x, y, r: f.smooth_l1_loss(x, y, reduction=r, beta=0.7),
    "huber": lambda f, x, y, r: f.huber_loss(x, y, reduction=r, delta=0.7),
    "weighted mse": lambda f, x, y, r: f.mse_loss(x, y, reduction=r, weight=y.abs().detach()),
    "weighted huber": lambda f, x, y, r: f.huber_loss(x, y, reduction=r, weight=y.abs().detach()),
    "bce": lambda f, x, y, r: f.binary_cross_entropy(x.sigmoid(), y.sigmoid(), reduction=r),
    "bce logits": lambda f, x, y, r: f.binary_cross_entropy_with_logits(x, y, reduction=r),
    "poisson": lambda f, x, y, r: f.poisson_nll_loss(x, y.exp(), full=True, reduction=r),
    "poisson rate": lambda f, x, y, r: f.poisson_nll_loss(x.exp(), y, log_input=False, reduction=r),
    "gaussian": lambda f, x, y, r: f.gaussian_nll_loss(x, y, y.exp(), full=True, reduction=r),
    "hinge": lambda f, x, y, r: f.hinge_embedding_loss(x, y.detach().sign(), 0.5, reduction=r),
    "soft margin": lambda f, x, y, r: f.soft_margin_loss(x, y.detach().sign(), reduction=r),
    "ranking": lambda f, x, y, r: f.margin_ranking_loss(x, y, x.detach().sign(), 0.1, reduction=r),
    "multilabel soft": lambda f, x, y, r: f.multilabel_soft_margin_loss(
        x, (y.detach() > 0).double(), reduction=r
    ),
}


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("name", PAIRS)
def test_losses_of_pairs(name: str, reduction: str) -> None:
    def program(t: Any, x: Any, y: Any) -> Any:
        return PAIRS[name](t.nn.functional, x, y, reduction)

    agree(with_gradients(program, 2), numbers(4, 3), numbers(4, 3, seed=1), grad=True)


@pytest.mark.parametrize("reduction", [*REDUCTIONS, "batchmean"])
@pytest.mark.parametrize("log_target", [False, True])
def test_divergence(reduction: str, log_target: bool) -> None:
    def program(t: Any, x: Any, y: Any) -> Any:
        target = t.log_softmax(y, 1) if log_target else t.softmax(y, 1)
        return t.nn.functional.kl_div(
            t.log_softmax(x, 1), target, reduction=reduction, log_target=log_target
        )

    agree(with_gradients(program, 2), numbers(4, 3), numbers(4, 3, seed=1), grad=True)


def test_weights_of_places_and_of_positives() -> None:
    def program(t: Any, x: Any, y: Any, w: Any, p: Any) -> Any:
        f = t.nn.functional
        given, positive = w.detach(), p.detach()
        return [
            f.binary_cross_entropy_with_logits(x, y, given, pos_weight=positive),
            f.binary_cross_entropy(x.sigmoid(), y.sigmoid(), given),
        ]

    arrays = [numbers(4, 3, seed=i) for i in range(3)] + [numbers(3, seed=9)]
    agree(with_gradients(program, 2), *arrays, grad=True)


@pytest.mark.parametrize(
    "program",
    [
        lambda f, x, w: f.binary_cross_entropy_with_logits(x, x, w),
        lambda f, x, w: f.binary_cross_entropy_with_logits(x, x, pos_weight=w),
        lambda f, x, w: f.binary_cross_entropy(x.sigmoid(), x.sigmoid(), w),
        lambda f, x, w: f.nll_loss(x, x.argmax(1), w),
        lambda f, x, w: f.cross_entropy(x, x.argmax(1), w),
        lambda f, x, w: f.multi_margin_loss(x, x.argmax(1), weight=w),
        lambda f, x, w: f.soft_margin_loss(x, x),
    ],
)
def test_gradients_that_do_not_exist_are_refused(program: Any) -> None:
    arrays = numbers(4, 3), numbers(3, seed=1)
    seen = agree(lambda t, x, w: program(t.nn.functional, x, w), *arrays, grad=True)
    assert isinstance(seen, tuple) and "not differentiable" in seen[1]


# -- class indices and probabilities

SCORES = [(5,), (4, 5), (4, 5, 3), (2, 5, 3, 2)]


def classes(shape: tuple[int, ...]) -> np.ndarray:
    """Class indices for scores of a shape; some are -100, to be ignored."""
    lead = shape[:1] if len(shape) > 1 else ()
    target = np.random.default_rng(3).integers(0, 5, (*lead, *shape[2:]))
    if target.ndim:
        target.flat[0] = -100
    return target


@pytest.mark.parametrize("weighted", [False, True])
@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SCORES)
def test_cross_entropy_with_indices(
    shape: tuple[int, ...], reduction: str, smoothing: float, weighted: bool
) -> None:
    target = classes(shape)

    def program(t: Any, x: Any) -> Any:
        weight = t.arange(1.0, 6.0, dtype=t.float64) if weighted else None
        given = t.from_numpy(np.array(target))
        return t.nn.functional.cross_entropy(
            x, given, weight, reduction=reduction, label_smoothing=smoothing
        )

    agree(with_gradients(program, 2), numbers(*shape) * 3, grad=True)


@pytest.mark.parametrize("smoothing", [0.0, 0.2])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_cross_entropy_with_probabilities(reduction: str, smoothing: float) -> None:
    def program(t: Any, x: Any, y: Any) -> Any:
        weight = t.arange(1.0, 6.0, dtype=t.float64)
        return t.nn.functional.cross_entropy(
            x, t.softmax(y, 1), weight, reduction=reduction, label_smoothing=smoothing
        )

    arrays = numbers(4, 5, 3), numbers(4, 5, 3, seed=1)
    agree(with_gradients(program, 2), *arrays, grad=True)


@pytest.mark.parametrize("reduction", REDUCTIONS)
@pytest.mark.parametrize("shape", SCORES)
def test_nll_loss(shape: tuple[int, ...], reduction: str) -> None:
    target = classes(shape)

    def program(t: Any, x: Any) -> Any:
        weight = t.arange(1.0, 6.0, dtype=t.float64)
        given = t.from_numpy(np.array(target))
        return t.nn.functional.nll_loss(x, given, weight, reduction=reduction)

    agree(with_gradients(program, 2), numbers(*shape), grad=True)


def test_large_scores_do_not_overflow() -> None:
    def program(t: Any, x: Any) -> Any:
        target = t.tensor([0, 1])
        return t.nn.functional.cross_entropy(x * 1e4, target)

    agree(with_gradients(program), numbers(2, 3, dtype="float32"), grad=True)


def test_many_rows_go_in_blocks() -> None:
    target = np.arange(3000) % 50

    def program(t: Any, x: Any) -> Any:
        return t.nn.functional.cross_entropy(x, t.from_numpy(np.array(target)))

    agree(with_gradients(program), numbers(3000, 50, dtype="float32"), grad=True)


@pytest.mark.parametrize("p", [1, 2])
@pytest.mark.parametrize("reduction", REDUCTIONS)
def test_margins_between_classes(reduction: str, p: int) -> None:
    def program(t: Any, x: Any) -> Any:
        f = t.nn.functional
        target = t.tensor([1, 0, 4, 2])
        weight = t.arange(1.0, 6.0, dtype=t.float64)
        sets = t.tensor([[1, 3, -1, 0, 2], [-1, 0, 1, 2, 3], [0, 1, 2, 3, 4], [2, -1, 2, 0, 0]])
        return [
            f.multi_margin_loss(x, target, p, 0.7, weight, reduction=reduction),
            f.multilabel_margin_loss(x, sets, reduction=reduction),
        ]

    agree(with_gradients(program), numbers(4, 5), grad=True)


def test_old_flags_mean_a_reduction() -> None:
    def program(t: Any, x: Any, y: Any) -> Any:
        f = t.nn.functional
        return [
            f.mse_loss(x, y, size_average=False),
            f.mse_loss(x, y, reduce=False),
            f.l1_loss(x, y, size_average=True, reduce=True),
        ]

    agree(program, numbers(4, 3), numbers(4, 3, seed=1))


def long(t: Any, *values: Any) -> Any:
    """Class indices."""
    return t.tensor(values)


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: t.nn.functional.nll_loss(x, long(t, 0, 1)),
        lambda t, x: t.nn.functional.nll_loss(x, long(t, 0, 1, 7)),
        lambda t, x: t.nn.functional.nll_loss(x, long(t, 0, -1, 2)),
        lambda t, x: t.nn.functional.nll_loss(x, long(t, [0], [1], [2])),
        lambda t, x: t.nn.functional.nll_loss(x, long(t, 0, 1, 2).int()),
        lambda t, x: t.nn.functional.nll_loss(x, long(t, 0, 1, 2), x[0, :4]),
        lambda t, x: t.nn.functional.nll_loss(x.long(), long(t, 0, 1, 2)),
        lambda t, x: t.nn.functional.cross_entropy(x, long(t, 0, 1, 7)),
        lambda t, x: t.nn.functional.cross_entropy(x, x.long()),
        lambda t, x: t.nn.functional.cross_entropy(x, x, ignore_index=1),
        lambda t, x: t.nn.functional.cross_entropy(x, long(t, 0, 1, 2), label_smoothing=2.0),
        lambda t, x: t.nn.functional.cross_entropy(x, long(t, 0, 1, 2), reduction="average"),
        lambda t, x: t.nn.functional.mse_loss(x.long(), x.long()),
        lambda t, x: t.nn.functional.mse_loss(x, x[:, :4]),
        lambda t, x: t.nn.functional.smooth_l1_loss(x, x, beta=-1.0),
        lambda t, x: t.nn.functional.huber_loss(x, x, delta=0.0),
        lambda t, x: t.nn.functional.binary_cross_entropy(x, x.sigmoid()),
        lambda t, x: t.nn.functional.binary_cross_entropy(x.sigmoid(), x[:, :1]),
        lambda t, x: t.nn.functional.binary_cross_entropy_with_logits(x, x[:, :1]),
        lambda t, x: t.nn.functional.multi_margin_loss(x, long(t, 0, 1, 9)),
        lambda t, x: t.nn.functional.multi_margin_loss(x, long(t, 0, 1, 2), p=3),
        lambda t, x: t.nn.functional.multilabel_margin_loss(x, long(t, [0, 1])),
        lambda t, x: t.nn.functional.gaussian_nll_loss(x, x, -x.abs()),
        lambda t, x: t.nn.functional.kl_div(x.long(), x, reduction="sum"),
    ],
)
def test_refusals_have_pytorchs_words(program: Any) -> None:
    seen = agree(program, numbers(3, 5, dtype="float32") * 3)
    assert isinstance(seen, tuple) and seen[0].endswith("Error")
