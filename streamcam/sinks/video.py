"""Writing finished pictures as a film, with the sound of the film they came from."""

from __future__ import annotations

import contextlib
import math
from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamcam.containers import open_film
from streamcam.errors import SinkError
from streamcam.frames import SourceInfo
from streamcam.pictures import Picture, blank_like, planes_of
from streamcam.sinks.base import Sink
from streamcam.sinks.encoding import EncoderSettings, check_encoding
from streamcam.sinks.formats import container_of
from streamcam.sinks.interlacing import BOTTOM_FIRST, INTERLACED, TOP_FIRST, FieldMarker
from streamcam.sinks.partfile import begin, commit, discard, part_path
from streamcam.sinks.passthrough import StreamCopier

_FALLBACK_RATE = Fraction(25)


def open_video_sink(path: Path, info: SourceInfo, settings: EncoderSettings) -> VideoSink:
    """Start a film beside its final name.

    Args:
        path: The file to make.
        info: What the pictures come from.
        settings: How to encode.

    Raises:
        InvalidArgumentError: if codec, options and container do not go together.
        SinkError: if the file cannot be made.
    """
    encoder, pixel_format, options = check_encoding(path, settings)
    kind = container_of(path)
    flags = _mov_flags(info) if kind.muxer in ("mp4", "mov") else {}
    name = f"file:{begin(path)}"
    try:
        container = av.open(name, "w", format=kind.muxer, container_options=flags)
    except (FFmpegError, OSError) as error:
        raise SinkError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    copier: StreamCopier | None = None
    with contextlib.ExitStack() as undo:
        undo.callback(_drop, container, path)
        try:
            stream = _add_video(container, encoder, pixel_format, options, info)
            if info.path is not None:
                copier = StreamCopier(info, info.path, container, kind, sound=not settings.no_audio)
                undo.callback(copier.close)
            container.start_encoding()
        except FFmpegError as error:
            size = f"{info.width}x{info.height}"
            raise SinkError(
                f"{str(path)!r} cannot be started with {encoder} at {size}: {error.strerror}"
            ) from error
        undo.pop_all()
    return VideoSink(path, container, stream, copier, info)


def _mov_flags(info: SourceInfo) -> dict[str, str]:
    """Keep the input's own ticks, so that every timestamp stays the same number."""
    ticks = info.time_base.denominator
    # Where a stream begins late is told in ticks of the whole film, at least the usual 1000 a second.
    film_ticks = ticks * math.ceil(1000 / ticks)
    return {
        "movflags": "+faststart",
        "video_track_timescale": str(ticks),
        "movie_timescale": str(film_ticks),
    }


def _add_video(
    container: OutputContainer, encoder: str, pixel_format: str, options: dict[str, str], info: SourceInfo
) -> VideoStream:
    if info.top_field_first is not None:
        options = {**options, **INTERLACED.get(encoder, {})}
    stream = container.add_stream(encoder, rate=info.rate or _FALLBACK_RATE, options=options)
    assert isinstance(stream, VideoStream)
    stream.width, stream.height = _even_size(info, pixel_format)
    stream.pix_fmt = pixel_format
    context = stream.codec_context
    context.thread_count = 0  # all cores, also for the encoders that would take one
    stream.time_base = context.time_base = info.time_base
    if info.sample_aspect_ratio is not None:
        context.sample_aspect_ratio = info.sample_aspect_ratio
    if info.top_field_first is not None:
        context.field_order = TOP_FIRST if info.top_field_first else BOTTOM_FIRST
    context.color_range = info.colour.color_range
    context.colorspace = info.colour.colorspace
    context.color_primaries = info.colour.color_primaries
    context.color_trc = info.colour.color_trc
    return stream


def _even_size(info: SourceInfo, pixel_format: str) -> tuple[int, int]:
    if pixel_format != "yuv420p":
        return info.width, info.height
    return max(2, info.width - info.width % 2), max(2, info.height - info.height % 2)


def _drop(container: OutputContainer, path: Path) -> None:
    # Closing writes the trailer, which cannot work when writing did not; the part goes in any case.
    with contextlib.suppress(FFmpegError, ValueError):
        container.close()
    discard(path)


