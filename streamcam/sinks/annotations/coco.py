"""COCO annotations: one JSON file with boxes, outlines, and the numbers of objects."""

from __future__ import annotations

import json
import math
from pathlib import Path
from typing import Any, TextIO

import streamcam
from streamcam.explanations import Instance, RenderedFrame
from streamcam.frames import SourceInfo
from streamcam.sinks.annotations.categories import Categories
from streamcam.sinks.shapes import annotated_size, annotations_of, pixel_box, pixel_mask, pixel_polygons
from streamcam.sinks.text import TextSink, open_text_part


def open_coco_sink(path: Path, info: SourceInfo, *, overwrite: bool) -> CocoSink:
    """Start a file of COCO annotations beside its final name.

    Args:
        path: The file to make.
        info: The source of the frames, for their names.
        overwrite: Whether a file that is there at the end is replaced.

    Raises:
        OutputExistsError: if another render is writing it.
        SinkError: if the file cannot be made.
    """
    return CocoSink(path, open_text_part(path), info, overwrite=overwrite)


class CocoSink(TextSink):
    """Instance annotations as in Lin et al. 2014, "Microsoft COCO", https://arxiv.org/abs/1405.0312.

    Images are named as the input's files, or ``frame_000000.png``, by which CVAT knows the frames of a video.
    Beside COCO's own fields an annotation has ``track_id``, and ``score`` if it has one. Annotations are
    written as they come; only the list of images waits in memory for the end.
    """

    def __init__(self, path: Path, file: TextIO, info: SourceInfo, *, overwrite: bool) -> None:
        """Take over an open file; see `open_coco_sink`."""
        super().__init__(path, file, overwrite=overwrite)
        self._info = info
        self._categories = Categories()
        self._images: list[str] = []
        self._count = 0

    def format_line(self, frame: RenderedFrame) -> str | None:
        """Return the annotations of one frame."""
        number = len(self._images)
        size = annotated_size(frame)
        image = {
            "id": number + 1,
            "file_name": self._name(number),
            "width": size[0],
            "height": size[1],
            "time_s": round(frame.time_s, 6),
        }
        self._images.append(_to_json(image))
        lines = [] if number else [self._beginning()]
        for instance in annotations_of(frame):
            comma = "," if self._count else ""
            self._count += 1
            lines.append(comma + _to_json(self._record(instance, number + 1, size)))
        return "\n".join(lines) or None

    def format_end(self) -> str:
        """Return the lists of images and categories, which end the file."""
        categories = [{"id": number + 1, "name": name} for number, name in enumerate(self._categories.names)]
        images = ",\n".join(self._images)
        return f'],\n"images": [\n{images}\n],\n"categories": {_to_json(categories)}}}\n'

    def _beginning(self) -> str:
        about = {"description": self._info.name, "version": f"streamcam {streamcam.__version__}"}
        return f'{{"info": {_to_json(about)},\n"licenses": [],\n"annotations": ['

    def _name(self, number: int) -> str:
        files = self._info.files
        if number < len(files):
            return files[number].name
        if self._info.is_still and self._info.path is not None:
            return self._info.path.name
        return f"frame_{number:06d}.png"

    def _record(self, instance: Instance, image: int, size: tuple[int, int]) -> dict[str, Any]:
        left, top, right, bottom = pixel_box(instance, size)
        record: dict[str, Any] = {
            "id": self._count,
            "image_id": image,
            "category_id": self._categories.number(instance.label) + 1,
            "bbox": [left, top, round(right - left, 1), round(bottom - top, 1)],
            "area": int(pixel_mask(instance, size).sum()),
            "segmentation": [
                [edge for corner in polygon for edge in corner] for polygon in pixel_polygons(instance, size)
            ],
            "iscrowd": 0,
        }
        if instance.track_id is not None:
            record["track_id"] = instance.track_id
        if math.isfinite(instance.score):
            record["score"] = round(instance.score, 4)
        return record


def _to_json(value: object) -> str:
    return json.dumps(value, ensure_ascii=False, allow_nan=False)
