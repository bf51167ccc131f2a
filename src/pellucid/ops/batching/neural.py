"""Batching rules of convolution, pooling, normalisation, attention and losses: mostly the batch of
`vmap` is laid into the batch of samples, or into the channels.
"""

from __future__ import annotations

from typing import Any

from pellucid.ops.api import F
from pellucid.ops.batching.rules import UNTOUCHED, Call, rule
from pellucid.tensor.tensor import Tensor


def _folded(call: Call, tensor: Tensor) -> Tensor:
    """(B, N, …) as (B·N, …)."""
    value = call.all(tensor)
    return (
        value.reshape(-1, *value.shape[2:])
        if value.numel()
        else value.reshape(value.shape[0] * value.shape[1], *value.shape[2:])
    )


def _unfolded(call: Call, found: Any) -> Any:
    """(B·N, …) as (B, N, …), for each result."""
    if isinstance(found, Tensor):
        rows = found.shape[0] // call.size if call.size else 0
        return found.reshape(call.size, rows, *found.shape[1:])
    return tuple(_unfolded(call, each) for each in found)


# -- convolution


@rule("internal.convolve", "internal.convolve_input")
def convolve(call: Call) -> Any:
    """A kernel for all: more samples. A kernel for each: more groups."""
    input, weight, bias = call["input"], call["weight"], call["bias"]
    transposed = call.key == "internal.convolve_input"
    g = call["g"]
    rest: dict[str, Any] = {"size": call["size"]} if "size" in call.given else {}
    if not call.is_batched(weight):
        if transposed:
            shape = call["shape"]
            rest["shape"] = (shape[0] * call.size, *shape[1:])
        found = _unfolded(
            call,
            call.run(input=_folded(call, input), weight=call.value(weight), bias=None, g=g, **rest),
        )
    else:
        if transposed:
            shape = call["shape"]
            rest["shape"] = (shape[0], shape[1] * call.size, *shape[2:])
        found = _from_channels(
            call,
            call.run(
                input=_to_channels(call, input),
                weight=_folded(call, weight),
                bias=None,
                g=g._replace(groups=g.groups * call.size),
                **rest,
            ),
        )
    if bias is None:
        return found
    shift = call.value(bias)
    spatial = found.dim() - 3
    if call.is_batched(bias):
        return found + shift.reshape(call.size, 1, -1, *[1] * spatial)
    return found + shift.reshape(-1, *[1] * spatial)


def _to_channels(call: Call, tensor: Tensor) -> Tensor:
    """(B, N, C, …) as (N, B·C, …)."""
    value = call.all(tensor).transpose(0, 1)
    return value.reshape(value.shape[0], value.shape[1] * value.shape[2], *value.shape[3:])


def _from_channels(call: Call, found: Tensor) -> Tensor:
    """(N, B·C, …) as (B, N, C, …)."""
    split = found.reshape(found.shape[0], call.size, -1, *found.shape[2:])
    return split.transpose(0, 1)


@rule("internal.convolve_weight")
def convolve_weight(call: Call) -> Any:
    """The kernel's gradient of each element: they share nothing, so they are groups."""
    g, shape = call["g"], call["shape"]
    found = call.run(
        grad_out=_to_channels(call, call["grad_out"]),
        input=_to_channels(call, call["input"]),
        shape=(shape[0] * call.size, *shape[1:]),
        g=g._replace(groups=g.groups * call.size),
    )
    return found.reshape(call.size, *shape)


# -- pooling and resampling


@rule(
    "internal.max_pool_values",
    "internal.max_pool_choices",
    "internal.chosen_places",
    "internal.average_windows",
    "internal.adaptive_average",
    "internal.adaptive_max",
    "internal.spread_choices",
    "internal.gather_choices",
    "internal.average_spread",
    "internal.adaptive_average_spread",
    "internal.gather_places",
    "internal.scatter_places",
    "nn.functional.pixel_shuffle",
    "nn.functional.pixel_unshuffle",
)
def spatial(call: Call) -> Any:
    """What works on the last dimensions, whatever stands before them."""
    tensors = {n: v for n, v in call.given.items() if isinstance(v, Tensor)}
    return call.rerun(**{name: call.all(tensor) for name, tensor in tensors.items()})


_RESAMPLED = [
    f"internal.upsample_{name}{end}"
    for name in [
        "bicubic2d",
        "bicubic2daa",
        "bilinear2d",
        "bilinear2daa",
        "lanczos2daa",
        "linear1d",
        "nearest1d",
        "nearest2d",
        "nearest3d",
        "nearestexact1d",
        "nearestexact2d",
        "nearestexact3d",
        "trilinear3d",
    ]
    for end in ("", "_backward")
]


