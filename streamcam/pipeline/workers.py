"""Background threads: one way to start, to fail and to end them."""

from __future__ import annotations

import atexit
import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from streamcam.pipeline.channel import Channel, ChannelClosedError

Item = TypeVar("Item")


class Worker:
    """A named background thread that never dies quietly.

    Its body ends by returning, or by a channel that is closed under it; both are orderly. Whatever else it
    raises is handed to `on_error`, most often the `fail` of the channel that it fills.
    """

    def __init__(
        self,
        name: str,
        body: Callable[[], None],
        *,
        on_error: Callable[[BaseException], None],
        on_end: Callable[[], None] = lambda: None,
    ) -> None:
        """Prepare a thread; it does not run yet.

        Args:
            name: Name of the thread, after ``streamcam-``.
            body: Function that it runs.
            on_error: Called in the thread with what the body raised.
            on_end: Called in the thread at its very end, however it came.
        """
        # A daemon: a device that hangs in a read must not keep the interpreter from ending. Only the thread
        # refers to the functions, until it ends: whoever owns a worker is often what they belong to.
        self._thread = threading.Thread(
            target=_run, args=(body, on_error, on_end), name=f"streamcam-{name}", daemon=True
        )

    def start(self) -> None:
        """Start the thread."""
        self._thread.start()

    def join(self, timeout_s: float | None = None) -> bool:
        """Wait for the end of the thread; called in the thread itself, or before its start, do not wait.

        Args:
            timeout_s: Longest time to wait in seconds; None for as long as it takes.

        Returns:
            Whether it has ended.
        """
        # Garbage is collected in any thread, so a finalizer may come to wait for its own.
        if self._thread.ident is not None and self._thread is not threading.current_thread():
            self._thread.join(timeout_s)
        return not self._thread.is_alive()

    def join_at_exit(self) -> None:
        """Let the interpreter wait for the end of a thread that computes before it exits.

        A library that is cut off in the middle of its work aborts the process.
        """
        if self._thread.is_alive():
            atexit.register(self._thread.join)


def _run(
    body: Callable[[], None], on_error: Callable[[BaseException], None], on_end: Callable[[], None]
) -> None:
    try:
        body()
    except ChannelClosedError:  # nobody needs the rest
        pass
    except BaseException as error:  # whatever it is, somebody has to hear of it
        on_error(error)
    finally:
        on_end()


@contextlib.contextmanager
def prefetch(
    items: Iterable[Item], *, maxsize: int, name: str, interrupt: Callable[[], None]
) -> Iterator[Iterator[Item]]:
    """Run an iterator in a background thread with a bounded buffer.

    On leaving the context the thread has ended, and what nobody took is dropped.

    Args:
        items: Iterable, used in that thread only.
        maxsize: Number of finished items that may wait.
        name: Name of the thread, after ``streamcam-``.
        interrupt: Ends a wait inside ``items``, so that the thread can end; called on leaving.

    Yields:
        The same items, in order; what ``items`` raises is raised there.
    """
    channel: Channel[Item] = Channel(maxsize)

    def fill() -> None:
        for item in items:
            channel.put(item)

    worker = Worker(name, fill, on_error=channel.fail, on_end=channel.close)
    worker.start()
    try:
        yield channel
    finally:
        channel.close()
        interrupt()
        worker.join()
