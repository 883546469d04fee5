"""What is known of frames whose segment is not finished: files beside the segments, one every few seconds.

Each is named after the frame that it begins with, and holds what is known of the frames from there to its
end. Those that follow upon the finished segments, or upon each other, without a gap are of use.
"""

from __future__ import annotations

import contextlib
from pathlib import Path

import numpy as np

from streamcam.sinks.resume.durable import DAMAGE, Arrays, damaged, read_arrays, write_arrays

_PREFIX, _SUFFIX = "ahead-", ".npz"
_END = "end"


class Ahead:
    """The files of one folder.

    Attributes:
        frames: How many frames are known of, from the video's first on, counting those in segments.
    """

    def __init__(self, folder: Path) -> None:
        """Assign; nothing is known yet.

        Args:
            folder: Where the files lie.
        """
        self.frames = 0
        self._folder = folder
        self._ends: dict[int, int] = {}

    def __bool__(self) -> bool:
        """Whether there is any file."""
        return bool(self._ends)

    def find(self, finished: int) -> None:
        """Look for what is of use.

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
        """List the frames that the files begin with, in order."""
        return sorted(self._ends)

    def load(self, begin: int) -> Arrays:
        """Read what is known from a frame on.

        Raises:
            SinkError: if the file is damaged.
        """
        return self._read(self._path(begin))

    def add(self, begin: int, end: int, known: Arrays) -> None:
        """Put what is known of some frames on the disk.

        Args:
            begin: The first frame's number.
            end: The number behind the last one's.
            known: Of these frames.

        Raises:
            SinkError: if the disk refuses.
        """
        write_arrays(self._path(begin), {**known, _END: np.array(end)})
        self._ends[begin] = end
        self.frames = max(self.frames, end)

    def drop(self, finished: int) -> None:
        """Remove what lies in finished segments by now."""
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
