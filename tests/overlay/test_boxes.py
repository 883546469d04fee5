"""Boxes, contours and labels of detected objects: where they are drawn, and in which color."""

from __future__ import annotations

import itertools
import math
from pathlib import Path

import av
import numpy as np
import pytest
from numpy.typing import NDArray
from tall_font import TALL, write_tall_font

from streamcam.explanations import Instance
from streamcam.media.images import PLANAR_FORMATS, Image, bits_of, coding_of, planes_of
from streamcam.overlay.boxes import BoxPainter, ColoredInstance
from streamcam.overlay.font_files import FONT_VARIABLE
from streamcam.overlay.layouts import Rectangle
from streamcam.overlay.sprites import Rgb

AMBER: Rgb = (255, 190, 60)
BLUE: Rgb = (40, 60, 200)
FLAT = (110, 128, 128)
MIDDLE = (0.25, 0.25, 0.75, 0.75)


def flat_image(width: int, height: int, pixel_format: str = "yuv420p") -> Image:
    image = av.VideoFrame(width, height, pixel_format)
    for plane, value in zip(planes_of(image), FLAT, strict=True):
        plane[:] = value << (bits_of(pixel_format) - 8)
    return image


def instance(
    box: tuple[float, float, float, float] = MIDDLE,
    mask: NDArray[np.bool_] | None = None,
    label: str = "dog",
    track_id: int | None = None,
) -> Instance:
    return Instance(0, label, 0.75, box, mask, track_id)


def draw(image: Image, *instances: Instance, color: Rgb = AMBER) -> Image:
    BoxPainter().draw(image, [ColoredInstance(one, color, "75 %") for one in instances])
    return image


