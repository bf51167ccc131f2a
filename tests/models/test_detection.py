"""Detectors against torchvision's from the same seed, their parts by hand, and what they refuse."""

import math
from pathlib import Path

import numpy as np
import pytest

import pellucid as torch
from pellucid.models import detection, get_model
from pellucid.models.detection import _utils
from pellucid.models.detection.anchor_utils import AnchorGenerator
from pellucid.models.detection.backbone_utils import resnet_fpn_backbone
from pellucid.models.detection.image_list import ImageList
from pellucid.models.detection.masks import paste_masks_in_image, project_masks_on_boxes
from pellucid.models.detection.transform import GeneralizedRCNNTransform
from pellucid.vision.ops import MultiScaleRoIPool

FOUND = np.load(Path(__file__).parent / "data" / "detection.npz")


def scene():
    """Two images; two objects with masks on the first, nothing on the second."""
    draw = np.random.default_rng(0)
    images = [draw.random((3, 60, 70), np.float32), draw.random((3, 64, 50), np.float32)]
    masks = (draw.random((2, 60, 70)) < 0.5).astype(np.uint8)
    boxes = np.array([[5, 8, 40, 50], [20, 3, 66, 44]], np.float32)
    some = {
        "boxes": torch.tensor(boxes),
        "labels": torch.tensor([1, 3]),
        "masks": torch.tensor(masks),
    }
    none = {
        "boxes": torch.zeros(0, 4),
        "labels": torch.zeros(0, dtype=torch.int64),
        "masks": torch.zeros(0, 64, 50, dtype=torch.uint8),
    }
    return [torch.tensor(image) for image in images], [some, none]


@pytest.fixture(scope="module")
def trained_once():
    """The model of tests/models/data/dump_detection.py after one backward pass, and its losses."""
    torch.manual_seed(0)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18", norm_layer=torch.nn.BatchNorm2d, trainable_layers=5
    )
    model = detection.MaskRCNN(backbone, num_classes=4, min_size=64, max_size=80)
    with pytest.MonkeyPatch.context() as patch:
        # Releases of PyTorch permute differently: the first anchors are drawn, not random ones.
        patch.setattr(torch, "randperm", torch.arange)
        losses = model(*scene())
    sum(losses.values()).backward()
    return model, losses


def test_parameters_have_torchvisions_names(trained_once):
    assert sorted(trained_once[0].state_dict()) == FOUND["keys"].tolist()


def test_the_same_seed_gives_torchvisions_losses(trained_once):
    for name, value in trained_once[1].items():
        assert value.item() == pytest.approx(float(FOUND[f"loss/{name}"]), rel=2e-4), name


def test_the_same_seed_gives_torchvisions_gradients(trained_once):
    for name, parameter in trained_once[0].named_parameters():
        expected = float(FOUND[f"grad/{name}"])
        # A pixel that falls on the other side of a maximum or a ReLU moves a gradient a little.
        assert parameter.grad.double().norm().item() == pytest.approx(expected, rel=5e-3), name


def test_the_same_seed_gives_torchvisions_detections(trained_once):
    model = trained_once[0].eval()
    with torch.no_grad():
        out = model(scene()[0])
    for place, found in enumerate(out):
        assert len(found["boxes"]) == int(FOUND[f"out/{place}/count"])
        np.testing.assert_allclose(
            found["scores"][:20].numpy(), FOUND[f"out/{place}/scores"], atol=1e-4
        )
        assert found["masks"].shape[1:] == (1, *scene()[0][place].shape[1:])
    model.train()


# -- parts by hand


def test_anchors_by_hand():
    generator = AnchorGenerator(((32,), (64,)), ((0.5, 1.0, 2.0),) * 2)
    assert generator.cell_anchors[0].tolist() == [
        [-23.0, -11.0, 23.0, 11.0],
        [-16.0, -16.0, 16.0, 16.0],
        [-11.0, -23.0, 11.0, 23.0],
    ]
    batch = ImageList(torch.zeros(2, 3, 32, 48), [(32, 48), (30, 40)])
    anchors = generator(batch, [torch.zeros(2, 8, 4, 6), torch.zeros(2, 8, 2, 3)])
    assert len(anchors) == 2
    assert anchors[0].shape == (3 * (24 + 6), 4)
    # Cell (row 1, column 2) of the first level: stride 8.
    assert anchors[0][(1 * 6 + 2) * 3 + 1].tolist() == [0.0, -8.0, 32.0, 24.0]
    with pytest.raises(ValueError, match="2 levels of sizes and 1 of aspect_ratios"):
        AnchorGenerator(((32,), (64,)), ((1.0,),))
    with pytest.raises(AssertionError, match="anchors for 2 levels, and the features have 1"):
        generator(batch, [torch.zeros(2, 8, 4, 6)])


