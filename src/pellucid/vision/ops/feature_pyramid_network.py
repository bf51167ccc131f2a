"""Feature pyramids (Lin et al. 2017, "Feature Pyramid Networks for Object Detection", figure 3)."""

from __future__ import annotations

from collections import OrderedDict
from collections.abc import Callable, Mapping
from typing import Any

from pellucid.nn import functional as F
from pellucid.nn import init
from pellucid.nn.module import Module
from pellucid.nn.modules.container import ModuleList
from pellucid.nn.modules.conv import Conv2d
from pellucid.tensor.tensor import Tensor
from pellucid.vision.ops.misc import Conv2dNormActivation


class ExtraFPNBlock(Module):
    """What a pyramid may do after its last level: returns more levels, and names for all."""

    def forward(
        self, results: list[Tensor], x: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        """`results` are the pyramid's levels, `x` the maps it was made from, finest first."""
        raise NotImplementedError(f"{type(self).__name__} must define forward(results, x, names)")


class FeaturePyramidNetwork(Module):
    """Every level of a backbone with `out_channels` channels and the meaning of the deepest.

    From the coarsest map down: a 1 × 1 convolution of the level (`inner_blocks`), plus the level
    above it enlarged to the nearest cell; then a 3 × 3 convolution (`layer_blocks`).
    """

    _version = 2

    def __init__(
        self,
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., Module] | None = None,
    ) -> None:
        super().__init__()
        self.inner_blocks = ModuleList()
        self.layer_blocks = ModuleList()
        for channels in in_channels_list:
            if channels == 0:
                raise ValueError("in_channels=0 is currently not supported")
            self.inner_blocks.append(_convolution(channels, out_channels, 1, norm_layer))
            self.layer_blocks.append(_convolution(out_channels, out_channels, 3, norm_layer))
        for module in self.modules():
            if isinstance(module, Conv2d):
                init.kaiming_uniform_(module.weight, a=1)
                if module.bias is not None:
                    init.constant_(module.bias, 0)
        if extra_blocks is not None and not isinstance(extra_blocks, ExtraFPNBlock):
            raise TypeError(
                f"extra_blocks should be of type ExtraFPNBlock not {type(extra_blocks)}"
            )
        self.extra_blocks = extra_blocks

    def _load_from_state_dict(
        self,
        state_dict: dict[str, Any],
        prefix: str,
        local_metadata: dict[str, Any],
        *rest: Any,
        **more: Any,
    ) -> None:
        """Checkpoints of version 1 have the convolutions one level higher."""
        version = local_metadata.get("version")
        if version is None or version < 2:
            for kind in ("inner_blocks", "layer_blocks"):
                for place in range(len(getattr(self, kind))):
                    for name in ("weight", "bias"):
                        old = f"{prefix}{kind}.{place}.{name}"
                        if old in state_dict:
                            state_dict[f"{prefix}{kind}.{place}.0.{name}"] = state_dict.pop(old)
        super()._load_from_state_dict(state_dict, prefix, local_metadata, *rest, **more)

    def forward(self, x: Mapping[str, Tensor]) -> dict[str, Tensor]:
        """Maps by name, finest first, to as many levels (and those of `extra_blocks`)."""
        names, maps = list(x), list(x.values())
        if len(maps) != len(self.inner_blocks):
            raise ValueError(
                f"FeaturePyramidNetwork was made for {len(self.inner_blocks)} levels and got "
                f"{len(maps)}: {', '.join(names)}"
            )
        above = self.inner_blocks[-1](maps[-1])
        results = [self.layer_blocks[-1](above)]
        for level in reversed(range(len(maps) - 1)):
            lateral = self.inner_blocks[level](maps[level])
            enlarged = F.interpolate(above, size=lateral.shape[-2:], mode="nearest")
            above = lateral + enlarged
            results.insert(0, self.layer_blocks[level](above))
        if self.extra_blocks is not None:
            results, names = self.extra_blocks(results, maps, names)
        return OrderedDict(zip(names, results, strict=True))


def _convolution(
    channels: int, out_channels: int, kernel: int, norm: Callable[..., Module] | None
) -> Conv2dNormActivation:
    return Conv2dNormActivation(
        channels,
        out_channels,
        kernel_size=kernel,
        padding=kernel // 2,
        norm_layer=norm,
        activation_layer=None,
    )


class LastLevelMaxPool(ExtraFPNBlock):
    """One more level, every second cell of the last: Faster R-CNN's P6 (section 4.1)."""

    def forward(
        self, results: list[Tensor], x: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        pooled = F.max_pool2d(results[-1], kernel_size=1, stride=2, padding=0)
        return [*results, pooled], [*names, "pool"]


class LastLevelP6P7(ExtraFPNBlock):
    """Two more levels by strided convolutions (Lin et al. 2017, "Focal Loss", section 4)."""

    def __init__(self, in_channels: int, out_channels: int) -> None:
        super().__init__()
        self.p6 = Conv2d(in_channels, out_channels, 3, 2, 1)
        self.p7 = Conv2d(out_channels, out_channels, 3, 2, 1)
        for module in (self.p6, self.p7):
            init.kaiming_uniform_(module.weight, a=1)
            init.constant_(module.bias, 0)
        self.use_P5 = in_channels == out_channels

    def forward(
        self, results: list[Tensor], x: list[Tensor], names: list[str]
    ) -> tuple[list[Tensor], list[str]]:
        p6 = self.p6(results[-1] if self.use_P5 else x[-1])
        return [*results, p6, self.p7(F.relu(p6))], [*names, "p6", "p7"]