class VideoSink(Sink):
    """A film that grows beside its final name and is renamed when it is complete and verified."""

    def __init__(
        self,
        path: Path,
        container: OutputContainer,
        stream: VideoStream,
        copier: StreamCopier | None,
        info: SourceInfo,
    ) -> None:
        """Take over an open container; see `open_video_sink`."""
        self._path = path
        self._container: OutputContainer | None = container
        self._stream = stream
        self._copier = copier
        self._info = info
        self._shift = round(info.begin_s / info.time_base)
        self._marker: FieldMarker | None = None
        if info.top_field_first is not None and self._stream.codec_context.name in INTERLACED:
            self._marker = FieldMarker(info.time_base, top_field_first=info.top_field_first)
        self._written = 0
        self._is_finished = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed or left out."""
        notes = []
        if (self._stream.width, self._stream.height) != (self._info.width, self._info.height):
            notes.append(
                f"{self._info.width}x{self._info.height} is written as {self._stream.width}x"
                f"{self._stream.height}: 4:2:0 video needs even sides, so the last row or column is left out"
            )
        if self._info.top_field_first is not None and self._marker is None:
            encoder = self._stream.codec_context.name
            notes.append(f"{encoder} does not mark pictures as interlaced: players will not make them whole")
        if self._copier is not None:
            notes += self._copier.notes
        return tuple(notes)

    def write(self, image: Picture) -> None:
        """Encode one picture, and copy the sound up to it.

        Raises:
            SinkError: if the encoder or the disk refuses, or the picture is of another size than the source.
        """
        container = self._open_container()
        if (image.width, image.height) != (self._info.width, self._info.height):  # FFmpeg would rescale it
            raise SinkError(
                f"{str(self._path)!r} takes pictures of {self._info.width}x{self._info.height}, "
                f"not {image.width}x{image.height}"
            )
        pts = image.pts or 0
        try:
            with _restored(image):
                container.mux(self._stream.encode(self._prepared(image, pts)))
            if self._copier is not None:
                self._copier.copy_until(float(pts * self._info.time_base))
        except (FFmpegError, OSError) as error:
            raise SinkError(f"{str(self._path)!r} cannot be written: {error.strerror}") from error
        self._written += 1

    def finish(self, *, cut_short: bool = False) -> None:
        """Flush, close, verify and rename.

        Raises:
            SinkError: if what lies on the disk is not what was written, or nothing was.
        """
        if self._is_finished:
            return
        container = self._open_container()
        if not self._written:
            self.abort()
            raise SinkError(f"{str(self._path)!r} was not written: no picture was finished")
        try:
            container.mux(self._stream.encode(None))
            if self._copier is not None:
                if not cut_short:
                    self._copier.copy_rest()
                self._copier.close()
            container.close()
        except (FFmpegError, OSError) as error:
            self.abort()
            raise SinkError(f"{str(self._path)!r} cannot be completed: {error.strerror}") from error
        self._container = None
        try:
            self._verify()
        except BaseException:
            discard(self._path)
            raise
        commit(self._path)
        self._is_finished = True

    def abort(self) -> None:
        """Close and remove what was written."""
        if self._copier is not None:
            self._copier.close()
        if self._container is not None:
            container, self._container = self._container, None
            _drop(container, self._path)

    def _open_container(self) -> OutputContainer:
        if self._container is None:
            raise SinkError(f"{str(self._path)!r} is closed already")
        return self._container

    def _prepared(self, image: Picture, pts: int) -> Picture:
        """Put the picture on the output's clock, and cut off the odd row or column 4:2:0 cannot have."""
        width, height = self._stream.width, self._stream.height
        if (image.width, image.height) != (width, height):
            fresh = blank_like(image, width=width, height=height)
            for target, source in zip(planes_of(fresh), planes_of(image), strict=True):
                rows, columns = target.shape
                target[:] = source[:rows, :columns]
            image = fresh
        image.pts = pts - self._shift
        image.time_base = self._info.time_base
        image.pict_type = PictureType.NONE  # a decoder's note of its own type would bind the encoder
        return image if self._marker is None else self._marker.marked(image)

    def _verify(self) -> None:
        """Reopen the part and count its pictures: a full disk may show nowhere else."""
        try:
            with open_film(part_path(self._path)) as written:
                found = sum(packet.size > 0 for packet in written.demux(written.streams.video[0]))
        except (FFmpegError, IndexError) as error:
            raise SinkError(f"{str(self._path)!r} was written but cannot be read back: {error}") from error
        if found != self._written:
            raise SinkError(
                f"{str(self._path)!r} holds {found} of {self._written} frames when read back; "
                "is the disk full?"
            )


@contextlib.contextmanager
def _restored(image: Picture) -> Iterator[None]:
    """Give a picture its time and type back: it is not the sink's own."""
    pts, time_base, pict_type = image.pts, image.time_base, image.pict_type
    try:
        yield
    finally:
        image.pts, image.pict_type = pts, pict_type
        if time_base is not None:
            image.time_base = time_base
