"""The transforms that are compared with torchvision's: (name, how to make it, kinds of images).

`make` gets the module `transforms`, torchvision's or ours. This file imports neither.
"""

import numpy as np

EVERY = ("pillow", "bytes", "float")
TENSORS = ("bytes", "float")


def picture():
    """A smooth coloured picture, (12, 16, 3) bytes."""
    y, x = np.mgrid[0:12, 0:16]
    planes = [(x * 15) % 256, (y * 20 + x * 3) % 256, (255 - x * 6 - y * 8) % 256]
    return np.stack(planes, -1).astype(np.uint8)


def _functional(name, *args, **kwargs):
    return lambda t: lambda image: getattr(t.functional, name)(image, *args, **kwargs)


CASES = [
    ("resize", lambda t: t.Resize((9, 20), antialias=True), EVERY),
    ("resize_short", lambda t: t.Resize(8, antialias=True), EVERY),
    ("resize_max", lambda t: t.Resize(10, max_size=12, antialias=True), EVERY),
    ("resize_plain", lambda t: t.Resize((5, 7), antialias=False), TENSORS),
    (
        "resize_cubic",
        lambda t: t.Resize((6, 9), t.InterpolationMode.BICUBIC, antialias=True),
        EVERY,
    ),
    ("resize_nearest", lambda t: t.Resize((6, 9), t.InterpolationMode.NEAREST), EVERY),
    ("center_crop", lambda t: t.CenterCrop((7, 5)), EVERY),
    ("center_crop_larger", lambda t: t.CenterCrop((15, 10)), EVERY),
    ("five_crop", lambda t: t.FiveCrop(6), EVERY),
    ("ten_crop", lambda t: t.TenCrop(4), ("bytes",)),
    ("pad", lambda t: t.Pad((1, 2, 3, 4), fill=7), EVERY),
    ("pad_edge", lambda t: t.Pad((2, 1), padding_mode="edge"), EVERY),
    ("pad_reflect", lambda t: t.Pad(3, padding_mode="reflect"), EVERY),
    ("pad_symmetric", lambda t: t.Pad((3, 2), padding_mode="symmetric"), EVERY),
    ("gray", lambda t: t.Grayscale(), EVERY),
    ("gray3", lambda t: t.Grayscale(3), EVERY),
    ("random_crop", lambda t: t.RandomCrop(8, padding=2), EVERY),
    ("random_crop_needed", lambda t: t.RandomCrop((14, 9), pad_if_needed=True), EVERY),
    ("random_resized_crop", lambda t: t.RandomResizedCrop(6, antialias=True), EVERY),
    ("flip", lambda t: t.RandomHorizontalFlip(0.6), EVERY),
    ("flip_vertical", lambda t: t.RandomVerticalFlip(0.6), EVERY),
    ("jitter", lambda t: t.ColorJitter(0.4, 0.3, 0.5, 0.2), EVERY),
    ("rotation", lambda t: t.RandomRotation(40), EVERY),
    ("rotation_linear", lambda t: t.RandomRotation(40, t.InterpolationMode.BILINEAR), EVERY),
    ("rotation_expand", lambda t: t.RandomRotation((30, 31), expand=True, fill=9), EVERY),
    ("affine", lambda t: t.RandomAffine(20, (0.1, 0.2), (0.8, 1.2), 10), EVERY),
    ("affine_shears", lambda t: t.RandomAffine(5, shear=(-5, 5, -9, 9), fill=3), EVERY),
    ("erasing", lambda t: t.RandomErasing(1.0), TENSORS),
    ("erasing_noise", lambda t: t.RandomErasing(1.0, value="random"), ("float",)),
    ("blur", lambda t: t.GaussianBlur((5, 3), (0.3, 1.5)), EVERY),
    ("grayscale_maybe", lambda t: t.RandomGrayscale(0.8), EVERY),
    ("invert", lambda t: t.RandomInvert(1.0), EVERY),
    ("posterize", lambda t: t.RandomPosterize(3, 1.0), ("pillow", "bytes")),
    ("solarize", lambda t: t.RandomSolarize(0.5, 1.0), ("float",)),
    ("solarize_bytes", lambda t: t.RandomSolarize(128, 1.0), ("pillow", "bytes")),
    ("autocontrast", lambda t: t.RandomAutocontrast(1.0), EVERY),
    ("equalize", lambda t: t.RandomEqualize(1.0), ("pillow", "bytes")),
    ("sharpness", lambda t: t.RandomAdjustSharpness(2.0, 1.0), EVERY),
    ("gamma", _functional("adjust_gamma", 1.7, 0.9), EVERY),
    ("hue", _functional("adjust_hue", -0.3), EVERY),
    ("contrast", _functional("adjust_contrast", 1.8), EVERY),
    ("saturation", _functional("adjust_saturation", 0.2), EVERY),
    ("rotate_about", _functional("rotate", 25.0, center=(3, 4), fill=[1.0, 2.0, 3.0]), TENSORS),
    ("crop_outside", _functional("crop", -2, 5, 9, 14), EVERY),
    ("to_tensor", lambda t: t.ToTensor(), ("pillow",)),
    ("normalize", lambda t: t.Normalize((0.5, 0.4, 0.3), (0.2, 0.3, 0.4)), ("float",)),
    (
        "composed",
        lambda t: t.Compose(
            [
                t.RandomResizedCrop(8, antialias=True),
                t.RandomHorizontalFlip(),
                t.RandomApply([t.ColorJitter(0.4, 0.4, 0.4, 0.1)], p=0.8),
                t.ToTensor(),
                t.Normalize((0.5,) * 3, (0.25,) * 3),
                t.RandomErasing(0.9),
            ]
        ),
        ("pillow",),
    ),
]
