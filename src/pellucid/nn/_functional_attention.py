"""Multi-head attention as one function, with the checks and masks of `nn.MultiheadAttention`."""

from __future__ import annotations

import math
import warnings
from typing import Any

from pellucid import ops
from pellucid.ops.api import Place
from pellucid.tensor.dtype import bool_
from pellucid.tensor.dtype import dtype as DType
from pellucid.tensor.tensor import Tensor

F = Place("nn.functional")


def _none_or_dtype(input: Tensor | None) -> DType | None:
    if input is None:
        return None
    if isinstance(input, Tensor):
        return input.dtype
    raise RuntimeError("input to _none_or_dtype() must be None or torch.Tensor")


def _canonical_mask(
    mask: Tensor | None,
    mask_name: str,
    other_type: DType | None,
    other_name: str,
    target_type: DType,
    check_other: bool = True,
) -> Tensor | None:
    """`mask` as numbers to be added: −∞ where a boolean mask is True, 0 elsewhere."""
    if mask is None:
        return None
    is_float = mask.is_floating_point()
    if mask.dtype != bool_ and not is_float:
        raise AssertionError(f"only bool and floating types of {mask_name} are supported")
    if check_other and other_type is not None and mask.dtype != other_type:
        warnings.warn(
            f"Support for mismatched {mask_name} and {other_name} is deprecated. Use same type "
            "for both instead.",
            stacklevel=2,
        )
    if is_float:
        return mask
    return ops.zeros_like(mask, dtype=target_type).masked_fill_(mask, float("-inf"))


def _mha_shape_check(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    key_padding_mask: Tensor | None,
    attn_mask: Tensor | None,
    num_heads: int,
) -> bool:
    """Whether the inputs are batched; AssertionError if they do not go together."""
    if query.dim() not in (2, 3):
        raise AssertionError(
            "query should be unbatched 2D or batched 3D tensor but received "
            f"{query.dim()}-D query tensor"
        )
    dim = query.dim()
    expected = f"For {'batched' if dim == 3 else 'unbatched'} ({dim}-D) `query`, expected"
    if key.dim() != dim or value.dim() != dim:
        raise AssertionError(
            f"{expected} `key` and `value` to be {dim}-D but found {key.dim()}-D and "
            f"{value.dim()}-D tensors respectively"
        )
    if key_padding_mask is not None and key_padding_mask.dim() != dim - 1:
        raise AssertionError(
            f"{expected} `key_padding_mask` to be `None` or {dim - 1}-D but found "
            f"{key_padding_mask.dim()}-D tensor instead"
        )
    if attn_mask is not None:
        if attn_mask.dim() not in (2, 3):
            raise AssertionError(
                f"{expected} `attn_mask` to be `None`, 2-D or 3-D but found "
                f"{attn_mask.dim()}-D tensor instead"
            )
        shape = (num_heads, query.shape[0], key.shape[0])
        if dim == 2 and attn_mask.dim() == 3 and tuple(attn_mask.shape) != shape:
            raise AssertionError(
                f"Expected `attn_mask` shape to be {shape} but got {attn_mask.shape}"
            )
    return dim == 3


def _in_projection_packed(
    q: Tensor, k: Tensor, v: Tensor, w: Tensor, b: Tensor | None = None
) -> tuple[Tensor, Tensor, Tensor]:
    """Project by the thirds of `w` (3E, E); inputs that are one tensor are projected together."""
    e = q.size(-1)
    if k is v and q is k:
        return _split_last(F.linear(q, w, b), 3)
    if k is v:
        w_q, w_kv = w.split([e, 2 * e])
        b_q, b_kv = (None, None) if b is None else b.split([e, 2 * e])
        return F.linear(q, w_q, b_q), *_split_last(F.linear(k, w_kv, b_kv), 2)
    w_q, w_k, w_v = w.chunk(3)
    b_q, b_k, b_v = (None, None, None) if b is None else b.chunk(3)
    return F.linear(q, w_q, b_q), F.linear(k, w_k, b_k), F.linear(v, w_v, b_v)


