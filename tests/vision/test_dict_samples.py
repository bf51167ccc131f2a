"""Samples as dicts: conversions leave boxes, masks and labels alone; there may be no objects."""

import numpy as np
import pytest

import pellucid as torch
from pellucid.vision import tv_tensors
from pellucid.vision.transforms import v2

PilImage = pytest.importorskip("PIL.Image", reason="needs Pillow")


def sample(image):
    boxes = tv_tensors.BoundingBoxes([[0, 0, 2, 2]], format="XYXY", canvas_size=(4, 5))
    masks = tv_tensors.Mask(torch.zeros(1, 4, 5))
    return {"image": image, "boxes": boxes, "masks": masks, "labels": torch.tensor([3])}


PIXELS = np.arange(60, dtype=np.uint8).reshape(4, 5, 3)


def pure():
    return torch.from_numpy(PIXELS.transpose(2, 0, 1).copy())


def rest_is_kept(out, given):
    assert all(out[name] is given[name] for name in ("boxes", "masks", "labels"))


@pytest.mark.parametrize("make", [lambda: PilImage.fromarray(PIXELS), pure], ids=["pillow", "pure"])
def test_to_image_makes_images_of_images_only(make):
    given = sample(make())
    out = v2.ToImage()(given)
    assert type(out["image"]) is tv_tensors.Image
    assert np.array_equal(out["image"].numpy().transpose(1, 2, 0), PIXELS)
    rest_is_kept(out, given)
    again = v2.ToImage()(out)
    assert again["image"] is out["image"]
    assert v2.ToImage()(given["boxes"]) is given["boxes"]


def test_arrays_are_images():
    given = {**sample(PIXELS), "labels": 3}
    for transform in (v2.ToImage(), v2.ToTensor(), v2.ToPILImage()):
        out = transform(given)
        rest_is_kept(out, given)
        found = out["image"]
        shape = np.asarray(found).shape if isinstance(found, PilImage.Image) else found.shape
        assert tuple(shape) == ((4, 5, 3) if isinstance(found, PilImage.Image) else (3, 4, 5))


def test_pillow_and_back():
    given = sample(PilImage.fromarray(PIXELS))
    out = v2.PILToTensor()(given)
    assert type(out["image"]) is torch.Tensor
    assert out["image"].tolist() == pure().tolist()
    rest_is_kept(out, given)
    back = v2.ToPILImage()(out)
    assert back["image"].tobytes() == given["image"].tobytes()
    rest_is_kept(back, given)
    assert v2.ToPILImage()(sample(tv_tensors.Image(pure())))["image"].size == (5, 4)
    with pytest.raises(TypeError, match="no image among the inputs"):
        v2.PILToTensor()({"labels": 3, "name": "a"})


def test_whitening():
    image = tv_tensors.Image(torch.arange(6.0).reshape(1, 2, 3))
    given = sample(image)
    out = v2.LinearTransformation(2 * torch.eye(6), torch.ones(6))(given)
    assert type(out["image"]) is tv_tensors.Image
    assert out["image"].tolist() == (2 * (image - 1)).tolist()
    rest_is_kept(out, given)
    batch = v2.LinearTransformation(torch.eye(6), torch.zeros(6))(torch.rand(0, 1, 2, 3))
    assert tuple(batch.shape) == (0, 1, 2, 3)
    with pytest.raises(ValueError, match=r"incompatible shape. 1 x 2 x 3 != 4"):
        v2.LinearTransformation(torch.eye(4), torch.zeros(4))(image)
    with pytest.raises(TypeError, match="put ToImage"):
        v2.LinearTransformation(torch.eye(4), torch.zeros(4))(PilImage.new("L", (2, 2)))


def test_frames_are_taken_of_videos_only():
    given = sample(tv_tensors.Video(torch.arange(5.0).reshape(5, 1, 1, 1)))
    out = v2.UniformTemporalSubsample(3)(given)
    assert out["image"].flatten().tolist() == [0, 2, 4]
    rest_is_kept(out, given)
    assert v2.UniformTemporalSubsample(3)(given["masks"]) is given["masks"]


