"""Boxes in every format, by torchvision, for `tests/vision/test_boxes.py`.

    python tests/vision/data/dump_boxes.py tests/vision/data/boxes.npz

(torchvision 0.28.0 with torch 2.13.0.) Names are `dtype/from/to`, `dtype/from/area` and
`dtype/from/iou`; what lies under `dtype/from` is the input.
"""

import sys

import numpy as np
import torch
from torchvision import ops

UPRIGHT, TURNED = ("xyxy", "xywh", "cxcywh"), ("xywhr", "cxcywhr", "xyxyxyxy")
torch.manual_seed(0)
found = {}
for dtype in ("float32", "float64", "int64"):
    corner, size = torch.rand(7, 2, dtype=torch.float64) * 40, torch.rand(7, 2) * 30 + 1
    start = {"xyxy": torch.cat([corner, corner + size], 1)}
    start["xywhr"] = torch.cat([corner, size, torch.rand(7, 1) * 360 - 180], 1)
    for formats, first in ((UPRIGHT, "xyxy"), (TURNED, "xywhr")):
        for source in formats:
            boxes = ops.box_convert(start[first], first, source).to(getattr(torch, dtype))
            found[f"{dtype}/{source}"] = boxes.numpy()
            for target in formats:
                changed = ops.box_convert(boxes, source, target)
                found[f"{dtype}/{source}/{target}"] = changed.numpy()
            if source in UPRIGHT:
                found[f"{dtype}/{source}/area"] = ops.box_area(boxes, fmt=source).numpy()
                found[f"{dtype}/{source}/iou"] = ops.box_iou(boxes, boxes, fmt=source).numpy()
np.savez_compressed(sys.argv[1], **found)
