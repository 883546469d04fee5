"""Train a small detector on drawn shapes, so that it is known where its heat must lie.

    python tools/shapes_detector.py shapes.pth          # a minute or two on two cores
    python tools/shapes_detector.py --video shapes.mp4  # a video of moving shapes with known boxes
    cd tools && streamcam render ../shapes.mp4 -o out.mp4 --model shapes_detector:build \
        --weights ../shapes.pth --target instances
"""

from __future__ import annotations

import argparse
import itertools
import time
from collections import OrderedDict
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import torch
from numpy.typing import NDArray
from torch import nn
from torchvision.models.detection import RetinaNet
from torchvision.models.detection.anchor_utils import AnchorGenerator
from torchvision.ops import FeaturePyramidNetwork

CLASSES = ("disk", "square", "triangle")
_COLORS = ((215, 60, 50), (60, 90, 215), (225, 205, 60))
"""The usual color of each class."""
HEIGHT, WIDTH = 96, 160
_CHANNELS = (12, 24, 48, 64, 64)
_STEPS = 600
_BATCH = 6

Pixels = NDArray[np.uint8]
Box = tuple[float, float, float, float]


class Backbone(nn.Module):
    """Five blocks that halve the resolution, and a feature pyramid of the last three."""

    def __init__(self) -> None:
        super().__init__()
        widths = (3, *_CHANNELS)
        self.blocks = nn.ModuleList(
            nn.Sequential(
                nn.Conv2d(before, after, 3, stride=2, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
                nn.Conv2d(after, after, 3, padding=1, bias=False),
                nn.BatchNorm2d(after),
                nn.ReLU(),
            )
            for before, after in itertools.pairwise(widths)
        )
        self.out_channels = 32
        self.fpn = FeaturePyramidNetwork(list(_CHANNELS[2:]), self.out_channels)

    def forward(self, images: torch.Tensor) -> OrderedDict[str, torch.Tensor]:
        features = []
        for block in self.blocks:
            images = block(images)
            features.append(images)
        return self.fpn(OrderedDict((str(number), values) for number, values in enumerate(features[2:])))


def build() -> RetinaNet:
    """Return the untrained network, for images of 96 pixels' height."""
    sizes = tuple((size, size * 2 ** (1 / 2)) for size in (16, 32, 64))
    anchors = AnchorGenerator(sizes, ((1.0,),) * len(sizes))
    network = RetinaNet(
        Backbone(),
        len(CLASSES),
        anchor_generator=anchors,
        min_size=HEIGHT,
        max_size=WIDTH,
        image_mean=[0.5] * 3,
        image_std=[0.25] * 3,
    )
    for part in network.head.modules():  # torchvision's own are so small that nothing reaches the backbone
        if isinstance(part, nn.Conv2d) and part.out_channels == part.in_channels:
            nn.init.kaiming_normal_(part.weight)
    return network


def draw(
    background: Pixels, shapes: list[tuple[int, float, float, float, tuple[int, int, int]]]
) -> tuple[Pixels, list[Box]]:
    """Draw shapes: (class, center x, center y, radius, color) each; later ones lie on top."""
    image, boxes = background.copy(), []
    for kind, x, y, radius, color in shapes:
        side = radius * 0.85
        if kind == 0:
            cv2.circle(image, (round(x * 16), round(y * 16)), round(radius * 16), color, -1, cv2.LINE_AA, 4)
            boxes.append((x - radius, y - radius, x + radius, y + radius))
        else:
            corners = [(-1, -1), (1, -1), (1, 1), (-1, 1)] if kind == 1 else [(0, -1), (1, 1), (-1, 1)]
            points = np.array([(x + side * a, y + side * b) for a, b in corners])
            cv2.fillPoly(image, [np.rint(points * 16).astype(np.int32)], color, cv2.LINE_AA, 4)
            boxes.append((x - side, y - side, x + side, y + side))
    return image, boxes


def background(chance: np.random.Generator, height: int = HEIGHT, width: int = WIDTH) -> Pixels:
    """Return gray clouds with noise."""
    coarse = (chance.uniform(40, 200, (5, 8, 1)) + chance.uniform(-15, 15, (5, 8, 3))).astype(np.float32)
    clouds = cv2.resize(coarse, (width, height), interpolation=cv2.INTER_CUBIC)
    return np.clip(clouds + chance.normal(0, 5, clouds.shape), 0, 255).astype(np.uint8)


def scene(chance: np.random.Generator) -> tuple[Pixels, list[Box], list[int]]:
    """Draw one to four shapes that hardly overlap; return image, boxes and classes."""
    shapes: list[tuple[int, float, float, float, tuple[int, int, int]]] = []
    for _ in range(int(chance.integers(1, 5))):
        radius = float(np.exp(chance.uniform(np.log(11), np.log(34))))
        x, y = chance.uniform(radius, WIDTH - radius), chance.uniform(radius, HEIGHT - radius)
        if all(np.hypot(x - u, y - v) > radius + r for _, u, v, r, _ in shapes):
            kind = int(chance.integers(3))
            shapes.append((kind, x, y, radius, _vary(_COLORS[kind], chance)))
    image, boxes = draw(background(chance), shapes)
    return image, boxes, [shape[0] for shape in shapes]


def _vary(color: tuple[int, int, int], chance: np.random.Generator) -> tuple[int, int, int]:
    red, green, blue = np.clip(np.array(color) + chance.uniform(-35, 35, 3), 0, 255).astype(int).tolist()
    return red, green, blue


def train(seed: int = 0, steps: int = _STEPS) -> RetinaNet:
    """Train the network on the CPU; the same every time on one machine."""
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    network = build()
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=1e-4)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 2.5e-3, total_steps=steps, pct_start=0.1)
    began_s = time.monotonic()
    for step in range(steps):
        images, targets = [], []
        for _ in range(_BATCH):
            pixels, boxes, classes = scene(chance)
            images.append(torch.from_numpy(pixels).permute(2, 0, 1) / 255)
            targets.append({"boxes": torch.tensor(boxes), "labels": torch.tensor(classes)})
        loss = sum(network(images, targets).values())
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 10.0)
        optimizer.step()
        schedule.step()
        if step % 100 == 99:
            print(f"step {step + 1}: loss {loss.item():.3f}, {time.monotonic() - began_s:.0f} s", flush=True)
    return network.eval()


