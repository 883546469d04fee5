"""Following a video: which frames are explained, of which classes, and what is added to what is found."""

from __future__ import annotations

from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import skimage.data
from media_factory import make_image
from stage_fakes import CAT, explanation_of

from streamcam.explanations import Explanation
from streamcam.frames import Frame
from streamcam.temporal import TemporalSettings, Tracker
from streamcam.temporal.label_hold import LabelHold

LABELS = ("ant", "bee", "cat", "dog")
PHOTOGRAPHS = [skimage.data.camera(), skimage.data.coffee()[..., 1]]


def frame(index: int, shot: int = 0) -> Frame:
    def paint(_index: int, planes: Any) -> None:
        planes[0][:] = PHOTOGRAPHS[shot][100:208, 100:292]

    return Frame(make_image(192, 108, paint=paint), index, index, Fraction(1, 10), 0.0)


def follow(settings: TemporalSettings, shots: list[int]) -> list[Explanation]:
    """Let every frame of a video be explained that is to be."""
    tracker = Tracker(settings)
    frames = [frame(index, shot) for index, shot in enumerate(shots)]
    due = [tracker.observe(one) for one in frames]
    return [
        tracker.complete(one, explanation_of(one.index) if is_due else None)
        for one, is_due in zip(frames, due, strict=True)
    ]


@pytest.mark.parametrize("every", [1, 2, 3, 10])
def test_every_so_many_frames_one_is_explained(every: int) -> None:
    found = follow(TemporalSettings(every=every), [0] * 10)
    assert [one.is_explained for one in found] == [index % every == 0 for index in range(10)]
    assert [one.frame_index for one in found] == list(range(10))


def test_the_frame_after_a_cut_is_always_explained_and_counting_begins_there() -> None:
    found = follow(TemporalSettings(every=3), [0, 0, 0, 0, 0, 1, 1, 1, 1])
    assert [index for index, one in enumerate(found) if one.starts_shot] == [5]
    assert [index for index, one in enumerate(found) if one.is_explained] == [0, 3, 5, 8]


def test_cuts_can_be_left_alone() -> None:
    found = follow(TemporalSettings(cuts="off"), [0, 1, 0, 1])
    assert not any(one.starts_shot for one in found)


def test_what_is_left_out_has_no_maps_and_says_where_maps_would_lie() -> None:
    first, second = follow(TemporalSettings(every=2), [0, 0])
    assert first.heatmaps.keys() == {CAT}
    assert (second.heatmaps, second.targets, second.predictions) == ({}, (), ())
    assert (second.method, second.region) == (first.method, first.region)


def test_every_explanation_has_a_view_of_its_frame() -> None:
    for one in follow(TemporalSettings(every=2), [0, 0]):
        assert one.thumbnail is not None
        np.testing.assert_array_equal(one.thumbnail, PHOTOGRAPHS[0][100:208, 100:292])


def ranked(settings: TemporalSettings, rows: list[list[float]], shots: list[int]) -> list[Explanation]:
    """Rank frame by frame, as an explainer does."""
    tracker = Tracker(settings)
    found = []
    for index, (row, shot) in enumerate(zip(rows, shots, strict=True)):
        one = frame(index, shot)
        tracker.observe(one)
        ranking = tracker.rank([one], np.array([row], np.float32), LABELS, 2)
        found.append(tracker.complete(one, explanation_of(index)))
        assert [label.index for label in found[-1].smoothed_predictions] == ranking[0].tolist()
    return found


A, B = [0.4, 0.3, 0.0, 0.0], [0.3, 0.4, 0.0, 0.0]


def test_labels_hold_from_frame_to_frame() -> None:
    found = ranked(TemporalSettings(label_hold_s=0.5), [A, B, A, B, A], [0] * 5)
    assert [one.smoothed_predictions[0].label for one in found] == ["ant"] * 5
    assert found[0].smoothed_predictions[0].probability == pytest.approx(0.4)
    assert [
        one.smoothed_predictions[0].label for one in ranked(TemporalSettings(label_hold_s=0), [A, B], [0, 0])
    ] == [
        "ant",
        "bee",
    ]


