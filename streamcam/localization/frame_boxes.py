"""Files of boxes by frame: which frame of the input each box is of."""

from __future__ import annotations

import json
import re
from collections.abc import Sequence
from pathlib import Path, PurePath
from typing import Any

from streamcam.errors import InvalidArgumentError, map_errors
from streamcam.frames import SourceInfo
from streamcam.localization.polygons import Polygon, pixel_corners

SHAPE_TOLERANCE = 0.02
"""How far the ratio of a picture's sides may differ from the frames', as a share."""


def read_frame_boxes(path: Path, info: SourceInfo) -> dict[int, list[Polygon]]:
    """Read boxes by frame.

    JSON lines count frames from 0. Images of COCO are found by their names among the input's files. Those of
    a video, whose frames have no names, are its frames in order if there are as many; else a number at the
    end of each name counts from 0. What was written by streamcam names its input, which has to be this one.

    Args:
        path: JSON lines, or a file in COCO's format by its suffix ``.json``.
        info: The source of the frames.

    Returns:
        Number of a frame, from 0 → its boxes.

    Raises:
        InvalidArgumentError: if the file is no such, or is for other frames than the source has.
    """
    name = f"`roi` {str(path)!r}"
    if info.start_s is not None or info.end_s is not None:
        raise InvalidArgumentError(
            f"{name} counts the frames of the whole video; leave out `start_s` and `end_s`"
        )
    errors = (OSError, ValueError, KeyError, TypeError, AttributeError)
    with map_errors(*errors, to=lambda error: unreadable(path, error)):
        text = path.read_text(encoding="utf-8")
        if path.suffix.lower() == ".jsonl":
            found, is_own = _of_lines(text, name, info)
        else:
            found, is_own = _of_coco(json.loads(text), name, info)
    if not found:
        raise InvalidArgumentError(f"{name} holds no boxes")
    last = max(found)
    # The count may be an estimate, about which a file of this very input knows better.
    if not is_own and info.frame_count is not None and last >= info.frame_count:
        raise InvalidArgumentError(
            f"{name} has boxes for frame {last}, and {info.name!r} has {info.frame_count} "
            "frames, counted from 0"
        )
    return found


def unreadable(path: Path, error: Exception) -> InvalidArgumentError:
    """Return the error of a region's file that cannot be read."""
    reason = getattr(error, "strerror", None) or error
    return InvalidArgumentError(f"`roi` {str(path)!r} cannot be read: {reason}")


def check_shape(name: str, size: tuple[int, int], info: SourceInfo) -> None:
    """Check that a picture of a size has the shape of the frames.

    Raises:
        InvalidArgumentError: if it has not.
    """
    width, height = size
    if abs(width / height * info.height / info.width - 1) > SHAPE_TOLERANCE:
        raise InvalidArgumentError(
            f"{name} is {width}x{height}, which is not the shape of the frames, {info.width}x{info.height}"
        )


def _of_lines(text: str, name: str, info: SourceInfo) -> tuple[dict[int, list[Polygon]], bool]:
    """Read JSON lines: a frame's number, and its ``box`` or ``boxes`` in pixels, or what a sidecar holds.

    Returns:
        The boxes, and whether streamcam wrote them for this input.
    """
    found: dict[int, list[Polygon]] = {}
    size, is_own = (info.width, info.height), False
    for number, line in enumerate(text.splitlines(), 1):
        record = json.loads(line) if line.strip() else {}
        if "frame" not in record:
            if "streamcam" in record and "input" in record:  # the header of a sidecar
                is_own = _check_input(record["input"], name, info)
                size = record["width"], record["height"]
                check_shape(name, size, info)
            continue
        boxes = record.get("boxes", [record["box"]] if "box" in record else [])
        boxes = [*boxes, *(each["box"] for each in record.get("heat_boxes", ()))]
        where = f"{name} line {number}"
        for box in boxes:
            found.setdefault(_frame_number(record["frame"], where), []).append(
                pixel_corners(box, size, where)
            )
    return found, is_own


def _check_input(written_for: str, name: str, info: SourceInfo) -> bool:
    """Check that streamcam wrote a file for this input, wherever that lies now.

    Returns:
        Whether it did; False for a sequence of images, which can be named in several ways.

    Raises:
        InvalidArgumentError: if it did not.
    """
    if info.files:
        return False
    if PurePath(written_for).name != PurePath(info.name).name:
        raise InvalidArgumentError(
            f"{name} was written for {written_for!r}, not for {info.name!r}; give boxes of the same input"
        )
    return True


def _frame_number(value: Any, name: str) -> int:
    if not isinstance(value, int) or value < 0:
        raise InvalidArgumentError(f"{name}: a frame is a whole number from 0, not {value!r}")
    return value


def _of_coco(read: Any, name: str, info: SourceInfo) -> tuple[dict[int, list[Polygon]], bool]:
    """Read COCO annotations (Lin et al. 2014, "Microsoft COCO", https://arxiv.org/abs/1405.0312).

    Returns:
        The boxes, and whether streamcam wrote them for this input.
    """
    images, annotations, about = read["images"], read["annotations"], read.get("info", {})
    is_own = str(about.get("version", "")).startswith("streamcam ")
    if is_own:
        is_own = _check_input(about["description"], name, info)
    sizes = {image["id"]: (image["width"], image["height"]) for image in images}
    with_boxes = {annotation["image_id"] for annotation in annotations}
    named = [(image["id"], PurePath(image.get("file_name", "")).name) for image in images]
    files = [file.name for file in info.files]
    if not files and info.is_still and info.path is not None:
        files = [info.path.name]
    if files:
        places = {file: index for index, file in enumerate(files)}
        foreign = [file for number, file in named if number in with_boxes and file not in places]
        if foreign:
            raise InvalidArgumentError(
                f"{name} has boxes for {foreign[0]!r}, which is no image of {info.name!r}"
            )
        frames = {number: places[file] for number, file in named if file in places}
    else:
        for number, file in named:
            if number in with_boxes:
                check_shape(f"image {file!r} of {name}", sizes[number], info)
        frames = _frames_of(named, name, info)
    found: dict[int, list[Polygon]] = {}
    for annotation in annotations:
        image = annotation["image_id"]
        left, top, width, height = annotation["bbox"]
        where = f"{name} annotation {annotation.get('id')}"
        corners = pixel_corners((left, top, left + width, top + height), sizes[image], where)
        found.setdefault(frames[image], []).append(corners)
    return found, is_own


def _frames_of(named: Sequence[tuple[Any, str]], name: str, info: SourceInfo) -> dict[Any, int]:
    """Return which frame of a video each image is: in order if there are as many, else by their numbers.

    Args:
        named: The id and the name of each image.
        name: Of the file, for messages.
        info: The video.
    """
    matches = [re.search(r"(\d+)(?:\.\w+)?$", file) for _, file in named]
    numbers = [int(match[1]) for match in matches if match is not None]
    are_numbered = len(set(numbers)) == len(named)
    if len(named) == info.frame_count:
        # Tools count from 0 or from 1, and list images in any order.
        order = sorted(range(len(named)), key=numbers.__getitem__) if are_numbered else range(len(named))
        return {named[place][0]: frame for frame, place in enumerate(order)}
    if are_numbered:
        return {image: number for (image, _), number in zip(named, numbers, strict=True)}
    count = "an unknown number of" if info.frame_count is None else info.frame_count
    images = f"{len(named)} image{'' if len(named) == 1 else 's'}"
    raise InvalidArgumentError(
        f"{name} has {images} and {info.name!r} {count} frames; name images by the number of their frame, "
        "from 0, as in frame_000007.png"
    )
