"""Video files: encoded frames, beside the audio and other streams of the input."""

from __future__ import annotations

import contextlib
import dataclasses
import functools
from collections.abc import Callable, Iterator, Sequence
from fractions import Fraction
from pathlib import Path

import av
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.errors import SinkError, map_errors
from streamcam.explanations import RenderedFrame
from streamcam.files import begin, check_part, commit, discard, part_path, sink_error
from streamcam.frames import SourceInfo
from streamcam.media.codecs import codec_row, encoder_row
from streamcam.media.encoder_input import EncoderFeed
from streamcam.media.encoders import EncoderSettings, Encoding, choose_encoding
from streamcam.media.images import Image, has_alpha
from streamcam.media.muxing import Muxer
from streamcam.sinks.base import Sink
from streamcam.sinks.copying.copier import StreamCopier
from streamcam.sinks.read_back import read_back
from streamcam.sinks.video_streams import close_container, start_streams

_IN_ORDER = 2
"""A video of at most this many images is decoded in the order in which they are shown."""


def open_video_sink(path: Path, info: SourceInfo, settings: EncoderSettings, *, overwrite: bool) -> VideoSink:
    """Choose and try the encoder, and start a video beside its final name.

    Args:
        path: The file to make.
        info: The source of the frames.
        settings: How they are encoded.
        overwrite: Whether a file that is there at the end is replaced.

    Raises:
        InvalidArgumentError: if codec, options, container and video do not go together.
        SinkError: if the file cannot be made.
    """
    encoding = choose_encoding(
        path, settings, pixel_format=info.pixel_format, hdr_metadata=info.hdr_metadata, rate=info.rate
    )
    return start_video(path, info, encoding, audio=not settings.no_audio, overwrite=overwrite)


def start_video(
    path: Path,
    info: SourceInfo,
    encoding: Encoding,
    *,
    audio: bool,
    overwrite: bool,
    make: Callable[..., VideoSink] | None = None,
) -> VideoSink:
    """Start a video beside its final name.

    Args:
        path: The file to make.
        info: The source of the frames.
        encoding: How they are encoded; see `choose_encoding`.
        audio: Whether the input's audio is copied.
        overwrite: Whether a file that is there at the end is replaced.
        make: Makes the sink; `VideoSink` if None.

    Raises:
        OutputExistsError: if another render is writing it.
        SinkError: if the file cannot be made.
    """
    kind = encoding.container
    name = f"file:{begin(path)}"
    with contextlib.ExitStack() as undo:
        undo.callback(discard, path)
        with map_errors(FFmpegError, OSError, to=lambda error: sink_error(path, "cannot be written", error)):
            container = av.open(name, "w", format=kind.muxer, container_options=kind.options_for(info))
        undo.callback(close_container, container)
        stream, copier = start_streams(container, path, info, encoding, audio=audio)
        undo.pop_all()
    return (make or VideoSink)(path, container, stream, copier, encoding, info, overwrite=overwrite)


