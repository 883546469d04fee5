"""Notes of a session to systemd: that it has begun, that it goes on, and that it ends."""

from __future__ import annotations

import contextlib
import os
import socket
import time
from collections.abc import Callable, Mapping, Sequence

from streamcam.session.command_sources import CommandCall, KeyPress
from streamcam.session.outputs import Emit, LiveFrame, Output

_SOCKET = "NOTIFY_SOCKET"
_INTERVAL = "WATCHDOG_USEC"


class ServiceNotifier(Output):
    """Sends notes to the service manager that started the process, by the protocol of sd_notify(3).

    The session asks every source of commands in each turn of its loop: one that hangs sends no notes, and is
    started again where the service has a watchdog. It gives no commands.
    """

    may_block = False

    def __init__(
        self,
        environment: Mapping[str, str] = os.environ,
        clock: Callable[[], float] = time.monotonic,
    ) -> None:
        """Read where to send notes to.

        Args:
            environment: Has ``NOTIFY_SOCKET`` and, where there is a watchdog, ``WATCHDOG_USEC``.
            clock: Returns monotonic seconds.
        """
        self._address = environment.get(_SOCKET, "")
        interval = environment.get(_INTERVAL, "")
        # Half of the time that the manager waits, as it recommends.
        self._every_s = int(interval) / 2e6 if interval.isdecimal() and int(interval) else None
        self._clock = clock
        self._sent_s = clock()

    @staticmethod
    def is_expected(environment: Mapping[str, str] = os.environ) -> bool:
        """Return whether a service manager waits for notes."""
        return bool(environment.get(_SOCKET))

    def start(self, emit: Emit) -> None:  # noqa: ARG002
        """Say that the session has begun."""
        self._send("READY=1")

    def write(self, live_frame: LiveFrame) -> None:
        """Do nothing: the manager sees no images."""

    def poll(self) -> Sequence[KeyPress | CommandCall]:
        """Say that the session goes on, if it is time."""
        now_s = self._clock()
        if self._every_s is not None and now_s - self._sent_s >= self._every_s:
            self._sent_s = now_s
            self._send("WATCHDOG=1")
        return ()

    def close(self) -> None:
        """Say that the session ends."""
        self._send("STOPPING=1")

    def _send(self, note: str) -> None:
        # An address that begins with @ has no file.
        address = f"\0{self._address[1:]}" if self._address.startswith("@") else self._address
        with contextlib.suppress(OSError), socket.socket(socket.AF_UNIX, socket.SOCK_DGRAM) as sender:
            sender.sendto(note.encode(), address)
