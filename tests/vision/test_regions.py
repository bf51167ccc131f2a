"""RoI operators against torchvision's answers, over boxes drawn at random and hostile ones."""

import numpy as np
import pytest

import pellucid as torch
from pellucid.autograd import gradcheck, gradgradcheck
from pellucid.vision import ops
from tests.vision.reference import region_cases, under

CASES = list(region_cases())
TOLERANCE = {"float32": 1e-6, "float64": 1e-12}


def run(operator, number, keywords, dtype):
    double = under(f"{operator}/{number}/float64")
    kind = getattr(torch, dtype)
    x = torch.tensor(double["input"], dtype=kind, requires_grad=True)
    boxes = torch.tensor(double["boxes"], dtype=kind)
    out = getattr(ops, operator)(x, boxes, **keywords)
    probe = torch.tensor(double["probe"], dtype=kind)
    (grad,) = torch.autograd.grad(out, x, probe)
    return out.detach().numpy(), grad.numpy(), x


@pytest.mark.parametrize("dtype", ["float32", "float64"])
@pytest.mark.parametrize(("operator", "number", "keywords"), CASES)
def test_values_and_gradients_are_torchvisions(operator, number, keywords, dtype):
    out, grad, _ = run(operator, number, keywords, dtype)
    expected = under(f"{operator}/{number}/{dtype}")
    # Float32 gradients sum what many bins say of a cell: their rounding grows with that sum.
    most = np.abs(expected["grad"]).max()
    np.testing.assert_allclose(out, expected["out"], rtol=1e-6, atol=TOLERANCE[dtype])
    if operator != "ps_roi_pool":
        np.testing.assert_allclose(grad, expected["grad"], rtol=1e-6, atol=TOLERANCE[dtype] * most)


@pytest.mark.parametrize("case", [case for case in CASES if case[0] == "ps_roi_pool"])
def test_ps_roi_pool_gradient_is_that_of_its_values(case):
    """torchvision's backward clips bins one cell later than its forward: not the same bins."""
    _, number, keywords = case
    double = under(f"ps_roi_pool/{number}/float64")
    boxes = torch.tensor(double["boxes"])
    x = torch.tensor(double["input"], requires_grad=True)
    assert gradcheck(lambda z: ops.ps_roi_pool(z, boxes, **keywords), (x,))


# -- gradients


def some_boxes(dtype=None):
    return torch.tensor(
        [[0, 0.3, 0.2, 4.1, 3.7], [1, -1.2, 1.0, 2.2, 5.9], [0, 2.0, 2.0, 2.0, 4.0]], dtype=dtype
    )


def region_functions():
    boxes = some_boxes(torch.float64)
    for aligned in (False, True):
        for ratio in (0, 2):
            for mode in ("avg", "max"):
                yield lambda x, a=aligned, r=ratio, m=mode: ops.roi_align(x, boxes, 2, 1.0, r, a, m)
    yield lambda x: ops.roi_pool(x, boxes, 2)
    yield lambda x: ops.ps_roi_align(x, boxes, 2, sampling_ratio=2)
    yield lambda x: ops.ps_roi_pool(x, boxes, 2)


@pytest.mark.parametrize("function", list(region_functions()))
def test_gradients_of_first_and_second_order(function):
    torch.manual_seed(0)
    x = torch.rand(2, 4, 5, 6, dtype=torch.float64, requires_grad=True)
    assert gradcheck(function, (x,))
    assert gradgradcheck(function, (x,))


def test_boxes_have_no_gradient():
    x = torch.rand(2, 1, 5, 6, requires_grad=True)
    boxes = some_boxes().requires_grad_()
    ops.roi_align(x, boxes, 2).sum().backward()
    assert boxes.grad is None
    assert x.grad.shape == x.shape


# -- the same answer however it is asked


@pytest.mark.parametrize("function", [ops.roi_align, ops.roi_pool])
def test_boxes_as_a_list_or_a_tensor(function):
    x = torch.rand(2, 3, 6, 7)
    rows = torch.tensor([[0, 1.0, 1.0, 4.0, 5.0], [1, 0.0, 2.0, 3.0, 3.0], [1, 2.0, 1.0, 6.0, 4.0]])
    listed = function(x, [rows[:1, 1:], rows[1:, 1:]], (2, 3))
    assert torch.equal(listed, function(x, rows, (2, 3)))
    assert torch.equal(listed, function(x, (rows[:1, 1:], rows[1:, 1:]), (2, 3)))