def test_frames_left_out_count_in_the_labels_as_if_probabilities_had_changed_evenly() -> None:
    tracker, hold = Tracker(TemporalSettings(every=3, label_hold_s=0.5)), LabelHold(0.5)
    for index in range(7):
        one, row = frame(index), np.array(A if index < 3 else B, np.float32)
        if tracker.observe(one):
            tracker.rank([one], row[None], LABELS, 2)
            between_s = [(index - 2) / 10, (index - 1) / 10] if index else []
            expected = hold.update(row, index / 10, 2, between_s)[1]
            found = tracker.complete(one, explanation_of(index)).smoothed_predictions
            assert [label.probability for label in found] == pytest.approx(
                [expected[label.index] for label in found], abs=1e-6
            )
        else:
            tracker.complete(one, None)


def test_labels_change_with_the_shot() -> None:
    found = ranked(TemporalSettings(label_hold_s=5), [A, A, B, B], [0, 0, 1, 1])
    assert [one.smoothed_predictions[0].label for one in found] == ["ant", "ant", "bee", "bee"]


def test_a_batch_is_ranked_in_order() -> None:
    tracker = Tracker(TemporalSettings(label_hold_s=0.5))
    frames = [frame(0), frame(1, 1), frame(2, 1)]
    for one in frames:
        tracker.observe(one)
    ranking = tracker.rank(frames, np.array([A, B, A], np.float32), LABELS, 1)
    assert ranking.tolist() == [[0], [1], [1]]
    assert ranking.dtype == np.int64


def test_a_batch_that_is_tried_again_in_parts_is_ranked_once() -> None:
    tracker = Tracker(TemporalSettings(label_hold_s=0.5))
    frames = [frame(index) for index in range(4)]
    for one in frames:
        tracker.observe(one)
    rows = np.array([A, B, A, B], np.float32)
    whole = tracker.rank(frames, rows, LABELS, 1)
    probabilities, shown = tracker.export_ranking(frames[3])
    parts = [tracker.rank(frames[start : start + 2], rows[start : start + 2], LABELS, 1) for start in (0, 2)]
    np.testing.assert_array_equal(np.concatenate(parts), whole)
    again, label = tracker.export_ranking(frames[3])
    np.testing.assert_array_equal(again, probabilities)
    assert label == shown


@pytest.mark.parametrize("has_values", [False, True])
def test_a_video_that_is_repeated_goes_on_as_it_would_have(has_values: bool) -> None:
    settings = TemporalSettings(label_hold_s=0.5)
    rows = np.array([A, B, B, B, B, B, B, B, B, B, B, B], np.float32)
    frames = [frame(index) for index in range(len(rows))]
    values = rows[:, None] / 2 - 0.1 if has_values else [None] * len(rows)
    first, second = Tracker(settings), Tracker(settings)
    for one, row, beside in zip(frames, rows, values, strict=True):
        first.observe(one)
        first.rank([one], row[None], LABELS, 2, values=beside)
    for one in frames[:8]:
        probabilities, shown = first.export_ranking(one)
        assert probabilities is not None
        second.observe(one)
        second.restore_ranking(one, probabilities, shown)
    for one, row, beside in zip(frames[8:], rows[8:], values[8:], strict=True):
        second.observe(one)
        second.rank([one], row[None], LABELS, 2, values=beside)
    assert [second.export_ranking(one)[1] for one in frames] == [
        first.export_ranking(one)[1] for one in frames
    ]
    best = first.export_ranking(frames[-1])[1][0]
    assert best.label == "bee"
    # Smoothed alike: B was there for 1.1 s, which leaves exp(-2.2) of A.
    assert best.value == (pytest.approx(best.probability / 2 - 0.1) if has_values else None)
