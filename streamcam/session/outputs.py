"""Outputs of a live session: what every one offers, running a slow one, and the statistics file."""

from __future__ import annotations

import abc
import contextlib
import dataclasses
import json
from collections.abc import Callable
from pathlib import Path
from typing import Any, Generic, TypeVar

from streamcam.errors import SinkError
from streamcam.explanations import StabilizedFrame
from streamcam.frames import AudioBlock, Frame
from streamcam.pipeline.channel import Channel, ChannelClosedError
from streamcam.pipeline.workers import Worker
from streamcam.session.events import Event, OutputEffect, OutputFailed, WriteStatistics
from streamcam.session.state import LiveState
from streamcam.session.threads import Explained

Item = TypeVar("Item")

Emit = Callable[[Event], None]
"""Reports an event to the session; may be called from any thread."""

PATIENCE_S = 15.0
"""How long closing waits for an output's disk or encoder, in seconds."""

_WAITING_LINES = 64


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class Tile:
    """One of several streams, as it is shown."""

    stream: int
    """Its index."""
    frame: Frame | None
    """None before its first frame."""
    heat: StabilizedFrame | None
    """The heat to draw; None to show the bare frame."""


@dataclasses.dataclass(frozen=True, slots=True, eq=False)
class LiveFrame:
    """A frame with its heat and the session's state, as handed to the outputs."""

    frame: Frame
    """Of several streams the newest frame of any, with times that increase."""
    heat: StabilizedFrame | None
    """The heat to draw; None to show the bare frame."""
    state: LiveState
    tiles: tuple[Tile, ...] = ()
    """Of several streams those that are shown, in the place of the frame: all, or the one chosen."""


class Output(abc.ABC):
    """Where a live session goes: a window, a recording, a page, a program of your own.

    The session calls everything in its own thread, except `write` of an output that may block.

    Attributes:
        may_block: Whether `write` may take long. It then runs in a thread of its own, and gets the newest
            frame whenever it is ready for one; the frames between are left out.
        hears: Whether it takes the source's audio.
    """

    may_block = True
    hears = False

    def start(self, emit: Emit) -> None:  # noqa: B027 - most outputs need nothing
        """Get ready; called once, before the first frame is there.

        Args:
            emit: Reports an event to the session.

        Raises:
            StreamcamError: if the output cannot be used. The session then ends.
        """

    @abc.abstractmethod
    def write(self, live_frame: LiveFrame) -> None:
        """Show or store a frame. Called again for the same frame when the state or its heat has changed."""

    def hear(self, block: AudioBlock) -> None:  # noqa: B027 - most outputs take none
        """Take audio, without blocking, in the thread that reads the source; only where it `hears`."""

    def take(self, explained: Explained) -> None:  # noqa: B027
        """Take note of an explanation, without blocking; called once for each, in order."""

    def handle(self, effect: OutputEffect, live_frame: LiveFrame | None) -> bool:  # noqa: ARG002
        """Carry out what a command asks of the outputs, without blocking.

        Args:
            effect: What is asked for.
            live_frame: What is shown now; None before the first frame.

        Returns:
            Whether this output is one that does such things.

        Raises:
            StreamcamError: if it cannot be done; the session shows why and continues.
        """
        return False

    def counts(self) -> dict[str, int]:
        """Return numbers for the statistics file, by name."""
        return {}

    def close(self) -> None:  # noqa: B027
        """Finish everything and wait for it, `PATIENCE_S` at most; may be called again."""


class QueueWorker(Generic[Item]):
    """A thread that works through items in order and drops the oldest when it cannot keep up.

    An exception in the work ends the thread, and is handed to `failed`.
    """

    def __init__(
        self,
        name: str,
        work: Callable[[Item], None],
        *,
        capacity: int,
        failed: Callable[[BaseException], None],
        finish: Callable[[], None] = lambda: None,
    ) -> None:
        """Start the thread.

        Args:
            name: Name of the thread, after ``streamcam-``.
            work: Called with each item.
            capacity: How many items may wait.
            failed: Called in the thread with the exception that `work` or `finish` raised.
            finish: Called in the thread after the last item.
        """
        self._items: Channel[Item] = Channel(capacity, "drop_oldest")
        items = self._items

        def run() -> None:
            for item in items:
                work(item)
            finish()

        def forget() -> None:
            """Drop what still waits: nobody takes it, and it is much to keep while the session runs."""
            items.fail(ChannelClosedError("the worker has ended"))

        self._worker = Worker(name, run, on_error=failed, on_end=forget)
        self._worker.start()

    @property
    def dropped(self) -> int:
        """How many items were dropped."""
        return self._items.dropped

    @property
    def has_ended(self) -> bool:
        """Whether the thread has ended."""
        return self._worker.join(0)

    def put(self, item: Item) -> None:
        """Add an item; does nothing once the thread has ended."""
        with contextlib.suppress(ChannelClosedError):
            self._items.put(item)

    def stop(self) -> None:
        """Let the thread end after what is waiting; does not wait."""
        self._items.close()

    def join(self, patience_s: float) -> bool:
        """Stop and wait for the thread; return whether it has ended."""
        self.stop()
        return self._worker.join(patience_s)


