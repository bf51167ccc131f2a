"""Padding, folding, shuffles, dropout, embeddings and attention against PyTorch."""

from __future__ import annotations

import math
from typing import Any

import numpy as np
import pytest

import pellucid
from pellucid.ops.nn import kernels_attention, kernels_padding
from tests.ops.sides import agree, numbers, with_gradients

# -- padding


@pytest.mark.parametrize("mode", ["constant", "reflect", "replicate", "circular"])
@pytest.mark.parametrize("low", range(-3, 5))
def test_every_pair_of_amounts(mode: str, low: int) -> None:
    for high in range(-3, 5):
        if mode == "circular" and max(low, high) > 5 + min(low, 0) + min(high, 0):
            continue  # PyTorch reads memory that it has not written

        def program(t: Any, x: Any, pad: Any = (low, high)) -> Any:
            return t.nn.functional.pad(x, pad, mode)

        agree(with_gradients(program, 2), numbers(2, 3, 5), grad=True)


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular", "constant"])
@pytest.mark.parametrize("pad", [(1, 2, 2, 0), (1, 1, 0, 1, 2, 1), (0, -1, 2, 1)])
def test_images_and_volumes(mode: str, pad: tuple[int, ...]) -> None:
    shape = (2, 2, 4, 5) if len(pad) == 4 else (1, 2, 3, 4, 5)
    agree(
        with_gradients(lambda t, x: t.nn.functional.pad(x, pad, mode)), numbers(*shape), grad=True
    )


@pytest.mark.parametrize("mode", ["reflect", "replicate", "circular"])
def test_padding_back_is_the_transpose(mode: str) -> None:
    run = kernels_padding.positions(5, 3, -1, mode)
    x, y = numbers(2, 5), numbers(2, 7, seed=1)
    padded = kernels_padding.pad(x, 1, run)
    back = kernels_padding.pad_transpose(y, 1, run, 5)
    assert float((padded * y).sum()) == pytest.approx(float((x * back).sum()))


@pytest.mark.parametrize(
    "arguments",
    [
        ((1,),),
        ((1, 1), "mirror"),
        ((1, 1), "reflect"),
        ((5, 0, 0, 0), "reflect"),
        ((9, 0, 0, 0), "circular"),
        ((1, 1, 0, 0), "reflect", 1.0),
        ((1,) * 10,),
        (1,),
        ((1.0, 1),),
    ],
)
def test_paddings_that_are_refused(arguments: Any) -> None:
    seen = agree(lambda t, x: t.nn.functional.pad(x, *arguments), numbers(2, 3, 4, 5))
    assert isinstance(seen, tuple) and seen[0].endswith("Error")


# -- windows and shuffles


@pytest.mark.parametrize(
    "arguments",
    [{}, {"stride": 2}, {"padding": 1, "dilation": 2}, {"padding": (0, 1), "stride": (1, 2)}],
)
def test_unfold_and_fold(arguments: Any) -> None:
    def program(t: Any, x: Any) -> Any:
        f = t.nn.functional
        columns = f.unfold(x, (2, 3), **arguments)
        return [columns, f.fold(columns, (5, 6), (2, 3), **arguments)]

    agree(with_gradients(program, 2), numbers(2, 3, 5, 6), grad=True)
    agree(program, numbers(3, 5, 6))


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: t.nn.functional.unfold(x, 9),
        lambda t, x: t.nn.functional.unfold(x, (2, 2, 2)),
        lambda t, x: t.nn.functional.unfold(x, 0),
        lambda t, x: t.nn.functional.fold(x[0], (4, 4), 2),
        lambda t, x: t.pixel_shuffle(x, 3),
        lambda t, x: t.pixel_shuffle(x, 0),
        lambda t, x: t.pixel_unshuffle(x, 4),
        lambda t, x: t.channel_shuffle(x, 3),
    ],
)
def test_windows_that_are_refused(program: Any) -> None:
    seen = agree(program, numbers(2, 8, 6, 6))
    assert isinstance(seen, tuple) and seen[0] == "RuntimeError"


