"""`vmap` over operators whose work depends on indices, labels or order, with gradients inside and
outside; and `functionalize`. Beside PyTorch, where PyTorch can.
"""

import warnings

import numpy as np
import pytest
import torch

import pellucid

RANDOM = np.random.default_rng(0)
TABLE = RANDOM.standard_normal((10, 4))
INDICES = RANDOM.integers(0, 10, (3, 6))
SAMPLES = RANDOM.standard_normal((3, 6))
SCORES = RANDOM.standard_normal((3, 7, 2, 5))
LABELS = RANDOM.integers(1, 5, (3, 2, 3))
NUMBERS = RANDOM.standard_normal((3, 4, 5))


def both(program):
    """What a program of the library gives, with PyTorch and here."""
    with np.errstate(all="ignore"):
        found = [
            [np.asarray(each.detach().tolist()) for each in program(library)]
            for library in (torch, pellucid)
        ]
    assert len(found[0]) == len(found[1])
    for wanted, got in zip(*found, strict=True):
        np.testing.assert_allclose(got, wanted, rtol=1e-10, atol=1e-12)


def double(library, array):
    return library.tensor(np.asarray(array).tolist(), dtype=library.float64)


BAGS = {
    "sum": {"mode": "sum"},
    "mean": {"mode": "mean"},
    "max": {"mode": "max"},
    "padded": {"mode": "mean", "padding_idx": 3},
    "padded max": {"mode": "max", "padding_idx": -1},
    "last": {"mode": "sum", "include_last_offset": True},
    "empty bags": {"mode": "max", "offsets": [0, 0, 2, 6, 6]},
}


@pytest.mark.filterwarnings("ignore:There is a performance drop")
@pytest.mark.parametrize("name", BAGS)
def test_bags_of_other_indices(name):
    options = dict(BAGS[name])
    starts = options.pop("offsets", [0, 2, 5])
    if options.get("include_last_offset"):
        starts = [*starts, 6]

    def program(library):
        table, indices = double(library, TABLE), library.tensor(INDICES.tolist())
        offsets, func = library.tensor(starts), library.func
        tables = library.stack([table, 2 * table, table.sin()])

        def bags(table, indices):
            return library.nn.functional.embedding_bag(indices, table, offsets, **options)

        def number(table, indices):
            return bags(table, indices).sin().sum()

        yield func.vmap(bags, (None, 0))(table, indices)
        yield func.vmap(bags, (0, None))(tables, indices[0])
        yield func.vmap(func.grad(number), (None, 0))(table, indices)
        yield func.vmap(func.grad(number), (0, 0))(tables, indices)
        yield func.grad(lambda t: func.vmap(number, (None, 0))(t, indices).sum())(table)

    both(program)


def test_bags_count_each_elements_own_indices():
    """Beside Pellucid's own results, one by one: PyTorch 2.13 divides the gradients of some rows by
    another row's frequency.
    """
    table, indices = double(pellucid, TABLE), pellucid.tensor(INDICES.tolist())
    offsets = pellucid.tensor([0, 2, 5])

    def number(table, indices):
        return pellucid.nn.functional.embedding_bag(
            indices, table, offsets, mode="sum", scale_grad_by_freq=True
        ).sum()  # fmt: skip

    gradient = pellucid.func.grad(number)
    with warnings.catch_warnings():
        warnings.simplefilter("ignore")
        found = pellucid.func.vmap(gradient, (None, 0))(table, indices)
    for element, row in zip(found, indices, strict=True):
        assert element.equal(gradient(table, row))
        used = row.unique()
        assert element[used].equal(pellucid.ones_like(element[used]))


