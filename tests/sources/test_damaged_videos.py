from __future__ import annotations

import re
from fractions import Fraction
from pathlib import Path

import av
import pytest
from media_factory import (
    make_clip,
    overwrite_bytes,
    paint_noise,
    truncate,
)
from video_runs import read_video

from streamcam.errors import SourceError
from streamcam.frames import SourceReport
from streamcam.sources import open_source


def place_of_packet(path: Path, number: int) -> tuple[int, int]:
    """Where a packet of the images lies in a file, and how long it is."""
    with av.open(str(path)) as container:
        packets = [bytes(packet) for packet in container.demux(video=0) if packet.size]
    return path.read_bytes().index(packets[number]), len(packets[number])


@pytest.mark.parametrize(
    ("suffix", "muxer_options", "told"),
    [
        (".mp4", {"movflags": "+faststart"}, r"\d+ of 60 frames are missing from the file"),
        (".mkv", {}, r"the last [01]\.\d s are missing from the file"),
        (".avi", {}, r"the last [01]\.\d s are missing from the file"),
        (".flv", {}, r"the last [01]\.\d s are missing from the file"),
    ],
)
def test_a_file_that_was_cut_off_is_noticed(
    suffix: str, muxer_options: dict[str, str], told: str, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / f"clip{suffix}", frames=60, paint=paint_noise, muxer_options=muxer_options)
    assert read_video(clip)[2] == SourceReport(frames_read=60)
    truncate(clip, 0.6)
    frames, _, report = read_video(clip)
    assert 20 < len(frames) < 50
    assert re.fullmatch(told, report.shortfall or "nothing")


def test_a_cut_off_file_is_noticed_when_its_end_is_asked_for(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mp4", frames=60, paint=paint_noise, muxer_options={"movflags": "+faststart"}
    )
    truncate(clip, 0.6)
    assert read_video(clip, start_s=0.4)[2].shortfall is not None
    assert read_video(clip, start_s=0.4, end_s=0.8)[2].shortfall is None


def test_a_reader_that_stops_early_reports_nothing_missing(tmp_path: Path) -> None:
    with open_source(make_clip(tmp_path / "clip.mp4", frames=60)) as source:
        next(iter(source))
        assert source.report() == SourceReport(frames_read=1)


def test_frames_cut_away_by_an_edit_list_are_not_missing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mp4", frames=50, gop=5)
    data = bytearray(clip.read_bytes())
    # The box: size, "elst", version and flags, count of entries, then the duration in milliseconds.
    at = data.index(b"elst") + 12
    assert int.from_bytes(data[at : at + 4], "big") == 2000
    data[at : at + 4] = (1000).to_bytes(4, "big")
    clip.write_bytes(data)
    frames, _, report = read_video(clip)
    assert 25 <= len(frames) < 50
    assert report == SourceReport(frames_read=len(frames))


@pytest.mark.parametrize("rate", [Fraction(1), Fraction(1, 5)])
@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".avi"])
def test_slow_videos_are_whole(rate: Fraction, suffix: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / f"clip{suffix}", frames=4, rate=rate)
    assert read_video(clip)[2] == SourceReport(frames_read=4)


