"""Publication of live images to servers and players: RTMP, RTSP, SRT, UDP, WHIP, and HLS in a folder."""

from __future__ import annotations

import contextlib
import dataclasses
import tempfile
from collections.abc import Mapping
from fractions import Fraction
from pathlib import Path

from av.error import FFmpegError, ProtocolNotFoundError

from streamcam.errors import InvalidArgumentError, NoDirectoryError, SinkError, map_errors, unknown_name
from streamcam.explanations import RenderedFrame
from streamcam.frames import AudioBlock
from streamcam.media.protocols import has_muxer, has_protocol
from streamcam.media.urls import redact, scheme_of, split_url
from streamcam.sinks.base import Sink
from streamcam.sinks.dtls_certificate import write_certificate
from streamcam.sinks.live_video import LiveTarget, LiveVideo, choose_live_encoding
from streamcam.sinks.relay import Address, Relay

_PATIENCE_S = 5.0
"""How long connecting, or one frame, may take, in seconds."""

HLS_PLAYLIST = "index.m3u8"
SEGMENT_S = 2
"""How long a segment of HLS is, in seconds, at least."""


@dataclasses.dataclass(frozen=True, slots=True)
class Protocol:
    """A way to publish: one row of `PROTOCOLS`."""

    muxer: str
    files: str
    """Suffix of files whose encoding it takes."""
    options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Options of the muxer."""
    encoder_options: Mapping[str, str] = dataclasses.field(default_factory=dict)
    """Options of x264, where that encodes."""
    file_options: Mapping[str, str] | None = None
    """Options of the muxer for a whole video that is kept; None for what goes to others."""
    audio: str = "aac"
    """FFmpeg's name of the encoder of audio."""
    needs: str | None = None
    """The protocol that FFmpeg has to be built with; see `has_protocol`."""

    @property
    def is_available(self) -> bool:
        """Whether FFmpeg here can publish in this way."""
        return has_muxer(self.muxer) and (self.needs is None or has_protocol(self.needs))


_LOW_DELAY = {"flush_packets": "1"}

_SEGMENTS = {"hls_time": str(SEGMENT_S)}

PROTOCOLS: dict[str, Protocol] = {
    "rtmp": Protocol("flv", ".mp4", {"flvflags": "no_duration_filesize", **_LOW_DELAY}),
    "rtmps": Protocol("flv", ".mp4", {"flvflags": "no_duration_filesize", **_LOW_DELAY}, needs="tls"),
    "rtsp": Protocol("rtsp", ".ts", {"rtsp_transport": "tcp"}),
    "rtsps": Protocol("rtsp", ".ts", {"rtsp_transport": "tcp"}, needs="tls"),
    "srt": Protocol("mpegts", ".ts", _LOW_DELAY, needs="srt"),
    "udp": Protocol("mpegts", ".ts", _LOW_DELAY),
    "tcp": Protocol("mpegts", ".ts", _LOW_DELAY),
    "whip": Protocol("whip", ".ts", {}, {"profile": "baseline"}, audio="libopus", needs="tls"),
    "hls": Protocol(
        "hls",
        ".ts",
        {"hls_list_size": "6", "hls_flags": "delete_segments+independent_segments", **_SEGMENTS},
        file_options={"hls_playlist_type": "vod", "hls_flags": "independent_segments", **_SEGMENTS},
    ),
}
"""Scheme → how it is published. ``hls:FOLDER`` writes a playlist and segments, of which the last are kept;
``whip:https://…`` is WebRTC's way in."""


def check_publication(target: str) -> None:
    """Check, before any work, that something can be published there, without connecting.

    Raises:
        InvalidArgumentError: if it is no target, names no host, or takes what FFmpeg here does not have.
        NoDirectoryError: if the folder's parent does not exist.
    """
    _check(target)


