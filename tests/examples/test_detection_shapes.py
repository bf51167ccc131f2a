"""The example that trains a detector: its scenes, a short run, an interruption, and going on."""

import json
import os
import signal
import subprocess
import sys
from pathlib import Path

import numpy as np
import pytest

EXAMPLES = Path(__file__).parents[2] / "examples"
sys.path.insert(0, str(EXAMPLES))
pytest.importorskip("pycocotools", reason="needs pycocotools")

import detection_shapes  # noqa: E402
import shapes_scenes  # noqa: E402

SHORT = ["--steps", "2", "--batch", "1", "--test-scenes", "2"]


def test_scenes_are_the_same_every_time():
    image, boxes, labels, masks = shapes_scenes.scene(3, 14)
    again = shapes_scenes.scene(3, 14)
    assert all(
        np.array_equal(a, b) for a, b in zip((image, boxes, labels, masks), again, strict=True)
    )
    assert image.shape == (3, 96, 96)
    assert image.min() >= 0 and image.max() <= 1
    assert not np.array_equal(image, shapes_scenes.scene(3, 15)[0])


def test_boxes_enclose_masks_and_masks_do_not_overlap():
    seen = set()
    for number in range(30):
        _, boxes, labels, masks = shapes_scenes.scene(0, number)
        assert (masks.sum(axis=0) <= 1).all()
        seen.update(labels.tolist())
        for (x1, y1, x2, y2), mask in zip(boxes.astype(int), masks, strict=True):
            assert mask.sum() == mask[y1:y2, x1:x2].sum()
            assert mask[y1].any() and mask[y2 - 1].any()
            assert mask[:, x1].any() and mask[:, x2 - 1].any()
    assert seen == {1, 2, 3, 4}


class Perfect:
    """A detector that knows the answers."""

    def __init__(self, shift):
        self.shift = shift

    def eval(self):
        return self

    def __call__(self, images):
        torch = detection_shapes.torch
        for number in range(6):
            image, boxes, labels, masks = shapes_scenes.scene(detection_shapes.TEST, number)
            if np.array_equal(image, images[0].numpy()):
                moved = np.roll(masks, self.shift, axis=2)
                return [
                    {
                        "boxes": torch.tensor(boxes + np.float32([self.shift, 0] * 2)),
                        "labels": torch.tensor(labels),
                        "scores": torch.ones(len(labels)),
                        "masks": torch.tensor(moved[:, None].astype(np.float32)),
                    }
                ]
        raise AssertionError("a scene that is not there")


def test_metrics_of_a_detector_that_knows_the_answers():
    found = detection_shapes.evaluate(Perfect(0), 6)
    assert all(value == pytest.approx(1.0) for value in found.values()), found
    moved = detection_shapes.evaluate(Perfect(3), 6)
    assert moved["bbox AP75"] < 1.0
    assert moved["mask IoU"] < 0.95


def test_both_ways_start_from_the_same_weights():
    pool, align = (detection_shapes.model_with(kind, 0) for kind in ("pool", "align"))
    theirs = align.state_dict()
    assert all((value == theirs[name]).all() for name, value in pool.state_dict().items())
    kinds = [type(model.roi_heads.mask_roi_pool).__name__ for model in (pool, align)]
    assert kinds == ["MultiScaleRoIPool", "MultiScaleRoIAlign"]


def run(folder, *arguments):
    command = [sys.executable, str(EXAMPLES / "detection_shapes.py"), "--out", str(folder)]
    return subprocess.run([*command, *arguments], capture_output=True, text=True, check=False)


@pytest.mark.slow
def test_a_short_comparison_and_its_files(tmp_path):
    done = run(tmp_path, *SHORT, "--compare")
    assert done.returncode == 0, done.stderr
    assert "alignment is worth" in done.stdout
    results = json.loads((tmp_path / "results.json").read_text())
    assert set(results) == {"pool", "align"}
    names = {path.name for path in tmp_path.iterdir()}
    assert names == {
        "pool.pt", "align.pt", "pool.png", "align.png", "results.json", "results.png",
    }  # fmt: skip
    other = run(tmp_path, "--resume", "--steps", "3", "--test-scenes", "1")
    assert other.returncode == 1
    assert "was made with --steps 2; say so again" in other.stderr
    checkpoint = tmp_path / "align.pt"
    checkpoint.write_bytes(checkpoint.read_bytes()[:1000])
    damaged = run(tmp_path, "--resume", *SHORT)
    assert damaged.returncode == 1
    assert "align.pt is no whole checkpoint of this program" in damaged.stderr
    assert "Traceback" not in damaged.stderr


@pytest.mark.slow
def test_an_interrupted_run_goes_on_to_the_same_losses(tmp_path):
    script = EXAMPLES / "detection_shapes.py"
    whole = tmp_path / "whole"
    long = ["--steps", "4", "--batch", "1", "--test-scenes", "1", "--save-every", "1"]
    assert run(whole, *long).returncode == 0
    cut = tmp_path / "cut"
    started = subprocess.Popen(
        [sys.executable, str(script), "--out", str(cut), *long],
        stdout=subprocess.PIPE,
        stderr=subprocess.STDOUT,
        text=True,
    )
    while not (cut / "align.pt").exists() and started.poll() is None:
        pass
    os.kill(started.pid, signal.SIGINT)
    output, _ = started.communicate(timeout=120)
    if started.returncode == 130:  # it may have been through already
        assert "--resume goes on from" in output
    assert run(cut, *long, "--resume").returncode == 0
    torch = detection_shapes.torch
    first, second = (torch.load(folder / "align.pt")["losses"] for folder in (whole, cut))
    assert first == second
