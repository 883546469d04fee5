"""Size and place of text, and opacity that follows the probability."""

from __future__ import annotations

import dataclasses
import itertools
import math
from fractions import Fraction

import numpy as np
import pytest
from media_factory import make_image
from numpy.typing import NDArray

from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.explanations import Explanation, Prediction, StabilizedFrame
from streamcam.frames import Frame, Region
from streamcam.media.images import Image, planes_of
from streamcam.overlay import LABEL_POSITIONS, Overlay, OverlaySettings
from streamcam.overlay.caption import CaptionPainter

CAT, DOG = 3, 5
BARE = OverlaySettings(alpha=0, labels=False)
CAPTION = "What does the network look at?"
SIZES = [(640, 360), (1280, 720), (360, 640)]


def explained(
    size: tuple[int, int] = (640, 360), probability: float = 0.5, heat: dict[int, float] | None = None
) -> StabilizedFrame:
    frame = Frame(make_image(*size), 0, 0, Fraction(1, 25), 0.0)
    targets = tuple(Prediction(index, f"class {index}", probability) for index in heat or {CAT: 1.0})
    maps = {index: np.full((1, 1), value, np.float32) for index, value in (heat or {CAT: 1.0}).items()}
    labels = (Prediction(CAT, "cat", probability), Prediction(DOG, "dog", 0.25))
    explanation = Explanation(0, maps, targets, labels, "made up", "nowhere", Region())
    return StabilizedFrame(frame, maps, targets, labels, explanation)


def luma(settings: OverlaySettings, stabilized: StabilizedFrame) -> NDArray[np.int_]:
    image: Image = Overlay(settings).draw(stabilized)
    return planes_of(image)[0].astype(int)


def drawn(settings: OverlaySettings, size: tuple[int, int]) -> NDArray[np.bool_]:
    """Return where settings change an image."""
    changed: NDArray[np.bool_] = luma(settings, explained(size)) != luma(BARE, explained(size))
    return changed


@pytest.mark.parametrize("size", SIZES)
@pytest.mark.parametrize("position", LABEL_POSITIONS)
def test_labels_lie_in_their_corner(position: str, size: tuple[int, int]) -> None:
    rows, columns = np.nonzero(drawn(dataclasses.replace(BARE, labels=True, label_position=position), size))
    corner = LABEL_POSITIONS[position]
    assert rows.min() > 0
    assert columns.min() > 0
    assert (rows.max() > 0.9 * size[1]) == corner.is_bottom
    assert (rows.min() < 0.1 * size[1]) != corner.is_bottom
    assert (columns.max() > 0.9 * size[0]) == corner.is_right
    assert (columns.min() < 0.1 * size[0]) != corner.is_right


@pytest.mark.parametrize(
    ("position", "label_size", "size"),
    [
        *itertools.product(LABEL_POSITIONS, (0.5, 1.0, 2.0), SIZES[:1]),
        *itertools.product(LABEL_POSITIONS, (1.0, 4.0), SIZES[1:]),
    ],
)
def test_labels_legend_and_caption_do_not_overlap(
    position: str, label_size: float, size: tuple[int, int]
) -> None:
    text = dataclasses.replace(BARE, label_position=position, label_size=label_size)
    # The caption is drawn last, and what is drawn below it would not show: its place counts.
    caption = np.zeros((size[1], size[0]), bool)
    caption[size[1] - CaptionPainter(CAPTION, label_size).measure(*size) :] = True
    told = dataclasses.replace(text, caption=CAPTION)
    alone = drawn(told, size)
    assert alone.any()
    assert not (alone & ~caption).any()
    labels = drawn(dataclasses.replace(told, labels=True), size) & ~caption
    legend = drawn(dataclasses.replace(told, legend=True), size) & ~caption
    assert labels.any()
    assert not (labels & legend).any()
    both = drawn(dataclasses.replace(told, labels=True, legend=True), size)
    assert (both == (labels | legend | alone)).all()


def test_larger_text_takes_more_room() -> None:
    areas = [
        int(drawn(dataclasses.replace(BARE, labels=True, label_size=factor), (640, 360)).sum())
        for factor in (1.0, 1.5, 2.0)
    ]
    assert areas[0] < areas[1] < areas[2]


@pytest.mark.parametrize("factor", [0.0, 0.49, 4.1, math.nan])
def test_sizes_out_of_range_are_refused(factor: float) -> None:
    with pytest.raises(InvalidArgumentError, match=r"`label_size` is a factor from 0\.5 to 4, not"):
        Overlay(OverlaySettings(label_size=factor))


def test_unknown_corners_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="top-left"):
        Overlay(OverlaySettings(label_position="topleft"))


def test_a_frame_without_heat_has_the_caption_too() -> None:
    frame = explained().frame
    bare, told = (planes_of(Overlay(OverlaySettings(caption=text)).draw(frame))[0] for text in ("", CAPTION))
    assert (bare != told).any()


def full(probability: float, **changes: object) -> NDArray[np.int_]:
    """Return the luma of a frame that is hot all over."""
    settings = OverlaySettings(alpha=1.0, labels=False, opacity_from_confidence=True)
    heat = changes.pop("heat", None)
    return luma(dataclasses.replace(settings, **changes), explained(probability=probability, heat=heat))  # type: ignore[arg-type]


def test_opacity_follows_the_probability() -> None:
    none, half, whole = (int(full(probability)[180, 320]) for probability in (0.0, 0.5, 1.0))
    assert none == int(luma(BARE, explained())[180, 320])
    assert half == pytest.approx((none + whole) / 2, abs=2 + abs(whole - none) / 50)
    assert whole == int(full(1.0, opacity_from_confidence=False)[180, 320])


def test_opacity_of_several_classes_follows_theirs() -> None:
    heat = {CAT: 1.0, DOG: 0.5}
    none, whole = (int(full(probability, heat=heat)[180, 320]) for probability in (0.0, 1.0))
    assert none == int(luma(BARE, explained())[180, 320])
    assert whole == int(full(1.0, heat=heat, opacity_from_confidence=False)[180, 320])
    assert abs(whole - none) > 10


def test_a_network_that_fails_shows_no_heat() -> None:
    assert int(full(math.nan)[180, 320]) == int(luma(BARE, explained())[180, 320])


def test_a_value_without_a_probability_is_shown_in_full() -> None:
    alone = explained()
    prediction = Prediction(CAT, "cat", math.nan, value=0.31)
    alone = dataclasses.replace(alone, labels=(prediction,), targets=(prediction,))
    settings = OverlaySettings(alpha=1.0, labels=False)
    by_confidence = dataclasses.replace(settings, opacity_from_confidence=True)
    assert (luma(settings, alone) == luma(by_confidence, alone)).all()
