"""Network streams, through FFmpeg: rtsp, http, udp, tcp, rtmp and, where FFmpeg here has it, srt."""

from __future__ import annotations

import re
import time
from pathlib import Path

import av
from av.container import InputContainer
from av.error import ExitError, FFmpegError, ProtocolNotFoundError

from streamcam.errors import InvalidArgumentError, SourceError, unknown_name
from streamcam.media.stores import STORES
from streamcam.media.urls import redact, scheme_of, split_url
from streamcam.sources.base import Source
from streamcam.sources.capture import ReconnectingSource
from streamcam.sources.settings import SourceSettings
from streamcam.sources.stream_capture import StreamCapture, reason_of

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

_HLS = "hls"
_PLAYLISTS = (".m3u8", ".m3u")
_SEGMENT_TIMEOUT_S = 30.0

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
        raise unknown_name("protocol", scheme, [*SCHEMES, *STORES, "file"])
    match = _NEARLY_URL.match(text)
    if match is not None:
        scheme = match[1].lower()
        raise InvalidArgumentError(f"what begins with {scheme}: is no URL; give {scheme}://HOST:PORT/…")


class NetworkCapture(StreamCapture):
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
        self._options = {"protocol_whitelist": SCHEMES[scheme]}
        if split_url(url).path.lower().endswith(_PLAYLISTS):  # a segment comes when it is complete
            read_timeout_s = max(read_timeout_s, _SEGMENT_TIMEOUT_S)
        else:
            self._options["fflags"] = "nobuffer"  # what was looked at to find out the format is old by then
        self._timeouts_s = (open_timeout_s, read_timeout_s)
        if scheme in ("rtsp", "rtsps"):
            self._options["rtsp_transport"] = "tcp"  # over UDP, images arrive torn

    def connect(self) -> InputContainer:
        """Connect, and find out what is sent.

        Raises:
            SourceError: if nobody answers.
        """
        began_at = time.monotonic()
        try:
            container = av.open(
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
            raise SourceError(f"{self.name!r} cannot be opened ({reason_of(error)})") from None
        self.is_paced = container.format.name == _HLS
        return container
