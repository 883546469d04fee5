"""The frames of one video stream of a file of any kind that FFmpeg reads."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Generator, Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import av
from av.container import InputContainer
from av.error import FFmpegError
from av.video.stream import VideoStream
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, SourceError, map_errors
from streamcam.frames import HdrMetadata, SourceInfo, SourceReport
from streamcam.media.animation_files import plays_of
from streamcam.media.demux import open_input, video_streams
from streamcam.media.filters import Deinterlacer, is_top_field_first, retime
from streamcam.media.geometry import NO_CROPPING, geometry_of
from streamcam.media.hwaccel import NONE
from streamcam.media.images import DEEP, Image, bits_of, chroma_of, has_alpha, tags_of
from streamcam.media.playlists import PlaylistFolder
from streamcam.media.scaling import Resampler
from streamcam.media.side_data import UPRIGHT, Orientation, hdr_metadata_of, lost_with, orientation_of
from streamcam.sources.decoding import Decoder
from streamcam.sources.files import DecodedFileSource
from streamcam.sources.normalization import (
    FrameFitter,
    gray_values,
    stretch_gray,
    to_upright_planar,
    working_format,
)
from streamcam.sources.settings import SourceSettings
from streamcam.sources.transparency import ON_WHITE, put_on_white
from streamcam.sources.value_range import ValueRange, choose_range, describe_range

_TIME_TOLERANCE_S = Fraction(1, 1_000_000)
"""FFmpeg gives a video's beginning in microseconds, so a frame on the very edge may seem that much off."""

_SAMPLES = 9
"""How many images of a gray video, evenly spread, are looked at for the range of its values."""

_ANIMATIONS = ("gif", "apng")
"""FFmpeg's names for animated images that it reads itself."""

_HIGHEST_RATE = 1000
"""Frames per second; what is guessed above that is a container's tick, not a rate."""


