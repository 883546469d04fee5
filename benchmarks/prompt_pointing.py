"""How often the heat of a network for images and texts lies on the shape that a prompt names.

A small CLIP with a tower of convolutions, open_clip's ModifiedResNet or one of timm's, is trained on made
images of two or three shapes, with captions as "a red circle": those of shapes that are there are right. Then
images that it has not seen are explained for each right caption by Grad-CAM at the tower's last stage: by
construction nothing but that shape speaks for it.

    python benchmarks/prompt_pointing.py [--tower resnet|timm] [--video FILE]

Training takes about five minutes on two cores. The exit code is 1 if accuracy or pointing is below 0.95.
"""

from __future__ import annotations

import argparse
import itertools
import json
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.typing import NDArray

import streamcam

SIDE, BATCH, RATE = 128, 24, 25
COLORS = {"red": (215, 60, 50), "blue": (60, 90, 215), "yellow": (225, 205, 60)}
SHAPES = ("circle", "square", "triangle")
CAPTIONS = tuple(f"a {color} {shape}" for color, shape in itertools.product(COLORS, SHAPES))
REQUIRED = 0.95

TOWERS = {
    "resnet": {"layers": [1, 1, 1, 1], "width": 16, "head_width": 32},
    "timm": {"timm_model_name": "test_efficientnet", "timm_pool": "avg", "timm_proj": "linear"},
}
"""Settings of the tower for images; both see 32 pixels in a cell at their end."""

Pixels = NDArray[np.uint8]
Shape = tuple[int, float, float, float]
"""Number of its caption; x, y and radius in pixels of an image of SIDE."""


def draw(image: Pixels, shapes: list[Shape], scale: float = 1.0) -> None:
    """Draw shapes into an RGB image, enlarged."""
    for caption, *place in shapes:
        color = COLORS[CAPTIONS[caption].split()[1]]
        x, y, radius = (round(value * scale) for value in place)
        if caption % 3 == 0:
            cv2.circle(image, (x, y), radius, color, -1, cv2.LINE_AA)
            continue
        square = np.array([[-0.85, -0.85], [0.85, -0.85], [0.85, 0.85], [-0.85, 0.85]])
        triangle = np.array([[0.0, -1.0], [0.95, 0.8], [-0.95, 0.8]])
        corners = (square if caption % 3 == 1 else triangle) * radius + (x, y)
        cv2.fillPoly(image, [corners.round().astype(np.int32)], color, cv2.LINE_AA)


def make_scene(chance: np.random.Generator) -> tuple[Pixels, list[Shape]]:
    """Draw two or three shapes apart from each other, of different colors, on noise."""
    coarse = chance.integers(40, 130, (8, 8, 3)).astype(np.uint8)
    image = cv2.resize(coarse, (SIDE, SIDE), interpolation=cv2.INTER_LINEAR)
    shapes: list[Shape] = []
    for color in chance.permutation(len(COLORS))[: chance.integers(2, 4)].tolist():
        for _ in range(20):
            radius = float(chance.uniform(18, 26))
            x, y = chance.uniform(radius, SIDE - radius, 2).tolist()
            if all(np.hypot(x - u, y - v) > radius + r for _, u, v, r in shapes):
                shapes.append((color * len(SHAPES) + int(chance.integers(len(SHAPES))), x, y, radius))
                break
    draw(image, shapes)
    return image, shapes


def register(tower: str, folder: Path) -> str:
    """Tell open_clip of the network, and return its name there."""
    config = {
        "embed_dim": 64,
        "init_logit_bias": -4.0,
        "vision_cfg": {"image_size": SIDE, **TOWERS[tower]},
        "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
    }
    (folder / f"shapes-{tower}.json").write_text(json.dumps(config), "utf-8")
    open_clip.add_model_config(folder)
    return f"shapes-{tower}"


def train(name: str, steps: int, weights: Path) -> None:
    """Train a network, and write its weights to a file."""
    torch.manual_seed(0)
    chance = np.random.default_rng(0)
    network = open_clip.create_model(name).train()
    texts = open_clip.get_tokenizer(name)(list(CAPTIONS))
    mean, std = (
        torch.tensor(values)[:, None, None]
        for values in (network.visual.image_mean, network.visual.image_std)
    )
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps, pct_start=0.2)
    for step in range(steps):
        scenes = [make_scene(chance) for _ in range(BATCH)]
        pixels = torch.from_numpy(np.stack([image for image, _ in scenes])).permute(0, 3, 1, 2) / 255
        right = torch.zeros(BATCH, len(CAPTIONS))
        for row, (_, shapes) in enumerate(scenes):
            right[row, [caption for caption, *_ in shapes]] = 1
        images = network.encode_image((pixels - mean) / std, normalize=True)
        similarities = images @ network.encode_text(texts, normalize=True).mT
        logits = network.logit_scale.exp() * similarities + network.logit_bias
        loss = F.binary_cross_entropy_with_logits(logits, right)
        optimizer.zero_grad()
        loss.backward()
        torch.nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            print(f"step {step + 1}: loss {loss.item():.3f}", flush=True)
    torch.save(network.state_dict(), weights)


