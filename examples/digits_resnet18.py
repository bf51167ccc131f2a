"""Train a ResNet-18 for small images on handwritten digits; an ordinary PyTorch program.

    python digits_resnet18.py                          # with PyTorch
    pellucid run digits_resnet18.py                    # with Pellucid, unchanged
    python digits_resnet18.py --data fashion-mnist --limit 10000 --epochs 3

The network is that of He et al., "Deep Residual Learning for Image Recognition" (2015), with the
3x3 stem that small images need; names of parameters are those of torchvision's resnet18. The digits
lie in `data/digits.npz`. After each epoch a checkpoint is written; `--resume` goes on from it and
gives the numbers that the uninterrupted run gives. A plot of loss and accuracy is saved beside it.
"""

import argparse
import gzip
import os
import pickle
import sys
from pathlib import Path

import numpy as np
import torch
import torch.nn.functional as F
from torch import Tensor, nn, optim
from torch.utils.data import DataLoader, Dataset

HERE = Path(__file__).resolve().parent
FASHION_MNIST = Path("/usr/share/datasets/fashion-mnist")


# The network ------------------------------------------------------------------------------------


class BasicBlock(nn.Module):
    """Two 3x3 convolutions around which the input is carried: relu(f(x) + x)."""

    def __init__(self, channels_in: int, channels: int, stride: int) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(channels_in, channels, 3, stride, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(channels)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = nn.Conv2d(channels, channels, 3, padding=1, bias=False)
        self.bn2 = nn.BatchNorm2d(channels)
        self.downsample = None
        if stride != 1 or channels_in != channels:
            self.downsample = nn.Sequential(
                nn.Conv2d(channels_in, channels, 1, stride, bias=False),
                nn.BatchNorm2d(channels),
            )

    def forward(self, x: Tensor) -> Tensor:
        shortcut = x if self.downsample is None else self.downsample(x)
        out = self.relu(self.bn1(self.conv1(x)))
        out = self.bn2(self.conv2(out))
        out += shortcut
        return self.relu(out)


class ResNet18(nn.Module):
    """1xHxW -> classes, in four stages of two blocks: widths w, 2w, 4w, 8w at H, H/2, H/4, H/8."""

    def __init__(self, classes: int = 10, width: int = 64) -> None:
        super().__init__()
        self.conv1 = nn.Conv2d(1, width, 3, padding=1, bias=False)
        self.bn1 = nn.BatchNorm2d(width)
        self.relu = nn.ReLU(inplace=True)
        self.layer1 = self._stage(width, width, stride=1)
        self.layer2 = self._stage(width, 2 * width, stride=2)
        self.layer3 = self._stage(2 * width, 4 * width, stride=2)
        self.layer4 = self._stage(4 * width, 8 * width, stride=2)
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(8 * width, classes)

        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, nn.BatchNorm2d):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)
        for module in self.modules():
            if isinstance(module, BasicBlock):
                # At first every block passes its input on unchanged, which trains more evenly.
                nn.init.constant_(module.bn2.weight, 0)

    @staticmethod
    def _stage(channels_in: int, channels: int, stride: int) -> nn.Sequential:
        return nn.Sequential(
            BasicBlock(channels_in, channels, stride), BasicBlock(channels, channels, 1)
        )

    def forward(self, x: Tensor) -> Tensor:
        x = self.relu(self.bn1(self.conv1(x)))
        x = self.layer4(self.layer3(self.layer2(self.layer1(x))))
        x = torch.flatten(self.avgpool(x), 1)
        return self.fc(x)


# The data ---------------------------------------------------------------------------------------


class Images(Dataset):
    """Grey images of values 0…1, standardised, moved by up to `shift` pixels in each direction."""

    def __init__(
        self, images: Tensor, labels: Tensor, mean: float, std: float, shift: int = 0
    ) -> None:
        self.images = images
        self.labels = labels
        self.mean = mean
        self.std = std
        self.shift = shift

    def __len__(self) -> int:
        return len(self.images)

    def __getitem__(self, index: int) -> tuple[Tensor, Tensor]:
        image = self.images[index].unsqueeze(0)
        if self.shift:
            s = self.shift
            height, width = image.shape[-2:]
            down, right = torch.randint(0, 2 * s + 1, (2,)).tolist()
            image = F.pad(image, (s, s, s, s))
            image = image[:, down : down + height, right : right + width]
        return (image - self.mean) / self.std, self.labels[index]


