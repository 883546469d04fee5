"""Ctrl-C and SIGTERM: the first one ends the work in order, the second one at once."""

from __future__ import annotations

import contextlib
import signal
import threading
from collections.abc import Callable, Iterator
from types import FrameType

Handler = Callable[[int, FrameType | None], None]


class SignalCount:
    """How many signals have come.

    Attributes:
        received: The number, from 0.
    """

    def __init__(self) -> None:
        self.received = 0


@contextlib.contextmanager
def interrupt_on_signal() -> Iterator[None]:
    """Raise KeyboardInterrupt on any of the signals while inside, as Python itself does on Ctrl-C only."""

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
    """Stop in order on the first signal and leave on the second, while inside.

    Args:
        stop: Ends the work early; must not block.
        announce: Tells the user, in a way that is allowed in the middle of anything.
        leave: Ends the process, in the middle of anything: an exception would have to wait for the threads.
        signals: Where they are counted, so that it is known afterwards whether there was one.
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


@contextlib.contextmanager
def _handled_by(handler: Handler) -> Iterator[None]:
    """Handle the signals while inside; only the main thread can, and elsewhere nothing happens."""
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
    # The terminal was closed; but nohup has the signal ignored, so that work goes on.
    if hang_up is not None and signal.getsignal(hang_up) is not signal.SIG_IGN:
        numbers.append(hang_up)
    return numbers
