"""Tensors that say what they are, and how their type chooses what a transform does."""

import copy
import pickle
from collections import OrderedDict, defaultdict

import numpy as np
import pytest

import pellucid as torch
from pellucid.vision import tv_tensors
from pellucid.vision.transforms import v2
from pellucid.vision.transforms.v2 import functional as F

PilImage = pytest.importorskip("PIL.Image", reason="needs Pillow")


def boxes(data=((1.0, 2.0, 5.0, 6.0),), format="XYXY", canvas=(8, 10), **more):
    return tv_tensors.BoundingBoxes(data, format=format, canvas_size=canvas, **more)


# -- the tensors


def test_images_come_from_anything():
    pixels = np.arange(24, dtype=np.uint8).reshape(2, 4, 3)
    image = tv_tensors.Image(PilImage.fromarray(pixels))
    assert (tuple(image.shape), image.dtype) == ((3, 2, 4), torch.uint8)
    assert image[:, 1, 2].tolist() == pixels[1, 2].tolist()
    assert tuple(tv_tensors.Image(torch.rand(4, 5)).shape) == (1, 4, 5)
    assert tv_tensors.Mask([[0, 1]]).tolist() == [[0, 1]]
    assert tv_tensors.Image(torch.rand(1, 2, 2), dtype=torch.float64).dtype is torch.float64
    shared = torch.zeros(1, 2, 2)
    tv_tensors.Image(shared)[0, 0, 0] = 5.0
    assert shared[0, 0, 0].item() == 5.0


def test_operators_give_plain_tensors_and_four_keep_the_kind():
    found = boxes()
    assert type(found + 1) is torch.Tensor
    assert type(found[:, :2]) is torch.Tensor
    for kept in (found.clone(), found.to(torch.float64), found.detach(), copy.deepcopy(found)):
        assert type(kept) is tv_tensors.BoundingBoxes
        assert (kept.format, kept.canvas_size) == (found.format, (8, 10))
    assert found.requires_grad_() is found
    assert copy.deepcopy(found).requires_grad
    wrapped = tv_tensors.wrap(found + 1, like=found, canvas_size=(4, 4))
    assert (wrapped.canvas_size, wrapped.tolist()) == ((4, 4), [[2.0, 3.0, 6.0, 7.0]])
    assert type(tv_tensors.wrap(torch.rand(1, 2, 2), like=tv_tensors.Image(torch.rand(2, 2)))) is (
        tv_tensors.Image
    )


@pytest.mark.parametrize(
    "copied",
    [copy.copy, copy.deepcopy, lambda value: pickle.loads(pickle.dumps(value))],
    ids=["copy", "deepcopy", "pickle"],
)
def test_copies_know_what_boxes_know(copied):
    found = boxes(format="XYWH", clamping_mode="hard")
    found.source = ["a"]
    again = copied(found)
    assert type(again) is tv_tensors.BoundingBoxes
    assert again.format is tv_tensors.BoundingBoxFormat.XYWH
    assert (again.canvas_size, again.clamping_mode, again.source) == ((8, 10), "hard", ["a"])
    assert again.tolist() == found.tolist()


class OneSample(torch.utils.data.Dataset):
    def __len__(self):
        return 1

    def __getitem__(self, place):
        return boxes(format="CXCYWH", clamping_mode=None)


def test_boxes_come_whole_from_a_worker():
    (found,) = torch.utils.data.DataLoader(OneSample(), batch_size=None, num_workers=1)
    assert type(found) is tv_tensors.BoundingBoxes
    assert found.format is tv_tensors.BoundingBoxFormat.CXCYWH
    assert (found.canvas_size, found.clamping_mode) == ((8, 10), None)


def test_gradients_pass_through_the_kind():
    image = torch.rand(3, 6, 6, requires_grad=True)
    F.resize(tv_tensors.Image(image), [3, 3]).sum().backward()
    assert image.grad.abs().sum().item() > 0


def test_printing_tells_format_and_canvas():
    assert "format=BoundingBoxFormat.XYXY, canvas_size=(8, 10)" in repr(boxes())
    assert repr(tv_tensors.Image(torch.zeros(1, 1, 1))).startswith("Image(")


