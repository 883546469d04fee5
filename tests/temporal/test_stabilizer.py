"""The temporal stage as a whole: explanations in, heat fit to be shown out."""

from __future__ import annotations

import dataclasses
from fractions import Fraction
from typing import Any

import numpy as np
import pytest
import skimage.data
from media_factory import make_image
from numpy.typing import NDArray
from stage_fakes import CAT, DOG, explanation_of

from streamcam.empty_maps import NOT_FINITE
from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Explanation, Instance, Prediction, as_concept
from streamcam.frames import FloatArray, Frame, Region
from streamcam.temporal import MODES, Stabilizer, TemporalSettings, stabilize

RAW = TemporalSettings(smoothing_s=0, mode="none")
CAUSAL = TemporalSettings(smoothing_s=0.2, mode="causal")
AHEAD = TemporalSettings(smoothing_s=0.2, mode="zero-phase")

View = NDArray[np.uint8]


def frame_at(time_s: float) -> Frame:
    return Frame(make_image(64, 48), 0, round(time_s * 1000), Fraction(1, 1000), 0.0)


def explained(values: dict[int, list[list[float]]], *, signed: bool = False, **others: Any) -> Explanation:
    """Make up an explanation with maps of these values."""
    return dataclasses.replace(
        explanation_of(0),
        heatmaps={index: np.array(heatmap, np.float32) for index, heatmap in values.items()},
        targets=tuple(Prediction(index, str(index), 0.5) for index in values),
        signed=signed,
        **others,
    )


def left_out(**others: Any) -> Explanation:
    return explained({}, predictions=(), **others)


def heats_of(
    stabilizer: Stabilizer, explanations: list[Explanation], rate: float = 10
) -> list[dict[int, FloatArray]]:
    """Push explanations, so many frames a second, and return the heat shown of each."""
    frames = [frame_at(number / rate) for number in range(len(explanations))]
    pairs = zip(frames, explanations, strict=True)
    return [dict(stabilized.heatmaps) for stabilized in stabilize(pairs, stabilizer)]


def pan(left: int) -> View:
    """A window of 192x108 on a photograph."""
    return np.ascontiguousarray(skimage.data.camera()[150:258, left : left + 192])


def test_each_class_is_scaled_by_its_own_maximum() -> None:
    """Raw maps differ by orders of magnitude from class to class."""
    (stabilized,) = Stabilizer(RAW).push(frame_at(0), explained({DOG: [[0, 1e4]], CAT: [[1e-4, 0]]}))
    assert list(stabilized.heatmaps) == [DOG, CAT]
    np.testing.assert_array_equal(stabilized.heatmaps[DOG], [[0, 1]])
    np.testing.assert_array_equal(stabilized.heatmaps[CAT], [[1, 0]])


def test_what_is_shown_comes_with_its_frame_labels_and_explanation() -> None:
    frame, explanation = frame_at(0), explanation_of(0)
    (stabilized,) = Stabilizer(RAW).push(frame, explanation)
    assert stabilized.frame is frame
    assert stabilized.explanation is explanation
    assert stabilized.targets == explanation.targets
    assert stabilized.labels == explanation.predictions


def test_smoothing_goes_by_the_time_of_the_frames() -> None:
    """Heat moves from left to right; a tenth of a second later it is on its way, a second later there."""
    for later_s in (0.1, 1.0):
        stabilizer = Stabilizer(CAUSAL)
        stabilizer.push(frame_at(0), explained({CAT: [[1, 0]]}))
        (stabilized,) = stabilizer.push(frame_at(later_s), explained({CAT: [[0, 1]]}))
        stayed = np.exp(-later_s / 0.2)
        np.testing.assert_allclose(stabilized.heatmaps[CAT], [[stayed, 1 - stayed]], rtol=1e-4)


def test_two_classes_side_by_side_do_not_mix() -> None:
    stabilizer = Stabilizer(TemporalSettings(smoothing_s=10, mode="causal"))
    for _ in range(2):
        (stabilized,) = stabilizer.push(frame_at(0), explained({DOG: [[0, 1]], CAT: [[1, 0]]}))
    np.testing.assert_array_equal(stabilized.heatmaps[DOG], [[0, 1]])
    np.testing.assert_array_equal(stabilized.heatmaps[CAT], [[1, 0]])


