"""Boxes, suppression and losses against torchvision's answers, and what they refuse."""

import numpy as np
import pytest

import pellucid as torch
from pellucid.autograd import gradcheck
from pellucid.vision import ops
from tests.vision.reference import FILE, under

FORMATS = ("xyxy", "xywh", "cxcywh")
PAIRS = ("generalized_box_iou", "distance_box_iou", "complete_box_iou")


def pairs():
    found = under("pairs")
    return torch.tensor(found["a"]), torch.tensor(found["b"])


@pytest.mark.parametrize("name", ["box_iou", *PAIRS])
def test_overlap_of_every_pair(name):
    found = getattr(ops, name)(*pairs())
    np.testing.assert_allclose(found.numpy(), under("pairs")[name], rtol=1e-6, atol=1e-6)


@pytest.mark.parametrize("name", [f"{name}_loss" for name in PAIRS])
def test_losses_and_their_gradients(name):
    a, b = pairs()
    a.requires_grad_()
    loss = getattr(ops, name)(a, b)
    loss.sum().backward()
    found = under("pairs")
    np.testing.assert_allclose(loss.detach().numpy(), found[name], rtol=1e-6, atol=1e-6)
    np.testing.assert_allclose(a.grad.numpy(), found[f"{name}_grad"], rtol=1e-5, atol=1e-6)


@pytest.mark.parametrize("name", [f"{name}_loss" for name in PAIRS])
def test_losses_reduce(name):
    loss, (a, b) = getattr(ops, name), pairs()
    each = loss(a, b)
    torch.testing.assert_close(loss(a, b, reduction="sum"), each.sum())
    torch.testing.assert_close(loss(a, b, reduction="mean"), each.mean())
    nothing = torch.empty(0, 4, requires_grad=True)
    mean = loss(nothing, torch.empty(0, 4), reduction="mean")
    mean.backward()
    assert mean.item() == 0.0
    assert nothing.grad.shape == (0, 4)
    with pytest.raises(ValueError, match="Invalid Value for arg 'reduction'"):
        loss(a, b, reduction="xyz")


def test_known_overlaps_of_whole_numbers():
    a = torch.tensor([[0, 0, 100, 100], [0, 0, 50, 50], [200, 200, 300, 300], [0, 0, 25, 25]])
    expected = torch.tensor([[1.0, 0.25, 0.0], [0.25, 1.0, 0.0], [0, 0, 1.0], [0.0625, 0.25, 0]])
    for dtype in (torch.int16, torch.int32, torch.int64, torch.float32):
        torch.testing.assert_close(ops.box_iou(a.to(dtype), a[:3].to(dtype)), expected)
    halves = (a / 10).half()
    assert ops.box_iou(halves, halves).dtype is torch.float32  # areas overflow in half


def test_area_in_enough_precision():
    box = torch.tensor([[0, 0, 100, 100]], dtype=torch.int8)
    assert ops.box_area(box).item() == 10000
    assert ops.box_area(torch.tensor([[5.0, 5, 4, 3]]), fmt="cxcywh").item() == 12.0


@pytest.mark.parametrize("in_fmt", FORMATS)
@pytest.mark.parametrize("out_fmt", FORMATS)
def test_conversion_there_and_back(in_fmt, out_fmt):
    boxes = torch.tensor([[0, 0, 100, 100], [10, 15, 30, 35], [23, 35, 93, 95]]).float()
    there = ops.box_convert(boxes, in_fmt, out_fmt)
    torch.testing.assert_close(ops.box_convert(there, out_fmt, in_fmt), boxes)
    assert there.data_ptr() != boxes.data_ptr()


def test_conversion_by_example():
    box = torch.tensor([[10.0, 15, 30, 35]])
    assert ops.box_convert(box, "xyxy", "xywh").tolist() == [[10, 15, 20, 20]]
    assert ops.box_convert(box, "xyxy", "cxcywh").tolist() == [[20, 25, 20, 20]]
    with pytest.raises(ValueError, match="Unsupported Bounding Box Conversions"):
        ops.box_convert(box, "xwyh", "xyxy")


CONVERTED = np.load(FILE.with_name("boxes.npz"))


