"""URLs of streams: taken apart, and shown without what is secret in them."""

from __future__ import annotations

import re
import urllib.parse

from streamcam.errors import InvalidArgumentError

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


def scheme_of(location: object) -> str | None:
    """Return the scheme of a URL in small letters; None for what is no URL."""
    match = _URL.match(location) if isinstance(location, str) else None
    return None if match is None else match[1].lower()


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
    if location.lower().startswith("whip:"):
        return f"whip:{_redact_url(location[5:], hides_path=True)}"
    return _redact_url(location)


def _redact_url(location: str, *, hides_path: bool = False) -> str:
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
    path = _redact_path(parts.path, whole=hides_path or parts.scheme in _SECRET_PATHS)
    return urllib.parse.urlunsplit((parts.scheme, netloc, path, query, "***" if parts.fragment else ""))


def _redact_path(path: str, *, whole: bool) -> str:
    """Hide what may be secret in a path: all that follows RTMP's and SRT's host, and values elsewhere."""
    if whole:
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
