"""Making items ahead of the one who uses them."""

from __future__ import annotations

import contextlib
import threading
from collections.abc import Callable, Iterable, Iterator
from typing import TypeVar

from streamcam.pipeline.channel import Channel, ChannelClosedError

Item = TypeVar("Item")


@contextlib.contextmanager
def prefetched(
    items: Iterable[Item], *, waiting: int, name: str, interrupt: Callable[[], None]
) -> Iterator[Iterator[Item]]:
    """Have a thread of its own make items while those before them are used.

    On leaving the context the thread has ended; what it had made and nobody took is dropped.

    Args:
        items: Iterated over in that thread only.
        waiting: How many finished items may wait to be used.
        name: Of the thread.
        interrupt: Ends a wait inside ``items``, so that the thread can end; called on leaving.

    Yields:
        The same items, in order; what ``items`` raises surfaces there.
    """
    channel: Channel[Item] = Channel(waiting)
    thread = threading.Thread(target=_hand_over, args=(items, channel), name=name, daemon=True)
    thread.start()
    try:
        yield channel
    finally:
        channel.close()
        interrupt()
        thread.join()


def _hand_over(items: Iterable[Item], channel: Channel[Item]) -> None:
    try:
        for item in items:
            channel.put(item)
    except ChannelClosedError:  # nobody wants any more
        return
    except BaseException as error:  # whatever it is, it is the caller's
        channel.fail(error)
        return
    channel.close()