@pytest.mark.parametrize("name", [name for name in CONVERTED.files if name.count("/") == 2])
def test_every_format_is_torchvisions(name):
    dtype, source, target = name.split("/")
    boxes, expected = torch.tensor(CONVERTED[f"{dtype}/{source}"]), CONVERTED[name]
    if target in ("area", "iou"):
        arguments = (boxes,) if target == "area" else (boxes, boxes)
        found = getattr(ops, f"box_{target}")(*arguments, fmt=source)
    else:
        found = ops.box_convert(boxes, source, target)
    assert found.numpy().dtype == expected.dtype
    tolerance = 1e-12 if dtype == "float64" else 3e-6
    np.testing.assert_allclose(found.numpy(), expected, rtol=tolerance, atol=tolerance * 40)


def test_a_turned_box_by_hand():
    box = torch.tensor([[10.0, 20, 4, 2, 90]])  # from (10, 20) four up, two to the right
    corners = ops.box_convert(box, "xywhr", "xyxyxyxy")
    expected = torch.tensor([[10.0, 20, 10, 16, 12, 16, 12, 20]])
    torch.testing.assert_close(corners, expected, atol=1e-6, rtol=1e-6)
    assert ops.box_convert(box, "xywhr", "cxcywhr")[0, :2].tolist() == pytest.approx([11, 18])


def test_rows_that_are_no_boxes():
    five, four, masks = torch.rand(2, 5), torch.rand(2, 4), torch.ones(3, 3)
    for call in (
        lambda: ops.box_area(five),
        lambda: ops.box_iou(four, five),
        lambda: ops.generalized_box_iou(five, five),
        lambda: ops.box_convert(five, "xyxy", "xywh"),
        lambda: ops.clip_boxes_to_image(five, (4, 4)),
        lambda: ops.remove_small_boxes(five, 1.0),
        lambda: ops.batched_nms(five, torch.rand(2), torch.zeros(2), 0.5),
    ):
        with pytest.raises(ValueError, match=r"must have 4 columns, got shape \[2, 5\]"):
            call()
    for loss in PAIRS:
        with pytest.raises(ValueError, match=r"pairs of boxes must be .* \[2, 4\] and \[2, 5\]"):
            getattr(ops, f"{loss}_loss")(four, five)
    with pytest.raises(ValueError, match="must have 8 columns"):
        ops.box_convert(five, "xyxyxyxy", "xywhr")
    with pytest.raises(TypeError, match="boxes must be a Tensor, not list"):
        ops.box_area([[0, 0, 1, 1]])
    with pytest.raises(NotImplementedError, match="has an angle and the other has not"):
        ops.box_convert(five, "xywhr", "xyxy")
    with pytest.raises(ValueError, match="Unsupported Bounding Box area for given format xywhr"):
        ops.box_area(five, fmt="xywhr")
    with pytest.raises(ValueError, match=r"size must be \(height, width\), got 4"):
        ops.clip_boxes_to_image(four, 4)
    with pytest.raises(ValueError, match=r"one category for each box, got shape \[3\]"):
        ops.batched_nms(four, torch.rand(2), torch.zeros(3), 0.5)
    with pytest.raises(ValueError, match=r"must be \(N, H, W\), got shape \[3, 3\]"):
        ops.masks_to_boxes(masks)


def test_clipping_and_small_boxes():
    boxes = torch.tensor([[-5.0, -5, 20, 8], [3, 3, 3.5, 9], [1, 1, 6, 7]])
    assert ops.clip_boxes_to_image(boxes, (6, 10)).tolist() == [
        [0, 0, 10, 6],
        [3, 3, 3.5, 6],
        [1, 1, 6, 6],
    ]
    assert ops.remove_small_boxes(boxes, 1.0).tolist() == [0, 2]


@pytest.mark.parametrize("seed", range(3))
def test_nms_keeps_what_torchvision_keeps(seed):
    found = under(f"nms/{seed}")
    boxes, scores = torch.tensor(found["boxes"]), torch.tensor(found["scores"])
    for threshold in (0.0, 0.3, 0.5, 0.9):
        kept = ops.nms(boxes, scores, threshold)
        assert kept.dtype is torch.int64
        assert kept.tolist() == found[f"keep/{threshold}"].tolist()
    idxs = torch.tensor(found["idxs"])
    assert ops.batched_nms(boxes, scores, idxs, 0.3).tolist() == found["batched"].tolist()


