"""YOLO labels: a text file for each frame, a line for each box, and the names of the classes."""

from __future__ import annotations

from pathlib import Path

from streamcam.errors import OutputExistsError
from streamcam.explanations import RenderedFrame
from streamcam.frames import SourceInfo
from streamcam.media.encoders import EncoderSettings
from streamcam.sinks.annotations.categories import Categories
from streamcam.sinks.sequence import SequenceSink, begin_sequence
from streamcam.sinks.shapes import annotations_of

CLASSES = "classes.txt"
"""The file of class names beside the labels, a line each; where boxes are read from, it has to lie there."""


def open_yolo_sink(path: Path, info: SourceInfo, settings: EncoderSettings, *, overwrite: bool) -> YoloSink:
    """Check that label files can be made, and make a directory for them beside their final place.

    Args:
        path: The files to make, as in ``labels/%05d.txt``.
        info: The source of the frames.
        settings: What a video is encoded with, which none of these is.
        overwrite: Whether files that are there at the end are replaced.

    Raises:
        InvalidArgumentError: if there are settings that only videos have.
        OutputExistsError: if there is a file of that pattern already, or a list of classes, or another render
            is writing them.
        SinkError: if the directory cannot be made.
    """
    classes = path.with_name(CLASSES)
    if classes.exists() and not overwrite:
        raise OutputExistsError(f"{str(classes)!r} exists already; give `overwrite=True` to replace it")
    return YoloSink(
        path, info, begin_sequence(path, info, settings, overwrite=overwrite), overwrite=overwrite
    )


class YoloSink(SequenceSink):
    """A text file a frame, numbered from 1 as the images of `SequenceSink`, and ``classes.txt``.

    A line is the class's number, and middle x, middle y, width and height as fractions of the frame.
    """

    def __init__(self, path: Path, info: SourceInfo, part: Path, *, overwrite: bool) -> None:
        """Take over an empty directory; see `open_yolo_sink`."""
        super().__init__(path, info, part, overwrite=overwrite)
        self._categories = Categories()

    @property
    def notes(self) -> tuple[str, ...]:
        """Nothing: labels are all that is asked for."""
        return ()

    def save(self, frame: RenderedFrame, path: Path) -> None:
        """Write the boxes of one frame.

        Raises:
            OSError: if the disk refuses.
        """
        lines = []
        for instance in annotations_of(frame):
            left, top, right, bottom = (min(max(edge, 0.0), 1.0) for edge in instance.box)
            numbers = ((left + right) / 2, (top + bottom) / 2, right - left, bottom - top)
            written = " ".join(f"{number:.6g}" for number in numbers)
            lines.append(f"{self._categories.number(instance.label)} {written}\n")
        path.write_text("".join(lines), encoding="utf-8")

    def finish(self, *, cut_short: bool = False) -> None:
        """Write the names of the classes, and move all files to their final place.

        Raises:
            SinkError: if there is none, or they cannot be moved.
        """
        names = "".join(f"{name}\n" for name in self._categories.names)
        self.add_file(CLASSES, names)
        super().finish(cut_short=cut_short)
