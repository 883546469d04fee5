"""How often the heat of a clip network lies on what moves, by construction the only evidence.

A small network is trained on made clips of four squares, of which one moves; the class is where it goes. No
frame alone says that. Then videos that it has not seen are streamed, and the strongest place of each frame's
map is looked for in the square that moves.

    python benchmarks/clip_pointing.py [--video FILE]

Training takes two to four minutes on two cores. The exit code is 1 if accuracy or pointing is below 0.95.
"""

from __future__ import annotations

import argparse
import sys
import tempfile
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from torch import nn

import streamcam
from streamcam.models import ClipClassifier, InputSpec

SIDE, LENGTH, SQUARE = 48, 8, 8
LABELS = ("left", "right", "up", "down")
STEPS = ((-2, 0), (2, 0), (0, -2), (0, 2))  # pixels a frame
RATE = 15
ENLARGED = 8  # of the videos, so that there is something to see
REQUIRED = 0.95


def make_scene(chance: np.random.Generator, frames: int) -> tuple[NDArray[np.uint8], NDArray[np.int64], int]:
    """Make a clip in which one of four squares moves.

    Returns:
        RGB, uint8 (frames, SIDE, SIDE, 3); the moving square's left and top edge in each, (frames, 2); the
        class.
    """
    kind = int(chance.integers(4))
    step = np.array(STEPS[kind])
    travel = frames - 1
    cells = chance.permutation(9)[:4]
    corners = np.stack([cells % 3, cells // 3], axis=1) * 16 + chance.integers(0, 8, (4, 2))
    colors = chance.integers(110, 256, (4, 3))
    start = corners[0].copy()
    for axis in (0, 1):  # the whole way lies inside
        low, high = max(0, -step[axis] * travel), SIDE - SQUARE - max(0, step[axis] * travel)
        start[axis] = np.clip(start[axis], low, high)
    places = start + np.arange(frames)[:, None] * step
    clip = np.empty((frames, SIDE, SIDE, 3), np.uint8)
    clip[:] = chance.integers(0, 60, (SIDE, SIDE, 3))
    for number in range(frames):
        for (left, top), color in zip((*corners[1:], places[number]), (*colors[1:], colors[0]), strict=True):
            clip[number, top : top + SQUARE, left : left + SQUARE] = color
    return clip, places, kind


def train(steps: int) -> ClipClassifier:
    """Train the network."""
    torch.manual_seed(0)
    chance = np.random.default_rng(0)
    network = nn.Sequential(
        nn.Conv3d(3, 16, (3, 5, 5), stride=(1, 2, 2), padding=(1, 2, 2)),
        nn.BatchNorm3d(16),
        nn.ReLU(),
        nn.Conv3d(16, 32, 3, stride=(1, 2, 2), padding=1),
        nn.BatchNorm3d(32),
        nn.ReLU(),
        nn.AdaptiveAvgPool3d(1),
        nn.Flatten(),
        nn.Linear(32, 4),
    )
    spec = InputSpec(SIDE, SIDE, (0.25,) * 3, (0.25,) * 3)
    model = ClipClassifier("moving squares", network, LABELS, spec, "trained", frames=LENGTH, rate=RATE)
    optimizer = torch.optim.AdamW(network.parameters(), 3e-3)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 1e-2, steps)
    for number in range(steps):
        scenes = [make_scene(chance, LENGTH) for _ in range(24)]
        clips = torch.from_numpy(np.stack([clip for clip, _, _ in scenes])).movedim(-1, 1)
        logits = network(model.prepare(clips))
        loss = F.cross_entropy(logits, torch.tensor([kind for _, _, kind in scenes]))
        optimizer.zero_grad()
        loss.backward()
        optimizer.step()
        schedule.step()
        if number % 25 == 24:
            print(f"step {number + 1}: loss {float(loss.detach()):.3f}", flush=True)
    network.eval()
    return model


def write_video(path: Path, images: NDArray[np.uint8]) -> None:
    """Write RGB images as a video without loss, enlarged."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("ffv1", rate=Fraction(RATE))
        stream.width = stream.height = SIDE * ENLARGED
        stream.pix_fmt = "yuv444p"
        for image in images:
            large = image.repeat(ENLARGED, 0).repeat(ENLARGED, 1)
            container.mux(stream.encode(av.VideoFrame.from_ndarray(large, "rgb24")))
        container.mux(stream.encode(None))


def points_at(heatmap: NDArray[np.float32], place: NDArray[np.int64]) -> bool:
    """Return whether the strongest place of a map lies in a square, or within a cell of it."""
    row, column = np.unravel_index(int(heatmap.argmax()), heatmap.shape)
    rows, columns = heatmap.shape
    x, y = (column + 0.5) / columns * SIDE, (row + 0.5) / rows * SIDE
    slack = SIDE / columns
    left, top = place
    return bool(left - slack <= x <= left + SQUARE + slack and top - slack <= y <= top + SQUARE + slack)


def main() -> int:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=325)
    parser.add_argument("--scenes", type=int, default=30)
    parser.add_argument("--video", type=Path, help="also render some scenes to this file")
    options = parser.parse_args()
    torch.set_num_threads(2)
    model = train(options.steps)
    explainer = streamcam.Explainer(model, fit="stretch", clip_stride=2)
    chance = np.random.default_rng(1)
    hits, right, frames = 0, 0, 0
    shown = []
    with tempfile.TemporaryDirectory() as folder:
        for number in range(options.scenes):
            images, places, kind = make_scene(chance, 18)
            shown.append(images)
            path = Path(folder) / f"{number}.mkv"
            write_video(path, images)
            with streamcam.stream(str(path), explainer) as running:
                for frame, explanation in running:
                    target = explanation.targets[0]
                    frames += 1
                    right += target.label == LABELS[kind]
                    hits += points_at(explanation.heatmaps[target.index], places[frame.index])
        if options.video is not None:
            film = Path(folder) / "film.mkv"
            write_video(film, np.concatenate(shown[:6]))
            streamcam.render(
                str(film), str(options.video), explainer, settings=streamcam.RenderSettings(overwrite=True)
            )
    accuracy, pointing = right / frames, hits / frames
    print(f"layer {explainer.target_layer}; {frames} frames of {options.scenes} videos")
    print(f"accuracy {accuracy:.3f}, pointing {pointing:.3f}, both at least {REQUIRED}")
    return 0 if min(accuracy, pointing) >= REQUIRED else 1


if __name__ == "__main__":
    sys.exit(main())
