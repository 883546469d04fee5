"""Train a small CLIP to find drawn disks by texts, and measure how often its heat lies where it must.

    python tools/shapes_prompts.py FOLDER [--tower vit]   # some minutes on one core
    python tools/shapes_prompts.py --measure FOLDER [--method gradcam] [--layer auto]
    python tools/shapes_prompts.py --video disks.mp4      # a video of moving disks
    streamcam render disks.mp4 -o out.mp4 --model clip:FOLDER \
        --prompt "a striped red disk" --prompt "a checked blue disk"

An image holds up to four disks of any color and pattern, so that neither a color nor a pattern alone tells
whether a text is right. Pointing is the share of maps, over frames of videos that the network has not seen,
whose hottest pixel lies in the disk that the prompt names.
"""

from __future__ import annotations

import argparse
import itertools
import json
import tempfile
import time
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
import cv2
import numpy as np
import open_clip
import torch
import torch.nn.functional as F
from numpy.typing import NDArray
from safetensors.torch import save_file
from shapes_detector import background
from torch import nn

from streamcam import Explainer, load_model, stream
from streamcam.models.prompts import PromptModel

SIDE = 192
_COLORS = {"red": (215, 60, 50), "blue": (60, 90, 215), "yellow": (225, 205, 60)}
_DARK = (30, 30, 30)
_PATTERNS = ("plain", "striped", "checked")
TEXTS = tuple(f"a {pattern} {color} disk" for color, pattern in itertools.product(_COLORS, _PATTERNS))
_HALF_PERIOD = 6
"""Of patterns, in pixels."""
_TOWERS: dict[str, dict[str, Any]] = {
    "resnet": {"layers": [1, 1, 1, 1], "width": 8, "head_width": 32},
    "vit": {"layers": 2, "width": 64, "head_width": 16, "patch_size": 16},
}
"""Settings of open_clip's towers for images. A place at the end of the first one sees 105 pixels."""
_RATES = {"resnet": 3e-3, "vit": 1.5e-3}
_STEPS = {"resnet": 250, "vit": 600}
_BATCH = 24
_BIAS = -4.0
_FPS, _FRAMES = 25, 12

Pixels = NDArray[np.uint8]
Disk = tuple[int, float, float, float]
"""Number of its text; x, y and radius in pixels of an image of SIDE."""


def place(chance: np.random.Generator, least: int = 1) -> list[Disk]:
    """Choose up to four different disks, apart from each other."""
    disks: list[Disk] = []
    for text in chance.permutation(len(TEXTS))[: chance.integers(least, 5)].tolist():
        for _ in range(20):
            radius = float(chance.uniform(26, 36))
            x, y = chance.uniform(radius, SIDE - radius, 2).tolist()
            if all(np.hypot(x - u, y - v) > radius + r for _, u, v, r in disks):
                disks.append((text, x, y, radius))
                break
    return disks


def show(still: Pixels, disks: list[Disk], scale: int = 1) -> Pixels:
    """Draw disks on a background, enlarged."""
    image = still.copy()
    rows, columns = np.indices(image.shape[:2]) // (_HALF_PERIOD * scale) % 2 == 1
    colors = list(_COLORS.values())
    for text, x, y, radius in disks:
        color, pattern = divmod(text, len(_PATTERNS))
        inside = np.zeros(image.shape[:2], np.uint8)
        center = (round(x * scale * 16), round(y * scale * 16))
        cv2.circle(inside, center, round(radius * scale * 16), 1, -1, shift=4)
        image[inside == 1] = colors[color]
        if pattern:
            image[(inside == 1) & (rows if pattern == 1 else rows ^ columns)] = _DARK
    return image


def train(folder: Path, tower: str, steps: int, seed: int = 0) -> None:
    """Train a network, and write it to a folder as open_clip does."""
    torch.manual_seed(seed)
    chance = np.random.default_rng(seed)
    config = {
        "embed_dim": 64,
        "vision_cfg": {"image_size": SIDE, **_TOWERS[tower]},
        "text_cfg": {"context_length": 8, "vocab_size": 49408, "width": 64, "heads": 2, "layers": 1},
    }
    written = {"model_cfg": config, "preprocess_cfg": {"mean": [0.5] * 3, "std": [0.5] * 3}}
    folder.mkdir(parents=True, exist_ok=True)
    (folder / "open_clip_config.json").write_text(json.dumps(written), "utf-8")
    network: Any = open_clip.create_model(f"local-dir:{folder}", load_weights=False).train()
    network.token_embedding.requires_grad_(False)  # of few words: any will do
    tokens = open_clip.get_tokenizer(f"local-dir:{folder}")(list(TEXTS))
    bias = nn.Parameter(torch.tensor(_BIAS))  # each text is judged by itself, as SigLIP is trained
    learned = [*(one for one in network.parameters() if one.requires_grad), bias]
    optimizer = torch.optim.AdamW(learned, weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, _RATES[tower], total_steps=steps, pct_start=0.2)
    began_s = time.monotonic()
    for step in range(steps):
        scenes = [place(chance) for _ in range(_BATCH)]
        drawn = np.stack([show(background(chance, SIDE, SIDE), disks) for disks in scenes])
        right = torch.zeros(_BATCH, len(TEXTS))
        for row, disks in enumerate(scenes):
            right[row, [text for text, *_ in disks]] = 1
        pixels = torch.from_numpy(drawn).permute(0, 3, 1, 2)
        images = network.encode_image(pixels.float() / 127.5 - 1, normalize=True)
        similarities = images @ network.encode_text(tokens, normalize=True).mT
        loss = F.binary_cross_entropy_with_logits(network.logit_scale.exp() * similarities + bias, right)
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(learned, 1.0)
        optimizer.step()
        schedule.step()
        if step % 50 == 49:
            print(f"step {step + 1}: loss {loss.item():.3f}, {time.monotonic() - began_s:.0f} s", flush=True)
    save_file(network.state_dict(), folder / "open_clip_model.safetensors")


