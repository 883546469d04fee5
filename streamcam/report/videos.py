"""The videos that a page plays: the one that was explained, and the one that shows it with heat."""

from __future__ import annotations

import dataclasses
import os
import urllib.parse
from collections.abc import Iterator
from pathlib import Path

from streamcam.evidence import Evidence, tell_apart
from streamcam.evidence.inputs import file_contents
from streamcam.media.containers import CONTAINERS


@dataclasses.dataclass(frozen=True, slots=True)
class PlayedVideo:
    """A video that a page plays."""

    url: str
    """Relative to the page."""
    begins_s: float
    """The time of its first frame, from the beginning of the video that was explained."""
    has_heat: bool
    """Whether heat is drawn on it."""


def find_videos(evidence: Evidence, page: Path) -> Iterator[PlayedVideo]:
    """Find the videos of evidence that lie where they lay, or beside the evidence or the page.

    Args:
        evidence: The evidence.
        page: Where the page is going to lie.
    """
    if len(evidence) < 2:
        return
    given, output = evidence.header.get("input", {}), evidence.header.get("output")
    begins_s = float(evidence.times_s[0]) - float(given.get("origin_s", 0.0))
    is_resized = evidence.header.get("settings", {}).get("source", {}).get("size") is not None
    for name, has_heat in ((given.get("name"), False), (output, True)):
        for path in _places(name, evidence.path, page):
            if not has_heat and (is_resized or tell_apart(given, file_contents(path)) is not None):
                continue  # its heat would lie elsewhere, or it is another of the same name
            url = _relative_url(path, page)
            if url is not None:
                yield PlayedVideo(url, begins_s if has_heat else 0.0, has_heat)
                break


def _places(name: str | None, evidence: Path, page: Path) -> Iterator[Path]:
    """Yield the files of that name which are there, and are videos by their suffix."""
    if name is None or Path(name).suffix.lower() not in CONTAINERS:
        return
    for path in (Path(name), evidence.parent / Path(name).name, page.parent / Path(name).name):
        if path.is_file():
            yield path


def _relative_url(path: Path, page: Path) -> str | None:
    try:
        relative = os.path.relpath(path.resolve(), page.parent.resolve())
    except ValueError:  # on another drive
        return None
    return urllib.parse.quote(Path(relative).as_posix())
