"""Which protocols FFmpeg here was built with."""

from __future__ import annotations

import functools

import av
from av.error import FFmpegError, ProtocolNotFoundError


@functools.cache
def has_protocol(name: str) -> bool:
    """Return whether FFmpeg here has a protocol of the network.

    Args:
        name: One that refuses a URL without a host at once, as ``"srt"``, ``"tls"`` and ``"tcp"`` do.
    """
    try:
        av.open(f"{name}://", "w", format="mpegts").start_encoding()
    except ProtocolNotFoundError:
        return False
    except (FFmpegError, ValueError):
        return True
    return True


def has_muxer(name: str) -> bool:
    """Return whether FFmpeg here writes a format."""
    try:
        av.ContainerFormat(name, "w")
    except ValueError:
        return False
    return True