def test_evidence_against_is_kept_where_it_was_asked_for() -> None:
    (stabilized,) = Stabilizer(RAW).push(frame_at(0), explained({CAT: [[-4, 2]]}, signed=True))
    np.testing.assert_array_equal(stabilized.heatmaps[CAT], [[-1, 0.5]])


@pytest.mark.parametrize("mode", [name for name, mode in MODES.items() if not mode.looks_ahead])
def test_nothing_is_held_back_without_looking_ahead(mode: str) -> None:
    stabilizer = Stabilizer(TemporalSettings(mode=mode))
    assert len(stabilizer.push(frame_at(0), explanation_of(0))) == 1
    assert stabilizer.flush() == []


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("count", [1, 2, 40])
def test_every_frame_of_a_video_comes_out_once_and_in_order(mode: str, count: int) -> None:
    frames = [frame_at(number / 25) for number in range(count)]
    pairs = [(frame, explanation_of(0)) for frame in frames]
    stabilized = list(stabilize(pairs, Stabilizer(TemporalSettings(mode=mode))))
    assert [one.frame for one in stabilized] == frames


@pytest.mark.parametrize("mode", MODES)
def test_what_stays_the_same_is_shown_the_same(mode: str) -> None:
    values = [[0.0, 0.5], [1.0, 0.5]]
    for heats in heats_of(Stabilizer(TemporalSettings(mode=mode)), [explained({CAT: values})] * 30):
        small = heats[CAT]
        assert small.max() == pytest.approx(1, abs=1e-6)
        corners = [[small[0, 0], small[0, -1]], [small[-1, 0], small[-1, -1]]]
        np.testing.assert_allclose(corners, values, atol=0.07)  # refined maps swing a little beyond


@pytest.mark.parametrize("mode", ["zero-phase", "flow-zero-phase"])
def test_looking_ahead_is_symmetric_in_time(mode: str) -> None:
    settings = TemporalSettings(smoothing_s=0.2, mode=mode, scale="absolute")
    chance = np.random.default_rng(8)
    maps = [explained({CAT: chance.uniform(size=(3, 4)).tolist()}, thumbnail=pan(40)) for _ in range(20)]
    there = heats_of(Stabilizer(settings), maps)
    back = heats_of(Stabilizer(settings), maps[::-1])[::-1]
    for one, other in zip(there, back, strict=True):
        np.testing.assert_allclose(one[CAT], other[CAT], atol=1e-5)


# --- looking ahead ---------------------------------------------------------------------------------------


def test_frames_wait_for_those_within_reach() -> None:
    """Two time constants of 0.2 s, at 10 frames a second: four frames."""
    stabilizer = Stabilizer(AHEAD)
    ready = [len(stabilizer.push(frame_at(number / 10), explanation_of(0))) for number in range(8)]
    assert ready == [0, 0, 0, 0, 1, 1, 1, 1]
    assert len(stabilizer.flush()) == 4
    assert stabilizer.flush() == []


