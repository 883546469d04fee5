"""Options about videos, as the command line understands them."""

from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import pytest
from media_factory import Audio, frame_times_of, make_clip, names_in
from PIL import Image

from streamcam.cli import run

pytestmark = pytest.mark.usefixtures("explainers")


def render(*options: str) -> int:
    """Render ``clip.mp4``, which is of 25 frames and has audio, to ``out.mp4``."""
    make_clip(Path("clip.mp4"), frames=25, audio=[Audio(duration_s=1)])
    return run(["render", "clip.mp4", "-o", "out.mp4", *options])


def test_a_part_can_be_given_by_its_length(work: Path) -> None:
    assert render("--start", "0.2", "--duration", "0.2") == 0
    assert frame_times_of(work / "out.mp4") == [Fraction(index, 25) for index in range(5)]


def test_audio_can_be_left_out(work: Path) -> None:
    assert render("--no-audio") == 0
    with av.open(str(work / "out.mp4")) as written:
        assert [stream.type for stream in written.streams] == ["video"]


def test_a_video_can_be_scaled(work: Path) -> None:
    assert render("--size", "96x48") == 0
    with av.open(str(work / "out.mp4")) as written:
        stream = written.streams.video[0]
        assert (stream.width, stream.height, stream.sample_aspect_ratio) == (96, 48, 1)


@pytest.mark.parametrize(
    ("given", "rate"),
    [("10", 10), ("29.97", Fraction(30000, 1001)), ("30000/1001", Fraction(30000, 1001)), ("12.5", 12.5)],
)
def test_a_video_can_have_another_rate(given: str, rate: Fraction, work: Path) -> None:
    assert render("--fps", given) == 0
    times = frame_times_of(work / "out.mp4")
    assert times == [index / Fraction(rate) for index in range(len(times))]
    assert len(times) == pytest.approx(rate, abs=1)


@pytest.mark.parametrize(
    ("given", "options", "found"),
    [
        ("yuv420p10le", [], "yuv420p10le"),
        ("yuv420p10le", ["--depth", "8"], "yuv420p"),
        ("yuv420p", ["--depth", "10"], "yuv420p10le"),
    ],
)
def test_the_depth_is_the_videos_or_the_one_asked_for(
    given: str, options: list[str], found: str, work: Path
) -> None:
    make_clip(work / "clip.mkv", frames=3, codec="ffv1", pixel_format=given)
    assert run(["render", "clip.mkv", "-o", "out.mkv", "--codec", "ffv1", *options]) == 0
    with av.open(str(work / "out.mkv")) as written:
        assert written.streams.video[0].codec_context.pix_fmt == found


REDUCED = "colors of 4:2:2 are written as 4:2:0, which all players show; --chroma 422 keeps them"


@pytest.mark.parametrize(
    ("options", "found", "note"),
    [
        (["--codec", "ffv1"], "yuv422p10le", ""),
        ([], "yuv420p10le", f"note: {REDUCED}\n"),
        (["--chroma", "422"], "yuv422p10le", ""),
        (["--chroma", "420"], "yuv420p10le", ""),
        (["--codec", "ffv1", "--chroma", "444", "--depth", "8"], "yuv444p", ""),
    ],
)
def test_the_chroma_is_the_videos_where_players_show_it_or_the_one_asked_for(
    options: list[str], found: str, note: str, work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(work / "clip.mkv", frames=3, codec="ffv1", pixel_format="yuv422p10le")
    assert run(["render", "clip.mkv", "-o", "out.mkv", *options]) == 0
    assert capfd.readouterr().err == note
    with av.open(str(work / "out.mkv")) as written:
        assert written.streams.video[0].codec_context.pix_fmt == found


@pytest.mark.usefixtures("work")
def test_chroma_that_a_codec_does_not_take_is_misuse(capfd: pytest.CaptureFixture[str]) -> None:
    assert render("--codec", "av1", "--chroma", "422") == 2
    (line,) = capfd.readouterr().err.splitlines()
    assert "takes no 4:2:2 YUV images (only yuv420p, yuv420p10le); leave --chroma out" in line


def test_interlaced_images_are_made_whole_and_that_is_said(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(work / "rows.mp4", field_order="tff")
    assert run(["render", "rows.mp4", "-o", "out.mp4"]) == 0
    assert (
        capfd.readouterr().err == "note: frames were deinterlaced; --keep-interlaced leaves them interlaced\n"
    )
    assert run(["render", "rows.mp4", "-o", "kept.mp4", "--keep-interlaced"]) == 0
    assert capfd.readouterr().err == ""


def test_a_video_becomes_an_animation_or_numbered_images(
    work: Path, capfd: pytest.CaptureFixture[str]
) -> None:
    make_clip(work / "clip.mp4", frames=5)
    assert run(["render", "clip.mp4", "-o", "out.gif"]) == 0
    assert capfd.readouterr().out.startswith("wrote out.gif (")
    (work / "frames").mkdir()
    assert run(["render", "clip.mp4", "-o", "frames/%03d.jpg"]) == 0
    said = capfd.readouterr()
    assert re.match(r"wrote frames/%03d\.jpg \(\d+\.\d kB\): 5 frames in ", said.out)
    assert said.err.startswith("note: images have neither times nor audio")
    assert names_in(work / "frames") == [f"{number:03d}.jpg" for number in range(1, 6)]


@pytest.mark.usefixtures("work")
def test_options_for_videos_do_not_go_with_images(capfd: pytest.CaptureFixture[str]) -> None:
    Image.new("RGB", (64, 48)).save("photo.png")
    assert run(["render", "photo.png", "-o", "out.png", "--size", "32x24"]) == 2
    assert "'photo.png' is an image; leave out --size" in capfd.readouterr().err
    assert run(["render", "photo.png", "-o", "out.png", "--end", "3"]) == 2
    assert "'photo.png' is an image; leave out --end" in capfd.readouterr().err
    assert run(["render", "photo.png", "-o", "out.png", "--start=1", "--duration=3"]) == 2
    assert "'photo.png' is an image; leave out --start and --duration" in capfd.readouterr().err


@pytest.mark.parametrize(
    ("options", "says"),
    [
        (["--duration", "0"], r"--duration must be above 0 seconds, not 0"),
        (["--duration", "1", "--end", "2"], r"--end and --duration cannot be combined; leave one out"),
        (["--video-stream", "1"], r"'clip\.mp4' has no video stream 1; it has 0"),
        (["--size", "640"], r".*'640' is not a size; use even numbers of pixels, as 640x360.*"),
        (["--size", "641x360"], r".*'641x360' is not a size.*"),
        (["--fps", "0"], r".*'0' is not a frame rate; use a number up to 240, as 25 or 30000/1001.*"),
        (["--fps", "1/0"], r".*'1/0' is not a frame rate.*"),
        (["--fps", "fast"], r".*'fast' is not a frame rate.*"),
        (["--size", "0x0"], r".*'0x0' is not a size.*"),
        (["--size", "99999x360"], r".*'99999x360' is not a size.*"),
    ],
)
@pytest.mark.usefixtures("work")
def test_what_makes_no_sense_is_misuse(
    options: list[str], says: str, capfd: pytest.CaptureFixture[str]
) -> None:
    assert render(*options) == 2
    said = capfd.readouterr()
    assert re.fullmatch(rf"streamcam: error: {says}\n", said.err)
    assert not Path("out.mp4").exists()
