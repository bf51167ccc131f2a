"""Layers of vision models: pyramids, poolers, deformable convolution, blocks that drop."""

import numpy as np
import pytest

import pellucid as torch
from pellucid.autograd import gradcheck
from pellucid.vision import ops
from tests.vision.reference import under

NAMES = ["input", "offset", "weight", "bias", "mask"]
OPTIONS = {"stride": (2, 1), "padding": (2, 0), "dilation": (2, 1)}


def test_deformable_convolution_is_torchvisions():
    found = under("deform")
    inputs = {name: torch.tensor(found[name], requires_grad=True) for name in NAMES}
    out = ops.deform_conv2d(**inputs, **OPTIONS)
    np.testing.assert_allclose(out.detach().numpy(), found["out"], atol=1e-10)
    grads = torch.autograd.grad(out, list(inputs.values()), torch.tensor(found["probe"]))
    for name, grad in zip(NAMES, grads, strict=True):
        np.testing.assert_allclose(grad.numpy(), found[f"grad/{name}"], atol=1e-9, err_msg=name)


def test_deformable_convolution_without_offsets_is_convolution():
    torch.manual_seed(0)
    layer = ops.DeformConv2d(4, 6, 3, padding=1, groups=2)
    x = torch.rand(2, 4, 5, 7)
    out = layer(x, torch.zeros(2, 18, 5, 7))
    plain = torch.nn.functional.conv2d(x, layer.weight, layer.bias, padding=1, groups=2)
    torch.testing.assert_close(out, plain, rtol=1e-5, atol=1e-5)
    assert repr(layer) == (
        "DeformConv2d(4, 6, kernel_size=(3, 3), stride=(1, 1), padding=(1, 1), groups=2)"
    )


def test_deformable_convolution_refuses():
    layer = ops.DeformConv2d(4, 6, 3, padding=1)
    x, offset = torch.rand(2, 4, 5, 7), torch.zeros(2, 18, 5, 7)
    with pytest.raises(RuntimeError, match="the shape of the offset"):
        layer(x, offset[:, :2])
    with pytest.raises(RuntimeError, match=r"mask.shape\[1\] is not valid: got: 2 expected: 9"):
        layer(x, offset, torch.rand(2, 2, 5, 7))
    with pytest.raises(RuntimeError, match=r"offset output dims: \(4, 7\)"):
        layer(x, offset[:, :, :4])
    with pytest.raises(RuntimeError, match="invalid batch size of offset"):
        layer(x, offset[:1])
    with pytest.raises(ValueError, match="in_channels must be divisible by groups"):
        ops.DeformConv2d(4, 6, 3, groups=3)


def test_a_batch_without_images_gives_one_and_gradients():
    x = torch.zeros(0, 4, 5, 7, requires_grad=True)
    layer = ops.DeformConv2d(4, 6, 3, padding=1, groups=2)
    mask = torch.zeros(0, 9, 5, 7)
    out = layer(x, torch.zeros(0, 18, 5, 7), mask)
    assert tuple(out.shape) == (0, 6, 5, 7)
    out.sum().backward()
    assert tuple(x.grad.shape) == (0, 4, 5, 7)
    assert layer.weight.grad.abs().sum().item() == 0


def test_frozen_batch_norm_is_batch_norm_that_does_not_train():
    torch.manual_seed(0)
    state = {name: torch.rand(5) for name in ("weight", "bias", "running_mean", "running_var")}
    state["num_batches_tracked"] = torch.tensor(100)
    frozen, plain = ops.FrozenBatchNorm2d(5), torch.nn.BatchNorm2d(5).eval()
    frozen.load_state_dict(dict(state))
    plain.load_state_dict(state)
    x = torch.rand(2, 5, 4, 4)
    torch.testing.assert_close(frozen(x), plain(x), rtol=1e-5, atol=1e-6)
    assert list(frozen.parameters()) == []
    assert repr(frozen) == "FrozenBatchNorm2d(5, eps=1e-05)"


