"""Distances and similarities of vectors, and the losses made of them.

Except for `pdist` these are compositions, as in PyTorch (aten/src/ATen/native/Distance.cpp and
Loss.cpp): their gradients are those of the operators they are made of.
"""

from __future__ import annotations

from collections.abc import Callable

from pellucid.autograd.modes import no_grad
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.inplace import scalar_type
from pellucid.ops.nn import kernels_distances as kernels
from pellucid.ops.nn.reduction import combine, reduction_named
from pellucid.ops.nn.support import not_implemented, require_tensor
from pellucid.ops.underivable import aten
from pellucid.tensor.dtype import FLOATING, REDUCED
from pellucid.tensor.layout import broadcast_shapes, contiguous
from pellucid.tensor.tensor import Tensor, empty

# -- distances


@composite(where="torch nn.functional")
def pairwise_distance(
    x1: Tensor, x2: Tensor, p: float = 2.0, eps: float = 1e-6, keepdim: bool = False
) -> Tensor:
    """The p-norm of x1 - x2 + eps along the last dimension: (N, D) and (N, D) give (N,)."""
    require_tensor("pairwise_distance", "x1", 1, x1)
    require_tensor("pairwise_distance", "x2", 2, x2)
    last = max(x1.dim(), x2.dim()) - 1
    return F.norm(x1 - x2 + eps, p, last, keepdim)


@composite(where="torch nn.functional")
def cosine_similarity(x1: Tensor, x2: Tensor, dim: int = 1, eps: float = 1e-8) -> Tensor:
    """The cosine of the angle between vectors along `dim`, of length `eps` at least.

    Shapes: x1 and x2 broadcast to a common shape; the result lacks `dim`. Each vector is divided by
    its own length first, so that products neither overflow nor vanish.
    """
    require_tensor("cosine_similarity", "x1", 1, x1)
    require_tensor("cosine_similarity", "x2", 2, x2)
    d = F.result_type(x1, x2)
    if not d.is_floating_point:
        raise RuntimeError(
            "expected common dtype to be floating point, yet common dtype is "
            f"{scalar_type(d)}\n  Convert the vectors with .float()."
        )
    shape = broadcast_shapes(tuple(x1.shape), tuple(x2.shape))
    units = []
    for x in (x1, x2):
        x = x.to(d).expand(shape)
        length = F.linalg.vector_norm(x, 2, dim, keepdim=True).clone()
        with no_grad():  # gradients take lengths as they are, as PyTorch's do
            length.clamp_min_(eps)
        units.append(x / length)
    return (units[0] * units[1]).sum(dim)


@operator(
    where="internal",
    name="pdist_backward",
    backward_name="PdistBackwardBackward0",
    gradient={
        ("input", "x", "distances"): aten("_pdist_backward"),
    },
)
def _pdist_backward(input: Tensor, x: Tensor, p: float, distances: Tensor) -> Tensor:
    """The gradient of `pdist`: (N, D)."""
    out = empty(contiguous(x._layout.shape), x.dtype)
    kernels.pair_gradient(input._array, x._array, distances._array, p, out._array)
    return out