def test_an_image_without_boxes():
    x = torch.rand(2, 3, 6, 7)
    some = torch.tensor([[1.0, 1.0, 4.0, 5.0]])
    out = ops.roi_align(x, [torch.empty(0, 4), some], 2)
    assert torch.equal(out, ops.roi_align(x[1:], [some], 2))
    assert ops.roi_align(x, [torch.empty(0, 4)] * 2, 2).shape == (0, 3, 2, 2)
    assert ops.roi_pool(x, torch.empty(0, 5), (3, 4)).shape == (0, 3, 3, 4)


def test_no_boxes_still_give_the_features_a_gradient_of_zero():
    for function in (ops.roi_align, ops.roi_pool):
        x = torch.rand(1, 2, 4, 4, requires_grad=True)
        function(x, torch.empty(0, 5), 2).sum().backward()
        assert torch.equal(x.grad, torch.zeros_like(x))


@pytest.mark.parametrize("mode", ["avg", "max"])
def test_strides_do_not_matter(mode):
    x = torch.rand(2, 4, 6, 7)
    boxes = some_boxes()
    expected = ops.roi_align(x, boxes, 3, mode=mode)
    last = x.contiguous(memory_format=torch.channels_last)
    turned = x.transpose(2, 3).contiguous().transpose(2, 3)
    for same in (last, turned):
        torch.testing.assert_close(ops.roi_align(same, boxes, 3, mode=mode), expected)
        assert torch.equal(ops.roi_pool(same, boxes, 3), ops.roi_pool(x, boxes, 3))
    strided = torch.zeros(3, 10)[:, ::2].copy_(boxes)
    torch.testing.assert_close(ops.roi_align(x, strided, 3, mode=mode), expected)


@pytest.mark.parametrize("dtype", [torch.float16, torch.bfloat16])
def test_half_precision_computes_in_float32(dtype):
    x, boxes = torch.rand(2, 4, 6, 7).to(dtype), some_boxes().to(dtype)
    for function in (ops.roi_align, ops.roi_pool):
        out = function(x, boxes, 2)
        assert out.dtype is dtype
        assert torch.equal(out, function(x.float(), boxes.float(), 2).to(dtype))


def test_autocast_takes_features_and_boxes_of_two_dtypes():
    x, boxes = torch.rand(2, 4, 6, 7).bfloat16(), some_boxes()
    with torch.autocast("cpu", dtype=torch.bfloat16):
        out = ops.roi_align(x, boxes, 2)
    assert out.dtype is torch.bfloat16


def test_repeated_runs_agree_to_the_bit():
    x = torch.rand(1, 8, 20, 20, requires_grad=True)
    boxes = torch.rand(300, 5) * 18
    boxes[:, 0] = 0
    grads = []
    for _ in range(2):
        x.grad = None
        ops.roi_align(x, boxes, 7, sampling_ratio=2).sum().backward()
        grads.append(x.grad)
    assert torch.equal(*grads)


# -- hostile


def test_a_region_far_larger_than_the_map_costs_no_more_than_the_map():
    x = torch.rand(1, 1, 5, 5)
    box = torch.tensor([[0, -1e9, -1e9, 1e9, 1e9], [0, -1e30, -1e30, 1e30, 1e30]])
    for mode in ("avg", "max"):
        out = ops.roi_align(x, box, 3, mode=mode)
        assert out.shape == (2, 1, 3, 3)
        assert out.isfinite().all()
    assert ops.roi_pool(x, box, 3).isfinite().all()


def test_nan_in_the_features_reaches_only_the_bins_that_read_it():
    x = torch.rand(1, 1, 8, 8)
    x[0, 0, 1, 1] = torch.nan
    box = torch.tensor([[0, 0.0, 0.0, 8.0, 8.0]])
    for mode in ("avg", "max"):
        out = ops.roi_align(x, box, 4, aligned=True, sampling_ratio=2, mode=mode)
        assert out.isnan().nonzero().tolist() == [[0, 0, 0, 0]]
    assert ops.roi_pool(x, box, 4).isfinite().all()  # NaN is never the largest


def test_roi_pool_sees_nothing_below_the_lowest_float():
    x = torch.full((1, 1, 3, 3), -torch.inf)
    out = ops.roi_pool(x, torch.tensor([[0, 0.0, 0.0, 2.0, 2.0]]), 1)
    assert out.item() == torch.finfo(torch.float32).min


