"""Every way in which a stage can die, with full and with empty queues: the caller gets its own error."""

from __future__ import annotations

import contextlib
import gc
import sys
import threading
import traceback
import weakref

import pytest
from stage_fakes import FakeExplainer, ToldSource, at, consume, expect, in_turn, join_thread

from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.pipeline import stream as streaming
from streamcam.pipeline.stream import stream
from streamcam.sources import Source
from streamcam.temporal import Tracker

BATCH = 2
FULL = 3 * BATCH
"""With nothing taken, this many frames are on their way: queued, in the explainer's hands, explained."""


class StageDied(Exception):  # noqa: N818 - it is what happened, and no defect of a program
    """What the stages of these tests die of."""


def die_in_reader() -> None:
    raise StageDied("reader")


def die_in_explainer() -> None:
    raise StageDied("explainer")


def die_in_consumer() -> None:
    raise StageDied("consumer")


def assert_died_in(caught: pytest.ExceptionInfo[StageDied], stage: str) -> None:
    """Make sure that an error is the stage's own, and that its traceback leads there and nowhere else."""
    functions = {frame.name for frame in traceback.extract_tb(caught.value.__traceback__)}
    assert str(caught.value) == stage
    assert f"die_in_{stage}" in functions
    threads = {"reader": {"_read"}, "explainer": {"_explain"}}
    if stage in threads:
        assert functions & threads.pop(stage)
    for others in threads.values():
        assert not functions & others


def test_opening_dies(monkeypatch: pytest.MonkeyPatch) -> None:
    def open_badly(*_arguments: object) -> Source:
        raise StageDied("opening")

    monkeypatch.setattr(streaming, "open_source", open_badly)
    with pytest.raises(StageDied, match="opening"):
        stream("video.mp4", FakeExplainer())


def test_reader_dies_before_its_first_frame() -> None:
    with pytest.raises(StageDied) as caught:
        consume(stream(ToldSource(before=at(0, die_in_reader)), FakeExplainer()))
    assert_died_in(caught, "reader")


def test_reader_dies_with_empty_queues() -> None:
    """Everything read has been handed over: explainer and consumer are waiting."""
    taken = threading.Event()
    source = ToldSource(before=at(2 * BATCH, in_turn(lambda: expect(taken), die_in_reader)))
    running = stream(source, FakeExplainer(batch_size=BATCH))
    with pytest.raises(StageDied) as caught:
        consume(running, at(2 * BATCH - 1, taken.set))
    assert taken.is_set()
    assert_died_in(caught, "reader")
    assert running.report().frames_read == 2 * BATCH


def test_reader_dies_with_full_queues() -> None:
    """Nothing was taken: the explainer is held back by its own full queue."""
    full = threading.Event()
    source = ToldSource(before=at(FULL, in_turn(lambda: expect(full), die_in_reader)))
    explainer = FakeExplainer(batch_size=BATCH, before=at(1, full.set))
    with pytest.raises(StageDied) as caught:
        consume(stream(source, explainer))
    assert_died_in(caught, "reader")


def test_reader_dies_at_the_very_end() -> None:
    with pytest.raises(StageDied) as caught:
        consume(stream(ToldSource(4, before=at(4, die_in_reader)), FakeExplainer()))
    assert_died_in(caught, "reader")


def test_an_error_while_closing_hides_no_earlier_one() -> None:
    class Unclosable(ToldSource):
        def close(self) -> None:
            raise OSError("closing")

    with pytest.raises(StageDied) as caught:
        consume(stream(Unclosable(before=at(3, die_in_reader)), FakeExplainer()))
    assert_died_in(caught, "reader")
    with pytest.raises(OSError, match="closing"):
        consume(stream(Unclosable(4), FakeExplainer()))


@pytest.mark.parametrize("batch", [0, 3])
def test_explainer_dies_with_a_full_queue_of_frames(batch: int) -> None:
    """The reader is held back."""
    full = threading.Event()
    # When the source is asked for this frame, the explainer holds a batch and the queue is full.
    source = ToldSource(200, before=at((batch + 2) * BATCH, full.set))
    explainer = FakeExplainer(
        batch_size=BATCH, before=at(batch, in_turn(lambda: expect(full), die_in_explainer))
    )
    with pytest.raises(StageDied) as caught:
        consume(stream(source, explainer))
    assert_died_in(caught, "explainer")
    assert source.closed_in == "streamcam-reader"


@pytest.mark.parametrize("batch", [0, 3])
def test_explainer_dies_with_empty_queues(batch: int) -> None:
    """The reader is in the middle of a read, and the consumer waits."""
    died = threading.Event()
    source = ToldSource(200, before=at((batch + 1) * BATCH, lambda: expect(died)))
    explainer = FakeExplainer(batch_size=BATCH, before=at(batch, in_turn(died.set, die_in_explainer)))
    with pytest.raises(StageDied) as caught:
        consume(stream(source, explainer))
    assert_died_in(caught, "explainer")


