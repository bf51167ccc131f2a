"""Multi-head attention (Vaswani et al. 2017)."""

from __future__ import annotations

from typing import Any

from pellucid import ops
from pellucid.nn import functional as F
from pellucid.nn.init import constant_, xavier_normal_, xavier_uniform_
from pellucid.nn.module import Module
from pellucid.nn.modules.linear import NonDynamicallyQuantizableLinear
from pellucid.nn.parameter import Parameter
from pellucid.tensor.tensor import Tensor


class MultiheadAttention(Module):
    """Attention of `query` to `key`, in `num_heads` parts, mixing `value`.

    Args:
        embed_dim: E, size of queries and results; divisible by `num_heads`.
        num_heads: number of heads.
        dropout: probability with which an attention weight is dropped in training.
        bias: whether the projections have biases.
        add_bias_kv: whether a learned key and value are appended.
        add_zero_attn: whether a key and value of zeros are appended.
        kdim, vdim: sizes of keys and values; E when left out.
        batch_first: (N, L, E) instead of (L, N, E).
    """

    bias_k: Tensor | None
    bias_v: Tensor | None

    def __init__(
        self,
        embed_dim: int,
        num_heads: int,
        dropout: float = 0.0,
        bias: bool = True,
        add_bias_kv: bool = False,
        add_zero_attn: bool = False,
        kdim: int | None = None,
        vdim: int | None = None,
        batch_first: bool = False,
        device: Any = None,
        dtype: Any = None,
    ) -> None:
        if embed_dim <= 0 or num_heads <= 0:
            raise ValueError(
                f"embed_dim and num_heads must be greater than 0, got embed_dim={embed_dim} "
                f"and num_heads={num_heads} instead"
            )
        super().__init__()
        self.embed_dim = embed_dim
        self.kdim = kdim if kdim is not None else embed_dim
        self.vdim = vdim if vdim is not None else embed_dim
        self._qkv_same_embed_dim = self.kdim == embed_dim and self.vdim == embed_dim
        self.num_heads = num_heads
        self.dropout = dropout
        self.batch_first = batch_first
        self.head_dim = embed_dim // num_heads
        if self.head_dim * num_heads != self.embed_dim:
            raise AssertionError("embed_dim must be divisible by num_heads")
        options = {"device": device, "dtype": dtype}
        self._make_input_projections(bias, options)
        self.out_proj = NonDynamicallyQuantizableLinear(embed_dim, embed_dim, bias, **options)
        if add_bias_kv:
            self.bias_k = Parameter(ops.empty((1, 1, embed_dim), **options))
            self.bias_v = Parameter(ops.empty((1, 1, embed_dim), **options))
        else:
            self.bias_k = self.bias_v = None
        self.add_zero_attn = add_zero_attn
        self._reset_parameters()

    def _make_input_projections(self, bias: bool, options: dict[str, Any]) -> None:
        """One weight (3E, E) for all three, or three where their sizes differ."""
        if self._qkv_same_embed_dim:
            shape = (3 * self.embed_dim, self.embed_dim)
            self.in_proj_weight = Parameter(ops.empty(shape, **options))
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                self.register_parameter(name, None)
        else:
            sizes = {"q": self.embed_dim, "k": self.kdim, "v": self.vdim}
            for letter, size in sizes.items():
                weight = Parameter(ops.empty((self.embed_dim, size), **options))
                self.register_parameter(f"{letter}_proj_weight", weight)
            self.register_parameter("in_proj_weight", None)
        if bias:
            self.in_proj_bias = Parameter(ops.empty(3 * self.embed_dim, **options))
        else:
            self.register_parameter("in_proj_bias", None)

    def _reset_parameters(self) -> None:
        if self._qkv_same_embed_dim:
            xavier_uniform_(self.in_proj_weight)
        else:
            xavier_uniform_(self.q_proj_weight)
            xavier_uniform_(self.k_proj_weight)
            xavier_uniform_(self.v_proj_weight)
        if self.in_proj_bias is not None and self.out_proj.bias is not None:
            constant_(self.in_proj_bias, 0.0)
            constant_(self.out_proj.bias, 0.0)
        if self.bias_k is not None:
            xavier_normal_(self.bias_k)
        if self.bias_v is not None:
            xavier_normal_(self.bias_v)

    def __setstate__(self, state: dict[str, Any]) -> None:
        state.setdefault("_qkv_same_embed_dim", True)
        super().__setstate__(state)

    def forward(
        self,
        query: Tensor,
        key: Tensor,
        value: Tensor,
        key_padding_mask: Tensor | None = None,
        need_weights: bool = True,
        attn_mask: Tensor | None = None,
        average_attn_weights: bool = True,
        is_causal: bool = False,
    ) -> tuple[Tensor, Tensor | None]:
        """Attend.

        Args:
            query: (L, N, E), (N, L, E) if `batch_first`, or (L, E).
            key, value: likewise, of length S.
            key_padding_mask: (N, S) or (S,); True, or −∞ added, hides a key.
            need_weights: also return the weights; without, the attention may be computed faster.
            attn_mask: (L, S) or (N·num_heads, L, S); True, or −∞ added, hides a key from a query.
            average_attn_weights: average the weights over the heads.
            is_causal: a promise that `attn_mask` is the causal one.

        Returns:
            the result, shaped like `query`, and weights (N, L, S) or (N, num_heads, L, S) or None.
        """
        is_batched = query.dim() == 3
        key_padding_mask = F._canonical_mask(
            mask=key_padding_mask,
            mask_name="key_padding_mask",
            other_type=F._none_or_dtype(attn_mask),
            other_name="attn_mask",
            target_type=query.dtype,
        )
        attn_mask = F._canonical_mask(
            mask=attn_mask,
            mask_name="attn_mask",
            other_type=None,
            other_name="",
            target_type=query.dtype,
            check_other=False,
        )
        if self.batch_first and is_batched:
            query, key, value = _swap_first_two(query, key, value)
        separate: dict[str, Any] = {}
        if not self._qkv_same_embed_dim:
            separate["use_separate_proj_weight"] = True
            for name in ("q_proj_weight", "k_proj_weight", "v_proj_weight"):
                separate[name] = getattr(self, name)
        output, weights = F.multi_head_attention_forward(
            query,
            key,
            value,
            self.embed_dim,
            self.num_heads,
            self.in_proj_weight,
            self.in_proj_bias,
            self.bias_k,
            self.bias_v,
            self.add_zero_attn,
            self.dropout,
            self.out_proj.weight,
            self.out_proj.bias,
            training=self.training,
            key_padding_mask=key_padding_mask,
            need_weights=need_weights,
            attn_mask=attn_mask,
            average_attn_weights=average_attn_weights,
            is_causal=is_causal,
            **separate,
        )
        if self.batch_first and is_batched:
            output = output.transpose(1, 0)
        return output, weights

    def merge_masks(
        self, attn_mask: Tensor | None, key_padding_mask: Tensor | None, query: Tensor
    ) -> tuple[Tensor | None, int | None]:
        """Both masks as one, (N, num_heads, L, L) if there is an `attn_mask`, and which there were.

        The number is 1 for a key padding mask alone, 2 with an attention mask, `None` for neither.
        """
        if attn_mask is None:
            return key_padding_mask, None if key_padding_mask is None else 1
        batch_size, length, _ = query.shape
        if attn_mask.dim() == 3:
            merged = attn_mask.view(batch_size, -1, length, length)
        else:
            merged = attn_mask.view(1, 1, length, length)
            merged = merged.expand(batch_size, self.num_heads, -1, -1)
        if key_padding_mask is not None:
            padding = key_padding_mask.view(batch_size, 1, 1, length)
            merged = merged + padding.expand(-1, self.num_heads, -1, -1)
        return merged, 2


def _swap_first_two(query: Tensor, key: Tensor, value: Tensor) -> tuple[Tensor, Tensor, Tensor]:
    """Transposed inputs; those that were one tensor remain one, which saves projections."""
    swapped = {id(t): t.transpose(1, 0) for t in (query, key, value)}
    return swapped[id(query)], swapped[id(key)], swapped[id(value)]
