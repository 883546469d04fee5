"""Cameras on web servers: MJPEG without an end, and HLS, whose images come seconds at a time."""

from __future__ import annotations

import collections
import http.server
import io
import itertools
import os
import threading
from collections.abc import Iterator
from pathlib import Path

import pytest
from media_factory import Audio, make_clip
from PIL import Image
from stage_fakes import LIMIT_S

from streamcam.errors import SourceError
from streamcam.frames import AudioBlock
from streamcam.sources import SourceSettings, open_source
from streamcam.sources.capture import Pacer
from streamcam.sources.network import NetworkCapture
from streamcam.sources.pipe import PipeCapture

LIVE = SourceSettings(real_time=True)


class Camera(http.server.ThreadingHTTPServer):
    """A web server with an MJPEG camera, and a folder with HLS."""

    daemon_threads = True

    def __init__(self, folder: Path) -> None:
        file = io.BytesIO()
        Image.new("RGB", (64, 48), "olive").save(file, "JPEG")
        jpeg = file.getvalue()

        class Handler(http.server.SimpleHTTPRequestHandler):
            def __init__(self, *arguments: object) -> None:
                super().__init__(*arguments, directory=str(folder))  # type: ignore[arg-type]

            def log_message(self, *_arguments: object) -> None:
                pass

            def do_GET(self) -> None:
                if self.path == "/half.ts":  # a server that breaks off in the middle
                    data = (folder / "whole.ts").read_bytes()
                    self.send_response(200)
                    self.end_headers()
                    self.wfile.write(data[: len(data) // 2])
                    return
                if self.path != "/mjpeg":
                    super().do_GET()
                    return
                self.send_response(200)
                self.send_header("Content-Type", "multipart/x-mixed-replace; boundary=part")
                self.end_headers()
                head = f"--part\r\nContent-Type: image/jpeg\r\nContent-Length: {len(jpeg)}\r\n\r\n"
                try:
                    while True:
                        self.wfile.write(head.encode() + jpeg + b"\r\n")
                except ConnectionError:
                    return

        super().__init__(("127.0.0.1", 0), Handler)


@pytest.fixture
def camera(tmp_path: Path) -> Iterator[Camera]:
    """A web server of cameras."""
    with Camera(tmp_path) as server:
        thread = threading.Thread(target=server.serve_forever)
        thread.start()
        yield server
        server.shutdown()
        thread.join(LIMIT_S)


def test_a_server_that_breaks_off_is_said_to(camera: Camera, tmp_path: Path) -> None:
    make_clip(tmp_path / "whole.ts", frames=50)
    capture = NetworkCapture(f"http://127.0.0.1:{camera.server_port}/half.ts")
    capture.open()
    with pytest.raises(SourceError, match=r"half\.ts' has broken off$"):
        collections.deque(iter(capture.read, capture), maxlen=0)
    capture.close()


def test_an_mjpeg_camera(camera: Camera) -> None:
    with open_source(f"http://127.0.0.1:{camera.server_port}/mjpeg", LIVE) as source:
        frames = list(itertools.islice(source, 20))
    assert {(frame.image.width, frame.image.height) for frame in frames} == {(64, 48)}
    assert all(one.pts < other.pts for one, other in itertools.pairwise(frames))


def test_hls_is_shown_at_its_own_pace_with_its_audio(camera: Camera, tmp_path: Path) -> None:
    hls = {"hls_time": "1", "hls_list_size": "0"}
    audio = [Audio("aac", duration_s=2.0)]
    make_clip(tmp_path / "live.m3u8", frames=50, gop=25, muxer_options=hls, audio=audio)
    heard: list[AudioBlock] = []
    with open_source(f"http://127.0.0.1:{camera.server_port}/live.m3u8", LIVE) as source:
        source.on_audio = heard.append
        frames = list(itertools.islice(source, 30))
    assert source.info.has_audio
    assert sum(block.audio.samples for block in heard) / 48000 > 0.8
    waited_s = frames[-1].received_at - frames[0].received_at
    assert waited_s >= 1.1  # 30 frames at 25 a second, which came at once
    assert [round((b.time_s - a.time_s) * 25) for a, b in itertools.pairwise(frames)] == [1] * 29


def test_images_wait_until_they_are_due() -> None:
    pacer = Pacer()
    assert pacer.wait_s(7.0, 100.0) == 0
    assert pacer.wait_s(7.5, 100.0) == 0.5
    assert pacer.wait_s(8.0, 101.25) == 0
    assert pacer.wait_s(8.5, 101.25) == 0.25
    assert pacer.wait_s(8.75, 110.0) == 0  # nothing came for long: what comes now is now
    assert pacer.wait_s(9.75, 110.5) == 0.5
    assert pacer.wait_s(5000.0, 111.0) == 0  # the clock was set


def test_what_a_pipe_brings_is_shown_to_its_end(tmp_path: Path) -> None:
    video = make_clip(tmp_path / "clip.ts", frames=10).read_bytes()
    reading, writing = os.pipe()

    def send() -> None:
        with os.fdopen(writing, "wb") as pipe:
            pipe.write(video)

    thread = threading.Thread(target=send)
    thread.start()
    capture = PipeCapture(reading)
    capture.open()
    count = 0

    def read_on() -> None:
        nonlocal count
        while True:
            count += capture.read() is not None

    with pytest.raises(SourceError, match="'standard input' has ended"):
        read_on()
    capture.close()
    os.close(reading)
    thread.join(LIMIT_S)
    assert count == 10


def test_a_pipe_without_a_video_is_said() -> None:
    reading, writing = os.pipe()
    with os.fdopen(writing, "wb") as pipe:
        pipe.write(b"this is no video" * 100)
    with pytest.raises(SourceError, match="'standard input' is not a video that can be read as it comes"):
        PipeCapture(reading).open()
    os.close(reading)
