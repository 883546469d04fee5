"""Folders of images and patterns of names as videos."""

from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_factory import make_clip, names_in
from PIL import Image

from streamcam.errors import InvalidArgumentError, OutputExistsError, SourceNotFoundError
from streamcam.media.images import planes_of
from streamcam.media.numbered_files import natural_order
from streamcam.sinks import open_sink
from streamcam.sources import SourceSettings, open_source


def write(folder: Path, grays: dict[str, int]) -> Path:
    for name, gray in grays.items():
        (folder / name).parent.mkdir(exist_ok=True, parents=True)
        Image.fromarray(np.full((48, 64), gray, np.uint8)).save(folder / name)
    return folder


def read(location: str | Path) -> tuple[list[int], tuple[str, ...]]:
    with open_source(location) as source:
        grays = [int(planes_of(frame.image)[0][0, 0]) for frame in source]
        assert source.info.name == str(location)
        return grays, source.report().notes


def test_names_are_sorted_as_people_do() -> None:
    names = ["b2.png", "a10.png", "a9.png", "a9b2.png", "10.png", "a.png", "9.png"]
    ordered = ["9.png", "10.png", "a.png", "a9.png", "a9b2.png", "a10.png", "b2.png"]
    assert [path.name for path in sorted(map(Path, names), key=natural_order)] == ordered


def test_a_folder_is_a_video_of_its_images(tmp_path: Path) -> None:
    write(tmp_path, {"image10.png": 100, "image9.jpg": 90, "image11.webp": 110})
    (tmp_path / ".DS_Store").write_bytes(b"of a file manager")
    grays, notes = read(tmp_path)
    np.testing.assert_allclose(grays, [90, 100, 110], atol=2)
    assert notes == ()


def test_what_is_no_image_is_left_out_and_noted(tmp_path: Path) -> None:
    write(tmp_path, {"1.png": 10, "2.png": 20})
    (tmp_path / "readme.txt").write_text("not an image")
    make_clip(tmp_path / "clip.mp4", frames=1)
    (tmp_path / "inner").mkdir()
    assert read(tmp_path) == ([10, 20], ("2 files that are no images are left out",))


def test_a_pattern_of_names_is_a_video(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    write(tmp_path, {"a/1.png": 10, "b/12.png": 120, "b/2.png": 20, "b/x.png": 200})
    assert read(tmp_path / "b" / "[0-9]*.png")[0] == [20, 120]
    assert read(str(tmp_path / "**" / "?.png"))[0] == [10, 20, 200]
    monkeypatch.chdir(tmp_path / "b")
    assert read("*.png")[0] == [20, 120, 200]


def test_a_pattern_that_only_one_file_matches_is_that_file(tmp_path: Path) -> None:
    make_clip(tmp_path / "clip.mp4", frames=3)
    with open_source(tmp_path / "*.mp4", SourceSettings(video_stream=0)) as source:
        assert (source.info.name, len(list(source))) == (str(tmp_path / "clip.mp4"), 3)
    write(tmp_path, {"photo.png": 10})
    assert open_source(tmp_path / "p*").info.is_still


@pytest.mark.parametrize(
    ("location", "message"),
    [
        ("none", r"'none' is a directory without images; give a video or image file"),
        ("*.jpg", r"no file matches '\*.jpg'; check the path"),
        ("*.mp4", r"'\*.mp4' matches files that are no images; give one video at a time"),
    ],
)
def test_what_holds_no_image_is_said(
    location: str, message: str, tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    monkeypatch.chdir(tmp_path)
    (tmp_path / "none").mkdir()
    for number in range(2):
        make_clip(tmp_path / f"{number}.mp4", frames=1)
    with pytest.raises(SourceNotFoundError, match=message):
        open_source(location)


def test_a_url_is_no_pattern_of_names() -> None:
    with pytest.raises(InvalidArgumentError, match=r"is no URL; give rtsp://HOST:PORT") as raised:
        open_source("rtsp:/host/?password=secret")
    assert "secret" not in str(raised.value)


def test_the_images_of_the_input_are_not_replaced(tmp_path: Path) -> None:
    write(tmp_path, {"1.png": 10, "2.png": 20})
    for location in (tmp_path, tmp_path / "%d.png", tmp_path / "*.png"):
        with (
            open_source(location) as source,
            pytest.raises(OutputExistsError, match=r"%d.png' names the input itself; give"),
        ):
            open_sink(tmp_path / "." / "%d.png", source.info, overwrite=True)
    assert names_in(tmp_path) == ["1.png", "2.png"]
