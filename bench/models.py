"""Inference of well-known networks, compiled, beside engines made for inference."""

from __future__ import annotations

from typing import Any

import numpy as np

from bench.frame.registry import Benchmark, Network, enter
from bench.training import RESNET18_FLOPS, normal, resnet18


def encoder(t: Any, words: int, width: int, heads: int, inner: int, layers: int) -> Any:
    """A BERT encoder with its embeddings (Devlin et al. 2018), written with PyTorch's names."""
    nn, F = t.nn, t.nn.functional

    class Layer(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.q, self.k, self.v, self.o = (nn.Linear(width, width) for _ in range(4))
            self.up, self.down = nn.Linear(width, inner), nn.Linear(inner, width)
            self.norm1, self.norm2 = nn.LayerNorm(width), nn.LayerNorm(width)

        def forward(self, x: Any) -> Any:
            batch, length, _ = x.shape
            q, k, v = (
                f(x).view(batch, length, heads, width // heads).transpose(1, 2)
                for f in (self.q, self.k, self.v)
            )
            seen = F.scaled_dot_product_attention(q, k, v).transpose(1, 2)
            x = self.norm1(x + self.o(seen.reshape(batch, length, width)))
            return self.norm2(x + self.down(F.gelu(self.up(x))))

    class Encoder(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.words = nn.Embedding(words, width)
            self.places = nn.Parameter(t.zeros(512, width))
            self.norm = nn.LayerNorm(width)
            self.layers = nn.Sequential(*[Layer() for _ in range(layers)])

        def forward(self, ids: Any) -> Any:
            return self.layers(self.norm(self.words(ids) + self.places[: ids.shape[1]]))

    return Encoder()


def tokens(batch: int, length: int, words: int) -> np.ndarray:
    return np.random.default_rng(0).integers(0, words, (batch, length))


def _flops(length: int, width: int, inner: int, layers: int) -> float:
    weights = 4 * width * width + 2 * width * inner
    return float(layers * (2 * length * weights + 4 * length * length * width))


for _batch in (1, 8):
    enter(
        Benchmark(
            group="models",
            case=f"ResNet-18, batch {_batch}",
            network=Network(
                module=resnet18, inputs=lambda batch=_batch: (normal(batch, 3, 224, 224),)
            ),
            flops=RESNET18_FLOPS * _batch,
            seconds=0.0,
            rounds=21,
            checked=True,
            compiled=True,
        )
    )
for _name, _length, _shape in (
    ("BERT-base, 128 tokens", 128, (30522, 768, 12, 3072, 12)),
    ("MiniLM-6, 16 tokens", 16, (30522, 384, 12, 1536, 6)),
):
    enter(
        Benchmark(
            group="models",
            case=_name,
            network=Network(
                module=lambda t, shape=_shape: encoder(t, *shape),
                inputs=lambda length=_length: (tokens(1, length, 30522),),
            ),
            flops=_flops(_length, _shape[1], _shape[3], _shape[4]),
            seconds=0.02,
            rounds=21,
            checked=True,
            compiled=True,
        )
    )
