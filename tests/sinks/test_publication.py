"""Live images on their way to servers and players."""

from __future__ import annotations

import socket
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from media_factory import make_image
from stage_fakes import LIMIT_S

from streamcam.errors import InvalidArgumentError, NoDirectoryError, SinkError
from streamcam.explanations import RenderedFrame
from streamcam.sinks import Publication, check_publication
from streamcam.sources.capture import TIME_BASE


def rendered(index: int, size: tuple[int, int] = (64, 48)) -> RenderedFrame:
    return RenderedFrame(make_image(*size, index), index * 3600, TIME_BASE)


def free_port() -> int:
    with socket.socket() as probe:
        probe.bind(("127.0.0.1", 0))
        return int(probe.getsockname()[1])


def test_a_player_at_a_tcp_port_shows_what_was_sent() -> None:
    port = free_port()
    received: list[np.ndarray] = []
    listening = threading.Event()

    def play() -> None:
        with socket.socket() as server:
            server.bind(("127.0.0.1", port))
            server.listen(1)
            server.settimeout(LIMIT_S)
            listening.set()
            connection, _ = server.accept()
            with connection, connection.makefile("rb") as stream, av.open(stream, format="mpegts") as video:
                received.extend(frame.to_ndarray() for frame in video.decode(video=0))

    player = threading.Thread(target=play)
    player.start()
    assert listening.wait(LIMIT_S)
    publication = Publication(f"tcp://127.0.0.1:{port}")
    for index in range(30):
        publication.write(rendered(index, (64, 48) if index < 20 else (128, 96)))
    publication.finish()
    player.join(LIMIT_S)
    assert len(received) == 30
    for index in (0, 10, 29):
        sent = make_image(64, 48, index).to_ndarray()[:48]
        assert np.abs(received[index][:48].astype(int) - sent).mean() < 4


def test_a_folder_for_hls_keeps_the_last_segments(tmp_path: Path) -> None:
    publication = Publication(f"hls:{tmp_path / 'hls'}")
    for index in range(25 * 30):
        publication.write(rendered(index))
    publication.finish()
    playlist = (tmp_path / "hls" / "index.m3u8").read_text()
    assert "#EXT-X-TARGETDURATION:2" in playlist
    assert 6 <= len(list((tmp_path / "hls").glob("*.ts"))) <= 8
    with av.open(str(tmp_path / "hls" / "index.m3u8")) as video:
        assert 250 <= sum(1 for _ in video.decode(video=0)) <= 310


def test_nobody_there_is_said_without_the_key() -> None:
    publication = Publication(f"rtmp://127.0.0.1:{free_port()}/live/s3cretKey123456789")
    with pytest.raises(SinkError, match=r"cannot publish to rtmp://127\.0\.0\.1:\d+/\*\*\*") as raised:
        publication.write(rendered(0))
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None
    publication.abort()
    publication.finish()  # nothing is left to do


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("out.mp4", InvalidArgumentError, "'out.mp4' is no target to publish to; give rtmp:…"),
        ("gopher://host/x", InvalidArgumentError, "unknown protocol 'gopher'"),
        ("rtmp:///live", InvalidArgumentError, "names no host"),
        ("whip:host", InvalidArgumentError, "is no address of a WHIP server"),
        ("whip:https://", InvalidArgumentError, "names no host"),
        ("hls:", NoDirectoryError, "no directory"),
        ("hls:/no/such/folder", NoDirectoryError, "no directory '/no/such'"),
    ],
)
def test_targets_that_cannot_be(target: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        check_publication(target)
