"""Training and inference of networks in eager mode."""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.frame.registry import Benchmark, Call, Network, enter


def _block(t: Any, inputs: int, outputs: int, stride: int) -> Any:
    nn = t.nn

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


def resnet18(t: Any) -> Any:
    """ResNet-18 for 224 x 224 images (He et al. 2015)."""
    nn = t.nn
    layers = [
        nn.Conv2d(3, 64, 7, 2, 3, bias=False),
        nn.BatchNorm2d(64),
        nn.ReLU(),
        nn.MaxPool2d(3, 2, 1),
    ]
    width = 64
    for stage, outputs in enumerate((64, 128, 256, 512)):
        layers += [
            _block(t, width, outputs, 1 if stage == 0 else 2),
            _block(t, outputs, outputs, 1),
        ]
        width = outputs
    return nn.Sequential(*layers, nn.AdaptiveAvgPool2d(1), nn.Flatten(), nn.Linear(512, 1000))


RESNET18_FLOPS = 3.63e9
"""Operations per 224 x 224 image: 1.81 G multiplications, each with its addition."""


def mlp(t: Any) -> Any:
    """A 4-16-16-1 network: nearly all overhead."""
    nn = t.nn
    return nn.Sequential(
        nn.Linear(4, 16), nn.Tanh(), nn.Linear(16, 16), nn.Tanh(), nn.Linear(16, 1)
    )


def normal(*shape: int) -> np.ndarray:
    """Standard normal numbers in float32, the same every time."""
    return np.random.default_rng(0).standard_normal(shape, np.float32)


def training_step(
    module: Callable[[Any], Any],
    optimizer: Callable[[Any, Any], Any],
    loss: Callable[[Any, Any, Any], Any],
    arrays: Callable[[], tuple[np.ndarray, np.ndarray]],
) -> Callable[[Any, Any], Call]:
    """A program that makes one training step per call: forward, loss, backward, optimiser."""

    def program(t: Any, dtype: Any) -> Call:
        t.manual_seed(0)
        model = module(t).train()
        steps = optimizer(t, model.parameters())
        x, y = map(t.from_numpy, arrays())

        def call() -> Any:
            steps.zero_grad()
            found = loss(t, model(x), y)
            found.backward()
            steps.step()
            return found

        return call

    return program


for _batch in (1, 8):
    enter(
        Benchmark(
            group="training",
            case=f"ResNet-18 forward, batch {_batch}",
            network=Network(
                module=resnet18, inputs=lambda batch=_batch: (normal(batch, 3, 224, 224),)
            ),
            flops=RESNET18_FLOPS * _batch,
            seconds=0.0,
            rounds=7,
            checked=True,
        )
    )
enter(
    Benchmark(
        group="training",
        case="ResNet-18 step, batch 8",
        program=training_step(
            resnet18,
            lambda t, parameters: t.optim.SGD(parameters, lr=1e-3, momentum=0.9),
            lambda t, found, y: t.nn.functional.cross_entropy(found, y),
            lambda: (normal(8, 3, 224, 224), np.random.default_rng(1).integers(0, 1000, 8)),
        ),
        flops=3 * 8 * RESNET18_FLOPS,
        seconds=0.0,
        rounds=5,
    )
)


def _compiled_step(name: str) -> Callable[[], Call]:
    """ResNet-18's training step as one compiled function; PyTorch's as it is."""

    def prepare() -> Call:
        t = importlib.import_module(name)
        t.set_num_threads(2)
        t.manual_seed(0)
        model = resnet18(t).train()
        chosen = t.optim.SGD(model.parameters(), lr=1e-3, momentum=0.9)
        x = t.from_numpy(normal(8, 3, 224, 224))
        y = t.from_numpy(np.random.default_rng(1).integers(0, 1000, 8))

        def step(x: Any, y: Any) -> Any:
            chosen.zero_grad()
            found = t.nn.functional.cross_entropy(model(x), y)
            found.backward()
            chosen.step()
            return found

        function = t.compile(step) if name == "pellucid" else step
        for _ in range(3):
            function(x, y)
        return lambda: function(x, y)

    return prepare


enter(
    Benchmark(
        group="training",
        case="ResNet-18 step, batch 8, compiled",
        own={name: _compiled_step(name) for name in ("pellucid", "torch")},
        flops=3 * 8 * RESNET18_FLOPS,
        seconds=0.0,
        rounds=5,
    )
)
enter(
    Benchmark(
        group="training",
        case="MLP 4-16-16-1 Adam step, batch 32",
        program=training_step(
            mlp,
            lambda t, parameters: t.optim.Adam(parameters, lr=1e-3),
            lambda t, found, y: t.nn.functional.mse_loss(found, y),
            lambda: (normal(32, 4), normal(32, 1)),
        ),
    )
)