@pytest.mark.parametrize(
    ("words", "call"),
    [
        ("must be 2D or higher, got 1D", lambda: tv_tensors.Image([1.0])),
        ("at least 4D .* got 3D", lambda: tv_tensors.Video(torch.rand(2, 3, 4))),
        ("have 4 numbers, these have 5", lambda: boxes([[1.0, 2, 3, 4, 5]])),
        ("Expected a 1D or 2D tensor, got 3D", lambda: boxes(torch.rand(1, 1, 4))),
        ("no format of boxes 'LTRB'", lambda: boxes(format="LTRB")),
        ("with an angle", lambda: boxes(torch.rand(1, 5), format="XYWHR")),
        (r"must be \(height, width\)", lambda: boxes(canvas=8)),
        ("None, hard or soft", lambda: boxes(clamping_mode="firm")),
    ],
)
def test_what_is_no_such_tensor(words, call):
    with pytest.raises(ValueError, match=words):
        call()


# -- dispatch


def test_the_type_chooses():
    image, mask, found = tv_tensors.Image(torch.rand(3, 8, 10)), torch.zeros(8, 10), boxes()
    mask[2:6, 1:5] = 7
    for part in (image, tv_tensors.Mask(mask), found):
        assert type(F.horizontal_flip(part)) is type(part)
    assert F.horizontal_flip(found).tolist() == [[5.0, 2.0, 9.0, 6.0]]
    grown = F.resize(tv_tensors.Mask(mask), [16, 20])
    assert grown.unique().tolist() == [0.0, 7.0]
    assert F.get_size(found) == F.get_size(image) == F.get_size(tv_tensors.Mask(mask)) == [8, 10]
    assert F.to_dtype(tv_tensors.Mask(mask), torch.uint8, scale=True).max().item() == 7
    five = F.five_crop(image, 4)
    assert {type(part) for part in five} == {tv_tensors.Image}
    assert F.hflip(inpt=image).tolist() == F.hflip(image).tolist()


def test_what_has_no_kernel_is_refused_alone_and_handed_on_in_a_sample():
    found = boxes()
    with pytest.raises(TypeError, match=r"F.adjust_hue supports inputs of type .* but got"):
        F.adjust_hue(found, 0.1)
    _, kept = v2.ColorJitter(0.5)(tv_tensors.Image(torch.rand(3, 4, 4)), found)
    assert kept is found


def test_programs_add_kinds_of_their_own():
    class Points(tv_tensors.TVTensor):
        pass

    @F.register_kernel("horizontal_flip", Points)
    def flip(points):
        return tv_tensors.wrap(-points, like=points)

    points = torch.ones(2).as_subclass(Points)
    assert v2.RandomHorizontalFlip(1.0)(points).tolist() == [-1.0, -1.0]
    assert v2.RandomVerticalFlip(1.0)(points) is points
    with pytest.raises(ValueError, match="builtin tv_tensor classes"):
        F.register_kernel(F.resize, tv_tensors.Mask)
    with pytest.raises(ValueError, match="only be registered on functionals"):
        F.register_kernel(len, Points)
    with pytest.raises(ValueError, match=r"subclasses of torchvision\.tv_tensors"):
        F.register_kernel(F.resize, int)


def test_transforms_of_programs():
    class Brighter(v2.Transform):
        def make_params(self, flat_inputs):
            return {"by": len(flat_inputs)}

        def transform(self, inpt, params):
            return inpt + params["by"] if isinstance(inpt, tv_tensors.Image) else inpt

    image, label = Brighter()(tv_tensors.Image(torch.zeros(1, 2, 2)), torch.tensor(3))
    assert (image.sum().item(), label.item()) == (4.0, 3)


# -- samples


def test_structures_survive():
    sample = OrderedDict(image=tv_tensors.Image(torch.rand(3, 8, 10)), rest=(1, None, ["a"]))
    found = v2.Resize(4)(sample)
    assert type(found) is OrderedDict
    assert found["rest"] == (1, None, ["a"])
    counted = defaultdict(list, image=torch.rand(3, 8, 10))
    assert v2.Resize(4)(counted).default_factory is list


def test_a_label_that_is_a_tensor_stays():
    image, label = torch.rand(3, 8, 10), torch.ones(3, 8, 10)
    found, same = v2.Resize(4)(image, label)
    assert tuple(found.shape) == (3, 4, 5)
    assert same is label
    first, again = v2.Resize(4)(label, tv_tensors.Image(image))
    assert first is label
    assert tuple(again.shape) == (3, 4, 5)


