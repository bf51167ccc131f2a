"""Normalisation on arrays: per channel over a batch, per row.

Few passes over memory, each in place; sums run along contiguous memory first (pairwise) and are finished in float64.
Shapes: `x` (N, C, L) for channels, (R, D) for rows.
"""

from __future__ import annotations

import numpy as np


def channel_sums(x: np.ndarray) -> np.ndarray:
    """Sum of (N, C, L) over N and L, in float64 (complex128)."""
    return x.sum(axis=2).sum(axis=0, dtype=np.float64)


def channel_dots(a: np.ndarray, b: np.ndarray) -> np.ndarray:
    """Sum of products of two (N, C, L) over N and L, in float64."""
    return np.einsum("ncl,ncl->nc", a, b).sum(axis=0, dtype=np.float64)


def _per_channel(values: np.ndarray, d: np.dtype) -> np.ndarray:
    return values.astype(d).reshape(1, -1, 1)


def batch_statistics(x: np.ndarray) -> tuple[np.ndarray, np.ndarray]:
    """Mean and biased variance of each channel (float64)."""
    count = max(x.shape[0] * x.shape[2], 1)
    mean = channel_sums(x) / count
    centred = x - _per_channel(mean, x.dtype)
    shift = channel_sums(centred) / count  # what rounding the mean to x's dtype left over
    return mean, channel_dots(centred, centred) / count - shift * shift


def scale_channels(
    x: np.ndarray, mean: np.ndarray, invstd: np.ndarray, weight: np.ndarray | None, bias: np.ndarray | None, out: np.ndarray
) -> None:
    """(x - mean) * invstd * weight + bias, per channel, into `out`."""
    factor = invstd if weight is None else invstd * weight
    np.subtract(x, _per_channel(mean, x.dtype), out=out)
    np.multiply(out, _per_channel(factor, x.dtype), out=out)
    if bias is not None:
        np.add(out, _per_channel(bias, x.dtype), out=out)


def batch_norm_backward(
    grad: np.ndarray,
    x: np.ndarray,
    mean: np.ndarray,
    invstd: np.ndarray,
    weight: np.ndarray | None,
    training: bool,
    out: np.ndarray | None,
) -> tuple[np.ndarray, np.ndarray]:
    """Gradients of batch normalisation: the input's into `out` (unless None), and those of weight and bias (float64).

    Ioffe and Szegedy 2015, section 3: with training statistics the mean of the gradient and its part along the normalised input drop out.
    """
    count = x.shape[0] * x.shape[2]
    total = channel_sums(grad)
    centred = np.subtract(x, _per_channel(mean, x.dtype))
    dot = channel_dots(grad, centred)
    if out is not None:
        factor = invstd if weight is None else invstd * weight
        if training:
            np.multiply(centred, _per_channel(-dot * invstd * invstd / count, x.dtype), out=out)
            np.add(out, grad, out=out)
            np.subtract(out, _per_channel(total / count, x.dtype), out=out)
            np.multiply(out, _per_channel(factor, x.dtype), out=out)
        else:
            np.multiply(grad, _per_channel(factor, x.dtype), out=out)
    return dot * invstd, total


def normalise_rows(
    x: np.ndarray, eps: float, weight: np.ndarray | None, bias: np.ndarray | None, out: np.ndarray
) -> tuple[np.ndarray, np.ndarray]:
    """Each row of (R, D) minus its mean, over its standard deviation; returns mean and 1/std of shape (R, 1)."""
    size = x.shape[1]
    mean = x.mean(axis=1, keepdims=True)
    np.subtract(x, mean, out=out)
    variance = np.einsum("rd,rd->r", out, out)[:, None] / x.dtype.type(size)
    invstd = (1 / np.sqrt(variance + x.dtype.type(eps))).astype(x.dtype)
    np.multiply(out, invstd, out=out)
    if weight is not None:
        np.multiply(out, weight, out=out)
    if bias is not None:
        np.add(out, bias, out=out)
    return mean, invstd


def rows_backward(
    grad: np.ndarray, x: np.ndarray, mean: np.ndarray, invstd: np.ndarray, weight: np.ndarray | None, out: np.ndarray
) -> np.ndarray:
    """The input's gradient into `out`; returns the normalised rows, with which the caller finds the weight's gradient."""
    size = x.dtype.type(x.shape[1])
    hat = np.subtract(x, mean)
    np.multiply(hat, invstd, out=hat)
    np.multiply(grad, weight, out=out) if weight is not None else np.copyto(out, grad)
    dot = np.einsum("rd,rd->r", out, hat)[:, None] / size
    np.subtract(out, out.mean(axis=1, keepdims=True), out=out)
    scratch = hat * dot
    np.subtract(out, scratch, out=out)
    np.multiply(out, invstd, out=out)
    return hat
