"""A folder of images as a slide show."""

from __future__ import annotations

import itertools
from fractions import Fraction
from pathlib import Path

import pytest
from PIL import Image

from streamcam.errors import InvalidArgumentError, SourceError, SourceNotFoundError
from streamcam.frames import Frame
from streamcam.sources import SourceSettings, open_source
from streamcam.sources.base import StopFlag
from streamcam.sources.paced import PacedSource
from streamcam.sources.slides import SlideShow


class Clock(StopFlag):
    """A clock that goes on only where it is waited for."""

    def __init__(self) -> None:
        super().__init__()
        self.now_s = 50.0

    def wait(self, timeout_s: float) -> bool:
        self.now_s += timeout_s
        return self.is_set()


def make_photos(folder: Path) -> None:
    for number, size in enumerate([(64, 48), (32, 80)], 9):
        Image.new("RGB", size, "olive").save(folder / f"photo {number}.png")


def watch(folder: Path, settings: SourceSettings) -> tuple[list[Frame], SlideShow, Clock]:
    show = open_source(folder, settings)
    assert isinstance(show, SlideShow)
    clock = Clock()
    show.stop_flag, show._now = clock, lambda: clock.now_s
    return list(show), show, clock


def test_each_image_is_shown_for_its_time_in_its_own_size(tmp_path: Path) -> None:
    make_photos(tmp_path)
    (tmp_path / "photo 99.png").write_bytes((tmp_path / "photo 9.png").read_bytes()[:50])
    frames, show, clock = watch(tmp_path, SourceSettings(real_time=True, slide_s=2.0))
    sizes = [(frame.image.width, frame.image.height) for frame in frames]
    assert sizes == [(64, 48)] * 10 + [(32, 80)] * 10
    assert all(one.pts < other.pts for one, other in itertools.pairwise(frames))
    assert frames[10].time_s == pytest.approx(2.0)
    assert clock.now_s == pytest.approx(54.0)
    assert (show.report().frames_read, show.report().packets_damaged) == (20, 1)
    assert (show.info.width, show.info.height) == (32, 80)


def test_without_a_time_five_seconds(tmp_path: Path) -> None:
    make_photos(tmp_path)
    frames, _, clock = watch(tmp_path, SourceSettings(real_time=True))
    assert len(frames) == 50
    assert clock.now_s == pytest.approx(60.0)


def test_a_loop_shows_what_has_come_meanwhile(tmp_path: Path) -> None:
    make_photos(tmp_path)
    show = open_source(str(tmp_path / "*.png"), SourceSettings(real_time=True, slide_s=0.2, loop=True))
    show.stop_flag = StopFlag()
    widths = []
    for frame in show:
        widths.append(frame.image.width)
        if len(widths) == 1:
            Image.new("RGB", (20, 20)).save(tmp_path / "photo 10b.png")
        if len(widths) == 5:
            show.stop()
    assert widths == [64, 32, 64, 32, 20]


def test_one_image_that_a_pattern_matches_is_a_slide(tmp_path: Path) -> None:
    make_photos(tmp_path)
    assert isinstance(open_source(str(tmp_path / "*9.png"), SourceSettings(real_time=True)), SlideShow)


def test_images_at_a_rate_are_a_video(tmp_path: Path) -> None:
    make_photos(tmp_path)
    settings = SourceSettings(real_time=True, rate=Fraction(10))
    assert isinstance(open_source(tmp_path, settings), PacedSource)


def test_what_cannot_be_shown(tmp_path: Path) -> None:
    with pytest.raises(SourceNotFoundError, match="is a directory without images"):
        open_source(tmp_path, SourceSettings(real_time=True))
    make_photos(tmp_path)
    for path in tmp_path.iterdir():
        path.write_bytes(path.read_bytes()[:50])
    with pytest.raises(SourceError, match="none of the images of"):
        watch(tmp_path, SourceSettings(real_time=True))
    with pytest.raises(InvalidArgumentError, match="`slide_s` 0 is not above 0"):
        SourceSettings(real_time=True, slide_s=0)
    with pytest.raises(InvalidArgumentError, match="`slide_s` is for what is shown live"):
        SourceSettings(slide_s=1)
    with pytest.raises(InvalidArgumentError, match="leave one out"):
        SourceSettings(real_time=True, slide_s=1, rate=Fraction(1))
