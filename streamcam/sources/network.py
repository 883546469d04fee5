"""Network streams, through FFmpeg: rtsp, http, udp, tcp, rtmp and, where FFmpeg here has it, srt."""

from __future__ import annotations

import contextlib
import re
import time
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

import av
from av.container import InputContainer
from av.error import EOFError as EndOfStreamError
from av.error import ExitError, FFmpegError, ProtocolNotFoundError
from av.video.frame import VideoFrame

from streamcam.errors import InvalidArgumentError, SourceError, unknown_name
from streamcam.media.demux import LARGEST_PIXELS, video_streams
from streamcam.sources.base import Source
from streamcam.sources.capture import Capture, CapturedImage, ReconnectingSource
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

_HARMLESS_KEYS = {
    *("buffer_size", "fifo_size", "latency", "listen", "localaddr", "mode", "overrun_nonfatal"),
    *("pkt_size", "recv_buffer_size", "reuse", "timeout", "transport", "ttl"),
}
"""Keys in a URL's query that FFmpeg's own protocols know, and that give nothing away."""

_SECRET_PATHS = ("rtmp", "rtmps", "srt")

_CREDENTIALS = re.compile(r"[&;,:]|pass(?:word|wd)?|pwd|token|secret", re.IGNORECASE)
"""Signs of a user and password in a segment of a path, as ``/admin:1234`` and ``/user&pwd`` have them."""

_LOOKS_LIKE_A_KEY = re.compile(r"(?=.*\d)(?=.*[A-Za-z])[A-Za-z0-9]{16,}")
"""Long runs of letters and digits, as keys are and names of streams are not."""

_URL = re.compile(r"^([a-zA-Z][a-zA-Z0-9+.-]+)://")
_NEARLY_URL = re.compile(rf"^\s*({'|'.join(SCHEMES)}):", re.IGNORECASE)


def is_stream_url(location: str | int | Path) -> bool:
    """Return whether a location is a URL with one of `SCHEMES`."""
    match = _URL.match(location) if isinstance(location, str) else None
    return match is not None and match[1].lower() in SCHEMES


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
    match = _URL.match(text) if isinstance(location, str) else None
    if match is not None:
        raise unknown_name("protocol", match[1].lower(), SCHEMES)
    match = _NEARLY_URL.match(text)
    if match is not None:
        scheme = match[1].lower()
        raise InvalidArgumentError(f"what begins with {scheme}: is no URL; give {scheme}://HOST:PORT/…")


def split_url(url: str) -> urllib.parse.SplitResult:
    """Take a URL apart.

    Raises:
        InvalidArgumentError: if that cannot be done: a bracket of an IPv6 address is missing.
    """
    try:
        return urllib.parse.urlsplit(url)
    except ValueError as error:
        raise InvalidArgumentError(f"{redact(url)!r} is no URL ({error}); check its host") from None


def redact(location: str) -> str:
    """Return a URL without what must not be shown: user, password, stream keys, and values.

    Cameras take passwords in the path too (``/user=admin_password=…``), and servers of RTMP and SRT stream
    keys. What is no URL comes back as it is. A URL that cannot be taken apart is shown as its scheme only.
    """
    match = _URL.match(location)
    if match is None:
        return location
    try:
        parts = urllib.parse.urlsplit(location)
        query = "&".join(map(_redact_field, parts.query.split("&"))) if parts.query else ""
    except ValueError:
        return f"{match[1]}://***"
    # Up to the last @, because a password may hold one that was not escaped.
    host = parts.netloc.rpartition("@")[2]
    netloc = f"***@{host}" if "@" in parts.netloc else host
    # An unescaped / or ? in a password moves the @ out of what is taken for the host.
    if "@" in parts.path or "@" in parts.query or "@" in parts.fragment:
        return f"{match[1]}://***"
    path = _redact_path(parts.scheme, parts.path)
    return urllib.parse.urlunsplit((parts.scheme, netloc, path, query, "***" if parts.fragment else ""))


def _redact_path(scheme: str, path: str) -> str:
    """Hide what may be secret in a path: all that follows RTMP's and SRT's host, and values elsewhere."""
    if scheme in _SECRET_PATHS:
        return "/***" if path.strip("/") else path
    return "/".join(map(_redact_segment, path.split("/")))


def _redact_segment(segment: str) -> str:
    """Hide a segment from its first value on, or whole where it looks like a key."""
    text = urllib.parse.unquote(segment)
    key, equals, _ = text.partition("=")
    if equals:
        return f"{key}=***"
    is_secret = _CREDENTIALS.search(text) is not None or _LOOKS_LIKE_A_KEY.fullmatch(text) is not None
    return "***" if is_secret else segment


def _redact_field(field: str) -> str:
    key, equals, _ = field.partition("=")
    return field if key in _HARMLESS_KEYS else f"{key}=***" if equals else "***"


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
        self._images: Iterator[VideoFrame | None] = iter(())

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
        self._images = self._decode(self._container)

    def read(self) -> CapturedImage | None:
        """Wait for whatever comes next.

        Returns:
            The image; None where something else came.

        Raises:
            SourceError: if the stream has ended, or no images arrive any more.
        """
        try:
            image = next(self._images)
        except StopIteration:
            raise SourceError(f"{self.name!r} has ended") from None
        return None if image is None else CapturedImage(image, image.time)

    def close(self) -> None:
        """Disconnect."""
        self._images = iter(())
        if self._container is not None:
            container, self._container = self._container, None
            with contextlib.suppress(FFmpegError, OSError):
                container.close()

    def _decode(self, container: InputContainer) -> Iterator[VideoFrame | None]:
        """Yield images, past packets that cannot be decoded; None for each packet that gave none."""
        videos = video_streams(container)
        stream = next((video for video in videos if video.codec_context is not None), None)
        if stream is None:
            raise SourceError(f"{self.name!r} sends no images that FFmpeg here can decode")
        width, height = stream.codec_context.width, stream.codec_context.height
        if width * height > LARGEST_PIXELS:
            raise SourceError(f"{self.name!r} sends images of {width}x{height}, which are too large")
        stream.thread_type = "SLICE"  # frames in parallel would each come a few frames late
        self.rate = stream.guessed_rate
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


def _reason(error: BaseException) -> str:
    """FFmpeg's own words, without the URL that its whole message holds."""
    text = getattr(error, "strerror", None) or type(error).__name__
    return text[:1].lower() + text[1:]
