"""Publication of a live session that is lost and found again."""

from __future__ import annotations

import itertools
from fractions import Fraction

from live_fakes import live_frame

from streamcam.errors import SinkError
from streamcam.explanations import RenderedFrame
from streamcam.session.events import Event, OutputReady
from streamcam.session.outputs import LiveFrame
from streamcam.session.publishing import Publishing
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.sinks import Sink

STATE = LiveState((StreamState("camera 0", rate=Fraction(25)),), ExplainRequest("fake"))
TARGET = "rtmp://host/live/key"


class Server(Sink):
    """Takes frames while it is up."""

    up = True

    def __init__(self) -> None:
        self.written: list[int] = []
        self.ended = ""

    def write(self, frame: RenderedFrame) -> None:
        if not Server.up:
            raise SinkError("cannot publish to rtmp://host/***: Connection refused")
        self.written.append(frame.pts)

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
        self.rates: list[Fraction | None] = []
        self.output = Publishing(TARGET, publish=self.publish, clock=lambda: self.now_s)
        self.output.start(self.events.append)

    def publish(self, target: str, rate: Fraction | None) -> Sink:
        assert target == TARGET
        self.rates.append(rate)
        self.servers.append(Server())
        return self.servers[-1]

    def send(self, index: int, at_s: float) -> None:
        self.now_s = at_s
        self.output.write(LiveFrame(live_frame(index), None, STATE))


def test_frames_are_sent_once_each() -> None:
    scene = Scene()
    for index in (0, 1, 1, 2):  # a frame is handed over again when its heat has changed
        scene.send(index, index)
    scene.output.close()
    assert [server.written for server in scene.servers] == [[0, 3600, 7200]]
    assert (scene.servers[0].ended, scene.rates, scene.events) == ("finished", [Fraction(25)], [])
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
    assert scene.events == [
        OutputReady("cannot publish to rtmp://host/***: Connection refused; trying again"),
        OutputReady("rtmp://host/*** is reached again"),
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
