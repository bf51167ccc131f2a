"""`vmap`: dimensions, randomness, nesting, writing in place, and what it refuses."""

import re

import numpy as np
import pytest
import torch

import pellucid
from tests.func.test_derivatives import pair, same


def both(run, *arrays):
    pairs = [pair(array) for array in arrays]
    ours = run(pellucid, *(p[0] for p in pairs))
    theirs = run(torch, *(p[1] for p in pairs))
    same(ours, theirs)
    return ours


A = np.arange(24.0).reshape(2, 3, 4) / 7 - 1.3
B = np.cos(np.arange(12.0)).reshape(3, 4)


@pytest.mark.parametrize("in_dims", [0, 1, 2, -1, (0,), (-2,)])
@pytest.mark.parametrize("out_dims", [0, 1, -1])
def test_dimensions(in_dims, out_dims):
    both(lambda t, x: t.func.vmap(lambda r: r.sin() * r.sum(0), in_dims, out_dims)(x), A)


@pytest.mark.parametrize("in_dims", [(0, None), (1, 0), (1, 1), (None, 0)])
def test_some_arguments_are_shared(in_dims):
    shapes = {(0, None): (A, B), (None, 0): (B[:, :2], A), (1, 0): (A, B), (1, 1): (A, A)}
    x, y = shapes[in_dims]
    both(
        lambda t, x, y: t.func.vmap(lambda a, b: (a[..., :1] * b[..., :2]).cumsum(0), in_dims)(
            x, y
        ),
        x,
        y,
    )


def test_containers_and_several_outputs():
    def run(t, x, y):
        f = lambda d, z: {"sum": d["a"] + z[0], "both": (d["b"], z[0].sum())}
        out = {"sum": 1, "both": (0, 0)}
        return t.func.vmap(f, in_dims=({"a": 0, "b": None}, (0,)), out_dims=out)(
            {"a": x, "b": y}, (x,)
        )

    both(run, B, B)


@pytest.mark.parametrize("chunk_size", [1, 2, 3, 7])
def test_chunks(chunk_size):
    both(lambda t, x: t.func.vmap(lambda r: r.sin().outer(r), 0, 1, chunk_size=chunk_size)(x), B)


def test_nested_levels():
    def run(t, x):
        pairwise = t.func.vmap(lambda a: t.func.vmap(lambda b: (a * b).sum() + (a - b).norm())(x))
        return pairwise(x)

    both(run, B)


@pytest.mark.parametrize("order", range(6))
def test_gradients_and_levels_in_any_order(order):
    def run(t, x):
        f = lambda r: (r.sin() * r.roll(1, 0)).tanh().sum()
        transforms = {
            0: lambda: t.func.vmap(t.func.grad(f))(x),
            1: lambda: t.func.grad(lambda x: t.func.vmap(f)(x).pow(2).sum())(x),
            2: lambda: t.func.vmap(t.func.hessian(f))(x),
            3: lambda: t.func.vmap(
                t.func.grad(lambda r: t.func.vmap(lambda e: (e * r).sin().sum())(r).sum())
            )(x),
            4: lambda: t.func.jacfwd(t.func.vmap(t.func.grad(f)))(x),
            5: lambda: t.func.jvp(t.func.vmap(t.func.grad(f)), (x,), (x * 2,)),
        }
        return transforms[order]()

    both(run, B)


def test_writing_in_place():
    def run(t, x):
        def f(r):
            y = r.clone()
            y[1] = r[0] * 2
            y[2:].mul_(r[1])
            y += 1
            made = t.zeros_like(r)
            made[0] = y[3]
            fresh = r.new_zeros(2)
            fresh[1] = r[2]
            return y, made, fresh

        loss = lambda r: sum((part**2).sum() for part in f(r))
        return (
            t.func.vmap(f)(x),
            t.func.vmap(t.func.grad(loss))(x),
            t.func.vmap(t.func.hessian(loss))(x),
        )

    both(run, B)


def test_indexing_by_tensors_of_the_batch():
    def run(t, x):
        def f(r, i):
            return r[i], r[:, i], r[i, i], r[i, :, None][..., 0], t.gather(r, 0, i[:, None])

        where = t.tensor([[0, 2], [1, 1], [2, 0], [0, 1]])
        squares = x[:, :3].unsqueeze(0).expand(4, 3, 3) * t.arange(1.0, 5.0)[:, None, None]
        return t.func.vmap(f)(squares, where)

    both(run, B)


