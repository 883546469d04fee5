"""Renders that keep transparent parts transparent."""

from __future__ import annotations

from pathlib import Path

import av
import numpy as np
import PIL.Image
import pytest
from numpy.typing import NDArray
from stage_fakes import FakeExplainer

import streamcam
from streamcam import OverlaySettings, RenderSettings, SourceSettings
from streamcam.errors import InvalidArgumentError, UnknownNameError
from streamcam.media.codecs import CODECS
from streamcam.media.containers import CONTAINERS
from streamcam.media.encoders import EncoderSettings
from streamcam.media.images import has_alpha, planes_of
from streamcam.media.scaling import Resampler
from streamcam.sources import open_source
from streamcam.sources.transparency import ON_WHITE

WIDTH, HEIGHT = 320, 180
KEPT = SourceSettings(alpha_channel="keep")
BARE = OverlaySettings(labels=False)

ALPHA = np.tile(np.linspace(0, 255, WIDTH).round().astype(np.uint8), (HEIGHT, 1))
"""From transparent on the left to opaque on the right: every value."""


def picture(number: int) -> PIL.Image.Image:
    color = np.full((HEIGHT, WIDTH, 3), (200 - 10 * number, 60, 40), np.uint8)
    return PIL.Image.fromarray(np.dstack([color, ALPHA]))


@pytest.fixture
def folder(tmp_path: Path) -> Path:
    folder = tmp_path / "in"
    folder.mkdir()
    for number in range(3):
        picture(number).save(folder / f"{number}.png")
    return folder


def render(source: Path, output: Path, overlay: OverlaySettings = BARE, codec: str | None = None) -> None:
    settings = RenderSettings(source=KEPT, overlay=overlay, encoder=EncoderSettings(codec=codec))
    streamcam.render(source, output, FakeExplainer(), settings=settings)


def read(path: Path) -> list[NDArray[np.uint8]]:
    """Read what a file shows, RGBA."""
    with open_source(path, KEPT) as source:
        layered = [frame.layered for frame in source]
    return [Resampler().to_shown(image) for image in layered if image is not None]


OUTPUTS = [
    pytest.param(suffix, codec, id=f"{suffix[1:]} {codec}")
    for suffix, container in CONTAINERS.items()
    for codec in container.alpha_codecs
]


@pytest.mark.parametrize(("suffix", "codec"), OUTPUTS)
def test_alpha_stays_where_nothing_is_drawn(suffix: str, codec: str, folder: Path, tmp_path: Path) -> None:
    render(folder, tmp_path / f"out{suffix}", codec=codec)
    images = read(tmp_path / f"out{suffix}")
    assert len(images) == 3
    lossy = 12 if codec == "vp9" else 0
    for image in images:
        difference = np.abs(image[..., 3].astype(int) - ALPHA)
        assert difference.max() <= lossy
        assert difference.mean() < 1.5


def test_numbered_images_and_a_still_keep_alpha(folder: Path, tmp_path: Path) -> None:
    (tmp_path / "out").mkdir()
    render(folder, tmp_path / "out" / "%d.png")
    render(folder / "0.png", tmp_path / "still.webp")
    for path in (tmp_path / "out" / "1.png", tmp_path / "out" / "3.png", tmp_path / "still.webp"):
        with PIL.Image.open(path) as image:
            np.testing.assert_array_equal(np.asarray(image.convert("RGBA"))[..., 3], ALPHA)


def test_the_container_chooses_a_codec_with_alpha(folder: Path, tmp_path: Path) -> None:
    settings = RenderSettings(source=KEPT)
    result = streamcam.render(folder, tmp_path / "out.mov", FakeExplainer(), settings=settings)
    assert "encoded by prores_ks, which keeps the alpha channel" in result.notes
    assert not any("white" in note for note in result.notes)
    with av.open(str(tmp_path / "out.mov")) as container:
        assert container.streams.video[0].codec_context.name == "prores"