def test_pyramid_by_hand():
    torch.manual_seed(0)
    pyramid = ops.FeaturePyramidNetwork([3, 5], 4)
    fine, coarse = torch.rand(1, 3, 8, 6), torch.rand(1, 5, 4, 3)
    out = pyramid({"a": fine, "b": coarse})
    inner = pyramid.inner_blocks[1](coarse)
    torch.testing.assert_close(out["b"], pyramid.layer_blocks[1](inner))
    above = inner.repeat_interleave(2, 2).repeat_interleave(2, 3)
    expected = pyramid.layer_blocks[0](pyramid.inner_blocks[0](fine) + above)
    torch.testing.assert_close(out["a"], expected)
    assert list(pyramid.state_dict())[:2] == ["inner_blocks.0.0.weight", "inner_blocks.0.0.bias"]
    with pytest.raises(ValueError, match="made for 2 levels and got 1: a"):
        pyramid({"a": fine})


def test_pyramid_takes_checkpoints_of_version_one():
    pyramid = ops.FeaturePyramidNetwork([3], 4)
    old = {name.replace("blocks.0.0.", "blocks.0."): v for name, v in pyramid.state_dict().items()}
    other = ops.FeaturePyramidNetwork([3], 4)
    other.load_state_dict(old)
    x = {"a": torch.rand(1, 3, 4, 4)}
    assert torch.equal(other(x)["a"], pyramid(x)["a"])


def test_extra_levels():
    x = {"a": torch.rand(1, 3, 8, 8)}
    pooled = ops.feature_pyramid_network.LastLevelMaxPool()
    out = ops.FeaturePyramidNetwork([3], 4, pooled)(x)
    assert {name: tuple(v.shape) for name, v in out.items()} == {
        "a": (1, 4, 8, 8),
        "pool": (1, 4, 4, 4),
    }
    more = ops.feature_pyramid_network.LastLevelP6P7(4, 4)
    assert list(ops.FeaturePyramidNetwork([3], 4, more)(x)) == ["a", "p6", "p7"]
    with pytest.raises(TypeError, match="should be of type ExtraFPNBlock"):
        ops.FeaturePyramidNetwork([3], 4, torch.nn.ReLU())


def test_boxes_go_to_the_level_of_their_size():
    mapper = ops.poolers.LevelMapper(2, 5)
    sides = torch.tensor([10.0, 111.0, 112.0, 224.0, 447.0, 448.0, 5000.0])
    boxes = torch.stack([sides * 0, sides * 0, sides, sides], 1)
    assert mapper([boxes]).tolist() == [0, 0, 1, 2, 2, 3, 3]


def test_multi_scale_reads_each_box_from_its_level():
    torch.manual_seed(0)
    features = {"0": torch.rand(2, 3, 64, 64), "1": torch.rand(2, 3, 32, 32)}
    boxes = [torch.tensor([[10.0, 10, 60, 80]]), torch.tensor([[0.0, 0, 250, 230]])]
    pooler = ops.MultiScaleRoIAlign(["0", "1"], 5, 2, canonical_level=3, aligned=True)
    out = pooler(features, boxes, [(256, 256), (256, 200)])
    near = ops.roi_align(features["0"], [boxes[0], boxes[1][:0]], 5, 0.25, 2, True)
    far = ops.roi_align(features["1"], [boxes[0][:0], boxes[1]], 5, 0.125, 2, True)
    torch.testing.assert_close(out, torch.cat([near, far]))
    rounded = ops.MultiScaleRoIPool(["0", "1"], 5, canonical_level=3)
    expected = ops.roi_pool(features["0"], [boxes[0], boxes[1][:0]], 5, 0.25)
    assert torch.equal(rounded(features, boxes, [(256, 256), (256, 200)])[:1], expected)


def test_multi_scale_prints_as_torchvision():
    pooler = ops.MultiScaleRoIAlign(["0"], (7, 7), 2)
    assert repr(pooler) == (
        "MultiScaleRoIAlign(featmap_names=['0'], output_size=(7, 7), sampling_ratio=2)"
    )
    with pytest.raises(ValueError, match="none of the levels"):
        pooler({"x": torch.rand(1, 1, 4, 4)}, [torch.zeros(1, 4)], [(8, 8)])
    with pytest.raises(ValueError, match="images list should not be empty"):
        pooler({"0": torch.rand(1, 1, 4, 4)}, [], [])