def test_plain_numbers_are_a_size_a_level_and_aspects_of_all():
    short = AnchorGenerator((16, 32), (0.5, 1.0))
    long = AnchorGenerator(((16,), (32,)), ((0.5, 1.0),) * 2)
    assert (short.sizes, short.aspect_ratios) == (long.sizes, long.aspect_ratios)


def test_box_coder_there_and_back():
    coder = _utils.BoxCoder((10.0, 10.0, 5.0, 5.0))
    proposals = torch.tensor([[0.0, 0, 10, 20], [5, 5, 25, 15]])
    truth = torch.tensor([[2.0, 1, 14, 21], [4, 6, 30, 12]])
    codes = coder.encode([truth], [proposals])[0]
    # Equation 2 by hand: centres (8, 11) and (5, 10), sizes 12 x 20 and 10 x 20.
    by_hand = [10 * 3 / 10, 10 * 1 / 20, 5 * math.log(12 / 10), 0.0]
    assert codes[0].tolist() == pytest.approx(by_hand, abs=1e-5)
    torch.testing.assert_close(coder.decode(codes, [proposals])[:, 0], truth, rtol=1e-5, atol=1e-4)
    far = coder.decode(torch.full((2, 4), 1e6), [proposals])
    assert far.isfinite().all()


def test_matcher_by_hand():
    overlap = torch.tensor([[0.9, 0.4, 0.1, 0.0], [0.2, 0.45, 0.2, 0.29]])
    assert _utils.Matcher(0.7, 0.3)(overlap).tolist() == [0, -2, -1, -1]
    # The second object's best box, of 0.45, answers for it all the same.
    assert _utils.Matcher(0.7, 0.3, True)(overlap).tolist() == [0, 1, -1, -1]
    with pytest.raises(ValueError, match="No ground-truth boxes available"):
        _utils.Matcher(0.7, 0.3)(torch.zeros(0, 4))
    with pytest.raises(ValueError, match="low_threshold should be <= high_threshold"):
        _utils.Matcher(0.3, 0.7)


def test_sampler_balances():
    torch.manual_seed(0)
    labels = torch.tensor([1.0] * 10 + [0.0] * 50 + [-1.0] * 5)
    positive, negative = _utils.BalancedPositiveNegativeSampler(16, 0.25)([labels])
    assert (positive[0].sum().item(), negative[0].sum().item()) == (4, 12)
    assert labels[positive[0].bool()].unique().tolist() == [1.0]
    assert labels[negative[0].bool()].unique().tolist() == [0.0]


def test_masks_to_boxes_and_back():
    mask = torch.zeros(1, 20, 30)
    mask[0, 4:12, 6:22] = 1
    box = torch.tensor([[6.0, 4, 22, 12]])
    small = project_masks_on_boxes(mask, box, torch.tensor([0]), 28)
    assert small.shape == (1, 28, 28)
    assert small[0, 2:-6, 2:-4].min().item() == 1.0  # read half a pixel too far, as the paper did
    again = paste_masks_in_image(small[:, None], box, (20, 30))
    shared = ((again[0, 0] > 0.5) & (mask[0] > 0)).sum().item()
    assert shared / ((again[0, 0] > 0.5) | (mask[0] > 0)).sum().item() > 0.8
    outside = paste_masks_in_image(small[:, None], box + 100, (20, 30))
    assert outside.sum().item() == 0
    assert paste_masks_in_image(torch.zeros(0, 1, 28, 28), torch.zeros(0, 4), (5, 6)).shape == (
        0,
        1,
        5,
        6,
    )


def test_transform_there_and_back():
    change = GeneralizedRCNNTransform(32, 100, [0.0] * 3, [1.0] * 3).eval()
    image, boxes = torch.rand(3, 16, 24), torch.tensor([[2.0, 4, 10, 12]])
    batch, targets = change([image], [{"boxes": boxes, "masks": torch.ones(1, 16, 24)}])
    assert batch.image_sizes == [(32, 48)]
    assert tuple(batch.tensors.shape) == (1, 3, 32, 64)
    assert targets[0]["boxes"].tolist() == [[4, 8, 20, 24]]
    assert tuple(targets[0]["masks"].shape) == (1, 32, 48)
    back = change.postprocess([{"boxes": targets[0]["boxes"]}], [(32, 48)], [(16, 24)])
    assert back[0]["boxes"].tolist() == boxes.tolist()
    with pytest.raises(TypeError, match="to be of floating type"):
        change([torch.zeros(3, 4, 4, dtype=torch.uint8)])
    with pytest.raises(ValueError, match="list of 3d tensors"):
        change([torch.zeros(1, 3, 4, 4)])


# -- models