def test_the_gaps_of_an_avi_file_are_not_missing(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.avi", codec="mpeg4", pts=[0, 1, 2, 20, 21, 40])
    frames, _, report = read_video(clip)
    assert [frame.pts for frame in frames] == [0, 1, 2, 20, 21, 40]
    assert report == SourceReport(frames_read=6)


@pytest.mark.parametrize("codec", ["libx264", "mjpeg", "libvpx-vp9"])
@pytest.mark.parametrize("number", [5, 17, 19])
def test_a_damaged_packet_costs_its_own_frame(codec: str, number: int, tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mkv",
        frames=20,
        gop=1,
        codec=codec,
        encoded_format="yuvj420p" if codec == "mjpeg" else None,
        paint=paint_noise,
        size=(160, 96),
    )
    overwrite_bytes(clip, *place_of_packet(clip, number))
    frames, _, report = read_video(clip)
    assert [frame.pts for frame in frames] == [40 * index for index in range(20) if index != number]
    assert report == SourceReport(frames_read=19, packets_damaged=1)


@pytest.mark.parametrize("codec", ["libx264", "mpeg4", "mpeg2video"])
def test_a_frame_that_the_decoder_mends_is_counted(codec: str, tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=20, gop=1, codec=codec, paint=paint_noise, size=(160, 96))
    start, length = place_of_packet(clip, 7)
    overwrite_bytes(clip, start + length // 3, 20)
    assert read_video(clip)[2] == SourceReport(frames_read=20, frames_damaged=1)
    assert read_video(clip, start_s=0.4)[2] == SourceReport(frames_read=10)


def test_a_first_frame_that_is_damaged_is_skipped(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=10, gop=1, paint=paint_noise)
    overwrite_bytes(clip, *place_of_packet(clip, 0))
    frames, _, report = read_video(clip)
    assert [frame.index for frame in frames] == list(range(9))
    assert report.packets_damaged == 1


@pytest.mark.parametrize("b_frames", [0, 2])
@pytest.mark.parametrize(
    ("gop", "part", "counts"),
    [
        (1, {"start_s": 0.4}, False),
        (1, {"start_s": 0.24}, False),  # the very next frame
        (1, {"start_s": 0.2}, True),
        (1, {"end_s": 0.24}, True),
        (1, {"end_s": 0.2}, False),  # what is read of the next one, to know that this was the last
        (10, {"start_s": 0.24}, True),  # frames are made of those before, back to the keyframe
        (10, {"start_s": 0.36}, True),
        (10, {"start_s": 0.4}, False),
        (10, {"start_s": 0.48}, False),
        (10, {"start_s": 0.04, "end_s": 0.16}, False),
    ],
)
def test_damage_counts_that_reaches_the_wanted_part(
    gop: int, b_frames: int, part: dict[str, float], counts: bool, tmp_path: Path
) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=20, gop=gop, b_frames=b_frames, paint=paint_noise)
    with av.open(str(clip)) as container:
        times = [packet.pts for packet in container.demux(video=0) if packet.size]
    overwrite_bytes(clip, *place_of_packet(clip, times.index(200)))
    *_, report = read_video(clip, **part)
    assert report.packets_damaged == counts
    assert report.whole is not counts


def test_a_part_that_is_there_is_whole_though_the_video_is_cut_off(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=60, gop=1, paint=paint_noise)
    truncate(clip, 0.5)
    last_s = read_video(clip)[0][-1].time_s
    assert read_video(clip, end_s=last_s + 0.04)[2].whole
    assert not read_video(clip, end_s=last_s + 0.08)[2].whole
    with pytest.raises(SourceError, match=r"no frame after 2 s: the last 1\.\d s are missing from the file"):
        read_video(clip, start_s=2)


def test_images_that_no_memory_holds_are_refused(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "clip.mkv", frames=1, size=(8192, 8200), codec="mjpeg", encoded_format="yuvj420p"
    )
    with pytest.raises(SourceError, match=r"has images of 8192x8200, more than .*; make it smaller first"):
        open_source(clip)


def test_a_video_that_claims_to_grow_beyond_all_bounds(tmp_path: Path) -> None:
    """The size in a JPEG's own header is what its decoder goes by."""
    clip = make_clip(tmp_path / "clip.mkv", frames=3, codec="mjpeg", encoded_format="yuvj420p")
    start, _ = place_of_packet(clip, 1)
    data = bytearray(clip.read_bytes())
    at = data.index(b"\xff\xc0", start) + 5  # behind the marker, its length and the depth
    assert data[at : at + 4] == bytes([0, 48, 0, 64])
    data[at : at + 4] = (16000).to_bytes(2, "big") * 2
    clip.write_bytes(data)
    frames, _, report = read_video(clip)
    assert (len(frames), report.packets_damaged) == (2, 1)


def test_a_video_of_noise_is_refused(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "clip.mkv", frames=3, gop=1, paint=paint_noise)
    for place in [place_of_packet(clip, number) for number in range(3)]:
        overwrite_bytes(clip, *place)
    with pytest.raises(SourceError, match=r"holds a video stream, but no frame of it can be decoded"):
        open_source(clip)
