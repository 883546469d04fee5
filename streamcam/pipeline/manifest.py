"""The manifest of a render of many: what became of each input, in a file beside the outputs."""

from __future__ import annotations

import contextlib
import dataclasses
import json
import os
from collections.abc import Iterable, Mapping
from pathlib import Path
from types import TracebackType
from typing import Any, Self

from streamcam.errors import SinkError, map_errors
from streamcam.files import lock, unfinished, unlock

MANIFEST_NAME = "streamcam.jsonl"


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
        path: Its path.
    """

    def __init__(self, directory: Path) -> None:
        """Open the manifest of a directory, or begin one.

        Raises:
            OutputExistsError: if another render has it open.
            SinkError: if it cannot be read or written.
        """
        self.path = directory / MANIFEST_NAME
        self._is_open = True
        with map_errors(OSError, to=self._refusal):
            self._lock = lock(self.path, self.path)
            try:
                self._entries = {entry.output: entry for entry in _read(self.path)}
                self._begin_line()
            except BaseException:
                unlock(self._lock)
                raise

    @property
    def entries(self) -> Mapping[str, ManifestEntry]:
        """Output → what became of it."""
        return self._entries

    def record(self, entry: ManifestEntry) -> None:
        """Write what became of an input.

        Raises:
            SinkError: if it cannot be written.
        """
        self._entries[entry.output] = entry
        with map_errors(OSError, to=self._refusal), self.path.open("a", encoding="utf-8") as file:
            file.write(_line(entry))

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
                with unfinished(self.path) as part:
                    part.write_text("".join(map(_line, self._entries.values())), encoding="utf-8")
            else:
                self.path.unlink(missing_ok=True)
        finally:
            unlock(self._lock)

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        with contextlib.suppress(SinkError) if kind is not None else contextlib.nullcontext():
            self.close()

    def _begin_line(self) -> None:
        """End a line that a killed process did not."""
        with self.path.open("ab+") as file:
            if file.tell():
                file.seek(-1, os.SEEK_END)
                if file.read(1) != b"\n":
                    file.write(b"\n")

    def _refusal(self, error: Exception) -> SinkError:
        reason = getattr(error, "strerror", None) or error
        return SinkError(f"the manifest {str(self.path)!r} cannot be written: {reason}")


def read_manifest(directory: Path) -> list[ManifestEntry]:
    """Read what became of the inputs of earlier renders into a directory; nothing where there is no manifest.

    Raises:
        SinkError: if it cannot be read.
    """
    path = directory / MANIFEST_NAME
    with map_errors(
        OSError, to=lambda error: SinkError(f"the manifest {str(path)!r} cannot be read: {error}")
    ):
        return list({entry.output: entry for entry in _read(path)}.values()) if path.exists() else []


def _read(path: Path) -> Iterable[ManifestEntry]:
    """Read the lines that are whole; the last one is not where a process was killed."""
    fields = {field.name for field in dataclasses.fields(ManifestEntry)}
    for line in path.read_text(encoding="utf-8", errors="replace").splitlines():
        values = _parse(line)
        if values is not None and {"input", "output", "status"} <= values.keys():
            known: dict[str, Any] = {name: value for name, value in values.items() if name in fields}
            yield ManifestEntry(**{**known, "messages": tuple(known.get("messages", ()))})


def _parse(line: str) -> dict[str, Any] | None:
    try:
        values = json.loads(line)
    except ValueError:
        return None
    return values if isinstance(values, dict) else None


def _line(entry: ManifestEntry) -> str:
    return json.dumps(dataclasses.asdict(entry), ensure_ascii=False) + "\n"
