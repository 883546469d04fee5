"""``streamcam maximize``: images, grids and videos of what classes and channels respond to."""

from __future__ import annotations

from pathlib import Path

import av
import pytest
from PIL import Image

from streamcam.cli import run

BASE = ["maximize", "--model", "color_networks:by_object", "--steps", "4"]


def test_an_image_is_made(work: Path, capfd: pytest.CaptureFixture[str]) -> None:
    assert run([*BASE, "--class", "thing", "--class", "other", "-o", "both.png"]) == 0
    said = capfd.readouterr().out.splitlines()
    assert said[0].startswith("thing: classified as such with ")
    assert said[2].startswith("wrote both.png")
    with Image.open(work / "both.png") as image:
        assert image.size == (2 * 74, 56)


def test_a_video_shows_it_grow_from_a_frame(work: Path, clip: Path) -> None:
    assert run([*BASE, "--channel", "features:0", "--from", f"{clip.name}@0.2", "-o", "grown.mp4"]) == 0
    with av.open(str(work / "grown.mp4")) as container:
        frames = [frame.to_ndarray(format="rgb24") for frame in container.decode(video=0)]
    assert len(frames) == 2 + 25
    # The frame at 0.2 s is a gray of its own, 32 + 16 * 5.
    assert frames[0][4:28].mean() == pytest.approx((112 - 16) * 255 / 219, abs=9)


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["-o", "a.png"], "nothing to make: name a --class, or a --channel"),
        (["-o", "a.png", "--channel", "features"], "--channel 'features' is no channel: give LAYER:NUMBER"),
        (["-o", "a.jsonl", "--class", "0"], "'a.jsonl' shows no images; name an image or a video"),
        (["-o", "no/a.png", "--class", "0"], "there is no directory 'no'; make it first"),
        (["-o", "a.png", "--class", "0", "--from", "none.mp4@3"], "'none.mp4'"),
    ],
)
@pytest.mark.usefixtures("work")
def test_mistakes_are_reported_before_a_network_is_loaded(
    capfd: pytest.CaptureFixture[str], options: list[str], says: str
) -> None:
    assert run(["maximize", "--model", "no_such_module:factory", *options]) == 2
    said = capfd.readouterr().err
    assert says in said
    assert said.count("\n") == 1
