"""The caption, and how text is broken into lines."""

from __future__ import annotations

import dataclasses
from fractions import Fraction

import numpy as np
import pytest
from media_factory import make_image
from numpy.typing import NDArray
from stage_fakes import CAT, explanation_of

from streamcam.explanations import UNTRUSTED_METHODS, StabilizedFrame
from streamcam.frames import Frame
from streamcam.media.images import Image, planes_of
from streamcam.overlay.caption import CaptionPainter
from streamcam.overlay.fonts import FontBook
from streamcam.overlay.overlay import Overlay
from streamcam.overlay.settings import OverlaySettings
from streamcam.overlay.wrapping import wrap_text

SENTENCE = "A neural network looks at this film, and what it looks at is red."


def changed(image: Image) -> tuple[NDArray[np.intp], NDArray[np.intp]]:
    """Return the rows and columns that are not as they were."""
    plain = make_image(image.width, image.height)
    rows, columns = np.nonzero(planes_of(image)[0] != planes_of(plain)[0])
    return rows, columns


def caption_on(size: tuple[int, int], text: str, label_size: float = 1.0) -> Image:
    image = make_image(*size)
    CaptionPainter(text, label_size).draw(image)
    return image


@pytest.mark.parametrize("size", [(640, 360), (641, 361), (1920, 1080), (360, 640), (160, 120)])
@pytest.mark.parametrize("text", ["Where?", SENTENCE, SENTENCE * 9])
def test_it_lies_in_the_middle_of_the_lower_edge(size: tuple[int, int], text: str) -> None:
    rows, columns = changed(caption_on(size, text))
    measured = CaptionPainter(text, 1.0).measure(*size)
    assert rows.min() >= size[1] - measured
    assert rows.max() < size[1] - 1
    assert measured <= 0.5 * size[1]
    assert columns.min() >= 0.04 * size[0]
    assert abs(columns.min() + columns.max() + 1 - size[0]) <= 4


def test_longer_captions_take_more_lines_up_to_a_share_of_the_image() -> None:
    heights = [CaptionPainter(SENTENCE * times, 1.0).measure(640, 360) for times in (1, 2, 4, 40, 400)]
    assert heights[0] < heights[1] < heights[2]
    assert heights[3] == heights[4] <= 0.3 * 360


def test_larger_text_is_larger() -> None:
    heights = [CaptionPainter("Where?", label_size).measure(640, 360) for label_size in (1, 2, 3)]
    assert heights[0] < heights[1] < heights[2] <= 180


@pytest.mark.parametrize("text", ["", "  ", "\n"])
def test_no_words_change_nothing(text: str) -> None:
    assert CaptionPainter(text, 1.0).measure(640, 360) == 0
    assert changed(caption_on((640, 360), text))[0].size == 0


def test_an_image_too_small_stays_as_it_was() -> None:
    assert CaptionPainter(SENTENCE, 1.0).measure(16, 16) == 0
    assert changed(caption_on((16, 16), SENTENCE))[0].size == 0


def test_missing_characters_are_listed() -> None:
    painter = CaptionPainter("cat \U0010fffd", 1.0)
    painter.draw(make_image(640, 360))
    assert painter.missing == ("\U0010fffd",)


def test_lines_break_between_words_and_keep_all_of_them() -> None:
    book = FontBook(20)
    lines = wrap_text(book, SENTENCE, 200, 99)
    assert len(lines) > 2
    assert " ".join(lines) == SENTENCE
    assert all(book.measure(line) <= 200 for line in lines)


def test_a_word_that_is_too_long_is_broken() -> None:
    book = FontBook(20)
    lines = wrap_text(book, f"the {'x' * 60} end", 200, 99)
    assert lines[0] == "the"
    assert "".join(lines[1:]).replace(" ", "") == f"{'x' * 60}end"
    assert all(book.measure(line) <= 200 for line in lines)


def test_what_needs_too_many_lines_ends_with_an_ellipsis() -> None:
    book = FontBook(20)
    lines = wrap_text(book, SENTENCE, 200, 2)
    assert len(lines) == 2
    assert lines[1].endswith("…")
    assert book.measure(lines[1]) <= 200


def test_own_line_breaks_are_kept() -> None:
    assert wrap_text(FontBook(20), "one\n\ntwo three", 500, 5) == ["one", "two three"]
    assert wrap_text(FontBook(20), "W", 3, 5) == []


def test_maps_that_are_not_to_be_trusted_say_so_below_the_caption() -> None:
    frame = Frame(make_image(640, 360), 0, 0, Fraction(1, 25), 0.0)
    heatmaps = {CAT: np.ones((2, 3), np.float32)}
    bare = OverlaySettings(labels=False, caption="Edges")

    def drawn(method: str, overlay: Overlay) -> Image:
        explanation = dataclasses.replace(explanation_of(0), method=method)
        return overlay.draw(StabilizedFrame(frame, heatmaps, explanation.targets, (), explanation))

    overlay = Overlay(bare)
    plain = planes_of(drawn("gradcam", overlay))[0]
    warned = drawn("guided-backprop", overlay)
    rows, _ = np.nonzero(planes_of(warned)[0] != plain)
    assert rows.min() > 180, "only the caption differs"
    text = f"Edges\n{UNTRUSTED_METHODS['guided-backprop']}"
    expected = drawn("gradcam", Overlay(dataclasses.replace(bare, caption=text)))
    np.testing.assert_array_equal(planes_of(warned)[0], planes_of(expected)[0])
    np.testing.assert_array_equal(planes_of(drawn("", overlay))[0], planes_of(warned)[0])
    np.testing.assert_array_equal(planes_of(drawn("gradcam", overlay))[0], plain)
