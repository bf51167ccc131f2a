"""BERT in PyTorch's own operators, straight from the checkpoint's tensors: the reference."""

import math

import torch
import torch.nn.functional as F


def states(weights, ids, mask, token_types=None, layers=6, heads=12):
    """Hidden states N×L×H before and after each layer; `weights` by Hugging Face's names."""
    token_types = torch.zeros_like(ids) if token_types is None else token_types
    x = (
        weights["embeddings.word_embeddings.weight"][ids]
        + weights["embeddings.position_embeddings.weight"][: ids.shape[1]]
        + weights["embeddings.token_type_embeddings.weight"][token_types]
    )
    x = _norm(x, weights, "embeddings.LayerNorm")
    found = [x]
    hidden = x.shape[-1]
    closed = (mask[:, None, None, :] == 0).expand(-1, heads, ids.shape[1], -1)
    for layer in range(layers):
        at = f"encoder.layer.{layer}."
        q, k, v = (
            _dense(x, weights, f"{at}attention.self.{name}")
            .reshape(*ids.shape, heads, hidden // heads)
            .permute(0, 2, 1, 3)
            for name in ("query", "key", "value")
        )
        scores = (q @ k.mT / math.sqrt(hidden // heads)).masked_fill(closed, -torch.inf)
        y = (scores.softmax(-1) @ v).permute(0, 2, 1, 3).reshape(x.shape)
        y = _dense(y, weights, f"{at}attention.output.dense")
        x = _norm(x + y, weights, f"{at}attention.output.LayerNorm")
        y = F.gelu(_dense(x, weights, f"{at}intermediate.dense"))
        y = _dense(y, weights, f"{at}output.dense")
        x = _norm(x + y, weights, f"{at}output.LayerNorm")
        found.append(x)
    return found


def pooled(weights, last):
    return torch.tanh(_dense(last[:, 0], weights, "pooler.dense"))


def sentence(last, mask):
    """The mean over the tokens that are no padding, on the unit sphere."""
    wide = mask[..., None].to(last.dtype)
    return F.normalize((last * wide).sum(1) / wide.sum(1), dim=-1)


def _dense(x, weights, name):
    return x @ weights[f"{name}.weight"].T + weights[f"{name}.bias"]


def _norm(x, weights, name):
    shape = (x.shape[-1],)
    return F.layer_norm(x, shape, weights[f"{name}.weight"], weights[f"{name}.bias"], 1e-12)
