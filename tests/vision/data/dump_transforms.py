"""What torchvision's transforms make of one image, for the tests beside this folder.

    python tests/vision/data/dump_transforms.py tests/vision/data/transforms.npz

(torchvision 0.28.0 with torch 2.13.0.) The list of transforms is `tests/vision/transform_cases.py`;
for each the file holds what becomes of a Pillow image and of a uint8 and a float32 tensor, after
`torch.manual_seed(0)`.
"""

import importlib.util
import sys
from pathlib import Path

import numpy as np
import torch
from PIL import Image
from torchvision import transforms

here = Path(__file__).parents[1] / "transform_cases.py"
spec = importlib.util.spec_from_file_location("transform_cases", here)
cases = importlib.util.module_from_spec(spec)
spec.loader.exec_module(cases)

found = {}
pixels = cases.picture()
for name, make, kinds in cases.CASES:
    for kind in kinds:
        image = Image.fromarray(pixels)
        if kind != "pillow":
            image = torch.from_numpy(pixels.transpose(2, 0, 1).copy())
            image = image.float() / 255 if kind == "float" else image
        torch.manual_seed(0)
        out = make(transforms)(image)
        for part, each in enumerate(out if isinstance(out, tuple) else (out,)):
            array = each.numpy() if isinstance(each, torch.Tensor) else np.asarray(each)
            found[f"{name}/{kind}/{part}"] = array
np.savez_compressed(sys.argv[1], **found)
