"""Names of `torch` itself for operators of `nn.functional`, with PyTorch's inner signatures.

A loss takes its reduction as a number here: 0 none, 1 mean, 2 sum.
"""

from __future__ import annotations

from pellucid.ops.api import F
from pellucid.ops.dispatch import composite
from pellucid.ops.nn.embedding import embedding_renorm_
from pellucid.ops.overloads import guarded_as
from pellucid.ops.spec import registry
from pellucid.tensor.device import contiguous_format
from pellucid.tensor.dtype import bool_
from pellucid.tensor.tensor import Tensor

_REDUCTIONS = ("none", "mean", "sum")


def _named(reduction: int) -> str:
    if reduction not in (0, 1, 2):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    return _REDUCTIONS[reduction]


@composite(where="torch", name="kl_div")
def torch_kl_div(
    input: Tensor, target: Tensor, reduction: int = 1, *, log_target: bool = False
) -> Tensor:
    """The Kullback-Leibler divergence; a mean is over all elements."""
    total = F.nn.kl_div(
        input, target, reduction="none" if reduction == 0 else "sum", log_target=log_target
    )
    return total / max(input.numel(), target.numel()) if _named(reduction) == "mean" else total


@composite(where="torch", name="hinge_embedding_loss")
def torch_hinge_embedding_loss(
    input: Tensor, target: Tensor, margin: float = 1.0, reduction: int = 1
) -> Tensor:
    """`nn.functional.hinge_embedding_loss`."""
    return F.nn.hinge_embedding_loss(input, target, margin, reduction=_named(reduction))


@composite(where="torch", name="margin_ranking_loss")
def torch_margin_ranking_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Tensor:
    """`nn.functional.margin_ranking_loss`."""
    return F.nn.margin_ranking_loss(input1, input2, target, margin, reduction=_named(reduction))


@composite(where="torch", name="cosine_embedding_loss")
def torch_cosine_embedding_loss(
    input1: Tensor, input2: Tensor, target: Tensor, margin: float = 0.0, reduction: int = 1
) -> Tensor:
    """`nn.functional.cosine_embedding_loss`."""
    return F.nn.cosine_embedding_loss(input1, input2, target, margin, reduction=_named(reduction))


@composite(where="torch", name="triplet_margin_loss")
def torch_triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-06,
    swap: bool = False,
    reduction: int = 1,
) -> Tensor:
    """`nn.functional.triplet_margin_loss`."""
    kind = _named(reduction)
    return F.nn.triplet_margin_loss(
        anchor, positive, negative, margin, p, eps, swap, reduction=kind
    )


@composite(where="torch", name="poisson_nll_loss")
def torch_poisson_nll_loss(
    input: Tensor, target: Tensor, log_input: bool, full: bool, eps: float, reduction: int
) -> Tensor:
    """`nn.functional.poisson_nll_loss`."""
    kind = _named(reduction)
    return F.nn.poisson_nll_loss(input, target, log_input, full, eps=eps, reduction=kind)


@composite(where="torch", name="binary_cross_entropy_with_logits")
def torch_binary_cross_entropy_with_logits(
    input: Tensor,
    target: Tensor,
    weight: Tensor | None = None,
    pos_weight: Tensor | None = None,
    reduction: int = 1,
) -> Tensor:
    """`nn.functional.binary_cross_entropy_with_logits`."""
    return F.nn.binary_cross_entropy_with_logits(
        input, target, weight, reduction=_named(reduction), pos_weight=pos_weight
    )


@composite(where="torch", name="instance_norm")
def torch_instance_norm(
    input: Tensor,
    weight: Tensor | None,
    bias: Tensor | None,
    running_mean: Tensor | None,
    running_var: Tensor | None,
    use_input_stats: bool,
    momentum: float,
    eps: float,
    cudnn_enabled: bool,
) -> Tensor:
    """`nn.functional.instance_norm`; `cudnn_enabled` is without effect."""
    return F.nn.instance_norm(
        input, running_mean, running_var, weight, bias, use_input_stats, momentum, eps
    )


@composite(where="torch nn.functional")
def native_channel_shuffle(input: Tensor, groups: int) -> Tensor:
    """`channel_shuffle`."""
    return F.channel_shuffle(input, groups)


@composite(where="torch")
def native_dropout(input: Tensor, p: float, train: bool | None) -> tuple[Tensor, Tensor]:
    """Dropout, and which elements were kept."""
    if train is False or p == 0:
        return input.clone(), F.ones(input.shape, dtype=bool_)
    if p == 1:
        return F.zeros_like(input), F.zeros(input.shape, dtype=bool_)
    kept = F.dropout(F.ones_like(input), p, True) != 0
    return input * kept * (1 / (1 - p)), kept


@composite(where="torch nn.functional")
def conv_tbc(input: Tensor, weight: Tensor, bias: Tensor, pad: int = 0) -> Tensor:
    """1-d convolution of (time, batch, channels) with (kernel, channels, outputs)."""
    signal, kernel = input.permute(1, 2, 0), weight.permute(2, 1, 0)
    out = F.conv1d(signal, kernel, bias, padding=pad)
    return out.permute(2, 0, 1).clone(memory_format=contiguous_format)


registry.put("torch", "embedding_renorm_", guarded_as("torch.embedding_renorm_", embedding_renorm_))
