"""Outputs of a live session: slow ones, failing ones, and the statistics file."""

from __future__ import annotations

import json
import threading
from pathlib import Path

import pytest
from live_fakes import live_frame
from stage_fakes import expect

from streamcam.errors import SinkError
from streamcam.session.events import Event, OutputFailed, SaveImage, WriteStatistics
from streamcam.session.outputs import Emit, LiveFrame, Output, OutputWorker, StatisticsFile
from streamcam.session.state import ExplainRequest, LiveState, StreamState

STATE = LiveState((StreamState("camera 0"),), ExplainRequest("fake"))


def shown(index: int) -> LiveFrame:
    return LiveFrame(live_frame(index), None, STATE)


class SlowOutput(Output):
    """An output that takes its time for every frame."""

    def __init__(self) -> None:
        self.written: list[int] = []
        self.threads: set[str] = set()
        self.busy, self.release = threading.Event(), threading.Event()
        self.started = self.closed = False

    def start(self, emit: Emit) -> None:  # noqa: ARG002
        self.started = True

    def write(self, live_frame: LiveFrame) -> None:
        self.threads.add(threading.current_thread().name)
        self.busy.set()
        expect(self.release)
        self.written.append(live_frame.frame.index)

    def counts(self) -> dict[str, int]:
        return {"written": len(self.written)}

    def close(self) -> None:
        self.closed = True


def test_a_slow_output_gets_the_newest_frame_when_it_is_ready() -> None:
    slow = SlowOutput()
    worker = OutputWorker(slow)
    worker.start(lambda _event: None)
    worker.write(shown(0))
    expect(slow.busy)
    for index in range(1, 6):  # none of these waits
        worker.write(shown(index))
    slow.release.set()
    worker.close()
    assert slow.written == [0, 5]
    assert slow.threads == {"streamcam-output"}
    assert (slow.started, slow.closed, worker.counts()) == (True, True, {"written": 2})


def test_an_output_that_fails_is_closed_and_reported() -> None:
    events: list[Event] = []

    class FailingOutput(SlowOutput):
        def write(self, live_frame: LiveFrame) -> None:  # noqa: ARG002
            raise OSError(28, "No space left on device")

    failing = FailingOutput()
    worker = OutputWorker(failing)
    worker.start(events.append)
    worker.write(shown(0))
    worker.close()
    worker.write(shown(1))
    assert events == [OutputFailed("FailingOutput has failed (No space left on device)")]
    assert failing.closed


def test_statistics_can_be_read_while_the_file_grows(tmp_path: Path) -> None:
    path = tmp_path / "stats.jsonl"
    path.write_text("what another session wrote")
    output = StatisticsFile(path)
    output.start(lambda _event: None)
    assert path.read_text() == ""
    for number in (1, 2):
        assert output.handle(WriteStatistics({"shown": number}), None)
    assert not output.handle(SaveImage(), None)
    output.close()
    output.close()
    assert [json.loads(line) for line in path.read_text().splitlines()] == [{"shown": 1}, {"shown": 2}]


def test_a_statistics_file_that_cannot_be_written_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="cannot write"):
        StatisticsFile(tmp_path / "nowhere" / "stats.jsonl").start(lambda _event: None)


@pytest.mark.skipif(not Path("/dev/full").exists(), reason="a disk that is always full, as Linux has it")
def test_a_full_disk_is_reported_once() -> None:
    events: list[Event] = []
    output = StatisticsFile(Path("/dev/full"))
    output.start(events.append)
    for _ in range(3):
        output.handle(WriteStatistics({}), None)
    output.close()
    assert events == [OutputFailed("cannot write '/dev/full': No space left on device", Path("/dev/full"))]