def measure(folder: Path, method: str, layer: str, count: int) -> str:
    """Return a line: accuracy and pointing over videos with two prompts each, and how pointing varies."""
    known = load_model(f"clip:{folder}", prompts=TEXTS)
    assert isinstance(known, PromptModel)
    chance = np.random.default_rng(99)
    ordered, pointed, chosen = [], [], ""
    with tempfile.TemporaryDirectory() as made:
        for number in range(count):
            still, start = background(chance, SIDE, SIDE), place(chance, least=2)
            speeds = chance.uniform(-2, 2, (len(start), 2)).tolist()
            scenes = [_move(start, speeds, moment) for moment in range(_FRAMES)]
            images = [show(still, disks) for disks in scenes]
            path = Path(made) / f"{number}.mkv"
            write(path, images)
            texts = [text for text, *_ in start]
            others = [text for text in range(len(TEXTS)) if text not in texts]
            explainer = Explainer(
                known.with_prompts([TEXTS[text] for text in texts[:2]]),
                classes=[0, 1],
                method=method,
                target_layer=layer,
                fit="stretch",
                backend="torch",
            )
            chosen = f"{explainer.method} {explainer.target_layer}"
            with stream(path, explainer) as running:
                pointed.append(
                    np.mean(
                        [
                            _points_at(explanation.heatmaps[index], scenes[frame.index][index])
                            for frame, explanation in running
                            for index in (0, 1)
                        ]
                    )
                )
            with torch.no_grad():
                scores = known.forward(explainer.preprocess(images[0])).scores[0]
            ordered.append(bool(scores[texts].min() > scores[others].max()))
    error = np.std(pointed) / np.sqrt(count)
    return (
        f"{chosen}: right texts are the most similar in {np.mean(ordered):.2f} of {count} videos, pointing "
        f"{np.mean(pointed):.3f} (standard error {error:.3f}) of {count * _FRAMES * 2} maps"
    )


def _move(start: list[Disk], speeds: list[list[float]], moment: int) -> list[Disk]:
    """Return disks after some frames; they stop at the edges."""
    moved = []
    for (text, x, y, radius), (right, down) in zip(start, speeds, strict=True):
        places = np.clip((x + right * moment, y + down * moment), radius, SIDE - radius)
        moved.append((text, *places.tolist(), radius))
    return moved


def _points_at(heatmap: NDArray[np.float32], disk: Disk) -> bool:
    """Return whether the hottest pixel of a map, enlarged, lies in a disk."""
    heat = cv2.resize(heatmap, (SIDE, SIDE), interpolation=cv2.INTER_CUBIC)
    row, column = np.unravel_index(int(heat.argmax()), heat.shape)
    _, x, y, radius = disk
    return bool(heat.max() > 0 and np.hypot(column + 0.5 - x, row + 0.5 - y) <= radius)


def write(path: Path, images: list[Pixels]) -> None:
    """Write a video."""
    lossless = path.suffix == ".mkv"
    with av.open(str(path), "w") as file:
        track = file.add_stream("ffv1" if lossless else "libx264", Fraction(_FPS))
        track.height, track.width = images[0].shape[:2]
        track.pix_fmt = "yuv444p" if lossless else "yuv420p"
        for image in images:
            file.mux(track.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        file.mux(track.encode())


def write_moving_disks(path: Path, seconds: float = 6, scale: int = 3) -> None:
    """Write a video of four disks that move; three patterns, three colors."""
    still = background(np.random.default_rng(5), SIDE * scale, SIDE * scale)
    striped_red, plain_red, checked_blue, striped_yellow = (
        TEXTS.index(f"a {name} disk")
        for name in ("striped red", "plain red", "checked blue", "striped yellow")
    )
    images = []
    for number in range(round(_FPS * seconds)):
        time_s = number / _FPS
        disks = [
            (striped_red, 40 + 18 * time_s, 42 + 8 * np.sin(2 * time_s), 31.0),
            (checked_blue, 152 - 18 * time_s, 150.0, 31.0),
            (plain_red, 36.0, 112 - 4 * time_s, 28.0),
            (striped_yellow, 158.0, 98 - 4 * np.cos(time_s), 27.0),
        ]
        images.append(show(still, disks, scale))
    write(path, images)


def main() -> None:
    parser = argparse.ArgumentParser(
        description=__doc__, formatter_class=argparse.RawDescriptionHelpFormatter
    )
    parser.add_argument("folder", nargs="?", type=Path, help="train, and write the network to this folder")
    parser.add_argument("--tower", choices=_TOWERS, default="resnet", help="what sees images")
    parser.add_argument("--steps", type=int, help="train for so long")
    parser.add_argument("--measure", type=Path, help="say how often the heat of this network is right")
    parser.add_argument("--method", default="auto")
    parser.add_argument("--layer", default="auto")
    parser.add_argument("--count", type=int, default=30, help="how many videos to measure")
    parser.add_argument("--video", type=Path, help="write a video of moving disks")
    options = parser.parse_args()
    torch.set_num_threads(1)  # images this small are not worth sharing
    if options.folder is not None:
        train(options.folder, options.tower, options.steps or _STEPS[options.tower])
    if options.video is not None:
        write_moving_disks(options.video)
    if options.measure is not None:
        print(measure(options.measure, options.method, options.layer, options.count))


if __name__ == "__main__":
    main()
