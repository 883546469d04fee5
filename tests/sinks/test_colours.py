"""Colors, from a file through source and sink to a file: what has no heat over it stays as it is."""

from __future__ import annotations

import itertools
from collections.abc import Sequence
from pathlib import Path
from typing import Any

import av
import numpy as np
import pytest
from media_factory import make_clip
from numpy.typing import NDArray
from video_runs import pass_through

from streamcam.frames import ColorTags
from streamcam.media.encoders import EncoderSettings
from streamcam.media.images import (
    PLANAR_FORMATS,
    Image,
    YuvCoding,
    bits_of,
    chroma_of,
    coding_of,
    planes_of,
    tags_of,
)
from streamcam.media.scaling import FAITHFUL, Resampler

SD, HD = (64, 48), (1280, 720)
UNTAGGED = ColorTags(0, 2, 2, 2)
PATCHES = {"red": (230, 20, 30), "green": (40, 200, 60), "blue": (30, 60, 210), "gray": (128, 128, 128)}

# (size, tags): each matrix in both ranges, and untagged images of both sizes.
CODINGS = [
    *((SD, ColorTags(full, *tags)) for full, tags in itertools.product((1, 2), [(5, 5, 6), (6, 6, 6)])),
    *((HD, ColorTags(full, *tags)) for full, tags in itertools.product((1, 2), [(1, 1, 1), (9, 9, 14)])),
    (SD, UNTAGGED),
    (HD, UNTAGGED),
    (HD, ColorTags(1, 5, 5, 6)),
    (SD, ColorTags(1, 1, 1, 1)),
]


def coding_for(size: tuple[int, int], tags: ColorTags, pixel_format: str) -> YuvCoding:
    probe = av.VideoFrame(*size, pixel_format)
    probe.colorspace, probe.color_range, probe.color_trc = tags.colorspace, tags.color_range, tags.color_trc
    return coding_of(probe)


def make_patches(
    path: Path, size: tuple[int, int], tags: ColorTags, pixel_format: str = "yuv420p", **others: Any
) -> Path:
    """Make a video whose every frame is one of the patches."""
    coding = coding_for(size, tags, pixel_format)

    def paint(index: int, planes: Sequence[NDArray[Any]]) -> None:
        rgb = np.array(list(PATCHES.values())[index], np.float32)
        for plane, value in zip(planes, coding.encode_rgb(rgb).round(), strict=True):
            plane[:] = value

    color = None if tags == UNTAGGED else tags
    return make_clip(
        path, frames=len(PATCHES), size=size, pixel_format=pixel_format, color=color, paint=paint, **others
    )


def frames_of(path: Path) -> list[Image]:
    with av.open(str(path)) as video:
        return list(video.decode(video=0))


@pytest.mark.parametrize(("size", "tags"), CODINGS, ids=str)
def test_a_patch_comes_back_as_it_was(size: tuple[int, int], tags: ColorTags, tmp_path: Path) -> None:
    clip = make_patches(tmp_path / "in.mp4", size, tags)
    pass_through(clip, tmp_path / "out.mp4")
    resampler = Resampler()
    frames = frames_of(tmp_path / "out.mp4")
    assert len(frames) == len(PATCHES)
    for given, found, rgb in zip(frames_of(clip), frames, PATCHES.values(), strict=True):
        for before, after in zip(planes_of(given), planes_of(found), strict=True):
            np.testing.assert_allclose(after.astype(int), before, atol=2)
        assert tags_of(found) == tags_of(given)
        shown = resampler.to_rgb(found, 8, 8, interpolation=FAITHFUL).astype(int)
        np.testing.assert_allclose(shown, np.broadcast_to(rgb, shown.shape), atol=4)  # twice 2 levels


KEEPING = [
    *((".mkv", "ffv1", pixel_format) for pixel_format in PLANAR_FORMATS),
    *(
        (".mov", "prores", pixel_format)
        for pixel_format in ("yuv422p", "yuv422p10le", "yuv444p", "yuv444p10le")
    ),
]


