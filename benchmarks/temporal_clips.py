"""Short videos whose truth is known, for benchmarks/temporal.py.

Made from photographs: those of ImageNet classes in the media folder beside the project, on those that
scikit-image ships. Every video goes through H.264, so that it has what real ones have.
"""

from __future__ import annotations

import csv
import dataclasses
import itertools
import math
from collections.abc import Iterable, Iterator
from fractions import Fraction
from pathlib import Path

import av
import cv2
import numpy as np
import skimage.data
from numpy.typing import NDArray

WIDTH, HEIGHT, RATE = 768, 432, 25
OBJECT_SIDE = 280
"""Of the moving photograph, in pixels."""
PASSER = (160, 100)
"""Width and height of what passes by, in pixels."""
AMPLITUDE = 190
"""How far it moves to either side, in pixels."""

Image = NDArray[np.uint8]


@dataclasses.dataclass(frozen=True)
class Clip:
    """One video and what is true of it."""

    name: str
    kind: str
    """``"moving"``, ``"passed"``, ``"static"``, ``"exposure"``, ``"cuts"`` or ``"fades"``."""
    path: Path
    class_index: int | None = None
    """The class to be explained; None for each frame's most probable one."""
    boxes: NDArray[np.float64] | None = None
    """Where the object is in each frame: (frames, 4) left, top, right, bottom in pixels."""
    cuts: tuple[int, ...] = ()
    """The frames that begin a shot, apart from the first."""
    fit: str | None = None
    """How its frames are fitted to the network's input; None for the usual way."""


class Photographs:
    """The photographs of ImageNet classes, by the name of their class."""

    def __init__(self, media: Path) -> None:
        with (media / "imagenet" / "labels.csv").open(encoding="utf-8") as table:
            self._rows = {row["label"]: row for row in csv.DictReader(table)}
        self._folder = media / "imagenet"

    def index(self, label: str) -> int:
        return int(self._rows[label]["class_index"])

    def image(self, label: str, width: int = WIDTH, height: int = HEIGHT) -> Image:
        """RGB, uint8 (height, width, 3): the middle of the photograph at that shape."""
        return fitted(self.original(label), width, height)

    def original(self, label: str) -> Image:
        """RGB, uint8 (H, W, 3): the whole photograph."""
        found = cv2.imread(str(self._folder / self._rows[label]["file"]))
        return np.ascontiguousarray(found[..., ::-1])


def fitted(image: Image, width: int, height: int) -> Image:
    """Cut the middle of an image, RGB or gray, to a shape and scale it."""
    if image.ndim == 2:
        image = np.repeat(image[..., None], 3, axis=2)
    rows, columns = image.shape[:2]
    scale = max(width / columns, height / rows)
    wide, high = round(width / scale), round(height / scale)
    top, left = (rows - high) // 2, (columns - wide) // 2
    inside = np.ascontiguousarray(image[top : top + high, left : left + wide, :3])
    shrinks = scale < 1
    return np.asarray(
        cv2.resize(inside, (width, height), interpolation=cv2.INTER_AREA if shrinks else cv2.INTER_CUBIC),
        np.uint8,
    )


def write_video(
    path: Path, images: Iterable[Image], *, crf: int = 23, rate: Fraction = Fraction(RATE)
) -> None:
    """Encode images, RGB, as H.264."""
    with av.open(str(path), "w") as container:
        stream = container.add_stream("libx264", rate, options={"crf": str(crf), "preset": "veryfast"})
        stream.width, stream.height, stream.pix_fmt = WIDTH, HEIGHT, "yuv420p"
        for image in images:
            container.mux(stream.encode(av.VideoFrame.from_ndarray(image, "rgb24")))
        container.mux(stream.encode(None))


MOVING = (("Ibizan hound", "gravel"), ("macaw", "grass"), ("digital clock", "brick"), ("tiger", "moon"))
SPEEDS = (4, 8, 16)
"""Of the moving object at its fastest, in pixels a frame of 768 pixels."""
PASSED = (
    ("macaw", "grass", "racer", 8),
    ("digital clock", "brick", "pickup", 12),
    ("tiger", "moon", "racer", 6),
    ("Ibizan hound", "gravel", "pickup", 10),
)
"""Object, background, what passes before it and how fast, in pixels a frame."""
STATIC = ("golden retriever", "box turtle", "home theater", "cornet")
EXPOSURE = ("marmoset", "rugby ball", "digital clock")
SHOTS = (
    "koala",
    "racer",
    "cauliflower",
    "tiger shark",
    "tricycle",
    "bee",
    "cliff",
    "stage",
    "otter",
    "pickup",
)
SHOT_FRAMES = 12
NOISE = 12.0
"""Standard deviation of the sensor's noise, in gray levels."""


