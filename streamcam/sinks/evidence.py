"""Evidence files: all that a network answered, in a file of arrays that grows frame by frame."""

from __future__ import annotations

import contextlib
import dataclasses
import io
import itertools
import json
import math
from collections.abc import Mapping, Sequence
from pathlib import Path
from typing import TYPE_CHECKING, Any

import numpy as np
import PIL.Image

from streamcam.errors import SinkError, map_errors
from streamcam.evidence import TableEncoder, describe_input
from streamcam.evidence.format import FRAMES_AT_ONCE, TABLES
from streamcam.explanations import Explanation, HeatBox, RenderedFrame, is_value_alone
from streamcam.files import begin, check_part, commit, discard, part_path, sink_error
from streamcam.frames import Region, SourceInfo
from streamcam.media.images import Image
from streamcam.media.scaling import Resampler
from streamcam.sinks.base import Sink

if TYPE_CHECKING:
    from streamcam.evidence import EvidenceWriter

THUMBNAIL_SIDE = 192
"""A thumbnail's longer side in pixels."""
_THUMBNAIL_QUALITY = 65
THUMBNAIL_INTERVAL_S = 1.0
"""A thumbnail is kept this often, and of the first frame of each shot."""


def open_evidence_sink(path: Path, info: SourceInfo, *, overwrite: bool) -> EvidenceSink:
    """Start an evidence file beside its final name.

    Args:
        path: The file to make.
        info: The source of the frames.
        overwrite: Whether a file that is there at the end is replaced.

    Raises:
        OutputExistsError: if another render is writing it.
        SinkError: if the file cannot be made, or the input not be read.
    """
    with map_errors(OSError, to=lambda error: sink_error(path, "cannot describe the input", error)):
        described = describe_input(info)
    begin(path)
    return EvidenceSink(path, described, overwrite=overwrite)


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class _Row:
    """One frame that is not in the file yet; without its image, which would take memory."""

    explanation: Explanation
    pts: int
    duration: int
    time_s: float
    thumbnail: bytes | None
    """A JPEG file."""
    roi: tuple[float, float]
    """Share of the heat inside the region of interest, and of the frame that it covers; NaN without one."""
    boxes: tuple[HeatBox, ...]
    """Around the heat."""


