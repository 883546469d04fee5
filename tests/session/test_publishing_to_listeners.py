"""Publication to the ffmpeg program as a server, which is killed and comes back."""

from __future__ import annotations

import subprocess
import threading
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
from live_fakes import FakeExplainers, live_frame
from media_factory import Audio, make_clip
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


def test_a_server_that_is_killed_and_comes_back_is_reached_again(tmp_path: Path) -> None:
    require_programs("ffmpeg")
    port = free_port()
    events: list[Event] = []
    output = Publishing(f"rtmp://127.0.0.1:{port}/live/key")
    output.start(events.append)
    index = 0

    def send_until(reached: Callable[[], bool]) -> None:
        nonlocal index
        for _ in range(int(LIMIT_S / 0.02)):
            if reached():
                return
            output.write(LiveFrame(live_frame(index), None, STATE))
            index += 1
            threading.Event().wait(0.02)
        raise AssertionError(f"never came: {events}")

    first = Listener(port, tmp_path / "first.flv")
    second: Listener | None = None
    try:
        send_until(lambda: first.path.exists() and first.path.stat().st_size > 2000)
        first.kill()
        losses = output.counts()["publishing_lost"]
        send_until(lambda: output.counts()["publishing_lost"] > losses)
        second = Listener(port, tmp_path / "second.flv")
        sent = output.counts()["published"]
        send_until(lambda: output.counts()["published"] >= sent + 30)
        output.close()
        second.wait()
    finally:
        first.kill()
        if second is not None:
            second.kill()
    said = [event.text for event in events if isinstance(event, OutputReady)]
    assert said[-1] == f"rtmp://127.0.0.1:{port}/*** is reached again"
    ended = [event for event in events if isinstance(event, PublicationEnded)]
    assert [(event.reconnections, event.has_audio) for event in ended] == [(1, False)]
    assert second.count_frames() == ended[0].frames - sent
    assert sent >= first.count_frames() > 0


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