BOX = [0, 1.0, 1.0, 3.0, 3.0]
REFUSED = [
    (AssertionError, "not correct as Tensor.K, 5.", torch.tensor([BOX[1:]])),
    (AssertionError, "not correct as Tensor.K, 5.", torch.tensor(BOX)),
    (AssertionError, "not correct as List.Tensor.L, 4..", [torch.tensor([BOX])]),
    (AssertionError, "expected to be a Tensor.L, 5. or a List", "boxes"),
    (AssertionError, "empty list", []),
    (ValueError, "box 1 is not finite", torch.tensor([BOX, [0, torch.nan, 1, 2, 2]])),
    (ValueError, "box 0 is not finite", torch.tensor([[0, 1, 1, torch.inf, 2]])),
    (ValueError, "image index 2, and the features hold 2 image", torch.tensor([[2, 1.0, 1, 2, 2]])),
    (ValueError, "an image that is not there", torch.tensor([[-1, 1.0, 1, 2, 2]])),
    (RuntimeError, "input should have the same type as rois", torch.tensor([BOX]).double()),
]


@pytest.mark.parametrize("function", [ops.roi_align, ops.roi_pool, ops.ps_roi_align])
@pytest.mark.parametrize(("error", "words", "boxes"), REFUSED)
def test_boxes_that_are_refused(function, error, words, boxes):
    with pytest.raises(error, match=words):
        function(torch.rand(2, 4, 6, 6), boxes, 2)


def test_features_and_options_that_are_refused():
    boxes = torch.tensor([BOX])
    x = torch.rand(1, 4, 6, 6)
    with pytest.raises(ValueError, match=r"must be a Tensor\[N, C, H, W\].*\n.*unsqueeze"):
        ops.roi_align(x[0], boxes, 2)
    with pytest.raises(NotImplementedError, match="not implemented for 'Long'"):
        ops.roi_align(x.long(), boxes.long(), 2)
    with pytest.raises(ValueError, match="no cells"):
        ops.roi_align(x[:, :, :0], boxes, 2)
    with pytest.raises(ValueError, match="mode must be 'avg' or 'max'"):
        ops.roi_align(x, boxes, 2, mode="sum")
    with pytest.raises(TypeError, match="sampling_ratio must be int"):
        ops.roi_align(x, boxes, 2, sampling_ratio=2.5)
    with pytest.raises(TypeError, match="'output_size'"):
        ops.roi_align(x, boxes, 2.5)
    with pytest.raises(ValueError, match="one number or two"):
        ops.roi_align(x, boxes, (1, 2, 3))
    with pytest.raises(RuntimeError, match="must not be negative"):
        ops.roi_align(x, boxes, -1)
    with pytest.raises(RuntimeError, match="multiple of pooling height"):
        ops.ps_roi_pool(x, boxes, 3)
    for function in (ops.roi_align, ops.roi_pool, ops.ps_roi_align, ops.ps_roi_pool):
        with pytest.raises(ValueError, match="spatial_scale must be a finite number, got nan"):
            function(x, boxes, 2, spatial_scale=float("nan"))
    for function in (ops.roi_align, ops.ps_roi_align):
        with pytest.raises(ValueError, match="sampling_ratio=1000000000 asks for"):
            function(x, boxes, 2, sampling_ratio=10**9)


def test_modules_print_and_call_alike():
    x, boxes = torch.rand(1, 4, 6, 6), torch.tensor([BOX])
    pairs = [
        (ops.RoIPool(2, 0.5), ops.roi_pool(x, boxes, 2, 0.5)),
        (ops.RoIAlign((2, 2), 0.5, 2, True), ops.roi_align(x, boxes, 2, 0.5, 2, True)),
        (ops.PSRoIPool(2, 0.5), ops.ps_roi_pool(x, boxes, 2, 0.5)),
        (ops.PSRoIAlign(2, 0.5, 2), ops.ps_roi_align(x, boxes, 2, 0.5, 2)),
    ]
    for module, expected in pairs:
        assert torch.equal(module(x, boxes), expected)
    assert repr(pairs[0][0]) == "RoIPool(output_size=2, spatial_scale=0.5)"
    assert repr(pairs[1][0]) == (
        "RoIAlign(output_size=(2, 2), spatial_scale=0.5, sampling_ratio=2, aligned=True)"
    )


def test_max_is_the_largest_point_of_each_bin():
    """Whole-number points with weight 1: the maximum is that of the cells themselves."""
    x = torch.rand(1, 2, 6, 6)
    box = torch.tensor([[0, 0.5, 0.5, 4.5, 4.5]])
    out = ops.roi_align(x, box, 2, sampling_ratio=2, mode="max")
    expected = torch.nn.functional.max_pool2d(x[:, :, 1:5, 1:5], 2)
    torch.testing.assert_close(out, expected)