class EvidenceSink(Sink):
    """An evidence file; `streamcam.open_evidence` reads it."""

    def __init__(self, path: Path, described: Mapping[str, Any], *, overwrite: bool) -> None:
        """Take over an unfinished file; see `open_evidence_sink`."""
        self._path = path
        self._overwrite = overwrite
        self._header: dict[str, Any] = {"input": described}
        self._labels: list[str] = []
        self._outcome: dict[str, Any] = {}
        self._writer: EvidenceWriter | None = None
        self._encoder = TableEncoder()
        self._resampler = Resampler()
        self._waiting: list[_Row] = []
        self._written = 0
        self._thumbnail_due_s = -math.inf
        self._is_open, self._is_finished = True, False

    def describe(self, run: Mapping[str, Any]) -> None:
        """Take what computed the frames."""
        self._header["run"] = dict(run)

    def identify(
        self,
        identity: Mapping[str, Any],
        settings: Mapping[str, Any],
        labels: Sequence[str],
        command: str | None = None,
        output: str | None = None,
    ) -> None:
        """Take all else that belongs to the frames, before the first one is written.

        Args:
            identity: All that the explanations depend on besides the images, as plain values.
            settings: How the video is rendered, as plain values.
            labels: Name of each class.
            command: The command line that asked for the render.
            output: The video or image that shows the frames with heat; None if there is none.
        """
        self._header |= {
            "identity": dict(identity),
            "settings": dict(settings),
            "command": command,
            "output": output,
        }
        self._labels = list(labels)

    def conclude(self, outcome: Mapping[str, Any]) -> None:
        """Take what is known at the end, before `finish`, as plain values: notes, speed."""
        self._outcome = dict(outcome)

    def write(self, frame: RenderedFrame) -> None:
        """Add one frame; of one without an explanation its time.

        Raises:
            SinkError: if the disk refuses, or the sink has ended.
        """
        if not self._is_open:
            raise SinkError(f"{str(self._path)!r} is closed already")
        check_part(self._path)
        stabilized, thumbnail, roi = frame.stabilized, None, (math.nan, math.nan)
        boxes: tuple[HeatBox, ...] = ()
        if stabilized is None:
            explanation = Explanation(self._written, {}, (), (), "", "", Region())
        else:
            explanation = stabilized.explanation
            boxes = () if stabilized.localization is None else stabilized.localization.boxes or ()
            inside = None if stabilized.localization is None else stabilized.localization.inside
            if inside is not None:
                roi = next(iter(inside.shares.values()), math.nan), inside.area
            if explanation.starts_shot or frame.time_s >= self._thumbnail_due_s:
                self._thumbnail_due_s = frame.time_s + THUMBNAIL_INTERVAL_S
                thumbnail = self._make_thumbnail(stabilized.frame.image)
        row = _Row(explanation, frame.pts, frame.duration, frame.time_s, thumbnail, roi, boxes)
        self._waiting.append(row)
        self._written += 1
        if len(self._waiting) == FRAMES_AT_ONCE:
            self._flush()

    def finish(self, *, cut_short: bool = False) -> None:
        """Complete the file and move it to its final name.

        Raises:
            SinkError: if no frame was written, or the disk refuses.
        """
        if self._is_finished:
            return
        if not self._is_open or not self._written:
            self.abort()
            raise SinkError(f"{str(self._path)!r} was not written: no image was finished")
        try:
            self._flush()
            if self._writer is not None:
                with self._refusals("cannot be completed"):
                    self._writer.close(is_complete=not cut_short, outcome=json.dumps(self._outcome))
        except BaseException:
            self.abort()
            raise
        self._is_open, self._writer = False, None
        commit(self._path, overwrite=self._overwrite)
        self._is_finished = True

    def abort(self) -> None:
        """Remove what was written, unless it is finished."""
        if not self._is_open:
            return
        self._is_open = False
        if self._writer is not None:
            with contextlib.suppress(
                OSError, RuntimeError, ValueError
            ):  # what a full disk refuses goes anyway
                self._writer.abort()
        self._writer, self._waiting = None, []
        discard(self._path)

    def _flush(self) -> None:
        """Pass the frames that wait to the system."""
        rows, self._waiting = self._waiting, []
        if not rows:
            return
        thumbnails = [(row.explanation.frame_index, row.thumbnail) for row in rows if row.thumbnail]
        images = b"".join(image for _, image in thumbnails)
        tables = {
            **self._encoder.encode([row.explanation for row in rows]),
            "thumbnails": np.array(
                [(index, len(image)) for index, image in thumbnails], TABLES["thumbnails"]
            ),
            "thumbnail_bytes": np.frombuffer(images, np.uint8),
            "heat_boxes": np.array(
                [_box_row(row.explanation.frame_index, box) for row in rows for box in row.boxes],
                TABLES["heat_boxes"],
            ),
            "pts": np.array([row.pts for row in rows], np.int64),
            "durations": np.array([row.duration for row in rows], np.int64),
            "times_s": np.array([row.time_s for row in rows], np.float64),
            "roi": np.array([row.roi for row in rows], TABLES["roi"]),
        }
        shown = itertools.chain.from_iterable(row.explanation.predictions for row in rows)
        with self._refusals("cannot be written"):
            if self._writer is None:
                from streamcam.evidence import EvidenceWriter  # HDF5, which most renders do not need

                self._writer = EvidenceWriter(part_path(self._path), self._header, self._labels)
            self._writer.append(tables, are_values=any(is_value_alone(one) for one in shown))

    def _make_thumbnail(self, image: Image) -> bytes:
        scale = min(1.0, THUMBNAIL_SIDE / max(image.width, image.height))
        width, height = (max(1, round(side * scale)) for side in (image.width, image.height))
        file = io.BytesIO()
        pixels = PIL.Image.fromarray(self._resampler.to_rgb(image, width, height))
        pixels.save(file, "JPEG", quality=_THUMBNAIL_QUALITY)
        return file.getvalue()

    def _refusals(self, problem: str) -> contextlib.AbstractContextManager[None]:
        # HDF5 raises RuntimeError too.
        return map_errors(OSError, RuntimeError, to=lambda error: sink_error(self._path, problem, error))


def _box_row(frame: int, box: HeatBox) -> tuple[Any, ...]:
    track_id = box.instance.track_id
    return frame, box.target, -1 if track_id is None else track_id, box.share, box.instance.box
