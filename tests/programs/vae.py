"""A variational auto-encoder (Kingma and Welling, 2013) on 8x8 digits.

Encoder to mean and log variance, the reparameterisation trick, binary cross-entropy plus the
Kullback-Leibler divergence from the standard normal, Adam; at the end it draws digits from noise.
"""

import argparse
from pathlib import Path

import numpy as np
import torch
from torch import nn, optim
from torch.nn import functional as F
from torch.utils.data import DataLoader, Dataset

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "data" / "digits.npz"


class Digits(Dataset):
    def __init__(self, first, last):
        with np.load(DIGITS) as digits:
            self.images = digits["images"][first:last].astype(np.float32) / 16
            self.labels = digits["labels"][first:last]

    def __len__(self):
        return len(self.images)

    def __getitem__(self, index):
        return self.images[index], int(self.labels[index])


class VAE(nn.Module):
    def __init__(self, pixels=64, hidden=48, latent=8):
        super().__init__()
        self.pixels = pixels
        self.latent = latent
        self.fc1 = nn.Linear(pixels, hidden)
        self.fc_mean = nn.Linear(hidden, latent)
        self.fc_logvar = nn.Linear(hidden, latent)
        self.fc3 = nn.Linear(latent, hidden)
        self.fc4 = nn.Linear(hidden, pixels)

    def encode(self, x):
        h = F.relu(self.fc1(x))
        return self.fc_mean(h), self.fc_logvar(h)

    def reparameterize(self, mu, logvar):
        std = torch.exp(0.5 * logvar)
        eps = torch.randn_like(std)
        return mu + eps * std

    def decode(self, z):
        return torch.sigmoid(self.fc4(F.relu(self.fc3(z))))

    def forward(self, x):
        mu, logvar = self.encode(x.view(-1, self.pixels))
        return self.decode(self.reparameterize(mu, logvar)), mu, logvar


def loss_function(reconstructed, x, mu, logvar):
    """Negative evidence lower bound, summed over the batch, in nats."""
    bce = F.binary_cross_entropy(reconstructed, x.view(-1, 64), reduction="sum")
    kld = -0.5 * torch.sum(1 + logvar - mu.pow(2) - logvar.exp())
    return bce + kld


def main():
    parser = argparse.ArgumentParser(description="A variational auto-encoder on digits")
    parser.add_argument("--batch-size", type=int, default=100)
    parser.add_argument("--epochs", type=int, default=3)
    parser.add_argument("--seed", type=int, default=1)
    parser.add_argument("--log-interval", type=int, default=3)
    args = parser.parse_args()

    torch.manual_seed(args.seed)
    train_loader = DataLoader(Digits(0, 1500), args.batch_size, shuffle=True)
    test_loader = DataLoader(Digits(1500, 1797), args.batch_size)
    model = VAE()
    optimizer = optim.Adam(model.parameters(), lr=3e-3)

    for epoch in range(1, args.epochs + 1):
        model.train()
        train_loss = 0
        for batch_idx, (data, _) in enumerate(train_loader):
            optimizer.zero_grad()
            reconstructed, mu, logvar = model(data)
            loss = loss_function(reconstructed, data, mu, logvar)
            loss.backward()
            train_loss += loss.item()
            optimizer.step()
            if batch_idx % args.log_interval == 0:
                print(f"epoch {epoch} batch {batch_idx} loss {loss.item() / len(data):.6f}")
        print(f"epoch {epoch} average loss {train_loss / len(train_loader.dataset):.6f}")

        model.eval()
        test_loss = 0
        with torch.no_grad():
            for data, _ in test_loader:
                reconstructed, mu, logvar = model(data)
                test_loss += loss_function(reconstructed, data, mu, logvar).item()
        print(f"test loss {test_loss / len(test_loader.dataset):.6f}")

    with torch.no_grad():
        sample = model.decode(torch.randn(16, model.latent)).view(16, 8, 8)
    print(f"16 drawn digits: mean {sample.mean():.6f}, brightest {sample.max().item():.6f}")


if __name__ == "__main__":
    main()