def small(name="fasterrcnn_resnet18_fpn"):
    return get_model(name, num_classes=3, min_size=32, max_size=40)


def test_roi_pooling_in_place_of_roi_align():
    torch.manual_seed(0)
    pool = MultiScaleRoIPool(["0", "1", "2", "3"], 7)
    model = get_model(
        "fasterrcnn_resnet18_fpn", num_classes=3, min_size=64, max_size=64, box_roi_pool=pool
    )
    assert model.roi_heads.box_roi_pool is pool
    image = torch.rand(3, 64, 64)
    truth = {"boxes": torch.tensor([[4.0, 4, 20, 24]]), "labels": torch.tensor([1])}
    losses = model([image], [truth])
    sum(losses.values()).backward()
    assert all(value.isfinite() for value in losses.values())
    assert model.backbone.body.conv1.weight.grad.abs().sum().item() > 0


def test_old_and_new_checkpoints_load(tmp_path):
    model = small("maskrcnn_resnet18_fpn")
    state = model.state_dict()
    old = {}
    for name, value in state.items():
        name = name.replace("rpn.head.conv.0.0.", "rpn.head.conv.")
        for kind in ("inner_blocks", "layer_blocks"):
            for level in range(4):
                name = name.replace(f"{kind}.{level}.0.", f"{kind}.{level}.")
        for layer in range(4):
            name = name.replace(f"mask_head.{layer}.0.", f"mask_head.mask_fcn{layer + 1}.")
        old[name] = value
    assert old.keys() != state.keys()
    torch.save(old, tmp_path / "old.pth")
    # A model with weights keeps its normalisation as it is: their counters are not needed.
    found = get_model(
        "maskrcnn_resnet18_fpn", weights=tmp_path / "old.pth", min_size=32, max_size=40
    )
    assert found.roi_heads.box_predictor.cls_score.out_features == 3
    for name, value in found.state_dict().items():
        assert torch.equal(value, state[name]), name
    with pytest.raises(ValueError, match="has a head of 3 classes"):
        get_model("maskrcnn_resnet18_fpn", weights=old, num_classes=5)
    with pytest.raises(FileNotFoundError, match="opens no network connections"):
        detection.fasterrcnn_resnet50_fpn(weights="COCO_V1")


@pytest.mark.parametrize(
    ("error", "words", "target"),
    [
        (ValueError, "should have positive height and width", {"boxes": [[5.0, 5, 5, 9]]}),
        (ValueError, "should have positive height and width", {"boxes": [[1.0, 1, math.nan, 9]]}),
        (ValueError, r"tensor of shape \[N, 4\]", {"boxes": [[5.0, 5, 9]]}),
        (ValueError, "1 boxes and 2 labels", {"boxes": [[1.0, 1, 5, 5]], "labels": [1, 1]}),
        (TypeError, "of int64 type, instead got", {"boxes": [[1.0, 1, 5, 5]], "labels": [1.0]}),
    ],
)
def test_targets_that_are_refused(error, words, target):
    model = small()
    made = {
        "labels": torch.tensor(target.get("labels", [1])),
        "boxes": torch.tensor(target["boxes"]),
    }
    with pytest.raises(error, match=words):
        model([torch.rand(3, 32, 32)], [made])


def test_masks_that_are_refused():
    model = get_model("maskrcnn_resnet18_fpn", num_classes=2, min_size=32, max_size=32)
    target = {"boxes": torch.tensor([[1.0, 1, 5, 5]]), "labels": torch.tensor([1])}
    with pytest.raises(ValueError, match=r"targets\[0\] lacks masks"):
        model([torch.rand(3, 32, 32)], [target])
    target["masks"] = torch.ones(1, 8, 8)
    with pytest.raises(ValueError, match=r"masks must be \(1, 32, 32\).* got \(1, 8, 8\)"):
        model([torch.rand(3, 32, 32)], [target])


def test_calls_that_are_refused():
    model = small()
    with pytest.raises(ValueError, match="targets should not be none when in training mode"):
        model([torch.rand(3, 32, 32)])
    with pytest.raises(ValueError, match="1 images and 0 targets"):
        model([torch.rand(3, 32, 32)], [])
    with pytest.raises(ValueError, match=r"targets\[0\] lacks boxes, labels"):
        model([torch.rand(3, 32, 32)], [{}])
    with pytest.raises(ValueError, match="num_classes should be None when box_predictor"):
        detection.FasterRCNN(model.backbone)
    with pytest.raises(ValueError, match="attribute out_channels"):
        detection.FasterRCNN(torch.nn.ReLU(), 3)
    with pytest.raises(ValueError, match="Trainable layers should be in the range"):
        resnet_fpn_backbone(backbone_name="resnet18", trainable_layers=6)
