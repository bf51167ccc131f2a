"""The database's samples in memory layouts drawn at random.

Every tensor of a sample keeps its values and gets another place in memory: its dimensions in any
order, gaps between elements, an offset, stride 0 along dimensions of size 1, or whole tensors
expanded where all values along a dimension are equal anyway. What is compared is what
`checks.check_case` compares: values, dtypes, strides, aliasing, gradients.
"""

from __future__ import annotations

import random
from collections.abc import Iterator
from typing import Any

import torch

from tests.parity.samples import Case, frozen_cases, sample_inputs

ANY_DTYPE = ("float32", "float64", "int64", "bool", "complex64")


def random_layout(tensor: torch.Tensor, draw: random.Random) -> torch.Tensor:
    """The same values, laid out as `draw` decides; a leaf that requires a gradient as before."""
    if tensor.layout is not torch.strided or tensor.numel() == 0 or draw.random() < 0.3:
        return tensor
    order = list(range(tensor.dim()))
    kind = draw.choice(("reversed", "channels last", "any", "as it is"))
    if kind == "reversed":
        order.reverse()
    elif kind == "channels last" and tensor.dim() > 2:
        order = [0, *order[2:], 1]
    elif kind == "any":
        draw.shuffle(order)
    strides = [0] * tensor.dim()
    step = 1
    for dimension in reversed(order):
        every = draw.choice((1, 1, 1, 2))
        alone = tensor.shape[dimension] == 1
        strides[dimension] = draw.choice((step, 0, 3)) if alone else step * every
        step *= tensor.shape[dimension] * every + draw.choice((0, 0, 0, 1))
    offset = draw.choice((0, 0, 1, 4))
    with torch.no_grad():
        memory = torch.zeros(offset + step + 4, dtype=tensor.dtype)
        placed = memory.as_strided(tensor.shape, strides, offset)
        placed.copy_(tensor.detach())
        return placed.detach().requires_grad_(tensor.requires_grad)


def relaid_cases(op: Any, dtype: str, count: int, seed: int) -> Iterator[Case]:
    """`count` samples of an operator (fewer if it has fewer), each laid out at random."""
    draw = random.Random(f"{seed} {op.name} {op.variant_test_name} {dtype}")
    samples = sample_inputs(op, dtype)
    for index, sample in draw.sample(list(enumerate(samples)), min(count, len(samples))):

        def relaid(value: Any) -> Any:
            return random_layout(value, draw) if type(value) is torch.Tensor else value

        yield from frozen_cases(f"sample {index} relaid", sample.transform(relaid), dtype)