def test_shuffles_are_permutations() -> None:
    def program(t: Any, x: Any) -> Any:
        return [
            t.pixel_shuffle(x, 2),
            t.pixel_unshuffle(x, 3),
            t.channel_shuffle(x, 4),
            t.pixel_shuffle(x.contiguous(memory_format=t.channels_last), 2),
        ]

    agree(with_gradients(program, 2), numbers(2, 8, 6, 6), grad=True)


# -- dropout


@pytest.mark.parametrize("p", [0.0, 0.3, 1.0])
@pytest.mark.parametrize(
    "name",
    ["dropout", "dropout1d", "dropout2d", "dropout3d", "alpha_dropout", "feature_alpha_dropout"],
)
def test_dropout_draws_pytorchs_numbers(name: str, p: float) -> None:
    shape = {"dropout1d": (3, 4, 5), "dropout3d": (2, 3, 2, 3, 2)}.get(name, (2, 3, 4, 5))

    def program(t: Any, x: Any) -> Any:
        t.manual_seed(5)
        out = getattr(t.nn.functional, name)(x, p, training=True)
        return [out, t.rand(3)]  # the stream stands where PyTorch's stands

    agree(with_gradients(program), numbers(*shape, dtype="float32"), grad=True)


def test_dropout_where_nothing_is_dropped_is_the_tensor_itself() -> None:
    x = pellucid.ones(3)
    assert pellucid.nn.functional.dropout(x, 0.5, training=False) is x
    assert pellucid.nn.functional.dropout(x, 0.0) is x


def test_dropout_in_place() -> None:
    def program(t: Any, x: Any) -> Any:
        t.manual_seed(1)
        y = x * 1
        t.nn.functional.dropout(y, 0.4, inplace=True)
        return y

    agree(with_gradients(program), numbers(20, dtype="float32"), grad=True)


def test_probabilities_are_checked() -> None:
    with pytest.raises(ValueError, match=r"has to be between 0 and 1, but got 1\.5"):
        pellucid.nn.functional.dropout(pellucid.ones(2), 1.5)


# -- embeddings


@pytest.mark.parametrize("arguments", [{}, {"padding_idx": -2}, {"scale_grad_by_freq": True}])
def test_embedding_and_its_gradients(arguments: Any) -> None:
    def program(t: Any, table: Any) -> Any:
        indices = t.tensor([[1, 4, 1], [0, 3, 3]])
        return t.nn.functional.embedding(indices, table, **arguments)

    # PyTorch's second gradient forgets that uses were counted.
    order = 1 if "scale_grad_by_freq" in arguments else 2
    agree(with_gradients(program, order), numbers(5, 3), grad=True)


def test_max_norm_scales_the_table() -> None:
    def program(t: Any, table: Any) -> Any:
        rows = t.nn.functional.embedding(t.tensor([1, 1, 3]), table, max_norm=0.5)
        return [rows, table]

    agree(program, numbers(5, 3))


@pytest.mark.parametrize(
    "program",
    [
        lambda t, x: t.nn.functional.embedding(t.tensor([5]), x),
        lambda t, x: t.nn.functional.embedding(t.tensor([0.5]), x),
        lambda t, x: t.nn.functional.embedding(t.tensor([0]), x, padding_idx=9),
        lambda t, x: t.nn.functional.one_hot(t.tensor([3]), 2),
        lambda t, x: t.nn.functional.one_hot(t.tensor([-1])),
        lambda t, x: t.nn.functional.one_hot(t.tensor([1.0])),
    ],
)
def test_indices_that_are_refused(program: Any) -> None:
    seen = agree(program, numbers(5, 3, dtype="float32"))
    assert isinstance(seen, tuple) and seen[0].endswith("Error")


# -- attention

MASKS = [None, "causal", "bool", "float"]


def attention(t: Any, q: Any, k: Any, v: Any, mask: str | None, **more: Any) -> Any:
    """Attention with one of `MASKS`."""
    length, keys = q.shape[-2], k.shape[-2]
    given = None
    if mask in ("bool", "float"):
        given = t.arange(length * keys).reshape(length, keys) % 3 > 0
        if mask == "float":
            given = given.to(q.dtype) * 0.7
    return t.nn.functional.scaled_dot_product_attention(
        q, k, v, given, is_causal=mask == "causal", **more
    )


