"""Where the weights of torchvision's ResNets were published, with their numbers of parameters."""

from __future__ import annotations

from pellucid.models.weights import Weights

__all__ = [
    "ResNet18_Weights",
    "ResNet34_Weights",
    "ResNet50_Weights",
    "ResNet101_Weights",
    "ResNet152_Weights",
    "ResNeXt50_32X4D_Weights",
    "ResNeXt101_32X8D_Weights",
    "ResNeXt101_64X4D_Weights",
    "Wide_ResNet50_2_Weights",
    "Wide_ResNet101_2_Weights",
]

_FILES = "https://download.pytorch.org/models/"


class ResNet18_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}resnet18-f37072fd.pth", 11689512
    DEFAULT = IMAGENET1K_V1


class ResNet34_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}resnet34-b627a593.pth", 21797672
    DEFAULT = IMAGENET1K_V1


class ResNet50_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}resnet50-0676ba61.pth", 25557032
    IMAGENET1K_V2 = f"{_FILES}resnet50-11ad3fa6.pth", 25557032, 232
    DEFAULT = IMAGENET1K_V2


class ResNet101_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}resnet101-63fe2227.pth", 44549160
    IMAGENET1K_V2 = f"{_FILES}resnet101-cd907fc2.pth", 44549160, 232
    DEFAULT = IMAGENET1K_V2


class ResNet152_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}resnet152-394f9c45.pth", 60192808
    IMAGENET1K_V2 = f"{_FILES}resnet152-f82ba261.pth", 60192808, 232
    DEFAULT = IMAGENET1K_V2


class ResNeXt50_32X4D_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}resnext50_32x4d-7cdf4587.pth", 25028904
    IMAGENET1K_V2 = f"{_FILES}resnext50_32x4d-1a0047aa.pth", 25028904, 232
    DEFAULT = IMAGENET1K_V2


class ResNeXt101_32X8D_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}resnext101_32x8d-8ba56ff5.pth", 88791336
    IMAGENET1K_V2 = f"{_FILES}resnext101_32x8d-110c445d.pth", 88791336, 232
    DEFAULT = IMAGENET1K_V2


class ResNeXt101_64X4D_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}resnext101_64x4d-173b62eb.pth", 83455272, 232
    DEFAULT = IMAGENET1K_V1


class Wide_ResNet50_2_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}wide_resnet50_2-95faca4d.pth", 68883240
    IMAGENET1K_V2 = f"{_FILES}wide_resnet50_2-9ba9bcbe.pth", 68883240, 232
    DEFAULT = IMAGENET1K_V2


class Wide_ResNet101_2_Weights(Weights):
    IMAGENET1K_V1 = f"{_FILES}wide_resnet101_2-32ee1156.pth", 126886696
    IMAGENET1K_V2 = f"{_FILES}wide_resnet101_2-d733dc28.pth", 126886696, 232
    DEFAULT = IMAGENET1K_V2


KNOWN: dict[str, type[Weights]] = {
    "resnet18": ResNet18_Weights,
    "resnet34": ResNet34_Weights,
    "resnet50": ResNet50_Weights,
    "resnet101": ResNet101_Weights,
    "resnet152": ResNet152_Weights,
    "resnext50_32x4d": ResNeXt50_32X4D_Weights,
    "resnext101_32x8d": ResNeXt101_32X8D_Weights,
    "resnext101_64x4d": ResNeXt101_64X4D_Weights,
    "wide_resnet50_2": Wide_ResNet50_2_Weights,
    "wide_resnet101_2": Wide_ResNet101_2_Weights,
}
"""The published weights of each builder."""
