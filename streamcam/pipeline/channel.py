"""The bounded, closable channel: the only thing that threads here share."""

from __future__ import annotations

import threading
from collections import deque
from collections.abc import Iterator
from typing import Generic, Literal, TypeVar

Item = TypeVar("Item")
Policy = Literal["block", "drop_oldest"]


class ChannelClosedError(Exception):
    """Put into a channel whose other end has gone: the producer is to stop, and nothing is wrong with it."""


class Channel(Generic[Item]):
    """A queue between one producing and one consuming thread.

    ``close`` ends the consumer after what is queued. ``fail`` wakes both ends at once: the exception
    surfaces in the consumer with its own traceback, and what was queued is dropped. After either, the
    producer's next ``put`` raises `ChannelClosedError`. Nobody polls and nobody sleeps.
    """

    def __init__(self, maxsize: int, policy: Policy = "block") -> None:
        """Make an empty channel.

        Args:
            maxsize: How many items may wait, at least 1.
            policy: What a ``put`` into a full channel does: wait, or drop the oldest item and count it.

        Raises:
            ValueError: if maxsize is below 1.
        """
        if maxsize < 1:
            raise ValueError(f"a channel holds at least one item, not {maxsize}")
        self._maxsize = maxsize
        self._policy = policy
        self._items: deque[Item] = deque()
        # Condition's own lock is re-entrant, and has to be: a signal handler or a finaliser may close a
        # channel in the thread that is just putting into it.
        self._changed = threading.Condition()
        self._closed = False
        self._error: BaseException | None = None
        self._dropped = 0

    @property
    def dropped(self) -> int:
        """How many items were dropped because the channel was full."""
        return self._dropped

    def put(self, item: Item) -> None:
        """Add an item, waiting for room or dropping the oldest, as the policy says.

        Raises:
            ChannelClosedError: if the channel is closed or has failed, also while waiting.
        """
        with self._changed:
            if self._policy == "block":
                self._changed.wait_for(lambda: self._closed or len(self._items) < self._maxsize)
            if self._closed:
                raise ChannelClosedError("the channel takes no more items")
            if len(self._items) >= self._maxsize:
                self._items.popleft()
                self._dropped += 1
            self._items.append(item)
            self._changed.notify_all()

    def take(self, timeout_s: float) -> Item | None:
        """Take the next item, waiting for it a while.

        Args:
            timeout_s: How long to wait in seconds; 0 to take only what is there already.

        Returns:
            The item, or None if none has come in that time.

        Raises:
            ChannelClosedError: if the channel is closed and empty.
            BaseException: what `fail` was given.
        """
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed, timeout_s)
            if self._error is not None:
                raise self._error
            if not self._items:
                if self._closed:
                    raise ChannelClosedError("the channel holds no more items")
                return None
            item = self._items.popleft()
            self._changed.notify_all()
            return item

    def close(self) -> None:
        """Let the consumer end after what is queued; does nothing to a closed channel."""
        with self._changed:
            self._closed = True
            self._changed.notify_all()

    def fail(self, error: BaseException) -> None:
        """Wake both ends and raise an exception in the consumer; the first failure is the one that counts."""
        if isinstance(error, StopIteration):
            # Raised from __next__ it would look like an orderly end (see PEP 479).
            stopped = RuntimeError("a stage raised StopIteration")
            stopped.__cause__ = error
            error = stopped
        with self._changed:
            if self._error is None:
                self._error = error
            self._closed = True
            self._items.clear()
            self._changed.notify_all()

    def __iter__(self) -> Iterator[Item]:
        """Yield items until the channel is closed and empty.

        Raises:
            BaseException: what `fail` was given.
        """
        return self

    def __next__(self) -> Item:
        with self._changed:
            self._changed.wait_for(lambda: self._items or self._closed)
            if self._error is not None:
                raise self._error
            if not self._items:
                raise StopIteration
            item = self._items.popleft()
            self._changed.notify_all()
            return item
