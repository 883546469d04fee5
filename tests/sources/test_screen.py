"""The screen as a source: a real one without a monitor, and what cannot be grabbed."""

from __future__ import annotations

import itertools
import subprocess

import pytest
from programs import require_programs
from screens import SIZE, Screen

from streamcam.errors import InvalidArgumentError, SourceError
from streamcam.media.scaling import Resampler
from streamcam.sources import SourceSettings, open_source, screen


def test_a_screen_and_a_part_of_it_are_grabbed(monkeypatch: pytest.MonkeyPatch) -> None:
    require_programs("Xvfb", "xsetroot")
    shown = Screen()
    try:
        display = shown.environment["DISPLAY"]
        subprocess.run(["xsetroot", "-solid", "#c04020"], check=True, env=shown.environment)
        monkeypatch.setenv("DISPLAY", display)
        for location, size in (("screen:", SIZE), ("screen:101x77+30+40", (101, 77))):
            with open_source(location) as source:
                frames = list(itertools.islice(source, 3))
            assert {(frame.image.width, frame.image.height) for frame in frames} == {size}
            assert all(one.pts < other.pts for one, other in itertools.pairwise(frames))
            rgb = Resampler().to_rgb(frames[-1].image, *size)
            assert rgb[10, 10].tolist() == pytest.approx([0xC0, 0x40, 0x20], abs=4)
        with (
            open_source("screen:100x100+5000+0") as source,
            pytest.raises(SourceError, match=r"cannot be grabbed .* and the part on it"),
        ):
            list(source)
    finally:
        shown.close()


def test_without_a_screen(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "linux")
    monkeypatch.delenv("DISPLAY", raising=False)
    with open_source("screen:") as source, pytest.raises(SourceError, match="DISPLAY is not set"):
        list(source)


@pytest.mark.parametrize("location", ["screen:1", "screen:0x10+1+1", "screen:10x10", "screen:10x10+1-1"])
def test_parts_that_are_none(location: str) -> None:
    with pytest.raises(InvalidArgumentError, match="is no part of the screen; give screen: or screen:WIDTH"):
        open_source(location)


def test_systems_whose_screen_cannot_be_grabbed(monkeypatch: pytest.MonkeyPatch) -> None:
    monkeypatch.setattr("sys.platform", "freebsd14")
    with pytest.raises(InvalidArgumentError, match="FFmpeg here cannot grab the screen of freebsd14"):
        open_source("screen:")
    monkeypatch.setattr("sys.platform", "darwin")
    monkeypatch.setattr(screen, "find_grabber", lambda: "avfoundation")
    with pytest.raises(InvalidArgumentError, match="grabs whole screens"):
        open_source("screen:10x10+1+1")


def test_what_grabbers_are_asked(monkeypatch: pytest.MonkeyPatch) -> None:
    asked: list[tuple[str, str, dict[str, str]]] = []

    def refuse(file: str, format: str, options: dict[str, str]) -> None:
        asked.append((file, format, options))
        raise OSError("nothing there")

    monkeypatch.setattr("av.open", refuse)
    for platform, region in (("win32", "640x480+100+50"), ("darwin", "")):
        monkeypatch.setattr("sys.platform", platform)
        monkeypatch.setattr(screen, "find_grabber", lambda: screen.GRABBERS[platform])  # noqa: B023
        with open_source(f"screen:{region}", SourceSettings()) as source, pytest.raises(SourceError):
            list(source)
    part = {"framerate": "30", "video_size": "640x480", "offset_x": "100", "offset_y": "50"}
    assert asked == [
        ("desktop", "gdigrab", part),
        ("Capture screen 0:none", "avfoundation", {"framerate": "30"}),
    ]
