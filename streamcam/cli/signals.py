"""Ctrl-C and SIGTERM: the first one finishes the output and stops, the second one exits at once."""

from __future__ import annotations

import contextlib
import os
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType
from typing import TYPE_CHECKING

from streamcam.cli.exit_codes import EXIT_INTERRUPTED

if TYPE_CHECKING:
    from streamcam.cli.progress import ProgressLine

Handler = Callable[[int, FrameType | None], None]


class SignalCount:
    """Counter of the signals received.

    Attributes:
        received: Number of signals so far.
    """

    def __init__(self) -> None:
        self.received = 0


@contextlib.contextmanager
def interrupt_on_signal() -> Iterator[None]:
    """Raise KeyboardInterrupt on any of the signals in this context, as Python does on Ctrl-C."""

    def handle(_number: int, _frame: FrameType | None) -> None:
        raise KeyboardInterrupt

    with _handled_by(handle):
        yield


@contextlib.contextmanager
def stop_on_signal(
    stop: Callable[[], None],
    announce: Callable[[], None],
    leave: Callable[[], None],
    signals: SignalCount,
) -> Iterator[None]:
    """Stop the work on the first signal and exit the process on the second, in this context.

    Args:
        stop: Ends the work early; must not block.
        announce: Informs the user; must be safe in a signal handler.
        leave: Exits the process; must be safe in a signal handler. An exception would wait for threads.
        signals: Counts the signals.
    """

    def handle(_number: int, _frame: FrameType | None) -> None:
        signals.received += 1
        if signals.received > 1:
            leave()
        else:
            stop()
            announce()

    with _handled_by(handle):
        yield


def leave(line: ProgressLine, message: str) -> None:
    """Delete unfinished files and exit the process; safe in a signal handler."""
    from streamcam.files import discard_all

    try:
        discard_all()
        line.wipe()
        os.write(2, f"{message}\n".encode(errors="replace"))
    finally:
        os._exit(EXIT_INTERRUPTED)


@contextlib.contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    """Install a signal handler in this context; in threads other than the main one, do nothing."""
    if threading.current_thread() is not threading.main_thread():
        yield
        return
    previous = {number: signal.signal(number, handler) for number in _signals()}
    try:
        yield
    finally:
        for number, former in previous.items():
            signal.signal(number, former)


def _signals() -> list[signal.Signals]:
    numbers = [signal.SIGINT, signal.SIGTERM]
    hang_up = getattr(signal, "SIGHUP", None)  # not on Windows
    # Sent when the terminal closes; nohup ignores it, so that the work goes on.
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    return numbers