def code_values(image: Image, color: Rgb) -> list[int]:
    yuv = coding_of(image).encode_rgb(np.array(color, np.float32))
    return np.rint(yuv).astype(int).tolist()


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_the_outline_lies_on_the_box_in_its_color(pixel_format: str) -> None:
    """On 400x200 the box covers columns 100 to 299 and rows 50 to 149, and lines are 2 pixels wide."""
    image = draw(flat_image(400, 200, pixel_format), instance())
    expected = code_values(image, AMBER)
    for plane, value, flat in zip(planes_of(image), expected, FLAT, strict=True):
        across, down = 400 // plane.shape[1], 200 // plane.shape[0]
        for columns in ((100, 102), (298, 300)):
            assert (
                plane[52 // down : 148 // down, columns[0] // across : columns[1] // across] == value
            ).all()
        for rows in ((50, 52), (148, 150)):
            line = plane[rows[0] // down : rows[1] // down, 200 // across : 300 // across]
            assert (line == value).all()
        background = flat << (bits_of(pixel_format) - 8)
        assert (plane[54 // down : 146 // down, 104 // across : 296 // across] == background).all()
        assert (plane[160 // down :] == background).all()


def test_a_shadow_on_both_sides_darkens_brightness_only() -> None:
    luma, cb, _ = planes_of(draw(flat_image(400, 200, "yuv444p"), instance()))
    dark = int(16 + 0.35 * (110 - 16))
    assert luma[100, [99, 102, 297, 300]].tolist() == [dark] * 4
    assert cb[100, [99, 102, 297, 300]].tolist() == [128] * 4


@pytest.mark.parametrize("background", [16, 90, 160, 235])
@pytest.mark.parametrize("color", [AMBER, BLUE, (222, 226, 232)])
def test_outlines_stand_out_from_any_background(background: int, color: Rgb) -> None:
    image = flat_image(400, 200)
    planes_of(image)[0][:] = background
    luma = planes_of(draw(image, instance(), color=color))[0].astype(int)
    assert np.ptp(luma[100, 97:104]) > 40


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_the_label_lies_above_the_box(pixel_format: str) -> None:
    image = draw(flat_image(400, 200, pixel_format), instance())
    luma = planes_of(image)[0]
    shift = bits_of(pixel_format) - 8
    rows, columns = np.nonzero(luma[:49] != FLAT[0] << shift)
    assert (rows.min(), columns.min()) == (50 - 14, 100)
    assert columns.max() < 200
    assert luma[37, 100] == pytest.approx(code_values(image, AMBER)[0], abs=1)
    assert luma[36:50].min() < 60 << shift, "dark letters on a light color"


def test_letters_on_a_dark_color_are_light() -> None:
    luma = planes_of(draw(flat_image(400, 200), instance(), color=BLUE))[0]
    assert luma[36:50, 100:180].max() > 200


def test_a_label_without_room_above_lies_inside_the_box() -> None:
    luma = planes_of(draw(flat_image(400, 200, "yuv444p"), instance((0.25, 0, 0.75, 0.5))))[0]
    assert luma[1, 101] == code_values(flat_image(8, 8), AMBER)[0]
    assert luma[12, 104] == code_values(flat_image(8, 8), AMBER)[0]


def test_labels_keep_off_each_other_and_off_what_is_written() -> None:
    image = flat_image(400, 200)
    taken = [Rectangle(0, 0, 240, 60)]  # a panel, in whose corner the boxes begin
    boxes = [(0.25, 0.25, 0.75, 0.75), (0.26, 0.26, 0.75, 0.75), (0.0, 0.0, 1.0, 1.0)]
    BoxPainter().draw(image, [ColoredInstance(instance(box), AMBER, "75 %") for box in boxes], taken)
    panel, *labels = taken
    assert panel == Rectangle(0, 0, 240, 60)
    assert len(labels) == 3
    for one, other in itertools.combinations(taken, 2):
        assert not one.overlaps(other)
    for label in labels:
        assert 0 <= label.left <= label.left + label.width <= 400
        assert 0 <= label.top <= label.top + label.height <= 200


def test_where_everything_is_taken_a_label_lies_above_its_box() -> None:
    alone: list[Rectangle] = []
    BoxPainter().draw(flat_image(400, 200), [ColoredInstance(instance(), AMBER, "75 %")], alone)
    crowded = [Rectangle(0, 0, 400, 200)]
    BoxPainter().draw(flat_image(400, 200), [ColoredInstance(instance(), AMBER, "75 %")], crowded)
    assert crowded[1:] == alone


def test_the_track_is_named_beside_the_class() -> None:
    named, plain = (
        planes_of(draw(flat_image(400, 200), instance(track_id=track)))[0][36:49] for track in (12, None)
    )
    assert (named != FLAT[0]).any(axis=0).sum() > (plain != FLAT[0]).any(axis=0).sum() + 10


def test_a_box_beyond_an_edge_stays_open_there() -> None:
    image = draw(flat_image(400, 200, "yuv444p"), instance((-0.5, 0.25, 0.5, 1.5)))
    amber = code_values(image, AMBER)
    luma, cb, _ = planes_of(image)
    assert (luma[60:, 198:200] == amber[0]).all()
    assert (luma[60:, :190] == FLAT[0]).all()
    assert (cb[-1, :190] == FLAT[1]).all()


@pytest.mark.parametrize(
    "box",
    [
        (0.5, 0.5, 0.5, 0.8),
        (0.8, 0.2, 0.2, 0.8),
        (math.nan, 0.2, 0.5, 0.8),
        (0.1, 0.1, math.inf, 0.8),
        (1.1, 0.2, 1.4, 0.8),
        (-0.4, 0.2, -0.1, 0.8),
        (0.2, -0.5, 0.8, -0.1),
    ],
)
def test_boxes_that_show_nothing_change_nothing(box: tuple[float, float, float, float]) -> None:
    luma = planes_of(draw(flat_image(64, 48), instance(box, np.ones((4, 4), bool))))[0]
    assert np.unique(luma) == [FLAT[0]]


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_the_contour_of_a_mask_is_drawn(pixel_format: str) -> None:
    """The left half of the box belongs to the object, so its contour has a line down the middle."""
    mask = np.zeros((8, 8), bool)
    mask[:, :4] = True
    image = draw(flat_image(400, 200, pixel_format), instance(mask=mask))
    for plane, value in zip(planes_of(image), code_values(image, AMBER), strict=True):
        across, down = 400 // plane.shape[1], 200 // plane.shape[0]
        row = plane[100 // down].astype(int)
        near = row[196 // across : 204 // across]
        tolerance = 30 << (bits_of(pixel_format) - 8)
        assert np.abs(near - value).min() < tolerance
        far = row[220 // across : 280 // across]
        assert np.unique(far).size == 1


def test_a_mask_of_a_huge_box_is_clipped() -> None:
    draw(flat_image(64, 48), instance((-1e9, -1e9, 1e9, 1e9), np.eye(9, dtype=bool)))
    draw(flat_image(64, 48), instance((0.4, 0.4, 0.4001, 0.4001), np.ones((1, 1), bool)))
    draw(flat_image(64, 48), instance(mask=np.zeros((0, 0), bool)))


@pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
def test_every_size(pixel_format: str) -> None:
    painter = BoxPainter()
    mask = np.tri(5, dtype=bool)
    for width in (1, 2, 3, 15, 16, 33, 64, 91, 240, 505):
        for height in (1, 2, 3, 15, 16, 33, 64, 91, 240):
            image = flat_image(width, height, pixel_format)
            boxes = (MIDDLE, (0, 0, 1, 1), (0.9, 0.9, 1.2, 1.2), (-0.1, -0.1, 0.05, 0.05))
            painter.draw(image, [ColoredInstance(instance(box, mask), AMBER, "75 %") for box in boxes])


def test_labels_lie_over_all_boxes() -> None:
    """The second box crosses the first one's label, which is drawn last all the same."""
    alone = planes_of(draw(flat_image(400, 200), instance()))[0][37:49, 101:140].copy()
    crossing = instance((0.3, -0.5, 0.9, 0.9))
    both = planes_of(draw(flat_image(400, 200), instance(), crossing))[0]
    np.testing.assert_array_equal(both[37:49, 101:140], alone)


def test_missing_characters_are_listed() -> None:
    painter = BoxPainter()
    painter.draw(flat_image(400, 200), [ColoredInstance(instance(label="cat \U0010fffd"), AMBER, "75 %")])
    assert painter.missing == ("\U0010fffd",)


def test_letters_taller_than_the_label_stay_inside_it(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.setenv(FONT_VARIABLE, str(write_tall_font(tmp_path / "tall.ttf")))
    luma = planes_of(draw(flat_image(400, 200), instance(label=TALL)))[0]
    assert np.unique(luma[:36]) == [FLAT[0]]
