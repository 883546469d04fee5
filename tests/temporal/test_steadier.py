"""The temporal stage as a whole: explanations in, heat fit to be shown out."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from stage_fakes import CAT, DOG, explanation_of

from streamcam.errors import InvalidArgumentError
from streamcam.frames import Explanation, Frame, Prediction
from streamcam.temporal import Steadier, TemporalSettings, steady

RAW = TemporalSettings(smoothing_s=0)


def frame_at(time_s: float) -> Frame:
    return Frame(None, 0, round(time_s * 1000), Fraction(1, 1000), 0.0)  # type: ignore[arg-type]


def explained(values: dict[int, list[list[float]]], *, signed: bool = False) -> Explanation:
    """Make up an explanation with maps of these values."""
    return dataclasses.replace(
        explanation_of(0),
        heatmaps={index: np.array(heatmap, np.float32) for index, heatmap in values.items()},
        targets=tuple(Prediction(index, str(index), 0.5) for index in values),
        signed=signed,
    )


def test_each_class_is_scaled_by_its_own_maximum() -> None:
    """Raw maps differ by orders of magnitude from class to class."""
    (steadied,) = Steadier(RAW).push(frame_at(0), explained({DOG: [[0, 1e4]], CAT: [[1e-4, 0]]}))
    assert list(steadied.heats) == [DOG, CAT]
    np.testing.assert_array_equal(steadied.heats[DOG], [[0, 1]])
    np.testing.assert_array_equal(steadied.heats[CAT], [[1, 0]])


def test_what_is_shown_comes_with_its_frame_labels_and_explanation() -> None:
    frame, explanation = frame_at(0), explanation_of(0)
    (steadied,) = Steadier().push(frame, explanation)
    assert steadied.frame is frame
    assert steadied.explanation is explanation
    assert steadied.targets == explanation.targets
    assert steadied.labels == explanation.predictions


def test_smoothing_goes_by_the_time_of_the_frames() -> None:
    """Heat moves from left to right; a tenth of a second later it is on its way, a second later there."""
    shares = []
    for later_s in (0.1, 1.0):
        steadier = Steadier(TemporalSettings(smoothing_s=0.2))
        steadier.push(frame_at(0), explained({CAT: [[1, 0]]}))
        (steadied,) = steadier.push(frame_at(later_s), explained({CAT: [[0, 1]]}))
        shares.append(steadied.heats[CAT][0, 0])
    # After t the left holds e^(-t/tau) of its heat and the right the rest, scaled to the stronger one.
    rest = np.exp(-5)
    np.testing.assert_allclose(shares, [1, rest / (1 - rest)], rtol=1e-4)


def test_two_classes_side_by_side_do_not_mix() -> None:
    steadier = Steadier(TemporalSettings(smoothing_s=10))
    for _ in range(2):
        (steadied,) = steadier.push(frame_at(0), explained({DOG: [[0, 1]], CAT: [[1, 0]]}))
    np.testing.assert_array_equal(steadied.heats[DOG], [[0, 1]])
    np.testing.assert_array_equal(steadied.heats[CAT], [[1, 0]])


def test_evidence_against_is_kept_where_it_was_asked_for() -> None:
    (steadied,) = Steadier(RAW).push(frame_at(0), explained({CAT: [[-4, 2]]}, signed=True))
    np.testing.assert_array_equal(steadied.heats[CAT], [[-1, 0.5]])


def test_nothing_is_held_back_without_looking_ahead() -> None:
    steadier = Steadier()
    assert len(steadier.push(frame_at(0), explanation_of(0))) == 1
    assert steadier.flush() == []


def test_every_frame_of_a_film_comes_out_once() -> None:
    frames = [frame_at(number / 25) for number in range(5)]
    steadied = list(steady([(frame, explanation_of(0)) for frame in frames], Steadier()))
    assert [one.frame for one in steadied] == frames


def test_settings_that_cannot_be_used() -> None:
    with pytest.raises(InvalidArgumentError, match="seconds from 0 up"):
        Steadier(TemporalSettings(smoothing_s=-1))
