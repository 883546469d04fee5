"""Writing finished images as a video, with the audio of the video they came from."""

from __future__ import annotations

import contextlib
from collections.abc import Iterator, Sequence
from pathlib import Path

import av
import PIL.Image
from av.container import OutputContainer
from av.error import FFmpegError
from av.packet import Packet
from av.video.stream import VideoStream

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame
from streamcam.frames import SourceInfo
from streamcam.media.containers import Container
from streamcam.media.demux import open_input
from streamcam.media.encoder_input import EncoderFeed
from streamcam.media.encoders import EncoderSettings, Encoding
from streamcam.media.images import Image
from streamcam.media.interlacing import INTERLACED
from streamcam.sinks.base import Sink
from streamcam.sinks.copying.streams import StreamCopier
from streamcam.sinks.part_file import begin, commit, discard, part_path
from streamcam.sinks.video_setup import add_video, check_video, mov_flags

_IN_ORDER = 2
"""So few images are decoded in the order in which they are shown."""


def open_video_sink(path: Path, info: SourceInfo, settings: EncoderSettings) -> VideoSink:
    """Choose and try the encoder, and start a video beside its final name.

    Args:
        path: The file to make.
        info: What the frames come from.
        settings: What is asked for.

    Raises:
        InvalidArgumentError: if codec, options, container and video do not go together.
        SinkError: if the file cannot be made.
    """
    return start_video(path, info, check_video(path, info, settings), audio=not settings.no_audio)


def start_video(path: Path, info: SourceInfo, encoding: Encoding, *, audio: bool) -> VideoSink:
    """Start a video beside its final name.

    Args:
        path: The file to make.
        info: What the frames come from.
        encoding: How they are encoded; see `streamcam.sinks.video_setup.check_video`.
        audio: Whether the input's audio is copied.

    Raises:
        SinkError: if the file cannot be made.
    """
    kind = encoding.container
    flags = dict(kind.options) or (mov_flags(info) if kind.muxer in ("mp4", "mov") else {})
    name = f"file:{begin(path)}"
    try:
        container = av.open(name, "w", format=kind.muxer, container_options=flags)
    except (FFmpegError, OSError) as error:
        raise SinkError(f"{str(path)!r} cannot be written: {error.strerror}") from error
    copier: StreamCopier | None = None
    with contextlib.ExitStack() as undo:
        undo.callback(_drop, container, path)
        try:
            stream = add_video(container, encoding, info)
            if info.path is not None:
                copier = StreamCopier(info, info.path, container, kind, audio=audio)
                undo.callback(copier.close)
            container.start_encoding()
        except FFmpegError as error:
            size = f"{info.width}x{info.height}"
            raise SinkError(
                f"{str(path)!r} cannot be started with {encoding.encoder} at {size}: {error.strerror}"
            ) from error
        undo.pop_all()
    return VideoSink(path, container, stream, copier, encoding, info)


def _drop(container: OutputContainer, path: Path) -> None:
    # Closing writes the trailer, which cannot work when writing did not; the part goes in any case.
    with contextlib.suppress(FFmpegError, ValueError):
        container.close()
    discard(path)


