"""Regions of interest as a detector's head sees them: 1000 boxes on a map of 256 x 50 x 68.

ONNX Runtime's RoiAlign is the peer of the forward pass, and of both passes torchvision, where it is
installed, and Pellucid's own array routines (named numpy).
"""

from __future__ import annotations

import importlib
from collections.abc import Callable
from typing import Any

import numpy as np

from bench.frame.registry import Benchmark, Call, enter

BOXES, MAP, BINS, SCALE = 1000, (1, 256, 50, 68), (7, 7), 1 / 16


def inputs() -> tuple[np.ndarray, np.ndarray]:
    """The features, and (K, 5) boxes of which the largest take 40 % of the picture's sides."""
    draw = np.random.default_rng(0)
    picture = np.array([MAP[3], MAP[2]]) / SCALE
    centre, size = draw.random((BOXES, 2)) * picture, 1 + 0.4 * draw.random((BOXES, 2)) * picture
    rows = np.zeros((BOXES, 5), np.float32)
    rows[:, 1:3], rows[:, 3:] = centre - size / 2, centre + size / 2
    return draw.standard_normal(MAP).astype(np.float32), rows


def forward(module: str, operator: str, **settings: Any) -> Callable[[], Call]:
    """A call of the operator of these `ops`."""

    def own() -> Call:
        t, ops = _library(module)
        features, rows = map(t.from_numpy, inputs())
        act = getattr(ops, operator)
        return lambda: act(features, rows, BINS, SCALE, **settings)

    return own


def backward(module: str, operator: str, **settings: Any) -> Callable[[], Call]:
    """A call of the backward pass alone."""

    def own() -> Call:
        t, ops = _library(module)
        features, rows = map(t.from_numpy, inputs())
        features.requires_grad_()
        out = getattr(ops, operator)(features, rows, BINS, SCALE, **settings)
        probe = t.ones_like(out)
        return lambda: t.autograd.grad(out, features, probe, retain_graph=True)[0]

    return own


def _library(module: str) -> tuple[Any, Any]:
    if module == "pellucid":
        return importlib.import_module("pellucid"), importlib.import_module("pellucid.vision.ops")
    return importlib.import_module("torch"), importlib.import_module("torchvision.ops")


def runtime_align() -> Call:
    """ONNX Runtime's RoiAlign, on two threads."""
    onnx = importlib.import_module("onnx")
    runtime = importlib.import_module("onnxruntime")
    make, kind = onnx.helper, onnx.TensorProto
    node = make.make_node(
        "RoiAlign", ["x", "rois", "images"], ["y"], mode="avg", output_height=BINS[0],
        output_width=BINS[1], sampling_ratio=2, spatial_scale=SCALE,
        coordinate_transformation_mode="half_pixel",
    )  # fmt: skip
    graph = make.make_graph(
        [node], "align",
        [make.make_tensor_value_info("x", kind.FLOAT, MAP),
         make.make_tensor_value_info("rois", kind.FLOAT, (BOXES, 4)),
         make.make_tensor_value_info("images", kind.INT64, (BOXES,))],
        [make.make_tensor_value_info("y", kind.FLOAT, None)],
    )  # fmt: skip
    model = make.make_model(graph, opset_imports=[make.make_opsetid("", 16)], ir_version=8)
    options = runtime.SessionOptions()
    options.intra_op_num_threads = 2
    session = runtime.InferenceSession(model.SerializeToString(), options)
    features, rows = inputs()
    feed = {"x": features, "rois": rows[:, 1:].copy(), "images": rows[:, 0].astype(np.int64)}
    return lambda: session.run(None, feed)[0]


def arrays(back: bool) -> Callable[[], Call]:
    """Pellucid's RoI Align as it is without kernels: a matrix product for each region and axis."""

    def own() -> Call:
        routines = importlib.import_module("pellucid.ops.detection.kernels_align")
        features, rows = inputs()
        geometry = routines.Geometry(SCALE, BINS, 2, 0.5, None)
        out = np.ones((BOXES, MAP[1], *BINS), np.float32)
        if back:
            return lambda: routines.align_transpose(out, rows, geometry, features)
        return lambda: routines.align(features, rows, geometry, out)

    return own


_ALIGN = {"sampling_ratio": 2, "aligned": True}
for _operator, _settings in (("roi_align", _ALIGN), ("roi_pool", {})):
    for _case, _make in (("forward", forward), ("backward", backward)):
        _own: dict[str, Callable[[], Call]] = {
            "pellucid": _make("pellucid", _operator, **_settings),
            "torch": _make("torchvision", _operator, **_settings),
        }
        if (_operator, _case) == ("roi_align", "forward"):
            _own["onnxruntime"] = runtime_align
        if _operator == "roi_align":
            _own["numpy"] = arrays(_case == "backward")
        enter(Benchmark(group="regions", case=f"{_operator} {_case}", own=_own, seconds=0.2))
