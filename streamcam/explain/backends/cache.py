"""A disk cache of converted networks, so that the second start is quick.

An entry's name has a hash of everything it was made from: the graph, the weights, and the versions of the
converter. An entry contains the hashes of its files; if they do not match, it is deleted and made again.

Several processes may share the cache: entries appear and disappear by renaming, never in part, and a process
whose entry was deleted by another one makes it again.
"""

from __future__ import annotations

import contextlib
import hashlib
import json
import os
import shutil
import sys
import tempfile
import time
from collections.abc import Callable, Iterator
from pathlib import Path

from streamcam.explain.activities import remark

LIMIT_BYTES = 2_000_000_000
"""Limit of the cache besides the newest entry: some twenty networks of the size of ResNet-50."""

_NETWORKS = "openvino-*"
_ENTRIES = (_NETWORKS, "explanation-*")
_MAKING, _DROPPING = "making-", "dropping-"
_ABANDONED_S = 24 * 3600
"""Unfinished entries older than this were left by a process that was killed."""
_MANIFEST = "manifest.json"
MODEL_FILE = "model.xml"
"""Name of a converted network in its entry."""
_VERDICT = "verdict-"
_VERDICTS = {"holds": True, "fails": False}
"""Whole words, so that a damaged file is neither."""


def cache_directory() -> Path:
    """Return streamcam's cache directory: STREAMCAM_CACHE, or a folder in the user's cache directory."""
    chosen = os.environ.get("STREAMCAM_CACHE")
    if chosen:
        return Path(chosen)
    if sys.platform == "win32":
        return Path(os.environ.get("LOCALAPPDATA", Path.home())) / "streamcam" / "cache"
    if sys.platform == "darwin":
        return Path.home() / "Library" / "Caches" / "streamcam"
    return Path(os.environ.get("XDG_CACHE_HOME") or Path.home() / ".cache") / "streamcam"


def used(directory: Path) -> tuple[int, int]:
    """Return the number of converted networks and the bytes that they and unfinished ones take."""
    networks = len(list(directory.glob(_NETWORKS)))
    return networks, sum(map(size_of, (*_entries(directory), *_unfinished(directory))))


def clear(directory: Path) -> tuple[int, int]:
    """Delete all converted networks, and nothing else in the directory.

    Networks that a running process has loaded keep working.

    Returns:
        The number of converted networks that were deleted, and the number of bytes freed.
    """
    before = used(directory)
    for path in (*_entries(directory), *_unfinished(directory)):
        _drop(path)
    after = used(directory)
    return before[0] - after[0], before[1] - after[1]


