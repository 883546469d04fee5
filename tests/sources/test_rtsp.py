"""RTSP as cameras speak it: against a real server, which is killed, and whose sender is."""

from __future__ import annotations

import itertools
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from media_factory import make_clip
from programs import require_rtsp_server
from senders import SECRET, USER, PatientFeed, RtspServer

from streamcam.errors import SourceError
from streamcam.sources import live
from streamcam.sources.live import ReconnectingSource
from streamcam.sources.network import NetworkFeed


@pytest.fixture
def server(tmp_path: Path) -> Iterator[RtspServer]:
    require_rtsp_server()
    with RtspServer(make_clip(tmp_path / "clip.mp4", frames=50, gop=5)) as server:
        yield server


def test_a_server_and_a_sender_that_are_killed_and_come_back(
    server: RtspServer, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_FIRST_DELAY_S", 0.05)
    shown = f"'rtsp://***@127.0.0.1:{server.port}/cam'"
    dead: list[str] = []
    notices: list[str] = []

    def note(notice: str | None) -> None:
        if notice is None:
            return
        notices.append(notice)
        for name in dead:
            {"server": server.start_server, "sender": server.start_sender}[name]()
        dead.clear()

    feed = PatientFeed(server.url, open_timeout_s=10.0, read_timeout_s=1.0)
    frames = ReconnectingSource(feed).frames(threading.Event(), note)
    seen = list(itertools.islice(frames, 10))
    for name, kill in (("sender", server.kill_sender), ("server", server.kill_server)):
        dead.append(name)
        kill()
        while dead:  # what was on its way still arrives
            seen.append(next(frames))
        seen += itertools.islice(frames, 10)
    frames.close()  # type: ignore[attr-defined]
    assert notices == [f"{shown} sends nothing any more; trying again", f"{shown} has ended; trying again"]
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
    feed = NetworkFeed(server.url.replace(old, new), open_timeout_s=5.0)
    with pytest.raises(SourceError, match=words) as raised:
        feed.open()
    assert not {word for word in (USER, SECRET, "wrong") if word in str(raised.value)}
