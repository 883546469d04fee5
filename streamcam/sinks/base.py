"""The protocol of an output: `Sink`."""

from __future__ import annotations

import abc
from collections.abc import Mapping
from types import TracebackType
from typing import Any, Self

from streamcam.explanations import RenderedFrame


class Sink(abc.ABC):
    """An output that takes rendered frames in order of time. Belongs to one thread.

    As a context manager it calls `finish` when its block ends, and `abort` when its block raises.
    """

    @property
    def notes(self) -> tuple[str, ...]:
        """Changes and losses that the user should know of, a sentence each."""
        return ()

    def describe(self, run: Mapping[str, Any]) -> None:  # noqa: B027 - most outputs have no use for it
        """Take what computed the frames (model, weights, method …), before the first frame is written."""

    @abc.abstractmethod
    def write(self, frame: RenderedFrame) -> None:
        """Write one frame. Its image is left unchanged.

        Raises:
            SinkError: if it cannot be written, or the sink has ended.
        """

    @abc.abstractmethod
    def finish(self, *, cut_short: bool = False) -> None:
        """Complete the output and move it to its final name. A second call does nothing.

        Args:
            cut_short: Whether the video was stopped early, so that its audio ends with the last frame.

        Raises:
            SinkError: if no frame was written, or the output is incomplete; it is removed then.
        """

    @abc.abstractmethod
    def abort(self) -> None:
        """Remove what was written. Does nothing after `finish` or `abort`."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        if kind is None:
            self.finish()
        else:
            self.abort()
