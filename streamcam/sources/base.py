"""What every source of frames offers."""

from __future__ import annotations

import abc
from collections.abc import Iterator
from types import TracebackType
from typing import Self

from streamcam.frames import Frame, SourceInfo, SourceReport


class Source(abc.ABC):
    """A run of frames, read once from front to back.

    One thread opens, iterates and closes it. Frames come with strictly increasing pts, all of the size that
    `info` gives, planar YUV of 8 or 10 bits.
    """

    @property
    @abc.abstractmethod
    def info(self) -> SourceInfo:
        """What is known before the first frame."""

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, once."""

    @abc.abstractmethod
    def report(self) -> SourceReport:
        """Tell what was found; complete once iteration has ended."""

    def close(self) -> None:  # noqa: B027 - sources without resources have nothing to do
        """Let go of the file or device; may be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
