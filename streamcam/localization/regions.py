"""Regions of interest: the part of each frame in which heat is counted."""

from __future__ import annotations

import abc
import dataclasses
import json
import math
import re
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import Any

import cv2
import numpy as np
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, map_errors
from streamcam.explanations import StabilizedFrame
from streamcam.frames import SourceInfo
from streamcam.localization.boxes import find_boxes
from streamcam.localization.grid import place_on_frame
from streamcam.localization.motion import MotionDetector
from streamcam.localization.settings import LARGEST, LocalizationSettings

Mask = NDArray[np.bool_]
Polygon = Sequence[tuple[float, float]]
"""Corners, (x, y) each, as fractions of the frame."""

CENTER = "center"
MOTION = "motion"
SEGMENT = "segment"
CLASS = "class:"

_PICTURES = (".png", ".jpg", ".jpeg", ".webp", ".bmp", ".tif", ".tiff")
_SHAPE_TOLERANCE = 0.02
"""How far the ratio of a mask's sides may differ from the frame's, as a share."""

_FORMS = (
    "a box LEFT,TOP,RIGHT,BOTTOM or a polygon X,Y,X,Y,X,Y in pixels, a mask (mask.png), boxes by frame "
    "(boxes.jsonl, or boxes.json in COCO's format), class:NAME, segment, center or motion"
)


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
        return FixedRegion((_box(0.25, 0.25, 0.75, 0.75),))
    if text == MOTION:
        return MovingRegion()
    if text == SEGMENT:
        return HeatRegion()
    if text.startswith(CLASS) and text != CLASS:
        return ObjectRegion(text.removeprefix(CLASS))
    numbers = _numbers(text)
    if numbers is not None:
        return FixedRegion((_corners(numbers, size, f"`roi` {text}"),))
    path = Path(text)
    if path.suffix.lower() in _PICTURES:
        return MaskRegion(_read_mask(path, size))
    if path.suffix.lower() in (".json", ".jsonl"):
        return _read_boxes(path, info)
    raise InvalidArgumentError(f"`roi` {text!r} is no region; give {_FORMS}")


@dataclasses.dataclass(frozen=True)
class FixedRegion(RegionOfInterest):
    """The same polygons in every frame."""

    polygons: tuple[Polygon, ...]

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:  # noqa: ARG002
        return _fill(self.polygons, shape)


@dataclasses.dataclass(frozen=True)
class FramesRegion(RegionOfInterest):
    """Polygons by frame."""

    polygons: Mapping[int, Sequence[Polygon]]
    """Number of a frame, from 0 → its polygons."""

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:
        polygons = self.polygons.get(stabilized.frame.index)
        return None if polygons is None else _fill(polygons, shape)


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
        polygons = [_box(*box) for box in boxes]
        return _fill(polygons, shape) if polygons else None


class HeatRegion(RegionOfInterest):
    """The box around the largest connected area of each heatmap, as `find_boxes` puts it."""

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:
        image, threshold = stabilized.frame.image, LocalizationSettings().threshold
        polygons: list[Polygon] = []
        for heat in stabilized.heatmaps.values():
            grid = place_on_frame(heat, stabilized.explanation.region, (image.width, image.height))
            polygons += [_box(*found.box) for found in find_boxes(grid, threshold, LARGEST)]
        return _fill(polygons, shape) if polygons else None


class MovingRegion(RegionOfInterest):
    """The part of the frame that has changed since the last one."""

    def __init__(self) -> None:
        self._detector = MotionDetector()

    def mask(self, stabilized: StabilizedFrame, shape: tuple[int, int]) -> Mask | None:
        return self._detector.update(stabilized, shape)


def _box(left: float, top: float, right: float, bottom: float) -> Polygon:
    return ((left, top), (right, top), (right, bottom), (left, bottom))