class VideoSink(Sink):
    """A video that grows beside its final name and is renamed when it is complete and verified."""

    def __init__(
        self,
        path: Path,
        container: OutputContainer,
        stream: VideoStream,
        copier: StreamCopier | None,
        encoding: Encoding,
        info: SourceInfo,
    ) -> None:
        """Take over an open container; see `open_video_sink`."""
        self._path = path
        self._container: OutputContainer | None = container
        self._stream = stream
        self._copier = copier
        self._info = info
        self._encoding = encoding
        self._feed = EncoderFeed(stream, encoding, info)
        self._written = self._given = 0
        self._is_finished = False

    @property
    def notes(self) -> tuple[str, ...]:
        """What was changed or left out."""
        notes = list(self._encoding.notes)
        if (self._stream.width, self._stream.height) != (self._info.width, self._info.height):
            notes.append(
                f"{self._info.width}x{self._info.height} is written as {self._stream.width}x"
                f"{self._stream.height}: pixels share colours in twos, so the last row or column is left out"
            )
        if self._info.top_field_first is not None and self._encoding.encoder not in INTERLACED:
            encoder = self._encoding.encoder
            notes.append(f"{encoder} does not mark images as interlaced: players will not make them whole")
        if self._copier is not None:
            notes += self._copier.notes
        return tuple(notes)

    def write(self, frame: RenderedFrame) -> None:
        """Encode one frame, and copy the audio up to it.

        Raises:
            SinkError: if the encoder or the disk refuses, or the image is of another size than the source.
        """
        packets = self.encode(frame)
        with self._told():
            self._open_container().mux(packets)
            self._copy_audio_until(frame.time_s)
        self._written += 1

    def encode(self, frame: RenderedFrame | None) -> list[Packet[VideoStream]]:
        """Encode one frame without writing it; None flushes the encoder.

        Raises:
            SinkError: if the encoder refuses, or the image is of another size than the source.
        """
        self._open_container()
        with self._told():
            if frame is None:
                return self._encoded([*self._feed.flush(), None])
            image = frame.image
            if (image.width, image.height) != (self._info.width, self._info.height):  # FFmpeg would rescale
                raise SinkError(
                    f"{str(self._path)!r} takes images of {self._info.width}x{self._info.height}, "
                    f"not {image.width}x{image.height}"
                )
            with _restored(image):
                return self._encoded(self._feed.prepared(image, frame.pts))

    def write_encoded(self, packets: Sequence[Packet[VideoStream]], images: int) -> None:
        """Take images that a sink with the same settings has encoded, and copy the audio up to them.

        Args:
            packets: With the output's own times.
            images: How many images they hold.

        Raises:
            SinkError: if the disk refuses.
        """
        container = self._open_container()
        with self._told():
            for packet in packets:
                packet.stream = self._stream
                time_s = float((packet.dts or 0) * (packet.time_base or 0))
                container.mux(packet)
                self._copy_audio_until(time_s + self._info.begin_s)
        self._written += images

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
            raise SinkError(f"{str(self._path)!r} was not written: no image was finished")
        try:
            container.mux(self._encoded([*self._feed.flush(), None]))
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

    def _encoded(self, images: Sequence[Image | None]) -> list[Packet[VideoStream]]:
        packets = [packet for image in images for packet in self._stream.encode(image)]
        self._given += sum(image is not None for image in images)
        if images[-1:] == [None] and self._given <= _IN_ORDER:
            for packet in packets:  # libx265 makes their decoding times up
                packet.dts = packet.pts
        return packets

    def _copy_audio_until(self, time_s: float) -> None:
        if self._copier is not None:
            self._copier.copy_until(time_s)

    @contextlib.contextmanager
    def _told(self) -> Iterator[None]:
        """Turn what FFmpeg says while the video is written into an error of ours."""
        try:
            yield
        except SinkError:
            raise
        except (FFmpegError, OSError) as error:
            raise SinkError(f"{str(self._path)!r} cannot be written: {error.strerror}") from error

    def _open_container(self) -> OutputContainer:
        if self._container is None:
            raise SinkError(f"{str(self._path)!r} is closed already")
        return self._container

    def _verify(self) -> None:
        """Reopen the part and count its images: a full disk may show nowhere else."""
        try:
            found = _count_images(part_path(self._path), self._encoding.container)
        except (FFmpegError, IndexError, OSError, ValueError) as error:
            raise SinkError(f"{str(self._path)!r} was written but cannot be read back: {error}") from error
        merges = self._encoding.container.muxer == "webp"  # its encoder makes one of images that are alike
        if found != self._written and not (merges and 0 < found < self._written):
            raise SinkError(
                f"{str(self._path)!r} holds {found} of {self._written} frames when read back; "
                "is the disk full?"
            )


def _count_images(path: Path, container: Container) -> int:
    if container.muxer == "webp":  # of which FFmpeg reads the first image only
        with PIL.Image.open(path) as written:
            count = getattr(written, "n_frames", 1)
            written.seek(count - 1)
            written.load()
            return count
    with open_input(path) as video:
        return sum(packet.size > 0 for packet in video.demux(video.streams.video[0]))


@contextlib.contextmanager
def _restored(image: Image) -> Iterator[None]:
    """Give an image its time and type back: it is not the sink's own."""
    pts, time_base, pict_type = image.pts, image.time_base, image.pict_type
    try:
        yield
    finally:
        image.pts, image.pict_type = pts, pict_type
        if time_base is not None:
            image.time_base = time_base
