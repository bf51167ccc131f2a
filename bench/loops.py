"""Training loops of small networks: seconds a step (of a sweep: a step of one model), each peer in
the way it has for many steps. Batches are drawn anew in each epoch; only Pellucid's time has the
drawing in it.
"""

from __future__ import annotations

import importlib
import itertools
from collections.abc import Callable
from time import perf_counter
from typing import Any

import numpy as np

from bench.frame.registry import Benchmark, Call, enter

ROWS = 1024
RATE = 1e-3


def _data(sizes: tuple[int, ...]) -> tuple[np.ndarray, np.ndarray]:
    random = np.random.default_rng(0)
    return (
        random.standard_normal((ROWS, sizes[0]), np.float32),
        random.standard_normal((ROWS, sizes[-1]), np.float32),
    )


def _batches(steps: int, batch: int) -> np.ndarray:
    """Rows of each step, epoch after epoch in another order."""
    random = np.random.default_rng(1)
    epochs = -(-steps * batch // ROWS)
    order = np.concatenate([random.permutation(ROWS) for _ in range(epochs)])
    return order[: steps * batch].reshape(steps, batch)


def _timed(run: Callable[[], Any], steps: int) -> Call:
    """A call that gives the seconds of a step."""

    def call() -> float:
        start = perf_counter()
        run()
        return (perf_counter() - start) / steps

    return call


def _step(t: Any, sizes: tuple[int, ...], seed: int = 0, rate: float = RATE) -> Any:
    """A model's training step in PyTorch's words."""
    t.manual_seed(seed)
    layers: list[Any] = []
    for a, b in itertools.pairwise(sizes):
        layers += [t.nn.Linear(a, b), t.nn.Tanh()]
    model = t.nn.Sequential(*layers[:-1])
    chosen = t.optim.Adam(model.parameters(), lr=rate)

    def step(x: Any, y: Any) -> Any:
        chosen.zero_grad()
        loss = t.nn.functional.mse_loss(model(x), y)
        loss.backward()
        chosen.step()
        return loss

    return step


def _ours(sizes: tuple[int, ...], batch: int, steps: int) -> Callable[[], Call]:
    def prepare() -> Call:
        t = importlib.import_module("pellucid")
        data = tuple(map(t.from_numpy, _data(sizes)))
        loop = t.compile_loop(_step(t, sizes), data=data, batch_size=batch, shuffle=True)
        loop(64)
        return _timed(lambda: loop(steps), steps)

    return prepare


def _our_sweep(sizes: tuple[int, ...], batch: int, models: int, steps: int) -> Callable[[], Call]:
    def prepare() -> Call:
        t = importlib.import_module("pellucid")
        t.set_num_threads(2)
        data = tuple(map(t.from_numpy, _data(sizes)))
        members = [_step(t, sizes, seed, RATE * (1 + seed % 4)) for seed in range(models)]
        loop = t.compile_sweep(members, data=data, batch_size=batch, shuffle=True)
        loop(64)
        return _timed(lambda: loop(steps), steps * models)

    return prepare


def _torch(sizes: tuple[int, ...], batch: int, steps: int) -> Callable[[], Call]:
    def prepare() -> Call:
        t = importlib.import_module("torch")
        t.set_num_threads(1)
        x, y = map(t.from_numpy, _data(sizes))
        step = _step(t, sizes)
        rows = [t.from_numpy(each) for each in _batches(steps, batch)]

        def run() -> None:
            for each in rows:
                step(x[each], y[each])

        return _timed(run, steps)

    return prepare


def _jax_step(jax: Any, sizes: tuple[int, ...]) -> tuple[Any, Any]:
    """Adam's step on a network in JAX, by hand, and the state that it starts from."""
    jnp = jax.numpy
    random = np.random.default_rng(0)
    weights = [
        (random.standard_normal((a, b), np.float32) / np.float32(a) ** 0.5, np.zeros(b, np.float32))
        for a, b in itertools.pairwise(sizes)
    ]
    zeros = jax.tree_util.tree_map(np.zeros_like, weights)
    start = jax.tree_util.tree_map(jnp.asarray, (weights, zeros, zeros, np.float32(0)))

    def loss(weights: Any, x: Any, y: Any) -> Any:
        for number, (w, b) in enumerate(weights):
            x = x @ w + b
            x = jnp.tanh(x) if number < len(weights) - 1 else x
        return ((x - y) ** 2).mean()

    def step(state: Any, x: Any, y: Any, rate: Any = RATE) -> Any:
        weights, means, squares, count = state
        found, grads = jax.value_and_grad(loss)(weights, x, y)
        count = count + 1
        means = jax.tree_util.tree_map(lambda m, g: 0.9 * m + 0.1 * g, means, grads)
        squares = jax.tree_util.tree_map(lambda v, g: 0.999 * v + 0.001 * g * g, squares, grads)
        size = rate / (1 - 0.9**count)
        root = jnp.sqrt(1 - 0.999**count)
        weights = jax.tree_util.tree_map(
            lambda p, m, v: p - size * m / (jnp.sqrt(v) / root + 1e-8), weights, means, squares
        )
        return (weights, means, squares, count), found

    return step, start


def _jax_jit(sizes: tuple[int, ...], batch: int, steps: int) -> Callable[[], Call]:
    def prepare() -> Call:
        jax = importlib.import_module("jax")
        step, state = _jax_step(jax, sizes)
        x, y = map(jax.numpy.asarray, _data(sizes))
        each = jax.jit(lambda state, rows: step(state, x[rows], y[rows]))
        rows = list(jax.numpy.asarray(_batches(steps, batch)))
        each(state, rows[0])

        def run() -> None:
            now = state
            for row in rows:
                now, found = each(now, row)
            found.block_until_ready()

        return _timed(run, steps)

    return prepare


def _jax_scan(sizes: tuple[int, ...], batch: int, steps: int) -> Callable[[], Call]:
    def prepare() -> Call:
        jax = importlib.import_module("jax")
        step, state = _jax_step(jax, sizes)
        x, y = map(jax.numpy.asarray, _data(sizes))
        loop = jax.jit(
            lambda state, rows: jax.lax.scan(lambda s, r: step(s, x[r], y[r]), state, rows)
        )
        rows = jax.numpy.asarray(_batches(steps, batch))
        loop(state, rows)[1].block_until_ready()
        return _timed(lambda: loop(state, rows)[1].block_until_ready(), steps)

    return prepare


def _jax_sweep(sizes: tuple[int, ...], batch: int, models: int, steps: int) -> Callable[[], Call]:
    def prepare() -> Call:
        jax = importlib.import_module("jax")
        jnp = jax.numpy
        step, state = _jax_step(jax, sizes)
        x, y = map(jnp.asarray, _data(sizes))
        states = jax.tree_util.tree_map(lambda a: jnp.stack([a] * models), state)
        rates = RATE * (1 + jnp.arange(models) % 4)

        def all_of(states: Any, row: Any) -> Any:
            return jax.vmap(lambda s, rate: step(s, x[row], y[row], rate))(states, rates)

        loop = jax.jit(lambda states, rows: jax.lax.scan(all_of, states, rows))
        rows = jnp.asarray(_batches(steps, batch))
        loop(states, rows)[1].block_until_ready()
        return _timed(lambda: loop(states, rows)[1].block_until_ready(), steps * models)

    return prepare


def _flops(sizes: tuple[int, ...], batch: int) -> float:
    """Of a step: products forward, those of the weights and of all inputs but the first."""
    products = [2.0 * batch * a * b for a, b in itertools.pairwise(sizes)]
    return 3 * sum(products) - products[0]


for _sizes, _batch in (((4, 16, 16, 1), 32), ((16, 64, 64, 10), 64)):
    _name = "-".join(map(str, _sizes))
    enter(
        Benchmark(
            group="loops",
            case=f"MLP {_name} Adam, batch {_batch}: a step of a loop",
            own={
                "pellucid": _ours(_sizes, _batch, 8192),
                "torch": _torch(_sizes, _batch, 256),
                "jax": _jax_jit(_sizes, _batch, 1024),
                "jax scan": _jax_scan(_sizes, _batch, 8192),
            },
            flops=_flops(_sizes, _batch),
            rounds=7,
            own_clock=True,
        )
    )
    enter(
        Benchmark(
            group="loops",
            case=f"64 MLPs {_name} Adam, batch {_batch}: a step of one",
            own={
                "pellucid": _our_sweep(_sizes, _batch, 64, 1024),
                "jax scan": _jax_sweep(_sizes, _batch, 64, 256),
            },
            flops=_flops(_sizes, _batch),
            rounds=5,
            own_clock=True,
        )
    )
