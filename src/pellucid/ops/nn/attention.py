"""`scaled_dot_product_attention`: softmax(query @ key^T * scale + mask) @ value.

One operator computes it block by block without keeping the probabilities
(`kernels_attention`). With dropout, which needs them, it is a composition, as it is for gradients
of gradients.
"""

from __future__ import annotations

import math
from typing import Any

import numpy as np

from pellucid.autograd.modes import state
from pellucid.ops.api import F
from pellucid.ops.dispatch import composite, operator
from pellucid.ops.nn import kernels_attention as kernels
from pellucid.ops.nn.support import (
    differentiable,
    finished,
    not_implemented,
    require_tensor,
    working,
)
from pellucid.ops.returns import return_type
from pellucid.tensor.dtype import BOOL, REDUCED, bool_, dtype, float32
from pellucid.tensor.layout import (
    Layout,
    broadcast_shapes,
    contiguous,
    empty_like_layout,
)
from pellucid.tensor.levels import levels
from pellucid.tensor.tensor import Tensor, adopt, empty

_Attention = return_type("scaled_dot_product_attention", "out logsumexp")


def _bias(mask: Tensor | None, d: np.dtype, shape: tuple[int, ...]) -> np.ndarray | None:
    """The mask as numbers to be added, seen in the shape of the scores."""
    if mask is None:
        return None
    if mask.dtype.category == BOOL:
        array = np.where(mask._array, d.type(0), d.type(-np.inf))
    else:
        array = working(mask).astype(d, copy=False)
    return np.broadcast_to(array, shape)


def _operands(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None
) -> tuple[np.ndarray, np.ndarray, np.ndarray, np.ndarray | None]:
    """The arrays with their leading dimensions broadcast."""
    q, k, v = working(query), working(key), working(value)
    lead = broadcast_shapes(q.shape[:-2], k.shape[:-2], v.shape[:-2])
    if mask is not None:
        lead = broadcast_shapes(lead, mask._layout.shape[:-2])
    q, k, v = (
        x if x.shape[:-2] == lead else np.broadcast_to(x, lead + x.shape[-2:]) for x in (q, k, v)
    )
    return q, k, v, _bias(mask, q.dtype, (*lead, q.shape[-2], k.shape[-2]))


def _probabilities(
    query: Tensor, key: Tensor, mask: Tensor | None, scale: float, causal: bool
) -> Tensor:
    """softmax(scores) with recorded operators; zeros for a query that sees no key."""
    root = math.sqrt(abs(scale))  # on both sides, as PyTorch does: half precision overflows later
    scores = F.matmul(query * math.copysign(root, scale), (key * root).transpose(-2, -1))
    if causal:
        later = F.ones(scores.shape[-2:], dtype=bool_).tril().logical_not()
        scores = scores.masked_fill(later, -math.inf)
    if mask is not None:
        if mask.dtype.category == BOOL:
            scores = scores.masked_fill(mask.logical_not(), -math.inf)
        else:
            scores = scores + mask
    if causal or mask is not None:
        blind = (scores.detach() == -math.inf).all(-1, keepdim=True)
        if bool(blind.any()):  # softmax and its gradient would be NaN in these rows
            return F.softmax(scores.masked_fill(blind, 0.0), -1).masked_fill(blind, 0.0)
    return F.softmax(scores, -1)


def _gradient(
    grad: Tensor,
    needs: frozenset[str],
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    scale: float,
    causal: bool,
    out: Tensor,
    logsumexp: Tensor,
) -> tuple[Tensor | None, ...]:
    if state.grad or levels.stack:
        return _composed(grad, query, key, value, attn_mask, scale, causal)
    q, k, v, bias = _operands(query, key, value, attn_mask)
    grads = (np.empty(q.shape, q.dtype), np.empty(k.shape, q.dtype), np.empty(v.shape, q.dtype))
    scores = (*q.shape[:-1], k.shape[-2])
    for_bias = np.empty(scores, q.dtype) if "attn_mask" in needs else None
    with np.errstate(all="ignore"):
        kernels.backward(
            working(grad), q, k, v, bias, scale, causal,
            working(out), logsumexp._array, grads, for_bias,
        )  # fmt: skip
    found = [finished(g, query.dtype) for g in grads]
    return (*found, None if for_bias is None else adopt(for_bias))


def _composed(
    grad: Tensor,
    query: Tensor,
    key: Tensor,
    value: Tensor,
    mask: Tensor | None,
    scale: float,
    causal: bool,
) -> tuple[Tensor | None, ...]:
    p = _probabilities(query, key, mask, scale, causal)
    slope = F.matmul(grad, value.transpose(-2, -1))
    slope = p * (slope - (slope * p).sum(-1, keepdim=True))
    return (
        F.matmul(slope, key) * scale,
        F.matmul(slope.transpose(-2, -1), query) * scale,
        F.matmul(p.transpose(-2, -1), grad),
        slope if mask is not None and mask.dtype.category != BOOL else None,
    )


@operator(
    where="internal",
    name="attend",
    fields=("out", "logsumexp"),
    gradient={("query", "key", "value", "attn_mask"): _gradient},
    backward_name="ScaledDotProductFlashAttentionForCpuBackward0",
)
def _attend(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None,
    scale: float,
    causal: bool,
) -> Any:
    """Attention, and the logarithm of each query's sum of exponentials."""
    q, k, v, bias = _operands(query, key, value, attn_mask)
    shape = (*q.shape[:-1], v.shape[-1])
    out = empty(_output_layout(query, key, value, attn_mask, shape), query.dtype)
    logsumexp = np.empty(q.shape[:-1], q.dtype)
    if not out._layout.numel or not k.shape[-2]:
        out._array.fill(0)
        logsumexp.fill(np.inf)
        return _Attention(out, adopt(logsumexp))
    direct = out._array.dtype == q.dtype
    scratch = out._array if direct else np.empty(shape, q.dtype)
    with np.errstate(all="ignore"):
        kernels.forward(q, k, v, bias, scale, causal, scratch, logsumexp)
    if not direct:
        out._array[...] = scratch
    return _Attention(out, adopt(logsumexp))


