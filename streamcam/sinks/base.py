"""What every sink offers."""

from __future__ import annotations

import abc
from types import TracebackType
from typing import Self

from streamcam.media.images import Image


class Sink(abc.ABC):
    """Takes finished images in order of time. One thread opens, writes and ends it.

    As a context manager it finishes when all went well and aborts when something was raised.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """What the user should know about how the output is written."""
        return ()

    @abc.abstractmethod
    def write(self, image: Image) -> None:
        """Take one image; its pts is in the source's time base. The sink leaves it as it is.

        Raises:
            SinkError: if it cannot be written, or the sink has ended.
        """

    @abc.abstractmethod
    def finish(self, *, cut_short: bool = False) -> None:
        """Complete the output and make it appear under its name; does nothing when that is done already.

        Args:
            cut_short: Whether the video was stopped early, so that audio ends with the last image.

        Raises:
            SinkError: if what was written is not complete, or there is nothing; nothing is left behind then.
        """

    @abc.abstractmethod
    def abort(self) -> None:
        """Throw away what was written; does nothing after `finish` or `abort`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abort()
