"""Momentum contrast on small grey images, without labels; an ordinary PyTorch program.

    python moco_fashion.py                        # with PyTorch
    pellucid run moco_fashion.py                  # with Pellucid, unchanged
    pellucid run moco_fashion.py --data fashion-mnist --limit 4000 --epochs 10

He et al., "Momentum Contrast for Unsupervised Visual Representation Learning" (2019), with the
ResNet-18 of digits_resnet18.py. What the features are worth is measured on images that were not
trained with, before and after: by a linear layer on frozen features (of all labels, and of ten a
class), and by the nearest neighbours. After each epoch a checkpoint is written; `--resume` goes on
from it and gives the numbers that the uninterrupted run gives. Plots are saved beside it.
"""

import argparse
import copy
import math
import os
import sys
from pathlib import Path

import torch
import torch.nn.functional as F
from digits_resnet18 import (
    FASHION_MNIST,
    BasicBlock,
    ResNet18,
    arguments_of,
    load,
    read_digits,
    read_mnist_like,
    save,
    show_progress,
)
from torch import Tensor, nn, optim

# The model --------------------------------------------------------------------------------------


class MoCo(nn.Module):
    """A query encoder, a key encoder that follows it, and a queue of keys (algorithm 1)."""

    def __init__(self, encoder: nn.Module, dim: int, K: int, m: float, T: float) -> None:
        super().__init__()
        self.K, self.m, self.T = K, m, T
        width = encoder.fc.in_features
        encoder.fc = nn.Sequential(nn.Linear(width, width), nn.ReLU(), nn.Linear(width, dim))
        self.encoder_q = encoder
        self.encoder_k = copy.deepcopy(encoder)
        for parameter in self.encoder_k.parameters():
            parameter.requires_grad = False
        self.register_buffer("queue", F.normalize(torch.randn(dim, K), dim=0))
        self.register_buffer("queue_ptr", torch.zeros(1, dtype=torch.long))

    @torch.no_grad()
    def momentum_update(self) -> None:
        for q, k in zip(self.encoder_q.parameters(), self.encoder_k.parameters(), strict=True):
            k.mul_(self.m).add_(q, alpha=1 - self.m)

    @torch.no_grad()
    def enqueue(self, keys: Tensor) -> None:
        pointer = int(self.queue_ptr)
        places = (pointer + torch.arange(len(keys))) % self.K
        self.queue[:, places] = keys.T
        self.queue_ptr[0] = (pointer + len(keys)) % self.K

    @torch.no_grad()
    def keys(self, images: Tensor, groups: int = 4) -> Tensor:
        """Keys from shuffled parts of the batch: other statistics than those of their queries."""
        shuffle = torch.randperm(len(images))
        parts = [self.encoder_k(part) for part in images[shuffle].chunk(groups)]
        return F.normalize(torch.cat(parts), dim=1)[torch.argsort(shuffle)]

    def forward(self, im_q: Tensor, im_k: Tensor) -> tuple[Tensor, Tensor]:
        q = F.normalize(self.encoder_q(im_q), dim=1)
        self.momentum_update()
        k = self.keys(im_k)
        l_pos = torch.einsum("nc,nc->n", [q, k]).unsqueeze(-1)
        l_neg = torch.einsum("nc,ck->nk", [q, self.queue.clone().detach()])
        logits = torch.cat([l_pos, l_neg], dim=1) / self.T
        self.enqueue(k)
        return logits, torch.zeros(len(logits), dtype=torch.long)

    def features(self, images: Tensor) -> Tensor:
        """What a probe sees: the state before the head, N×8w."""
        encoder = self.encoder_q
        x = encoder.relu(encoder.bn1(encoder.conv1(images)))
        x = encoder.layer4(encoder.layer3(encoder.layer2(encoder.layer1(x))))
        return torch.flatten(encoder.avgpool(x), 1)


# The data ---------------------------------------------------------------------------------------


