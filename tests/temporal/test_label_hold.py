"""Labels hold against those that lead by little or for a moment, and give way to those that lead for long."""

from __future__ import annotations

import math

import numpy as np
import pytest

from streamcam.temporal.label_hold import LabelHold


def leaders(hold: LabelHold, rows: list[list[float]], rate: float = 10) -> list[int]:
    """Feed frames and return the class that is shown first at each."""
    return [
        int(hold.update(np.array(row, np.float32), number / rate, 1)[0][0]) for number, row in enumerate(rows)
    ]


A, B = [0.4, 0.3, 0.0], [0.3, 0.4, 0.0]


def test_a_class_that_leads_every_other_frame_is_not_shown() -> None:
    assert leaders(LabelHold(0.5), [A, B] * 20) == [0] * 40


def test_a_class_takes_over_when_it_has_led_for_the_hold_time() -> None:
    """Smoothed over 0.5 s the two are level 0.3466 s after the change, and 0.5 s later B takes over."""
    level_s = 0.5 * math.log(2)
    shown = leaders(LabelHold(0.5), [A] + [B] * 200, rate=100)
    first = shown.index(1) / 100
    assert level_s + 0.5 <= first <= level_s + 0.5 + 0.02
    assert shown == [0] * shown.index(1) + [1] * (201 - shown.index(1))


