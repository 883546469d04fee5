"""How long animations last and how often they are played, from one kind of file to another."""

from __future__ import annotations

import shutil
import subprocess
from fractions import Fraction
from pathlib import Path

import av
import pytest
from media_factory import frame_times_of, make_clip
from PIL import Image
from stage_fakes import FakeExplainer
from video_runs import FAST, pass_through, render_with

from streamcam.media.animation_files import (
    plays_of,
    set_gif_duration,
    set_png_duration,
    set_webp_duration,
)

SUFFIXES = [".gif", ".png", ".webp"]
DURATIONS_MS = [100, 500, 70, 3000]


def make_animation(path: Path, durations_ms: list[int], plays: int = 0) -> Path:
    """Write gray images, each for its time; 0 plays are for ever."""
    first, *rest = (Image.new("RGB", (64, 48), (50 * number,) * 3) for number in range(len(durations_ms)))
    loop = {"loop": plays}
    if path.suffix == ".gif":
        loop = {} if plays == 1 else {"loop": max(0, plays - 1)}
    first.save(path, save_all=True, append_images=rest, duration=durations_ms, **loop)
    return path


def durations_ms_of(path: Path) -> list[float]:
    with Image.open(path) as animation:
        durations = []
        for number in range(animation.n_frames):
            animation.seek(number)
            animation.load()
            durations.append(animation.info["duration"])
        return durations


def shown_s(path: Path) -> list[float]:
    """Tell from a video's packets how long each image is shown, in seconds."""
    with av.open(str(path)) as video:
        packets = [packet for packet in video.demux(video=0) if packet.size]
        return [float(packet.duration * packet.time_base) for packet in packets]


def length_s(path: Path) -> float:
    """Ask ffprobe how long a video is, or PyAV where there is no ffprobe."""
    if shutil.which("ffprobe") is None:
        with av.open(str(path)) as video:
            return (video.duration or 0) / av.time_base
    command = ["ffprobe", "-v", "error", "-show_entries", "format=duration", "-of", "csv=p=0", str(path)]
    return float(subprocess.run(command, capture_output=True, text=True, check=True).stdout)


@pytest.mark.parametrize("source", SUFFIXES)
@pytest.mark.parametrize("target", SUFFIXES)
@pytest.mark.parametrize("plays", [0, 1, 3])
def test_the_last_image_and_the_number_of_plays_are_kept(
    plays: int, source: str, target: str, tmp_path: Path
) -> None:
    given = make_animation(tmp_path / f"in{source}", DURATIONS_MS, plays)
    assert plays_of(given) == plays
    pass_through(given, tmp_path / f"out{target}", settings=None)
    assert durations_ms_of(tmp_path / f"out{target}") == DURATIONS_MS
    assert plays_of(tmp_path / f"out{target}") == plays


@pytest.mark.parametrize("source", SUFFIXES)
@pytest.mark.parametrize("target", [".mp4", ".mkv", ".mov"])
def test_a_video_shows_the_last_image_of_an_animation_as_long(
    source: str, target: str, tmp_path: Path
) -> None:
    given = make_animation(tmp_path / f"in{source}", DURATIONS_MS)
    pass_through(given, tmp_path / f"out{target}")
    assert shown_s(tmp_path / f"out{target}") == pytest.approx([0.1, 0.5, 0.07, 3], abs=0.001)
    assert length_s(tmp_path / f"out{target}") == pytest.approx(3.67, abs=0.001)


@pytest.mark.parametrize("target", [".gif", ".mp4", ".mkv"])
def test_an_animation_of_one_image_lasts_as_long(target: str, tmp_path: Path) -> None:
    given = make_animation(tmp_path / "in.gif", [1000])
    pass_through(given, tmp_path / f"out{target}", settings=None if target == ".gif" else FAST)
    assert length_s(tmp_path / f"out{target}") == pytest.approx(1)


def test_an_animation_of_two_images_is_not_fast(tmp_path: Path) -> None:
    given = make_animation(tmp_path / "in.gif", [100, 200])  # FFmpeg guesses 100 frames a second
    passed = pass_through(given, tmp_path / "out.gif", settings=None)
    assert passed.info.rate == 10
    assert durations_ms_of(tmp_path / "out.gif") == [100, 200]


def make_slides(path: Path) -> Path:
    """Make a video of four images, the last of which is shown for two seconds as well; only it tells so."""
    plain = make_clip(path.with_name(f"plain{path.suffix}"), pts=[0, 50, 60, 150])
    with av.open(str(plain)) as given, av.open(str(path), "w") as output:
        stream = output.add_stream_from_template(given.streams.video[0])
        for packet in given.demux(video=0):
            if packet.dts is not None:
                packet.duration = round(2 / packet.time_base)
                packet.stream = stream
                output.mux(packet)
    return path


@pytest.mark.parametrize("source", [".mp4", ".mkv"])
@pytest.mark.parametrize("target", [".mp4", ".mov", ".mkv"])
@pytest.mark.parametrize("resume", [False, True])
def test_a_slide_show_is_as_long_as_it_was(resume: bool, target: str, source: str, tmp_path: Path) -> None:
    given = make_slides(tmp_path / f"in{source}")
    assert length_s(given) == pytest.approx(8, abs=0.001)
    output = tmp_path / f"out{target}"
    render_with(given, output, FakeExplainer(), encoder=FAST, resume=resume)
    assert frame_times_of(output) == [0, 2, Fraction(12, 5), 6]
    assert length_s(output) == pytest.approx(8, abs=0.001)


def test_a_slide_show_becomes_an_animation_of_its_length(tmp_path: Path) -> None:
    pass_through(make_slides(tmp_path / "in.mp4"), tmp_path / "out.gif", settings=None)
    assert durations_ms_of(tmp_path / "out.gif") == [2000, 400, 3600, 2000]


@pytest.mark.parametrize("source", [".gif", ".webp"])
def test_a_part_ends_where_it_should(source: str, tmp_path: Path) -> None:
    given = make_animation(tmp_path / f"in{source}", DURATIONS_MS)
    pass_through(given, tmp_path / "out.gif", settings=None, end_s=1.0)
    assert durations_ms_of(tmp_path / "out.gif") == [100, 500, 70, 330]


@pytest.mark.parametrize(
    ("suffix", "set_duration", "longest_ms"),
    [
        (".gif", set_gif_duration, 655_350),
        (".png", set_png_duration, 6_553_500),
        (".webp", set_webp_duration, 16_777_215),
    ],
)
@pytest.mark.parametrize("duration_ms", [1200, 700_000, 100_000_000])
def test_the_length_of_a_file_is_set(
    duration_ms: int, suffix: str, set_duration: object, longest_ms: int, tmp_path: Path
) -> None:
    path = make_animation(tmp_path / f"in{suffix}", [100, 500])
    set_duration(path, Fraction(duration_ms, 1000))  # type: ignore[operator]
    assert durations_ms_of(path) == [100, min(duration_ms - 100, longest_ms)]
