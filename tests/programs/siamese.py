"""Twin networks: which of two digits is the same? Triplets, then pairs, then the whole model saved.

The trunk runs two or three times before one backward pass, so its normalisation's running
statistics move while earlier results still wait for their gradients. k-means at the end says
whether digits of a kind lie together.
"""

import random
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.nn.functional as F

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "data" / "digits.npz"


class Twins(nn.Module):
    def __init__(self, width=16):
        super().__init__()
        self.trunk = nn.Sequential(
            nn.Conv2d(1, 8, 3, stride=2, padding=1, bias=False),
            nn.BatchNorm2d(8),
            nn.ReLU(inplace=True),
            nn.Flatten(),
            nn.Linear(128, width),
        )
        self.same = nn.Sequential(nn.Linear(2 * width, 16), nn.ReLU(inplace=True), nn.Linear(16, 1))
        self.activation = F.softplus
        self.apply(self.init_weights)

    @staticmethod
    def init_weights(module):
        if isinstance(module, nn.Linear):
            nn.init.xavier_uniform_(module.weight)
            module.bias.data.fill_(0.01)

    def once(self, x):
        return self.trunk(x)

    def forward(self, one, other):
        one, other = self.once(one), self.once(other)
        distance = self.activation((one - other).abs())
        return self.same(torch.cat([distance, one * other], dim=1)).squeeze(1)


def kmeans(points, k, rounds=8):
    centres = points[torch.randperm(points.size(0))[:k]].clone()
    for _ in range(rounds):
        nearest = torch.cdist(points, centres).argmin(dim=1)
        sums = torch.zeros_like(centres).index_add_(0, nearest, points)
        counts = torch.bincount(nearest, minlength=k).clamp_(min=1).type_as(points)
        centres = sums / counts.view(-1, 1)
    return nearest


def main():
    random.seed(1)
    np.random.seed(1)
    torch.manual_seed(1)
    with np.load(DIGITS) as digits:
        images = torch.FloatTensor(digits["images"][:400].astype(np.float32) / 16)[:, None]
        labels = digits["labels"][:400]
    groups = {digit: np.where(labels == digit)[0] for digit in range(10)}
    model = Twins()
    optimizer = torch.optim.Adadelta(model.parameters(), lr=0.5)
    for step in range(15):
        kinds = np.random.randint(0, 10, 32)
        anchor = [random.choice(groups[kind]) for kind in kinds]
        positive = [random.choice(groups[kind]) for kind in kinds]
        negative = [random.choice(groups[(kind + random.randint(1, 9)) % 10]) for kind in kinds]
        one, two, three = (model.once(images[index]) for index in (anchor, positive, negative))
        loss = nn.TripletMarginLoss(margin=1.0)(one, two, three)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        print(f"triplets {step} {loss.item():.5f} {F.pairwise_distance(one, two).mean():.5f}")
    for step in range(15):
        first, second = np.random.randint(0, 400, 32), np.random.randint(0, 400, 32)
        second[::2] = [random.choice(groups[labels[index]]) for index in first[::2]]
        target = torch.from_numpy((labels[first] == labels[second]).astype(np.float32))
        logits = model(images[first], images[second])
        loss = F.binary_cross_entropy_with_logits(logits, target, pos_weight=torch.tensor(1.5))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        right = torch.where(logits > 0, 1, 0).eq(target).sum().item()
        print(f"pairs {step} {loss.item():.5f} right {right}")

    torch.save(model.eval(), "twins.pt")
    again = torch.load("twins.pt", weights_only=False)
    with torch.no_grad():
        print(torch.equal(again(images[:8], images[8:16]), model(images[:8], images[8:16])))
        nearest = kmeans(model.once(images), 10).numpy()
    pure = sum(np.bincount(labels[nearest == cluster], minlength=10).max() for cluster in range(10))
    print(f"pure {pure} of {len(labels)}")


if __name__ == "__main__":
    main()
