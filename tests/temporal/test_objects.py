"""Numbers of objects over time."""

from __future__ import annotations

import pytest

from streamcam.explanations import Instance
from streamcam.temporal.objects import LOST_S, ObjectTracker, overlap_of


def found(left: float, *, score: float = 0.9, kind: int = 0, top: float = 0.4) -> Instance:
    """An object of a fifth of the frame's width and height."""
    return Instance(kind, f"class {kind}", score, (left, top, left + 0.2, top + 0.2))


def numbers(tracker: ObjectTracker, time_s: float, *instances: Instance) -> list[tuple[int, int | None]]:
    return [(index, one.track_id) for index, one in tracker.update(instances, time_s, 0.5)]


def test_overlap_is_intersection_over_union() -> None:
    assert overlap_of((0, 0, 2, 1), (1, 0, 3, 1)) == pytest.approx(1 / 3)
    assert overlap_of((0, 0, 1, 1), (1, 0, 2, 1)) == 0


def test_an_object_keeps_its_number_while_it_moves_and_others_change_places_in_the_list() -> None:
    tracker = ObjectTracker()
    assert numbers(tracker, 0.0, found(0.1), found(0.6)) == [(0, 1), (1, 2)]
    assert numbers(tracker, 0.1, found(0.55), found(0.15)) == [(0, 2), (1, 1)]


def test_a_fast_object_is_expected_where_its_motion_leads() -> None:
    tracker = ObjectTracker()
    # From step to step it moves by three quarters of its width: two such boxes overlap by a seventh.
    assert numbers(tracker, 0.0, found(0.0)) == [(0, 1)]
    assert numbers(tracker, 0.1, found(0.1)) == [(0, 1)]
    assert numbers(tracker, 0.2, found(0.22)) == [(0, 1)]
    assert numbers(tracker, 0.3, found(0.37)) == [(0, 1)]
    assert numbers(tracker, 0.4, found(0.52)) == [(0, 1)]


def test_an_object_may_move_by_most_of_its_width_from_the_first_frame_to_the_second() -> None:
    tracker = ObjectTracker()
    assert numbers(tracker, 0.0, found(0.0)) == [(0, 1)]
    assert numbers(tracker, 0.25, found(0.15)) == [(0, 1)]


def test_an_object_that_was_hidden_by_another_is_found_where_its_motion_led() -> None:
    """Before a triangle vanishes behind a disk, its box grows around both, and its score falls."""
    tracker = ObjectTracker()

    def triangle(frame: int) -> Instance:
        left = 0.6 - 0.006 * frame
        seen = {20: (0.05, 0.6), 21: (0.08, 0.5), 22: (0.1, 0.4)}.get(frame)
        grown, score = (0.0, 0.9) if seen is None else seen
        return Instance(2, "triangle", score, (left - grown, 0.4, left + 0.1, 0.6 + grown / 2))

    def disk(frame: int) -> Instance:
        left = 0.4 + 0.002 * frame
        return Instance(0, "disk", 0.8, (left, 0.45, left + 0.14, 0.65))

    for frame in range(50):
        hidden = 22 < frame < 45
        shown = [disk(frame)] if hidden else [disk(frame), triangle(frame)]
        expected = [(0, 1)] if hidden else [(0, 1), (1, 2)]
        assert numbers(tracker, frame / 25, *shown) == expected, frame


def test_a_less_certain_object_continues_a_track_but_begins_none() -> None:
    tracker = ObjectTracker()
    assert numbers(tracker, 0.0, found(0.1, score=0.4)) == []
    assert numbers(tracker, 0.1, found(0.1)) == [(0, 1)]
    assert numbers(tracker, 0.2, found(0.1, score=0.4), found(0.6, score=0.4)) == [(0, 1)]


def test_a_less_certain_object_beside_a_track_does_not_continue_it() -> None:
    tracker = ObjectTracker()
    numbers(tracker, 0.0, found(0.1))
    assert numbers(tracker, 0.1, found(0.22, score=0.4)) == []  # a quarter of both is common
    assert numbers(tracker, 0.2, found(0.1)) == [(0, 1)]


def test_certain_objects_are_matched_first() -> None:
    tracker = ObjectTracker()
    numbers(tracker, 0.0, found(0.1))
    assert numbers(tracker, 0.1, found(0.1, score=0.45), found(0.12)) == [(1, 1)]


def test_an_object_that_was_hidden_for_a_moment_keeps_its_number_and_after_long_it_is_another() -> None:
    tracker = ObjectTracker()
    numbers(tracker, 0.0, found(0.1))
    assert numbers(tracker, 0.5) == []
    assert numbers(tracker, 0.9, found(0.1)) == [(0, 1)]
    assert numbers(tracker, 0.9 + LOST_S + 0.1, found(0.1)) == [(0, 2)]


def test_a_change_of_class_does_not_make_it_another_object_unless_a_better_match_is_there() -> None:
    tracker = ObjectTracker()
    numbers(tracker, 0.0, found(0.1, kind=0))
    assert numbers(tracker, 0.1, found(0.1, kind=1)) == [(0, 1)]
    assert numbers(tracker, 0.2, found(0.1, kind=0), found(0.11, kind=1)) == [(0, 2), (1, 1)]


def test_a_shot_has_new_numbers() -> None:
    tracker = ObjectTracker()
    numbers(tracker, 0.0, found(0.1))
    tracker.restart()
    assert numbers(tracker, 0.1, found(0.1)) == [(0, 2)]


def test_it_continues_from_what_it_returned_before() -> None:
    frames = [(0.1 * step, [found(0.1 + 0.02 * step), found(0.6, top=0.1)]) for step in range(6)]
    whole, resumed = ObjectTracker(), ObjectTracker()
    for time_s, instances in frames[:4]:
        resumed.restore([one for _, one in whole.update(instances, time_s, 0.5)], time_s)
    for time_s, instances in [*frames[4:], (0.6, [found(0.3, top=0.75)])]:
        assert numbers(whole, time_s, *instances) == numbers(resumed, time_s, *instances)
