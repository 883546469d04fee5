"""Setting text: which font has what, what is shortened, and what comes out."""

from __future__ import annotations

import numpy as np
import pytest
from PIL import features

from streamcam.overlay import fonts
from streamcam.overlay.font_files import FONT_VARIABLE
from streamcam.overlay.fonts import FontBook, clusters

NOWHERE = "\U0010fffd"  # the last private-use character but two: no font has it


@pytest.fixture(autouse=True)
def _default_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FONT_VARIABLE, raising=False)


@pytest.fixture
def _no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "system_face", lambda _: None)


@pytest.mark.usefixtures("_no_system_fonts")
class TestRunsWithoutSystemFonts:
    def test_missing_characters_are_listed_once(self) -> None:
        book = FontBook(20)
        assert [run.text for run in book.runs(f"a{NOWHERE}b 猫")] == ["a?b ?"]
        book.runs(f"猫{NOWHERE}")
        assert book.missing == (NOWHERE, "猫")

    def test_only_what_is_missing_is_replaced(self) -> None:
        book = FontBook(20)
        assert [run.text for run in book.runs("x\u0301")] == ["x?"]  # a composed x with acute does not exist
        assert book.missing == ("\u0301",)

    def test_accents_that_are_missing_leave_their_letters(self) -> None:
        book = FontBook(20)
        assert [run.text for run in book.runs("crème brûlée")] == ["creme brulee"]
        assert book.missing == ("è", "û", "é")

    def test_blanks_become_single_spaces(self) -> None:
        assert [run.text for run in FontBook(20).runs("  tabby\t\n cat\x00\u00a0! ")] == ["tabby cat !"]

    def test_what_steers_the_layout_is_not_drawn(self) -> None:
        book = FontBook(20)
        assert book.width("a\u200d\u200eb\ufe0f") == book.width("ab")
        assert book.missing == ()

    @pytest.mark.parametrize("text", ["", " ", "\u200d"])
    def test_nothing_to_draw(self, text: str) -> None:
        book = FontBook(20)
        assert book.width(text) == 0
        assert not book.mask(text).any()


class TestFitted:
    def test_short_enough(self) -> None:
        book = FontBook(20)
        assert book.fitted("tabby cat", book.width("tabby cat")) == "tabby cat"

    def test_as_much_as_fits(self) -> None:
        book = FontBook(20)
        text = "American Staffordshire terrier"
        for width in range(20, 280, 5):
            fitted = book.fitted(text, width)
            assert book.width(fitted) <= width
            if fitted != text:
                kept = len(fitted) - 1
                assert fitted == text[:kept].rstrip() + "…"
                longer = text[: kept + 1 + text[kept:].startswith(" ")]
                assert book.width(longer + "…") > width

    def test_no_punctuation_before_the_ellipsis(self) -> None:
        book = FontBook(20)
        assert book.fitted("lynx, catamount", book.width("lynx, …")) == "lynx…"

    def test_nothing_fits(self) -> None:
        book = FontBook(20)
        assert book.fitted("tabby", book.width("…")) == "…"
        assert book.fitted("tabby", 1) == ""

    def test_marks_stay_with_their_letters(self) -> None:
        assert clusters("a\u0301bc\u0327\u0301") == ["a\u0301", "b", "c\u0327\u0301"]
        assert clusters("क्षि") == ["क्", "षि"]
        assert clusters("\U0001f468\u200d\U0001f469x") == ["\U0001f468\u200d\U0001f469", "x"]
        assert clusters("") == []


class TestMask:
    @pytest.mark.parametrize("size_px", [10, 23, 35, 64])
    def test_letters_stand_on_the_baseline(self, size_px: int) -> None:
        book = FontBook(size_px)
        mask = book.mask("HE")
        rows = np.flatnonzero((mask > 127).any(axis=1))
        assert rows[-1] == book.ascent - 1
        assert rows[-1] - rows[0] + 1 == pytest.approx(0.7 * size_px, abs=1)

    def test_shape(self) -> None:
        book = FontBook(35)
        mask = book.mask("tabby")
        assert mask.dtype == np.uint8
        assert mask.shape == (book.ascent + book.descent, np.ceil(book.width("tabby")) + 2 * book.overhang)
        assert mask.max() == 255

    def test_descenders_are_not_cut(self) -> None:
        mask = FontBook(35).mask("jgpqy|Å")
        edges = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not edges.any()

    def test_flush_right_texts_end_alike(self) -> None:
        book = FontBook(35)
        ends = [book.mask(text, flush_right=True)[:, -20:] for text in ("1 %", "11 %", "100 %")]
        assert np.array_equal(ends[0], ends[1])
        assert np.array_equal(ends[0], ends[2])

    def test_percentages_of_as_many_digits_are_as_wide(self) -> None:
        book = FontBook(35)
        assert len({book.width(f"{number} %") for number in range(10, 100)}) == 1


def book_with(text: str) -> FontBook:
    """Open a book at 40 pixels, and skip the test on a system that cannot set the text."""
    book = FontBook(40)
    book.runs(text)
    if book.missing:
        pytest.skip(f"no font of this system has {' '.join(book.missing)}")
    return book


class TestSystemFonts:
    @pytest.mark.parametrize("text", ["café", "γάτα", "кошка", "虎斑猫", "고양이", "قط", "बिल्ली", "แมว"])
    def test_whole_words_in_one_font(self, text: str) -> None:
        book = book_with(text)
        assert len(book.runs(text)) == 1
        assert book.mask(text).max() == 255

    def test_a_line_keeps_one_font_where_one_has_it_all(self) -> None:
        text = "café au lait"
        book = book_with(text)
        assert [run.text for run in book.runs(text)] == [text]

    @pytest.mark.skipif(not features.check("raqm"), reason="this Pillow has no Raqm")
    def test_arabic_letters_are_joined_from_right_to_left(self) -> None:
        book = book_with("قط")
        assert book.width("قط") < book.width("ق") + book.width("ط")
        # A lone alif first and a wide letter behind it: the wide one must come out on the left.
        ink = (book.mask("اس") > 127).any(axis=0)
        columns = np.flatnonzero(ink)
        widths = [len(part) for part in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)]
        assert widths[0] > widths[-1]

    @pytest.mark.skipif(not features.check("raqm"), reason="this Pillow has no Raqm")
    def test_vowels_are_reordered(self) -> None:
        book = book_with("कि")
        assert not np.array_equal(book.mask("कि")[:, :20], book.mask("क")[:, :20])

    def test_tall_scripts_are_not_cut(self) -> None:
        for text in ("ผู้ใหญ่ ที่นี่", "Ệ Ỗ Ǻ", "اُردو بلّی"):
            book = FontBook(40)
            book.runs(text)
            if not book.missing:
                mask = book.mask(text)
                assert not mask[[0, -1]].any()
