"""What holds for every source, whatever it reads."""

from __future__ import annotations

import itertools
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import pytest
from media_factory import make_clip
from PIL import Image

from streamcam.media.images import PLANAR_FORMATS, planes_of, tags_of
from streamcam.sources import Source, SourceSettings, SyntheticSource, open_source


def _of_image(folder: Path) -> Source:
    Image.new("RGB", (65, 47), "olive").save(folder / "photo.png")
    return open_source(folder / "photo.png")


SOURCES: dict[str, Callable[[Path], Source]] = {
    "mp4": lambda folder: open_source(make_clip(folder / "clip.mp4", b_frames=2)),
    "mkv with gaps": lambda folder: open_source(
        make_clip(folder / "clip.mkv", time_base=Fraction(1, 1000), pts=[0, 7, 400, 401, 900])
    ),
    "trimmed": lambda folder: open_source(
        make_clip(folder / "clip.mp4", frames=30), SourceSettings(start_s=0.4, end_s=1)
    ),
    "turned": lambda folder: open_source(make_clip(folder / "clip.mp4", rotation=90)),
    "10 bits": lambda folder: open_source(make_clip(folder / "clip.mp4", encoded_format="yuv420p10le")),
    "no times": lambda folder: open_source(make_clip(folder / "clip.h264", container_format="h264")),
    "image": _of_image,
    "synthetic": lambda _folder: SyntheticSource(width=65, height=47, frame_count=5, rate=Fraction(30)),
}


@pytest.fixture(params=SOURCES)
def source(request: pytest.FixtureRequest, tmp_path: Path) -> Source:
    return SOURCES[request.param](tmp_path)


def test_frames_are_numbered_from_zero(source: Source) -> None:
    with source:
        assert [frame.index for frame in source] == list(range(source.report().frames_read))


def test_times_increase_strictly_in_the_sources_own_unit(source: Source) -> None:
    with source:
        frames = list(source)
    assert frames
    assert all(earlier.pts < later.pts for earlier, later in itertools.pairwise(frames))
    assert {frame.time_base for frame in frames} == {source.info.time_base}
    assert [frame.time_s for frame in frames] == [float(frame.pts * frame.time_base) for frame in frames]


def test_frames_are_planar_and_of_the_announced_size_and_colour(source: Source) -> None:
    info = source.info
    with source:
        for frame in source:
            assert frame.image.format.name in PLANAR_FORMATS
            assert (frame.image.width, frame.image.height) == (info.width, info.height)
            if info.colour.color_range:
                assert tags_of(frame.image) == info.colour


def test_what_was_announced_comes(source: Source) -> None:
    with source:
        count = sum(1 for _ in source)
        report = source.report()
    assert report.frames_read == count
    assert (report.packets_damaged, report.shortfall, report.notes) == (0, None, ())
    assert source.info.name
    assert source.info.frame_count is None or source.info.frame_count > 0
    assert source.info.rate is None or source.info.rate > 0


def test_closing_may_be_repeated_and_comes_at_any_time(source: Source) -> None:
    next(iter(source))
    source.close()
    source.close()


def test_frames_outlive_their_source(source: Source) -> None:
    with source:
        frames = list(source)
    assert all(plane.shape for frame in frames for plane in planes_of(frame.image))
    assert sum(int(plane.sum()) for frame in frames for plane in planes_of(frame.image)) > 0


def test_a_closed_source_still_reports(source: Source) -> None:
    with source:
        count = sum(1 for _ in source)
        report = source.report()
    assert report.frames_read == count
    assert source.report() == report
    assert source.info.width > 0


def test_a_source_closes_when_its_reader_fails(source: Source) -> None:
    with pytest.raises(RuntimeError, match=r"reader"), source:
        raise RuntimeError("of the reader")
    source.close()