def _sampled_values(path: Path, index: int) -> Iterator[NDArray[Any]]:
    """Yield the values of some images of a gray video, spread over its length, for one range of all."""
    with contextlib.suppress(FFmpegError), open_input(path) as container:
        stream = container.streams[index]
        begin, length = container.start_time or 0, container.duration or 0
        if not isinstance(stream, VideoStream) or not length:
            return
        resampler = Resampler()
        for number in range(1, _SAMPLES):
            container.seek(begin + number * length // _SAMPLES)
            image = next(container.decode(stream), None)
            found = None if image is None else gray_values(image, resampler)
            if found is not None:
                yield found[0]


class VideoSource(DecodedFileSource):
    """The frames of one stream of one file.

    A damaged packet costs its own frames and nothing else: it is counted and decoding goes on.
    """

    def __init__(
        self,
        path: Path,
        container: InputContainer,
        stream: VideoStream,
        settings: SourceSettings,
        folder: PlaylistFolder | None = None,
    ) -> None:
        """Take over an open container; see `open_video`.

        Args:
            path: File that was opened.
            container: The open file.
            stream: Video stream to decode.
            settings: How it is read.
            folder: Opens the segments of a playlist; None for other files.

        Raises:
            SourceError: if not one frame of the part asked for can be decoded.
        """
        start_s, end_s = settings.start_s, settings.end_s
        self._path = path
        self._container = container
        self._folder = folder
        self._stream = stream
        self._time_base = stream.time_base or Fraction(1, 1000)
        self._origin_s = Fraction(container.start_time or 0, av.time_base)
        self._start_pts = None if start_s is None else self._to_pts(start_s)
        self._end_pts = None if end_s is None else self._to_pts(end_s)
        self._geometry = geometry_of(stream)
        self._decoder = Decoder(container, stream, self._start_pts, self._end_pts)
        self._read_to_end = False
        self._shortfall: str | None = None
        self._settings = settings
        self._resampler = Resampler()
        self._framing = FrameFitter(self._resampler, settings.size)
        self._deinterlacer = Deinterlacer(self._time_base)
        self._pixel_format: str | None = None
        self._coded_shape: Fraction | None = None
        self._top_field_first: bool | None = None
        self._has_alpha = self._keeps_alpha = False
        self._is_turned = False
        self._coded_format = "yuv420p"
        self._lost: tuple[str, ...] = ()
        self._limits: ValueRange | None = None
        self._has_own_limits = False
        self._hdr_metadata: HdrMetadata | None = None
        self._tells_shape = bool(stream.sample_aspect_ratio) or settings.size is not None
        self._images = self._timed_images()
        self._first = next(self._images, None)
        if self._first is None:
            raise SourceError(self._nothing_read(start_s, end_s))
        self._info = self._describe(self._first, start_s, end_s)

    def report(self) -> SourceReport:
        """Return what was read, what was damaged and what is missing."""
        notes = [self._framing.change] if self._framing.change else []
        if self._deinterlacer.has_worked:
            notes.append("frames were deinterlaced; `keep_interlaced=True` leaves them interlaced")
        if self._has_alpha and not self._keeps_alpha:
            notes.append(ON_WHITE)
        shortfall = self._shortfall
        missing = [] if self._folder is None else list(dict.fromkeys(self._folder.missing))
        if missing:
            shortfall = f"{len(missing)} of its segments are not there ({', '.join(missing[:3])})"
        damage, (read, given) = self._decoder.damage, self._count_frames()
        return SourceReport(read, damage.packets, damage.frames, shortfall, tuple(notes), given)

    def close(self) -> None:
        """Close the file; it yields no more frames."""
        super().close()
        self._container.close()

    def _to_pts(self, seconds: float) -> int:
        """The first tick that is not before a time."""
        return math.ceil((Fraction(seconds) + self._origin_s - _TIME_TOLERANCE_S) / self._time_base)

    def _timed_images(self) -> Generator[Image, None, None]:
        """Yield the images of the part, at the rate asked for."""
        images, rate = self._part_images(), self._settings.rate
        with contextlib.closing(images):  # at once: going on to read from a closed container crashes
            yield from images if rate is None else retime(images, self._time_base, rate)

    def _part_images(self) -> Generator[Image, None, None]:
        """Decode the part: upright, planar, of one size, with strictly increasing pts."""
        orientation: Orientation | None = None
        reached = 0
        for image in self._deinterlaced_images():
            assert image.pts is not None
            if self._start_pts is not None and image.pts < self._start_pts:
                continue
            if self._end_pts is not None and image.pts >= self._end_pts:
                return
            if orientation is None:
                # Once a video: what is true of its first image is true of all.
                orientation, self._lost = orientation_of(image), lost_with(image)
                self._is_turned = orientation != UPRIGHT
                self._coded_format = image.format.name
                self._keeps_alpha = self._settings.keeps_alpha and has_alpha(image.format.name)
                # Screen recordings and GIFs have alpha whether or not they use it.
                self._has_alpha = image.format.name.startswith("yuva")
                self._hdr_metadata = hdr_metadata_of(image)
                depth, chroma = self._settings.depth, self._settings.chroma
                self._pixel_format = working_format(image.format.name, depth, chroma, alpha=self._keeps_alpha)
                self._choose_limits(image)
                if image.interlaced_frame:
                    self._top_field_first = is_top_field_first(image)
            assert self._pixel_format is not None
            shown = image
            if self._limits is not None:
                shown = stretch_gray(image, self._resampler, self._limits, self._pixel_format)
            if not self._keeps_alpha:
                opaque = put_on_white(shown, self._resampler, self._pixel_format)
                self._has_alpha = self._has_alpha or opaque is not shown
                shown = opaque
            upright = to_upright_planar(
                shown,
                self._resampler,
                orientation,
                pixel_format=self._pixel_format,
                cropping=self._geometry.cropping,
            )
            time_s = float(image.pts * self._time_base - self._origin_s)
            self._frames_read += 1
            reached = image.pts + (image.duration or 0)
            fitted = self._framing.fit(upright, self._pixel_shape(orientation), time_s)
            fitted.duration = image.duration
            if self._end_pts is not None:
                fitted.duration = min(image.duration, self._end_pts - image.pts)
            yield fitted
        self._read_to_end = True
        if self._end_pts is None or reached < self._end_pts:
            self._shortfall = self._decoder.completeness.shortfall()

    def _choose_limits(self, first: Image) -> None:
        """Choose which values of a gray video of more than 8 bits are shown as black and as white."""
        found = gray_values(first, self._resampler)
        if found is None:
            if self._settings.range is not None:
                raise InvalidArgumentError(
                    f"{str(self._path)!r} is no gray video of more than 8 bits a sample; leave `range` out"
                )
            return
        if self._settings.range is not None:
            self._limits = self._settings.range
            return
        values = [found[0], *_sampled_values(self._path, self._stream.index)]
        with map_errors(
            ValueError, to=lambda error: SourceError(f"{str(self._path)!r} shows nothing: {error}")
        ):
            limits, self._has_own_limits = choose_range(values, found[1])
        if self._has_own_limits:
            self._limits = limits

    def _deinterlaced_images(self) -> Iterator[Image]:
        decoded = self._decoder.images()
        return decoded if self._settings.keep_interlaced else self._deinterlacer.deinterlace(decoded)

    def _pixel_shape(self, orientation: Orientation) -> Fraction:
        """Return the width of a pixel by its height, of the image that was decoded last."""
        # A container may overrule what the codec says, but only the codec's word follows a change.
        now = self._stream.codec_context.sample_aspect_ratio or Fraction(1)
        if self._coded_shape is None:
            self._coded_shape = now
        shape = (self._stream.sample_aspect_ratio or Fraction(1)) * now / self._coded_shape
        return 1 / shape if orientation.transposed else shape

    def _nothing_read(self, start_s: float | None, end_s: float | None) -> str:
        if self._decoder.frames_decoded:
            if self._read_to_end:
                cause = f": {self._shortfall}" if self._shortfall else "; check `start_s`"
                return f"{str(self._path)!r} has no frame after {start_s:g} s{cause}"
            return f"{str(self._path)!r} has no frame between {start_s or 0:g} and {end_s:g} s; check `end_s`"
        return f"{str(self._path)!r} holds a video stream, but no frame of it can be decoded"

    def _describe(self, first: Image, start_s: float | None, end_s: float | None) -> SourceInfo:
        rate = self._settings.rate or self._nominal_rate(first)
        time_base = 1 / self._settings.rate if self._settings.rate else self._time_base
        duration_s = self._part_duration_s(start_s, end_s)
        is_whole = start_s is None and end_s is None and self._settings.rate is None
        frame_count = self._stream.frames if is_whole else 0
        if not frame_count and duration_s is not None and rate:
            frame_count = max(1, round(duration_s * rate))
        origin_s = float(self._origin_s)
        return SourceInfo(
            name=str(self._path),
            path=self._path,
            width=first.width,
            height=first.height,
            pixel_format=first.format.name,
            time_base=time_base,
            rate=rate,
            frame_count=frame_count or None,
            duration_s=duration_s,
            origin_s=min(origin_s, float((first.pts or 0) * time_base)),
            start_s=None if start_s is None else start_s + origin_s,
            end_s=None if end_s is None else end_s + origin_s,
            video_stream=self._stream.index,
            sample_aspect_ratio=self._framing.pixel_shape if self._tells_shape else None,
            chroma_location=self._chroma_location(first),
            top_field_first=self._top_field_first,
            color=tags_of(first),
            hdr_metadata=self._hdr_metadata,
            plays=plays_of(self._path) if self._is_animation else None,
            notes=self._stream_notes(),
        )

    def _chroma_location(self, first: Image) -> str | None:
        """Return where chroma lies, unless it was moved: by scaling, rotation or cropping."""
        is_moved = self._settings.size or self._is_turned or self._geometry.cropping != NO_CROPPING
        is_shared = chroma_of(first.format.name) == "420" == chroma_of(self._coded_format)
        return None if is_moved or not is_shared else self._geometry.chroma_location

    @property
    def _is_animation(self) -> bool:
        return self._container.format.name in _ANIMATIONS

    def _nominal_rate(self, first: Image) -> Fraction | None:
        """Return the frames per second; of an animation those of its first image, as it has no rate."""
        if self._is_animation and first.duration:
            return 1 / (first.duration * self._time_base)
        rate = self._stream.guessed_rate
        return rate if rate and rate <= _HIGHEST_RATE else None

    def _part_duration_s(self, start_s: float | None, end_s: float | None) -> float | None:
        if self._stream.duration is not None:
            whole_s = float(self._stream.duration * self._time_base)
        elif self._container.duration is not None:
            whole_s = self._container.duration / av.time_base
        else:
            return None
        return max(0.0, min(whole_s, math.inf if end_s is None else end_s) - (start_s or 0.0))

    def _stream_notes(self) -> tuple[str, ...]:
        notes = []
        others = len(video_streams(self._container)) - 1
        if others:
            notes.append(f"the file holds {others + 1} video streams; number {self._stream.index} is used")
        notes += self._lost
        bits = bits_of(self._coded_format)
        if bits > DEEP and self._settings.depth is None:
            notes.append(f"samples of {bits} bits are reduced to {DEEP}")
        if self._limits is not None and self._has_own_limits:
            notes.append(describe_range(self._limits))
        if self._stream.codec_context.is_hwaccel:
            notes.append(f"decoded in hardware ({self._settings.hwaccel})")
        elif self._settings.hwaccel != NONE:
            notes.append(f"no hardware decoder works here ({self._settings.hwaccel}); decoded in software")
        return tuple(notes)
