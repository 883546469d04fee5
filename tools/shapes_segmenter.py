"""Train a small SegFormer on drawn shapes, and measure how often its heat lies where it must.

    python tools/shapes_segmenter.py FOLDER             # a few minutes on one core
    python tools/shapes_segmenter.py --measure FOLDER [--method gradcam] [--layer auto]
    streamcam render shapes.mp4 -o out.mp4 --model hf:FOLDER --target top3   # of tools/shapes_detector.py

Pointing is the share of classes found in an image whose hottest pixel lies in a shape of that class.
"""

from __future__ import annotations

import argparse
import json
import time
from pathlib import Path
from typing import Any

import cv2
import numpy as np
import torch
import torch.nn.functional as F
import transformers
from numpy.typing import NDArray
from shapes_detector import CLASSES, HEIGHT, WIDTH, scene
from torch import nn

from streamcam import Explainer, load_model

_STEPS, _BATCH = 350, 12
_CELL = 4
"""Pixels along a side of a place that the network names a class for."""

LABELS = ("background", *CLASSES)

Pixels = NDArray[np.uint8]


def regions(boxes: list[Any], kinds: list[int]) -> NDArray[np.int64]:
    """Return the class of each pixel of a scene, 0 for the background, int64 (H, W)."""
    classes = np.zeros((HEIGHT, WIDTH), np.uint8)
    for (left, top, right, bottom), kind in zip(boxes, kinds, strict=True):
        x, y, side = (left + right) / 2, (top + bottom) / 2, (right - left) / 2
        if kind == 0:
            cv2.circle(classes, (round(x), round(y)), round(side), 1, -1)
        else:
            corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)] if kind == 1 else [(0, -1), (1, 1), (-1, 1)]
            points = [(round(x + side * a), round(y + side * b)) for a, b in corners]
            cv2.fillPoly(classes, [np.array(points, np.int32)], kind + 1)
    return classes.astype(np.int64)


def train(folder: Path, steps: int, seed: int = 0) -> None:
    """Train a network and write it to a folder."""
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    config = transformers.SegformerConfig(
        depths=[1, 1, 1, 1],
        hidden_sizes=[16, 32, 64, 96],
        num_attention_heads=[1, 2, 4, 4],
        decoder_hidden_size=64,
        id2label=dict(enumerate(LABELS)),
    )
    network: Any = transformers.SegformerForSemanticSegmentation(config).train()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.15)
    began_s = time.monotonic()
    for step in range(steps):
        scenes = [scene(chance) for _ in range(_BATCH)]
        pixels = torch.from_numpy(np.stack([image for image, _, _ in scenes])).permute(0, 3, 1, 2)
        middle = _CELL // 2
        right = np.stack([regions(boxes, kinds)[middle::_CELL, middle::_CELL] for _, boxes, kinds in scenes])
        loss = F.cross_entropy(network(pixels.float() / 127.5 - 1).logits, torch.from_numpy(right))
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            print(f"step {step + 1}: loss {loss.item():.3f}, {time.monotonic() - began_s:.0f} s", flush=True)
    network.eval().save_pretrained(folder)
    processor = {"size": {"height": HEIGHT, "width": WIDTH}, "image_mean": [0.5] * 3, "image_std": [0.5] * 3}
    (folder / "preprocessor_config.json").write_text(json.dumps(processor), "utf-8")


def measure(folder: Path, method: str, layer: str, count: int) -> tuple[float, float, float]:
    """Return the share of pixels that get their class, pointing, and the share of maps without heat."""
    model = load_model(f"hf:{folder}")
    explainer = Explainer(
        model, method=method, target_layer=layer, classes=[1, 2, 3], backend="torch", fit="stretch"
    )
    chance = np.random.default_rng(99)
    right, pointed, empty = [], [], []
    for _ in range(count):
        image, boxes, kinds = scene(chance)
        truth = regions(boxes, kinds)
        (explanation,) = explainer.explain(image)
        with torch.no_grad():
            logits = model.module(explainer.preprocess(image)).logits
        won = F.interpolate(logits, (HEIGHT, WIDTH), mode="bilinear").argmax(dim=1)[0].numpy()
        right.append((won == truth).mean())
        for index in {kind + 1 for kind in kinds} & {one.class_index for one in explanation.instances}:
            heat = cv2.resize(explanation.heatmaps[index], (WIDTH, HEIGHT), interpolation=cv2.INTER_CUBIC)
            empty.append(heat.max() <= 0)
            pointed.append(heat.max() > 0 and truth.flat[int(heat.argmax())] == index)
    return float(np.mean(right)), float(np.mean(pointed)), float(np.mean(empty))


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="train, and write the network to this folder")
    parser.add_argument("--steps", type=int, default=_STEPS, help="train for so long")
    parser.add_argument("--measure", type=Path, help="say how often the heat of this network is right")
    parser.add_argument("--method", default="gradcam")
    parser.add_argument("--layer", default="auto")
    parser.add_argument("--count", type=int, default=100, help="how many images to measure")
    options = parser.parse_args()
    torch.set_num_threads(1)  # images this small are not worth sharing
    if options.folder is not None:
        train(options.folder, options.steps)
    if options.measure is not None:
        right, pointed, empty = measure(options.measure, options.method, options.layer, options.count)
        print(
            f"{options.method} {options.layer}: {right:.3f} of pixels right, pointing {pointed:.2f}, "
            f"{empty:.2f} of maps empty"
        )


if __name__ == "__main__":
    main()
