"""CapturedGraphs that can be played at any moment."""

from __future__ import annotations

import os
import resource
import signal
import subprocess
import sys
from collections.abc import Callable
from fractions import Fraction
from pathlib import Path

import av
import pytest
from media_factory import frame_times_of, gray_of, grays_of, make_image
from stage_fakes import LIMIT_S
from video_runs import rendered

from streamcam.errors import InvalidArgumentError, OutputExistsError, SinkError
from streamcam.media.images import Image
from streamcam.sinks import Recording, check_recording
from streamcam.sources import open_source

TIME_BASE = Fraction(1, 90_000)
SUFFIXES = [".mp4", ".mkv"]


def new_image(index: int, pts: int, size: tuple[int, int] = (64, 48)) -> Image:
    image = make_image(*size, index)
    image.pts, image.time_base = pts, TIME_BASE
    return image


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_images_keep_their_times_from_the_first_on(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    ticks = [90_000, 93_600, 95_400, 180_000, 270_000]
    with Recording(path) as recording:
        for index, pts in enumerate(ticks):
            recording.write(rendered(new_image(index, pts)))
    found = [float(time) for time in frame_times_of(path)]
    assert found == pytest.approx([pts / 90_000 - 1 for pts in ticks], abs=0.001)
    assert grays_of(path) == pytest.approx([gray_of(index) for index in range(5)], abs=2)
    assert recording.written == 5


def test_an_image_of_another_size_is_scaled_to_the_first(tmp_path: Path) -> None:
    path = tmp_path / "out.mkv"
    with Recording(path) as recording:
        recording.write(rendered(new_image(0, 0)))
        recording.write(rendered(new_image(5, 3000, (128, 96))))
        recording.write(rendered(new_image(7, 6000, (31, 17))))
    assert grays_of(path) == pytest.approx([gray_of(0), gray_of(5), gray_of(7)], abs=2)
    with av.open(str(path)) as video:
        assert {(frame.width, frame.height) for frame in video.decode(video=0)} == {(64, 48)}


def test_odd_sides_lose_a_row_and_a_column(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    with Recording(path) as recording:
        recording.write(rendered(new_image(3, 0, (65, 49))))
    with av.open(str(path)) as video:
        assert (video.streams.video[0].width, video.streams.video[0].height) == (64, 48)


def test_images_given_are_left_as_they_are(tmp_path: Path) -> None:
    image = new_image(1, 12_345)
    with Recording(tmp_path / "out.mp4") as recording:
        recording.write(rendered(image))
    assert (image.pts, image.time_base) == (12_345, TIME_BASE)


def test_nothing_recorded_is_an_error(tmp_path: Path) -> None:
    recording = Recording(tmp_path / "out.mp4")
    with pytest.raises(SinkError, match="there was no image"):
        recording.finish()
    assert list(tmp_path.iterdir()) == []


def test_what_was_written_stays_when_it_is_given_up(tmp_path: Path) -> None:
    path = tmp_path / "out.mp4"
    recording = Recording(path)
    for index in range(60):
        recording.write(rendered(new_image(index, index * 3600)))
    recording.abort()
    assert len(grays_of(path)) >= 50
    with pytest.raises(SinkError, match="closed already"):
        recording.write(rendered(new_image(61, 61 * 3600)))


def test_only_kinds_that_survive_are_taken(tmp_path: Path) -> None:
    with pytest.raises(InvalidArgumentError, match=r"one of .mp4, .mkv, not 'out.webm'"):
        check_recording(tmp_path / "out.webm")
    (tmp_path / "out.mp4").write_bytes(b"x")
    with pytest.raises(OutputExistsError, match="exists already"):
        check_recording(tmp_path / "out.mp4")
    assert check_recording(tmp_path / "out.mp4", overwrite=True) == tmp_path / "out.mp4"


RECORDER = """
import sys
from fractions import Fraction
from pathlib import Path
from media_factory import make_image, paint_noise
from video_runs import rendered
from streamcam.errors import SinkError
from streamcam.sinks import Recording

recording = Recording(Path(sys.argv[1]))
try:
    for index in range(int(sys.argv[2])):
        image = make_image(64, 48, index, paint=paint_noise)
        image.pts, image.time_base = index * 3600, Fraction(1, 90_000)
        recording.write(rendered(image))
    print("written", flush=True)
    sys.stdin.read()
    recording.finish()
except SinkError as error:
    recording.abort()
    print(error)
"""


def start_recording(path: Path, frames: int, largest_file: int | None = None) -> subprocess.Popen[str]:
    def limit() -> None:
        if largest_file is not None:
            resource.setrlimit(resource.RLIMIT_FSIZE, (largest_file, largest_file))

    return subprocess.Popen(
        [sys.executable, "-c", RECORDER, str(path), str(frames)],
        stdin=subprocess.PIPE,
        stdout=subprocess.PIPE,
        text=True,
        env={**os.environ, "PYTHONPATH": os.pathsep.join(sys.path)},
        preexec_fn=limit,
    )


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_all_but_the_last_second_survives_a_kill(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with start_recording(path, 110) as child:
        assert child.stdout is not None
        assert child.stdout.readline() == "written\n"
        child.send_signal(signal.SIGKILL)
        child.wait(LIMIT_S)
    # 110 frames are 4.4 s; of these the last second, and no more, may be lost.
    assert readable_frames(path) >= 85


@pytest.mark.parametrize("suffix", SUFFIXES)
def test_what_was_written_before_the_disk_was_full_can_be_played(tmp_path: Path, suffix: str) -> None:
    path = tmp_path / f"out{suffix}"
    with start_recording(path, 300, largest_file=400_000) as child:
        out, _ = child.communicate(timeout=LIMIT_S)
    assert "cannot be" in out
    assert str(path) in out
    frames = readable_frames(path)
    # 25 frames of noise are a second; of what fitted, no more than that may be lost.
    assert frames >= len(packet_sizes(path)) - 25
    assert sum(packet_sizes(path)[:frames]) > 400_000 - 26 * max(packet_sizes(path))


def readable_frames(path: Path) -> int:
    """How many frames can be shown, whatever stands behind them."""
    with open_source(path) as source:
        return len(list(source))


def packet_sizes(path: Path) -> list[int]:
    with av.open(str(path)) as video:
        return [packet.size for packet in video.demux(video=0) if packet.size]


@pytest.mark.parametrize("end", [Recording.finish, Recording.abort])
def test_nothing_is_kept_of_an_encoder_that_has_ended(
    tmp_path: Path, end: Callable[[Recording], None]
) -> None:
    # A preview remembers its recordings to the end, and x264 holds 24 MB for each of 720p.
    recording = Recording(tmp_path / "out.mp4")
    recording.write(rendered(new_image(0, 0)))
    end(recording)
    assert recording._video is None
    assert recording.written == 1
