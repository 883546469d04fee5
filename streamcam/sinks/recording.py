"""Live recordings: videos that can be played at any moment, however suddenly their writing ends.

MP4 is written in fragments and Matroska in clusters of about a second, each handed to the system as soon as
it is complete. Whatever kills the program or fills the disk costs only the last one.
"""

from __future__ import annotations

import contextlib
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.video.frame import PictureType
from av.video.stream import VideoStream

from streamcam.errors import InvalidArgumentError, SinkError, map_errors
from streamcam.explanations import RenderedFrame
from streamcam.media.containers import CONTAINERS, FRAGMENT_S
from streamcam.media.encoders import EncoderSettings, choose_encoding
from streamcam.media.images import Image, blank_like, planes_of, tags_of
from streamcam.media.scaling import Resampler
from streamcam.sinks.base import Sink
from streamcam.sinks.part_file import check_output, sink_error

_ENCODER = EncoderSettings(preset="superfast")
_FALLBACK_RATE = Fraction(30)


def check_recording(location: str | Path, *, overwrite: bool = False) -> Path:
    """Check, before any work, that a recording can be made.

    Raises:
        OutputExistsError: if the file exists.
        SinkError: if its directory is missing or cannot be written to.
        InvalidArgumentError: if files of its kind cannot be played after a sudden end.
    """
    path = Path(location)
    container = CONTAINERS.get(path.suffix.lower())
    if container is None or container.recording_options is None:
        suffixes = [kind.suffix for kind in CONTAINERS.values() if kind.recording_options is not None]
        raise InvalidArgumentError(f"a recording is one of {', '.join(suffixes)}, not {path.name!r}")
    return check_output(path, overwrite=overwrite, inputs=())


class Recording(Sink):
    """A video that grows under its own name. Belongs to one thread.

    Images keep the times that their pts say, counted from the first. One of another size than the first
    is scaled to it.
    """

    def __init__(self, path: Path, *, rate: Fraction | None = None) -> None:
        """Prepare a recording. The file is made when the first frame is written.

        Args:
            path: The file to make, checked with `check_recording`.
            rate: Frames per second, as far as known; the timing does not depend on it.
        """
        self.path = path
        self.written = 0
        self._rate = rate or _FALLBACK_RATE
        self._container: OutputContainer | None = None
        self._stream: VideoStream | None = None
        self._resampler = Resampler()
        self._first_pts = 0
        self._next_keyframe = 0
        self._is_open = True

    def write(self, frame: RenderedFrame) -> None:
        """Encode one frame.

        Raises:
            SinkError: if the encoder or the disk refuses, or the recording has ended.
        """
        if not self._is_open:
            raise SinkError(f"{str(self.path)!r} is closed already")
        with map_errors(
            FFmpegError, OSError, to=lambda error: sink_error(self.path, "cannot be written", error)
        ):
            if self._container is None or self._stream is None:
                self._container, self._stream = self._begin(frame)
                self._first_pts = frame.pts
            prepared = self._prepared(frame, self._stream)
            self._container.mux(self._stream.encode(prepared))
        self.written += 1

    def finish(self, *, cut_short: bool = False) -> None:  # noqa: ARG002 - live, every end is one
        """Flush the encoder, and close the file.

        Raises:
            SinkError: if the disk refuses. What was written before can be played.
        """
        if not self._is_open:
            return
        container, stream = self._release()
        if container is None or stream is None:
            raise SinkError(f"{str(self.path)!r} was not written: there was no image")
        with map_errors(
            FFmpegError, OSError, to=lambda error: sink_error(self.path, "cannot be completed", error)
        ):
            try:
                container.mux(stream.encode(None))
            finally:
                container.close()

    def abort(self) -> None:
        """Close the file; what was written stays, because it can be played."""
        container, _ = self._release()
        if container is not None:
            with contextlib.suppress(FFmpegError, OSError):
                container.close()

    def _release(self) -> tuple[OutputContainer | None, VideoStream | None]:
        """Release container and stream: an encoder holds tens of megabytes until nothing refers to it."""
        self._is_open = False
        held = self._container, self._stream
        self._container = self._stream = None
        return held

    def _begin(self, frame: RenderedFrame) -> tuple[OutputContainer, VideoStream]:
        image = frame.image
        encoding = choose_encoding(self.path, _ENCODER)
        kind = encoding.container
        name = f"file:{self.path.absolute()}"
        container = av.open(
            name, "w", format=kind.muxer, container_options=dict(kind.recording_options or {})
        )
        stream = container.add_stream(encoding.encoder, rate=self._rate, options=encoding.options)
        assert isinstance(stream, VideoStream)
        stream.width, stream.height = max(2, image.width // 2 * 2), max(2, image.height // 2 * 2)
        stream.pix_fmt = encoding.pixel_format
        context = stream.codec_context
        stream.time_base = context.time_base = frame.time_base
        context.max_b_frames = 0  # images come out as they go in, and none waits in the encoder
        tags = tags_of(image)
        context.color_range, context.colorspace = tags.color_range, tags.colorspace
        context.color_primaries, context.color_trc = tags.color_primaries, tags.color_trc
        container.start_encoding()
        return container, stream

    def _prepared(self, frame: RenderedFrame, stream: VideoStream) -> Image:
        """Copy an image, timed from the first frame on, as a keyframe once a second."""
        image = frame.image
        if (image.width // 2 * 2, image.height // 2 * 2) != (stream.width, stream.height):
            prepared = self._resampler.to_size(image, stream.width, stream.height)
        else:
            prepared = blank_like(image, width=stream.width, height=stream.height)
            for target, source in zip(planes_of(prepared), planes_of(image), strict=True):
                target[:] = source[: target.shape[0], : target.shape[1]]
        pts = frame.pts - self._first_pts
        prepared.pts, prepared.time_base = pts, frame.time_base
        prepared.pict_type = PictureType.NONE
        if pts >= self._next_keyframe:
            prepared.pict_type = PictureType.I
            self._next_keyframe = pts + round(FRAGMENT_S / frame.time_base)
        return prepared
