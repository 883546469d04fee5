"""Live images on their way to servers and players."""

from __future__ import annotations

import itertools
import socket
import threading
from pathlib import Path

import av
import numpy as np
import pytest
from live_fakes import HastyStop
from media_factory import Audio, make_clip, make_image
from stage_fakes import LIMIT_S, expect
from waveforms import delay_of, waveform_of
from whip_server import WhipServer

from streamcam.errors import InvalidArgumentError, NoDirectoryError, SinkError
from streamcam.explanations import RenderedFrame
from streamcam.frames import AudioBlock
from streamcam.sinks import Publication, check_publication
from streamcam.sinks import publication as publication_module
from streamcam.sources import open_source
from streamcam.sources.capture import TIME_BASE
from streamcam.sources.paced import PacedSource


def loud_audio(length_s: float) -> av.AudioFrame:
    """A tone of 440 Hz."""
    rate = 48000
    wave = 0.5 * np.sin(np.arange(round(length_s * rate)) * 2 * np.pi * 440 / rate)
    audio = av.AudioFrame.from_ndarray(wave.astype(np.float32)[None], "flt", "mono")
    audio.sample_rate = rate
    return audio


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


def test_audio_is_heard_when_it_was(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=75, audio=[Audio("aac", duration_s=3.0, rate=44100)])
    source = PacedSource(open_source(clip), audio=clip, clock=lambda: 0.0)
    source.stop_flag = HastyStop()
    heard: list[AudioBlock] = []
    source.on_audio = heard.append
    assert source.info.has_audio
    publication = Publication(f"hls:{tmp_path / 'hls'}", has_audio=True)
    for frame in source:
        publication.write(RenderedFrame(frame.image, frame.pts, frame.time_base))
        while heard and heard[0].time_s <= frame.time_s:
            publication.write_audio(heard.pop(0))
    publication.finish()
    played = waveform_of(tmp_path / "hls" / "index.m3u8")
    given = waveform_of(clip)
    assert abs(delay_of(played, given)) < 240  # 5 ms
    loud = slice(9600, 2 * 48000)
    assert np.corrcoef(played[loud], given[loud])[0, 1] > 0.9


def test_gaps_in_the_audio_are_silent_and_what_is_late_is_left_out(tmp_path: Path) -> None:
    publication = Publication(f"hls:{tmp_path / 'hls'}", has_audio=True)
    times_s = [-0.5, 0.0, 0.1, 0.2, 0.5, 0.6, 0.2, 4.0, 4.1]
    for index in range(120):
        publication.write(rendered(index))
        while times_s and times_s[0] <= index / 25:
            publication.write_audio(AudioBlock(loud_audio(0.1), times_s.pop(0)))
    publication.finish()
    played = waveform_of(tmp_path / "hls" / "index.m3u8")
    level = np.abs(played).reshape(-1, 2400).max(axis=1)  # 50 ms each
    assert (level[2:5] > 0.1).all()
    assert (level[7:9] < 0.05).all()
    assert (level[11:13] > 0.1).all()
    with av.open(str(tmp_path / "hls" / "index.m3u8")) as video:
        ends = [frame.time for frame in video.decode(audio=0)]
    assert max(b - a for a, b in itertools.pairwise(ends)) > 3  # no seconds of silence were made up


def test_nobody_there_is_said_without_the_key() -> None:
    publication = Publication(f"rtmp://127.0.0.1:{free_port()}/live/s3cretKey123456789")
    with pytest.raises(SinkError, match=r"cannot publish to rtmp://127\.0\.0\.1:\d+/\*\*\*") as raised:
        publication.write(rendered(0))
    assert "s3cret" not in str(raised.value)
    assert raised.value.__cause__ is None
    publication.abort()
    publication.finish()  # nothing is left to do


@pytest.mark.parametrize("target", ["rtmp://127.0.0.1:{}/live/key", "rtsp://127.0.0.1:{}/live"])
def test_a_server_that_never_answers_stops_nobody(target: str, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(publication_module, "_PATIENCE_S", 1.0)
    said: list[str] = []
    with socket.create_server(("127.0.0.1", 0)) as silent:
        publication = Publication(target.format(silent.getsockname()[1]))

        def publish() -> None:
            with pytest.raises(SinkError) as raised:
                publication.write(rendered(0))
            said.append(str(raised.value))

        thread = threading.Thread(target=publish)
        thread.start()
        turns = 0
        while thread.is_alive():
            threading.Event().wait(0.001)
            turns += 1
        publication.abort()
    assert turns > 50  # FFmpeg holds Python's lock while it connects: there was one turn
    assert said[0].endswith("no answer within 1 s")


def test_what_is_sent_by_whip_arrives() -> None:
    server = WhipServer()
    try:
        publication = Publication(f"whip:http://s3cret@127.0.0.1:{server.port}/whip", has_audio=True)
        assert "s3cret" not in publication.name
        index = 0
        while not (server.frames["video"] >= 10 and server.frames["audio"] >= 10):
            assert index < LIMIT_S * 50
            publication.write(rendered(index, (160, 120)))
            publication.write_audio(AudioBlock(loud_audio(0.04), index / 25))
            threading.Event().wait(0.02)
            index += 1
        publication.finish()
        expect(server.ended)
    finally:
        server.close()
    assert server.token == "Bearer s3cret"
    assert server.sizes == {(160, 120)}


@pytest.mark.parametrize(
    ("target", "error", "words"),
    [
        ("out.mp4", InvalidArgumentError, "'out.mp4' is no target to publish to; give rtmp:…"),
        ("gopher://host/x", InvalidArgumentError, "unknown protocol 'gopher'"),
        ("rtmp:///live", InvalidArgumentError, "names no host"),
        ("whip:host", InvalidArgumentError, "is no address of a WHIP server"),
        ("whip:https://", InvalidArgumentError, "names no host"),
        ("srt://host:9", InvalidArgumentError, "FFmpeg here is built without srt; publish to one of: rtmp:…"),
        ("hls:", InvalidArgumentError, "'hls:' names no folder"),
        ("hls:/no/such/folder", NoDirectoryError, "no directory '/no/such'"),
    ],
)
def test_targets_that_cannot_be(target: str, error: type[Exception], words: str) -> None:
    with pytest.raises(error, match=words):
        check_publication(target)