@pytest.mark.parametrize("mask", MASKS)
@pytest.mark.parametrize("shape", [(2, 3, 5, 4), (3, 5, 4), (5, 4)])
def test_attention_and_its_gradients(shape: tuple[int, ...], mask: str | None) -> None:
    arrays = numbers(*shape), numbers(*shape, seed=1), numbers(*shape, seed=2)
    order = 1 if len(shape) == 4 else 2  # PyTorch's fused kernel has one gradient only
    agree(with_gradients(lambda t, *a: attention(t, *a, mask), order), *arrays, grad=True)


def test_a_query_that_sees_nothing_gives_zeros() -> None:
    def program(t: Any, q: Any, k: Any, v: Any) -> Any:
        mask = t.tensor([[True, False], [False, False]])
        return t.nn.functional.scaled_dot_product_attention(q, k, v, mask)

    arrays = numbers(1, 1, 2, 4), numbers(1, 1, 2, 4, seed=1), numbers(1, 1, 2, 4, seed=2)
    agree(with_gradients(program), *arrays, grad=True)


def test_the_masks_gradient() -> None:
    def program(t: Any, q: Any, mask: Any) -> Any:
        return t.nn.functional.scaled_dot_product_attention(q, q, q, mask, scale=0.3)

    agree(with_gradients(program, 2), numbers(2, 3, 4), numbers(3, 3, seed=1), grad=True)


def test_query_heads_share_keys() -> None:
    def program(t: Any, q: Any, k: Any, v: Any) -> Any:
        return t.nn.functional.scaled_dot_product_attention(q, k, v, enable_gqa=True)

    arrays = numbers(2, 6, 3, 4), numbers(2, 2, 5, 4, seed=1), numbers(2, 2, 5, 4, seed=2)
    agree(with_gradients(program), *arrays, grad=True)


@pytest.mark.parametrize("causal", [False, True])
def test_long_sequences_go_in_blocks(causal: bool) -> None:
    lead, length, keys = (2,), 700, 650
    cut = list(kernels_attention.blocks(lead, length, keys, 8, causal))
    assert len(cut) > 4
    seen = np.zeros((*lead, length), int)
    for block in cut:
        seen[(*block.heads, block.queries)] += 1
    assert (seen == 1).all()
    q, k, v = numbers(2, length, 4), numbers(2, keys, 4, seed=1), numbers(2, keys, 4, seed=2)
    out, logs = np.empty_like(q), np.empty(q.shape[:-1])
    kernels_attention.forward(q, k, v, None, 0.5, causal, out, logs)
    scores = 0.5 * q @ k.swapaxes(1, 2)
    if causal:
        scores[:, np.arange(keys) > np.arange(length)[:, None]] = -np.inf
    weights = np.exp(scores - scores.max(-1, keepdims=True))
    np.testing.assert_allclose(out, weights @ v / weights.sum(-1, keepdims=True), atol=1e-12)
    want = np.log(weights.sum(-1)) + scores.max(-1)
    np.testing.assert_allclose(logs, want, atol=1e-12)


def test_attention_that_is_refused() -> None:
    q = numbers(2, 3, 4, dtype="float32")
    programs = [
        lambda t, q: t.nn.functional.scaled_dot_product_attention(q, q[..., :3], q),
        lambda t, q: t.nn.functional.scaled_dot_product_attention(q, q.double(), q),
        lambda t, q: t.nn.functional.scaled_dot_product_attention(q[0, 0], q, q),
        lambda t, q: t.nn.functional.scaled_dot_product_attention(q, q, q, dropout_p=2.0),
        lambda t, q: t.nn.functional.scaled_dot_product_attention(q, q, q, t.ones(3, 3).long()),
    ]
    for program in programs:
        seen = agree(program, q)
        assert isinstance(seen, tuple) and seen[0] == "RuntimeError"


def test_scales_of_attention_agree_with_the_formula() -> None:
    q = pellucid.ones(1, 2, 4)
    out = pellucid.nn.functional.scaled_dot_product_attention(q, q, q, scale=1 / math.sqrt(4))
    assert out.tolist() == q.tolist()
