"""One frame with its heat in, one finished image out."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from media_factory import make_image
from stage_fakes import CAT, DOG, explanation_of

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.explanations import (
    Explanation,
    HeatBox,
    HeatInside,
    HeatPeak,
    Instance,
    Localization,
    Prediction,
    StabilizedFrame,
    as_target,
)
from streamcam.frames import FloatArray, Frame
from streamcam.media.images import Image, coding_of, planes_of
from streamcam.overlay import Overlay, OverlaySettings
from streamcam.overlay.boxes import PLAIN_COLOR, BoxPainter, ColoredInstance
from streamcam.overlay.label_panel import ACCENT, LabelPanel
from streamcam.overlay.overlay import _list_labels, listed_labels
from streamcam.overlay.share_bar import _EMPTY, _MARK
from streamcam.overlay.tinting import AGAINST_COLOR, FOR_COLOR, PALETTE

PLAIN = OverlaySettings(colormap="inferno", alpha=1.0, blend="even", labels=False)


def frame_at(index: int, size: tuple[int, int] = (320, 180)) -> Frame:
    """Make a frame, a tenth of a second after the one before."""
    image = make_image(*size, index)
    image.pts = index
    return Frame(image, index, index, Fraction(1, 10), 0.0)


def stabilized(
    frame: Frame, heats: dict[int, list[list[float]]] | None = None, explanation: Explanation | None = None
) -> StabilizedFrame:
    """Make up what is shown: by default heat of the cat that grows from left to right."""
    arrays: dict[int, FloatArray] = {
        index: np.array(heat, np.float32) for index, heat in (heats or {CAT: [[0, 0.5, 1]]}).items()
    }
    explanation = explanation or explanation_of(frame.index)
    return StabilizedFrame(frame, arrays, explanation.targets, explanation.predictions, explanation)


def luma(image: Image) -> np.ndarray:
    return planes_of(image)[0].astype(int)


def test_the_heat_lies_where_the_map_is_strong() -> None:
    drawn = luma(Overlay(PLAIN).draw(stabilized(frame_at(0), {CAT: [[0, 1]]})))
    assert drawn[:, 240:].mean() > drawn[:, :80].mean() + 50


def test_a_map_without_evidence_shows_the_coldest_color_everywhere() -> None:
    drawn = luma(Overlay(PLAIN).draw(stabilized(frame_at(0), {CAT: [[0, 0]]})))
    assert np.ptp(drawn) == 0


def test_each_of_several_classes_is_shown_in_its_own_color() -> None:
    frame = frame_at(0)
    _, blue, red = planes_of(Overlay(PLAIN).draw(stabilized(frame, {DOG: [[0, 1]], CAT: [[1, 0]]})))
    _, blue_before, red_before = planes_of(frame.image)
    assert int(red[50, -1]) > int(red_before[50, -1])  # the first color is red, and the dog is on the right
    assert int(blue[50, 0]) > int(blue_before[50, 0])


def test_evidence_for_and_against_has_two_colors() -> None:
    explanation = dataclasses.replace(explanation_of(0), signed=True)
    frame = frame_at(0)
    _, blue, red = planes_of(Overlay(PLAIN).draw(stabilized(frame, {CAT: [[-1, 0, 1]]}, explanation)))
    _, blue_before, red_before = planes_of(frame.image)
    assert int(red[50, -1]) > int(red_before[50, -1])
    assert int(blue[50, 0]) > int(blue_before[50, 0])


def test_a_legend_tells_the_two_colors_apart(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[tuple[str, float | None, tuple[int, int, int] | None]] = []
    monkeypatch.setattr(
        LabelPanel,
        "draw",
        lambda _panel, _image, lines, **_inset: drawn.extend(
            (line.text, line.probability, line.color) for line in lines if line.marked
        ),
    )
    explanation = dataclasses.replace(explanation_of(0), signed=True)
    Overlay().draw(stabilized(frame_at(0), {CAT: [[-1, 0, 1]]}, explanation))
    assert drawn == [
        ("cat", 0.75, None),
        ("for", None, FOR_COLOR),
        ("against", None, AGAINST_COLOR),
    ]


def test_before_the_first_explanation_there_is_no_heat() -> None:
    frame = frame_at(0)
    nothing = StabilizedFrame(
        frame, {}, (), (), dataclasses.replace(explanation_of(0), heatmaps={}, targets=())
    )
    coldest = Overlay(PLAIN).draw(stabilized(frame, {CAT: [[0]]}))
    np.testing.assert_array_equal(luma(Overlay(PLAIN).draw(nothing)), luma(coldest))


def test_labels_are_drawn_over_the_heat_and_can_be_left_out() -> None:
    plain = luma(Overlay(PLAIN).draw(stabilized(frame_at(0), {CAT: [[1, 1]]})))
    labeled = luma(
        Overlay(dataclasses.replace(PLAIN, labels=True)).draw(stabilized(frame_at(0), {CAT: [[1, 1]]}))
    )
    changed = plain != labeled
    assert np.ptp(plain) == 0
    assert changed[:60, :100].any(), "the panel is in the upper left corner"
    assert not changed[90:].any()
    assert not changed[:, 200:].any()


def test_the_frame_given_stays_as_it_is_and_its_time_is_kept() -> None:
    frame = frame_at(7)
    before = [plane.copy() for plane in planes_of(frame.image)]
    drawn = Overlay().draw(stabilized(frame))
    for plane, copy in zip(planes_of(frame.image), before, strict=True):
        np.testing.assert_array_equal(plane, copy)
    assert drawn is not frame.image
    assert drawn.pts == 7
    assert (drawn.width, drawn.height, drawn.format.name) == (320, 180, "yuv420p")


def test_without_weight_and_labels_nothing_changes() -> None:
    frame = frame_at(0, (97, 55))
    drawn = Overlay(OverlaySettings(alpha=0, labels=False)).draw(stabilized(frame))
    for plane, other in zip(planes_of(drawn), planes_of(frame.image), strict=True):
        np.testing.assert_array_equal(plane, other)


def test_the_class_explained_is_listed_and_marked() -> None:
    labels = explanation_of(0).predictions
    assert [(line.text, line.probability, line.marked) for line in _list_labels(labels, labels[:1], [])] == [
        ("cat", 0.75, True),
        ("dog", 0.25, False),
    ]
    raw = Prediction(CAT, "cat rather than dog", 0.5)  # the probability listed is the stabilized one
    assert [(line.text, line.probability) for line in _list_labels(labels[:1], [raw], [])] == [
        ("cat rather than dog", 0.75)
    ]
    unlikely = Prediction(9, "heron", 0.001)
    assert [(line.text, line.marked) for line in _list_labels(labels, [unlikely], [])] == [
        ("cat", False),
        ("dog", False),
        ("heron", True),
    ]


def test_where_each_object_is_explained_only_classes_that_were_found_are_listed() -> None:
    whole = stabilized(frame_at(0))
    assert [label.label for label in listed_labels(whole)] == [label.label for label in whole.labels]
    nothing = dataclasses.replace(whole, targets=(), heatmaps={}, instances=())
    assert listed_labels(nothing) == []
    cat = Instance(CAT, "cat", 0.9, (0, 0, 0.5, 0.5))
    target = as_target(cat, 0)
    found = dataclasses.replace(nothing, targets=(target,), instances=(cat,))
    assert [label.label for label in listed_labels(found)] == ["cat"]


def test_a_legend_that_cannot_be_drawn_is_noted() -> None:
    (note,) = Overlay(OverlaySettings(layout="mask", legend=True)).notes
    assert note == "The layout 'mask' shows heat without colors, so it has no legend"
    assert Overlay(OverlaySettings(layout="mask")).notes == ()
    assert Overlay(OverlaySettings(layout="side-by-side", legend=True)).notes == ()


def test_characters_that_no_font_has_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    overlay = Overlay()
    assert overlay.notes == ()
    monkeypatch.setattr(LabelPanel, "missing", property(lambda _panel: ("ꙮ", "𓀀")))
    assert overlay.notes == ("No font here has the characters ꙮ 𓀀; name a font file in STREAMCAM_FONT",)


@pytest.mark.parametrize(
    ("settings", "error", "says"),
    [
        (OverlaySettings(colormap="vridis"), UnknownNameError, "viridis"),
        (OverlaySettings(layout="side by side"), UnknownNameError, "side-by-side"),
        (OverlaySettings(blend="evne"), UnknownNameError, "even"),
        (OverlaySettings(alpha=1.5), InvalidArgumentError, "weight from 0 to 1"),
    ],
)
def test_settings_that_cannot_be_used(settings: OverlaySettings, error: type[Exception], says: str) -> None:
    with pytest.raises(error, match=says):
        Overlay(settings)


# --- detected objects ----------------------------------------------------------------------------------

BOX = (0.25, 0.25, 0.75, 0.75)


def with_objects(targets: tuple[Prediction, ...], *class_indices: int) -> StabilizedFrame:
    """A gray frame without heat, with an object of each class in the same place."""
    frame = Frame(make_image(400, 200), 0, 0, Fraction(1, 25), 0.0)
    explanation = explanation_of(0)
    heatmaps = {target.index: np.zeros((2, 3), np.float32) for target in targets}
    instances = tuple(Instance(index, "thing", 0.5, BOX) for index in class_indices)
    return StabilizedFrame(frame, heatmaps, targets, (), explanation, instances)


def outline_color(image: Image) -> list[int]:
    luma, cb, cr = planes_of(image)
    return [int(luma[100, 100]), int(cb[50, 50]), int(cr[50, 50])]


def code_values(image: Image, rgb: tuple[int, int, int]) -> list[int]:
    return np.rint(coding_of(image).encode_rgb(np.array(rgb, np.float32))).astype(int).tolist()


DOG_AND_CAT = (Prediction(DOG, "dog", 0.5), Prediction(CAT, "cat", 0.5))


@pytest.mark.parametrize(
    ("targets", "class_index", "color"),
    [
        (DOG_AND_CAT, DOG, PALETTE[0]),
        (DOG_AND_CAT, CAT, PALETTE[1]),
        (DOG_AND_CAT[:1], DOG, ACCENT),
        (DOG_AND_CAT[:1], CAT, PLAIN_COLOR),
    ],
)
def test_objects_have_the_color_of_their_class(
    targets: tuple[Prediction, ...], class_index: int, color: tuple[int, int, int]
) -> None:
    image = Overlay(OverlaySettings(labels=False)).draw(with_objects(targets, class_index))
    assert outline_color(image) == code_values(image, color)


def test_objects_of_explained_classes_lie_on_top() -> None:
    image = Overlay(OverlaySettings(labels=False)).draw(with_objects(DOG_AND_CAT[:1], DOG, CAT))
    assert outline_color(image) == code_values(image, ACCENT)


def test_boxes_can_be_left_out() -> None:
    settings = OverlaySettings(labels=False, boxes=False)
    with_boxes = Overlay(settings).draw(with_objects(DOG_AND_CAT, DOG))
    without = Overlay(settings).draw(with_objects(DOG_AND_CAT))
    for plane, other in zip(planes_of(with_boxes), planes_of(without), strict=True):
        np.testing.assert_array_equal(plane, other)


# --- the legend ----------------------------------------------------------------------------------------


@pytest.mark.parametrize(
    ("heats", "layout", "has_legend"),
    [
        ({CAT: [[0, 1]]}, "overlay", True),
        ({CAT: [[0, 1]]}, "heat", True),
        ({CAT: [[0, 1]]}, "mask", False),
        ({CAT: [[0, 1]]}, "original", False),
        ({CAT: [[0, 1]], DOG: [[1, 0]]}, "overlay", True),
        ({CAT: [[0, 1]], DOG: [[1, 0]]}, "contours", False),
    ],
)
def test_the_legend_belongs_to_the_color_map(
    heats: dict[int, list[list[float]]], layout: str, has_legend: bool
) -> None:
    frame = frame_at(0, (640, 360))
    plain, legend = (
        luma(
            Overlay(OverlaySettings(layout=layout, legend=shown, labels=False)).draw(stabilized(frame, heats))
        )
        for shown in (False, True)
    )
    assert (plain != legend)[:, :320].sum() == 0
    assert bool((plain != legend)[300:, 320:].sum() > 100) is has_legend


# --- where the heat lies -------------------------------------------------------------------------------


BAR_COLORS = (_EMPTY, _MARK)


def located(targets: tuple[Prediction, ...] = DOG_AND_CAT[1:]) -> StabilizedFrame:
    """A frame of 400x200 with a box in its middle and a point at (360, 100), of the first target's heat."""
    frame, index = frame_at(0, (400, 200)), targets[0].index
    box = HeatBox(index, Instance(index, "cat", 0.5, BOX, track_id=1), 0.8)
    found = Localization((box,), (HeatPeak(index, "cat", 0.9, 0.5, 1.0),))
    heats = {target.index: np.zeros((2, 2), np.float32) for target in targets}
    explanation = dataclasses.replace(explanation_of(0), targets=(), heatmaps={})
    return StabilizedFrame(frame, heats, targets, (), explanation, localization=found)


