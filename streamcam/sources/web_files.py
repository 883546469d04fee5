"""Files on web servers, which are downloaded before they are read.

Imported only for these: what speaks HTTP takes a tenth of a start.
"""

from __future__ import annotations

import base64
import contextlib
import email.utils
import http.client
import logging
import re
import urllib.error
import urllib.parse
import urllib.request
from collections.abc import Callable
from pathlib import Path

from streamcam import __version__
from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError, map_errors
from streamcam.media.urls import redact, split_url
from streamcam.sources.base import Source
from streamcam.sources.fetched import FetchedSource, TemporaryFile

_log = logging.getLogger("streamcam.sources")

_TIMEOUT_S = 10.0

_LIVE_TYPES = ("multipart/", "application/vnd.apple.mpegurl", "application/x-mpegurl", "audio/x-mpegurl")
"""Content types of what is watched, not saved: cameras and playlists."""

_PLAYLISTS = (".m3u8", ".m3u", ".mpd")
_WHOLE_FILES = (".mp4", ".m4v", ".mov", ".avi", ".gif", ".jpg", ".jpeg", ".png", ".webp", ".heic", ".avif")
"""Suffixes that are files even where the server does not say how long they are."""


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