def _output_layout(
    query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None, shape: tuple[int, ...]
) -> Layout:
    """As the query where PyTorch takes its fused kernel (4-d, equal head sizes), else row-major."""
    fused = all(x.dim() == 4 and x._layout.strides[-1] == 1 for x in (query, key, value))
    fused = fused and query._layout.shape == shape and key._layout.shape == value._layout.shape
    fused = fused and (mask is None or (mask.dim() in (2, 4) and not differentiable(mask)))
    return empty_like_layout(query._layout) if fused else contiguous(shape)


_C_NAMES = {"float32": "float", "float64": "double", "int64": "long int", "int32": "int"}


def _c(d: dtype) -> str:
    return _C_NAMES.get(d.name, d.name)


def _check(query: Tensor, key: Tensor, value: Tensor, mask: Tensor | None) -> None:
    named = (("query", query), ("key", key), ("value", value))
    if not query.dtype is key.dtype is value.dtype:
        raise RuntimeError(
            "Expected query, key, and value to have the same dtype, but got query.dtype: "
            f"{_c(query.dtype)} key.dtype: {_c(key.dtype)} and value.dtype: {_c(value.dtype)} "
            "instead."
        )
    if min(x.dim() for _, x in named) < 2:
        raise RuntimeError(
            "Expected query, key, and value to all be  at least 2 dimensional, but got "
            f"{' '.join(f'{n}.dim: {x.dim()}' for n, x in named[:2])} and value.dim: "
            f"{value.dim()} instead."
        )
    if mask is not None and mask.dtype not in (query.dtype, float32, bool_):
        raise RuntimeError(
            "Expected attn_mask dtype to be bool or float or to match query dtype, but got "
            f"attn_mask.dtype: {_c(mask.dtype)} and  query.dtype: {_c(query.dtype)} instead."
        )
    if query.dtype.is_complex:
        raise not_implemented("softmax_lastdim_kernel_impl", query.dtype)
    if not query.dtype.is_floating_point:
        raise RuntimeError("expected scalar type Float but found Long")
    lead = broadcast_shapes(query._layout.shape[:-2], key._layout.shape[:-2])
    lead = broadcast_shapes(lead, value._layout.shape[:-2])
    batch = math.prod(lead)
    length, size = query._layout.shape[-2:]
    keys = key._layout.shape[-2]
    if key._layout.shape[-1] != size:
        found = [batch, key._layout.shape[-1]]
        raise _wrong_size([batch, size], found)
    if value._layout.shape[-2] != keys:
        raise _wrong_size([batch, keys], [batch, value._layout.shape[-2]])
    if mask is not None:
        broadcast_shapes((*lead, length, keys), mask._layout.shape)


def _wrong_size(wanted: list[int], found: list[int]) -> RuntimeError:
    return RuntimeError(
        f"Expected size for first two dimensions of batch2 tensor to be: {wanted} but got: {found}."
        "\n  query is (*, L, E), key (*, S, E), value (*, S, V)."
    )


def _same_heads(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor]:
    """Keys and values repeated for each query head of their group (Ainslie et al. 2023)."""
    heads = query.size(-3)
    for other in (key, value):
        if not other.size(-3) or heads % other.size(-3):
            raise RuntimeError(
                "Number of heads in key and value must divide the number of heads in \n"
                f"  query: it has {heads}, the other {other.size(-3)}."
            )
    found = [
        x if x.size(-3) == heads else x.repeat_interleave(heads // x.size(-3), -3)
        for x in (key, value)
    ]
    return found[0], found[1]


@composite(where="nn.functional")
def scaled_dot_product_attention(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    attn_mask: Tensor | None = None,
    dropout_p: float = 0.0,
    is_causal: bool = False,
    scale: float | None = None,
    enable_gqa: bool = False,
) -> Tensor:
    """Attention (Vaswani et al. 2017): query (*, L, E), key (*, S, E), value (*, S, V): (*, L, V).

    `attn_mask` broadcasts to (*, L, S): True lets a key be seen, numbers are added to the scores.
    `is_causal` lets query i see keys 0 to i. `scale` is 1 / sqrt(E) unless given. `enable_gqa` lets
    several query heads share a head of keys and values. A query that sees no key gives zeros.
    """
    name = "scaled_dot_product_attention"
    for position, (label, x) in enumerate((("query", query), ("key", key), ("value", value)), 1):
        require_tensor(name, label, position, x)
    if enable_gqa:
        key, value = _same_heads(query, key, value)
    _check(query, key, value, attn_mask)
    if attn_mask is not None and is_causal:
        raise RuntimeError(
            "_scaled_dot_product_attention: Explicit attn_mask should not be set when "
            "is_causal=True"
        )
    if not 0 <= dropout_p <= 1:
        raise RuntimeError(f"dropout probability has to be between 0 and 1, but got {dropout_p:g}")
    factor = 1 / math.sqrt(max(query.size(-1), 1)) if scale is None else float(scale)
    if dropout_p > 0:
        kind = query.dtype
        if kind in REDUCED:  # computed in float32 throughout, and rounded once
            query, key, value = (x.to(float32) for x in (query, key, value))
        found = _probabilities(query, key, attn_mask, factor, is_causal)
        return F.matmul(F.dropout(found, dropout_p, True), value).to(kind)
    return _attend(query, key, value, attn_mask, factor, bool(is_causal))[0]
