"""Captures through FFmpeg: what a network stream, a screen and a pipe have in common."""

from __future__ import annotations

import abc
import contextlib
import errno
import time
from collections.abc import Iterator
from typing import Any, cast

from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.error import EOFError as EndOfStreamError
from av.error import ExitError, FFmpegError
from av.packet import Packet
from av.video.frame import VideoFrame

from streamcam.errors import SourceError
from streamcam.media.demux import LARGEST_PIXELS, audio_stream, video_streams
from streamcam.sources.capture import Capture, CapturedAudio, CapturedImage, CaptureEndedError

_NO_IMAGE_S = 30.0
"""How long something else than images may arrive: audio, or what cannot be shown without a keyframe that
never comes. Cameras send keyframes up to about ten seconds apart."""

_ERRORS_IN_A_ROW = 100
"""Packets that cannot be decoded before the stream is opened again. Most streams are joined in the middle,
and what comes before the first keyframe is not decodable."""


class StreamCapture(Capture):
    """Images, and audio, that FFmpeg reads as they come."""

    _container: InputContainer | None = None
    _decoded: Iterator[VideoFrame | AudioFrame | None] = iter(())

    @abc.abstractmethod
    def connect(self) -> InputContainer:
        """Open what is read.

        Raises:
            SourceError: if it cannot be opened.
        """

    def open(self) -> None:
        """Open it, and find out what is sent.

        Raises:
            SourceError: if it cannot be opened.
        """
        self.close()
        self._container = self.connect()
        self._decoded = self._decode(self._container)

    def read(self) -> CapturedImage | CapturedAudio | None:
        """Wait for whatever comes next.

        Returns:
            The image, or audio where that is handed over; None where something else came.

        Raises:
            SourceError: if the stream has ended, or no images arrive any more.
        """
        try:
            decoded = next(self._decoded)
        except StopIteration:
            raise CaptureEndedError(f"{self.name!r} has ended") from None
        if isinstance(decoded, AudioFrame):
            return CapturedAudio(decoded, decoded.time)
        return None if decoded is None else CapturedImage(decoded, decoded.time)

    def close(self) -> None:
        """Disconnect."""
        self._decoded = iter(())
        if self._container is not None:
            container, self._container = self._container, None
            with contextlib.suppress(FFmpegError, OSError):
                container.close()

    def _decode(self, container: InputContainer) -> Iterator[VideoFrame | AudioFrame | None]:
        """Yield images and, where it is handed over, audio, past packets that cannot be decoded.

        Yields None for each packet that gave nothing.
        """
        videos = video_streams(container)
        stream = next((video for video in videos if video.codec_context is not None), None)
        if stream is None:
            raise SourceError(f"{self.name!r} sends no images that FFmpeg here can decode")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > LARGEST_PIXELS:
            raise SourceError(f"{self.name!r} sends images of {width}x{height}, which are too large")
        stream.thread_type = "SLICE"  # frames in parallel would each come a few frames late
        self.rate = stream.guessed_rate
        audio = audio_stream(container)
        self.has_audio = audio is not None
        errors, last_at = 0, time.monotonic()
        while errors < _ERRORS_IN_A_ROW:
            try:
                # Of all streams: where only audio goes on, a packet of this one would never come.
                for packet in container.demux():
                    is_ours = packet.stream.index == stream.index and packet.size
                    images = stream.decode(packet) if is_ours else []
                    if images:
                        errors, last_at = 0, time.monotonic()
                    elif time.monotonic() - last_at > _NO_IMAGE_S:
                        raise SourceError(f"{self.name!r} has sent no image for {_NO_IMAGE_S:g} s")
                    yield from images or (None,)
                    if self.hands_audio and audio is not None and packet.stream == audio and packet.size:
                        yield from _decoded_audio(packet)
                return
            except EndOfStreamError:
                return
            except ExitError:
                raise SourceError(f"{self.name!r} sends nothing any more") from None
            except (ConnectionError, TimeoutError) as error:
                raise SourceError(f"{self.name!r} is gone ({reason_of(error)})") from None
            except FFmpegError as error:
                if error.errno == errno.EIO:  # of a server that breaks off, too; more would never come
                    raise SourceError(f"{self.name!r} has broken off") from None
                errors += 1
        raise SourceError(f"{self.name!r} sends what cannot be decoded")


def _decoded_audio(packet: Packet[Any]) -> list[AudioFrame]:
    """Decode a packet of audio; a damaged one is a gap."""
    try:
        return cast("list[AudioFrame]", packet.decode())
    except FFmpegError:
        return []


def reason_of(error: BaseException) -> str:
    """FFmpeg's own words, without the URL that its whole message holds."""
    text = getattr(error, "strerror", None) or type(error).__name__
    return text[:1].lower() + text[1:]
