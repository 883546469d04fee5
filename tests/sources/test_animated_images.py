"""Animated images, as files of a video's frames."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import numpy as np
import pytest
from PIL import Image

from streamcam.errors import SourceError
from streamcam.explanations import RenderedFrame
from streamcam.media.images import planes_of
from streamcam.media.scaling import FAITHFUL, Resampler
from streamcam.sinks import open_sink
from streamcam.sources import SourceSettings, SyntheticSource, is_image, open_source
from streamcam.sources.transparency import ON_WHITE

DURATIONS_MS = [100, 500, 70, 300]


def write_animation(path: Path, durations_ms: list[int] | None = None) -> Path:
    """Write images of the grays 0, 50, 100 and 150."""
    first, *rest = (Image.new("RGB", (64, 48), (50 * number,) * 3) for number in range(4))
    options = (
        {"lossless": True} if path.suffix == ".webp" else {"quality": 95} if path.suffix == ".avif" else {}
    )
    first.save(path, save_all=True, append_images=rest, duration=durations_ms or DURATIONS_MS, **options)
    return path


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif", ".avif"])
def test_every_image_has_its_own_time(suffix: str, tmp_path: Path) -> None:
    path = write_animation(tmp_path / f"dance{suffix}")
    assert suffix in (".webp", ".avif") or not is_image(path)
    with open_source(path) as source:
        assert not source.info.is_still
        frames = list(source)
    assert [frame.time_s for frame in frames] == pytest.approx([0, 0.1, 0.6, 0.67])
    rgb = [Resampler().to_rgb(frame.image, 64, 48, interpolation=FAITHFUL)[24, 32] for frame in frames]
    np.testing.assert_allclose(rgb, [[50 * number] * 3 for number in range(4)], atol=3)


def test_an_animation_lasts_as_long_as_its_last_image(tmp_path: Path) -> None:
    with open_source(write_animation(tmp_path / "dance.webp")) as source:
        assert (source.info.frame_count, source.info.rate) == (4, 10)
        assert [frame.image.duration for frame in source] == DURATIONS_MS
        assert source.report().whole


def test_images_without_a_duration_last_a_tenth_of_a_second(tmp_path: Path) -> None:
    with open_source(write_animation(tmp_path / "dance.webp", [0, 0, 0, 0])) as source:
        assert [frame.time_s for frame in source] == pytest.approx([0, 0.1, 0.2, 0.3])


def test_a_part_of_an_animation_at_another_rate(tmp_path: Path) -> None:
    settings = SourceSettings(start_s=0.1, end_s=0.65, rate=Fraction(10))
    with open_source(write_animation(tmp_path / "dance.webp"), settings) as source:
        grays = [round(float(planes_of(frame.image)[0].mean())) for frame in source]
    # The second image from 0.1 to 0.6 s, the third from then on.
    assert grays == [50] * 5 + [100]
    assert source.report().frames_given == 6


def test_a_part_without_images(tmp_path: Path) -> None:
    with pytest.raises(SourceError, match=r"has no image in the part asked for; check `start_s`"):
        open_source(write_animation(tmp_path / "dance.webp"), SourceSettings(start_s=9))


def test_transparent_animations_are_on_white(tmp_path: Path) -> None:
    pages = [Image.new("RGBA", (64, 48), (200, 0, 0, alpha)) for alpha in (0, 128)]
    pages[0].save(
        tmp_path / "dance.webp", save_all=True, append_images=pages[1:], duration=100, lossless=True
    )
    with open_source(tmp_path / "dance.webp") as source:
        frames = list(source)
        assert source.report().notes == (ON_WHITE,)
    rgb = [Resampler().to_rgb(frame.image, 64, 48, interpolation=FAITHFUL)[24, 32] for frame in frames]
    np.testing.assert_allclose(rgb, [[255, 255, 255], [227, 127, 127]], atol=3)


def test_an_animation_that_was_cut_off_is_refused(tmp_path: Path) -> None:
    path = write_animation(tmp_path / "dance.webp")
    path.write_bytes(path.read_bytes()[:-20])
    with pytest.raises(SourceError, match=r"dance.webp' cannot be decoded"):
        open_source(path)


@pytest.mark.parametrize("suffix", [".webp", ".png", ".gif"])
def test_animations_that_streamcam_writes_can_be_read_again(suffix: str, tmp_path: Path) -> None:
    with open_sink(tmp_path / f"dance{suffix}", SyntheticSource(width=32, height=18).info) as sink:
        for frame in SyntheticSource(width=32, height=18, frame_count=3):
            sink.write(RenderedFrame(frame.image, frame.pts, frame.time_base))
        sink.finish()
    with open_source(tmp_path / f"dance{suffix}") as source:
        assert len(list(source)) == 3
