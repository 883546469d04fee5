"""RTSP as cameras speak it: against a real server, which is killed, and whose sender is."""

from __future__ import annotations

import itertools
from collections.abc import Iterator
from pathlib import Path

import pytest
from live_fakes import NotedSource
from media_factory import make_clip
from programs import require_rtsp_server
from senders import SECRET, USER, PatientCapture, RtspServer

from streamcam.errors import SourceError
from streamcam.sources import capture as capture_module
from streamcam.sources.network import NetworkCapture


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspServer]:
    require_rtsp_server()
    with RtspServer(make_clip(tmp_path / "clip.mp4", frames=50, gop=5)) as server:
        yield server


def test_a_server_and_a_sender_that_are_killed_and_come_back(
    server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(capture_module, "_FIRST_DELAY_S", 0.05)
    shown = f"'rtsp://***@127.0.0.1:{server.port}/cam'"
    dead: list[str] = []

    def note(notice: str | None) -> None:
        if notice is None:
            return
        for name in dead:
            {"server": server.start_server, "sender": server.start_sender}[name]()
        dead.clear()

    capture = PatientCapture(server.url, open_timeout_s=10.0, read_timeout_s=1.0)
    source = NotedSource(capture, note)
    frames = iter(source)
    seen = list(itertools.islice(frames, 10))
    for name, kill in (("sender", server.kill_sender), ("server", server.kill_server)):
        dead.append(name)
        kill()
        while dead:  # what was on its way still arrives
            seen.append(next(frames))
        seen += itertools.islice(frames, 10)
    source.close()
    assert [notice for notice in source.notices if notice] == [
        f"{shown} sends nothing any more; trying again",
        f"{shown} has ended; trying again",
    ]
    assert [frame.index for frame in seen] == list(range(len(seen)))
    assert {(frame.image.width, frame.image.height) for frame in seen} == {(64, 48)}
    assert all(one.pts < other.pts for one, other in itertools.pairwise(seen))
    server.kill_server()
    assert len(server.transports) == 3
    assert all(transport.startswith("RTP/AVP/TCP;") for transport in server.transports)


@pytest.mark.parametrize(
    ("old", "new", "words"),
    [
        (SECRET, "wrong", "401 Unauthorized"),
        (f"{USER}:{SECRET}@", "", "401 Unauthorized"),
        ("/cam", "/no", "404"),
    ],
)
def test_what_the_server_refuses_is_said_without_the_password(
    old: str, new: str, words: str, server: RtspServer
) -> None:
    capture = NetworkCapture(server.url.replace(old, new), open_timeout_s=5.0)
    with pytest.raises(SourceError, match=words) as raised:
        capture.open()
    assert not {word for word in (USER, SECRET, "wrong") if word in str(raised.value)}
