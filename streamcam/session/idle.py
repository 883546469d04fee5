"""The way back to the beginning of a live session that nobody uses."""

from __future__ import annotations

from collections.abc import Callable, Sequence

from streamcam.session.command_sources import CommandCall, CommandSource, KeyPress


class IdleReset:
    """Passes on the commands of others, and gives its own when there was none for long."""

    def __init__(self, sources: Sequence[CommandSource], idle_s: float, clock: Callable[[], float]) -> None:
        """Wrap all sources of commands of a session.

        Args:
            sources: Where commands come from.
            idle_s: Seconds without a command after which all is as at the beginning, and recordings that were
                asked for end: whoever comes next has not asked to be recorded.
            clock: Returns monotonic seconds.
        """
        self._sources = sources
        self._idle_s = idle_s
        self._clock = clock
        self._commanded_s: float | None = None

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        """Return what was asked for since the last call, without waiting."""
        asked = [command for source in self._sources for command in source.poll()]
        now_s = self._clock()
        if asked:
            self._commanded_s = now_s
        elif self._commanded_s is not None and now_s - self._commanded_s >= self._idle_s:
            self._commanded_s = None
            return [CommandCall("end_recordings"), CommandCall("defaults")]
        return asked