def test_what_is_looked_ahead_is_bounded_in_memory(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("streamcam.temporal.stabilizer.MAX_WAITING_BYTES", 3 * 64 * 48 * 3)  # three images
    stabilizer = Stabilizer(TemporalSettings(smoothing_s=10, mode="zero-phase"))
    ready = [len(stabilizer.push(frame_at(number / 10), explanation_of(0))) for number in range(6)]
    assert ready == [0, 0, 0, 1, 1, 1]
    assert len(stabilizer.flush()) == 3


def test_what_is_remembered_of_the_past_is_bounded() -> None:
    stabilizer = Stabilizer(AHEAD)
    for number in range(200):
        stabilizer.push(frame_at(number / 10), explanation_of(0))
    assert len(stabilizer._samples) <= 9


# --- cuts, and other beginnings --------------------------------------------------------------------------


@pytest.mark.parametrize("mode", MODES)
@pytest.mark.parametrize("scale", ["running", "frame"])
def test_a_cut_begins_afresh_on_its_own_frame(mode: str, scale: str) -> None:
    """Heat and scale: the second shot's maps are a thousand times as strong, and elsewhere."""
    settings = TemporalSettings(smoothing_s=1, mode=mode, scale=scale)
    first = [explained({CAT: [[1, 0]]}, thumbnail=pan(0))] * 5
    cut = explained({CAT: [[0, 1000]]}, thumbnail=pan(300), starts_shot=True)
    second = [explained({CAT: [[0, 1000]]}, thumbnail=pan(300))] * 4
    for number, heats in enumerate(heats_of(Stabilizer(settings), [*first, cut, *second])):
        heat = heats[CAT]
        hot, cold = (heat[0, 0], heat[0, -1]) if number < 5 else (heat[0, -1], heat[0, 0])
        assert (hot, cold) == (pytest.approx(1, abs=1e-6), pytest.approx(0, abs=1e-6))


def test_a_cut_releases_the_frames_before_it() -> None:
    stabilizer = Stabilizer(AHEAD)
    stabilizer.push(frame_at(0), explanation_of(0))
    stabilizer.push(frame_at(0.1), explanation_of(0))
    assert len(stabilizer.push(frame_at(0.2), explained({CAT: [[1, 0]]}, starts_shot=True))) == 2


@pytest.mark.parametrize("mode", MODES)
def test_another_resolution_or_region_begins_afresh_and_keeps_the_scale(mode: str) -> None:
    settings = TemporalSettings(smoothing_s=1, mode=mode)
    maps = [
        *[explained({CAT: [[4, 0]]})] * 3,
        *[explained({CAT: [[0, 2, 0]]})] * 3,
        *[explained({CAT: [[0, 0, 2]]}, region=Region(0.1, 0, 0.9, 1))] * 3,
    ]
    heats = [heats[CAT] for heats in heats_of(Stabilizer(settings), maps)]
    assert [heat.shape[1] // heat.shape[0] for heat in heats] == [2] * 3 + [3] * 6
    assert heats[3][0, 0] == pytest.approx(0, abs=1e-6)
    assert heats[3].max() == pytest.approx(0.5, abs=0.15)  # the level is still nearly 4
    assert heats[6][0, heats[6].shape[1] // 2] < heats[6][0, -1] / 2


def test_another_set_of_classes_begins_afresh_for_those_that_are_new() -> None:
    settings = TemporalSettings(smoothing_s=10, mode="causal")
    both = explained({DOG: [[1, 0]], CAT: [[1, 0]]})
    other = explained({CAT: [[0, 1]], 7: [[0, 1]]})
    *_, last = heats_of(Stabilizer(settings), [both, both, other])
    assert last[CAT][0, 0] > 0.98
    np.testing.assert_array_equal(last[7], [[0, 1]])


# --- frames without a map --------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["none", "causal", "flow"])
@pytest.mark.parametrize(
    "missing",
    [left_out(), explained({CAT: [[0, 0]]}, flags={CAT: NOT_FINITE}), explained({CAT: [[np.nan, 1]]})],
    ids=["left out", "flagged", "not finite"],
)
def test_a_frame_without_a_map_leaves_everything_as_it_was(mode: str, missing: Explanation) -> None:
    known, after = explained({CAT: [[0, 4]]}), explained({CAT: [[0, 2]]})
    settings = TemporalSettings(smoothing_s=0.3, mode=mode)
    first, carried, last = heats_of(Stabilizer(settings), [known, missing, after])
    np.testing.assert_array_equal(carried[CAT], first[CAT])
    stabilizer = Stabilizer(settings)
    stabilizer.push(frame_at(0), known)
    (without,) = stabilizer.push(frame_at(0.2), after)
    np.testing.assert_allclose(last[CAT], without.heatmaps[CAT], rtol=1e-6)


def test_a_frame_left_out_shows_the_labels_before_it() -> None:
    stabilizer = Stabilizer(RAW)
    dog = Prediction(DOG, "dog", 0.9)
    stabilizer.push(frame_at(0), explained({CAT: [[0, 1]]}, smoothed_predictions=(dog,)))
    (stabilized,) = stabilizer.push(frame_at(0.1), left_out())
    assert stabilized.labels == (dog,)
    assert [target.index for target in stabilized.targets] == [CAT]
    assert not stabilized.explanation.is_explained


def test_before_the_first_map_there_is_no_heat() -> None:
    (first,) = Stabilizer(RAW).push(frame_at(0), left_out())
    assert first.heatmaps == {}
    (broken,) = Stabilizer(CAUSAL).push(frame_at(0), explained({CAT: [[0, 0]]}, flags={CAT: NOT_FINITE}))
    np.testing.assert_array_equal(broken.heatmaps[CAT], [[0, 0]])


def test_looking_ahead_fills_gaps_from_both_sides() -> None:
    settings = TemporalSettings(smoothing_s=0.4, mode="zero-phase", scale="absolute")
    maps = [explained({CAT: [[8 - n, n]]}) if n % 4 == 0 else left_out() for n in range(9)]
    middle = heats_of(Stabilizer(settings), maps)[4][CAT]
    np.testing.assert_allclose(middle[0, 0], middle[0, 1], rtol=1e-5)


# --- strength --------------------------------------------------------------------------------------------


def test_running_strength_tells_weak_frames_from_strong_ones() -> None:
    """And a tenth of the usual strength looks like a tenth; per frame all would look alike."""
    maps = [explained({CAT: [[0, 10]]})] * 50 + [explained({CAT: [[0, 1]]})]
    running, per_frame = (
        heats_of(Stabilizer(dataclasses.replace(RAW, scale=scale)), maps)[-1][CAT]
        for scale in ("running", "frame")
    )
    assert running[0, 1] == pytest.approx(0.1, rel=0.3)
    assert per_frame[0, 1] == 1


def test_absolute_strength_is_the_probability() -> None:
    settings = dataclasses.replace(RAW, scale="absolute")
    (stabilized,) = Stabilizer(settings).push(frame_at(0), explained({CAT: [[0, 2, 8]]}))
    np.testing.assert_allclose(stabilized.heatmaps[CAT], [[0, 0.125, 0.5]])
    unknown = dataclasses.replace(explained({CAT: [[0, 8]]}), targets=(Prediction(CAT, "own", np.nan),))
    (stabilized,) = Stabilizer(settings).push(frame_at(0), unknown)
    np.testing.assert_allclose(stabilized.heatmaps[CAT], [[0, 1]])
    (stabilized,) = Stabilizer(settings).push(frame_at(0), explained({CAT: [[0, 0]]}))
    np.testing.assert_array_equal(stabilized.heatmaps[CAT], [[0, 0]])


@pytest.mark.parametrize(
    ("probability", "strength"), [(0.9, 1), (0.5, 1), (0.25, 0.5), (0.0, 0), (np.nan, 1)]
)
def test_uncertain_heat_is_dimmed_where_that_is_asked_for(probability: float, strength: float) -> None:
    settings = dataclasses.replace(RAW, scale="frame", dim_uncertain=True)
    target = Prediction(CAT, "cat", probability)
    explanation = dataclasses.replace(explained({CAT: [[0, 8]]}), targets=(target,), predictions=())
    (stabilized,) = Stabilizer(settings).push(frame_at(0), explanation)
    np.testing.assert_allclose(stabilized.heatmaps[CAT], [[0, strength]])


def test_dimming_goes_by_the_steadied_probability_where_there_is_one() -> None:
    settings = dataclasses.replace(RAW, dim_uncertain=True)
    shown = (Prediction(CAT, "cat", 0.1),)
    (stabilized,) = Stabilizer(settings).push(
        frame_at(0), explained({CAT: [[0, 8]]}, smoothed_predictions=shown)
    )
    np.testing.assert_allclose(stabilized.heatmaps[CAT], [[0, 0.2]], rtol=1e-6)


def test_when_the_class_changes_heat_cross_fades_on_one_scale() -> None:
    """The dog's raw maps are a thousand times the cat's; half the weight is half the heat all the same."""
    settings = TemporalSettings(smoothing_s=1, mode="causal")
    stabilizer = Stabilizer(settings)
    stabilizer.push(frame_at(0), explained({CAT: [[1, 0]]}))
    (stabilized,) = stabilizer.push(frame_at(np.log(2)), explained({DOG: [[0, 1000]]}))
    np.testing.assert_allclose(stabilized.heatmaps[DOG], [[0.5, 0.5]], atol=1e-3)


# --- motion ----------------------------------------------------------------------------------------------


@pytest.mark.parametrize("mode", ["flow", "flow-zero-phase"])
def test_heat_travels_with_the_image_over_frames_left_out(mode: str) -> None:
    """The camera moves right by a sixteenth of the image in 12 frames, so the heat moves left by it."""
    spot = np.zeros((7, 12), np.float32)
    spot[3, 8] = 1
    explanations = [explained({CAT: spot.tolist()}, thumbnail=pan(0))]
    explanations += [left_out(thumbnail=pan(2 * number)) for number in range(1, 25)]
    heats = [heats[CAT] for heats in heats_of(Stabilizer(TemporalSettings(mode=mode)), explanations, rate=25)]
    assert heats[0].shape == (28, 48)
    centers = [float((heat.sum(axis=0) * np.arange(48)).sum() / heat.sum()) for heat in heats]
    moved = centers[0] - centers[-1]
    assert moved == pytest.approx(48 / 192 * 48, abs=1.5)


def test_heat_does_not_move_in_modes_that_stay_in_place() -> None:
    heats = heats_of(
        Stabilizer(CAUSAL), [explained({CAT: [[0, 1, 0]]}, thumbnail=pan(0)), left_out(thumbnail=pan(20))]
    )
    np.testing.assert_array_equal(heats[1][CAT], heats[0][CAT])


def test_without_a_view_motion_is_seen_in_the_frame_itself() -> None:
    heats = heats_of(Stabilizer(TemporalSettings(mode="flow")), [explained({CAT: [[0, 1]]}), left_out()])
    np.testing.assert_allclose(heats[1][CAT], heats[0][CAT], atol=1e-6)


# --- images that nobody has explained ------------------------------------------------------------------


def image_of(view: View) -> Frame:
    """A frame that shows what a view shows."""

    def paint(_index: int, planes: Any) -> None:
        planes[0][:] = view

    return Frame(make_image(192, 108, paint=paint), 9, 9000, Fraction(1, 1000), 0.0)


def test_nothing_can_be_carried_before_the_first_explanation() -> None:
    assert Stabilizer(CAUSAL).propagate(image_of(pan(0))) is None


def test_heat_is_carried_to_an_image_that_nobody_has_explained() -> None:
    spot = np.zeros((7, 12), np.float32)
    spot[3, 8] = 1
    for mode, moved in (("flow", 3), ("causal", 0), ("none", 0)):
        stabilizer = Stabilizer(TemporalSettings(mode=mode))
        (known,) = stabilizer.push(frame_at(0), explained({CAT: spot.tolist()}, thumbnail=pan(0)))
        for _ in range(2):  # nothing is remembered of it
            carried = stabilizer.propagate(image_of(pan(12)))
            assert carried is not None
            before, after = (
                np.unravel_index(heat.argmax(), heat.shape)[1]
                for heat in (known.heatmaps[CAT], carried.heatmaps[CAT])
            )
            assert before - after == pytest.approx(moved, abs=1)
        assert carried.labels == known.labels
        assert carried.frame.index == carried.explanation.frame_index == 9


def test_an_older_frame_may_be_explained_after_a_newer_one_was_carried_to() -> None:
    stabilizer = Stabilizer(TemporalSettings(mode="flow"))
    stabilizer.push(frame_at(0), explained({CAT: [[0, 1]]}, thumbnail=pan(0)))
    stabilizer.propagate(image_of(pan(30)))
    (stabilized,) = stabilizer.push(frame_at(0.1), explained({CAT: [[0, 1]]}, thumbnail=pan(2)))
    assert stabilized.heatmaps[CAT][0, -1] == pytest.approx(1, abs=0.01)


def test_heat_of_another_shot_is_not_carried() -> None:
    stabilizer = Stabilizer(CAUSAL)
    coffee = np.asarray(skimage.data.coffee()[100:208, 100:292, 1])
    stabilizer.push(frame_at(0), explained({CAT: [[0, 1]]}, thumbnail=pan(0)))
    carried = stabilizer.propagate(image_of(coffee))
    assert carried is not None
    np.testing.assert_array_equal(carried.heatmaps[CAT], [[0, 0]])
    never = Stabilizer(dataclasses.replace(CAUSAL, cuts="off"))
    never.push(frame_at(0), explained({CAT: [[0, 1]]}, thumbnail=pan(0)))
    carried = never.propagate(image_of(coffee))
    assert carried is not None
    np.testing.assert_array_equal(carried.heatmaps[CAT], [[0, 1]])


def test_nothing_is_carried_in_modes_that_look_ahead() -> None:
    with pytest.raises(InvalidArgumentError, match="needs future frames"):
        Stabilizer(AHEAD).propagate(image_of(pan(0)))


# --- detected objects --------------------------------------------------------------------------------------

DOG_BOX = Instance(DOG, "dog", 0.75, (0.25, 0.25, 0.5, 0.75))


@pytest.mark.parametrize("mode", MODES)
def test_objects_stay_on_frames_that_were_skipped_until_the_next_explanation(mode: str) -> None:
    explanations = [explained({CAT: [[0, 1]]}, instances=(DOG_BOX,)), left_out(), explained({CAT: [[0, 1]]})]
    frames = [frame_at(number / 10) for number in range(3)]
    stabilizer = Stabilizer(TemporalSettings(mode=mode))
    first, second, third = stabilize(zip(frames, explanations, strict=True), stabilizer)
    assert first.instances == (DOG_BOX,)
    (kept,) = second.instances
    assert (kept.label, kept.box) == ("dog", pytest.approx(DOG_BOX.box))
    assert third.instances == ()


def test_objects_are_gone_in_the_next_shot() -> None:
    stabilizer = Stabilizer(CAUSAL)
    stabilizer.push(frame_at(0), explained({CAT: [[0, 1]]}, instances=(DOG_BOX,), thumbnail=pan(0)))
    (after_cut,) = stabilizer.push(frame_at(0.1), explained({CAT: [[0, 1]]}, starts_shot=True))
    assert after_cut.instances == ()


@pytest.mark.parametrize(("mode", "moved"), [("flow", 12 / 192), ("causal", 0)])
def test_objects_move_with_the_image_where_heat_does(mode: str, moved: float) -> None:
    """The camera moves right by 12 of 192 pixels, so the object moves left."""
    stabilizer = Stabilizer(TemporalSettings(mode=mode))
    stabilizer.push(frame_at(0), explained({CAT: [[0, 1]]}, instances=(DOG_BOX,), thumbnail=pan(0)))
    live = stabilizer.propagate(image_of(pan(12)))
    (skipped,) = stabilizer.push(frame_at(0.1), left_out(thumbnail=pan(12)))
    assert live is not None
    for stabilized in (live, skipped):
        (instance,) = stabilized.instances
        assert instance.box == pytest.approx((0.25 - moved, 0.25, 0.5 - moved, 0.75), abs=0.005)


def test_objects_of_another_shot_are_not_propagated() -> None:
    stabilizer = Stabilizer(CAUSAL)
    stabilizer.push(frame_at(0), explained({CAT: [[0, 1]]}, instances=(DOG_BOX,), thumbnail=pan(0)))
    coffee = np.asarray(skimage.data.coffee()[100:208, 100:292, 1])
    stabilized = stabilizer.propagate(image_of(coffee))
    assert stabilized is not None
    assert stabilized.instances == ()


@pytest.mark.parametrize("scale", ["running", "frame"])
def test_concepts_share_a_level_because_they_are_parts_of_one_whole(scale: str) -> None:
    """A weak concept stays weak beside a strong one; a weak class would be brought to full strength."""
    strong, weak = as_concept(0, "cup"), as_concept(1, "plate")
    maps = {strong.index: [[4.0, 0]], weak.index: [[0, 1.0]]}
    explanation = dataclasses.replace(explained(maps), targets=(strong, weak))
    (heats,) = heats_of(Stabilizer(dataclasses.replace(RAW, scale=scale)), [explanation])
    np.testing.assert_allclose(heats[strong.index], [[1, 0]], atol=1e-6)
    np.testing.assert_allclose(heats[weak.index], [[0, 0.25]], atol=1e-6)
