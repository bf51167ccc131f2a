"""Grids, boxes and masks drawn on images; files read and written."""

import numpy as np
import pytest

import pellucid as torch
from pellucid.vision import io, utils

Image = pytest.importorskip("PIL.Image", reason="needs Pillow")


def test_grid_by_hand():
    images = torch.arange(5.0).reshape(5, 1, 1, 1).expand(5, 1, 2, 3)
    grid = utils.make_grid(images, nrow=3, padding=1, pad_value=9.0)
    assert tuple(grid.shape) == (3, 2 * 3 + 1, 3 * 4 + 1)
    assert grid[0, 1].tolist() == [9, 0, 0, 0, 9, 1, 1, 1, 9, 2, 2, 2, 9]
    assert grid[0, 4].tolist() == [9, 3, 3, 3, 9, 4, 4, 4, 9, 9, 9, 9, 9]
    assert grid[0, 0].unique().tolist() == [9]


def test_grid_of_other_inputs():
    assert tuple(utils.make_grid(torch.rand(4, 5)).shape) == (3, 4, 5)
    assert tuple(utils.make_grid([torch.rand(3, 4, 5)] * 2).shape) == (3, 8, 16)
    both = utils.make_grid(torch.tensor([[[[2.0, 4]]], [[[0.0, 10]]]]), normalize=True, padding=0)
    assert both[0, 0].tolist() == pytest.approx([0.2, 0.4, 0.0, 1.0])
    each = utils.make_grid(
        torch.tensor([[[[2.0, 4]]], [[[0.0, 10]]]]), normalize=True, scale_each=True, padding=0
    )
    assert each[0, 0].tolist() == pytest.approx([0, 1, 0, 1])
    with pytest.raises(TypeError, match="tensor or list of tensors expected"):
        utils.make_grid("x")


def test_save_image(tmp_path):
    x = torch.tensor([0.0, 0.5, 1.0, 2.0]).reshape(1, 1, 1, 4)
    utils.save_image(x, tmp_path / "a.png")
    assert np.asarray(Image.open(tmp_path / "a.png"))[0, :, 0].tolist() == [0, 128, 255, 255]
    with pytest.raises(ValueError, match=r"unknown file extension: \.what"):
        utils.save_image(x, tmp_path / "a.what")
    assert [path.name for path in tmp_path.iterdir()] == ["a.png"]


def test_boxes_are_drawn():
    image = torch.zeros(3, 20, 20, dtype=torch.uint8)
    boxes = torch.tensor([[2.0, 3, 10, 12], [5, 5, 18, 18]])
    found = utils.draw_bounding_boxes(image, boxes, colors=["red", (0, 0, 255)])
    assert found[:, 3, 2].tolist() == [255, 0, 0]
    assert found[:, 18, 18].tolist() == [0, 0, 255]
    assert image.sum().item() == 0
    filled = utils.draw_bounding_boxes(image, boxes[:1], labels=["a"], colors="red", fill=True)
    assert filled[0, 10, 4].item() > 50
    gray = utils.draw_bounding_boxes(torch.zeros(1, 20, 20), boxes, width=2)
    assert (tuple(gray.shape), gray.dtype) == ((3, 20, 20), torch.float32)
    assert gray.max().item() <= 1.0
    with pytest.warns(UserWarning, match="No box was drawn"):
        assert torch.equal(utils.draw_bounding_boxes(image, torch.empty(0, 4)), image)
    with pytest.warns(UserWarning, match="'font_size' will be ignored"):
        utils.draw_bounding_boxes(image, boxes, ["a", "b"], font_size=9)


def test_labels_have_colours_of_their_own():
    image, box = torch.zeros(3, 30, 40, dtype=torch.uint8), torch.tensor([[2.0, 3, 38, 28]])
    inked = utils.draw_bounding_boxes(image, box, ["X"], "red", label_colors="lime")
    assert inked[1].max().item() > 200
    assert inked[0, 3, 20].item() == 255
    ground = utils.draw_bounding_boxes(
        image, box, ["X"], "red", label_background_colors=["blue"], fill_labels=True
    )
    assert (ground[2] == 255).sum().item() > 20


def test_boxes_that_are_refused():
    image = torch.zeros(3, 20, 20, dtype=torch.uint8)
    box = torch.tensor([[2.0, 3, 10, 12]])
    draw = utils.draw_bounding_boxes
    with pytest.raises(TypeError, match="Tensor expected"):
        draw("x", box)
    with pytest.raises(ValueError, match="image dtype must be uint8 or float"):
        draw(image.long(), box)
    with pytest.raises(ValueError, match="individual images, not batches"):
        draw(image[None], box)
    with pytest.raises(ValueError, match="Only grayscale and RGB"):
        draw(image[:2], box)
    with pytest.raises(ValueError, match="Boxes need to be in"):
        draw(image, box[:, [2, 3, 0, 1]])
    with pytest.raises(ValueError, match="boxes must be finite"):
        draw(image, box * float("nan"))
    with pytest.raises(ValueError, match=r"labels \(2\) mismatch"):
        draw(image, box, labels=["a", "b"])
    with pytest.raises(ValueError, match="Number of colors"):
        draw(image, box.repeat(2, 1), colors=["red"])


