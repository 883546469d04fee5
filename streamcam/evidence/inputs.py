"""Recognizing the input that evidence was made of."""

from __future__ import annotations

import hashlib
import os
from collections.abc import Mapping
from pathlib import Path
from typing import Any

from streamcam.frames import SourceInfo

_SAMPLE_BYTES = 1 << 20


def describe_input(info: SourceInfo) -> dict[str, Any]:
    """Describe an input so that it is recognized, wherever it lies.

    Returns:
        Its name, the size of its frames, their time base, where the video begins on it, and of files their
        size in bytes and a hash of the first and last MB (of many files, of their sizes).

    Raises:
        OSError: if a file cannot be read.
    """
    described: dict[str, Any] = {
        "name": info.name,
        "width": info.width,
        "height": info.height,
        "time_base": str(info.time_base),
        "origin_s": info.origin_s,
    }
    if info.path is not None and info.path.is_file():
        return {**described, **file_contents(info.path)}
    if info.files:
        sizes = [file.stat().st_size for file in info.files]
        digest = hashlib.sha256(repr(sizes).encode()).hexdigest()[:32]
        return {**described, "bytes": sum(sizes), "ends": digest}
    return described


def file_contents(path: Path) -> dict[str, Any]:
    """Describe what a file holds: its size, and the hash of its beginning and end.

    Raises:
        OSError: if it cannot be read.
    """
    with path.open("rb") as file:
        size = os.fstat(file.fileno()).st_size
        digest = hashlib.sha256(file.read(_SAMPLE_BYTES))
        file.seek(max(0, size - _SAMPLE_BYTES))
        digest.update(file.read(_SAMPLE_BYTES))
    return {"bytes": size, "ends": digest.hexdigest()[:32]}


def tell_apart(then: Mapping[str, Any], now: Mapping[str, Any]) -> str | None:
    """Say how an input differs from another, as `describe_input` describes both.

    Args:
        then: The input that evidence was made of.
        now: Another, or what `file_contents` returns of it.

    Returns:
        A clause; None if they are the same, as far as both are described.
    """

    def differ(*names: str) -> bool:
        return all(name in then and name in now for name in names) and any(
            then[name] != now[name] for name in names
        )

    if differ("width", "height"):
        sizes = [f"{each['width']}x{each['height']}" for each in (then, now)]
        return f"the frames of that one have {sizes[0]} pixels, and of this one {sizes[1]}"
    if differ("bytes"):
        return f"that one has {then['bytes']:,} bytes, and this one {now['bytes']:,}"
    if differ("ends"):
        return "both have the same size and other contents"
    if differ("time_base"):
        return "the times of their frames are counted in other units"
    return None
