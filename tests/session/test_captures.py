"""Files made from a live session, and what happens when the disk refuses."""

from __future__ import annotations

import threading
import time
import weakref
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import numpy as np
import pytest
from live_fakes import FakeExplainers, HastyStop, live_frame
from media_factory import Audio, frame_times_of, make_clip
from stage_fakes import LIMIT_S, expect
from waveforms import delay_of, waveform_of

from streamcam.errors import SinkError
from streamcam.overlay import OverlaySettings
from streamcam.session import captures
from streamcam.session.captures import FileNames, Recorder, Recordings, Snapshots
from streamcam.session.events import (
    EndAskedRecordings,
    Event,
    ImageRequested,
    ImageSaved,
    OutputFailed,
    RecordingFinished,
    RecordingStarted,
    RecordingStopped,
    SaveImage,
    ToggleFullScreen,
    ToggleRecording,
)
from streamcam.session.live import open_session
from streamcam.session.outputs import LiveFrame
from streamcam.session.settings import LiveSettings
from streamcam.session.state import ExplainRequest, LiveState, StreamState, View
from streamcam.sinks import Recording
from streamcam.sources import open_source
from streamcam.sources.paced import PacedSource

STATE = LiveState(
    (StreamState("camera 0", rate=Fraction(25)),), ExplainRequest("fake"), View(OverlaySettings(labels=False))
)


def shown(index: int) -> LiveFrame:
    return LiveFrame(live_frame(index), None, STATE)


class Events:
    """What outputs reported, and a way to wait for it."""

    def __init__(self) -> None:
        self.all: list[Event] = []
        self._failed = threading.Event()

    def __call__(self, event: Event) -> None:
        self.all.append(event)
        if isinstance(event, OutputFailed):
            self._failed.set()

    def of(self, kind: type) -> list[Event]:
        return [event for event in self.all if isinstance(event, kind)]

    def wait_for_failure(self) -> None:
        expect(self._failed)


def test_no_name_is_given_twice_although_the_files_come_later(tmp_path: Path) -> None:
    names = FileNames(tmp_path)
    assert len({names.choose(suffix) for suffix in (".png", ".png", ".png", ".mp4", ".mp4")}) == 5


def test_a_recording_holds_every_frame_once(tmp_path: Path) -> None:
    events, recordings = Events(), Recordings(tmp_path)
    recordings.start(events)
    recordings.write(shown(0))
    assert recordings.handle(ToggleRecording(), shown(1))
    frame = shown(2)
    for repeated in (frame, frame, shown(3)):  # drawn twice, because something was written over it
        recordings.write(repeated)
    recordings.handle(ToggleRecording(), frame)
    recordings.write(shown(4))
    recordings.close()
    (started,), (stopped,) = events.of(RecordingStarted), events.of(RecordingStopped)
    assert isinstance(started, RecordingStarted)
    assert isinstance(stopped, RecordingStopped)
    assert started.began_s == pytest.approx(1 / 25)
    assert events.of(RecordingFinished) == [RecordingFinished(started.path, 3, 0)]
    assert frame_times_of(stopped.path) == pytest.approx([0, 1 / 25, 2 / 25], abs=1e-3)
    assert recordings.counts() == {"recorded": 3, "recording_dropped": 0}


