"""Normalisation on arrays: per channel over a batch, per row.

A few rows or planes at a time, so that what is read once from memory is used while it is in cache.
Sums of a block are in the array's own dtype, sums over blocks in float64 (Chan, Golub and LeVeque
1983 for variances). Shapes: `x` (N, C, L) for channels, in any order of memory; (R, D) for rows,
contiguous.
"""

from __future__ import annotations

from collections.abc import Iterator

import numpy as np

from pellucid.ops import native

_BLOCK_BYTES = 1 << 18

Block = tuple[slice, slice]


def by_channel(x: np.ndarray) -> np.ndarray:
    """(N, C, *S) as (N, C, L); channels-last memory as (N L, C, 1), without a copy of either."""
    if x.ndim > 2 and not x.flags.c_contiguous:
        last = x.transpose(0, *range(2, x.ndim), 1)
        if last.flags.c_contiguous:
            return last.reshape(-1, x.shape[1], 1)
    return x.reshape(x.shape[0], x.shape[1], -1 if x.size else 0)


def _blocks(x: np.ndarray) -> Iterator[tuple[int, Block]]:
    """Blocks of (N, C, L): some of the batch, or some channels of one. With the former's number."""
    n, c = x.shape[:2]
    per_image = max(x[:1].nbytes, 1)
    images = max(1, _BLOCK_BYTES // per_image)
    channels = c if images > 1 else max(1, min(c, _BLOCK_BYTES * c // per_image))
    for number, start in enumerate(range(0, n, images)):
        for first in range(0, c, channels):
            yield number, (slice(start, start + images), slice(first, first + channels))


def _rows_of_blocks(x: np.ndarray) -> int:
    return -(-x.shape[0] // max(1, _BLOCK_BYTES // max(x[:1].nbytes, 1)))


def _sum(x: np.ndarray) -> np.ndarray:
    """Sum of a block over all but the channels."""
    along = x.sum(axis=2) if x.shape[2] > 1 else x[:, :, 0]
    return along.sum(axis=0)


def _per_channel(values: np.ndarray, d: np.dtype) -> np.ndarray:
    return values.astype(d).reshape(1, -1, 1)


def batch_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of each channel (float64)."""
    if native.normalises(x):
        found: tuple[np.ndarray, np.ndarray] = native.planes().statistics(x)
        return found
    count = _rows_of_blocks(x)
    counts = np.zeros((count, 1))
    means = np.zeros((count, x.shape[1]))
    squares = np.zeros((count, x.shape[1]))
    for number, block in _blocks(x):
        part = x[block]
        size = part.shape[0] * part.shape[2]
        mean = _sum(part) / part.dtype.type(size)
        centred = part - mean.reshape(1, -1, 1)
        shift = _sum(centred).astype(np.float64) / size  # what rounding the mean left over
        np.multiply(centred, centred, out=centred)
        counts[number] = size
        means[number, block[1]] = mean + shift
        squares[number, block[1]] = _sum(centred) - size * shift * shift
    total = max(x.shape[0] * x.shape[2], 1)
    mean = (counts * means).sum(axis=0) / total
    apart = means - mean
    return mean, (squares + counts * apart * apart).sum(axis=0) / total


def scale_channels(
    x: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    out: np.ndarray,
) -> None:
    """(x - mean) * invstd * weight + bias, per channel, into `out`."""
    centre = _per_channel(mean, x.dtype)
    factor = _per_channel(invstd if weight is None else invstd * weight, x.dtype)
    shift = None if bias is None else _per_channel(bias, x.dtype)
    if native.normalises(x, out):
        native.planes().scale(x, centre, factor, shift, out)
        return
    for _, block in _blocks(x):
        target, channels = out[block], block[1]
        np.subtract(x[block], centre[:, channels], out=target)
        np.multiply(target, factor[:, channels], out=target)
        if shift is not None:
            np.add(target, shift[:, channels], out=target)


def batch_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    weight: np.ndarray | None,
    training: bool,
    out: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of batch normalisation: the input's into `out` (unless None), and those of weight
    and bias (float64).

    Ioffe and Szegedy 2015, section 3: with training statistics the mean of the gradient and its
    part along the normalised input drop out.
    """
    total, dot = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    centre = _per_channel(mean, x.dtype)
    fast = native.normalises(x, grad, out)
    if fast:
        total, dot = native.planes().sums(x, centre, grad)
    for _, block in () if fast else _blocks(x):
        given = grad[block]
        total[block[1]] += _sum(given)
        centred = x[block] - centre[:, block[1]]
        np.multiply(centred, given, out=centred)
        dot[block[1]] += _sum(centred)
    if out is None:
        return dot * invstd, total
    factor = _per_channel(invstd if weight is None else invstd * weight, x.dtype)
    count = max(x.shape[0] * x.shape[2], 1)
    along = _per_channel(-dot * invstd * invstd / count, x.dtype)
    average = _per_channel(total / count, x.dtype)
    if fast and training:
        native.planes().input_gradient(x, grad, (centre, along, average, factor), out)
        return dot * invstd, total
    for _, block in _blocks(x):
        target, channels = out[block], block[1]
        if not training:
            np.multiply(grad[block], factor[:, channels], out=target)
            continue
        np.subtract(x[block], centre[:, channels], out=target)
        np.multiply(target, along[:, channels], out=target)
        np.add(target, grad[block], out=target)
        np.subtract(target, average[:, channels], out=target)
        np.multiply(target, factor[:, channels], out=target)
    return dot * invstd, total


# -- rows


def _row_blocks(x: np.ndarray) -> Iterator[slice]:
    step = max(1, _BLOCK_BYTES // max(x.shape[1] * x.itemsize, 1))
    for start in range(0, x.shape[0], step):
        yield slice(start, start + step)


def _dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """The mean of the product of each pair of rows, (R, 1)."""
    return np.einsum("rd,rd->r", a, b)[:, None] / a.dtype.type(a.shape[1])


def fused(x: np.ndarray, means: np.ndarray, factors: np.ndarray) -> np.ndarray:
    """x * factor - mean * factor of float32 rows as a fused multiply-add: the second product is
    rounded and the first is not.

    A row of one element is its own mean, and this what rounding leaves of its zero.
    """
    return (x.astype(np.float64) * factors - means * factors).astype(x.dtype)


def normalise_rows(
    x: np.ndarray,
    eps: float,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    out: np.ndarray,
    centre: bool = True,
) -> tuple[np.ndarray, np.ndarray]:
    """Each row of (R, D) minus its mean (unless not `centre`), over its root mean square.

    `weight` and `bias` are (D,). Returns the mean and the factor of each row, (R, 1).
    """
    if native.takes_rows(x, out, weight, bias):
        found: tuple[np.ndarray, np.ndarray] = native.rows().normalise(
            x, eps, weight, bias, out, centre
        )
        return found
    means = np.zeros((x.shape[0], 1), x.dtype)
    factors = np.empty((x.shape[0], 1), x.dtype)
    for part in _row_blocks(x):
        target = out[part]
        if centre:
            np.mean(x[part], axis=1, keepdims=True, out=means[part])
            np.subtract(x[part], means[part], out=target)
        else:
            np.copyto(target, x[part])
        variance = _dots(target, target)
        np.divide(1, np.sqrt(variance + x.dtype.type(eps)), out=factors[part])
        np.multiply(target, factors[part], out=target)
        if weight is not None:
            np.multiply(target, weight, out=target)
        if bias is not None:
            np.add(target, bias, out=target)
    return means, factors


def rows_backward(
    grad: np.ndarray,
    x: np.ndarray,
    means: np.ndarray,
    factors: np.ndarray,
    weight: np.ndarray | None,
    out: np.ndarray,
    centre: bool = True,
) -> np.ndarray:
    """The input's gradient into `out`; returns the weight's gradient, (D,) in float64."""
    if native.takes_rows(x, grad, out, weight, means, factors):
        found: np.ndarray = native.rows().normalise_slope(
            grad, x, means, factors, weight, out, centre
        )
        return found
    for_weight = np.zeros(x.shape[1])
    for part in _row_blocks(x):
        target, given = out[part], grad[part]
        hat = np.subtract(x[part], means[part])
        np.multiply(hat, factors[part], out=hat)
        alone = centre and x.shape[1] == 1
        product = given * (fused(x[part], means[part], factors[part]) if alone else hat)
        for_weight += product.sum(axis=0)
        if weight is not None:
            np.multiply(given, weight, out=target)
        else:
            np.copyto(target, given)
        dot = _dots(target, hat)
        if centre:
            np.subtract(target, target.mean(axis=1, keepdims=True), out=target)
        np.multiply(hat, dot, out=hat)
        np.subtract(target, hat, out=target)
        np.multiply(target, factors[part], out=target)
    return for_weight


def sum_rows(x: np.ndarray) -> np.ndarray:
    """The sum of all rows, (D,) in float64."""
    total = np.zeros(x.shape[1])
    for part in _row_blocks(x):
        total += x[part].sum(axis=0)
    return total


# -- groups of channels: `x` (N, C, L), contiguous, `groups` of C / groups channels each


def _group_blocks(x: np.ndarray, groups: int) -> Iterator[tuple[int, slice, slice]]:
    """A sample, some of its groups, and their channels."""
    n, c, length = x.shape
    per_group = c // groups
    step = max(1, min(groups, _BLOCK_BYTES // max(per_group * length * x.itemsize, 1)))
    for sample in range(n):
        for first in range(0, groups, step):
            end = min(first + step, groups)
            yield sample, slice(first, end), slice(first * per_group, end * per_group)


def normalise_groups(
    x: np.ndarray,
    groups: int,
    eps: float,
    weight: np.ndarray | None,
    bias: np.ndarray | None,
    out: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """Each group normalised, each channel scaled and shifted; mean and 1/std, (N, groups)."""
    means = np.empty((x.shape[0], groups), x.dtype)
    factors = np.empty((x.shape[0], groups), x.dtype)
    for sample, some, channels in _group_blocks(x, groups):
        target = out[sample, channels]
        rows = target.reshape(some.stop - some.start, -1)
        given = x[sample, channels].reshape(rows.shape)
        mean = given.mean(axis=1, keepdims=True)
        np.subtract(given, mean, out=rows)
        factor = 1 / np.sqrt(_dots(rows, rows) + x.dtype.type(eps))
        np.multiply(rows, factor, out=rows)
        if weight is not None:
            np.multiply(target, weight[channels, None], out=target)
        if bias is not None:
            np.add(target, bias[channels, None], out=target)
        means[sample, some], factors[sample, some] = mean[:, 0], factor[:, 0]
    return means, factors


def groups_backward(
    grad: np.ndarray,
    x: np.ndarray,
    means: np.ndarray,
    factors: np.ndarray,
    weight: np.ndarray | None,
    out: np.ndarray,
) -> tuple[np.ndarray, np.ndarray]:
    """The input's gradient into `out`; returns those of weight and bias, (C,) in float64."""
    for_weight, for_bias = np.zeros(x.shape[1]), np.zeros(x.shape[1])
    for sample, some, channels in _group_blocks(x, means.shape[1]):
        given, target = grad[sample, channels], out[sample, channels]
        rows = target.reshape(some.stop - some.start, -1)
        factor = factors[sample, some, None]
        hat = x[sample, channels].reshape(rows.shape) - means[sample, some, None]
        np.multiply(hat, factor, out=hat)
        for_bias[channels] += given.sum(axis=1)
        for_weight[channels] += np.einsum("cl,cl->c", given, hat.reshape(given.shape))
        if weight is not None:
            np.multiply(given, weight[channels, None], out=target)
        else:
            np.copyto(target, given)
        dot = _dots(rows, hat)
        np.subtract(rows, rows.mean(axis=1, keepdims=True), out=rows)
        np.multiply(hat, dot, out=hat)
        np.subtract(rows, hat, out=rows)
        np.multiply(rows, factor, out=rows)
    return for_weight, for_bias
