"""Polynomials, networks and constructions do what theory says of them."""

import math

import numpy as np
import pytest

from pellucid.lab import TARGETS, approximate, constructions, target_of
from pellucid.lab.compare import fit_networks
from pellucid.lab.measures import dead_units, kinks, linear_pieces
from pellucid.lab.networks import Ensemble, Network
from pellucid.lab.polynomials import (
    chebyshev,
    interpolation,
    monomials,
    spline,
    taylor,
    tensor_product,
)
from pellucid.lab.targets import gaussian, ridge, sawtooth
from pellucid.lab.training import train

SINE, X = TARGETS["sine"], np.linspace(-1, 1, 101)


@pytest.mark.parametrize("degree", [0, 1, 3, 8])
def test_taylor_has_the_coefficients_of_the_series(degree):
    found = taylor(target_of("exp(x)"), degree)
    expected = sum(X**k / math.factorial(k) for k in range(degree + 1))
    np.testing.assert_allclose(found.evaluate(X), expected, rtol=1e-12)


def test_taylor_around_another_point():
    found = taylor(target_of("x^3"), 3, centre=0.7)
    np.testing.assert_allclose(found.evaluate(X), X**3, atol=1e-12)


@pytest.mark.parametrize("fit", [chebyshev, monomials, interpolation, taylor])
def test_polynomials_are_reproduced(fit):
    found = fit(target_of("1 - 2*x + 3*x^3"), 3)
    assert found.sup < 1e-12
    assert found.parameters == 4


def test_interpolation_passes_through_its_points():
    found = interpolation(TARGETS["runge"], 10, "equispaced")
    nodes = np.linspace(-1, 1, 11)
    np.testing.assert_allclose(found.evaluate(nodes), TARGETS["runge"].values(nodes), atol=1e-12)


def test_splines_converge_with_the_fourth_power():
    coarse, fine = spline(SINE, 20), spline(SINE, 40)
    assert 8 < coarse.sup / fine.sup < 40


def test_tensor_products_have_as_many_terms_as_the_dimension_asks_for():
    assert tensor_product(ridge(3), 2).parameters == 27
    assert tensor_product(gaussian(2), 8).sup < 1e-3


@pytest.mark.parametrize("degree", [-1, 201, 2.5, True])
def test_degrees_that_make_no_sense(degree):
    with pytest.raises(ValueError, match="a degree is a whole number"):
        chebyshev(SINE, degree)


# -- constructions


def test_absolute_is_exact():
    assert np.array_equal(constructions.absolute()(X), np.abs(X))


@pytest.mark.parametrize("depth", range(1, 11))
def test_sawtooth_has_two_to_the_depth_pieces(depth):
    deep, wide = constructions.sawtooth(depth), constructions.sawtooth_wide(depth)
    assert linear_pieces(deep, (0, 1)) == linear_pieces(wide, (0, 1)) == 2**depth
    points = np.linspace(0, 1, 977)
    np.testing.assert_allclose(deep(points), sawtooth(depth).values(points), atol=1e-9)
    np.testing.assert_allclose(wide(points), deep(points), atol=1e-9)


@pytest.mark.parametrize("layers", range(1, 8))
def test_square_is_as_close_as_yarotsky_says(layers):
    points = np.linspace(0, 1, 2**10 + 1)
    error = np.abs(constructions.square(layers)(points) - points**2).max()
    assert error == pytest.approx(4.0 ** -(layers + 1), rel=1e-3)


@pytest.mark.parametrize("coefficients", [[1], [0, 2], [1, 0, 3], [0.5, -1, 2, 1]])
def test_polynomials_by_tanh(coefficients):
    network = constructions.polynomial(coefficients)
    assert network.hidden == (len(coefficients),)
    np.testing.assert_allclose(network(X), np.polynomial.Polynomial(coefficients)(X), atol=0.02)


def test_kinks_are_found_where_they_are():
    network = Network(
        (
            (np.array([[1.0, 1.0, 2.0]]), np.array([0.25, -0.5, 4.0])),
            (np.ones((3, 1)), np.zeros(1)),
        ),
        "relu",
    )
    np.testing.assert_allclose(kinks(network, (-1, 1)), [-0.25, 0.5])
    assert (
        dead_units(
            Network(
                ((np.array([[1.0]]), np.array([-5.0])), (np.ones((1, 1)), np.zeros(1))), "relu"
            ),
            X,
        )
        == 1
    )


