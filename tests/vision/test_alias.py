"""`import torchvision` under the alias: a program that trains on pictures finds what it needs."""

import subprocess
import sys
import textwrap

PROGRAM = """
import pellucid.compat
pellucid.compat.install()
import importlib.metadata, importlib.util
import torch, torchvision
import torchvision.transforms as T
import torchvision.transforms.functional as TF
from torchvision import datasets, io, models, ops, transforms, tv_tensors, utils
from torchvision.ops import MultiScaleRoIAlign, box_iou, nms, roi_align
from torchvision.ops.feature_pyramid_network import LastLevelMaxPool
from torchvision.ops.misc import FrozenBatchNorm2d
from torchvision.transforms import InterpolationMode, v2
from torchvision.transforms.v2 import functional as F2
from torchvision.datasets.folder import default_loader

assert importlib.util.find_spec("torchvision") is not None
assert torchvision.__version__.startswith("0.28")
assert importlib.metadata.version("torchvision").startswith("0.28")
assert torchvision.ops.roi_align is roi_align
assert torchvision.models is models and callable(models.resnet18)
half = (0.5,) * 3
pipeline = T.Compose([T.RandomCrop(24, padding=2), T.ToTensor(), T.Normalize(half, half)])
data = datasets.FakeData(8, (3, 28, 28), 5, transform=pipeline)
loader = torch.utils.data.DataLoader(data, batch_size=4)
model = models.resnet18(num_classes=5)
for images, labels in loader:
    loss = torch.nn.functional.cross_entropy(model(images), labels)
    loss.backward()
x = torch.rand(1, 4, 8, 8, requires_grad=True)
roi_align(x, [torch.tensor([[0.0, 0, 5, 6]])], 3).sum().backward()
assert x.grad is not None
boxes = torch.tensor([[0.0, 0, 2, 2], [0, 0, 1, 2]])
marked = tv_tensors.BoundingBoxes(boxes, format="XYXY", canvas_size=(8, 8))
assert v2.RandomHorizontalFlip(1.0)(marked)[1].tolist() == [7, 0, 8, 2]
print(tuple(images.shape), box_iou(boxes, boxes)[0, 1].item())
"""


def test_a_program_that_imports_torchvision():
    done = subprocess.run(
        [sys.executable, "-c", textwrap.dedent(PROGRAM)], capture_output=True, text=True
    )
    assert done.returncode == 0, done.stderr
    assert done.stdout == "(4, 3, 24, 24) 0.5\n"