class Publication(Sink):
    """Live images on their way to a server or a player. Belongs to one thread.

    It connects with the first image. One that has failed stays so: make another to connect again.
    """

    def __init__(self, target: str, *, rate: Fraction | None = None, has_audio: bool = False) -> None:
        """Prepare a publication.

        Args:
            target: A URL with a scheme in `PROTOCOLS`.
            rate: Frames per second, as far as known.
            has_audio: Whether audio comes with the images.

        Raises:
            InvalidArgumentError: if it is no target.
            NoDirectoryError: if the folder's parent does not exist.
        """
        self._protocol, self._url = _check(target)
        self.name = redact(target)
        self._rate, self._has_audio = rate, has_audio
        self._video: LiveVideo | None = None
        self._relay: Relay | None = None
        self._folder: tempfile.TemporaryDirectory[str] | None = None

    def write(self, frame: RenderedFrame) -> None:
        """Send one frame.

        Raises:
            SinkError: if the server cannot be reached, refuses, or is gone.
        """
        with self._mapped_errors():
            is_first = self._video is None
            if self._video is None:
                self._video = LiveVideo(self._begin(), frame, self._rate, has_audio=self._has_audio)
            self._video.write(frame)
            if is_first and self._relay is not None:
                self._relay.wait_until_ready()

    def write_audio(self, block: AudioBlock) -> None:
        """Send audio; what comes before the first frame is left out.

        Raises:
            SinkError: if the server is gone.
        """
        if self._video is not None:
            with self._mapped_errors():
                self._video.write_audio(block)

    def finish(self, *, cut_short: bool = False) -> None:  # noqa: ARG002 - live, every end is one
        """End the stream in order.

        Raises:
            SinkError: if the server is gone.
        """
        video, self._video = self._video, None
        if video is not None:
            with self._mapped_errors():
                try:
                    video.finish()
                    if self._relay is not None:
                        self._relay.finish()
                finally:
                    self._hang_up()

    def abort(self) -> None:
        """Hang up."""
        video, self._video = self._video, None
        if video is not None:
            with contextlib.suppress(FFmpegError, OSError):
                video.close()
        self._hang_up()

    def _begin(self) -> LiveTarget:
        """Open what the video is written into: a playlist's segments, or the process that sends it."""
        protocol = self._protocol
        encoding = choose_live_encoding(Path(f"stream{protocol.files}"))
        is_x264 = encoding.encoder == "libx264"
        tune = {"tune": "zerolatency", **protocol.encoder_options} if is_x264 else {}
        if protocol.muxer == "hls":
            Path(self._url).parent.mkdir(exist_ok=True)
            return LiveTarget(self._url, "hls", encoding, protocol.options, tune, protocol.audio)
        options = dict(protocol.options)
        if protocol.muxer == "whip":
            self._folder = tempfile.TemporaryDirectory(prefix="streamcam-")
            options |= write_certificate(Path(self._folder.name))
        self._relay = Relay(Address(self._url, protocol.muxer, options), _PATIENCE_S)
        return LiveTarget(self._relay, "nut", encoding, _LOW_DELAY, tune, protocol.audio)

    def _hang_up(self) -> None:
        relay, self._relay = self._relay, None
        if relay is not None:
            relay.abort()
        if self._folder is not None:
            self._folder.cleanup()

    def _mapped_errors(self) -> contextlib.AbstractContextManager[None]:
        # Not chained: what FFmpeg says holds the whole URL, with its key.
        return map_errors(
            FFmpegError,
            OSError,
            ValueError,
            to=lambda error: SinkError(f"cannot publish to {self.name}: {_reason(error)}"),
            chain=False,
        )


def _reason(error: Exception) -> str:
    if isinstance(error, ProtocolNotFoundError):
        return "FFmpeg here does not have this protocol"
    return getattr(error, "strerror", None) or type(error).__name__


def _check(text: str) -> tuple[Protocol, str]:
    """Take a target apart: how it is published, and where to, in FFmpeg's words."""
    scheme, _, rest = text.partition(":")
    name = scheme.lower()
    if name not in PROTOCOLS:
        if scheme_of(text) is None:
            raise InvalidArgumentError(
                f"{text!r} is no target to publish to; give {', '.join(f'{each}:…' for each in PROTOCOLS)}"
            )
        raise unknown_name("protocol", name, PROTOCOLS)
    protocol = PROTOCOLS[name]
    if not protocol.is_available:
        there = ", ".join(f"{each}:…" for each, row in PROTOCOLS.items() if row.is_available)
        raise InvalidArgumentError(f"FFmpeg here is built without {name}; publish to one of: {there}")
    if name == "hls":
        return protocol, str(hls_folder(text) / HLS_PLAYLIST)
    url = rest if name == "whip" else text
    if name == "whip" and scheme_of(url) not in ("http", "https"):
        raise InvalidArgumentError(f"{redact(text)!r} is no address of a WHIP server; give whip:https://…")
    if not split_url(url).netloc:
        raise InvalidArgumentError(f"{redact(text)!r} names no host; give {name}://HOST:PORT/…")
    return _with_token(protocol, url) if name == "whip" else (protocol, url)


def hls_folder(text: str) -> Path:
    """Return the folder of ``hls:FOLDER``.

    Raises:
        InvalidArgumentError: if no folder is named.
        NoDirectoryError: if its parent does not exist.
    """
    name = text.partition(":")[2]
    folder = Path(name)
    if not name:
        raise InvalidArgumentError(f"{text!r} names no folder; write one, as hls:out")
    if not folder.absolute().parent.is_dir():
        raise NoDirectoryError(f"no directory {str(folder.parent)!r} for the folder of {text!r}")
    return folder


def _with_token(protocol: Protocol, url: str) -> tuple[Protocol, str]:
    """Take the token of a WHIP server out of a URL, where others have a user."""
    parts = split_url(url)
    token, at, host = parts.netloc.rpartition("@")
    if not at:
        return protocol, url
    options = {**protocol.options, "authorization": token}
    return dataclasses.replace(protocol, options=options), parts._replace(netloc=host).geturl()
