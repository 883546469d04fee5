"""Compare layers of small networks by how often the heat of a class lies on what shows it.

Networks with the structure of published ones (`layer_networks.py`) learn which of four colors an image of
noise shows: three shapes lie on it anywhere, one or two of them in these colors, the others in colors that do
not count. Whatever says that a color is there lies on that shape. Then each class that a new image shows is
explained, at the layer that `auto` takes and at others. Pointing is the share of maps whose hottest pixel
lies in the square of 20x20 pixels around the shape, 10 % of the image; an empty map points at nothing.

    python benchmarks/layers.py [--steps 350] [--seeds 0 1 2] [--only "Swin (timm)" EVA] [--save FILE]
    python benchmarks/layers.py --read FILE

On one quiet core a network takes 20 to 60 seconds for each seed. The table has the mean of the seeds and its
standard error, and what `auto` takes in bold; it goes into docs/benchmarks.md. `--save` adds the results to a
file as they are made, which `--read` makes the table of.
"""

from __future__ import annotations

import argparse
import json
import math
import statistics
import time
from collections.abc import Iterable
from pathlib import Path
from typing import Any

import numpy as np
import torch
import torch.nn.functional as F
from layer_networks import CLASSES, SIDE, STRUCTURES
from numpy.typing import NDArray
from torch import nn

from streamcam import Explainer
from streamcam.explain.targets import Target
from streamcam.models import Classifier, InputSpec

SHAPE = 20
BATCH, IMAGES = 32, 64
LABELS = ("red", "green", "blue", "yellow")
METHODS = {
    "tokens": ("gradcam", "hirescam", "vit-reciprocam"),
    "planes": ("gradcam", "hirescam", "reciprocam"),
}
"""By what the layers put out; the last one needs no gradients."""
MEAN, STD = 0.5, 0.25

Pixels = NDArray[np.uint8]
Places = NDArray[np.int64]


COLORS = np.array([(190, 50, 50), (50, 160, 50), (60, 60, 200), (170, 150, 40)])
"""Of the classes."""
OTHERS = np.array([(60, 170, 170), (180, 60, 180), (200, 200, 200), (40, 40, 40)])
"""Of shapes that belong to no class."""


