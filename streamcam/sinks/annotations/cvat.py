"""CVAT's annotations of a video: XML with a track for each object."""

from __future__ import annotations

import dataclasses
from collections import Counter
from collections.abc import Iterator
from pathlib import Path
from typing import TextIO

from streamcam.explanations import Instance, RenderedFrame
from streamcam.sinks.annotations.categories import Categories
from streamcam.sinks.shapes import annotated_size, annotations_of, pixel_box
from streamcam.sinks.text import TextSink


@dataclasses.dataclass(slots=True)
class _Track:
    labels: Counter[str] = dataclasses.field(default_factory=Counter)
    boxes: dict[int, str] = dataclasses.field(default_factory=dict)
    """Number of a frame → its box, as attributes."""


class CvatSink(TextSink):
    """Annotations in the format "CVAT for video 1.1", in which objects keep their number.

    Every box is a key frame, and an object that is not found for a while is outside until it is found again.
    A track has one label: the one that its boxes have most often. Tracks wait in memory for the end.
    """

    def __init__(self, path: Path, file: TextIO, *, overwrite: bool) -> None:
        """Take over an open file; see `TextSink`."""
        super().__init__(path, file, overwrite=overwrite)
        self._tracks: dict[object, _Track] = {}
        self._size = (0, 0)

    def format_line(self, frame: RenderedFrame) -> None:
        """Keep the boxes of one frame."""
        self._size = annotated_size(frame)
        met: Counter[str] = Counter()
        for instance in annotations_of(frame):
            met[instance.label] += 1
            track = self._tracks.setdefault(_key(instance, met[instance.label]), _Track())
            track.labels[instance.label] += 1
            edges = pixel_box(instance, self._size)
            written = " ".join(
                f'{name}="{edge:g}"' for name, edge in zip(("xtl", "ytl", "xbr", "ybr"), edges, strict=True)
            )
            track.boxes[self.written] = written

    def format_end(self) -> str:
        """Return the whole file."""
        return "\n".join(self._lines()) + "\n"

    def _lines(self) -> Iterator[str]:
        from xml.sax.saxutils import escape, quoteattr  # which imports all that speaks HTTP

        labels = Categories()
        names = [track.labels.most_common(1)[0][0] for track in self._tracks.values()]
        for name in names:
            labels.number(name)
        width, height = self._size
        yield '<?xml version="1.0" encoding="utf-8"?>'
        yield "<annotations><version>1.1</version>"
        yield f"<meta><task><size>{self.written}</size><mode>interpolation</mode><overlap>0</overlap>"
        yield f"<start_frame>0</start_frame><stop_frame>{self.written - 1}</stop_frame><labels>"
        for name in labels.names:
            yield f"<label><name>{escape(name)}</name><attributes></attributes></label>"
        yield f"</labels><original_size><width>{width}</width><height>{height}</height></original_size>"
        yield "</task></meta>"
        for number, (name, track) in enumerate(zip(names, self._tracks.values(), strict=True)):
            yield f'<track id="{number}" label={quoteattr(name)} source="auto">'
            for frame, box in track.boxes.items():
                yield _box(frame, box, outside=False)
                if frame + 1 not in track.boxes and frame + 1 < self.written:
                    yield _box(frame + 1, box, outside=True)
            yield "</track>"
        yield "</annotations>"


def _key(instance: Instance, place: int) -> object:
    """Return what a track is known by: its number, or its class and the place among those of its class."""
    return (instance.label, place) if instance.track_id is None else instance.track_id


def _box(frame: int, edges: str, *, outside: bool) -> str:
    return (
        f'<box frame="{frame}" {edges} outside="{int(outside)}" occluded="0" keyframe="1" z_order="0"></box>'
    )
