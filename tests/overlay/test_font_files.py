"""Finding font files, reading what they cover, and the font that the user names."""

from __future__ import annotations

import subprocess
import sys
from collections.abc import Iterator
from pathlib import Path

import pytest
from fontTools.fontBuilder import FontBuilder
from fontTools.ttLib import TTCollection, TTFont
from fontTools.ttLib.tables._c_m_a_p import CmapSubtable
from fontTools.ttLib.tables.DefaultTable import DefaultTable
from PIL import ImageFont

from streamcam.errors import InvalidArgumentError
from streamcam.overlay import font_files
from streamcam.overlay.font_files import PILLOW_FACE, find_system_face, read_faces
from streamcam.overlay.fonts import FontBook


@pytest.fixture(autouse=True)
def _default_environment(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.delenv(font_files.FONT_VARIABLE, raising=False)


@pytest.fixture
def font_folder(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> Iterator[Path]:
    """A system that has only the fonts in this folder, none to begin with."""

    def forget() -> None:
        for cached in (font_files._system_font_files, font_files._faces_once, find_system_face):
            cached.cache_clear()

    folder = tmp_path / "fonts"
    folder.mkdir()
    monkeypatch.setattr(font_files, "font_directories", lambda: (folder, tmp_path / "absent"))
    forget()
    yield folder
    forget()


def unloadable_font(characters: str, *tables: str) -> TTFont:
    """Build a font of a character map and unreadable tables, which FreeType rejects."""
    builder = FontBuilder(unitsPerEm=1000)
    names = {ord(character): f"glyph{number}" for number, character in enumerate(characters, 1)}
    builder.setupGlyphOrder([".notdef", *names.values()])
    builder.setupCharacterMap(names)
    del builder.font["head"], builder.font["maxp"]
    for tag in tables or ("glyf",):
        builder.font[tag] = DefaultTable(tag)
        builder.font[tag].data = b"nothing"
    return builder.font


def write(path: Path, content: TTFont | TTCollection | bytes) -> Path:
    if isinstance(content, bytes):
        path.write_bytes(content)
    else:
        content.save(path)
    return path


def characters_of(path: Path) -> list[str]:
    """Tell what the fonts of a file cover, as texts in alphabetical order."""
    return ["".join(map(chr, face.code_points)) for face in read_faces(path)]


class TestReadFaces:
    def test_characters_of_every_plane(self, tmp_path: Path) -> None:
        assert characters_of(write(tmp_path / "a.ttf", unloadable_font("BA猫🐈"))) == ["AB猫🐈"]

    def test_collection(self, tmp_path: Path) -> None:
        collection = TTCollection()
        collection.fonts = [unloadable_font("A"), unloadable_font("C", "CBDT"), unloadable_font("B")]
        path = write(tmp_path / "a.ttf", collection)  # told by what it holds, not by its name
        assert characters_of(path) == ["A", "B"]
        assert [face.index for face in read_faces(path)] == [0, 2]

    @pytest.mark.parametrize("tables", [("CBDT",), ("glyf", "COLR"), ("glyf", "SVG ")])
    def test_bitmaps_and_colors_are_left_out(self, tmp_path: Path, tables: tuple[str, ...]) -> None:
        assert characters_of(write(tmp_path / "a.ttf", unloadable_font("ABC", *tables))) == []

    def test_fonts_of_last_resort_are_left_out(self, tmp_path: Path) -> None:
        font = unloadable_font("ABC")
        table = CmapSubtable.newSubtable(13)
        table.platformID, table.platEncID, table.language = 3, 10, 0
        table.cmap = dict.fromkeys(range(0x4E00, 0x9000), "glyph1")
        font["cmap"].tables.append(table)
        assert characters_of(write(tmp_path / "a.ttf", font)) == []

    def test_maps_that_are_not_unicode_are_left_out(self, tmp_path: Path) -> None:
        font = unloadable_font("ABC")
        (table, _) = font["cmap"].tables
        table.platformID, table.platEncID = 3, 0  # the encoding of symbol fonts
        font["cmap"].tables = [table]
        assert characters_of(write(tmp_path / "a.ttf", font)) == []

    @pytest.mark.parametrize("content", [b"", b"not a font", b"ttcf", b"\0\1\0\0\0\1"])
    def test_not_a_font(self, tmp_path: Path, content: bytes) -> None:
        assert characters_of(write(tmp_path / "a.ttf", content)) == []

    def test_cut_off_anywhere(self, tmp_path: Path) -> None:
        content = write(tmp_path / "whole.ttf", unloadable_font("ABC")).read_bytes()
        for length in range(len(content)):
            assert characters_of(write(tmp_path / "a.ttf", content[:length])) in ([], ["ABC"])

    def test_absent(self, tmp_path: Path) -> None:
        assert characters_of(tmp_path / "absent.ttf") == []


class TestPillowFace:
    def test_what_it_covers(self) -> None:
        with TTFont(ImageFont.load_default(10).path) as font:
            assert PILLOW_FACE.code_points.tolist() == sorted(font.getBestCmap())

    def test_covers(self) -> None:
        assert PILLOW_FACE.covers(frozenset())
        assert PILLOW_FACE.covers(frozenset(map(ord, "tabby …")))
        assert not PILLOW_FACE.covers(frozenset(map(ord, "tabby ж")))
        assert not PILLOW_FACE.covers(frozenset({0x10FFFF}))
        assert not PILLOW_FACE.covers(frozenset({0}))

    def test_it_needs_no_font_file(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def search() -> None:
            pytest.fail("the system's fonts were searched")

        monkeypatch.setattr(font_files, "_system_font_files", search)
        (run,) = FontBook(20).split_runs("tabby cat, 87 % …")
        assert run.font.getname() == ("Aileron", "Regular")

    def test_it_needs_no_font_tools(self) -> None:
        code = (
            "import sys, streamcam.overlay.label_panel as labels;"
            "from streamcam.overlay.fonts import FontBook;"
            "labels.LabelPanel(); FontBook(20).render('tabby cat …'); assert 'fontTools' not in sys.modules"
        )
        subprocess.run([sys.executable, "-c", code], check=True)


class TestSearch:
    def test_preference(self) -> None:
        names = [
            "NotoSans-Regular.ttf",
            "NotoSansArabic-Regular.ttf",
            "NotoSansSymbols-Regular.ttf",
            "NotoSerifTibetan-Regular.ttf",
            "DejaVuSans.ttf",
            "DejaVuSansMono.ttf",
            "segoeui.ttf",
            "Zapf.ttf",
            "NotoSans-Bold.ttf",
        ]
        assert [path.name for path in sorted(map(Path, reversed(names)), key=font_files._preference)] == names

    @pytest.mark.parametrize(
        ("platform", "expected"),
        [("linux", "/usr/share/fonts"), ("darwin", "/System/Library/Fonts"), ("win32", "W:/Windows/Fonts")],
    )
    def test_directories(self, monkeypatch: pytest.MonkeyPatch, platform: str, expected: str) -> None:
        monkeypatch.setattr(font_files.sys, "platform", platform)
        monkeypatch.setenv("WINDIR", "W:/Windows")
        assert Path(expected) in font_files.font_directories()

    def test_a_user_without_a_home(self, monkeypatch: pytest.MonkeyPatch) -> None:
        def home() -> Path:
            raise RuntimeError("Could not determine home directory.")

        monkeypatch.setattr(font_files.Path, "home", home)
        monkeypatch.setattr(font_files.sys, "platform", "linux")
        assert font_files.font_directories()[0] == Path("/usr/share/fonts")

    def test_the_first_that_has_all_characters(self, font_folder: Path) -> None:
        (font_folder / "more").mkdir()
        for name, characters in (("Arial.ttf", "xy"), ("more/NotoSans.TTF", "x"), ("readme.txt", "z")):
            write(font_folder / name, unloadable_font(characters))

        def found(characters: str) -> str | None:
            face = find_system_face(frozenset(map(ord, characters)))
            return face and face.path.name

        assert [found("x"), found("xy"), found("xz")] == ["NotoSans.TTF", "Arial.ttf", None]

    def test_a_font_that_does_not_load_is_passed_over(self, font_folder: Path) -> None:
        write(font_folder / "Broken.ttf", unloadable_font("Ж"))
        book = FontBook(20)
        assert [run.text for run in book.split_runs("Ж")] == ["?"]
        assert book.missing == ("Ж",)


class TestChosenFont:
    def test_comes_first(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(tmp_path / "Mine.ttf", ImageFont.load_default(10).path.getvalue())
        monkeypatch.setenv(font_files.FONT_VARIABLE, str(path))
        (run,) = FontBook(20).split_runs("tabby")
        assert Path(run.font.path) == path

    def test_empty_is_none(self, monkeypatch: pytest.MonkeyPatch) -> None:
        monkeypatch.setenv(font_files.FONT_VARIABLE, "")
        assert font_files.read_chosen_face() is None

    @pytest.mark.parametrize(("name", "problem"), [("absent.ttf", "does not exist"), ("a.ttf", "outline")])
    def test_unusable(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch, name: str, problem: str) -> None:
        write(tmp_path / "a.ttf", b"not a font")
        monkeypatch.setenv(font_files.FONT_VARIABLE, str(tmp_path / name))
        with pytest.raises(InvalidArgumentError, match=problem) as caught:
            FontBook(20)
        assert font_files.FONT_VARIABLE in str(caught.value)
        assert str(tmp_path / name) in str(caught.value)

    def test_that_freetype_rejects(self, tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
        path = write(tmp_path / "a.ttf", unloadable_font("ABC"))
        monkeypatch.setenv(font_files.FONT_VARIABLE, str(path))
        with pytest.raises(InvalidArgumentError, match="outline font"):
            FontBook(20)
