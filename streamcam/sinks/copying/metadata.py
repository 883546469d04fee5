"""Copies of the input's metadata: descriptions, chapters and timecodes."""

from __future__ import annotations

import math
from collections.abc import Mapping
from fractions import Fraction
from typing import TYPE_CHECKING

from av.container import InputContainer, OutputContainer
from av.stream import Stream

from streamcam.frames import SourceInfo
from streamcam.media.containers import Container
from streamcam.media.timecodes import later_timecode

if TYPE_CHECKING:
    from av.container.core import Chapter

TIMECODE = "timecode"
"""The key of a timecode in the metadata of a file or stream."""

_CONTAINER_KEYS = {"major_brand", "minor_version", "compatible_brands", "encoder"}
"""Keys that describe the container rather than the video."""

_ENCODING_KEYS = {"bps", "duration", "encoder", "number_of_bytes", "number_of_frames", "rotate", "vendor_id"}
"""Keys that describe how a stream was encoded, and are wrong once it is re-encoded."""

_NAMES_TRACKS = ("mov",)
"""Containers whose tracks FFmpeg gives a name instead of a title."""

_STATISTICS = "_statistics_"

_ON_A_FRAME = 0.01
"""Starts within this fraction of a frame count as on the frame."""


class MetadataCopier:
    """Copies what a file and its streams say of themselves, as far as it stays true.

    Attributes:
        notes: Losses that the user should know of, a sentence each.
        cannot_hold: The reason for what is lost: the output's kind of file cannot hold it.
    """

    def __init__(
        self, source: InputContainer, output: OutputContainer, container: Container, info: SourceInfo
    ) -> None:
        """Prepare to copy.

        Args:
            source: The input.
            output: The output, with nothing muxed yet.
            container: The output's kind of file.
            info: The source of the images.
        """
        self._input = source
        self._output = output
        self._container = container
        self._info = info
        self.notes: list[str] = []
        self.cannot_hold = f"a {container.suffix} file cannot hold it"

    def copy_file(self) -> None:
        """Copy the file's metadata and chapters."""
        metadata = {key: value for key, value in self._input.metadata.items() if key not in _CONTAINER_KEYS}
        self._output.metadata.update(self._shift_timecode(metadata))
        chapters = (self._shift_chapter(chapter) for chapter in self._input.chapters())
        self._output.set_chapters([chapter for chapter in chapters if chapter is not None])

    def copy_stream(self, stream: Stream, source: Stream, *, is_reencoded: bool) -> None:
        """Copy the metadata of a stream of the input to one of the output."""
        metadata = dict(source.metadata)
        if self._input.format.name.startswith(_NAMES_TRACKS) and "name" in metadata:
            metadata["title"] = metadata.pop("name")  # FFmpeg reads one word and writes from the other
        if is_reencoded:
            metadata = {
                key: value
                for key, value in metadata.items()
                if key.lower().partition("-")[0] not in _ENCODING_KEYS and _STATISTICS not in key.lower()
            }
        stream.metadata.update(self._shift_timecode(metadata))
        stream.disposition = source.disposition

    def _shift_chapter(self, chapter: Chapter) -> Chapter | None:
        """Put a chapter on the output's clock, cut to the part that is rendered; None if it lies outside."""
        time_base = chapter["time_base"]
        if not time_base:
            return None
        shift = round(self._info.begin_s / time_base)
        start, end = max(0, chapter["start"] - shift), chapter["end"] - shift
        if self._info.end_s is not None:
            end = min(end, round(self._info.end_s / time_base) - shift)
        return {**chapter, "start": start, "end": end} if start < end else None

    def _shift_timecode(self, metadata: Mapping[str, str]) -> dict[str, str]:
        """Set a timecode to the output's first frame, or drop it with a note."""
        shifted = {key: value for key, value in metadata.items() if key.lower() != TIMECODE}
        for key in metadata.keys() - shifted.keys():
            loss = self._loss_of_timecodes()
            timecode = None if loss else later_timecode(metadata[key], *self._rate_and_skipped_frames())
            if timecode is not None:
                shifted[TIMECODE] = timecode
            else:
                note = f"the timecode {metadata[key]} is left out: {loss or 'it cannot be read'}"
                self.notes += [] if note in self.notes else [note]
        return shifted

    def _loss_of_timecodes(self) -> str | None:
        """Say why the output has no timecodes; None if it has."""
        if not self._container.holds_timecodes:
            return self.cannot_hold
        rate = self._input.streams[self._info.video_stream or 0].guessed_rate
        return None if self._info.rate in (None, rate) else "it counts frames, and `rate` makes other ones"

    def _rate_and_skipped_frames(self) -> tuple[Fraction, int]:
        rate = self._info.rate or Fraction(0)
        skipped_s = 0.0 if self._info.start_s is None else self._info.start_s - self._info.origin_s
        return rate, math.ceil(skipped_s * rate - _ON_A_FRAME)
