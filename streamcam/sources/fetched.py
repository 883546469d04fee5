"""Inputs that are not on the disk: standard input, and files on web servers.

They are copied to a temporary file first, because a video is read more than once: its images, its audio, and
what its index promises.
"""

from __future__ import annotations

import base64
import contextlib
import dataclasses
import email.utils
import http.client
import logging
import os
import re
import shutil
import sys
import tempfile
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable, Iterator
from pathlib import Path
from typing import Self

from streamcam import __version__
from streamcam.errors import (
    InvalidArgumentError,
    SourceError,
    SourceNotFoundError,
    StreamcamError,
    map_errors,
)
from streamcam.frames import Frame, SourceInfo, SourceReport
from streamcam.media.urls import redact, split_url
from streamcam.sources.base import Source

_log = logging.getLogger("streamcam.sources")

STANDARD_INPUT = "-"

_TIMEOUT_S = 10.0
_CHUNK_BYTES = 1 << 20

_LEAST_FREE_BYTES = 1 << 28
"""Disk space that is left for others."""

_LIVE_TYPES = ("multipart/", "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/x-mpegurl")
"""Content types of what is watched, not saved: cameras and playlists."""

_PLAYLISTS = (".m3u8", ".m3u", ".mpd")
_WHOLE_FILES = (".mp4", ".m4v", ".mov", ".avi", ".gif", ".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif")
"""Suffixes that are files even where the server does not say how long they are."""


def is_standard_input(location: str | int | Path) -> bool:
    """Return whether a location means standard input; a file of that name is ``./-``."""
    return location == STANDARD_INPUT


def is_web_url(location: str | int | Path) -> bool:
    """Return whether a location is a URL of a web server."""
    return isinstance(location, str) and location.lower().startswith(("http://", "https://"))


class TemporaryFile:
    """A file that is deleted when it is closed, in a folder of its own."""

    def __init__(self, name: str, suffix: str = "") -> None:
        """Make an empty file.

        Args:
            name: The input, for messages.
            suffix: The ending of the file's name.

        Raises:
            SourceError: if it cannot be made.
        """
        self.name = name
        with map_errors(OSError, to=self._failure):
            self._folder = Path(tempfile.mkdtemp(prefix="streamcam-"))
        self.path = self._folder / f"input{suffix}"

    def fill(self, read: Callable[[int], bytes], expected: int | None = None) -> None:
        """Copy an input to its end.

        Args:
            read: Returns up to as many bytes as asked for; none at the end.
            expected: How many there should be; None if that is unknown.

        Raises:
            SourceError: if the disk is too small, or not everything came.
        """
        self._check_space(expected or 0)
        count = 0
        with map_errors(OSError, to=self._failure), self.path.open("wb") as file:
            while chunk := read(_CHUNK_BYTES):
                file.write(chunk)
                count += len(chunk)
                self._check_space(0)
        if not count:
            raise SourceError(f"{self.name!r} is empty")
        if expected is not None and count < expected:
            raise SourceError(f"{self.name!r} broke off after {count} of {expected} bytes; try again")
        os.utime(self.path, (0, 0))  # so that a resumed render recognizes it by what is in it

    def set_time(self, time_s: float) -> None:
        """Set when the file was last changed, in seconds since 1970."""
        os.utime(self.path, (time_s, time_s))

    def close(self) -> None:
        """Delete the file; may be called again."""
        shutil.rmtree(self._folder, ignore_errors=True)

    def __enter__(self) -> Self:
        return self

    def __exit__(self, *_: object) -> None:
        self.close()

    def _check_space(self, more: int) -> None:
        if shutil.disk_usage(self._folder).free - more < _LEAST_FREE_BYTES:
            raise SourceError(
                f"{self.name!r} does not fit into {str(self._folder.parent)!r}; set TMPDIR to a folder on a "
                "larger disk, or use streamcam live if it has no end"
            )

    def _failure(self, error: Exception) -> SourceError:
        reason = getattr(error, "strerror", None) or str(error)
        return SourceError(f"{self.name!r} cannot be copied to a temporary file: {reason}")


