"""MoCo: He, Fan, Wu, Xie, Girshick, "Momentum Contrast for Unsupervised Visual Representation
Learning" (2019), and version 2: Chen, Fan, Girshick, He, "Improved Baselines with Momentum
Contrastive Learning" (2020). Sizes in comments: N images, C numbers in a feature, K in the queue.

Two crops of one image are a query and its key; keys of other images are the negatives. There are
many more of them than a batch holds, because keys of earlier batches wait in a queue, and they
agree with each other because the encoder of keys follows the encoder of queries slowly.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import pellucid as torch
import pellucid.nn.functional as F
from pellucid import Tensor, nn

__all__ = ["MoCo"]


class MoCo(nn.Module):
    """Algorithm 1 of the paper. Names of parameters and buffers are those of its authors' code.

    Args:
        base_encoder: makes an encoder with a last layer `fc` of so many outputs:
            `base_encoder(num_classes=C)`, as `pellucid.models.resnet18` does.
        dim: C.
        K: keys in the queue.
        m: momentum of the key encoder.
        T: temperature of the logits.
        mlp: a hidden layer before `fc`, as in version 2 (`MoCo.v2` sets it, with T = 0.2).
        groups: into how many parts a batch is cut for batch normalisation (section 3.3).

    Batch normalisation lets a key recognise its query: both were normalised with statistics of the
    same images. The paper runs the parts of a batch on several devices, each with statistics of its
    own, and shuffles the keys' images among them. On one device with one part, shuffling changes
    nothing, for the mean of a batch does not depend on its order; so the parts are made here:
    with `groups=8` queries are normalised in eight parts, and keys in eight other ones.
    """

    queue: Tensor
    queue_ptr: Tensor

    def __init__(
        self,
        base_encoder: Callable[..., Any],
        dim: int = 128,
        K: int = 65536,
        m: float = 0.999,
        T: float = 0.07,
        mlp: bool = False,
        groups: int = 1,
    ) -> None:
        super().__init__()
        if not 0 <= m < 1:
            raise ValueError(f"the momentum m is in [0, 1), not {m}")
        if T <= 0 or K < 1 or groups < 1:
            raise ValueError(f"T > 0, K >= 1 and groups >= 1 are needed, not {T}, {K}, {groups}")
        self.K, self.m, self.T, self.groups = K, m, T, groups

        self.encoder_q = base_encoder(num_classes=dim)
        self.encoder_k = base_encoder(num_classes=dim)
        if mlp:
            for encoder in (self.encoder_q, self.encoder_k):
                width = encoder.fc.in_features
                encoder.fc = nn.Sequential(nn.Linear(width, width), nn.ReLU(), encoder.fc)
        self.encoder_k.load_state_dict(self.encoder_q.state_dict())
        for key in self.encoder_k.parameters():
            key.requires_grad = False  # no gradient: the momentum update moves it

        # Buffers: saved and loaded with the model, and no optimiser sees them.
        self.register_buffer("queue", F.normalize(torch.randn(dim, K), dim=0))  # C×K
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.int64))

    @classmethod
    def v2(cls, base_encoder: Callable[..., Any], **changes: Any) -> MoCo:
        """Version 2: a hidden layer in the head and T = 0.2 (its other change is augmentation)."""
        return cls(base_encoder, **({"mlp": True, "T": 0.2} | changes))

    @torch.no_grad()
    def _momentum_update(self) -> None:
        """θ_k ← m θ_k + (1 - m) θ_q (equation 2)."""
        for q, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True):
            k.mul_(self.m).add_(q, alpha=1 - self.m)

    @torch.no_grad()
    def _dequeue_and_enqueue(self, keys: Tensor) -> None:
        """Put this batch's keys, N×C, in the place of the oldest ones."""
        n = keys.shape[0]
        if n > self.K:
            raise ValueError(f"a batch of {n} keys does not fit into a queue of K={self.K}")
        pointer = int(self.queue_ptr)
        places = (pointer + torch.arange(n)) % self.K
        self.queue[:, places] = keys.T
        self.queue_ptr[0] = (pointer + n) % self.K

    def _encode(self, encoder: nn.Module, images: Tensor) -> Tensor:
        """Features of length 1, N×C; every group with batch statistics of its own."""
        parts = [encoder(part) for part in images.chunk(self.groups)]
        return F.normalize(torch.cat(parts), dim=1)

    @torch.no_grad()
    def _keys(self, images: Tensor) -> Tensor:
        """Keys, N×C, computed among others than their queries: section 3.3, "Shuffling BN"."""
        shuffle = torch.randperm(images.shape[0])
        keys = self._encode(self.encoder_k, images[shuffle])
        return keys[torch.argsort(shuffle)]

    def forward(self, im_q: Tensor, im_k: Tensor) -> tuple[Tensor, Tensor]:
        """Logits N×(1+K) and labels N, for the cross entropy that is equation 1 (InfoNCE).

        The positive is the first column, so every label is 0. The momentum update and the queue
        belong to training: with `eval()` both stay as they are.
        """
        if im_q.shape != im_k.shape:
            raise ValueError(
                f"two crops of the same images are needed: im_q is {tuple(im_q.shape)}, im_k "
                f"{tuple(im_k.shape)}"
            )
        q = self._encode(self.encoder_q, im_q)  # N×C
        if self.training:
            self._momentum_update()
        k = self._keys(im_k)  # N×C, no gradient

        l_pos = torch.einsum("nc,nc->n", q, k).unsqueeze(-1)  # N×1
        l_neg = torch.einsum("nc,ck->nk", q, self.queue.clone().detach())  # N×K

        logits = torch.cat([l_pos, l_neg], dim=1) / self.T  # N×(1+K)
        labels = torch.zeros(logits.shape[0], dtype=torch.int64)
        if self.training:
            self._dequeue_and_enqueue(k)
        return logits, labels
