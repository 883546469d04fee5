"""Network streams: real ones on the loopback, sent by the ffmpeg program; and what must not be shown."""

from __future__ import annotations

import itertools
import socket
import threading
import traceback
from collections.abc import Iterator
from pathlib import Path

import av
import pytest
from live_fakes import NotedSource
from media_factory import Audio, make_clip
from programs import require_programs
from senders import PROTOCOLS, SECRET, PatientCapture, Sender, free_port
from stage_fakes import LIMIT_S

from streamcam.errors import InvalidArgumentError, SourceError, UnknownNameError
from streamcam.media.urls import redact
from streamcam.sources import capture as capture_module
from streamcam.sources import open_source, stream_capture
from streamcam.sources.network import NetworkCapture


@pytest.fixture
def clip(tmp_path: Path) -> Path:
    return make_clip(tmp_path / "clip.mp4", frames=50, gop=5)


@pytest.fixture
def port() -> int:
    return free_port()


@pytest.mark.parametrize("protocol", PROTOCOLS)
def test_a_stream_that_is_killed_and_comes_back_goes_on(
    protocol: str, clip: Path, port: int, monkeypatch: pytest.MonkeyPatch
) -> None:
    require_programs("ffmpeg")
    monkeypatch.setattr(capture_module, "_FIRST_DELAY_S", 0.05)
    url = PROTOCOLS[protocol][1].format(port)
    senders = [Sender(clip, protocol, port)]

    def note(notice: str | None) -> None:
        if notice is not None and len(senders) == 1:
            senders.append(Sender(clip, protocol, port))

    try:
        capture = PatientCapture(url, open_timeout_s=5.0, read_timeout_s=0.5)
        source = NotedSource(capture, note)
        frames = iter(source)
        before = [next(frames) for _ in range(10)]
        senders[0].kill()
        after = []
        while len(senders) == 1 or source.notice is not None:  # what was on its way still arrives
            after.append(next(frames))
        source.close()
    finally:
        for sender in senders:
            sender.kill()
    together = [*before, *after]
    assert [frame.index for frame in together] == list(range(len(together)))
    assert {(frame.image.width, frame.image.height) for frame in together} == {(64, 48)}
    assert all(one.pts < other.pts for one, other in itertools.pairwise(together))
    assert next(notice for notice in source.notices if notice is not None).startswith(f"'{url}' ")


def refusing(url: str) -> Iterator[str]:
    """All that is said where a stream cannot be opened, the traceback included."""
    capture = NetworkCapture(url, open_timeout_s=0.3, read_timeout_s=0.3)
    with pytest.raises(SourceError) as raised:
        capture.open()
    yield str(raised.value)
    yield "".join(traceback.format_exception(raised.value))
    yield capture.name


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
        ("rtmp://host/app/key", "rtmp://host/***"),
        ("rtmps://host:443/rtmp/", "rtmps://host:443/***"),
        ("RTMP://host", "rtmp://host"),
        ("srt://host:9/key?mode=caller", "srt://host:9/***?mode=caller"),
        ("whip:https://token@host/live/key?a=b", "whip:https://***@host/***?a=***"),
        ("hls:folder/a", "hls:folder/a"),
        ("clip.mp4", "clip.mp4"),
        ("0", "0"),
    ],
)
def test_redacted(url: str, shown: str) -> None:
    assert redact(url) == shown


@pytest.mark.parametrize(
    "url",
    [
        # Xiongmai, Hi3516 and their many brands.
        "rtsp://host:554/user=admin_password={}_channel=1_stream=0.sdp?real_stream",
        "rtsp://host:554/user=admin&password={}&channel=1&stream=0.sdp",
        "rtsp://host/user%3Dadmin%26password%3D{}%26channel=1",
        # Foscam, D-Link, TP-Link, Zmodo, Wansview, Vivotek.
        "rtsp://host:88/usr=admin&pwd={}/videoMain",
        "http://host/videostream.cgi?user=admin&pwd={}",
        "http://host/video.cgi?loginuse=admin&loginpas={}&resolution=32",
        "rtsp://host:10554/tcp/av0_0?user=admin;password={}",
        "rtsp://host/admin:{}/live/ch00_0",
        "rtsp://host/live/admin,{}/0",
        "rtsp://host/cam;password:{}",
        # Reolink, Dahua, Hikvision, Axis, UniFi Protect, Nest.
        "http://host/flv?port=1935&app=bcs&stream=channel0_main.bcs&user=admin&password={}",
        "rtsp://admin:{}@host:554/cam/realmonitor?channel=1&subtype=0",
        "rtsp://admin:{}@host:554/Streaming/Channels/101",
        "rtsp://root:{}@host/axis-media/media.amp",
        "rtsps://host:7441/{}9aZ8bY7cX6dW5eV4?enableSrtp",
        "rtsps://stream.example.com/sdm_live_stream/CHANNEL?auth={}",
        # YouTube, Twitch, Facebook, and servers of SRT.
        "rtmp://a.rtmp.youtube.com/live2/{}",
        "rtmp://live.twitch.tv/app/live_123_{}",
        "rtmps://live-api-s.facebook.com:443/rtmp/FB-1-{}",
        "rtmp://host/live?user=a&pass={}",
        "rtmp://host/app/{} live=1",
        "srt://host:10080?streamid=#!::h=live/stream,secret={}",
        "srt://host:10080/{}?mode=caller",
        "srt://host:9?streamid=publish:cam:admin:{}&latency=200",
    ],
)
def test_passwords_of_real_cameras_and_servers_are_hidden(url: str) -> None:
    assert SECRET not in redact(url.format(SECRET))
    assert "admin" not in redact(url.format(SECRET))


