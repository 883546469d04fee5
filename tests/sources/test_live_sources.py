"""Images as they happen: reconnecting, and the clock of frames that come when they come."""

from __future__ import annotations

import math
from pathlib import Path
from typing import Any

import av
import pytest
from live_fakes import FakeCapture, NotedSource, captured
from media_factory import Audio, gray_of, make_clip

from streamcam.errors import SourceError
from streamcam.frames import AudioBlock, Frame
from streamcam.media.images import planes_of
from streamcam.sources import capture as capture_module
from streamcam.sources.base import StopFlag
from streamcam.sources.capture import CapturedAudio, LiveClock
from streamcam.sources.network import NetworkCapture


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "_FIRST_DELAY_S", 0.0)


def watch(capture: FakeCapture) -> tuple[list[Frame], list[str | None]]:
    """Read a capture to the end of its script; return its frames, and what was said, once each."""
    source = NotedSource(capture)
    frames = list(source)
    assert not capture.is_open
    return frames, source.notices


def test_frames_are_numbered_planar_and_in_order() -> None:
    capture = FakeCapture([captured(0), captured(1, kind="yuvj422p"), captured(2, kind="yuv420p")])
    frames, notices = watch(capture)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert {frame.image.format.name for frame in frames} == {"yuv420p"}
    assert [planes_of(frame.image)[0][0, 0] for frame in frames] == [gray_of(0), gray_of(1), gray_of(2)]
    assert frames[0].pts == 0
    assert frames[0].pts < frames[1].pts < frames[2].pts
    assert notices == [None]


def test_no_image_yet_is_asked_for_again() -> None:
    frames, notices = watch(FakeCapture([None, captured(0), None, None, captured(1)]))
    assert [frame.index for frame in frames] == [0, 1]
    assert notices == [None]


def test_a_camera_that_fails_is_opened_again_and_may_have_another_size() -> None:
    gone = SourceError("fake camera is gone")
    capture = FakeCapture([captured(0), gone, captured(1, size=(32, 24))])
    frames, notices = watch(capture)
    assert capture.opened == 2
    assert [(frame.index, frame.image.width, frame.image.height) for frame in frames] == [
        (0, 64, 48),
        (1, 32, 24),
    ]
    assert notices == [None, "fake camera is gone; trying again", None]


def test_a_camera_that_does_not_come_back_at_once_is_tried_again() -> None:
    busy = SourceError("fake camera is busy")
    capture = FakeCapture([captured(0), SourceError("gone"), captured(1)], refusals=[None, busy, busy])
    frames, notices = watch(capture)
    assert len(frames) == 2
    assert notices == [None, "gone; trying again", "fake camera is busy; trying again", None]


def test_a_camera_that_cannot_be_opened_at_the_start_is_an_error() -> None:
    capture = FakeCapture([captured(0)], refusals=[SourceError("there is no fake camera")])
    with pytest.raises(SourceError, match="there is no fake camera"):
        watch(capture)


def test_pauses_double_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "_FIRST_DELAY_S", 0.5)
    capture = FakeCapture([captured(0)] + [SourceError("gone")] * 7 + [captured(1), SourceError("gone")])
    waited: list[float] = []

    class Patience(StopFlag):
        def wait(self, timeout_s: float) -> bool:
            waited.append(timeout_s)
            return False

    source = NotedSource(capture)
    source.stop_flag = Patience()
    list(source)
    # An image that arrives starts the count again.
    assert waited == [0.5, 1, 2, 4, 8, 10, 10, 0.5]


def test_a_stop_ends_the_wait_for_a_camera() -> None:
    capture = FakeCapture([SourceError("gone")])
    source = NotedSource(capture)

    class StopsAtOnce(StopFlag):
        def wait(self, timeout_s: float) -> bool:  # noqa: ARG002
            self.set()
            return True

    source.stop_flag = StopsAtOnce()
    assert list(source) == []
    assert source.notices == ["gone; trying again"]


def test_an_image_that_cannot_be_shown_is_trouble_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    normalize, broken = capture_module.to_upright_planar, [ValueError("no such format")]

    def break_once(*arguments: Any, **options: Any) -> Any:
        if broken:
            raise broken.pop()
        return normalize(*arguments, **options)

    monkeypatch.setattr(capture_module, "to_upright_planar", break_once)
    frames, notices = watch(FakeCapture([captured(0), captured(1)]))
    assert len(frames) == 1
    assert notices == [
        "fake camera sent an image that cannot be shown (no such format); trying again",
        None,
    ]


def placed(*pairs: tuple[float, float | None]) -> list[float]:
    clock = LiveClock()
    return [clock.place(received, device) / 90_000 for received, device in pairs]


def test_without_a_device_clock_frames_have_their_times_of_arrival() -> None:
    assert placed((100.0, None), (100.04, None), (100.5, None)) == [0.0, 0.04, 0.5]


def test_a_device_clock_evens_out_bursts() -> None:
    assert placed((10.0, 5.0), (10.1, 5.04), (10.1, 5.08)) == pytest.approx([0.0, 0.04, 0.08])


@pytest.mark.parametrize("absurd", [1e12, -1e12, math.nan, math.inf, 0.0])
def test_absurd_device_clocks_are_replaced_by_the_time_of_arrival(absurd: float) -> None:
    times = placed((10.0, 50.0), (10.04, absurd), (10.08, absurd + 0.04), (10.12, 50.12))
    assert times == pytest.approx([0.0, 0.04, 0.08, 0.12], abs=0.01)


def test_times_increase_strictly_even_where_the_device_stands_still() -> None:
    times = placed((10.0, 5.0), (10.0, 5.0), (10.0, 4.9))
    assert times == pytest.approx([0.0, 0.001, 0.002])


def test_audio_is_handed_over_on_the_clock_of_the_frames() -> None:
    audio = av.AudioFrame("flt", "mono", 1024)
    capture = FakeCapture(
        [
            CapturedAudio(audio, 99.5),  # before the first frame there is no clock yet
            captured(0, 100.0),
            CapturedAudio(audio, 100.125),
            CapturedAudio(audio, None),
            captured(1, 100.25),
        ]
    )
    capture.has_audio = True
    source = NotedSource(capture)
    heard: list[AudioBlock] = []
    source.on_audio = heard.append
    frames = list(source)
    assert source.info.has_audio
    assert capture.hands_audio
    assert len(heard) == 1
    begin_s = frames[1].time_s - 0.25
    assert heard[0].time_s == pytest.approx(begin_s + 0.125, abs=1e-4)


def test_a_stream_decodes_its_audio_for_who_listens_only(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.ts", frames=25, audio=[Audio("mp2", duration_s=1.0)])
    for listens in (False, True):
        capture = NetworkCapture("tcp://127.0.0.1:9")
        capture.hands_audio = listens
        with av.open(str(clip)) as container:
            decoded = list(capture._decode(container))
        samples = sum(each.samples for each in decoded if isinstance(each, av.AudioFrame))
        assert capture.has_audio
        assert samples == pytest.approx(48000 if listens else 0, abs=1200)
