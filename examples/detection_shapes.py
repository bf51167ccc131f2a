"""Train Mask R-CNN on generated scenes, and see what RoI Align is worth.

    python examples/detection_shapes.py                  # trains, evaluates, draws
    python examples/detection_shapes.py --compare        # RoI Pooling against RoI Align
    python examples/detection_shapes.py --resume         # goes on where it was interrupted

Metrics are COCO's, by pycocotools (`pip install 'pellucid[detection]'`). Ctrl-C writes a checkpoint
first; a checkpoint is complete or not there. With --compare both models start from the same seed,
see the same scenes in the same order, and differ in one thing: how a box is cut out of the
features.
"""

import argparse
import contextlib
import io
import json
import pickle
import sys
import time
from pathlib import Path

import numpy as np
from shapes_scenes import CLASSES, SIZE, scene

import pellucid as torch
from pellucid.io.atomic import atomic_writer
from pellucid.models.detection.anchor_utils import AnchorGenerator
from pellucid.models.detection.backbone_utils import resnet_fpn_backbone
from pellucid.models.detection.faster_rcnn import FastRCNNPredictor, TwoMLPHead
from pellucid.models.detection.mask_rcnn import MaskRCNN, MaskRCNNHeads, MaskRCNNPredictor
from pellucid.vision.ops import MultiScaleRoIAlign, MultiScaleRoIPool
from pellucid.vision.transforms.functional import resize
from pellucid.vision.utils import (
    draw_bounding_boxes,
    draw_segmentation_masks,
    make_grid,
    save_image,
)

TRAIN, TEST = 0, 1
"""Seeds of the two sets of scenes."""
CHANNELS = 64


def model_with(pooling, seed):
    """Mask R-CNN on ResNet-18-FPN, small: 64 channels, anchors of 16 to 64 pixels."""
    torch.manual_seed(seed)
    backbone = resnet_fpn_backbone(
        backbone_name="resnet18",
        norm_layer=torch.nn.BatchNorm2d,
        trainable_layers=5,
        returned_layers=[2, 3, 4],
        out_channels=CHANNELS,
    )
    levels = ["0", "1"]

    def cut(size):
        options = {"canonical_scale": 48, "canonical_level": 3}
        if pooling == "pool":
            return MultiScaleRoIPool(levels, size, **options)
        return MultiScaleRoIAlign(levels, size, 2, aligned=True, **options)

    sizes = ((16,), (32,), (48,), (64,))
    return MaskRCNN(
        backbone,
        num_classes=None,
        min_size=SIZE,
        max_size=SIZE,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
        rpn_anchor_generator=AnchorGenerator(sizes, ((0.7, 1.0, 1.4),) * len(sizes)),
        rpn_pre_nms_top_n_train=200,
        rpn_post_nms_top_n_train=100,
        rpn_pre_nms_top_n_test=100,
        rpn_post_nms_top_n_test=30,
        rpn_batch_size_per_image=64,
        box_roi_pool=cut(7),
        box_head=TwoMLPHead(CHANNELS * 49, 128),
        box_predictor=FastRCNNPredictor(128, len(CLASSES)),
        box_batch_size_per_image=32,
        box_detections_per_img=10,
        mask_roi_pool=cut(14),
        mask_head=MaskRCNNHeads(CHANNELS, (CHANNELS,) * 2, 1),
        mask_predictor=MaskRCNNPredictor(CHANNELS, CHANNELS, len(CLASSES)),
    )


def batch(seed, numbers):
    """Images and targets of the scenes `numbers`."""
    images, targets = [], []
    for number in numbers:
        image, boxes, labels, masks = scene(seed, number)
        images.append(torch.from_numpy(image))
        targets.append(
            {
                "boxes": torch.from_numpy(boxes),
                "labels": torch.from_numpy(labels),
                "masks": torch.from_numpy(masks),
            }
        )
    return images, targets


SAME = ("steps", "batch", "lr", "seed")
"""Options that must not change between a run and its continuation."""


def load(path, options):
    """A checkpoint to go on from; a sentence if it is damaged or of another run."""
    try:
        state = torch.load(path)
        found = state["options"]
    except (RuntimeError, EOFError, KeyError, TypeError, pickle.UnpicklingError) as error:
        reason = str(error).splitlines()[0] if str(error) else type(error).__name__
        sys.exit(f"--resume: {path} is no whole checkpoint of this program: {reason}")
    for name in SAME:
        if found[name] != getattr(options, name):
            sys.exit(f"--resume: {path} was made with --{name} {found[name]}; say so again")
    return state