def _split_last(projected: Tensor, parts: int) -> tuple[Any, ...]:
    """(…, parts·E) as `parts` contiguous tensors (…, E)."""
    split = projected.unflatten(-1, (parts, projected.size(-1) // parts))
    split = split.unsqueeze(0).transpose(0, -2).squeeze(-2).contiguous()
    return tuple(split[i] for i in range(parts))


def _in_projection(
    inputs: tuple[Tensor, Tensor, Tensor],
    weights: tuple[Tensor | None, ...],
    bias: Tensor | None,
) -> tuple[Tensor, ...]:
    """Project by three weights (E, E), (E, kdim), (E, vdim)."""
    e = inputs[0].size(-1)
    biases = (None, None, None) if bias is None else bias.chunk(3)
    projected = []
    names = ("query", "key", "value")
    for name, x, w, b in zip(names, inputs, weights, biases, strict=True):
        if w is None:
            raise AssertionError(
                f"use_separate_proj_weight is True but {name[0]}_proj_weight is None"
            )
        if tuple(w.shape) != (e, x.size(-1)):
            raise AssertionError(
                f"expecting {name} weights shape of {(e, x.size(-1))}, but got {w.shape}"
            )
        if b is not None and tuple(b.shape) != (e,):
            raise AssertionError(f"expecting {name} bias shape of {(e,)}, but got {b.shape}")
        projected.append(F.linear(x, w, b))
    return tuple(projected)


def multi_head_attention_forward(
    query: Tensor,
    key: Tensor,
    value: Tensor,
    embed_dim_to_check: int,
    num_heads: int,
    in_proj_weight: Tensor | None,
    in_proj_bias: Tensor | None,
    bias_k: Tensor | None,
    bias_v: Tensor | None,
    add_zero_attn: bool,
    dropout_p: float,
    out_proj_weight: Tensor,
    out_proj_bias: Tensor | None,
    training: bool = True,
    key_padding_mask: Tensor | None = None,
    need_weights: bool = True,
    attn_mask: Tensor | None = None,
    use_separate_proj_weight: bool = False,
    q_proj_weight: Tensor | None = None,
    k_proj_weight: Tensor | None = None,
    v_proj_weight: Tensor | None = None,
    static_k: Tensor | None = None,
    static_v: Tensor | None = None,
    average_attn_weights: bool = True,
    is_causal: bool = False,
) -> tuple[Tensor, Tensor | None]:
    """Project, attend in `num_heads` parts, project back.

    Shapes: query (L, N, E) or (L, E); key (S, N, kdim), value (S, N, vdim); masks as for
    `nn.MultiheadAttention`; `static_k`, `static_v` (N·num_heads, S, E/num_heads) replace the
    projected keys and values.

    Returns:
        the result (L, N, E) or (L, E), and with `need_weights` the weights (N, L, S), without
        averaging (N, num_heads, L, S).
    """
    is_batched = _mha_shape_check(query, key, value, key_padding_mask, attn_mask, num_heads)
    if not is_batched:
        query, key, value = query.unsqueeze(1), key.unsqueeze(1), value.unsqueeze(1)
        if key_padding_mask is not None:
            key_padding_mask = key_padding_mask.unsqueeze(0)
    length, batch, embed_dim = query.shape
    key_padding_mask = _canonical_mask(
        key_padding_mask, "key_padding_mask", _none_or_dtype(attn_mask), "attn_mask", query.dtype
    )
    if is_causal and attn_mask is None:
        raise RuntimeError(
            "Need attn_mask if specifying the is_causal hint. You may use the Transformer module "
            "method `generate_square_subsequent_mask` to create this mask."
        )
    if is_causal and key_padding_mask is None and not need_weights:
        attn_mask = None  # the attention makes the causal mask itself
    else:
        attn_mask = _canonical_mask(attn_mask, "attn_mask", None, "", query.dtype, False)
        is_causal = is_causal and key_padding_mask is None
    _check_sizes(query, key, value, embed_dim_to_check, num_heads, use_separate_proj_weight)
    if use_separate_proj_weight:
        separate = (q_proj_weight, k_proj_weight, v_proj_weight)
        q, k, v = _in_projection((query, key, value), separate, in_proj_bias)
    else:
        if in_proj_weight is None:
            raise AssertionError("use_separate_proj_weight is False but in_proj_weight is None")
        q, k, v = _in_projection_packed(query, key, value, in_proj_weight, in_proj_bias)
    attn_mask = _checked_attn_mask(attn_mask, (length, key.shape[0]), batch * num_heads)
    heads = _Heads(batch, num_heads, embed_dim // num_heads, attn_mask, key_padding_mask)
    k, v = heads.append_bias(k, v, bias_k, bias_v, static_k, static_v)
    q = heads.split(q)
    k = heads.split(k) if static_k is None else heads.checked_static(static_k, "static_k")
    v = heads.split(v) if static_v is None else heads.checked_static(static_v, "static_v")
    if add_zero_attn:
        k, v = heads.append_zeros(k, v)
    mask = heads.merged_mask(k.size(1))
    dropout_p = dropout_p if training else 0.0
    if need_weights:
        attended, weights = _attend_with_weights(q, k, v, mask, dropout_p, is_causal)
        attended = attended.transpose(0, 1).reshape(length * batch, embed_dim)
    else:
        attended = heads.attend(q, k, v, mask, dropout_p, is_causal)
        attended = attended.permute(2, 0, 1, 3).reshape(batch * length, embed_dim)
    output = F.linear(attended, out_proj_weight, out_proj_bias)
    output = output.view(length, batch, output.size(1))
    output = output if is_batched else output.squeeze(1)
    if not need_weights:
        return output, None
    weights = weights.view(batch, num_heads, length, k.size(1))
    weights = weights.mean(dim=1) if average_attn_weights else weights
    return output, weights if is_batched else weights.squeeze(0)


def _check_sizes(
    query: Tensor, key: Tensor, value: Tensor, embed_dim: int, num_heads: int, separate: bool
) -> None:
    if query.size(-1) != embed_dim:
        raise AssertionError(
            f"was expecting embedding dimension of {embed_dim}, but got {query.size(-1)}"
        )
    if embed_dim % num_heads != 0:
        raise AssertionError(f"embed_dim {embed_dim} not divisible by num_heads {num_heads}")
    if separate and key.shape[:2] != value.shape[:2]:
        raise AssertionError(
            f"key's sequence and batch dims {key.shape[:2]} do not match value's {value.shape[:2]}"
        )
    if not separate and key.shape != value.shape:
        raise AssertionError(f"key shape {key.shape} does not match value shape {value.shape}")


def _checked_attn_mask(
    mask: Tensor | None, lengths: tuple[int, int], batch_heads: int
) -> Tensor | None:
    """The mask as (1 or N·num_heads, L, S), or a RuntimeError."""
    if mask is None:
        return None
    if mask.dim() not in (2, 3):
        raise RuntimeError(f"attn_mask's dimension {mask.dim()} is not supported")
    expected = lengths if mask.dim() == 2 else (batch_heads, *lengths)
    if tuple(mask.shape) != expected:
        raise RuntimeError(
            f"The shape of the {mask.dim()}D attn_mask is {mask.shape}, but should be {expected}."
        )
    return mask.unsqueeze(0) if mask.dim() == 2 else mask


class _Heads:
    """Keys, values and masks of one call, split into heads: (N·num_heads, length, head_dim)."""

    def __init__(
        self,
        batch: int,
        num_heads: int,
        head_dim: int,
        attn_mask: Tensor | None,
        key_padding_mask: Tensor | None,
    ) -> None:
        self.batch = batch
        self.num_heads = num_heads
        self.head_dim = head_dim
        self.attn_mask = attn_mask
        self.key_padding_mask = key_padding_mask

    def split(self, x: Tensor) -> Tensor:
        """(length, N, E) as (N·num_heads, length, head_dim)."""
        return x.view(x.shape[0], self.batch * self.num_heads, self.head_dim).transpose(0, 1)

    def _one_more_key(self) -> None:
        """Let the masks allow a key that was appended."""
        if self.attn_mask is not None:
            self.attn_mask = F.pad(self.attn_mask, (0, 1))
        if self.key_padding_mask is not None:
            self.key_padding_mask = F.pad(self.key_padding_mask, (0, 1))

    def append_bias(
        self,
        k: Tensor,
        v: Tensor,
        bias_k: Tensor | None,
        bias_v: Tensor | None,
        static_k: Tensor | None,
        static_v: Tensor | None,
    ) -> tuple[Tensor, Tensor]:
        """Append the learned key and value, if there are any."""
        if bias_k is None and bias_v is None:
            return k, v
        if bias_v is None:
            raise AssertionError("bias_k is set but bias_v is None")
        if bias_k is None:
            raise AssertionError("bias_v is set but bias_k is None")
        if static_k is not None:
            raise AssertionError("bias cannot be added to static key.")
        if static_v is not None:
            raise AssertionError("bias cannot be added to static value.")
        self._one_more_key()
        k = ops.cat([k, bias_k.repeat(1, self.batch, 1)])
        return k, ops.cat([v, bias_v.repeat(1, self.batch, 1)])

    def checked_static(self, static: Tensor, name: str) -> Tensor:
        """A given key or value, if it has the right shape."""
        for dim, size in ((0, self.batch * self.num_heads), (2, self.head_dim)):
            if static.size(dim) != size:
                raise AssertionError(
                    f"expecting {name}.size({dim}) of {size}, but got {static.size(dim)}"
                )
        return static

    def append_zeros(self, k: Tensor, v: Tensor) -> tuple[Tensor, Tensor]:
        """Append a key and value of zeros."""
        self._one_more_key()
        shape = (self.batch * self.num_heads, 1, self.head_dim)
        k = ops.cat([k, ops.zeros(shape, dtype=k.dtype, device=k.device)], dim=1)
        return k, ops.cat([v, ops.zeros(shape, dtype=v.dtype, device=v.device)], dim=1)

    def merged_mask(self, length: int) -> Tensor | None:
        """Both masks added up, (1 or N·num_heads, 1 or L, S)."""
        padding = self.key_padding_mask
        if padding is None:
            return self.attn_mask
        for dim, size in ((0, self.batch), (1, length)):
            if padding.shape[dim] != size:
                raise AssertionError(
                    f"Expected key_padded_mask.shape[{dim}] to be {size}, "
                    f"but got {padding.shape[dim]}"
                )
        padding = padding.view(self.batch, 1, 1, length).expand(-1, self.num_heads, -1, -1)
        padding = padding.reshape(self.batch * self.num_heads, 1, length)
        return padding if self.attn_mask is None else self.attn_mask + padding

    def attend(
        self,
        q: Tensor,
        k: Tensor,
        v: Tensor,
        mask: Tensor | None,
        dropout_p: float,
        is_causal: bool,
    ) -> Tensor:
        """Attention without weights: (N, num_heads, L, head_dim)."""
        q, k, v = (x.view(self.batch, self.num_heads, *x.shape[1:]) for x in (q, k, v))
        if mask is not None:
            if mask.size(0) == 1:
                mask = mask.unsqueeze(0)
            else:
                mask = mask.view(self.batch, self.num_heads, *mask.shape[1:])
        return F.scaled_dot_product_attention(q, k, v, mask, dropout_p, is_causal)


def _attend_with_weights(
    q: Tensor, k: Tensor, v: Tensor, mask: Tensor | None, dropout_p: float, is_causal: bool
) -> tuple[Tensor, Tensor]:
    """softmax(q kᵀ / √head_dim + mask) v, and the softmax, after dropout."""
    q = q * math.sqrt(1.0 / float(q.size(-1)))
    if is_causal and mask is None:
        raise AssertionError("FIXME: is_causal not implemented for need_weights")
    if mask is None:
        weights = ops.bmm(q, k.transpose(-2, -1))
    else:
        weights = ops.baddbmm(mask, q, k.transpose(-2, -1))
    weights = F.softmax(weights, dim=-1)
    if dropout_p > 0.0:
        weights = F.dropout(weights, p=dropout_p)
    return ops.bmm(weights, v), weights