def test_element_types_by_kind():
    image, mask = tv_tensors.Image(torch.ones(1, 2, 2)), tv_tensors.Mask(torch.ones(2, 2))
    make = v2.ToDtype({tv_tensors.Mask: torch.int64, "others": None})
    found = make(image, mask)
    assert (found[0].dtype, found[1].dtype) == (torch.float32, torch.int64)
    assert v2.ToDtype(torch.float64)(image, mask)[1].dtype is torch.float32
    with pytest.raises(ValueError, match="No dtype was specified for type"):
        v2.ToDtype({tv_tensors.Mask: torch.int64})(image)
    with pytest.raises(ValueError, match=r"must be a dict or a torch\.dtype"):
        v2.ToDtype("float32")
    plain = v2.ToPureTensor()(image, mask, boxes(), "name")
    assert [type(part) for part in plain] == [torch.Tensor] * 3 + [str]


def test_frames_of_a_video():
    video = tv_tensors.Video(torch.arange(10.0).reshape(10, 1, 1, 1))
    found = v2.UniformTemporalSubsample(4)(video)
    assert (type(found), found.flatten().tolist()) == (tv_tensors.Video, [0, 3, 6, 9])


def test_labels_are_found():
    make, found = v2.SanitizeBoundingBoxes(), boxes([[0.0, 0, 4, 4], [1, 1, 1, 1]])
    _, target = make(torch.rand(3, 8, 10), {"boxes": found, "class_label": torch.tensor([7, 8])})
    assert target["class_label"].tolist() == [7]
    both = v2.SanitizeBoundingBoxes(labels_getter=lambda sample: (sample["a"], sample["b"]))
    done = both({"boxes": found, "a": torch.tensor([1, 2]), "b": torch.tensor([[3], [4]])})
    assert (done["a"].tolist(), done["b"].tolist()) == ([1], [[3]])
    masks = tv_tensors.Mask(torch.zeros(2, 8, 10))
    done = v2.SanitizeBoundingBoxes(labels_getter=None)(found, masks, tv_tensors.Mask([[1, 2]]))
    assert [tuple(part.shape) for part in done] == [(1, 4), (1, 8, 10), (1, 2)]


def sized(image, canvas):
    return tv_tensors.Image(torch.rand(3, *image)), boxes(canvas=canvas)


