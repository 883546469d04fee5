"""Encoded video on its way to a server through a process of its own, which may be waited for."""

from __future__ import annotations

import contextlib
import dataclasses
import errno
import json
import subprocess
import sys
import threading
import time
from collections.abc import Iterator, Mapping
from pathlib import Path

_PROGRAM = Path(__file__).with_name("relay_process.py")
_LOOKS_EVERY_S = 0.2


@dataclasses.dataclass(frozen=True, slots=True)
class Address:
    """Where a video goes, for FFmpeg."""

    url: str
    muxer: str
    options: Mapping[str, str]


class Relay:
    """A file to write NUT into, which another process passes on. Belongs to one thread.

    Nothing here takes longer than the patience: the process is ended then.
    """

    def __init__(self, address: Address, patience_s: float) -> None:
        """Start the process.

        Args:
            address: Where the video goes.
            patience_s: How long connecting, each write and the end may take, in seconds.

        Raises:
            OSError: if there can be no more processes.
        """
        self._patience_s = patience_s
        self._process = subprocess.Popen(
            [sys.executable, "-P", str(_PROGRAM)],
            stdin=subprocess.PIPE,
            stdout=subprocess.PIPE,
            stderr=subprocess.DEVNULL,  # FFmpeg's messages hold the whole URL, with its key
            bufsize=0,
            start_new_session=True,
        )
        self._reason = ""
        self._is_ready = threading.Event()
        self._waits_until_s: float | None = None
        self._listener = threading.Thread(target=self._listen, name="streamcam-relay-listener", daemon=True)
        self._watch = threading.Thread(target=self._end_if_late, name="streamcam-relay-watch", daemon=True)
        self._listener.start()
        self._watch.start()
        self.write(json.dumps(dataclasses.asdict(address)).encode() + b"\n")

    def write(self, data: bytes | memoryview) -> int:
        """Hand data over.

        Raises:
            ConnectionError: if the process has ended, or takes nothing.
        """
        stream = self._process.stdin
        assert stream is not None
        rest = memoryview(data).cast("B")
        size = len(rest)
        with self._patience(), self._explained():
            while rest:
                rest = rest[stream.write(rest) or 0 :]
        return size

    def wait_until_ready(self) -> None:
        """Wait until the server has accepted.

        Raises:
            ConnectionError: if it does not.
        """
        with self._patience():
            self._is_ready.wait()
        if self._process.poll() is not None or self._reason:
            raise self._failure()

    def finish(self) -> None:
        """Let the process end the stream in order, and wait for it.

        Raises:
            ConnectionError: if the server was gone.
        """
        stream = self._process.stdin
        assert stream is not None
        with self._patience():
            with contextlib.suppress(OSError):
                stream.close()
            self._process.wait()
        self._join()
        if self._process.returncode:
            raise self._failure()

    def abort(self) -> None:
        """End the process; may be called again."""
        self._process.kill()
        self._process.wait()
        if self._process.stdin is not None:
            with contextlib.suppress(OSError):
                self._process.stdin.close()
        self._join()

    def _join(self) -> None:
        self._listener.join()
        self._watch.join()
        if self._process.stdout is not None:
            self._process.stdout.close()

    @contextlib.contextmanager
    def _patience(self) -> Iterator[None]:
        self._waits_until_s = time.monotonic() + self._patience_s
        try:
            yield
        finally:
            self._waits_until_s = None

    @contextlib.contextmanager
    def _explained(self) -> Iterator[None]:
        """Say why the process has ended, where a pipe is broken."""
        try:
            yield
        except OSError:
            self._process.wait()
            self._listener.join()
            raise self._failure() from None

    def _failure(self) -> ConnectionError:
        return ConnectionError(errno.ECONNABORTED, self._reason or "the connection has ended")

    def _listen(self) -> None:
        """Take what the process says, to its end."""
        assert self._process.stdout is not None
        for line in self._process.stdout:
            word, _, rest = line.decode(errors="replace").strip().partition(" ")
            if word == "error" and not self._reason:
                self._reason = rest
            self._is_ready.set()
        self._is_ready.set()

    def _end_if_late(self) -> None:
        """End the process where somebody waits for too long."""
        while self._process.poll() is None:
            until_s = self._waits_until_s
            if until_s is not None and time.monotonic() > until_s:
                self._reason = self._reason or f"no answer within {self._patience_s:g} s"
                self._process.kill()
            with contextlib.suppress(subprocess.TimeoutExpired):
                self._process.wait(_LOOKS_EVERY_S)
