"""What torchvision's second edition makes of samples, for the tests beside this folder.

    python tests/vision/data/dump_samples.py tests/vision/data/samples.npz

(torchvision 0.28.0 with torch 2.13.0.) The transforms are those of
`tests/vision/sample_cases.py`; the file holds every part of every result, by name and seed.
"""

import json
import sys
import warnings
from pathlib import Path

import numpy as np
import torch
import torchvision
from PIL import Image
from torchvision import transforms, tv_tensors
from torchvision.transforms import v2

sys.path.insert(0, str(Path(__file__).parents[1]))
import sample_cases as cases

warnings.simplefilter("ignore")
found, facts = {}, {"version": torchvision.__version__}
for name, make in cases.SAMPLES.items():
    for kind, layout, fractions in cases.LAYOUTS:
        for seed in cases.SEEDS:
            sample = cases.parts(torch, tv_tensors, kind, layout, fractions)
            torch.manual_seed(seed)
            out = make(v2, tv_tensors)(sample)
            key, boxes = f"{name}/{kind}/{layout}/{seed}", out["boxes"]
            found[f"{key}/image"], found[f"{key}/masks"] = (
                out["image"].numpy(),
                out["masks"].numpy(),
            )
            facts[key] = {
                "boxes": boxes.tolist(),
                "canvas": boxes.canvas_size,
                "format": boxes.format.name,
                "labels": out["labels"].tolist(),
            }
for edition in (transforms, v2):
    for name, make in cases.IMAGES.items():
        for kind in ("pillow", "bytes"):
            for seed in cases.IMAGE_SEEDS:
                image = Image.fromarray(cases.large())
                if kind == "bytes":
                    image = torch.from_numpy(cases.large().transpose(2, 0, 1).copy())
                torch.manual_seed(seed)
                out = np.asarray(make(edition)(image))
                found[f"{edition.__name__.rsplit('.', 1)[1]}/{name}/{kind}/{seed}"] = out
for name, make in cases.BATCHES.items():
    for seed in cases.SEEDS:
        torch.manual_seed(seed)
        images, labels = torch.rand(4, 2, 6, 7), torch.tensor([0, 3, 1, 4])
        if name.endswith("shares"):
            labels = torch.rand(4, 5)
        out = make(v2)(images, labels)
        found[f"{name}/{seed}/images"], found[f"{name}/{seed}/labels"] = (x.numpy() for x in out)
found["facts"] = np.array(json.dumps(facts))
np.savez_compressed(sys.argv[1], **found)
