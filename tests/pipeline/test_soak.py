"""A preview that goes on for long: nothing may grow with the number of things that went wrong.

An hour of it is `benchmarks/soak.py`.
"""

from __future__ import annotations

import contextlib
import gc
import os
import socket
import sys
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_fakes import FakeDisplay, FakeExplainers
from media_factory import make_clip
from stage_fakes import LIMIT_S

from streamcam.session.captures import Recordings, Snapshots
from streamcam.session.outputs import StatisticsFile
from streamcam.session.session import LiveSession
from streamcam.sources import capture as capture_module
from streamcam.sources.capture import ReconnectingSource
from streamcam.sources.network import NetworkCapture

_WARM_UP, _RECONNECTS = 10, 40
_MOST_GROWTH_MB = 30
"""The decoder's memory of one connection is 3 MB and more."""


@pytest.fixture
def port(tmp_path: Path) -> Iterator[int]:
    """The port of a server that sends a few images to everybody, and hangs up."""
    video = make_clip(tmp_path / "video.mkv", frames=40, size=(1280, 720)).read_bytes()
    with socket.create_server(("127.0.0.1", 0)) as server:

        def serve() -> None:
            while True:
                client, _ = server.accept()
                with client, contextlib.suppress(OSError):
                    if ended.is_set():
                        return
                    client.sendall(video)

        ended = threading.Event()
        thread = threading.Thread(target=serve)
        thread.start()
        yield int(server.getsockname()[1])
        ended.set()
        socket.create_connection(server.getsockname()).close()
        thread.join(LIMIT_S)


class CountingCapture(NetworkCapture):
    """Looks at the whole process each time it is opened: (threads, handles, MB of memory)."""

    def __init__(self, url: str, display: FakeDisplay) -> None:
        super().__init__(url, open_timeout_s=LIMIT_S, read_timeout_s=LIMIT_S)
        self.looks: list[tuple[list[str], int, float]] = []
        self._display = display

    def open(self) -> None:
        names = sorted(thread.name for thread in threading.enumerate())
        pages = int(Path("/proc/self/statm").read_text().split()[1])
        handles = len(list(Path("/proc/self/fd").iterdir()))
        self.looks.append((names, handles, pages * os.sysconf("SC_PAGE_SIZE") / 1e6))
        if len(self.looks) > _WARM_UP + _RECONNECTS:
            self._display.keys.append("q")
        super().open()


@pytest.mark.skipif(not sys.platform.startswith("linux"), reason="memory and handles as Linux tells them")
def test_nothing_grows_with_every_reconnection(
    port: int, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_module, "_FIRST_DELAY_S", 0.0)
    display = FakeDisplay(on_show=lambda _live_frame: (display.shown.clear(), display.frames.clear()))
    capture = CountingCapture(f"tcp://127.0.0.1:{port}", display)
    outputs = [display, Recordings(tmp_path), Snapshots(tmp_path), StatisticsFile(tmp_path / "stats.jsonl")]
    session = LiveSession(ReconnectingSource(capture), FakeExplainers(), outputs)
    gc.disable()  # what is freed at once needs nobody to look for it
    try:
        result = session.run()
    finally:
        gc.enable()
    assert result.statistics.captured >= _RECONNECTS
    (threads, handles, before_mb), (threads_later, handles_later, after_mb) = (
        capture.looks[_WARM_UP],
        capture.looks[_WARM_UP + _RECONNECTS],
    )
    assert threads_later == threads
    assert handles_later == handles
    assert after_mb - before_mb < _MOST_GROWTH_MB
