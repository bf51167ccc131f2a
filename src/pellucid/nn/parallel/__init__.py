"""`DataParallel` on a machine without GPUs: the module itself, under another name."""

from __future__ import annotations

from typing import Any

from pellucid.nn.module import Module


class DataParallel(Module):
    """Calls `module`. Keys of its state begin with `module.`, as they do on GPUs."""

    def __init__(
        self, module: Module, device_ids: Any = None, output_device: Any = None, dim: int = 0
    ) -> None:
        super().__init__()
        self.module = module
        self.device_ids: list[int] = []  # there is no GPU to spread over
        self.dim = dim

    def forward(self, *inputs: Any, **kwargs: Any) -> Any:
        return self.module(*inputs, **kwargs)