def test_frames_that_were_not_explained_count_as_if_probabilities_changed_evenly() -> None:
    """A class that takes the lead and gives it back: the result is that of every frame, from every fourth."""
    knots = np.array([A, A, B, B, B, B, A, A], np.float32)
    rows = [knots[n // 4] + (n % 4) / 4 * (knots[min(n // 4 + 1, 7)] - knots[n // 4]) for n in range(29)]
    whole, thinned = LabelHold(0.5), LabelHold(0.5)
    for number, row in enumerate(rows):
        expected = whole.update(np.asarray(row, np.float32), number / 10, 2)
        if number % 4 == 0:
            between_s = [other / 10 for other in range(max(0, number - 3), number)]
            found = thinned.update(np.asarray(row, np.float32), number / 10, 2, between_s)
            assert found[0].tolist() == expected[0].tolist()
            np.testing.assert_allclose(found[1], expected[1], atol=1e-6)
    assert found[0].tolist() == [1, 0]


@pytest.mark.parametrize("rate", [12.5, 25, 50])
def test_the_rate_of_frames_does_not_matter(rate: float) -> None:
    rows = [A] * round(rate) + [B] * round(2 * rate)
    switch_s = leaders(LabelHold(0.5), rows, rate).index(1) / rate
    assert switch_s == pytest.approx(1 - 1 / rate + 0.5 * math.log(2) + 0.5, abs=2.1 / rate)


def test_a_clear_win_does_not_wait() -> None:
    """Smoothed over 0.5 s, the lead is 0.85 (1 - 2 e^(-t / 0.5)), which is 0.2 at 0.2683 s."""
    rows = [[0.9, 0.05]] + [[0.05, 0.9]] * 50
    reached_s = -0.5 * math.log((1 - 0.2 / 0.85) / 2)
    shown = leaders(LabelHold(0.5), rows, rate=100)
    assert shown.index(1) == math.ceil(reached_s * 100)


def test_one_flash_of_another_class_changes_nothing() -> None:
    assert leaders(LabelHold(0.5), [A] * 5 + [[0.0, 1.0, 0.0]] + [A] * 20) == [0] * 26


def test_without_hold_every_frame_is_ranked_by_itself() -> None:
    hold = LabelHold(0)
    assert leaders(hold, [A, B, A]) == [0, 1, 0]
    held, probabilities = hold.update(np.array([0.2, 0.2, 0.6], np.float32), 1.0, 3)
    assert held.tolist() == [2, 0, 1]  # level ones in the order of their indices
    np.testing.assert_array_equal(probabilities, np.array([0.2, 0.2, 0.6], np.float32))


def test_every_rank_holds_by_itself() -> None:
    hold = LabelHold(0.5)
    rows = [[0.5, 0.3, 0.2], [0.5, 0.2, 0.3]] * 10
    ranks = [hold.update(np.array(row, np.float32), n / 10, 2)[0].tolist() for n, row in enumerate(rows)]
    assert ranks == [[0, 1]] * 20
    for number in range(20):
        held, _ = hold.update(np.array([0.5, 0.2, 0.3], np.float32), 2 + number / 10, 2)
    assert held.tolist() == [0, 2]


def test_a_class_that_rises_swaps_places_and_is_never_listed_twice() -> None:
    hold = LabelHold(0.5)
    hold.update(np.array([0.5, 0.3, 0.2], np.float32), 0.0, 2)
    for number in range(1, 100):
        held, _ = hold.update(np.array([0.2, 0.5, 0.3], np.float32), number / 25, 2)
        assert len(set(held.tolist())) == 2
    assert held.tolist() == [1, 2]


def test_probabilities_are_smoothed() -> None:
    hold = LabelHold(0.5)
    hold.update(np.array([1, 0], np.float32), 0.0, 1)
    _, smoothed = hold.update(np.array([0, 1], np.float32), 0.5, 1)
    np.testing.assert_allclose(smoothed, [1 / math.e, 1 - 1 / math.e], rtol=1e-6)


def test_another_shot_is_ranked_by_itself() -> None:
    hold = LabelHold(5)
    assert leaders(hold, [A] * 3) == [0] * 3
    hold.restart()
    assert leaders(hold, [B]) == [1]


def test_probabilities_that_are_not_finite_leave_what_is_held() -> None:
    hold = LabelHold(0.5)
    broken = np.full(3, np.nan, np.float32)
    assert hold.update(broken, 0.0, 2)[0].shape == (2,)  # nothing to hold yet, and no failure
    hold.update(np.array(B, np.float32), 0.1, 2)
    held, smoothed = hold.update(broken, 0.2, 2)
    assert held.tolist() == [1, 0]
    np.testing.assert_array_equal(smoothed, np.array(B, np.float32))


# --- When the next frame has to be explained ---------------------------------------------------------------


def due_s(*answers: tuple[float, list[float]]) -> float:
    """Return by when to explain the next frame after answers at some seconds, with a hold of 0.5 s."""
    hold = LabelHold(0.5)
    for time_s, row in answers:
        hold.update(np.array(row, np.float32), time_s, 1)
    return hold.find_due_s(1)


def test_nothing_is_due_while_the_lead_does_not_change() -> None:
    assert due_s((0, A), (0.1, A), (0.2, A)) == math.inf
    assert LabelHold(0.5).find_due_s(1) == math.inf


def test_the_next_frame_is_due_when_a_lead_that_falls_might_cross() -> None:
    """A lead of 0.2 changes by 0.1: smoothed, it may go toward 0.1 - 2 * 0.1."""
    smoothed = 0.2 - 0.1 * (1 - math.exp(-0.1 / 0.5))
    expected = 0.1 + 0.5 * math.log((smoothed + 0.1) / 0.1)
    assert due_s((0, [0.6, 0.4, 0]), (0.1, [0.55, 0.45, 0])) == pytest.approx(expected, abs=1e-6)


def test_the_next_frame_is_due_when_a_class_might_lead_clearly() -> None:
    """After a change of 0.3 each, the lead may go to 0.1 - 2 * 0.6, and 0.2 behind is clear."""
    smoothed = 0.7 - 0.6 * (1 - math.exp(-0.1 / 0.5))
    clear_s = 0.5 * math.log((smoothed + 1.1) / (1.1 - 0.2))
    crosses_s = 0.5 * math.log((smoothed + 1.1) / 1.1)
    due = due_s((0, [0.8, 0.1, 0]), (0.1, [0.5, 0.4, 0]))
    assert due == pytest.approx(0.1 + max(crosses_s, 0.12), abs=1e-6)
    assert due < 0.1 + clear_s


def test_where_probabilities_go_straight_some_frames_may_pass_before_it_is_known_who_leads() -> None:
    """The lead goes 0.04, -0.08, -0.2: those in between are guessed, for 0.12 s at most."""
    due = due_s((0, [0.52, 0.48, 0]), (0.2, [0.46, 0.54, 0]), (0.4, [0.4, 0.6, 0]))
    assert due == pytest.approx(0.4 + 0.12, abs=1e-4)


def test_where_they_do_not_a_frame_is_due_before_a_wrong_guess_could_change_who_leads() -> None:
    """The lead goes 0.04, 0.3, -0.2: it may be 0.38 off the straight line, and smoothed little is left."""
    weight = 1 - math.exp(-0.2 / 0.5)
    lead = 0.04 + weight * (0.3 - 0.04)
    lead += weight * (-0.2 - lead)
    due = due_s((0, [0.52, 0.48, 0]), (0.2, [0.65, 0.35, 0]), (0.4, [0.4, 0.6, 0]))
    assert due == pytest.approx(0.4 + 0.5 * math.log(0.38 / (0.38 - lead)), abs=1e-5)
    assert due < 0.4 + 0.03


def test_the_frame_at_which_a_class_has_led_for_long_enough_is_due() -> None:
    steady = [(0.0, A), *((0.05 * n, B) for n in range(1, 16))]
    leads_s = next(0.05 * n for n in range(1, 16) if smoothed_lead(0.05 * n) > 0)
    assert due_s(*steady) == pytest.approx(min(leads_s + 0.5, 0.75 + 0.12), abs=1e-6)


def smoothed_lead(time_s: float) -> float:
    """By how much B leads, smoothed over 0.5 s, after A gave way to it."""
    return 0.1 - 0.2 * math.exp(-time_s / 0.5)