def measure(explainer: streamcam.Explainer, count: int) -> tuple[float, float]:
    """Return the share of images whose right captions are the most similar, and of maps that point right."""
    chance = np.random.default_rng(99)
    right, hits = [], []
    for _ in range(count):
        image, shapes = make_scene(chance)
        (explanation,) = explainer.explain(image)
        with torch.no_grad():
            scores = explainer.model.forward(explainer.preprocess(image)).scores[0]
        found = set(scores.topk(len(shapes)).indices.tolist())
        right.append(found == {caption for caption, *_ in shapes})
        for caption, x, y, radius in shapes:
            heat = cv2.resize(explanation.heatmaps[caption], (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
            row, column = np.unravel_index(int(heat.argmax()), heat.shape)
            hits.append(heat.max() > 0 and max(abs(column - x), abs(row - y)) <= radius)
    return float(np.mean(right)), float(np.mean(hits))


def write_film(path: Path, seconds: float = 6, enlarged: int = 4) -> None:
    """Write a video of three shapes that move."""
    coarse = np.random.default_rng(5).integers(40, 130, (8, 8, 3)).astype(np.uint8)
    still = cv2.resize(coarse, (SIDE * enlarged,) * 2, interpolation=cv2.INTER_LINEAR)
    red, blue, yellow = (
        CAPTIONS.index(f"a {name}") for name in ("red circle", "blue square", "yellow triangle")
    )
    with av.open(str(path), "w") as file:
        stream = file.add_stream("ffv1", Fraction(RATE))
        stream.width, stream.height, stream.pix_fmt = SIDE * enlarged, SIDE * enlarged, "yuv444p"
        for number in range(round(RATE * seconds)):
            time_s = number / RATE
            image = still.copy()
            shapes = [
                (red, 26 + 12 * time_s, 30 + 6 * np.sin(2 * time_s), 23.0),
                (blue, 100 - 11 * time_s, 98.0, 22.0),
                (yellow, 98 + 8 * np.cos(2 * time_s), 40.0 + 3 * time_s, 20.0),
            ]
            draw(image, shapes, enlarged)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        file.mux(stream.encode(None))


def main() -> int:
    """Train, measure, and perhaps render."""
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--tower", choices=TOWERS, default="resnet")
    parser.add_argument("--steps", type=int, default=320)
    parser.add_argument("--images", type=int, default=150)
    parser.add_argument("--method", default="gradcam")
    parser.add_argument("--layer", default="auto")
    parser.add_argument("--weights", type=Path, help="keep what was trained here, and use it again")
    parser.add_argument("--video", type=Path, help="also render a film with two prompts to this file")
    options = parser.parse_args()
    torch.set_num_threads(1)  # images this small are not worth sharing
    with tempfile.TemporaryDirectory() as made:
        folder = Path(made)
        name = register(options.tower, folder)
        weights = options.weights or folder / "shapes.pt"
        if not weights.is_file():
            train(name, options.steps, weights)
        model = streamcam.load_model(f"clip:{name}", weights=weights, prompts=CAPTIONS)
        settings = {"method": options.method, "target_layer": options.layer, "fit": "stretch"}
        explainer = streamcam.Explainer(model, classes=list(range(len(CAPTIONS))), **settings)
        accuracy, pointing = measure(explainer, options.images)
        if options.video is not None:
            write_film(folder / "film.mkv")
            prompts = ["a red circle", "a blue square"]
            two = streamcam.load_model(f"clip:{name}", weights=weights, prompts=prompts)
            chosen = streamcam.Explainer(two, classes=prompts, **settings)
            keep = streamcam.RenderSettings(overwrite=True)
            streamcam.render(str(folder / "film.mkv"), str(options.video), chosen, settings=keep)
    print(f"{options.tower} tower, {explainer.method} at {explainer.target_layer}; {options.images} images")
    print(f"accuracy {accuracy:.3f}, pointing {pointing:.3f}, both at least {REQUIRED}")
    return 0 if min(accuracy, pointing) >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