def test_random_numbers():
    def run(t, x):
        def draw(randomness):
            t.manual_seed(3)
            f = lambda r: (r + t.rand(4), t.nn.functional.dropout(r, 0.5), t.randn_like(r))
            return t.func.vmap(f, randomness=randomness)(x)

        return draw("different"), draw("same")

    different, alike = both(run, B)
    shift = alike[0] - pellucid.from_numpy(B)
    assert pellucid.allclose(shift[0], shift[1])
    shift = different[0] - pellucid.from_numpy(B)
    assert not pellucid.allclose(shift[0], shift[1])


def f_escape(kept):
    def f(r):
        kept.append(r)
        return r

    return f


REFUSED = [
    lambda t, x: t.func.vmap(lambda r: r, in_dims=3)(x),
    lambda t, x: t.func.vmap(lambda r: r, in_dims=[0])(x),
    lambda t, x: t.func.vmap(lambda r: r, in_dims=(0, 0))(x),
    lambda t, x: t.func.vmap(lambda r: r, in_dims=("a",))(x),
    lambda t, x: t.func.vmap(lambda r: r, in_dims=None)(x),
    lambda t, x: t.func.vmap(lambda r: r, in_dims=(None,))(x),
    lambda t, x: t.func.vmap(lambda r: r)(),
    lambda t, x: t.func.vmap(lambda r: r)(3.0),
    lambda t, x: t.func.vmap(lambda r, s: r)(x, x[:2]),
    lambda t, x: t.func.vmap(lambda r: r, out_dims="0")(x),
    lambda t, x: t.func.vmap(lambda r: r, out_dims=(0, 1))(x),
    lambda t, x: t.func.vmap(lambda r: 1.0)(x),
    lambda t, x: t.func.vmap(lambda r: r, out_dims=None)(x),
    lambda t, x: t.func.vmap(lambda r: r, randomness="no")(x),
    lambda t, x: t.func.vmap(lambda r: r, chunk_size=0)(x),
    lambda t, x: t.func.vmap(lambda r: r.sum().item())(x),
    lambda t, x: t.func.vmap(lambda r: r if r.sum() > 0 else -r)(x),
    lambda t, x: t.func.vmap(lambda r: r + t.rand(4))(x),
]


@pytest.mark.parametrize("call", REFUSED)
def test_what_is_refused(call):
    ours, theirs = pair(B)
    try:
        call(torch, theirs)
    except (ValueError, RuntimeError, IndexError) as refusal:
        kind, said = type(refusal), str(refusal).splitlines()[0]
    words = re.split(r"structure|<class|aten::", said)[0].strip()
    with pytest.raises(kind, match=re.escape(words)):
        call(pellucid, ours)


def test_writing_into_what_holds_one_element_is_refused():
    with pytest.raises(RuntimeError, match="has more elements than `self`"):
        pellucid.vmap(lambda r: pellucid.zeros(4).add_(r))(pellucid.ones(3, 4))


def test_a_tensor_that_escapes_says_so():
    kept = []
    pellucid.func.vmap(f_escape(kept))(pellucid.ones(2, 3))
    with pytest.raises(RuntimeError, match="belongs to a vmap that is over"):
        kept[0] + 1


def test_sizes_that_depend_on_the_data_are_refused():
    with pytest.raises(RuntimeError, match="another shape for each element"):
        pellucid.func.vmap(lambda r: r.nonzero())(pellucid.eye(3))


def test_an_operator_without_a_rule_warns_and_is_right():
    x = pellucid.tensor([[3.0, 1.0, 2.0], [0.5, 4.0, 0.0]])
    with pytest.warns(
        UserWarning, match="have not yet implemented the batching rule for aten::histc"
    ):
        found = pellucid.vmap(lambda r: pellucid.histc(r, 4, 0, 4))(x)
    assert found.tolist() == [pellucid.histc(row, 4, 0, 4).tolist() for row in x]


def test_nothing_is_left_behind_after_an_error():
    from pellucid.tensor.events import listeners
    from pellucid.tensor.levels import levels

    before = list(listeners)
    with pytest.raises(ZeroDivisionError, match="division by zero"):
        pellucid.vmap(lambda r: 1 / 0)(pellucid.ones(2))
    assert listeners == before
    assert levels.stack == ()
    assert pellucid.is_grad_enabled()