def _fill(polygons: Sequence[Polygon], shape: tuple[int, int]) -> Mask:
    """Return the cells of a grid whose middle lies in a polygon; the nearest one of a polygon without any."""
    rows, columns = shape
    y, x = (np.arange(rows)[:, None] + 0.5) / rows, (np.arange(columns)[None] + 0.5) / columns
    filled = np.zeros(shape, np.bool_)
    for polygon in polygons:
        inside = _contains(polygon, x, y)
        if not inside.any():
            middle_x, middle_y = np.mean(polygon, axis=0).tolist()
            row, column = min(int(middle_y * rows), rows - 1), min(int(middle_x * columns), columns - 1)
            inside[max(row, 0), max(column, 0)] = True
        filled |= inside
    return filled


def _contains(polygon: Polygon, x: NDArray[np.float64], y: NDArray[np.float64]) -> Mask:
    """Return which points a polygon contains: a ray to the right crosses its edges an odd number of times."""
    inside = np.zeros((y.shape[0], x.shape[1]), np.bool_)
    for (x0, y0), (x1, y1) in zip(polygon, [*polygon[1:], polygon[0]], strict=True):
        if y0 != y1:
            inside ^= ((y0 <= y) != (y1 <= y)) & (x < x0 + (y - y0) * (x1 - x0) / (y1 - y0))
    return inside


# --- reading -------------------------------------------------------------------------------------------


def _numbers(text: str) -> list[float] | None:
    """Parse comma-separated numbers; None if it is anything else."""
    if not re.fullmatch(r"[-+.\d,\s]+", text) or "," not in text:
        return None
    try:
        return [float(part) for part in text.split(",")]
    except ValueError:
        return None


def _corners(numbers: Sequence[float], size: tuple[int, int], name: str) -> Polygon:
    """Convert a box or polygon in pixels to corners in fractions; what lies beyond the frame is cut off.

    Raises:
        InvalidArgumentError: if it is neither, has no area, or none of it lies in the frame.
    """
    is_box = len(numbers) == 4
    if not is_box and (len(numbers) < 6 or len(numbers) % 2):
        raise InvalidArgumentError(f"{name} has {len(numbers)} numbers; give {_FORMS}")
    width, height = size
    left, top, right, bottom = numbers if is_box else (0, 0, 0, 0)
    points = _box(left, top, right, bottom) if is_box else list(zip(numbers[::2], numbers[1::2], strict=True))
    if (is_box and not (left < right and top < bottom)) or not _area(points) > 0:
        raise InvalidArgumentError(f"{name} is empty: a box is left, top, right and bottom edge in pixels")
    clipped = _clip([(x / width, y / height) for x, y in points])
    if not _area(clipped) > 0:
        raise InvalidArgumentError(f"{name} is outside the picture, which is {width}x{height} pixels")
    return clipped


def _clip(polygon: Polygon) -> Polygon:
    """Cut a polygon off at the frame's edges.

    Sutherland and Hodgman 1974, "Reentrant Polygon Clipping", https://doi.org/10.1145/360767.360802.
    """
    for axis in (0, 1):
        for edge, sign in ((0.0, 1), (1.0, -1)):
            kept: list[tuple[float, float]] = []
            for start, end in zip(polygon, [*polygon[1:], *polygon[:1]], strict=True):
                before, after = sign * (start[axis] - edge), sign * (end[axis] - edge)
                if before >= 0:
                    kept.append(start)
                if before * after < 0:
                    share = before / (before - after)
                    x, y = (a + share * (b - a) for a, b in zip(start, end, strict=True))
                    kept.append((x, y))
            polygon = kept
    return polygon


def _area(points: Polygon) -> float:
    if not all(math.isfinite(edge) for point in points for edge in point):
        return math.nan
    return abs(
        sum(x0 * y1 - x1 * y0 for (x0, y0), (x1, y1) in zip(points, [*points[1:], *points[:1]], strict=True))
        / 2
    )