@rule(
    *_RESAMPLED,
    "internal.image_to_columns",
    "internal.columns_to_image",
    "internal.pad_borders",
    "nn.functional.channel_shuffle",
    "internal.grid_sampler_2d",
    "internal.grid_sampler_3d",
    "internal.pad_back",
)
def by_sample(call: Call) -> Any:
    """Samples that do not see each other: the batch is more of them."""
    tensors = {n: v for n, v in call.given.items() if isinstance(v, Tensor)}
    if any(t.dim() < 2 for t in tensors.values()):
        return UNTOUCHED
    return _unfolded(call, call.rerun(**{n: _folded(call, t) for n, t in tensors.items()}))


@rule("internal.ctc_losses", "internal.ctc_loss_backward")
def ctc(call: Call) -> Any:
    """Samples that do not see each other, laid side by side; frames come before them in scores."""

    def side_by_side(value: Tensor) -> Tensor:
        """(B, T, N, C) as (T, B·N, C)."""
        return value.transpose(0, 1).flatten(1, 2)

    def apart(found: Tensor) -> Tensor:
        return found.unflatten(1, (call.size, -1)).transpose(0, 1)

    changed: dict[str, Any] = {name: call[name] * call.size for name in ("frames", "lengths")} | {
        "path": _folded(call, call["path"])
    }
    for name in ("log_probs", "log_alpha"):
        if name in call.given:
            changed[name] = side_by_side(call.all(call[name]))
    for name in ("input", "loss"):
        if name in call.given:
            changed[name] = _folded(call, call[name])
    found = call.rerun(**changed)
    if isinstance(found, Tensor):
        return apart(found)
    return type(found)(_unfolded(call, found[0]), apart(found[1]))


# -- normalisation


@rule("internal.batch_normalise")
def batch_normalise(call: Call) -> Any:
    """The channels of every element are channels of their own."""
    input, training = call["input"], call["training"]
    running = {name: call[name] for name in ("running_mean", "running_var")}
    if not call.is_batched(input) and not any(call.is_batched(v) for v in running.values()):
        return _scaled_channels(call)
    for value in running.values():
        if training and value is not None and not call.is_batched(value):
            raise RuntimeError(
                "Batch norm got a batched tensor as input while the running_mean or running_var, "
                "which will be updated in place, were not batched.\nPlease see "
                "https://pytorch.org/docs/stable/func.batch_norm.html for options to fix this.\n"
                "  torch.func.replace_all_batch_norm_modules_(model) is one."
            )
    channels = {
        name: None if call[name] is None else call.all(call[name]).reshape(-1)
        for name in ("weight", "bias", *running)
    }
    found = call.rerun(input=_to_channels(call, input), **channels)
    if training:
        for name, tensor in running.items():
            flat = channels[name]
            if flat is not None and flat._storage is not tensor._storage:
                call.value(tensor).copy_(flat.reshape(call.size, -1))
    out, mean, invstd = found
    shape = (call.size, -1)
    return _from_channels(call, out), mean.reshape(shape), invstd.reshape(shape)


def _scaled_channels(call: Call) -> Any:
    """Normalised once, then scaled and shifted by the weights of each element."""
    out, mean, invstd = call.rerun(weight=None, bias=None)
    shape = (1, -1, *[1] * (out.dim() - 2))
    for name, combine in (("weight", F.mul), ("bias", F.add)):
        if call[name] is not None:
            out = combine(out, call.all(call[name]).reshape(call.size, *shape))
    return out, mean.expand(call.size, -1), invstd.expand(call.size, -1)


@rule("internal.normalise_rows")
def normalise_rows(call: Call) -> Any:
    """Rows are normalised each for itself; weights of each element multiply afterwards."""
    weight, bias = call["weight"], call["bias"]
    own = call.is_batched(weight) or call.is_batched(bias)
    out, *rest = call.rerun(
        input=call.all(call["input"]), **({"weight": None, "bias": None} if own else {})
    )
    if own:
        rank = call["input"].dim()
        if weight is not None:
            out = out * call.aligned(weight, rank)
        if bias is not None:
            out = out + call.aligned(bias, rank)
    return (out, *(each.reshape(call.size, -1) for each in rest))


@rule("internal.normalise_groups")
def normalise_groups(call: Call) -> Any:
    """Samples are normalised each for itself."""
    weight, bias = call["weight"], call["bias"]
    own = call.is_batched(weight) or call.is_batched(bias)
    found = call.rerun(
        input=_folded(call, call["input"]), **({"weight": None, "bias": None} if own else {})
    )
    out, *rest = _unfolded(call, found)
    if own:
        shape = (1, -1, *[1] * (out.dim() - 3))
        if weight is not None:
            out = out * call.all(weight).reshape(call.size, *shape)
        if bias is not None:
            out = out + call.all(bias).reshape(call.size, *shape)
    return (out, *rest)