@pytest.mark.parametrize(
    ("error", "words", "call"),
    [
        (
            ValueError,
            "No bounding boxes were found",
            lambda: v2.SanitizeBoundingBoxes()(1, {"labels": None}),
        ),
        (
            ValueError,
            "Could not infer where the labels",
            lambda: v2.SanitizeBoundingBoxes()({"boxes": boxes()}),
        ),
        (
            ValueError,
            "must match the number of labels",
            lambda: v2.SanitizeBoundingBoxes()({"boxes": boxes(), "labels": torch.ones(2)}),
        ),
        (
            ValueError,
            "must be a tensor or None, got <class 'int'>",
            lambda: v2.SanitizeBoundingBoxes()({"boxes": boxes(), "labels": [1]}),
        ),
        (
            ValueError,
            "should either be 'default'",
            lambda: v2.SanitizeBoundingBoxes(labels_getter=3),
        ),
        (ValueError, "min_size must be >= 1", lambda: v2.SanitizeBoundingBoxes(min_size=0.5)),
        (TypeError, "and bounding boxes", lambda: v2.RandomIoUCrop()(torch.rand(3, 4, 4))),
        (
            ValueError,
            r"multiple HxW dimensions in the sample: \(8, 10\), \(9, 10\)",
            lambda: v2.RandomCrop(4)(*sized((9, 10), (8, 10))),
        ),
        (ValueError, "Invalid side range", lambda: v2.RandomZoomOut(side_range=(0.5, 2))),
        (
            ValueError,
            "`old_format` has to be passed",
            lambda: F.convert_bounding_box_format(torch.rand(1, 4), new_format="XYWH"),
        ),
        (ValueError, "must not be passed", lambda: F.clamp_bounding_boxes(boxes(), format="XYXY")),
        (
            TypeError,
            "bounding box tv_tensor, but got",
            lambda: F.clamp_bounding_boxes(tv_tensors.Mask([[1]])),
        ),
        (
            ValueError,
            "'reflect' is not supported with bounding boxes",
            lambda: F.pad(boxes(), 1, padding_mode="reflect"),
        ),
        (
            ValueError,
            "does not support PIL images",
            lambda: v2.MixUp(num_classes=2)(PilImage.new("L", (2, 2)), torch.ones(2)),
        ),
        (
            ValueError,
            "num_classes must be passed",
            lambda: v2.MixUp()(torch.rand(2, 3, 4, 4), torch.tensor([0, 1])),
        ),
        (
            ValueError,
            "Expected a batched input with 4 dims",
            lambda: v2.CutMix(num_classes=2)(torch.rand(3, 4, 4), torch.tensor([0, 1])),
        ),
        (
            ValueError,
            "does not match the batch size of the labels",
            lambda: v2.MixUp(num_classes=2)(torch.rand(3, 3, 4, 4), torch.tensor([0, 1])),
        ),
        (
            TypeError,
            "takes floating-point images",
            lambda: v2.MixUp(num_classes=2)(
                torch.zeros(2, 3, 4, 4, dtype=torch.uint8), torch.tensor([0, 1])
            ),
        ),
        (ValueError, "alpha must be greater than 0", lambda: v2.MixUp(alpha=0.0)),
        (
            TypeError,
            "BoundingBoxes are not supported by RandAugment",
            lambda: v2.RandAugment()(torch.zeros(3, 8, 10, dtype=torch.uint8), boxes()),
        ),
        (TypeError, "Found no image", lambda: v2.AutoAugment()(3)),
        (
            TypeError,
            "only properly defined for a single image",
            lambda: v2.AugMix()(tv_tensors.Image([[1]]), tv_tensors.Image([[1]])),
        ),
        (ValueError, "is not recognized", lambda: v2.AutoAugment("imagenet")),
        (ValueError, "magnitude should be from 0", lambda: v2.RandAugment(magnitude=40)),
        (ValueError, r"severity must be between \[1, 10\]", lambda: v2.AugMix(severity=11)),
        (TypeError, "quality must be a whole number", lambda: v2.JPEG(0.5)),
        (ValueError, "from 1 to 100", lambda: v2.JPEG(0)),
        (
            ValueError,
            "sigma shouldn't be negative",
            lambda: F.gaussian_noise(torch.rand(1, 2, 2), sigma=-1.0),
        ),
        (ValueError, "Pass at least one transform", lambda: v2.Compose([])),
        (ValueError, "Length of p", lambda: v2.RandomChoice([v2.RGB()], p=[0.5, 0.5])),
        (
            ValueError,
            "exactly four corners",
            lambda: F.perspective(torch.rand(1, 4, 4), [[0, 0]], [[0, 0]]),
        ),
        (
            ValueError,
            "displacement shape should be",
            lambda: F.elastic(torch.rand(1, 4, 4), torch.zeros(1, 2, 2, 2)),
        ),
        (ValueError, "no interpolation 'linear'", lambda: v2.Resize(4, "linear")),
        (
            ValueError,
            "unsupported with Tensor input",
            lambda: F.rotate(torch.rand(1, 4, 4), 3.0, v2.InterpolationMode.BICUBIC),
        ),
        (
            ValueError,
            r"number of channels of the image \(2 != 3\)",
            lambda: F.rotate(torch.rand(3, 4, 4), 3.0, fill=[1, 2]),
        ),
        (
            ValueError,
            "does not match number of channels: 2 != 3",
            lambda: F.permute_channels(torch.rand(3, 2, 2), [0, 1]),
        ),
    ],
)
def test_what_is_refused(error, words, call):
    with pytest.raises(error, match=words):
        call()


def test_noise_and_jpeg():
    torch.manual_seed(0)
    image = torch.full((3, 64, 64), 0.5)
    noisy = v2.GaussianNoise(0.1, 0.05)(image)
    assert noisy.mean().item() == pytest.approx(0.6, abs=0.005)
    assert noisy.std().item() == pytest.approx(0.05, abs=0.005)
    as_bytes = v2.GaussianNoise()(torch.full((1, 64, 64), 128, dtype=torch.uint8))
    assert as_bytes.float().std().item() == pytest.approx(25.5, abs=1.5)
    smooth = torch.arange(64, dtype=torch.uint8).expand(3, 64, 64)
    kept = F.jpeg(smooth, 95)
    assert (kept.int() - smooth.int()).abs().max().item() <= 6
    assert not torch.equal(F.jpeg(smooth, 5), kept)
    assert F.jpeg(PilImage.new("RGB", (8, 8), "red"), 90).size == (8, 8)


def test_grey_and_channels():
    grey = torch.rand(1, 4, 4)
    assert torch.equal(v2.RGB()(grey), grey.expand(3, 4, 4))
    image = torch.rand(3, 4, 4)
    assert torch.equal(F.permute_channels(image, [2, 0, 1]), image[[2, 0, 1]])
    assert torch.equal(F.horizontal_flip(F.horizontal_flip(image)), image)