class CacheEntry:
    """A directory of files that appears and disappears as a whole, with results of checks beside them."""

    def __init__(self, directory: Path, name: str) -> None:
        """Name the entry.

        Args:
            directory: Directory of the cache.
            name: Name of the entry, with a hash of all that its files were made from.
        """
        self._directory = directory
        self._entry = directory / name

    @property
    def name(self) -> str:
        """Name of the entry in the cache."""
        return self._entry.name

    @property
    def path(self) -> Path:
        """The directory of the files, whether it is there or not."""
        return self._entry

    def find(self) -> Path | None:
        """Return the directory of the files, or None if there is none or one is damaged."""
        try:
            manifest = json.loads((self._entry / _MANIFEST).read_text("utf-8"))
            if manifest != _hashes(self._entry):
                raise ValueError("damaged")
        except (OSError, ValueError):
            if self._is_there():  # and has not just been dropped by another process
                remark(f"{str(self._entry)!r} is damaged or cannot be read, so it is made again")
            self.drop()
            return None
        self.touch()
        return self._entry

    def touch(self) -> bool:
        """Note that it is used, as the least recently used entries go first; return whether it is there."""
        with contextlib.suppress(OSError):  # a read-only cache can still be read
            os.utime(self._entry)
        return self._entry.is_dir()

    def fill(self, write: Callable[[Path], None]) -> None:
        """Save files; if the disk is full or read-only, the next start makes them again.

        Args:
            write: Writes the files into a directory.
        """
        try:
            self._directory.mkdir(parents=True, exist_ok=True)
            fresh = Path(tempfile.mkdtemp(prefix=_MAKING, dir=self._directory))
        except OSError as error:
            self._note_loss(error)
            return
        try:
            write(fresh)
            (fresh / _MANIFEST).write_text(json.dumps(_hashes(fresh)), "utf-8")
            fresh.rename(self._entry)
        except (OSError, RuntimeError) as error:  # RuntimeError is how OpenVINO reports a full disk
            shutil.rmtree(fresh, ignore_errors=True)
            if not self._is_there():  # else another process was quicker
                self._note_loss(error)
        self._drop_least_used()

    def _is_there(self) -> bool:
        try:
            return self._entry.exists()
        except OSError:  # it is in a directory that cannot be entered
            return False

    def _note_loss(self, error: Exception) -> None:
        reason = getattr(error, "strerror", None) or " ".join(str(error).split())[:80]
        remark(
            f"nothing can be kept in {str(self._directory)!r} ({reason}), so every start takes as long as "
            "this one; STREAMCAM_CACHE names another directory"
        )

    def drop(self) -> None:
        """Delete the entry."""
        _drop(self._entry)

    def verdict(self, question: str) -> bool | None:
        """Return the saved result of a check of the converted network, or None if there is none.

        Args:
            question: Everything that the result depends on besides the network.
        """
        try:
            return _VERDICTS.get(self._verdict_path(question).read_text("utf-8"))
        except (OSError, ValueError):  # ValueError: what is no text
            return None

    def keep_verdict(self, question: str, answer: bool) -> None:
        """Save the result of a check; without an entry nothing is saved."""
        words = {held: word for word, held in _VERDICTS.items()}
        with contextlib.suppress(OSError):
            self._verdict_path(question).write_text(words[answer], "utf-8")

    def _verdict_path(self, question: str) -> Path:
        return self._entry / f"{_VERDICT}{hashlib.sha256(question.encode()).hexdigest()[:16]}"

    def _drop_least_used(self) -> None:
        """Delete entries until the cache is below its limit; this entry, which is new, always stays."""
        for path in _unfinished(self._directory):
            if time.time() - _last_use_s(path) > _ABANDONED_S:
                _drop(path)
        others = [path for path in _entries(self._directory) if path != self._entry]
        sizes = {path: size_of(path) for path in others}
        excess = size_of(self._entry) + sum(sizes.values()) - LIMIT_BYTES
        for path in sorted(others, key=_last_use_s):
            if excess <= 0:
                break
            _drop(path)
            excess -= sizes[path]


def _entries(directory: Path) -> Iterator[Path]:
    for pattern in _ENTRIES:
        yield from directory.glob(pattern)


def _unfinished(directory: Path) -> Iterator[Path]:
    """Yield unfinished entries, including those of processes that were killed."""
    for prefix in (_MAKING, _DROPPING):
        yield from directory.glob(f"{prefix}*")


def _drop(path: Path) -> None:
    """Delete an entry, unless that fails, maybe because another process is deleting it."""
    if not path.name.startswith(_DROPPING):
        doomed = path.with_name(f"{_DROPPING}{os.getpid()}-{path.name}")
        shutil.rmtree(doomed, ignore_errors=True)  # maybe left by another process with the same ID
        try:
            path = path.rename(doomed)  # in one step: no process sees it without some of its files
        except OSError:
            return
    shutil.rmtree(path, ignore_errors=True)


def size_of(path: Path) -> int:
    """Add up the sizes in bytes of a directory's files, without those that disappear meanwhile."""
    total = 0
    for folder, _, names in os.walk(path):
        for name in names:
            with contextlib.suppress(OSError):
                total += (Path(folder) / name).stat().st_size
    return total


def _last_use_s(path: Path) -> float:
    """Return the time when an entry was last made or loaded, on the clock of `time.time`."""
    try:
        return path.stat().st_mtime
    except OSError:  # it has gone
        return 0.0


def _hashes(entry: Path) -> dict[str, str]:
    hashes = {}
    for path in sorted(entry.iterdir()):
        if path.name != _MANIFEST and not path.name.startswith(_VERDICT):
            with path.open("rb") as file:
                hashes[path.name] = hashlib.file_digest(file, "sha256").hexdigest()
    return hashes