def test_masks_are_laid_over():
    image = torch.full((3, 4, 4), 100, dtype=torch.uint8)
    masks = torch.zeros(2, 4, 4, dtype=torch.bool)
    masks[0, :2] = True
    masks[1, 1:3, 1:3] = True
    found = utils.draw_segmentation_masks(image, masks, 0.5, ["red", "blue"])
    assert found[:, 0, 0].tolist() == [177, 50, 50]
    assert found[:, 2, 1].tolist() == [50, 50, 177]
    assert found[:, 1, 1].tolist() == [50, 50, 50]  # both: black
    assert found[:, 3, 3].tolist() == [100, 100, 100]
    smooth = utils.draw_segmentation_masks(image / 255, masks, 0.5, ["red", "blue"])
    torch.testing.assert_close(smooth, found / 255, atol=0.005, rtol=0)
    with pytest.warns(UserWarning, match="No mask was drawn"):
        assert utils.draw_segmentation_masks(image, masks[:0]) is image
    with pytest.raises(ValueError, match="must be of dtype bool"):
        utils.draw_segmentation_masks(image, masks.float())
    with pytest.raises(ValueError, match="same height and width"):
        utils.draw_segmentation_masks(image, masks[:, :3])


def test_keypoints_are_drawn():
    image = torch.zeros(3, 20, 20, dtype=torch.uint8)
    points = torch.tensor([[[5.0, 5], [15, 5], [15, 15]]])
    found = utils.draw_keypoints(image, points, [(0, 1)], colors="red", radius=1)
    assert found[0, 5, 10].item() == 255
    assert found[0, 15, 15].item() == 255
    hidden = utils.draw_keypoints(
        image, points, [(0, 1)], colors="red", visibility=torch.tensor([[1, 0, 1]])
    )
    assert hidden[0, 5, 10].item() == 0
    with pytest.raises(ValueError, match="must be of shape"):
        utils.draw_keypoints(image, points[0])
    with pytest.raises(ValueError, match="must have the same dimensionality"):
        utils.draw_keypoints(image, points, visibility=torch.ones(1, 4))
    with pytest.raises(ValueError, match="Pass an RGB image"):
        utils.draw_keypoints(image[:1], points)


FLOW = [[255, 0, 0], [255, 229, 0], [0, 209, 255], [87, 0, 255], [255, 255, 255], [255, 127, 127]]


def test_flow_in_colours():
    x = torch.tensor([3.0, 0, -3, 0, 0, 1.5])[None]
    y = torch.tensor([0.0, 3, 0, -3, 0, 0])[None]
    found = utils.flow_to_image(torch.stack([x, y]))[:, 0].T.tolist()
    # torchvision 0.28's
    assert found == FLOW
    with pytest.raises(ValueError, match="should have shape"):
        utils.flow_to_image(torch.rand(3, 4, 4))
    with pytest.raises(ValueError, match=r"should be of dtype torch\.float"):
        utils.flow_to_image(torch.rand(2, 4, 4).double())


def test_png_there_and_back(tmp_path):
    torch.manual_seed(0)
    image = torch.randint(0, 256, (3, 5, 7), dtype=torch.uint8)
    io.write_png(image, tmp_path / "a.png")
    assert torch.equal(io.read_image(tmp_path / "a.png"), image)
    assert torch.equal(io.decode_image(io.encode_png(image)), image)
    gray = io.read_image(str(tmp_path / "a.png"), io.ImageReadMode.GRAY)
    assert tuple(gray.shape) == (1, 5, 7)
    assert tuple(io.read_image(tmp_path / "a.png", "rgb_alpha").shape) == (4, 5, 7)
    smooth = torch.full((3, 16, 16), 77, dtype=torch.uint8)
    io.write_jpeg(smooth, tmp_path / "a.jpg", 90)
    assert (io.read_image(tmp_path / "a.jpg").int() - 77).abs().max().item() <= 2


def test_files_that_are_refused(tmp_path):
    with pytest.raises(RuntimeError, match="No such file"):
        io.read_image(tmp_path / "none.png")
    (tmp_path / "a.png").write_bytes(b"\x89PNG no")
    with pytest.raises(RuntimeError, match="no image that can be decoded"):
        io.read_image(tmp_path / "a.png")
    image = torch.zeros(3, 5, 7, dtype=torch.uint8)
    whole = io.encode_png(image)
    with pytest.raises(RuntimeError, match="no image that can be decoded"):
        io.decode_image(whole[: len(whole) // 2])
    with pytest.raises(RuntimeError, match="non-empty 1-dimensional uint8"):
        io.decode_image(torch.rand(3))
    with pytest.raises(RuntimeError, match="dtype should be uint8"):
        io.encode_png(torch.rand(3, 4, 4))
    with pytest.raises(RuntimeError, match="channels should be 1 or 3"):
        io.encode_png(image[:2])
    with pytest.raises(RuntimeError, match="Parent directory"):
        io.write_png(image, tmp_path / "none" / "a.png")
