"""The manifest of a render of many: what became of each input, in a file beside the outputs.

That of outputs in a store is written on this machine, and copied there every few seconds and at the end.
"""

from __future__ import annotations

import contextlib
import dataclasses
import json
import logging
import os
import time
from collections.abc import Callable, Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streamcam.errors import SinkError, SourceError, SourceNotFoundError, map_errors
from streamcam.files import lock, unfinished, unlock
from streamcam.media.stores import download, remove_stored, upload
from streamcam.media.urls import redact
from streamcam.pipeline.output_locations import OutputLocation, inside
from streamcam.pipeline.uploads import folder_here, make_private

MANIFEST_NAME = "streamcam.jsonl"

_COPIED_EVERY_S = 5.0

_log = logging.getLogger("streamcam.pipeline")


@dataclasses.dataclass(frozen=True, slots=True)
class ManifestEntry:
    """The outcome for one input: a line of the manifest."""

    input: str
    output: str
    status: str
    """``done``, ``damaged`` (the input; what could be read is in the output), ``empty`` (no map shows
    anything), ``failed`` (no output), ``interrupted``, or ``started`` where the process was killed."""
    frames: int = 0
    """Number of frames in the output."""
    seconds: float = 0.0
    """How long it took."""
    messages: tuple[str, ...] = ()
    """The error or the notes, a sentence each."""
    key: str | None = None
    """Hash of the input and of all settings: equal ones have equal outputs. None where it cannot be known."""
    bytes: int = 0
    """Size of the output."""


class Manifest:
    """The manifest of a directory, open for a render, which keeps it to itself.

    Every line is written at once; the last one about an output counts. Use it as a context manager.

    Attributes:
        directory: The directory, or folder in a store.
        location: Where it is in the end.
    """

    def __init__(self, directory: OutputLocation) -> None:
        """Open the manifest of a directory, or begin one.

        Raises:
            OutputExistsError: if another render has it open.
            SinkError: if it cannot be read or written.
        """
        self.directory = directory
        self.location = inside(directory, MANIFEST_NAME)
        self._url = None if isinstance(self.location, Path) else self.location
        self._path = _path_here(self.location)
        self._is_open = True
        self._copied_s = 0.0
        self._unwritten: list[ManifestEntry] = []
        with map_errors(OSError, to=self._refusal):
            if self._url is not None:
                make_private(self._path.parent)
            self._lock = lock(self._path, self._path)
            try:
                self._entries = {entry.output: entry for entry in _read(self.location)}
                if self._url is None:
                    self._begin_line()
                else:
                    self._path.write_text(self._text(), encoding="utf-8")
                    self._copy(self._url)  # now, so that a store that refuses costs no work
            except BaseException:
                if self._url is not None and not self._path.stat().st_size:
                    self._path.unlink()
                self._unlock()
                raise

    @property
    def entries(self) -> Mapping[str, ManifestEntry]:
        """Output → what became of it."""
        return self._entries

    def record(self, entry: ManifestEntry) -> None:
        """Write what became of an input, or keep it for later where the disk is full."""
        self._entries[entry.output] = entry
        is_behind = bool(self._unwritten)
        self._unwritten.append(entry)
        try:
            if is_behind:
                self._begin_line()
            with self._path.open("a", encoding="utf-8") as file:
                file.write("".join(map(_line, self._unwritten)))
        except OSError as error:  # what failed is being removed, and there is room for the others
            _log.warning("%s", self._refusal(error))
        else:
            self._unwritten = []
        if self._url is not None and time.monotonic() - self._copied_s > _COPIED_EVERY_S:
            try:
                self._copy(self._url)
            except SinkError as error:  # the store may be back at the next one; what is here is not lost
                _log.warning("%s", error)

    def close(self) -> None:
        """Leave one line for each output. May be called again.

        Raises:
            SinkError: if it cannot be written; then the older lines stay too.
        """
        if not self._is_open:  # by now it may be another render's
            return
        self._is_open = False
        try:
            if self._entries:
                with unfinished(self._path) as part:
                    part.write_text(self._text(), encoding="utf-8")
            if self._url is not None and self._entries:
                try:
                    self._copy(self._url)
                except SinkError as error:
                    raise SinkError(f"{error}; it is kept as {str(self._path)!r}") from error
            elif self._url is not None:
                remove_stored(self._url)
            if self._url is not None or not self._entries:
                self._path.unlink(missing_ok=True)
        finally:
            self._unlock()

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(SinkError) if kind is not None else contextlib.nullcontext():
            self.close()

    def _text(self) -> str:
        """Return the manifest with one line for each output."""
        return "".join(map(_line, self._entries.values()))

    def _unlock(self) -> None:
        unlock(self._lock)
        if self._url is not None:
            with contextlib.suppress(OSError):  # what could not be copied stays
                self._path.parent.rmdir()

    def _copy(self, url: str) -> None:
        """Copy the manifest into its store."""
        self._copied_s = time.monotonic()
        upload(self._path, url)

    def _begin_line(self) -> None:
        """End a line that a killed process did not."""
        with self._path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")

    def _refusal(self, error: Exception) -> SinkError:
        reason = getattr(error, "strerror", None) or error
        return SinkError(f"the manifest {redact(str(self.location))!r} cannot be written: {reason}")


def read_manifest(directory: OutputLocation) -> list[ManifestEntry]:
    """Read what became of the inputs of earlier renders into a directory or a folder of a store.

    Returns:
        The entries; none where there is no manifest.

    Raises:
        SinkError: if it cannot be read.
    """
    location = inside(directory, MANIFEST_NAME)
    with map_errors(
        OSError,
        SourceError,
        to=lambda error: SinkError(f"the manifest {redact(str(location))!r} cannot be read: {error}"),
    ):
        return list({entry.output: entry for entry in _read(location)}.values())


def _path_here(location: OutputLocation) -> Path:
    """Return where a manifest is written."""
    return location if isinstance(location, Path) else folder_here(location) / MANIFEST_NAME


def _read(location: OutputLocation) -> Iterable[ManifestEntry]:
    """Read the lines that are whole; the last one is not where a process was killed."""
    fields = {field.name for field in dataclasses.fields(ManifestEntry)}
    path = _path_here(location)
    lines = path.read_text(encoding="utf-8", errors="replace").splitlines() if path.exists() else []
    if not isinstance(location, Path):
        # A killed run's lines are here: they tell what is not in the store yet, and nothing else.
        lines += _lines_in(location)
    for line in lines:
        values = _parse(line)
        if values is not None and {"input", "output", "status"} <= values.keys():
            known: dict[str, Any] = {name: value for name, value in values.items() if name in fields}
            yield ManifestEntry(**{**known, "messages": tuple(known.get("messages", ()))})


def _lines_in(url: str) -> list[str]:
    """Read the lines of a manifest in a store; none if it is not there."""
    pieces: list[bytes] = []

    def copy(read: Callable[[int], bytes], _size: int | None) -> None:
        pieces.extend(iter(lambda: read(1 << 20), b""))

    with contextlib.suppress(SourceNotFoundError):
        download(url, copy)
    return b"".join(pieces).decode(errors="replace").splitlines()


def _parse(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _line(entry: ManifestEntry) -> str:
    return json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n"
