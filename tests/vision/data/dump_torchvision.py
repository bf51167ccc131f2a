"""What torchvision computes, for the tests beside this folder.

Made with Debian's python3-torchvision (0.14.1, torch 1.13.0), which the tests do not need:

    apt-get install python3-torchvision
    /usr/bin/python3 tests/vision/data/dump_torchvision.py tests/vision/data/torchvision.npz

The file holds inputs, outputs and the gradients of `(output * probe).sum()` for boxes drawn at
random and for boxes that nobody should give.
"""

import sys
from itertools import product

import numpy as np
import torch
from torchvision import ops

HOSTILE = [
    [0, 2.0, 3.0, 9.0, 11.0],  # whole cells
    [0, 2.5, 3.5, 8.5, 10.5],  # halves: which way do they round?
    [1, -2.5, -3.5, 4.5, 5.5],  # off the map above and to the left
    [1, 12.0, 9.0, 30.0, 40.0],  # off the map below and to the right
    [0, -40.0, -40.0, -20.0, -20.0],  # nowhere near it
    [0, 500.0, 500.0, 900.0, 700.0],
    [1, 5.0, 5.0, 5.0, 5.0],  # no area
    [1, 5.25, 2.0, 5.25, 9.0],  # no width
    [0, 5.25, 2.0, 9.75, 2.0],  # no height
    [0, 9.0, 8.0, 3.0, 2.0],  # corners swapped
    [0, 3.0, 8.0, 9.0, 2.0],
    [1, 0.1, 0.1, 0.3, 0.2],  # far below one cell
    [1, -1.0, -1.0, 17.0, 13.0],  # its border points lie exactly one cell outside
    [0, -300.0, -200.0, 400.0, 300.0],  # the map is a small part of it
    [1, 16.0, 12.0, 16.9, 12.9],  # the last cell
]


def boxes(seed, count, dtype):
    generator = np.random.default_rng(seed)
    corners = generator.uniform(-4, 18, (count, 4))
    corners[:, 2:] = corners[:, :2] + generator.uniform(0.1, 12, (count, 2))
    image = generator.integers(0, 2, (count, 1))
    drawn = np.concatenate([image, corners], 1)
    return torch.tensor(np.concatenate([drawn, HOSTILE]), dtype=dtype)


def settings():
    """(name, operator by name, keywords, channels for each output channel, scale of the boxes)."""
    for aligned, ratio, size, scale in product(
        (False, True), (-1, 0, 2, 3), ((2, 3),), (1.0, 0.25)
    ):
        if (ratio in (0, 3)) == (scale == 0.25):
            yield (
                "roi_align",
                dict(output_size=size, spatial_scale=scale, sampling_ratio=ratio, aligned=aligned),
            )
    for size, scale in (((3, 4), 1.0), ((2, 4), 0.25), ((3, 3), 0.5)):
        yield "roi_pool", dict(output_size=size, spatial_scale=scale)
    for ratio, scale in ((-1, 1.0), (2, 0.25)):
        yield "ps_roi_align", dict(output_size=(2, 3), spatial_scale=scale, sampling_ratio=ratio)
    for scale in (1.0, 0.25):
        yield "ps_roi_pool", dict(output_size=(2, 3), spatial_scale=scale)


def regions(found):
    for number, (name, keywords) in enumerate(settings()):
        for dtype in (torch.float32, torch.float64):
            channels = 6 if name.startswith("ps_") else 1
            generator = torch.Generator().manual_seed(number)
            x = torch.randn(2, channels, 13, 17, generator=generator, dtype=torch.float64)
            rows = boxes(number, 6, torch.float64)
            if keywords.get("aligned") and keywords["sampling_ratio"] <= 0:
                # One side swapped asks torchvision for a negative number of points: it fails.
                rows = rows[(rows[:, 3] - rows[:, 1]) * (rows[:, 4] - rows[:, 2]) >= 0]
            rows[:, 1:] /= keywords["spatial_scale"]
            x, rows = x.to(dtype).requires_grad_(), rows.to(dtype)
            out = getattr(ops, name)(x, rows, **keywords)
            probe = torch.randn(out.shape, generator=generator, dtype=torch.float64).to(dtype)
            (grad,) = torch.autograd.grad(out, x, probe)
            key = f"{name}/{number}/{str(dtype)[6:]}"
            found[f"{key}/keywords"] = np.array(repr(keywords))
            half = dict(input=x, boxes=rows, probe=probe) if dtype is torch.float64 else {}
            for part, value in dict(half, out=out, grad=grad).items():
                found[f"{key}/{part}"] = value.detach().numpy()


def suppression(found):
    for seed in range(3):
        generator = torch.Generator().manual_seed(seed)
        corners = torch.rand(120, 2, generator=generator) * 60
        rows = torch.cat([corners, corners + torch.rand(120, 2, generator=generator) * 40], 1)
        scores = (torch.rand(120, generator=generator) * 20).round() / 20  # many are equal
        kinds = torch.randint(0, 4, (120,), generator=generator)
        found[f"nms/{seed}/boxes"], found[f"nms/{seed}/scores"] = rows.numpy(), scores.numpy()
        found[f"nms/{seed}/idxs"] = kinds.numpy()
        for threshold in (0.0, 0.3, 0.5, 0.9):
            kept = ops.nms(rows, scores, threshold)
            found[f"nms/{seed}/keep/{threshold}"] = kept.numpy()
        found[f"nms/{seed}/batched"] = ops.batched_nms(rows, scores, kinds, 0.3).numpy()


def overlaps(found):
    generator = torch.Generator().manual_seed(0)
    low = torch.rand(2, 9, 2, generator=generator) * 10
    a, b = torch.cat([low, low + torch.rand(2, 9, 2, generator=generator) * 8], 2)
    b[:3] = a[:3] + 0.5
    found["pairs/a"], found["pairs/b"] = a.numpy(), b.numpy()
    for name in ("box_iou", "generalized_box_iou", "distance_box_iou", "complete_box_iou"):
        found[f"pairs/{name}"] = getattr(ops, name)(a, b).numpy()
    for name in ("generalized_box_iou", "distance_box_iou", "complete_box_iou"):
        x = a.clone().requires_grad_()
        loss = getattr(ops, f"{name}_loss")(x, b)
        loss.sum().backward()
        found[f"pairs/{name}_loss"] = loss.detach().numpy()
        found[f"pairs/{name}_loss_grad"] = x.grad.numpy()


def deformed(found):
    generator = torch.Generator().manual_seed(0)

    def draw(*shape):
        return torch.randn(*shape, generator=generator, dtype=torch.float64).requires_grad_()

    inputs = dict(
        input=draw(2, 6, 7, 8),
        offset=draw(2, 36, 4, 7),
        weight=draw(4, 3, 3, 2),
        bias=draw(4),
        mask=draw(2, 18, 4, 7),
    )
    out = ops.deform_conv2d(**inputs, stride=(2, 1), padding=(2, 0), dilation=(2, 1))
    probe = torch.randn(out.shape, generator=generator, dtype=torch.float64)
    grads = torch.autograd.grad(out, list(inputs.values()), probe)
    found["deform/out"], found["deform/probe"] = out.detach().numpy(), probe.numpy()
    for (name, value), grad in zip(inputs.items(), grads, strict=True):
        found[f"deform/{name}"], found[f"deform/grad/{name}"] = value.detach().numpy(), grad.numpy()


if __name__ == "__main__":
    everything = {}
    for part in (regions, suppression, overlaps, deformed):
        part(everything)
    np.savez_compressed(sys.argv[1], **everything)