@operator(
    where="internal",
    name="pdist_forward",
    backward_name="PdistBackward0",
    gradient={"input": lambda grad, input, p, out: _pdist_backward(grad, input, p, out)},
)
def _pdist_forward(input: Tensor, p: float) -> Tensor:
    count = input._layout.shape[0]
    out = empty(contiguous((count * (count - 1) // 2,)), input.dtype)
    kernels.pair_distances(input._array, p, out._array)
    return out


@composite(where="torch nn.functional")
def pdist(input: Tensor, p: float = 2.0) -> Tensor:
    """The p-norm distances between the rows of (N, D), each pair once: (N (N - 1) / 2,).

    In the order (0, 1), (0, 2), …, (1, 2), …. A gradient of its gradient does not exist.
    """
    require_tensor("pdist", "input", 1, input)
    if input.dim() != 2:
        raise RuntimeError(f"pdist only supports 2D tensors, got: {input.dim()}D")
    if input.dtype.category != FLOATING:
        raise RuntimeError("pdist only supports floating-point dtypes")
    if p < 0:
        raise RuntimeError("pdist only supports non-negative p values")
    if input.dtype in REDUCED:
        raise not_implemented("pdist", input.dtype)
    return _pdist_forward(input.contiguous(), float(p))


# -- losses


def _check_pair(input1: Tensor, input2: Tensor, target: Tensor) -> None:
    rank = target.dim()
    if rank > 1:
        raise RuntimeError(
            "0D or 1D target tensor expected, multi-target not supported\n"
            "  A target says 1 (alike) or -1 (unlike) for each pair of vectors."
        )
    if input1.dim() != rank + 1 or input2.dim() != rank + 1:
        raise RuntimeError(
            f"{rank}D target tensor expects {rank + 1}D input tensors, but found inputs with sizes "
            f"{list(input1.shape)} and {list(input2.shape)}."
        )


@composite(where="nn.functional")
def cosine_embedding_loss(
    input1: Tensor,
    input2: Tensor,
    target: Tensor,
    margin: float = 0,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """1 - cos where the target is 1, max(0, cos - margin) where it is -1: (N, D) against (N,)."""
    kind = reduction_named(reduction, size_average, reduce)
    _check_pair(input1, input2, target)
    dim = target.dim()
    dot = (input1 * input2).sum(dim)
    squares = [(x * x).sum(dim) + 1e-12 for x in (input1, input2)]
    cosine = dot / (squares[0] * squares[1]).sqrt()
    zeros = F.zeros_like(cosine)
    alike = F.where(target == 1, 1 - cosine, zeros)
    unlike = F.where(target == -1, (cosine - margin).clamp_min(0), zeros)
    return combine(alike + unlike, kind)


def _check_triplet(anchor: Tensor, positive: Tensor, negative: Tensor, margin: float) -> None:
    if margin <= 0:
        raise ValueError(
            f"margin must be greater than 0, got {margin}\n"
            "  It is how much farther the negative should be than the positive."
        )
    ranks = anchor.dim(), positive.dim(), negative.dim()
    if len(set(ranks)) > 1:
        raise RuntimeError(
            "The anchor, positive, and negative tensors are expected to have the same number of "
            f"dimensions, but got: anchor {ranks[0]}D, positive {ranks[1]}D, and negative "
            f"{ranks[2]}D inputs"
        )


@composite(where="nn.functional")
def triplet_margin_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    margin: float = 1.0,
    p: float = 2,
    eps: float = 1e-6,
    swap: bool = False,
    size_average: bool | None = None,
    reduce: bool | None = None,
    reduction: str = "mean",
) -> Tensor:
    """max(0, margin + d(anchor, positive) - d(anchor, negative)), d the p-norm of the difference.

    `swap` takes d(positive, negative) instead of d(anchor, negative) where it is smaller (Balntas
    et al. 2016).
    """
    kind = reduction_named(reduction, size_average, reduce)
    _check_triplet(anchor, positive, negative, margin)
    to_positive = pairwise_distance(anchor, positive, p, eps)
    to_negative = pairwise_distance(anchor, negative, p, eps)
    if swap:
        to_negative = F.min(to_negative, pairwise_distance(positive, negative, p, eps))
    return combine(F.clamp_min(margin + to_positive - to_negative, 0), kind)


@composite(where="nn.functional")
def triplet_margin_with_distance_loss(
    anchor: Tensor,
    positive: Tensor,
    negative: Tensor,
    *,
    distance_function: Callable[[Tensor, Tensor], Tensor] | None = None,
    margin: float = 1.0,
    swap: bool = False,
    reduction: str = "mean",
) -> Tensor:
    """`triplet_margin_loss` with a distance of your own (`pairwise_distance` if None)."""
    if reduction not in ("mean", "sum", "none"):
        raise ValueError(f"{reduction} is not a valid value for reduction")
    _check_triplet(anchor, positive, negative, margin)
    distance = pairwise_distance if distance_function is None else distance_function
    to_positive, to_negative = distance(anchor, positive), distance(anchor, negative)
    if swap:
        to_negative = F.minimum(to_negative, distance(positive, negative))
    return combine(F.clamp_min(margin + to_positive - to_negative, 0), reduction)
