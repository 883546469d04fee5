"""What is explained, and when it goes to the disk."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import make_image, names_in
from stage_fakes import FakeExplainer

from streamcam.frames import Frame
from streamcam.pipeline.recorded_explainer import ResumingExplainer
from streamcam.sinks import SegmentStore, open_store
from streamcam.sinks.resume.segments import Segment

EACH = 6

GoneOn = tuple[FakeExplainer, SegmentStore]


class Clock:
    """Stands still unless it is set."""

    now = 0.0

    def __call__(self) -> float:
        return self.now


@pytest.fixture
def clock() -> Clock:
    return Clock()


@pytest.fixture
def store(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> SegmentStore:
    monkeypatch.setattr("streamcam.sinks.resume.segments.FRAMES_PER_SEGMENT", EACH)
    return open_store(tmp_path / "video.mkv", {})


def frames_of(*indices: int) -> list[Frame]:
    image = make_image(16, 16, 0)
    return [Frame(image, index, index, Fraction(1, 25), 0.0) for index in indices]


def kept_in(store: SegmentStore) -> list[str]:
    return [name for name in names_in(store.folder) if name.startswith("pending")]


def finish_segment(store: SegmentStore, explainer: ResumingExplainer) -> None:
    arrays = explainer.pop_explanations(range(store.frames, store.frames + EACH))
    times, keyframes = np.zeros((1, 3), np.int64), np.ones(1, np.bool_)
    store.add(Segment((b"x",), times, keyframes, Fraction(1, 25), EACH, arrays))


def seconds_per_batch(clock: Clock, seconds: float) -> FakeExplainer:
    def work(_batch: int) -> None:
        clock.now += seconds

    return FakeExplainer(batch_size=2, before=work)


def test_no_more_than_a_few_seconds_of_work_are_at_risk(store: SegmentStore, clock: Clock) -> None:
    explainer = ResumingExplainer(seconds_per_batch(clock, 2.0), store, clock)
    saved = []
    for begin in range(0, 14, 2):
        explainer.explain_frames(frames_of(begin, begin + 1))
        saved.append(kept_in(store))
    first, second = "pending-000000000.npz", "pending-000000006.npz"
    assert saved == [[], [], [first], [first], [first], [first, second], [first, second]]
    assert store.pending.frames == 12
    explainer.save()
    assert store.pending.frames == 14


def test_a_batch_that_takes_long_is_kept_at_once(store: SegmentStore, clock: Clock) -> None:
    explainer = ResumingExplainer(seconds_per_batch(clock, 60.0), store, clock)
    explainer.explain_frames(frames_of(0, 1))
    assert store.pending.frames == 2


def test_what_a_segment_holds_is_not_kept_twice(store: SegmentStore, clock: Clock) -> None:
    """Neither written while segments are quicker than the clock, nor left when they have come."""
    explainer = ResumingExplainer(seconds_per_batch(clock, 1.0), store, clock)
    for begin in range(0, 24, 2):
        explainer.explain_frames(frames_of(begin, begin + 1))
        if begin + 2 - store.frames == EACH:
            finish_segment(store, explainer)
    assert kept_in(store) == []
    explainer.explain_frames(frames_of(24, 25))
    clock.now += 10
    explainer.explain_frames(frames_of(26, 27))
    assert kept_in(store) == ["pending-000000024.npz"]
    explainer.explain_frames(frames_of(28, 29))
    finish_segment(store, explainer)
    explainer.explain_frames(frames_of(30, 31))
    explainer.save()
    assert kept_in(store) == ["pending-000000030.npz"]


def test_a_batch_that_may_be_cut_off_is_kept_when_another_follows(store: SegmentStore, clock: Clock) -> None:
    explainer = ResumingExplainer(seconds_per_batch(clock, 60.0), store, clock)
    explainer.explain_frames(frames_of(0))
    explainer.save()
    assert kept_in(store) == []
    explainer.explain_frames(frames_of(30))  # as --every 30 has it
    explainer.save()
    assert store.pending.frames == 1
    explainer.explain_frames(frames_of(60, 61))
    assert store.pending.frames == 62


@pytest.fixture
def gone_on(store: SegmentStore, clock: Clock, tmp_path: Path) -> GoneOn:
    """An explainer that finds frames 0 to 7: six in a segment, two after it."""
    first = ResumingExplainer(FakeExplainer(batch_size=2), store, clock)
    for begin in range(0, 8, 2):
        first.explain_frames(frames_of(begin, begin + 1))
    finish_segment(store, first)
    first.save()
    return FakeExplainer(batch_size=2), open_store(tmp_path / "video.mkv", {})


def test_what_is_kept_is_repeated(gone_on: GoneOn, clock: Clock) -> None:
    fake, store = gone_on
    assert (store.frames, store.pending.frames) == (6, 8)
    explainer = ResumingExplainer(fake, store, clock)
    for begin in range(0, 10, 2):
        explanations = explainer.explain_frames(frames_of(begin, begin + 1))
        assert [one.frame_index for one in explanations] == [begin, begin + 1]
        assert [one.heatmaps[3][0, 0] for one in explanations] == [begin, begin + 1]
    assert fake.batches == [[0, 1], [8, 9]]
    assert fake.skipped == [[2, 3], [4, 5], [6, 7]]  # clips may begin with them
    explainer.save()
    assert kept_in(store) == ["pending-000000006.npz", "pending-000000008.npz"]


def test_what_follows_upon_a_gap_is_not_used(gone_on: GoneOn, tmp_path: Path) -> None:
    (gone_on[1].folder / "000000.npz").unlink()
    store = open_store(tmp_path / "video.mkv", {})
    assert (store.frames, store.pending.frames) == (0, 0)
