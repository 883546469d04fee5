"""Regions of interest: the part of each frame in which heat is counted."""

from __future__ import annotations

import abc
import dataclasses
import re
from collections.abc import Mapping, Sequence
from pathlib import Path

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, map_errors
from streamcam.explanations import StabilizedFrame
from streamcam.frames import SourceInfo
from streamcam.localization.boxes import find_boxes
from streamcam.localization.frame_boxes import check_shape, read_frame_boxes, unreadable
from streamcam.localization.grid import place_on_frame
from streamcam.localization.motion import MotionDetector
from streamcam.localization.polygons import FORMS, Mask, Polygon, box_corners, fill_polygons, pixel_corners
from streamcam.localization.settings import LARGEST, LocalizationSettings

CENTER = "center"
MOTION = "motion"
SEGMENT = "segment"
CLASS = "class:"

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")


class RegionOfInterest(abc.ABC):
    """A region, which may differ from frame to frame."""

    @abc.abstractmethod
    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:
        """Return the region in a frame.

        Args:
            stabilized: The frame.
            shape: Rows and columns of a grid that lies evenly on it.

        Returns:
            bool (rows, columns); None if the frame has no region.
        """


def read_region(text: str, info: SourceInfo) -> RegionOfInterest:
    """Read a region as a user writes it.

    Args:
        text: A box, a polygon, a file, ``class:NAME``, ``segment``, ``center`` or ``motion``.
        info: The source of the frames.

    Raises:
        InvalidArgumentError: if it is none of these, wholly outside the frames, empty, or for other frames.
    """
    size = (info.width, info.height)
    if text == CENTER:
        return FixedRegion((box_corners(0.25, 0.25, 0.75, 0.75),))
    if text == MOTION:
        return MovingRegion()
    if text == SEGMENT:
        return HeatRegion()
    if text.startswith(CLASS) and text != CLASS:
        return ObjectRegion(text.removeprefix(CLASS))
    numbers = _numbers(text)
    if numbers is not None:
        return FixedRegion((pixel_corners(numbers, size, f"`roi` {text}"),))
    path = Path(text)
    if path.suffix.lower() in _PICTURES:
        return MaskRegion(_read_mask(path, info))
    if path.suffix.lower() in (".json", ".jsonl"):
        return FramesRegion(read_frame_boxes(path, info))
    raise InvalidArgumentError(f"`roi` {text!r} is no region; give {FORMS}")


@dataclasses.dataclass(frozen=True)
class FixedRegion(RegionOfInterest):
    """The same polygons in every frame."""

    polygons: tuple[Polygon, ...]

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:  # noqa: ARG002
        return fill_polygons(self.polygons, shape)


@dataclasses.dataclass(frozen=True)
class FramesRegion(RegionOfInterest):
    """Polygons by frame."""

    polygons: Mapping[int, Sequence[Polygon]]
    """Number of a frame, from 0 → its polygons."""

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:
        polygons = self.polygons.get(stabilized.frame.index)
        return None if polygons is None else fill_polygons(polygons, shape)


@dataclasses.dataclass(frozen=True, eq=False)
class MaskRegion(RegionOfInterest):
    """The bright part of a picture, in every frame."""

    picture: NDArray[np.uint8]
    """Gray, uint8 (h, w)."""

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:  # noqa: ARG002
        shrunk = cv2.resize(self.picture, shape[::-1], interpolation=cv2.INTER_AREA)
        return np.asarray(shrunk > 127, np.bool_)


@dataclasses.dataclass(frozen=True)
class ObjectRegion(RegionOfInterest):
    """The boxes of detected objects of a class."""

    label: str

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:
        boxes = [one.box for one in stabilized.instances if one.label.lower() == self.label.lower()]
        polygons = [box_corners(*box) for box in boxes]
        return fill_polygons(polygons, shape) if polygons else None


class HeatRegion(RegionOfInterest):
    """The box around the largest connected area of each heatmap, as `find_boxes` puts it."""

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:
        image, threshold = stabilized.frame.image, LocalizationSettings().threshold
        polygons: list[Polygon] = []
        for heat in stabilized.heatmaps.values():
            grid = place_on_frame(heat, stabilized.explanation.region, (image.width, image.height))
            polygons += [box_corners(*found.box) for found in find_boxes(grid, threshold, LARGEST)]
        return fill_polygons(polygons, shape) if polygons else None


class MovingRegion(RegionOfInterest):
    """The part of the frame that has changed since the last one."""

    def __init__(self) -> None:
        self._detector = MotionDetector()

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:
        return self._detector.update(stabilized, shape)


# --- reading -------------------------------------------------------------------------------------------


def _numbers(text: str) -> list[float] | None:
    """Parse comma-separated numbers; None if it is anything else."""
    if not re.fullmatch(r"[-+.\d,\s]+", text) or "," not in text:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _read_mask(path: Path, info: SourceInfo) -> NDArray[np.uint8]:
    """Read a mask picture.

    Raises:
        InvalidArgumentError: if it cannot be read, is empty, or has another shape than the frames.
    """
    import PIL.Image

    with (
        map_errors(OSError, ValueError, to=lambda error: unreadable(path, error)),
        PIL.Image.open(path) as opened,
    ):
        picture = np.asarray(opened.convert("L"))
    height, width = picture.shape
    check_shape(f"`roi` {str(path)!r}", (width, height), info)
    if not (picture > 127).any():
        raise InvalidArgumentError(
            f"`roi` {str(path)!r} is empty: nothing in it is brighter than middle gray"
        )
    return picture
