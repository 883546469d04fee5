"""Streams of live sources: the newest frame, and every way of leaving them."""

from __future__ import annotations

import gc
import threading
import time
import weakref

import pytest
from live_fakes import FakeCapture, NotedSource, ScriptedLiveSource, captured
from stage_fakes import FakeExplainer, at, expect, in_turn, join_thread
from thread_guard import stage_threads

from streamcam.errors import SourceError
from streamcam.pipeline import stream as streaming
from streamcam.pipeline.stream import stream
from streamcam.sources import capture as capture_module
from streamcam.temporal import TemporalSettings


def test_a_slow_explainer_gets_the_newest_frame_one_at_a_time() -> None:
    begun, released = threading.Event(), threading.Event()
    explainer = FakeExplainer(batch_size=4, before=at(0, in_turn(begun.set, lambda: expect(released))))
    source = ScriptedLiveSource()
    running = stream(source, explainer)
    source.go()
    expect(begun)
    source.idle.clear()
    source.go(9)
    join_idle(source, 10)
    released.set()
    source.end()
    assert [frame.index for frame, _ in running][-1] == 9
    assert explainer.batches == [[0], [9]]
    assert not running.stopped
    assert running.report().frames_read == 10


def join_idle(source: ScriptedLiveSource, count: int) -> None:
    """Wait until a source has sent so many frames and waits for more."""
    while source.report().frames_read < count:
        expect(source.idle)
        time.sleep(0.001)
    expect(source.idle)


def test_a_slow_caller_gets_the_newest_explanation() -> None:
    source, explainer = ScriptedLiveSource(), FakeExplainer()
    running = stream(source, explainer)
    for count in range(1, 6):
        source.go()
        while len(explainer.batches) < count:
            time.sleep(0.001)
    source.end()
    join_thread("streamcam-explainer")
    assert [frame.index for frame, _ in running] == [4]


def test_a_skipped_frame_comes_at_once() -> None:
    source = ScriptedLiveSource()
    running = stream(source, FakeExplainer(batch_size=4), temporal=TemporalSettings(every=3, cuts="off"))
    seen = []
    source.go()
    for frame, explanation in running:
        seen.append((frame.index, explanation.is_explained))
        if frame.index == 3:
            break
        source.go()
    assert seen == [(0, True), (1, False), (2, False), (3, True)]


def test_break_ends_the_threads() -> None:
    source = ScriptedLiveSource()
    source.go(3)
    for _ in stream(source, FakeExplainer()):
        break
    assert stage_threads() == []
    assert source.stop_flag.is_set()


def test_an_exception_in_the_loop_ends_the_threads() -> None:
    def watch() -> None:
        source.go()
        for _ in stream(source, FakeExplainer()):
            raise KeyError("of the caller")

    source = ScriptedLiveSource()
    with pytest.raises(KeyError, match="of the caller") as raised:
        watch()
    del raised  # its traceback holds the loop
    gc.collect()
    assert stage_threads() == []


def test_garbage_ends_the_threads() -> None:
    source = ScriptedLiveSource()
    running = stream(source, FakeExplainer())
    collected = weakref.ref(running)
    del running
    gc.collect()
    assert collected() is None
    join_thread("streamcam-reader")
    join_thread("streamcam-explainer")


def test_the_information_is_complete_with_the_first_frame() -> None:
    source = NotedSource(FakeCapture([captured(0), captured(1)]))
    assert (source.info.name, source.info.width) == ("fake camera", 0)
    with stream(source, FakeExplainer()) as running:
        next(iter(running))
        assert (running.info.width, running.info.height) == (64, 48)


def test_trouble_shows_as_a_notice(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(capture_module, "_FIRST_DELAY_S", 60.0)
    noticed = threading.Event()
    source = NotedSource(
        FakeCapture([captured(0), SourceError("it is gone")]), lambda notice: notice and noticed.set()
    )
    with stream(source, FakeExplainer()) as running:
        expect(noticed)
        assert running.notice == "it is gone; trying again"
        began = time.monotonic()
    assert time.monotonic() - began < 5, "the pause before the next try was not cut short"


def test_a_camera_that_was_never_there_is_an_error() -> None:
    source = NotedSource(FakeCapture([], refusals=[SourceError("there is no fake camera")]))
    with pytest.raises(SourceError, match="there is no fake camera"):
        list(stream(source, FakeExplainer()))


def test_a_camera_that_hangs_is_left_behind(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(streaming, "LIVE_PATIENCE_S", 0.05)
    source, woken = ScriptedLiveSource(), threading.Event()
    source.before = at(1, lambda: expect(woken))
    source.go()
    running = stream(source, FakeExplainer())
    pairs = iter(running)
    next(pairs)
    with pytest.warns(RuntimeWarning, match=r"'scripted' is stuck in a read for 0\.05 s"):
        running.close()
    woken.set()
    join_thread("streamcam-reader")