@pytest.mark.parametrize("suffix", [".mp4", ".mkv"])
def test_a_recording_has_the_audio_of_its_images(tmp_path: Path, suffix: str) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=75, audio=[Audio("aac", duration_s=3.0, rate=44100)])
    source = PacedSource(open_source(clip), audio=clip, clock=lambda: 0.0)
    source.stop_flag = HastyStop()
    events, recordings = Events(), Recordings(record=tmp_path / f"out{suffix}")
    recordings.start(events)
    source.on_audio = recordings.hear
    state = STATE.with_stream(0, has_audio=True)
    for index, frame in enumerate(source):
        count = index - 24
        if count < 1:  # it is recorded from its second second on
            continue
        recordings.write(LiveFrame(frame, None, state))
        ends_s = time.monotonic() + LIMIT_S
        while recordings.counts()["recorded"] < count:  # none is left out
            assert time.monotonic() < ends_s
            time.sleep(0.001)
    recordings.close()
    (finished,) = events.of(RecordingFinished)
    assert finished == RecordingFinished(tmp_path / f"out{suffix}", 50, 0, has_audio=True)
    played = waveform_of(tmp_path / f"out{suffix}")
    given = np.roll(waveform_of(clip), -48000)
    loud = slice(9600, int(1.4 * 48000))
    assert abs(delay_of(played[loud], given[loud])) < 240  # 5 ms
    assert np.corrcoef(played[loud], given[loud])[0, 1] > 0.9


def test_each_stream_of_several_is_recorded_with_its_own_audio(tmp_path: Path) -> None:
    loud = make_clip(tmp_path / "loud.mp4", frames=25, audio=[Audio("aac", duration_s=1.0)])
    mute = make_clip(tmp_path / "mute.mp4", frames=25)
    settings = LiveSettings(display="none", record=tmp_path / "out.mp4")
    result = open_session([loud, mute], FakeExplainers(), settings=settings).run()  # type: ignore[arg-type]
    has_audio = {recording.path.name: recording.has_audio for recording in result.recordings}
    assert has_audio == {"out-loud.mp4": True, "out-mute.mp4": False}
    with av.open(str(tmp_path / "out-loud.mp4")) as played:
        assert sum(frame.samples for frame in played.decode(audio=0)) / 48000 > 0.5
    with av.open(str(tmp_path / "out-mute.mp4")) as played:
        assert not played.streams.audio


@pytest.mark.usefixtures("_no_garbage_collection")
def test_recordings_that_have_ended_are_released_and_still_counted(tmp_path: Path) -> None:
    recordings = Recordings(tmp_path)
    recordings.start(Events())
    started = list[weakref.ref[Recorder]]()
    for index in range(3):
        recordings.handle(ToggleRecording(), shown(2 * index))
        recordings.write(shown(2 * index + 1))
        assert recordings._active is not None
        started.append(weakref.ref(recordings._active))
        recordings._active.join(LIMIT_S)
        recordings.handle(ToggleRecording(), shown(2 * index + 1))
    assert [recorder() is None for recorder in started] == [True, True, False]
    recordings.close()
    assert recordings.counts() == {"recorded": 6, "recording_dropped": 0}


def test_a_recording_asked_for_before_the_first_frame_begins_with_it(tmp_path: Path) -> None:
    events, recordings = Events(), Recordings(tmp_path)
    recordings.start(events)
    recordings.handle(ToggleRecording(), None)
    recordings.handle(ToggleRecording(), None)  # and not, after all
    recordings.write(shown(0))
    recordings.handle(ToggleRecording(), None)
    recordings.write(shown(1))
    recordings.close()
    assert [event.written for event in events.all if isinstance(event, RecordingFinished)] == [1]


def test_only_recordings_that_were_asked_for_end_when_nobody_is_there(tmp_path: Path) -> None:
    events, asked, named = Events(), Recordings(tmp_path), Recordings(record=tmp_path / "named.mp4")
    for recordings in (asked, named):
        recordings.start(events)
    asked.handle(ToggleRecording(), shown(0))
    named.write(shown(0))
    for index in (1, 2):
        for recordings in (asked, named):
            assert recordings.handle(EndAskedRecordings(), None)
            recordings.write(shown(index))
        asked.handle(ToggleRecording(), None)  # begins with the next frame, unless it is ended before
    asked.close()
    named.close()
    written = {
        event.path.name == "named.mp4": event.written
        for event in events.all
        if isinstance(event, RecordingFinished)
    }
    assert written == {False: 1, True: 3}


