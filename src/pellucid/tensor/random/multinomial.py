"""Drawing categories by weight, as `torch.multinomial` does.

*Without replacement*, and for a single sample: every weight is divided by an exponential sample,
and the largest quotients win (Efraimidis & Spirakis 2006; the same race as the Gumbel-max trick).
*With replacement*: the position of a uniform in the cumulative sums. Sources:
ATen/native/Distributions.cpp, ATen/native/cpu/MultinomialKernel.cpp.
"""

from __future__ import annotations

import numpy as np

from pellucid.tensor.dtype import REDUCED, dtype
from pellucid.tensor.random.distributions import exponential, fill_in_memory_order
from pellucid.tensor.random.generator import Generator
from pellucid.tensor.random.uniform import unit_float64

_MOST_CATEGORIES = 2**24


def multinomial(
    generator: Generator,
    weights: np.ndarray,
    samples: int,
    replacement: bool,
    kind: dtype,
) -> np.ndarray:
    """`samples` category indices for each row of weights, int64 `(samples,)` or `(rows, samples)`.

    `weights` is `(k,)` or `(rows, k)` of floating `kind` and need not sum to one. Without
    replacement, equal quotients come in the order of their categories; PyTorch leaves their order
    open. They are met in 16-bit dtypes, and where more categories are asked for than have a
    positive weight. RuntimeError for negative, infinite or NaN weights, for rows of zeros, and for
    more samples than categories without replacement.
    """
    _check(weights, samples, replacement, kind)
    shape = weights.shape[:-1] + (samples,)
    if 0 in shape:
        return np.empty(shape, dtype=np.int64)
    if not weights.size:
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    rows = weights.reshape(-1, weights.shape[-1])
    with generator.lock:
        if replacement and samples > 1:
            return _positions(generator, rows, samples, kind).reshape(shape)
        return _winners(generator, weights, samples, kind).reshape(shape)


def _winners(generator: Generator, weights: np.ndarray, samples: int, kind: dtype) -> np.ndarray:
    """The `samples` largest of weight over exponential, largest first."""
    wide = weights.astype(np.float32) if kind in REDUCED else weights
    if not np.all((wide >= 0) & (wide < np.inf)):
        raise RuntimeError("probability tensor contains either `inf`, `nan` or element < 0")
    if np.any(wide.sum(axis=-1) == 0):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    races = np.empty_like(weights)  # keeps a transposed order, in which the samples are drawn
    fill_in_memory_order(races, exponential(generator, weights.size, kind))
    with np.errstate(divide="ignore", invalid="ignore", over="ignore"):
        quotients = (wide / races.astype(wide.dtype)).astype(kind.numpy)
    ascending = np.argsort(-quotients.astype(wide.dtype), axis=-1, kind="stable")
    return ascending[..., :samples]


def _positions(generator: Generator, rows: np.ndarray, samples: int, kind: dtype) -> np.ndarray:
    """Where `samples` uniforms for each row fall in its cumulative weights, which are summed one
    after the other: `(rows, samples)`.
    """
    wide = rows.astype(np.float32) if kind in REDUCED else rows
    if np.any(wide < 0) or np.any(np.isnan(wide)):
        raise RuntimeError("invalid multinomial distribution (encountering probability entry < 0)")
    if np.any(np.isinf(wide)):
        raise RuntimeError(
            "invalid multinomial distribution (encountering probability entry = infinity or NaN)"
        )
    cumulative = np.add.accumulate(wide, axis=-1, dtype=wide.dtype)
    if not np.all(cumulative[:, -1] > 0):
        raise RuntimeError("invalid multinomial distribution (sum of probabilities <= 0)")
    cumulative = (cumulative / cumulative[:, -1:]).astype(np.float64)
    cumulative[:, -1] = 1
    uniforms = unit_float64(generator, len(rows) * samples).reshape(len(rows), samples)
    found = np.empty(uniforms.shape, np.int64)
    for row, sums in enumerate(cumulative):
        found[row] = sums.searchsorted(uniforms[row])
    return found


def _check(weights: np.ndarray, samples: int, replacement: bool, kind: dtype) -> None:
    if weights.ndim not in (1, 2):
        raise RuntimeError("prob_dist must be 1 or 2 dim")
    if not kind.is_floating_point:
        name = kind.tensor_type.removesuffix("Tensor")
        raise RuntimeError(
            f"multinomial only supports floating-point dtypes for input, got: {name}"
        )
    if samples <= 0:
        raise RuntimeError("cannot sample n_sample <= 0 samples")
    categories = weights.shape[-1]
    if not replacement and samples > categories:
        raise RuntimeError(
            "cannot sample n_sample > prob_dist.size(-1) samples without replacement"
        )
    if categories > _MOST_CATEGORIES:
        raise RuntimeError("number of categories cannot exceed 2^24")
