"""The interface of every source of frames."""

from __future__ import annotations

import abc
import threading
from collections.abc import Callable, Iterator
from types import TracebackType
from typing import Self

from streamcam.frames import AudioBlock, Frame, SourceInfo, SourceReport


class StopFlag:
    """A flag that is raised once, from any thread or signal handler.

    Like `threading.Event`, but with a re-entrant lock: a signal handler may raise the flag in the very
    thread that is just looking at it.
    """

    def __init__(self) -> None:
        self._changed = threading.Condition()
        self._is_set = False

    def is_set(self) -> bool:
        """Return whether the flag is raised."""
        return self._is_set

    def set(self) -> None:
        """Raise the flag, and wake up everybody who waits for it."""
        with self._changed:
            self._is_set = True
            self._changed.notify_all()

    def wait(self, timeout_s: float) -> bool:
        """Wait until the flag is raised, for `timeout_s` seconds at most; return whether it is."""
        with self._changed:
            return self._changed.wait_for(lambda: self._is_set, timeout_s)


class Source(abc.ABC):
    """A run of frames, read once from front to back: a file, a camera, a network stream.

    Frames come with strictly increasing pts, as planar YUV of 8 or 10 bits. Those of a file all have the size
    that `info` gives; those of a live source may change theirs.

    One thread at a time uses a source: it may be opened in one thread and then be iterated and closed in
    another. Only `stop`, `notice` and `is_vacant` are for any thread.

    Attributes:
        is_live: Whether frames arrive when they arrive, so that a slow reader misses some.
        on_audio: Receives the audio of a live source that has any, in the thread that iterates, each block
            before the frames that come after it; None where nobody listens. Set before the iteration.
        shows_stills: Whether its images have nothing to do with each other, so that nothing moves in them.
        notice: What is wrong right now, in words, where that may pass: a camera that was unplugged. None
            while all is well.
        is_insistent: Whether a live source that cannot be opened at first is tried again, as later on: where
            it is one of several, and the others are there.
        stop_flag: Raised by `stop`; an implementation looks at it between frames and wherever it waits.
    """

    is_live: bool = False
    on_audio: Callable[[AudioBlock], None] | None = None
    shows_stills: bool = False
    notice: str | None = None
    is_insistent: bool = False
    stop_flag: StopFlag

    def __new__(cls, *_arguments: object, **_keywords: object) -> Self:
        # Not in __init__, which a new kind of source would have to remember to call.
        source = super().__new__(cls)
        source.stop_flag = StopFlag()
        return source

    @property
    @abc.abstractmethod
    def info(self) -> SourceInfo:
        """Description of the source; of a live one complete from its first frame on."""

    @property
    def is_vacant(self) -> bool:
        """Whether it waits for somebody who sends it images, as `notice` says; for any thread.

        Those that came before are nobody's business any more.
        """
        return False

    @abc.abstractmethod
    def __iter__(self) -> Iterator[Frame]:
        """Yield the frames, once, until the source ends or soon after `stop`.

        Raises:
            SourceError: if there are no frames, or no more.
        """

    @abc.abstractmethod
    def report(self) -> SourceReport:
        """Return what was found while reading; complete once iteration has ended."""

    def stop(self) -> None:
        """End the iteration soon. Does not wait; for any thread and for signal handlers."""
        self.stop_flag.set()

    def close(self) -> None:  # noqa: B027 - sources without resources have nothing to do
        """Release the file or device; may be called again."""

    def __enter__(self) -> Self:
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.close()
