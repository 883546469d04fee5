"""Cancelling methods that run the network many times for one map."""

from __future__ import annotations

import contextlib
from collections.abc import Callable, Iterator

from streamcam.errors import CancelledError

IsCancelled = Callable[[], bool]
"""Returns whether nobody waits for a result any more. Called in the explaining thread."""


class Cancellation:
    """Ends the work on a batch between two runs of the network, once nobody waits for its maps any more."""

    def __init__(self) -> None:
        self._is_cancelled: IsCancelled | None = None

    @contextlib.contextmanager
    def asking(self, is_cancelled: IsCancelled | None) -> Iterator[None]:
        """Ask this inside of the context; None for work that is never cancelled."""
        before, self._is_cancelled = self._is_cancelled, is_cancelled
        try:
            yield
        finally:
            self._is_cancelled = before

    def check(self) -> None:
        """Go on, unless the work is cancelled.

        Raises:
            CancelledError: if it is.
        """
        if self._is_cancelled is not None and self._is_cancelled():
            raise CancelledError("explaining was cancelled")
