"""What may be asked for when a video is read."""

from __future__ import annotations

from fractions import Fraction
from pathlib import Path

import av
import pytest
from media_factory import Audio, gray_of, make_clip
from video_runs import mean_lumas, read_video

from streamcam.errors import InvalidArgumentError, SourceError, UnknownNameError
from streamcam.sources import SourceSettings, open_source

# Which stream


def make_two_videos(path: Path) -> Path:
    """Audio, a small video of 4 frames, audio, and a larger one of 6, which is the better."""
    parts = [
        make_clip(path.with_name(f"{name}.mkv"), frames=frames, size=size, audio=[Audio("flac")])
        for name, frames, size in (("small", 4, (64, 48)), ("large", 6, (128, 96)))
    ]
    with av.open(str(path), "w") as output:
        opened = [av.open(str(part)) for part in parts]
        copies = [
            {
                stream.index: output.add_stream_from_template(stream)
                for stream in sorted(given.streams, key=lambda stream: stream.type)
            }
            for given in opened
        ]
        for given, copied in zip(opened, copies, strict=True):
            for packet in given.demux():
                if packet.size:
                    packet.stream = copied[packet.stream.index]
                    output.mux(packet)
            given.close()
    return path


@pytest.mark.parametrize(("wanted", "used", "frames"), [(None, 3, 6), (1, 1, 4), (3, 3, 6)])
def test_any_of_several_videos_can_be_shown(
    wanted: int | None, used: int, frames: int, tmp_path: Path
) -> None:
    video = make_two_videos(tmp_path / "video.mkv")
    found, info, report = read_video(video, video_stream=wanted)
    assert (info.video_stream, info.width, report.frames_read) == (used, 64 if used == 1 else 128, frames)
    assert info.notes == (f"the file holds 2 video streams; number {used} is used",)
    assert mean_lumas(found) == pytest.approx([gray_of(index) for index in range(frames)], abs=3)


def test_a_stream_that_is_no_video_is_refused(tmp_path: Path) -> None:
    video = make_two_videos(tmp_path / "video.mkv")
    for index in (0, 7):
        with pytest.raises(
            InvalidArgumentError, match=rf"video.mkv' has no video stream {index}; it has 1, 3"
        ):
            open_source(video, SourceSettings(video_stream=index))


# Another rate


@pytest.mark.parametrize(
    ("pts", "rate", "shown"),  # times in 1/100 s; which image is shown in each frame
    [
        (range(0, 40, 4), Fraction(25), [0, 1, 2, 3, 4, 5, 6, 7, 8, 9]),
        (range(0, 40, 4), Fraction(50), [0, 0, 1, 1, 2, 2, 3, 3, 4, 4, 5, 5, 6, 6, 7, 7, 8, 8, 9, 9]),
        (range(0, 40, 4), Fraction(5), [0, 5]),
        ([0, 10, 30, 34, 70], Fraction(10), [0, 1, 1, 2, 3, 3, 3, 4]),
        ([20, 30, 40], Fraction(10), [0, 1, 2]),
    ],
)
def test_frames_are_repeated_or_left_out_for_a_rate(
    pts: list[int], rate: Fraction, shown: list[int], tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mp4", time_base=Fraction(1, 100), pts=pts, rate=Fraction(25))
    frames, info, report = read_video(clip, rate=rate)
    assert (info.time_base, info.rate) == (1 / rate, rate)
    first = int(pts[0] * rate / 100)
    assert [frame.pts for frame in frames] == list(range(first, first + len(frames)))
    assert {frame.time_base for frame in frames} == {1 / rate}
    assert mean_lumas(frames)[: len(shown)] == pytest.approx([gray_of(index) for index in shown], abs=3)
    assert len(shown) <= len(frames) <= len(shown) + 1  # how long the last is shown, files tell badly
    assert (report.frames_read, report.frames_due) == (len(pts), len(frames))


def test_a_part_at_another_rate_is_exact(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=50)
    frames, info, _ = read_video(clip, start_s=0.4, end_s=0.8, rate=Fraction(50))
    assert [frame.time_s for frame in frames] == pytest.approx([0.4 + index / 50 for index in range(20)])
    assert info.frame_count == 20
    assert mean_lumas(frames) == pytest.approx([gray_of(10 + index // 2) for index in range(20)], abs=3)


# Hardware


@pytest.mark.parametrize("wanted", ["auto", "cuda"])
def test_what_hardware_cannot_decode_software_does(wanted: str, tmp_path: Path) -> None:
    # FFV1 is decoded by no device but Vulkan, so this holds on machines with a GPU too.
    clip = make_clip(tmp_path / "clip.mkv", codec="ffv1", frames=3)
    frames, info, report = read_video(clip, hwaccel=wanted)
    assert info.notes == (f"no hardware decoder works here ({wanted}); decoded in software",)
    assert mean_lumas(frames) == [32, 48, 64]
    assert (report.frames_read, report.packets_damaged) == (3, 0)


def test_a_device_that_cannot_start_is_no_obstacle(tmp_path: Path, monkeypatch: pytest.MonkeyPatch) -> None:
    def refuse(_device: str) -> object:
        raise av.error.PermissionError(1, "Operation not permitted")

    monkeypatch.setattr("streamcam.sources.video_opening.accelerator", refuse)
    clip = make_clip(tmp_path / "clip.mp4", frames=3)
    frames, info, _ = read_video(clip, hwaccel="auto")
    assert len(frames) == 3
    assert info.notes == ("no hardware decoder works here (auto); decoded in software",)


def test_unknown_devices_are_told_the_known(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(UnknownNameError, match=r"unknown hardware decoder 'gpu'; choose one of: .*none"):
        open_source(clip, SourceSettings(hwaccel="gpu"))


def test_the_reason_that_counts_is_softwares(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4")
    with pytest.raises(SourceError, match=r"has no frame after 5 s"):
        open_source(clip, SourceSettings(start_s=5, hwaccel="auto"))