@pytest.mark.parametrize("layout", ["overlay", "heat", "mask", "spotlight", "contours", "original"])
def test_boxes_around_heat_and_its_points_are_drawn_over_every_layout(layout: str) -> None:
    image = Overlay(OverlaySettings(layout=layout, labels=False)).draw(located())
    assert outline_color(image) == code_values(image, ACCENT)
    brightness = planes_of(image)[0]
    assert brightness[100, 360] == code_values(image, ACCENT)[0]
    assert brightness[100, 350] != brightness[100, 360]


def test_boxes_around_heat_have_the_color_of_their_class() -> None:
    image = Overlay(OverlaySettings(labels=False)).draw(located(DOG_AND_CAT))
    assert outline_color(image) == code_values(image, PALETTE[0])


def test_the_original_beside_an_overlay_has_no_boxes() -> None:
    frame = located()
    both = Overlay(OverlaySettings(layout="side-by-side", labels=False)).draw(frame)
    np.testing.assert_array_equal(luma(both)[:, :400], luma(frame.frame.image))
    assert (luma(both)[:, 400:] != luma(frame.frame.image)).any()


def test_a_box_says_how_much_of_the_heat_is_inside(monkeypatch: pytest.MonkeyPatch) -> None:
    drawn: list[ColoredInstance] = []
    monkeypatch.setattr(BoxPainter, "draw", lambda _self, _image, instances, _taken: drawn.extend(instances))
    Overlay(OverlaySettings(labels=False)).draw(located())
    assert [one.figure for one in drawn] == ["80 % of the heat"]


