"""Explanations of frames whose video segment is still being encoded: files beside the segments.

Each is named after its first frame. Those that follow the finished segments, or each other, without a gap can
be used.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from streamcam.sinks.resume.durable import DAMAGE, Arrays, damaged, read_arrays, write_arrays

_PREFIX, _SUFFIX = "pending-", ".npz"
_END = "end"


class PendingExplanations:
    """The files of explanations in one folder.

    Attributes:
        frames: How many frames are explained, from the video's first on, including those in segments.
    """

    def __init__(self, folder: Path) -> None:
        """Prepare; `find` reads the folder.

        Args:
            folder: The folder of the files.
        """
        self.frames = 0
        self._folder = folder
        self._ends: dict[int, int] = {}

    def __bool__(self) -> bool:
        """Return whether there is any file."""
        return bool(self._ends)

    def find(self, finished: int) -> None:
        """Find the files that can be used, and remove the others that are finished.

        Args:
            finished: How many frames the finished segments hold.

        Raises:
            SinkError: if a file is damaged.
        """
        self.frames = finished
        for path in sorted(self._folder.glob(f"{_PREFIX}*{_SUFFIX}")):
            number = path.name.removeprefix(_PREFIX).removesuffix(_SUFFIX)
            if number.isdecimal() and int(number) <= self.frames:
                end = int(self._read(path)[_END])
                self._ends[int(number)] = end
                self.frames = max(self.frames, end)
        self.drop(finished)

    def begins(self) -> list[int]:
        """List the first frames of the files, in order."""
        return sorted(self._ends)

    def load(self, begin: int) -> Arrays:
        """Read the file that begins with a frame.

        Raises:
            SinkError: if the file is damaged.
        """
        return self._read(self._path(begin))

    def add(self, begin: int, end: int, explanations: Arrays) -> None:
        """Store the explanations of some frames.

        Args:
            begin: The first frame's number.
            end: The last frame's number plus one.
            explanations: Their explanations, as arrays.

        Raises:
            SinkError: if the disk refuses.
        """
        write_arrays(self._path(begin), {**explanations, _END: np.array(end)})
        self._ends[begin] = end
        self.frames = max(self.frames, end)

    def drop(self, finished: int) -> None:
        """Remove the files of frames whose segment is finished by now."""
        for begin in [begin for begin, end in self._ends.items() if end <= finished]:
            del self._ends[begin]
            with contextlib.suppress(OSError):  # it does no harm
                self._path(begin).unlink()

    def _read(self, path: Path) -> Arrays:
        try:
            arrays = read_arrays(path)
            int(arrays[_END])
        except DAMAGE as error:
            raise damaged(path, error) from error
        return arrays

    def _path(self, begin: int) -> Path:
        return self._folder / f"{_PREFIX}{begin:09}{_SUFFIX}"