def crop(images: Tensor, turns: float, flips: bool) -> Tensor:
    """A random crop of each image: another place, size, angle, contrast and brightness, noise."""
    n = len(images)
    scale = torch.empty(n).uniform_(0.7, 1.1)
    angle = torch.empty(n).uniform_(-turns, turns)
    sign = torch.randint(0, 2, (n,)) * 2 - 1 if flips else torch.ones(n)
    row_x = torch.stack([scale * angle.cos() * sign, -scale * angle.sin()], dim=1)
    row_y = torch.stack([scale * angle.sin() * sign, scale * angle.cos()], dim=1)
    move = torch.empty(n, 2).uniform_(-0.2, 0.2)
    theta = torch.cat([torch.stack([row_x, row_y], dim=1), move.unsqueeze(2)], dim=2)  # N×2×3
    grid = F.affine_grid(theta, list(images.shape), align_corners=False)
    moved = F.grid_sample(images, grid, padding_mode="border", align_corners=False)
    contrast = torch.empty(n, 1, 1, 1).uniform_(0.6, 1.4)
    brightness = torch.empty(n, 1, 1, 1).uniform_(-0.2, 0.2)
    return moved * contrast + brightness + 0.1 * torch.randn(moved.shape)


def read(args: argparse.Namespace) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Standardised images N×1×H×W and labels, for training and for the test."""
    if args.data == "digits":
        x, y, x_test, y_test = read_digits()
    else:
        folder = FASHION_MNIST if args.data == "fashion-mnist" else Path(args.data)
        x, y, x_test, y_test = read_mnist_like(folder)
    if args.limit:
        x, y = x[: args.limit], y[: args.limit]
        x_test, y_test = x_test[: args.limit], y_test[: args.limit]
    mean, std = x.mean(), x.std()
    return ((x - mean) / std).unsqueeze(1), y, ((x_test - mean) / std).unsqueeze(1), y_test


# What the features are worth --------------------------------------------------------------------


@torch.no_grad()
def all_features(model: MoCo, images: Tensor) -> Tensor:
    model.eval()
    return torch.cat([model.features(part) for part in images.split(256)])


def linear_probe(x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor) -> float:
    """Accuracy in percent of a linear layer trained on standardised, frozen features."""
    mean, std = x.mean(0), x.std(0) + 1e-8
    x, x_test = (x - mean) / std, (x_test - mean) / std
    layer = nn.Linear(x.shape[1], 10)
    nn.init.zeros_(layer.weight)
    nn.init.zeros_(layer.bias)
    optimizer = optim.LBFGS(layer.parameters(), max_iter=60, line_search_fn="strong_wolfe")

    def closure() -> Tensor:
        optimizer.zero_grad()
        loss = F.cross_entropy(layer(x), y) + 1e-3 * layer.weight.square().sum()
        loss.backward()
        return loss

    optimizer.step(closure)
    with torch.no_grad():
        return 100 * (layer(x_test).argmax(1) == y_test).float().mean().item()


def neighbours(x: Tensor, y: Tensor, x_test: Tensor, y_test: Tensor, k: int = 5) -> float:
    """Accuracy in percent of the vote of the `k` most similar training images."""
    similar = (F.normalize(x_test, dim=1) @ F.normalize(x, dim=1).T).topk(k, dim=1).indices
    votes = F.one_hot(y[similar], 10).sum(1)
    return 100 * (votes.argmax(1) == y_test).float().mean().item()


def measure(model: MoCo, data: tuple[Tensor, Tensor, Tensor, Tensor]) -> dict[str, float]:
    """Linear probe with all labels and with ten a class, nearest neighbours; in percent."""
    images, y, images_test, y_test = data
    x, x_test = all_features(model, images), all_features(model, images_test)
    few = torch.cat([torch.where(y == c)[0][:10] for c in range(10)])
    return {
        "probe": linear_probe(x, y, x_test, y_test),
        "probe, 10 labels a class": linear_probe(x[few], y[few], x_test, y_test),
        "neighbours": neighbours(x, y, x_test, y_test),
    }


def show(when: str, found: dict[str, float]) -> None:
    print(f"{when:9s} " + "   ".join(f"{name} {value:5.2f} %" for name, value in found.items()))


def plot(history: list[dict], before: dict, after: dict, path: Path) -> None:
    """The loss, and the measures before and after."""
    try:
        import matplotlib
    except ModuleNotFoundError:
        print("no plot: matplotlib is not installed")
        return
    matplotlib.use("Agg")
    from matplotlib import pyplot

    figure, (left, right) = pyplot.subplots(1, 2, figsize=(10, 4))
    left.plot(range(1, len(history) + 1), [each["loss"] for each in history], color="tab:blue")
    left.set(xlabel="epoch", ylabel="InfoNCE", title="Contrastive loss")
    names = list(before)
    for shift, (label, found) in enumerate((("untrained", before), ("trained", after))):
        bars = right.bar([i + 0.4 * shift for i in range(3)], [found[n] for n in names], 0.38)
        bars.set_label(label)
        right.bar_label(bars, fmt="%.1f")
    right.set_xticks([i + 0.2 for i in range(3)], [n.replace(", ", "\n") for n in names])
    right.set(ylabel="test accuracy, %", title="Frozen features", ylim=(0, 125))
    right.legend(loc="upper center", ncols=2)
    figure.tight_layout()
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, dpi=120, format="png")
    os.replace(temporary, path)
    print(f"plot: {path}")


# Training ---------------------------------------------------------------------------------------


def train_epoch(
    model: MoCo, images: Tensor, optimizer: optim.Optimizer, args: argparse.Namespace
) -> float:
    model.train()
    total, steps = 0.0, len(images) // args.batch_size
    turns, flips = (0.3, False) if args.data == "digits" else (0.2, True)
    order = torch.randperm(len(images))[: steps * args.batch_size]
    for step, places in enumerate(order.split(args.batch_size)):
        show_progress("step", step + 1, steps)
        batch = images[places]
        logits, labels = model(crop(batch, turns, flips), crop(batch, turns, flips))
        loss = F.cross_entropy(logits, labels)
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        total += loss.item()
    return total / steps


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Momentum contrast on small grey images.")
    parser.add_argument("--data", default="digits", help="digits, fashion-mnist or a folder")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT images")
    parser.add_argument("--epochs", type=int, default=30)
    parser.add_argument("--batch-size", type=int, default=128)
    parser.add_argument("--width", type=int, default=16, help="channels of the first stage")
    parser.add_argument("--dim", type=int, default=64, help="numbers in a feature")
    parser.add_argument("--queue", type=int, default=1024, help="keys in the queue")
    parser.add_argument("--momentum", type=float, default=0.99)
    parser.add_argument("--temperature", type=float, default=0.2)
    parser.add_argument("--lr", type=float, default=0.06)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=Path("moco_fashion.pt"))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    torch.manual_seed(args.seed)
    data = read(args)
    images = data[0]
    if len(images) < args.batch_size:
        raise SystemExit(f"--batch-size {args.batch_size}: there are only {len(images)} images")
    if args.queue < args.batch_size:
        raise SystemExit(f"--queue {args.queue}: it must hold at least --batch-size keys")
    encoder = ResNet18(width=args.width)
    for module in encoder.modules():
        if isinstance(module, BasicBlock):  # at zero, untrained features see one corner only
            nn.init.ones_(module.bn2.weight)
    model = MoCo(encoder, args.dim, args.queue, args.momentum, args.temperature)
    trained = [p for p in model.parameters() if p.requires_grad]
    optimizer = optim.SGD(trained, lr=args.lr, momentum=0.9, weight_decay=5e-4)
    history: list[dict] = []
    if args.resume:
        same = ("data", "limit", "width", "dim", "queue", "epochs", "batch_size", "lr")
        state = load(args.checkpoint, args, same)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        torch.set_rng_state(state["random"])
        history, before = state["history"], state["before"]
    else:
        with torch.no_grad():  # batch statistics, so that the untrained features are fair ones
            model.train().features(images[:512])
        before = measure(model, data)
    print(f"{len(images)} images, {sum(p.numel() for p in trained):,} parameters")
    show("untrained", before)

    for epoch in range(len(history), args.epochs):
        rate = args.lr * 0.5 * (1 + math.cos(math.pi * epoch / args.epochs))
        for group in optimizer.param_groups:
            group["lr"] = rate
        loss = train_epoch(model, images, optimizer, args)
        history.append({"loss": loss})
        print(f"epoch {epoch + 1:3d} of {args.epochs}  loss {loss:.4f}", flush=True)
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "random": torch.get_rng_state(),
            "history": history,
            "before": before,
            "arguments": arguments_of(args),
        }
        save(state, args.checkpoint)

    after = measure(model, data)
    show("untrained", before)
    show("trained", after)
    plot(history, before, after, args.checkpoint.with_suffix(".png"))


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nstopped; --resume goes on after the last whole epoch that was written")
        sys.exit(130)