def test_collinear_pieces_are_one():
    network = Network(
        ((np.array([[1.0, -1.0]]), np.zeros(2)), (np.array([[1.0], [-1.0]]), np.zeros(1))), "relu"
    )
    assert linear_pieces(network, (-1, 1)) == 1  # relu(x) - relu(-x) = x


@pytest.mark.parametrize(
    ("network", "words"),
    [
        (Network(((np.ones((2, 1)), np.zeros(1)),), "relu"), "along a line"),
        (Network(((np.ones((1, 1)), np.zeros(1)),), "tanh"), "no linear pieces"),
    ],
)
def test_pieces_that_cannot_be_counted(network, words):
    with pytest.raises(ValueError, match=words):
        linear_pieces(network, (-1, 1))


# -- training


@pytest.mark.parametrize("optimiser", ["levenberg", "adam", "sgd"])
def test_a_network_learns_and_the_same_seed_gives_the_same_bits(optimiser):
    runs = [
        fit_networks(SINE, (6,), seeds=3, optimiser=optimiser, steps=60, points=60)[0]
        for _ in range(2)
    ]
    assert runs[0].losses[-1].min() < 0.5 * runs[0].losses[0].min()
    assert np.array_equal(runs[0].losses, runs[1].losses)
    assert runs[0].spread == runs[1].spread


def test_networks_do_not_see_each_other():
    alone = fit_networks(SINE, (5,), seeds=(7,), optimiser="adam", steps=40, points=50)[0]
    together = fit_networks(SINE, (5,), seeds=(3, 7), optimiser="adam", steps=40, points=50)[0]
    np.testing.assert_allclose(alone.losses[:, 0], together.losses[:, 1], rtol=1e-9)


def test_an_ensemble_computes_what_its_members_do():
    ensemble = Ensemble(2, (4, 3), "relu", (1, 2), centre=0.5, scale=2.0)
    points = np.random.default_rng(0).uniform(-1, 1, (9, 2))
    found = ensemble(ensemble.inputs(points)).detach().numpy()
    for number in range(2):
        np.testing.assert_allclose(found[number], ensemble.member(number)(points), rtol=1e-12)
    assert ensemble.member(0).parameters == ensemble.size == 2 * 4 + 4 + 4 * 3 + 3 + 3 + 1


@pytest.mark.parametrize(
    ("settings", "words"),
    [
        ({"optimiser": "newton"}, "no optimiser"),
        ({"steps": 0}, "at least one step"),
        ({"optimiser": "adam", "learning_rate": -1.0}, "positive"),
        ({"optimiser": "adam", "dropout": 1.0}, "dropout is a part"),
        ({"dropout": 0.5}, "all units in each step"),
    ],
)
def test_settings_that_make_no_sense(settings, words):
    with pytest.raises(ValueError, match=words):
        train(Ensemble(1, (3,), "tanh", (0,)), X, np.sin(X), **settings)


def test_values_that_cannot_be_fitted():
    ensemble = Ensemble(1, (3,), "tanh", (0,))
    with pytest.raises(ValueError, match="must be finite"):
        train(ensemble, X, np.full_like(X, np.nan))
    with pytest.raises(ValueError, match="cannot be fitted"):
        train(ensemble, X, X[:3])


@pytest.mark.parametrize(
    ("widths", "activation", "words"),
    [
        ((0,), "tanh", "at least one unit"),
        ((), "tanh", "one hidden layer"),
        ((3,), "gelu", "no activation"),
    ],
)
def test_shapes_that_make_no_sense(widths, activation, words):
    with pytest.raises(ValueError, match=words):
        Ensemble(1, widths, activation, (0,))


def test_a_fit_that_fails_is_diagnosed():
    found = approximate("sin(20*x)", (-3, 3), units=2, seeds=2, steps=30, degrees=(5,))
    causes = {finding.cause for finding in found.findings}
    assert causes & {"too few units", "frequency bias", "initial range"}
    step = approximate("step(x)", (-1, 1), units=2, seeds=2, steps=30, degrees=(5,))
    assert "a jump" in {finding.cause for finding in step.findings}
