from __future__ import annotations

from pathlib import Path

import numpy as np
import pytest
from media_factory import info_of, make_image, names_in, paint_noise
from PIL import Image
from video_runs import limited_file_size, rendered

from streamcam.errors import OutputExistsError, SinkError
from streamcam.media.images import image_from_rgb
from streamcam.media.scaling import Resampler
from streamcam.sinks import ImageSink, open_image_sink, open_sink
from streamcam.sources import open_source

RED, GREEN = np.meshgrid(np.arange(0, 256, 4, dtype=np.uint8), np.arange(0, 235, 5, dtype=np.uint8))
GRADIENT = np.stack([RED, GREEN, np.full_like(RED, 90)], -1)
"""64x47 pixels."""


def through(source: Path, target: Path) -> None:
    with open_source(source) as opened, open_sink(target, opened.info) as sink:
        for frame in opened:
            sink.write(rendered(frame.image))


@pytest.mark.parametrize(
    ("suffix", "kind", "tolerance"),
    [(".png", "PNG", 2), (".jpg", "JPEG", 10), (".JPEG", "JPEG", 10), (".webp", "WEBP", 16)],
)
def test_images_come_out_as_they_went_in(suffix: str, kind: str, tolerance: int, tmp_path: Path) -> None:
    Image.fromarray(GRADIENT).save(tmp_path / "in.png")
    through(tmp_path / "in.png", tmp_path / f"out{suffix}")
    with Image.open(tmp_path / f"out{suffix}") as opened:
        assert (opened.format, opened.mode, opened.size) == (kind, "RGB", (64, 47))
        assert np.abs(np.asarray(opened).astype(int) - GRADIENT).max() <= tolerance
    assert names_in(tmp_path) == ["in.png", f"out{suffix}"]


def test_an_image_may_be_replaced_on_request(tmp_path: Path) -> None:
    path = tmp_path / "out.png"
    path.write_bytes(b"old")
    with pytest.raises(OutputExistsError):
        open_sink(path, info_of(is_still=True))
    assert isinstance(open_sink(path, info_of(is_still=True), overwrite=True), ImageSink)
    assert path.read_bytes() == b"old"


def test_only_one_image_fits(tmp_path: Path) -> None:
    sink = open_image_sink(tmp_path / "out.png", overwrite=False)
    sink.write(rendered(make_image(64, 48)))
    with pytest.raises(SinkError, match=r"holds one image and was passed a second"):
        sink.write(rendered(make_image(64, 48)))


@pytest.mark.parametrize(("suffix", "size"), [(".jpg", (65504, 2)), (".webp", (2, 16400))])
def test_images_too_large_for_their_kind_are_an_error_of_ours(
    suffix: str, size: tuple[int, int], tmp_path: Path
) -> None:
    sink = open_image_sink(tmp_path / f"out{suffix}", overwrite=False)
    sink.write(
        rendered(Resampler().to_planar(image_from_rgb(np.zeros((size[1], size[0], 3), np.uint8)), "yuv444p"))
    )
    with pytest.raises(SinkError, match=rf"out{suffix}' cannot be written"):
        sink.finish()
    assert names_in(tmp_path) == []


def test_a_full_disk_is_noticed_and_leaves_nothing(tmp_path: Path) -> None:
    sink = open_image_sink(tmp_path / "out.png", overwrite=False)
    sink.write(rendered(make_image(160, 120, paint=paint_noise)))
    with limited_file_size(1000), pytest.raises(SinkError, match=r"out.png' cannot be written"):
        sink.finish()
    assert names_in(tmp_path) == []
