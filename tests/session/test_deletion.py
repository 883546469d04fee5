"""What is left of a class without the heat, measured while a session runs."""

from __future__ import annotations

import dataclasses

import numpy as np
import pytest
from live_fakes import FakeExplainers, ScriptedLiveSource, facts_of, live_frame
from numpy.typing import NDArray
from stage_fakes import CAT, explanation_of

from streamcam.errors import InvalidArgumentError
from streamcam.explain.deletion import remove_hottest
from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray, Frame
from streamcam.session.command_sources import CommandQueue
from streamcam.session.deletion import Deletion, DeletionMeter
from streamcam.session.dispatch import press_key
from streamcam.session.events import DeletionMeasured, DeletionRefused, MeasureDeletion, TimePassed, update
from streamcam.session.hud import hud_of
from streamcam.session.outputs import LiveFrame, Output
from streamcam.session.session import LiveSession
from streamcam.session.state import ExplainRequest, LiveState, StreamState
from streamcam.session.wall import words_of

MEASURED = Deletion(CAT, "cat", 0.75, 0.15, at_s=10.0)


class FakeNetwork:
    """Takes some time for a frame, and knows little without its hottest part."""

    clip_s = 0.0

    def __init__(self, takes_s: float = 0.0) -> None:
        self.now_s = 100.0
        self.frames: list[int] = []
        self._takes_s = takes_s

    def clock(self) -> float:
        return self.now_s

    def probabilities_without(self, frame: Frame, heatmap: FloatArray) -> FloatArray:
        assert heatmap.ndim == 2
        self.frames.append(frame.index)
        self.now_s += self._takes_s
        return np.full(8, 0.15, np.float32)


def explained(stream: int = 0) -> tuple[int, Frame, Explanation]:
    return stream, live_frame(stream), explanation_of(0)


def watching(streams: int = 1) -> LiveState:
    names = tuple(StreamState(f"camera {number}", has_begun=True) for number in range(streams))
    request = ExplainRequest("gradcam")
    return press_key(LiveState(names, request, facts=facts_of(request)), "t").state


def test_the_hottest_part_takes_on_the_mean_color() -> None:
    pixels: NDArray[np.uint8] = np.full((10, 10, 3), 200, np.uint8)
    heat = np.zeros((5, 5), np.float32)
    heat[1, 3] = 2  # of the image's four pixels by four, those nearest
    changed = remove_hottest(pixels, heat, (0.5, 0.25, 0), share=0.04)
    assert changed[2:4, 6:8].tolist() == [[[128, 64, 0]] * 2] * 2
    assert (changed == 200).all(axis=-1).sum() == 96
    assert (pixels == 200).all()


def test_measuring_takes_a_tenth_of_the_time_and_streams_take_turns() -> None:
    network = FakeNetwork(takes_s=0.1)
    meter = DeletionMeter(2, network.clock)
    both = [explained(0), explained(1)]
    assert meter.measure(network, both) is None  # nobody asked
    meter.is_on = True
    assert meter.measure(network, both) == (0, Deletion(CAT, "cat", 0.75, pytest.approx(0.15), 100.1))
    network.now_s += 0.89
    assert meter.measure(network, both) is None
    network.now_s += 0.02
    found = meter.measure(network, both)
    assert found is not None
    assert found[0] == 1
    network.now_s += 1
    meter.measure(network, both)
    assert network.frames == [0, 1, 0]


def test_quick_networks_are_measured_four_times_a_second() -> None:
    network = FakeNetwork()
    meter = DeletionMeter(1, network.clock)
    meter.is_on = True
    for _ in range(101):
        meter.measure(network, [explained()])
        network.now_s += 0.01
    assert 4 <= len(network.frames) <= 5


@pytest.mark.parametrize("what", ["clips", "concept"])
def test_what_has_no_probability_is_refused(what: str) -> None:
    network = FakeNetwork()
    meter = DeletionMeter(1, network.clock)
    meter.is_on = True
    stream, frame, explanation = explained()
    if what == "clips":
        network.clip_s = 1.0
    else:
        ((_, heatmap),) = explanation.heatmaps.items()
        concept = Prediction(-500, "cup", float("nan"))
        explanation = dataclasses.replace(explanation, targets=(concept,), heatmaps={-500: heatmap})
    with pytest.raises(InvalidArgumentError, match="without the heat"):
        meter.measure(network, [(stream, frame, explanation)])


def test_maps_without_heat_are_passed_over() -> None:
    network = FakeNetwork()
    meter = DeletionMeter(1, network.clock)
    meter.is_on = True
    stream, frame, explanation = explained()
    empty = dataclasses.replace(explanation, flags={CAT: "no evidence"})
    assert meter.measure(network, [(stream, frame, empty)]) is None
    assert network.frames == []


def test_measurements_are_smoothed_over_a_second_until_the_class_changes() -> None:
    newer = MEASURED.followed_by(dataclasses.replace(MEASURED, without=0.75, at_s=10 + np.log(2)))
    assert (newer.without, newer.probability, newer.count) == (pytest.approx(0.45), 0.75, 2)
    other = dataclasses.replace(MEASURED, index=CAT + 1)
    assert newer.followed_by(other) is other


def test_the_badge_says_what_is_left_and_how_old_that_is() -> None:
    state = watching()
    assert hud_of(state).deletion == "removing the heat …"
    state = update(state, DeletionMeasured(MEASURED, 0)).state
    state = update(state, TimePassed(10.5)).state
    assert hud_of(state).deletion == "cat: 75 %, without heat 15 %"
    state = update(state, TimePassed(14.0)).state
    assert hud_of(state).deletion == "cat: 75 %, without heat 15 % · 4 s"
    off = press_key(state, "t")
    assert hud_of(off.state).deletion is None
    assert off.effects == (MeasureDeletion(False),)
    late = update(off.state, DeletionMeasured(MEASURED, 0)).state
    assert late.streams[0].deletion is None


def test_on_walls_it_stands_above_each_tile() -> None:
    state = update(watching(2), DeletionMeasured(MEASURED, 1)).state
    assert hud_of(state).deletion is None
    assert words_of(state, 0).status == "0 fps"
    assert words_of(state, 1).status == "75 %, without heat 15 %  0 fps"


def test_where_it_is_refused_it_is_turned_off_and_the_reason_shown() -> None:
    change = update(watching(), DeletionRefused("of classes, and 'cup' is none"))
    assert not change.state.view.deletion_shown
    assert change.state.message is not None
    assert change.state.message.text == "of classes, and 'cup' is none"
    assert change.effects == (MeasureDeletion(False),)


def test_a_session_measures_and_writes_it_to_the_statistics() -> None:
    commands = CommandQueue()
    source = ScriptedLiveSource()
    lines: list[dict[str, object]] = []

    class Watching(Output):
        may_block = False

        def write(self, live_frame: LiveFrame) -> None:
            deletion = live_frame.state.streams[0].deletion
            if deletion is None:
                source.go()
            else:
                source.end()

        def handle(self, effect: object, _live_frame: LiveFrame | None) -> bool:
            lines.append(getattr(effect, "record", {}))
            return True

    commands.send("deletion")
    source.go()
    LiveSession(source, FakeExplainers(), [Watching()], commands=[commands]).run()  # type: ignore[arg-type]
    assert lines[-1]["deletion"] == {
        "class": CAT,
        "label": "cat",
        "probability": 0.75,
        "without": 0.15,
        "measured": 1,
    }
