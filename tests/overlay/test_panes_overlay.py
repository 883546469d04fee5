"""Panes side by side: where they lie, what is in each, and what stands above it."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from media_factory import make_image
from stage_fakes import CAT, explanation_of

from streamcam.errors import InvalidArgumentError
from streamcam.explanations import StabilizedFrame
from streamcam.frames import Frame
from streamcam.media.images import Image, planes_of
from streamcam.media.scaling import Resampler
from streamcam.overlay import Overlay, OverlaySettings, PaneOverlay
from streamcam.overlay.layouts import Rectangle
from streamcam.overlay.panes import lay_out
from streamcam.panes import PaneGrid


def frame_of(width: int, height: int) -> Frame:
    return Frame(make_image(width, height, 100), 0, 0, Fraction(1, 10), 0.0)


def panes_of(frame: Frame, *heats: float) -> StabilizedFrame:
    """Make up a frame with one pane for each strength of heat, named by it."""
    first, *others = [
        StabilizedFrame(
            frame,
            {CAT: np.full((1, 1), heat, np.float32)},
            explanation_of(0).targets,
            explanation_of(0).predictions,
            dataclasses.replace(explanation_of(0), pane=f"{heat:g}"),
        )
        for heat in heats
    ]
    return dataclasses.replace(first, others=tuple(others))


def cut(image: Image, rectangle: Rectangle) -> np.ndarray:
    luma = planes_of(image)[0]
    return luma[
        rectangle.top : rectangle.top + rectangle.height, rectangle.left : rectangle.left + rectangle.width
    ]


@pytest.mark.parametrize(
    ("image", "panes", "table"),
    [
        ((1920, 1080), 4, (3, 2)),  # with the original five, as large as they get on a screen
        ((1920, 1080), 3, (2, 2)),
        ((1920, 1080), 2, (3, 1)),  # a fourth cell would be a black quarter
        ((2000, 200), 2, (1, 3)),
        ((1080, 1920), 4, (5, 1)),  # upright videos stand beside each other
        ((2000, 200), 4, (1, 5)),  # panoramas above each other
    ],
)
def test_panes_are_as_large_as_they_can_be_on_a_screen(
    image: tuple[int, int], panes: int, table: tuple[int, int]
) -> None:
    layout = lay_out(image, PaneGrid(panes))
    assert (layout.columns, layout.rows) == table


def test_together_they_have_as_many_pixels_as_a_frame_and_are_never_too_small_to_read() -> None:
    large = lay_out((1920, 1080), PaneGrid(4))
    assert large.pane == (784, 440)  # 1920 and 1080, divided by the root of 6 panes
    assert (large.caption, large.gap) == (36, 6)  # of letters of 22 pixels
    assert large.canvas == (3 * 784 + 2 * 6, 2 * (440 + 36) + 6)
    assert lay_out((640, 360), PaneGrid(4)).pane == (320, 180)
    assert lay_out((64, 64), PaneGrid(4)).pane == (180, 180)


def test_rows_and_columns_have_an_original_in_every_row() -> None:
    layout = lay_out((640, 360), PaneGrid(6, columns=3))
    assert (layout.columns, layout.rows) == (4, 2)


def test_more_than_an_image_can_hold_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match=r"5 panes of 9000x180 pixels do not fit into an image"):
        lay_out((10000, 200), PaneGrid(4))


@pytest.mark.parametrize("canvas", [None, (1280, 720)])
def test_a_last_row_of_fewer_panes_is_centered(canvas: tuple[int, int] | None) -> None:
    """Five panes in rows of three leave no black tile: as much is free on the left as on the right."""
    layout = lay_out((640, 360), PaneGrid(4), canvas)
    ends = [layout.place(*place) for place in ((0, 0), (0, 2), (1, 0), (1, 1))]
    first, last, left, right = (pane.left for pane in ends)
    assert left - first == pytest.approx(last - right, abs=2)  # all lengths are even
    assert left > first
    drawn = PaneOverlay(PaneGrid(4), OverlaySettings(labels=False)).draw(
        panes_of(frame_of(640, 360), 0, 1, 0, 1), canvas
    )
    assert (np.median(cut(drawn, ends[2])), np.median(cut(drawn, ends[3]))) != (16, 16)
    beside = dataclasses.replace(ends[2], left=first, width=left - first - layout.gap)
    assert cut(drawn, beside).max() == 16


@pytest.mark.parametrize("canvas", [(640, 360), (320, 900), (64, 48), (16, 16)])
def test_panes_fit_into_any_window(canvas: tuple[int, int]) -> None:
    layout = lay_out((640, 360), PaneGrid(4), canvas)
    for number in range(5):
        pane = layout.place(*divmod(number, layout.columns))
        assert 0 <= pane.left <= pane.left + pane.width <= canvas[0]
        assert layout.caption <= pane.top <= pane.top + pane.height <= canvas[1]
    drawn = PaneOverlay(PaneGrid(4)).draw(panes_of(frame_of(640, 360), 0, 1, 0, 1), canvas)
    assert (drawn.width, drawn.height) == canvas


def test_each_pane_shows_its_own_heat_as_a_render_would_and_its_name_above() -> None:
    frame, settings = frame_of(640, 360), OverlaySettings(labels=False)
    grid, stabilized = PaneGrid(2), panes_of(frame, 1.0, 0.0)
    drawn = PaneOverlay(grid, settings).draw(stabilized)
    layout = lay_out((640, 360), grid)
    assert (drawn.width, drawn.height) == layout.canvas == PaneOverlay(grid).measure(640, 360)
    small = dataclasses.replace(frame, image=Resampler().to_size(frame.image, *layout.pane))
    images = [small.image]
    images += [
        Overlay(settings).draw(dataclasses.replace(pane, frame=small))
        for pane in (stabilized, *stabilized.others)
    ]
    assert not np.array_equal(planes_of(images[1])[0], planes_of(images[2])[0])
    for number, image in enumerate(images):
        place = layout.place(*divmod(number, layout.columns))
        np.testing.assert_array_equal(cut(drawn, place), planes_of(image)[0])
        name = dataclasses.replace(place, top=place.top - layout.caption, height=layout.caption)
        assert cut(drawn, name).max() > 200  # white letters
        assert np.median(cut(drawn, name)) == 16  # on black


def test_predictions_are_listed_once_for_a_network_and_in_every_pane_of_several() -> None:
    frame = frame_of(640, 360)

    def listed(grid: PaneGrid) -> list[bool]:
        with_labels, without = (
            PaneOverlay(grid, OverlaySettings(labels=labels)).draw(panes_of(frame, 0.0, 0.0))
            for labels in (True, False)
        )
        layout = lay_out((640, 360), grid)
        places = [layout.place(*divmod(number, layout.columns)) for number in range(3)]
        return [not np.array_equal(cut(with_labels, place), cut(without, place)) for place in places]

    assert listed(PaneGrid(2)) == [True, False, False]
    assert listed(PaneGrid(2, lists_labels=True)) == [False, True, True]


def test_a_layout_of_several_images_is_refused() -> None:
    with pytest.raises(InvalidArgumentError, match="layout 'side-by-side' has several images of a frame"):
        PaneOverlay(PaneGrid(2), OverlaySettings(layout="side-by-side"))


def test_a_caption_stands_once_below_all_panes() -> None:
    stabilized = panes_of(frame_of(640, 360), 0.2, 0.4, 0.6)
    bare, told = (
        planes_of(PaneOverlay(PaneGrid(3), OverlaySettings(labels=False, caption=text)).draw(stabilized))[0]
        for text in ("", "Where do they look?")
    )
    rows, columns = np.nonzero(bare != told)
    height, width = bare.shape
    assert rows.min() > 0.85 * height
    assert abs(columns.min() + columns.max() + 1 - width) <= 4
