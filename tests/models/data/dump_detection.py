"""What torchvision's Mask R-CNN says from seed 0, for tests/models/test_detection.py.

    /usr/bin/python3 tests/models/data/dump_detection.py tests/models/data/detection.npz

(Debian's python3-torchvision 0.14.1.) The weights are not stored: the same seed draws the same.
"""

import sys

import numpy as np
import torch
from torchvision.models.detection import MaskRCNN
from torchvision.models.detection.backbone_utils import resnet_fpn_backbone

draw = np.random.default_rng(0)
images = [draw.random((3, 60, 70), np.float32), draw.random((3, 64, 50), np.float32)]
masks = (draw.random((2, 60, 70)) < 0.5).astype(np.uint8)
boxes = np.array([[5, 8, 40, 50], [20, 3, 66, 44]], np.float32)

torch.manual_seed(0)
backbone = resnet_fpn_backbone(
    backbone_name="resnet18", weights=None, norm_layer=torch.nn.BatchNorm2d, trainable_layers=5
)
model = MaskRCNN(backbone, num_classes=4, min_size=64, max_size=80)
targets = [
    dict(boxes=torch.tensor(boxes), labels=torch.tensor([1, 3]), masks=torch.tensor(masks)),
    dict(
        boxes=torch.zeros(0, 4),
        labels=torch.zeros(0, dtype=torch.int64),
        masks=torch.zeros(0, 64, 50, dtype=torch.uint8),
    ),
]
found = {"keys": np.array(sorted(model.state_dict()))}
# Releases of PyTorch permute differently: the first anchors are drawn, not random ones.
torch.randperm = lambda count, **_: torch.arange(count)
losses = model([torch.tensor(image) for image in images], targets)
for name, value in losses.items():
    found[f"loss/{name}"] = value.detach().numpy()
sum(losses.values()).backward()
for name, parameter in model.named_parameters():
    found[f"grad/{name}"] = np.float64(parameter.grad.double().norm())
model.eval()
with torch.no_grad():
    out = model([torch.tensor(image) for image in images])
for place, each in enumerate(out):
    for name in ("boxes", "scores", "labels"):
        found[f"out/{place}/{name}"] = each[name][:20].numpy()
    found[f"out/{place}/count"] = np.int64(len(each["boxes"]))
    found[f"out/{place}/masks"] = each["masks"][:20].sum((1, 2, 3)).numpy()
np.savez_compressed(sys.argv[1], **found)
print({name: float(value) for name, value in losses.items()}, [len(each["boxes"]) for each in out])
