"""ResNets as backbones: their stages, and a feature pyramid on them."""

from __future__ import annotations

from collections.abc import Callable
from typing import Any

from pellucid import Tensor, nn
from pellucid.models import resnet
from pellucid.models._utils import IntermediateLayerGetter as IntermediateLayerGetter
from pellucid.vision.ops import FeaturePyramidNetwork, FrozenBatchNorm2d
from pellucid.vision.ops.feature_pyramid_network import ExtraFPNBlock, LastLevelMaxPool


class BackboneWithFPN(nn.Module):
    """The stages of a network (`body`) and a pyramid on them (`fpn`), with `out_channels`."""

    def __init__(
        self,
        backbone: nn.Module,
        return_layers: dict[str, str],
        in_channels_list: list[int],
        out_channels: int,
        extra_blocks: ExtraFPNBlock | None = None,
        norm_layer: Callable[..., nn.Module] | None = None,
    ) -> None:
        super().__init__()
        self.body = IntermediateLayerGetter(backbone, return_layers)
        self.fpn = FeaturePyramidNetwork(
            in_channels_list, out_channels, extra_blocks or LastLevelMaxPool(), norm_layer
        )
        self.out_channels = out_channels

    def forward(self, x: Tensor) -> dict[str, Tensor]:
        levels: dict[str, Tensor] = self.fpn(self.body(x))
        return levels


def resnet_fpn_backbone(
    backbone_name: str,
    weights: Any = None,
    norm_layer: Callable[..., nn.Module] = FrozenBatchNorm2d,
    trainable_layers: int = 3,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    out_channels: int = 256,
) -> BackboneWithFPN:
    """A ResNet with a pyramid on stages `returned_layers` (1 to 4), strides 4 to 32 and one more.

    The last `trainable_layers` (0 to 5) parts of layer4, layer3, layer2, layer1, conv1 train.
    """
    network = getattr(resnet, backbone_name)(weights=weights, norm_layer=norm_layer)
    return pyramid_on(network, trainable_layers, returned_layers, extra_blocks, out_channels)


def pyramid_on(
    network: resnet.ResNet,
    trainable_layers: int,
    returned_layers: list[int] | None = None,
    extra_blocks: ExtraFPNBlock | None = None,
    out_channels: int = 256,
) -> BackboneWithFPN:
    """`resnet_fpn_backbone` of a network that exists."""
    if not 0 <= trainable_layers <= 5:
        raise ValueError(f"Trainable layers should be in the range [0,5], got {trainable_layers}")
    stages = returned_layers or [1, 2, 3, 4]
    if min(stages) <= 0 or max(stages) >= 5:
        raise ValueError(f"Each returned layer should be in the range [1,4]. Got {stages}")
    train = ["layer4", "layer3", "layer2", "layer1", "conv1"][:trainable_layers]
    if trainable_layers == 5:
        train.append("bn1")
    for name, parameter in network.named_parameters():
        if not any(name.startswith(layer) for layer in train):
            parameter.requires_grad_(False)
    deepest = network.inplanes  # 512, or 2048 with bottlenecks; half as many a stage earlier
    channels = [deepest // 2 ** (4 - stage) for stage in stages]
    names = {f"layer{stage}": str(place) for place, stage in enumerate(stages)}
    return BackboneWithFPN(network, names, channels, out_channels, extra_blocks)
