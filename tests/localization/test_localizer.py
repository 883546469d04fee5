"""Boxes and points of a video's heat, frame by frame."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from media_factory import info_of, make_image

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import Explanation, HeatBox, Instance, Localization, Prediction, StabilizedFrame
from streamcam.frames import FloatArray, Frame, Region
from streamcam.localization import LocalizationSettings, Localizer

CAT, DOG = Prediction(3, "cat", 0.7), Prediction(5, "dog", 0.2)
BOXES = LocalizationSettings(boxes=True, threshold=0.5)
ALL = LocalizationSettings(boxes=True, threshold=0.5, components="all")


def frame_of(
    heats: dict[Prediction, FloatArray],
    index: int = 0,
    *,
    size: tuple[int, int] = (160, 80),
    region: Region | None = None,
    cut: bool = False,
    instances: tuple[Instance, ...] = (),
) -> StabilizedFrame:
    """A frame with heat, a tenth of a second after the one before."""
    image = make_image(*size)
    frame = Frame(image, index, index, Fraction(1, 10), 0.0)
    targets = tuple(heats)
    heatmaps = {target.index: heat for target, heat in heats.items()}
    explanation = Explanation(index, {}, (), (), "m", "l", region or Region(), starts_shot=cut)
    return StabilizedFrame(frame, heatmaps, targets, targets, explanation, instances)


def hot(*cells: tuple[int, int], value: float = 1.0) -> FloatArray:
    """A map of 8 rows and 16 columns, of 10x10 pixels each, with single hot cells."""
    heat = np.zeros((8, 16), np.float32)
    for row, column in cells:
        heat[row, column] = value
    return heat


def localization_of(stabilized: StabilizedFrame) -> Localization:
    assert stabilized.localization is not None
    return stabilized.localization


def numbers(stabilized: StabilizedFrame) -> dict[int | None, float]:
    """The number of each box, and its left edge in pixels."""
    boxes = localization_of(stabilized).boxes
    return {box.instance.track_id: box.instance.box[0] * 160 for box in boxes}


def test_nothing_is_looked_for_unless_it_is_asked_for() -> None:
    frame = frame_of({CAT: hot((4, 4))})
    assert Localizer(LocalizationSettings()).locate(frame) is frame


def test_a_box_says_what_is_explained_there() -> None:
    """Between two middles, 10 pixels apart, heat falls on a line: half of it is left 5 pixels away."""
    (box,) = localization_of(Localizer(BOXES).locate(frame_of({CAT: hot((4, 6))}))).boxes
    assert box.target == CAT.index
    assert (box.instance.class_index, box.instance.label, box.instance.score) == (3, "cat", 0.7)
    assert box.share == pytest.approx(0.75**2, abs=0.01)  # of a tent, half as wide as its foot
    assert [edge * side for edge, side in zip(box.instance.box, (160, 80) * 2, strict=True)] == [
        60,
        40,
        70,
        50,
    ]


def test_boxes_keep_their_numbers_while_heat_moves() -> None:
    """Two areas, four cells wide, move toward each other by a cell or none from frame to frame."""
    localizer = Localizer(ALL)
    steps = (0, 0, 1, 1, 2)
    seen = []
    for index, step in enumerate(steps):
        right, left = [(1, step + each) for each in range(4)], [(6, 12 - step + each) for each in range(4)]
        seen.append(numbers(localizer.locate(frame_of({CAT: hot(*right, *left)}, index))))
    assert [set(one) for one in seen] == [{1, 2}] * len(steps)
    assert [one[1] for one in seen] == [10 * step for step in steps]
    assert [one[2] for one in seen] == [120 - 10 * step for step in steps]


def test_a_shot_begins_with_new_numbers() -> None:
    localizer = Localizer(BOXES)
    assert set(numbers(localizer.locate(frame_of({CAT: hot((1, 2))})))) == {1}
    assert set(numbers(localizer.locate(frame_of({CAT: hot((1, 2))}, 1, cut=True)))) == {2}


def test_boxes_lie_on_the_frame_where_the_input_was_padded_or_cropped() -> None:
    """16x8 cells over a square around the frame: the frame's rows are the map's rows 2 to 5."""
    padded = frame_of({CAT: hot((3, 6), (0, 0))}, region=Region(0, -0.5, 1, 1.5))
    (box,) = localization_of(Localizer(BOXES).locate(padded)).boxes
    assert [edge * side for edge, side in zip(box.instance.box, (160, 80) * 2, strict=True)] == [
        60,
        20,
        70,
        40,
    ]
    cropped = frame_of({CAT: hot((3, 6))}, region=Region(0.25, 0, 0.75, 1))
    (box,) = localization_of(Localizer(BOXES).locate(cropped)).boxes
    left, _, right, _ = (edge * 160 for edge in box.instance.box)
    assert (left, right) == (pytest.approx(70, abs=1), pytest.approx(75, abs=1))


def test_every_target_has_boxes_and_points_of_its_own() -> None:
    settings = dataclasses.replace(BOXES, points=2)
    found = localization_of(Localizer(settings).locate(frame_of({CAT: hot((2, 2)), DOG: hot((6, 12))})))
    assert [(box.target, box.instance.label) for box in found.boxes] == [(3, "cat"), (5, "dog")]
    places = [(peak.label, round(peak.x * 160), round(peak.y * 80)) for peak in found.peaks]
    assert places == [("cat", 25, 25), ("dog", 125, 65)]


def test_heat_that_cannot_be_seen_has_neither_box_nor_points() -> None:
    settings = dataclasses.replace(BOXES, points=2)
    found = localization_of(Localizer(settings).locate(frame_of({CAT: hot((2, 2), value=0.04)})))
    assert found.boxes == found.peaks == ()


def test_the_heat_of_an_object_has_its_class_and_its_number() -> None:
    """Object 4 is a person; the index of its target stands for the number."""
    person = Instance(7, "person", 0.9, (0, 0, 1, 1), track_id=4)
    target = Prediction(-1004, "person #4", 0.9)
    (box,) = localization_of(
        Localizer(BOXES).locate(frame_of({target: hot((2, 2))}, instances=(person,)))
    ).boxes
    assert isinstance(box, HeatBox)
    assert (box.target, box.instance.class_index, box.instance.label) == (-1004, 7, "person")
    assert box.instance.track_id == 4


def test_a_target_without_a_probability_is_numbered_too() -> None:
    own = Prediction(-1, "my target", float("nan"))
    assert set(numbers(Localizer(BOXES).locate(frame_of({own: hot((1, 2))})))) == {1}


def test_the_share_of_heat_inside_a_region_is_measured_for_every_target() -> None:
    """The left half of the frame: all of the cat's heat, and none of the dog's."""
    localizer = Localizer(LocalizationSettings(roi="0,0,80,80"), info_of(size=(160, 80)))
    found = localization_of(localizer.locate(frame_of({CAT: hot((2, 2)), DOG: hot((6, 12))})))
    assert found.boxes is None
    assert found.inside is not None
    assert found.inside.area == 0.5
    assert found.inside.shares == {3: pytest.approx(1), 5: pytest.approx(0)}


def test_the_share_over_the_video_is_told_in_a_sentence() -> None:
    localizer = Localizer(LocalizationSettings(roi="0,0,80,80"), info_of(size=(160, 80)))
    for index, column in enumerate((2, 2, 12, 2)):
        localizer.locate(frame_of({CAT: hot((2, column))}, index))
    assert localizer.notes == (
        "75% of the heat is inside 0,0,80,80, which covers 50% of the frame; least at 0.20 s: 0%",
    )


def test_a_video_that_never_has_the_region_says_so() -> None:
    localizer = Localizer(LocalizationSettings(roi="class:bird"), info_of(size=(160, 80)))
    assert localization_of(localizer.locate(frame_of({CAT: hot((2, 2))}))).inside is None
    assert localizer.notes == ("no frame has both heat and the region class:bird",)


def test_the_region_of_a_live_source_is_read_with_its_first_frame() -> None:
    localizer = Localizer(LocalizationSettings(roi="0,0,80,80"))
    assert localization_of(localizer.locate(frame_of({CAT: hot((2, 2))}))).inside is not None
    with pytest.raises(InvalidArgumentError, match="outside the picture"):
        Localizer(LocalizationSettings(roi="0,800,80,900")).locate(frame_of({CAT: hot((2, 2))}))
