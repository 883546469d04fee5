"""Network streams, through FFmpeg: rtsp, http, udp, tcp, rtmp and, where FFmpeg here has it, srt."""

from __future__ import annotations

import contextlib
import re
import time
from collections.abc import Iterator
from pathlib import Path
from typing import Any, cast

import av
from av.audio.frame import AudioFrame
from av.container import InputContainer
from av.error import EOFError as EndOfStreamError
from av.error import ExitError, FFmpegError, ProtocolNotFoundError
from av.packet import Packet
from av.video.frame import VideoFrame

from streamcam.errors import InvalidArgumentError, SourceError, unknown_name
from streamcam.media.demux import LARGEST_PIXELS, audio_stream, video_streams
from streamcam.media.urls import redact, scheme_of, split_url
from streamcam.sources.base import Source
from streamcam.sources.capture import Capture, CapturedAudio, CapturedImage, ReconnectingSource
from streamcam.sources.settings import SourceSettings

SCHEMES: dict[str, str] = {
    "http": "http,tcp",
    "https": "https,tls,tcp,http",
    "rtmp": "rtmp,tcp",
    "rtmps": "rtmps,tls,tcp",
    "rtsp": "rtsp,tcp,udp,rtp",
    "rtsps": "rtsp,tls,tcp,udp,rtp",
    "srt": "srt",
    "tcp": "tcp",
    "udp": "udp",
}
"""Scheme of a URL → the only protocols that FFmpeg may use for it: a stream must not make it read files."""

_OPEN_TIMEOUT_S = 10.0
_READ_TIMEOUT_S = 5.0

_NO_IMAGE_S = 30.0
"""How long something else than images may arrive: audio, or what cannot be shown without a keyframe that
never comes. Cameras send keyframes up to about ten seconds apart."""

_ERRORS_IN_A_ROW = 100
"""Packets that cannot be decoded before the stream is opened again. Most streams are joined in the middle,
and what comes before the first keyframe is not decodable."""

_NEARLY_URL = re.compile(rf"^\s*({'|'.join(SCHEMES)}):", re.IGNORECASE)


def is_stream_url(location: str | int | Path) -> bool:
    """Return whether a location is a URL with one of `SCHEMES`."""
    return scheme_of(location) in SCHEMES


def open_stream(location: str | int | Path, settings: SourceSettings) -> Source:  # noqa: ARG001 - it is live
    """Make a network stream ready; the thread that reads it connects, and connects again when it fails.

    Raises:
        InvalidArgumentError: if the URL cannot be used.
    """
    return ReconnectingSource(NetworkCapture(str(location)))


def check_url(location: str | int | Path) -> None:
    """Refuse a URL that cannot be used, before a message about a missing file shows its password.

    Raises:
        InvalidArgumentError: if the location is a URL of another protocol, or begins like a URL.
    """
    text = str(location)
    scheme = scheme_of(location)
    if scheme is not None:
        raise unknown_name("protocol", scheme, SCHEMES)
    match = _NEARLY_URL.match(text)
    if match is not None:
        scheme = match[1].lower()
        raise InvalidArgumentError(f"what begins with {scheme}: is no URL; give {scheme}://HOST:PORT/…")


class NetworkCapture(Capture):
    """One stream from the network."""

    def __init__(
        self, url: str, *, open_timeout_s: float = _OPEN_TIMEOUT_S, read_timeout_s: float = _READ_TIMEOUT_S
    ) -> None:
        """Prepare a stream; nothing is opened.

        Args:
            url: Address with one of `SCHEMES`.
            open_timeout_s: Time that opening may take, in seconds.
            read_timeout_s: Time in which nothing may arrive, in seconds.

        Raises:
            InvalidArgumentError: if the URL names no host.
        """
        self.name = redact(url)
        scheme, _, rest = url.partition("://")
        scheme = scheme.lower()  # FFmpeg knows its protocols by small letters only
        if not split_url(url).netloc:
            raise InvalidArgumentError(f"{self.name!r} names no host; give {scheme}://HOST:PORT/…")
        self._url = f"{scheme}://{rest}"
        self._timeouts_s = (open_timeout_s, read_timeout_s)
        self._options = {
            "protocol_whitelist": SCHEMES[scheme],
            "fflags": "nobuffer",  # what has been looked at to find out the format is not kept back
        }
        if scheme in ("rtsp", "rtsps"):
            self._options["rtsp_transport"] = "tcp"  # over UDP, images arrive torn
        self._container: InputContainer | None = None
        self._decoded: Iterator[VideoFrame | AudioFrame | None] = iter(())

    def open(self) -> None:
        """Connect, and find out what is sent.

        Raises:
            SourceError: if nobody answers, or nothing that can be shown is sent.
        """
        self.close()
        began_at = time.monotonic()
        try:
            self._container = av.open(
                self._url, options=dict(self._options), timeout=self._timeouts_s, metadata_errors="replace"
            )
        # Never "from error" here: what FFmpeg says holds the whole URL, and --debug would print it.
        except ProtocolNotFoundError:
            scheme = self._url.partition("://")[0]
            raise SourceError(f"FFmpeg here is built without {scheme}; ask for another protocol") from None
        except (FFmpegError, OSError, ValueError) as error:
            # RTSP and TLS take the end of FFmpeg's patience for bad data, and say so.
            if isinstance(error, ExitError) or time.monotonic() - began_at >= self._timeouts_s[0]:
                raise SourceError(f"{self.name!r} did not answer within {self._timeouts_s[0]:g} s") from None
            raise SourceError(f"{self.name!r} cannot be opened ({_reason(error)})") from None
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
            raise SourceError(f"{self.name!r} has ended") from None
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
                raise SourceError(f"{self.name!r} is gone ({_reason(error)})") from None
            except FFmpegError:
                errors += 1
        raise SourceError(f"{self.name!r} sends what cannot be decoded")


def _decoded_audio(packet: Packet[Any]) -> list[AudioFrame]:
    """Decode a packet of audio; a damaged one is a gap."""
    try:
        return cast("list[AudioFrame]", packet.decode())
    except FFmpegError:
        return []


def _reason(error: BaseException) -> str:
    """FFmpeg's own words, without the URL that its whole message holds."""
    text = getattr(error, "strerror", None) or type(error).__name__
    return text[:1].lower() + text[1:]
