from __future__ import annotations

from collections.abc import Iterator
from fractions import Fraction
from pathlib import Path
from typing import Any

import pytest
from av.packet import Packet
from media_factory import (
    Audio,
    Subtitles,
    frame_times_of,
    make_clip,
    packets_of,
    paint_noise,
    truncate,
)
from video_runs import pass_through

from streamcam.media.demux import decoding_time_s, read_packets

# Parts of videos


@pytest.mark.parametrize("suffix", [".mp4", ".mkv", ".ts"])
@pytest.mark.parametrize("start_s", [0.2, 1.0, 3.12])
def test_a_part_begins_at_zero_with_its_audio_in_step(suffix: str, start_s: float, tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / f"in{suffix}", frames=100, b_frames=2, audio=[Audio("mp2", duration_s=4)], gop=50
    )
    target = tmp_path / f"out{suffix}"
    passed = pass_through(clip, target, start_s=start_s, end_s=start_s + 0.4)
    assert len(passed.pts) == 10
    images = frame_times_of(target)
    assert 0 <= images[0] < 0.2
    # Each packet of audio is as far from the first image as it was in the input.
    given = {data: time for time, data in packets_of(clip, "audio")}
    first_given = passed.pts[0] * passed.info.time_base
    found = packets_of(target, "audio")
    assert 15 <= len(found) <= 17  # 0.4 s in packets of 24 ms
    for time, data in found:
        assert float(time - images[0]) == pytest.approx(float(given[data] - first_given), abs=0.0021)


def test_the_rest_of_a_long_video_is_not_read_for_a_part(
    tmp_path: Path, monkeypatch: pytest.MonkeyPatch
) -> None:
    clip = make_clip(
        tmp_path / "in.mkv", frames=100, rate=Fraction(1), audio=[Audio("flac", duration_s=100, rate=8000)]
    )
    read_s = []

    def noting(*arguments: Any) -> Iterator[Packet[Any]]:
        for packet in read_packets(*arguments):
            read_s.append(decoding_time_s(packet))
            yield packet

    monkeypatch.setattr("streamcam.sinks.copying.copier.read_packets", noting)
    pass_through(clip, tmp_path / "out.mkv", end_s=5)
    assert frame_times_of(tmp_path / "out.mkv") == [0, 1, 2, 3, 4]
    assert 4 < packets_of(tmp_path / "out.mkv", "audio")[-1][0] < 5
    assert 15 <= read_s[-1] < 17  # ten seconds further: packets of one time may lie that far apart


def test_subtitles_of_a_part_keep_step_too(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.mkv",
        frames=100,
        subtitles=[Subtitles("subrip", {0: "one", 1500: "two", 3000: "three"})],
    )
    pass_through(clip, tmp_path / "out.mkv", start_s=1, end_s=2)
    assert packets_of(tmp_path / "out.mkv", "subtitle") == [(Fraction(1, 2), b"two")]


# DamageCounter


def test_a_cut_off_video_gives_the_audio_that_is_there(tmp_path: Path) -> None:
    clip = make_clip(
        tmp_path / "in.mp4",
        frames=60,
        paint=paint_noise,
        audio=[Audio(duration_s=2.4)],
        muxer_options={"movflags": "+faststart"},
    )
    truncate(clip, 0.6)
    passed = pass_through(clip, tmp_path / "out.mp4")
    assert passed.report.shortfall is not None
    assert len(frame_times_of(tmp_path / "out.mp4")) == passed.report.frames_read
    found = packets_of(tmp_path / "out.mp4", "audio")
    assert 1 < found[-1][0] < 2


def test_a_stream_of_a_codec_that_nobody_knows_is_left_out(tmp_path: Path) -> None:
    clip = make_clip(tmp_path / "in.mkv", frames=5, audio=[Audio("flac")])
    data = clip.read_bytes()
    assert data.count(b"A_FLAC") == 1
    clip.write_bytes(data.replace(b"A_FLAC", b"A_NONE"))
    passed = pass_through(clip, tmp_path / "out.mkv")
    assert len(passed.pts) == 5
    assert any("audio stream 1 (unknown codec) is left out" in note for note in passed.sink_notes)