def test_panels_are_opaque_as_far_as_they_were_drawn(folder: Path, tmp_path: Path) -> None:
    render(folder, tmp_path / "out.mkv", OverlaySettings(alpha=0, legend=True))
    image = read(tmp_path / "out.mkv")[0]
    panel, beside = image[8:40, 10:60], image[100:150]
    # Three quarters of black, and the text above it, over parts that are nearly transparent.
    assert panel[..., 3].min() >= 190
    assert panel[..., 3].max() == 255
    assert panel[..., :3].min() < 30, "the color is the panel's, not the hidden red"
    np.testing.assert_array_equal(beside[..., 3], ALPHA[100:150])


def test_heat_is_drawn_on_the_own_colors(folder: Path, tmp_path: Path) -> None:
    render(folder, tmp_path / "plain.mkv", OverlaySettings(labels=False, alpha=0))
    red = read(tmp_path / "plain.mkv")[0]
    # On white, the left would be pink.
    np.testing.assert_allclose(red[90, 20, :3], [200, 60, 40], atol=3)


def test_networks_see_white(folder: Path) -> None:
    with open_source(folder, KEPT) as source, open_source(folder) as plain:
        for kept, white in zip(source, plain, strict=True):
            assert not has_alpha(kept.image.format.name)
            assert white.layered is None
            for found, known in zip(planes_of(kept.image), planes_of(white.image), strict=True):
                assert np.abs(found.astype(int) - known).max() <= 2


def test_white_is_what_happens_otherwise(folder: Path, tmp_path: Path) -> None:
    result = streamcam.render(folder, tmp_path / "out.mp4", FakeExplainer())
    assert ON_WHITE in result.notes


@pytest.mark.parametrize(
    ("output", "codec", "message"),
    [
        ("out.mp4", None, r"'out.mp4' cannot hold an alpha channel; use one of: .*\.mov \.mkv \.webm"),
        ("out.gif", None, r"'out.gif' cannot hold an alpha channel"),
        (
            "%d.jpg",
            None,
            r"'%d.jpg' cannot hold an .*; use one of: numbered images \(\.png \.webp\)",
        ),
        ("out.mov", "h264", r"libx264 keeps no alpha channel in a \.mov file; use `codec` prores"),
        ("out.mov", "vp9", r"libvpx-vp9 keeps no alpha channel in a \.mov file"),
    ],
)
def test_outputs_without_alpha_are_refused(
    output: str, codec: str | None, message: str, folder: Path, tmp_path: Path
) -> None:
    with pytest.raises(InvalidArgumentError, match=message):
        render(folder, tmp_path / output, codec=codec)
    assert [path.name for path in tmp_path.iterdir()] == ["in"]


def test_vp9_with_alpha_cannot_be_resumed(folder: Path, tmp_path: Path) -> None:
    render(folder, tmp_path / "film.mkv")
    settings = RenderSettings(source=KEPT, resume=True)
    with pytest.raises(InvalidArgumentError, match=r"VP9 video with an alpha channel cannot be resumed"):
        streamcam.render(tmp_path / "film.mkv", tmp_path / "out.webm", FakeExplainer(), settings=settings)
    streamcam.render(tmp_path / "film.mkv", tmp_path / "out.mkv", FakeExplainer(), settings=settings)
    np.testing.assert_array_equal(read(tmp_path / "out.mkv")[2][100, :, 3], ALPHA[0])


def test_unknown_ways_are_refused() -> None:
    with pytest.raises(UnknownNameError, match="keep"):
        SourceSettings(alpha_channel="kept")
    with pytest.raises(InvalidArgumentError, match="`real_time=True`"):
        SourceSettings(alpha_channel="keep", real_time=True)


def test_every_codec_with_alpha_is_in_the_table() -> None:
    for container in CONTAINERS.values():
        for codec in container.alpha_codecs:
            assert all(has_alpha(name) for name in CODECS[codec].alpha_formats)
            assert CODECS[codec].alpha_formats
