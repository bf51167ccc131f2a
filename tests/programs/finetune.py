"""Fine-tuning, with what training loops gather around themselves over the years.

A trunk is trained on the digits 0 to 4, then frozen but for its normalisation, given a new head and
trained on 5 to 9: groups of parameters, warm-up then decay, accumulated gradients, an exponential
moving average, the best state kept, early stopping, a checkpoint that is resumed.
"""

import copy
from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
from torch.optim import lr_scheduler
from torch.optim.swa_utils import AveragedModel, get_ema_multi_avg_fn
from torch.utils.data import DataLoader, TensorDataset, random_split

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "data" / "digits.npz"


class Model(nn.Module):
    def __init__(self, classes):
        super().__init__()
        self.trunk = nn.Sequential()
        self.trunk.add_module("conv", nn.Conv2d(1, 8, 3, padding=1, bias=False))
        self.trunk.add_module("norm", nn.BatchNorm2d(8))
        self.trunk.add_module("act", nn.ReLU())
        self.trunk.add_module("pool", nn.AdaptiveAvgPool2d(2))
        self.fc = nn.Linear(32, classes)

    def forward(self, x):
        return self.fc(self.trunk(x).flatten(1))


def run(model, loader, criterion, optimizer=None, accumulate=1):
    model.train(optimizer is not None)
    total, correct = 0.0, 0
    for step, (images, labels) in enumerate(loader, 1):
        with torch.set_grad_enabled(optimizer is not None):
            outputs = model(images)
            _, predictions = torch.max(outputs, 1)
            loss = criterion(outputs, labels)
        if optimizer is not None:
            (loss / accumulate).backward()
            if step % accumulate == 0 or step == len(loader):
                nn.utils.clip_grad_norm_(model.parameters(), 1.0)
                optimizer.step()
                optimizer.zero_grad(set_to_none=True)
        total += loss.item() * images.size(0)
        correct += torch.sum(predictions == labels.data)
    return total / len(loader.dataset), correct.double() / len(loader.dataset)


def loaders(low, high, count):
    with np.load(DIGITS) as digits:
        images = torch.from_numpy(digits["images"]).float().unsqueeze(1) / 16
        labels = torch.from_numpy(digits["labels"]).long()
    chosen = torch.nonzero((labels >= low) & (labels < high)).squeeze(1)[:count]
    data = TensorDataset(images[chosen], labels[chosen] - low)
    size = len(data) // 5
    train, test = random_split(
        data, [len(data) - size, size], generator=torch.Generator().manual_seed(42)
    )
    return DataLoader(train, batch_size=16, shuffle=True), DataLoader(test, batch_size=64)


def fine_tune(model, criterion):
    model.trunk.requires_grad_(False)
    model.trunk.norm.requires_grad_(True)
    model.fc = nn.Linear(model.fc.in_features, 5)
    print([name for name, p in model.named_parameters() if p.requires_grad])
    optimizer = torch.optim.SGD(
        [
            {"params": [p for p in model.trunk.parameters() if p.requires_grad], "lr": 0.01},
            {"params": model.fc.parameters(), "weight_decay": 1e-3},
        ],
        lr=0.1,
        momentum=0.9,
    )
    scheduler = lr_scheduler.SequentialLR(
        optimizer,
        [
            lr_scheduler.LinearLR(optimizer, 0.2, total_iters=2),
            lr_scheduler.CosineAnnealingLR(optimizer, 4),
        ],
        milestones=[2],
    )
    average = AveragedModel(model, multi_avg_fn=get_ema_multi_avg_fn(0.6))
    train, test = loaders(5, 10, 240)
    best, best_state, patience = float("inf"), None, 0
    for epoch in range(6):
        loss, accuracy = run(model, train, criterion, optimizer, accumulate=2)
        average.update_parameters(model)
        rates = [f"{group['lr']:.5f}" for group in optimizer.param_groups]
        test_loss, test_accuracy = run(model, test, criterion)
        averaged, _ = run(average, test, criterion)
        print(f"epoch {epoch} loss {loss:.5f} {accuracy:.3f} rates {rates}", end=" ")
        print(f"test {test_loss:.5f} {test_accuracy:.3f} averaged {averaged:.5f}")
        scheduler.step()
        patience = 0 if test_loss < best else patience + 1
        if test_loss < best:
            best, best_state = test_loss, copy.deepcopy(model.state_dict())
        if patience == 2:
            print("stopped early")
            break
    model.load_state_dict(best_state)
    return optimizer, scheduler


def main():
    torch.manual_seed(3)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.05)
    model = Model(5)
    train, test = loaders(0, 5, 320)
    optimizer = torch.optim.AdamW(model.parameters(), lr=3e-3)
    plateau = lr_scheduler.ReduceLROnPlateau(optimizer, "min", factor=0.5, patience=0)
    for epoch in range(2):
        loss, accuracy = run(model, train, criterion, optimizer)
        plateau.step(loss)
        print(f"trunk {epoch} loss {loss:.5f} accuracy {accuracy:.3f}")

    optimizer, scheduler = fine_tune(model, criterion)
    torch.save(
        {
            "epoch": 6,
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
        },
        "checkpoint.tar",
    )
    checkpoint = torch.load("checkpoint.tar", weights_only=True)
    again = Model(5)
    print(again.load_state_dict(checkpoint["model"]))
    optimizer.load_state_dict(checkpoint["optimizer"])
    _, test = loaders(5, 10, 240)
    print(f"again {run(again, test, criterion)[0]:.5f}")

    found = {}
    hook = again.trunk.pool.register_forward_hook(lambda m, i, o: found.update(pool=o.detach()))
    again(next(iter(test))[0])
    hook.remove()
    print(tuple(found["pool"].shape), f"{found['pool'].mean():.5f}")
    result = again.load_state_dict({"fc.bias": torch.zeros(5)}, strict=False)
    print(len(result.missing_keys), result.unexpected_keys)


if __name__ == "__main__":
    main()