def read_digits() -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """Images and labels for training, then for the test: every fifth image of each digit."""
    with np.load(HERE / "data" / "digits.npz") as arrays:
        images = torch.from_numpy(arrays["images"]).float() / 16
        labels = torch.from_numpy(arrays["labels"]).long()
    test = torch.zeros(len(labels), dtype=torch.bool)
    for digit in range(10):
        (places,) = torch.where(labels == digit)
        test[places[4::5]] = True
    return images[~test], labels[~test], images[test], labels[test]


def read_idx(folder: Path, name: str) -> Tensor:
    """The uint8 array of an idx file, the format in which MNIST is distributed."""
    path = folder / name
    compressed = path.with_name(name + ".gz")
    if compressed.exists():
        content = gzip.decompress(compressed.read_bytes())
    elif path.exists():
        content = path.read_bytes()
    else:
        raise SystemExit(
            f"--data: neither {path} nor {compressed.name} exists; Debian's package "
            f"dataset-fashion-mnist brings such files, in {FASHION_MNIST}"
        )
    dimensions = content[3]
    shape = np.frombuffer(content, ">i4", count=dimensions, offset=4)
    array = np.frombuffer(content, np.uint8, offset=4 + 4 * dimensions)
    return torch.from_numpy(array.reshape(tuple(shape)).copy())


def read_mnist_like(folder: Path) -> tuple[Tensor, Tensor, Tensor, Tensor]:
    """The four files of MNIST, Fashion-MNIST and their kin."""
    return (
        read_idx(folder, "train-images-idx3-ubyte").float() / 255,
        read_idx(folder, "train-labels-idx1-ubyte").long(),
        read_idx(folder, "t10k-images-idx3-ubyte").float() / 255,
        read_idx(folder, "t10k-labels-idx1-ubyte").long(),
    )


def make_loaders(args: argparse.Namespace) -> tuple[DataLoader, DataLoader]:
    if args.data == "digits":
        x, y, x_test, y_test = read_digits()
    elif args.data == "fashion-mnist":
        x, y, x_test, y_test = read_mnist_like(FASHION_MNIST)
    else:
        x, y, x_test, y_test = read_mnist_like(Path(args.data))
    if args.limit:
        x, y = x[: args.limit], y[: args.limit]

    mean, std = x.mean().item(), x.std().item()
    order = torch.Generator().manual_seed(args.seed)
    train = DataLoader(
        Images(x, y, mean, std, shift=1), args.batch_size, shuffle=True, generator=order
    )
    test = DataLoader(Images(x_test, y_test, mean, std), batch_size=256)
    return train, test


# Training ---------------------------------------------------------------------------------------


def show_progress(words: str, done: int, total: int) -> None:
    """A line that rewrites itself, for people: files and pipes don't get it."""
    if sys.stderr.isatty():
        end = "\r" if done < total else "\r\033[K"
        print(f"{words} {done}/{total}", end=end, file=sys.stderr, flush=True)


def train_epoch(
    model: nn.Module,
    loader: DataLoader,
    criterion: nn.Module,
    optimizer: optim.Optimizer,
    scheduler: optim.lr_scheduler.LRScheduler,
    show: int,
) -> float:
    """One pass over the training images; prints the losses of the first `show` steps."""
    model.train()
    total = 0.0
    for step, (images, labels) in enumerate(loader):
        optimizer.zero_grad()
        loss = criterion(model(images), labels)
        loss.backward()
        optimizer.step()
        scheduler.step()
        total += loss.item() * len(images)
        show_progress("step", step + 1, len(loader))
        if step < show:
            print(f"step {step + 1:2d}  loss {loss.item():.6f}", flush=True)
    return total / len(loader.dataset)


@torch.no_grad()
def evaluate(model: nn.Module, loader: DataLoader) -> float:
    """The share of images named correctly, in percent."""
    model.eval()
    correct = 0
    for images, labels in loader:
        correct += (model(images).argmax(dim=1) == labels).sum().item()
    return 100 * correct / len(loader.dataset)


def save(state: dict, path: Path) -> None:
    """Write a checkpoint so that a reader sees the old one or the new one, never half of one."""
    temporary = path.with_name(path.name + ".tmp")
    torch.save(state, temporary)
    os.replace(temporary, path)


