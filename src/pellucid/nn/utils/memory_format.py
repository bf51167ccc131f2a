"""Choosing how the weights of convolutions lie in memory."""

from __future__ import annotations

from typing import Any

from pellucid.nn.module import Module
from pellucid.nn.modules.conv import Conv2d, Conv3d, ConvTranspose2d, ConvTranspose3d


def _convert(module: Module, memory_format: Any, kinds: tuple[type[Module], ...]) -> Module:
    for part in module.modules():
        if isinstance(part, kinds):
            part.weight.data = part.weight.detach().clone(memory_format=memory_format)
    return module


def convert_conv2d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """Let the weights of 2-d convolutions in `module` lie in `memory_format`, say channels last."""
    return _convert(module, memory_format, (Conv2d, ConvTranspose2d))


def convert_conv3d_weight_memory_format(module: Module, memory_format: Any) -> Module:
    """Let the weights of 3-d convolutions in `module` lie in `memory_format`."""
    return _convert(module, memory_format, (Conv3d, ConvTranspose3d))
