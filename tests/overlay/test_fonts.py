"""Setting text: which font has what, what is shortened, and what comes out."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from PIL import features
from tall_font import DEEP, TALL, WIDE, write_tall_font

from streamcam.overlay import fonts
from streamcam.overlay.font_files import FONT_VARIABLE
from streamcam.overlay.fonts import FontBook, clusters

NOWHERE = "\U0010fffd"  # the last private-use character but two: no font has it


@pytest.fixture(autouse=True)
def _default_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(FONT_VARIABLE, raising=False)


@pytest.fixture
def _no_system_fonts(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr(fonts, "find_system_face", lambda _: None)


@pytest.mark.usefixtures("_no_system_fonts")
class TestRunsWithoutSystemFonts:
    def test_missing_characters_are_listed_once(self) -> None:
        book = FontBook(20)
        assert [run.text for run in book.split_runs(f"a{NOWHERE}b 猫")] == ["a?b ?"]
        book.split_runs(f"猫{NOWHERE}")
        assert book.missing == (NOWHERE, "猫")

    def test_only_what_is_missing_is_replaced(self) -> None:
        book = FontBook(20)
        assert [run.text for run in book.split_runs("x\u0301")] == ["x?"]  # there is no composed x
        assert book.missing == ("\u0301",)

    def test_accents_that_are_missing_leave_their_letters(self) -> None:
        book = FontBook(20)
        assert [run.text for run in book.split_runs("crème brûlée")] == ["creme brulee"]
        assert book.missing == ("è", "û", "é")

    def test_blanks_become_single_spaces(self) -> None:
        assert [run.text for run in FontBook(20).split_runs("  tabby\t\n cat\x00\u00a0! ")] == ["tabby cat !"]

    def test_what_steers_the_layout_is_not_drawn(self) -> None:
        book = FontBook(20)
        assert book.measure("a\u200d\u200eb\ufe0f") == book.measure("ab")
        assert book.missing == ()

    @pytest.mark.parametrize("text", ["", " ", "\u200d"])
    def test_nothing_to_draw(self, text: str) -> None:
        book = FontBook(20)
        assert book.measure(text) == 0
        assert not book.render(text).mask.any()


class TestFitted:
    def test_short_enough(self) -> None:
        book = FontBook(20)
        assert book.truncate("tabby cat", book.measure("tabby cat")) == "tabby cat"

    def test_as_much_as_fits(self) -> None:
        book = FontBook(20)
        text = "American Staffordshire terrier"
        for width in range(20, 280, 5):
            fitted = book.truncate(text, width)
            assert book.measure(fitted) <= width
            if fitted != text:
                kept = len(fitted) - 1
                assert fitted == text[:kept].rstrip() + "…"
                longer = text[: kept + 1 + text[kept:].startswith(" ")]
                assert book.measure(longer + "…") > width

    def test_no_punctuation_before_the_ellipsis(self) -> None:
        book = FontBook(20)
        assert book.truncate("lynx, catamount", book.measure("lynx, …")) == "lynx…"

    def test_nothing_fits(self) -> None:
        book = FontBook(20)
        assert book.truncate("tabby", book.measure("…")) == "…"
        assert book.truncate("tabby", 1) == ""

    def test_marks_stay_with_their_letters(self) -> None:
        assert clusters("a\u0301bc\u0327\u0301") == ["a\u0301", "b", "c\u0327\u0301"]
        assert clusters("क्षि") == ["क्", "षि"]
        assert clusters("\U0001f468\u200d\U0001f469x") == ["\U0001f468\u200d\U0001f469", "x"]
        assert clusters("") == []


class TestMask:
    @pytest.mark.parametrize("size_px", [10, 23, 35, 64])
    def test_letters_stand_on_the_baseline(self, size_px: int) -> None:
        book = FontBook(size_px)
        mask = book.render("HE").mask
        rows = np.flatnonzero((mask > 127).any(axis=1))
        assert rows[-1] == book.ascent - 1
        assert rows[-1] - rows[0] + 1 == pytest.approx(0.7 * size_px, abs=1)

    def test_shape(self) -> None:
        book = FontBook(35)
        mask = book.render("tabby").mask
        assert mask.dtype == np.uint8
        assert mask.shape == (book.ascent + book.descent, np.ceil(book.measure("tabby")) + 2 * book.overhang)
        assert mask.max() == 255

    def test_descenders_are_not_cut(self) -> None:
        mask = FontBook(35).render("jgpqy|Å").mask
        edges = np.concatenate([mask[0], mask[-1], mask[:, 0], mask[:, -1]])
        assert not edges.any()

    def test_flush_right_texts_end_alike(self) -> None:
        book = FontBook(35)
        ends = [book.render(text, flush_right=True).mask[:, -20:] for text in ("1 %", "11 %", "100 %")]
        assert np.array_equal(ends[0], ends[1])
        assert np.array_equal(ends[0], ends[2])

    def test_percentages_of_as_many_digits_are_as_wide(self) -> None:
        book = FontBook(35)
        assert len({book.measure(f"{number} %") for number in range(10, 100)}) == 1


def book_with(text: str) -> FontBook:
    """Open a book at 40 pixels, and skip the test on a system that cannot set the text."""
    book = FontBook(40)
    book.split_runs(text)
    if book.missing:
        pytest.skip(f"no font of this system has {' '.join(book.missing)}")
    return book


class TestSystemFonts:
    @pytest.mark.parametrize("text", ["café", "γάτα", "кошка", "虎斑猫", "고양이", "قط", "बिल्ली", "แมว"])
    def test_whole_words_in_one_font(self, text: str) -> None:
        book = book_with(text)
        assert len(book.split_runs(text)) == 1
        assert book.render(text).mask.max() == 255

    def test_a_line_keeps_one_font_where_one_has_it_all(self) -> None:
        text = "café au lait"
        book = book_with(text)
        assert [run.text for run in book.split_runs(text)] == [text]

    @pytest.mark.skipif(not features.check("raqm"), reason="this Pillow has no Raqm")
    def test_arabic_letters_are_joined_from_right_to_left(self) -> None:
        book = book_with("قط")
        assert book.measure("قط") < book.measure("ق") + book.measure("ط")
        # A lone alif first and a wide letter behind it: the wide one must come out on the left.
        ink = (book.render("اس").mask > 127).any(axis=0)
        columns = np.flatnonzero(ink)
        widths = [len(part) for part in np.split(columns, np.flatnonzero(np.diff(columns) > 1) + 1)]
        assert widths[0] > widths[-1]

    @pytest.mark.skipif(not features.check("raqm"), reason="this Pillow has no Raqm")
    def test_vowels_are_reordered(self) -> None:
        book = book_with("कि")
        assert not np.array_equal(book.render("कि").mask[:, :20], book.render("क").mask[:, :20])

    def test_tall_scripts_are_not_cut(self) -> None:
        for text in ("ผู้ใหญ่ ที่นี่", "Ệ Ỗ Ǻ", "اُردو بلّی", "བཀྲ་ཤིས", "ខ្មែរ"):
            book = FontBook(40)
            book.split_runs(text)
            if not book.missing:
                mask = book.render(text).mask
                assert not mask[[0, -1]].any()
                assert not mask[:, [0, -1]].any()


@pytest.fixture
def tall_book(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> FontBook:
    monkeypatch.setenv(FONT_VARIABLE, str(write_tall_font(tmp_path / "tall.ttf")))
    return FontBook(40)


class TestTallScripts:
    """Masks follow the ink of letters that reach beyond the usual line."""

    def test_usual_letters_have_the_usual_height(self, tall_book: FontBook) -> None:
        text = tall_book.render("cat")
        assert (text.ascent, text.descent) == (tall_book.ascent, tall_book.descent)
        assert tall_book.measure_height("cat") == (tall_book.ascent, tall_book.descent)

    @pytest.mark.parametrize(
        ("letter", "above", "below"), [(TALL, 80, 0), (DEEP, 28, 60), (f"{TALL}{DEEP}", 80, 60)]
    )
    def test_the_whole_letter_is_drawn(
        self, tall_book: FontBook, letter: str, above: int, below: int
    ) -> None:
        text = tall_book.render(letter)
        rows = np.flatnonzero((text.mask > 127).any(axis=1))
        assert rows[0] == text.ascent - above
        assert rows[-1] == text.ascent + below - 1
        assert not text.mask[[0, -1]].any()
        assert tall_book.measure_height(letter) == (text.ascent, text.descent)

    def test_letters_beyond_their_advance_make_the_text_wider(self, tall_book: FontBook) -> None:
        mask = tall_book.render(WIDE).mask
        columns = np.flatnonzero((mask > 127).any(axis=0))
        assert columns[-1] - columns[0] + 1 == 88
        assert not mask[:, [0, -1]].any()
        assert mask.shape[1] == np.ceil(tall_book.measure(WIDE)) + 2 * tall_book.overhang
        assert tall_book.truncate(WIDE * 3, tall_book.measure(f"{WIDE}…")) == f"{WIDE}…"