def plot(history: list[dict], path: Path) -> None:
    """The loss of each epoch, and the share of test images named correctly."""
    try:
        from matplotlib.backends.backend_agg import FigureCanvasAgg
        from matplotlib.figure import Figure
    except ModuleNotFoundError:
        print("no plot: matplotlib is not installed")
        return
    figure = Figure(figsize=(9, 3.5), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    epochs = range(1, len(history) + 1)
    left.plot(epochs, [each["loss"] for each in history], "o-", color="tab:blue")
    left.set(xlabel="epoch", ylabel="loss", title="Training")
    right.plot(epochs, [each["accuracy"] for each in history], "o-", color="tab:green")
    right.set(xlabel="epoch", ylabel="correct, %", title="Test images")
    for axes in (left, right):
        axes.xaxis.get_major_locator().set_params(integer=True)
    temporary = path.with_name(path.name + ".tmp")
    figure.savefig(temporary, dpi=120, format="png")
    os.replace(temporary, path)
    print(f"plot: {path}")


def load(path: Path, args: argparse.Namespace, same: tuple[str, ...]) -> dict:
    """A checkpoint to go on from; a sentence if it is missing, damaged or of another run."""
    if not path.exists():
        raise SystemExit(f"--resume: there is no checkpoint {path}")
    try:
        state = torch.load(path, weights_only=True)
        of = state["arguments"]
    except (RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        words = f"--resume: {path} is no whole checkpoint of this program: {reason}"
        raise SystemExit(words) from None
    for name in same:
        if of[name] != str(getattr(args, name)):
            option = f"--{name.replace('_', '-')}"
            raise SystemExit(f"--resume: {path} was made with {option} {of[name]}; say so again")
    return state


def arguments_of(args: argparse.Namespace) -> dict[str, str]:
    """What a checkpoint remembers of the command line."""
    return {name: str(value) for name, value in vars(args).items()}


def parse_arguments() -> argparse.Namespace:
    parser = argparse.ArgumentParser(description="Train a ResNet-18 on small grey images.")
    parser.add_argument("--data", default="digits", help="digits, fashion-mnist or a folder")
    parser.add_argument("--limit", type=int, help="use only the first LIMIT training images")
    parser.add_argument("--epochs", type=int, default=12)
    parser.add_argument("--batch-size", type=int, default=64)
    parser.add_argument("--width", type=int, default=16, help="channels of the first stage")
    parser.add_argument("--lr", type=float, default=0.2, help="highest learning rate")
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--checkpoint", type=Path, default=Path("digits_resnet18.pt"))
    parser.add_argument("--resume", action="store_true", help="go on from the checkpoint")
    parser.add_argument("--losses", action="store_true", help="print the first 20 steps' losses")
    return parser.parse_args()


def main() -> None:
    args = parse_arguments()
    torch.manual_seed(args.seed)
    train, test = make_loaders(args)
    model = ResNet18(width=args.width)
    criterion = nn.CrossEntropyLoss(label_smoothing=0.1)
    optimizer = optim.SGD(
        model.parameters(), lr=args.lr, momentum=0.9, weight_decay=5e-4, nesterov=True
    )
    scheduler = optim.lr_scheduler.OneCycleLR(
        optimizer, max_lr=args.lr, epochs=args.epochs, steps_per_epoch=len(train)
    )
    history: list[dict] = []
    if args.resume:
        state = load(
            args.checkpoint, args, ("data", "limit", "width", "epochs", "batch_size", "lr")
        )
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        scheduler.load_state_dict(state["scheduler"])
        torch.set_rng_state(state["random"])
        train.generator.set_state(state["order"])
        history = state["history"]

    parameters = sum(p.numel() for p in model.parameters())
    print(f"{len(train.dataset)} training images, {len(test.dataset)} test images")
    print(f"ResNet-18 of width {args.width}: {parameters:,} parameters", flush=True)
    for epoch in range(len(history), args.epochs):
        show = 20 if args.losses and epoch == 0 else 0
        loss = train_epoch(model, train, criterion, optimizer, scheduler, show)
        accuracy = evaluate(model, test)
        print(f"epoch {epoch + 1:2d}  loss {loss:.4f}  test {accuracy:.2f} %", flush=True)
        history.append({"loss": loss, "accuracy": accuracy})
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "scheduler": scheduler.state_dict(),
            "random": torch.get_rng_state(),
            "order": train.generator.get_state(),
            "history": history,
            "arguments": arguments_of(args),
        }
        save(state, args.checkpoint)

    restored = ResNet18(width=args.width)
    restored.load_state_dict(torch.load(args.checkpoint, weights_only=True)["model"])
    plot(history, args.checkpoint.with_suffix(".png"))
    print(f"reloaded from {args.checkpoint}: test {evaluate(restored, test):.2f} %")


if __name__ == "__main__":
    try:
        main()
    except KeyboardInterrupt:
        print("\nstopped; --resume goes on after the last whole epoch that was written")
        sys.exit(130)
