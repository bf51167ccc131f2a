"""What docs/ROI.md says of ONNX Runtime and OpenVINO, asked of them.

Each test takes the same boxes to the other library and to the arguments that the table gives.
"""

import math

import numpy as np
import pytest

import pellucid as torch
from pellucid.vision import ops

SIZE = (3, 4)
SCALE = 0.5


@pytest.fixture(scope="module")
def scene():
    """Features (2, 3, 13, 17), and boxes (K, 5) at random, off the map, without area, swapped."""
    draw = np.random.default_rng(0)
    features = draw.standard_normal((2, 3, 13, 17)).astype(np.float32)
    low = draw.uniform(-5, 25, (20, 2))
    boxes = np.concatenate([low, low + draw.uniform(0.2, 18, (20, 2))], 1)
    odd = [[6, 8, 6, 8], [-40, -40, -20, -20], [18, 16, 6, 4], [5, 7, 17, 21], [4, 4, 4.1, 20]]
    boxes = np.concatenate([boxes, odd])
    image = draw.integers(0, 2, (len(boxes), 1))
    return features, np.concatenate([image, boxes], 1).astype(np.float32)


def ours(scene, **options):
    features, boxes = (torch.tensor(part) for part in scene)
    return ops.roi_align(features, boxes, SIZE, SCALE, **options).numpy()


def onnx_run(node, inputs, opset=16):
    onnx = pytest.importorskip("onnx", reason="needs onnx")
    runtime = pytest.importorskip("onnxruntime", reason="needs onnxruntime")
    kinds = {
        np.dtype(np.float32): onnx.TensorProto.FLOAT,
        np.dtype(np.int64): onnx.TensorProto.INT64,
    }
    values = [
        onnx.helper.make_tensor_value_info(name, kinds[a.dtype], a.shape)
        for name, a in inputs.items()
    ]
    out = onnx.helper.make_tensor_value_info("out", onnx.TensorProto.FLOAT, [None] * 4)
    operator, attributes = node
    made = onnx.helper.make_node(operator, list(inputs), ["out"], **attributes)
    graph = onnx.helper.make_graph([made], "regions", values, [out])
    model = onnx.helper.make_model(
        graph, opset_imports=[onnx.helper.make_opsetid("", opset)], ir_version=8
    )
    options = runtime.SessionOptions()
    options.log_severity_level = 3  # it warns that its own maximum is wrong
    session = runtime.InferenceSession(model.SerializeToString(), options)
    return session.run(None, inputs)[0]


def onnx_align(scene, opset=16, **attributes):
    features, boxes = scene
    node = (
        "RoiAlign",
        dict(attributes, output_height=SIZE[0], output_width=SIZE[1], spatial_scale=SCALE),
    )
    index = boxes[:, 0].astype(np.int64)
    return onnx_run(node, {"x": features, "boxes": boxes[:, 1:], "index": index}, opset)


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize(("mode", "aligned"), [("half_pixel", True), ("output_half_pixel", False)])
def test_onnx_average(scene, mode, aligned, ratio):
    found = onnx_align(scene, coordinate_transformation_mode=mode, sampling_ratio=ratio)
    same = ours(scene, aligned=aligned, sampling_ratio=ratio)
    np.testing.assert_allclose(found, same, atol=2e-6)


def test_onnx_defaults_changed_with_opset_16(scene):
    old, new = onnx_align(scene, opset=10), onnx_align(scene, opset=16)
    np.testing.assert_allclose(old, ours(scene, aligned=False, sampling_ratio=0), atol=2e-6)
    np.testing.assert_allclose(new, ours(scene, aligned=True, sampling_ratio=0), atol=2e-6)


def weighted_taps_maximum(scene, region, p, q, channel):
    """The largest weight times cell among a bin's taps: `aligned=True`, two points a side."""
    features, boxes = scene
    image, x1, y1, x2, y2 = boxes[region] * [1, SCALE, SCALE, SCALE, SCALE] - [0, *[0.5] * 4]
    high, wide = (y2 - y1) / SIZE[0], (x2 - x1) / SIZE[1]
    best = []
    for i in range(2):
        for j in range(2):
            y, x = y1 + (p + (i + 0.5) / 2) * high, x1 + (q + (j + 0.5) / 2) * wide
            top, left = math.floor(y), math.floor(x)
            for row, wy in ((top, 1 - (y - top)), (top + 1, y - top)):
                for column, wx in ((left, 1 - (x - left)), (left + 1, x - left)):
                    best.append(wy * wx * features[int(image), channel, row, column])
    return max(best)


