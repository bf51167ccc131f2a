"""`explain.roi`: what it says of a box is what the operators compute."""

import json
import subprocess
import sys
import xml.etree.ElementTree as ET

import numpy as np
import pytest

import pellucid as torch
from pellucid.vision import ops

BOX = (45.0, 70.0, 150.0, 140.0)
OPTIONS = {"output_size": (2, 3), "spatial_scale": 1 / 16, "sampling_ratio": 2, "aligned": True}


@pytest.fixture
def feature():
    torch.manual_seed(0)
    return torch.rand(3, 12, 16)


def test_the_weights_of_the_notes(feature):
    found = torch.explain.roi(feature, BOX, point=(3.6, 5.2), **OPTIONS)
    expected = {(3, 5): 0.32, (4, 5): 0.48, (3, 6): 0.08, (4, 6): 0.12}
    assert found.weights == pytest.approx(expected)
    text = str(found)
    for line in ("0.32 × cell (3, 5)", "0.48 × cell (4, 5)", "0.08 × cell (3, 6)"):
        assert line in text
    value = sum(w * feature[0, row, column].item() for (column, row), w in expected.items())
    assert found.to_dict()["point"]["value"] == pytest.approx(value)


def test_results_are_the_operators(feature):
    found = torch.explain.roi(feature, BOX, channel=1, **OPTIONS)
    boxes = [torch.tensor([BOX])]
    pooled = ops.roi_pool(feature[None], boxes, (2, 3), 1 / 16)[0, 1]
    aligned = ops.roi_align(feature[None], boxes, (2, 3), 1 / 16, 2, True)[0, 1]
    assert np.array_equal(found.pooled, pooled.numpy())
    np.testing.assert_allclose(found.aligned, aligned.numpy(), rtol=1e-6)


def test_rounding_and_bins(feature):
    found = torch.explain.roi(feature, BOX, **OPTIONS)
    data = found.to_dict()["roi_pool"]
    assert data["columns"] == [3, 9]  # 45 / 16 = 2.8, 150 / 16 = 9.4
    assert data["rows"] == [4, 9]
    assert data["bins_x"] == [[3, 5], [5, 7], [7, 9]]
    assert "7 × 6 cells" in str(found)
    assert "left +0.188" in str(found)  # 3 less 2.8125


def test_the_average_of_its_points_is_the_result(feature):
    """Interpolating at the points it draws gives what the operator returns."""
    data = torch.explain.roi(feature, BOX, **OPTIONS).to_dict()["roi_align"]
    xs, ys = data["points_x"], data["points_y"]
    assert (len(xs), len(ys)) == (6, 4)
    total = 0.0
    for x in xs[:2]:
        for y in ys[:2]:
            at = torch.explain.roi(feature, BOX, point=(x, y), **OPTIONS)
            total += at.to_dict()["point"]["value"]
    assert data["result"][0][0] == pytest.approx(total / 4, rel=1e-5)


def test_data_is_json_and_svg_is_xml(feature, tmp_path):
    found = torch.explain.roi(feature, BOX, **OPTIONS)
    json.dumps(found.to_dict())
    root = ET.fromstring(found.svg())
    kinds = [each.tag.rpartition("}")[2] for each in root.iter()]
    # Points, taps, the chosen point, and the largest cell of each bin.
    assert kinds.count("circle") == 24 + 4 + 1 + 6
    assert found._repr_html_() == found.svg()
    found.save(tmp_path / "a.svg")
    assert (tmp_path / "a.svg").read_text() == found.svg()


def test_png_through_matplotlib(feature, tmp_path):
    pytest.importorskip("matplotlib", reason="needs matplotlib")
    torch.explain.roi(feature, BOX, **OPTIONS).save(tmp_path / "a.png")
    assert (tmp_path / "a.png").read_bytes()[:8] == b"\x89PNG\r\n\x1a\n"


@pytest.mark.parametrize(
    "box",
    [
        (-120.0, 70.0, 700.0, 540.0),
        (5000.0, 5000.0, 6000.0, 6000.0),
        (-900.0, -900.0, -800.0, -800.0),
        (50.0, 50.0, 50.0, 50.0),
        (90.0, 90.0, 30.0, 30.0),
        (-1e9, -1e9, 1e9, 1e9),
    ],
)
@pytest.mark.parametrize("aligned", [False, True])
def test_hostile_boxes_are_drawn_and_told(feature, box, aligned):
    found = torch.explain.roi(feature, box, spatial_scale=1 / 16, aligned=aligned)
    ET.fromstring(found.svg())
    assert "RoI Pooling" in str(found)
    assert len(found.svg()) < 2_000_000


def test_features_of_any_rank_and_dtype(feature):
    expected = torch.explain.roi(feature, BOX, **OPTIONS).pooled
    for same in (feature[0], feature[None], feature.double()):
        np.testing.assert_allclose(torch.explain.roi(same, BOX, **OPTIONS).pooled, expected)
    both = torch.stack([feature * 0, feature])
    row = torch.tensor([1, *BOX])
    np.testing.assert_allclose(torch.explain.roi(both, row, **OPTIONS).pooled, expected)
    assert torch.explain.roi(feature.half(), BOX, **OPTIONS).pooled.dtype == np.float32


def test_what_is_refused(feature, tmp_path):
    roi = torch.explain.roi
    with pytest.raises(TypeError, match="feature must be a Tensor, not list"):
        roi([[1.0]], BOX)
    with pytest.raises(ValueError, match=r"must be \(H, W\), \(C, H, W\) or"):
        roi(torch.rand(3), BOX)
    with pytest.raises(ValueError, match=r"four numbers .* got 3"):
        roi(feature, (1, 2, 3))
    with pytest.raises(ValueError, match="the box is not finite"):
        roi(feature, (1, 2, 3, torch.nan))
    with pytest.raises(IndexError, match="no channel 3, the features have 3"):
        roi(feature, BOX, channel=3)
    with pytest.raises(ValueError, match="output_size must be at least 1"):
        roi(feature, BOX, output_size=0)
    with pytest.raises(ValueError, match="mode must be 'avg' or 'max'"):
        roi(feature, BOX, mode="sum")
    with pytest.raises(ValueError, match=r"saved as \.svg or \.png, not as \.gif"):
        roi(feature, BOX).save(tmp_path / "a.gif")
    assert list(tmp_path.iterdir()) == []


def test_explain_itself_loads_no_vision():
    code = "import pellucid.explain, sys; print('pellucid.vision' in sys.modules)"
    done = subprocess.run([sys.executable, "-c", code], capture_output=True, text=True, check=True)
    assert done.stdout == "False\n"
