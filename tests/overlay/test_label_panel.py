"""The label panel: what it looks like, what it leaves alone, and that it fits every image."""

from __future__ import annotations

import dataclasses
import time
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from av.video.reformatter import ColorRange, Colorspace
from tall_font import DEEP, TALL, write_tall_font

from streamcam.media.images import PLANAR_FORMATS, ByteArray, Image, bits_of, planes_of
from streamcam.overlay import fonts
from streamcam.overlay.font_files import FONT_VARIABLE
from streamcam.overlay.fonts import FontBook, RenderedText
from streamcam.overlay.label_panel import LabelLine, LabelPanel, format_percentage, format_value

FLAT = (200, 90, 160)
LINES = (
    LabelLine("tabby", 0.437, marked=True),
    LabelLine("American Staffordshire terrier", 0.281),
    LabelLine("Egyptian cat", 0.115),
    LabelLine("tiger cat", 0.03),
    LabelLine("lynx, catamount", 0.004),
)


@pytest.fixture(autouse=True)
def _default_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FONT_VARIABLE, raising=False)


def flat_image(width: int, height: int, pixel_format: str = "yuv420p", *, full_range: bool = False) -> Image:
    image = av.VideoFrame(width, height, pixel_format)
    image.color_range = ColorRange.JPEG if full_range else ColorRange.MPEG
    image.colorspace = Colorspace.ITU601
    for plane, value in zip(planes_of(image), FLAT, strict=True):
        plane[:] = value * scale_of(pixel_format)
    return image


def scale_of(pixel_format: str) -> int:
    """Tell how many code values stand for one of 8 bits."""
    return int(1 << (bits_of(pixel_format) - 8))


def painted(
    width: int, height: int, lines: tuple[LabelLine, ...] = LINES, pixel_format: str = "yuv420p"
) -> tuple[ByteArray, ...]:
    image = flat_image(width, height, pixel_format, full_range=True)
    LabelPanel().draw(image, lines)
    return planes_of(image)


def extent(luma: ByteArray) -> tuple[int, int, int, int]:
    """Tell which rows and columns of a flat image were drawn on: left, top, right, bottom."""
    rows, columns = np.nonzero(luma != FLAT[0] * (1 if luma.itemsize == 1 else 4))
    return columns.min(), rows.min(), columns.max() + 1, rows.max() + 1


@pytest.mark.parametrize(
    ("probability", "expected"),
    [
        (0.0, "<1 %"),
        (0.0099, "<1 %"),
        (0.01, "1 %"),
        (0.115, "12 %"),
        (0.865, "87 %"),
        (0.994, "99 %"),
        (0.995, "100 %"),
        (1.0, "100 %"),
        (1.0001, "100 %"),
        (float("nan"), "NaN"),
    ],
)
def test_percentage(probability: float, expected: str) -> None:
    assert format_percentage(probability) == expected


@pytest.mark.parametrize(
    ("value", "expected"),
    [
        (3.2149, "3.21"),
        (-3.2149, "-3.21"),
        (0.0, "0"),
        (0.032149, "0.0321"),
        (-0.0032149, "-0.00321"),
        (321.49, "321"),
        (32149.0, "32149"),
        (3.2149e9, "3.21e+09"),
        (3.2149e-9, "3.21e-09"),
        (float("nan"), "NaN"),
        (float("-inf"), "-inf"),
    ],
)
def test_value(value: float, expected: str) -> None:
    assert format_value(value) == expected


