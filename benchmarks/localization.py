"""Measure how well boxes around heat fit objects, by method and threshold.

    python benchmarks/localization.py [--media ../shared/media] [--model efficientnet_lite0]

Photographs of ImageNet classes, each explained for its class, and short videos in which one object, cut out
of such a photograph, swings over a still background. A box fits if its intersection with the object's is at
least half of their union. What is printed goes into docs/benchmarks.md.
"""

from __future__ import annotations

import argparse
import math
import tempfile
from collections.abc import Callable, Iterator, Sequence
from pathlib import Path

import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray
from temporal_clips import HEIGHT, WIDTH, Photographs, fitted, write_video

from streamcam import Explainer, load_model, stream
from streamcam.explain.targets import Target
from streamcam.frames import FloatArray
from streamcam.localization.boxes import find_boxes
from streamcam.localization.grid import place_on_frame
from streamcam.temporal import Stabilizer, TemporalSettings, stabilize
from streamcam.temporal.objects import Box, overlap_of

METHODS = ("gradcam", "gradcam++", "hirescam", "xgradcam", "layercam", "shapleycam", "eigencam")
IN_VIDEOS = ("gradcam", "gradcam++", "hirescam", "layercam")
THRESHOLDS = (0.1, 0.15, 0.2, 0.25, 0.3, 0.35, 0.4, 0.5, 0.6, 0.7)
FITS = 0.5

BOXES: dict[str, tuple[int, int, int, int]] = {
    "tiger shark": (12, 20, 86, 79),
    "water ouzel": (20, 19, 71, 90),
    "box turtle": (20, 30, 68, 80),
    "hognose snake": (5, 26, 86, 80),
    "scorpion": (19, 28, 77, 80),
    "macaw": (41, 22, 81, 100),
    "koala": (20, 8, 82, 93),
    "American lobster": (35, 14, 88, 68),
    "ruddy turnstone": (41, 37, 65, 62),
    "Blenheim spaniel": (29, 11, 57, 76),
    "Ibizan hound": (13, 1, 100, 100),
    "Sealyham terrier": (9, 0, 84, 98),
    "golden retriever": (15, 24, 79, 80),
    "groenendael": (0, 27, 83, 100),
    "EntleBucher": (35, 36, 62, 80),
    "Samoyed": (23, 0, 79, 79),
    "African hunting dog": (0, 5, 97, 82),
    "tiger": (25, 17, 76, 66),
    "bee": (41, 11, 97, 71),
    "lycaenid": (39, 30, 53, 52),
    "warthog": (12, 12, 89, 74),
    "otter": (33, 40, 52, 71),
    "sturgeon": (33, 63, 71, 81),
    "apron": (19, 31, 38, 98),
    "barrow": (7, 23, 97, 78),
    "car wheel": (12, 0, 88, 99),
    "Christmas stocking": (3, 7, 97, 99),
    "cornet": (5, 26, 87, 89),
    "digital clock": (33, 31, 100, 95),
    "grille": (20, 50, 40, 60),
    "loudspeaker": (1, 1, 99, 99),
    "mortar": (1, 48, 99, 99),
    "paper towel": (44, 72, 69, 100),
    "pickup": (5, 6, 98, 95),
    "police van": (19, 24, 80, 97),
    "racer": (11, 31, 90, 86),
    "rugby ball": (3, 1, 96, 93),
    "snowmobile": (4, 41, 98, 99),
    "tricycle": (34, 35, 88, 100),
    "vestment": (8, 24, 91, 92),
    "window screen": (13, 21, 90, 80),
    "book jacket": (2, 16, 100, 96),
}
"""Class → left, top, right and bottom edge of the object in its photograph, in percent, drawn by eye.
Photographs that show several objects of the class, or a whole scene, are left out."""

MOVING = (
    ("tiger", "gravel"),
    ("koala", "grass"),
    ("digital clock", "brick"),
    ("macaw", "moon"),
    ("racer", "brick"),
    ("golden retriever", "gravel"),
)
"""The object and the background of each video."""
OBJECT_HEIGHT, AMPLITUDE, FRAMES = 220, 150, 50
"""In pixels, and in frames of 25 a second."""

Heat = tuple[FloatArray, Box]
"""A heatmap on the whole frame, and the object's box as fractions of the frame."""


def main() -> None:
    parser = argparse.ArgumentParser(description=__doc__, formatter_class=argparse.RawTextHelpFormatter)
    parser.add_argument("--media", type=Path, default=Path("../shared/media"))
    parser.add_argument("--model", default="efficientnet_lite0")
    arguments = parser.parse_args()
    explainer = Explainer(load_model(arguments.model), backend="torch")  # no compiling for each shape
    print(f"Photographs: {len(BOXES)}. The whole frame as a box fits {whole_frame():.0%} of them.\n")
    photographs = Photographs(arguments.media)
    report(METHODS, lambda method: of_photographs(explainer, photographs, method))
    with tempfile.TemporaryDirectory() as folder:
        videos = [
            (photographs.index(label), *swinging(photographs, Path(folder), label, ground))
            for label, ground in MOVING
        ]
        print(f"\nVideos: {len(videos)}, of {FRAMES} frames each.\n")
        report(IN_VIDEOS, lambda method: of_videos(explainer, videos, method))


