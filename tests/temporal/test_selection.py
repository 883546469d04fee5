"""Frames that are explained because they show something new: by hand-made images and answers."""

from __future__ import annotations

import dataclasses
import functools
import itertools
from collections.abc import Callable, Sequence
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import skimage.data
from media_factory import make_image
from numpy.typing import NDArray
from stage_fakes import explanation_of

from streamcam.explanations import Explanation, Prediction
from streamcam.frames import FloatArray, Frame
from streamcam.temporal import TemporalSettings, Tracker
from streamcam.temporal.label_hold import LabelHold

RATE = 25
LABELS = ("ant", "bee", "cat", "dog")
SURE = [0.9, 0.05, 0.03, 0.02]
STILL = skimage.data.camera()[100:208, 100:292]
OTHER = skimage.data.coffee()[100:208, 100:292, 1]
AUTO = TemporalSettings(every="auto")

Image = NDArray[np.uint8]


def spot(column: int = 5, row: int = 3) -> FloatArray:
    heatmap = np.zeros((7, 12), np.float32)
    heatmap[row - 1 : row + 2, column - 1 : column + 2] = 1
    heatmap[row, column] = 2
    return heatmap


def answered(index: int, heatmap: FloatArray, class_index: int = 0) -> Explanation:
    target = Prediction(class_index, LABELS[class_index], 0.9)
    return dataclasses.replace(explanation_of(index), heatmaps={class_index: heatmap}, targets=(target,))


def selected(
    images: Sequence[Image],
    settings: TemporalSettings = AUTO,
    *,
    maps: Callable[[int], FloatArray] = lambda _index: spot(),
    rows: Callable[[int], list[float]] = lambda _index: SURE,
    rate: int = RATE,
) -> list[int]:
    """Let a tracker choose among frames, of which every one that is explained is answered at once."""
    tracker = Tracker(settings)
    chosen = []
    for index, image in enumerate(images):

        def paint(_index: int, planes: Any, image: Image = image) -> None:
            planes[0][:] = image

        frame = Frame(make_image(192, 108, paint=paint), index, index, Fraction(1, rate), 0.0)
        explanation = None
        if tracker.observe(frame):
            chosen.append(index)
            tracker.rank([frame], np.array([rows(index)], np.float32), LABELS, 2)
            explanation = answered(index, maps(index))
        tracker.complete(frame, explanation)
    return chosen


def test_a_still_video_is_explained_at_its_start_and_twice_a_second() -> None:
    """The limit of change doubles with every answer that is as expected: 0.15 s, 0.3 s, and half a second."""
    assert selected([STILL] * 41, rate=20) == [0, 3, 9, 19, 29, 39]


def test_a_cut_is_always_explained_on_its_first_frame() -> None:
    for cut in range(31, 43):
        chosen = selected([STILL] * cut + [OTHER] * 20)
        assert cut in chosen
        assert cut - 1 not in chosen[3:] or chosen[chosen.index(cut) - 1] == cut - 1


def test_where_cuts_are_left_alone_so_much_change_is_explained_all_the_same() -> None:
    settings = dataclasses.replace(AUTO, cuts="off")
    for change in range(31, 43):
        assert change in selected([STILL] * change + [OTHER] * 20, settings)


def test_a_moving_object_is_explained_more_often_the_faster_it_is() -> None:
    def moving(speed: int) -> list[Image]:
        images = []
        for index in range(40):
            image = np.full((108, 192), 90, np.uint8)
            left = 4 + speed * index % 130
            image[30:80, left : left + 50] = OTHER[30:80, 60:110]
            images.append(image)
        return images

    def heat(speed: int) -> Callable[[int], FloatArray]:
        rows, columns = np.mgrid[:7, :12]

        def at(index: int) -> FloatArray:
            x = (29 + speed * index % 130) / 16 - 0.5
            return np.exp(-((columns - x) ** 2 + (rows - 3) ** 2) / 2).astype(np.float32)

        return at

    counts = [len(selected(moving(speed), maps=heat(speed))) for speed in (0, 3, 8)]
    assert counts == sorted(set(counts))
    assert counts[-1] >= 2 * counts[0]


@pytest.mark.parametrize("share", [0.25, 0.35])
def test_a_step_of_brightness_is_explained_at_once(share: float) -> None:
    dark = np.asarray(STILL * share, np.uint8)
    for step in range(31, 43):
        assert step in selected([STILL] * step + [dark] * 20, dataclasses.replace(AUTO, cuts="off"))