class OutputWorker(Output):
    """An output whose `write` may block, run in a thread of its own with the newest frame only."""

    may_block = False

    def __init__(self, output: Output) -> None:
        """Wrap an output.

        Args:
            output: Used by this object only from now on.
        """
        self._output = output
        self._worker: QueueWorker[LiveFrame] | None = None
        self._name = type(output).__name__
        self.hears = output.hears

    def start(self, emit: Emit) -> None:
        """Start the output and its thread."""
        self._output.start(emit)

        def report(error: BaseException) -> None:
            emit(OutputFailed(f"{self._name} has failed ({describe(error)})"))
            with contextlib.suppress(Exception):
                self._output.close()

        self._worker = QueueWorker(
            "output", self._output.write, capacity=1, failed=report, finish=self._output.close
        )

    def write(self, live_frame: LiveFrame) -> None:
        """Hand over a frame without waiting."""
        if self._worker is not None:
            self._worker.put(live_frame)

    def hear(self, block: AudioBlock) -> None:
        """Pass audio on."""
        self._output.hear(block)

    def take(self, explained: Explained) -> None:
        """Pass on an explanation."""
        self._output.take(explained)

    def handle(self, effect: OutputEffect, live_frame: LiveFrame | None) -> bool:
        """Pass on what is asked for."""
        return self._output.handle(effect, live_frame)

    def counts(self) -> dict[str, int]:
        """Return the output's numbers."""
        return self._output.counts()

    def close(self) -> None:
        """Wait for the frame in progress, and close the output; one that hangs is left behind."""
        if self._worker is not None:
            self._worker.join(PATIENCE_S)


class StatisticsFile(Output):
    """JSON lines: one for each second, and a last one for the whole run, with ``"whole_run": true``.

    Stands last among the outputs, so that the last line counts what the others did until their end.
    """

    may_block = False

    def __init__(self, path: Path) -> None:
        """Describe the file.

        Args:
            path: Replaced if it exists, when the session starts.
        """
        self._path = path
        self._worker: QueueWorker[dict[str, Any]] | None = None

    def start(self, emit: Emit) -> None:
        """Create the file.

        Raises:
            SinkError: if it cannot be written.
        """
        try:
            file = self._path.open("w", encoding="utf-8")
        except OSError as error:
            raise SinkError(f"cannot write {str(self._path)!r}: {error.strerror}") from error

        def write(record: dict[str, Any]) -> None:
            file.write(json.dumps(record) + "\n")
            file.flush()  # others read it while it grows

        def report(error: BaseException) -> None:
            with contextlib.suppress(OSError):  # what a full disk refused is reported already
                file.close()
            emit(OutputFailed(f"cannot write {str(self._path)!r}: {describe(error)}", self._path))

        self._worker = QueueWorker(
            "statistics", write, capacity=_WAITING_LINES, failed=report, finish=file.close
        )

    def write(self, live_frame: LiveFrame) -> None:
        """Do nothing: lines come once a second."""

    def handle(self, effect: OutputEffect, live_frame: LiveFrame | None) -> bool:  # noqa: ARG002
        """Add a line."""
        if not isinstance(effect, WriteStatistics) or self._worker is None:
            return False
        self._worker.put(effect.record)
        return True

    def close(self) -> None:
        """Close the file."""
        if self._worker is not None:
            self._worker.join(PATIENCE_S)


def describe(error: BaseException) -> str:
    """Say in one line what went wrong."""
    text = " ".join((getattr(error, "strerror", None) or str(error)).split())
    return text or type(error).__name__
