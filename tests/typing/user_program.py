"""A program as a user writes it: a type checker must accept every line (it is never run)."""

import pellucid as torch
from pellucid import Tensor, nn
from pellucid.nn import functional as F
from pellucid.utils.data import DataLoader, TensorDataset


class Classifier(nn.Module):
    """Two layers."""

    def __init__(self, inputs: int, hidden: int, classes: int) -> None:
        super().__init__()
        self.first = nn.Linear(inputs, hidden)
        self.second = nn.Linear(hidden, classes)

    def forward(self, x: Tensor) -> Tensor:
        """Scores (N, classes) of rows (N, inputs)."""
        return self.second(torch.nn.functional.relu(self.first(x)))


def train(epochs: int) -> float:
    """Fit random labels; returns the last loss."""
    torch.manual_seed(0)
    device: torch.device = torch.device("cpu")
    kind: torch.dtype = torch.float32
    x: Tensor = torch.randn(64, 8, dtype=kind, device=device)
    y: Tensor = torch.randint(0, 3, (64,))
    loader = torch.utils.data.DataLoader(TensorDataset(x, y), batch_size=16, shuffle=True)
    model = Classifier(8, 16, 3)
    optimizer = torch.optim.SGD(model.parameters(), lr=0.1, momentum=0.9)
    loss = torch.zeros(())
    for _ in range(epochs):
        for rows, labels in loader:
            optimizer.zero_grad()
            loss = F.cross_entropy(model(rows), labels)
            loss.backward()
            optimizer.step()
    with torch.no_grad():
        model.eval()
        right: Tensor = (model(x).argmax(1) == y).sum()
    print(right.item())
    return float(loss)


def measure(x: Tensor) -> tuple[Tensor, torch.Size, list[str]]:
    """Functions, methods, operators and results that are several tensors."""
    total: Tensor = torch.add(x, 1.0, alpha=2)
    total = total * 2 - x / 3 + x @ x.T
    total += torch.linalg.norm(total) + torch.special.expit(total).float()
    lower: Tensor = total.clamp(0, 1).view(-1).to(torch.float64).index_fill(0, y_of(x), 0)
    parts: tuple[Tensor, ...] = total.chunk(2) + torch.split(total, 1) + total.unbind(0)
    same: Tensor = total == x
    gradient: Tensor | None = x.grad
    whole: bool = bool(same.all()) and x.is_contiguous() and gradient is None
    names = [f"{part.shape}" for part in parts if whole]
    return lower, x.shape, names


def y_of(x: Tensor) -> Tensor:
    """Indices of the rows."""
    return torch.arange(x.size(0), dtype=torch.int64)


def batches(x: Tensor) -> DataLoader:
    """A loader of `x`'s rows."""
    return DataLoader(TensorDataset(x), batch_size=2)
