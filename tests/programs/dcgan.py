"""A generative adversarial network of convolutions (Radford et al., 2015) on 8x8 digits.

In double precision: the first steps of Adam move by the sign of a gradient, and where a gradient is
nearly zero float32 leaves its sign to rounding.
"""

from pathlib import Path

import numpy as np
import torch
import torch.nn as nn
import torch.optim as optim
from torch.utils.data import DataLoader, TensorDataset

DIGITS = Path(__file__).resolve().parents[2] / "examples" / "data" / "digits.npz"
NOISE, WIDTH = 12, 8


def init_weights(module):
    kind = module.__class__.__name__
    if kind.find("Conv") != -1:
        nn.init.normal_(module.weight.data, 0.0, 0.05)
    elif kind.find("BatchNorm") != -1:
        nn.init.normal_(module.weight.data, 1.0, 0.02)
        nn.init.constant_(module.bias.data, 0)


def generator():
    return nn.Sequential(
        nn.ConvTranspose2d(NOISE, 2 * WIDTH, 2, 1, 0, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.ReLU(True),
        nn.ConvTranspose2d(2 * WIDTH, WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(WIDTH),
        nn.ReLU(True),
        nn.ConvTranspose2d(WIDTH, 1, 3, 2, 1, output_padding=1, bias=False),
        nn.Tanh(),
    )


def discriminator():
    return nn.Sequential(
        nn.Conv2d(1, WIDTH, 4, 2, 1, bias=False),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(WIDTH, 2 * WIDTH, 4, 2, 1, bias=False),
        nn.BatchNorm2d(2 * WIDTH),
        nn.LeakyReLU(0.2, inplace=True),
        nn.Conv2d(2 * WIDTH, 1, 2, 1, 0, bias=False),
        nn.Sigmoid(),
    )


def main():
    torch.set_default_dtype(torch.float64)
    torch.manual_seed(999)
    device = torch.device("cuda:0" if torch.cuda.is_available() else "cpu")
    with np.load(DIGITS) as digits:
        images = torch.from_numpy(digits["images"][:320] / 8.0 - 1.0).unsqueeze(1)
    loader = DataLoader(TensorDataset(images), batch_size=32, shuffle=True, drop_last=True)
    net_g, net_d = generator().to(device), discriminator().to(device)
    net_g.apply(init_weights)
    net_d.apply(init_weights)
    print(net_d)
    criterion = nn.BCELoss()
    fixed = torch.randn(4, NOISE, 1, 1, device=device)
    optimizer_d = optim.Adam(net_d.parameters(), lr=2e-3, betas=(0.5, 0.999))
    optimizer_g = optim.Adam(net_g.parameters(), lr=2e-3, betas=(0.5, 0.999))
    for epoch in range(2):
        for step, (real,) in enumerate(loader):
            net_d.zero_grad()
            real = real.to(device)
            label = torch.full((real.size(0),), 1.0, dtype=real.dtype, device=device)
            output = net_d(real).view(-1)
            loss_real = criterion(output, label)
            loss_real.backward()
            seen = output.mean().item()

            fake = net_g(torch.randn(real.size(0), NOISE, 1, 1, device=device))
            label.fill_(0.0)
            loss_fake = criterion(net_d(fake.detach()).view(-1), label)
            loss_fake.backward()
            optimizer_d.step()

            net_g.zero_grad()
            label.fill_(1.0)
            output = net_d(fake).view(-1)
            loss_g = criterion(output, label)
            loss_g.backward()
            optimizer_g.step()
            loss_d = (loss_real + loss_fake).item()
            print(f"[{epoch}][{step}] loss_d {loss_d:.6f} loss_g {loss_g.item():.6f}", end=" ")
            print(f"real {seen:.5f} fake {output.mean().item():.5f}")
    net_g.eval()
    with torch.no_grad():
        drawn = net_g(fixed).detach().cpu()
    print(tuple(drawn.shape), f"{drawn.mean():.6f} {drawn.std():.6f}")
    print(drawn[0, 0, 3])


if __name__ == "__main__":
    main()
