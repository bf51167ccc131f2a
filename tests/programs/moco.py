"""Momentum contrast (He et al., 2019) on 8x8 digits.

Two encoders, one trained by gradients, one that follows it slowly without them; a queue of keys in
a buffer; the InfoNCE loss whose logits two Einstein sums give. At the end a nearest-neighbour
classifier says what the features are worth.
"""

import argparse
import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F
from torch.utils.data import DataLoader, Dataset

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "data" / "digits.npz"


class TwoCrops(Dataset):
    """Each image twice, with independent shifts, contrast and noise."""

    def __init__(self, images):
        self.images = images

    def __len__(self):
        return self.images.shape[0]

    def crop(self, image):
        down, right = torch.randint(0, 3, (2,))
        padded = F.pad(image[None], (1, 1, 1, 1), mode="constant", value=0.0)
        view = padded[:, down : down + 8, right : right + 8]
        contrast = torch.empty(1).uniform_(0.7, 1.3)
        return (view * contrast + 0.05 * torch.randn(1, 8, 8)).clamp(0, 1)

    def __getitem__(self, index):
        return self.crop(self.images[index]), self.crop(self.images[index])


def encoder(dim):
    return nn.Sequential(
        nn.Conv2d(1, 16, 3, padding=1, bias=False),
        nn.BatchNorm2d(16),
        nn.ReLU(inplace=True),
        nn.MaxPool2d(2),
        nn.Conv2d(16, 32, 3, padding=1, bias=False),
        nn.BatchNorm2d(32),
        nn.ReLU(inplace=True),
        nn.AdaptiveAvgPool2d(1),
        nn.Flatten(),
        nn.Linear(32, 32),
        nn.ReLU(),
        nn.Linear(32, dim),
    )


class MoCo(nn.Module):
    def __init__(self, dim=16, K=256, m=0.99, T=0.2):
        super().__init__()
        self.K = K
        self.m = m
        self.T = T
        self.encoder_q = encoder(dim)
        self.encoder_k = copy.deepcopy(self.encoder_q)
        for param_k in self.encoder_k.parameters():
            param_k.requires_grad = False
        self.register_buffer("queue", nn.functional.normalize(torch.randn(dim, K), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def momentum_update_key_encoder(self):
        pairs = zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True)
        for param_q, param_k in pairs:
            param_k.data = param_k.data * self.m + param_q.data * (1.0 - self.m)

    @torch.no_grad()
    def dequeue_and_enqueue(self, keys):
        batch_size = keys.shape[0]
        ptr = int(self.queue_ptr)
        assert self.K % batch_size == 0, "the queue holds whole batches"
        self.queue[:, ptr : ptr + batch_size] = keys.T
        self.queue_ptr[0] = (ptr + batch_size) % self.K

    def forward(self, im_q, im_k):
        q = nn.functional.normalize(self.encoder_q(im_q), dim=1)
        with torch.no_grad():
            self.momentum_update_key_encoder()
            # Batch statistics must not tell which key belongs to which query: mix the batch.
            shuffle = torch.randperm(im_k.shape[0])
            k = nn.functional.normalize(self.encoder_k(im_k[shuffle]), dim=1)
            k = k[torch.argsort(shuffle)]
        l_pos = torch.einsum("nc,nc->n", [q, k]).unsqueeze(-1)
        l_neg = torch.einsum("nc,ck->nk", [q, self.queue.clone().detach()])
        logits = torch.cat([l_pos, l_neg], dim=1) / self.T
        labels = torch.zeros(logits.shape[0], dtype=torch.long)
        self.dequeue_and_enqueue(k)
        return logits, labels


def accuracy(output, target, topk=(1, 5)):
    """Share of rows, in percent, whose target is among the k largest."""
    with torch.no_grad():
        _, pred = output.topk(max(topk), 1, True, True)
        correct = pred.t().eq(target.view(1, -1).expand_as(pred.t()))
        return [correct[:k].reshape(-1).float().sum(0).mul_(100.0 / len(target)) for k in topk]


@torch.inference_mode()
def nearest_neighbour(model, images, labels):
    """Each of the last 297 digits is named after the most similar of the first 1,500."""
    model.eval()
    features = F.normalize(model.encoder_q(images.unsqueeze(1)), dim=1)
    nearest = (features[1500:] @ features[:1500].mT).argmax(dim=1)
    return (labels[:1500][nearest] == labels[1500:]).float().mean().item()


def main():
    parser = argparse.ArgumentParser(description="Momentum contrast on digits")
    parser.add_argument("--epochs", type=int, default=2)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--lr", type=float, default=0.06)
    parser.add_argument("--seed", type=int, default=0)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    with np.load(DIGITS) as digits:
        images = torch.from_numpy(digits["images"]).to(torch.float32) / 16
        labels = torch.from_numpy(digits["labels"]).to(torch.int64)
    loader = DataLoader(TwoCrops(images[:1500]), args.batch_size, shuffle=True, drop_last=True)
    model = MoCo()
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = torch.optim.SGD(trained, args.lr, momentum=0.9, weight_decay=1e-4)
    scheduler = torch.optim.lr_scheduler.CosineAnnealingLR(optimizer, args.epochs)
    criterion = nn.CrossEntropyLoss()
    for epoch in range(args.epochs):
        model.train()
        for step, (im_q, im_k) in enumerate(loader):
            output, target = model(im_q, im_k)
            loss = criterion(output, target)
            optimizer.zero_grad()
            loss.backward()
            optimizer.step()
            acc1, acc5 = accuracy(output, target)
            print(f"epoch {epoch} step {step} loss {loss.item():.6f} {acc1:.2f} % {acc5:.2f} %")
        scheduler.step()
    print(f"queue pointer {model.queue_ptr.item()}, norm of a key {model.queue[:, 0].norm():.6f}")
    print(f"state: {len(model.state_dict())} entries")
    print(f"nearest neighbour: {100 * nearest_neighbour(model, images, labels):.2f} %")


if __name__ == "__main__":
    main()
