"""ResNet: He, Zhang, Ren, Sun, "Deep Residual Learning for Image Recognition" (2015).

A residual block learns what to add to its input: y = F(x, {W}) + x (equation 1), or, where the
sizes of the two differ, y = F(x, {W}) + W_s x (equation 2). Table 1 of the paper is `ResNet` below:

    stage     output          18 layers    34 layers    50 layers
    conv1     64 × 112 × 112  7×7 convolution, stride 2
    maxpool   64 ×  56 ×  56  3×3 maximum, stride 2
    layer1    64 ×  56 ×  56  2 × Basic    3 × Basic    3 × Bottleneck   256 × 56 × 56
    layer2   128 ×  28 ×  28  2 × Basic    4 × Basic    4 × Bottleneck   512 × 28 × 28
    layer3   256 ×  14 ×  14  2 × Basic    6 × Basic    6 × Bottleneck  1024 × 14 × 14
    layer4   512 ×   7 ×   7  2 × Basic    3 × Basic    3 × Bottleneck  2048 ×  7 ×  7
    avgpool, fc               1000 classes

Names of classes, arguments and parameters are torchvision's, and so is the order in which random
numbers are drawn: the same seed gives the same network, and its checkpoints load as they are. Two
more papers change the width of the middle of a bottleneck: ResNeXt (Xie et al. 2016) and Wide
ResNet (Zagoruyko, Komodakis 2016).
"""

from __future__ import annotations

import re
from collections.abc import Callable, Mapping, Sequence
from typing import Any, ClassVar

import pellucid as torch
from pellucid import Tensor, nn
from pellucid.models.resnet_weights import KNOWN
from pellucid.models.weights import build

__all__ = [
    "BasicBlock",
    "Bottleneck",
    "ResNet",
    "resnet18",
    "resnet34",
    "resnet50",
    "resnet101",
    "resnet152",
    "resnext50_32x4d",
    "resnext101_32x8d",
    "resnext101_64x4d",
    "wide_resnet50_2",
    "wide_resnet101_2",
]

Norm = Callable[[int], nn.Module]


def conv3x3(
    in_planes: int, out_planes: int, stride: int = 1, groups: int = 1, dilation: int = 1
) -> nn.Conv2d:
    """3×3 convolution that keeps height and width, or divides both by `stride`."""
    return nn.Conv2d(
        in_planes,
        out_planes,
        kernel_size=3,
        stride=stride,
        padding=dilation,
        groups=groups,
        bias=False,  # the batch normalisation that follows has one
        dilation=dilation,
    )


def conv1x1(in_planes: int, out_planes: int, stride: int = 1) -> nn.Conv2d:
    """1×1 convolution: the W_s of equation 2, and the ends of a bottleneck."""
    return nn.Conv2d(in_planes, out_planes, kernel_size=1, stride=stride, bias=False)


class BasicBlock(nn.Module):
    """relu(bn2(conv2(relu(bn1(conv1(x))))) + x): figure 2, figure 5 left."""

    expansion: ClassVar[int] = 1
    """Channels of the output: `expansion * planes`."""

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        if norm_layer is None:
            norm_layer = nn.BatchNorm2d
        if groups != 1 or base_width != 64:
            raise ValueError("BasicBlock only supports groups=1 and base_width=64")
        if dilation > 1:
            raise NotImplementedError("Dilation > 1 not supported in BasicBlock")
        self.conv1 = conv3x3(inplanes, planes, stride)  # C×H×W -> planes × H/stride × W/stride
        self.bn1 = norm_layer(planes)
        self.relu = nn.ReLU(inplace=True)
        self.conv2 = conv3x3(planes, planes)
        self.bn2 = norm_layer(planes)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)

        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)

        out = self.conv2(out)
        out = self.bn2(out)

        out += identity
        return self.relu(out)