@pytest.mark.parametrize(
    "url",
    [
        "rtsp://host:554/Streaming/Channels/101",
        "rtsp://host:554/h264Preview_01_main",
        "rtsp://host/axis-media/media.amp",
        "rtsp://host/live/ch00_0",
        "http://host/mjpg/video.mjpg",
        "rtsp://host:8554/front-door",
        "rtsp://host:554/onvif-media/media.amp",
        "http://host:8080/hls/garden/index.m3u8",
    ],
)
def test_names_of_streams_stay_readable(url: str) -> None:
    assert redact(url) == url


@pytest.mark.parametrize(
    "slip", ["rtsp:/admin:{}@host/cam", " rtsp://admin:{}@host/cam", "RTSP:admin:{}@host/cam"]
)
def test_what_is_nearly_a_url_is_not_shown_as_a_missing_file(slip: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is no URL; give rtsp://HOST:PORT/…") as raised:
        open_source(slip.format(SECRET))
    assert SECRET not in str(raised.value)


def test_a_file_may_be_called_like_a_url(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.chdir(tmp_path)
    make_clip(tmp_path / "tcp:one.mp4")
    assert open_source("tcp:one.mp4").info.name == "tcp:one.mp4"


def test_urls_that_cannot_be_used_are_misuse() -> None:
    with pytest.raises(UnknownNameError, match="unknown protocol 'concat'"):
        open_source("concat://a|b")
    with pytest.raises(InvalidArgumentError, match="names no host"):
        open_source("udp://")


@pytest.fixture
def silent() -> Iterator[int]:
    """The port of a server that accepts and never says a word."""
    with socket.create_server(("127.0.0.1", 0)) as server:
        yield int(server.getsockname()[1])


@pytest.mark.parametrize("scheme", ["rtsp", "http", "tcp", "rtmp", "rtsps", "https", "udp"])
def test_a_server_that_never_answers_is_given_up(scheme: str, silent: int) -> None:
    capture = NetworkCapture(f"{scheme}://admin:{SECRET}@127.0.0.1:{silent}/cam", open_timeout_s=0.2)
    with pytest.raises(
        SourceError, match=r"'\w+://\*\*\*@127.0.0.1:\d+/(cam|\*\*\*)' did not answer within 0.2 s"
    ):
        capture.open()


def test_schemes_may_be_written_in_capitals(silent: int) -> None:
    capture = NetworkCapture(f"TCP://127.0.0.1:{silent}", open_timeout_s=0.2)
    with pytest.raises(SourceError, match="did not answer"):  # and not: built without TCP
        capture.open()


def taken_in(tmp_path: Path) -> tuple[int, int]:
    """Read 5 images and 30 packets of audio: how often there was an image, and something else."""
    clip = make_clip(tmp_path / "clip.ts", frames=5, audio=[Audio("mp2", duration_s=30 * 1152 / 48000)])
    with av.open(str(clip)) as container:
        taken = list(NetworkCapture("tcp://127.0.0.1:9")._decode(container))
    return len([image for image in taken if image is not None]), taken.count(None)


def test_audio_is_not_waited_behind(tmp_path: Path) -> None:
    images, others = taken_in(tmp_path)
    assert images == 5
    assert others >= 30  # after each of them the reader looks whether it is to stop


def test_images_that_no_memory_holds_are_refused(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(stream_capture, "LARGEST_PIXELS", 64 * 48 - 1)
    with pytest.raises(SourceError, match="sends images of 64x48, which are too large"):
        taken_in(tmp_path)


def test_a_stream_that_goes_on_without_images_is_given_up(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setattr(stream_capture, "_NO_IMAGE_S", 0.0)
    with pytest.raises(SourceError, match="has sent no image for 0 s"):
        taken_in(tmp_path)


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
        capture = NetworkCapture(f"http://127.0.0.1:{port}/live.m3u8", open_timeout_s=3, read_timeout_s=1)

        def read() -> None:
            capture.open()
            capture.read()

        with pytest.raises(SourceError):
            read()
        capture.close()
        thread.join(LIMIT_S)