def write_video(path: Path, seconds: float = 6, size: tuple[int, int] = (1024, 640)) -> None:
    """Write a video of shapes that move, cross the edge, and hide each other for a moment."""
    width, height = size
    still = cv2.resize(background(np.random.default_rng(5)), size, interpolation=cv2.INTER_CUBIC)
    with av.open(str(path), "w") as file:
        stream = file.add_stream("libx264", Fraction(25))
        stream.width, stream.height, stream.pix_fmt = width, height, "yuv420p"
        for number in range(round(25 * seconds)):
            time_s = number / 25
            shapes = [
                (0, 200 + 90 * time_s, 190 + 30 * np.sin(2 * time_s), 95, _COLORS[0]),
                (1, 860 - 60 * time_s, 430, 120, _COLORS[1]),
                (2, 480 + 140 * np.cos(time_s), 480 + 20 * time_s, 70, _COLORS[2]),
                (0, 120 + 130 * time_s, 570, 66, _COLORS[0]),
                (2, 880, 150 - 8 * time_s, 72, _COLORS[2]),
            ]
            image, _ = draw(still, shapes)
            file.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        file.mux(stream.encode())


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("weights", nargs="?", type=Path, help="train, and write the weights to this file")
    parser.add_argument("--video", type=Path, help="write a video of moving shapes")
    arguments = parser.parse_args()
    if arguments.video is not None:
        write_video(arguments.video)
    if arguments.weights is not None:
        torch.set_num_threads(1)  # images this small are not worth sharing
        torch.save({"state_dict": train().state_dict(), "classes": CLASSES}, arguments.weights)


if __name__ == "__main__":
    main()