def test_flickering_exposure_is_no_change() -> None:
    flicker = [np.asarray(STILL * (0.75 if index % 2 else 0.9), np.uint8) for index in range(41)]
    assert len(selected(flicker)) <= len(selected([STILL] * 41)) + 1


def test_where_answers_differ_from_the_carried_heat_more_is_explained() -> None:
    """Heat that jumps in a still image cannot be carried: from the first jump on most frames are due."""
    jumping = selected([STILL] * 41, maps=lambda index: spot(2 if index % 2 else 9))
    steady = selected([STILL] * 41)
    assert len(jumping) > 3 * len(steady)
    late = selected([STILL] * 60, maps=lambda index: spot(5) if index < 30 else spot(2 if index % 2 else 9))
    first = next(index for index in late if index >= 30)
    assert first <= 42
    after = [index for index in late if index > first + 13]
    assert len(after) >= 0.7 * (60 - first - 14)


def test_heat_that_is_shown_as_it_was_is_tolerated_less() -> None:
    """A map that changes a little: modes that look ahead mix both sides, others show the old one."""

    def maps(index: int) -> FloatArray:
        return spot() + np.float32(0.022 * index) * spot(8)

    ahead, behind = (
        len(selected([STILL] * 60, dataclasses.replace(AUTO, mode=mode), maps=maps))
        for mode in ("flow-zero-phase", "flow")
    )
    assert behind > ahead


def overtaking(index: int, noise: float = 0.0) -> list[float]:
    """Within a second bee takes the lead from ant, and half a second later its place."""
    share = min(max((index - 50) / 25, 0), 1)
    up = noise * (-1) ** index
    return [0.4 - 0.15 * share + up, 0.25 + 0.15 * share - up, 0.03, 0.02]


def first_held(rows: Callable[[int], list[float]], explained: Sequence[int]) -> int:
    """Return the first of the explained frames at which bee has its place."""
    hold, last = LabelHold(AUTO.label_hold_s), 0
    for index in explained:
        between = [each / RATE for each in range(last + 1, index)]
        if hold.update(np.array(rows(index), np.float32), index / RATE, 2, between)[0][0] == 1:
            return index
        last = index
    raise AssertionError("ant has kept its place")


@pytest.mark.parametrize("noise", [0.0, 0.02, 0.1])
def test_a_class_takes_over_at_the_frame_at_which_it_does_where_every_frame_is_explained(
    noise: float,
) -> None:
    def rows(index: int) -> list[float]:
        return overtaking(index, noise)

    chosen = selected([STILL] * 140, rows=rows)
    expected = first_held(rows, range(140))
    assert abs(first_held(rows, chosen) - expected) <= 2
    contested = [index for index in chosen if 66 <= index <= expected]
    assert all(after - before <= 0.12 * RATE for before, after in itertools.pairwise(contested))


def test_the_more_even_probabilities_change_the_fewer_frames_tell_who_leads() -> None:
    even, uneven = (
        selected([STILL] * 140, rows=functools.partial(overtaking, noise=noise)) for noise in (0.0, 0.1)
    )
    leads, switch = 74, first_held(overtaking, range(140))
    assert len([index for index in even if leads <= index <= switch]) <= 7
    assert len([index for index in uneven if leads <= index <= switch]) >= 11
    assert len([index for index in even if index < 50]) < 6
    assert len([index for index in even if index > switch]) < 6


def test_a_class_that_comes_or_goes_is_a_difference() -> None:
    """Of several classes: what was not explained before cannot have been carried."""
    tracker = Tracker(AUTO)
    chosen = []
    for index in range(40):
        planes = STILL

        def paint(_index: int, into: Any, planes: Image = planes) -> None:
            into[0][:] = planes

        frame = Frame(make_image(192, 108, paint=paint), index, index, Fraction(1, RATE), 0.0)
        explanation = None
        if tracker.observe(frame):
            chosen.append(index)
            tracker.rank([frame], np.array([SURE], np.float32), LABELS, 2)
            both = (Prediction(0, "ant", 0.9), Prediction(1 + index % 2, "another", 0.1))
            explanation = dataclasses.replace(
                explanation_of(index), heatmaps={one.index: spot() for one in both}, targets=both
            )
        tracker.complete(frame, explanation)
    assert len(chosen) > 2 * len(selected([STILL] * 40))
