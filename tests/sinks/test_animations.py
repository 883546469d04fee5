"""Videos as animated images, and as numbered ones."""

from __future__ import annotations

from collections.abc import Sequence
from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from media_factory import Audio, gray_of, info_of, make_clip, make_image, names_in
from numpy.typing import NDArray
from PIL import Image
from video_runs import pass_through, rendered, write_video

from streamcam.errors import InvalidArgumentError, OutputExistsError, SinkError
from streamcam.files import discard_all
from streamcam.frames import ColorTags
from streamcam.media.encoders import EncoderSettings
from streamcam.sinks import open_sink, output_size

PTS = [0, 40, 90, 300, 340, 1000]  # milliseconds


def frames_of(path: Path) -> list[tuple[float, NDArray[np.int64]]]:
    """Read an animation: how long each image is shown, in ms, and its pixels."""
    found = []
    with Image.open(path) as animation:
        for number in range(animation.n_frames):
            animation.seek(number)
            animation.load()
            found.append((animation.info["duration"], np.asarray(animation.convert("RGB")).astype(int)))
    return found


def full_range_gray(index: int) -> float:
    return (gray_of(index) - 16) * 255 / 219


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png", ".apng"])
def test_animations_show_every_image_for_its_time(suffix: str, tmp_path: Path) -> None:
    path = tmp_path / f"out{suffix}"
    write_video(path, info_of(time_base=Fraction(1, 1000)), PTS, EncoderSettings())
    frames = frames_of(path)
    assert [duration for duration, _ in frames][:-1] == pytest.approx(np.diff(PTS))
    for index, (_, pixels) in enumerate(frames):
        np.testing.assert_allclose(pixels, full_range_gray(index), atol=4)
    assert names_in(tmp_path) == [f"out{suffix}"]


@pytest.mark.parametrize("suffix", [".gif", ".webp", ".png"])
def test_animations_know_every_color_and_repeat(suffix: str, tmp_path: Path) -> None:
    def paint_red(index: int, planes: Sequence[NDArray[np.uint8]]) -> None:
        for plane, value in zip(planes, (63, 102, 240), strict=True):
            plane[:] = value
        planes[0][:8, :8] = 40 + 20 * index  # one image like another may be left out

    path = tmp_path / f"out{suffix}"
    write_video(path, info_of(size=(65, 47)), range(3), EncoderSettings(), ColorTags(1, 1, 1, 1), paint_red)
    with Image.open(path) as animation:
        assert animation.size == (65, 47)
        assert animation.info["loop"] == 0
        pixels = np.asarray(animation.convert("RGB")).astype(int)[16:]
    np.testing.assert_allclose(pixels, np.broadcast_to((255, 0, 0), pixels.shape), atol=4)


def test_what_animations_cannot_hold_is_said(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mp4", audio=[Audio()])
    passed = pass_through(clip, tmp_path / "out.gif", settings=None)
    assert passed.sink_notes == ("audio stream 1 (aac) is left out: a .gif file cannot hold it",)


def test_a_still_video_is_one_image_in_webp(tmp_path: Path) -> None:
    write_video(
        tmp_path / "out.webp",
        info_of(),
        range(4),
        EncoderSettings(),
        paint=lambda _, planes: [p.fill(99) for p in planes],
    )
    assert names_in(tmp_path) == ["out.webp"]


def test_videos_too_fast_for_gif_are_refused(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"at most 50 frames a second, and the video has 60; give"):
        open_sink(tmp_path / "out.gif", info_of(rate=Fraction(60)))
    assert names_in(tmp_path) == []


# Numbered images


@pytest.mark.parametrize(
    ("name", "first"), [("%05d.png", "00001.png"), ("a%d.jpg", "a1.jpg"), ("%02d_b.webp", "01_b.webp")]
)
def test_every_frame_becomes_an_image(name: str, first: str, tmp_path: Path) -> None:
    sink = open_sink(tmp_path / name, info_of())
    with sink:
        for index in range(12):
            sink.write(rendered(make_image(64, 48, index)))
            assert first not in names_in(tmp_path)
    assert len(names_in(tmp_path)) == 12
    assert first in names_in(tmp_path)
    for index in (0, 11):
        numbered = tmp_path / first.replace("1", str(index + 1) if "0" not in first else f"{index + 1}")
        numbered = numbered if numbered.exists() else tmp_path / first.replace("01", f"{index + 1:02d}")
        with Image.open(numbered) as image:
            np.testing.assert_allclose(np.asarray(image).astype(int), full_range_gray(index), atol=3)
    assert output_size(tmp_path / name) == sum(path.stat().st_size for path in tmp_path.iterdir())
    assert sink.notes == (
        "images have neither times nor audio: one is written per frame, nominally 25 a second",
    )


def test_images_that_are_there_stay_unless_they_may_go(tmp_path: Path) -> None:
    for number in (1, 2, 3):
        (tmp_path / f"{number:03d}.png").write_bytes(b"old")
    (tmp_path / "x001.png").write_bytes(b"another")
    with pytest.raises(OutputExistsError, match=r"001.png' exists already; give `overwrite=True`"):
        open_sink(tmp_path / "%03d.png", info_of())
    sink = open_sink(tmp_path / "%03d.png", info_of(), overwrite=True)
    sink.write(rendered(make_image(64, 48)))
    sink.abort()
    assert (tmp_path / "003.png").read_bytes() == b"old"
    (tmp_path / "%03d.png.parts" / "left").mkdir(parents=True)  # by a run that was killed
    sink = open_sink(tmp_path / "%03d.png", info_of(), overwrite=True)
    with sink:
        sink.write(rendered(make_image(64, 48)))
        sink.write(rendered(make_image(64, 48)))
    assert names_in(tmp_path) == ["001.png", "002.png", "x001.png"]


def test_leaving_at_once_leaves_no_images(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "%03d.png", info_of())
    sink.write(rendered(make_image(64, 48)))
    discard_all()
    assert names_in(tmp_path) == []


@pytest.mark.parametrize(
    "settings",
    [
        EncoderSettings("h264"),
        EncoderSettings(crf=3),
        EncoderSettings(preset="fast"),
        EncoderSettings(chroma="444"),
    ],
)
def test_images_have_no_encoder(settings: EncoderSettings, tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"stands for many files: they have no `codec`, `crf`"):
        open_sink(tmp_path / "%d.png", info_of(), settings=settings)


def test_an_image_that_cannot_be_saved_is_named(tmp_path: Path) -> None:
    sink = open_sink(tmp_path / "%d.webp", info_of(size=(16384, 2)))
    with pytest.raises(SinkError, match=r"1.webp' cannot be written"), sink:
        sink.write(rendered(make_image(16384, 2)))
    assert names_in(tmp_path) == []