class FetchedSource(Source):
    """A source of a temporary file, which is deleted when the source is closed."""

    def __init__(self, file: TemporaryFile, open_file: Callable[[Path], Source]) -> None:
        """Open a file that was copied.

        Args:
            file: The file.
            open_file: Opens it as what it is.

        Raises:
            SourceError: if it holds no image that can be decoded.
        """
        self._file = file
        with self._named():
            self._source = open_file(file.path)
        self.is_live = self._source.is_live

    @property
    def info(self) -> SourceInfo:
        """Description of the file, under the name of the input."""
        return dataclasses.replace(self._source.info, name=self._file.name)

    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, once."""
        with self._named():
            yield from self._source

    def report(self) -> SourceReport:
        """Return what was found while reading."""
        return self._source.report()

    def stop(self) -> None:
        """End the iteration soon."""
        super().stop()
        self._source.stop()

    def close(self) -> None:
        """Close the file and delete it."""
        self._source.close()
        self._file.close()

    @contextlib.contextmanager
    def _named(self) -> Iterator[None]:
        """Let errors name the input, not the temporary file."""
        try:
            yield
        except StreamcamError as error:
            raise type(error)(str(error).replace(str(self._file.path), self._file.name)) from error.__cause__


def fetch_standard_input(open_file: Callable[[Path], Source]) -> Source:
    """Open what is sent to standard input, once all of it has come.

    Args:
        open_file: Opens a file as what it is.

    Raises:
        InvalidArgumentError: if nothing is sent to it.
        SourceError: if it holds no image that can be decoded.
    """
    if sys.stdin is None or sys.stdin.isatty():
        raise InvalidArgumentError("nothing is sent to standard input; name a file, or pipe one in")
    with contextlib.ExitStack() as undo:
        file = undo.enter_context(TemporaryFile("standard input"))
        file.fill(sys.stdin.buffer.read)
        source = FetchedSource(file, open_file)
        undo.pop_all()
    return source


def fetch_web_file(url: str, open_file: Callable[[Path], Source]) -> Source | None:
    """Download a file from a web server and open it.

    Args:
        url: With http or https.
        open_file: Opens a file as what it is.

    Returns:
        None if it is no file, but a stream, to be watched as it comes.

    Raises:
        SourceNotFoundError: if it is not there.
        SourceError: if it cannot be downloaded, or holds no image that can be decoded.
        InvalidArgumentError: if the URL names no host.
    """
    name = redact(url)
    with contextlib.ExitStack() as undo:
        response = undo.enter_context(contextlib.closing(_request(url, name)))
        address = urllib.parse.urlsplit(response.geturl()).path
        suffix = Path(address).suffix.lower()
        if _is_stream(response, suffix):
            return None
        if response.headers.get_content_type() == "text/html":
            raise SourceError(f"{name!r} is a web page; give the address of the video or image itself")
        is_plain = re.fullmatch(r"\.[a-z0-9]{1,8}", suffix) is not None
        file = undo.enter_context(TemporaryFile(name, suffix if is_plain else ""))
        _log.info("%r is downloaded (%s bytes)", name, response.headers.get("Content-Length", "unknown"))
        with map_errors(
            http.client.HTTPException, TimeoutError, to=lambda error: _failed(name, error), chain=False
        ):
            file.fill(response.read, _length_of(response))
        changed_at = email.utils.parsedate_tz(response.headers.get("Last-Modified", ""))
        if changed_at is not None:
            file.set_time(email.utils.mktime_tz(changed_at))
        source = FetchedSource(file, open_file)
        response.close()
        undo.pop_all()
    return source


def _request(url: str, name: str) -> http.client.HTTPResponse:
    """Ask for a file; its content has not arrived yet."""
    parts = split_url(url)
    user, _, host = parts.netloc.rpartition("@")
    if not host:
        raise InvalidArgumentError(f"{name!r} names no host; give {parts.scheme}://HOST/…")
    # Spaces and letters beyond ASCII are escaped; what is escaped stays so.
    path = urllib.parse.quote(parts.path, safe="/%:@!$&'()*+,;=~-._")
    query = urllib.parse.quote(parts.query, safe="/%:@!$&'()*+,;=~-._?")
    request = urllib.request.Request(
        urllib.parse.urlunsplit((parts.scheme, host, path, query, "")),
        headers={"User-Agent": f"streamcam/{__version__}"},
    )
    if user:
        plain = urllib.parse.unquote(user)
        # Not sent along to where the server may redirect to.
        request.add_unredirected_header("Authorization", f"Basic {base64.b64encode(plain.encode()).decode()}")
    try:
        response: http.client.HTTPResponse = _opener().open(request, timeout=_TIMEOUT_S)
    # Never "from error": what urllib says may hold the whole URL, and --debug would print it.
    except urllib.error.HTTPError as error:
        error.close()
        kind = SourceNotFoundError if error.code in (404, 410) else SourceError
        raise kind(f"{name!r} cannot be downloaded ({error.code} {error.reason})") from None
    except (OSError, http.client.HTTPException, ValueError) as error:
        raise _failed(name, error) from None
    return response


def _opener() -> urllib.request.OpenerDirector:
    """Make what follows redirections, but to no other protocol than http and https."""
    opener = urllib.request.OpenerDirector()
    for handler in (
        urllib.request.ProxyHandler(),
        urllib.request.HTTPHandler(),
        urllib.request.HTTPSHandler(),
        urllib.request.HTTPDefaultErrorHandler(),
        urllib.request.HTTPRedirectHandler(),
        urllib.request.HTTPErrorProcessor(),
        urllib.request.UnknownHandler(),
    ):
        opener.add_handler(handler)
    return opener


def _failed(name: str, error: Exception) -> SourceError:
    cause = error.reason if isinstance(error, urllib.error.URLError) else error
    if isinstance(cause, http.client.InvalidURL | UnicodeError):
        return SourceError(f"{name!r} is no URL; check its host and port")
    if isinstance(cause, TimeoutError):
        return SourceError(f"{name!r} did not answer within {_TIMEOUT_S:g} s")
    reason = getattr(cause, "strerror", None) or type(cause).__name__
    return SourceError(f"{name!r} cannot be downloaded ({reason[:1].lower() + reason[1:]})")


def _is_stream(response: http.client.HTTPResponse, suffix: str) -> bool:
    """Return whether what a server sends has no end, or only points to what it sends."""
    if response.headers.get_content_type().startswith(_LIVE_TYPES) or suffix in _PLAYLISTS:
        return True
    return _length_of(response) is None and suffix not in _WHOLE_FILES


def _length_of(response: http.client.HTTPResponse) -> int | None:
    text = response.headers.get("Content-Length", "")
    return int(text) if text.isdecimal() else None
