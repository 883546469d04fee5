"""Waiting for what is new: images and states on their way to browsers."""

from __future__ import annotations

import asyncio


class News:
    """Wakes all who wait when there is something new, and at the end. Belongs to the event loop's thread."""

    def __init__(self) -> None:
        self._event = asyncio.Event()
        self._has_ended = False

    def wake(self) -> None:
        """Wake all who wait."""
        self._event.set()
        self._event = asyncio.Event()

    def end(self) -> None:
        """Wake all who wait, for the last time."""
        self._has_ended = True
        self.wake()

    async def wait(self) -> bool:
        """Wait for news; return whether there will be more."""
        if not self._has_ended:
            await self._event.wait()
        return not self._has_ended