@rule("internal.attend", "internal.euclidean_distances")
def matrices(call: Call) -> Any:
    """Stacks of matrices, as many dimensions each."""
    tensors = {n: v for n, v in call.given.items() if isinstance(v, Tensor)}
    rank = max(tensor.dim() for tensor in tensors.values())
    changed = {}
    for name, tensor in tensors.items():
        value = call.all(tensor)
        for _ in range(rank - tensor.dim()):
            value = value.unsqueeze(1)
        changed[name] = value
    return call.rerun(**changed)


# -- losses


@rule(
    "internal.mse_loss",
    "internal.smooth_l1_loss",
    "internal.huber_loss",
    "internal.binary_cross_entropy",
    "internal.binary_cross_entropy_with_logits",
    "internal.soft_margin_loss",
)
def loss(call: Call) -> Any:
    """The errors of all elements, reduced for each."""
    tensors = {n: v for n, v in call.given.items() if isinstance(v, Tensor)}
    rank = max(tensor.dim() for tensor in tensors.values())
    changed: dict[str, Any] = {n: call.aligned(t, rank) for n, t in tensors.items()}
    errors = call.run(**(call.given | changed | {"reduction": "none"}))
    return _reduced(errors.reshape(call.size, -1), call["reduction"], errors)


def _reduced(rows: Tensor, reduction: str, shown: Tensor) -> Tensor:
    if reduction == "none":
        return shown
    return rows.sum(1) if reduction == "sum" else rows.mean(1)


def _classes(call: Call, scores: Tensor, target: Tensor) -> tuple[Tensor, Tensor, bool]:
    """Scores (B·N, C, …) and targets (B·N, …); a single sample gets a batch of one."""
    x, y = call.all(scores), call.all(target)
    single = scores.dim() == 1
    if single:
        x, y = x.unsqueeze(1), y.reshape(call.size, 1)
    return x.reshape(-1, *x.shape[2:]), y.reshape(-1, *y.shape[2:]), single


def _class_weights(call: Call, target: Tensor, like: Tensor) -> Tensor:
    """The weight of each place: 0 where it is ignored."""
    kept = target != call["ignore_index"]
    weight = call["weight"]
    if weight is None:
        return kept.to(like.dtype)
    return F.where(kept, call.value(weight)[F.where(kept, target, 0)], 0)


@rule("internal.cross_entropy_loss", "internal.nll_loss")
def class_loss(call: Call) -> Any:
    """The losses of all places; a mean is over the weights of its element."""
    if call.is_batched(call["weight"]):
        return UNTOUCHED
    x, y, _ = _classes(call, call["input"], call["target"])
    found = call.rerun(input=x, target=y, reduction="none")
    values, total = found[0], _class_weights(call, y, x).reshape(call.size, -1).sum(1)
    reduction = call["reduction"]
    if reduction == "none":
        values = values.reshape(call.size, *call["target"].shape)
    else:
        values = values.reshape(call.size, -1).sum(1)
        if reduction == "mean":
            values = values / total
    between = tuple(each.reshape(call.size, -1, *each.shape[1:]) for each in found[1:-1])
    return (values, *between, total)


@rule("internal.nll_spread")
def nll_spread(call: Call) -> Any:
    """The gradient of the loss at each place, shared out as its element reduced it."""
    if call.is_batched(call["weight"]):
        return UNTOUCHED
    x, y, _ = _classes(call, call["scores"], call["target"])
    grad = call.all(call["input"])
    reduction = call["reduction"]
    if reduction == "mean":
        grad = grad / call.all(call["total_weight"])
    if reduction != "none":
        grad = grad.reshape(call.size, 1).expand(call.size, y.numel() // max(call.size, 1))
    found = call.rerun(
        input=grad.reshape(y.shape),
        scores=x,
        target=y,
        reduction="none",
        total_weight=F.ones((), dtype=x.dtype),
    )
    return found.reshape(call.size, *call["scores"].shape)


# -- random numbers


@rule(
    "_sample_dirichlet",
    "_standard_gamma",
    "binomial",
    "internal.bernoulli_like",
    "internal.bernoulli_of",
    "internal.normal_of_mean",
    "internal.normal_of_mean_and_std",
    "internal.normal_of_std",
    "multinomial",
    "poisson",
)
def drawn(call: Call) -> Any:
    """Other numbers for each element."""
    tensors = {n: v for n, v in call.given.items() if isinstance(v, Tensor)}
    if call.level.randomness == "same":
        raise RuntimeError(
            "Vmap does not currently support same randomness with a batched tensor input\n"
            "  Draw outside vmap, or use randomness='different'."
        )
    if call.key == "multinomial" and call["input"].dim() == 2:
        return _unfolded(call, call.rerun(input=_folded(call, call["input"])))
    rank = max(tensor.dim() for tensor in tensors.values())
    changed = {}
    for name, tensor in tensors.items():
        value = call.all(tensor)
        for _ in range(rank - tensor.dim()):
            value = value.unsqueeze(1)
        changed[name] = value
    return call.rerun(**changed)
