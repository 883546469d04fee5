"""Publication to the programs of FFmpeg and GStreamer, which are killed and come back."""

from __future__ import annotations

import itertools
import subprocess
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from live_fakes import FakeExplainers, live_frame
from media_factory import Audio, gray_of, make_clip
from programs import require_programs
from senders import free_port
from stage_fakes import LIMIT_S

from streamcam.session.events import Event, OutputReady, PublicationEnded
from streamcam.session.live import open_session
from streamcam.session.outputs import LiveFrame
from streamcam.session.publishing import Publishing
from streamcam.session.settings import LiveSettings
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.sources import SourceSettings

STATE = LiveState((StreamState("camera 0", rate=Fraction(25)),), ExplainRequest("fake"))


class Listener:
    """The ffmpeg program as a server of RTMP, which saves what one client sends."""

    def __init__(self, port: int, path: Path) -> None:
        self.path = path
        listen = ["-analyzeduration", "100000", "-listen", "1", "-f", "flv"]
        listen += ["-i", f"rtmp://127.0.0.1:{port}/live/key"]
        self._process = subprocess.Popen(
            ["ffmpeg", "-v", "quiet", "-nostdin", *listen, "-c", "copy", "-flush_packets", "1", str(path)]
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(LIMIT_S)

    def wait(self) -> None:
        """Let it end with the stream."""
        self._process.wait(LIMIT_S)

    def count_frames(self) -> int:
        """Count the frames that arrived."""
        with av.open(str(self.path)) as video:
            return sum(1 for _ in video.decode(video=0))


RECEIVERS = {"udp": "udpsrc port={} caps=video/mpegts", "tcp": "tcpserversrc host=127.0.0.1 port={}"}
"""GStreamer's words for a listener at a port."""

BYTES = 64 * 48 * 3 // 2
"""Of an image, in 4:2:0."""


class Player:
    """GStreamer, which receives a transport stream, decodes it and saves the images."""

    def __init__(self, protocol: str, port: int, path: Path) -> None:
        self.path = path
        decode = "tsdemux ! h264parse ! openh264dec ! video/x-raw,format=I420"
        save = ["filesink", f"location={path}", "buffer-mode=unbuffered"]
        pipeline = f"{RECEIVERS[protocol].format(port)} ! {decode} !".split()
        self._process = subprocess.Popen(
            ["gst-launch-1.0", "-q", *pipeline, *save], stdout=subprocess.DEVNULL, stderr=subprocess.DEVNULL
        )

    def kill(self) -> None:
        """End it as a power cut would."""
        self._process.kill()
        self._process.wait(LIMIT_S)

    def count_frames(self) -> int:
        """Count the frames that were decoded so far."""
        return self.path.stat().st_size // BYTES if self.path.exists() else 0

    def grays(self) -> list[int]:
        """Return the gray of each frame."""
        images = np.fromfile(self.path, np.uint8)[: self.count_frames() * BYTES].reshape(-1, BYTES)
        return [round(float(image[: 64 * 48].mean())) for image in images]


class Sending:
    """A session that publishes one frame after another."""

    def __init__(self, target: str) -> None:
        self.events: list[Event] = []
        self.output = Publishing(target)
        self.output.start(self.events.append)
        self._index = 0

    def until(self, reached: Callable[[], bool]) -> None:
        """Send frames until something is reached."""
        for _ in range(int(LIMIT_S / 0.02)):
            if reached():
                return
            self.output.write(LiveFrame(live_frame(self._index), None, STATE))
            self._index += 1
            threading.Event().wait(0.02)
        raise AssertionError(f"never came: {self.events}")


def test_a_server_that_is_killed_and_comes_back_is_reached_again(tmp_path: Path) -> None:
    require_programs("ffmpeg")
    port = free_port()
    sending = Sending(f"rtmp://127.0.0.1:{port}/live/key")
    output = sending.output
    first = Listener(port, tmp_path / "first.flv")
    second: Listener | None = None
    try:
        sending.until(lambda: first.path.exists() and first.path.stat().st_size > 2000)
        first.kill()
        losses = output.counts()["publishing_lost"]
        sending.until(lambda: output.counts()["publishing_lost"] > losses)
        second = Listener(port, tmp_path / "second.flv")
        sent = output.counts()["published"]
        sending.until(lambda: output.counts()["published"] >= sent + 30)
        output.close()
        second.wait()
    finally:
        first.kill()
        if second is not None:
            second.kill()
    said = [event.text for event in sending.events if isinstance(event, OutputReady)]
    assert said[-1] == f"rtmp://127.0.0.1:{port}/*** is reached again"
    ended = [event for event in sending.events if isinstance(event, PublicationEnded)]
    assert [(event.reconnections, event.has_audio) for event in ended] == [(1, False)]
    assert second.count_frames() == ended[0].frames - sent
    assert sent >= first.count_frames() > 0


@pytest.mark.parametrize("protocol", ["udp", "tcp"])
def test_gstreamer_shows_every_frame_also_when_it_comes_back(tmp_path: Path, protocol: str) -> None:
    require_programs("gst-launch-1.0")
    port = free_port()
    sending = Sending(f"{protocol}://127.0.0.1:{port}")
    players: list[Player] = []
    try:
        for number in range(2):
            player = Player(protocol, port, tmp_path / f"{number}.yuv")
            players.append(player)
            sending.until(lambda player=player: player.count_frames() >= 40)  # type: ignore[misc]
            player.kill()
    finally:
        sending.output.close()
        for player in players:
            player.kill()
    for player in players:
        grays = player.grays()
        # Each is 16 brighter than the one before, and begins again after 192.
        errors = [(after - before - 16 + 96) % 192 - 96 for before, after in itertools.pairwise(grays)]
        in_order = sum(abs(error) <= 3 for error in errors)
        assert in_order >= 0.9 * (len(grays) - 1)  # a loaded computer may lose packets of UDP
        assert all(min(abs(gray - gray_of(index)) for index in range(12)) <= 3 for gray in grays)


def test_a_file_is_sent_to_several_at_once_with_its_audio(tmp_path: Path) -> None:
    require_programs("ffmpeg")
    clip = make_clip(tmp_path / "clip.mp4", frames=25, audio=[Audio("aac", duration_s=1.0)])
    folders = [tmp_path / "one", tmp_path / "two"]
    session = open_session(
        clip,
        FakeExplainers(),  # type: ignore[arg-type]
        settings=LiveSettings(
            SourceSettings(real_time=True),
            display="none",
            publish=tuple(f"hls:{folder}" for folder in folders),
        ),
    )
    result = session.run()
    assert [publication.has_audio for publication in result.publications] == [True, True]
    for folder, publication in zip(folders, result.publications, strict=True):
        assert publication.target == f"hls:{folder}"
        with av.open(str(folder / "index.m3u8")) as played:
            assert sum(1 for _ in played.decode(video=0)) == publication.frames > 0
        with av.open(str(folder / "index.m3u8")) as played:
            samples = sum(frame.samples for frame in played.decode(audio=0))
        assert samples / 48000 > 0.5
