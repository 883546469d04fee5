"""A file that changes on the disk only when it is asked to, from one consistent state to the next.

HDF5 cannot bear a disk that refuses: it crashes when the file is closed. And what it has written by some
moment is not a file that can be read. Here it writes into memory; `commit` passes all of it on, first what is
added at the end, where a full disk does no harm, and then, in one go, what changes before that.
"""

from __future__ import annotations

import io
import os
from collections.abc import Sequence
from pathlib import Path


class CommittedFile(io.RawIOBase):
    """A binary file for one writer, which also reads it back."""

    def __init__(self, path: Path) -> None:
        """Create a file, or empty it.

        Raises:
            OSError: if the disk refuses.
        """
        self._file = path.open("w+b", buffering=0)
        self._position = self._size = self._committed = 0
        self._waiting: list[tuple[int, bytes]] = []

    def readable(self) -> bool:
        """Return True."""
        return True

    def writable(self) -> bool:
        """Return True."""
        return True

    def seekable(self) -> bool:
        """Return True."""
        return True

    def seek(self, offset: int, whence: int = os.SEEK_SET) -> int:
        """Move to a position in bytes, counted from the beginning, from here, or from the end."""
        start = {os.SEEK_SET: 0, os.SEEK_CUR: self._position, os.SEEK_END: self._size}[whence]
        self._position = start + offset
        return self._position

    def readinto(self, buffer: memoryview) -> int:  # type: ignore[override]
        """Read from the position on, with what waits; what was never written is zeros."""
        begin = self._position
        count = max(0, min(len(buffer), self._size - begin))
        content = bytearray(count)
        self._file.seek(begin)
        on_disk = self._file.read(max(0, min(count, self._committed - begin)))
        content[: len(on_disk)] = on_disk
        for offset, data in self._waiting:
            first, last = max(offset, begin), min(offset + len(data), begin + count)
            if first < last:
                content[first - begin : last - begin] = data[first - offset : last - offset]
        buffer[:count] = content
        self._position += count
        return count

    def write(self, data: memoryview) -> int:  # type: ignore[override]
        """Take data, to be committed."""
        self._waiting.append((self._position, bytes(data)))
        self._position += len(data)
        self._size = max(self._size, self._position)
        return len(data)

    def truncate(self, size: int | None = None) -> int:
        """Take a new size, to be committed."""
        self._size = self._position if size is None else size
        return self._size

    def commit(self) -> None:
        """Write what waits to the disk.

        Raises:
            OSError: if it refuses; the file then is as it was after the last time, with more at its end.
        """
        added = [_part(offset, data, self._committed, self._size) for offset, data in self._waiting]
        self._write(added)
        changed = [_part(offset, data, 0, self._committed) for offset, data in self._waiting]
        self._write(changed)
        self._file.truncate(self._size)
        self._waiting, self._committed = [], self._size

    def _write(self, parts: Sequence[tuple[int, bytes]]) -> None:
        for offset, data in parts:
            self._file.seek(offset)
            view = memoryview(data)
            while view:
                view = view[self._file.write(view) :]

    def close(self) -> None:
        """Close the file; what waits is dropped."""
        self._file.close()
        super().close()


def _part(offset: int, data: bytes, begin: int, end: int) -> tuple[int, bytes]:
    """Cut out of data what lies between two positions."""
    first, last = max(offset, begin), max(begin, min(offset + len(data), end))
    return first, data[first - offset : last - offset] if first < last else b""
