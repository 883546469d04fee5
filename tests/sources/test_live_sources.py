"""Images as they happen: reconnecting, and the clock of frames that come when they come."""

from __future__ import annotations

import math
from typing import Any

import pytest
from live_fakes import FakeFeed, grabbed
from media_factory import grey_of

from streamcam.errors import SourceError
from streamcam.frames import Frame
from streamcam.media.images import planes_of
from streamcam.sources import live
from streamcam.sources.live import LiveClock, ReconnectingSource


@pytest.fixture(autouse=True)
def _no_pauses(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_FIRST_DELAY_S", 0.0)


def watch(feed: FakeFeed) -> tuple[list[Frame], list[str | None]]:
    """Read a feed to the end of its script; return its frames, and what was said, once each."""
    notices: list[str | None] = []

    def note(notice: str | None) -> None:
        if not notices or notices[-1] != notice:
            notices.append(notice)

    frames = list(ReconnectingSource(feed).frames(feed.stop, note))
    assert not feed.is_open
    return frames, notices


def test_frames_are_numbered_planar_and_in_order() -> None:
    feed = FakeFeed([grabbed(0), grabbed(1, kind="yuvj422p"), grabbed(2, kind="yuv420p")])
    frames, notices = watch(feed)
    assert [frame.index for frame in frames] == [0, 1, 2]
    assert {frame.image.format.name for frame in frames} == {"yuv420p"}
    assert [planes_of(frame.image)[0][0, 0] for frame in frames] == [grey_of(0), grey_of(1), grey_of(2)]
    assert frames[0].pts == 0
    assert frames[0].pts < frames[1].pts < frames[2].pts
    assert notices == [None]


def test_no_image_yet_is_asked_for_again() -> None:
    frames, notices = watch(FakeFeed([None, grabbed(0), None, None, grabbed(1)]))
    assert [frame.index for frame in frames] == [0, 1]
    assert notices == [None]


def test_a_camera_that_fails_is_opened_again_and_may_have_another_size() -> None:
    gone = SourceError("fake camera is gone")
    feed = FakeFeed([grabbed(0), gone, grabbed(1, size=(32, 24))])
    frames, notices = watch(feed)
    assert feed.opened == 2
    assert [(frame.index, frame.image.width, frame.image.height) for frame in frames] == [
        (0, 64, 48),
        (1, 32, 24),
    ]
    assert notices == [None, "fake camera is gone; trying again", None]


def test_a_camera_that_does_not_come_back_at_once_is_tried_again() -> None:
    busy = SourceError("fake camera is busy")
    feed = FakeFeed([grabbed(0), SourceError("gone"), grabbed(1)], refusals=[None, busy, busy])
    frames, notices = watch(feed)
    assert len(frames) == 2
    assert notices == [None, "gone; trying again", "fake camera is busy; trying again", None]


def test_a_camera_that_cannot_be_opened_at_the_start_is_an_error() -> None:
    feed = FakeFeed([grabbed(0)], refusals=[SourceError("there is no fake camera")])
    with pytest.raises(SourceError, match="there is no fake camera"):
        watch(feed)


def test_pauses_double_up_to_a_limit(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(live, "_FIRST_DELAY_S", 0.5)
    feed = FakeFeed([grabbed(0)] + [SourceError("gone")] * 7 + [grabbed(1), SourceError("gone")])
    waited: list[float] = []

    class Patience:
        def is_set(self) -> bool:
            return feed.stop.is_set()

        def wait(self, seconds: float) -> bool:
            waited.append(seconds)
            return False

    list(ReconnectingSource(feed).frames(Patience(), lambda _notice: None))  # type: ignore[arg-type]
    # An image that arrives begins the count anew.
    assert waited == [0.5, 1, 2, 4, 8, 10, 10, 0.5]


def test_a_stop_ends_the_wait_for_a_camera() -> None:
    feed = FakeFeed([SourceError("gone")])
    source = ReconnectingSource(feed).frames(feed.stop, lambda _notice: feed.stop.set())
    assert list(source) == []


def test_an_image_that_cannot_be_shown_is_trouble_that_may_pass(monkeypatch: pytest.MonkeyPatch) -> None:
    normalise, broken = live.to_upright_planar, [ValueError("no such format")]

    def break_once(*arguments: Any, **options: Any) -> Any:
        if broken:
            raise broken.pop()
        return normalise(*arguments, **options)

    monkeypatch.setattr(live, "to_upright_planar", break_once)
    frames, notices = watch(FakeFeed([grabbed(0), grabbed(1)]))
    assert len(frames) == 1
    assert notices == [
        "fake camera gave an image that cannot be shown (no such format); trying again",
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
