"""Normalisation: values, running statistics, gradients of two orders, accuracy, refusals."""

from __future__ import annotations

from typing import Any

import numpy as np
import pytest

from pellucid.ops.nn import kernels_normalisation as kernels
from tests.ops.sides import agree, numbers, with_gradients


@pytest.mark.parametrize("training", [True, False])
@pytest.mark.parametrize("shape", [(5, 3), (4, 3, 5), (2, 3, 4, 5), (2, 2, 3, 2, 4)])
def test_batch_norm_statistics_and_gradients(shape: tuple[int, ...], training: bool) -> None:
    c = shape[1]

    def program(t: Any, x: Any, w: Any, b: Any) -> Any:
        mean, var = t.zeros(c, dtype=t.float64), t.ones(c, dtype=t.float64)
        out = t.nn.functional.batch_norm(x, mean, var, w, b, training, 0.3, 1e-3)
        return [out, mean, var]

    arrays = numbers(*shape), numbers(c, seed=1), numbers(c, seed=2)
    agree(program, *arrays)
    agree(with_gradients(lambda *a: program(*a)[0], 2), *arrays, grad=True)


def test_a_module_may_run_twice_before_backward() -> None:
    def program(t: Any, x: Any) -> Any:
        mean, var = t.zeros(3, dtype=t.float64), t.ones(3, dtype=t.float64)
        once = t.nn.functional.batch_norm(x, mean, var, training=True)
        twice = t.nn.functional.batch_norm(once, mean, var, training=False)
        return (once * twice).sum()

    agree(with_gradients(program), numbers(6, 3), grad=True)


def test_channels_last_batches() -> None:
    def program(t: Any, x: Any, w: Any) -> Any:
        last = x.contiguous(memory_format=t.channels_last)
        return t.nn.functional.batch_norm(last, None, None, w, training=True)

    arrays = numbers(3, 4, 5, 6), numbers(4, seed=1)
    agree(program, *arrays)
    agree(with_gradients(program), *arrays, grad=True)


@pytest.mark.parametrize("last", [False, True])
def test_variance_far_from_zero_is_not_cancelled(last: bool) -> None:
    """Float32 data around 1000 with standard deviation 1: one pass over squares would lose it."""
    wide = numbers(40, 3, 50, 50) + np.array([1000.0, -1000.0, 0.0]).reshape(1, 3, 1, 1)
    x = wide.astype(np.float32)
    laid_out = np.moveaxis(np.ascontiguousarray(np.moveaxis(x, 1, -1)), -1, 1) if last else x
    mean, variance = kernels.batch_statistics(kernels.by_channel(laid_out))
    np.testing.assert_allclose(
        mean, x.astype(np.float64).mean(axis=(0, 2, 3)), rtol=1e-6, atol=1e-6
    )
    np.testing.assert_allclose(variance, x.astype(np.float64).var(axis=(0, 2, 3)), rtol=1e-4)


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (4, 6), w, b, 1e-3),
        lambda t, x, w, b: t.nn.functional.layer_norm(x, (6,), w[0], b[0]),
        lambda t, x, w, b: t.nn.functional.rms_norm(x, (4, 6), w) + b,
        lambda t, x, w, b: t.nn.functional.group_norm(x, 2, w[:, 0], b[:, 0]),
        lambda t, x, w, b: t.nn.functional.instance_norm(x, weight=w[:, 0], bias=b[:, 0]),
        lambda t, x, w, b: t.nn.functional.local_response_norm(x, 3, 0.1) * w + b,
        lambda t, x, w, b: t.nn.functional.normalize(x, 3, 1) * w + b,
    ],
)
def test_normalisation_with_two_orders_of_gradients(program: Any) -> None:
    arrays = numbers(3, 4, 6), numbers(4, 6, seed=1), numbers(4, 6, seed=2)
    agree(with_gradients(program, 2), *arrays, grad=True)


def test_statistics_that_are_answered() -> None:
    def program(t: Any, x: Any, w: Any) -> Any:
        return [
            *t.native_layer_norm(x, (6,), None, None, 1e-5),
            *t.native_batch_norm(x, w, None, None, None, True, 0.1, 1e-5),
            *t.native_group_norm(x, w, None, 3, 4, 6, 2, 1e-5),
        ]

    arrays = numbers(3, 4, 6), numbers(4, seed=1)
    agree(program, *arrays)
    agree(with_gradients(lambda t, x, w: program(t, x, w)[-3:], 2), *arrays, grad=True)


def test_instance_norm_moves_the_average_of_its_statistics() -> None:
    def program(t: Any, x: Any) -> Any:
        mean, var = t.zeros(4, dtype=t.float64), t.ones(4, dtype=t.float64)
        out = t.nn.functional.instance_norm(x, mean, var, momentum=0.3)
        frozen = t.nn.functional.instance_norm(x, mean, var, use_input_stats=False)
        return [out, mean, var, frozen]

    agree(program, numbers(3, 4, 6))


@pytest.mark.parametrize(
    "program",
    [
        lambda f, x: f.batch_norm(x, None, None),
        lambda f, x: f.batch_norm(x[:1, :, 0], None, None, training=True),
        lambda f, x: f.batch_norm(x, None, None, x[0, :2, 0], training=True),
        lambda f, x: f.batch_norm(x, None, None, training=True, eps=0),
        lambda f, x: f.batch_norm(x, x[0, :, 0], None, training=True),
        lambda f, x: f.batch_norm(x.long(), None, None, training=True),
        lambda f, x: f.layer_norm(x, (5,)),
        lambda f, x: f.layer_norm(x, ()),
        lambda f, x: f.layer_norm(x, 6),
        lambda f, x: f.layer_norm(x, (6,), x[0, 0, :3]),
        lambda f, x: f.layer_norm(x.long(), (6,)),
        lambda f, x: f.rms_norm(x, (5,)),
        lambda f, x: f.group_norm(x, 3),
        lambda f, x: f.group_norm(x, 2, x[0, :3, 0]),
        lambda f, x: f.instance_norm(x[:, :, :1]),
        lambda f, x: f.instance_norm(x, use_input_stats=False),
        lambda f, x: f.local_response_norm(x[0], 2),
    ],
)
def test_refusals_have_pytorchs_words(program: Any) -> None:
    seen = agree(lambda t, x: program(t.nn.functional, x), numbers(3, 4, 6, dtype="float32"))
    assert isinstance(seen, tuple) and seen[0].endswith(("Error", "Exception"))