def report(methods: Sequence[str], heats_of: Callable[[str], Iterator[Heat]]) -> None:
    """Print the share of boxes that fit, a row a method."""
    print(f"| method | {' | '.join(f'{threshold:g}' for threshold in THRESHOLDS)} |")
    print(f"| --- |{' --- |' * len(THRESHOLDS)}")
    for method in methods:
        heats = list(heats_of(method))
        shares = [np.mean([fits(heat, box, threshold) for heat, box in heats]) for threshold in THRESHOLDS]
        print(f"| {method} | {' | '.join(f'{share:.0%}' for share in shares)} |", flush=True)


def fits(heat: FloatArray, box: Box, threshold: float) -> bool:
    found = find_boxes(heat, threshold, "largest")
    return bool(found) and overlap_of(found[0].box, box) >= FITS


def whole_frame() -> float:
    return float(np.mean([overlap_of((0, 0, 1, 1), fractions(label)) >= FITS for label in BOXES]))


def fractions(label: str) -> Box:
    left, top, right, bottom = (edge / 100 for edge in BOXES[label])
    return left, top, right, bottom


def of_photographs(explainer: Explainer, photographs: Photographs, method: str) -> Iterator[Heat]:
    explainer = explainer.variant(method=method, target_layer="auto")
    for label in BOXES:
        index, image = photographs.index(label), photographs.original(label)
        explanation = explainer.with_targets([Target(class_index=index)]).explain(image)[0]
        size = (image.shape[1], image.shape[0])
        yield place_on_frame(explanation.heatmaps[index], explanation.region, size), fractions(label)


def of_videos(
    explainer: Explainer, videos: Sequence[tuple[int, Path, list[Box]]], method: str
) -> Iterator[Heat]:
    """Explain and smooth videos as a render does."""
    explainer = explainer.variant(method=method, target_layer="auto")
    for index, path, boxes in videos:
        temporal = TemporalSettings()
        with stream(
            path, explainer.with_targets([Target(class_index=index)]), temporal=temporal
        ) as explained:
            shown = list(stabilize(explained, Stabilizer(temporal)))
        for stabilized, box in zip(shown, boxes, strict=True):
            heat = stabilized.heatmaps[index]
            yield place_on_frame(heat, stabilized.explanation.region, (WIDTH, HEIGHT)), box


def swinging(photographs: Photographs, folder: Path, label: str, ground: str) -> tuple[Path, list[Box]]:
    """Make a video of an object that swings from side to side; return it with the object's boxes."""
    background = fitted(getattr(skimage.data, ground)(), WIDTH, HEIGHT).astype(np.float32)
    thing = cut_out(photographs, label)
    height, width = thing.shape[:2]
    edge_x, edge_y = (np.minimum(np.arange(side), np.arange(side)[::-1]) for side in (width, height))
    opacity = (np.minimum.outer(edge_y, edge_x) / 8).clip(0, 1).astype(np.float32)
    top, images, boxes = (HEIGHT - height) / 2, [], []
    for number in range(FRAMES):
        left = (WIDTH - width) / 2 - AMPLITUDE * math.cos(2 * math.pi * number / FRAMES)
        place = np.array([[1, 0, left], [0, 1, top]], np.float32)
        cover = cv2.warpAffine(opacity, place, (WIDTH, HEIGHT))[..., None]
        moved = cv2.warpAffine(thing, place, (WIDTH, HEIGHT), borderMode=cv2.BORDER_REPLICATE)
        images.append((background * (1 - cover) + moved * cover).round().astype(np.uint8))
        boxes.append((left / WIDTH, top / HEIGHT, (left + width) / WIDTH, (top + height) / HEIGHT))
    path = folder / f"{label}.mp4".replace(" ", "-")
    write_video(path, images)
    return path, boxes


def cut_out(photographs: Photographs, label: str) -> NDArray[np.float32]:
    """Return an object, cut out of its photograph along its box: RGB, float32 (OBJECT_HEIGHT, width, 3)."""
    image = photographs.original(label)
    rows, columns = image.shape[:2]
    left, top, right, bottom = fractions(label)
    inside = image[round(top * rows) : round(bottom * rows), round(left * columns) : round(right * columns)]
    width = round(OBJECT_HEIGHT * inside.shape[1] / inside.shape[0])
    shrunk = cv2.resize(inside, (width, OBJECT_HEIGHT), interpolation=cv2.INTER_AREA)
    return np.asarray(shrunk, np.float32)


if __name__ == "__main__":
    main()