def moving(photographs: Photographs, folder: Path, label: str, ground: str, speed: float) -> Clip:
    """An object photo that swings from side to side over a still background."""
    background = fitted(getattr(skimage.data, ground)(), WIDTH, HEIGHT).astype(np.float32)
    thing = photographs.image(label, OBJECT_SIDE, OBJECT_SIDE).astype(np.float32)
    edge = np.minimum(np.arange(OBJECT_SIDE), np.arange(OBJECT_SIDE)[::-1])
    opacity = (np.minimum.outer(edge, edge) / 8).clip(0, 1).astype(np.float32)
    count = round(2 * math.pi * AMPLITUDE / speed)
    top = (HEIGHT - OBJECT_SIDE) / 2
    boxes, images = [], []
    for number in range(count):
        left = (WIDTH - OBJECT_SIDE) / 2 - AMPLITUDE * math.cos(2 * math.pi * number / count)
        place = np.array([[1, 0, left], [0, 1, top]], np.float32)
        size = (WIDTH, HEIGHT)
        cover = cv2.warpAffine(opacity, place, size, flags=cv2.INTER_LINEAR)[..., None]
        moved = cv2.warpAffine(thing, place, size, flags=cv2.INTER_LINEAR, borderMode=cv2.BORDER_REPLICATE)
        images.append((background * (1 - cover) + moved * cover).round().astype(np.uint8))
        boxes.append((left, top, left + OBJECT_SIDE, top + OBJECT_SIDE))
    path = folder / f"moving-{label}-{speed}.mp4".replace(" ", "-")
    write_video(path, images)
    return Clip(f"{label} at {speed}", "moving", path, photographs.index(label), np.array(boxes))


def passed(photographs: Photographs, folder: Path, label: str, ground: str, passer: str, speed: int) -> Clip:
    """A still object photo, and another one that passes before it."""
    scene = fitted(getattr(skimage.data, ground)(), WIDTH, HEIGHT)
    left, top = (WIDTH - OBJECT_SIDE) // 2, (HEIGHT - OBJECT_SIDE) // 2
    scene[top : top + OBJECT_SIDE, left : left + OBJECT_SIDE] = photographs.image(
        label, OBJECT_SIDE, OBJECT_SIDE
    )
    width, height = PASSER
    thing = photographs.image(passer, width, height)
    images = []
    for x in range(-width, WIDTH, speed):
        image = scene.copy()
        begin, end = max(0, x), min(WIDTH, x + width)
        image[160 : 160 + height, begin:end] = thing[:, begin - x : end - x]
        images.append(image)
    path = folder / f"passed-{label}.mp4".replace(" ", "-")
    write_video(path, images)
    box = (left, top, left + OBJECT_SIDE, top + OBJECT_SIDE)
    boxes = np.tile(np.array(box, np.float64), (len(images), 1))
    return Clip(f"{label} passed", "passed", path, photographs.index(label), boxes)


def static(photographs: Photographs, folder: Path, label: str, *, frames: int = 50) -> Clip:
    """A still photograph with a sensor's noise, and hard compression."""
    chance = np.random.default_rng(photographs.index(label))
    image = photographs.image(label).astype(np.float32)
    noisy = (
        (image + chance.normal(0, NOISE, image.shape)).round().clip(0, 255).astype(np.uint8)
        for _ in range(frames)
    )
    path = folder / f"static-{label}.mp4".replace(" ", "-")
    write_video(path, noisy, crf=20)
    return Clip(label, "static", path)


def exposure(photographs: Photographs, folder: Path, label: str, *, frames: int = 50) -> Clip:
    """A still photograph whose exposure flickers by up to a fifth."""
    chance = np.random.default_rng(photographs.index(label))
    image = photographs.image(label).astype(np.float32)
    gains = chance.uniform(0.8, 1.2, frames)
    path = folder / f"exposure-{label}.mp4".replace(" ", "-")
    write_video(path, ((image * gain).round().clip(0, 255).astype(np.uint8) for gain in gains))
    return Clip(label, "exposure", path)


def cuts(photographs: Photographs, folder: Path, labels: tuple[str, ...] = SHOTS) -> Clip:
    """One photograph after the other, each with a slow camera move."""
    images = [image for label in labels for image in _panned(photographs.image(label, 800, 450))]
    path = folder / "cuts.mp4"
    write_video(path, images)
    starts = tuple(SHOT_FRAMES * number for number in range(1, len(labels)))
    return Clip("hard cuts", "cuts", path, cuts=starts)


def _panned(image: Image) -> list[Image]:
    return [
        np.ascontiguousarray(image[9 : 9 + HEIGHT, 2 * shift : 2 * shift + WIDTH])
        for shift in range(SHOT_FRAMES)
    ]


def fades(
    photographs: Photographs, folder: Path, labels: tuple[str, ...] = SHOTS, *, length: int = 12
) -> Clip:
    """Photographs that dissolve into each other, and into black and back."""
    stills = [photographs.image(label).astype(np.float32) for label in labels]
    black = np.full_like(stills[0], 0)
    keys = [stills[0], black, *stills[1:5], black, *stills[5:]]
    images = []
    for one, other in itertools.pairwise(keys):
        shares = [0.0] * 6 + [step / length for step in range(1, length)]
        images += [(one * (1 - share) + other * share).round().astype(np.uint8) for share in shares]
    path = folder / "fades.mp4"
    write_video(path, images)
    return Clip("fades", "fades", path)


def all_clips(photographs: Photographs, folder: Path) -> Iterator[Clip]:
    """Make one video after the other."""
    for label, ground in MOVING:
        for speed in SPEEDS:
            yield moving(photographs, folder, label, ground, speed)
    for row in PASSED:
        yield passed(photographs, folder, *row)
    for label in STATIC:
        yield static(photographs, folder, label)
    for label in EXPOSURE:
        yield exposure(photographs, folder, label)
    yield cuts(photographs, folder)
    yield fades(photographs, folder)
