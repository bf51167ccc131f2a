"""Training and inference of small networks in eager mode, Pellucid beside PyTorch on the same
numbers.
"""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

import numpy as np

from bench.timing import Measured, interleaved


def _block(t: Any, nn: Any, inputs: int, outputs: int, stride: int) -> Any:
    class Block(nn.Module):
        def __init__(self) -> None:
            super().__init__()
            self.conv1 = nn.Conv2d(inputs, outputs, 3, stride, 1, bias=False)
            self.bn1 = nn.BatchNorm2d(outputs)
            self.conv2 = nn.Conv2d(outputs, outputs, 3, 1, 1, bias=False)
            self.bn2 = nn.BatchNorm2d(outputs)
            self.skip = None
            if stride != 1 or inputs != outputs:
                self.skip = nn.Sequential(
                    nn.Conv2d(inputs, outputs, 1, stride, bias=False), nn.BatchNorm2d(outputs)
                )

        def forward(self, x: Any) -> Any:
            out = t.relu(self.bn1(self.conv1(x)))
            out = self.bn2(self.conv2(out))
            return t.relu(out + (x if self.skip is None else self.skip(x)))

    return Block()


def resnet18(t: Any, nn: Any) -> Any:
    """ResNet-18 for 224 x 224 images (He et al. 2015)."""
    layers = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    width = 64
    for stage, outputs in enumerate((64, 128, 256, 512)):
        layers += [
            _block(t, nn, width, outputs, 1 if stage == 0 else 2),
            _block(t, nn, outputs, outputs, 1),
        ]
        width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


def _tensors(t: Any, arrays: list[np.ndarray]) -> list[Any]:
    return [t.from_numpy(a) for a in arrays]


def resnet_forward(t: Any, batch: int, size: int = 224) -> Callable[[], object]:
    """Inference under `no_grad`."""
    t.manual_seed(0)
    model = resnet18(t, t.nn).eval()
    (x,) = _tensors(
        t, [np.random.default_rng(0).standard_normal((batch, 3, size, size), np.float32)]
    )

    def call() -> object:
        with t.no_grad():
            return model(x)

    return call


def resnet_step(t: Any, batch: int, size: int = 224) -> Callable[[], object]:
    """One training step: forward, backward, SGD with momentum."""
    t.manual_seed(0)
    model = resnet18(t, t.nn).train()
    optimizer = t.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
    generator = np.random.default_rng(0)
    x, y = _tensors(
        t,
        [
            generator.standard_normal((batch, 3, size, size), np.float32),
            generator.integers(0, 1000, batch),
        ],
    )

    def call() -> object:
        optimizer.zero_grad()
        loss = t.nn.functional.cross_entropy(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return call


def mlp_step(t: Any) -> Callable[[], object]:
    """One Adam step of a 4-16-16-1 network on 32 samples: nearly all overhead."""
    t.manual_seed(0)
    nn = t.nn
    model = nn.Sequential(
        nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)
    )
    optimizer = t.optim.Adam(model.parameters(), lr=1e-3)
    generator = np.random.default_rng(0)
    x, y = _tensors(t, [generator.standard_normal((32, n), np.float32) for n in (4, 1)])

    def call() -> object:
        optimizer.zero_grad()
        loss = nn.functional.mse_loss(model(x), y)
        loss.backward()
        optimizer.step()
        return loss

    return call


CASES: dict[str, Callable[[Any], Callable[[], object]]] = {
    "ResNet-18 forward, batch 1": lambda t: resnet_forward(t, 1),
    "ResNet-18 forward, batch 8": lambda t: resnet_forward(t, 8),
    "ResNet-18 training step, batch 8": lambda t: resnet_step(t, 8),
    "MLP 4-16-16-1 Adam step, batch 32": mlp_step,
}


def measure(peers: dict[str, Any], rounds: int = 5) -> dict[str, dict[str, Measured]]:
    """Seconds per call for each case and peer."""
    return {
        name: interleaved({peer: build(module) for peer, module in peers.items()}, rounds, 0.0)
        for name, build in CASES.items()
    }
