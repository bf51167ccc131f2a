"""Connectionist temporal classification: how unlikely labels are, whatever their alignment.

The gradient follows PyTorch: it takes log-probabilities as the outputs of `log_softmax`, for which
it is exact.
"""

from __future__ import annotations

from typing import Any

import numpy as np

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn import kernels_ctc as kernels
from pellucid.ops.nn.reduction import reduction_named
from pellucid.ops.nn.support import Ints, finished, not_implemented, require_tensor
from pellucid.ops.returns import return_type
from pellucid.ops.underivable import unlisted
from pellucid.tensor.dtype import BOOL, INTEGER, float32, float64, int64
from pellucid.tensor.levels import Batched
from pellucid.tensor.tensor import Tensor, adopt

_Loss = return_type("ctc_loss_and_paths", "out log_alpha")
_REDUCTIONS = ("none", "mean", "sum")
_WHERE = "(while checking arguments for ctc_loss_allocate_outputs)"


@operator(
    where="internal",
    name="ctc_loss_backward",
    gradient={("input", "log_probs"): unlisted("_ctc_loss_backward")},
    backward_name="CtcLossBackwardBackward0",
)
def _gradient(
    input: Tensor,
    log_probs: Tensor,
    path: Tensor,
    frames: Ints,
    lengths: Ints,
    loss: Tensor,
    log_alpha: Tensor,
    zero_infinity: bool,
) -> Tensor:
    """The gradient (T, N, C), from those of the losses, `input` (N,)."""
    with np.errstate(all="ignore"):
        found = kernels.gradient(
            log_probs._array,
            path._array,
            np.array(frames),
            np.array(lengths),
            log_alpha._array,
            loss._array,
            zero_infinity,
        )
        pull = input._array[:, None]
        found = found * pull if not zero_infinity else np.where(found == 0, 0, found * pull)
    return finished(found, log_probs.dtype)


def _loss_gradient(
    grad: Tensor,
    log_probs: Tensor,
    path: Tensor,
    frames: Ints,
    lengths: Ints,
    zero_infinity: bool,
    out: Tensor,
    log_alpha: Tensor,
) -> Tensor:
    return _gradient(grad, log_probs, path, frames, lengths, out, log_alpha, zero_infinity)


@operator(
    where="internal",
    name="ctc_losses",
    gradient={"log_probs": _loss_gradient},
    fields=("out", "log_alpha"),
    backward_name="CtcLossBackward0",
)
def _losses(
    log_probs: Tensor, path: Tensor, frames: Ints, lengths: Ints, zero_infinity: bool
) -> Any:
    """The negative log-likelihoods (N,) of the extended labels `path` (N, L), and alpha."""
    with np.errstate(all="ignore"):
        emitted = kernels.along_path(log_probs._array, path._array)
        alpha, loss = kernels.forward(emitted, path._array, np.array(frames), np.array(lengths))
    return _Loss(finished(loss, log_probs.dtype), adopt(alpha))


def _lengths(parameter: str, given: Any) -> Ints:
    """Lengths as ints, from a tuple, a list, or a tensor of integers."""
    if isinstance(given, Tensor):
        if given.dtype.category not in (BOOL, INTEGER):
            raise RuntimeError(f"{parameter} must be integral")
        return tuple(int(each) for each in given._array.reshape(-1))
    return tuple(int(each) for each in given)


def _check(log_probs: Tensor, frames: Ints, lengths: Ints, blank: int) -> None:
    steps, batch, classes = log_probs.shape
    if not log_probs.numel():
        raise RuntimeError("log_probs tensor must not be empty")
    if not 0 <= blank < classes:
        raise RuntimeError(
            f"blank must be in label range\n  It is {blank}; log_probs has {classes} classes."
        )
    for name, given in (("input_lengths", frames), ("target_lengths", lengths)):
        if len(given) != batch:
            raise RuntimeError(f"{name} must be of size batch_size")
    for name, given in (("target_lengths", lengths), ("input_lengths", frames)):
        if min(given) < 0:
            raise RuntimeError(
                f"Expected {name} to have value at least 0, but got value {min(given)} {_WHERE}"
            )
    if max(frames) > steps:
        raise RuntimeError(
            f"Expected input_lengths to have value at most {steps}, but got value {max(frames)} "
            f"{_WHERE}"
        )
    if log_probs.dtype not in (float32, float64):
        raise not_implemented("ctc_loss_cpu", log_probs.dtype)


