"""Network streams: real ones on the loopback, sent by the ffmpeg program; and what must not be shown."""

from __future__ import annotations

import itertools
import shutil
import socket
import subprocess
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import pytest
from media_factory import make_clip
from stage_fakes import LIMIT_S

from streamcam.errors import InvalidArgumentError, SourceError, UnknownNameError
from streamcam.sources import live, live_source
from streamcam.sources.live import ReconnectingSource
from streamcam.sources.network import NetworkFeed, redact

SECRET = "hunter2"

# How the sender and the receiver name one stream, the port left open.
PROTOCOLS = {
    "udp": (["udp://127.0.0.1:{}?pkt_size=1316"], "udp://127.0.0.1:{}"),
    "tcp": (["tcp://127.0.0.1:{}?listen=1"], "tcp://127.0.0.1:{}"),
    "http": (["-listen", "1", "http://127.0.0.1:{}/live.ts"], "http://127.0.0.1:{}/live.ts"),
}


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=50, gop=5)


@pytest.fixture
def port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


class Sender:
    """The ffmpeg program, sending a film round and round at its own pace."""

    def __init__(self, clip: Path, protocol: str, port: int) -> None:
        film = ["-re", "-stream_loop", "-1", "-i", str(clip), "-c", "copy", "-f", "mpegts"]
        target = [part.format(port) for part in PROTOCOLS[protocol][0]]
        self._process = subprocess.Popen(["ffmpeg", "-v", "quiet", "-nostdin", *film, *target])

    def kill(self) -> None:
        self._process.kill()
        self._process.wait(LIMIT_S)


class PatientFeed(NetworkFeed):
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


@pytest.mark.skipif(shutil.which("ffmpeg") is None, reason="the ffmpeg program is not installed")
@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_that_is_killed_and_comes_back_goes_on(
    protocol: str, clip: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(live, "_FIRST_DELAY_S", 0.05)
    url = PROTOCOLS[protocol][1].format(port)
    notices: list[str | None] = []
    senders = [Sender(clip, protocol, port)]

    def note(notice: str | None) -> None:
        if notice is not None and len(senders) == 1:
            senders.append(Sender(clip, protocol, port))
        notices.append(notice)

    try:
        feed = PatientFeed(url, open_timeout_s=5.0, read_timeout_s=0.5)
        frames = ReconnectingSource(feed).frames(threading.Event(), note)
        before = [next(frames) for _ in range(10)]
        senders[0].kill()
        after = []
        while len(senders) == 1 or notices[-1] is not None:  # what was on its way still arrives
            after.append(next(frames))
        frames.close()  # type: ignore[attr-defined]
    finally:
        for sender in senders:
            sender.kill()
    together = [*before, *after]
    assert [frame.index for frame in together] == list(range(len(together)))
    assert {(frame.image.width, frame.image.height) for frame in together} == {(64, 48)}
    assert all(one.pts < other.pts for one, other in itertools.pairwise(together))
    assert next(notice for notice in notices if notice is not None).startswith(f"'{url}' ")


def refusing(url: str) -> Iterator[str]:
    """All that is said where a stream cannot be opened, the traceback included."""
    feed = NetworkFeed(url, open_timeout_s=0.3, read_timeout_s=0.3)
    with pytest.raises(SourceError) as raised:
        feed.open()
    yield str(raised.value)
    yield "".join(traceback.format_exception(raised.value))
    yield feed.name


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://admin:{}@127.0.0.1:{}/cam",
        "http://admin:{}@127.0.0.1:{}/live.ts",
        "http://127.0.0.1:{1}/live.ts?token={0}",
        "tcp://127.0.0.1:{1}?key={0}",
        "udp://admin:{}@127.0.0.1:{}",
        "rtmp://admin:{}@127.0.0.1:{}/app",
    ],
)
def test_a_stream_that_is_not_there_is_said_without_secrets(url: str, port: int) -> None:
    for words in refusing(url.format(SECRET, port)):
        assert SECRET not in words
        assert "admin" not in words
        assert f"127.0.0.1:{port}" in words


def test_a_protocol_that_is_not_built_in_is_said() -> None:
    messages = list(refusing(f"srt://127.0.0.1:9?passphrase={SECRET}"))
    assert SECRET not in "".join(messages)


@pytest.mark.parametrize(
    ("url", "shown"),
    [
        ("rtsp://host/cam", "rtsp://host/cam"),
        ("rtsp://user:pass@host:554/cam", "rtsp://***@host:554/cam"),
        ("rtsp://user@host/cam", "rtsp://***@host/cam"),
        ("rtsp://user:p@ss@host/cam", "rtsp://***@host/cam"),
        ("rtsp://user:p/ss@host/cam", "rtsp://***"),
        ("rtsp://user:p?ss@host/cam", "rtsp://***"),
        ("rtsp://user:p#ss@host/cam", "rtsp://***"),
        ("http://host/x?token=1&listen=1&y", "http://host/x?token=***&listen=1&***"),
        ("http://host/x#secret", "http://host/x#***"),
        ("http://[bad/x", "http://***"),
        ("clip.mp4", "clip.mp4"),
        ("0", "0"),
    ],
)
def test_redacted(url: str, shown: str) -> None:
    assert redact(url) == shown


def test_urls_that_cannot_be_used_are_misuse() -> None:
    with pytest.raises(UnknownNameError, match="unknown protocol 'concat'"):
        live_source("concat://a|b")
    with pytest.raises(InvalidArgumentError, match="names no host"):
        live_source("udp://")


def test_a_stream_must_not_make_ffmpeg_read_files(tmp_path: Path, port: int) -> None:
    secret = make_clip(tmp_path / "secret.mp4")
    playlist = f"#EXTM3U\n#EXT-X-TARGETDURATION:1\n#EXTINF:1,\nfile://{secret}\n#EXT-X-ENDLIST\n".encode()
    with socket.create_server(("127.0.0.1", port)) as server:

        def serve() -> None:
            client, _ = server.accept()
            with client:
                client.recv(4096)
                head = b"HTTP/1.0 200 OK\r\nContent-Type: application/vnd.apple.mpegurl\r\n\r\n"
                client.sendall(head + playlist)

        thread = threading.Thread(target=serve)
        thread.start()
        feed = NetworkFeed(f"http://127.0.0.1:{port}/live.m3u8", open_timeout_s=3, read_timeout_s=1)

        def grab() -> None:
            feed.open()
            feed.grab()

        with pytest.raises(SourceError):
            grab()
        feed.close()
        thread.join(LIMIT_S)
