"""Publication of a live session that is lost and found again."""

from __future__ import annotations

import itertools
from fractions import Fraction

import av
from live_fakes import live_frame

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame
from streamcam.frames import AudioBlock
from streamcam.session.events import Event, OutputFailed, OutputReady, PublicationEnded
from streamcam.session.outputs import LiveFrame
from streamcam.session.publishing import Publishing
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.sinks import Publication

STATE = LiveState((StreamState("camera 0", rate=Fraction(25)),), ExplainRequest("fake"))
TARGET = "rtmp://host/live/key"


class Server(Publication):
    """Takes frames while it is up."""

    up = True

    def __init__(self) -> None:
        self.written: list[int] = []
        self.heard: list[float] = []
        self.ended = ""

    def write(self, frame: RenderedFrame) -> None:
        if not Server.up:
            raise SinkError("cannot publish to rtmp://host/***: Connection refused")
        self.written.append(frame.pts)

    def write_audio(self, block: AudioBlock) -> None:
        self.heard.append(block.time_s)

    def finish(self, *, cut_short: bool = False) -> None:  # noqa: ARG002
        self.ended = "finished"

    def abort(self) -> None:
        self.ended = "aborted"


class Scene:
    """A publication with a clock of its own."""

    def __init__(self) -> None:
        Server.up = True
        self.now_s = 0.0
        self.servers: list[Server] = []
        self.events: list[Event] = []
        self.asked: list[tuple[Fraction | None, bool]] = []
        self.output = Publishing(TARGET, publish=self.publish, clock=lambda: self.now_s)
        self.output.start(self.events.append)

    def publish(self, target: str, rate: Fraction | None, has_audio: bool) -> Publication:
        assert target == TARGET
        self.asked.append((rate, has_audio))
        self.servers.append(Server())
        return self.servers[-1]

    def send(self, index: int, at_s: float, state: LiveState = STATE) -> None:
        self.now_s = at_s
        self.output.write(LiveFrame(live_frame(index), None, state))


def test_frames_are_sent_once_each() -> None:
    scene = Scene()
    for index in (0, 1, 1, 2):  # a frame is handed over again when its heat has changed
        scene.send(index, index)
    scene.output.close()
    assert [server.written for server in scene.servers] == [[0, 3600, 7200]]
    assert (scene.servers[0].ended, scene.asked) == ("finished", [(Fraction(25), False)])
    assert scene.events == [PublicationEnded("rtmp://host/***", 3, has_audio=False, reconnections=0)]
    assert scene.output.counts() == {"published": 3, "publishing_lost": 0}


def test_a_server_that_is_gone_is_tried_again_with_longer_pauses() -> None:
    scene = Scene()
    scene.send(0, 0)
    Server.up = False
    attempts = []
    for step in range(1, 400):
        before = scene.output.counts()["publishing_lost"]
        scene.send(step, step / 10)
        if scene.output.counts()["publishing_lost"] > before:
            attempts.append(step / 10)
    pauses = [round(after - before, 1) for before, after in itertools.pairwise(attempts)]
    assert pauses == [0.5, 1.0, 2.0, 4.0, 8.0, 10.0, 10.0]
    assert all(server.ended == "aborted" for server in scene.servers)
    Server.up = True
    scene.send(500, 60)
    assert scene.servers[-1].written == [500 * 3600]
    scene.output.close()
    scene.output.close()  # which is said once
    assert scene.events == [
        OutputReady("cannot publish to rtmp://host/***: Connection refused; trying again"),
        OutputReady("rtmp://host/*** is reached again"),
        PublicationEnded("rtmp://host/***", 2, has_audio=False, reconnections=1),
    ]


def test_a_good_connection_makes_the_next_pause_short() -> None:
    scene = Scene()
    Server.up = False
    for step in range(40):
        scene.send(step, step / 10)
    Server.up = True
    scene.send(100, 20)
    scene.send(101, 40)
    Server.up = False
    scene.send(102, 41)
    Server.up = True
    scene.send(103, 41.5)
    assert scene.servers[-1].written == [103 * 3600]


def test_audio_goes_along_with_the_images_of_its_time() -> None:
    scene, state = Scene(), STATE.with_stream(0, has_audio=True)
    silence = av.AudioFrame("flt", "mono", 1024)
    scene.output.hear(AudioBlock(silence, 0.0))
    scene.send(0, 0, state)
    for step in range(1, 600):  # far more than is kept, for a server that is slow
        scene.output.hear(AudioBlock(silence, step / 50))
    assert scene.servers[0].heard == [0.0]
    scene.send(200, 8, state)  # the frame at 8 s
    heard = scene.servers[0].heard[1:]
    assert heard == [step / 50 for step in range(600 - 512, 401)]
    scene.output.close()
    assert scene.asked == [(Fraction(25), True)]
    assert scene.events == [PublicationEnded("rtmp://host/***", 2, has_audio=True, reconnections=0)]


def test_what_was_never_reached_is_a_failure() -> None:
    scene = Scene()
    Server.up = False
    scene.send(0, 0)
    scene.output.close()
    assert scene.events[1:] == [OutputFailed("cannot publish to rtmp://host/***: Connection refused")]
