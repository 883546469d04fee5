"""Text files of one line a frame, which appear when they are complete."""

from __future__ import annotations

import abc
import contextlib
from pathlib import Path
from typing import Self, TextIO

from streamcam.errors import SinkError, map_errors
from streamcam.explanations import RenderedFrame
from streamcam.files import begin, check_part, commit, discard, sink_error
from streamcam.sinks.base import Sink


def open_text_part(path: Path) -> TextIO:
    """Open the unfinished file of a text output, beside its final name.

    Raises:
        OutputExistsError: if another render is writing it.
        SinkError: if the file cannot be made.
    """
    part = begin(path)
    try:
        with map_errors(OSError, to=lambda error: sink_error(path, "cannot be written", error)):
            return part.open("w", encoding="utf-8", newline="\n")
    except BaseException:
        discard(path)
        raise


class TextSink(Sink):
    """A text file that grows frame by frame. A subclass implements `format_line`, and is opened by `open`."""

    def __init__(self, path: Path, file: TextIO, *, overwrite: bool) -> None:
        """Take over an open file.

        Args:
            path: The file to make.
            file: Its part, from `open_text_part`.
            overwrite: Whether a file that is there at the end is replaced.
        """
        self._path = path
        self._overwrite = overwrite
        self._file: TextIO | None = file
        self._written = 0
        self._is_finished = False

    @classmethod
    def open(cls, path: Path, *, overwrite: bool) -> Self:
        """Start a file beside its final name.

        Args:
            path: The file to make.
            overwrite: Whether a file that is there at the end is replaced.

        Raises:
            OutputExistsError: if another render is writing it.
            SinkError: if the file cannot be made.
        """
        return cls(path, open_text_part(path), overwrite=overwrite)

    @abc.abstractmethod
    def format_line(self, frame: RenderedFrame) -> str | None:
        """Return the line of one frame, without the line break; None if it adds nothing to the file.

        Raises:
            ValueError: if it has none; the message names what the file cannot hold.
        """

    def format_end(self) -> str:
        """Return what follows the last line of a complete file."""
        return ""

    @property
    def written(self) -> int:
        """How many frames were written."""
        return self._written

    def write(self, frame: RenderedFrame) -> None:
        """Write the line of one frame.

        Raises:
            SinkError: if the disk refuses, the line cannot be made, or the sink has ended.
        """
        if self._file is None:
            raise SinkError(f"{str(self._path)!r} is closed already")
        check_part(self._path)
        try:
            line = self.format_line(frame)
            if line is not None:
                self._file.write(f"{line}\n")
        except OSError as error:
            raise sink_error(self._path, "cannot be written", error) from error
        except ValueError as error:
            raise SinkError(f"{str(self._path)!r} cannot hold {error}") from error
        self._written += 1

    def finish(self, *, cut_short: bool = False) -> None:  # noqa: ARG002 - every line is whole
        """Complete the file and move it to its final name.

        Raises:
            SinkError: if no frame was written, or the disk refuses.
        """
        if self._is_finished:
            return
        if self._file is None or not self._written:
            self.abort()
            raise SinkError(f"{str(self._path)!r} was not written: no image was finished")
        try:
            self._file.write(self.format_end())
            self._file.close()
        except OSError as error:
            self.abort()
            raise sink_error(self._path, "cannot be completed", error) from error
        self._file = None
        commit(self._path, overwrite=self._overwrite)
        self._is_finished = True

    def abort(self) -> None:
        """Remove what was written, unless it is finished."""
        if self._file is not None:
            with contextlib.suppress(OSError):  # what cannot be flushed goes anyway
                self._file.close()
            self._file = None
            discard(self._path)