GEOMETRY = {
    "resize": lambda: v2.Resize((3, 4)),
    "short": lambda: v2.RandomShortestSize(4),
    "jitter": lambda: v2.ScaleJitter((8, 8)),
    "part": lambda: v2.RandomResizedCrop(3),
    "rotation": lambda: v2.RandomRotation((30, 30), expand=True),
    "affine": lambda: v2.RandomAffine(20),
    "perspective": lambda: v2.RandomPerspective(p=1.0),
    "elastic": lambda: v2.ElasticTransform(sigma=1.0),
    "pad": lambda: v2.Pad(2),
    "edge": lambda: v2.Pad(2, padding_mode="edge"),
    "symmetric": lambda: v2.Pad(2, padding_mode="symmetric"),
    "centre": lambda: v2.CenterCrop(30),
    "out": lambda: v2.RandomZoomOut(p=1.0),
    "flip": lambda: v2.RandomHorizontalFlip(1.0),
}


@pytest.mark.parametrize("kind", [torch.bool, torch.uint8, torch.float32], ids=str)
@pytest.mark.parametrize("name", GEOMETRY)
def test_masks_of_no_objects_follow_their_image(name, kind):
    image = tv_tensors.Image(torch.rand(3, 20, 24))
    masks = tv_tensors.Mask(torch.zeros(0, 20, 24, dtype=kind))
    torch.manual_seed(0)
    out = GEOMETRY[name]()({"image": image, "masks": masks})
    assert type(out["masks"]) is tv_tensors.Mask
    assert out["masks"].dtype is kind
    assert tuple(out["masks"].shape) == (0, *out["image"].shape[-2:])


@pytest.mark.parametrize("name", ["resize", "rotation", "affine", "perspective", "pad", "edge"])
def test_batches_of_no_images(name):
    assert tuple(GEOMETRY[name]()(torch.rand(2, 0, 3, 20, 24)).shape[:-2]) == (2, 0, 3)


def test_bytes_of_no_images():
    none = torch.zeros(0, 3, 4, 5, dtype=torch.uint8)
    for done in (v2.functional.equalize(none), v2.functional.jpeg(none, 50)):
        assert (tuple(done.shape), done.dtype) == ((0, 3, 4, 5), torch.uint8)


def boxes_on(*canvas):
    return tv_tensors.BoundingBoxes([[0.0, 0, 2, 2]], format="XYXY", canvas_size=canvas)


F = v2.functional


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (ValueError, "positive, got 0", lambda: F.affine(boxes_on(4, 5), 0, [0, 0], 0, 0)),
        (ValueError, "positive, got -1", lambda: F.affine(boxes_on(4, 5), 0, [0, 0], -1, 0)),
        (
            ValueError,
            "positive, got nan",
            lambda: F.affine(torch.rand(1, 4, 5), 0, [0, 0], float("nan"), 0),
        ),
        (ValueError, "of length 2", lambda: F.affine(boxes_on(4, 5), 0, [0], 1, 0)),
        (ValueError, "cannot be inverted", lambda: F.affine(boxes_on(4, 5), 0, [0, 0], 1e200, 0)),
        (ValueError, "no pixels in 0 x 0", lambda: F.resize(boxes_on(0, 0), [4, 4])),
        (ValueError, "no pixels in 0 x 5", lambda: F.resize(boxes_on(0, 5), 4)),
        (ValueError, "no pixels in 0 x 0", lambda: F.resize(boxes_on(0, 0), None, max_size=4)),
        (ValueError, "no pixels in 0 x 5", lambda: F.resize(torch.rand(3, 0, 5), 4)),
        (
            ValueError,
            "no pixels in 0 x 0",
            lambda: F.elastic(boxes_on(0, 0), torch.zeros(1, 0, 0, 2)),
        ),
        (ValueError, "must be > 0, got 0 and 0", lambda: F.resize(boxes_on(4, 5), [0, 0])),
        (ValueError, "one above it", lambda: v2.RandomChoice([v2.RGB()], p=[0])),
        (ValueError, "at least 0", lambda: v2.RandomChoice([v2.RGB(), v2.RGB()], p=[-1, 2])),
        (ValueError, "at least 0", lambda: v2.RandomChoice([v2.RGB()], p=[float("nan")])),
        (TypeError, "Compose was called without a sample", lambda: v2.Compose([v2.RGB()])()),
        (TypeError, "RandomOrder was called without", lambda: v2.RandomOrder([v2.RGB()])()),
        (TypeError, "RandomApply was called without", lambda: v2.RandomApply([v2.RGB()])()),
        (TypeError, "RandomChoice was called without", lambda: v2.RandomChoice([v2.RGB()])()),
    ],
)
def test_bad_input_is_explained(error, words, call):
    with pytest.raises(error, match=words):
        call()
