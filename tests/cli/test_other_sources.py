"""Inputs of `render` other than a video or an image."""

from __future__ import annotations

from pathlib import Path

import pytest
from media_factory import frame_times_of, grays_of
from PIL import Image
from toy_source import TOY

from streamcam.cli import run
from streamcam.sources import SOURCES


@pytest.mark.usefixtures("explainers")
def test_numbered_images_become_a_video(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    for number in range(1, 5):
        Image.new("RGB", (64, 48), (50 * number, 0, 0)).save(work / f"{number:02d}.png")
    assert run(["render", "%02d.png", "-o", "out.mp4", "--fps", "10"]) == 0, capfd.readouterr().err
    assert [float(time) for time in frame_times_of(work / "out.mp4")] == pytest.approx([0, 0.1, 0.2, 0.3])
    assert run(["render", "out%02d.png", "-o", "again.mp4"]) == 2
    assert "no images 'out%02d.png'; check the path" in capfd.readouterr().err


@pytest.mark.usefixtures("explainers")
def test_a_toy_source_is_rendered(
    work: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    monkeypatch.setitem(SOURCES, "toy", TOY)
    assert run(["render", "toy:red", "-o", "out.mp4"]) == 0, capfd.readouterr().err
    assert len(frame_times_of(work / "out.mp4")) == 5
    assert run(["render", "toy:red", "-o", "again.mp4", "--start", "1"]) == 2
    assert "'toy:red' is a toy; leave out --start" in capfd.readouterr().err


@pytest.mark.usefixtures("explainers")
def test_a_folder_becomes_a_video(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    (work / "frames").mkdir()
    for number in (2, 10, 1):
        Image.new("RGB", (64, 48), (20 * number, 0, 0)).save(work / "frames" / f"{number}.png")
    assert run(["render", "frames", "-o", "out.mp4"]) == 0, capfd.readouterr().err
    assert run(["render", "frames/*.png", "-o", "again.mp4"]) == 0, capfd.readouterr().err
    assert grays_of(work / "out.mp4") == grays_of(work / "again.mp4") == sorted(grays_of(work / "out.mp4"))
    assert run(["render", "frames/*.jpg", "-o", "third.mp4"]) == 2
    assert "no file matches 'frames/*.jpg'; check the path" in capfd.readouterr().err


@pytest.mark.usefixtures("explainers")
def test_standard_input_is_rendered(
    clip: Path, monkeypatch: pytest.MonkeyPatch, capfd: pytest.CaptureFixture[str]
) -> None:
    with clip.open() as sent:
        monkeypatch.setattr("sys.stdin", sent)
        assert run(["render", "-", "-o", "out.mp4"]) == 0, capfd.readouterr().err
    assert frame_times_of(clip.with_name("out.mp4")) == frame_times_of(clip)


@pytest.mark.usefixtures("explainers")
def test_what_pillow_warns_of_is_not_printed(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    # One entry that is whole, and one whose text lies behind the end.
    entries = bytes.fromhex("1201 0300 01000000 01000000 0f01 0200 40000000 00100000 00000000")
    damaged = b"Exif\0\0II*\0\x08\0\0\0\x02\0" + entries
    Image.new("RGB", (64, 48)).save(work / "photo.jpg", exif=damaged)
    with pytest.warns(UserWarning, match=r"Tag data larger than file"):
        Image.open(work / "photo.jpg").close()
    assert run(["render", "photo.jpg", "-o", "out.png"]) == 0
    assert "PIL" not in capfd.readouterr().err
