"""Local HLS and DASH playlists: videos in segments, which must lie in the playlist's own folder."""

from __future__ import annotations

import io
import os
import re
from pathlib import Path
from typing import Any, BinaryIO

from streamcam.errors import SourceError, map_errors
from streamcam.media.dash import playlists_of

PLAYLIST_MARKS = {".m3u8": b"#EXT-X-", ".m3u": b"#EXT-X-", ".mpd": b"<MPD"}
"""Suffix of a playlist → what its text holds where it is of a video; others list music."""

_END = b"#EXT-X-ENDLIST"

_LINE_ENDS = re.compile(r"[\r\n\0]")
_URI = re.compile(r'URI="([^"]*)"')
_SCHEME = re.compile(r"[A-Za-z][A-Za-z0-9+.-]*:")

_LONGEST_SHOWN = 100
"""Letters of an address in a message."""


def is_playlist(path: Path) -> bool:
    """Return whether a file is a playlist that is read as one video, by its suffix and text.

    Raises:
        OSError: if it cannot be read.
    """
    mark = PLAYLIST_MARKS.get(path.suffix.lower())
    return mark is not None and mark in path.read_bytes()


class PlaylistFolder:
    """Opens the files that a playlist names, and none outside its folder. It is called by FFmpeg.

    Attributes:
        missing: The segments that are not there.
    """

    def __init__(self, path: Path) -> None:
        """Prepare to read one playlist; to FFmpeg it is one of HLS."""
        self.missing: list[str] = []
        self._path = path
        self._rewritten: dict[str, bytes] = {}
        """Name → playlist, of those that stand for a DASH manifest."""
        self._folder = path.absolute().parent.resolve()
        self._maybe_missing: list[str] = []

    def open(self, url: str, _flags: int = 0, _options: Any = None) -> BinaryIO:
        """Open what FFmpeg asks for.

        Args:
            url: As FFmpeg has put it together from the playlist's address and what stands in it.

        Raises:
            SourceError: if it does not lie in the playlist's folder, or cannot be read.
        """
        name, file = str(self._path), Path(url.removeprefix("file:"))
        if url.startswith("crypto"):
            raise self._encrypted()
        is_inside = url.startswith("file:") and file.resolve().is_relative_to(self._folder)
        if not is_inside and file.absolute() != self._path.absolute():
            raise self._outside(url)
        if file.name in self._rewritten:
            return io.BytesIO(self._checked(self._rewritten[file.name], file))
        if file.suffix.lower() in PLAYLIST_MARKS:
            return io.BytesIO(self._checked(self._read_playlist(file), file))
        try:
            opened = file.open("rb")
        except FileNotFoundError:
            # A DASH manifest may promise one segment more than there is, so only a gap is sure to be one.
            (self._maybe_missing if self._rewritten else self.missing).append(file.name)
            return io.BytesIO()
        except OSError as error:
            raise SourceError(f"{name!r} names {file.name!r}, which fails: {error.strerror}") from error
        self.missing += self._maybe_missing
        self._maybe_missing.clear()
        return opened

    def _read_playlist(self, file: Path) -> bytes:
        name = str(self._path if file.absolute() == self._path.absolute() else file)
        try:
            text = file.read_bytes()
        except OSError as error:
            raise SourceError(f"{name!r} cannot be read: {error.strerror}") from error
        if file.suffix.lower() != ".mpd":
            return text
        with map_errors(ValueError, to=lambda error: SourceError(f"{name!r} cannot be read: {error}")):
            self._rewritten = playlists_of(text, file.name)
        return self._rewritten[file.name]

    def _checked(self, text: bytes, file: Path) -> bytes:
        """Return a playlist as if nothing were to come, which FFmpeg would wait for.

        Raises:
            SourceError: if it names files elsewhere, or is encrypted.
        """
        for line in _LINE_ENDS.split(os.fsdecode(text)):
            if line.startswith(("#EXT-X-KEY", "#EXT-X-SESSION-KEY")) and "METHOD=NONE" not in line:
                raise self._encrypted()
            for address in _URI.findall(line) if line.startswith("#") else [line] if line else []:
                # FFmpeg would refuse some of them too, but not say which.
                is_url = _SCHEME.match(address) is not None
                if is_url or not (file.absolute().parent / address).resolve().is_relative_to(self._folder):
                    raise self._outside(address)
        return text + b"\n" + _END + b"\n" if b"#EXTINF" in text and _END not in text else text

    def _encrypted(self) -> SourceError:
        return SourceError(
            f"{str(self._path)!r} is encrypted, which streamcam does not read; decrypt it first"
        )

    def _outside(self, address: str) -> SourceError:
        return SourceError(
            f"{str(self._path)!r} names {_shown(address)!r}, which is not in its own folder; put the "
            "segments there"
        )


def _shown(url: str) -> str:
    """Return an address for a message, without passwords and keys."""
    scheme, is_url, rest = url.partition("://")
    if not is_url:
        return url.removeprefix("file:")[:_LONGEST_SHOWN]
    return f"{scheme}://{rest.partition('/')[0].rpartition('@')[2]}/…"