def test_onnx_maximum_is_of_weighted_cells_which_no_argument_gives(scene):
    features, _ = scene
    scene = features, np.array([[1, 6, 5, 25, 21]], np.float32)
    found = onnx_align(
        scene, mode="max", coordinate_transformation_mode="half_pixel", sampling_ratio=2
    )
    expected = weighted_taps_maximum(scene, 0, 1, 2, 1)
    assert found[0, 1, 1, 2] == pytest.approx(expected, abs=1e-5)
    interpolated = ours(scene, aligned=True, sampling_ratio=2, mode="max")
    assert abs(found - interpolated).max() > 0.1


def test_onnx_max_roi_pool_is_roi_pool(scene):
    features, boxes = scene
    node = ("MaxRoiPool", {"pooled_shape": SIZE, "spatial_scale": SCALE})
    found = onnx_run(node, {"x": features, "boxes": boxes})
    same = ops.roi_pool(torch.tensor(features), torch.tensor(boxes), SIZE, SCALE)
    assert np.array_equal(found, same.numpy())


# -- OpenVINO


def openvino_run(build, *inputs):
    openvino = pytest.importorskip("openvino", reason="needs openvino")
    operators = pytest.importorskip("openvino.opset14", reason="needs openvino")
    parameters = [operators.parameter(list(a.shape), a.dtype.type) for a in inputs]
    model = openvino.Model([build(operators, *parameters)], parameters)
    options = {"INFERENCE_PRECISION_HINT": "f32"}
    return openvino.compile_model(model, "CPU", options)(list(inputs))[0]


def openvino_align(scene, ratio, mode, aligned_mode):
    features, boxes = scene
    return openvino_run(
        lambda op, x, rows, index: op.roi_align(
            x, rows, index, *SIZE, ratio, SCALE, mode, aligned_mode
        ),
        features,
        boxes[:, 1:].copy(),
        boxes[:, 0].astype(np.int32),
    )


@pytest.mark.parametrize("ratio", [0, 2])
@pytest.mark.parametrize(
    ("mode", "aligned", "shift"),
    [
        ("asymmetric", False, 0.0),
        ("half_pixel_for_nn", True, 0.0),
        ("half_pixel", True, 0.5),
    ],
)
def test_openvino_average(scene, mode, aligned, shift, ratio):
    found = openvino_align(scene, ratio, "avg", mode)
    features, boxes = scene
    moved = boxes.copy()
    moved[:, 1:] += shift
    same = ours((features, moved), aligned=aligned, sampling_ratio=ratio)
    known = np.ones(len(boxes), bool)
    if aligned and ratio == 0:
        # Without area there is no point to average: OpenVINO divides 0 by 0.
        area = (boxes[:, 3] - boxes[:, 1]) * (boxes[:, 4] - boxes[:, 2])
        known = area != 0
        assert np.isnan(found[~known]).all()
        assert (same[~known] == 0).all()
    np.testing.assert_allclose(found[known], same[known], atol=2e-6)


@pytest.mark.parametrize("ratio", [0, 2])
def test_openvino_maximum_begins_at_zero(scene, ratio):
    found = openvino_align(scene, ratio, "max", "half_pixel_for_nn")
    same = ours(scene, aligned=True, sampling_ratio=ratio, mode="max")
    assert (same < -0.1).any()
    np.testing.assert_allclose(found, np.maximum(same, 0), atol=3e-6)


def test_openvino_roi_pooling_is_roi_pool(scene):
    features, boxes = scene
    found = openvino_run(
        lambda op, x, rows: op.roi_pooling(
            x, rows, output_roi=list(SIZE), spatial_scale=SCALE, method="max"
        ),
        features,
        boxes,
    )
    same = ops.roi_pool(torch.tensor(features), torch.tensor(boxes), SIZE, SCALE)
    assert np.array_equal(found, same.numpy())