def test_conv_norm_activation():
    layer = ops.Conv2dNormActivation(3, 8, kernel_size=5, stride=2)
    assert [type(part).__name__ for part in layer] == ["Conv2d", "BatchNorm2d", "ReLU"]
    assert layer[0].bias is None
    assert layer[0].padding == (2, 2)
    assert layer.out_channels == 8
    plain = ops.Conv2dNormActivation(3, 8, norm_layer=None, activation_layer=None)
    assert len(plain) == 1 and plain[0].bias is not None
    assert ops.Conv3dNormActivation(1, 2)(torch.rand(1, 1, 4, 4, 4)).shape == (1, 2, 4, 4, 4)


def test_squeeze_excitation_by_hand():
    layer = ops.SqueezeExcitation(4, 2)
    x = torch.rand(2, 4, 3, 3)
    mean = x.mean((2, 3), keepdim=True)
    scale = torch.sigmoid(layer.fc2(torch.relu(layer.fc1(mean))))
    torch.testing.assert_close(layer(x), scale * x)


def test_mlp_and_permute():
    layer = ops.MLP(3, [5, 2], norm_layer=torch.nn.LayerNorm, dropout=0.5)
    names = [type(part).__name__ for part in layer]
    assert names == ["Linear", "LayerNorm", "ReLU", "Dropout", "Linear", "Dropout"]
    assert ops.Permute([0, 2, 1])(torch.rand(2, 3, 4)).shape == (2, 4, 3)


@pytest.mark.parametrize("mode", ["batch", "row"])
def test_stochastic_depth(mode):
    torch.manual_seed(0)
    x = torch.ones(2000 if mode == "row" else 1, 2)
    assert torch.equal(ops.stochastic_depth(x, 0.0, mode), x)
    assert torch.equal(ops.stochastic_depth(x, 1.0, mode), torch.zeros_like(x))
    assert torch.equal(ops.StochasticDepth(0.5, mode).eval()(x), x)
    kept = ops.stochastic_depth(x, 0.25, mode)
    assert all(value in (0, pytest.approx(4 / 3)) for value in kept.unique().tolist())
    if mode == "row":
        assert abs(kept.mean().item() - 1) < 0.05
    with pytest.raises(ValueError, match="mode has to be either 'batch' or 'row'"):
        ops.stochastic_depth(x, 0.5, "column")
    with pytest.raises(ValueError, match="between 0 and 1, but got 2"):
        ops.stochastic_depth(x, 2, mode)


@pytest.mark.parametrize("dims", [2, 3])
def test_drop_block(dims):
    torch.manual_seed(0)
    x = torch.ones(4, 3, *[11] * dims)
    layer = (ops.DropBlock2d if dims == 2 else ops.DropBlock3d)(0.3, 11)
    for image in layer(x).flatten(0, 1):
        assert image.count_nonzero().item() in (0, 11**dims)
    some = (ops.drop_block2d if dims == 2 else ops.drop_block3d)(x, 0.2, 3)
    assert 0.1 < (some == 0).float().mean().item() < 0.3
    assert some.mean().item() == pytest.approx(1, abs=1e-4)
    assert layer.eval()(x) is x
    with pytest.raises(ValueError, match=r"dimensional\. Got 1 dimensions"):
        layer.train()(torch.ones(3))


def test_region_gradients_flow_through_a_pyramid():
    torch.manual_seed(0)
    pooler = ops.MultiScaleRoIAlign(["a", "b"], 2, 2, canonical_scale=8, canonical_level=0)
    boxes = [torch.tensor([[0.5, 0.5, 3, 3], [0, 0, 15, 14]], dtype=torch.float64)]
    a = torch.rand(1, 2, 16, 16, dtype=torch.float64, requires_grad=True)
    b = torch.rand(1, 2, 8, 8, dtype=torch.float64, requires_grad=True)
    assert gradcheck(
        lambda x, y: pooler({"a": x, "b": y}, boxes, [(16, 16)]), (a, b), fast_mode=True
    )