def _padded_labels(targets: Tensor, lengths: Ints, classes: int) -> np.ndarray:
    """Labels as rows (N, S), from rows or one after the other; 0 beyond their length."""
    given, longest = targets._array.astype(np.int64), max(lengths)
    used = np.arange(longest) < np.array(lengths)[:, None]
    labels = np.zeros(used.shape, np.int64)
    if given.ndim == 1:
        if given.size != sum(lengths):
            raise RuntimeError(
                f"Expected tensor to have size {sum(lengths)} at dimension 0, but got size "
                f"{given.size} for argument #2 'targets' {_WHERE}"
            )
        labels[used] = given
    else:
        if given.shape[0] != len(lengths):
            raise RuntimeError(
                f"Expected tensor to have size {len(lengths)} at dimension 0, but got size "
                f"{given.shape[0]} for argument #2 'targets' {_WHERE}"
            )
        if given.shape[1] < longest:
            raise RuntimeError(
                f"Expected tensor to have size at least {longest} at dimension 1, but got size "
                f"{given.shape[1]} for argument #2 'targets' {_WHERE}"
            )
        labels[used] = given[:, :longest][used]
    if labels.size and not (labels.min() >= 0 and labels.max() < classes):
        wrong = labels[(labels < 0) | (labels >= classes)].flat[0]
        raise RuntimeError(
            f"ctc_loss: label {wrong} is out of range\n"
            f"  log_probs has {classes} classes, so labels run from 0 to {classes - 1}."
        )
    return labels


def _path(targets: Tensor, lengths: Ints, classes: int, blank: int) -> Tensor:
    """The labels with a blank around each (N, 2 S + 1).

    Inside `vmap`, where the labels may differ between the elements, by operators that do not look
    at them: only their number is checked.
    """
    if not isinstance(targets, Batched):
        return adopt(kernels.extended(_padded_labels(targets, lengths, classes), blank), int64)
    longest, batch = max(lengths), len(lengths)
    used = np.arange(longest) < np.array(lengths)[:, None]
    places = np.zeros(used.shape, np.int64)
    places[used] = np.arange(sum(lengths))
    if targets.dim() != 1:
        width = targets.shape[1]
        if targets.shape[0] != batch or width < longest:
            _padded_labels(F.zeros(targets.shape, dtype=int64), lengths, classes)  # says what
        places = np.where(used, np.arange(batch)[:, None] * width + np.arange(longest), 0)
    elif targets.shape[0] != sum(lengths):
        _padded_labels(F.zeros(targets.shape, dtype=int64), lengths, classes)
    if not longest:
        return F.full((batch, 1), blank, dtype=int64)
    labels = targets.flatten().index_select(0, adopt(places.ravel())).view(batch, longest)
    labels = F.where(adopt(used), labels, 0).to(int64)
    pairs = F.stack([F.full((batch, longest), blank, dtype=int64), labels], -1)
    return F.cat([pairs.view(batch, -1), F.full((batch, 1), blank, dtype=int64)], 1)


@composite(where="torch", name="ctc_loss")
def reduced_ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: int = 1,
    zero_infinity: bool = False,
) -> Tensor:
    """`nn.functional.ctc_loss` with the reduction as a number: 0 none, 1 mean, 2 sum."""
    require_tensor("ctc_loss", "log_probs", 1, log_probs)
    require_tensor("ctc_loss", "targets", 2, targets)
    if isinstance(input_lengths, Tensor) != isinstance(target_lengths, Tensor):
        raise TypeError(
            "ctc_loss() received an invalid combination of arguments\n"
            "  input_lengths and target_lengths must both be tensors or both be sequences of ints."
        )
    frames = _lengths("input_lengths", input_lengths)
    lengths = _lengths("target_lengths", target_lengths)
    batched = log_probs.dim() == 3
    scores = log_probs if batched else log_probs.unsqueeze(1)
    _check(scores, frames, lengths, blank)
    path = _path(targets, lengths, scores.shape[2], blank)
    losses = _losses(scores, path, frames, lengths, zero_infinity)[0]
    if zero_infinity:
        losses = F.where(losses == float("inf"), F.zeros((), dtype=losses.dtype), losses)
    kind = _REDUCTIONS[reduction]
    if kind == "mean":
        return (losses / F.tensor(lengths, dtype=losses.dtype).clamp_min(1)).mean()
    if kind == "sum":
        return losses.sum()
    return losses if batched else losses.squeeze(0)


@composite(where="nn.functional", by_element=True)
def ctc_loss(
    log_probs: Tensor,
    targets: Tensor,
    input_lengths: Any,
    target_lengths: Any,
    blank: int = 0,
    reduction: str = "mean",
    zero_infinity: bool = False,
) -> Tensor:
    """-log of the probability of `targets`, summed over all alignments with the frames.

    Shapes: log_probs (T, N, C) or (T, C); targets (N, S), or all labels one after the other; both
    lengths (N,). "mean" divides each loss by its number of labels first. `zero_infinity` drops the
    samples whose frames are too few for their labels.
    """
    kind = reduction_named(reduction)
    number = _REDUCTIONS.index(kind)
    return reduced_ctc_loss(
        log_probs, targets, input_lengths, target_lengths, blank, number, zero_infinity
    )