def _draw_shapes() -> NDArray[np.bool_]:
    """Draw a disk, a frame, a cross and stripes: bool (4, SHAPE, SHAPE)."""
    axis = np.arange(SHAPE) - (SHAPE - 1) / 2
    rows, columns = np.meshgrid(axis, axis, indexing="ij")
    outer = np.maximum(abs(rows), abs(columns))
    inner = np.minimum(abs(rows), abs(columns))
    stripes = np.broadcast_to((np.arange(SHAPE) // 4 % 2 == 0)[:, None], (SHAPE, SHAPE))
    return np.stack([rows**2 + columns**2 < SHAPE**2 / 4, outer > SHAPE / 4, inner < SHAPE / 8, stripes])


def make_images(count: int, seed: int) -> tuple[Pixels, Places]:
    """Make images of noise with three shapes that do not touch, one or two of them in colors of classes.

    Returns:
        RGB, uint8 (count, SIDE, SIDE, 3); the top and left edge of the shape of each class, -1 for those that
        an image does not show, (count, CLASSES, 2).
    """
    random = np.random.default_rng(seed)
    shapes = _draw_shapes()
    images = random.normal(110, 30, (count, SIDE, SIDE, 3))
    places = np.full((count, CLASSES, 2), -1)
    for image, of_classes in zip(images, places, strict=True):
        classes = random.permutation(CLASSES)[: random.integers(1, 3)]
        corners: list[NDArray[np.int64]] = []
        while len(corners) < 3:
            corner = random.integers(0, SIDE - SHAPE + 1, 2)
            if all(abs(corner - other).max() >= SHAPE for other in corners):
                corners.append(corner)
        colors = [*COLORS[classes], *random.permutation(OTHERS)][:3]
        for (top, left), color in zip(corners, colors, strict=True):
            square = image[top : top + SHAPE, left : left + SHAPE]
            square[shapes[random.integers(len(shapes))]] += color - 110
        of_classes[classes] = corners[: len(classes)]
    return images.clip(0, 255).astype(np.uint8), places


def train(network: nn.Module, steps: int, seed: int) -> None:
    """Train a network on 4,096 images to say which shapes they show."""
    images, places = make_images(4096, seed=1000 + seed)
    present = torch.from_numpy(places[:, :, 0] >= 0).float()
    chance = torch.Generator().manual_seed(seed)
    optimizer = torch.optim.AdamW(network.parameters(), weight_decay=0.02)
    schedule = torch.optim.lr_scheduler.OneCycleLR(optimizer, 3e-3, total_steps=steps)
    network.train()
    for _ in range(steps):
        chosen = torch.randint(0, len(images), (BATCH,), generator=chance)
        logits = network(prepare(images[chosen.numpy()]))
        if isinstance(logits, tuple):  # of both tokens of a distilled network
            logits = sum(logits) / 2
        loss = F.binary_cross_entropy_with_logits(logits, present[chosen])
        optimizer.zero_grad()
        loss.backward()
        nn.utils.clip_grad_norm_(network.parameters(), 1.0)
        optimizer.step()
        schedule.step()
    network.eval()


def prepare(images: Pixels) -> torch.Tensor:
    """Scale images (N, H, W, 3) as the networks take them, (N, 3, H, W)."""
    return (torch.from_numpy(images).movedim(-1, 1) / 255 - MEAN) / STD


def measure_accuracy(network: nn.Module, images: Pixels, places: Places) -> float:
    """Return how many of the answers, one for each class and image, are right."""
    with torch.no_grad():
        found = network(prepare(images)) > 0
    return float((found.numpy() == (places[:, :, 0] >= 0)).mean())


def measure_pointing(explainer: Explainer, images: Pixels, places: Places) -> float:
    """Return the share of maps, one for each class shown, whose hottest pixel lies in the shape's square."""
    hits, maps = 0, 0
    for kind in range(CLASSES):
        shown = np.flatnonzero(places[:, kind, 0] >= 0)
        explanations = explainer.with_targets([Target(class_index=kind)]).explain(list(images[shown]))
        heat = np.stack([explanation.heatmaps[kind] for explanation in explanations])
        enlarged = F.interpolate(torch.from_numpy(heat)[:, None], (SIDE, SIDE), mode="bilinear").flatten(1)
        hottest = np.stack(np.divmod(enlarged.argmax(dim=1).numpy(), SIDE), axis=1)
        offsets = hottest - places[shown, kind]
        hits += int(((offsets >= 0) & (offsets < SHAPE)).all(axis=1)[heat.max(axis=(1, 2)) > 0].sum())
        maps += len(shown)
    return hits / maps


def measure(name: str, seed: int, steps: int) -> list[dict[str, Any]]:
    """Train a network and measure each of its layers, and the one that `auto` takes."""
    started = time.monotonic()
    structure = STRUCTURES[name]
    torch.manual_seed(seed)
    network = structure.build()
    train(network, steps, seed)
    images, places = make_images(IMAGES, seed=99)
    accuracy = measure_accuracy(network, images, places)
    model = Classifier(
        name, network, LABELS, InputSpec(SIDE, SIDE, (MEAN,) * 3, (STD,) * 3), "trained", activation="sigmoid"
    )
    settings: dict[str, Any] = {"fit": "stretch", "backend": "torch", "precision": "fp32", "device": "cpu"}
    auto = Explainer(model, **settings)
    methods = METHODS["tokens" if structure.tokens else "planes"]
    print(f"{name}, seed {seed}: accuracy {accuracy:.3f}, auto {auto.target_layer}", flush=True)
    results = []
    for layer, dotted in structure.layers.items():
        for method in methods:
            explainer = auto.variant(method=method, target_layer=dotted)
            result = {
                "network": name,
                "seed": seed,
                "accuracy": accuracy,
                "layer": layer,
                "auto": dotted == auto.target_layer,
                "method": method,
                "pointing": measure_pointing(explainer, images, places),
            }
            results.append(result)
            print(f"  {layer:20} {method:15} {result['pointing']:.3f}", flush=True)
    print(f"  {time.monotonic() - started:.0f} s", flush=True)
    return results


def describe(results: Iterable[dict[str, Any]]) -> str:
    """Make a table for each kind of method: a row for each network and layer."""
    values: dict[tuple[str, str, bool], dict[str, list[float]]] = {}
    accuracies: dict[str, list[float]] = {}
    for result in results:
        row = (result["network"], result["layer"], result["auto"])
        method = "Recipro-CAM" if "reciprocam" in result["method"] else result["method"]
        values.setdefault(row, {}).setdefault(method, []).append(result["pointing"])
        accuracies.setdefault(result["network"], []).append(result["accuracy"])
    lines = ["| network | answers right | layer | Grad-CAM | HiResCAM | Recipro-CAM | seeds |"]
    lines.append("| --- | --- | --- | --- | --- | --- | --- |")
    before = ""
    for (network, layer, is_auto), by_method in values.items():
        right = f"{statistics.mean(accuracies[network]):.1%}".replace("%", " %")
        cells = [network, right] if network != before else ["", ""]
        cells.append(f"**{layer}**" if is_auto else layer)
        cells += [spread(by_method[method]) for method in ("gradcam", "hirescam", "Recipro-CAM")]
        lines.append(f"| {' | '.join(cells)} | {len(by_method['gradcam'])} |")
        before = network
    return "\n".join(lines)


def spread(shares: list[float]) -> str:
    """Format the mean of shares with its standard error."""
    mean = f"{100 * statistics.mean(shares):.0f}"
    if len(shares) < 2:
        return f"{mean} %"
    return f"{mean} ± {100 * statistics.stdev(shares) / math.sqrt(len(shares)):.0f} %"


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--steps", type=int, default=350)
    parser.add_argument("--seeds", type=int, nargs="+", default=[0, 1, 2])
    parser.add_argument(
        "--only", nargs="+", default=[""], help="networks whose name starts with one of these"
    )
    parser.add_argument("--save", type=Path, help="add results to this file of JSON lines")
    parser.add_argument("--read", type=Path, help="measure nothing, and make the table of this file")
    options = parser.parse_args()
    torch.set_num_threads(1)  # waiting for each other costs small networks more than it saves
    results: list[dict[str, Any]] = []
    if options.read is not None:
        results = [json.loads(line) for line in options.read.read_text().splitlines()]
        results.sort(key=lambda result: list(STRUCTURES).index(result["network"]))
    else:
        for seed in options.seeds:
            for name in STRUCTURES:
                if not name.startswith(tuple(options.only)):
                    continue
                measured = measure(name, seed, options.steps)
                results += measured
                if options.save is not None:
                    with options.save.open("a") as file:
                        file.writelines(json.dumps(result) + "\n" for result in measured)
    print(f"\ntorch {torch.__version__}\n\n{describe(results)}")


if __name__ == "__main__":
    main()