def test_explainer_dies_at_its_last_batch() -> None:
    with pytest.raises(StageDied) as caught:
        consume(stream(ToldSource(4), FakeExplainer(before=at(1, die_in_explainer))))
    assert_died_in(caught, "explainer")


def test_an_explainer_that_returns_too_few_is_found_out() -> None:
    class Forgetful(FakeExplainer):
        def explain_frames(self, frames: list[Frame], tracker: Tracker | None = None) -> list[Explanation]:
            return super().explain_frames(frames, tracker)[1:]

    with pytest.raises(ValueError, match="shorter"):
        consume(stream(ToldSource(), Forgetful()))


@pytest.mark.parametrize("stage", ["source", "explainer"])
def test_a_stray_stop_iteration_is_an_error_and_no_end(stage: str) -> None:
    def stray() -> None:
        raise StopIteration

    hook = at(1, stray)
    running = (
        stream(ToldSource(before=hook), FakeExplainer())
        if stage == "source"
        else stream(ToldSource(), FakeExplainer(before=hook))
    )
    with pytest.raises(RuntimeError, match="StopIteration"):
        consume(running)


def test_even_a_system_exit_in_a_stage_reaches_the_caller() -> None:
    with pytest.raises(SystemExit):
        consume(stream(ToldSource(), FakeExplainer(before=at(1, sys.exit))))


@pytest.mark.parametrize("as_manager", [True, False])
def test_consumer_dies_with_full_queues(as_manager: bool) -> None:
    """Reader and explainer are both held back."""
    full = threading.Event()
    source = ToldSource(200, before=at(FULL, full.set))
    running = stream(source, FakeExplainer(batch_size=BATCH))
    die = at(0, in_turn(lambda: expect(full), die_in_consumer))
    with pytest.raises(StageDied) as caught, running if as_manager else contextlib.nullcontext():
        consume(running, die)
    assert_died_in(caught, "consumer")
    del caught  # its traceback holds the iterator, which ends the stages when it is collected
    gc.collect()


def test_consumer_dies_with_empty_queues() -> None:
    """The explainer waits for the reader, which is in the middle of a read."""
    died = threading.Event()
    source = ToldSource(200, before=at(BATCH, lambda: expect(died)))
    with pytest.raises(StageDied) as caught, stream(source, FakeExplainer(batch_size=BATCH)) as running:
        consume(running, at(BATCH - 1, in_turn(died.set, die_in_consumer)))
    assert_died_in(caught, "consumer")


def test_consumer_breaks_out() -> None:
    source = ToldSource(200)
    with stream(source, FakeExplainer()) as running:
        for frame, _ in running:
            if frame.index == 5:
                break
    assert source.closed_in == "streamcam-reader"
    assert running.stopped


def test_only_the_first_death_is_told() -> None:
    """The explainer dies, and the reader too when it is stopped."""
    dying = threading.Event()
    last_words = in_turn(lambda: expect(dying), lambda: join_thread("streamcam-explainer"), die_in_reader)
    source = ToldSource(before=at(BATCH, last_words))
    die_first = at(0, in_turn(dying.set, die_in_explainer))
    running = stream(source, FakeExplainer(batch_size=BATCH, before=die_first))
    with pytest.raises(StageDied) as caught:
        consume(running)
    assert_died_in(caught, "explainer")


def test_a_stream_that_failed_is_collected() -> None:
    running = stream(ToldSource(), FakeExplainer(before=at(1, die_in_explainer)))
    with pytest.raises(StageDied):
        consume(running)
    alive = weakref.ref(running)
    del running
    gc.collect()
    assert alive() is None


# --- a read that hangs ------------------------------------------------------------------------------------


@pytest.fixture
def release(monkeypatch: pytest.MonkeyPatch) -> threading.Event:
    """What a hanging read waits for."""
    monkeypatch.setattr(streaming, "READER_PATIENCE_S", 0.05)
    return threading.Event()


def test_a_hanging_read_does_not_hold_up_another_stages_error(release: threading.Event) -> None:
    source = ToldSource(before=at(BATCH, lambda: expect(release)))
    running = stream(source, FakeExplainer(batch_size=BATCH, before=at(0, die_in_explainer)))
    with (
        pytest.warns(RuntimeWarning, match=r"stuck in a read for 0\.05 s") as warned,
        pytest.raises(StageDied) as caught,
        running,
    ):
        consume(running)
    assert_died_in(caught, "explainer")
    assert len(warned) == 1, "it is waited for once, however often the stream is closed"
    release.set()
    join_thread("streamcam-reader")
    assert source.closed_in == "streamcam-reader"


def test_a_hanging_read_does_not_hold_up_a_stop(release: threading.Event) -> None:
    hangs = threading.Event()
    source = ToldSource(before=at(3, in_turn(hangs.set, lambda: expect(release))))
    running = stream(source, FakeExplainer(batch_size=BATCH))
    expect(hangs)
    running.stop()
    with pytest.warns(RuntimeWarning, match="left behind"):
        indices = consume(running)
    assert indices == [0, 1, 2]
    assert running.stopped
    release.set()