@pytest.mark.parametrize(("suffix", "codec", "pixel_format"), KEEPING)
@pytest.mark.parametrize("full", [1, 2], ids=["limited", "full"])
def test_every_layout_of_samples_comes_back(
    suffix: str, codec: str, pixel_format: str, full: int, tmp_path: Path
) -> None:
    tags = ColorTags(full, 1, 1, 1)
    clip = make_patches(tmp_path / "in.mkv", (66, 48), tags, pixel_format, codec="ffv1")
    path = tmp_path / f"out{suffix}"
    passed = pass_through(clip, path, settings=EncoderSettings(codec))
    assert (passed.info.pixel_format, passed.sink_notes) == (pixel_format, ())
    for given, found in zip(frames_of(clip), frames_of(path), strict=True):
        assert chroma_of(found.format.name) == chroma_of(pixel_format)
        for before, after in zip(planes_of(given), planes_of(found), strict=True):
            if codec == "ffv1":
                np.testing.assert_array_equal(after, before)
                continue
            levels = [
                float(plane.mean()) / (1 << (bits_of(image.format.name) - 8))
                for plane, image in ((before, given), (after, found))
            ]
            assert levels[1] == pytest.approx(levels[0], abs=2)


@pytest.mark.parametrize("given", ["yuv422p", "yuv444p10le"])
@pytest.mark.parametrize(
    ("suffix", "codec", "chroma"),
    [(".mp4", "h264", None), (".mp4", "h264", "422"), (".mp4", "hevc", "444"), (".webm", "vp9", "444")],
)
def test_colors_stay_where_players_want_fewer_samples_of_them(
    given: str, suffix: str, codec: str, chroma: str | None, tmp_path: Path
) -> None:
    clip = make_patches(tmp_path / "in.mkv", SD, ColorTags(1, 1, 1, 1), given, codec="ffv1")
    path = tmp_path / f"out{suffix}"
    pass_through(clip, path, settings=EncoderSettings(codec, chroma=chroma), chroma=chroma)
    for before, after in zip(frames_of(clip), frames_of(path), strict=True):
        assert chroma_of(after.format.name) == (chroma or "420")
        for was, now in zip(planes_of(before), planes_of(after), strict=True):
            scales = [1 << (bits_of(image.format.name) - 8) for image in (before, after)]
            assert now.mean() / scales[1] == pytest.approx(was.mean() / scales[0], abs=2)


@pytest.mark.parametrize(
    ("suffix", "codec"),
    [(".mp4", "h264"), (".mp4", "hevc"), (".mkv", "av1"), (".mkv", "ffv1"), (".mov", "prores")],
)
@pytest.mark.parametrize("trc", [14, 16, 18], ids=["BT.2020", "PQ", "HLG"])
def test_ten_bits_stay_ten_bits_with_their_tags(suffix: str, codec: str, trc: int, tmp_path: Path) -> None:
    tags = ColorTags(1, 9, 9, trc)
    clip = make_patches(
        tmp_path / "in.mkv",
        (128, 96),
        tags,
        "yuv420p10le",
        codec="libx265",
        options={"x265-params": "crf=4:log-level=none"},
    )
    path = tmp_path / f"out{suffix}"
    passed = pass_through(clip, path, settings=EncoderSettings(codec))
    assert (passed.info.pixel_format, passed.sink_notes) == ("yuv420p10le", ())
    for given, found in zip(frames_of(clip), frames_of(path), strict=True):
        assert bits_of(found.format.name) == 10
        assert tags_of(found) == tags
        for before, after in zip(planes_of(given), planes_of(found), strict=True):
            np.testing.assert_allclose(float(after.mean()), float(before.mean()), atol=8)  # 2 of 8 bits


@pytest.mark.parametrize(
    ("given", "depth", "codec", "found"),
    [
        ("yuv420p10le", None, "h264", 10),
        ("yuv420p10le", 8, "h264", 8),
        ("yuv420p", None, "h264", 8),
        ("yuv420p", 10, "h264", 10),
        ("yuv420p10le", None, "mpeg4", 8),
    ],
)
def test_the_depth_is_the_videos_or_the_one_asked_for(
    given: str, depth: int | None, codec: str, found: int, tmp_path: Path
) -> None:
    clip = make_patches(tmp_path / "in.mkv", SD, ColorTags(1, 1, 1, 1), given, codec="ffv1")
    passed = pass_through(
        clip,
        tmp_path / "out.mkv",
        settings=EncoderSettings(codec, depth=depth),
        depth=depth,
    )
    (first, *_) = frames_of(tmp_path / "out.mkv")
    assert bits_of(first.format.name) == found
    loses = codec == "mpeg4"
    assert passed.sink_notes == (
        ("samples of 10 bits are written with 8: mpeg4 takes no more",) if loses else ()
    )
    values = [float(plane.mean()) * 2 ** (8 - found) for plane in planes_of(first)]
    wanted = coding_for(SD, ColorTags(1, 1, 1, 1), "yuv420p").encode_rgb(np.array(PATCHES["red"], np.uint8))
    np.testing.assert_allclose(values, wanted, atol=2)