def test_both_ways_of_batched_nms_agree():
    torch.manual_seed(0)
    boxes = torch.cat((torch.rand(1000, 2), torch.rand(1000, 2) + 10), dim=1)
    scores, idxs = torch.rand(1000), torch.randint(0, 4, (1000,))
    plain = ops.boxes._batched_nms_vanilla(boxes, scores, idxs, 0.9)
    moved = ops.boxes._batched_nms_coordinate_trick(boxes, scores, idxs, 0.9)
    assert plain.tolist() == moved.tolist()
    empty = torch.empty((0,), dtype=torch.int64)
    assert torch.equal(ops.batched_nms(empty, None, None, None), empty)


def test_nms_of_odd_boxes():
    same = torch.tensor([[0.0, 0, 1, 1]] * 3)
    assert ops.nms(same, torch.tensor([0.1, 0.9, 0.9]), 0.5).tolist() == [1]
    points = torch.zeros(2, 4)  # 0 / 0: no overlap
    assert ops.nms(points, torch.tensor([0.5, 0.6]), 0.5).tolist() == [1, 0]
    assert ops.nms(torch.empty(0, 4), torch.empty(0), 0.5).tolist() == []
    assert ops.nms(same, torch.tensor([0.1, torch.nan, torch.inf]), 0.5).tolist() == [1]


@pytest.mark.parametrize(
    ("boxes", "scores", "words"),
    [
        ((4,), (3,), "boxes should be a 2d tensor, got 1D"),
        ((3, 5), (3,), "boxes should have 4 elements in dimension 1, got 5"),
        ((3, 4), (3, 2), "scores should be a 1d tensor, got 2D"),
        ((3, 4), (4,), "same number of elements in dimension 0, got 3 and 4"),
    ],
)
def test_nms_refuses(boxes, scores, words):
    with pytest.raises(RuntimeError, match=words):
        ops.nms(torch.rand(boxes), torch.rand(scores), 0.5)


def test_nms_refuses_two_dtypes():
    with pytest.raises(RuntimeError, match="dets should have the same type as scores"):
        ops.nms(torch.rand(3, 4), torch.rand(3).double(), 0.5)


def test_masks_to_boxes():
    masks = torch.zeros(2, 8, 9)
    masks[0, 2:5, 3:8] = 1
    masks[1, 0, 0] = 0.5
    for dtype in (torch.float32, torch.float64, torch.uint8):
        found = ops.masks_to_boxes(torch.ceil(masks).to(dtype))
        assert found.dtype is torch.float32
        assert found.tolist() == [[3, 2, 7, 4], [0, 0, 0, 0]]
    assert ops.masks_to_boxes(torch.zeros(0, 8, 9)).shape == (0, 4)
    masks[1] = 0
    with pytest.raises(RuntimeError, match="mask 1 is empty"):
        ops.masks_to_boxes(masks)


def test_focal_loss_is_weighted_cross_entropy():
    torch.manual_seed(0)
    x = torch.randn(7, 3, dtype=torch.float64, requires_grad=True)
    y = torch.randint(0, 2, (7, 3)).double()
    entropy = torch.nn.functional.binary_cross_entropy_with_logits(x, y, reduction="none")
    plain = ops.sigmoid_focal_loss(x, y, alpha=-1, gamma=0)
    torch.testing.assert_close(plain, entropy)
    p = torch.sigmoid(x)
    weight = torch.where(y == 1, 0.25 * (1 - p) ** 2, 0.75 * p**2)
    torch.testing.assert_close(ops.sigmoid_focal_loss(x, y), weight * entropy)
    assert gradcheck(lambda z: ops.sigmoid_focal_loss(z, y, reduction="sum"), (x,))
    with pytest.raises(ValueError, match="Invalid Value for arg 'reduction'"):
        ops.sigmoid_focal_loss(x, y, 0.25, 2, "xyz")
    with pytest.raises(ValueError, match="Invalid alpha value: 2"):
        ops.sigmoid_focal_loss(x, y, alpha=2)