def test_a_recording_that_cannot_begin_is_refused_at_the_start(tmp_path: Path) -> None:
    with pytest.raises(SinkError, match="there is no directory"):
        Recordings(record=tmp_path / "nowhere" / "out.mp4").start(Events())


def test_an_image_that_cannot_be_saved_is_reported_and_the_next_one_is_tried(tmp_path: Path) -> None:
    events, snapshots = Events(), Snapshots(tmp_path / "nowhere")
    snapshots.start(events)
    assert snapshots.handle(SaveImage(), shown(0))
    events.wait_for_failure()
    (tmp_path / "nowhere").mkdir()
    snapshots.handle(SaveImage(), shown(0))
    snapshots.close()
    (failure,), (saved,) = events.of(OutputFailed), events.of(ImageSaved)
    assert isinstance(failure, OutputFailed)
    assert isinstance(saved, ImageSaved)
    assert str(tmp_path / "nowhere") in failure.problem
    assert saved.path.is_file()
    assert len(events.of(ImageRequested)) == 2


def test_other_effects_are_for_other_outputs() -> None:
    for output in (Recordings(), Snapshots()):
        assert not output.handle(ToggleFullScreen(), shown(0))


def failing_recording(tmp_path: Path, refuse: Callable[[], None], monkeypatch: pytest.MonkeyPatch) -> Events:
    """Record six frames; return what is reported after the first could not be written."""
    writing, filled = threading.Event(), threading.Event()

    def write(_recording: Recording, _frame: object) -> None:
        writing.set()
        expect(filled)
        refuse()

    monkeypatch.setattr(Recording, "write", write)
    events, recordings = Events(), Recordings(tmp_path)
    recordings.start(events)
    recordings.handle(ToggleRecording(), shown(0))
    expect(writing)
    for index in range(1, 6):
        recordings.write(shown(index))
    filled.set()
    events.wait_for_failure()
    recordings.write(shown(6))
    recordings.close()
    return events


def test_a_recording_that_fails_is_reported_once(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse() -> None:
        raise SinkError("the disk is full")

    events = failing_recording(tmp_path, refuse, monkeypatch)
    (started,) = events.of(RecordingStarted)
    assert isinstance(started, RecordingStarted)
    assert events.of(OutputFailed) == [OutputFailed("the disk is full", started.path)]
    assert len(events.of(RecordingFinished)) == 1


def test_an_encoder_that_breaks_does_not_end_the_session(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    def refuse() -> None:
        raise ValueError("odd size")

    (failure,) = failing_recording(tmp_path, refuse, monkeypatch).of(OutputFailed)
    assert isinstance(failure, OutputFailed)
    assert failure.problem.endswith("was given up (ValueError: odd size)")


def test_after_a_failure_another_recording_can_begin(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    events, recordings = Events(), Recordings(tmp_path)
    recordings.start(events)

    def refuse(_recording: Recording, _frame: object) -> None:
        raise SinkError("the disk is full")

    with monkeypatch.context() as patch:
        patch.setattr(Recording, "write", refuse)
        recordings.handle(ToggleRecording(), shown(0))
        events.wait_for_failure()
    recordings.handle(ToggleRecording(), shown(1))
    recordings.close()
    assert [event.written for event in events.all if isinstance(event, RecordingFinished)] == [0, 1]


def test_a_disk_that_hangs_does_not_keep_the_session(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    wake = threading.Event()
    monkeypatch.setattr(Recording, "write", lambda _recording, _frame: expect(wake))
    monkeypatch.setattr(captures, "PATIENCE_S", 0.05)
    events, recordings = Events(), Recordings(tmp_path)
    recordings.start(events)
    recordings.handle(ToggleRecording(), shown(0))
    recordings.close()
    (failure,) = events.of(OutputFailed)
    assert isinstance(failure, OutputFailed)
    assert "its disk does not answer" in failure.problem
    wake.set()