class TestLook:
    @pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
    @pytest.mark.parametrize(("full_range", "expected"), [(False, (71, 120, 135)), (True, (60, 120, 135))])
    def test_background(self, pixel_format: str, full_range: bool, expected: tuple[int, ...]) -> None:
        image = flat_image(320, 180, pixel_format, full_range=full_range)
        LabelPanel().draw(image, LINES)
        # The background is RGB (12, 14, 18): in BT.601 Y 13.858, Cb 128 + 2.337, Cr 128 - 1.325; in limited
        # range 27.902, 130.05, 126.84. Three quarters of that and a quarter of the image's 200, 90, 160.
        place = slice(6, 8)  # between the panel's edge and its first line
        columns = slice(100, 104)
        luma, cb, cr = planes_of(image)
        scale_x, scale_y = luma.shape[1] // cb.shape[1], luma.shape[0] // cb.shape[0]
        chroma = (slice(6 // scale_y, 8 // scale_y), slice(100 // scale_x, 104 // scale_x))
        drawn = (luma[place, columns], cb[chroma], cr[chroma])
        for samples, value in zip(drawn, expected, strict=True):
            assert np.unique(samples) / scale_of(pixel_format) == pytest.approx([value], abs=0.51)

    def test_all_formats_have_the_same_luma(self) -> None:
        luma = [painted(320, 180, pixel_format=pixel_format)[0] for pixel_format in PLANAR_FORMATS]
        for plane, pixel_format in zip(luma, PLANAR_FORMATS, strict=True):
            same = luma[0] if scale_of(pixel_format) == 1 else luma[PLANAR_FORMATS.index("yuv420p10le")]
            np.testing.assert_array_equal(plane, same)
            np.testing.assert_allclose(plane / scale_of(pixel_format), luma[0], atol=1.5)

    def test_text_is_white_and_marked_text_whiter(self) -> None:
        marked = painted(1280, 720, (LabelLine("HHH", 0.5, marked=True),), "yuv444p")[0]
        plain = painted(1280, 720, (LabelLine("HHH", 0.5),), "yuv444p")[0]
        assert marked.max() == 255
        # 0.299 · 210 + 0.587 · 214 + 0.114 · 220 is more than the 200 around it.
        assert plain.max() == 213

    def test_corners_are_round(self) -> None:
        luma = painted(1280, 720)[0]
        left, top, right, bottom = extent(luma)
        for row, column in ((top, left), (top, right - 1), (bottom - 1, left), (bottom - 1, right - 1)):
            assert luma[row, column] > 180
        assert luma[top, (left + right) // 2] == 60

    def test_accent_shows_in_marker_and_bar(self) -> None:
        luma, cb, cr = painted(1280, 720, (LabelLine("tabby", 0.25, marked=True),), "yuv444p")
        # BT.601 of RGB (255, 190, 60): Y 194.6, Cb 128 - 134.6 / 1.772, Cr 128 + 60.4 / 1.402.
        accent = (luma == 195) & (cb == 52) & (cr == 171)
        left, _, right, _ = extent(luma)
        bar_row = np.flatnonzero(accent.sum(axis=1) > 30)[0]
        bar = np.flatnonzero(accent[bar_row])
        marker = np.flatnonzero(accent[:bar_row].any(axis=0))
        assert marker.max() < bar.min()
        # The bar's full length ends as far from the right edge as the marker begins from the left one.
        full = right - (marker.min() - left) - bar.min()
        assert len(bar) == pytest.approx(0.25 * full, abs=1)

    @pytest.mark.parametrize(("height", "side"), [(180, 8), (360, 10), (720, 18), (1080, 28)])
    def test_colors_are_squares_as_high_as_capitals(self, height: int, side: int) -> None:
        # BT.601 of RGB (0, 0, 255): Y 29, Cb 255, Cr 107.
        line = LabelLine("tabby", None, marked=True, color=(0, 0, 255))
        luma, cb, cr = painted(height * 16 // 9, height, (line,), "yuv444p")
        blue = (luma == 29) & (cb == 255) & (cr == 107)
        rows, columns = (np.flatnonzero(blue.any(axis=axis)) for axis in (1, 0))
        assert (np.ptp(rows) + 1, np.ptp(columns) + 1) == (side, side)

    def test_a_line_of_the_legend_has_no_percentage_and_no_bar(self) -> None:
        def count_ink(line: LabelLine) -> tuple[int, int]:
            """Count what is brighter than the background where the percentage and where the bar is."""
            luma = painted(1280, 720, (line,))[0]
            left, top, right, bottom = extent(luma)
            inside = luma[top + 8 : bottom - 8, left + 8 : right - 8] > 70
            return int(inside[:-10, -40:].sum()), int(inside[-10:].sum())

        assert count_ink(LabelLine("H", None, color=(0, 0, 255))) == (0, 0)
        assert min(count_ink(LabelLine("H", 0.5, color=(0, 0, 255)))) > 0

    def test_bars_are_left_out_where_text_is_small(self) -> None:
        def height(image_height: int) -> float:
            lines = (LabelLine("tabby", 0.5),)
            _, top, _, bottom = extent(painted(1280, image_height, lines)[0])
            return bottom - top

        assert height(400) < 2.4 * 13
        assert height(720) > 2.4 * 23

    def test_text_grows_with_the_image(self) -> None:
        heights = []
        for width, height in ((160, 90), (640, 360), (1920, 1080), (3840, 2160)):
            _, top, _, bottom = extent(painted(width, height, LINES[:1])[0])
            heights.append(bottom - top)
        assert heights == sorted(heights)
        assert heights[-1] > 4 * heights[0]


class TestRoom:
    @pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
    @pytest.mark.parametrize(
        ("width", "height"), [(160, 90), (161, 91), (321, 181), (641, 359), (1919, 1079), (90, 160)]
    )
    def test_outside_the_panel_nothing_changes(self, width: int, height: int, pixel_format: str) -> None:
        planes = painted(width, height, LINES, pixel_format)
        left, top, right, bottom = extent(planes[0])
        assert left == top > 0
        assert right <= width - left
        assert bottom - top <= 0.45 * height
        for plane, value in zip(planes, FLAT, strict=True):
            scale_x, scale_y = round(width / plane.shape[1]), round(height / plane.shape[0])
            outside = np.ones(plane.shape, bool)
            outside[top // scale_y : bottom // scale_y, left // scale_x : right // scale_x] = False
            assert np.unique(plane[outside]) == [value * scale_of(pixel_format)]

    @pytest.mark.parametrize(("width", "height"), [(160, 90), (320, 32), (640, 360), (1280, 720)])
    def test_even_the_tallest_letters_stay_inside(
        self, monkeypatch: pytest.MonkeyPatch, width: int, height: int
    ) -> None:
        expected = extent(painted(width, height)[0])
        render = FontBook.render

        def render_full(*args: Any, **options: Any) -> RenderedText:
            text = render(*args, **options)
            return RenderedText(text.mask | 255, text.ascent)

        monkeypatch.setattr(FontBook, "render", render_full)
        assert extent(painted(width, height)[0]) == expected

    @pytest.mark.parametrize("letter", [TALL, DEEP])
    def test_tall_scripts_make_their_line_taller(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, letter: str
    ) -> None:
        """The panel grows by the additional ink, and nothing is cut or drawn over another line."""
        lines = (LabelLine("cat", 0.5), LabelLine("dog", 0.25))
        _, usual_top, _, usual_bottom = extent(painted(1280, 720, lines)[0])
        monkeypatch.setenv(FONT_VARIABLE, str(write_tall_font(tmp_path / "tall.ttf")))
        book = FontBook(23)
        ascent, descent = book.measure_height(letter)
        more = ascent - book.ascent + descent - book.descent
        _, top, _, bottom = extent(painted(1280, 720, (LabelLine(letter, 0.5), lines[1]))[0])
        assert top == usual_top
        assert bottom - usual_bottom == pytest.approx(more, abs=2)

    def test_a_line_too_tall_for_the_image_is_left_out(
        self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
    ) -> None:
        monkeypatch.setenv(FONT_VARIABLE, str(write_tall_font(tmp_path / "tall.ttf")))
        panel = LabelPanel()
        for width in range(1, 100, 5):
            for height in range(1, 90, 2):
                panel.draw(flat_image(width, height), (LabelLine(TALL + DEEP, 0.5, marked=True), *LINES))

    def test_every_size(self) -> None:
        panel = LabelPanel()
        sides = (16, 17, 33, 48, 64, 91, 128, 240, 505, 1081, 2160)
        sizes = {(width, height) for width in (*sides, 3840) for height in sides}
        for width, height in sorted(sizes):
            image = flat_image(width, height)
            panel.draw(image, LINES)

    @pytest.mark.parametrize("pixel_format", PLANAR_FORMATS)
    def test_every_small_size(self, pixel_format: str) -> None:
        panel = LabelPanel()
        for width in range(1, 100, 3):
            for height in range(1, 60, 2):
                panel.draw(flat_image(width, height, pixel_format), LINES)

    @pytest.mark.parametrize(("width", "height"), [(1, 1), (16, 16), (200, 16), (16, 200)])
    def test_too_small_for_a_line(self, width: int, height: int) -> None:
        planes = painted(width, height)
        for plane, value in zip(planes, FLAT, strict=True):
            assert np.unique(plane) == [value]

    def test_one_line_in_a_low_image(self) -> None:
        _, top, _, bottom = extent(painted(320, 32)[0])
        assert 0 < top < bottom < 32
        one = painted(320, 32, LINES[:1])
        assert np.array_equal(painted(320, 32)[0], one[0])

    def test_lines_that_do_not_fit_are_dropped_from_the_end(self) -> None:
        assert np.array_equal(painted(160, 90)[0], painted(160, 90, LINES[:2])[0])

    def test_marked_lines_stay(self) -> None:
        lines = (*LINES[1:], LINES[0])
        assert np.array_equal(painted(160, 90, lines)[0], painted(160, 90, (LINES[1], LINES[0]))[0])

    def test_long_labels_leave_room_for_the_image(self) -> None:
        lines = (LabelLine("a label that is longer than any " * 5, 0.5),)
        left, _, right, _ = extent(painted(1280, 720, lines)[0])
        assert right - left <= 0.6 * 1280

    def test_nothing_to_show(self) -> None:
        assert np.unique(painted(320, 180, ())[0]) == [FLAT[0]]

    def test_an_empty_label(self) -> None:
        painted(320, 180, (LabelLine("", 0.5), LabelLine("\n", float("nan"))))


class TestStability:
    def test_the_second_image_is_like_the_first(self) -> None:
        panel = LabelPanel()
        images = [flat_image(640, 361) for _ in range(2)]
        for image in images:
            panel.draw(image, LINES)
        for first, second in zip(*map(planes_of, images), strict=True):
            assert np.array_equal(first, second)

    def test_what_was_drawn_before_leaves_no_trace(self) -> None:
        panel = LabelPanel()
        for number in range(40):
            lines = [dataclasses.replace(line, probability=number / 40) for line in LINES]
            panel.draw(flat_image(640 + number % 3, 360), lines)
        image = flat_image(640, 360, full_range=True)
        panel.draw(image, LINES)
        assert np.array_equal(planes_of(image)[0], painted(640, 360)[0])

    def test_one_panel_serves_differently_coded_images(self) -> None:
        panel = LabelPanel()
        for full_range, expected in ((False, 71), (True, 60), (False, 71)):
            image = flat_image(320, 180, full_range=full_range)
            panel.draw(image, LINES)
            assert planes_of(image)[0][6, 100] == expected

    def test_nothing_moves_with_the_percentages(self) -> None:
        def at(probability: float) -> ByteArray:
            return painted(1280, 720, (LabelLine("tabby", probability), LabelLine("lynx", 0.1)))[0]

        images = [at(probability) for probability in (0.0, 0.05, 0.5, 1.0)]
        assert len({extent(image) for image in images}) == 1
        left, top, _, _ = extent(images[0])
        label = (slice(top, top + 30), slice(left, left + 70))
        assert all(np.array_equal(image[label], images[0][label]) for image in images)

    def test_unseen_changes_of_probability_change_nothing(self) -> None:
        shown = [painted(1280, 720, (LabelLine("tabby", probability),))[0] for probability in (0.872, 0.868)]
        assert np.array_equal(*shown)

    def test_a_painted_panel_is_cheap(self) -> None:
        panel, image = LabelPanel(), flat_image(1920, 1080)
        panel.draw(image, LINES)
        times = []
        for _ in range(30):
            begun = time.perf_counter()
            panel.draw(image, LINES)
            times.append(time.perf_counter() - begun)
        assert min(times) < 2e-3  # 0.4 ms on an idle machine


def test_missing_characters_are_told(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "find_system_face", lambda _: None)
    panel = LabelPanel()
    assert panel.missing == ()
    for _ in range(2):
        panel.draw(flat_image(320, 180), (LabelLine("cat \U0010fffd", 0.5),))
        panel.draw(flat_image(640, 480), (LabelLine("cat \U0010fffd", 0.5),))
    assert panel.missing == ("\U0010fffd",)