def test_bags_in_rows_with_weights():
    def program(library):
        func, table = library.func, double(library, TABLE)
        rows = library.tensor(INDICES.reshape(3, 2, 3).tolist())
        weights = double(library, SAMPLES.reshape(3, 2, 3))

        def number(table, indices, weights):
            bags = library.nn.functional.embedding_bag(
                indices, table, mode="sum", per_sample_weights=weights
            )
            return bags.cos().sum()

        yield func.vmap(number, (None, 0, 0))(table, rows, weights)
        yield func.vmap(func.grad(number, 2), (None, 0, 0))(table, rows, weights)
        yield func.vmap(func.grad(number), (None, 0, None))(table, rows, weights[0])

    both(program)


@pytest.mark.parametrize("reduction", ["none", "mean", "sum"])
@pytest.mark.parametrize("flat", [False, True])
def test_alignments_with_other_labels(reduction, flat):
    """PyTorch's own `vmap` cannot do this; its results for each element can be stacked."""

    def program(library, vmap):
        def losses(scores, labels):
            if flat:
                labels = library.cat([labels[0], labels[1, :2]])
            found = library.nn.functional.ctc_loss(
                scores.log_softmax(-1), labels, (7, 6), (3, 2), reduction=reduction
            )
            return found.sum()

        def gradient(scores, labels):
            if library is pellucid:
                return library.func.grad(losses)(scores, labels)
            leaf = scores.clone().requires_grad_()
            return library.autograd.grad(losses(leaf, labels), leaf)[0]

        scores, labels = double(library, SCORES), library.tensor(LABELS.tolist())
        for function in (losses, gradient):
            yield vmap(function, scores, labels)
            yield vmap(lambda x, f=function: f(x, labels[0]), scores)
            yield vmap(lambda t, f=function: f(scores[0], t), labels)

    wanted = program(
        torch,
        lambda f, *given: torch.stack([f(*each) for each in zip(*given, strict=True)]),
    )
    got = program(pellucid, lambda f, *given: pellucid.func.vmap(f)(*given))
    for one, other in zip(wanted, got, strict=True):
        np.testing.assert_allclose(other.tolist(), one.tolist(), rtol=1e-9, atol=1e-12)


def test_labels_that_are_too_few_are_refused_in_a_batch_too():
    scores = double(pellucid, SCORES)
    labels = pellucid.tensor(LABELS.tolist())
    with pytest.raises(RuntimeError, match="size at least 4 at dimension 1"):
        pellucid.func.vmap(
            lambda x, t: pellucid.nn.functional.ctc_loss(x, t, (7, 7), (4, 2))
        )(scores, labels)  # fmt: skip


@pytest.mark.filterwarnings("ignore:There is a performance drop")
def test_quantiles():
    def program(library):
        func, x = library.func, double(library, NUMBERS)
        shares = double(library, [0.1, 0.5, 0.9])
        yield func.vmap(lambda a: library.quantile(a, 0.3, dim=0))(x)
        yield func.vmap(func.grad(lambda a: library.quantile(a, 0.3)))(x)
        yield func.vmap(lambda a, q: library.quantile(a, q))(x, shares)
        yield func.vmap(func.grad(lambda a: library.quantile(a, shares, dim=1).sin().sum()))(x)
        yield func.grad(lambda a: func.vmap(lambda b: library.nanquantile(b, 0.4))(a).sum())(x)

    both(program)


def test_functionalize_gives_the_same():
    def program(library):
        func, x = library.func, double(library, NUMBERS)

        def written(a):
            a.add_(1)
            b = a.view(-1)
            b.mul_(2)
            return b.sin()

        for remove in ("mutations", "mutations_and_views"):
            given = x.clone()
            yield func.functionalize(written, remove=remove)(given)
            yield given
        yield func.vmap(func.functionalize(lambda a: a.clone().add_(1)))(x)
        yield func.grad(lambda a: func.functionalize(lambda b: b.clone().mul_(3).sin().sum())(a))(x)

    both(program)
    for library in (torch, pellucid):
        with pytest.raises(RuntimeError, match="received invalid argument for remove=views"):
            library.func.functionalize(lambda x: x, remove="views")
