"""Messages of browsers, checked before anything else sees them."""

from __future__ import annotations

import dataclasses
import json
from typing import Any

LARGEST_MESSAGE = 24_000
"""Bytes. An offer of Chromium for one video takes 6000."""

_LARGEST_COMMAND = 4096

FALLBACK_REASONS = {
    "unsupported": "it has no WebRTC",
    "refused": "its offer was refused",
    "timeout": "no image came through",
    "lost": "the connection was lost",
}
"""Why a browser does without WebRTC: its word → ours."""


@dataclasses.dataclass(frozen=True, slots=True)
class Offer:
    """A browser asks for a WebRTC connection."""

    sdp: str


@dataclasses.dataclass(frozen=True, slots=True)
class Fallback:
    """A browser does without WebRTC."""

    reason: str
    """One of `FALLBACK_REASONS`."""


@dataclasses.dataclass(frozen=True, slots=True)
class Request:
    """A browser asks for a command, by name or by key."""

    name: str | None
    argument: str | float | None
    key: str | None


def parse_message(text: str) -> Offer | Fallback | Request | None:
    """Read a message; None for anything else."""
    if len(text) > LARGEST_MESSAGE:
        return None
    try:
        values = json.loads(text)
        json.dumps(values, ensure_ascii=False).encode()  # half a character can be shown nowhere
    except (ValueError, RecursionError):
        return None
    match values:
        case {"offer": str(sdp), **rest} if not rest:
            return Offer(sdp)
        case {"fallback": str(reason), **rest} if not rest and reason in FALLBACK_REASONS:
            return Fallback(reason)
        case dict() if len(text) <= _LARGEST_COMMAND:
            return _parse_request(values)
    return None


def _parse_request(values: dict[str, Any]) -> Request | None:
    if not values.keys() <= {"name", "argument", "key"}:
        return None
    name, argument, key = values.get("name"), values.get("argument"), values.get("key")
    is_call = isinstance(name, str) and key is None
    is_key = isinstance(key, str) and 0 < len(key) <= 9 and name is None and argument is None
    if isinstance(argument, bool) or not isinstance(argument, str | int | float | None):
        return None
    return Request(name, argument, key) if is_call or is_key else None