def test_boxes_around_heat_can_be_left_out_and_points_stay() -> None:
    image = Overlay(OverlaySettings(labels=False, boxes=False)).draw(located())
    assert outline_color(image) != code_values(image, ACCENT)
    assert planes_of(image)[0][100, 360] == code_values(image, ACCENT)[0]


def test_a_bar_shows_the_share_of_each_class_inside_the_region() -> None:
    """On 400x200 a bar is 4 pixels high: 3/4 of the dog's heat, and above it 1/4 of the cat's."""
    inside = HeatInside(np.ones((2, 2), np.bool_), 0.5, {DOG: 0.75, CAT: 0.25})
    frame = dataclasses.replace(located(DOG_AND_CAT), localization=Localization(inside=inside))
    y, cb, cr = planes_of(Overlay(OverlaySettings(labels=False)).draw(frame))
    dog, cat, empty, mark = (code_values(frame.frame.image, color) for color in (*PALETTE[:2], *BAR_COLORS))

    def color_at(row: int, column: int) -> list[int]:
        return [int(y[row, column]), int(cb[row // 2, column // 2]), int(cr[row // 2, column // 2])]

    assert [color_at(198, x) for x in (150, 290, 310)] == [dog, dog, empty]
    assert [color_at(194, x) for x in (90, 110, 390)] == [cat, empty, empty]
    assert color_at(198, 200) == color_at(194, 200) == mark


def test_the_region_itself_is_outlined() -> None:
    mask = np.zeros((10, 20), np.bool_)
    mask[2:8, 5:15] = True
    inside = HeatInside(mask, 0.3, {})
    frame = dataclasses.replace(located(), localization=Localization(inside=inside))
    drawn = luma(Overlay(OverlaySettings(labels=False)).draw(frame))
    assert drawn[100, 98:104].max() == code_values(frame.frame.image, PLAIN_COLOR)[0]
    assert (drawn[100, 130:280] == luma(frame.frame.image)[100, 130:280]).all()