def _read_mask(path: Path, size: tuple[int, int]) -> NDArray[np.uint8]:
    """Read a mask picture.

    Raises:
        InvalidArgumentError: if it cannot be read, is empty, or has another shape than the frames.
    """
    import PIL.Image

    with (
        map_errors(OSError, ValueError, to=lambda error: _unreadable(path, error)),
        PIL.Image.open(path) as opened,
    ):
        picture = np.asarray(opened.convert("L"))
    height, width = picture.shape
    if abs(width / height * size[1] / size[0] - 1) > _SHAPE_TOLERANCE:
        raise InvalidArgumentError(
            f"`roi` {str(path)!r} is {width}x{height}, which is not the shape of the frames, "
            f"{size[0]}x{size[1]}"
        )
    if not (picture > 127).any():
        raise InvalidArgumentError(
            f"`roi` {str(path)!r} is empty: nothing in it is brighter than middle gray"
        )
    return picture


def _unreadable(path: Path, error: Exception) -> InvalidArgumentError:
    reason = getattr(error, "strerror", None) or error
    return InvalidArgumentError(f"`roi` {str(path)!r} cannot be read: {reason}")


def _read_boxes(path: Path, info: SourceInfo) -> FramesRegion:
    """Read boxes by frame.

    Raises:
        InvalidArgumentError: if the file is no such, or is for other frames than the source has.
    """
    if info.start_s is not None or info.end_s is not None:
        raise InvalidArgumentError(
            f"`roi` {str(path)!r} counts the frames of the whole video; leave out `start_s` and `end_s`"
        )
    with map_errors(
        OSError, ValueError, KeyError, TypeError, AttributeError, to=lambda error: _unreadable(path, error)
    ):
        text = path.read_text(encoding="utf-8")
        found = _of_lines(text, path, info) if path.suffix.lower() == ".jsonl" else _of_coco(text, path, info)
    if not found:
        raise InvalidArgumentError(f"`roi` {str(path)!r} holds no boxes")
    last = max(found)
    if info.frame_count is not None and last >= info.frame_count:
        raise InvalidArgumentError(
            f"`roi` {str(path)!r} has boxes for frame {last}, and {info.name!r} has {info.frame_count} "
            "frames, counted from 0"
        )
    return FramesRegion(found)


def _of_lines(text: str, path: Path, info: SourceInfo) -> dict[int, list[Polygon]]:
    """Read JSON lines: a frame's number, and its ``box`` or ``boxes`` in pixels, or what a sidecar holds."""
    found: dict[int, list[Polygon]] = {}
    size = (info.width, info.height)
    for number, line in enumerate(text.splitlines(), 1):
        record = json.loads(line) if line.strip() else {}
        if "frame" not in record:
            continue  # a header
        boxes = record.get("boxes", [record["box"]] if "box" in record else [])
        boxes = [*boxes, *(each["box"] for each in record.get("heat_boxes", ()))]
        name = f"`roi` {str(path)!r} line {number}"
        for box in boxes:
            found.setdefault(_frame_number(record["frame"], name), []).append(_corners(box, size, name))
    return found


def _frame_number(value: Any, name: str) -> int:
    if not isinstance(value, int) or value < 0:
        raise InvalidArgumentError(f"{name}: a frame is a whole number from 0, not {value!r}")
    return value


def _of_coco(text: str, path: Path, info: SourceInfo) -> dict[int, list[Polygon]]:
    """Read COCO annotations; images are the frames, in their order or by the names of the input's files."""
    read = json.loads(text)
    names = {file.name: index for index, file in enumerate(info.files)}
    frames, sizes = {}, {}
    for index, image in enumerate(read["images"]):
        frames[image["id"]] = names.get(image.get("file_name"), index)
        sizes[image["id"]] = (image["width"], image["height"])
    found: dict[int, list[Polygon]] = {}
    for annotation in read["annotations"]:
        image = annotation["image_id"]
        left, top, width, height = annotation["bbox"]
        name = f"`roi` {str(path)!r} annotation {annotation.get('id')}"
        corners = _corners((left, top, left + width, top + height), sizes[image], name)
        found.setdefault(frames[image], []).append(corners)
    return found