class Bottleneck(nn.Module):
    """1×1 to fewer channels, 3×3 on these, 1×1 to four times as many: figure 5 right.

    The stride is in the 3×3 convolution, where torchvision has it ("ResNet V1.5"); the paper has it
    in the first 1×1.
    """

    expansion: ClassVar[int] = 4

    def __init__(
        self,
        inplanes: int,
        planes: int,
        stride: int = 1,
        downsample: nn.Module | None = None,
        groups: int = 1,
        base_width: int = 64,
        dilation: int = 1,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        if norm_layer is None:
            norm_layer = nn.BatchNorm2d
        width = int(planes * (base_width / 64.0)) * groups
        self.conv1 = conv1x1(inplanes, width)
        self.bn1 = norm_layer(width)
        self.conv2 = conv3x3(width, width, stride, groups, dilation)
        self.bn2 = norm_layer(width)
        self.conv3 = conv1x1(width, planes * self.expansion)
        self.bn3 = norm_layer(planes * self.expansion)
        self.relu = nn.ReLU(inplace=True)
        self.downsample = downsample
        self.stride = stride

    def forward(self, x: Tensor) -> Tensor:
        identity = x if self.downsample is None else self.downsample(x)

        out = self.conv1(x)
        out = self.bn1(out)
        out = self.relu(out)

        out = self.conv2(out)
        out = self.bn2(out)
        out = self.relu(out)

        out = self.conv3(out)
        out = self.bn3(out)

        out += identity
        return self.relu(out)


Block = BasicBlock | Bottleneck


class ResNet(nn.Module):
    """Table 1: a stem, four stages of residual blocks, the mean of each channel, a linear head.

    Args:
        block: `BasicBlock` (18 and 34 layers) or `Bottleneck` (50 and more).
        layers: how many blocks each of the four stages has.
        num_classes: outputs of the head.
        zero_init_residual: begin with F = 0, every block the identity (Goyal et al. 2017, 5.1).
        groups, width_per_group: the 3×3 convolution of a bottleneck (ResNeXt, Wide ResNet).
        replace_stride_with_dilation: for stages 2 to 4, dilate the kernels instead of halving the
            image.
        norm_layer: makes the normalisation of a number of channels; `nn.BatchNorm2d`.

    Shapes:
        input N×3×H×W, output N×num_classes. The sizes in comments are those of H = W = 224.
    """

    def __init__(
        self,
        block: type[Block],
        layers: Sequence[int],
        num_classes: int = 1000,
        zero_init_residual: bool = False,
        groups: int = 1,
        width_per_group: int = 64,
        replace_stride_with_dilation: Sequence[bool] | None = None,
        norm_layer: Norm | None = None,
    ) -> None:
        super().__init__()
        self._norm_layer: Norm = nn.BatchNorm2d if norm_layer is None else norm_layer
        self.inplanes = 64
        self.dilation = 1
        dilate = replace_stride_with_dilation or [False, False, False]
        if len(dilate) != 3:
            raise ValueError(
                "replace_stride_with_dilation should be None "
                f"or a 3-element tuple, got {replace_stride_with_dilation}"
            )
        self.groups = groups
        self.base_width = width_per_group

        self.conv1 = nn.Conv2d(3, 64, kernel_size=7, stride=2, padding=3, bias=False)
        self.bn1 = self._norm_layer(64)
        self.relu = nn.ReLU(inplace=True)
        self.maxpool = nn.MaxPool2d(kernel_size=3, stride=2, padding=1)
        self.layer1 = self._make_layer(block, 64, layers[0])
        self.layer2 = self._make_layer(block, 128, layers[1], stride=2, dilate=dilate[0])
        self.layer3 = self._make_layer(block, 256, layers[2], stride=2, dilate=dilate[1])
        self.layer4 = self._make_layer(block, 512, layers[3], stride=2, dilate=dilate[2])
        self.avgpool = nn.AdaptiveAvgPool2d((1, 1))
        self.fc = nn.Linear(512 * block.expansion, num_classes)

        self._initialise(zero_init_residual)

    def _initialise(self, zero_init_residual: bool) -> None:
        """He et al. 2015, "Delving Deep into Rectifiers", equation 14, with fan_out."""
        for module in self.modules():
            if isinstance(module, nn.Conv2d):
                nn.init.kaiming_normal_(module.weight, mode="fan_out", nonlinearity="relu")
            elif isinstance(module, (nn.BatchNorm2d, nn.GroupNorm)):
                nn.init.constant_(module.weight, 1)
                nn.init.constant_(module.bias, 0)
        if zero_init_residual:
            for module in self.modules():
                if isinstance(module, Bottleneck) and module.bn3.weight is not None:
                    nn.init.constant_(module.bn3.weight, 0)
                elif isinstance(module, BasicBlock) and module.bn2.weight is not None:
                    nn.init.constant_(module.bn2.weight, 0)

    def _make_layer(
        self,
        block: type[Block],
        planes: int,
        blocks: int,
        stride: int = 1,
        dilate: bool = False,
    ) -> nn.Sequential:
        """One stage: its first block changes the sizes, the others keep them."""
        previous_dilation = self.dilation
        if dilate:
            self.dilation *= stride
            stride = 1
        downsample = None
        if stride != 1 or self.inplanes != planes * block.expansion:
            downsample = nn.Sequential(
                conv1x1(self.inplanes, planes * block.expansion, stride),
                self._norm_layer(planes * block.expansion),
            )
        width: dict[str, Any] = {
            "groups": self.groups,
            "base_width": self.base_width,
            "norm_layer": self._norm_layer,
        }
        first = block(
            self.inplanes, planes, stride, downsample, dilation=previous_dilation, **width
        )
        self.inplanes = planes * block.expansion
        others = [
            block(self.inplanes, planes, dilation=self.dilation, **width) for _ in range(1, blocks)
        ]
        return nn.Sequential(first, *others)

    def _forward_impl(self, x: Tensor) -> Tensor:
        x = self.conv1(x)  # 3×224×224 -> 64×112×112
        x = self.bn1(x)
        x = self.relu(x)
        x = self.maxpool(x)  # 64×56×56

        x = self.layer1(x)  # 64×56×56; with bottlenecks four times the channels, here and below
        x = self.layer2(x)  # 128×28×28
        x = self.layer3(x)  # 256×14×14
        x = self.layer4(x)  # 512×7×7

        x = self.avgpool(x)  # 512×1×1
        x = torch.flatten(x, 1)  # 512
        return self.fc(x)  # num_classes

    def forward(self, x: Tensor) -> Tensor:
        return self._forward_impl(x)


def _resnet(
    name: str, block: type[Block], layers: list[int], weights: Any, arguments: dict[str, Any]
) -> ResNet:
    def make(**chosen: Any) -> ResNet:
        return ResNet(block, layers, **chosen)

    return build(name, make, KNOWN[name], weights, "fc", arguments, kind_of)


def kind_of(state: Mapping[str, Any]) -> str | None:
    """What network the keys of a state belong to, counted block by block; None if no ResNet's."""
    blocks = {
        key.rsplit(".", 2)[0] for key in state if re.fullmatch(r"layer\d\.\d+\.conv1\.weight", key)
    }
    layers = tuple(sum(b.startswith(f"layer{stage}.") for b in blocks) for stage in (1, 2, 3, 4))
    bottleneck = "layer1.0.conv3.weight" in state
    names: dict[tuple[int, ...], str] = {
        (2, 2, 2, 2): "resnet18",
        (3, 4, 6, 3): "resnet50 or another of 50 layers" if bottleneck else "resnet34",
        (3, 4, 23, 3): "resnet101 or another of 101 layers",
        (3, 8, 36, 3): "resnet152",
    }
    return names.get(layers)


def resnet18(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-18: 11.7 million parameters.

    Args:
        weights: None for random weights; a file (`.pth`, `.safetensors`: the head gets as many
            classes as the file has); a state dict; or a member of `ResNet18_Weights` or its name,
            whose file is looked for in PyTorch's folder of downloads. Nothing is fetched.
        progress: taken for torchvision's sake; there is no download to show.
        **kwargs: arguments of `ResNet`: `num_classes=10`, …

    Raises:
        FileNotFoundError: no such file; says where it belongs.
        ValueError: the file's head has another number of classes than `num_classes`.
        RuntimeError: the file is damaged, or holds another network.
    """
    return _resnet("resnet18", BasicBlock, [2, 2, 2, 2], weights, kwargs)


def resnet34(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-34: 21.8 million parameters. Arguments: see `resnet18`."""
    return _resnet("resnet34", BasicBlock, [3, 4, 6, 3], weights, kwargs)


def resnet50(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-50: 25.6 million parameters. Arguments: see `resnet18`."""
    return _resnet("resnet50", Bottleneck, [3, 4, 6, 3], weights, kwargs)


def resnet101(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-101: 44.5 million parameters. Arguments: see `resnet18`."""
    return _resnet("resnet101", Bottleneck, [3, 4, 23, 3], weights, kwargs)


def resnet152(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNet-152: 60.2 million parameters. Arguments: see `resnet18`."""
    return _resnet("resnet152", Bottleneck, [3, 8, 36, 3], weights, kwargs)


def resnext50_32x4d(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNeXt-50, 32 groups of width 4 (Xie et al. 2016, table 1). Arguments: see `resnet18`."""
    width = {"groups": 32, "width_per_group": 4}
    return _resnet("resnext50_32x4d", Bottleneck, [3, 4, 6, 3], weights, width | kwargs)


def resnext101_32x8d(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNeXt-101, 32 groups of width 8. Arguments: see `resnet18`."""
    width = {"groups": 32, "width_per_group": 8}
    return _resnet("resnext101_32x8d", Bottleneck, [3, 4, 23, 3], weights, width | kwargs)


def resnext101_64x4d(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """ResNeXt-101, 64 groups of width 4. Arguments: see `resnet18`."""
    width = {"groups": 64, "width_per_group": 4}
    return _resnet("resnext101_64x4d", Bottleneck, [3, 4, 23, 3], weights, width | kwargs)


def wide_resnet50_2(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """Wide ResNet-50-2: 3×3 convolutions twice as wide. Arguments: see `resnet18`."""
    width = {"width_per_group": 128}
    return _resnet("wide_resnet50_2", Bottleneck, [3, 4, 6, 3], weights, width | kwargs)


def wide_resnet101_2(weights: Any = None, progress: bool = True, **kwargs: Any) -> ResNet:
    """Wide ResNet-101-2: 3×3 convolutions twice as wide. Arguments: see `resnet18`."""
    width = {"width_per_group": 128}
    return _resnet("wide_resnet101_2", Bottleneck, [3, 4, 23, 3], weights, width | kwargs)
