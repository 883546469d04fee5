"""The state of a live session after events."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from pathlib import Path

import pytest
from live_fakes import facts_of

from streamcam.explanations import Prediction
from streamcam.session.events import (
    Announce,
    Event,
    ExplainerChanged,
    FrameArrived,
    FrameShown,
    ImageRequested,
    NoticeChanged,
    OutputFailed,
    RecordingStarted,
    RecordingStopped,
    RequestRefused,
    StatisticsMeasured,
    TimePassed,
    update,
)
from streamcam.session.hud import hud_of
from streamcam.session.state import STALLED_S, ActiveRecording, ExplainRequest, LiveState, StreamState
from streamcam.session.statistics import Statistics

START = LiveState((StreamState("camera 0"),), ExplainRequest("fake"))
FACTS = facts_of(START.request)
READY = dataclasses.replace(START, facts=FACTS)
PATH = Path("r.mp4")


def after(*events: Event, state: LiveState = READY) -> LiveState:
    for event in events:
        state = update(state, event).state
    return state


def test_a_source_stalls_after_two_seconds() -> None:
    arrived = after(FrameArrived(5.0, Fraction(25)))
    on_the_edge = after(TimePassed(7.0), state=arrived)
    assert on_the_edge.silence_of(on_the_edge.streams[0]) == STALLED_S
    assert not on_the_edge.has_stalled(on_the_edge.streams[0])
    stalled = after(TimePassed(9.0), state=arrived)
    assert stalled.has_stalled(stalled.streams[0])
    assert hud_of(stalled).messages == ("no frame from camera 0 for 4 s",)
    assert hud_of(stalled).trouble
    assert not hud_of(after(FrameArrived(9.0, None), state=stalled)).messages


def test_trouble_is_announced_once_and_so_is_its_end() -> None:
    state = after(FrameArrived(1.0, None), TimePassed(3.0))
    state, effects = update(state, NoticeChanged("camera 0 is gone; trying again"))
    assert effects == (Announce("camera 0 is gone; trying again"),)
    assert hud_of(state).messages == ("camera 0 is gone; trying again",)
    assert update(state, NoticeChanged("camera 0 is gone; trying again")).effects == ()
    state, effects = update(state, NoticeChanged("camera 0 is busy; trying again"))
    assert effects == ()
    # The first frame may arrive before anybody sees that all is well.
    state = after(TimePassed(8.0), FrameArrived(8.0, None), state=state)
    state, effects = update(state, NoticeChanged(None))
    assert effects == (Announce("camera 0 is back after 7 s"),)
    assert hud_of(state).messages == ()


def test_the_network_is_loading_until_an_explainer_is_there() -> None:
    assert hud_of(START).messages == ("loading the network …",)
    assert after(ExplainerChanged(FACTS), state=START) == READY


def test_a_refusal_keeps_the_request_and_says_why() -> None:
    state = dataclasses.replace(READY, request=ExplainRequest("broken"), facts=None)
    state = after(RequestRefused("it cannot be done", FACTS), state=state)
    assert (state.request.method, state.facts) == ("broken", FACTS)
    assert hud_of(state).messages == ("it cannot be done",)


def test_a_message_is_shown_for_a_while() -> None:
    state = after(TimePassed(10.0), FrameArrived(10.0, None), ImageRequested(Path("a.png")))
    assert hud_of(after(TimePassed(12.0), state=state)).messages == ("saved a.png",)
    assert hud_of(after(TimePassed(12.6), FrameArrived(12.6, None), state=state)).messages == ()


def test_a_recording_is_shown_with_its_length() -> None:
    state = after(RecordingStarted(PATH, 3.0), FrameShown(86.5, None))
    assert state.streams[0].recording == ActiveRecording(PATH, 3.0)
    assert hud_of(state).recording == "1:23"
    assert hud_of(state).messages == ("recording to r.mp4",)
    state = after(RecordingStopped(PATH), state=state)
    assert (state.streams[0].recording, hud_of(state).messages) == (None, ("recorded r.mp4",))


def test_a_recording_from_the_beginning_needs_no_message() -> None:
    assert hud_of(after(RecordingStarted(PATH, 0.0, announced=False))).messages == ()


@pytest.mark.parametrize(("path", "goes_on"), [(PATH, False), (Path("a.png"), True), (None, True)])
def test_a_failure_ends_the_recording_that_failed(path: Path | None, goes_on: bool) -> None:
    state = after(RecordingStarted(PATH, 0.0), OutputFailed("the disk is full", path))
    assert (state.streams[0].recording is not None) == goes_on
    assert hud_of(state).messages == ("the disk is full",)


def test_what_is_shown_and_measured_is_kept() -> None:
    cat, numbers = Prediction(3, "cat", 0.5), Statistics(captured_per_s=30.0, frame_age_ms=4.2, dropped=7)
    state = after(FrameShown(2.0, cat), StatisticsMeasured(numbers)).with_view(statistics_shown=True)
    assert (state.streams[0].frame_time_s, state.streams[0].target) == (2.0, cat)
    rows = dict(hud_of(state).statistics)
    assert (rows["captured"], rows["age of frame"], rows["age of heat"], rows["dropped"]) == (
        "30.0 fps",
        "4 ms",
        "-",
        "7",
    )
    assert (rows["network"], rows["method"], rows["layer"], rows["backend"]) == (
        "fake",
        "fake",
        "deep",
        "torch fp32",
    )
