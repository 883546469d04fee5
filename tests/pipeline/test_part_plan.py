"""Long videos in parts: where they begin, and whether a tracker of all frames agrees with one of a part."""

from __future__ import annotations

from fractions import Fraction

import numpy as np
import pytest
from media_factory import make_image

from streamcam.explanations import Explanation, Instance, as_target, renumber_objects
from streamcam.frames import Frame, Region
from streamcam.pipeline.batches import BatchExplainer
from streamcam.pipeline.parts.plan import VideoPart, plan_parts
from streamcam.sources import FrameTimes
from streamcam.temporal import RecordingTracker, Relevance, TemporalSettings, Tracker, replay

TIMES = FrameTimes(range(1000, 1000 + 2 * 400, 2), Fraction(1, 50), Fraction(20))
"""400 frames, 25 a second, of a video that begins at 20 s."""


def plan(count: int = 400, part_s: float = 4.0, every: int = 1) -> list[VideoPart]:
    temporal = TemporalSettings(every=every, label_hold_s=0.25)
    return plan_parts(count, TIMES, rate=25.0, part_s=part_s, batch_size=8, temporal=temporal)


def test_parts_begin_where_batches_do() -> None:
    first, second, third, last = plan()
    assert first == VideoPart(0, 104, 0)
    # Two seconds before frame 104 is frame 54, in the batch that begins with 48: 1.92 s after the beginning.
    assert second == VideoPart(104, 208, 48, 0, 1.92, 1096)
    assert (third.begin, third.end, third.warm_up) == (208, 312, 152)
    assert (last.begin, last.end, last.warm_up) == (312, None, 256)


def test_a_short_rest_belongs_to_the_last_part() -> None:
    assert [(part.begin, part.end) for part in plan(350)] == [(0, 104), (104, 208), (208, None)]
    assert [(part.begin, part.end) for part in plan(90)] == [(0, None)]


@pytest.mark.parametrize("every", [1, 2, 5])
def test_parts_begin_where_batches_do_with_skipped_frames(every: int) -> None:
    """As `BatchExplainer` forms them."""
    begins, kept = [0], []
    batches = BatchExplainer(Batches(), TemporalSettings(every=every))
    image = make_image(64, 48)
    for index in range(400):
        done = batches.explain(Frame(image, index, index, Fraction(1, 25), 0.0))
        kept += [pair[0].index for pair in done]
        if done:
            begins.append(kept[-1] + 1)
    for part in plan(every=every)[1:]:
        assert part.begin in begins
        assert part.warm_up in begins
        assert part.skipped == (part.warm_up - 1) % every


class Batches:
    """Explains nothing, eight frames at once."""

    batch_size = 8
    clip_s = 0.0

    def explain_frames(self, frames: list[Frame], *_: object) -> list[Explanation]:
        return [explanation(frame.index) for frame in frames]


def explanation(index: int, *instances: Instance) -> Explanation:
    targets = tuple(as_target(one, place) for place, one in enumerate(instances))
    heatmaps = {one.index: np.full((1, 1), number, np.float32) for number, one in enumerate(targets)}
    return Explanation(index, heatmaps, targets, (), "fake", "nowhere", Region(), instances=instances)


def frame(index: int) -> Frame:
    return Frame(make_image(64, 48), index, index, Fraction(1, 25), 0.0)


def observed(tracker: Tracker, *indices: int) -> list[Frame]:
    frames = [frame(index) for index in indices]
    for each in frames:
        tracker.observe(each)
    return frames


def test_only_ranks_that_are_explained_have_to_agree() -> None:
    settings = TemporalSettings(label_hold_s=1.0)
    labels = ["a", "b", "c"]
    true, other = Tracker(settings), RecordingTracker(settings)
    true.rank(observed(true, 0), np.array([[0.6, 0.1, 0.3]], np.float32), labels, 3)
    frames = observed(true, 1)
    other.rank(observed(other, 1), np.array([[0.5, 0.3, 0.2]], np.float32), labels, 3)
    # Held from frame 0: c before b.
    first = Tracker(settings)
    first.adopt(true)
    assert replay(other.calls, first, frames, labels, Relevance(frozenset({0}))) == {}
    assert [one.label for one in first.complete(frames[0], explanation(1)).smoothed_predictions] == list(
        "acb"
    )
    assert replay(other.calls, true, frames, labels, Relevance()) is None


def test_objects_get_the_numbers_of_the_whole_video() -> None:
    settings = TemporalSettings()
    box = Instance(1, "cat", 0.9, (0.1, 0.1, 0.4, 0.4))
    far = Instance(2, "dog", 0.9, (0.6, 0.6, 0.9, 0.9))
    true, other = Tracker(settings), RecordingTracker(settings)
    true.follow(observed(true, 0), [[far]], 0.5)
    frames = observed(true, 1)
    (found,) = other.follow(observed(other, 1), [[box]], 0.5)
    there = explanation(1, found[0][1])
    numbers = replay(other.calls, true, frames, [], Relevance())
    assert numbers == {1: {1: 2}}
    here = renumber_objects(there, numbers[1])
    assert [one.track_id for one in here.instances] == [2]
    assert [target.label for target in here.targets] == ["cat #2"]
    assert list(here.heatmaps) == [here.targets[0].index]
    strict = Tracker(settings)
    strict.follow(observed(strict, 0), [[far]], 0.5)
    observed(strict, 1)
    assert replay(other.calls, strict, frames, [], Relevance(has_numbers=True)) is None


def test_a_tracker_that_adopts_leaves_the_other_as_it_was() -> None:
    settings = TemporalSettings(every=3)
    true = Tracker(settings)
    (first,) = observed(true, 0)
    true.complete(first, explanation(0))
    waiting = observed(true, 1)
    copy = Tracker(settings)
    copy.adopt(true)
    assert copy.first_pending == true.first_pending == 1
    copy.complete(waiting[0], None)
    assert (copy.first_pending, true.first_pending) == (None, 1)
    assert [copy.observe(frame(index)) for index in (2, 3)] == [False, True]
    assert [true.observe(frame(index)) for index in (1, 2, 3)] == [False, False, True]