class VideoSink(Sink):
    """A video that grows beside its final name, and is renamed when it is complete and verified.

    Attributes:
        path: The final name.
        is_animation: Whether it is an animated image.
        is_whole_in_packets: Whether its packets hold all of it; not VP9's alpha.
    """

    def __init__(
        self,
        path: Path,
        container: OutputContainer,
        stream: VideoStream,
        copier: StreamCopier | None,
        encoding: Encoding,
        info: SourceInfo,
        *,
        overwrite: bool,
    ) -> None:
        """Take over an open container; see `open_video_sink`."""
        self.path = path
        self._overwrite = overwrite
        self._container: OutputContainer | None = container
        self._stream = stream
        self._copier = copier
        self._info = info
        self._encoding = encoding
        self.is_animation = encoding.container.is_animation
        is_beside = codec_row(encoding.encoder).alpha_beside_packets
        self.is_whole_in_packets = not (is_beside and has_alpha(encoding.pixel_format))
        self._feed = EncoderFeed(stream, encoding, info)
        self._muxer = Muxer(container)
        self._first_pts: int | None = None
        self._last_pts: int | None = None
        self._shown_s: Fraction | None = None
        self._durations: dict[int, int] = {}
        self._written = self._encoded_count = 0
        self._read_back_notes: tuple[str, ...] = ()
        self._is_finished = False

    @property
    def notes(self) -> tuple[str, ...]:
        """Changes and losses that the user should know of, a sentence each."""
        notes = list(self._encoding.notes)
        given, written = (self._info.width, self._info.height), (self._stream.width, self._stream.height)
        if given != written:
            pairs = list(zip(given, written, strict=True))
            changes = ["left out"] if any(before > after for before, after in pairs) else []
            changes += ["repeated"] if any(before < after for before, after in pairs) else []
            notes.append(
                f"{given[0]}x{given[1]} is written as {written[0]}x{written[1]}: pixels share color in "
                f"pairs, so the odd row or column is {' or '.join(changes)}"
            )
        encoder = self._encoding.encoder
        if self._info.top_field_first is not None and encoder_row(encoder).interlaced_options is None:
            notes.append(f"{encoder} does not mark frames as interlaced: players will not deinterlace them")
        if self._copier is not None:
            notes += self._copier.notes
        return (*notes, *self._read_back_notes)

    @property
    def encoder_opener(self) -> Callable[[Path], VideoSink]:
        """A function that opens a video of the same encoding without audio, for a segment of this one."""
        info = dataclasses.replace(self._info, path=None)
        return functools.partial(start_video, info=info, encoding=self._encoding, audio=False, overwrite=True)

    def check(self) -> None:
        """Check that the unfinished file is still there.

        Raises:
            SinkError: if it was deleted or moved.
        """
        check_part(self.path)

    def write(self, frame: RenderedFrame) -> None:
        """Encode one frame, and copy the audio up to it.

        Raises:
            SinkError: if the encoder or the disk refuses, or the image is of another size than the source.
        """
        packets = self.encode(frame)
        with self._mapped_errors():
            self._muxer.mux(packets)
            self._copy_audio_until(frame.time_s)
        self._written += 1

    def encode(self, frame: RenderedFrame | None) -> list[Packet[VideoStream]]:
        """Encode one frame without writing it; None flushes the encoder.

        Raises:
            SinkError: if the encoder refuses, or the image is of another size than the source.
        """
        self._open_container()
        self.check()
        with self._mapped_errors():
            if frame is None:
                return self._encoded([*self._feed.flush(), None])
            image = frame.image
            if (image.width, image.height) != (self._info.width, self._info.height):  # FFmpeg would rescale
                raise SinkError(
                    f"{str(self.path)!r} takes images of {self._info.width}x{self._info.height}, "
                    f"not {image.width}x{image.height}"
                )
            if self._last_pts is not None and frame.pts <= self._last_pts:
                raise SinkError(
                    f"{str(self.path)!r} cannot be written: the times of its frames do not increase "
                    f"({frame.time_s:g} s after {float(self._last_pts * frame.time_base):g} s)"
                )
            self._last_pts = frame.pts
            self._first_pts = frame.pts if self._first_pts is None else self._first_pts
            shown = frame.pts + frame.duration - self._first_pts
            self._shown_s = shown * frame.time_base if frame.duration else None
            with _restored(image):
                converted = self._feed.convert(image, frame.pts)
                if frame.duration and not self.is_animation:
                    self._durations[converted[0].pts or 0] = self._feed.ticks_of(frame.duration)
                return self._encoded(converted)

    def write_encoded(self, packets: Sequence[Packet[VideoStream]], images: int) -> None:
        """Write images that were encoded before with the same settings, and copy the audio up to them.

        Args:
            packets: With the output's own times.
            images: How many images they hold.

        Raises:
            SinkError: if the disk refuses.
        """
        self._open_container()
        with self._mapped_errors():
            for packet in packets:
                packet.stream = self._stream
                time_s = float((packet.dts or 0) * (packet.time_base or 0))
                self._muxer.mux([packet])
                self._copy_audio_until(time_s + self._info.begin_s)
        self._written += images

    def finish(self, *, cut_short: bool = False) -> None:
        """Flush the encoder, close the file, verify it and rename it.

        Raises:
            SinkError: if what lies on the disk is not what was written, or nothing was.
        """
        if self._is_finished:
            return
        container = self._open_container()
        if not self._written:
            self.abort()
            raise SinkError(f"{str(self.path)!r} was not written: no image was finished")
        try:
            self._muxer.mux(self._encoded([*self._feed.flush(), None]))
            if self._copier is not None:
                if not cut_short:
                    self._copier.copy_rest(self._muxer)
                self._copier.close()
            container.close()
        except (FFmpegError, OSError) as error:
            self.abort()
            raise sink_error(self.path, "cannot be completed", error) from error
        self._container = None
        self._complete()
        self._is_finished = True

    def abort(self) -> None:
        """Close and remove what was written."""
        if self._copier is not None:
            self._copier.close()
        if self._container is not None:
            container, self._container = self._container, None
            close_container(container)
            self._discard()

    def _complete(self) -> None:
        """Verify the closed file and rename it."""
        try:
            self._set_duration()
            self._verify()
        except BaseException:
            self._discard()
            raise
        commit(self.path, overwrite=self._overwrite)

    def _discard(self) -> None:
        """Remove what was written."""
        discard(self.path)

    def _encoded(self, images: Sequence[Image | None]) -> list[Packet[VideoStream]]:
        packets = [packet for image in images for packet in self._stream.encode(image)]
        for packet in packets:  # encoders tell the durations of some images at most
            packet.duration = self._durations.pop(packet.pts or 0, packet.duration)
        self._encoded_count += sum(image is not None for image in images)
        if images[-1:] == [None] and self._encoded_count <= _IN_ORDER:
            for packet in packets:  # libx265 makes their decoding times up
                packet.dts = packet.pts
        return packets

    def _copy_audio_until(self, time_s: float) -> None:
        if self._copier is not None:
            self._copier.copy_until(time_s, self._muxer)

    def _mapped_errors(self) -> contextlib.AbstractContextManager[None]:
        return map_errors(
            FFmpegError, OSError, to=lambda error: sink_error(self.path, "cannot be written", error)
        )

    def _open_container(self) -> OutputContainer:
        if self._container is None:
            raise SinkError(f"{str(self.path)!r} is closed already")
        return self._container

    def _set_duration(self) -> None:
        """Let the last image of an animation be shown as long as it was."""
        set_duration = self._encoding.container.set_duration
        if set_duration is not None and self._shown_s is not None:
            with self._mapped_errors():
                set_duration(part_path(self.path), self._shown_s)

    def _verify(self) -> None:
        """Reopen the part, count its images and read what else it holds."""
        try:
            container, spans = self._encoding.container, self._muxer.spans
            count, self._read_back_notes = read_back(part_path(self.path), container, spans)
        except (FFmpegError, IndexError, OSError, ValueError) as error:
            raise SinkError(f"{str(self.path)!r} was written but cannot be read back: {error}") from error
        merges = self._encoding.container.merges_repeats
        if count != self._written and not (merges and 0 < count < self._written):
            raise SinkError(
                f"{str(self.path)!r} holds {count} of {self._written} frames when read back; "
                "is the disk full?"
            )


@contextlib.contextmanager
def _restored(image: Image) -> Iterator[None]:
    """Restore an image's time and type at the end: it belongs to the caller."""
    pts, time_base, pict_type = image.pts, image.time_base, image.pict_type
    try:
        yield
    finally:
        image.pts, image.pict_type = pts, pict_type
        if time_base is not None:
            image.time_base = time_base
