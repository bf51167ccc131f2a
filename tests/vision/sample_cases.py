"""Transforms of the second edition on samples with boxes and masks, compared with torchvision's.

`make` gets the modules `transforms.v2` and `tv_tensors`, torchvision's or ours, and `torch` to go
with them. This file imports none of them.
"""

import numpy as np
from transform_cases import picture

BOXES = [[1, 2, 9, 8], [4, 0, 16, 12], [10, 6, 13, 11], [0, 0, 3, 3]]


def parts(torch, tv, kind, format, fractions):
    """image, boxes, masks and labels of one sample, as a dict."""
    pixels = torch.from_numpy(picture().transpose(2, 0, 1).copy())
    if kind == "float":
        pixels = pixels.float() / 255
    boxes = np.array(BOXES, np.float32)
    if fractions:
        boxes = boxes * np.float32(0.97) + np.float32(0.3)
    if format != "XYXY":
        boxes[:, 2:] -= boxes[:, :2]
    if format == "CXCYWH":
        boxes[:, :2] += boxes[:, 2:] / 2
    boxes = torch.from_numpy(boxes if fractions else boxes.astype(np.int64))
    masks = np.zeros((4, 12, 16), np.uint8)
    for mask, (x1, y1, x2, y2) in zip(masks, BOXES, strict=True):
        mask[y1:y2, x1:x2] = 1
    return {
        "image": tv.Image(pixels),
        "boxes": tv.BoundingBoxes(boxes, format=format, canvas_size=(12, 16)),
        "masks": tv.Mask(torch.from_numpy(masks)),
        "labels": torch.tensor([3, 1, 4, 1]),
    }


LAYOUTS = [("float", "XYXY", True), ("bytes", "XYWH", False), ("bytes", "CXCYWH", True)]

SAMPLES = {
    "hflip": lambda v2, tv: v2.RandomHorizontalFlip(1.0),
    "vflip": lambda v2, tv: v2.RandomVerticalFlip(1.0),
    "resize": lambda v2, tv: v2.Resize((9, 20)),
    "resize_short": lambda v2, tv: v2.Resize(8, max_size=10),
    "center_crop": lambda v2, tv: v2.CenterCrop((7, 5)),
    "center_crop_larger": lambda v2, tv: v2.CenterCrop((15, 19)),
    "crop": lambda v2, tv: v2.RandomCrop((8, 10)),
    "crop_one_side": lambda v2, tv: v2.RandomCrop((8, 16)),
    "crop_padded": lambda v2, tv: v2.RandomCrop(10, padding=(1, 2)),
    "crop_needed": lambda v2, tv: v2.RandomCrop((14, 9), pad_if_needed=True, fill=5),
    "resized_crop": lambda v2, tv: v2.RandomResizedCrop(6),
    "pad": lambda v2, tv: v2.Pad((1, 2, 3, 4), fill={tv.Image: 7, "others": 0}),
    "rotation": lambda v2, tv: v2.RandomRotation(40),
    "rotation_expand": lambda v2, tv: v2.RandomRotation((30, 31), expand=True),
    "rotation_about": lambda v2, tv: v2.RandomRotation((20, 20), center=[3, 4]),
    "affine": lambda v2, tv: v2.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), (-9, 9, -5, 5)),
    "perspective": lambda v2, tv: v2.RandomPerspective(0.5, 1.0),
    "elastic": lambda v2, tv: v2.ElasticTransform(6.0, 0.6),
    "zoom_out": lambda v2, tv: v2.RandomZoomOut(side_range=(1.0, 2.0), p=1.0),
    "iou_crop": lambda v2, tv: v2.RandomIoUCrop(),
    "scale_jitter": lambda v2, tv: v2.ScaleJitter((20, 24), (0.6, 1.4)),
    "shortest": lambda v2, tv: v2.RandomShortestSize([7, 8, 9], max_size=11),
    "random_resize": lambda v2, tv: v2.RandomResize(6, 20),
    "distort": lambda v2, tv: v2.RandomPhotometricDistort(p=0.8),
    "permutation": lambda v2, tv: v2.RandomChannelPermutation(),
    "jitter": lambda v2, tv: v2.ColorJitter(0.4, 0.3, 0.5, 0.2),
    "to_xyxy": lambda v2, tv: v2.ConvertBoundingBoxFormat("XYXY"),
    "to_xywh": lambda v2, tv: v2.ConvertBoundingBoxFormat("XYWH"),
    "to_cxcywh": lambda v2, tv: v2.ConvertBoundingBoxFormat(tv.BoundingBoxFormat.CXCYWH),
    "unclamped": lambda v2, tv: v2.Compose([v2.SetClampingMode(None), v2.CenterCrop(6)]),
    "sanitized": lambda v2, tv: v2.Compose([v2.CenterCrop(6), v2.SanitizeBoundingBoxes()]),
    "sanitized_large": lambda v2, tv: v2.SanitizeBoundingBoxes(min_size=4.0, min_area=30.0),
    "choice": lambda v2, tv: v2.RandomChoice([v2.CenterCrop(9), v2.Resize(7)], p=[0.3, 0.7]),
    "order": lambda v2, tv: v2.RandomOrder([v2.CenterCrop(9), v2.Resize(7), v2.Pad(1)]),
    "apply": lambda v2, tv: v2.RandomApply([v2.CenterCrop(9)], p=0.5),
    "dtypes": lambda v2, tv: v2.ToDtype({tv.Image: None, "others": None}),
    "detection": lambda v2, tv: v2.Compose(
        [
            v2.RandomPhotometricDistort(),
            v2.RandomZoomOut(fill={tv.Image: (123, 117, 104), "others": 0}),
            v2.RandomIoUCrop(),
            v2.RandomHorizontalFlip(),
            v2.SanitizeBoundingBoxes(),
        ]
    ),
}
SEEDS = (0, 1)

_LARGE = np.kron(picture(), np.ones((2, 2, 1), np.uint8))

IMAGES = {
    "auto_imagenet": lambda t: t.AutoAugment(),
    "auto_cifar": lambda t: t.AutoAugment(t.AutoAugmentPolicy.CIFAR10, fill=[1.0, 2.0, 3.0]),
    "auto_svhn": lambda t: t.AutoAugment(t.AutoAugmentPolicy.SVHN, t.InterpolationMode.BILINEAR),
    "rand": lambda t: t.RandAugment(3, 12),
    "trivial": lambda t: t.TrivialAugmentWide(fill=9),
    "mix": lambda t: t.AugMix(),
    "mix_deep": lambda t: t.AugMix(6, 2, 2, 0.7, False),
    "perspective": lambda t: t.RandomPerspective(0.6, 1.0, fill=7),
    "elastic": lambda t: t.ElasticTransform([8.0, 5.0], 0.7),
}
"""Made by either edition; the draws of both are compared."""
IMAGE_SEEDS = range(7)


def large():
    """A picture (24, 32, 3) of bytes."""
    return _LARGE


BATCHES = {
    "mixup": lambda v2: v2.MixUp(alpha=0.6, num_classes=5),
    "cutmix": lambda v2: v2.CutMix(alpha=0.9, num_classes=5),
    "cutmix_shares": lambda v2: v2.CutMix(),
}