def train(pooling, options, folder):
    """The trained model and its losses, from a checkpoint if there is one and --resume."""
    model = model_with(pooling, options.seed)
    optimizer = torch.optim.AdamW(model.parameters(), lr=options.lr, weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(
        optimizer, options.lr, total_steps=options.steps, pct_start=0.1
    )
    checkpoint = folder / f"{pooling}.pt"
    first, losses = 0, []
    if options.resume and checkpoint.exists():
        state = load(checkpoint, options)
        model.load_state_dict(state["model"])
        optimizer.load_state_dict(state["optimizer"])
        schedule.load_state_dict(state["schedule"])
        torch.set_rng_state(state["random"])
        first, losses = state["step"], state["losses"]
        print(f"{pooling}: goes on after step {first}")

    def save(step):
        state = {
            "model": model.state_dict(),
            "optimizer": optimizer.state_dict(),
            "schedule": schedule.state_dict(),
            "random": torch.get_rng_state(),
            "step": step,
            "options": {name: getattr(options, name) for name in SAME},
            "losses": losses,
        }
        with atomic_writer(checkpoint) as file:
            torch.save(state, file)

    model.train()
    step, start = first, time.perf_counter()
    try:
        while step < options.steps:
            numbers = range(step * options.batch, (step + 1) * options.batch)
            parts = model(*batch(TRAIN, numbers))
            loss = sum(parts.values())
            if not torch.isfinite(loss):
                sys.exit(f"{pooling}: the loss is {loss.item()} at step {step}; try a smaller --lr")
            optimizer.zero_grad()
            loss.backward()
            torch.nn.utils.clip_grad_norm_(model.parameters(), 5.0)
            optimizer.step()
            schedule.step()
            losses.append({name: value.item() for name, value in parts.items()})
            step += 1
            if step % 10 == 0 or step == options.steps:
                recent = losses[-10:]
                total = sum(sum(each.values()) for each in recent) / len(recent)
                rate = (time.perf_counter() - start) / (step - first)
                left = rate * (options.steps - step)
                print(
                    f"{pooling}  step {step:4d} / {options.steps}  loss {total:.3f}  "
                    f"{rate:.2f} s a step, {left / 60:.1f} min left",
                    flush=True,
                )
            if step % options.save_every == 0:
                save(step)
    except KeyboardInterrupt:
        print(f"\ninterrupted after step {step}; --resume goes on from {checkpoint}")
        save(step)
        sys.exit(130)
    save(step)
    return model, losses


def detect(model, count):
    """Detections of the test scenes, as pycocotools wants them, and the scenes themselves."""
    from pycocotools import mask as coco_mask

    model.eval()
    truth, found = {"images": [], "annotations": [], "categories": []}, {"bbox": [], "segm": []}
    truth["categories"] = [{"id": k, "name": CLASSES[k]} for k in range(1, len(CLASSES))]
    for number in range(count):
        images, targets = batch(TEST, [number])
        with torch.no_grad():
            out = model(images)[0]
        truth["images"].append({"id": number, "height": SIZE, "width": SIZE})
        rows = zip(targets[0]["boxes"].tolist(), targets[0]["labels"].tolist(), strict=True)
        for place, ((x1, y1, x2, y2), label) in enumerate(rows):
            packed = coco_mask.encode(np.asfortranarray(targets[0]["masks"][place].numpy()))
            truth["annotations"].append(
                {
                    "id": len(truth["annotations"]) + 1,
                    "image_id": number,
                    "category_id": label,
                    "bbox": [x1, y1, x2 - x1, y2 - y1],
                    "area": float(coco_mask.area(packed)),
                    "segmentation": packed,
                    "iscrowd": 0,
                }
            )
        rows = zip(
            out["boxes"].tolist(), out["labels"].tolist(), out["scores"].tolist(), strict=True
        )
        for place, ((x1, y1, x2, y2), label, score) in enumerate(rows):
            mask = (out["masks"][place, 0] > 0.5).numpy().astype(np.uint8)
            one = {"image_id": number, "category_id": label, "score": score}
            found["bbox"].append(one | {"bbox": [x1, y1, x2 - x1, y2 - y1]})
            found["segm"].append(one | {"segmentation": coco_mask.encode(np.asfortranarray(mask))})
    return truth, found


def evaluate(model, count):
    """COCO's AP, AP50, AP75 of boxes and masks, and the mean IoU of masks that match a scene's."""
    from pycocotools import mask as coco_mask
    from pycocotools.coco import COCO
    from pycocotools.cocoeval import COCOeval

    truth, found = detect(model, count)
    results = {}
    with contextlib.redirect_stdout(io.StringIO()):
        reference = COCO()
        reference.dataset = truth
        reference.createIndex()
        for kind in ("bbox", "segm"):
            values = [0.0] * 3
            if found[kind]:
                session = COCOeval(reference, reference.loadRes(found[kind]), kind)
                session.evaluate()
                session.accumulate()
                session.summarize()
                values = session.stats[:3].tolist()
            results |= dict(
                zip([f"{kind} AP", f"{kind} AP50", f"{kind} AP75"], values, strict=True)
            )
    overlaps = []
    for each in truth["annotations"]:
        mine = [
            one["segmentation"]
            for one in found["segm"]
            if one["image_id"] == each["image_id"] and one["category_id"] == each["category_id"]
        ]
        if mine:
            best = coco_mask.iou(mine, [each["segmentation"]], [0]).max()
            if best >= 0.5:
                overlaps.append(float(best))
    results["mask IoU"] = float(np.mean(overlaps)) if overlaps else 0.0
    results["objects found"] = len(overlaps) / max(len(truth["annotations"]), 1)
    return results


def picture(model, path, scale=3):
    """Eight test scenes with what was found, `scale` times as large."""
    model.eval()
    drawn = []
    images, _ = batch(TEST, range(8))
    for image in images:
        with torch.no_grad():
            out = model([image])[0]
        keep = out["scores"] > 0.5
        names = [
            f"{CLASSES[label]} {score:.2f}"
            for label, score in zip(
                out["labels"][keep].tolist(), out["scores"][keep].tolist(), strict=True
            )
        ]
        seen = resize(image, [SIZE * scale] * 2)
        if names:
            masks = resize(out["masks"][keep, 0], [SIZE * scale] * 2) > 0.5
            seen = draw_segmentation_masks(seen, masks, 0.5)
        drawn.append(draw_bounding_boxes(seen, out["boxes"][keep] * scale, names, "yellow"))
    save_image(make_grid(torch.stack(drawn), nrow=4), path)


def plot(results, losses, path):
    """Bars of the metrics and curves of the losses."""
    from matplotlib.backends.backend_agg import FigureCanvasAgg
    from matplotlib.figure import Figure

    figure = Figure(figsize=(11, 4), layout="constrained")
    FigureCanvasAgg(figure)
    left, right = figure.subplots(1, 2)
    names = list(next(iter(results.values())))
    colours = {"pool": "#c2410c", "align": "#0f766e"}
    labels = {"pool": "RoI Pooling", "align": "RoI Align"}
    for place, (pooling, values) in enumerate(results.items()):
        at = np.arange(len(names)) + (place - (len(results) - 1) / 2) * 0.4
        bars = left.bar(at, [values[n] for n in names], 0.38, color=colours[pooling])
        bars.set_label(labels[pooling])
        totals = [sum(each.values()) for each in losses[pooling]]
        window = max(len(totals) // 20, 1)
        smooth = np.convolve(totals, np.ones(window) / window, "valid")
        right.plot(smooth, color=colours[pooling], label=labels[pooling])
    if len(results) == 2:
        for place, name in enumerate(names):
            gain = results["align"][name] - results["pool"][name]
            top = max(values[name] for values in results.values())
            left.annotate(f"{gain:+.3f}", (place, top + 0.01), ha="center", fontsize=8)
        left.set_title("What alignment is worth, on scenes not trained with")
    left.set_xticks(range(len(names)), names, rotation=30, ha="right")
    left.set_ylim(0, 1)
    left.legend(loc="upper left")
    right.set_title("Loss in training, averaged over a twentieth of the steps")
    right.set_xlabel("step")
    right.set_ylabel("loss")
    with atomic_writer(path) as file:
        figure.savefig(file, format="png", dpi=120)


def main():
    parser = argparse.ArgumentParser(description=__doc__.split("\n")[0])
    parser.add_argument("--steps", type=int, default=400)
    parser.add_argument("--batch", type=int, default=4)
    parser.add_argument("--lr", type=float, default=1e-3)
    parser.add_argument("--seed", type=int, default=0)
    parser.add_argument("--test-scenes", type=int, default=100)
    parser.add_argument("--save-every", type=int, default=50)
    parser.add_argument("--pooling", choices=("align", "pool"), default="align")
    parser.add_argument("--compare", action="store_true", help="train both and compare")
    parser.add_argument("--resume", action="store_true")
    parser.add_argument("--out", type=Path, default=Path("detection_shapes"))
    options = parser.parse_args()
    if min(options.steps, options.batch, options.test_scenes, options.save_every) < 1:
        parser.error("--steps, --batch, --test-scenes and --save-every must be at least 1")
    options.out.mkdir(parents=True, exist_ok=True)
    results, losses = {}, {}
    for pooling in ("pool", "align") if options.compare else (options.pooling,):
        model, losses[pooling] = train(pooling, options, options.out)
        results[pooling] = evaluate(model, options.test_scenes)
        picture(model, options.out / f"{pooling}.png")
    names = list(next(iter(results.values())))
    print(f"\n{'':14}" + "".join(f"{pooling:>10}" for pooling in results))
    for name in names:
        line = "".join(f"{results[pooling][name]:10.3f}" for pooling in results)
        if options.compare:
            line += f"   alignment is worth {results['align'][name] - results['pool'][name]:+.3f}"
        print(f"{name:14}{line}")
    with atomic_writer(options.out / "results.json") as file:
        file.write(json.dumps(results, indent=1).encode())
    plot(results, losses, options.out / "results.png")
    print(f"pictures and results are in {options.out}")


if __name__ == "__main__":
    main()
