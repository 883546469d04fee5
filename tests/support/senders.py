"""Streams on the loopback: the ffmpeg program sends them, and for RTSP a server hands them out."""

from __future__ import annotations

import socket
import subprocess
import threading
from pathlib import Path
from types import TracebackType
from typing import Self

import pytest
from programs import SYSTEM_PYTHON
from stage_fakes import LIMIT_S

from streamcam.errors import SourceError
from streamcam.sources.network import NetworkCapture

USER, SECRET = "admin", "hunter2"

# How the sender and the receiver name one stream, the port left open.
PROTOCOLS = {
    "udp": (["udp://127.0.0.1:{}?pkt_size=1316"], "udp://127.0.0.1:{}"),
    "tcp": (["tcp://127.0.0.1:{}?listen=1"], "tcp://127.0.0.1:{}"),
    "http": (["-listen", "1", "http://127.0.0.1:{}/live.ts"], "http://127.0.0.1:{}/live.ts"),
}


def free_port() -> int:
    """A port that nobody listens at, for UDP and TCP."""
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sender:
    """The ffmpeg program, sending a video round and round at its own pace."""

    def __init__(self, clip: Path, protocol: str, port: int) -> None:
        video = ["-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "mpegts"]
        target = [part.format(port) for part in PROTOCOLS[protocol][0]]
        self._process = subprocess.Popen(["ffmpeg", "-v", "quiet", "-nostdin", *video, *target])

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(LIMIT_S)


class RtspServer:
    """A server that wants a password, and the sender whose video it hands out.

    Attributes:
        url: With user and password.
        transports: What its clients asked for, once it is killed.
    """

    def __init__(self, clip: Path) -> None:
        self.port, self._video_port = free_port(), free_port()
        self.url = f"rtsp://{USER}:{SECRET}@127.0.0.1:{self.port}/cam"
        self.transports: list[str] = []
        self._clip = clip

    def __enter__(self) -> Self:
        self.start_server()
        self.start_sender()
        return self

    def __exit__(
        self, kind: type[BaseException] | None, error: BaseException | None, trace: TracebackType | None
    ) -> None:
        self.kill_sender()
        self.kill_server()

    def start_server(self) -> None:
        script = str(Path(__file__).parent / "rtsp_server.py")
        self._server = subprocess.Popen(
            [SYSTEM_PYTHON, script, str(self.port), str(self._video_port), USER, SECRET],
            stdout=subprocess.PIPE,
            text=True,
        )
        assert self._server.stdout is not None
        assert self._server.stdout.readline() == "ready\n"

    def start_sender(self) -> None:
        self._sender = Sender(self._clip, "udp", self._video_port)

    def kill_server(self) -> None:
        if self._server.poll() is None:
            self._server.kill()
            self.transports += self._server.communicate(timeout=LIMIT_S)[0].splitlines()

    def kill_sender(self) -> None:
        self._sender.kill()


class PatientCapture(NetworkCapture):
    """Tries again to open until there is somebody: a sender needs a moment before it listens."""

    def open(self) -> None:
        for _ in range(int(LIMIT_S * 10)):
            try:
                super().open()
            except SourceError:
                threading.Event().wait(0.1)
            else:
                return
        pytest.fail("nobody ever sent anything")
